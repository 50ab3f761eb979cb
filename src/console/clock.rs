//! Moments on the wall.

use core::fmt;
use core::time::Duration;

use crate::time::Instant;

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
