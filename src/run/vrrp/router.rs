//! The VRRP process: what its engine decides, carried out on this host.
//!
//! Adverts leave at once. Whatever else follows from an event queues in its order (addresses, announcements, scripts) and is
//! worked off in portions, between which adverts are heard and sent: taking over 4,000 addresses must not cost the
//! mastership of them. Addresses, routes and rules are not changed by command but by difference: what the engine wants to be there
//! against what the kernel says is there.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::addresses::Desired;
use super::announcer::{Announcer, Burst};
use super::debouncer::Debouncer;
use super::firewall::{self, Firewall};
use super::links::Links;
use super::notifier::Notifier;
use super::object::{Key, Object, There};
use super::others;
use super::patience::Patience;
use super::reconcile::{self, Step, Wanted};
use super::recorder::Recorder;
use super::replicator::Replicator;
use super::sockets::Sockets;
use super::trackers::Trackers;
use super::world::World;
use crate::error::Chain;
use crate::io::address::{self, Assignment};
use crate::io::error::{Failed, NetError};
use crate::io::frame::FrameSocket;
use crate::io::link::Link;
use crate::io::monitor::{Change, Monitor};
use crate::io::netlink::{Batch, Netlink};
use crate::io::sysctl::{self, Scope, Setting};
use crate::model::{Global, Model};
use crate::name::{IfName, Ifindex, Priority};
use crate::run::reactor::{Source, now};
use crate::sorted::{Map, Set};
use crate::time::Instant;
use crate::vrrp::{
    Action, Engine, Event, GroupId, Id, Instance, Reading, Told, Tracked, TrackerKind,
};

/// Changes that the kernel is asked for together, and how long it is asked before adverts have their turn. With thousands of addresses
/// on an interface one more takes it a tenth of a millisecond.
const PORTION: usize = 64;
const TURN: Duration = Duration::from_millis(5);

/// Woken later than this, we look for adverts that wait before we miss a master.
const LATE: Duration = Duration::from_millis(2);

/// Adverts that come within this time of each other come in a crowd.
const CROWD: Duration = Duration::from_micros(200);

/// Most adverts of a socket that are heard then in one go.
const BACKLOG: usize = 1024;

/// Most adverts of a crowd that are heard before our own go out.
const TOGETHER: usize = 64;

/// Until interfaces that the kernel refused are tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests for virtual MAC interfaces that follow from one another: remove, make, prepare, switch on; and once more where the
/// world changed meanwhile.
const ROUNDS: usize = 6;

/// Everything that the VRRP process is.
pub struct Router {
    /// All that is still needed of the configuration: the engine has the virtual routers.
    global: Global,
    engine: Engine,
    world: World,
    links: Links,
    debouncer: Debouncer,
    firewall: Firewall,
    netlink: Netlink,
    monitor: Source<Monitor>,
    sockets: Sockets,
    announcer: Announcer,
    notifier: Notifier,
    replicator: Replicator,
    trackers: Trackers,
    desired: Desired,
    /// What we put there, now or before a crash.
    ours: Map<Key, Object>,
    /// What did not last: refused by the kernel, or taken away by somebody.
    patience: Patience<Key>,
    /// Where `--record` has everything written down.
    recorder: Option<Box<Recorder>>,
    /// When the last advert was read.
    heard_at: Instant,
    work: VecDeque<Work>,
    /// What is left of [`Work::Reconcile`], as it was planned.
    steps: VecDeque<Step>,
    actions: Vec<Action>,
    changes: Vec<Change>,
}

/// What is left to do of a transition, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    /// Bring the addresses to what is desired now.
    Reconcile,
    /// Tell the engine what has become of the interfaces meanwhile.
    LookAround,
    /// Tell the neighbours.
    Announce { id: Id, repeat: u32 },
    /// Tell scripts and FIFO.
    Tell(News),
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Of a virtual router.
    Instance {
        id: Id,
        state: Told,
        priority: Priority,
    },
    /// Of a sync group.
    Group { group: GroupId, state: Told },
}

