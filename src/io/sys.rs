//! What the crates have no safe call for: the only unsafe code.

#![allow(unsafe_code)]

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::thread::UnshareFlags;

/// The result of a C call that says -1 and `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        other => Ok(other),
    }
}

// Netlink

/// Switches on a boolean option of level `SOL_NETLINK`.
///
/// # Errors
/// `ENOPROTOOPT` where the kernel is older than the option.
pub fn set_netlink_option(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length are those of a live integer, which the kernel only reads.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Waits until there is something to read, at most this long (whole milliseconds, rounded up). False if there is not, or a signal came.
///
/// `poll` takes its time as an integer: no `timespec`, whose layout differs between the C libraries of 32-bit MIPS.
///
/// # Errors
/// Those of `poll`, less `EINTR`.
pub fn wait_readable(fd: BorrowedFd<'_>, at_most: Duration) -> io::Result<bool> {
    let ms = at_most.as_micros().div_ceil(1000);
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

/// Makes a command start in the given network namespace, and die with the thread that starts it, even if that is killed.
///
/// # Errors
/// If the descriptor cannot be duplicated.
pub fn confine(command: &mut Command, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let namespace = namespace.try_clone_to_owned()?;
    let parent = rustix::process::getpid();
    let confine = move || {
        rustix::thread::move_into_link_name_space(namespace.as_fd(), None)?;
        die_with(parent)
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
        die_with(parent)
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
    unsafe { command.pre_exec(become_root) };
}

fn die_with(parent: Pid) -> io::Result<()> {
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
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length are those of a live integer, which the kernel only reads.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    })
    .map(drop)
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
