//! What the world means for a virtual router: whether it can run, and what its priority is.

use core::net::IpAddr;

use super::instance::Input;
use super::link::Links;
use super::track::{Bearing, Faults, Trackers, bearing};
use super::{Action, Instance, TrackerKind};
use crate::model::{Peering, Weight};
use crate::name::IfName;
use crate::time::Instant;

/// What is known of the world.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) links: Links,
    pub(super) trackers: Trackers,
    /// Configured source addresses that this host has not got.
    pub(super) gone: Vec<IpAddr>,
    /// `vrrp_startup_delay` is not over yet: nobody starts.
    pub(super) starting: bool,
}

/// The interfaces that a virtual router has to know of: its own, those of its addresses, the tracked ones.
pub(super) fn needs(instance: &Instance) -> impl Iterator<Item = &IfName> {
    let tracked = instance.trackings().flat_map(|t| &t.interfaces);
    core::iter::once(instance.config().advert_interface())
        .chain(instance.devices())
        .chain(tracked.map(|(name, _)| name))
}

/// Tells a virtual router what the world means for it. It starts when everything that may be a fault is known; one that
/// runs takes what is not known yet, as after a reload, for no fault. A member of a sync group follows its group.
pub(super) fn observe(instance: &mut Instance, world: &World, now: Instant, out: &mut Vec<Action>) {
    let Some(own) = world.links.get(instance.config().advert_interface()) else {
        return;
    };
    let config = instance.config();
    let mut sum = Sum {
        known: !world.starting,
        ..Sum::default()
    };
    let local = own.source(config.family);
    if own.index.is_none() {
        sum.faults.add(Faults::MISSING);
    } else {
        if config.track_primary && !own.up {
            sum.faults.add(Faults::DOWN);
        }
        if config.source.or(local).is_none() {
            sum.faults.add(Faults::NO_SOURCE);
        }
    }
    if config.track_source && config.source.is_some_and(|ip| world.gone.contains(&ip)) {
        sum.faults.add(Faults::SOURCE_GONE);
    }
    if let Peering::Unicast {
        peers,
        fault_without_peer: true,
        ..
    } = &config.peering
    {
        if peers.is_empty() {
            sum.faults.add(Faults::NO_PEER);
        }
    }
    let must_be_up = Weight::default();
    for device in instance.devices() {
        sum.interface(world, device, must_be_up);
    }
    for tracking in instance.trackings() {
        for (name, weight) in &tracking.interfaces {
            sum.interface(world, name, *weight);
        }
        let lists = [
            (TrackerKind::Script, &tracking.scripts, Faults::SCRIPT),
            (TrackerKind::File, &tracking.files, Faults::FILE),
            (TrackerKind::Process, &tracking.processes, Faults::PROCESS),
        ];
        for (kind, list, fault) in lists {
            for (name, weight) in list {
                sum.add(world.trackers.bearing(kind, name, *weight), fault);
            }
        }
    }
    for group in &instance.track_groups {
        let bearing = world.trackers.bearing(TrackerKind::Statics, group, None);
        sum.add(bearing, Faults::STATICS);
    }
    let index = own.index;
    instance.ifindex = index;
    instance.local = local;
    instance.known = sum.known;
    instance.faults = sum.faults;
    instance.weigh(sum.weights, now, out);
    if instance.group().is_none() {
        instance.follow_faults(sum.known, now, out);
    }
}

impl Instance {
    /// Into fault, out of it, or started where `may_start`.
    pub(super) fn follow_faults(&mut self, may_start: bool, now: Instant, out: &mut Vec<Action>) {
        let input = if self.faults.is_empty() {
            Input::Ready
        } else {
            Input::Fault
        };
        if may_start || self.state() != super::State::Init {
            self.step(input, now, out);
        }
    }
}

#[derive(Default)]
struct Sum {
    faults: Faults,
    weights: i16,
    known: bool,
}

impl Sum {
    fn interface(&mut self, world: &World, name: &IfName, weight: Weight) {
        let link = world.links.get(name);
        let bearing = link.map(|link| bearing(weight, link.up));
        self.add(bearing, Faults::INTERFACE);
    }

    fn add(&mut self, bearing: Option<Bearing>, fault: Faults) {
        match bearing {
            Some(Bearing::Adds(weight)) => self.weights = self.weights.saturating_add(weight),
            Some(Bearing::Fault) => self.faults.add(fault),
            None => self.known = false,
        }
    }
}
