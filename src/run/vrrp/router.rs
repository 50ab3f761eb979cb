//! The VRRP process: what its engine decides, carried out on this host.
//!
//! Adverts leave at once. Whatever else follows from an event queues in its order (addresses, announcements, scripts) and is
//! worked off in portions, between which adverts are heard and sent: taking over 4,000 addresses must not cost the
//! mastership of them. Addresses, routes and rules are not changed by command but by difference: what the engine wants to be there
//! against what the kernel says is there.

mod announcements;
mod kernel;
mod surroundings;

use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::addresses::Desired;
use super::announcer::Announcer;
use super::debouncer::Debouncer;
use super::firewall::Firewall;
use super::links::Links;
use super::notifier::Notifier;
use super::object::{Key, Object};
use super::patience::Patience;
use super::reconcile::Step;
use super::recorder::Recorder;
use super::replicator::Replicator;
use super::sockets::Sockets;
use super::trackers::Trackers;
use super::world::World;
use crate::console::events::Events;
use crate::console::vrrp::{Happening, Subject};
use crate::io::frame::FrameSocket;
use crate::io::monitor::{Change, Monitor};
use crate::io::netlink::Netlink;
use crate::model::lvs::SyncDaemon;
use crate::model::{Global, Model, Statics};
use crate::name::{IfName, Priority};
use crate::run::reactor::{Source, now};
use crate::sorted::Map;
use crate::time::Instant;
use crate::vrrp::{Action, Engine, Event, GroupId, Id, Told, Tracked};

/// Woken later than this, we look for adverts that wait before we miss a master.
const LATE: Duration = Duration::from_millis(2);

/// Adverts that come within this time of each other come in a crowd.
const CROWD: Duration = Duration::from_micros(200);

/// Most adverts of a socket that are heard then in one go.
const BACKLOG: usize = 1024;

/// Most adverts of a crowd that are heard before our own go out.
const TOGETHER: usize = 64;

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
    /// What has happened lately, for who asks.
    lately: Events<Subject, Happening>,
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
        let frames = FrameSocket::open().map_err(|error| {
            log::error!("{error}; no address is announced");
        });
        let frames = frames.ok();
        let mut router = Self {
            firewall: Firewall::new(&model.global),
            links,
            debouncer: Debouncer::new(model.global.link_delays.clone()),
            engine: Engine::new(model, began),
            desired: Desired::of(model),
            notifier: Notifier::new(&model.global),
            replicator: Replicator::default(),
            trackers: Trackers::new(model),
            announcer: Announcer::new(frames),
            sockets: Sockets::default(),
            monitor: Source::new(monitor),
            ours: Map::new(),
            patience: Patience::default(),
            recorder: recorder.transpose()?,
            heard_at: Instant(0),
            work: VecDeque::new(),
            lately: Events::default(),
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

    /// What is there from start to stop.
    #[must_use]
    pub const fn statics(&self) -> &Statics {
        self.desired.statics()
    }

    /// The `lvs_sync_daemon` that is in force.
    #[must_use]
    pub const fn sync_daemon(&self) -> Option<&SyncDaemon> {
        self.replicator.config()
    }

    /// What has happened lately.
    #[must_use]
    pub const fn lately(&self) -> &Events<Subject, Happening> {
        &self.lately
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
        let late_at = now() - LATE;
        if self.engine.deadline().is_some_and(|due| due < late_at) {
            self.catch_up(buffer);
        }
        // Not before: to the engine, time only goes forward.
        let now = now();
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
            let outcome = self.trackers.outcome(&found);
            let subject = Subject::Tracker(found.kind, found.name);
            self.lately
                .push(now, subject, Happening::Reads(found.reading, outcome));
        }
        self.work();
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
                    let subject = Subject::Router(id);
                    self.lately.push(now(), subject, Happening::Note(note));
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
        self.global.reload(&model.global);
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
