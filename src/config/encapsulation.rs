//! `encap` of a route: `mpls LABEL/LABEL…`, or `ip`, `ip6` and `ila` with what their headers are to hold.

use core::net::IpAddr;

use super::route::service;
use super::value::{Args, integer};
use crate::model::Encapsulation;

/// `LWTUNNEL_ENCAP_*` of linux/lwtunnel.h.
const KINDS: [(&str, u16); 4] = [("mpls", 1), ("ip", 2), ("ila", 3), ("ip6", 4)];

/// `LWTUNNEL_IP_*`, which is `LWTUNNEL_IP6_*` with other words for the same numbers.
const ID: u16 = 1;
const DESTINATION: u16 = 2;
const SOURCE: u16 = 3;
const HOPS: u16 = 4;
const SERVICE: u16 = 5;
const FLAGS: u16 = 6;

/// `MPLS_IPTUNNEL_DST` and `ILA_ATTR_LOCATOR`: the only thing that there is to say.
const ONLY: u16 = 1;

/// The labels of one packet, as many as a kernel takes.
const MOST_LABELS: usize = 30;

/// What follows the word `encap`.
pub(super) fn read(a: &mut Args<'_, '_, '_>) -> Option<Encapsulation> {
    let (name, kind) = a.choice(
        "encapsulation",
        &KINDS.map(|(name, kind)| (name, (name, kind))),
    )?;
    let attributes = match name {
        "mpls" => vec![(ONLY, labels(a)?)],
        "ila" => vec![(ONLY, locator(a)?)],
        _ => header(a, name == "ip6"),
    };
    Some(Encapsulation { kind, attributes })
}

/// The fields of an outer header, until a word that is none.
fn header(a: &mut Args<'_, '_, '_>, v6: bool) -> Vec<(u16, Vec<u8>)> {
    let [service_word, hops] = if v6 {
        ["tc", "hoplimit"]
    } else {
        ["tos", "ttl"]
    };
    let mut fields = Vec::new();
    loop {
        let field = if a.flag("id") {
            let id: Option<i64> = a.number(0..=i64::MAX);
            id.map(|id| (ID, id.to_be_bytes().to_vec()))
        } else if a.flag("dst") {
            address(a, v6).map(|ip| (DESTINATION, ip))
        } else if a.flag("src") {
            address(a, v6).map(|ip| (SOURCE, ip))
        } else if a.flag(hops) {
            a.number(0..=255).map(|hops: u8| (HOPS, vec![hops]))
        } else if a.flag(service_word) {
            Some((SERVICE, vec![service(a)]))
        } else if a.flag("flags") {
            let flags: Option<u16> = a.number(0..=0xffff);
            flags.map(|flags| (FLAGS, flags.to_ne_bytes().to_vec()))
        } else {
            break;
        };
        fields.extend(field);
    }
    if !fields
        .iter()
        .any(|(field, _)| matches!(*field, ID | DESTINATION))
    {
        let at = a.peek().map_or_else(|| a.block.at(), |word| word.at);
        a.context
            .diags
            .error(at, "the encapsulation leads nowhere")
            .hint("say 'dst' and an address, or 'id' and a number");
    }
    fields
}

fn address(a: &mut Args<'_, '_, '_>, v6: bool) -> Option<Vec<u8>> {
    let word = a.need("an address")?;
    let ip: IpAddr = a.parsed(word, "an address")?;
    match ip {
        IpAddr::V4(ip) if !v6 => Some(ip.octets().to_vec()),
        IpAddr::V6(ip) if v6 => Some(ip.octets().to_vec()),
        _ => {
            a.error(
                word,
                format!("{ip} is of the other family than the outer header"),
            );
            None
        }
    }
}

/// A stack of labels as on the wire (RFC 3032 section 2.1): 20 bits of each, and a mark on the last.
fn labels(a: &mut Args<'_, '_, '_>) -> Option<Vec<u8>> {
    let word = a.need("labels")?;
    let label = |text| {
        integer(text)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n < 1 << 20)
    };
    let labels: Option<Vec<u32>> = word.text.split('/').map(label).collect();
    let labels = labels.filter(|labels| labels.len() <= MOST_LABELS);
    if labels.is_none() {
        a.error(word, format!("'{}' is no stack of labels", word.text))
            .hint("expected numbers up to 1048575 with '/' between");
    }
    let labels = labels?;
    let last = labels.len().saturating_sub(1);
    let entry = |(at, label): (usize, u32)| label << 12 | u32::from(at == last) << 8;
    let entries = labels.into_iter().enumerate().map(entry);
    Some(entries.flat_map(u32::to_be_bytes).collect())
}

/// Four groups of hexadecimal digits.
fn locator(a: &mut Args<'_, '_, '_>) -> Option<Vec<u8>> {
    let word = a.need("a locator")?;
    let group = |text| u16::from_str_radix(text, 16).ok();
    let groups: Option<Vec<u16>> = word.text.split(':').map(group).collect();
    let groups = groups.filter(|groups| groups.len() == 4);
    if groups.is_none() {
        a.error(word, format!("'{}' is no locator", word.text))
            .hint("expected four groups, as 1:2:3:4");
    }
    Some(groups?.into_iter().flat_map(u16::to_be_bytes).collect())
}