impl Router {
    /// Looks at the host, puts right what an earlier run left behind, and starts every virtual router. What its engine hears
    /// and does is recorded in a file, if one is given.
    ///
    /// # Errors
    /// A socket that nothing can be done without, or a recording that cannot be written.
    pub fn start(
        model: &mut Model,
        record: Option<&Path>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        // Listening before looking, so that nothing falls between the two.
        let monitor = Monitor::open()?;
        let mut netlink = Netlink::route()?;
        let world = World::read(&mut netlink)?;
        let mut links = Links::default();
        links.adopt(&world);
        links.settle(model, &world, &mut netlink);
        let began = now();
        let recorder = record.map(|file| {
            let begun = Recorder::start(file, model, began).map(Box::new);
            begun.map_err(|e| format!("cannot write the recording {}: {e}", file.display()))
        });
        let mut router = Self {
            firewall: Firewall::new(&model.global),
            links,
            debouncer: Debouncer::new(model.global.link_delays.clone()),
            engine: Engine::new(model, began),
            desired: Desired::of(model),
            notifier: Notifier::new(&model.global),
            replicator: Replicator::default(),
            trackers: Trackers::new(model),
            announcer: Announcer::new(FrameSocket::open()?),
            sockets: Sockets::default(),
            monitor: Source::new(monitor),
            ours: Map::new(),
            patience: Patience::default(),
            recorder: recorder.transpose()?,
            heard_at: Instant(0),
            work: VecDeque::new(),
            steps: VecDeque::new(),
            actions: Vec::new(),
            changes: Vec::new(),
            global: model.global.clone(),
            world,
            netlink,
        };
        router.listen_to_routes();
        router.adopt();
        router.work.push_back(Work::Reconcile);
        router.look_around();
        router.replicator = Replicator::start(model.lvs.sync_daemon.clone(), &router.engine);
        router.work();
        Ok(router)
    }

    /// What is there and may come and go with us was put there by an earlier run of ours: it goes if nobody wants it, and
    /// stays untouched if somebody does. The same is true of all that bears our mark, whatever the configuration was then, unless
    /// another daemon is there whose it may be.
    fn adopt(&mut self) {
        let marked = self.read_marked();
        let known = self
            .world
            .addresses()
            .filter(|there| self.desired.may_be(there.ip) || self.links.contains(there.ifindex));
        let known = known.map(|there| Object::Address(there.clone()));
        let keyed = |object: Object| (object.key(), object);
        self.ours = known.map(keyed).collect();
        let mut marked: Map<Key, Object> = marked.into_iter().map(keyed).collect();
        marked.retain(|key, _| !self.ours.contains_key(key));
        if !marked.is_empty() && !others::are_here() {
            self.ours.extend(marked);
        }
        if !self.ours.is_empty() || !self.links.is_empty() {
            self.firewall.clear_leftover();
        }
        let mut batch = Batch::default();
        for wanted in self.desired.all_routes_and_rules(&self.engine, &self.world) {
            let key = wanted.object.key();
            if !wanted.object.is_seen() {
                wanted.object.remove(&mut batch, &IfName::default());
            } else if self.world.there(&key).is_some() {
                self.ours.insert(key, wanted.object);
            }
        }
        self.commit(batch);
    }

    /// All addresses, routes and rules with our mark.
    fn read_marked(&mut self) -> Vec<Object> {
        let mut read = || {
            self.world.read_routes(&mut self.netlink)?;
            self.world.read_rules(&mut self.netlink)
        };
        if let Err(error) = read() {
            log::error!("{}", Chain(&error));
        }
        let marked = |there: &&Assignment| there.protocol == address::KEEPALIVED;
        let addresses = self.world.addresses().filter(marked).map(There::Address);
        let all = addresses.chain(self.world.routes_and_rules());
        all.map(There::to_object).collect()
    }

