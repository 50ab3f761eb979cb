//! What the world means for a virtual router: whether it can run, and what its priority is.

use core::net::IpAddr;

use super::instance::Input;
use super::link::Links;
use super::track::{Bearing, Faults, Trackers, bearing, best};
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
    for influence in influences(instance, world) {
        sum.add(influence.bearing, influence.fault());
    }
    let index = own.index;
    instance.ifindex = index;
    instance.local = local;
    instance.known = sum.known;
    instance.faults = sum.faults;
    instance.weigh(sum.weights, now, out);
    if instance.group().is_none() {
        instance.follow_faults(sum.known, Input::Ready, now, out);
    }
}

/// Something that is watched, and what it does to a virtual router now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Influence<'a> {
    /// What kind of tracker; `None` is an interface.
    pub kind: Option<TrackerKind>,
    /// Its name.
    pub name: &'a str,
    /// What it does; `None` while nothing is known of it.
    pub bearing: Option<Bearing>,
    /// The most that it can add; of a file that is what it adds now.
    pub best: i16,
}

impl Influence<'_> {
    const fn fault(&self) -> Faults {
        match self.kind {
            None => Faults::INTERFACE,
            Some(TrackerKind::Script) => Faults::SCRIPT,
            Some(TrackerKind::File) => Faults::FILE,
            Some(TrackerKind::Process) => Faults::PROCESS,
            Some(TrackerKind::Statics) => Faults::STATICS,
        }
    }
}

/// All that is watched for a virtual router: the interfaces that it must have, and what it tracks. Boxed, so that its parts are
/// not compiled anew for everybody who looks through it.
pub(super) fn influences<'a>(
    instance: &'a Instance,
    world: &'a World,
) -> Box<dyn Iterator<Item = Influence<'a>> + 'a> {
    let interface = |name: &'a IfName, weight: Weight| Influence {
        kind: None,
        name: name.as_str(),
        bearing: world.links.get(name).map(|link| bearing(weight, link.up)),
        best: best(weight),
    };
    let devices = instance.devices();
    let devices = devices.map(move |device| interface(device, Weight::default()));
    let tracked = instance.trackings().flat_map(move |tracking| {
        let interfaces = tracking.interfaces.iter();
        let lists = [
            (TrackerKind::Script, &tracking.scripts),
            (TrackerKind::File, &tracking.files),
            (TrackerKind::Process, &tracking.processes),
        ];
        let others = lists.into_iter().flat_map(move |(kind, list)| {
            list.iter().map(move |(name, weight)| Influence {
                kind: Some(kind),
                name,
                bearing: world.trackers.bearing(kind, name, *weight),
                best: world.trackers.best(kind, name, *weight),
            })
        });
        interfaces
            .map(move |(name, weight)| interface(name, *weight))
            .chain(others)
    });
    let statics = instance.track_groups.iter().map(|group| Influence {
        kind: Some(TrackerKind::Statics),
        name: group,
        bearing: world.trackers.bearing(TrackerKind::Statics, group, None),
        best: 0,
    });
    Box::new(devices.chain(tracked).chain(statics))
}

impl Instance {
    /// Into fault, or as it is `well` out of it; started where `may_start`.
    pub(super) fn follow_faults(
        &mut self,
        may_start: bool,
        well: Input,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let input = if self.faults.is_empty() {
            well
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
    fn add(&mut self, bearing: Option<Bearing>, fault: Faults) {
        match bearing {
            Some(Bearing::Adds(weight)) => self.weights = self.weights.saturating_add(weight),
            Some(Bearing::Fault) => self.faults.add(fault),
            None => self.known = false,
        }
    }
}
