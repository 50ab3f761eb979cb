//! What an engine hears and what it asks for, as plain values.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Note;
use crate::name::{IfName, Ifindex, Priority};
use crate::wire::ah::AuthenticationHeader;
use crate::wire::ip;

/// Names one virtual router of an engine; never used again for another one, also across reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

/// Names one sync group of an engine until the next reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// Something happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The time that the engine asked to be woken at has come; too early is harmless.
    Deadline,
    /// A datagram of protocol 112, or 51 with an authentication header, came in.
    Datagram(Datagram<'a>),
    /// An interface appeared, disappeared, or changed its carrier or addresses.
    Interface(Interface<'a>),
    /// A tracked script, file or process has another result.
    Tracked(Tracked<'a>),
    /// A source address that `track_src_ip` watches came to this host or left it; until told otherwise it is here.
    Source {
        /// Which.
        address: IpAddr,
        /// Whether this host has it.
        here: bool,
    },
    /// Orderly stop: resign and release everything.
    Stop,
}

/// What a tracker has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked<'a> {
    /// What kind of tracker.
    pub kind: TrackerKind,
    /// Its name in the configuration.
    pub name: &'a str,
    /// What it reads.
    pub reading: Reading,
}

/// Which block of the configuration a tracker comes from; each kind has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerKind {
    /// `vrrp_script`.
    Script,
    /// `track_file`.
    File,
    /// `vrrp_track_process`.
    Process,
    /// `track_group`: up while all is in place that names it. Its members are told in the model.
    Statics,
}

/// What a tracker reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All is well; after rise and fall, quorum and delays.
    Up,
    /// It is not.
    Down,
    /// The number in a file.
    Value(i64),
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
    /// The IPv4 header, which an authentication header covers and which tells whether there is one; empty for IPv6.
    pub header: &'a [u8],
    /// What follows: the message, or an authentication header with it.
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The authentication header, where there is one of the right form.
    pub(super) fn authentication(&self) -> Option<AuthenticationHeader<'a>> {
        const PROTOCOL: usize = 9;
        if self.header.get(PROTOCOL) != Some(&ip::AH) {
            return None;
        }
        AuthenticationHeader::new_checked(self.payload).ok()
    }

    /// The message of protocol 112, whatever stands in front of it.
    pub(super) fn message(&self) -> &'a [u8] {
        self.authentication()
            .map_or(self.payload, |header| header.message())
    }
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
    /// Send one advertisement to each receiver; the message is built when it is sent. Never two for the same virtual router
    /// in answer to one event, so that [`Instance::sequence`](super::Instance::sequence) is that of this one.
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
    /// Send one gratuitous ARP or neighbour advertisement on each interface of its addresses that its adverts do not leave by:
    /// `garp_extra_if`.
    AnnounceElsewhere(Id),
    /// Send one gratuitous ARP or neighbour advertisement for the address that its adverts come from: unicast peers may
    /// have forgotten it in a long silence.
    AnnounceSource(Id),
    /// Tell the world: scripts, FIFO, mail.
    Notify {
        /// Of which virtual router.
        id: Id,
        /// What it has become.
        state: Told,
        /// Its effective priority.
        priority: Priority,
    },
    /// Tell the world about a sync group.
    NotifyGroup {
        /// Which.
        group: GroupId,
        /// What it has become.
        state: Told,
    },
    /// Write a line into the log; nothing has been formatted yet.
    Say {
        /// About which virtual router.
        id: Id,
        /// What there is to say.
        note: Note,
    },
    /// Write a line into the log about an advert that is for none of ours, `log_unknown_vrids`.
    SayStranger(Stranger),
}

/// An advert for a virtual router that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Where it came in.
    pub ifindex: Ifindex,
    /// Who sent it.
    pub from: IpAddr,
    /// Its virtual router identifier, 0 to 255.
    pub vrid: u8,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, vrid, .. } = self;
        write!(f, "Unknown VRID({vrid}) in an advert from {from}")
    }
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

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "Master",
            Self::Backup => "Backup",
            Self::Fault => "Fault",
            Self::Stop => "Stop",
            Self::Deleted => "Deleted",
            Self::LowerPriority => "LowerPriority",
            Self::PriorityChanged => "PriorityChanged",
        })
    }
}
