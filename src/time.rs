//! The only arithmetic on time.
//!
//! Configuration and wire convert at the door; inside there are only [`Instant`], [`Centis`] and
//! [`core::time::Duration`]. Everything is reckoned in microseconds, so that no rule of the protocol loses
//! a fraction: two backups whose priorities differ by one must not time out together.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// Microseconds since an arbitrary start. The runtime makes it from `CLOCK_MONOTONIC`, tests make it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// How long after `earlier` this is; zero where it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(micros(d)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(micros(d)))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A duration as people write it: in seconds, with as many digits, up to six, as are needed. Floating-point numbers would
/// cost 25 kB of code on a processor that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs())?;
        let (mut fraction, mut digits) = (self.0.subsec_micros(), 6);
        if fraction == 0 {
            return Ok(());
        }
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")
    }
}

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

/// Decimal seconds, as people write them, as microseconds; digits beyond the sixth are rounded.
#[must_use]
pub fn micros_of(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let mut value: u64 = 0;
    for place in 0..6 {
        let digit = fraction
            .as_bytes()
            .get(place)
            .map_or(0, |b| u64::from(b - b'0'));
        value = value * 10 + digit;
    }
    let round = fraction.as_bytes().get(6).is_some_and(|b| *b >= b'5');
    whole
        .checked_mul(1_000_000)?
        .checked_add(value + u64::from(round))
}

/// The microseconds of a duration in 64 bits, which last for half a million years: division by 128 bits is 3 kB of code.
#[must_use]
pub fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// A VRRP interval in hundredths of a second, whatever the wire or the configuration used.
///
/// VRRPv3 carries 1 to 4095 (RFC 9568 section 5.2.7), VRRPv2 1 to 255 whole seconds (RFC 3768 section 5.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Centis(pub u16);

impl Centis {
    /// The interval of an advertisement unless configured otherwise: one second.
    pub const SECOND: Self = Self(100);

    /// Whole seconds, as VRRPv2 counts.
    #[must_use]
    pub const fn from_secs(secs: u8) -> Self {
        Self(secs as u16 * 100)
    }

    /// The same as a [`Duration`].
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }

    /// Skew time of VRRPv3, RFC 9568 section 6.1: `(256 - priority) * interval / 256`.
    ///
    /// VRRPv2 (RFC 3768 section 6.1) is the same with an interval of one second.
    #[must_use]
    pub const fn skew(self, priority: u8) -> Duration {
        Duration::from_micros(self.0 as u64 * 10_000 * (256 - priority as u64) / 256)
    }
}

impl fmt::Display for Centis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (s, 0) => write!(f, "{s}"),
            (s, c) if c % 10 == 0 => write!(f, "{s}.{}", c / 10),
            (s, c) => write!(f, "{s}.{c:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_microseconds() {
        assert_eq!(micros_of("1"), Some(1_000_000));
        assert_eq!(micros_of("0.92"), Some(920_000));
        assert_eq!(micros_of(".5"), Some(500_000));
        assert_eq!(micros_of("0.0000005"), Some(1));
        for bad in ["", ".", "1s", "-1", "1.2.3", "99999999999999999999"] {
            assert_eq!(micros_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_show_the_digits_that_are_needed() {
        let shown = |micros| Seconds(Duration::from_micros(micros)).to_string();
        assert_eq!(shown(5_000_000), "5");
        assert_eq!(shown(100_500_000), "100.5");
        assert_eq!(shown(20), "0.00002");
    }

    #[test]
    fn one_second_at_priority_100_skews_by_exactly_609_375_us() {
        assert_eq!(Centis::SECOND.skew(100), Duration::from_micros(609_375));
    }

    #[test]
    fn a_centisecond_still_tells_neighbouring_priorities_apart() {
        assert_ne!(Centis(1).skew(100), Centis(1).skew(101));
    }

    #[test]
    fn the_longest_interval_at_the_lowest_priority_does_not_overflow() {
        assert_eq!(Centis(4095).skew(1), Duration::from_micros(40_790_039));
    }

    #[test]
    fn centis_print_as_people_write_seconds() {
        let shown = [1, 10, 100, 105, 4095].map(|c| Centis(c).to_string());
        assert_eq!(shown, ["0.01", "0.1", "1", "1.05", "40.95"]);
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Instant(u64::MAX) + Duration::MAX, Instant(u64::MAX));
        assert_eq!(Instant(5) - Duration::from_secs(1), Instant(0));
        assert_eq!(Instant(5).since(Instant(9)), Duration::ZERO);
    }

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
}
