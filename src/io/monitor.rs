//! What changes about interfaces and addresses, and about routes and rules of ours, as it happens.
//!
//! The kernel tells everything to those who listen, until they do not keep up: then it drops messages and says so once
//! ([`Change::Overrun`]), and only reading everything again helps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::address::{self, Assignment, KEEPALIVED};
use super::error::NetError;
use super::link::{self, Link};
use super::netlink::message::{Message, messages};
use super::netlink::{receive_now, socket};
use super::route::{self, Route};
use super::rule::{self, Rule};
use super::sys;

/// A bridge with a thousand addresses that disappears sends a thousand messages at once, each of which costs about 1 kB here.
const RECEIVE_BUFFER: usize = 1024 * 1024;
const BUFFER: usize = 4 * 1024;

/// Groups of linux/rtnetlink.h as bits of an address.
const GROUPS: u32 = 1 << (libc::RTNLGRP_LINK - 1)
    | 1 << (libc::RTNLGRP_IPV4_IFADDR - 1)
    | 1 << (libc::RTNLGRP_IPV6_IFADDR - 1);

/// Groups of routes and of rules, by their numbers in linux/rtnetlink.h.
const ROUTES: [libc::c_uint; 2] = [libc::RTNLGRP_IPV4_ROUTE, libc::RTNLGRP_IPV6_ROUTE];
const RULES: [libc::c_uint; 2] = [libc::RTNLGRP_IPV4_RULE, libc::RTNLGRP_IPV6_RULE];

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface is new or different.
    Link(Link),
    /// An interface is gone, or in another namespace now.
    LinkGone(Link),
    /// An address is new or different.
    Address(Assignment),
    /// An address is gone.
    AddressGone(Assignment),
    /// A route of ours is new or different.
    Route(Route),
    /// A route of ours is gone, or some of its ways are.
    RouteGone(Route),
    /// A rule of ours is new.
    Rule(Rule),
    /// A rule of ours is gone.
    RuleGone(Rule),
    /// Messages were lost: read everything again.
    Overrun,
}

/// A socket that hears of changes, in the namespace in which it was opened.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
    buffer: Vec<u8>,
    remover: Option<u32>,
}

