//! The kernel's IPVS table, kept to what the pools say.
//!
//! What changes is the difference between what is desired and what is known to be there. At the start, at a reload and every
//! half minute the whole table is read, so that it is also put right what somebody else has changed; in between what we did
//! ourselves is what is known.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::check::{Engine, Member, Pool};
use crate::console::lvs::Connections;
use crate::error::Chain;
use crate::io::ipvs::{
    Checksum, Destination, Endpoint, Forwarding, Ipvs, Key, Name, Protocol, Row, Service, Step,
    Table, Timeouts, Tunnel, flag, plan,
};
use crate::model::lvs::{self, Entry, Group};
use crate::name::Family;
use crate::time::Instant;

/// Between two looks at the whole table, or at whether the kernel has IPVS by now.
const AUDIT: Duration = Duration::from_secs(30);

/// Until it is tried again if an answer of the kernel's was lost.
const AGAIN: Duration = Duration::from_secs(1);

/// A look at the whole table is due.
const AT_ONCE: Instant = Instant(0);

/// The table of virtual servers.
pub struct VirtualTable {
    /// `None` while the kernel has no IPVS.
    ipvs: Option<Ipvs>,
    /// What the kernel has of what is ours.
    known: Table,
    due: Instant,
    /// That there is no IPVS has been told.
    told: bool,
    /// `lvs_flush`, until it is done.
    flush: bool,
}

impl VirtualTable {
    /// Nothing is known yet: [`settle`](Self::settle) is due. With `flush` the table is emptied first.
    #[must_use]
    pub const fn new(flush: bool) -> Self {
        Self {
            ipvs: None,
            known: Table::new(),
            due: AT_ONCE,
            told: false,
            flush,
        }
    }

