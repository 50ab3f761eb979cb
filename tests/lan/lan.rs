//! A plan that is carried out: hosts, the wire between them, and what happens to them.

use std::net::{IpAddr, Ipv4Addr};

use keepalite::model::Peering;
use keepalite::vrrp::{Action, Event, Id, Told};

use crate::SECOND;
use crate::host::Host;
use crate::network::{DELAY, Frame, Network, Next};
use crate::plan::{Change, DRIFT, Happening, LinkState, Plan, Round};
use crate::property::Watch;
use crate::random::Random;
use crate::rule::Breach;
use crate::story::Story;

pub(crate) struct Lan<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) hosts: Vec<Host>,
    pub(crate) watch: Watch,
    network: Network,
    /// By segment, bit by bit, who is on the other side.
    sides: [u64; 2],
    /// By VRID, the line of its interval, where reloads have changed that.
    intervals: Vec<Option<String>>,
    pub(crate) now: u64,
    random: Random,
    actions: Vec<Action>,
}

/// What went wrong, when, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) breach: Breach,
    pub(crate) at: u64,
    pub(crate) hosts: Vec<usize>,
}

pub(crate) type Outcome = Result<(), Failure>;

impl<'a> Lan<'a> {
    /// With `told`, what happens to each host is written down.
    pub(crate) fn new(plan: &'a Plan, told: bool) -> Self {
        let hosts = plan.hosts.iter().enumerate().map(|(at, host)| {
            let story = told.then(|| Story::new(plan.lines(at)));
            Host::new(host.number, plan.model(at), host.clock, story)
        });
        Self {
            plan,
            hosts: hosts.collect(),
            watch: Watch::new(plan.hosts.len(), plan.vrids.len()),
            network: Network::new(plan.seed, plan.hosts.len()),
            sides: [0; 2],
            intervals: vec![None; plan.vrids.len()],
            now: SECOND,
            random: Random(!plan.seed),
            actions: Vec::new(),
        }
    }

    pub(crate) fn run(&mut self) -> Outcome {
        for round in &self.plan.rounds {
            self.storm(round)?;
            self.settle("after the storm", round.mended)?;
            if round.cut && self.cut_power()? {
                self.settle("after the power came back", false)?;
            }
            if round.stop && self.stop_in_order()? {
                self.settle("after a restart", false)?;
            }
        }
        self.refusals(self.plan.hosts.len())
    }

    /// How many virtual routers there are, times the seconds that they have run.
    pub(crate) fn router_seconds(&self) -> u64 {
        let hosts = self.plan.hosts.iter();
        let routers: usize = hosts.map(|host| host.own.iter().flatten().count()).sum();
        self.now / SECOND * routers as u64
    }

    pub(crate) fn fail<T>(&self, hosts: &[usize], breach: Breach) -> Result<T, Failure> {
        Err(Failure {
            breach,
            at: self.now,
            hosts: hosts.to_vec(),
        })
    }

