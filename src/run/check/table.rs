//! The kernel's IPVS table, kept to what the pools say.
//!
//! What changes is the difference between what is desired and what is known to be there. At the start, at a reload,
//! after a surprise and every half minute the whole table is read, so that it is also put right what somebody else has changed;
//! in between what we did ourselves is what is known.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::check::{Engine, Member, Pool, PoolId};
use crate::console::lvs::Connections;
use crate::error::Chain;
use crate::io::error::Failed;
use crate::io::ipvs::{
    Checksum, Destination, Endpoint, Forwarding, Ipvs, Key, Name, Protocol, Row, Service, Step,
    Table, Timeouts, Tunnel, flag, plan,
};
use crate::model::lvs::{self, Entry, Group};
use crate::name::Family;
use crate::sorted::{Map, Set};
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
    /// Services that are of an earlier pool.
    covered: Set<(Key, PoolId)>,
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
            covered: Set::new(),
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
        self.covered = covered(engine);
        let desired = desired(engine, engine.pools(), &self.covered);
        match ipvs.read() {
            Ok(mut there) => {
                let ours = |key: &Key| desired.contains_key(key) || self.known.contains_key(key);
                there.retain(|key, _| ours(key));
                self.known = there;
            }
            Err(error) => log::error!("{}", Chain(&error)),
        }
        if !self.change(&desired, true, true) {
            self.due = now + AGAIN;
        }
    }

    /// Another configuration: what it changes is changed at once; a look at the whole table follows.
    pub fn reload(&mut self, engine: &Engine) {
        self.covered = covered(engine);
        let desired = desired(engine, engine.pools(), &self.covered);
        self.change(&desired, true, false);
        self.due = AT_ONCE;
    }

    /// Some pools have changed.
    pub fn update<'a>(&mut self, engine: &'a Engine, pools: impl Iterator<Item = &'a Pool>) {
        if self.ipvs.is_none() {
            return;
        }
        let desired = desired(engine, pools, &self.covered);
        if !self.change(&desired, false, false) {
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
            self.change(&Table::new(), true, false);
        }
    }

    /// Makes the table what is desired; with `whole` nothing else of ours stays. False if what is there is unknown until the
    /// table is read, which it has just been where it is `fresh`.
    fn change(&mut self, desired: &Table, whole: bool, fresh: bool) -> bool {
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
        let (mut missing, mut certain) = (None, true);
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
                _ if !fresh && is_surprise(step, refusal) => {
                    certain = false;
                    continue;
                }
                Step::AddService(key, _) => missing = Some(*key),
                _ => {}
            }
            log::error!("{}", Chain(refusal));
        }
        certain
    }
}

/// Whether the table is not what it was known to be. What somebody else has done to it, only a look tells.
fn is_surprise(step: &Step<'_>, refusal: &Failed) -> bool {
    match step {
        Step::AddService(..) => refusal.already_there(),
        Step::AddDestination(..) => refusal.already_there() || refusal.already_gone(),
        Step::EditService(..) | Step::EditDestination(..) => refusal.already_gone(),
        Step::RemoveDestination(..) | Step::RemoveService(_) => false,
    }
}

/// What the table is to have for some pools.
fn desired<'a>(
    engine: &Engine,
    pools: impl IntoIterator<Item = &'a Pool>,
    covered: &Set<(Key, PoolId)>,
) -> Table {
    let mut rows = Vec::new();
    for pool in pools {
        let members: Vec<Member> = pool.members().collect();
        for key in keys(pool, engine.groups()).filter(|key| !covered.contains(&(*key, pool.id()))) {
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
            rows.push((key, row));
        }
    }
    Map::of_many(rows)
}

/// The services of pools that an earlier pool has: where those of groups overlap, the first counts.
fn covered(engine: &Engine) -> Set<(Key, PoolId)> {
    let groups = engine.groups();
    if groups.is_empty() {
        // Each pool is for packets of its own.
        return Set::new();
    }
    let pools = engine.pools().iter().enumerate();
    let of = |(place, pool): (usize, _)| keys(pool, groups).map(move |key| (key, place, pool.id()));
    let mut all: Vec<(Key, usize, PoolId)> = pools.flat_map(of).collect();
    all.sort_unstable();
    let same = all.chunk_by(|(one, ..), (other, ..)| one == other);
    let later = same.flat_map(|same| {
        let first = same.first().map(|(.., id)| *id);
        same.iter().filter(move |(.., id)| Some(*id) != first)
    });
    later.map(|(key, _, id)| (*key, *id)).collect()
}