    /// When [`settle`](Self::settle) is due.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.due
    }

    /// Whether the kernel has IPVS.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ipvs.is_some()
    }

    /// Opens the way to the kernel, and does what is done first. A kernel without IPVS is told once.
    fn open(&mut self, timeouts: lvs::Timeouts) {
        match Ipvs::open() {
            Ok(ipvs) => {
                if self.told {
                    log::info!("the kernel has IPVS now: setting up the virtual servers");
                }
                self.ipvs = Some(ipvs);
                self.told = false;
            }
            Err(error) => {
                if !core::mem::replace(&mut self.told, true) {
                    log::error!(
                        "{}; servers are checked, but nothing is balanced until it is there",
                        Chain(&error)
                    );
                }
                return;
            }
        }
        if core::mem::take(&mut self.flush) {
            self.empty();
        }
        self.set_timeouts(timeouts);
    }

    /// Removes everything, whoever made it.
    fn empty(&mut self) {
        let Some(ipvs) = &mut self.ipvs else { return };
        match ipvs.flush() {
            Ok(()) => self.known.clear(),
            Err(error) => log::error!("{}", Chain(&error)),
        }
    }

    /// `lvs_timeouts`.
    pub fn set_timeouts(&mut self, timeouts: lvs::Timeouts) {
        let Some(ipvs) = &mut self.ipvs else { return };
        if timeouts == lvs::Timeouts::default() {
            return;
        }
        let set = ipvs.set_timeouts(Timeouts {
            tcp: timeouts.tcp,
            tcp_fin: timeouts.tcp_fin,
            udp: timeouts.udp,
        });
        if let Err(error) = set {
            log::error!("{}", Chain(&error));
        }
    }

    /// Looks at the whole table and puts right what is not as it should be.
    pub fn settle(&mut self, engine: &Engine, timeouts: lvs::Timeouts, now: Instant) {
        // Without virtual servers there is no reason to have the module loaded.
        if self.ipvs.is_none() && (self.flush || !engine.pools().is_empty()) {
            self.open(timeouts);
        }
        self.due = now + AUDIT;
        let Some(ipvs) = &mut self.ipvs else { return };
        let desired = desired(engine, engine.pools());
        match ipvs.read() {
            Ok(mut there) => {
                let ours = |key: &Key| desired.contains_key(key) || self.known.contains_key(key);
                there.retain(|key, _| ours(key));
                self.known = there;
            }
            Err(error) => log::error!("{}", Chain(&error)),
        }
        if !self.change(&desired, true) {
            self.due = now + AGAIN;
        }
    }

    /// Another configuration: what it changes is changed at once; a look at the whole table follows.
    pub fn reload(&mut self, engine: &Engine) {
        self.due = AT_ONCE;
        self.change(&desired(engine, engine.pools()), true);
        self.due = AT_ONCE;
    }

    /// Some pools have changed.
    pub fn update<'a>(&mut self, engine: &'a Engine, pools: impl Iterator<Item = &'a Pool>) {
        if self.ipvs.is_some() && !self.change(&desired(engine, pools), false) {
            self.due = AT_ONCE;
        }
    }

    /// How the kernel uses the real servers of a pool, in their order; of a group all of its services together.
    pub fn connections(&mut self, engine: &Engine, pool: &Pool) -> Vec<Option<Connections>> {
        let mut all = vec![None; pool.servers().len()];
        let Some(ipvs) = &mut self.ipvs else {
            return all;
        };
        for key in keys(pool, engine.groups()) {
            let Ok(usage) = ipvs.usage(key) else { continue };
            for (server, sum) in pool.servers().iter().zip(&mut all) {
                let real = server.config();
                let own = usage.iter().filter(|(endpoint, _)| {
                    endpoint.ip == real.ip && (endpoint.port == real.port || real.port == 0)
                });
                for (_, usage) in own {
                    let sum = sum.get_or_insert_with(Connections::default);
                    sum.active = sum.active.saturating_add(usage.active);
                    sum.inactive = sum.inactive.saturating_add(usage.inactive);
                    sum.total = sum.total.saturating_add(usage.counters.connections);
                }
            }
        }
        all
    }

    /// Takes ours away, or everything.
    pub fn clear(&mut self, everything: bool) {
        if everything {
            self.empty();
        } else {
            self.change(&Table::new(), true);
        }
    }

    /// Makes the table what is desired; with `whole` nothing else of ours stays. False if what was done is unknown until the
    /// table is read.
    fn change(&mut self, desired: &Table, whole: bool) -> bool {
        let Some(ipvs) = &mut self.ipvs else {
            return true;
        };
        let steps = plan(desired, &self.known, |_| whole);
        if steps.is_empty() {
            return true;
        }
        let refused = match ipvs.apply(&steps) {
            Ok(refused) => refused,
            Err(error) => {
                log::error!("{}", Chain(&error));
                return false;
            }
        };
        let mut refused = refused.iter().peekable();
        let mut missing = None;
        for (place, step) in steps.iter().enumerate() {
            let Some(refusal) = refused.next_if(|refusal| refusal.place == place) else {
                step.carry_out(&mut self.known);
                continue;
            };
            match step {
                // It is so already: somebody else did it.
                Step::RemoveDestination(..) | Step::RemoveService(_) if refusal.already_gone() => {
                    step.carry_out(&mut self.known);
                    continue;
                }
                // Its real servers are refused for the same reason.
                Step::AddDestination(key, ..) if missing == Some(*key) => continue,
                // Somebody else did it; the look that is due finds out how.
                Step::AddService(..) | Step::AddDestination(..)
                    if refusal.already_there() && self.due == AT_ONCE =>
                {
                    continue;
                }
                Step::AddService(key, _) => missing = Some(*key),
                _ => {}
            }
            log::error!("{}", Chain(refusal));
        }
        true
    }
}

/// What the table is to have for some pools.
fn desired<'a>(engine: &Engine, pools: impl IntoIterator<Item = &'a Pool>) -> Table {
    let mut table = Table::new();
    for pool in pools {
        let members: Vec<Member> = pool.members().collect();
        for key in keys(pool, engine.groups()) {
            let of = |member: &&Member| fits(key, member);
            let destinations = members.iter().filter(of).map(|member| {
                let port = port(key, member);
                let endpoint = Endpoint {
                    ip: member.ip,
                    port,
                };
                (endpoint, destination(member))
            });
            let row = Row {
                service: service(pool.config(), key.family()),
                destinations: destinations.collect(),
            };
            // Where two services of groups overlap, the first counts.
            table.entry(key).or_insert(row);
        }
    }
    table
}