    fn storm(&mut self, round: &Round) -> Outcome {
        self.watch.calm = None;
        self.network.loss = round.loss;
        self.network.duplicates = round.duplicates;
        self.network.delay = round.delay;
        self.network.reordering = true;
        for (pause, happening) in &round.happenings {
            self.run_for(*pause)?;
            self.happen(happening)?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: &Happening) -> Outcome {
        match happening {
            Happening::Power(host, on) => self.power(*host, *on),
            Happening::Link(host, segment, state) => self.link(*host, *segment, *state),
            Happening::Renew(host, segment) => {
                self.hosts[*host].renew_link(*segment);
                self.tell_link(*host, *segment)
            }
            Happening::Source(host, here) => {
                self.hosts[*host].set_source(*here);
                self.awake(*host);
                self.told(*host, Host::tell_sources)
            }
            Happening::Track(host, kind, reading) => {
                self.hosts[*host].set_reading(*kind, *reading);
                self.awake(*host);
                self.told(*host, Host::tell_readings)
            }
            Happening::Sleep(host, time) => {
                if self.hosts[*host].engine.is_some() {
                    self.hosts[*host].asleep = self.now + time;
                    self.reckon(*host, true);
                }
                Ok(())
            }
            Happening::Leap(host, by) => {
                self.hosts[*host].leap(*by);
                self.reckon(*host, true);
                Ok(())
            }
            Happening::Split(segment, sides) => {
                self.sides[*segment] = *sides;
                Ok(())
            }
            Happening::Reload(_, change @ Change::Interval(vrid, line)) => {
                self.intervals[*vrid] = Some(line.clone());
                (0..self.hosts.len()).try_for_each(|host| self.reload(host, change))
            }
            Happening::Reload(host, change) => self.reload(*host, change),
        }
    }

    /// All is well again; whoever should be master has time to become so, and then nothing happens any more.
    fn settle(&mut self, when: &str, mended: bool) -> Outcome {
        self.network.loss = 0;
        self.network.duplicates = 0;
        self.network.delay = DELAY;
        self.network.reordering = false;
        self.watch.calm = None;
        self.sides = [0; 2];
        for at in 0..self.hosts.len() {
            self.awake(at);
            self.power(at, true)?;
            for segment in 0..2 {
                self.link(at, segment, LinkState::Up)?;
            }
            self.hosts[at].set_source(true);
            self.told(at, Host::tell_sources)?;
            if mended {
                self.hosts[at].mend();
                self.told(at, Host::tell_readings)?;
            }
            self.reckon(at, false);
        }
        // What the storm has left on the wire is still on its way.
        let wire = self.network.settled();
        self.run_for(wire.saturating_sub(self.now) + DELAY)?;
        self.watch.calm = Some(self.now);
        let patience = self.patience();
        self.run_for(patience)?;
        self.one_master_each(when)?;
        let before = self.watch.changes;
        let refused = self.refused();
        self.run_for(10 * SECOND)?;
        self.stayed_calm(when, before, refused)?;
        self.watch.calm = None;
        Ok(())
    }

    fn power(&mut self, at: usize, on: bool) -> Outcome {
        match (on, self.hosts[at].engine.is_some()) {
            (true, false) => {
                self.hosts[at].start(self.now);
                for segment in 0..2 {
                    self.tell_link(at, segment)?;
                }
                self.told(at, Host::tell_readings)?;
                self.told(at, Host::tell_sources)
            }
            (false, true) => {
                self.refusals(at)?;
                self.cut(at);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The power of a host fails.
    pub(crate) fn cut(&mut self, at: usize) {
        self.hosts[at].cut();
        self.watch.gone(at, self.now);
    }

    fn link(&mut self, at: usize, segment: usize, state: LinkState) -> Outcome {
        if self.hosts[at].set_link(segment, state) {
            self.tell_link(at, segment)?;
        }
        Ok(())
    }

    fn tell_link(&mut self, at: usize, segment: usize) -> Outcome {
        self.awake(at);
        self.told(at, |host, now, out| host.tell_link(segment, now, out))
    }

    fn reload(&mut self, at: usize, change: &Change) -> Outcome {
        self.awake(at);
        let plan = self.plan;
        let host = &mut self.hosts[at];
        match change {
            Change::Line(vrid, line) | Change::Interval(vrid, line) => host.configure(*vrid, line),
            Change::Remove(vrid) => host.remove(*vrid),
            Change::Restore(vrid) => {
                let mut lines = plan.router(at, *vrid);
                if !lines.is_empty() {
                    lines.extend(self.intervals[*vrid].clone());
                }
                host.restore(*vrid, &lines);
            }
            Change::Rename(vrid) => host.rename(*vrid),
            Change::Nothing => {}
        }
        self.told(at, Host::reload)?;
        self.hosts[at].reloaded();
        self.told(at, Host::tell_sources)
    }

    /// Ends its sleep: what happens to a host wakes it.
    fn awake(&mut self, at: usize) {
        self.hosts[at].asleep = 0;
        self.hosts[at].wakes_at = None;
    }

    /// Jumps from one thing that happens to the next.
    pub(crate) fn run_for(&mut self, time: u64) -> Outcome {
        let end = self.now + time;
        while let Some((at, next)) = self.network.next(end) {
            self.now = self.now.max(at);
            match next {
                Next::Arrival(_, place, to) => self.deliver(next, place, to)?,
                Next::Wake(host) => {
                    if self.hosts[host].wakes_at == Some(at) {
                        self.hosts[host].wakes_at = None;
                        self.told(host, Host::wake)?;
                    }
                }
            }
            self.rivals()?;
        }
        self.now = end;
        Ok(())
    }

    fn deliver(&mut self, next: Next, place: usize, to: usize) -> Outcome {
        let frame = self.network.arrived(place);
        let segment = self.plan.vrids[frame.vrid].segment;
        let host = &mut self.hosts[to];
        if host.asleep > self.now && host.engine.is_some() {
            self.network.defer(next, host.asleep);
            return Ok(());
        }
        let mut done = Ok(());
        let mut actions = std::mem::take(&mut self.actions);
        if host.is_reachable(segment) {
            done = host.receive(frame, segment, self.now, &mut actions);
        }
        self.network.done(place);
        self.actions = actions;
        self.after(to, done)
    }

    fn feed(&mut self, at: usize, event: Event<'_>) -> Outcome {
        self.told(at, |host, now, out| host.hear(event, now, out))
    }

    /// Stops a host in order.
    pub(crate) fn stop(&mut self, at: usize) -> Outcome {
        self.feed(at, Event::Stop)?;
        self.cut(at);
        Ok(())
    }

    /// Tells a host something, and carries out what follows from it.
    fn told(
        &mut self,
        at: usize,
        tell: impl FnOnce(&mut Host, u64, &mut Vec<Action>) -> Result<(), Breach>,
    ) -> Outcome {
        let mut actions = std::mem::take(&mut self.actions);
        let done = tell(&mut self.hosts[at], self.now, &mut actions);
        self.actions = actions;
        self.after(at, done)
    }

    fn after(&mut self, at: usize, done: Result<(), Breach>) -> Outcome {
        if let Err(breach) = done {
            self.actions.clear();
            return self.fail(&[at], breach);
        }
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Advertise { id, priority } => self.send(at, id, priority),
                Action::Notify { id, state, .. } => self.changed(at, id, state)?,
                _ => {}
            }
        }
        self.actions = actions;
        self.reckon(at, false);
        Ok(())
    }

    fn changed(&mut self, at: usize, id: Id, told: Told) -> Outcome {
        let master = match told {
            Told::Master => true,
            Told::Backup | Told::Fault | Told::Stop | Told::Deleted => false,
            Told::LowerPriority | Told::PriorityChanged => return Ok(()),
        };
        let engine = self.hosts[at].engine.as_ref();
        let instance = engine.and_then(|engine| engine.get(id));
        match instance.map(|i| usize::from(i.config().vrid.get()) - 1) {
            Some(vrid) => self.became(at, vrid, master),
            None => Ok(()),
        }
    }

    fn send(&mut self, at: usize, id: Id, priority: u8) {
        let host = &self.hosts[at];
        let Some(instance) = host.engine.as_ref().and_then(|engine| engine.get(id)) else {
            return;
        };
        let vrid = usize::from(instance.config().vrid.get()) - 1;
        let segment = self.plan.vrids[vrid].segment;
        if !host.is_reachable(segment) {
            return;
        }
        let sides = self.sides[segment];
        let side = |at: usize| sides >> (at % 64) & 1;
        let reachable = |to: &usize| {
            *to != at && side(*to) == side(at) && self.hosts[*to].is_reachable(segment)
        };
        match &instance.config().peering {
            Peering::Multicast(group) => {
                let others = (0..self.hosts.len()).filter(reachable);
                if let Some(frame) = Frame::new(at, vrid, priority, instance, *group) {
                    self.network.send(frame, self.now, others);
                }
            }
            Peering::Unicast { peers, .. } => {
                for peer in peers {
                    let to = |at: &usize| address(segment, self.hosts[*at].number) == peer.ip;
                    let to = (0..self.hosts.len()).find(to).filter(reachable);
                    if let Some(frame) = Frame::new(at, vrid, priority, instance, peer.ip) {
                        self.network.send(frame, self.now, to.into_iter());
                    }
                }
            }
        }
    }

    /// When a host is woken: at its deadline or when it has slept enough, a little late as processes are.
    fn reckon(&mut self, at: usize, anew: bool) {
        let host = &mut self.hosts[at];
        let deadline = host.engine.as_ref().and_then(|engine| engine.deadline());
        if !anew && host.wakes_at.is_some() && deadline == host.deadline {
            return;
        }
        host.deadline = deadline;
        host.wakes_at = deadline.map(|deadline| {
            let late = self.random.range(0, self.plan.lateness);
            (host.global(deadline) + late)
                .max(host.asleep)
                .max(self.now)
        });
        if let Some(wakes_at) = host.wakes_at {
            self.network.wake(at, wakes_at);
        }
    }
}

/// The address of a host on a segment.
pub(crate) fn address(segment: usize, number: u8) -> IpAddr {
    Ipv4Addr::new(10, segment as u8, 0, number).into()
}

/// Give or take drift on both sides, delay and lateness.
pub(crate) const fn slack(time: u64) -> u64 {
    time + time * 2 * DRIFT / SECOND + 2 * (DELAY + crate::plan::LATENESS)
}
