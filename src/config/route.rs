//! Lines of `virtual_routes`, `virtual_rules`, `static_routes` and `static_rules`, which are those of `ip route` and
//! `ip rule`.

use core::net::IpAddr;

use super::address::SCOPES;
use super::encapsulation;
use super::keys::Context;
use super::tree::Block;
use super::value::{Args, integer};
use super::words::Word;
use crate::model::route::{GO_TO, KEEPALIVED, LOOK_UP};
use crate::model::{Hop, Route, Rule};
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

/// `RTPROT_*` of linux/rtnetlink.h.
const PROTOCOLS: [(&str, u8); 14] = [
    ("redirect", 1),
    ("kernel", 2),
    ("boot", 3),
    ("static", 4),
    ("ra", 9),
    ("zebra", 11),
    ("bird", 12),
    ("dhcp", 16),
    ("keepalived", KEEPALIVED),
    ("babel", 42),
    ("bgp", 186),
    ("isis", 187),
    ("ospf", 188),
    ("rip", 189),
];

/// Protocols above IP by name.
const IP_PROTOCOLS: [(&str, u8); 9] = [
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("sctp", 132),
];

/// `RTAX_*` of linux/rtnetlink.h, in the unit of the kernel.
const METRICS: [(&str, u16); 11] = [
    ("mtu", 2),
    ("window", 3),
    ("ssthresh", 6),
    ("cwnd", 7),
    ("advmss", 8),
    ("reordering", 9),
    ("hoplimit", 10),
    ("initcwnd", 11),
    ("initrwnd", 14),
    ("quickack", 15),
    ("fastopen_no_cookie", 17),
];

/// The same for times: into how many parts the kernel divides a millisecond.
const TIMES: [(&str, u16, u32); 3] = [("rtt", 4, 8), ("rttvar", 5, 4), ("rto_min", 13, 1)];
const FEATURES: u16 = 12;

/// `pref` of a router, with the numbers of RFC 4191.
const PREFERENCES: [(&str, u8); 3] = [("low", 3), ("medium", 0), ("high", 1)];

/// `FR_ACT_*` of linux/fib_rules.h that need nothing else.
const ACTIONS: [(&str, u8); 4] = [
    ("nop", 3),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
];

/// The other words of a route, and those of a rule, for hints.
const ROUTE_WORDS: [&str; 32] = [
    "inet",
    "inet6",
    "src",
    "to",
    "via",
    "gw",
    "or",
    "from",
    "dev",
    "oif",
    "table",
    "metric",
    "priority",
    "preference",
    "scope",
    "onlink",
    "nexthop",
    "weight",
    "tos",
    "dsfield",
    "protocol",
    "proto",
    "realms",
    "expires",
    "features",
    "congctl",
    "pref",
    "no_track",
    "track_group",
    "default",
    "encap",
    "vrf",
];
const RULE_WORDS: [&str; 30] = [
    "inet",
    "inet6",
    "not",
    "from",
    "to",
    "table",
    "lookup",
    "preference",
    "order",
    "priority",
    "fwmark",
    "iif",
    "dev",
    "oif",
    "tos",
    "dsfield",
    "realms",
    "suppress_prefixlength",
    "suppress_ifgroup",
    "tunnel-id",
    "uidrange",
    "l3mdev",
    "protocol",
    "ipproto",
    "sport",
    "dport",
    "goto",
    "type",
    "no_track",
    "track_group",
];

