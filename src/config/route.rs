//! Lines of `virtual_routes`, `virtual_rules`, `static_routes` and `static_rules`, which are those of `ip route` and
//! `ip rule`.

use core::net::IpAddr;
use std::fs;

use super::address::SCOPES;
use super::keys::Context;
use super::tree::Block;
use super::value::{Args, integer};
use super::words::Word;
use crate::model::{Route, Rule};
use crate::name::Family;

/// `RTN_*` of linux/rtnetlink.h.
const KINDS: [(&str, u8); 10] = [
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
    ("throw", 9),
    ("nat", 10),
];

/// Tables of routes that have a name without a file.
const TABLES: [(&str, u32); 3] = [("default", 253), ("main", 254), ("local", 255)];

/// The words that have fields of their own, for hints.
const WORDS: [&str; 20] = [
    "src",
    "to",
    "via",
    "from",
    "dev",
    "oif",
    "iif",
    "table",
    "lookup",
    "metric",
    "priority",
    "preference",
    "scope",
    "onlink",
    "nexthop",
    "fwmark",
    "not",
    "no_track",
    "track_group",
    "default",
];

/// What follows an option that has no field of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    Word,
    /// A number, which `lock` may precede.
    Number,
}

const ROUTE_OPTIONS: &[(&str, Follows)] = &[
    ("tos", Follows::Word),
    ("dsfield", Follows::Word),
    ("protocol", Follows::Word),
    ("proto", Follows::Word),
    ("expires", Follows::Number),
    ("mtu", Follows::Number),
    ("hoplimit", Follows::Number),
    ("advmss", Follows::Number),
    ("rtt", Follows::Word),
    ("rttvar", Follows::Word),
    ("reordering", Follows::Number),
    ("window", Follows::Number),
    ("cwnd", Follows::Number),
    ("ssthresh", Follows::Number),
    ("realms", Follows::Word),
    ("rto_min", Follows::Word),
    ("initcwnd", Follows::Number),
    ("initrwnd", Follows::Number),
    ("features", Follows::Word),
    ("quickack", Follows::Number),
    ("congctl", Follows::Word),
    ("pref", Follows::Word),
    ("ttl-propagate", Follows::Word),
    ("fastopen_no_cookie", Follows::Number),
    ("vrf", Follows::Word),
    ("as", Follows::Word),
    ("weight", Follows::Number),
    ("add", Follows::Nothing),
    ("prepend", Follows::Nothing),
    ("append", Follows::Nothing),
];

const RULE_OPTIONS: &[(&str, Follows)] = &[
    ("tos", Follows::Word),
    ("dsfield", Follows::Word),
    ("realms", Follows::Word),
    ("suppress_prefixlength", Follows::Number),
    ("suppress_ifgroup", Follows::Word),
    ("tunnel-id", Follows::Number),
    ("uidrange", Follows::Word),
    ("l3mdev", Follows::Nothing),
    ("protocol", Follows::Word),
    ("ipproto", Follows::Word),
    ("ip_proto", Follows::Word),
    ("sport", Follows::Word),
    ("dport", Follows::Word),
    ("goto", Follows::Number),
    ("type", Follows::Word),
    ("nop", Follows::Nothing),
    ("blackhole", Follows::Nothing),
    ("unreachable", Follows::Nothing),
    ("prohibit", Follows::Nothing),
];

