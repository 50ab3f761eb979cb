//! The only file with unsafe code: system calls that no crate of ours wraps, each behind a safe function.
//!
//! Numbers and layouts come from the libc crate, never from memory: MIPS has its own.

#![allow(unsafe_code)]

use core::mem;
use core::net::Ipv6Addr;
use core::ptr;
use core::time::Duration;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::thread::{UnshareFlags, capabilities, set_capabilities};

use crate::name::{IfName, Ifindex};
use crate::time::{Instant, micros};

/// Turns the negative answer of a system call into the error that `errno` holds.
fn check<T: PartialOrd + Default>(answer: T) -> io::Result<T> {
    if answer < T::default() {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
}

// Waiting

/// The time since boot, without the time asleep, in microseconds (`CLOCK_MONOTONIC`).
#[must_use]
pub fn monotonic() -> Instant {
    let mut time = libc::timespec::default();
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

/// Readiness is told when it changes, not as long as it lasts.
pub const ON_CHANGE: Interest = libc::EPOLLET as Interest;

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
    let mut spec = libc::itimerspec {
        it_interval: libc::timespec::default(),
        it_value: libc::timespec::default(),
    };
    if let Some(Instant(micros)) = at {
        // All zeroes would stop it, and an instant in the past fires at once.
        let micros = micros.max(1);
        // 68 years are as far as a libc with seconds of 32 bits can look.
        spec.it_value.tv_sec = i32::try_from(micros / 1_000_000).unwrap_or(i32::MAX).into();
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
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos) };
}

/// Whether this process runs under a real-time policy, where the kernel has no slack at all.
#[must_use]
pub fn is_realtime() -> bool {
    // musl's function of this name does nothing. SAFETY: no pointers.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    let policy = libc::c_int::try_from(policy).unwrap_or(-1) & !libc::SCHED_RESET_ON_FORK;
    matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR)
}

/// Puts this process under the round-robin policy with that priority, 1 to 99, or back under the ordinary one. What it starts
/// inherits neither that nor a negative nice value.
///
/// # Errors
/// As sched_setscheduler(2).
pub fn set_realtime(priority: Option<u8>) -> io::Result<()> {
    let policy = match priority {
        Some(_) => libc::SCHED_RR,
        None => libc::SCHED_OTHER,
    };
    // It has more fields elsewhere. SAFETY: all of them are numbers.
    let mut parameter: libc::sched_param = unsafe { mem::zeroed() };
    parameter.sched_priority = priority.map_or(0, i32::from);
    // musl's function of this name does nothing. SAFETY: the pointer is to a parameter of ours.
    check(unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            policy | libc::SCHED_RESET_ON_FORK,
            &raw const parameter,
        )
    })?;
    Ok(())
}

/// Keeps all memory of this process from being swapped out, what it will get too, or does so no longer.
///
/// # Errors
/// As mlockall(2).
pub fn lock_memory(locked: bool) -> io::Result<()> {
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE;
    // SAFETY: no pointers.
    check(unsafe {
        if locked {
            libc::mlockall(flags)
        } else {
            libc::munlockall()
        }
    })?;
    Ok(())
}

/// Gives memory that was freed back to the kernel: after a configuration was read, which takes several times what is kept of
/// it. The allocator of musl does so by itself.
pub fn return_memory() {
    // SAFETY: no pointers; it is glibc's own, and touches only what nobody uses.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Fills with random bytes. By libc's own function: that of rustix is looked up by name at run time on MIPS, which a static
/// program cannot do.
///
/// # Errors
/// As getrandom(2).
pub fn random(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of one live slice.
        let got = check(unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) })?;
        let got = usize::try_from(got).unwrap_or_default();
        bytes = bytes.get_mut(got..).unwrap_or_default();
    }
    Ok(())
}

// Sockets

/// Most frames that one call of [`send_frames`] takes.
pub(super) const FRAMES: usize = 32;

/// Room for the control messages that a datagram can bring: an address with an interface (20 bytes), a hop limit (4), each
/// with its header, aligned as a header wants.
#[repr(C, align(8))]
struct Control([u8; 128]);

