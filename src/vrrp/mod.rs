//! The virtual router protocol as a pure function of (state, event, now) → actions.
//!
//! The caller waits for exactly one thing, gives it to [`Engine::handle`], carries out every [`Action`] in order, asks for
//! the next [`deadline`](Engine::deadline), and only then waits again. Nothing in here knows sockets, clocks or the kernel.
//!
//! What the caller has to keep to:
//!
//! - An [`Event::Interface`] for every name of [`Engine::interfaces`], at start and whenever something about it changes,
//!   also for one that does not exist (`index: None`). No virtual router starts before all of its interfaces are known.
//! - An [`Event::Tracked`] for every result of a tracker that is another one than before. Who tracks something that would
//!   be a fault does not start before its first result.
//! - Datagrams that have already come in go before an [`Event::Deadline`], so that a process that slept does not take over
//!   from a master that spoke meanwhile. An early deadline is harmless.
//! - After the actions of a [`reload`](Engine::reload) are carried out: [`Engine::forget_removed`].

mod announce;
mod event;
mod instance;
mod link;
mod note;
mod observe;
mod receive;
mod stats;
mod sync;
mod track;
mod transition;
pub mod words;

pub use event::{
    Action, Datagram, Event, GroupId, Id, Interface, Reading, State, Stranger, Told, Tracked,
    TrackerKind,
};
pub use instance::{Heard, Instance};
pub use note::Note;
pub use observe::Influence;
pub use receive::Rejection;
pub use stats::Stats;
pub use sync::Group;
pub use track::{Bearing, Faults};
pub use transition::{Transition, Why};

use core::net::IpAddr;

use crate::model::{self, Model, Peering};
use crate::name::{Family, IfName, Ifindex, Version, Vrid};
use crate::time::Instant;
use crate::wire::ah::Key;
use instance::{Input, Membership};
use link::Link;
use observe::{World, needs, observe};
use track::Trackers;

/// All virtual routers of a configuration.
#[derive(Debug)]
pub struct Engine {
    /// In the order of their [`Id`].
    instances: Vec<Instance>,
    /// Gone from the configuration, but their last actions are not yet carried out.
    removed: Vec<Instance>,
    /// To whom a datagram goes; sorted.
    routes: Vec<(Route, usize)>,
    groups: Vec<Group>,
    world: World,
    next: u32,
    /// When `vrrp_startup_delay` ends; until then nobody starts.
    start_at: Option<Instant>,
    stopped: bool,
    log_unknown_vrids: bool,
    unknown_vrids: u64,
    stranger: Option<Stranger>,
}

/// What an advert is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    ifindex: Ifindex,
    family: Family,
    vrid: Vrid,
}

impl Engine {
    /// Nothing is started: every instance is in [`State::Init`] until it hears of its interfaces.
    #[must_use]
    pub fn new(model: &Model, now: Instant) -> Self {
        let delay = model.global.startup_delay;
        let mut engine = Self {
            instances: Vec::with_capacity(model.instances.len()),
            removed: Vec::new(),
            routes: Vec::with_capacity(model.instances.len()),
            groups: Vec::new(),
            world: World {
                starting: !delay.is_zero(),
                ..World::default()
            },
            next: 0,
            start_at: (!delay.is_zero()).then(|| now + delay),
            stopped: false,
            log_unknown_vrids: model.global.log_unknown_vrids,
            unknown_vrids: 0,
            stranger: None,
        };
        for config in &model.instances {
            engine.add(config, now);
        }
        engine.join(model);
        engine
    }

    fn add(&mut self, config: &model::Instance, now: Instant) {
        let id = Id(self.next);
        self.next = self.next.saturating_add(1);
        self.instances.push(Instance::new(id, config, now));
    }

    /// The names of the interfaces that the caller has to tell about; a name may come several times.
    pub fn interfaces(&self) -> impl Iterator<Item = &IfName> {
        self.instances.iter().flat_map(needs)
    }

