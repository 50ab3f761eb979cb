//! The rules for packets of virtual routers, in a table of our own in the kernel's nf_tables (linux/netfilter/nf_tables.h).
//!
//! The table never changes once it is there; what changes is what is in its sets:
//!
//! ```text
//! table inet keepalived {
//!     set vips       { ipv4_addr }                addresses of masters that do not accept
//!     set vips6      { ipv6_addr }
//!     set vips6_link { ipv6_addr . iface_index }
//!     set silent     { iface_index }              virtual MACs of those who are not master
//!     chain in  { ip daddr @vips drop, ip6 daddr @vips6 drop, … }
//!     chain out { ip saddr @vips drop, …, oif @silent drop }
//! }
//! ```
//!
//! Neighbour discovery passes, so that an address that is not accepted still can be found; and adverts pass. All else that
//! would leave by a virtual MAC of a backup, such as a report of membership or an answer about its own link-local address,
//! would teach the switches that the virtual MAC is here (RFC 9568 section 8.1.2).

use core::net::{Ipv4Addr, Ipv6Addr};

use neli::consts::nl::NlmF;

use super::netlink::{Batch, Body};
use crate::name::Ifindex;

/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h, in the upper half of a message's type.
const SUBSYSTEM: u16 = 10 << 8;

/// `NFT_MSG_*`.
mod message {
    pub(super) const NEWTABLE: u16 = 0;
    pub(super) const DELTABLE: u16 = 2;
    pub(super) const NEWCHAIN: u16 = 3;
    pub(super) const NEWRULE: u16 = 6;
    pub(super) const NEWSET: u16 = 9;
    pub(super) const NEWSETELEM: u16 = 12;
    pub(super) const DELSETELEM: u16 = 14;
}

/// `NFPROTO_*` of linux/netfilter.h, as a table's family and as what a packet is.
const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// Protocols.
const ICMPV6: u8 = 58;
const VRRP: u8 = 112;
const AH: u8 = 51;

/// Types of ICMPv6 (RFC 4861 section 4).
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Elements in one message: far from the 64 kB that an attribute can hold.
const ELEMENTS: usize = 200;

/// Our table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// When its chains are asked among those of others: lower is earlier.
    pub priority: i32,
    /// Count the packets that a rule concerns.
    pub counters: bool,
}

/// What one of the sets holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// By this interface nothing leaves but adverts.
    Silent(Ifindex),
    /// An address that is not accepted.
    V4(Ipv4Addr),
    /// An address that is not accepted.
    V6(Ipv6Addr),
    /// A link-local address that is not accepted on an interface.
    V6Link(Ipv6Addr, Ifindex),
}

impl Element {
    /// Name of its set.
    const fn set(self) -> &'static str {
        match self {
            Self::Silent(_) => "silent",
            Self::V4(_) => "vips",
            Self::V6(_) => "vips6",
            Self::V6Link(..) => "vips6_link",
        }
    }

    fn key(self) -> Vec<u8> {
        match self {
            Self::Silent(index) => index.to_ne_bytes().to_vec(),
            Self::V4(ip) => ip.octets().to_vec(),
            Self::V6(ip) => ip.octets().to_vec(),
            Self::V6Link(ip, index) => [&ip.octets()[..], &index.to_ne_bytes()].concat(),
        }
    }
}

/// Asks for the table with its chains and empty sets. One that is `owned` goes when the socket that asked for it is closed, and
/// nobody else can change it (since Linux 5.12).
pub fn create(batch: &mut Batch, table: &Table, owned: bool) {
    /// `NFT_TABLE_F_OWNER`.
    const OWNER: u32 = 2;
    let name = table.name.as_str();
    let mut body = empty();
    body.put_text(1, name);
    body.put_be(2, if owned { OWNER } else { 0 });
    push(
        batch,
        name,
        "make the table",
        message::NEWTABLE,
        NlmF::CREATE | NlmF::EXCL,
        body,
    );
    // The types are those that the nft tool shows them by.
    for (id, (set, kind, len)) in (1..).zip([
        ("silent", 20, 4),
        ("vips", 7, 4),
        ("vips6", 8, 16),
        ("vips6_link", 8 << 6 | 20, 20),
    ]) {
        let mut body = empty();
        body.put_text(1, name);
        body.put_text(2, set);
        body.put_be(3, 0);
        body.put_be(4, kind);
        body.put_be(5, len);
        body.put_be(10, id);
        push(
            batch,
            name,
            "make a set",
            message::NEWSET,
            NlmF::CREATE | NlmF::EXCL,
            body,
        );
    }
    for (chain, hook) in [("in", LOCAL_IN), ("out", LOCAL_OUT)] {
        let mut body = empty();
        body.put_text(1, name);
        body.put_text(3, chain);
        body.nest(4, |hooked| {
            hooked.put_be(1, hook);
            hooked.put_be(2, table.priority.cast_unsigned());
        });
        body.put_text(7, "filter");
        push(
            batch,
            name,
            "make a chain",
            message::NEWCHAIN,
            NlmF::CREATE | NlmF::EXCL,
            body,
        );
        for rule in rules(hook) {
            let mut body = empty();
            body.put_text(1, name);
            body.put_text(2, chain);
            body.nest(4, |all| {
                for part in &rule {
                    part.write(all);
                }
                if table.counters {
                    expression(all, "counter", |_| {});
                }
                rule_end(all, &rule);
            });
            push(
                batch,
                name,
                "make a rule",
                message::NEWRULE,
                NlmF::CREATE | NlmF::APPEND,
                body,
            );
        }
    }
}

