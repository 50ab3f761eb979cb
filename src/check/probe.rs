//! One check that is made again and again, and what its results mean.
//!
//! Checks that are equal in everything are one probe with several subscribers: the same server in ten pools is asked once.

use core::time::Duration;

use super::event::{Cause, ProbeId};
use super::pages::{self, Pages, Round};
use super::schedule::spread;
use crate::model::Weight;
use crate::model::lvs::{Check, Checker};
use crate::time::Instant;

/// One check and its results.
#[derive(Debug)]
pub struct Probe {
    id: ProbeId,
    checker: Checker,
    up: bool,
    /// Whether it has had a result.
    known: bool,
    /// Failures in a row that are borne.
    borne: u32,
    pages: Pages,
    effect: Effect,
    /// When it last turned, or began.
    since: Instant,
    failure: Option<Box<Failure>>,
    /// The last attempt could not be made.
    untried: bool,
    phase: Phase,
}

/// The last attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Instant,
}

/// What a check does to the weight of its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// `misc_dynamic`: the weight is this instead of the configured one.
    Instead(u8),
    /// `FILE_CHECK`: this is added.
    Added(i64),
}

impl Effect {
    /// The difference that it makes to a configured weight; those of several checks add up.
    #[must_use]
    pub fn difference(self, configured: u32) -> i64 {
        match self {
            Self::None => 0,
            Self::Instead(weight) => i64::from(weight) - i64::from(configured),
            Self::Added(more) => more,
        }
    }
}

/// Where it is between two attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is attempted: `ha_suspend`, a file, or stopped.
    Resting,
    /// The next attempt is due then.
    Waiting(Instant),
    /// One is being made.
    Running {
        /// When it was to begin.
        due: Instant,
        /// When it began, which is a little earlier or later.
        started: Instant,
    },
}

/// What a result has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It is the first one and confirms what was assumed.
    First,
    /// A failure is borne: it will be tried again.
    Borne,
    /// It passes now, or fails now.
    Turned,
}

impl Probe {
    /// A check that has no result yet. It counts as passing until proven otherwise, with `alpha` as failing.
    pub(super) fn new(id: ProbeId, checker: Checker, now: Instant) -> Self {
        Self {
            id,
            // What a file says is known at once.
            up: !checker.alpha || matches!(checker.check, Check::File(..)),
            checker,
            known: false,
            borne: 0,
            pages: Pages::default(),
            effect: Effect::None,
            since: now,
            failure: None,
            untried: false,
            phase: Phase::Resting,
        }
    }

    /// Takes over what is known of the same check under other settings.
    pub(super) fn inherit(&mut self, old: &Self, now: Instant) {
        self.phase = match old.phase {
            Phase::Resting => Phase::Resting,
            Phase::Waiting(at) if at <= now + self.checker.pace.interval => Phase::Waiting(at),
            // Many that are to be quicker at once do not all come at once.
            Phase::Waiting(_) => {
                Phase::Waiting(now + spread(self.id.0, self.checker.pace.interval))
            }
            Phase::Running { .. } => Phase::Waiting(now),
        };
        if !old.known {
            return;
        }
        self.up = old.up;
        self.known = true;
        self.borne = old.borne.min(self.checker.pace.retry);
        self.pages = old.pages;
        self.effect = old.effect;
        self.since = old.since;
        self.failure.clone_from(&old.failure);
    }

