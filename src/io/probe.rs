//! Sockets of health checks: how a server is reached, and whose fault it is when it is not.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::sys;
use crate::name::IfName;

/// How to reach a server.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// Where it is; the port of an echo is not looked at.
    pub to: SocketAddr,
    /// Address of ours to come from.
    pub from: Option<IpAddr>,
    /// Port of ours to come from.
    pub from_port: Option<u16>,
    /// Interface to leave by.
    pub interface: Option<&'a IfName>,
    /// Firewall mark of what is sent.
    pub mark: Option<u32>,
}

/// What to reach it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
    /// ICMP or ICMPv6 echo.
    Echo,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum Obstacle {
    /// The server is not there, or no way leads to it.
    Peer(io::Error),
    /// The kernel did not do something for us: what it was.
    Own(&'static str, io::Error),
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// So many bytes from here on in the buffer, less than it holds.
    Bytes {
        /// Where they begin.
        start: usize,
        /// Where they end.
        end: usize,
    },
    /// The end of the stream.
    End,
}

/// A socket that talks to one server, and never blocks.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    /// What comes has an IPv4 header in front.
    headers: bool,
    stream: bool,
}

/// Errors of `connect` that say something about the server or the way to it, as keepalived takes them.
const OF_THE_PEER: [Errno; 8] = [
    Errno::NETUNREACH,
    Errno::HOSTUNREACH,
    Errno::CONNREFUSED,
    Errno::HOSTDOWN,
    Errno::NETDOWN,
    Errno::CONNRESET,
    Errno::CONNABORTED,
    Errno::TIMEDOUT,
];

impl Socket {
    /// Opens one and begins to connect. A stream becomes writable when it is known how that went.
    ///
    /// # Errors
    /// Whose fault it is, and the kernel's reason.
    pub fn open(kind: Kind, way: &Way<'_>) -> Result<Self, Obstacle> {
        let own = |what| move |error: io::Error| Obstacle::Own(what, error);
        let socket = Self::make(kind, way.to.is_ipv6()).map_err(own("open a socket"))?;
        let fd = socket.as_fd();
        if let Some(mark) = way.mark {
            sys::set_mark(fd, mark).map_err(own("set the fwmark"))?;
        }
        if let Some(interface) = way.interface {
            sys::bind_to_device(fd, interface).map_err(own("bind to the bind_if"))?;
        }
        if way.from.is_some() || way.from_port.is_some() {
            bind(fd, kind, way).map_err(own("bind to the bindto"))?;
        }
        match rustix::net::connect(fd, &way.to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) if OF_THE_PEER.contains(&error) => Err(Obstacle::Peer(error.into())),
            Err(error) => Err(Obstacle::Own("connect", error.into())),
        }
    }

    fn make(kind: Kind, v6: bool) -> io::Result<Self> {
        let family = if v6 {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        };
        let icmp = if v6 { ipproto::ICMPV6 } else { ipproto::ICMP };
        let open = |kind, protocol| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            rustix::net::socket_with(family, kind, flags, protocol)
        };
        let (fd, headers) = match kind {
            Kind::Stream => (open(SocketType::STREAM, None)?, false),
            Kind::Datagram => (open(SocketType::DGRAM, None)?, false),
            // Open to the groups of net.ipv4.ping_group_range only, which is not ours to widen; a raw socket needs
            // CAP_NET_RAW instead.
            Kind::Echo => match open(SocketType::DGRAM, Some(icmp)) {
                Ok(fd) => (fd, false),
                Err(Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT) => {
                    let fd = open(SocketType::RAW, Some(icmp))?;
                    sys::hear_echo_replies_only(fd.as_fd(), v6)?;
                    (fd, !v6)
                }
                Err(error) => return Err(error.into()),
            },
        };
        let stream = kind == Kind::Stream;
        if !stream {
            sys::hear_icmp_errors(fd.as_fd(), v6)?;
        }
        Ok(Self {
            fd,
            headers,
            stream,
        })
    }

    /// Whether it is a stream.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.stream
    }

    /// Whether the connection stands.
    ///
    /// # Errors
    /// Why there is none.
    pub fn connected(&self) -> io::Result<bool> {
        match rustix::net::getpeername(&self.fd) {
            Ok(_) => Ok(true),
            Err(Errno::NOTCONN) => {
                sockopt::socket_error(&self.fd)??;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what it can, and takes that away.
    ///
    /// # Errors
    /// Why nothing can be sent: `WouldBlock` while there is no room, or no connection yet.
    pub fn send(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let sent = rustix::net::send(&self.fd, out, SendFlags::NOSIGNAL)?;
        out.drain(..sent.min(out.len()));
        Ok(())
    }

    /// Receives a piece of a stream, or one datagram.
    ///
    /// # Errors
    /// Why nothing came: `WouldBlock` while nothing is there.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        let (end, _) = rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::empty())?;
        let start = match buffer.first() {
            // The length of an IPv4 header is in words of four bytes (RFC 791 section 3.1).
            Some(first) if self.headers => usize::from(first & 0xf).saturating_mul(4).min(end),
            _ => 0,
        };
        Ok(match end {
            0 if self.stream => Arrival::End,
            _ => Arrival::Bytes { start, end },
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn bind(fd: BorrowedFd<'_>, kind: Kind, way: &Way<'_>) -> io::Result<()> {
    let any = match way.to {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    if way.from_port.is_some() && kind == Kind::Stream {
        // The next attempt needs the port again: it must not wait out TIME-WAIT, so the connection is reset at its end.
        sockopt::set_socket_reuseaddr(fd, true)?;
        sockopt::set_socket_linger(fd, Some(Duration::ZERO))?;
    }
    let from = SocketAddr::new(way.from.unwrap_or(any), way.from_port.unwrap_or(0));
    Ok(rustix::net::bind(fd, &from)?)
}
