//! Watches one engine: whatever it is told, what it does is what its documentation allows.

use keepalite::model::{Model, Wish};
use keepalite::name::{OWNER, RESIGN};
use keepalite::time::Instant;
use keepalite::vrrp::{Action, Engine, Event, GroupId, Id, Instance, State, Told};

use crate::hearing::{Heard, LONGEST, skew, waits};
use crate::rule::{Breach, Kind, Rule, breach};
use crate::world::World;

/// What is remembered of a virtual router.
#[derive(Clone, Copy, Debug)]
struct Seat {
    state: State,
    holds: bool,
    said_at: Instant,
    sequence: u32,
}

impl Seat {
    const EMPTY: Self = Self {
        state: State::Init,
        holds: false,
        said_at: Instant(0),
        sequence: 0,
    };
}

/// Watches one engine from its start.
#[derive(Debug)]
pub(crate) struct Witness {
    world: World,
    seats: Vec<Seat>,
    advertised: Vec<Id>,
    /// What has changed its state in this event.
    moved: Vec<Id>,
    reloaded_at: Option<Instant>,
}

impl Witness {
    pub(crate) fn new(model: &Model, now: Instant) -> Self {
        Self {
            world: World::new(model, now),
            seats: Vec::new(),
            advertised: Vec::new(),
            moved: Vec::new(),
            reloaded_at: None,
        }
    }

    #[allow(dead_code, reason = "only a LAN asks for it")]
    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    fn seat(&mut self, id: Id) -> &mut Seat {
        let at = id.0 as usize;
        if self.seats.len() <= at {
            self.seats.resize(at + 1, Seat::EMPTY);
        }
        &mut self.seats[at]
    }

    /// Its state, by what it has told of it.
    pub(crate) fn state(&self, id: Id) -> State {
        let seat = self.seats.get(id.0 as usize);
        seat.map_or(State::Init, |seat| seat.state)
    }

    /// The engine was given an event, and did this.
    pub(crate) fn saw(
        &mut self,
        event: &Event<'_>,
        engine: &Engine,
        now: Instant,
        actions: &[Action],
    ) -> Result<(), Breach> {
        let kind = Kind::of(event);
        self.world.learn(event, now);
        self.follow(kind, engine, now, actions)?;
        if kind == Kind::World || (kind == Kind::Wake && !actions.is_empty()) {
            self.faults(engine)?;
        }
        match engine.deadline() {
            Some(next) if kind == Kind::Wake && next <= now => {
                breach(Rule::Rest, format!("woken at {now}, it asks for {next}"))
            }
            Some(next) if kind == Kind::Stop => {
                breach(Rule::Rest, format!("stopped, and it asks for {next}"))
            }
            _ => Ok(()),
        }
    }

    /// The engine was given another configuration.
    pub(crate) fn saw_reload(
        &mut self,
        model: &Model,
        engine: &Engine,
        now: Instant,
        actions: &[Action],
    ) -> Result<(), Breach> {
        self.world.reload(model);
        self.reloaded_at = Some(now);
        self.follow(Kind::Reload, engine, now, actions)?;
        self.faults(engine)
    }

    fn follow(
        &mut self,
        kind: Kind,
        engine: &Engine,
        now: Instant,
        actions: &[Action],
    ) -> Result<(), Breach> {
        if actions.is_empty() {
            return Ok(());
        }
        self.advertised.clear();
        self.moved.clear();
        for action in actions {
            match *action {
                Action::Advertise { id, priority } => self.advert(id, priority, engine, now)?,
                Action::Acquire(id) => {
                    // A reload acquires again what has changed.
                    let held = std::mem::replace(&mut self.seat(id).holds, true);
                    if held && kind != Kind::Reload {
                        return breach(Rule::Addresses, "acquired twice");
                    }
                }
                Action::Release(id) => {
                    if !std::mem::replace(&mut self.seat(id).holds, false) {
                        return breach(Rule::Addresses, "released twice");
                    }
                }
                Action::Announce { id, .. } | Action::AnnounceElsewhere(id) => {
                    if !self.seat(id).holds {
                        return breach(Rule::Addresses, "announces what it does not hold");
                    }
                }
                Action::Notify { id, state, .. } => self.told(kind, id, state, engine)?,
                Action::AnnounceSource(_)
                | Action::NotifyGroup { .. }
                | Action::Say { .. }
                | Action::SayStranger(_) => {}
            }
        }
        self.afterwards(engine, now)?;
        self.groups(engine)
    }