/// What the kernel tells beside the bytes of a datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Info {
    /// Bytes received.
    pub(super) len: usize,
    /// The datagram was longer than the buffer.
    pub(super) truncated: bool,
    /// Who sent it; IPv6 only.
    pub(super) source: Option<Ipv6Addr>,
    /// To whom; IPv6 only.
    pub(super) destination: Option<Ipv6Addr>,
    /// Where it came in.
    pub(super) ifindex: Option<Ifindex>,
    /// Hop limit; IPv6 only.
    pub(super) hops: Option<u8>,
}

/// Sets a socket option that is an `int`.
pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_option_bytes(fd, level, option, &value.to_ne_bytes())
}

/// Binds a socket to an interface: it receives from there and sends there, nowhere else.
pub(super) fn bind_to_device(fd: BorrowedFd<'_>, name: &IfName) -> io::Result<()> {
    let name = name.as_str().as_bytes();
    set_option_bytes(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name)
}

/// Sets the firewall mark of what a socket sends.
pub(super) fn set_mark(fd: BorrowedFd<'_>, mark: u32) -> io::Result<()> {
    set_option_bytes(fd, libc::SOL_SOCKET, libc::SO_MARK, &mark.to_ne_bytes())
}

/// Makes every ICMP error about what a datagram socket has sent an error of its next call (ip(7), `IP_RECVERR`); without it
/// an unreachable host is none.
pub(super) fn hear_icmp_errors(fd: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    match v6 {
        false => set_option(fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        true => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

/// Keeps everything but echo replies from a raw socket (raw(7), RFC 3542 section 3.2).
pub(super) fn hear_echo_replies_only(fd: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    // `ICMP_FILTER` of linux/icmp.h and `ICMPV6_FILTER` of linux/icmpv6.h: a bit that is set keeps a type out.
    const FILTER: libc::c_int = 1;
    const ECHO_REPLY: u32 = 0;
    const ECHO_REPLY_V6: u32 = 129;
    if !v6 {
        let kept_out = !(1_u32 << ECHO_REPLY);
        return set_option_bytes(fd, libc::SOL_RAW, FILTER, &kept_out.to_ne_bytes());
    }
    let mut kept_out = [u32::MAX; 8];
    kept_out[ECHO_REPLY_V6 as usize / 32] &= !(1 << (ECHO_REPLY_V6 % 32));
    let bytes = kept_out.map(u32::to_ne_bytes);
    set_option_bytes(fd, libc::IPPROTO_ICMPV6, FILTER, bytes.as_flattened())
}

fn set_option_bytes(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &[u8],
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the pointer and the length are those of one live slice, which the kernel only reads; it wants no alignment.
    let outcome =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, value.as_ptr().cast(), len) };
    check(outcome).map(drop)
}

/// One datagram with what its socket was told to tell of it (`IP_PKTINFO`, `IPV6_RECVPKTINFO`, `IPV6_RECVHOPLIMIT`).
pub(super) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Info> {
    let mut control = Control([0; 128]);
    let mut iov = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: a socket address of zeros is valid: family unspecified.
    let mut sender: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    // SAFETY: a message header of zeros is valid: null pointers with lengths of zero. Its padding has no public name.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr::from_mut(&mut sender).cast();
    message.msg_namelen = mem::size_of_val(&sender) as libc::socklen_t;
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: every pointer in `message` is to a live object that is borrowed by nobody else, with its own length beside it.
    let len = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) })?;
    let v6 = libc::c_int::from(sender.sin6_family) == libc::AF_INET6;
    let mut info = Info {
        len: usize::try_from(len).unwrap_or(0).min(buffer.len()),
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        source: v6.then(|| Ipv6Addr::from(sender.sin6_addr.s6_addr)),
        ..Info::default()
    };
    // SAFETY: the kernel has set the control length to what it wrote into `control`, which lives until the end.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: not null, and the CMSG functions return only headers that lie within the control buffer, aligned, as long
        // as `message` is as the kernel left it; any bytes make an address, an index or a number.
        unsafe {
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let told = data::<libc::in_pktinfo>(header);
                    info.ifindex = told.and_then(|told| Ifindex::try_from(told.ipi_ifindex).ok());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let told = data::<libc::in6_pktinfo>(header);
                    info.destination = told.map(|told| Ipv6Addr::from(told.ipi6_addr.s6_addr));
                    info.ifindex = told.and_then(|told| Ifindex::try_from(told.ipi6_ifindex).ok());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    let told = data::<libc::c_int>(header);
                    info.hops = told.and_then(|hops| u8::try_from(hops).ok());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(info)
}

