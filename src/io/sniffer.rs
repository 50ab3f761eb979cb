//! A listener to every advert that passes, whoever it is for.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, socket_with, sockopt};

use super::error::NetError;
use super::link;
use super::netlink::Netlink;
use super::sys;
use crate::name::{IfName, Ifindex};

/// The groups that adverts go to (RFC 9568 sections 5.1.1.2 and 5.1.2.2).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// The listener.
#[derive(Debug)]
pub struct Sniffer {
    socket: OwnedFd,
    /// Interfaces, by index.
    interfaces: Vec<(Ifindex, IfName)>,
    /// Hold the memberships, without which neither a switch nor a card lets multicast through.
    _members: [OwnedFd; 2],
}

/// An advert that went by, from its IP header on.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Bytes of it in the buffer.
    pub len: usize,
    /// Where it was seen.
    pub ifindex: Ifindex,
    /// Whether this host sent it.
    pub is_ours: bool,
}

impl Sniffer {
    /// Listens on one interface, or on all.
    ///
    /// # Errors
    /// There is no such interface, or we lack the right.
    pub fn open(only: Option<&IfName>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        // Deaf until the filter is there.
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::DGRAM,
            flags,
            Some(eth::ALL),
        )?;
        sys::keep_adverts(socket.as_fd())?;
        let datagram = |family| socket_with(family, SocketType::DGRAM, flags, None);
        let members = [
            datagram(AddressFamily::INET)?,
            datagram(AddressFamily::INET6)?,
        ];
        let mut interfaces = interfaces().map_err(io::Error::other)?;
        interfaces.retain(|(_, name)| only.is_none_or(|only| only == name));
        if interfaces.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no such interface",
            ));
        }
        let [v4, v6] = &members;
        for (index, _) in &interfaces {
            // One without multicast has adverts to unicast peers at the most.

            let _ = sockopt::set_ip_add_membership_with_ifindex(
                v4,
                &GROUP_V4,
                &Ipv4Addr::UNSPECIFIED,
                *index,
            );
            let _ = sockopt::set_ipv6_add_membership(v6, &GROUP_V6, *index);
        }
        Ok(Self {
            socket,
            interfaces,
            _members: members,
        })
    }

    /// Waits for the next advert; gives it with the name of its interface.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(Heard, &IfName)> {
        /// `PACKET_OUTGOING` of linux/if_packet.h.
        const OUTGOING: u8 = 4;
        loop {
            let passed = sys::receive_frame(self.socket.as_fd(), buffer)?;
            let mut all = self.interfaces.iter();
            if let Some((_, name)) = all.find(|(index, _)| *index == passed.ifindex) {
                let heard = Heard {
                    len: passed.len,
                    ifindex: passed.ifindex,
                    is_ours: passed.kind == OUTGOING,
                };
                return Ok((heard, name));
            }
        }
    }
}

/// Those of our network namespace; what is mounted at /sys may be another's.
fn interfaces() -> Result<Vec<(Ifindex, IfName)>, NetError> {
    let links = link::list(&mut Netlink::route()?)?;
    Ok(links
        .into_iter()
        .map(|link| (link.index, link.name))
        .collect())
}
