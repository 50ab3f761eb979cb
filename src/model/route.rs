//! Routes and rules that come and go with a virtual router, or stand from start to stop.
//!
//! Both keep the words of their line, which have been checked, and beside them what most lines consist of.

use core::net::IpAddr;

use crate::name::{Family, IfName};

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
    pub destination: Option<(IpAddr, u8)>,
    /// `via`, `gw`.
    pub gateway: Option<IpAddr>,
    /// `or`: a second gateway.
    pub second_gateway: Option<IpAddr>,
    /// `dev`, `oif`.
    pub dev: Option<IfName>,
    /// `src`: preferred source address.
    pub source: Option<IpAddr>,
    /// `table`; the main one unless given.
    pub table: Option<u32>,
    /// `metric`, `priority`, `preference`.
    pub metric: Option<u32>,
    /// `scope`, as in rtnetlink.
    pub scope: Option<u8>,
    /// `onlink`: the gateway is reachable though no address says so.
    pub onlink: bool,
    /// False with `no_track`.
    pub tracked: bool,
    /// `track_group` of a static route.
    pub group: Option<String>,
    /// It has more than the fields above tell, such as `nexthop`, `mtu` or `encap`: see its words.
    pub more: bool,
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
    pub from: Option<(IpAddr, u8)>,
    /// `to`; `None` is all.
    pub to: Option<(IpAddr, u8)>,
    /// `table`, `lookup`.
    pub table: Option<u32>,
    /// `preference`, `order`, `priority`.
    pub priority: Option<u32>,
    /// `fwmark` and its mask.
    pub mark: Option<(u32, u32)>,
    /// `iif`, `dev`.
    pub input: Option<IfName>,
    /// `oif`.
    pub output: Option<IfName>,
    /// False with `no_track`.
    pub tracked: bool,
    /// `track_group` of a static rule.
    pub group: Option<String>,
    /// It has more than the fields above tell, such as `goto` or `uidrange`: see its words.
    pub more: bool,
}
