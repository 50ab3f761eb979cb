//! The table as plain values: what is asked for, and what the kernel lists.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::name::Family;
use crate::sorted::Map;

/// Virtual servers and their real ones.
pub type Table = Map<Key, Row>;

/// A word of the kernel's, such as the name of a scheduler (`IP_VS_SCHEDNAME_MAXLEN` less its NUL).
pub type Name = heapless::String<15, u8>;

/// Flags of a virtual server, `IP_VS_SVC_F_*` of linux/ip_vs.h.
pub mod flag {
    /// A client stays with its real server.
    pub const PERSISTENT: u32 = 0x01;
    /// Set by the kernel on every virtual server of its table; nothing that can be asked for.
    pub(in crate::io) const HASHED: u32 = 0x02;
    /// UDP: every packet is scheduled by itself.
    pub const ONE_PACKET: u32 = 0x04;
    /// `flag-1` of the scheduler: `sh-fallback`, `mh-fallback`.
    pub const SCHEDULER_1: u32 = 0x08;
    /// `flag-2` of the scheduler: `sh-port`, `mh-port`.
    pub const SCHEDULER_2: u32 = 0x10;
    /// `flag-3` of the scheduler.
    pub const SCHEDULER_3: u32 = 0x20;
}

/// Protocol of a virtual server, by its number above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
    /// SCTP.
    Sctp = 132,
}

impl Protocol {
    /// `None` for one that IPVS does not know.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            132 => Self::Sctp,
            _ => return None,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// What makes it the same virtual server to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Packets to an address.
    Address {
        /// Their protocol.
        protocol: Protocol,
        /// The address.
        ip: IpAddr,
        /// The port; 0 is any.
        port: u16,
    },
    /// Packets with a firewall mark.
    Mark {
        /// The mark, not zero.
        mark: u32,
        /// Their family: the kernel has a virtual server for each.
        family: Family,
    },
}

impl Key {
    /// Family of its packets.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { ip, .. } => Family::of(*ip),
            Self::Mark { family, .. } => *family,
        }
    }
}

/// As keepalived writes it: `[10.0.0.1]:tcp:80`, `FWM 7`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, ip, port } => write!(f, "[{ip}]:{protocol}:{port}"),
            Self::Mark {
                mark,
                family: Family::V4,
            } => write!(f, "FWM {mark}"),
            Self::Mark { mark, family } => write!(f, "FWM {mark} ({family})"),
        }
    }
}

/// Settings of a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its scheduler: `rr`, `wlc` and so on.
    pub scheduler: Name,
    /// See [`flag`].
    pub flags: u32,
    /// With [`flag::PERSISTENT`]: seconds that a client stays with its real server after its last connection.
    pub timeout: u32,
    /// With [`flag::PERSISTENT`]: length of the prefix that makes one client, 0 to 32 or 1 to 128.
    pub prefix: u8,
    /// What else makes one client: the persistence engine.
    pub engine: Option<Name>,
}

impl Service {
    /// A virtual server without persistence.
    #[must_use]
    pub const fn new(scheduler: Name, family: Family) -> Self {
        Self {
            scheduler,
            flags: 0,
            timeout: 0,
            prefix: match family {
                Family::V4 => 32,
                Family::V6 => 128,
            },
            engine: None,
        }
    }
}

/// Address and port of a real server: what makes it the same within its virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

/// How packets get to a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// Addresses are translated.
    #[default]
    Nat,
    /// The Ethernet address is replaced.
    Direct,
    /// The packet is wrapped.
    Tunnel(Tunnel, Checksum),
    /// A method that cannot be asked for, by its number: the kernel's own, or one of another time.
    Other(u32),
}

/// What a packet is wrapped in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnel {
    /// IP in IP.
    #[default]
    IpIp,
    /// Generic UDP encapsulation, to this port; since Linux 5.3.
    Gue(u16),
    /// Generic routing encapsulation; since Linux 5.3.
    Gre,
}

/// Checksum of the wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// None.
    #[default]
    None,
    /// Over all of it.
    Full,
    /// Remote checksum offload of GUE.
    Remote,
}

/// Settings of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How packets get there.
    pub forwarding: Forwarding,
    /// Its share; 0 gets no new connections. At most `i32::MAX`.
    pub weight: u32,
    /// Most connections; 0 is no limit.
    pub upper: u32,
    /// Fewest connections for it to be used again; not above `upper`, 0 is three quarters of it.
    pub lower: u32,
}

impl Destination {
    /// A real server without limits.
    #[must_use]
    pub const fn new(forwarding: Forwarding, weight: u32) -> Self {
        Self {
            forwarding,
            weight,
            upper: 0,
            lower: 0,
        }
    }
}

/// A virtual server and its real ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its settings.
    pub service: Service,
    /// Its real servers.
    pub destinations: Map<Endpoint, Destination>,
}
