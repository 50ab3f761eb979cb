//! When the world is told where the addresses live, as data.
//!
//! Hosts and switches learn from a first set of gratuitous ARPs and neighbour advertisements, sent at once. A second set
//! comes a while later for those that lost the first (a switch port that was still learning). The same pair answers an
//! advert of lower priority, whose sender may have drawn traffic to itself. A refresh repeats for as long as we are master.
//! `garp_extra_if` repeats on the interfaces that no advert leaves by, whose switches would forget a MAC that nobody hears.
//! Who succeeds a living master with a virtual MAC goes on announcing for as long as that one may not have let go.

use core::time::Duration;

use crate::model::Announcing;
use crate::time::Instant;

/// What is still to be announced; owned by the state Master, so that nothing can be left running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    succession: Option<Succession>,
    second: Option<Instant>,
    lower_second: Option<Instant>,
    refresh: Option<Instant>,
    elsewhere: Option<Instant>,
}

/// While a master that gives way still has its addresses, its kernel answers whoever asks for them, its successor's gratuitous ARP
/// too, and with each answer the switch goes on bringing it what is for the virtual MAC. How long that lasts nobody knows: a busy
/// host takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Succession {
    at: Instant,
    wait: Duration,
}

/// Until the first of these announcements; each further one comes after twice the time, until the second set does.
const SUCCESSION: Duration = Duration::from_millis(100);

impl Schedule {
    /// The schedule of one who becomes master now; the first set is the caller's, `plan.repeat` packets.
    pub(super) fn of_new_master(plan: &Announcing, now: Instant) -> Self {
        Self {
            succession: None,
            second: after(plan.delay, now),
            lower_second: None,
            refresh: after(plan.refresh, now),
            elsewhere: after(plan.extra_interface, now + plan.delay),
        }
    }

    /// The master before may still be there. Who wants a single announcement (`garp_master_delay 0`) gets no other one.
    pub(super) fn succeed(&mut self, now: Instant) {
        self.follow(Succession {
            at: now + SUCCESSION,
            wait: SUCCESSION,
        });
    }

    fn follow(&mut self, next: Succession) {
        let before = |second| next.at < second;
        self.succession = self.second.is_some_and(before).then_some(next);
    }

    /// All addresses again, as for a new master.
    pub(super) fn again(&mut self, plan: &Announcing, now: Instant) -> Option<u32> {
        self.second = after(plan.delay, now);
        some(plan.repeat)
    }

    /// Someone else may have drawn traffic to itself: how many packets to send at once.
    pub(super) fn lower_priority(&mut self, plan: &Announcing, now: Instant) -> Option<u32> {
        let repeat = some(plan.lower_repeat)?;
        self.lower_second = after(plan.lower_delay, now);
        Some(repeat)
    }

    /// A reload changed the times.
    pub(super) fn replan(&mut self, plan: &Announcing, now: Instant) {
        self.refresh = after(plan.refresh, now);
        self.elsewhere = after(plan.extra_interface, now);
    }

    /// When the next set is due.
    pub(super) fn next(&self) -> Option<Instant> {
        [
            self.succession.map(|succession| succession.at),
            self.second,
            self.lower_second,
            self.refresh,
            self.elsewhere,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How many packets are due now; sets that fall together are sent once, as the largest of them.
    pub(super) fn due(&mut self, plan: &Announcing, now: Instant) -> Option<u32> {
        let mut repeat = 0;
        if let Some(succession) = self.succession.filter(|succession| succession.at <= now) {
            repeat = 1;
            let wait = succession.wait * 2;
            self.follow(Succession {
                at: now + wait,
                wait,
            });
        }
        if self.second.take_if(|at| *at <= now).is_some() {
            repeat = repeat.max(plan.repeat);
        }
        if self.lower_second.take_if(|at| *at <= now).is_some() {
            repeat = repeat.max(plan.lower_repeat);
        }
        if let Some(at) = self.refresh.take_if(|at| *at <= now) {
            repeat = repeat.max(plan.refresh_repeat);
            let next = at + plan.refresh;
            self.refresh = Some(if next > now { next } else { now + plan.refresh });
        }
        some(repeat)
    }

    /// Whether it is time for the other interfaces.
    pub(super) fn due_elsewhere(&mut self, plan: &Announcing, now: Instant) -> bool {
        let due = self.elsewhere.take_if(|at| *at <= now).is_some();
        if due {
            self.elsewhere = after(plan.extra_interface, now);
        }
        due
    }
}

fn after(delay: Duration, now: Instant) -> Option<Instant> {
    (!delay.is_zero()).then(|| now + delay)
}

fn some(repeat: u32) -> Option<u32> {
    (repeat != 0).then_some(repeat)
}
