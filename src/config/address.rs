//! Lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`.

use core::net::{IpAddr, Ipv4Addr};

use super::diag::Span;
use super::keys::Context;
use super::tree::Block;
use super::value::Args;
use crate::model::{Address, Broadcast};

/// `IFA_FLAGS` of linux/if_addr.h by the words of `ip address`.
pub(super) const FLAGS: [(&str, u32); 4] = [
    ("home", 0x10),
    ("mngtmpaddr", 0x100),
    ("noprefixroute", 0x200),
    ("autojoin", 0x400),
];
pub(super) const IFA_F_NODAD: u32 = 0x02;

/// Scopes of linux/rtnetlink.h by name.
pub(super) const SCOPES: [(&str, u8); 5] = [
    ("global", 0),
    ("site", 200),
    ("link", 253),
    ("host", 254),
    ("nowhere", 255),
];

/// An address and its place.
pub(super) type Placed = (Address, Span);

pub(super) fn read(
    blocks: &[Block<'_>],
    statics: bool,
    into: &mut Vec<Placed>,
    context: &mut Context,
) {
    for block in blocks {
        if block.body.is_some() {
            context
                .diags
                .error(block.at(), "an address takes no block")
                .hint("ignored up to its '}'");
        }
        let at = block.at();
        let mut args = Args::line(block, context);
        if let Some(address) = line(&mut args, statics) {
            into.push((address, at));
        }
        args.finish();
    }
}

fn line(a: &mut Args<'_, '_, '_>, statics: bool) -> Option<Address> {
    let first = a.word()?;
    let Some((ip, prefix)) = a.prefix_of(first) else {
        a.skip();
        return None;
    };
    let mut address = Address::new(ip, prefix);
    while let Some(word) = a.word() {
        match word.text {
            "dev" => address.dev = a.interface(),
            "scope" => address.scope = scope(a),
            "brd" | "broadcast" => address.broadcast = broadcast(a, ip, prefix),
            "label" => address.label = label(a, ip),
            "peer" => {
                let peer = a.need("an address")?;
                let (peer, length) = a.prefix_of(peer)?;
                if peer.is_ipv4() == ip.is_ipv4() {
                    address.peer = Some((peer, length));
                } else {
                    a.error(word, "the peer is of the other family");
                }
            }
            "-nodad" => address.flags &= !IFA_F_NODAD,
            "preferred_lft" => match a.peek().map(|w| w.text) {
                Some("forever") => {
                    a.word();
                    address.preferred = None;
                }
                _ => {
                    address.preferred = a.number(0..=i64::from(u32::MAX) - 1).or(address.preferred)
                }
            },
            "no_track" => address.tracked = false,
            "use_vmac" if !statics => address.on_vmac = true,
            "track_group" if statics => address.group = a.track_group(),
            _ => {
                if let Some((_, flag)) = FLAGS.iter().find(|(name, _)| *name == word.text) {
                    address.flags |= flag;
                } else {
                    let what = format!("unknown option '{}' of an address", word.text);
                    let is_address = word.text.parse::<IpAddr>().is_ok();
                    let diag = a.error(word, what);
                    if is_address {
                        diag.hint("each address needs a line of its own");
                    }
                    a.skip();
                }
            }
        }
    }
    Some(address)
}

fn scope(a: &mut Args<'_, '_, '_>) -> Option<u8> {
    let word = a.need("a scope")?;
    match SCOPES.iter().find(|(name, _)| *name == word.text) {
        Some((_, scope)) => Some(*scope),
        None => a.number_of(word, 0..=255),
    }
}

fn broadcast(a: &mut Args<'_, '_, '_>, ip: IpAddr, prefix: u8) -> Option<Broadcast> {
    let word = a.need("a broadcast address")?;
    if ip.is_ipv6() {
        a.error(word, "an IPv6 address has no broadcast address");
        return None;
    }
    match word.text {
        "+" | "-" if prefix > 30 => {
            let what = format!("a /{prefix} has no broadcast address");
            a.context.diags.warn(word.at, what);
            None
        }
        "+" => Some(Broadcast::Ones),
        "-" => Some(Broadcast::Zeros),
        _ => a
            .parsed::<Ipv4Addr>(word, "an IPv4 address")
            .map(Broadcast::At),
    }
}

fn label(a: &mut Args<'_, '_, '_>, ip: IpAddr) -> Option<String> {
    let word = a.need("a label")?;
    if ip.is_ipv6() {
        a.context
            .diags
            .warn(word.at, "an IPv6 address has no label");
        return None;
    }
    if word.text.len() > 15 {
        a.error(word, "a label has at most 15 letters");
        return None;
    }
    Some(word.text.to_owned())
}