/// Static ones may name a `track_group`.
pub(super) fn routes(blocks: &[Block<'_>], statics: bool, context: &mut Context) -> Vec<Route> {
    blocks
        .iter()
        .filter_map(|block| route(block, statics, context))
        .collect()
}

/// The same for rules.
pub(super) fn rules(blocks: &[Block<'_>], statics: bool, context: &mut Context) -> Vec<Rule> {
    blocks
        .iter()
        .filter_map(|block| rule(block, statics, context))
        .collect()
}

fn words(block: &Block<'_>) -> Vec<String> {
    block.words.iter().map(|w| w.text.to_owned()).collect()
}

/// A route, unless its line is wrong: half a route would lead packets astray.
fn route(block: &Block<'_>, statics: bool, context: &mut Context) -> Option<Route> {
    let before = context.diags.errors();
    let mut route = Route {
        words: words(block),
        tracked: true,
        ..Route::default()
    };
    let mut a = Args::line(block, context);
    // The way of `via` and `dev`, what `or` adds to it, and whether the line has come to its `nexthop`s.
    let (mut way, mut second) = (Hop::default(), None);
    let (mut placed, mut several) = (false, false);
    while let Some(word) = a.word() {
        let hop = match route.hops.last_mut().filter(|_| several) {
            Some(hop) => hop,
            None => &mut way,
        };
        match word.text {
            "inet" => route.family = Some(Family::V4),
            "inet6" => route.family = Some(Family::V6),
            "src" => route.source = address(&mut a, &mut route.family),
            "from" => route.from = prefix(&mut a, &mut route.family),
            "nexthop" => {
                several = true;
                route.hops.push(Hop::default());
            }
            "gw" => {
                a.context
                    .diags
                    .warn(word.at, "'gw' is deprecated")
                    .hint("write 'via'");
                hop.gateway = address(&mut a, &mut route.family);
            }
            "via" => hop.gateway = gateway(&mut a, &mut route.family),
            "or" => second = address(&mut a, &mut route.family),
            "dev" | "oif" => hop.dev = a.interface(),
            "onlink" => hop.onlink = true,
            "weight" if several => hop.weight = a.number(1..=256).unwrap_or_default(),
            "realms" if several => hop.realms = realms(&mut a),
            "realms" => route.realms = realms(&mut a),
            "table" => route.table = table(&mut a),
            "metric" | "priority" | "preference" => {
                route.metric = a.number(0..=i64::from(u32::MAX))
            }
            "scope" => route.scope = named(&mut a, "a scope", &SCOPES, Some("rt_scopes")),
            "tos" | "dsfield" => route.tos = service(&mut a),
            "protocol" | "proto" => {
                route.protocol = named(&mut a, "a protocol", &PROTOCOLS, Some("rt_protos"))
            }
            "expires" => route.expires = a.number(0..=i64::from(u32::MAX)),
            "features" => {
                if a.choice("feature", &[("ecn", ())]).is_some() {
                    route.metrics.push((FEATURES, 1));
                }
            }
            "congctl" => {
                lock(&mut a, &mut route, 16);
                route.congestion = a.text("an algorithm");
            }
            "pref" => route.preference = a.choice("preference", &PREFERENCES),
            "append" => route.append = true,
            // Where the kernel puts a route that nothing is said about.
            "add" | "prepend" => {}
            "no_track" => route.tracked = false,
            "track_group" if statics => route.group = a.track_group(),
            "track_group" => not_tracked_by_others(&mut a, word, "route"),
            "to" => {
                placed = true;
                destination(&mut a, &mut route);
            }
            "encap" => hop.encapsulation = encapsulation::read(&mut a),
            "vrf" => route.vrf = a.interface(),
            "ttl-propagate" => {
                a.choice("setting", &[("enabled", ()), ("disabled", ())]);
                of_labels(&mut a, word);
            }
            "as" => {
                a.flag("to");
                a.word();
                of_labels(&mut a, word);
            }
            text => {
                if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == text) {
                    route.kind = Some(*kind);
                } else if metric(&mut a, text, &mut route) {
                } else if !placed
                    && (text == "default"
                        || text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':'))
                {
                    placed = true;
                    target(&mut a, word, &mut route);
                } else {
                    let metrics = METRICS.iter().map(|(name, _)| *name);
                    unknown(&mut a, word, "route", metrics.chain(ROUTE_WORDS));
                }
            }
        }
    }
    if !several {
        route.hops = ways(way, second);
    }
    route.metrics.sort_unstable();
    route.metrics.dedup_by_key(|(kind, _)| *kind);
    if route.tracked
        && route
            .protocol
            .is_some_and(|protocol| protocol != KEEPALIVED)
    {
        a.context
            .diags
            .warn(block.at(), "the protocol of the route is keepalived's")
            .hint("with no_track, which leaves it alone once it is there, it can be another one");
        route.protocol = None;
    }
    if !placed {
        a.context
            .diags
            .error(block.at(), "the route has no destination")
            .hint("write a network, or 'default'");
    }
    whole(block, before, context, "route").then_some(route)
}

/// What `via`, `dev` and `or` make together.
fn ways(way: Hop, second: Option<IpAddr>) -> Vec<Hop> {
    let second = second.map(|gateway| Hop {
        gateway: Some(gateway),
        ..way.clone()
    });
    let first = (way.gateway.is_some() || way.dev.is_some()).then_some(way);
    first.into_iter().chain(second).collect()
}