/// Asks for the end of a table of that name. The kernel refuses with `ENOENT` if there is none.
pub fn delete(batch: &mut Batch, name: &str) {
    let mut body = empty();
    body.put_text(1, name);
    push(
        batch,
        name,
        "remove the table",
        message::DELTABLE,
        NlmF::empty(),
        body,
    );
}

/// Asks for what is to be in the sets.
pub fn add(batch: &mut Batch, table: &Table, elements: impl IntoIterator<Item = Element>) {
    change(batch, table, message::NEWSETELEM, NlmF::CREATE, elements);
}

/// Asks for what is no longer to be in the sets.
pub fn remove(batch: &mut Batch, table: &Table, elements: impl IntoIterator<Item = Element>) {
    change(batch, table, message::DELSETELEM, NlmF::empty(), elements);
}

fn change(
    batch: &mut Batch,
    table: &Table,
    kind: u16,
    flags: NlmF,
    elements: impl IntoIterator<Item = Element>,
) {
    let elements: Vec<_> = elements.into_iter().collect();
    let of_one_set = elements.chunk_by(|a, b| a.set() == b.set());
    for some in of_one_set.flat_map(|all| all.chunks(ELEMENTS)) {
        let Some(first) = some.first() else { continue };
        let mut body = empty();
        body.put_text(1, &table.name);
        body.put_text(2, first.set());
        body.nest(3, |list| {
            for element in some {
                list.nest(1, |item| item.nest(1, |key| key.put(1, &element.key())));
            }
        });
        push(batch, &table.name, "change a set", kind, flags, body);
    }
}

fn push(batch: &mut Batch, table: &str, op: &str, kind: u16, flags: NlmF, body: Body) {
    batch.push(
        format_args!("{op} of nftables {table}"),
        SUBSYSTEM | kind,
        flags,
        body,
    );
}

/// `NF_INET_LOCAL_IN` and `NF_INET_LOCAL_OUT`: what is for this host, and what is from it.
const LOCAL_IN: u32 = 1;
const LOCAL_OUT: u32 = 3;