/// What a control message carries, or `None` where it is too short for that.
///
/// # Safety
/// `header` is one that `CMSG_FIRSTHDR` or `CMSG_NXTHDR` returned for a buffer that the kernel filled, and any bytes make
/// a valid `T`.
unsafe fn data<T: Copy>(header: *const libc::cmsghdr) -> Option<T> {
    // SAFETY: the caller's promise; the length is compared before the bytes are read, and they need no alignment.
    unsafe {
        let need = libc::CMSG_LEN(mem::size_of::<T>() as libc::c_uint);
        // `as _`: the length has another type with musl.
        ((*header).cmsg_len >= need as _)
            .then(|| libc::CMSG_DATA(header).cast::<T>().read_unaligned())
    }
}

/// Sends an IPv6 datagram from an address of our choice, by an interface of our choice.
pub(super) fn send_from(
    fd: BorrowedFd<'_>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    ifindex: Ifindex,
    hops: u8,
    bytes: &[u8],
) -> io::Result<()> {
    let mut control = Control([0; 128]);
    let mut iov = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: a socket address of zeros is valid.
    let mut to: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
    to.sin6_addr.s6_addr = destination.octets();
    to.sin6_scope_id = ifindex;
    let from = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: source.octets(),
        },
        ipi6_ifindex: ifindex as _,
    };
    let hops = libc::c_int::from(hops);
    // SAFETY: a message header of zeros is valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr::from_mut(&mut to).cast();
    message.msg_namelen = mem::size_of_val(&to) as libc::socklen_t;
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE only reckons; both messages together are 64 bytes at most, which the buffer has. Headers come
    // from the CMSG functions over that buffer, zeroed and aligned, and are written within it.
    unsafe {
        let room = libc::CMSG_SPACE(mem::size_of_val(&from) as libc::c_uint)
            + libc::CMSG_SPACE(mem::size_of_val(&hops) as libc::c_uint);
        message.msg_controllen = room as _;
        let first = libc::CMSG_FIRSTHDR(&raw const message);
        put(first, libc::IPV6_PKTINFO, from);
        put(
            libc::CMSG_NXTHDR(&raw const message, first),
            libc::IPV6_HOPLIMIT,
            hops,
        );
    }
    // SAFETY: every pointer in `message` is to a live object with its own length beside it; the kernel only reads them.
    check(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, 0) }).map(drop)
}

/// Writes one control message of IPv6; none where there is no room, that is, where `header` is null.
///
/// # Safety
/// `header` is null, or aligned and followed by room for a `T`.
unsafe fn put<T: Copy>(header: *mut libc::cmsghdr, kind: libc::c_int, value: T) {
    if header.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        (*header).cmsg_level = libc::IPPROTO_IPV6;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<T>() as libc::c_uint) as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
    }
}

/// Sends the first [`FRAMES`] of whole Ethernet frames by an interface in one system call. Returns how many went; an error
/// only where the first did not.
pub(super) fn send_frames<'a>(
    fd: BorrowedFd<'_>,
    ifindex: Ifindex,
    frames: impl Iterator<Item = &'a [u8]>,
) -> io::Result<usize> {
    // SAFETY: zeros are valid for all three: null pointers with lengths of zero, an unspecified family.
    let (mut to, mut iov, mut messages) = unsafe {
        (
            mem::zeroed::<[libc::sockaddr_ll; FRAMES]>(),
            mem::zeroed::<[libc::iovec; FRAMES]>(),
            mem::zeroed::<[libc::mmsghdr; FRAMES]>(),
        )
    };
    let mut count: libc::c_uint = 0;
    let slots = to.iter_mut().zip(&mut iov).zip(&mut messages);
    for (((to, iov), message), frame) in slots.zip(frames) {
        to.sll_family = libc::AF_PACKET as libc::c_ushort;
        to.sll_ifindex = ifindex as libc::c_int;
        // Kernels before 4.20 do not read it from the frame, and packet filters look at it. In network order both here
        // and there.
        if let Some(ethertype) = frame.get(12..).and_then(<[u8]>::first_chunk::<2>) {
            to.sll_protocol = u16::from_ne_bytes(*ethertype);
        }
        iov.iov_base = frame.as_ptr().cast_mut().cast();
        iov.iov_len = frame.len();
        message.msg_hdr.msg_name = ptr::from_mut(to).cast();
        message.msg_hdr.msg_namelen = mem::size_of_val(to) as libc::socklen_t;
        message.msg_hdr.msg_iov = ptr::from_mut(iov);
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    // The system call itself: musl's sendmmsg on 64 bits is a loop over sendmsg, because lengths in its msghdr are shorter
    // than the kernel's; with the padding zero, as here, both read the same.
    // SAFETY: the first `count` headers point at live objects with their own lengths beside them; the kernel writes
    // nothing but `msg_len` of each.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_sendmmsg,
            fd.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            0,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(sent).unwrap_or(0))
}

