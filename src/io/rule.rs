//! Rules of policy routing: what there are of ours, and how they are added and taken away.

use core::fmt;
use core::net::IpAddr;

use neli::consts::nl::NlmF;

use super::address::KEEPALIVED;
use super::error::NetError;
use super::netlink::message::{attributes, ip, text, u16_at, u32_at};
use super::netlink::{Batch, Body, Netlink};
use crate::name::{Family, IfName};

/// Length of `struct fib_rule_hdr` of linux/fib_rules.h.
const HEADER: usize = 12;

/// `FIB_RULE_INVERT`.
const INVERT: u32 = 2;
/// What the kernel says of a number that nobody gave.
const NONE: u32 = u32::MAX;

/// Attributes of linux/fib_rules.h.
mod fra {
    pub(super) const DST: u16 = 1;
    pub(super) const SRC: u16 = 2;
    pub(super) const IIFNAME: u16 = 3;
    pub(super) const GOTO: u16 = 4;
    pub(super) const PRIORITY: u16 = 6;
    pub(super) const FWMARK: u16 = 10;
    pub(super) const FLOW: u16 = 11;
    pub(super) const TUN_ID: u16 = 12;
    pub(super) const SUPPRESS_IFGROUP: u16 = 13;
    pub(super) const SUPPRESS_PREFIXLEN: u16 = 14;
    pub(super) const TABLE: u16 = 15;
    pub(super) const FWMASK: u16 = 16;
    pub(super) const OIFNAME: u16 = 17;
    pub(super) const L3MDEV: u16 = 19;
    pub(super) const UID_RANGE: u16 = 20;
    pub(super) const PROTOCOL: u16 = 21;
    pub(super) const IP_PROTO: u16 = 22;
    pub(super) const SPORT_RANGE: u16 = 23;
    pub(super) const DPORT_RANGE: u16 = 24;
}

/// A rule, as it is asked for and as the kernel lists it. All of it makes it the same rule to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Its family.
    pub family: Family,
    /// The smaller, the earlier it is looked at.
    pub priority: u32,
    /// For what does not match rather than for what does.
    pub inverted: bool,
    /// For packets from there.
    pub from: Option<(IpAddr, u8)>,
    /// For packets to there.
    pub to: Option<(IpAddr, u8)>,
    /// `FR_ACT_*`: what is to be done with the packet; 1 is looking it up in the table.
    pub action: u8,
    /// The table to look it up in.
    pub table: u32,
    /// The priority of the rule to go on with.
    pub target: Option<u32>,
    /// For packets with this mark, and the bits of it that count.
    pub mark: Option<(u32, u32)>,
    /// For packets that came in there; need not exist.
    pub input: Option<IfName>,
    /// For packets of a socket that is bound there; need not exist.
    pub output: Option<IfName>,
    /// For packets with this type of service.
    pub tos: u8,
    /// Realm of the source and, in the lower half, of the destination.
    pub realms: u32,
    /// A route with a prefix of this length or shorter does not count.
    pub suppress_prefix: Option<u32>,
    /// A route by an interface of this group does not count.
    pub suppress_group: Option<u32>,
    /// For packets of this tunnel.
    pub tunnel: Option<u64>,
    /// For packets of these users of this host.
    pub users: Option<(u32, u32)>,
    /// The table is that of the packet's VRF.
    pub l3mdev: bool,
    /// Who put it there.
    pub protocol: u8,
    /// For packets of this protocol above IP.
    pub ip_protocol: Option<u8>,
    /// For packets from these ports.
    pub source_ports: Option<(u16, u16)>,
    /// For packets to these ports.
    pub destination_ports: Option<(u16, u16)>,
}

