//! The wait itself: what is asked of the kernel.

use core::cell::{Cell, OnceCell};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::now;
use crate::io::sys::{self, READ};
use crate::time::Instant;

/// The number under which the timerfd is registered; no slot of a source is that high.
const TIMER: u64 = u64::MAX;

/// The epoll descriptor, and how long it may be waited for.
pub(super) struct Kernel {
    pub(super) epoll: OwnedFd,
    /// There once `epoll_pwait2` has been refused.
    timer: OnceCell<Timer>,
    /// No slack under a real-time policy.
    pub(super) realtime: Cell<bool>,
}

pub(super) struct Timer {
    pub(super) fd: OwnedFd,
    armed: Cell<Option<Instant>>,
}

impl Kernel {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            epoll: sys::epoll()?,
            timer: OnceCell::new(),
            realtime: Cell::new(sys::is_realtime()),
        })
    }

    /// Waits until `deadline`, or not at all unless it may `block`; how many events there are.
    pub(super) fn wait(
        &self,
        events: &mut [sys::Readiness],
        block: bool,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let ready = match self.timer.get() {
            None => {
                match sys::epoll_pwait2(self.epoll.as_fd(), events, self.timeout(block, deadline)) {
                    // Sandboxes answer EPERM to calls that they do not know.
                    Err(error)
                        if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) =>
                    {
                        let timer = self.fall_back()?;
                        self.wait_with(timer, events, block, deadline)
                    }
                    result => result,
                }
            }
            Some(timer) => self.wait_with(timer, events, block, deadline),
        };
        match ready {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            ready => ready,
        }
    }

    /// The kernel may fire a wait with a timeout a thousandth of it late, up to 100 ms, whatever the timer slack
    /// (`select_estimate_accuracy` in fs/select.c), and does so when no other interrupt comes first. Asking that much
    /// earlier makes the latest moment the right one; woken before it, we wait again for the little that is left.
    fn timeout(&self, block: bool, deadline: Option<Instant>) -> Option<Duration> {
        if !block {
            return Some(Duration::ZERO);
        }
        let left = deadline?.since(now());
        if self.realtime.get() {
            return Some(left);
        }
        let slack = (left / 1001).min(Duration::from_millis(100));
        Some(left.saturating_sub(slack))
    }

    /// From now on a timerfd tells of deadlines.
    pub(super) fn fall_back(&self) -> io::Result<&Timer> {
        let fd = sys::timer()?;
        sys::epoll_control(self.epoll.as_fd(), fd.as_raw_fd(), TIMER, 0, READ)?;
        let armed = Cell::new(None);
        Ok(self.timer.get_or_init(|| Timer { fd, armed }))
    }

    fn wait_with(
        &self,
        timer: &Timer,
        events: &mut [sys::Readiness],
        block: bool,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        // Setting it also takes its readiness away, so that it never needs to be read.
        if block && timer.armed.get() != deadline {
            sys::set_timer(timer.fd.as_fd(), deadline)?;
            timer.armed.set(deadline);
        }
        sys::epoll_wait(self.epoll.as_fd(), events, block)
    }
}