/// What packets a pool is for: one key, or those of its group.
fn keys(pool: &Pool, groups: &[Group]) -> Vec<Key> {
    let config = pool.config();
    let protocol = match config.protocol {
        Some(lvs::Protocol::Udp) => Protocol::Udp,
        Some(lvs::Protocol::Sctp) => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    let address = |ip, port| Key::Address { protocol, ip, port };
    let mark = |mark, family: Option<Family>| Key::Mark {
        mark,
        family: family.or(config.family).unwrap_or(Family::V4),
    };
    match &config.service {
        lvs::Service::Address(ip, port) => vec![address(*ip, *port)],
        lvs::Service::Mark(number) => vec![mark(*number, None)],
        lvs::Service::Group(name) => {
            let group = groups.iter().filter(|group| group.name == *name);
            let entries = group.flat_map(|group| &group.entries);
            let mut keys = Vec::new();
            for entry in entries {
                match *entry {
                    Entry::Addresses { first, last, port } => {
                        keys.extend(range(first, last).map(|ip| address(ip, port)));
                    }
                    Entry::Mark(number, family) => keys.push(mark(number, family)),
                }
            }
            keys
        }
    }
}

/// Every address from the first to the last.
fn range(first: IpAddr, last: IpAddr) -> Box<dyn Iterator<Item = IpAddr>> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let bits = first.to_bits()..=last.to_bits();
            Box::new(bits.map(|bits| Ipv4Addr::from_bits(bits).into()))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let bits = first.to_bits()..=last.to_bits();
            Box::new(bits.map(|bits| Ipv6Addr::from_bits(bits).into()))
        }
        _ => Box::new(core::iter::once(first)),
    }
}

/// Only a tunnel changes the family of a packet.
const fn fits(key: Key, member: &Member) -> bool {
    let same = matches!(
        (key.family(), Family::of(member.ip)),
        (Family::V4, Family::V4) | (Family::V6, Family::V6)
    );
    same || matches!(member.forwarding, lvs::Forwarding::Tunnel(..))
}

/// Without address translation the port of the service stays; the kernel wants zero with a mark.
const fn port(key: Key, member: &Member) -> u16 {
    let translated = matches!(member.forwarding, lvs::Forwarding::Nat);
    match key {
        Key::Address { port, .. } if !translated || member.port == 0 => port,
        Key::Mark { .. } if !translated => 0,
        _ => member.port,
    }
}

fn destination(member: &Member) -> Destination {
    let forwarding = match member.forwarding {
        lvs::Forwarding::Nat => Forwarding::Nat,
        lvs::Forwarding::Direct => Forwarding::Direct,
        lvs::Forwarding::Tunnel(tunnel, checksum) => Forwarding::Tunnel(
            match tunnel {
                lvs::Tunnel::IpIp => Tunnel::IpIp,
                lvs::Tunnel::Gue(port) => Tunnel::Gue(port),
                lvs::Tunnel::Gre => Tunnel::Gre,
            },
            match checksum {
                lvs::TunnelChecksum::None => Checksum::None,
                lvs::TunnelChecksum::Full => Checksum::Full,
                lvs::TunnelChecksum::Remote => Checksum::Remote,
            },
        ),
    };
    Destination {
        forwarding,
        weight: member.weight,
        upper: member.upper,
        lower: member.lower,
    }
}

fn service(config: &lvs::VirtualServer, family: Family) -> Service {
    let name = |text: &str| Name::try_from(text).unwrap_or_default();
    let plain = Service::new(name(&config.scheduler), family);
    let flags = config.flags;
    match config.persistence {
        None => Service { flags, ..plain },
        Some(persistence) => Service {
            flags: flags | flag::PERSISTENT,
            timeout: u32::try_from(persistence.timeout.as_secs()).unwrap_or(u32::MAX),
            prefix: persistence.granularity.unwrap_or(plain.prefix),
            engine: persistence.sip.then(|| name("sip")),
            ..plain
        },
    }
}
