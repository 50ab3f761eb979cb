//! When the next attempts are due.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use super::event::ProbeId;
use crate::time::Instant;

/// Due times, the earliest first. One that was moved leaves its old time behind, which whoever takes it recognises.
#[derive(Debug, Default)]
pub(super) struct Schedule(BinaryHeap<Reverse<(Instant, ProbeId)>>);

impl Schedule {
    pub(super) fn push(&mut self, at: Instant, id: ProbeId) {
        self.0.push(Reverse((at, id)));
    }

    pub(super) fn earliest(&self) -> Option<(Instant, ProbeId)> {
        self.0.peek().map(|Reverse(first)| *first)
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The part of `span` at which number `n` begins, so that any run of numbers lies evenly in it: the multiples of the golden
/// ratio's fraction fill the widest gap each time (Weyl's sequence). keepalived draws lots, which leaves bursts.
pub(super) fn spread(n: u32, span: Duration) -> Duration {
    /// 2^32 divided by the golden ratio.
    const STEP: u32 = 2_654_435_769;
    let fraction = u64::from(n.wrapping_mul(STEP));
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(((u128::from(micros) * u128::from(fraction)) >> 32) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_starts_lie_evenly_in_their_span_wherever_they_begin() {
        let span = Duration::from_secs(1);
        for first in [0, 1, 77, 1_000_000, u32::MAX - 500] {
            let mut starts: Vec<_> = (0..1000_u32)
                .map(|n| spread(first.wrapping_add(n), span).as_micros())
                .collect();
            starts.sort_unstable();
            let widest = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(widest.unwrap() < 3_000, "{widest:?} µs from {first}");
            assert!(starts.last().unwrap() < &1_000_000);
        }
    }

    #[test]
    fn a_few_starts_do_not_come_together() {
        let starts: Vec<_> = (0..4)
            .map(|n| spread(n, Duration::from_secs(60)).as_secs())
            .collect();
        assert_eq!(starts, [0, 37, 14, 51]);
    }
}
