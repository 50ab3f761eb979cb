//! What an engine hears and what it asks for, as plain values.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Note;
use crate::name::{IfName, Ifindex, Priority};

/// Names one virtual router of an engine; never used again for another one, also across reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

/// Something happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The time that the engine asked to be woken at has come; too early is harmless.
    Deadline,
    /// A datagram of protocol 112 came in.
    Datagram(Datagram<'a>),
    /// An interface appeared, disappeared, or changed its carrier or addresses.
    Interface(Interface<'a>),
    /// Orderly stop: resign and release everything.
    Stop,
}

/// A received datagram, its IP header already taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it came in.
    pub ifindex: Ifindex,
    /// Who sent it.
    pub source: IpAddr,
    /// To whom: a multicast group or our own address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// The message of protocol 112.
    pub payload: &'a [u8],
}

/// An interface as the protocol sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface<'a> {
    /// Its name.
    pub name: &'a IfName,
    /// Its index; `None` when it does not exist.
    pub index: Option<Ifindex>,
    /// Administratively up, with carrier.
    pub up: bool,
    /// Its first IPv4 address that is no virtual one.
    pub v4: Option<Ipv4Addr>,
    /// Its link-local IPv6 address, no longer tentative.
    pub v6: Option<Ipv6Addr>,
}

/// What the caller has to do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one advertisement to each receiver; the message is built when it is sent.
    Advertise {
        /// Of which virtual router.
        id: Id,
        /// Its effective priority, or zero to resign.
        priority: Priority,
    },
    /// Put its addresses, routes and rules in place, and take away what a reload took out of its configuration.
    Acquire(Id),
    /// Take them away.
    Release(Id),
    /// Send gratuitous ARPs and neighbour advertisements: `repeat` times for every address.
    Announce {
        /// Of which virtual router.
        id: Id,
        /// Packets per address.
        repeat: u32,
    },
    /// Tell the world: scripts, FIFO, mail.
    Notify {
        /// Of which virtual router.
        id: Id,
        /// What it has become.
        state: Told,
        /// Its effective priority.
        priority: Priority,
    },
    /// Write a line into the log; nothing has been formatted yet.
    Say {
        /// About which virtual router.
        id: Id,
        /// What there is to say.
        note: Note,
    },
}

/// State of a virtual router, with keepalived's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not yet started.
    Init = 0,
    /// RFC 9568: Backup.
    Backup = 1,
    /// RFC 9568: Active.
    Master = 2,
    /// Something it needs is missing.
    Fault = 3,
}

/// What notify scripts and FIFOs are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It became master.
    Master,
    /// It became backup.
    Backup,
    /// It went into fault.
    Fault,
    /// The daemon stops.
    Stop,
    /// A reload removed it.
    Deleted,
    /// As master it received an advert of lower priority.
    LowerPriority,
    /// Its effective priority changed.
    PriorityChanged,
}
