//! The interfaces as far as they are known, and what they mean for a virtual router.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::instance::Input;
use super::track::{Bearing, Faults, bearing};
use super::{Action, Instance, Interface};
use crate::model::Weight;
use crate::name::{Family, IfName, Ifindex};
use crate::time::Instant;

/// What is known of an interface; the default is one that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: Option<Ifindex>,
    up: bool,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl From<Interface<'_>> for Link {
    fn from(interface: Interface<'_>) -> Self {
        match interface.index {
            None => Self::default(),
            index => Self {
                index,
                up: interface.up,
                v4: interface.v4,
                v6: interface.v6,
            },
        }
    }
}

impl Link {
    const fn up(&self) -> bool {
        self.index.is_some() && self.up
    }

    fn source(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

/// The interfaces that the engine has been told about.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(IfName, Link)>);

impl Links {
    pub(super) fn get(&self, name: &IfName) -> Option<&Link> {
        let mut links = self.0.iter();
        links.find(|(other, _)| other == name).map(|(_, link)| link)
    }

    pub(super) fn set(&mut self, name: &IfName, link: Link) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, known)) => *known = link,
            None => self.0.push((name.clone(), link)),
        }
    }
}

/// The interfaces that a virtual router has to know of: its own, those of its addresses, the tracked ones.
pub(super) fn needs(instance: &Instance) -> impl Iterator<Item = &IfName> {
    let config = instance.config();
    let tracked = config.tracking.interfaces.iter().map(|(name, _)| name);
    core::iter::once(&config.interface)
        .chain(instance.devices())
        .chain(tracked)
}

/// Tells a virtual router what its interfaces mean for it; it starts when all of them are known and `start` allows.
pub(super) fn observe(
    instance: &mut Instance,
    links: &Links,
    start: bool,
    now: Instant,
    out: &mut Vec<Action>,
) {
    let Some(own) = links.get(&instance.config().interface).copied() else {
        return;
    };
    let config = instance.config();
    let mut faults = Faults::default();
    let local = own.source(config.family);
    if own.index.is_none() {
        faults.add(Faults::MISSING);
    } else {
        if config.track_primary && !own.up {
            faults.add(Faults::DOWN);
        }
        if config.source.or(local).is_none() {
            faults.add(Faults::NO_SOURCE);
        }
    }
    let mut weights = 0;
    let mut all_known = true;
    let must_be_up = Weight::default();
    let devices = instance.devices().map(|name| (name, must_be_up));
    let tracked = config.tracking.interfaces.iter();
    for (name, weight) in devices.chain(tracked.map(|(name, weight)| (name, *weight))) {
        let Some(link) = links.get(name) else {
            all_known = false;
            continue;
        };
        match bearing(weight, link.up()) {
            Bearing::Fault => faults.add(Faults::TRACKED_INTERFACE),
            Bearing::Adds(weight) => weights += weight,
        }
    }
    instance.ifindex = own.index;
    instance.local = local;
    instance.faults = faults;
    instance.weigh(weights, now, out);
    let running = instance.state() != super::State::Init;
    if running || (start && all_known) {
        let input = if faults.is_empty() {
            Input::Ready
        } else {
            Input::Fault
        };
        instance.step(input, now, out);
    }
}
