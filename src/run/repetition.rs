//! What is said again and again: a few times as it is, and from then on once a minute how often.

use core::time::Duration;

use log::Level;

use crate::time::Instant;

/// What is said in full within a window.
const IN_FULL: u32 = 10;
/// From the first time on.
const WINDOW: Duration = Duration::from_secs(60);
/// So many different lines are kept in mind; beyond them, more are said in full.
const MOST: usize = 256;

/// Lines of the last minute.
#[derive(Debug, Default)]
pub struct Repetition(Vec<Line>);

#[derive(Debug)]
struct Line {
    print: u64,
    since: Instant,
    said: u32,
    /// Since [`IN_FULL`] was reached: how often, and what.
    held: Option<(u32, Level, Box<str>)>,
}

impl Repetition {
    /// Nothing has been said yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether a line is to be said in full. A measure of time in it does not make it another one.
    pub fn hear(&mut self, level: Level, text: &str, now: Instant) -> bool {
        let print = print(text);
        if let Some(line) = self.0.iter_mut().find(|line| line.print == print) {
            match &mut line.held {
                Some((count, ..)) => *count = count.saturating_add(1),
                None if line.since + WINDOW <= now => (line.since, line.said) = (now, 1),
                None if line.said < IN_FULL => line.said += 1,
                held => *held = Some((1, level, text.into())),
            }
            return line.held.is_none();
        }
        // Before it grows, what is over makes room.
        if self.0.len() == self.0.capacity() {
            self.0
                .retain(|line| line.held.is_some() || line.since + WINDOW > now);
        }
        if self.0.len() < MOST {
            self.0.push(Line {
                print,
                since: now,
                said: 1,
                held: None,
            });
        }
        true
    }

    /// When [`Self::sum_up`] has something to say next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let held = self.0.iter().filter(|line| line.held.is_some());
        held.map(|line| line.since + WINDOW).min()
    }

    /// Says what was held back in windows that are over by `now`. What goes on is then said once in full each minute, beside its sum.
    pub fn sum_up(&mut self, now: Instant, mut say: impl FnMut(Level, &str, u32)) {
        for line in &mut self.0 {
            if line.since + WINDOW > now {
                continue;
            }
            if let Some((count, level, text)) = line.held.take() {
                say(level, &text, count);
                (line.since, line.said) = (now, IN_FULL - 1);
            }
        }
    }
}

/// Tells lines apart: 64 bits of FNV-1a over the words, without numbers that a unit of time follows.
fn print(text: &str) -> u64 {
    let mut print = 0xcbf2_9ce4_8422_2325_u64;
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let is_number = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        let unit = words
            .peek()
            .map(|next| next.trim_end_matches([',', ')', ':', ';']));
        if is_number && matches!(unit, Some("s" | "ms")) {
            continue;
        }
        for byte in word.bytes().chain([b' ']) {
            print = (print ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    print
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000)
    }

    /// How many of so many equal lines are said, one a second.
    fn said(all: &mut Repetition, text: &str, seconds: core::ops::Range<u64>) -> usize {
        seconds
            .filter(|second| all.hear(Level::Warn, text, at(*second)))
            .count()
    }

    fn sums(all: &mut Repetition, now: Instant) -> Vec<(Level, String, u32)> {
        let mut sums = Vec::new();
        all.sum_up(now, |level, text, count| {
            sums.push((level, text.to_owned(), count))
        });
        sums
    }

    #[test]
    fn what_repeats_is_said_ten_times_and_then_summed_up() {
        let mut all = Repetition::new();
        assert_eq!(said(&mut all, "it burns", 0..40), 10);
        assert_eq!(all.deadline(), Some(at(60)));
        assert_eq!(sums(&mut all, at(59)), []);
        let sum = (Level::Warn, "it burns".to_owned(), 30);
        assert_eq!(sums(&mut all, at(60)), [sum]);
        assert_eq!(all.deadline(), None);
    }

    #[test]
    fn what_goes_on_is_said_once_a_minute_with_its_sum() {
        let mut all = Repetition::new();
        said(&mut all, "it burns", 0..60);
        sums(&mut all, at(60));
        for minute in 1..5 {
            assert_eq!(
                said(&mut all, "it burns", 60 * minute..60 * (minute + 1)),
                1
            );
            assert_eq!(sums(&mut all, at(60 * (minute + 1)))[0].2, 59);
        }
    }

    #[test]
    fn a_minute_of_silence_makes_it_news_again() {
        let mut all = Repetition::new();
        said(&mut all, "it burns", 0..60);
        sums(&mut all, at(60));
        assert_eq!(said(&mut all, "it burns", 120..140), 10);
    }

    #[test]
    fn what_comes_seldom_is_always_said() {
        let mut all = Repetition::new();
        let seldom = (0..1000).filter(|n| all.hear(Level::Info, "it burns", at(n * 7)));
        assert_eq!(seldom.count(), 1000);
    }

    #[test]
    fn different_lines_do_not_count_for_each_other_however_many_there_are() {
        let mut all = Repetition::new();
        for round in 0..10 {
            for number in 0..2000 {
                assert!(all.hear(Level::Info, &format!("(VI_{number}) is MASTER"), at(round)));
            }
        }
        assert!(all.0.len() <= MOST);
        // After a minute there is room again.
        assert_eq!(said(&mut all, "it burns", 70..100), 10);
    }

    #[test]
    fn a_measured_time_does_not_make_it_another_line_but_any_other_number_does() {
        let mut all = Repetition::new();
        let late = (0..50)
            .filter(|n| all.hear(Level::Warn, &format!("woke up 0.{n} s late, {n} ms"), at(0)));
        assert_eq!(late.count(), 10);
        let servers =
            (0..50).filter(|n| all.hear(Level::Warn, &format!("10.0.0.{n} is down"), at(0)));
        assert_eq!(servers.count(), 50);
    }
}
