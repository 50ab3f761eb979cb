//! Instants that are waited for.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;

use super::REACTOR;
use crate::time::Instant;

/// Deadlines, the earliest first. That is taken from one end, and nearly all come and go near the other: each attempt of a check
/// brings one that is later than those of the attempts before it, and mostly takes it away at once.
pub(super) struct Timers {
    queue: VecDeque<Deadline>,
    last: u32,
}

struct Deadline {
    at: Instant,
    /// Tells those of the same instant apart; the first asked is the first woken.
    number: u32,
    waker: Waker,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            last: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.queue.front().map(|deadline| deadline.at)
    }

    fn find(&self, at: Instant, number: u32) -> Result<usize, usize> {
        self.queue
            .binary_search_by_key(&(at, number), |other| (other.at, other.number))
    }

    fn insert(&mut self, at: Instant, waker: Waker) -> u32 {
        self.last = self.last.wrapping_add(1);
        let number = self.last;
        let (Ok(place) | Err(place)) = self.find(at, number);
        self.queue.insert(place, Deadline { at, number, waker });
        number
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<Waker> {
        self.earliest().filter(|at| *at <= now)?;
        self.queue.pop_front().map(|due| due.waker)
    }
}

/// A wait for an instant; see [`sleep_until`](super::sleep_until).
pub struct Sleep {
    at: Instant,
    timer: Option<u32>,
}

impl Sleep {
    pub(super) const fn new(at: Instant) -> Self {
        Self { at, timer: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        REACTOR.with(|reactor| {
            let mut timers = reactor.timers.borrow_mut();
            let Some(number) = self.timer else {
                if self.at <= reactor.woken_at.get() {
                    return Poll::Ready(());
                }
                self.timer = Some(timers.insert(self.at, context.waker().clone()));
                return Poll::Pending;
            };
            let place = timers.find(self.at, number).ok();
            match place.and_then(|place| timers.queue.get_mut(place)) {
                Some(deadline) => {
                    deadline.waker.clone_from(context.waker());
                    Poll::Pending
                }
                // Only a deadline that has come leaves the queue while its sleep lives.
                None => Poll::Ready(()),
            }
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.timer else { return };
        let _ = REACTOR.try_with(|reactor| {
            let mut timers = reactor.timers.borrow_mut();
            let waker = timers
                .find(self.at, number)
                .map(|place| timers.queue.remove(place));
            drop(timers);
            drop(waker);
        });
    }
}
