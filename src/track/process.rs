//! Processes of which enough run, and not too many.

use core::time::Duration;

use crate::model::{ArgumentMatch, ProcessTracker};
use crate::time::Instant;

/// The kernel keeps so many bytes of a process's name (`TASK_COMM_LEN` of linux/sched.h, less its NUL).
const NAME: usize = 15;

/// Whether a process is meant, by its short name; if so, its command line is to be looked at as well where
/// [`looks_closer`] says so.
#[must_use]
pub fn is_named(tracker: &ProcessTracker, name: &[u8]) -> bool {
    let Some(wanted) = tracker.words.first() else {
        return false;
    };
    if tracker.full_command {
        return true;
    }
    let wanted = last_part(wanted.as_bytes());
    wanted.get(..NAME).unwrap_or(wanted) == name
}

/// Whether its command line is what is meant: words that each end with a NUL. Without any it is a kernel thread or dead
/// already, and does not count.
#[must_use]
pub fn is_meant(tracker: &ProcessTracker, line: &[u8]) -> bool {
    let line = line.strip_suffix(&[0]).unwrap_or(line);
    if line.is_empty() {
        return false;
    }
    let mut words = line.split(|byte| *byte == 0);
    let first = words.next().unwrap_or_default();
    let mut wanted = tracker.words.iter().map(String::as_bytes);
    if tracker.full_command && wanted.next() != Some(first) {
        return false;
    }
    let wanted = tracker.words.iter().skip(1).map(String::as_bytes);
    let Some(how) = tracker.arguments else {
        return true;
    };
    let last = tracker.words.len().saturating_sub(2);
    for (place, wanted) in wanted.enumerate() {
        let fits = |word: &[u8]| match how {
            ArgumentMatch::Partial if place == last => word.starts_with(wanted),
            _ => word == wanted,
        };
        if !words.next().is_some_and(fits) {
            return false;
        }
    }
    how != ArgumentMatch::Exact || words.next().is_none()
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Whether enough of them run; a change counts when it has lasted for its delay.
#[derive(Clone, Debug)]
pub struct Quorum {
    fewest: u32,
    most: u32,
    fork_delay: Duration,
    terminate_delay: Duration,
    count: u32,
    verdict: Option<bool>,
    changed: Option<Instant>,
    /// It will be the other way round then, unless it changes back before.
    pending: Option<Instant>,
}

impl Quorum {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(config: &ProcessTracker) -> Self {
        Self {
            fewest: config.quorum,
            most: config.quorum_max.unwrap_or(u32::MAX),
            fork_delay: config.fork_delay,
            terminate_delay: config.terminate_delay,
            count: 0,
            verdict: None,
            changed: None,
            pending: None,
        }
    }

    /// So many there are now. The first count decides at once: there is nothing that it could be a change of.
    pub fn count(&mut self, count: u32, now: Instant) {
        self.count = count;
        let met = (self.fewest..=self.most).contains(&count);
        match self.verdict {
            None => self.decide(met, now),
            Some(verdict) if verdict == met => self.pending = None,
            Some(_) => {
                let delay = if met {
                    self.fork_delay
                } else {
                    self.terminate_delay
                };
                self.pending.get_or_insert(now + delay);
                self.tick(now);
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        if self.pending.take_if(|at| *at <= now).is_some() {
            self.decide(self.verdict == Some(false), now);
        }
    }

    fn decide(&mut self, met: bool, now: Instant) {
        self.verdict = Some(met);
        self.changed = Some(now);
    }

    /// Whether it is up; `None` before the first count.
    #[must_use]
    pub const fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// How many there are.
    #[must_use]
    pub const fn processes(&self) -> u32 {
        self.count
    }

    /// When the verdict last changed.
    #[must_use]
    pub const fn changed(&self) -> Option<Instant> {
        self.changed
    }

    /// When to call [`tick`](Self::tick); `None` is never.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Weight;

    fn tracker(words: &[&str]) -> ProcessTracker {
        ProcessTracker {
            name: "p".to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            arguments: None,
            full_command: false,
            weight: Weight::default(),
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        }
    }

    #[test]
    fn the_name_counts_as_far_as_the_kernel_keeps_it() {
        assert!(is_named(&tracker(&["dnsmasq"]), b"dnsmasq"));
        assert!(is_named(&tracker(&["/usr/sbin/dnsmasq"]), b"dnsmasq"));
        assert!(!is_named(&tracker(&["dns"]), b"dnsmasq"));
        assert!(is_named(
            &tracker(&["a-very-long-name-of-it"]),
            b"a-very-long-nam"
        ));
    }

    #[test]
    fn the_full_command_is_its_first_word() {
        let tracker = ProcessTracker {
            full_command: true,
            ..tracker(&["/usr/sbin/dnsmasq"])
        };
        assert!(is_named(&tracker, b"whatever"));
        assert!(is_meant(&tracker, b"/usr/sbin/dnsmasq\0-k\0"));
        assert!(!is_meant(&tracker, b"dnsmasq\0-k\0"));
    }

    #[test]
    fn arguments_are_all_the_first_ones_or_a_beginning() {
        let with = |arguments| ProcessTracker {
            arguments,
            ..tracker(&["d", "-k", "--port=5"])
        };
        let lines: [&[u8]; 4] = [
            b"d\0-k\0--port=5\0",
            b"d\0-k\0--port=5\0-x\0",
            b"d\0-k\0--port=53\0",
            b"d\0-k\0",
        ];
        let meant = |arguments| lines.map(|line| is_meant(&with(arguments), line));
        assert_eq!(meant(None), [true; 4]);
        assert_eq!(
            meant(Some(ArgumentMatch::Exact)),
            [true, false, false, false]
        );
        assert_eq!(
            meant(Some(ArgumentMatch::Initial)),
            [true, true, false, false]
        );
        assert_eq!(
            meant(Some(ArgumentMatch::Partial)),
            [true, true, true, false]
        );
    }

    #[test]
    fn a_zombie_does_not_count() {
        assert!(!is_meant(&tracker(&["d"]), b""));
    }

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000)
    }

    #[test]
    fn there_must_be_enough_and_not_too_many() {
        let mut quorum = Quorum::new(&ProcessTracker {
            quorum: 2,
            quorum_max: Some(3),
            ..tracker(&["d"])
        });
        let mut after = |count| {
            quorum.count(count, at(u64::from(count)));
            quorum.verdict()
        };
        let verdicts = [0, 1, 2, 3, 4].map(&mut after);
        let [no, yes] = [Some(false), Some(true)];
        assert_eq!(verdicts, [no, no, yes, yes, no]);
    }

    #[test]
    fn a_change_counts_when_it_has_lasted() {
        let mut quorum = Quorum::new(&ProcessTracker {
            fork_delay: Duration::from_secs(2),
            terminate_delay: Duration::from_secs(5),
            ..tracker(&["d"])
        });
        quorum.count(0, at(0));
        assert_eq!(quorum.verdict(), Some(false), "the first count decides");
        quorum.count(1, at(10));
        assert_eq!(
            (quorum.verdict(), quorum.deadline()),
            (Some(false), Some(at(12)))
        );
        quorum.count(2, at(11));
        quorum.tick(at(12));
        assert_eq!(
            (quorum.verdict(), quorum.changed()),
            (Some(true), Some(at(12)))
        );
        quorum.count(0, at(20));
        quorum.count(1, at(24));
        assert_eq!(quorum.deadline(), None, "a restart was short enough");
        quorum.count(0, at(30));
        quorum.tick(at(34));
        assert_eq!(quorum.verdict(), Some(true));
        quorum.tick(at(35));
        assert_eq!(quorum.verdict(), Some(false));
    }
}