/// The services of a pool, packet by packet.
fn keys<'a>(pool: &'a Pool, groups: &'a [Group]) -> impl Iterator<Item = Key> + 'a {
    let service = &pool.config().service;
    let own = match *service {
        lvs::Service::Address(ip, port) => Some(address(pool, ip, port)),
        lvs::Service::Mark(number) => Some(mark(pool, number, None)),
        lvs::Service::Group(_) => None,
    };
    let of_group = groups
        .iter()
        .filter(move |group| matches!(service, lvs::Service::Group(name) if group.name == *name));
    let each = of_group
        .flat_map(|group| &group.entries)
        .flat_map(move |entry| {
            let each: Box<dyn Iterator<Item = Key> + 'a> = match *entry {
                Entry::Addresses { first, last, port } => {
                    Box::new(range(first, last).map(move |ip| address(pool, ip, port)))
                }
                Entry::Mark(number, family) => {
                    Box::new(core::iter::once(mark(pool, number, family)))
                }
            };
            each
        });
    own.into_iter().chain(each)
}

fn address(pool: &Pool, ip: IpAddr, port: u16) -> Key {
    let protocol = match pool.config().protocol {
        Some(lvs::Protocol::Udp) => Protocol::Udp,
        Some(lvs::Protocol::Sctp) => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    Key::Address { protocol, ip, port }
}

fn mark(pool: &Pool, mark: u32, family: Option<Family>) -> Key {
    let family = family.or(pool.config().family).unwrap_or(Family::V4);
    Key::Mark { mark, family }
}

/// Every address from the first to the last.
fn range(first: IpAddr, last: IpAddr) -> impl Iterator<Item = IpAddr> {
    let bits = |ip| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    (bits(first)..=bits(last)).map(move |bits| match u32::try_from(bits) {
        Ok(bits) if first.is_ipv4() => Ipv4Addr::from_bits(bits).into(),
        _ => Ipv6Addr::from_bits(bits).into(),
    })
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
    let plain = Service::new(name(config.scheduler), family);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::files::Memory;
    use crate::config::{Options, load_from};

    /// Two services whose groups share 10.0.0.2, each with a server of its own.
    const OVERLAPPING: &str = "
        virtual_server_group one {
            10.0.0.1-2 80
        }
        virtual_server_group other {
            10.0.0.2-3 80
        }
        virtual_server group one {
            lvs_sched rr\nlvs_method NAT\nprotocol TCP
            real_server 10.0.1.1 80 {\n}
        }
        virtual_server group other {
            lvs_sched wlc\nlvs_method NAT\nprotocol TCP
            real_server 10.0.1.2 80 {\n}
        }";

    fn engine(text: &str) -> Engine {
        let mut files = Memory::new();
        files.insert("pools.conf", text);
        let loaded = load_from(&files, Path::new("pools.conf"), &Options::default()).unwrap();
        let findings: Vec<_> = loaded.findings().map(|f| f.to_string()).collect();
        assert!(!loaded.diags.has_errors(), "{findings:?}");
        Engine::new(loaded.model.lvs, &[], Instant(0))
    }

    fn services(table: &Table) -> Vec<String> {
        let row = |(key, row): (&Key, &Row)| format!("{key} {}", row.service.scheduler);
        table.iter().map(row).collect()
    }

    #[test]
    fn where_services_overlap_the_first_counts_also_when_only_the_second_has_changed() {
        let engine = engine(OVERLAPPING);
        let covered = covered(&engine);
        let whole = desired(&engine, engine.pools(), &covered);
        assert_eq!(
            services(&whole),
            [
                "[10.0.0.1]:tcp:80 rr",
                "[10.0.0.2]:tcp:80 rr",
                "[10.0.0.3]:tcp:80 wlc"
            ]
        );
        let second = desired(&engine, engine.pools().last(), &covered);
        assert_eq!(services(&second), ["[10.0.0.3]:tcp:80 wlc"]);
    }

    #[test]
    fn what_a_group_names_twice_is_one_service_of_its_own() {
        let twice = OVERLAPPING.replace("10.0.0.1-2 80", "10.0.0.1-2 80\n10.0.0.1 80");
        let engine = engine(&twice);
        let first = desired(&engine, engine.pools().first(), &covered(&engine));
        assert_eq!(
            services(&first),
            ["[10.0.0.1]:tcp:80 rr", "[10.0.0.2]:tcp:80 rr"]
        );
    }

    #[test]
    fn a_range_of_either_family_is_every_address_from_first_to_last() {
        let all = |first: &str, last: &str| -> Vec<String> {
            let all = range(first.parse().unwrap(), last.parse().unwrap());
            all.map(|ip| ip.to_string()).collect()
        };
        assert_eq!(all("10.0.0.255", "10.0.1.0"), ["10.0.0.255", "10.0.1.0"]);
        assert_eq!(all("::1", "::2"), ["::1", "::2"]);
        assert_eq!(
            all("2001:db8::ffff", "2001:db8::1:0"),
            ["2001:db8::ffff", "2001:db8::1:0"]
        );
    }
}