    /// Listens to routes and rules, and reads them, while there may be some of ours.
    fn listen_to_routes(&mut self) {
        let routes = self.desired.has_routes();
        let rules = self.desired.has_rules();
        if let Err(error) = self.monitor.get_ref().listen_to(routes, rules) {
            log::error!("cannot listen to changes of routes and rules: {error}");
        }
        let mut read = || {
            if routes {
                self.world.doubt_routes();
                self.world.read_routes(&mut self.netlink)?;
            }
            if rules {
                self.world.read_rules(&mut self.netlink)?;
            }
            Ok::<_, NetError>(())
        };
        if let Err(error) = read() {
            log::error!("{}", Chain(&error));
        }
    }

    /// Sends requests, takes in what becomes of them, and returns those that were refused.
    fn commit(&mut self, batch: Batch) -> Vec<Failed> {
        let refusals = self.netlink.commit(batch).unwrap_or_else(|error| {
            log::error!("{}", Chain(&error));
            Vec::new()
        });
        match self.drain() {
            // What else has happened meanwhile must not be missed.
            Ok(links) if links && !self.work.contains(&Work::LookAround) => {
                self.work.push_back(Work::LookAround);
            }
            Ok(_) => {}
            Err(error) => log::error!("cannot learn what became of a request: {error}"),
        }
        refusals
    }

    /// The global settings that are in force.
    #[must_use]
    pub const fn global(&self) -> &Global {
        &self.global
    }

    /// The engine, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The same, to clear its counters.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The socket that announces changes of links and addresses.
    #[must_use]
    pub const fn monitor(&self) -> &Source<Monitor> {
        &self.monitor
    }

    /// The sockets that adverts come in by.
    #[must_use]
    pub const fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// What is tracked, and what has been found out about it.
    #[must_use]
    pub const fn trackers(&self) -> &Trackers {
        &self.trackers
    }

