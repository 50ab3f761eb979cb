//! A script that is run again and again, and what its results mean.

use core::fmt;
use core::time::Duration;

use crate::model::ScriptTracker;
use crate::time::Instant;

/// From the request to end until the script is killed.
const GRACE: Duration = Duration::from_secs(2);
/// Between two attempts to kill it: a process that waits for a dead disk takes its time.
const AGAIN: Duration = Duration::from_secs(10);

/// One script and its results.
///
/// The caller carries out what [`tick`](Self::tick) orders, tells [`ended`](Self::ended), and waits for
/// [`deadline`](Self::deadline); then it looks at [`verdict`](Self::verdict).
#[derive(Clone, Debug)]
pub struct Script {
    rhythm: Rhythm,
    /// From 0 to `rise + fall - 1`; up from `rise` on.
    count: u32,
    verdict: Option<bool>,
    due: Instant,
    stage: Stage,
    /// That a run was left out has been told.
    skipped: bool,
    last: Option<Run>,
    /// What the last run had to say about itself.
    complaint: Box<str>,
    changed: Option<Instant>,
}

/// When to run, and how many results make a verdict.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    interval: Duration,
    timeout: Duration,
    rise: u32,
    fall: u32,
}

impl Rhythm {
    fn of(config: &ScriptTracker) -> Self {
        Self {
            // Zero would be one run after the other without a pause.
            interval: config.interval.max(Duration::from_millis(1)),
            timeout: config.timeout,
            rise: config.rise.max(1),
            fall: config.fall.max(1),
        }
    }

    const fn top(self) -> u32 {
        self.rise.saturating_add(self.fall).saturating_sub(1)
    }
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Idle,
    Running {
        started: Instant,
        until: Instant,
    },
    /// Its time is up, which has counted as a failure: how it ends does not matter any more.
    Ending {
        next: Instant,
    },
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Run it.
    Start,
    /// Ask it to end, and all that it has started.
    Terminate,
    /// Kill it, and all that it has started.
    Kill,
    /// Say that it still runs and is therefore not started again; ordered once until it is.
    Skip,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With status zero, or with a connection.
    Passed,
    /// With another status.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Nobody answers.
    Unanswered,
    /// It took too long.
    TimedOut,
    /// It could not be started.
    NotStarted,
}

/// The last run that came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// When it was over.
    pub at: Instant,
}

impl Script {
    /// A script that is to be run at once.
    #[must_use]
    pub fn new(config: &ScriptTracker, now: Instant) -> Self {
        let rhythm = Rhythm::of(config);
        Self {
            count: if config.init_fail { 0 } else { rhythm.rise - 1 },
            verdict: config.init_fail.then_some(false),
            rhythm,
            due: now,
            stage: Stage::Idle,
            skipped: false,
            last: None,
            complaint: "".into(),
            changed: None,
        }
    }

    /// The same command under other numbers: what is known of it stays. It must not be running.
    #[must_use]
    pub fn succeeded_by(&self, config: &ScriptTracker, now: Instant) -> Self {
        let rhythm = Rhythm::of(config);
        let count = match self.verdict {
            Some(true) => rhythm.top(),
            Some(false) => 0,
            None => rhythm.rise - 1,
        };
        Self {
            rhythm,
            count,
            due: self.due.min(now + rhythm.interval),
            stage: Stage::Idle,
            ..self.clone()
        }
    }

    /// Whether it is up; `None` before its first result.
    #[must_use]
    pub const fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// The last run that came to an end.
    #[must_use]
    pub const fn last(&self) -> Option<Run> {
        self.last
    }

    /// What the last run wrote on its standard error, the first lines of it in one; empty where that is not known.
    #[must_use]
    pub const fn complaint(&self) -> &str {
        &self.complaint
    }

    /// When the verdict last changed.
    #[must_use]
    pub const fn changed(&self) -> Option<Instant> {
        self.changed
    }

