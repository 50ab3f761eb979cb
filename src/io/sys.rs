//! The only file with unsafe code: system calls that no crate of ours wraps, each behind a safe function.
//!
//! Numbers and layouts come from the libc crate, never from memory: MIPS has its own.

#![allow(unsafe_code)]

use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::time::Instant;

/// Turns the -1 of a system call into the error that `errno` holds.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

// Waiting

/// The time since boot, without the time asleep, in microseconds (`CLOCK_MONOTONIC`).
#[must_use]
pub fn monotonic() -> Instant {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of ours; this clock exists on every Linux, so that it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanos / 1000),
    )
}

/// What `epoll` tells: which events, and the number that was given at registration.
pub type Readiness = libc::epoll_event;

/// Nothing ready, to fill a buffer with.
pub const UNREADY: Readiness = libc::epoll_event { events: 0, u64: 0 };

/// `struct __kernel_timespec` of linux/time_types.h: 64 bits for both on every architecture.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanos: i64,
}

/// Waits with a timeout in nanoseconds, `None` for ever. Linux 5.11; before that it answers `ENOSYS`.
///
/// # Errors
/// As epoll_pwait2(2).
pub fn epoll_pwait2(
    epoll: BorrowedFd<'_>,
    events: &mut [Readiness],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let timeout = timeout.map(|t| KernelTimespec {
        seconds: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
        nanos: i64::from(t.subsec_nanos()),
    });
    let pointer = timeout
        .as_ref()
        .map_or(core::ptr::null(), core::ptr::from_ref);
    let room = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `events` is writable for `room` entries, `pointer` is null or to a timespec that lives until the return,
    // and without a signal mask its size is not looked at. No function of this name is in musl, hence syscall().
    let ready = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            room,
            pointer,
            core::ptr::null::<libc::sigset_t>(),
            8_usize,
        )
    };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}

/// Waits for ever, or with `block` false not at all.
///
/// # Errors
/// As epoll_wait(2).
pub fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut [Readiness],
    block: bool,
) -> io::Result<usize> {
    let room = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    let timeout = if block { -1 } else { 0 };
    // SAFETY: `events` is writable for `room` entries.
    let ready = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), room, timeout) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}

/// A descriptor to wait with.
///
/// # Errors
/// As epoll_create1(2).
pub fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `EPOLLIN`, `EPOLLOUT` and their kin.
pub type Interest = u32;

/// Something can be read.
pub const READ: Interest = libc::EPOLLIN as Interest;
/// There is room to write.
pub const WRITE: Interest = libc::EPOLLOUT as Interest;
/// An error or a hang-up, told whether asked for or not.
pub const BROKEN: Interest = (libc::EPOLLERR | libc::EPOLLHUP) as Interest;

/// Brings what is waited for on `fd` from `before` to `after`, nought being not registered; `token` comes back with its
/// events.
///
/// # Errors
/// As epoll_ctl(2).
pub fn epoll_control(
    epoll: BorrowedFd<'_>,
    fd: RawFd,
    token: u64,
    before: Interest,
    after: Interest,
) -> io::Result<()> {
    let change = match (before, after) {
        (same, other) if same == other => return Ok(()),
        (0, _) => libc::EPOLL_CTL_ADD,
        (_, 0) => libc::EPOLL_CTL_DEL,
        _ => libc::EPOLL_CTL_MOD,
    };
    let mut event = libc::epoll_event {
        events: after,
        u64: token,
    };
    // SAFETY: `event` lives until the return; a stale number of a descriptor is refused by the kernel.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), change, fd, &raw mut event) }).map(drop)
}

/// Sets a timer of `CLOCK_MONOTONIC` to an instant; `None` stops it. Either way it is no longer readable.
///
/// Through libc's own `itimerspec`, which has the padding that 32-bit big-endian MIPS needs.
///
/// # Errors
/// As timerfd_settime(2).
pub fn set_timer(timer: BorrowedFd<'_>, at: Option<Instant>) -> io::Result<()> {
    const NEVER: libc::timespec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut spec = libc::itimerspec {
        it_interval: NEVER,
        it_value: NEVER,
    };
    if let Some(Instant(micros)) = at {
        // All zeroes would stop it, and an instant in the past fires at once.
        let micros = micros.max(1);
        spec.it_value.tv_sec =
            libc::time_t::try_from(micros / 1_000_000).unwrap_or(libc::time_t::MAX);
        spec.it_value.tv_nsec =
            libc::c_long::try_from(micros % 1_000_000 * 1000).unwrap_or_default();
    }
    // SAFETY: `spec` lives until the return, and the old value is not asked for.
    let result = unsafe {
        libc::timerfd_settime(
            timer.as_raw_fd(),
            libc::TFD_TIMER_ABSTIME,
            &raw const spec,
            core::ptr::null_mut(),
        )
    };
    check(result).map(drop)
}

/// A timer of `CLOCK_MONOTONIC` that never blocks.
///
/// # Errors
/// As timerfd_create(2).
pub fn timer() -> io::Result<OwnedFd> {
    let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// How late the kernel may wake this thread in order to save wake-ups: 50 µs unless set.
pub fn set_timer_slack(slack: Duration) {
    let nanos = libc::c_ulong::try_from(slack.as_nanos()).unwrap_or(libc::c_ulong::MAX);
    // SAFETY: no pointers. A refusal leaves the slack as it was.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos, 0, 0, 0) };
}

/// Whether this process runs under a real-time policy, where the kernel has no slack at all.
#[must_use]
pub fn is_realtime() -> bool {
    // SAFETY: no pointers.
    let policy = unsafe { libc::sched_getscheduler(0) };
    matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR)
}