    /// When [`Self::tick`] has something to do: at once while there is work.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let at_once = (!self.work.is_empty()).then_some(Instant(0));
        let later = [
            self.engine.deadline(),
            self.announcer.deadline(),
            self.sockets.deadline(),
            self.patience.deadline(),
            self.links.deadline(),
            self.debouncer.deadline(),
            at_once,
        ];
        later.into_iter().flatten().min()
    }

    /// Whether work is left that [`Self::tick`] goes on with.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.work.is_empty()
    }

    /// Time has passed.
    pub fn tick(&mut self, buffer: &mut [u8]) {
        let now = now();
        if self.engine.deadline().is_some_and(|due| due + LATE < now) {
            self.catch_up(buffer);
        }
        self.happened(Event::Deadline, now);
        if self.patience.tick(now) {
            self.again();
        }
        let retry = [self.sockets.deadline(), self.links.deadline()];
        if retry.into_iter().flatten().any(|at| at <= now) {
            self.sockets.retrying();
            self.links.retrying();
            self.look_around();
        } else if self.debouncer.deadline().is_some_and(|at| at <= now) {
            self.look_around();
        }
        self.announcer.send(now);
        self.work();
    }

    /// We did not run for a while: the adverts that came meanwhile are heard before any master is missed.
    fn catch_up(&mut self, buffer: &mut [u8]) {
        for place in 0..self.sockets.count() {
            let mut left = BACKLOG;
            while left > 0 && self.hear(place, buffer) {
                left -= 1;
            }
        }
    }

    /// A datagram can be read from the socket in `place`.
    pub fn receive(&mut self, place: usize, buffer: &mut [u8]) {
        let now = now();
        // Where one came right behind another, more wait: reading on is cheaper than waiting for each. A lone one is not worth
        // the call that finds nothing.
        let crowded = now.since(self.heard_at) < CROWD;
        self.heard_at = now;
        let mut left = if crowded { TOGETHER } else { 1 };
        while left > 0 && self.hear(place, buffer) {
            left -= 1;
        }
        self.work();
    }

    /// Gives one datagram to the engine, if there is one.
    fn hear(&mut self, place: usize, buffer: &mut [u8]) -> bool {
        let now = now();
        match self.sockets.receive(place, buffer) {
            Ok(Some(datagram)) => {
                self.happened(Event::Datagram(datagram), now);
                true
            }
            Ok(None) => false,
            // The interface went down, which the monitor tells too, or it was no whole IP packet.
            Err(error) => {
                log::debug!("a datagram could not be read: {error}");
                true
            }
        }
    }

    /// Links or addresses have changed.
    ///
    /// # Errors
    /// The kernel does not tell any more.
    pub fn observe(&mut self) -> io::Result<()> {
        self.drain()?;
        self.look_around();
        self.patience.hope(now());
        self.again();
        self.work();
        self.replicator.try_again(&self.engine);
        Ok(())
    }

    /// Scripts, files or processes that are tracked have changed.
    pub fn learn(&mut self) {
        let now = now();
        while let Some(found) = self.trackers.take() {
            let tracked = Tracked {
                kind: found.kind,
                name: &found.name,
                reading: found.reading,
            };
            self.happened(Event::Tracked(tracked), now);
        }
        self.work();
    }

    /// Takes in what the kernel has announced. After a request of ours its effects are among it. True if interfaces have changed.
    fn drain(&mut self) -> io::Result<bool> {
        let mut changes = core::mem::take(&mut self.changes);
        self.monitor.get_mut().read(&mut changes)?;
        let lost = changes.contains(&Change::Overrun);
        let is_link = |change: &Change| matches!(change, Change::Link(_) | Change::LinkGone(_));
        let links = lost || changes.iter().any(is_link);
        for change in changes.drain(..) {
            if let Change::Address(there) = &change {
                self.look_for_duplicate(there);
            }
            self.world.learn(change);
        }
        self.changes = changes;
        if lost {
            match World::read(&mut self.netlink) {
                Ok(world) => {
                    self.world = world;
                    self.listen_to_routes();
                }
                Err(error) => log::error!("{}", Chain(&error)),
            }
        }
        Ok(links)
    }

    /// An address of ours that the kernel has asked the link for (`-nodad`), and that was answered.
    fn look_for_duplicate(&self, there: &Assignment) {
        let failed = |there: &Assignment| there.flags & address::flag::DADFAILED != 0;
        let Some(There::Address(before)) = self.world.there(&Key::Address(there.key())) else {
            return;
        };
        if failed(there) && !failed(before) && self.desired.may_be(there.ip) {
            log::error!("another host has the address {there}: it does not work here");
        }
    }

    /// Tells the engine what has become of the interfaces that it uses, and gives it sockets on those that are there.
    fn look_around(&mut self) {
        self.tend_links();
        let now = now();
        let mut names: Vec<_> = self.engine.interfaces().cloned().collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let virtual_ones = self.desired.virtual_ones();
            let mut interface = self.links.interface(name, &self.world, virtual_ones);
            if interface.index.is_some() {
                let parent = self.links.parent(name, &self.world);
                let configured = parent.map_or(name, |parent| &parent.name);
                interface.up = self.debouncer.settle(name, configured, interface.up, now);
            }
            let link = interface.index.filter(|_| interface.up);
            if let Some(link) = link.and_then(|index| self.world.link(index)) {
                // Without a socket it would hear nobody, and take over from a living master.
                let parent = self.links.parent(name, &self.world).map(|link| link.index);
                let (engine, global) = (&self.engine, &self.global);
                interface.up = self
                    .sockets
                    .prepare(name, link, parent, engine, global, now);
            }
            self.happened(Event::Interface(interface), now);
        }
        let world = &self.world;
        // An interface that is deleted is no longer one that may come back in time.
        self.debouncer
            .keep(|name| names.contains(name) && world.link_named(name).is_some());
        self.tell_sources(now);
        let (links, world) = (&self.links, &self.world);
        let parent = |name: &IfName| links.parent(name, world).map(|link| link.index);
        self.sockets.keep(&self.engine, parent);
    }

    /// Brings the virtual MAC interfaces to what is wanted, with the addresses that adverts come from.
    fn tend_links(&mut self) {
        for _ in 0..ROUNDS {
            let Some(batch) = self.links.next(&self.world) else {
                break;
            };
            self.guard(true);
            if !self.submit(batch) {
                self.links.wait_until(now() + PATIENCE);
            }
        }
        let sources = self.sources();
        let nothing = Map::new();
        let mut steps = reconcile::plan(|key| self.world.there(key), sources, &nothing);
        self.wait(&mut steps);
        if !steps.is_empty() {
            self.change(steps);
        }
    }

    /// The addresses that adverts from virtual MACs come from.
    fn sources(&self) -> Vec<Wanted> {
        let sources = self.links.sources(&self.world, self.desired.virtual_ones());
        let wanted = |source| Wanted {
            object: Object::Address(source),
            tracked: true,
        };
        sources.into_iter().map(wanted).collect()
    }

    /// Brings the packet filter to what the virtual routers are now. While addresses are `moving`, none is let through before it is
    /// gone.
    fn guard(&mut self, moving: bool) {
        let wanted = firewall::wanted(&self.engine, &self.desired, &self.links, &self.world);
        match wanted {
            Some(wanted) => self.firewall.follow(wanted, moving),
            None => self.firewall.remove(),
        }
    }

    /// Sends requests and takes in what becomes of them. False if something was refused, which has been told.
    fn submit(&mut self, batch: Batch) -> bool {
        let refusals = self.commit(batch);
        for refused in refusals.iter().filter(|refused| !is_idle(refused)) {
            log::error!("{}", Chain(refused));
        }
        refusals.is_empty()
    }

    /// Tells the engine whether the source addresses that were asked for by name (`track_src_ip`) are on this host.
    fn tell_sources(&mut self, now: Instant) {
        let configs = self.engine.iter().map(|(_, instance)| instance.config());
        let tracked = configs.filter(|config| config.track_source);
        let sources: Vec<_> = tracked.filter_map(|i| i.source).collect();
        for address in sources {
            let here = self
                .world
                .addresses()
                .any(|there| there.ip == address && !there.is_tentative());
            self.happened(Event::Source { address, here }, now);
        }
    }

    /// Tells the engine what has become of the static addresses, routes and rules that name a `track_group`.
    fn tell_groups(&mut self) {
        let now = now();
        for (name, whole) in self.desired.track_groups(&self.world) {
            let tracked = Tracked {
                kind: TrackerKind::Statics,
                name: &name,
                reading: if whole { Reading::Up } else { Reading::Down },
            };
            self.happened(Event::Tracked(tracked), now);
        }
    }

    /// An address may be missing, or may be addable now. Once is enough for all virtual routers that change together: the
    /// difference is taken of everything.
    fn again(&mut self) {
        self.steps.clear();
        if !self.work.contains(&Work::Reconcile) {
            self.work.push_back(Work::Reconcile);
        }
    }

    /// Gives an event to the engine and carries out what cannot wait.
    fn happened(&mut self, event: Event<'_>, now: Instant) {
        let mut actions = core::mem::take(&mut self.actions);
        self.engine.handle(event, now, &mut actions);
        if let Some(recorder) = &mut self.recorder {
            recorder.heard(event, now, &self.engine, &actions);
        }
        self.carry_out(&mut actions);
        self.actions = actions;
    }

    fn carry_out(&mut self, actions: &mut Vec<Action>) {
        // The other routers wait for the adverts, nobody for the log: a line takes several system calls, and may block.
        for action in actions.iter() {
            if let Action::Advertise { id, priority } = *action {
                if let Some(instance) = self.engine.get(id) {
                    self.sockets.advertise(instance, priority);
                }
            }
        }
        for action in actions.drain(..) {
            match action {
                Action::Advertise { .. } => {}
                Action::Acquire(_) => self.again(),
                Action::Release(id) => {
                    self.announcer.cancel(id);
                    self.again();
                }
                Action::Announce { id, repeat } => {
                    self.work.push_back(Work::Announce { id, repeat })
                }
                Action::AnnounceElsewhere(id) => self.announce_elsewhere(id),
                Action::AnnounceSource(id) => self.announce_source(id),
                Action::SayStranger(stranger) => {
                    let link = self.world.link(stranger.ifindex);
                    let on = link.map_or_else(IfName::default, |link| link.name.clone());
                    log::info!("{on}: {stranger}");
                }
                Action::Notify {
                    id,
                    state,
                    priority,
                } => {
                    self.work.push_back(Work::Tell(News::Instance {
                        id,
                        state,
                        priority,
                    }));
                }
                Action::NotifyGroup { group, state } => {
                    let news = News::Group { group, state };
                    self.work.push_back(Work::Tell(news));
                }
                Action::Say { id, note } => {
                    if let Some(instance) = self.engine.get(id) {
                        log::log!(note.level(), "({}) {note}", instance.config().name);
                    }
                }
            }
        }
    }

    /// Works off what queues, at most one portion of what may be long.
    fn work(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Reconcile => {
                    if self.reconcile() {
                        self.work.push_front(Work::Reconcile);
                        return;
                    }
                    self.tell_groups();
                }
                Work::LookAround => self.look_around(),
                Work::Announce { id, repeat } => self.announce(id, repeat),
                Work::Tell(news) => self.tell(news),
            }
        }
        self.engine.forget_removed();
    }

    /// Tells scripts and FIFO what there is to tell.
    fn tell(&mut self, news: News) {
        match news {
            News::Instance {
                id,
                state,
                priority,
            } => {
                self.replicator.follow(&self.engine);
                if let Some(instance) = self.engine.get(id) {
                    self.notifier.tell(instance, state, priority);
                }
            }
            News::Group { group, state } => {
                if let Some(named) = self.engine.group(group) {
                    self.notifier.tell_group(group, named, state);
                }
            }
        }
    }

    /// Changes addresses for a while; true if there are more, be it because somebody else changes them too.
    fn reconcile(&mut self) -> bool {
        self.guard(true);
        let end = now() + TURN;
        loop {
            if self.steps.is_empty() {
                // Once to change, once to find that nothing is left to change.
                self.plan();
            }
            if self.steps.is_empty() {
                self.guard(false);
                return false;
            }
            let count = self.steps.len().min(PORTION);
            let portion = self.steps.drain(..count).collect();
            self.change(portion);
            if now() >= end {
                return true;
            }
        }
    }

    /// Finds out what is to be changed.
    fn plan(&mut self) {
        if self.desired.has_routes() {
            if let Err(error) = self.world.read_routes(&mut self.netlink) {
                log::error!("{}", Chain(&error));
            }
        }
        let mut desired = self.sources();
        desired.extend(self.desired.now(&self.engine, &self.world));
        let mut steps = reconcile::plan(|key| self.world.there(key), desired, &self.ours);
        self.wait(&mut steps);
        self.steps = steps.into();
    }

    /// Leaves out what did not last a moment ago.
    fn wait(&mut self, steps: &mut Vec<Step>) {
        let now = now();
        steps.retain(|step| match step {
            Step::Add(wanted) => self.patience.may(&wanted.key(), now),
            Step::Remove(_) => true,
        });
    }

    fn change(&mut self, steps: Vec<Step>) {
        let mut batch = Batch::default();
        let mut asked = Vec::with_capacity(steps.len());
        let now = now();
        let nobody = IfName::default();
        for step in steps {
            let (Step::Add(object) | Step::Remove(object)) = &step;
            let dev = match object {
                Object::Address(address) => self.world.link(address.ifindex).map(|l| &l.name),
                Object::Route(_) | Object::Rule(_) => Some(&nobody),
            };
            let Some(dev) = dev else { continue };
            let key = object.key();
            match &step {
                Step::Add(wanted) => {
                    wanted.add(&mut batch, dev);
                    let before = self.ours.insert(key.clone(), wanted.clone());
                    if before.is_some() && !self.patience.is_refused(&key) {
                        self.lost(key, wanted, now);
                    }
                }
                Step::Remove(unwanted) => {
                    unwanted.remove(&mut batch, dev);
                    self.ours.remove(&key);
                }
            }
            asked.push(step);
        }
        let mut refusals = self.commit(batch);
        refusals.sort_by_key(|refusal| refusal.place);
        let mut refusals = refusals.iter().peekable();
        for (place, step) in asked.into_iter().enumerate() {
            let refusal = refusals.next_if(|refusal| refusal.place == place);
            self.learn_of(step, refusal, now);
        }
    }

    /// What became of a step.
    fn learn_of(&mut self, step: Step, refusal: Option<&Failed>, now: Instant) {
        match (step, refusal) {
            (Step::Add(wanted), None) => {
                let key = wanted.key();
                self.patience.settled(&key);
                // Somebody removed it before we could see it, or it is an IPv6 address, of which the kernel tells later.
                if wanted.is_seen() && self.world.there(&key).is_none() {
                    self.patience.lost(key, now);
                }
            }
            // It is not asked for again at once, over and over.
            (Step::Add(wanted), Some(refusal)) if self.world.there(&wanted.key()).is_none() => {
                let key = wanted.key();
                if !wanted.is_seen() {
                    self.ours.remove(&key);
                }
                if self.patience.refused(key, now) && !refusal.already_there() {
                    log::error!("{}", Chain(refusal));
                }
            }
            (_, Some(refusal)) if !is_idle(refusal) => log::error!("{}", Chain(refusal)),
            _ => {}
        }
    }

    /// Something that we put there has vanished, and is put back.
    fn lost(&mut self, key: Key, object: &Object, now: Instant) {
        let remover = self.monitor.get_mut().take_remover();
        if self.patience.lost(key, now) {
            match remover.and_then(process) {
                Some(who) => log::warn!("{who} has taken away {object}: putting it back"),
                None => log::info!("{object} has vanished: putting it back"),
            }
        }
    }

    /// Asks for the gratuitous ARPs and neighbour advertisements of one virtual router.
    fn announce(&mut self, id: Id, repeat: u32) {
        let Some(instance) = self.engine.get(id) else {
            return;
        };
        let mut by_link: Map<(Ifindex, bool), Vec<IpAddr>> = Map::new();
        for (link, address) in self.desired.places(instance, &self.world) {
            let set = (link.index, address.ip.is_ipv6());
            by_link.get_or_insert_with(set, Vec::new).push(address.ip);
        }
        let now = now();
        for ((ifindex, _), ips) in by_link {
            let burst = burst(instance, &self.world, ifindex, ips, repeat);
            burst
                .into_iter()
                .for_each(|burst| self.announcer.push(burst, now));
        }
        self.announcer.send(now);
    }

    /// One address of each interface that hears no adverts: of virtual MACs, or of all if that is asked for.
    fn announce_elsewhere(&mut self, id: Id) {
        let Some(instance) = self.engine.get(id) else {
            return;
        };
        let config = instance.config();
        let silent = |link: &Link| {
            let asked = config.announcing.extra_everywhere || self.links.contains(link.index);
            asked && link.name != *config.advert_interface()
        };
        let mut told = Set::new();
        let now = now();
        for (link, address) in self.desired.places(instance, &self.world) {
            if silent(link) && told.insert(link.index) {
                let burst = burst(instance, &self.world, link.index, vec![address.ip], 1);
                burst
                    .into_iter()
                    .for_each(|burst| self.announcer.push(burst, now));
            }
        }
        self.announcer.send(now);
    }

    /// The same for the address that its adverts come from, once.
    fn announce_source(&mut self, id: Id) {
        let instance = self.engine.get(id);
        let burst = instance.and_then(|instance| {
            burst(
                instance,
                &self.world,
                instance.ifindex()?,
                vec![instance.source()?],
                1,
            )
        });
        let now = now();
        burst
            .into_iter()
            .for_each(|burst| self.announcer.push(burst, now));
        self.announcer.send(now);
    }

    /// Takes up another configuration: what did not change does not notice. What it asks for is work that [`Self::tick`] goes on with,
    /// so that adverts leave in time meanwhile.
    pub fn reload(&mut self, model: &mut Model) {
        for work in core::mem::take(&mut self.work) {
            match work {
                // It speaks of the groups as they were.
                Work::Tell(news) => self.tell(news),
                other => self.work.push_back(other),
            }
        }
        self.links.settle(model, &self.world, &mut self.netlink);
        self.firewall.reload(&model.global);
        self.debouncer.reload(model.global.link_delays.clone());
        let mut actions = core::mem::take(&mut self.actions);
        let now = now();
        self.engine.reload(model, now, &mut actions);
        if let Some(recorder) = &mut self.recorder {
            recorder.reloaded(model, now, &self.engine, &actions);
        }
        self.carry_out(&mut actions);
        self.actions = actions;
        self.desired = Desired::of(model);
        self.notifier.reload(&model.global);
        self.trackers.reload(model);
        self.replicator
            .reload(model.lvs.sync_daemon.clone(), &self.engine);
        self.global = model.global.clone();
        self.patience.clear();
        self.listen_to_routes();
        self.look_around();
        self.again();
        self.work();
    }

    /// Resigns, and takes everything away that is ours unless it is to be kept.
    pub fn stop(&mut self, keep: bool) {
        self.trackers.stop();
        self.replicator.stop();
        self.happened(Event::Stop, now());
        if keep {
            self.work.retain(|work| *work != Work::Reconcile);
        } else {
            self.desired = Desired::default();
            self.links.give_up();
            self.again();
        }
        while !self.work.is_empty() {
            self.work();
        }
        if !keep {
            self.tend_links();
        }
        self.firewall.remove();
    }

    /// Waits for the scripts that were told of the stop, for a second at the most.
    pub async fn farewell(&mut self) {
        self.notifier.farewell().await;
    }
}

