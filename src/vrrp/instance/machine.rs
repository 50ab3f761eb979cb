//! The state machine.
//!
//! ```text
//!            interfaces known          silence for master_down          another is better
//!   ┌──────┐ ───────────────▶ ┌────────┐ ────────────────────▶ ┌────────┐
//!   │ Init │                  │ Backup │                       │ Master │
//!   └──────┘ ─┐          ┌──▶ └────────┘ ◀──────────────────── └────────┘
//!             │ fault    │ all is well │ fault                      │ fault
//!             └────────▶ ┌───────┐ ◀───┴────────────────────────────┘
//!                        │ Fault │
//!                        └───────┘
//! ```
//!
//! Each state owns exactly its timers, so that one that belongs to no state cannot be left running.

use super::backup::Backup;
use super::hear::Said;
use super::master::Master;
use super::{Heard, Instance, claims};
use crate::model::Peering;
use crate::name::{Priority, RESIGN};
use crate::time::{Centis, Instant};
use crate::vrrp::announce::Schedule;
use crate::vrrp::{Action, Note, State, Told, Transition, Why};

/// A master that has counted its authentication headers up to here stops being master; whoever is the next one counts from
/// zero again, for no number may come twice. At one advert a second that takes 136 years.
pub(super) const LAST_SEQUENCE: u32 = u32::MAX - 2;

/// A state and what means something in it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Init,
    Fault,
    Backup(Backup),
    Master(Master),
}

/// What can happen to a virtual router.
#[derive(Clone, Copy, Debug)]
pub(in crate::vrrp) enum Input {
    /// All that it needs is there.
    Ready,
    /// All that it needs is there, and its sync group is backup already.
    Join,
    /// Something that it needs is missing.
    Fault,
    /// Time has passed.
    Tick,
    /// A legal advert.
    Advert(Heard),
    /// It is to do as its sync group does, or as the kernel has done.
    Order(Order),
    /// The daemon stops, or a reload removed it.
    Stop(Told),
}

/// What a virtual router is told to do by more than its own timers and adverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vrrp) enum Order {
    /// All of its sync group become master.
    Master,
    /// Another member of its sync group is backup.
    Backup,
    /// Another member told the hosts again where its addresses are.
    Announce,
}

impl Instance {
    /// The state machine; every pair of state and input has its arm.
    pub(in crate::vrrp) fn step(&mut self, input: Input, now: Instant, out: &mut Vec<Action>) {
        self.phase = match (self.phase, input) {
            (Phase::Init, Input::Ready) => self.start(now, out),
            (Phase::Init, Input::Join) => self.listen_first(now, out),
            (Phase::Init, Input::Fault) => self.fail(now, out),
            (Phase::Init, Input::Stop(told)) => self.end(told, now, out),
            (Phase::Init, Input::Tick | Input::Advert(_) | Input::Order(_)) => Phase::Init,

            (Phase::Fault, Input::Ready | Input::Join) => self.recover(now, out),
            (Phase::Fault, Input::Stop(told)) => self.end(told, now, out),
            (Phase::Fault, Input::Fault | Input::Tick | Input::Advert(_) | Input::Order(_)) => {
                Phase::Fault
            }

            (Phase::Backup(backup), Input::Tick) if now >= backup.down_at => {
                self.expire(backup, now, out)
            }
            (Phase::Backup(backup), Input::Order(Order::Master)) => self.succeed(backup, now, out),
            (Phase::Backup(backup), Input::Advert(heard)) => {
                Phase::Backup(self.listen(backup, heard, now, out))
            }
            (Phase::Backup(_), Input::Fault) => self.fail(now, out),
            (Phase::Backup(_), Input::Stop(told)) => self.end(told, now, out),
            (Phase::Backup(_), Input::Tick | Input::Ready | Input::Join | Input::Order(_)) => {
                self.phase
            }

            (Phase::Master(master), Input::Tick) => self.tick(master, now, out),
            (Phase::Master(master), Input::Advert(heard)) => self.contend(master, heard, now, out),
            (Phase::Master(_), Input::Fault) => {
                self.resign(out);
                self.fail(now, out)
            }
            (Phase::Master(_), Input::Stop(told)) => {
                self.resign(out);
                self.end(told, now, out)
            }
            (Phase::Master(_), Input::Order(Order::Backup)) => {
                self.back_up(Why::Group, self.config.interval, now, out)
            }
            (Phase::Master(mut master), Input::Order(Order::Announce)) => {
                self.remind(&mut master, now, out);
                Phase::Master(master)
            }
            (Phase::Master(_), Input::Ready | Input::Join | Input::Order(Order::Master)) => {
                self.phase
            }
        };
    }