// Netlink

/// Switches on a boolean option of level `SOL_NETLINK`.
///
/// # Errors
/// `ENOPROTOOPT` where the kernel is older than the option.
pub fn set_netlink_option(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    set_option(socket, libc::SOL_NETLINK, option, 1)
}

/// Joins a group of notifications, or leaves it.
///
/// # Errors
/// `ENOENT` where the kernel is older than the group.
pub(super) fn join_netlink_group(
    socket: BorrowedFd<'_>,
    group: libc::c_uint,
    join: bool,
) -> io::Result<()> {
    let option = if join {
        libc::NETLINK_ADD_MEMBERSHIP
    } else {
        libc::NETLINK_DROP_MEMBERSHIP
    };
    set_option(socket, libc::SOL_NETLINK, option, group.cast_signed())
}

/// Lets only those notifications of routes through that tell of routes of this `rtm_protocol`; all about other things pass.
///
/// # Errors
/// Those of setsockopt(2).
pub(super) fn keep_routes_of(socket: BorrowedFd<'_>, protocol: u8) -> io::Result<()> {
    // The filter reads two bytes as a big number, netlink writes them in the order of the CPU.
    let kind = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    // Offsets in struct nlmsghdr, and in struct rtmsg behind its 16 bytes.
    const KIND: u32 = 4;
    const PROTOCOL: u32 = 16 + 5;
    attach_filter(
        socket,
        &mut [
            step(LOAD_HALF, 0, 0, KIND),
            step(JUMP_IF, 1, 0, kind(libc::RTM_NEWROUTE)),
            step(JUMP_IF, 0, 2, kind(libc::RTM_DELROUTE)),
            step(LOAD_BYTE, 0, 0, PROTOCOL),
            step(JUMP_IF, 0, 1, protocol.into()),
            step(RETURN, 0, 0, u32::MAX),
            step(RETURN, 0, 0, 0),
        ],
    )
}

/// Lets only adverts through to a packet socket that sees packets from their IP header on: protocol 112, or over IPv4 with an
/// authentication header (51) before it.
///
/// # Errors
/// Those of setsockopt(2).
pub(super) fn keep_adverts(socket: BorrowedFd<'_>) -> io::Result<()> {
    const VRRP: u32 = 112;
    const AH: u32 = 51;
    attach_filter(
        socket,
        &mut [
            step(LOAD_BYTE, 0, 0, 0),
            step(SHIFT_RIGHT, 0, 0, 4),
            step(JUMP_IF, 0, 2, 6),
            // The next header of IPv6.
            step(LOAD_BYTE, 0, 0, 6),
            step(JUMP_IF, 4, 5, VRRP),
            step(JUMP_IF, 0, 4, 4),
            // The protocol of IPv4.
            step(LOAD_BYTE, 0, 0, 9),
            step(JUMP_IF, 1, 0, VRRP),
            step(JUMP_IF, 0, 1, AH),
            step(RETURN, 0, 0, u32::MAX),
            step(RETURN, 0, 0, 0),
        ],
    )
}

const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const SHIFT_RIGHT: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K;
const JUMP_IF: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

fn attach_filter(socket: BorrowedFd<'_>, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: program.len() as libc::c_ushort,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the pointer and the length are those of one live structure, whose own pointer and length are those of the live
    // program; the kernel only reads both.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            mem::size_of_val(&filter) as libc::socklen_t,
        )
    };
    check(outcome).map(drop)
}

