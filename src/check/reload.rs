//! From a configuration to pools and probes, the first time and again: what did not change does not notice.

use core::net::IpAddr;
use std::rc::Rc;

use super::engine::{Engine, probe_mut};
use super::event::{Action, Notice, PoolId, ProbeId, ServerId, Why};
use super::pool::Pool;
use super::probe::{Phase, Probe};
use super::schedule::Schedule;
use crate::model::FileTracker;
use crate::model::lvs::{Check, Checker, Lvs, RealServer, Service, VirtualServer, Way};
use crate::sorted::Map;
use crate::time::Instant;

/// Probes by where they connect to, so that an equal one is found among thousands.
type Index = Map<(IpAddr, u16), Vec<usize>>;

impl Engine {
    /// Nothing is checked yet: that begins with [`Event::Start`](super::Event::Start).
    #[must_use]
    pub fn new(lvs: Lvs, files: &[FileTracker], now: Instant) -> Self {
        let mut engine = Self {
            pools: Vec::with_capacity(lvs.servers.len()),
            probes: Vec::new(),
            subscribers: Vec::new(),
            schedule: Schedule::default(),
            groups: lvs.groups,
            here: Map::new(),
            next: 0,
            init_notifies: lvs.init_notifies,
            flush_on_stop: lvs.flush_on_stop,
            started: false,
            stopped: false,
        };
        engine.fill(lvs.servers, files, Vec::new(), now);
        engine
    }

    /// Tells about whatever another configuration does not have any more. The actions are to be carried out before it is
    /// [taken up](Self::reload).
    pub fn depart(&mut self, lvs: &Lvs, out: &mut Vec<Action>) {
        let ordinals = ordinals(&lvs.servers);
        for (at, pool) in self.pools.iter_mut().enumerate() {
            let mut all = lvs.servers.iter().zip(&ordinals);
            let is_same = |(new, ordinal): &(&VirtualServer, &u16)| pool.is_same(new, **ordinal);
            // Mostly nothing has moved.
            let there = all.clone().nth(at).filter(is_same);
            let Some((new, _)) = there.or_else(|| all.find(is_same)) else {
                pool.remove(false, out);
                if pool.has_quorum() {
                    let (pool, up, why) = (pool.id(), false, Why::Changed);
                    out.push(Action::Notify(Notice::Quorum { pool, up, why }));
                }
                continue;
            };
            for place in 0..pool.servers.len() {
                let config = pool.servers.get(place).map(|server| server.config());
                let is = |config: &RealServer| {
                    let mut all = new.real.iter();
                    all.any(|real| (real.ip, real.port) == (config.ip, config.port))
                };
                if !config.is_some_and(is) {
                    pool.remove_server(place, false, out);
                }
            }
        }
    }

    /// Takes up another configuration. Checks that are as before go on and do not notice; others of the same server and
    /// kind keep what is known.
    pub fn reload(&mut self, lvs: Lvs, files: &[FileTracker], now: Instant, out: &mut Vec<Action>) {
        self.groups = lvs.groups;
        self.init_notifies = lvs.init_notifies;
        self.flush_on_stop = lvs.flush_on_stop;
        let old_pools = core::mem::take(&mut self.pools);
        let old_probes = core::mem::take(&mut self.probes);
        let gone = self.fill(lvs.servers, files, old_probes, now);
        let running = gone
            .iter()
            .filter(|probe| matches!(probe.phase(), Phase::Running { .. }));
        out.extend(running.map(|probe| Action::Cancel(probe.id())));
        for at in 0..self.pools.len() {
            self.succeed(at, &old_pools);
        }
        self.look_around(out);
        self.schedule.clear();
        for probe in &self.probes {
            if let Phase::Waiting(at) = probe.phase() {
                self.schedule.push(at, probe.id());
            }
        }
        self.plan(now);
        for at in 0..self.pools.len() {
            self.begin(at, now, out);
        }
    }

    /// A pool takes over from the one that was the same before.
    fn succeed(&mut self, at: usize, old_pools: &[Pool]) {
        let Some(pool) = self.pools.get_mut(at) else {
            return;
        };
        let is_same = |old: &&Pool| pool.is_same(&old.config, old.ordinal());
        // Mostly nothing has moved.
        let there = old_pools.get(at).filter(is_same);
        let Some(old) = there.or_else(|| old_pools.iter().find(is_same)) else {
            return;
        };
        pool.inherit(old);
        for server in &mut pool.servers {
            let key = (server.config.ip, server.config.port);
            let mut all = old.servers.iter();
            let Some(old) = all.find(|old| (old.config.ip, old.config.port) == key) else {
                continue;
            };
            server.up = old.up;
            server.since = old.since;
            server.kept = true;
            for id in server.probes.iter().filter(|_| old.up) {
                if let Some(probe) = probe_mut(&mut self.probes, *id) {
                    probe.trust();
                }
            }
        }
    }

