//! Pools and probes, and what happens to them.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::conversation::Outcome;
use super::event::{Action, Cause, Event, Notice, PoolId, ProbeId, ServerId, Why};
use super::note::{Line, Note};
use super::pool::{Pool, Server};
use super::probe::{Change, Effect, Phase, Probe, file_effect};
use super::schedule::{Schedule, spread};
use crate::model::Weight;
use crate::model::lvs::{
    Check, Entry, FlushOnStop, Group, Lvs, RealServer, Service, VirtualServer,
};
use crate::sorted::Map;
use crate::time::Instant;
use crate::track;

/// From the start to the first attempts, as with keepalived: links and addresses may still be coming up.
const BOOTSTRAP: Duration = Duration::from_secs(1);

/// Every virtual server of a configuration, and the checks of their members.
#[derive(Debug)]
pub struct Engine {
    /// In the order of the file.
    pub(super) pools: Vec<Pool>,
    /// In the order of their [`ProbeId`].
    pub(super) probes: Vec<Probe>,
    /// Which servers each probe is about, in its order.
    pub(super) subscribers: Vec<(ProbeId, ServerId)>,
    pub(super) schedule: Schedule,
    pub(super) groups: Vec<Group>,
    /// Addresses of this host and on how many interfaces, as far as they were told.
    pub(super) here: Map<IpAddr, u32>,
    /// The next probe that is made gets this name.
    pub(super) next: u32,
    pub(super) init_notifies: bool,
    pub(super) flush_on_stop: FlushOnStop,
    pub(super) started: bool,
    pub(super) stopped: bool,
}

impl Engine {
    /// The pools, in the order of the file.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The configuration that runs, as far as it is kept: groups, and virtual servers with their real ones and checks.
    #[must_use]
    pub fn running(&self) -> Lvs {
        let checkers = |server: &Server| {
            let probes = server.probes.iter().filter_map(|id| self.probe(*id));
            probes.map(|probe| probe.checker().clone()).collect()
        };
        let real = |server: &Server| RealServer {
            checkers: checkers(server),
            ..server.config.clone()
        };
        let servers = self.pools.iter().map(|pool| VirtualServer {
            real: pool.servers.iter().map(real).collect(),
            ..pool.config.clone()
        });
        Lvs {
            groups: self.groups.clone(),
            servers: servers.collect(),
            init_notifies: self.init_notifies,
            flush_on_stop: self.flush_on_stop,
            ..Lvs::default()
        }
    }

