//! Virtual routers that fail over together: `vrrp_sync_group`.
//!
//! A group is master only when all of its members want to be, and then all of them are; it is backup as soon as one of them
//! is, and in fault as soon as one of them is (keepalived's vrrp/vrrp_sync.c). Members never move alone: what happens to one
//! is settled with the others before anything else happens.

use super::instance::{Input, Order};
use super::track::Faults;
use super::{Action, GroupId, Instance, State, Told};
use crate::model::SyncGroup;
use crate::time::Instant;

/// A sync group that runs.
#[derive(Debug)]
pub struct Group {
    pub(super) id: GroupId,
    config: SyncGroup,
    /// Where its members stand among the engine's instances.
    pub(super) members: Vec<usize>,
    state: State,
}

impl Group {
    pub(super) const fn new(id: GroupId, config: SyncGroup, members: Vec<usize>) -> Self {
        Self {
            id,
            config,
            members,
            state: State::Init,
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &SyncGroup {
        &self.config
    }

    /// What it is: what all of its members are.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// A reload replaced `old`; who was told what it is need not be told again.
    pub(super) const fn succeed(&mut self, old: &Self) {
        self.state = old.state;
    }

    /// Makes the members agree after something has happened to one of them.
    pub(super) fn settle(
        &mut self,
        instances: &mut [Instance],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.settle_faults(instances, now, out);
        let of = |instances: &[Instance], state: State| {
            let members = self.members.iter().filter_map(|at| instances.get(*at));
            members.filter(|member| member.state() == state).count()
        };
        let masters = of(instances, State::Master);
        if masters != 0 && masters != self.members.len() {
            self.order(Order::Backup, instances, now, out);
        }
        if self.all(instances, Instance::wants_master) {
            self.order(Order::Master, instances, now, out);
        }
        self.settle_announcements(instances, now, out);
        let counts = [State::Fault, State::Init, State::Backup].map(|s| (of(instances, s), s));
        let state = counts
            .into_iter()
            .find(|(count, _)| *count != 0)
            .map_or(State::Master, |(_, state)| state);
        if state != self.state && !self.members.is_empty() {
            self.state = state;
            let told = match state {
                State::Init => return,
                State::Backup => Told::Backup,
                State::Master => Told::Master,
                State::Fault => Told::Fault,
            };
            out.push(self.tell(told));
        }
    }

    /// The fault of one is a fault of all; nobody starts before all can.
    fn settle_faults(&self, instances: &mut [Instance], now: Instant, out: &mut Vec<Action>) {
        let well = self.all(instances, |member| member.faults.own().is_empty());
        let known = self.all(instances, |member| member.known);
        let entry = if self.all(instances, |member| member.state() != State::Backup) {
            Input::Ready
        } else {
            Input::Join
        };
        for at in &self.members {
            if let Some(member) = instances.get_mut(*at) {
                let own = member.faults.own();
                member.faults = if well || !own.is_empty() {
                    own
                } else {
                    own | Faults::GROUP
                };
                let starts = member.state() == State::Init;
                member.follow_faults(known || !well, entry, now, out);
                if starts && self.state == State::Master {
                    // New by a reload: a reload is no reason for the others to step down.
                    member.step(Input::Order(Order::Master), now, out);
                }
            }
        }
    }

    /// When one has told the hosts again where its addresses are, because another router may have drawn traffic to itself,
    /// the others do so too.
    fn settle_announcements(
        &self,
        instances: &mut [Instance],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.all(instances, |member| !member.insisted) {
            return;
        }
        for at in &self.members {
            if let Some(member) = instances.get_mut(*at) {
                if !core::mem::take(&mut member.insisted) {
                    member.step(Input::Order(Order::Announce), now, out);
                }
            }
        }
    }

    fn order(&self, order: Order, instances: &mut [Instance], now: Instant, out: &mut Vec<Action>) {
        for at in &self.members {
            if let Some(member) = instances.get_mut(*at) {
                member.step(Input::Order(order), now, out);
            }
        }
    }

    fn all(&self, instances: &[Instance], is: impl Fn(&Instance) -> bool) -> bool {
        let mut members = self.members.iter().filter_map(|at| instances.get(*at));
        !self.members.is_empty() && members.all(is)
    }

    pub(super) const fn tell(&self, state: Told) -> Action {
        Action::NotifyGroup {
            group: self.id,
            state,
        }
    }
}
