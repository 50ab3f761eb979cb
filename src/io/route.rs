//! Routes: what there are of ours, and how they are added and taken away.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use neli::consts::nl::NlmF;

use super::address::KEEPALIVED;
use super::error::NetError;
use super::netlink::message::{attributes, ip, text, u16_at, u32_at};
use super::netlink::{Batch, Body, Netlink};
use crate::name::{Family, Ifindex};

/// Length of `struct rtmsg` of linux/rtnetlink.h.
const HEADER: usize = 12;
/// Length of `struct rtnexthop`.
const HOP: usize = 8;

const INET: u8 = libc::AF_INET as u8;
const INET6: u8 = libc::AF_INET6 as u8;

/// `RTN_UNICAST`: a route that leads somewhere. Those above it answer, or swallow.
pub const UNICAST: u8 = 1;
/// `RT_TABLE_MAIN`.
pub const MAIN: u32 = 254;

/// `RTNH_F_ONLINK` of linux/rtnetlink.h.
const ONLINK: u8 = 4;
/// `RTM_F_CLONED`: what the kernel found out, no route of a table.
const CLONED: u32 = 0x200;
/// `RTAX_LOCK` and `RTAX_CC_ALGO`.
const LOCK: u16 = 1;
const CONGESTION: u16 = 16;

/// Attributes of linux/rtnetlink.h.
mod rta {
    pub(super) const DST: u16 = 1;
    pub(super) const SRC: u16 = 2;
    pub(super) const OIF: u16 = 4;
    pub(super) const GATEWAY: u16 = 5;
    pub(super) const PRIORITY: u16 = 6;
    pub(super) const PREFSRC: u16 = 7;
    pub(super) const METRICS: u16 = 8;
    pub(super) const MULTIPATH: u16 = 9;
    pub(super) const FLOW: u16 = 11;
    pub(super) const TABLE: u16 = 15;
    pub(super) const VIA: u16 = 18;
    pub(super) const PREF: u16 = 20;
    pub(super) const ENCAP_TYPE: u16 = 21;
    pub(super) const ENCAP: u16 = 22;
    pub(super) const EXPIRES: u16 = 23;
}

/// A route, as it is asked for and as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its family.
    pub family: Family,
    /// `RTN_*`: [`UNICAST`], or what becomes of a packet instead.
    pub kind: u8,
    /// Where to; `None` is everywhere.
    pub destination: Option<(IpAddr, u8)>,
    /// IPv6: for packets from there.
    pub from: Option<(IpAddr, u8)>,
    /// Its table.
    pub table: u32,
    /// The smaller the better; IPv6 takes 1024 for 0.
    pub metric: u32,
    /// IPv4: for packets with this type of service.
    pub tos: u8,
    /// IPv4: `RT_SCOPE_*`.
    pub scope: u8,
    /// Who put it there.
    pub protocol: u8,
    /// The source address of packets that this host sends by it.
    pub source: Option<IpAddr>,
    /// Where it leads.
    pub hops: Vec<Hop>,
    /// Realm of the source and, in the lower half, of the destination.
    pub realms: u32,
    /// IPv6: 0 medium, 1 high, 3 low.
    pub preference: u8,
    /// IPv6: seconds that it lives; not read.
    pub expires: Option<u32>,
    /// `RTAX_*` and value, in ascending order.
    pub metrics: Vec<(u16, u32)>,
    /// A bit for each `RTAX_*` that the kernel may not change.
    pub locked: u32,
    /// The congestion control of TCP.
    pub congestion: Option<String>,
    /// Behind others to the same destination rather than before them; not read.
    pub append: bool,
}

/// One way of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// The router; of the other family too.
    pub gateway: Option<IpAddr>,
    /// The interface; 0 for that on which the gateway is.
    pub ifindex: Ifindex,
    /// Its part of the traffic among several, 1 to 256.
    pub weight: u16,
    /// The gateway is there though no address says so.
    pub onlink: bool,
    /// As [`Route::realms`].
    pub realms: u32,
    /// What packets are wrapped in.
    pub encapsulation: Option<Encapsulation>,
}

/// A light-weight tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Encapsulation {
    /// `LWTUNNEL_ENCAP_*` of linux/lwtunnel.h.
    pub kind: u16,
    /// Attributes of that kind.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

impl Encapsulation {
    /// Whether what is there does what is wanted: the kernel tells the rest of its fields too, and has flags of its own.
    fn serves(&self, wanted: &Self) -> bool {
        const FLAGS: u16 = 6;
        let mut fields = wanted
            .attributes
            .iter()
            .filter(|(field, _)| *field != FLAGS);
        self.kind == wanted.kind && fields.all(|field| self.attributes.contains(field))
    }
}