/// Waits until there is something to read, at most this long (whole milliseconds, rounded up). False if there is not, or a signal came.
///
/// `poll` takes its time as an integer: no `timespec`, whose layout differs between the C libraries of 32-bit MIPS.
///
/// # Errors
/// Those of `poll`, less `EINTR`.
pub fn wait_readable(fd: BorrowedFd<'_>, at_most: Duration) -> io::Result<bool> {
    let ms = micros(at_most).div_ceil(1000);
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let ms = libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer is that of one live entry, and the count says one.
    match check(unsafe { libc::poll(&raw mut entry, 1, ms) }) {
        Ok(ready) => Ok(ready > 0),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(e) => Err(e),
    }
}

// Namespaces

/// Gives the calling thread a network namespace of its own, in which there is nothing but a loopback interface that is down.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn unshare_network() -> io::Result<()> {
    // SAFETY: of what a thread can stop sharing only the file table is dangerous, and it stays shared.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Moves the calling thread into a network namespace.
///
/// rustix asks a dynamic linker for setns(2) first, and musl's refusal of that is 14 kB of code that prints numbers.
///
/// # Errors
/// As setns(2).
pub fn enter_network(namespace: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointers, and the descriptor is open.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Makes a command start in the given network namespace, and die with the thread that starts it, even if that is killed.
///
/// # Errors
/// If the descriptor cannot be duplicated.
pub fn confine(command: &mut Command, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let namespace = namespace.try_clone_to_owned()?;
    let parent = rustix::process::getpid();
    let confine = move || {
        enter_network(namespace.as_fd())?;
        killed_with(parent)
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
    unsafe { command.pre_exec(confine) };
    Ok(())
}

/// Makes a command start as root of a user namespace of its own, with a network namespace that belongs to it: for those who are
/// not root, where the kernel permits it. It dies with the thread that starts it.
pub fn confine_as_root(command: &mut Command) {
    let parent = rustix::process::getpid();
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let files = [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (c"/proc/self/uid_map", format!("0 {} 1", uid.as_raw())),
        (c"/proc/self/gid_map", format!("0 {} 1", gid.as_raw())),
    ];
    let become_root = move || {
        // SAFETY: as in `unshare_network`; and after fork there is only one thread, as a new user namespace demands.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) }?;
        for (path, text) in &files {
            let file = rustix::fs::open(*path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(file, text.as_bytes())?;
        }
        killed_with(parent)
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
    unsafe { command.pre_exec(become_root) };
}

fn killed_with(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the call above.
    match rustix::process::getppid() {
        Some(now) if now == parent => Ok(()),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

// Packets

/// A frame that went by.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// Its bytes in the buffer.
    pub len: usize,
    /// The interface that saw it.
    pub ifindex: u32,
    /// `PACKET_*` of linux/if_packet.h: 4 is one that leaves.
    pub kind: u8,
    /// When the kernel saw it, since 1970.
    pub at: Option<Duration>,
}

/// Makes the kernel note when it sees a packet.
///
/// # Errors
/// Those of `setsockopt`.
pub fn set_timestamps(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Receives one frame from a packet socket.
///
/// # Errors
/// Those of `recvmsg`.
pub fn receive_frame(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Passed> {
    // SAFETY: a message header and a link-layer address of zeros are valid ones.
    let (mut header, mut from): (libc::msghdr, libc::sockaddr_ll) = unsafe { core::mem::zeroed() };
    let mut control = [0u64; 8];
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    header.msg_name = (&raw mut from).cast();
    header.msg_namelen = size_of_val(&from) as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in the header is that of a live variable, with its length beside it.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let mut at = None;
    // SAFETY: the header is as the kernel filled it in; the macros walk the control buffer within the length given there, and a
    // message of that level and type carries a `timespec`, read without regard to its alignment.
    unsafe {
        let mut entry = libc::CMSG_FIRSTHDR(&raw const header);
        while let Some(found) = entry.as_ref() {
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                let time = libc::CMSG_DATA(entry)
                    .cast::<libc::timespec>()
                    .read_unaligned();
                at = u64::try_from(time.tv_sec)
                    .ok()
                    .zip(u32::try_from(time.tv_nsec).ok())
                    .map(|(s, ns)| Duration::new(s, ns));
            }
            entry = libc::CMSG_NXTHDR(&raw const header, entry);
        }
    }
    Ok(Passed {
        len: len.min(buffer.len()),
        ifindex: from.sll_ifindex.cast_unsigned(),
        kind: from.sll_pkttype,
        at,
    })
}

/// A moment on the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of our era.
    pub year: i32,
    /// 0 is January.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// Seconds by which it is ahead of universal time.
    pub ahead: i32,
}

/// The time of day in the zone of this host.
#[must_use]
pub fn local_time() -> LocalTime {
    let mut broken = core::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to variables of ours; a `tm` of zeroes is valid (its zone pointer may be null), which it
    // stays where the year does not fit.
    let t = unsafe {
        let now = libc::time(core::ptr::null_mut());
        libc::localtime_r(&raw const now, broken.as_mut_ptr());
        broken.assume_init()
    };
    let small = |n: libc::c_int| u8::try_from(n).unwrap_or_default();
    LocalTime {
        year: t.tm_year.saturating_add(1900),
        month: small(t.tm_mon),
        day: small(t.tm_mday),
        weekday: small(t.tm_wday),
        hour: small(t.tm_hour),
        minute: small(t.tm_min),
        second: small(t.tm_sec),
        ahead: i32::try_from(t.tm_gmtoff).unwrap_or_default(),
    }
}

/// A moment as a calendar and a clock show it, in the zone of this host or in universal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Year of our era.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

#[allow(
    clippy::useless_conversion,
    reason = "time_t has 32 bits on some targets"
)]
impl Calendar {
    /// So many seconds after 1970 began.
    #[must_use]
    pub fn at(seconds: i64, universal: bool) -> Self {
        let mut broken = core::mem::MaybeUninit::<libc::tm>::zeroed();
        let seconds = seconds.try_into().unwrap_or_default();
        // SAFETY: as in `local_time`.
        let t = unsafe {
            if universal {
                libc::gmtime_r(&raw const seconds, broken.as_mut_ptr());
            } else {
                libc::localtime_r(&raw const seconds, broken.as_mut_ptr());
            }
            broken.assume_init()
        };
        let small = |n: libc::c_int| u8::try_from(n).unwrap_or_default();
        Self {
            year: t.tm_year.saturating_add(1900),
            month: small(t.tm_mon.saturating_add(1)),
            day: small(t.tm_mday),
            hour: small(t.tm_hour),
            minute: small(t.tm_min),
            second: small(t.tm_sec),
        }
    }

    /// How many seconds after 1970 began; a day that its month has not got is one of the next month. None where nobody counts
    /// that far.
    #[must_use]
    pub fn seconds(self, universal: bool) -> Option<i64> {
        // SAFETY: a `tm` of zeroes is valid.
        let mut t: libc::tm = unsafe { mem::zeroed() };
        t.tm_year = self.year.checked_sub(1900)?;
        t.tm_mon = libc::c_int::from(self.month) - 1;
        t.tm_mday = self.day.into();
        t.tm_hour = self.hour.into();
        t.tm_min = self.minute.into();
        t.tm_sec = self.second.into();
        // Whether it is summer is found out.
        t.tm_isdst = -1;
        // SAFETY: the pointer is to a `tm` of ours.
        let seconds = unsafe {
            if universal {
                libc::timegm(&raw mut t)
            } else {
                libc::mktime(&raw mut t)
            }
        };
        (seconds != -1).then_some(seconds.into())
    }
}

// Signals

/// Blocks the signals `numbers` and gives a descriptor from which they are read instead; never blocks.
///
/// # Errors
/// As signalfd(2).
pub fn signals(numbers: &[libc::c_int]) -> io::Result<OwnedFd> {
    let mut set = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, and the others read or write it only; the old mask is not asked for.
    let fd = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &number in numbers {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        check(libc::sigprocmask(
            libc::SIG_BLOCK,
            set.as_ptr(),
            core::ptr::null_mut(),
        ))?;
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        check(libc::signalfd(-1, set.as_ptr(), flags))?
    };
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal: to a process, or with a negative number to a process group.
///
/// # Errors
/// As kill(2): `ESRCH` when there is none.
pub fn kill(process: i32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(process, signal) }).map(drop)
}

// Processes

/// A program to start.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// Where it is; searched for in `PATH` unless it has a slash.
    pub path: &'a CStr,
    /// Its words, the name that it goes by first.
    pub words: &'a [CString],
    /// The words for `/bin/sh`, when the kernel does not know the format of the file.
    pub shell: Option<&'a [CString]>,
    /// User and group that it runs as, without any other group; `None` is ours.
    pub user: Option<(u32, u32)>,
    /// Apart from us: its own process group, and standard streams that lead nowhere.
    pub apart: bool,
    /// Its standard input; ours, or nothing where it is apart.
    pub input: Option<BorrowedFd<'a>>,
    /// Its standard error; likewise.
    pub errors: Option<BorrowedFd<'a>>,
}

/// Exit status of a child that could not become the program, as of a shell: not found.
pub const NOT_FOUND: i32 = 127;
/// Exit status of a child that could not become the program, as of a shell: found but not to be executed.
pub const NOT_EXECUTABLE: i32 = 126;

/// Starts a program and does not wait for anything: one that cannot be executed ends with [`NOT_FOUND`] or
/// [`NOT_EXECUTABLE`]. It gets SIGTERM when we die, and no signal is blocked in it.
///
/// # Errors
/// As fork(2).
pub fn spawn(program: &Program<'_>) -> io::Result<i32> {
    let words = pointers(program.words);
    let shell = program.shell.map(pointers);
    let parent = std::process::id();
    // SAFETY: this process has one thread, so that the child may go on as we are; until it becomes another program it
    // makes system calls only, on memory that was prepared before. The pointers end with a null.
    match check(unsafe { libc::fork() })? {
        0 => unsafe {
            become_child(program, parent);
            libc::execvp(program.path.as_ptr(), words.as_ptr());
            let mut error = *libc::__errno_location();
            if let (libc::ENOEXEC, Some(shell)) = (error, &shell) {
                libc::execv(c"/bin/sh".as_ptr(), shell.as_ptr());
                error = *libc::__errno_location();
            }
            libc::_exit(match error {
                libc::ENOENT | libc::ENOTDIR => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            })
        },
        child => {
            if program.apart {
                // The child does the same: whoever comes first, its group is there when it is to be killed.
                // SAFETY: no pointers.
                unsafe { libc::setpgid(child, child) };
            }
            Ok(child)
        }
    }
}

/// What the kernel gives to every process, in nanoseconds.
const SLACK: libc::c_ulong = 50_000;
/// The signal that the death of its parent sends to a child.
const DEATH: libc::c_ulong = libc::SIGTERM as libc::c_ulong;

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    let words = words.iter().map(|word| word.as_ptr());
    words.chain([core::ptr::null()]).collect()
}

