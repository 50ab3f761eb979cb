//! `interface_up_down_delays`: a change of a link counts only once it has lasted.

use core::time::Duration;

use crate::name::IfName;
use crate::sorted::Map;
use crate::time::Instant;

/// What counts of links that come and go.
#[derive(Debug, Default)]
pub struct Debouncer {
    delays: Vec<(IfName, Duration, Duration)>,
    links: Map<IfName, Link>,
}

/// A link whose changes are delayed.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// What counts.
    up: bool,
    /// When the opposite will, if it lasts.
    until: Option<Instant>,
}

impl Debouncer {
    /// Nothing has been seen yet. A delay is that of an interface when it goes down, and when it comes up.
    #[must_use]
    pub const fn new(delays: Vec<(IfName, Duration, Duration)>) -> Self {
        Self {
            delays,
            links: Map::new(),
        }
    }

    /// Takes up other delays, for changes to come.
    pub fn reload(&mut self, delays: Vec<(IfName, Duration, Duration)>) {
        self.delays = delays;
    }

    /// What counts of a link that is `up` or not; its delays are those of `configured`. What is seen first counts at once.
    pub fn settle(&mut self, name: &IfName, configured: &IfName, up: bool, now: Instant) -> bool {
        let delays = self.delays.iter().find(|(name, ..)| name == configured);
        let Some((_, down, back)) = delays else {
            self.links.remove(name);
            return up;
        };
        let delay = if up { *back } else { *down };
        let first = Link { up, until: None };
        let link = self.links.get_or_insert_with(name.clone(), || first);
        if link.up == up {
            link.until = None;
        } else {
            let until = *link.until.get_or_insert(now + delay);
            if until <= now {
                *link = first;
            }
        }
        link.up
    }

    /// Forgets the links that are not to be kept.
    pub fn keep(&mut self, kept: impl Fn(&IfName) -> bool) {
        self.links.retain(|name, _| kept(name));
    }

    /// When a change will count if it lasts.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(|link| link.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Instant {
        Instant(ms * 1_000)
    }

    fn eth0() -> IfName {
        IfName::new("eth0").unwrap()
    }

    /// 100 ms down, 50 ms up, and up now.
    fn debouncer() -> Debouncer {
        let ms = Duration::from_millis;
        let mut debouncer = Debouncer::new(vec![(eth0(), ms(100), ms(50))]);
        assert!(debouncer.settle(&eth0(), &eth0(), true, at(0)));
        assert_eq!(debouncer.deadline(), None);
        debouncer
    }

    #[test]
    fn a_change_counts_once_it_has_lasted() {
        let mut debouncer = debouncer();
        assert!(debouncer.settle(&eth0(), &eth0(), false, at(10)));
        assert_eq!(debouncer.deadline(), Some(at(110)));
        assert!(debouncer.settle(&eth0(), &eth0(), false, at(109)));
        assert!(!debouncer.settle(&eth0(), &eth0(), false, at(110)));
        assert_eq!(debouncer.deadline(), None);
        assert!(!debouncer.settle(&eth0(), &eth0(), true, at(200)));
        assert!(debouncer.settle(&eth0(), &eth0(), true, at(250)));
    }

    #[test]
    fn a_change_that_is_taken_back_in_time_never_was() {
        let mut debouncer = debouncer();
        for beat in 0..10 {
            assert!(debouncer.settle(&eth0(), &eth0(), false, at(beat * 100)));
            assert!(debouncer.settle(&eth0(), &eth0(), true, at(beat * 100 + 99)));
        }
        assert_eq!(debouncer.deadline(), None);
    }

    #[test]
    fn without_a_delay_every_change_counts_at_once() {
        let mut debouncer = Debouncer::default();
        for up in [true, false, true] {
            assert_eq!(debouncer.settle(&eth0(), &eth0(), up, at(0)), up);
        }
        assert_eq!(debouncer.deadline(), None);
    }

    #[test]
    fn what_is_no_longer_kept_is_waited_for_no_longer() {
        let mut debouncer = debouncer();
        debouncer.settle(&eth0(), &eth0(), false, at(10));
        debouncer.keep(|_| false);
        assert_eq!(debouncer.deadline(), None);
        assert!(!debouncer.settle(&eth0(), &eth0(), false, at(20)));
    }
}