/// What makes it the same route to the kernel, as far as we tell ours apart: IPv4 keeps any number of ways to the same
/// destination side by side, IPv6 makes one route of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    v6: bool,
    table: u32,
    destination: Option<(IpAddr, u8)>,
    from: Option<(IpAddr, u8)>,
    metric: u32,
    tos: u8,
    /// IPv4: type and ways, an interface only where there is no gateway.
    ways: Option<(u8, Vec<Way>)>,
}

type Way = (Option<IpAddr>, Ifindex);

impl Route {
    /// A route with all else at its default, as keepalived adds it.
    #[must_use]
    pub const fn new(family: Family, destination: Option<(IpAddr, u8)>) -> Self {
        Self {
            family,
            kind: UNICAST,
            destination,
            from: None,
            table: MAIN,
            metric: 0,
            tos: 0,
            scope: 0,
            protocol: KEEPALIVED,
            source: None,
            hops: Vec::new(),
            realms: 0,
            preference: 0,
            expires: None,
            metrics: Vec::new(),
            locked: 0,
            congestion: None,
            append: false,
        }
    }

    /// See [`Key`].
    #[must_use]
    pub fn key(&self) -> Key {
        /// `IP6_RT_PRIO_USER` of linux/ipv6_route.h.
        const USER: u32 = 1024;
        let v6 = self.family == Family::V6;
        let way = |hop: &Hop| match hop.gateway {
            None => (None, hop.ifindex),
            gateway => (gateway, 0),
        };
        Key {
            v6,
            table: self.table,
            destination: self
                .destination
                .map(|(ip, prefix)| (masked(ip, prefix), prefix)),
            from: self.from.map(|(ip, prefix)| (masked(ip, prefix), prefix)),
            metric: if v6 && self.metric == 0 {
                USER
            } else {
                self.metric
            },
            tos: self.tos,
            ways: (!v6).then(|| (self.kind, self.hops.iter().map(way).collect())),
        }
    }

    /// Whether what is there, under the same key, does what is wanted.
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        let one = self.hops.len() == 1 && wanted.hops.len() == 1;
        let same_way = |(there, wanted): (&Hop, &Hop)| {
            there.gateway == wanted.gateway
                && (wanted.ifindex == 0 || there.ifindex == wanted.ifindex)
                && there.onlink == wanted.onlink
                && match (&there.encapsulation, &wanted.encapsulation) {
                    (Some(there), Some(wanted)) => there.serves(wanted),
                    (there, wanted) => there.is_none() && wanted.is_none(),
                }
                && (one || there.weight == wanted.weight)
        };
        // IPv6 lets packets that lead nowhere lead to the loopback interface.
        let ways = self.kind != UNICAST
            || self.hops.len() == wanted.hops.len()
                && self.hops.iter().zip(&wanted.hops).all(same_way);
        let v4 = self.family == Family::V6 || self.scope == wanted.scope;
        self.kind == wanted.kind
            && ways
            && v4
            && self.source == wanted.source
            && self.realms == wanted.realms
            && self.preference == wanted.preference
            && self.metrics == wanted.metrics
            && self.locked == wanted.locked
            && self.congestion == wanted.congestion
    }

    /// Takes the ways of `gone` away, as IPv6 tells of them one by one; true if any is left.
    pub fn lose(&mut self, gone: &Self) -> bool {
        self.hops.retain(|hop| {
            let same = |other: &Hop| (other.gateway, other.ifindex) == (hop.gateway, hop.ifindex);
            !gone.hops.iter().any(same)
        });
        !self.hops.is_empty() && !gone.hops.is_empty()
    }
}

fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match ip {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & !hosts).into()
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(prefix).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & !hosts).into()
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KINDS: [(u8, &str); 4] = [
            (6, "blackhole "),
            (7, "unreachable "),
            (8, "prohibit "),
            (9, "throw "),
        ];
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        write!(f, "{}", kind.map_or("", |(_, name)| name))?;
        match self.destination {
            Some((ip, prefix)) => write!(f, "{ip}/{prefix}")?,
            None => write!(f, "default")?,
        }
        for gateway in self.hops.iter().filter_map(|hop| hop.gateway) {
            write!(f, " via {gateway}")?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        if self.table != MAIN {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}

/// All routes of ours in all tables. The kernel leaves the others away (since Linux 4.20), of which there may be a million.
///
/// # Errors
/// If the kernel does not give the list.
pub fn list(netlink: &mut Netlink) -> Result<Vec<Route>, NetError> {
    let mut all = Vec::new();
    for family in [INET, INET6] {
        let body = Body::new(&[family, 0, 0, 0, 0, KEEPALIVED, 0, 0, 0, 0, 0, 0]);
        let found = netlink.dump("list the routes", libc::RTM_GETROUTE, body, |message| {
            read(message.payload).filter(|route| route.protocol == KEEPALIVED)
        });
        match found {
            Ok(found) => all.extend(found),
            // A kernel without IPv6 has none.
            Err(NetError::Kernel(failed)) if failed.not_supported() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The payload of an `RTM_NEWROUTE` or `RTM_DELROUTE`; `None` if malformed, of another family, or no route of a table.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Route> {
    let &[family, to, from, tos, table, protocol, scope, kind, ..] =
        payload.first_chunk::<HEADER>()?;
    let flags = u32_at(payload, 8)?;
    let family = match i32::from(family) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    if flags & CLONED != 0 {
        return None;
    }
    let mut route = Route {
        kind,
        table: table.into(),
        tos,
        scope,
        protocol,
        ..Route::new(family, None)
    };
    let mut only = Hop {
        gateway: None,
        ifindex: 0,
        weight: 1,
        onlink: flags & u32::from(ONLINK) != 0,
        realms: 0,
        encapsulation: None,
    };
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            rta::DST => route.destination = Some((ip(value)?, to)),
            rta::SRC => route.from = Some((ip(value)?, from)),
            rta::OIF => only.ifindex = u32_at(value, 0)?,
            rta::GATEWAY => only.gateway = Some(ip(value)?),
            rta::VIA => only.gateway = Some(via(value)?),
            rta::PRIORITY => route.metric = u32_at(value, 0)?,
            rta::PREFSRC => route.source = Some(ip(value)?),
            rta::TABLE => route.table = u32_at(value, 0)?,
            rta::FLOW => route.realms = u32_at(value, 0)?,
            rta::PREF => route.preference = *value.first()?,
            rta::MULTIPATH => route.hops = hops(value),
            rta::METRICS => metrics(value, &mut route),
            rta::ENCAP | rta::ENCAP_TYPE => encapsulation(&mut only, kind, value),
            _ => {}
        }
    }
    if route.hops.is_empty() && (only.gateway.is_some() || only.ifindex != 0) {
        route.hops.push(only);
    }
    Some(route)
}

/// `struct rtvia`: a family and an address.
fn via(value: &[u8]) -> Option<IpAddr> {
    ip(value.get(2..)?)
}

fn hops(mut rest: &[u8]) -> Vec<Hop> {
    let mut all = Vec::new();
    while let Some((hop, len)) = hop(rest) {
        all.push(hop);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn hop(bytes: &[u8]) -> Option<(Hop, usize)> {
    let len = usize::from(u16_at(bytes, 0)?);
    let (flags, others) = (*bytes.get(2)?, *bytes.get(3)?);
    let mut hop = Hop {
        gateway: None,
        ifindex: u32_at(bytes, 4)?,
        weight: u16::from(others) + 1,
        onlink: flags & ONLINK != 0,
        realms: 0,
        encapsulation: None,
    };
    for (kind, value) in attributes(bytes.get(HOP..len)?) {
        match kind {
            rta::GATEWAY => hop.gateway = ip(value),
            rta::VIA => hop.gateway = via(value),
            rta::FLOW => hop.realms = u32_at(value, 0)?,
            rta::ENCAP | rta::ENCAP_TYPE => encapsulation(&mut hop, kind, value),
            _ => {}
        }
    }
    Some((hop, len))
}

/// One of the two attributes that tell of it, in any order.
fn encapsulation(hop: &mut Hop, kind: u16, value: &[u8]) {
    let one = hop.encapsulation.get_or_insert_default();
    if kind == rta::ENCAP {
        let all = attributes(value).map(|(kind, value)| (kind, value.to_vec()));
        one.attributes = all.collect();
    } else {
        one.kind = u16_at(value, 0).unwrap_or(0);
    }
}

fn metrics(row: &[u8], route: &mut Route) {
    for (kind, value) in attributes(row) {
        match (kind, u32_at(value, 0)) {
            (CONGESTION, _) => route.congestion = text(value).map(str::to_owned),
            (LOCK, Some(bits)) => route.locked = bits,
            (kind, Some(value)) => route.metrics.push((kind, value)),
            _ => {}
        }
    }
    route.metrics.sort_unstable();
}

/// Asks for a route, before those to the same destination that others have put there, as keepalived does. The kernel refuses
/// one that is there with `EEXIST`.
pub fn add(batch: &mut Batch, wanted: &Route) {
    let append = if wanted.append {
        NlmF::APPEND
    } else {
        NlmF::empty()
    };
    batch.push(
        format_args!("add the route {wanted}"),
        libc::RTM_NEWROUTE,
        NlmF::CREATE | append,
        request(wanted),
    );
}

/// Asks for a route to be taken away. The kernel refuses with `ESRCH` if it is not there.
pub fn remove(batch: &mut Batch, unwanted: &Route) {
    batch.push(
        format_args!("remove the route {unwanted}"),
        libc::RTM_DELROUTE,
        NlmF::empty(),
        request(unwanted),
    );
}

fn request(route: &Route) -> Body {
    let v6 = route.family == Family::V6;
    let [onlink, several] = match &route.hops[..] {
        [one] => [one.onlink, false],
        all => [false, !all.is_empty()],
    };
    // A table beyond a byte stands in an attribute only.
    let table = u8::try_from(route.table).unwrap_or(0);
    let length = |network: Option<(IpAddr, u8)>| network.map_or(0, |(_, prefix)| prefix);
    let [a, b, c, d] = (if onlink { u32::from(ONLINK) } else { 0 }).to_ne_bytes();
    let mut body = Body::new(&[
        if v6 { INET6 } else { INET },
        length(route.destination),
        length(route.from),
        route.tos,
        table,
        route.protocol,
        route.scope,
        route.kind,
        a,
        b,
        c,
        d,
    ]);
    if let Some((ip, prefix)) = route.destination {
        body.put_ip(rta::DST, masked(ip, prefix));
    }
    if let Some((ip, prefix)) = route.from {
        body.put_ip(rta::SRC, masked(ip, prefix));
    }
    body.put_u32(rta::TABLE, route.table);
    if route.metric != 0 {
        body.put_u32(rta::PRIORITY, route.metric);
    }
    if let Some(source) = route.source {
        body.put_ip(rta::PREFSRC, source);
    }
    if route.realms != 0 {
        body.put_u32(rta::FLOW, route.realms);
    }
    if route.preference != 0 {
        body.put(rta::PREF, &[route.preference]);
    }
    if let Some(expires) = route.expires {
        body.put_u32(rta::EXPIRES, expires);
    }
    if !route.metrics.is_empty() || route.congestion.is_some() {
        body.nest(rta::METRICS, |row| {
            if route.locked != 0 {
                row.put_u32(LOCK, route.locked);
            }
            route
                .metrics
                .iter()
                .for_each(|(kind, value)| row.put_u32(*kind, *value));
            if let Some(name) = &route.congestion {
                row.put_text(CONGESTION, name);
            }
        });
    }
    if several {
        body.nest(rta::MULTIPATH, |row| {
            for hop in &route.hops {
                let flags = if hop.onlink { ONLINK } else { 0 };
                let others = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
                let [a, b, c, d] = hop.ifindex.to_ne_bytes();
                row.part(&[flags, others, a, b, c, d], &mut |row| {
                    gateway(row, hop, route.family);
                    if hop.realms != 0 {
                        row.put_u32(rta::FLOW, hop.realms);
                    }
                });
            }
        });
    } else if let Some(hop) = route.hops.first() {
        gateway(&mut body, hop, route.family);
        if hop.ifindex != 0 {
            body.put_u32(rta::OIF, hop.ifindex);
        }
    }
    body
}

fn gateway(body: &mut Body, hop: &Hop, family: Family) {
    if let Some(Encapsulation { kind, attributes }) = &hop.encapsulation {
        body.nest(rta::ENCAP, |row| {
            for (kind, value) in attributes {
                row.put(*kind, value);
            }
        });
        body.put(rta::ENCAP_TYPE, &kind.to_ne_bytes());
    }
    match hop.gateway {
        None => {}
        Some(ip) if Family::of(ip) == family => body.put_ip(rta::GATEWAY, ip),
        Some(IpAddr::V4(ip)) => body.put(rta::VIA, &rtvia(INET, &ip.octets())),
        Some(IpAddr::V6(ip)) => body.put(rta::VIA, &rtvia(INET6, &ip.octets())),
    }
}

fn rtvia(family: u8, ip: &[u8]) -> Vec<u8> {
    [&u16::from(family).to_ne_bytes()[..], ip].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn way(gateway: Option<&str>, ifindex: Ifindex) -> Hop {
        Hop {
            gateway: gateway.map(ip),
            ifindex,
            weight: 1,
            onlink: false,
            realms: 0,
            encapsulation: None,
        }
    }

    fn to(network: &str, prefix: u8) -> Route {
        let network = ip(network);
        Route::new(Family::of(network), Some((network, prefix)))
    }

    /// One of every form.
    fn all() -> Vec<Route> {
        let mut plain = to("198.51.100.0", 24);
        plain.hops = vec![way(Some("192.0.2.254"), 3)];
        plain.source = Some(ip("192.0.2.1"));
        plain.table = 6909;
        plain.tos = 0x10;
        plain.scope = 253;
        plain.realms = 0x3_0004;
        plain.metrics = vec![(2, 1400), (8, 1300)];
        plain.locked = 1 << 2;
        plain.congestion = Some("cubic".to_owned());
        plain.hops[0].onlink = true;
        let mut shared = to("198.51.101.0", 24);
        shared.hops = vec![way(Some("192.0.2.3"), 3), way(Some("2001:db8::3"), 4)];
        shared.hops[1].weight = 256;
        shared.hops[1].realms = 7;
        shared.hops[0].encapsulation = Some(Encapsulation {
            kind: 1,
            attributes: vec![(1, vec![0, 6, 0x41, 0])],
        });
        let mut nowhere = to("198.51.102.0", 24);
        nowhere.kind = 6;
        nowhere.metric = 7;
        let mut v6 = to("2001:db8:1::", 64);
        v6.from = Some((ip("2001:db8:2::"), 48));
        v6.preference = 3;
        v6.metric = 1024;
        v6.hops = vec![way(None, 3)];
        let mut other = Route::new(Family::V4, None);
        other.hops = vec![way(Some("2001:db8::1"), 3)];
        other.hops[0].encapsulation = Some(Encapsulation {
            kind: 2,
            attributes: vec![(2, vec![192, 0, 2, 9]), (4, vec![64])],
        });
        vec![plain, shared, nowhere, v6, other]
    }

    #[test]
    fn what_is_asked_for_reads_back_as_it_was() {
        for wanted in all() {
            let read = read(&request(&wanted).into_bytes());
            assert_eq!(read.as_ref(), Some(&wanted));
            assert!(read.is_some_and(|there| there.serves(&wanted)));
        }
    }

    #[test]
    fn every_prefix_of_a_message_is_read_or_refused_quietly() {
        for wanted in all() {
            let bytes = request(&wanted).into_bytes();
            for end in 0..bytes.len() {
                let _ = read(&bytes[..end]);
            }
            for at in 0..bytes.len() {
                for wrong in [0, 1, 3, 4, 0x7f, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[at] = wrong;
                    let _ = read(&bytes);
                }
            }
        }
    }

    #[test]
    fn ipv4_keeps_two_ways_side_by_side_and_ipv6_makes_one_route_of_them() {
        let by = |network: &str, gateway| {
            let mut route = to(network, 64.min(if network.contains(':') { 64 } else { 24 }));
            route.hops = vec![way(Some(gateway), 3)];
            route.key()
        };
        assert_ne!(by("10.0.0.0", "192.0.2.1"), by("10.0.0.0", "192.0.2.2"));
        assert_eq!(by("2001:db8::", "fe80::1"), by("2001:db8::", "fe80::2"));
    }

    #[test]
    fn the_interface_that_the_kernel_found_serves_and_another_one_does_not() {
        let mut wanted = to("198.51.100.0", 24);
        wanted.hops = vec![way(Some("192.0.2.254"), 0)];
        let mut there = wanted.clone();
        there.hops[0].ifindex = 3;
        assert!(there.key() == wanted.key() && there.serves(&wanted));
        wanted.hops[0].ifindex = 4;
        assert!(!there.serves(&wanted));
    }

    #[test]
    fn host_bits_of_a_destination_do_not_count() {
        assert_eq!(to("10.1.2.3", 8).key(), to("10.0.0.0", 8).key());
        assert_eq!(
            to("10.1.2.3", 0).key().destination,
            Some((ip("0.0.0.0"), 0))
        );
    }

    #[test]
    fn a_route_of_several_ways_loses_them_one_by_one() {
        let mut route = to("2001:db8::", 64);
        route.hops = vec![way(Some("fe80::1"), 3), way(Some("fe80::2"), 3)];
        let mut gone = route.clone();
        gone.hops.truncate(1);
        assert!(route.lose(&gone));
        assert_eq!(route.hops, [way(Some("fe80::2"), 3)]);
        assert!(!route.clone().lose(&route));
    }
}