impl Rule {
    /// A rule for every packet that looks it up in a table.
    #[must_use]
    pub const fn new(family: Family, priority: u32, table: u32) -> Self {
        Self {
            family,
            priority,
            inverted: false,
            from: None,
            to: None,
            action: 1,
            table,
            target: None,
            mark: None,
            input: None,
            output: None,
            tos: 0,
            realms: 0,
            suppress_prefix: None,
            suppress_group: None,
            tunnel: None,
            users: None,
            l3mdev: false,
            protocol: KEEPALIVED,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.inverted { "not " } else { "" };
        write!(f, "{}: {not}from ", self.priority)?;
        match self.from {
            Some((ip, prefix)) => write!(f, "{ip}/{prefix}")?,
            None => write!(f, "all")?,
        }
        if let Some((ip, prefix)) = self.to {
            write!(f, " to {ip}/{prefix}")?;
        }
        if self.action == 1 && !self.l3mdev {
            write!(f, " lookup {}", self.table)?;
        }
        Ok(())
    }
}

/// All rules of ours, of both families.
///
/// # Errors
/// If the kernel does not give the list.
pub fn list(netlink: &mut Netlink) -> Result<Vec<Rule>, NetError> {
    let body = Body::new(&[0; HEADER]);
    let found = netlink.dump("list the rules", libc::RTM_GETRULE, body, |message| {
        read(message.payload).filter(|rule| rule.protocol == KEEPALIVED)
    });
    match found {
        // A kernel without policy routing has none.
        Err(NetError::Kernel(failed)) if failed.not_supported() => Ok(Vec::new()),
        found => found,
    }
}

/// The payload of an `RTM_NEWRULE` or `RTM_DELRULE`; `None` if malformed or of another family.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Rule> {
    let &[family, to, from, tos, table, _, _, action, ..] = payload.first_chunk::<HEADER>()?;
    let family = match i32::from(family) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    let mut rule = Rule {
        inverted: u32_at(payload, 8)? & INVERT != 0,
        action,
        tos,
        protocol: 0,
        ..Rule::new(family, 0, table.into())
    };
    let given = |value| u32_at(value, 0).filter(|number| *number != NONE);
    let range = |value| Some((u16_at(value, 0)?, u16_at(value, 2)?));
    let (mut mark, mut mask) = (0, 0);
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            fra::DST => rule.to = Some((ip(value)?, to)),
            fra::SRC => rule.from = Some((ip(value)?, from)),
            fra::IIFNAME => rule.input = text(value).and_then(IfName::new),
            fra::OIFNAME => rule.output = text(value).and_then(IfName::new),
            fra::GOTO => rule.target = u32_at(value, 0),
            fra::PRIORITY => rule.priority = u32_at(value, 0)?,
            fra::FWMARK => mark = u32_at(value, 0)?,
            fra::FWMASK => mask = u32_at(value, 0)?,
            fra::FLOW => rule.realms = u32_at(value, 0)?,
            fra::TUN_ID => {
                let number = value.first_chunk().map(|b| u64::from_be_bytes(*b));
                rule.tunnel = number.filter(|number| *number != 0);
            }
            fra::SUPPRESS_IFGROUP => rule.suppress_group = given(value),
            fra::SUPPRESS_PREFIXLEN => rule.suppress_prefix = given(value),
            fra::TABLE => rule.table = u32_at(value, 0)?,
            fra::L3MDEV => rule.l3mdev = *value.first()? != 0,
            fra::UID_RANGE => rule.users = Some((u32_at(value, 0)?, u32_at(value, 4)?)),
            fra::PROTOCOL => rule.protocol = *value.first()?,
            fra::IP_PROTO => rule.ip_protocol = value.first().copied(),
            fra::SPORT_RANGE => rule.source_ports = range(value),
            fra::DPORT_RANGE => rule.destination_ports = range(value),
            _ => {}
        }
    }
    rule.mark = (mask != 0).then_some((mark, mask));
    Some(rule)
}

/// Asks for a rule. The kernel refuses one that is there with `EEXIST`.
pub fn add(batch: &mut Batch, wanted: &Rule) {
    batch.push(
        format_args!("add the rule {wanted}"),
        libc::RTM_NEWRULE,
        NlmF::CREATE | NlmF::EXCL,
        request(wanted),
    );
}

/// Asks for a rule to be taken away. The kernel refuses with `ENOENT` if it is not there.
pub fn remove(batch: &mut Batch, unwanted: &Rule) {
    batch.push(
        format_args!("remove the rule {unwanted}"),
        libc::RTM_DELRULE,
        NlmF::empty(),
        request(unwanted),
    );
}