    /// An owner that wishes to be master, in a sync group of such ones if in any.
    fn claims(&self) -> bool {
        let group = self.membership.as_ref();
        claims(&self.config) && group.is_none_or(|group| group.all_owners)
    }

    /// Whoever owns the addresses and wishes to be master is so at once; anyone else listens first.
    fn start(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        if self.claims() {
            return self.take_over(Why::Owner, now, out);
        }
        self.listen_first(now, out)
    }

    fn listen_first(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        self.back_up(Why::Start, self.config.interval, now, out)
    }

    /// After a fault nobody is master at once: an owner waits for one interval and its skew, time enough for a bridge or a
    /// switch to forward again.
    fn recover(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        let interval = self.config.interval;
        if matches!(self.config.peering, Peering::Unicast { .. }) {
            out.push(Action::AnnounceSource(self.id));
        }
        match self.back_up(Why::Recovered, interval, now, out) {
            Phase::Backup(backup) if self.claims() => Phase::Backup(Backup {
                down_at: now + interval.as_duration() + self.skew(interval),
                ..backup
            }),
            phase => phase,
        }
    }

    pub(super) fn back_up(
        &mut self,
        why: Why,
        interval: Centis,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Phase {
        self.enter(State::Backup, why, now, out);
        self.leave_master(out);
        out.push(self.tell(Told::Backup));
        Phase::Backup(Backup {
            down_at: now + self.master_down(interval),
            interval,
            preempt_at: None,
            wants: false,
            reason: None,
        })
    }

    fn fail(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        self.enter(State::Fault, Why::Missing(self.faults), now, out);
        self.heard = None;
        self.leave_master(out);
        out.push(self.tell(Told::Fault));
        Phase::Fault
    }

    fn end(&mut self, told: Told, now: Instant, out: &mut Vec<Action>) -> Phase {
        self.pass(State::Init, Why::End, now);
        self.leave_master(out);
        out.push(self.tell(told));
        Phase::Init
    }

    /// Passes into a state, and says so.
    fn enter(&mut self, to: State, why: Why, now: Instant, out: &mut Vec<Action>) {
        let transition = self.pass(to, why, now);
        out.push(self.say(Note::Became(transition)));
    }

    /// Complaints are made anew in every state.
    fn pass(&mut self, to: State, why: Why, now: Instant) -> Transition {
        let transition = Transition {
            from: self.state(),
            to,
            lasted: now.since(self.since),
            why,
        };
        self.last = Some(transition);
        self.since = now;
        self.said = Said::default();
        transition
    }

    fn leave_master(&mut self, out: &mut Vec<Action>) {
        if self.owns_addresses() {
            self.stats.release_master += 1;
            out.push(Action::Release(self.id));
        }
    }

    /// Takes over from the master that it was the backup of.
    pub(super) fn succeed(&mut self, backup: Backup, now: Instant, out: &mut Vec<Action>) -> Phase {
        match self.take_over(self.reason(backup, now), now, out) {
            Phase::Master(mut master) if backup.reason.is_some() && self.config.vmac.is_some() => {
                master.announce.succeed(now);
                Phase::Master(master)
            }
            phase => phase,
        }
    }

    /// The advert comes first, so that no other one starts; then the addresses, then the announcement of where they are.
    fn take_over(&mut self, why: Why, now: Instant, out: &mut Vec<Action>) -> Phase {
        let transition = self.pass(State::Master, why, now);
        if core::mem::take(&mut self.lowered) {
            out.push(self.say(Note::OwnerRestored));
        }
        if self.sequence > LAST_SEQUENCE {
            self.sequence = 0;
        }
        self.stats.become_master += 1;
        self.stats.last_master = Some(now);
        out.push(self.say(Note::Became(transition)));
        self.advertise(self.priority(), out);
        out.push(Action::Acquire(self.id));
        let plan = &self.config.announcing;
        let announce = Schedule::of_new_master(plan, now);
        self.announce(Some(plan.repeat), out);
        out.push(self.tell(Told::Master));
        Phase::Master(Master {
            advert_at: now + self.config.interval.as_duration(),
            announce,
            answered_until: now,
            rival: None,
        })
    }

    pub(super) fn advertise(&mut self, priority: Priority, out: &mut Vec<Action>) {
        self.sequence = self.sequence.saturating_add(1);
        self.said_sequence = true;
        if priority == RESIGN {
            self.stats.pri_zero_sent += 1;
        } else {
            self.stats.advert_sent += 1;
        }
        out.push(Action::Advertise {
            id: self.id,
            priority,
        });
    }

    pub(super) fn announce(&self, repeat: Option<u32>, out: &mut Vec<Action>) {
        if let Some(repeat @ 1..) = repeat {
            out.push(Action::Announce {
                id: self.id,
                repeat,
            });
        }
    }
}