    /// A pool by its name.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.get(id.0 as usize)
    }

    /// A server by its name.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.pool(id.pool)?.servers.get(id.place as usize)
    }

    /// A probe by its name; none if a reload has ended it.
    #[must_use]
    pub fn probe(&self, id: ProbeId) -> Option<&Probe> {
        probe(&self.probes, id)
    }

    /// The probes: every check that is made, once.
    #[must_use]
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// The groups that virtual servers name.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// A line of the log in words.
    #[must_use]
    pub const fn say(&self, note: Note) -> impl fmt::Display + '_ {
        Line(self, note)
    }

    /// When to be woken with [`Event::Deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.schedule.earliest().map(|(at, _)| at)
    }

    /// Something happened. `out` is the caller's to reuse: in the steady state nothing is allocated.
    pub fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        match event {
            Event::Start => self.start(now, out),
            Event::Deadline => self.attempt(now, out),
            Event::Outcome(id, Outcome::Passed) => self.result(id, Ok(Effect::None), now, out),
            Event::Outcome(id, Outcome::Failed(reason)) => {
                self.result(id, Err(Cause::Answer(reason)), now, out);
            }
            Event::Outcome(id, Outcome::Untried(reason)) => {
                self.miss(id, Cause::Answer(reason), now, out);
            }
            Event::Ended(id, outcome, complaint) => {
                let probe = self.probe(id);
                let result = probe.map(|probe| command_effect(probe, outcome, complaint));
                if let Some(result) = result {
                    self.result(id, result, now, out);
                }
            }
            Event::File { name, value } => self.file(name, value, now, out),
            Event::Address { ip, here } => self.address(ip, here, now, out),
            Event::Stop => self.stop(out),
        }
    }

    fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.started = true;
        self.look_around(out);
        for at in 0..self.pools.len() {
            self.begin(at, now, out);
        }
        self.plan(now);
    }

    /// How a pool is at the start, or after a reload.
    pub(super) fn begin(&mut self, at: usize, now: Instant, out: &mut Vec<Action>) {
        let Some(pool) = self.pools.get_mut(at) else {
            return;
        };
        for place in 0..pool.servers.len() {
            let id = pool.server_id(place);
            let Some(server) = pool.servers.get_mut(place) else {
                continue;
            };
            let turned = refresh(server, id, &self.probes, now, out);
            let told = server.kept || self.init_notifies && server.up;
            if turned && told {
                if server.kept {
                    let (up, down) = (Note::Up(id), Note::Down(id));
                    out.push(Action::Say(if server.up { up } else { down }));
                }
                out.push(Action::Notify(Notice::Server(id, server.up)));
            }
        }
        pool.judge(Why::Starting, out);
        out.push(Action::Table(pool.id));
    }

    /// Gives every probe that rests without need its first due time.
    pub(super) fn plan(&mut self, now: Instant) {
        for probe in &mut self.probes {
            let wanted = is_wanted(&self.pools, &self.subscribers, probe);
            match (probe.phase(), wanted) {
                (Phase::Resting, true) => {
                    let warmup = probe.checker().pace.warmup;
                    let at = now + BOOTSTRAP + spread(probe.id().0, warmup);
                    probe.set_phase(Phase::Waiting(at));
                    self.schedule.push(at, probe.id());
                }
                (Phase::Waiting(_), false) => probe.set_phase(Phase::Resting),
                _ => {}
            }
        }
    }

    /// Starts whatever is due, and what would be so close after it that it is not worth another wait.
    fn attempt(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some((due, id)) = self.schedule.earliest() {
            let probe = probe_mut(&mut self.probes, id);
            // A due time that was moved is not the one that counts.
            if let Some(probe) = probe.filter(|probe| probe.phase() == Phase::Waiting(due)) {
                if due > now + probe.leeway() {
                    return;
                }
                probe.set_phase(Phase::Running { due, started: now });
                out.push(Action::Start(id));
            }
            self.schedule.pop();
        }
    }

    /// An attempt is over: the next one comes after its pause.
    fn rest(&mut self, id: ProbeId, now: Instant) {
        let probe = probe_mut(&mut self.probes, id);
        let Some(probe) = probe.filter(|probe| matches!(probe.phase(), Phase::Running { .. }))
        else {
            return;
        };
        if is_wanted(&self.pools, &self.subscribers, probe) {
            let at = probe.next(now);
            probe.set_phase(Phase::Waiting(at));
            self.schedule.push(at, id);
        } else {
            probe.set_phase(Phase::Resting);
        }
    }

    /// An attempt could not be made, which says nothing about the server.
    fn miss(&mut self, id: ProbeId, cause: Cause, now: Instant, out: &mut Vec<Action>) {
        let probe = probe_mut(&mut self.probes, id);
        let Some(probe) = probe else { return };
        if probe.miss(cause, now) {
            let server = self.subscribers.get(first(&self.subscribers, id));
            out.extend(server.map(|(_, server)| Action::Say(Note::Missed(*server, id))));
        }
        self.rest(id, now);
    }

    fn result(
        &mut self,
        id: ProbeId,
        result: Result<Effect, Cause>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let probe = probe_mut(&mut self.probes, id);
        let Some(probe) = probe else { return };
        let effect = probe.effect();
        let change = probe.observe(result, now);
        let changed = change != Change::None || effect != probe.effect();
        if probe.is_active() {
            self.rest(id, now);
        }
        if changed && self.started {
            self.tell(id, change, now, out);
        }
    }

    /// Passes a result on to the servers that it is about.
    fn tell(&mut self, id: ProbeId, change: Change, now: Instant, out: &mut Vec<Action>) {
        let Some(probe) = self.probe(id) else { return };
        let up = probe.is_up();
        let log_all = probe.checker().log_all_failures;
        for at in first(&self.subscribers, id).. {
            let subscriber = self.subscribers.get(at).filter(|(probe, _)| *probe == id);
            let Some((_, server)) = subscriber.copied() else {
                return;
            };
            match change {
                Change::Borne if !log_all => return,
                Change::Borne => return out.push(Action::Say(Note::Borne(server, id))),
                Change::Turned | Change::First if up => {
                    out.push(Action::Say(Note::Passes(server, id)));
                }
                Change::Turned => out.push(Action::Say(Note::Fails(server, id))),
                Change::First => out.push(Action::Say(Note::Unproven(server, id))),
                Change::None => {}
            }
            let turned = self.refresh(server, now, out);
            match change {
                Change::Turned => out.push(Action::Notify(Notice::Check {
                    server,
                    probe: id,
                    up,
                    turned,
                })),
                // With alpha it was down all along, and now it is known to be.
                Change::First if !up => out.push(Action::Notify(Notice::Server(server, false))),
                _ => {}
            }
        }
    }

    /// Looks what the checks of a server say now. True if it went up or down.
    fn refresh(&mut self, id: ServerId, now: Instant, out: &mut Vec<Action>) -> bool {
        let Some(pool) = self.pools.get_mut(id.pool.0 as usize) else {
            return false;
        };
        let Some(server) = pool.servers.get_mut(id.place as usize) else {
            return false;
        };
        let (up, weight) = (server.up, server.weight);
        let turned = refresh(server, id, &self.probes, now, out);
        let now_up = server.up;
        if turned {
            out.push(Action::Say(if now_up {
                Note::Up(id)
            } else {
                Note::Down(id)
            }));
        }
        let weighs = up && weight != server.weight;
        if turned {
            out.push(Action::Notify(Notice::Server(id, now_up)));
        }
        if pool.judge(Why::Changed, out) || turned || weighs {
            out.push(Action::Table(pool.id));
        }
        turned
    }

    fn file(&mut self, name: &str, value: i64, now: Instant, out: &mut Vec<Action>) {
        for at in 0..self.probes.len() {
            let Some(probe) = self.probes.get(at) else {
                return;
            };
            if let Check::File(of, weight) = &probe.checker().check {
                if of == name {
                    let effect = file_effect(
                        value,
                        weight.unwrap_or(Weight {
                            value: 1,
                            reverse: false,
                        }),
                    );
                    self.result(probe.id(), effect, now, out);
                }
            }
        }
    }

    fn address(&mut self, ip: IpAddr, here: bool, now: Instant, out: &mut Vec<Action>) {
        let count = self.here.get_or_insert_with(ip, || 0);
        *count = if here {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            self.here.remove(&ip);
        }
        if self.started {
            self.look_around(out);
            self.plan(now);
        }
    }

    /// Which pools with `ha_suspend` have an address here.
    pub(super) fn look_around(&mut self, out: &mut Vec<Action>) {
        for pool in self.pools.iter_mut().filter(|pool| pool.config.ha_suspend) {
            let mut addresses = self.here.keys();
            let here = addresses.any(|ip| has_address(&pool.config.service, &self.groups, *ip));
            if core::mem::replace(&mut pool.here, here) != here {
                out.push(Action::Say(Note::Suspended(pool.id, !here)));
            }
        }
    }

    fn stop(&mut self, out: &mut Vec<Action>) {
        self.stopped = true;
        self.schedule.clear();
        let running = self
            .probes
            .iter()
            .filter(|p| matches!(p.phase(), Phase::Running { .. }));
        out.extend(running.map(|probe| Action::Cancel(probe.id())));
        // Where the table is emptied as a whole, keepalived does not go through the servers.
        let servers = self.flush_on_stop == FlushOnStop::No;
        for pool in self.pools.iter_mut().filter(|pool| pool.config.omega) {
            pool.stop(servers, out);
        }
    }
}