/// What a child does before it becomes its program.
///
/// # Safety
/// Only in a child, between fork and exec.
unsafe fn become_child(program: &Program<'_>, parent: u32) {
    // SAFETY: system calls on memory of ours.
    unsafe {
        let mut none = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), core::ptr::null_mut());
        // Rust's runtime ignores it, and what is ignored stays so in the program.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::prctl(libc::PR_SET_TIMERSLACK, SLACK);
        if program.apart {
            libc::setpgid(0, 0);
            silence();
        }
        if let Some(input) = program.input {
            libc::dup2(input.as_raw_fd(), 0);
        }
        if let Some(errors) = program.errors {
            libc::dup2(errors.as_raw_fd(), 2);
        }
        if let Some((uid, gid)) = program.user {
            take_up_rights();
            // More groups give root nothing that it has not got: without them it may go on.
            let grouped = libc::geteuid() != 0 || libc::setgroups(1, &raw const gid) == 0;
            let refused =
                libc::setgid(gid) != 0 || !(grouped || uid == 0) || libc::setuid(uid) != 0;
            if refused {
                let why = c"not permitted to become its user: CAP_SETUID or CAP_SETGID is missing";
                libc::write(2, why.as_ptr().cast(), why.count_bytes());
                libc::_exit(NOT_EXECUTABLE);
            }
        }
        // After the change of user, which would undo it.
        libc::prctl(libc::PR_SET_PDEATHSIG, DEATH);
        // We may have died before that.
        if u32::try_from(libc::getppid()) != Ok(parent) {
            libc::_exit(NOT_EXECUTABLE);
        }
    }
}

