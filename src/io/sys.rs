//! All of the unsafe code: what neither the standard library nor rustix offers.

#![allow(unsafe_code)]

// Sockets

use std::io;
use std::mem;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::name::{IfName, Ifindex};

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

/// The error of a libc function that answered less than zero.
fn check<T: PartialOrd + Default>(outcome: T) -> io::Result<T> {
    if outcome < T::default() {
        Err(io::Error::last_os_error())
    } else {
        Ok(outcome)
    }
}