/// A probe among others.
fn probe(probes: &[Probe], id: ProbeId) -> Option<&Probe> {
    probes.get(probes.binary_search_by_key(&id, Probe::id).ok()?)
}

/// The same, to be changed.
pub(super) fn probe_mut(probes: &mut [Probe], id: ProbeId) -> Option<&mut Probe> {
    let at = probes.binary_search_by_key(&id, Probe::id).ok()?;
    probes.get_mut(at)
}

/// Where the servers begin that a probe is about.
fn first(subscribers: &[(ProbeId, ServerId)], id: ProbeId) -> usize {
    subscribers.partition_point(|(probe, _)| *probe < id)
}

/// Whether anybody wants to know what a probe finds out now.
fn is_wanted(pools: &[Pool], subscribers: &[(ProbeId, ServerId)], probe: &Probe) -> bool {
    let all = subscribers.iter().skip(first(subscribers, probe.id()));
    let own = all.take_while(|(id, _)| *id == probe.id());
    let mut pools = own.filter_map(|(_, server)| pools.get(server.pool.0 as usize));
    probe.is_active() && pools.any(|pool| !pool.is_suspended())
}

/// Brings a server to what its checks say. True if it went up or down.
fn refresh(
    server: &mut Server,
    id: ServerId,
    probes: &[Probe],
    now: Instant,
    out: &mut Vec<Action>,
) -> bool {
    let mut up = true;
    let mut difference = 0_i64;
    for probe in server.probes.iter().filter_map(|id| probe(probes, *id)) {
        up &= probe.is_up();
        difference = difference.saturating_add(probe.effect().difference(server.config.weight));
    }
    let from = server.weight;
    // The note tells whether it was active, so it goes first.
    if server.set_weight(difference) {
        let to = server.weight;
        out.push(Action::Say(Note::Weight {
            server: id,
            from,
            to,
        }));
    }
    let turned = core::mem::replace(&mut server.up, up) != up;
    if turned {
        server.since = now;
    }
    turned
}

/// What the end of a command means: with `misc_dynamic` a status of 2 and more is a weight, two less.
fn command_effect(
    probe: &Probe,
    outcome: track::Outcome,
    complaint: Box<str>,
) -> Result<Effect, Cause> {
    let dynamic = matches!(probe.checker().check, Check::Misc { dynamic: true, .. });
    match outcome {
        track::Outcome::Passed | track::Outcome::Status(0) => Ok(Effect::None),
        track::Outcome::Status(status @ 2..=255) if dynamic => {
            Ok(Effect::Instead(u8::try_from(status - 2).unwrap_or(u8::MAX)))
        }
        failed => Err(Cause::Command(failed, complaint)),
    }
}

/// Whether a service is reached by an address.
fn has_address(service: &Service, groups: &[Group], ip: IpAddr) -> bool {
    match service {
        Service::Address(own, _) => *own == ip,
        Service::Mark(_) => false,
        Service::Group(name) => groups
            .iter()
            .filter(|group| group.name == *name)
            .any(|group| {
                group.entries.iter().any(|entry| match entry {
                    Entry::Addresses { first, last, .. } => {
                        first.is_ipv4() == ip.is_ipv4() && (*first..=*last).contains(&ip)
                    }
                    Entry::Mark(..) => false,
                })
            }),
    }
}
