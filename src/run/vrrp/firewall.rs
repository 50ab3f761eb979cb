//! The packet filter: what masters that do not accept refuse, and what virtual MACs of backups may not send.

use core::net::IpAddr;

use super::addresses::Desired;
use super::links::Links;
use super::world::World;
use crate::error::Chain;
use crate::io::error::{Failed, NetError};
use crate::io::netlink::{Batch, Netlink};
use crate::io::nftables::{self, Element, Table};
use crate::model::Global;
use crate::sorted::Set;
use crate::vrrp::{Engine, Instance};

/// Our table in the kernel, if it is needed.
#[derive(Debug)]
pub struct Firewall {
    table: Table,
    state: State,
}

#[derive(Debug)]
enum State {
    /// There is none.
    Absent,
    /// It is there, with these elements. It may go with the socket.
    There(Netlink, Set<Element>),
    /// There cannot be one, as has been told.
    Unable,
}

/// Why there is no table.
enum Refusal {
    Refused(Vec<Failed>),
    Lost(NetError),
}

impl Firewall {
    /// None yet; `global` has its name.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        Self {
            table: table(global),
            state: State::Absent,
        }
    }

    /// Another configuration.
    pub fn reload(&mut self, global: &Global) {
        let table = table(global);
        if self.table != table {
            self.remove();
            self.table = table;
        } else if matches!(self.state, State::Unable) {
            self.state = State::Absent;
        }
    }

    /// Makes the sets hold what is wanted, and the table first where it is not there; what has lost its table makes it anew. While
    /// addresses are `moving`, none is let through before it is gone.
    pub fn follow(&mut self, mut wanted: Set<Element>, moving: bool) {
        if let State::There(netlink, there) = &mut self.state {
            if moving {
                let is_address = |element: &&Element| !matches!(element, Element::Silent(_));
                wanted.extend(there.iter().filter(is_address).copied());
            }
            if *there == wanted {
                return;
            }
            let mut batch = Batch::new();
            nftables::add(&mut batch, &self.table, wanted.difference(there).copied());
            nftables::remove(&mut batch, &self.table, there.difference(&wanted).copied());
            match transact(netlink, batch) {
                Ok(()) => {
                    *there = wanted;
                    return;
                }
                Err(_) => self.state = State::Absent,
            }
        }
        if matches!(self.state, State::Absent) {
            self.state = match self.make(&wanted) {
                Ok(netlink) => State::There(netlink, wanted),
                Err(refusal) => {
                    refusal.tell(&self.table.name);
                    State::Unable
                }
            };
        }
    }

    fn make(&self, wanted: &Set<Element>) -> Result<Netlink, Refusal> {
        let mut netlink = Netlink::netfilter().map_err(Refusal::Lost)?;
        self.clear(&mut netlink)?;
        let attempt = |netlink: &mut Netlink, owned| {
            let mut batch = Batch::new();
            nftables::create(&mut batch, &self.table, owned);
            nftables::add(&mut batch, &self.table, wanted.iter().copied());
            transact(netlink, batch)
        };
        // Before Linux 5.12 a table cannot belong to anybody.
        attempt(&mut netlink, true).or_else(|_| attempt(&mut netlink, false))?;
        Ok(netlink)
    }

    /// Takes away what an earlier run left behind.
    fn clear(&self, netlink: &mut Netlink) -> Result<(), Refusal> {
        let mut batch = Batch::new();
        nftables::delete(&mut batch, &self.table.name);
        match transact(netlink, batch) {
            Err(Refusal::Refused(failed)) if failed.iter().all(Failed::already_gone) => Ok(()),
            other => other,
        }
    }

    /// The same where none is needed any more.
    pub fn clear_leftover(&mut self) {
        if let (State::Absent, Ok(mut netlink)) = (&self.state, Netlink::netfilter()) {
            // Without nf_tables nothing can be left over.
            let _ = self.clear(&mut netlink);
        }
    }

    /// Removes the table.
    pub fn remove(&mut self) {
        if let State::There(mut netlink, _) = core::mem::replace(&mut self.state, State::Absent) {
            if let Err(refusal) = self.clear(&mut netlink) {
                refusal.tell(&self.table.name);
            }
        }
    }
}

/// What is to be filtered now; `None` where nothing ever is.
#[must_use]
pub fn wanted(
    engine: &Engine,
    desired: &Desired,
    links: &Links,
    world: &World,
) -> Option<Set<Element>> {
    let instances = || engine.iter().map(|(_, instance)| instance);
    let refusing = |instance: &&Instance| !instance.config().accept;
    if links.is_empty() && !instances().any(|instance| refusing(&instance)) {
        return None;
    }
    let masters = || instances().filter(|instance| instance.owns_addresses());
    let mut wanted = Set::new();
    let mut speaking = Set::new();
    for instance in masters() {
        let advertising = world.link_named(instance.config().advert_interface());
        speaking.extend(advertising.map(|link| link.index));
        speaking.extend(desired.places(instance, world).map(|(link, _)| link.index));
    }
    let mute = links.there(world).map(|link| link.index);
    let mute = mute.filter(|index| !speaking.contains(index));
    wanted.extend(mute.map(Element::Silent));
    for instance in masters().filter(refusing) {
        let places = desired.places(instance, world);
        wanted.extend(places.map(|(link, address)| match address.ip {
            IpAddr::V4(ip) => Element::V4(ip),
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Element::V6Link(ip, link.index),
            IpAddr::V6(ip) => Element::V6(ip),
        }));
    }
    Some(wanted)
}

fn table(global: &Global) -> Table {
    /// keepalived's name for it.
    const NAME: &str = "keepalived";
    Table {
        name: global.nftables.clone().unwrap_or_else(|| NAME.to_owned()),
        priority: global.nftables_priority,
        counters: global.nftables_counters,
    }
}

fn transact(netlink: &mut Netlink, batch: Batch) -> Result<(), Refusal> {
    match netlink.transact(batch) {
        Ok(failed) if failed.is_empty() => Ok(()),
        Ok(failed) => Err(Refusal::Refused(failed)),
        Err(lost) => Err(Refusal::Lost(lost)),
    }
}

impl Refusal {
    fn tell(&self, table: &str) {
        let (why, code) = match self {
            Self::Refused(failed) => match failed.first() {
                Some(first) => (Chain(first).to_string(), first.source.raw_os_error()),
                None => return,
            },
            Self::Lost(error) => (Chain(error).to_string(), None),
        };
        let remedy = match code {
            Some(libc::EPERM) => {
                format!(
                    "another process has a table '{table}'; name another one with nftables in global_defs"
                )
            }
            _ => "the kernel needs nf_tables (kmod-nft-core on OpenWrt)".to_owned(),
        };
        log::error!(
            "no packet filter: {why}; {remedy}. Masters accept packets for their addresses, and switches may \
             hear of a virtual MAC from a backup; against that disable_local_igmp helps"
        );
    }
}