fn request(rule: &Rule) -> Body {
    const INET: u8 = libc::AF_INET as u8;
    const INET6: u8 = libc::AF_INET6 as u8;
    let length = |network: Option<(IpAddr, u8)>| network.map_or(0, |(_, prefix)| prefix);
    let [a, b, c, d] = (if rule.inverted { INVERT } else { 0 }).to_ne_bytes();
    let mut body = Body::new(&[
        if rule.family == Family::V6 {
            INET6
        } else {
            INET
        },
        length(rule.to),
        length(rule.from),
        rule.tos,
        // A table beyond a byte stands in an attribute only.
        u8::try_from(rule.table).unwrap_or(0),
        0,
        0,
        rule.action,
        a,
        b,
        c,
        d,
    ]);
    body.put_u32(fra::PRIORITY, rule.priority);
    body.put(fra::PROTOCOL, &[rule.protocol]);
    let networks = [(fra::SRC, rule.from), (fra::DST, rule.to)];
    for (kind, network) in networks {
        if let Some((ip, _)) = network {
            body.put_ip(kind, ip);
        }
    }
    let names = [(fra::IIFNAME, &rule.input), (fra::OIFNAME, &rule.output)];
    for (kind, name) in names {
        if let Some(name) = name {
            body.put_text(kind, name.as_str());
        }
    }
    let numbers = [
        (fra::TABLE, (rule.table != 0).then_some(rule.table)),
        (fra::GOTO, rule.target),
        (fra::FWMARK, rule.mark.map(|(mark, _)| mark)),
        (fra::FWMASK, rule.mark.map(|(_, mask)| mask)),
        (fra::FLOW, (rule.realms != 0).then_some(rule.realms)),
        (fra::SUPPRESS_PREFIXLEN, rule.suppress_prefix),
        (fra::SUPPRESS_IFGROUP, rule.suppress_group),
    ];
    for (kind, number) in numbers {
        if let Some(number) = number {
            body.put_u32(kind, number);
        }
    }
    if let Some(tunnel) = rule.tunnel {
        body.put(fra::TUN_ID, &tunnel.to_be_bytes());
    }
    if let Some((first, last)) = rule.users {
        let range = [first.to_ne_bytes(), last.to_ne_bytes()].concat();
        body.put(fra::UID_RANGE, &range);
    }
    if rule.l3mdev {
        body.put(fra::L3MDEV, &[1]);
    }
    if let Some(protocol) = rule.ip_protocol {
        body.put(fra::IP_PROTO, &[protocol]);
    }
    let ports = [
        (fra::SPORT_RANGE, rule.source_ports),
        (fra::DPORT_RANGE, rule.destination_ports),
    ];
    for (kind, range) in ports {
        if let Some((first, last)) = range {
            let range = [first.to_ne_bytes(), last.to_ne_bytes()].concat();
            body.put(kind, &range);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of every form.
    fn all() -> Vec<Rule> {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut many = Rule::new(Family::V4, 10, 6909);
        many.inverted = true;
        many.from = Some((ip("192.0.2.0"), 24));
        many.to = Some((ip("10.0.0.0"), 8));
        many.mark = Some((0x18, 0xff));
        many.input = IfName::new("eth0");
        many.output = IfName::new("eth1");
        many.tos = 0x10;
        many.realms = 0x3_0004;
        many.suppress_prefix = Some(0);
        many.suppress_group = Some(5);
        many.tunnel = Some(1 << 40);
        many.users = Some((10, 20));
        many.ip_protocol = Some(17);
        many.source_ports = Some((1, 2));
        many.destination_ports = Some((80, 80));
        let mut jump = Rule::new(Family::V6, 11, 0);
        (jump.action, jump.target) = (2, Some(20));
        let mut vrf = Rule::new(Family::V4, 12, 0);
        vrf.l3mdev = true;
        vec![many, jump, vrf]
    }

    #[test]
    fn what_is_asked_for_reads_back_as_it_was() {
        for wanted in all() {
            assert_eq!(read(&request(&wanted).into_bytes()), Some(wanted));
        }
    }

    #[test]
    fn every_prefix_of_a_message_is_read_or_refused_quietly() {
        for wanted in all() {
            let bytes = request(&wanted).into_bytes();
            for end in 0..bytes.len() {
                let _ = read(&bytes[..end]);
            }
        }
    }

    #[test]
    fn a_suppression_that_nobody_asked_for_is_none() {
        let mut body = request(&Rule::new(Family::V4, 1, 2));
        body.put_u32(fra::SUPPRESS_PREFIXLEN, NONE);
        body.put_u32(fra::SUPPRESS_IFGROUP, NONE);
        assert_eq!(read(&body.into_bytes()), Some(Rule::new(Family::V4, 1, 2)));
    }
}