/// A part of a rule: what it asks about a packet, or what becomes of one that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// IPv4 or IPv6.
    Family(u8),
    /// What it carries.
    Protocol(u8),
    /// The first byte of what it carries.
    Type(u8),
    /// Bytes of its header, by their place and length, are in a set.
    Address(u32, u32, &'static str),
    /// Its interface, by the key for it, is in a set.
    Interface(u32, &'static str),
    /// Both together are in a set.
    AddressOn(u32, u32, u32, &'static str),
    /// It passes.
    Accept,
    /// It does not.
    Drop,
}

/// The rules at a hook, in their order.
fn rules(hook: u32) -> Vec<Vec<Part>> {
    use Part::{Accept, Address, AddressOn, Drop, Family, Interface, Protocol, Type};
    /// `NFT_META_IIF` and `NFT_META_OIF`.
    const IIF: u32 = 4;
    const OIF: u32 = 5;
    let going_out = hook == LOCAL_OUT;
    // Where the source and the destination stand in the headers.
    let (v4, v6, interface) = if going_out {
        (12, 8, OIF)
    } else {
        (16, 24, IIF)
    };
    let mut rules = Vec::new();
    if going_out {
        let silent = Interface(OIF, "silent");
        rules.push(vec![silent, Protocol(VRRP), Accept]);
        rules.push(vec![silent, Protocol(AH), Accept]);
        rules.push(vec![silent, Drop]);
    }
    rules.push(vec![Family(IPV4), Address(v4, 4, "vips"), Drop]);
    for kind in [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT] {
        rules.push(vec![Family(IPV6), Protocol(ICMPV6), Type(kind), Accept]);
    }
    rules.push(vec![Family(IPV6), Address(v6, 16, "vips6"), Drop]);
    let on_link = AddressOn(v6, 16, interface, "vips6_link");
    rules.push(vec![Family(IPV6), on_link, Drop]);
    rules
}

/// Registers: `NFT_REG_1`, which has 16 bytes, and `NFT_REG32_04`, the four bytes after it.
const FIRST: u32 = 1;
const AFTER_FIRST: u32 = 12;

/// `NFT_META_NFPROTO` and `NFT_META_L4PROTO`.
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;

/// `NFT_PAYLOAD_NETWORK_HEADER` and `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

impl Part {
    fn write(self, all: &mut Body) {
        match self {
            Self::Family(family) => {
                meta(all, META_FAMILY, FIRST);
                compare(all, family);
            }
            Self::Protocol(protocol) => {
                meta(all, META_PROTOCOL, FIRST);
                compare(all, protocol);
            }
            Self::Type(kind) => {
                payload(all, TRANSPORT, 0, 1);
                compare(all, kind);
            }
            Self::Address(offset, len, set) => {
                payload(all, NETWORK, offset, len);
                look_up(all, set);
            }
            Self::Interface(key, set) => {
                meta(all, key, FIRST);
                look_up(all, set);
            }
            Self::AddressOn(offset, len, key, set) => {
                payload(all, NETWORK, offset, len);
                meta(all, key, AFTER_FIRST);
                look_up(all, set);
            }
            // At the end, behind a counter.
            Self::Accept | Self::Drop => {}
        }
    }
}

fn rule_end(all: &mut Body, rule: &[Part]) {
    /// `NF_DROP` and `NF_ACCEPT` of linux/netfilter.h.
    const DROP: u32 = 0;
    const ACCEPT: u32 = 1;
    /// `NFT_REG_VERDICT`.
    const VERDICT: u32 = 0;
    let verdict = if rule.last() == Some(&Part::Accept) {
        ACCEPT
    } else {
        DROP
    };
    expression(all, "immediate", |data| {
        data.put_be(1, VERDICT);
        data.nest(2, |value| value.nest(2, |code| code.put_be(1, verdict)));
    });
}

fn meta(all: &mut Body, key: u32, register: u32) {
    expression(all, "meta", |data| {
        data.put_be(2, key);
        data.put_be(1, register);
    });
}

fn payload(all: &mut Body, base: u32, offset: u32, len: u32) {
    expression(all, "payload", |data| {
        data.put_be(1, FIRST);
        data.put_be(2, base);
        data.put_be(3, offset);
        data.put_be(4, len);
    });
}

/// `NFT_CMP_EQ`.
fn compare(all: &mut Body, with: u8) {
    expression(all, "cmp", |data| {
        data.put_be(1, FIRST);
        data.put_be(2, 0);
        data.nest(3, |value| value.put(1, &[with]));
    });
}

fn look_up(all: &mut Body, set: &str) {
    expression(all, "lookup", |data| {
        data.put_text(1, set);
        data.put_be(2, FIRST);
    });
}

fn expression(all: &mut Body, name: &str, mut write: impl FnMut(&mut Body)) {
    all.nest(1, |one| {
        one.put_text(1, name);
        one.nest(2, &mut write);
    });
}

/// The beginning of a message's body: `struct nfgenmsg`. Numbers in it are in the order of the network.
fn empty() -> Body {
    Body::new(&[INET, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::super::netlink::message::attributes;
    use super::*;

    #[test]
    fn a_body_is_read_by_those_who_read_netlink() {
        let mut body = empty();
        body.put_text(1, "keepalived");
        body.nest(4, |nest| nest.put_be(2, 0x0102_0304));
        let bytes = body.into_bytes();
        let found: Vec<_> = attributes(&bytes[4..]).collect();
        assert_eq!(found[0], (1, &b"keepalived\0"[..]));
        let inner: Vec<_> = attributes(found[1].1).collect();
        assert_eq!(inner, [(2, &[1, 2, 3, 4][..])]);
    }

    #[test]
    fn every_rule_ends_with_what_becomes_of_the_packet() {
        for rule in [LOCAL_IN, LOCAL_OUT].into_iter().flat_map(rules) {
            let ends = |part: &Part| matches!(part, Part::Accept | Part::Drop);
            assert!(rule.last().is_some_and(ends));
            assert_eq!(rule.iter().filter(|part| ends(part)).count(), 1);
        }
    }

    #[test]
    fn elements_of_one_set_go_in_few_messages() {
        let table = Table {
            name: "keepalived".to_owned(),
            priority: -1,
            counters: false,
        };
        let mut batch = Batch::new();
        let v4 = (0..450).map(|n| Element::V4(Ipv4Addr::from_bits(n)));
        add(&mut batch, &table, v4.chain([Element::Silent(3)]));
        assert_eq!(batch.len(), 4);
    }
}
