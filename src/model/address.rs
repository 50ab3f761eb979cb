//! Addresses that are put on interfaces: virtual, excluded and static ones.

use core::net::{IpAddr, Ipv4Addr};

use crate::name::{Family, IfName};

/// One line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// Prefix length; 32 or 128 unless given.
    pub prefix: u8,
    /// `dev`: the interface it goes on; `None` is that of the instance.
    pub dev: Option<IfName>,
    /// `brd`: IPv4 only.
    pub broadcast: Option<Broadcast>,
    /// `scope`, as in rtnetlink: 0 global, 200 site, 253 link, 254 host.
    pub scope: Option<u8>,
    /// `label`, at most 15 bytes, IPv4 only.
    pub label: Option<String>,
    /// `peer`: the other end of a point-to-point link, with its prefix length.
    pub peer: Option<(IpAddr, u8)>,
    /// `IFA_FLAGS` of linux/if_addr.h asked for by `home`, `mngtmpaddr`, `noprefixroute`, `autojoin`, and
    /// `IFA_F_NODAD` on every IPv6 address without `-nodad`.
    pub flags: u32,
    /// Preferred lifetime in seconds; `None` is for ever. Zero on an IPv6 `/128` unless given, so that it is
    /// not chosen as a source address.
    pub preferred: Option<u32>,
    /// False with `no_track`: nobody reacts when it disappears.
    pub tracked: bool,
    /// `use_vmac`: on the virtual MAC's interface of the device.
    pub on_vmac: bool,
    /// `track_group` of a static address.
    pub group: Option<String>,
}

/// How the broadcast address of an IPv4 address is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broadcast {
    /// Given in full.
    At(Ipv4Addr),
    /// `+`: the host bits all one.
    Ones,
    /// `-`: the host bits all zero.
    Zeros,
}

impl Address {
    /// An address with all else at its default, as a line with nothing but `ip/prefix`.
    #[must_use]
    pub fn new(ip: IpAddr, prefix: u8) -> Self {
        const IFA_F_NODAD: u32 = 0x02;
        let v6 = ip.is_ipv6();
        Self {
            ip,
            prefix,
            dev: None,
            broadcast: None,
            scope: None,
            label: None,
            peer: None,
            flags: if v6 { IFA_F_NODAD } else { 0 },
            preferred: (v6 && prefix == 128).then_some(0),
            tracked: true,
            on_vmac: false,
            group: None,
        }
    }

    /// The family of the address.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.ip)
    }
}