    /// Something happened. `out` is the caller's to reuse: in the steady state nothing is allocated.
    pub fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        match event {
            Event::Deadline => self.tick(now, out),
            Event::Datagram(datagram) => match self.addressee(&datagram) {
                Some(instance) => instance.receive(&datagram, now, out),
                None => self.strange(&datagram, out),
            },
            Event::Interface(interface) => self.learn(interface, now, out),
            Event::Tracked(tracked) => {
                if self.world.trackers.set(tracked) {
                    self.observe(|_| true, now, out);
                }
            }
            Event::Source { address, here } => {
                self.world.gone.retain(|gone| *gone != address);
                if !here {
                    self.world.gone.push(address);
                }
                self.observe(|i| i.config().source == Some(address), now, out);
            }
            Event::Stop => return self.stop(now, out),
        }
        self.settle(now, out);
    }

    fn stop(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.stopped = true;
        self.start_at = None;
        let first = out.len();
        for instance in &mut self.instances {
            instance.step(Input::Stop(Told::Stop), now, out);
        }
        // All others hear at once that we resign, before the work of taking everything away begins.
        if let Some(actions) = out.get_mut(first..) {
            actions.sort_by_key(|action| !matches!(action, Action::Advertise { .. }));
        }
        out.extend(self.groups.iter().map(|group| group.tell(Told::Stop)));
    }

    /// Counts an advert for a virtual router that is none of ours; says so once until another one is heard of.
    fn strange(&mut self, datagram: &Datagram<'_>, out: &mut Vec<Action>) {
        self.unknown_vrids = self.unknown_vrids.saturating_add(1);
        let stranger = datagram.message().get(1).map(|vrid| Stranger {
            ifindex: datagram.ifindex,
            from: datagram.source,
            vrid: *vrid,
        });
        if self.log_unknown_vrids && stranger != self.stranger {
            self.stranger = stranger;
            out.extend(stranger.map(Action::SayStranger));
        }
    }

    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        for group in &mut self.groups {
            group.settle(&mut self.instances, now, out);
        }
    }

    /// Tells the world's state to those it concerns.
    fn observe(
        &mut self,
        concerns: impl Fn(&Instance) -> bool,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        for instance in &mut self.instances {
            if concerns(instance) {
                observe(instance, &self.world, now, out);
            }
        }
    }

    /// When to call with [`Event::Deadline`]; `None` is never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let instances = self.instances.iter().filter_map(Instance::deadline);
        instances.chain(self.start_at).min()
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.start_at.take_if(|at| *at <= now).is_some() {
            self.world.starting = false;
            self.observe(|_| true, now, out);
        }
        for instance in &mut self.instances {
            if instance.deadline().is_some_and(|at| at <= now) {
                instance.step(Input::Tick, now, out);
            }
        }
    }

    /// An instance of its VRID on its interface; of several (unicast with disjoint peers) the one that it was meant for.
    fn addressee(&mut self, datagram: &Datagram<'_>) -> Option<&mut Instance> {
        let route = Route {
            ifindex: datagram.ifindex,
            family: Family::of(datagram.source),
            vrid: Vrid::new(*datagram.message().get(1)?)?,
        };
        let first = self.routes.partition_point(|(other, _)| *other < route);
        let same = self.routes.get(first..).unwrap_or_default().iter();
        let mut same = same
            .take_while(|(other, _)| *other == route)
            .map(|(_, at)| *at);
        let meant = |at: &usize| {
            let instance = self.instances.get(*at);
            instance.is_some_and(|instance| is_meant(instance, datagram))
        };
        let at = same.clone().find(meant).or_else(|| same.next())?;
        self.instances.get_mut(at)
    }

    fn learn(&mut self, interface: Interface<'_>, now: Instant, out: &mut Vec<Action>) {
        let name = interface.name;
        let new = Link::from(interface);
        let old = self.world.links.get(name).copied();
        if old == Some(new) {
            return;
        }
        let index = old.and_then(|old| old.index);
        if index.is_some() && new.index.is_some() && index != new.index {
            // Made anew under its old name: whatever was on it is gone.
            self.change(name, Link::default(), now, out);
            self.settle(now, out);
        }
        self.change(name, new, now, out);
        self.route();
    }

    fn change(&mut self, name: &IfName, link: Link, now: Instant, out: &mut Vec<Action>) {
        self.world.links.set(name, link);
        let concerns = |instance: &Instance| needs(instance).any(|needed| needed == name);
        self.observe(concerns, now, out);
    }

    fn route(&mut self) {
        self.routes.clear();
        let instances = self.instances.iter().enumerate();
        self.routes.extend(instances.filter_map(|(at, instance)| {
            let route = Route {
                ifindex: instance.ifindex()?,
                family: instance.config().family,
                vrid: instance.config().vrid,
            };
            Some((route, at))
        }));
        self.routes.sort_unstable();
    }

    /// Another configuration, by identity: whom nothing changed for does not notice. Those that are gone can still be asked
    /// for with [`Self::get`] until [`Self::forget_removed`].
    pub fn reload(&mut self, model: &Model, now: Instant, out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        let heirs = heirs(&self.instances, &model.instances);
        let mut before: Vec<Option<Instance>> = self.instances.drain(..).map(Some).collect();
        let mut kept: Vec<Option<Instance>> = heirs
            .iter()
            .map(|heir| heir.and_then(|at| before.get_mut(at)?.take()))
            .collect();
        for mut gone in before.into_iter().flatten() {
            let told = match gone.config().notify.deleted {
                Some(_) => Told::Deleted,
                None => Told::Fault,
            };
            out.push(gone.say(Note::Removed));
            gone.step(Input::Stop(told), now, out);
            self.removed.push(gone);
        }
        for (config, kept) in model.instances.iter().zip(&mut kept) {
            match kept.take() {
                Some(mut instance) => {
                    instance.reconfigure(config, now, out);
                    self.instances.push(instance);
                }
                None => self.add(config, now),
            }
        }
        self.instances.sort_unstable_by_key(Instance::id);
        self.log_unknown_vrids = model.global.log_unknown_vrids;
        self.join(model);
        self.observe(|_| true, now, out);
        self.settle(now, out);
        self.route();
    }

    /// Makes trackers and sync groups those of the model.
    fn join(&mut self, model: &Model) {
        self.world.trackers = Trackers::of(model, &self.world.trackers);
        let old = core::mem::take(&mut self.groups);
        let mut grouped = vec![None; self.instances.len()];
        for (id, config) in (0..).map(GroupId).zip(&model.groups) {
            let is_member = |(_, i): &(usize, &Instance)| config.members.contains(&i.config().name);
            let members = self.instances.iter().enumerate().filter(is_member);
            let (at, members): (Vec<_>, Vec<_>) = members.unzip();
            let all_owners = members.iter().all(|i| instance::claims(i.config()));
            for at in &at {
                if let Some(membership) = grouped.get_mut(*at) {
                    *membership = Some(Membership {
                        group: id,
                        all_owners,
                        tracking: config.tracking.clone(),
                    });
                }
            }
            let mut group = Group::new(id, config.clone(), at);
            if let Some(old) = old.iter().find(|old| old.config().name == config.name) {
                group.succeed(old);
            }
            self.groups.push(group);
        }
        for (instance, membership) in self.instances.iter_mut().zip(grouped) {
            let name = &instance.config().name;
            let groups = model.statics.groups_in_use();
            let groups = groups.filter(|group| group.members.contains(name));
            instance.track_groups = groups.map(|group| group.name.clone()).collect();
            instance.join(membership);
        }
    }

    /// What a reload removed is over and done with.
    pub fn forget_removed(&mut self) {
        self.removed = Vec::new();
    }

    /// One of them, also one that a reload has just removed.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&Instance> {
        match self.instances.binary_search_by_key(&id, Instance::id) {
            Ok(at) => self.instances.get(at),
            Err(_) => self.removed.iter().find(|instance| instance.id() == id),
        }
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Instance)> {
        self.instances
            .iter()
            .map(|instance| (instance.id(), instance))
    }

    /// What is watched for one of them, and what it does to it now.
    pub fn influences<'a>(
        &'a self,
        instance: &'a Instance,
    ) -> Box<dyn Iterator<Item = Influence<'a>> + 'a> {
        observe::influences(instance, &self.world)
    }

    /// Who goes on as what when a configuration is taken up: for each of its instances the one that runs, if there is one.
    #[must_use]
    pub fn successors(&self, model: &Model) -> Vec<Option<&Instance>> {
        let heirs = heirs(&self.instances, &model.instances).into_iter();
        heirs.map(|heir| self.instances.get(heir?)).collect()
    }

    /// The weight of a tracker where the line that tracks it gives none.
    #[must_use]
    pub fn weight(&self, kind: TrackerKind, name: &str) -> Option<model::Weight> {
        self.world.trackers.weight(kind, name)
    }

    /// A sync group.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::try_from(id.0).ok()?)
    }

    /// All sync groups, in the order of the file.
    pub fn groups(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.groups.iter().map(|group| (group.id, group))
    }

    /// Adverts for virtual routers that are not ours.
    #[must_use]
    pub const fn unknown_vrids(&self) -> u64 {
        self.unknown_vrids
    }

    /// Starts counting anew.
    pub fn clear_stats(&mut self) {
        self.unknown_vrids = 0;
        self.instances.iter_mut().for_each(Instance::clear_stats);
    }
}