    fn advert(
        &mut self,
        id: Id,
        priority: u8,
        engine: &Engine,
        now: Instant,
    ) -> Result<(), Breach> {
        let Some(instance) = engine.get(id) else {
            return breach(Rule::Addresses, format!("advertises for {id:?}"));
        };
        if self.advertised.contains(&id) {
            return breach(Rule::Sequence, "two adverts in answer to one event");
        }
        self.advertised.push(id);
        // One that gives way may say a last word.
        let was_master = self.seat(id).state == State::Master;
        if !was_master && (priority == RESIGN || !instance.owns_addresses()) {
            return breach(Rule::Addresses, "advertises but is not master");
        }
        let sequence = instance.sequence();
        let seat = self.seat(id);
        seat.said_at = now;
        if instance.key().is_some() && sequence <= seat.sequence {
            return breach(Rule::Sequence, format!("says sequence {sequence} again"));
        }
        seat.sequence = sequence;
        let group = engine
            .groups()
            .find(|(at, _)| Some(*at) == instance.group());
        let tracking = group.map(|(_, group)| &group.config().tracking);
        let right = self.world.verdict(instance.config(), tracking);
        let right = right.map(|verdict| verdict.priority(instance.config()));
        // Of two owners one may have to call itself something less.
        let lowered = right == Some(OWNER) && priority == OWNER - 1;
        if priority != RESIGN && right != Some(priority) && !lowered {
            return breach(
                Rule::Priority,
                format!("advertises priority {priority}, it should be {right:?}"),
            );
        }
        Ok(())
    }

    fn told(&mut self, kind: Kind, id: Id, told: Told, engine: &Engine) -> Result<(), Breach> {
        let removed = engine.iter().all(|(other, _)| other != id);
        let to = match told {
            Told::Master => State::Master,
            Told::Backup => State::Backup,
            Told::Fault if !removed => State::Fault,
            Told::Fault | Told::Stop | Told::Deleted => State::Init,
            Told::LowerPriority if self.seat(id).state == State::Master => return Ok(()),
            Told::PriorityChanged if self.seat(id).state != State::Init => return Ok(()),
            Told::LowerPriority | Told::PriorityChanged => {
                return breach(Rule::Transition, format!("{told:?} out of place"));
            }
        };
        let from = std::mem::replace(&mut self.seat(id).state, to);
        // One that a reload has added to a group that is master follows it as soon as it can.
        let joins = kind == Kind::World
            && (from, to) == (State::Backup, State::Master)
            && self.moved.contains(&id);
        if !kind.allows(from, to) && !joins {
            return breach(
                Rule::Transition,
                format!("from {from:?} to {to:?} by {kind:?}"),
            );
        }
        if kind == Kind::Reload && !self.may_follow_reload(id, from, to, engine) {
            return breach(
                Rule::Transition,
                format!("from {from:?} to {to:?} by a reload"),
            );
        }
        if from == State::Init && matches!(to, State::Backup | State::Master) {
            let instance = engine.get(id);
            let able = instance.and_then(|instance| self.able(engine, instance));
            if able.is_none_or(|(known, _)| !known) {
                return breach(Rule::Transition, "starts before all is known");
            }
        }
        if from == State::Init && to == State::Master {
            let config = engine.get(id).map(Instance::config);
            if config.is_none_or(|config| !config.is_owner() || config.wish != Wish::Master) {
                return breach(Rule::Transition, "master without listening first");
            }
        }
        let starting = self.world.is_starting();
        if starting && matches!(to, State::Backup | State::Master) && from == State::Init {
            return breach(Rule::Transition, "starts before its start-up delay is over");
        }
        if self.seat(id).holds != (to == State::Master) {
            return breach(
                Rule::Addresses,
                format!("{to:?}, but its addresses are not so"),
            );
        }
        self.moved.push(id);
        Ok(())
    }

    /// A reload is no reason to become or to cease to be master, but for the members of a sync group, which may have become
    /// others.
    fn may_follow_reload(&self, id: Id, from: State, to: State, engine: &Engine) -> bool {
        let moves = matches!(
            (from, to),
            (State::Master, State::Backup) | (State::Backup, State::Master)
        );
        let grouped = engine.get(id).is_some_and(|i| i.group().is_some());
        !moves || grouped || self.moved.contains(&id)
    }