pub(super) fn routes(blocks: &[Block<'_>], context: &mut Context) -> Vec<Route> {
    blocks
        .iter()
        .filter_map(|block| route(block, context))
        .collect()
}

pub(super) fn rules(blocks: &[Block<'_>], context: &mut Context) -> Vec<Rule> {
    blocks
        .iter()
        .filter_map(|block| rule(block, context))
        .collect()
}

fn words(block: &Block<'_>) -> Vec<String> {
    block.words.iter().map(|w| w.text.to_owned()).collect()
}

/// A route, unless its line is wrong: half a route would lead packets astray.
fn route(block: &Block<'_>, context: &mut Context) -> Option<Route> {
    let before = context.diags.errors();
    let mut route = Route {
        words: words(block),
        tracked: true,
        ..Route::default()
    };
    let mut a = Args::line(block, context);
    let (mut placed, mut several) = (false, false);
    while let Some(word) = a.word() {
        match word.text {
            "inet" => route.family = Some(Family::V4),
            "inet6" => route.family = Some(Family::V6),
            "src" => route.source = address(&mut a, &mut route.family),
            "from" => {
                route.more = true;
                prefix(&mut a, &mut route.family);
            }
            // What follows belongs to one of several ways, which the words tell.
            "nexthop" => (several, route.more) = (true, true),
            "via" if several => {
                address(&mut a, &mut route.family);
            }
            "dev" if several => {
                a.interface();
            }
            "onlink" if several => {}
            "gw" => {
                a.context
                    .diags
                    .warn(word.at, "'gw' is deprecated")
                    .hint("write 'via'");
                route.gateway = address(&mut a, &mut route.family);
            }
            "via" => {
                if !a.flag("inet") {
                    a.flag("inet6");
                }
                route.gateway = address(&mut a, &mut route.family);
            }
            "or" => route.second_gateway = address(&mut a, &mut route.family),
            "dev" | "oif" => route.dev = a.interface(),
            "table" => route.table = table(&mut a),
            "metric" | "priority" | "preference" => {
                route.metric = a.number(0..=i64::from(u32::MAX))
            }
            "scope" => route.scope = scope(&mut a),
            "onlink" => route.onlink = true,
            "no_track" => route.tracked = false,
            "track_group" => route.group = a.text("a track_group"),
            // Labels and headers of another protocol: as many words as it likes.
            "encap" => {
                route.more = true;
                a.skip();
            }
            "to" => {
                placed = true;
                destination(&mut a, &mut route);
            }
            text => {
                if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == text) {
                    route.kind = Some(*kind);
                } else if option(&mut a, text, ROUTE_OPTIONS) {
                    route.more = true;
                } else if !placed
                    && (text == "default"
                        || text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':'))
                {
                    placed = true;
                    target(&mut a, word, &mut route);
                } else {
                    unknown(&mut a, word, "route", ROUTE_OPTIONS);
                }
            }
        }
    }
    if !placed {
        a.context
            .diags
            .error(block.at(), "the route has no destination")
            .hint("write a network, or 'default'");
    }
    whole(block, before, context, "route").then_some(route)
}

fn rule(block: &Block<'_>, context: &mut Context) -> Option<Rule> {
    let before = context.diags.errors();
    let mut rule = Rule {
        words: words(block),
        tracked: true,
        ..Rule::default()
    };
    let mut a = Args::line(block, context);
    while let Some(word) = a.word() {
        match word.text {
            "inet" => rule.family = Some(Family::V4),
            "inet6" => rule.family = Some(Family::V6),
            "not" => rule.inverted = true,
            "from" => rule.from = prefix(&mut a, &mut rule.family),
            "to" => rule.to = prefix(&mut a, &mut rule.family),
            "table" | "lookup" => rule.table = table(&mut a),
            "preference" | "order" | "priority" => {
                rule.priority = a.number(0..=i64::from(u32::MAX))
            }
            "fwmark" => rule.mark = mark(&mut a),
            "iif" | "dev" => rule.input = a.interface(),
            "oif" => rule.output = a.interface(),
            "no_track" => rule.tracked = false,
            "track_group" => rule.group = a.text("a track_group"),
            text if option(&mut a, text, RULE_OPTIONS) => rule.more = true,
            _ => unknown(&mut a, word, "rule", RULE_OPTIONS),
        }
    }
    if rule.priority.is_none() {
        a.context
            .diags
            .warn(block.at(), "the rule has no preference")
            .hint("the kernel chooses one, which is rarely what is meant");
    }
    whole(block, before, context, "rule").then_some(rule)
}

fn whole(block: &Block<'_>, before: usize, context: &mut Context, what: &str) -> bool {
    let whole = context.diags.errors() == before;
    if !whole {
        context
            .diags
            .warn(block.at(), format!("the {what} is left out"));
    }
    whole
}

