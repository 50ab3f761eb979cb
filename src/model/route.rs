//! Routes and rules that come and go with a virtual router, or stand from start to stop.
//!
//! Both keep the words of their line, which are the canonical way to write it, beside what the words mean.

use core::net::IpAddr;

use crate::name::{Family, IfName};

/// Who put a route or a rule where it is: keepalived's number in linux/rtnetlink.h, `RTPROT_KEEPALIVED`.
pub const KEEPALIVED: u8 = 18;

/// A network: an address and the length of its prefix.
pub type Network = (IpAddr, u8);

/// One line of `virtual_routes` or `static_routes`, as `ip route` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The words of the line, checked.
    pub words: Vec<String>,
    /// Its family; `None` where nothing in the line tells, which is IPv4.
    pub family: Option<Family>,
    /// `RTN_*` of linux/rtnetlink.h: unicast unless given.
    pub kind: Option<u8>,
    /// `to`; `None` is `default`.
    pub destination: Option<Network>,
    /// `from`: IPv6 only, for packets from there.
    pub from: Option<Network>,
    /// `via`, `dev`, `or`, `nexthop`: none for a route that leads nowhere, several share the traffic.
    pub hops: Vec<Hop>,
    /// `src`: preferred source address.
    pub source: Option<IpAddr>,
    /// `table`; the main one unless given.
    pub table: Option<u32>,
    /// `vrf`: the table is that of this VRF, once there is one.
    pub vrf: Option<IfName>,
    /// `metric`, `priority`, `preference`.
    pub metric: Option<u32>,
    /// `scope`, as in rtnetlink; global unless given.
    pub scope: Option<u8>,
    /// `tos`, `dsfield`: IPv4 only.
    pub tos: u8,
    /// `protocol`: `RTPROT_*`, [`KEEPALIVED`] unless given. Who watches a route cannot give it to somebody else.
    pub protocol: Option<u8>,
    /// `realms`: the one of the source in the upper half.
    pub realms: Option<u32>,
    /// `pref` of an IPv6 router: 0 medium, 1 high, 3 low (RFC 4191).
    pub preference: Option<u8>,
    /// `expires` in seconds, IPv6 only.
    pub expires: Option<u32>,
    /// `mtu` and its kin: `RTAX_*` and value.
    pub metrics: Vec<(u16, u32)>,
    /// A bit for each `RTAX_*` that the kernel may not change (`lock`).
    pub locked: u32,
    /// `congctl`.
    pub congestion: Option<String>,
    /// Whether it goes behind others to the same destination (`append`).
    pub append: bool,
    /// False with `no_track`: nobody reacts when it disappears.
    pub tracked: bool,
    /// `track_group` of a static route.
    pub group: Option<String>,
}

/// Where a route leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// `via`, `gw`.
    pub gateway: Option<IpAddr>,
    /// `dev`, `oif`.
    pub dev: Option<IfName>,
    /// `weight` among several, 1 to 256; zero where not given, which is 1.
    pub weight: u16,
    /// `onlink`: the gateway is reachable though no address says so.
    pub onlink: bool,
    /// `realms`.
    pub realms: Option<u32>,
    /// `encap`: what packets are wrapped in.
    pub encapsulation: Option<Encapsulation>,
}

/// `encap` of a route: a light-weight tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encapsulation {
    /// `LWTUNNEL_ENCAP_*` of linux/lwtunnel.h.
    pub kind: u16,
    /// Attributes of that kind, as the kernel wants their values.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

/// One line of `virtual_rules` or `static_rules`, as `ip rule` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The words of the line, checked.
    pub words: Vec<String>,
    /// Its family; `None` where nothing in the line tells, which is IPv4.
    pub family: Option<Family>,
    /// `not`.
    pub inverted: bool,
    /// `from`; `None` is all.
    pub from: Option<Network>,
    /// `to`; `None` is all.
    pub to: Option<Network>,
    /// `FR_ACT_*` of linux/fib_rules.h.
    pub action: u8,
    /// `table`, `lookup`.
    pub table: Option<u32>,
    /// `goto`: the preference of the next rule to look at.
    pub target: Option<u32>,
    /// `preference`, `order`, `priority`.
    pub priority: u32,
    /// `fwmark` and its mask.
    pub mark: Option<(u32, u32)>,
    /// `iif`, `dev`.
    pub input: Option<IfName>,
    /// `oif`.
    pub output: Option<IfName>,
    /// `tos`, `dsfield`.
    pub tos: u8,
    /// `realms`: the one of the source in the upper half.
    pub realms: Option<u32>,
    /// `suppress_prefixlength`: a route with a prefix of this length or shorter does not count.
    pub suppress_prefix: Option<u32>,
    /// `suppress_ifgroup`: a route by an interface of this group does not count.
    pub suppress_group: Option<u32>,
    /// `tunnel-id`.
    pub tunnel: Option<u64>,
    /// `uidrange`.
    pub users: Option<(u32, u32)>,
    /// `l3mdev`: the table of the packet's VRF.
    pub l3mdev: bool,
    /// `protocol`: `RTPROT_*`, [`KEEPALIVED`] unless given.
    pub protocol: Option<u8>,
    /// `ipproto`.
    pub ip_protocol: Option<u8>,
    /// `sport`.
    pub source_ports: Option<(u16, u16)>,
    /// `dport`.
    pub destination_ports: Option<(u16, u16)>,
    /// False with `no_track`.
    pub tracked: bool,
    /// `track_group` of a static rule.
    pub group: Option<String>,
}

/// `FR_ACT_TO_TBL`: look the packet up in a table.
pub const LOOK_UP: u8 = 1;
/// `FR_ACT_GOTO`: go on with another rule.
pub const GO_TO: u8 = 2;
