//! Spans of time as people say them, and moments on the wall.

use core::fmt;
use core::time::Duration;

use crate::time::Instant;

/// A span in its two greatest units: `12s`, `3m 10s`, `2h 3m`, `5d 4h`; below ten seconds with tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let parts = [
            (seconds / 86_400, 'd'),
            (seconds / 3600 % 24, 'h'),
            (seconds / 60 % 60, 'm'),
            (seconds % 60, 's'),
        ];
        if seconds < 10 {
            return write!(f, "{seconds}.{}s", self.0.subsec_millis() / 100);
        }
        let first = parts.iter().position(|(count, _)| *count > 0);
        let mut shown = parts.iter().skip(first.unwrap_or(3)).take(2);
        if let Some((count, unit)) = shown.next() {
            write!(f, "{count}{unit}")?;
        }
        match shown.next() {
            Some((count, unit)) if *count > 0 => write!(f, " {count}{unit}"),
            _ => Ok(()),
        }
    }
}

/// A span in seconds, to the millisecond: `3.609 s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        match millis {
            0 => write!(f, "{seconds} s"),
            _ => write!(f, "{seconds}.{millis:03} s"),
        }
    }
}

/// The clock of the engines beside the clock on the wall, read together.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Of the engines.
    pub now: Instant,
    /// On the wall, since 1970.
    pub wall: Duration,
    /// Seconds by which the zone of this host is ahead of universal time.
    pub ahead: i32,
}

impl Clock {
    /// How long ago a moment was.
    #[must_use]
    pub const fn ago(&self, then: Instant) -> Duration {
        self.now.since(then)
    }

    /// What the clock on the wall showed then, since 1970.
    #[must_use]
    pub const fn at(&self, then: Instant) -> Duration {
        self.wall.saturating_sub(self.now.since(then))
    }

    /// The same as people write it.
    #[must_use]
    pub fn date(&self, then: Instant) -> Date {
        let seconds = i64::try_from(self.at(then).as_secs()).unwrap_or(i64::MAX);
        Date(seconds.saturating_add(i64::from(self.ahead)))
    }
}

/// A moment on the wall: `Nov 27 17:18:11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(i64);

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (month, day) = civil(days);
        let month = MONTHS.get(month).copied().unwrap_or("???");
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{month} {day:2} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Month from 0 and day from 1 of a day since 1970, in the Gregorian calendar. Years begin in March here, so that the leap day
/// is the last one and months have 153 days in five.
fn civil(days: i64) -> (usize, i64) {
    const ERA: i64 = 146_097;
    let day_of_era = (days + 719_468).rem_euclid(ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    (usize::try_from((month + 2) % 12).unwrap_or_default(), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_two_greatest_units() {
        let told = [0, 9, 10, 59, 60, 190, 3600, 7380, 90_000, 450_000]
            .map(|seconds| Span(Duration::from_secs(seconds)).to_string());
        let expected = [
            "0.0s", "9.0s", "10s", "59s", "1m", "3m 10s", "1h", "2h 3m", "1d 1h", "5d 5h",
        ];
        assert_eq!(told, expected);
        assert_eq!(Span(Duration::from_millis(3609)).to_string(), "3.6s");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let told = [0, 951_782_400, 951_868_800, 1_795_803_491, 4_107_542_399]
            .map(|seconds| Date(seconds).to_string());
        let expected = [
            "Jan  1 00:00:00",
            "Feb 29 00:00:00",
            "Mar  1 00:00:00",
            "Nov 27 18:18:11",
            "Feb 28 23:59:59",
        ];
        assert_eq!(told, expected);
    }
}