    /// How those stand that have done something.
    fn afterwards(&mut self, engine: &Engine, now: Instant) -> Result<(), Breach> {
        for at in 0..self.moved.len() {
            let id = self.moved[at];
            let seat = *self.seat(id);
            let Some(instance) = engine.get(id) else {
                continue;
            };
            if instance.state() != seat.state {
                let state = instance.state();
                return breach(
                    Rule::Transition,
                    format!("it has told {:?}, but is {state:?}", seat.state),
                );
            }
            if seat.state == State::Backup {
                let interval = instance.master_interval();
                let full = now + waits(instance, interval);
                let owner = now + interval.as_duration() + skew(instance, interval);
                let due = instance.deadline();
                if due != Some(full) && !(instance.config().is_owner() && due == Some(owner)) {
                    return breach(
                        Rule::Listening,
                        format!("a new backup waits until {due:?}, it should be {full}"),
                    );
                }
            }
        }
        for at in 0..self.advertised.len() {
            let id = self.advertised[at];
            let said_at = self.seat(id).said_at;
            let Some(instance) = engine.get(id) else {
                continue;
            };
            let next = said_at + instance.config().interval.as_duration();
            if instance.owns_addresses() && instance.deadline().is_none_or(|at| at > next) {
                let due = instance.deadline();
                return breach(
                    Rule::Beat,
                    format!("said {said_at}, and next at {due:?}, it should be {next}"),
                );
            }
        }
        Ok(())
    }

    fn groups(&self, engine: &Engine) -> Result<(), Breach> {
        for (id, group) in engine.groups() {
            let count = |state| members(engine, id).filter(|i| i.state() == state).count();
            let all = members(engine, id).count();
            let (masters, faults) = (count(State::Master), count(State::Fault));
            if masters != 0 && masters != all {
                return breach(Rule::Groups, format!("{masters} of {all} are master"));
            }
            if faults != 0 && faults != all {
                return breach(Rule::Groups, format!("{faults} of {all} are in fault"));
            }
            let state = members(engine, id).next().map(Instance::state);
            let agreed = state.filter(|state| *state != State::Init && count(*state) == all);
            if agreed.is_some_and(|state| state != group.state()) {
                let told = group.state();
                return breach(
                    Rule::Groups,
                    format!("all are {agreed:?}, the group {told:?}"),
                );
            }
        }
        Ok(())
    }

    /// Who has a fault is in fault, and nobody else; who can start has started.
    fn faults(&self, engine: &Engine) -> Result<(), Breach> {
        for (id, instance) in engine.iter() {
            let Some((known, faulty)) = self.able(engine, instance) else {
                continue;
            };
            let state = self.state(id);
            let right = match (state, faulty) {
                // In a group the fault of one is told even before all is known of the others.
                (State::Init, true) => !known && instance.group().is_none(),
                (State::Init, false) => !known,
                (State::Fault, faulty) => faulty,
                (State::Backup | State::Master, faulty) => !faulty,
            };
            if !right {
                let name = &instance.config().name;
                return breach(
                    Rule::Faults,
                    format!("{name} is {state:?} where known is {known} and fault is {faulty}"),
                );
            }
        }
        Ok(())
    }

    /// Whether all is known of a virtual router, and whether it is in fault; in a sync group, of the group.
    pub(crate) fn able(&self, engine: &Engine, instance: &Instance) -> Option<(bool, bool)> {
        let Some(group) = instance.group() else {
            let verdict = self.world.verdict(instance.config(), None)?;
            return Some((verdict.known, verdict.faulty));
        };
        let tracking = &engine.group(group)?.config().tracking;
        let mut sum = (true, false);
        for member in members(engine, group) {
            match self.world.verdict(member.config(), Some(tracking)) {
                Some(verdict) => {
                    sum.0 &= verdict.known;
                    sum.1 |= verdict.faulty;
                }
                None => sum.0 = false,
            }
        }
        Some(sum)
    }

    /// What has become of an advert.
    pub(crate) fn heard(&self, before: Heard, engine: &Engine, now: Instant) -> Result<(), Breach> {
        let Some(instance) = engine.get(before.id) else {
            return Ok(());
        };
        // An answer reaches all, so that one is enough for many, within an eighth of the interval that it was given in.
        let interval = instance.config().interval;
        let seat = self.seats.get(before.id.0 as usize);
        let answered = seat.map(|seat| seat.said_at + interval.as_duration() / 8);
        let reloaded = self.reloaded_at.map(|at| at + LONGEST.as_duration() / 8);
        before.check(instance, answered.max(reloaded), now)
    }
}

/// The members of a sync group.
fn members(engine: &Engine, group: GroupId) -> impl Iterator<Item = &Instance> {
    let all = engine.iter().map(|(_, instance)| instance);
    all.filter(move |instance| instance.group() == Some(group))
}