impl Monitor {
    /// Listens from now on. To miss nothing, open it first and read the lists afterwards.
    ///
    /// # Errors
    /// [`NetError::Socket`].
    pub fn open() -> Result<Self, NetError> {
        let socket = socket(None, GROUPS, RECEIVE_BUFFER).map_err(|source| NetError::Socket {
            what: "netlink monitor",
            ifname: None,
            source,
        })?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            remover: None,
        })
    }

    /// Whether to listen to routes and rules from now on, too: only who has some should, as others may have very many. Of the routes
    /// only those of ours are told, the kernel keeps the others back.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn listen_to(&self, routes: bool, rules: bool) -> io::Result<()> {
        let socket = self.socket.as_fd();
        if routes {
            sys::keep_routes_of(socket, KEEPALIVED)?;
        }
        let all = ROUTES.map(|group| (group, routes));
        for (group, wanted) in all.into_iter().chain(RULES.map(|group| (group, rules))) {
            sys::join_netlink_group(socket, group, wanted)?;
        }
        Ok(())
    }

    /// The port of whoever took the last thing away that was not the kernel itself: of a program's first socket its process number.
    pub const fn take_remover(&mut self) -> Option<u32> {
        self.remover.take()
    }

    /// Appends all changes that there are to `out`, in their order, and does not wait: for a descriptor that a reactor watches, also
    /// one that tells of readiness only once.
    ///
    /// # Errors
    /// If the socket is of no use any more.
    pub fn read(&mut self, out: &mut Vec<Change>) -> io::Result<()> {
        loop {
            match receive_now(&self.socket, &mut self.buffer) {
                Ok(Some(len)) => {
                    let datagram = self.buffer.get(..len).unwrap_or_default();
                    self.remover = remover(datagram).or(self.remover);
                    changes(datagram, out);
                }
                Ok(None) => return Ok(()),
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOBUFS | libc::EMSGSIZE)) => {
                    out.push(Change::Overrun);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Appends what a datagram of notifications tells; what is malformed, or about something else, tells nothing.
pub fn changes(datagram: &[u8], out: &mut Vec<Change>) {
    out.extend(messages(datagram).filter_map(change));
}

fn remover(datagram: &[u8]) -> Option<u32> {
    const REMOVALS: [u16; 3] = [libc::RTM_DELADDR, libc::RTM_DELROUTE, libc::RTM_DELRULE];
    let mut removals = messages(datagram).filter(|message| REMOVALS.contains(&message.kind));
    removals.find_map(|message| (message.port != 0).then_some(message.port))
}

fn change(message: Message<'_>) -> Option<Change> {
    const NLMSG_OVERRUN: u16 = 4;
    let payload = message.payload;
    match message.kind {
        libc::RTM_NEWLINK => link::read(payload).map(Change::Link),
        libc::RTM_DELLINK => link::read(payload).map(Change::LinkGone),
        libc::RTM_NEWADDR => address::read(payload).map(Change::Address),
        libc::RTM_DELADDR => address::read(payload).map(Change::AddressGone),
        libc::RTM_NEWROUTE => route::read(payload).filter(ours).map(Change::Route),
        libc::RTM_DELROUTE => route::read(payload).filter(ours).map(Change::RouteGone),
        libc::RTM_NEWRULE => rule::read(payload).map(Change::Rule),
        libc::RTM_DELRULE => rule::read(payload).map(Change::RuleGone),
        NLMSG_OVERRUN => Some(Change::Overrun),
        _ => None,
    }
}

/// A kernel that does not keep the others back, or a moment in which it did not yet.
const fn ours(route: &Route) -> bool {
    route.protocol == KEEPALIVED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{IfName, Mac};

    fn padded(head: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = [head, &parts.concat()].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + value.len()).expect("short");
        let head = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
        padded(&head, &[value.to_vec()])
    }

    fn message(kind: u16, head: &[&[u8]], attributes: &[Vec<u8>]) -> Vec<u8> {
        let payload = [head.concat(), attributes.concat()].concat();
        let len = u32::try_from(16 + payload.len()).expect("short");
        let header = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
        padded(&header, &[payload])
    }

    /// A link and an address as the kernel tells of them, in the order of this CPU.
    fn datagram() -> Vec<u8> {
        let nested = 0x8000;
        let link = message(
            libc::RTM_NEWLINK,
            &[
                &[0, 0],
                &1u16.to_ne_bytes(),
                &7u32.to_ne_bytes(),
                &0x1_1043u32.to_ne_bytes(),
                &[0; 4],
            ],
            &[
                attribute(libc::IFLA_IFNAME, b"vrrp.51\0"),
                attribute(libc::IFLA_ADDRESS, &[0, 0, 0x5e, 0, 1, 51]),
                attribute(libc::IFLA_MTU, &1500u32.to_ne_bytes()),
                attribute(libc::IFLA_OPERSTATE, &[6]),
                attribute(libc::IFLA_LINK, &2u32.to_ne_bytes()),
                attribute(
                    libc::IFLA_LINKINFO | nested,
                    &attribute(libc::IFLA_INFO_KIND, b"macvlan\0"),
                ),
            ],
        );
        let address = message(
            libc::RTM_DELADDR,
            &[&[2, 24, 0x80, 0], &7u32.to_ne_bytes()],
            &[
                attribute(libc::IFA_ADDRESS, &[10, 0, 0, 1]),
                attribute(libc::IFA_LOCAL, &[10, 0, 0, 1]),
                attribute(libc::IFA_LABEL, b"vrrp.51\0"),
                attribute(libc::IFA_FLAGS, &0x280u32.to_ne_bytes()),
            ],
        );
        [link, address].concat()
    }

    fn read(datagram: &[u8]) -> Vec<Change> {
        let mut out = Vec::new();
        changes(datagram, &mut out);
        out
    }

    #[test]
    fn a_datagram_tells_of_a_link_and_of_an_address_that_is_gone() {
        let [Change::Link(link), Change::AddressGone(address)] = &read(&datagram())[..] else {
            panic!("{:?}", read(&datagram()));
        };
        assert_eq!(
            (link.index, Some(&link.name)),
            (7, IfName::new("vrrp.51").as_ref())
        );
        assert_eq!(link.mac, Some(Mac([0, 0, 0x5e, 0, 1, 51])));
        assert_eq!(
            (link.kind.as_str(), link.parent, link.mtu),
            ("macvlan", Some(2), 1500)
        );
        assert!(link.is_up() && link.is_running() && link.has_carrier() && link.is_multicast());
        assert_eq!(address.to_string(), "10.0.0.1/24");
        assert_eq!(
            (address.ifindex, address.flags, address.peer),
            (7, 0x280, None)
        );
        assert_eq!(address.label.as_deref(), Some("vrrp.51"));
    }

    #[test]
    fn whatever_a_datagram_holds_it_is_read_or_skipped_quietly() {
        let whole = datagram();
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).len() <= 2);
        }
        for at in 0..whole.len() {
            for wrong in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = wrong;
                assert!(read(&bytes).len() <= 2);
            }
        }
    }

    #[test]
    fn a_port_that_leaves_its_bridge_tells_nothing_about_the_interface() {
        let mut bytes = datagram();
        bytes[4..6].copy_from_slice(&libc::RTM_DELLINK.to_ne_bytes());
        bytes[16] = u8::try_from(libc::AF_BRIDGE).expect("small");
        assert!(matches!(read(&bytes)[..], [Change::AddressGone(_)]));
    }
}