/// Takes a metric and its value, if it is one.
fn metric(a: &mut Args<'_, '_, '_>, name: &str, route: &mut Route) -> bool {
    if let Some((_, kind)) = METRICS.iter().find(|(metric, _)| *metric == name) {
        lock(a, route, *kind);
        let value = a.number(0..=i64::from(u32::MAX));
        route.metrics.extend(value.map(|value| (*kind, value)));
    } else if let Some((_, kind, parts)) = TIMES.iter().find(|(metric, ..)| *metric == name) {
        lock(a, route, *kind);
        let value = milliseconds(a, *parts);
        route.metrics.extend(value.map(|value| (*kind, value)));
    } else {
        return false;
    }
    true
}

fn lock(a: &mut Args<'_, '_, '_>, route: &mut Route, kind: u16) {
    if a.flag("lock") {
        route.locked |= 1 << kind;
    }
}

/// A time with its unit, which is milliseconds unless given, in parts of a millisecond.
fn milliseconds(a: &mut Args<'_, '_, '_>, parts: u32) -> Option<u32> {
    let word = a.need("a time in milliseconds")?;
    let text = word.text;
    let (number, factor) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => (text, 1),
    };
    let value = integer(number)
        .and_then(|value| u32::try_from(value).ok())
        .and_then(|value| value.checked_mul(factor)?.checked_mul(parts));
    if value.is_none() {
        a.error(word, format!("'{text}' is not a time in milliseconds"));
    }
    value
}

/// The gateway, which may be of the other family if that is said.
fn gateway(a: &mut Args<'_, '_, '_>, family: &mut Option<Family>) -> Option<IpAddr> {
    if a.flag("inet") {
        family.get_or_insert(Family::V4);
        return a.address4().map(IpAddr::V4);
    }
    if a.flag("inet6") {
        family.get_or_insert(Family::V6);
        return a.address6().map(IpAddr::V6);
    }
    address(a, family)
}