/// A word that is none ends the line: what follows may belong to it.
fn unknown(
    a: &mut Args<'_, '_, '_>,
    word: Word<'_>,
    what: &str,
    options: &[(&'static str, Follows)],
) {
    let names = options.iter().map(|(name, _)| *name).chain(WORDS);
    let near = super::keys::nearest(word.text, names);
    let diag = a.error(word, format!("unknown word '{}' of a {what}", word.text));
    diag.hint = near.map(|(name, _)| format!("did you mean '{name}'?"));
    a.skip();
}

/// Takes an option and what follows it, if it is one.
fn option(a: &mut Args<'_, '_, '_>, name: &str, options: &[(&str, Follows)]) -> bool {
    let Some((_, follows)) = options.iter().find(|(option, _)| *option == name) else {
        return false;
    };
    match follows {
        Follows::Nothing => {}
        Follows::Word => {
            a.need("a value");
            // A time in rtt and its kin may stand apart from its lock.
            if name.starts_with("rt") && a.peek().is_some_and(|w| integer(w.text).is_some()) {
                a.word();
            }
        }
        Follows::Number => {
            a.flag("lock");
            a.number::<u32>(0..=i64::from(u32::MAX));
        }
    }
    true
}

/// Where the family is known by an address already, others must be of the same.
fn agree(a: &mut Args<'_, '_, '_>, word: Word<'_>, ip: IpAddr, family: &mut Option<Family>) {
    match family {
        Some(known) if *known != Family::of(ip) => {
            let what = format!("{ip} is not {known} as the rest of the line is");
            a.error(word, what);
        }
        _ => *family = Some(Family::of(ip)),
    }
}

fn address(a: &mut Args<'_, '_, '_>, family: &mut Option<Family>) -> Option<IpAddr> {
    let word = a.need("an address")?;
    let ip = a.parsed(word, "an address")?;
    agree(a, word, ip, family);
    Some(ip)
}

fn prefix(a: &mut Args<'_, '_, '_>, family: &mut Option<Family>) -> Option<(IpAddr, u8)> {
    let word = a.need("a network")?;
    if matches!(word.text, "all" | "any" | "default") {
        return None;
    }
    let (ip, length) = a.prefix_of(word)?;
    agree(a, word, ip, family);
    Some((ip, length))
}

fn destination(a: &mut Args<'_, '_, '_>, route: &mut Route) {
    let Some(word) = a.need("a network") else {
        return;
    };
    match KINDS.iter().find(|(name, _)| *name == word.text) {
        Some((_, kind)) => {
            route.kind = Some(*kind);
            destination(a, route);
        }
        None => target(a, word, route),
    }
}

fn target(a: &mut Args<'_, '_, '_>, word: Word<'_>, route: &mut Route) {
    if matches!(word.text, "default" | "all" | "any") {
        return;
    }
    if let Some((ip, length)) = a.prefix_of(word) {
        agree(a, word, ip, &mut route.family);
        route.destination = (length > 0).then_some((ip, length));
    }
}

fn scope(a: &mut Args<'_, '_, '_>) -> Option<u8> {
    let word = a.need("a scope")?;
    match SCOPES.iter().find(|(name, _)| *name == word.text) {
        Some((_, scope)) => Some(*scope),
        None => a.number_of(word, 0..=255),
    }
}

/// A number, or a name of iproute2's `rt_tables`.
fn table(a: &mut Args<'_, '_, '_>) -> Option<u32> {
    let word = a.need("a table")?;
    if integer(word.text).is_some() {
        return a.number_of(word, 0..=i64::from(u32::MAX));
    }
    let known = TABLES
        .iter()
        .find(|(name, _)| *name == word.text)
        .map(|(_, id)| *id);
    let found = known.or_else(|| named_table(word.text));
    if found.is_none() {
        a.error(word, format!("there is no table '{}'", word.text))
            .hint("its number does as well");
    }
    found
}

fn named_table(name: &str) -> Option<u32> {
    ["/etc/iproute2/rt_tables", "/usr/share/iproute2/rt_tables"]
        .iter()
        .find_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            text.lines().find_map(|line| {
                let (id, text) = line.trim().split_once(|c: char| c.is_ascii_whitespace())?;
                (text.trim() == name)
                    .then(|| integer(id))
                    .flatten()
                    .and_then(|id| u32::try_from(id).ok())
            })
        })
}

/// `N[/mask]`.
fn mark(a: &mut Args<'_, '_, '_>) -> Option<(u32, u32)> {
    let word = a.need("a mark")?;
    let (mark, mask) = word
        .text
        .split_once('/')
        .unwrap_or((word.text, "0xffffffff"));
    let number = |text| integer(text).and_then(|n| u32::try_from(n).ok());
    let found = number(mark).zip(number(mask));
    if found.is_none() {
        a.error(word, format!("'{}' is no mark", word.text))
            .hint("expected a number, or number/mask");
    }
    found
}
