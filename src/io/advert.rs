//! The sockets by which adverts come and go: one for each interface and family, for both directions.
//!
//! IPv4 adverts leave with a header of our own, because an authentication header covers its identification. IPv6 adverts
//! get theirs from the kernel, and their checksum too. Sending is one system call, receiving is one.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, sockopt,
};

use super::sys;
use crate::name::{Family, IfName, Ifindex};
use crate::wire::ah::{self, AhRepr};
use crate::wire::ip::{self, Ipv4Packet, Ipv4Repr};
use crate::wire::vrrp;

/// Bytes that a receive buffer needs for the longest advert: an IPv4 header with options, an authentication header, 255
/// IPv6 addresses; and one more, so that one that is too long shows.
pub const BUFFER: usize = 60 + ah::LEN + vrrp::MAX_LEN + 1;

/// Band of a queue that is emptied before all others (`TC_PRIO_CONTROL` of linux/pkt_sched.h): a router that is busy
/// forwarding shall not lose its mastership in its own queue.
const NETWORK_CONTROL: libc::c_int = 7;

/// Where the checksum stands in a VRRP message.
const CHECKSUM_OFFSET: libc::c_int = 6;

/// Why a socket could not be had.
#[derive(Debug)]
pub struct SocketError {
    /// What was tried, in the infinitive.
    pub what: &'static str,
    /// On which interface, where it is about one.
    pub interface: Option<IfName>,
    /// What the kernel answered.
    pub source: io::Error,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.what)?;
        if let Some(interface) = &self.interface {
            write!(f, " on {interface}")?;
        }
        write!(f, ": {}", self.source)?;
        let remedy = match self.source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "run as root, or give CAP_NET_RAW and CAP_NET_ADMIN"
            }
            Some(libc::ENODEV | libc::ENXIO) => "is the interface there?",
            Some(libc::EAFNOSUPPORT) => "the kernel has to be built with, or load, this family",
            Some(libc::EMFILE) => "raise the limit of open files",
            _ => return Ok(()),
        };
        write!(f, "; {remedy}")
    }
}

// The cause is printed already, in front of the remedy.
impl std::error::Error for SocketError {}

/// What is not the same for every socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// For adverts in an authentication header, IPv4 only: protocol 51 in place of 112.
    pub authenticated: bool,
    /// `kernel_rx_buf_size`, `vrrp_rx_bufs_policy`: bytes of the receive buffer; `None` is the system's.
    pub receive_buffer: Option<u32>,
}

/// A received datagram, its IP header taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Received<'b> {
    /// Where it came in.
    pub ifindex: Ifindex,
    /// Who sent it.
    pub source: IpAddr,
    /// To whom: a group or an address of ours. Over IPv6 it may be a group that only somebody else on this host joined.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// The IPv4 header, which an authentication header covers; empty for IPv6.
    pub header: &'b [u8],
    /// What follows: a VRRP message, or an authentication header with one.
    pub payload: &'b [u8],
}

/// A raw socket bound to one interface. It outlives a fall of the link but dies with the interface: one that is made
/// again, even by the same name, needs a new socket.
#[derive(Debug)]
pub struct AdvertSocket {
    fd: OwnedFd,
    index: Ifindex,
    family: Family,
    /// Of the last IPv4 packet: never zero, which the kernel would replace.
    identification: u16,
    /// Where a packet is put together.
    packet: Box<[u8]>,
}

impl AdvertSocket {
    /// Opens a socket on an interface, joined to `group` where adverts are multicast.
    ///
    /// # Errors
    /// Which step the kernel refused, and why.
    pub fn open(
        name: &IfName,
        index: Ifindex,
        family: Family,
        group: Option<IpAddr>,
        options: Options,
    ) -> Result<Self, SocketError> {
        let failed = |what| {
            move |source| SocketError {
                what,
                interface: Some(name.clone()),
                source,
            }
        };
        let fd = socket(family, options).map_err(failed("open a raw socket for VRRP"))?;
        let socket = fd.as_fd();
        sys::bind_to_device(socket, name).map_err(failed("bind the VRRP socket to its device"))?;
        set_options(socket, family, options).map_err(failed("set up the VRRP socket"))?;
        let room = match family {
            Family::V4 => ip::HEADER + ah::LEN + vrrp::MAX_LEN_V4,
            Family::V6 => vrrp::MAX_LEN,
        };
        let new = Self {
            fd,
            index,
            family,
            identification: 0,
            packet: vec![0; room].into_boxed_slice(),
        };
        if let Some(group) = group {
            new.join(group)
                .map_err(failed("join the multicast group of VRRP"))?;
        }
        Ok(new)
    }