    /// A check that a reload adds to a server which is up takes nothing away before its first result.
    pub(super) const fn trust(&mut self) {
        if !self.known {
            self.up = true;
        }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ProbeId {
        self.id
    }

    /// What it does.
    #[must_use]
    pub const fn checker(&self) -> &Checker {
        &self.checker
    }

    /// Whether it passes.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Whether it has had a result.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Since when it has passed, or failed.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// The last failure, also one that was borne or has been overcome.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// What it does to the weight of its servers.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// Where it is between two attempts.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// How many failures in a row have been borne.
    #[must_use]
    pub const fn borne(&self) -> u32 {
        self.borne
    }

    /// The page that the next attempt asks for, of a check that has several.
    #[must_use]
    pub const fn page(&self) -> usize {
        self.pages.next()
    }

    /// Whether attempts are made at all: a file tells by itself.
    pub(super) fn is_active(&self) -> bool {
        !matches!(self.checker.check, Check::File(..) | Check::Bfd(_))
    }

    pub(super) const fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Keeps a failure, in the place of the one before.
    fn fail(&mut self, cause: Cause, now: Instant) {
        let failure = Failure { cause, at: now };
        match &mut self.failure {
            Some(before) => **before = failure,
            None => self.failure = Some(Box::new(failure)),
        }
    }

    /// An attempt could not be made. True if that is news.
    pub(super) fn miss(&mut self, cause: Cause, now: Instant) -> bool {
        self.fail(cause, now);
        !core::mem::replace(&mut self.untried, true)
    }

    /// A result came in.
    pub(super) fn observe(&mut self, result: Result<Effect, Cause>, now: Instant) -> Change {
        let first = !self.known;
        self.untried = false;
        match result {
            Ok(effect) => {
                self.borne = 0;
                if self.pages.passed(pages::count(&self.checker.check)) != Round::Good {
                    return Change::None;
                }
                self.known = true;
                self.effect = effect;
                self.turn(true, first, now)
            }
            Err(cause) => {
                self.known = true;
                self.fail(cause, now);
                if self.up && self.borne < self.checker.pace.retry {
                    self.borne += 1;
                    return Change::Borne;
                }
                self.borne = 0;
                self.effect = Effect::None;
                self.pages.failed();
                self.turn(false, first, now)
            }
        }
    }

    fn turn(&mut self, up: bool, first: bool, now: Instant) -> Change {
        match (self.up == up, first) {
            (true, false) => Change::None,
            (true, true) => Change::First,
            (false, _) => {
                self.up = up;
                self.since = now;
                Change::Turned
            }
        }
    }

    /// When the next attempt is due, now that one is over. The interval of a command counts from its start, that of a
    /// connection from its end, as with keepalived, unless it was quick.
    pub(super) fn next(&self, now: Instant) -> Instant {
        // Without any pause there would be time for nothing else.
        const LEAST: Duration = Duration::from_millis(1);
        let pause = self.pause();
        match (self.phase, &self.checker.check) {
            (Phase::Running { due, .. }, Check::Misc { .. }) => (due + pause).max(now + LEAST),
            // A server that nothing bad is known of any more is not kept waiting.
            (_, Check::Http(http)) if http.fast_recovery && self.hopes() => now + LEAST,
            (_, Check::Http(_)) if self.pages.failing() => {
                self.after(pause.max(self.checker.pace.retry_delay), now)
            }
            _ => self.after(pause.max(LEAST), now),
        }
    }

    /// Many checks stay as even as they began: a quick attempt counts from when it was due, as what it took is the doing of
    /// this host. After a busy moment that made many wait for long, they are spread anew.
    fn after(&self, pause: Duration, now: Instant) -> Instant {
        let Phase::Running { due, started } = self.phase else {
            return now + pause;
        };
        let soon = pause / 4;
        if started.since(due) > soon {
            now + pause / 2 + spread(self.id.0, pause)
        } else if now.since(started) > soon {
            now + pause
        } else {
            due + pause
        }
    }

    /// The pause that is due after an attempt, or was before this one.
    fn pause(&self) -> Duration {
        match self.borne {
            0 => self.checker.pace.interval,
            _ => self.checker.pace.retry_delay,
        }
    }

    /// How much too early the next attempt may begin, so that several begin together and are waited for once: no more than
    /// anybody could tell from the clock's own ways.
    pub(super) fn leeway(&self) -> Duration {
        (self.pause() / 256).min(Duration::from_millis(4))
    }

    fn hopes(&self) -> bool {
        !self.known || !self.up && !self.pages.failing()
    }
}

/// What a number in a file means to a server: it is added to the weight, multiplied, or with weight 0 decides alone.
pub(super) fn file_effect(value: i64, weight: Weight) -> Result<Effect, Cause> {
    let fault = Err(Cause::File(value));
    if weight.value == 0 {
        return if (value != 0) == weight.reverse {
            Ok(Effect::None)
        } else {
            fault
        };
    }
    let sign = if weight.reverse { -1 } else { 1 };
    let product = value.saturating_mul(i64::from(weight.value) * sign);
    // The lowest of all numbers is keepalived's word for a fault.
    if product <= i64::from(i32::MIN) {
        return fault;
    }
    Ok(Effect::Added(product.min(i64::from(i32::MAX))))
}