fn rule(block: &Block<'_>, statics: bool, context: &mut Context) -> Option<Rule> {
    let before = context.diags.errors();
    let mut rule = Rule {
        words: words(block),
        action: LOOK_UP,
        tracked: true,
        ..Rule::default()
    };
    let mut a = Args::line(block, context);
    let mut priority = None;
    while let Some(word) = a.word() {
        match word.text {
            "inet" => rule.family = Some(Family::V4),
            "inet6" => rule.family = Some(Family::V6),
            "not" => rule.inverted = true,
            "from" => rule.from = prefix(&mut a, &mut rule.family),
            "to" => rule.to = prefix(&mut a, &mut rule.family),
            "table" | "lookup" => rule.table = table(&mut a),
            "preference" | "order" | "priority" => priority = a.number(0..=i64::from(u32::MAX)),
            "fwmark" => rule.mark = mark(&mut a),
            "iif" | "dev" => rule.input = a.interface(),
            "oif" => rule.output = a.interface(),
            "tos" | "dsfield" => rule.tos = service(&mut a),
            "realms" => rule.realms = realms(&mut a),
            "suppress_prefixlength" => rule.suppress_prefix = a.number(0..=128),
            "suppress_ifgroup" => rule.suppress_group = group(&mut a),
            "tunnel-id" => rule.tunnel = a.number(0..=i64::MAX),
            "uidrange" => rule.users = range(&mut a, "users"),
            "l3mdev" => rule.l3mdev = true,
            "protocol" => {
                rule.protocol = named(&mut a, "a protocol", &PROTOCOLS, Some("rt_protos"))
            }
            "ipproto" | "ip_proto" => {
                rule.ip_protocol = named(&mut a, "a protocol above IP", &IP_PROTOCOLS, None)
            }
            "sport" => rule.source_ports = range(&mut a, "ports"),
            "dport" => rule.destination_ports = range(&mut a, "ports"),
            "goto" => {
                rule.action = GO_TO;
                rule.target = a.number(0..=i64::from(u32::MAX));
            }
            "type" => rule.action = a.choice("action", &ACTIONS).unwrap_or_default(),
            "no_track" => rule.tracked = false,
            "track_group" if statics => rule.group = a.track_group(),
            "track_group" => not_tracked_by_others(&mut a, word, "rule"),
            text => match ACTIONS.iter().find(|(name, _)| *name == text) {
                Some((_, action)) => rule.action = *action,
                None => {
                    let actions = ACTIONS.iter().map(|(name, _)| *name);
                    unknown(&mut a, word, "rule", actions.chain(RULE_WORDS));
                }
            },
        }
    }
    if rule.tracked && rule.protocol.is_some_and(|protocol| protocol != KEEPALIVED) {
        a.context
            .diags
            .warn(block.at(), "the protocol of the rule is keepalived's")
            .hint("with no_track, which leaves it alone once it is there, it can be another one");
        rule.protocol = None;
    }
    rule.priority = priority.unwrap_or_else(|| {
        let chosen = a.context.next_preference();
        a.context
            .diags
            .warn(
                block.at(),
                format!("the rule has no preference: it gets {chosen}"),
            )
            .hint("give it one: their order is rarely what is meant");
        rule.words
            .extend(["preference".to_owned(), chosen.to_string()]);
        chosen
    });
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

/// What the kernel obeys for routes of MPLS, which have no place here.
fn of_labels(a: &mut Args<'_, '_, '_>, word: Word<'_>) {
    let what = format!("'{}' has no effect on a route of IP", word.text);
    a.context
        .diags
        .warn(word.at, what)
        .hint("the kernel obeys it for routes of MPLS only");
}

fn not_tracked_by_others(a: &mut Args<'_, '_, '_>, word: Word<'_>, what: &str) {
    a.error(word, format!("a {what} of an instance has no track_group"))
        .hint(format!("only a static {what} has one"));
    a.skip();
}

/// A word that is none ends the line: what follows may belong to it.
fn unknown(
    a: &mut Args<'_, '_, '_>,
    word: Word<'_>,
    what: &str,
    names: impl Iterator<Item = &'static str>,
) {
    let near = super::keys::nearest(word.text, names);
    let diag = a.error(word, format!("unknown word '{}' of a {what}", word.text));
    diag.hint = near.map(|(name, _)| format!("did you mean '{name}'?"));
    a.skip();
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

/// A name that everybody knows, or that a file of iproute2 defines, or a number of one byte.
fn named(
    a: &mut Args<'_, '_, '_>,
    what: &str,
    names: &[(&str, u8)],
    file: Option<&str>,
) -> Option<u8> {
    let word = a.need(what)?;
    let known = names.iter().find(|(name, _)| *name == word.text);
    if let Some((_, number)) = known {
        return Some(*number);
    }
    let defined = file.and_then(|file| a.context.names.number(file, word.text));
    match defined.map(u8::try_from) {
        Some(Ok(number)) => Some(number),
        _ => a.number_of(word, 0..=255),
    }
}

/// A group of interfaces.
fn group(a: &mut Args<'_, '_, '_>) -> Option<u32> {
    let word = a.need("a group")?;
    let defined = a.context.names.number("group", word.text);
    defined.or_else(|| a.number_of(word, 0..=i64::from(i32::MAX)))
}

/// A type of service.
pub(super) fn service(a: &mut Args<'_, '_, '_>) -> u8 {
    named(a, "a type of service", &[], Some("rt_dsfield")).unwrap_or_default()
}

/// `to` or `from/to`, as numbers or names.
fn realms(a: &mut Args<'_, '_, '_>) -> Option<u32> {
    let word = a.need("a realm")?;
    let (from, to) = word.text.split_once('/').unwrap_or(("0", word.text));
    let names = &a.context.names;
    let number = |text| match integer(text) {
        Some(number) => u16::try_from(number).ok(),
        None => u16::try_from(names.number("rt_realms", text)?).ok(),
    };
    let found = number(from).zip(number(to));
    if found.is_none() {
        a.error(word, format!("'{}' is no realm", word.text))
            .hint("expected a number up to 65535, or two with '/' between");
    }
    found.map(|(from, to)| u32::from(from) << 16 | u32::from(to))
}

/// `first-last`, or one number for both.
fn range<T: TryFrom<i64> + PartialOrd>(a: &mut Args<'_, '_, '_>, what: &str) -> Option<(T, T)> {
    let word = a.need(what)?;
    let (first, last) = word.text.split_once('-').unwrap_or((word.text, word.text));
    let number = |text| integer(text).and_then(|n| T::try_from(n).ok());
    let found = number(first)
        .zip(number(last))
        .filter(|(first, last)| first <= last);
    if found.is_none() {
        a.error(word, format!("'{}' is no range of {what}", word.text))
            .hint("expected first-last");
    }
    found
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
    let found = known.or_else(|| a.context.names.number("rt_tables", word.text));
    if found.is_none() {
        a.error(word, format!("there is no table '{}'", word.text))
            .hint("its number does as well");
    }
    found
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