/// Why a virtual router of this configuration would not listen to a datagram; `None` if it would.
#[must_use]
pub fn rejection(config: &model::Instance, datagram: &Datagram<'_>) -> Option<Rejection> {
    let key = match (config.auth, config.version, config.family) {
        (model::Auth::Ah(password), Version::V2, Family::V4) => Some(Key::new(password)),
        _ => None,
    };
    let checked = receive::check_authentication(key.as_ref(), 0, true, datagram)
        .and_then(|_| receive::check(config, datagram));
    checked.err()
}

fn is_meant(instance: &Instance, datagram: &Datagram<'_>) -> bool {
    match &instance.config().peering {
        Peering::Multicast(_) => datagram.destination.is_multicast(),
        Peering::Unicast { peers, .. } => {
            let from = |source: IpAddr| peers.iter().any(|peer| peer.ip == source);
            !datagram.destination.is_multicast() && from(datagram.source)
        }
    }
}

/// For each configuration the place of the virtual router that goes on by it: the one that it changes least of those that it can
/// mean, and none twice.
fn heirs(instances: &[Instance], configs: &[model::Instance]) -> Vec<Option<usize>> {
    type Alike = fn(&model::Instance, &model::Instance) -> bool;
    const UNCHANGED: Alike = |a, b| a == b;
    const SAME_PEERS: Alike = |a, b| a.peering == b.peering && same_router(a, b);
    let mut heirs = vec![None; configs.len()];
    let mut free = vec![true; instances.len()];
    for alike in [UNCHANGED, SAME_PEERS, same_router] {
        let without = heirs.iter_mut().zip(configs);
        for (heir, config) in without.filter(|(heir, _)| heir.is_none()) {
            let mut all = instances.iter().zip(&mut free).enumerate();
            let found = all.find(|(_, (one, free))| **free && alike(one.config(), config));
            *heir = found.map(|(at, (_, free))| {
                *free = false;
                at
            });
        }
    }
    heirs
}

/// Whether two configurations mean the same virtual router. Neither its name is a part of that, nor its group.
fn same_router(a: &model::Instance, b: &model::Instance) -> bool {
    let peering = match (&a.peering, &b.peering) {
        (Peering::Multicast(_), Peering::Multicast(_)) => true,
        (Peering::Unicast { .. }, Peering::Unicast { .. }) => a.source == b.source,
        _ => false,
    };
    peering
        && a.vrid == b.vrid
        && a.family == b.family
        && a.interface == b.interface
        && a.vmac == b.vmac
}
