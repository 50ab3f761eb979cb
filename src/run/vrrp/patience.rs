//! When something is tried again that did not last: later and later, until it lasts.

use core::time::Duration;

use crate::sorted::Map;
use crate::time::Instant;

/// Until what the kernel refused is tried again: the first time, and at most.
const REFUSED: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(80)];
/// Until what somebody takes away for the second time is put back, and at most: a service is down meanwhile.
const LOST: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(640)];

/// What was tried lately, and when it may be tried again.
#[derive(Debug)]
pub struct Patience<K>(Map<K, Trial>);

#[derive(Debug)]
struct Trial {
    at: Instant,
    wait: Duration,
    refused: bool,
    /// Somebody waits for that time.
    awaited: bool,
}

impl<K> Default for Patience<K> {
    fn default() -> Self {
        Self(Map::new())
    }
}

impl<K: Ord> Patience<K> {
    /// Whether it may be tried now; otherwise [`Self::deadline`] tells when.
    pub fn may(&mut self, key: &K, now: Instant) -> bool {
        let trial = self.0.get_mut(key).filter(|trial| trial.at > now);
        trial.is_none_or(|trial| {
            trial.awaited = true;
            false
        })
    }

    /// Whether its last trial was refused.
    #[must_use]
    pub fn is_refused(&self, key: &K) -> bool {
        self.0.get(key).is_some_and(|trial| trial.refused)
    }

    /// The kernel refused it; true if that is news.
    pub fn refused(&mut self, key: K, now: Instant) -> bool {
        let news = !self.is_refused(&key);
        self.tried(key, now, REFUSED, true);
        news
    }

    /// It was there and vanished, and is put back now; true if that is news.
    pub fn lost(&mut self, key: K, now: Instant) -> bool {
        let news = !self.0.contains_key(&key);
        self.tried(key, now, LOST, false);
        news
    }

    fn tried(&mut self, key: K, now: Instant, pauses: [Duration; 2], refused: bool) {
        let [first, longest] = pauses;
        let before = self.0.get(&key);
        let wait = before.map_or(first, |trial| (trial.wait * 2).clamp(first, longest));
        let trial = Trial {
            at: now + wait,
            wait,
            refused,
            awaited: refused,
        };
        self.0.insert(key, trial);
    }

    /// It is there: that it was refused is over. What vanishes again and again is not forgiven so soon.
    pub fn settled(&mut self, key: &K) {
        if self.is_refused(key) {
            self.0.remove(key);
        }
    }

    /// The world has changed: what was refused may be possible now.
    pub fn hope(&mut self, now: Instant) {
        for trial in self.0.values_mut().filter(|trial| trial.refused) {
            trial.at = trial.at.min(now);
        }
    }

    /// When something may be tried that somebody waits for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let awaited = self.0.values().filter(|trial| trial.awaited);
        awaited.map(|trial| trial.at).min()
    }

    /// Forgets what has lasted for as long as it was waited for; true if something may be tried again.
    pub fn tick(&mut self, now: Instant) -> bool {
        let mut due = false;
        for trial in self.0.values_mut().filter(|trial| trial.at <= now) {
            due |= core::mem::take(&mut trial.awaited);
        }
        self.0.retain(|_, trial| trial.at + trial.wait > now);
        due
    }

    /// Everything may be tried at once.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Instant {
        Instant(ms * 1000)
    }

    #[test]
    fn what_is_refused_again_is_tried_later_and_later_and_told_once() {
        let mut patience = Patience::default();
        assert!(patience.refused("route", at(0)));
        assert!(!patience.may(&"route", at(4_999)));
        assert_eq!(patience.deadline(), Some(at(5_000)));
        assert!(patience.tick(at(5_000)) && patience.may(&"route", at(5_000)));
        assert!(!patience.refused("route", at(5_000)));
        assert_eq!(patience.deadline(), Some(at(15_000)));
    }

    #[test]
    fn a_change_of_the_world_lets_try_again_what_was_refused() {
        let mut patience = Patience::default();
        patience.refused("route", at(0));
        patience.hope(at(10));
        assert!(patience.may(&"route", at(10)));
    }

    #[test]
    fn what_vanishes_is_put_back_at_once_and_then_with_longer_and_longer_pauses() {
        let mut patience = Patience::default();
        assert!(patience.may(&"address", at(0)) && patience.lost("address", at(0)));
        // Nothing is missing: nobody waits.
        assert_eq!(patience.deadline(), None);
        assert!(!patience.may(&"address", at(10)));
        assert_eq!(patience.deadline(), Some(at(20)));
        assert!(patience.tick(at(20)));
        assert!(!patience.lost("address", at(20)));
        assert!(!patience.may(&"address", at(59)) && patience.may(&"address", at(60)));
    }

    #[test]
    fn what_has_lasted_is_forgotten() {
        let mut patience = Patience::default();
        patience.lost("address", at(0));
        assert!(!patience.tick(at(40)));
        assert!(patience.lost("address", at(40)));
        patience.refused("route", at(0));
        patience.settled(&"route");
        assert!(patience.may(&"route", at(1)) && patience.refused("route", at(1)));
    }
}