    /// When to call [`tick`](Self::tick) next.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Idle => self.due,
            Stage::Running { until, .. } => self.due.min(until),
            Stage::Ending { next } => self.due.min(next),
        }
    }

    /// Time has passed: what is to be done, one thing at a time until there is nothing left.
    pub fn tick(&mut self, now: Instant) -> Option<Order> {
        match self.stage {
            Stage::Idle if self.due <= now => {
                self.beat(now);
                self.skipped = false;
                self.stage = Stage::Running {
                    started: now,
                    until: now + self.rhythm.timeout,
                };
                Some(Order::Start)
            }
            Stage::Running { started, until } if until <= now => {
                self.stage = Stage::Ending { next: now + GRACE };
                self.note(Outcome::TimedOut, started, now);
                Some(Order::Terminate)
            }
            Stage::Ending { next } if next <= now => {
                self.stage = Stage::Ending { next: now + AGAIN };
                Some(Order::Kill)
            }
            Stage::Running { .. } | Stage::Ending { .. } if self.due <= now => {
                self.beat(now);
                (!core::mem::replace(&mut self.skipped, true)).then_some(Order::Skip)
            }
            _ => None,
        }
    }

    /// The next start: an interval after this one was due, or after now where that has passed.
    fn beat(&mut self, now: Instant) {
        let next = self.due + self.rhythm.interval;
        self.due = if next > now {
            next
        } else {
            now + self.rhythm.interval
        };
    }

    /// What was started is over. True if it was given up before, so that what it has left behind is to go as well.
    pub fn ended(&mut self, outcome: Outcome, now: Instant) -> bool {
        let stage = core::mem::replace(&mut self.stage, Stage::Idle);
        match stage {
            Stage::Idle => false,
            Stage::Running { started, .. } => {
                self.note(outcome, started, now);
                false
            }
            Stage::Ending { .. } => true,
        }
    }

    /// The run that has just come to an end wrote this on its standard error.
    pub fn complained(&mut self, words: Box<str>) {
        self.complaint = words;
    }

    fn note(&mut self, outcome: Outcome, started: Instant, now: Instant) {
        self.complaint = "".into();
        self.last = Some(Run {
            outcome,
            took: now.since(started),
            at: now,
        });
        let Rhythm { rise, .. } = self.rhythm;
        let top = self.rhythm.top();
        // They count in a row: one of the other kind begins anew.
        let was_up = self.count >= rise;
        self.count = match outcome {
            Outcome::Passed if was_up || self.count + 1 >= rise => top,
            Outcome::Passed => self.count + 1,
            _ if self.count > rise => self.count - 1,
            _ => 0,
        };
        let verdict = Some(self.count >= rise);
        if self.verdict != verdict {
            self.verdict = verdict;
            self.changed = Some(now);
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("exited with status 0"),
            Self::Status(127) => f.write_str("exited with status 127, not found"),
            Self::Status(126) => f.write_str("exited with status 126, cannot be executed"),
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(number) => write!(f, "exited due to signal {number}"),
            Self::Unanswered => f.write_str("no connection"),
            Self::TimedOut => f.write_str("due to timeout"),
            Self::NotStarted => f.write_str("could not be started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Command, Weight};

    const SECOND: Duration = Duration::from_secs(1);

    fn config(rise: u32, fall: u32) -> ScriptTracker {
        ScriptTracker {
            name: "chk".to_owned(),
            command: Command {
                text: "/bin/true".to_owned(),
                words: vec!["/bin/true".to_owned()],
                user: None,
            },
            interval: SECOND,
            timeout: SECOND,
            weight: Weight::default(),
            rise,
            fall,
            init_fail: false,
        }
    }

    fn at(milliseconds: u64) -> Instant {
        Instant(milliseconds * 1000)
    }

    /// The verdicts after these results: `+` is a success.
    fn verdicts(config: &ScriptTracker, results: &str) -> Vec<Option<bool>> {
        let mut script = Script::new(config, Instant(0));
        let step = |(second, result): (u64, char)| {
            let now = at(1000 * second);
            assert_eq!(script.tick(now), Some(Order::Start));
            let outcome = match result {
                '+' => Outcome::Passed,
                _ => Outcome::Status(1),
            };
            assert!(!script.ended(outcome, now));
            script.verdict()
        };
        (0..).zip(results.chars()).map(step).collect()
    }

    const UP: Option<bool> = Some(true);
    const DOWN: Option<bool> = Some(false);

    #[test]
    fn the_first_result_decides_whatever_rise_is() {
        assert_eq!(Script::new(&config(3, 1), Instant(0)).verdict(), None);
        assert_eq!(verdicts(&config(3, 1), "+"), [UP]);
        assert_eq!(verdicts(&config(3, 3), "-"), [DOWN]);
    }

    #[test]
    fn with_init_fail_it_is_down_until_it_has_risen() {
        let config = ScriptTracker {
            init_fail: true,
            ..config(2, 1)
        };
        assert_eq!(Script::new(&config, Instant(0)).verdict(), DOWN);
        assert_eq!(verdicts(&config, "++"), [DOWN, UP]);
    }

    #[test]
    fn rise_and_fall_count_results_in_a_row() {
        assert_eq!(
            verdicts(&config(2, 3), "+--+---++"),
            [UP, UP, UP, UP, UP, UP, DOWN, DOWN, UP]
        );
        assert_eq!(
            verdicts(&config(2, 1), "-+-++"),
            [DOWN, DOWN, DOWN, DOWN, UP]
        );
    }

    #[test]
    fn it_is_started_at_once_and_then_from_start_to_start() {
        let mut script = Script::new(&config(1, 1), at(7));
        assert_eq!(script.tick(at(7)), Some(Order::Start));
        script.ended(Outcome::Passed, at(407));
        assert_eq!(script.deadline(), at(1007));
        assert_eq!(script.tick(at(1006)), None);
        assert_eq!(script.tick(at(1007)), Some(Order::Start));
        // Woken late, it keeps its beat; after a long sleep it does not make up for lost time.
        script.ended(Outcome::Passed, at(1100));
        assert_eq!(script.tick(at(2050)), Some(Order::Start));
        script.ended(Outcome::Passed, at(2100));
        assert_eq!(script.deadline(), at(3007));
        assert_eq!(script.tick(at(9000)), Some(Order::Start));
        script.ended(Outcome::Passed, at(9001));
        assert_eq!(script.deadline(), at(10_000));
    }

    #[test]
    fn one_that_hangs_fails_at_its_timeout_and_is_killed_ever_again() {
        let config = ScriptTracker {
            interval: 100 * SECOND,
            ..config(1, 1)
        };
        let mut script = Script::new(&config, at(0));
        script.tick(at(0));
        assert_eq!(script.deadline(), at(1000));
        assert_eq!(script.verdict(), None);
        assert_eq!(script.tick(at(1000)), Some(Order::Terminate));
        assert_eq!(script.verdict(), DOWN);
        assert_eq!(script.last().unwrap().outcome, Outcome::TimedOut);
        for killed in [3000, 13_000, 23_000] {
            assert_eq!(script.deadline(), at(killed));
            assert_eq!(script.tick(at(killed - 1)), None);
            assert_eq!(script.tick(at(killed)), Some(Order::Kill));
        }
        assert!(script.ended(Outcome::Passed, at(24_000)));
        assert_eq!(script.verdict(), DOWN, "a late success is none");
        assert_eq!(script.deadline(), at(100_000));
    }

    #[test]
    fn one_that_still_runs_is_not_started_again_which_is_told_once() {
        let config = ScriptTracker {
            timeout: 10 * SECOND,
            ..config(1, 1)
        };
        let mut script = Script::new(&config, at(0));
        script.tick(at(0));
        assert_eq!(script.tick(at(1000)), Some(Order::Skip));
        assert_eq!(script.tick(at(1000)), None);
        assert_eq!(script.tick(at(2000)), None);
        script.ended(Outcome::Passed, at(2500));
        assert_eq!(script.verdict(), UP);
        assert_eq!(script.tick(at(3000)), Some(Order::Start));
        assert_eq!(script.tick(at(4000)), Some(Order::Skip));
    }

    #[test]
    fn other_numbers_keep_the_verdict() {
        let mut script = Script::new(&config(1, 1), at(0));
        script.tick(at(0));
        script.ended(Outcome::Passed, at(10));
        let mut script = script.succeeded_by(&config(3, 2), at(500));
        assert_eq!((script.verdict(), script.deadline()), (UP, at(1000)));
        for second in 1..=2 {
            assert_eq!(script.verdict(), UP);
            script.tick(at(second * 1000));
            script.ended(Outcome::Status(1), at(second * 1000));
        }
        assert_eq!(script.verdict(), DOWN);
        assert_eq!(script.changed(), Some(at(2000)));
    }
}