    /// Makes the pools and their probes, with the old ones where there are such. Returns those that nobody needs any more.
    fn fill(
        &mut self,
        servers: Vec<VirtualServer>,
        files: &[FileTracker],
        old: Vec<Probe>,
        now: Instant,
    ) -> Vec<Probe> {
        let mut builder = Builder::new(old, self.next, now);
        let ordinals = ordinals(&servers);
        for (at, (mut config, ordinal)) in servers.into_iter().zip(ordinals).enumerate() {
            let id = PoolId(u32::try_from(at).unwrap_or(u32::MAX));
            let take = |real: &mut RealServer| core::mem::take(&mut real.checkers);
            let checkers: Vec<_> = config.real.iter_mut().map(take).collect();
            let mut pool = Pool::new(id, config, ordinal, now);
            for (place, checkers) in checkers.into_iter().enumerate() {
                let server = pool.server_id(place);
                let probes = checkers
                    .into_iter()
                    .filter(|c| !matches!(c.check, Check::Bfd(_)));
                let probes = probes.map(|checker| builder.probe(resolve(checker, files), server));
                let probes: Box<[_]> = probes.collect();
                if let Some(server) = pool.servers.get_mut(place) {
                    server.probes = probes;
                }
            }
            self.pools.push(pool);
        }
        self.next = builder.next;
        self.probes = builder.probes;
        self.probes.sort_unstable_by_key(Probe::id);
        self.probes.shrink_to_fit();
        self.subscribers = builder.subscribers;
        self.subscribers.sort_unstable();
        self.subscribers.shrink_to_fit();
        builder.old.into_iter().flatten().collect()
    }
}

/// What makes probes.
struct Builder {
    probes: Vec<Probe>,
    subscribers: Vec<(ProbeId, ServerId)>,
    /// Where those are that are made.
    index: Index,
    /// Those that were there before and are not taken.
    old: Vec<Option<Probe>>,
    old_index: Index,
    next: u32,
    now: Instant,
}

impl Builder {
    fn new(old: Vec<Probe>, next: u32, now: Instant) -> Self {
        let mut old_index = Index::new();
        for (at, probe) in old.iter().enumerate() {
            old_index
                .get_or_insert_with(place(probe.checker()), Vec::new)
                .push(at);
        }
        Self {
            probes: Vec::new(),
            subscribers: Vec::new(),
            index: Index::new(),
            old: old.into_iter().map(Some).collect(),
            old_index,
            next,
            now,
        }
    }

    /// The probe for a check: one that is made already, one from before, or a new one.
    fn probe(&mut self, checker: Checker, server: ServerId) -> ProbeId {
        let near = self.index.get_or_insert_with(place(&checker), Vec::new);
        for at in near.iter() {
            if let Some(made) = self
                .probes
                .get_mut(*at)
                .filter(|made| *made.checker() == checker)
            {
                self.subscribers.push((made.id(), server));
                return made.id();
            }
        }
        near.push(self.probes.len());
        let probe = self.reuse(&checker).unwrap_or_else(|| self.make(checker));
        let id = probe.id();
        self.subscribers.push((id, server));
        self.probes.push(probe);
        id
    }

    /// One from before: the same, which goes on, or a new one that knows what one alike has found out.
    fn reuse(&mut self, checker: &Checker) -> Option<Probe> {
        let near = self.old_index.get(&place(checker))?;
        let mut alike = None;
        for at in near {
            let Some(there) = self.old.get_mut(*at) else {
                continue;
            };
            match there {
                Some(old) if old.checker() == checker => {
                    return there.take();
                }
                Some(old) if is_alike(old.checker(), checker) => alike = Some(*at),
                _ => {}
            }
        }
        let at = alike?;
        let mut probe = self.make(checker.clone());
        probe.inherit(self.old.get(at)?.as_ref()?, self.now);
        Some(probe)
    }

    fn make(&mut self, checker: Checker) -> Probe {
        let id = ProbeId(self.next);
        self.next = self.next.wrapping_add(1);
        Probe::new(id, checker, self.now)
    }
}

const fn place(checker: &Checker) -> (IpAddr, u16) {
    (checker.ip, checker.port)
}

/// Whether two checks ask the same of the same server, only at another pace.
fn is_alike(old: &Checker, new: &Checker) -> bool {
    let way = Way {
        timeout: old.way.timeout,
        ..new.way.clone()
    };
    place(old) == place(new) && old.check == new.check && old.way == way
}

/// `FILE_CHECK` without a weight has that of its file.
fn resolve(mut checker: Checker, files: &[FileTracker]) -> Checker {
    if matches!(checker.check, Check::File(_, None)) {
        if let Check::File(name, weight) = &mut Rc::make_mut(&mut checker.settings).check {
            let file = files.iter().find(|file| file.name == *name);
            *weight = file.map(|file| file.weight);
        }
    }
    checker
}

/// Which of the services of its group each is, as keepalived numbers them.
fn ordinals(servers: &[VirtualServer]) -> Vec<u16> {
    let mut counts: Map<String, u16> = Map::new();
    let ordinal = |server: &'_ VirtualServer| match &server.service {
        Service::Group(name) => {
            let count = counts.get_or_insert_with(name.clone(), || 0);
            *count = count.saturating_add(1);
            *count - 1
        }
        _ => 0,
    };
    servers.iter().map(ordinal).collect()
}