/// Makes effective again what this process may do but has put aside (capabilities(7)). Whoever needs what is refused here is told so
/// itself.
pub fn take_up_rights() {
    if let Ok(mut sets) = capabilities(None) {
        sets.effective = sets.permitted;
        let _ = set_capabilities(None, sets);
    }
}

/// Leads the standard streams nowhere.
pub fn silence() {
    // SAFETY: the path ends with a NUL; a descriptor that could not be opened is -1 and refused by dup2.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for stream in 0..=2 {
            libc::dup2(null, stream);
        }
        if null > 2 {
            libc::close(null);
        }
    }
}

/// Becomes two processes: the child's number in the one, `None` in the other.
///
/// # Errors
/// As fork(2).
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: this process has one thread, so that the child may go on as we are.
    let child = check(unsafe { libc::fork() })?;
    Ok((child != 0).then_some(child))
}

/// Does something that blocks in a process of its own, which ends with it, or with us; gives its number.
///
/// # Errors
/// As fork(2).
pub fn apart(work: impl FnOnce()) -> io::Result<i32> {
    let us = std::process::id();
    if let Some(child) = fork()? {
        return Ok(child);
    }
    // SAFETY: no pointers. Nothing that was taken over from us may be put in order at the end: it is still ours.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
        if u32::try_from(libc::getppid()) == Ok(us) {
            work();
        }
        libc::_exit(0)
    }
}