    /// Joins one more group.
    ///
    /// # Errors
    /// The kernel's.
    pub fn join(&self, group: IpAddr) -> io::Result<()> {
        self.join_on(group, self.index)
    }

    /// Joins a group on another interface, from which nothing is received all the same: its membership is all that is wanted.
    ///
    /// # Errors
    /// The kernel's.
    pub fn join_on(&self, group: IpAddr, index: Ifindex) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => sockopt::set_ip_add_membership_with_ifindex(
                &self.fd,
                &group,
                &Ipv4Addr::UNSPECIFIED,
                index,
            ),
            IpAddr::V6(group) => sockopt::set_ipv6_add_membership(&self.fd, &group, index),
        }
        .map_err(io::Error::from)
    }

    /// Leaves a group that was joined on an interface.
    ///
    /// # Errors
    /// The kernel's: it is no member, which it ceases to be when the interface goes.
    pub fn leave_on(&self, group: IpAddr, index: Ifindex) -> io::Result<()> {
        match group {
            IpAddr::V4(group) => sockopt::set_ip_drop_membership_with_ifindex(
                &self.fd,
                &group,
                &Ipv4Addr::UNSPECIFIED,
                index,
            ),
            IpAddr::V6(group) => sockopt::set_ipv6_drop_membership(&self.fd, &group, index),
        }
        .map_err(io::Error::from)
    }

    /// Index of the interface that it was opened on.
    #[must_use]
    pub const fn ifindex(&self) -> Ifindex {
        self.index
    }

    /// Sends one message, which `write` puts into the buffer it is given; it returns the length, or `None` where the
    /// buffer is too short.
    ///
    /// # Errors
    /// The kernel's; `InvalidInput` where the addresses are not of the socket's family, or `write` returned `None`.
    pub fn send(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        hops: u8,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> io::Result<()> {
        match (self.family, source, destination) {
            (Family::V4, IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.send_v4(source, destination, hops, None, write)
            }
            (Family::V6, IpAddr::V6(source), IpAddr::V6(destination)) => {
                let len = write(&mut self.packet).ok_or(io::ErrorKind::InvalidInput)?;
                let message = self.packet.get(..len).ok_or(io::ErrorKind::InvalidInput)?;
                let fd = self.fd.as_fd();
                sys::send_from(fd, source, destination, self.index, hops, message)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// As [`Self::send`], in an authentication header, with a `sequence` greater than that of any advert before.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub fn send_authenticated(
        &mut self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        ttl: u8,
        key: &ah::Key,
        sequence: u32,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> io::Result<()> {
        match self.family {
            Family::V4 => self.send_v4(source, destination, ttl, Some((key, sequence)), write),
            Family::V6 => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn send_v4(
        &mut self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        ttl: u8,
        seal: Option<(&ah::Key, u32)>,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> io::Result<()> {
        let (protocol, between) = match seal {
            Some(_) => (ip::AH, ah::LEN),
            None => (ip::VRRP, 0),
        };
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        let message = self
            .packet
            .get_mut(ip::HEADER + between..)
            .and_then(write)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let header = Ipv4Repr {
            source,
            destination,
            ttl,
            protocol,
            identification: self.identification,
            payload_len: between.saturating_add(message),
        };
        let packet = header
            .emit(&mut self.packet)
            .ok_or(io::ErrorKind::InvalidInput)?;
        if let Some((key, sequence)) = seal {
            let authentication = AhRepr {
                spi: source,
                sequence,
            };
            authentication
                .seal(packet, key)
                .ok_or(io::ErrorKind::InvalidInput)?;
        }
        // A group is on the link, whatever the routing table says.
        let flags = match destination.is_multicast() {
            true => SendFlags::DONTROUTE,
            false => SendFlags::empty(),
        };
        rustix::net::sendto(&self.fd, packet, flags, &SocketAddrV4::new(destination, 0))?;
        Ok(())
    }

    /// One datagram, or `None` when there is none. A `buffer` of [`BUFFER`] bytes holds any advert.
    ///
    /// # Errors
    /// The kernel's; `InvalidData` for a datagram that is longer than `buffer` or of which the kernel did not tell all, and
    /// which is to be counted and forgotten.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Received<'b>>> {
        let info = match sys::receive(self.fd.as_fd(), buffer) {
            Ok(info) => info,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..info.len).unwrap_or_default();
        match self.family {
            Family::V4 => received_v4(&info, bytes),
            Family::V6 => received_v6(&info, bytes),
        }
        .map(Some)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl AsFd for AdvertSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn socket(family: Family, options: Options) -> io::Result<OwnedFd> {
    let (domain, protocol) = match family {
        Family::V4 if options.authenticated => (AddressFamily::INET, ip::AH),
        Family::V4 => (AddressFamily::INET, ip::VRRP),
        Family::V6 => (AddressFamily::INET6, ip::VRRP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = RawProtocol::new(u32::from(protocol)).map(Protocol::from_raw);
    Ok(rustix::net::socket_with(
        domain,
        SocketType::RAW,
        flags,
        protocol,
    )?)
}

fn set_options(socket: BorrowedFd<'_>, family: Family, options: Options) -> io::Result<()> {
    use libc::{IPPROTO_IP, IPPROTO_IPV6};
    const OFF: libc::c_int = 0;
    const ON: libc::c_int = 1;
    // IP_MULTICAST_ALL off: no groups but those this very socket joined. A raw IPv6 socket that is not bound to an address
    // takes no notice of its namesake (raw_v6_match in net/ipv6/raw.c), so it is not asked. Loop off: not to our own host.
    let v4 = [
        (IPPROTO_IP, libc::IP_HDRINCL, ON),
        (IPPROTO_IP, libc::IP_PKTINFO, ON),
        (IPPROTO_IP, libc::IP_MULTICAST_LOOP, OFF),
        (IPPROTO_IP, libc::IP_MULTICAST_ALL, OFF),
    ];
    let v6 = [
        (IPPROTO_IPV6, libc::IPV6_CHECKSUM, CHECKSUM_OFFSET),
        (IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, ON),
        (IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, ON),
        (IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, OFF),
        (
            IPPROTO_IPV6,
            libc::IPV6_TCLASS,
            libc::c_int::from(ip::INTERNETWORK_CONTROL),
        ),
    ];
    let wanted: &[_] = match family {
        Family::V4 => &v4,
        Family::V6 => &v6,
    };
    for &(level, option, value) in wanted {
        sys::set_option(socket, level, option, value)?;
    }
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, NETWORK_CONTROL)?;
    if let Some(bytes) = options.receive_buffer {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        sys::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)?;
    }
    Ok(())
}

fn received_v4<'b>(info: &sys::Info, bytes: &'b [u8]) -> Option<Received<'b>> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    Some(Received {
        ifindex: info.ifindex?,
        source: packet.source().into(),
        destination: packet.destination().into(),
        hops: packet.ttl(),
        header: packet.header(),
        payload: packet.payload(),
    })
}

fn received_v6<'b>(info: &sys::Info, bytes: &'b [u8]) -> Option<Received<'b>> {
    let whole = !info.truncated;
    whole.then_some(Received {
        ifindex: info.ifindex?,
        source: IpAddr::V6(info.source?),
        destination: IpAddr::V6(info.destination?),
        hops: info.hops?,
        header: &[],
        payload: bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_socket_tells_what_was_tried_what_went_wrong_and_what_to_do() {
        let error = SocketError {
            what: "open a raw socket for VRRP",
            interface: IfName::new("eth0"),
            source: io::Error::from_raw_os_error(libc::EPERM),
        };
        assert_eq!(
            error.to_string(),
            "cannot open a raw socket for VRRP on eth0: Operation not permitted (os error 1); \
             run as root, or give CAP_NET_RAW and CAP_NET_ADMIN"
        );
    }
}