/// Announcements of addresses of one family on one link; none where nobody resolves addresses.
fn burst(
    instance: &Instance,
    world: &World,
    ifindex: Ifindex,
    ips: Vec<IpAddr>,
    repeat: u32,
) -> Option<Burst> {
    let link = world.link(ifindex)?;
    let mac = link
        .mac
        .filter(|_| !link.is_loopback() && !link.is_noarp())?;
    let v6 = ips.first()?.is_ipv6();
    let announcing = &instance.config().announcing;
    let pace = if v6 {
        announcing.na_pace
    } else {
        announcing.arp_pace
    };
    let router = v6 && forwards(link);
    Some(Burst {
        id: instance.id(),
        ifindex,
        mac,
        router,
        ips,
        repeat,
        pace,
    })
}

/// A request for what is so already.
fn is_idle(refusal: &Failed) -> bool {
    refusal.already_there() || refusal.already_gone()
}

/// The process that a netlink port belongs to, by name and number; none where it does not tell.
fn process(port: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{port}/comm")).ok()?;
    Some(format!("{} (process {port})", name.trim()))
}

/// Whether this host forwards IPv6 packets that come in by a link, as a neighbour advertisement tells.
fn forwards(link: &Link) -> bool {
    sysctl::get(Scope::Link(&link.name), Setting::Forwarding).is_ok_and(|value| value == 1)
}