/// Asks for SIGTERM when the process that started this one dies. False when it has died already.
#[must_use]
pub fn die_with(parent: u32) -> bool {
    // SAFETY: no pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, DEATH);
        u32::try_from(libc::getppid()) == Ok(parent)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// How a child of ours ended; `None` while it runs. It is then no more, not even as a zombie.
///
/// # Errors
/// As waitpid(2): `ECHILD` when it is no child of ours.
pub fn ended(child: i32) -> io::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: the pointer is to a variable of ours.
    match check(unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) })? {
        0 => Ok(None),
        _ if libc::WIFSIGNALED(status) => Ok(Some(Ended::Signal(libc::WTERMSIG(status)))),
        _ => Ok(Some(Ended::Status(libc::WEXITSTATUS(status)))),
    }
}

/// Waits for a child to end, however long that takes.
///
/// # Errors
/// As waitpid(2).
pub fn wait_for_end(child: i32) -> io::Result<Ended> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a variable of ours.
        match check(unsafe { libc::waitpid(child, &raw mut status, 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) if libc::WIFSIGNALED(status) => {
                return Ok(Ended::Signal(libc::WTERMSIG(status)));
            }
            Ok(_) => return Ok(Ended::Status(libc::WEXITSTATUS(status))),
        }
    }
}

/// Tells the kernel that the pages of the program's code are not needed now. What is needed all the same comes back from the
/// page cache, 64 kB at a time.
pub fn forget_code() {
    // The linker's: where the program begins, and where its code ends. What lies between is never written to.
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    // SAFETY: there is nothing to get wrong.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(page) = usize::try_from(page).ok().filter(|page| *page > 0) else {
        return;
    };
    let start = (&raw const __executable_start)
        .addr()
        .next_multiple_of(page);
    let end = (&raw const etext).addr() / page * page;
    let from = (&raw const __executable_start).with_addr(start);
    let len = end.saturating_sub(start);
    // SAFETY: the range is whole pages of the file that this program is, mapped to be read only. Without their copy in our
    // page table the same bytes are read from the file.
    let _ = unsafe { libc::madvise(from.cast_mut().cast(), len, libc::MADV_DONTNEED) };
}

/// Names this process as `ps` and `pidof` show it; 15 bytes at most.
pub fn name_process(name: &CStr) {
    // SAFETY: the string ends with a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Lets a crash leave a core dump of any size.
///
/// # Errors
/// As setrlimit(2).
pub fn allow_core_dump() -> io::Result<()> {
    let all = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is to a variable of ours.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const all) }).map(drop)
}

// Files

/// Locks the whole file for writing until its description is closed (`F_OFD_SETLK`); `WouldBlock` when another one
/// has it locked.
///
/// # Errors
/// As fcntl(2).
pub fn lock(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: zeroes are a valid flock: from the beginning, to the end, by no process in particular.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    // The constants have another type on some targets.
    #[allow(clippy::unnecessary_cast)]
    {
        lock.l_type = libc::F_WRLCK as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
    }
    // SAFETY: the pointer is to a variable of ours.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }).map(drop)
}
