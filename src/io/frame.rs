//! Whole Ethernet frames: gratuitous ARP and unsolicited neighbour advertisements.

use core::net::IpAddr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::advert::SocketError;
use super::sys;
use crate::name::{Ifindex, Mac};
use crate::wire::arp::GratuitousArp;
use crate::wire::ndisc::{self, NeighbourAdvert};

/// A frame that waits to be sent, at most a neighbour advertisement long.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    len: usize,
    bytes: [u8; ndisc::LEN],
}

impl Frame {
    /// Tells where an address lives: a gratuitous ARP for IPv4, an unsolicited neighbour advertisement for IPv6, the
    /// latter with the router flag where `router` says that we forward.
    #[must_use]
    pub fn announcing(ip: IpAddr, mac: Mac, router: bool) -> Self {
        let mut bytes = [0; ndisc::LEN];
        let written = match ip {
            IpAddr::V4(ip) => GratuitousArp { mac, ip }.emit(&mut bytes),
            IpAddr::V6(ip) => NeighbourAdvert { mac, ip, router }.emit(&mut bytes),
        };
        let len = written.map_or(0, <[u8]>::len);
        Self { len, bytes }
    }

    /// The frame as it goes out.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The one socket by which frames leave, whatever the interface. It receives nothing.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    /// Opens it. Being of protocol zero it is on no list of receivers, which would cost a copy of every frame.
    ///
    /// # Errors
    /// The kernel has no packet sockets, or we lack the right.
    pub fn open() -> Result<Self, SocketError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map(Self)
            .map_err(|error| SocketError {
                what: "open a packet socket",
                interface: None,
                source: error.into(),
            })
    }

    /// Announces addresses on an interface, each by one frame, as they come. See [`Self::send_all`] for what is returned;
    /// to go on, skip as many addresses as have gone.
    ///
    /// # Errors
    /// Not even the first has gone.
    pub fn announce(
        &mut self,
        ifindex: Ifindex,
        mac: Mac,
        router: bool,
        ips: impl Iterator<Item = IpAddr>,
    ) -> io::Result<usize> {
        self.send_all(ifindex, ips.map(|ip| Frame::announcing(ip, mac, router)))
    }

    /// Sends frames by an interface, many by one system call, never waiting. Returns how many have gone; when that is not
    /// all, the next call tells why.
    ///
    /// # Errors
    /// Not even the first has gone. `WouldBlock` and `ENOBUFS` ([`is_full`]) say that the queue is full: try again a
    /// little later. Others, such as `ENETDOWN` and `ENXIO`, say that the interface is down or gone.
    pub fn send_all(
        &mut self,
        ifindex: Ifindex,
        frames: impl Iterator<Item = Frame>,
    ) -> io::Result<usize> {
        let mut frames = frames.fuse();
        let mut gone = 0;
        loop {
            let batch: heapless::Vec<Frame, { sys::FRAMES }> =
                frames.by_ref().take(sys::FRAMES).collect();
            let waiting = batch.iter().map(Frame::as_bytes);
            match sys::send_frames(self.0.as_fd(), ifindex, waiting) {
                Ok(sent) => {
                    gone += sent;
                    if sent < sys::FRAMES {
                        return Ok(gone);
                    }
                }
                Err(error) if gone == 0 => return Err(error),
                Err(_) => return Ok(gone),
            }
        }
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether an error of sending says that a queue is full, or that something came between, and that it is worth trying again a
/// little later.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted) || error.raw_os_error() == Some(libc::ENOBUFS)
}
