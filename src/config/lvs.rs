//! `virtual_server_group`, `virtual_server`, `real_server`, `SSL`, and `lvs_sync_daemon`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::checks::{self, CheckerDraft, Kind, PaceDraft};
use super::diag::Span;
use super::keys::Shape::{Any, Block as Braces, Named, Value};
use super::keys::Status::{Ignored, Obeyed};
use super::keys::{Context, Feature, Key, Table, key, of};
use super::tree::Block;
use super::value::{Args, integer, mask};
use super::vrrp::At;
use super::words::Word;
use crate::model::Command;
use crate::model::lvs::{
    Entry, Forwarding, Group, Protocol, Service, SyncDaemon, Tls, Tunnel, TunnelChecksum,
};
use crate::name::Family;

const MOST: i64 = i32::MAX as i64;

/// Addresses of one line of a group.
const LONGEST: u128 = 65_536;

/// Schedulers of the kernel.
const SCHEDULERS: [(&str, &str); 14] = [
    ("rr", "rr"),
    ("wrr", "wrr"),
    ("lc", "lc"),
    ("wlc", "wlc"),
    ("lblc", "lblc"),
    ("lblcr", "lblcr"),
    ("sh", "sh"),
    ("mh", "mh"),
    ("dh", "dh"),
    ("fo", "fo"),
    ("ovf", "ovf"),
    ("sed", "sed"),
    ("nq", "nq"),
    ("twos", "twos"),
];

/// `IP_VS_SVC_F_*` of linux/ip_vs.h by keyword; the first name of a bit is the one that is dumped.
pub(super) const FLAGS: [(&str, u32); 9] = [
    ("hashed", 0x02),
    ("ops", 0x04),
    ("flag-1", 0x08),
    ("flag-2", 0x10),
    ("flag-3", 0x20),
    ("sh-fallback", 0x08),
    ("sh-port", 0x10),
    ("mh-fallback", 0x08),
    ("mh-port", 0x10),
];

/// `virtual_server` while it is read.
#[derive(Default)]
pub(super) struct VirtualDraft {
    pub(super) at: Span,
    pub(super) service: Option<Service>,
    pub(super) protocol: Option<At<Protocol>>,
    pub(super) family: Option<Family>,
    pub(super) scheduler: Option<&'static str>,
    pub(super) flags: u32,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) timeout: Option<Duration>,
    pub(super) granularity: Option<u8>,
    pub(super) sip: bool,
    pub(super) sorry: Option<(IpAddr, u16)>,
    pub(super) sorry_inhibit: bool,
    pub(super) sorry_forwarding: Option<Forwarding>,
    pub(super) quorum: Option<At<u32>>,
    pub(super) hysteresis: Option<At<u32>>,
    pub(super) quorum_up: Option<Box<Command>>,
    pub(super) quorum_down: Option<Box<Command>>,
    pub(super) omega: bool,
    pub(super) ha_suspend: bool,
    pub(super) mail: Option<bool>,
    pub(super) host: Option<String>,
    pub(super) inhibit: bool,
    pub(super) weight: Option<u32>,
    pub(super) pace: PaceDraft,
    pub(super) real: Vec<RealDraft>,
}

/// `real_server` while it is read.
pub(super) struct RealDraft {
    pub(super) at: Span,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) weight: Option<u32>,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) inhibit: Option<bool>,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) notify_up: Option<Box<Command>>,
    pub(super) notify_down: Option<Box<Command>>,
    pub(super) mail: Option<bool>,
    pub(super) host: Option<String>,
    pub(super) pace: PaceDraft,
    pub(super) checkers: Vec<CheckerDraft>,
}

pub(super) const VIRTUAL: Table<VirtualDraft> = Table {
    block: "virtual_server",
    keys: &[SERVICE, FLAG_ROWS, POOL],
};

type Rows = &'static [Key<VirtualDraft>];

const SERVICE: Rows = &[
    key("lb_algo", Value, Obeyed, |d, a| {
        d.scheduler = a.choice("scheduler", &SCHEDULERS)
    }),
    key("lvs_sched", Value, Obeyed, |d, a| {
        d.scheduler = a.choice("scheduler", &SCHEDULERS)
    }),
    key("lb_kind", Value, Obeyed, |d, a| {
        d.forwarding = forwarding(a)
    }),
    key("lvs_method", Value, Obeyed, |d, a| {
        d.forwarding = forwarding(a)
    }),
    key("persistence_timeout", Any, Obeyed, |d, a| {
        d.timeout = persistence(a)
    }),
    key("persistence_granularity", Value, Obeyed, |d, a| {
        d.granularity = granularity(a)
    }),
    key("persistence_engine", Value, Obeyed, |d, a| {
        d.sip = a
            .choice("persistence engine", &[("sip", true)])
            .unwrap_or(false)
    }),
    key("protocol", Value, Obeyed, |d, a| {
        let kinds = [
            ("TCP", Protocol::Tcp),
            ("UDP", Protocol::Udp),
            ("SCTP", Protocol::Sctp),
        ];
        let value = a.choice("protocol", &kinds);
        d.protocol = At::new(value, a);
    }),
    key("ip_family", Value, Obeyed, |d, a| {
        d.family = a.choice("family", &[("inet", Family::V4), ("inet6", Family::V6)])
    }),
    key("sorry_server", Value, Obeyed, |d, a| {
        let ip = a.address();
        let port = if a.peek().is_some() {
            a.number(0..=65_535)
        } else {
            Some(0)
        };
        d.sorry = ip.zip(port);
    }),
    key("sorry_server_inhibit", Any, Obeyed, |d, a| {
        d.sorry_inhibit = a.switch().unwrap_or(false)
    }),
    key("sorry_server_lvs_method", Value, Obeyed, |d, a| {
        d.sorry_forwarding = forwarding(a)
    }),
];

const FLAG_ROWS: Rows = &[
    key("hashed", Any, Obeyed, flag),
    key("ops", Any, Obeyed, flag),
    key("flag-1", Any, Obeyed, flag),
    key("flag-2", Any, Obeyed, flag),
    key("flag-3", Any, Obeyed, flag),
    key("sh-port", Any, Obeyed, flag),
    key("sh-fallback", Any, Obeyed, flag),
    key("mh-port", Any, Obeyed, flag),
    key("mh-fallback", Any, Obeyed, flag),
];

const POOL: Rows = &[
    key("inhibit_on_failure", Any, Obeyed, |d, a| {
        d.inhibit = a.switch().unwrap_or(false)
    }),
    key("virtualhost", Value, Obeyed, |d, a| {
        d.host = a.text("a host name")
    }),
    key("smtp_alert", Any, Obeyed, |d, a| d.mail = a.alert()),
    key("alpha", Any, Obeyed, |d, a| d.pace.alpha = a.switch()),
    key("omega", Any, Obeyed, |d, a| {
        d.omega = a.switch().unwrap_or(false)
    }),
    key("quorum", Value, Obeyed, |d, a| {
        let value = a.number(1..=MOST);
        d.quorum = At::new(value, a);
    }),
    key("hysteresis", Value, Obeyed, |d, a| {
        let value = a.number(0..=MOST);
        d.hysteresis = At::new(value, a);
    }),
    key("quorum_up", Value, Obeyed, |d, a| {
        a.notify(&mut d.quorum_up)
    }),
    key("quorum_down", Value, Obeyed, |d, a| {
        a.notify(&mut d.quorum_down)
    }),
    key("ha_suspend", Any, Obeyed, |d, _| d.ha_suspend = true),
    key("weight", Value, Obeyed, |d, a| {
        d.weight = a.number(0..=MOST)
    }),
    key("delay_loop", Value, Obeyed, |d, a| {
        d.pace.interval = checks::period(a)
    }),
    key("retry", Value, Obeyed, |d, a| {
        d.pace.retry = a.number(0..=MOST)
    }),
    key("delay_before_retry", Value, Obeyed, |d, a| {
        d.pace.retry_delay = checks::period(a)
    }),
    key("warmup", Value, Obeyed, |d, a| {
        d.pace.warmup = checks::period(a)
    }),
    key("connect_timeout", Value, Obeyed, |d, a| {
        d.pace.timeout = checks::period(a)
    }),
    key(
        "snmp_name",
        Value,
        Ignored("this program has no SNMP agent"),
        |_, a| a.skip(),
    ),
    key("real_server", Named, Obeyed, |d, a| d.real.extend(real(a))),
];

pub(super) const REAL: Table<RealDraft> = Table {
    block: "real_server",
    keys: &[&[
        key("weight", Value, Obeyed, |d, a| {
            d.weight = a.number(0..=MOST)
        }),
        key("lvs_method", Value, Obeyed, |d, a| {
            d.forwarding = forwarding(a)
        }),
        key("inhibit_on_failure", Any, Obeyed, |d, a| {
            d.inhibit = a.switch()
        }),
        key("uthreshold", Value, Obeyed, |d, a| {
            d.upper = a.number(0..=MOST).unwrap_or(0)
        }),
        key("lthreshold", Value, Obeyed, |d, a| {
            d.lower = a.number(0..=MOST).unwrap_or(0)
        }),
        key("notify_up", Value, Obeyed, |d, a| {
            a.notify(&mut d.notify_up)
        }),
        key("notify_down", Value, Obeyed, |d, a| {
            a.notify(&mut d.notify_down)
        }),
        key("smtp_alert", Any, Obeyed, |d, a| d.mail = a.alert()),
        key("virtualhost", Value, Obeyed, |d, a| {
            d.host = a.text("a host name")
        }),
        key("alpha", Any, Obeyed, |d, a| d.pace.alpha = a.switch()),
        key("delay_loop", Value, Obeyed, |d, a| {
            d.pace.interval = checks::period(a)
        }),
        key("retry", Value, Obeyed, |d, a| {
            d.pace.retry = a.number(0..=MOST)
        }),
        key("delay_before_retry", Value, Obeyed, |d, a| {
            d.pace.retry_delay = checks::period(a)
        }),
        key("warmup", Value, Obeyed, |d, a| {
            d.pace.warmup = checks::period(a)
        }),
        key("connect_timeout", Value, Obeyed, |d, a| {
            d.pace.timeout = checks::period(a)
        }),
        key(
            "snmp_name",
            Value,
            Ignored("this program has no SNMP agent"),
            |_, a| a.skip(),
        ),
        of(
            Feature::TCP,
            key("TCP_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Tcp, a))
            }),
        ),
        of(
            Feature::HTTP,
            key("HTTP_GET", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Http, a))
            }),
        ),
        of(
            Feature::TLS,
            key("SSL_GET", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Https, a))
            }),
        ),
        of(
            Feature::SMTP,
            key("SMTP_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Smtp, a))
            }),
        ),
        of(
            Feature::DNS,
            key("DNS_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Dns, a))
            }),
        ),
        of(
            Feature::UDP,
            key("UDP_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Udp, a))
            }),
        ),
        of(
            Feature::PING,
            key("PING_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Ping, a))
            }),
        ),
        of(
            Feature::MISC,
            key("MISC_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::Misc, a))
            }),
        ),
        of(
            Feature::FILE,
            key("FILE_CHECK", Braces, Obeyed, |d, a| {
                d.checkers.extend(checks::read(Kind::File, a))
            }),
        ),
        key(
            "BFD_CHECK",
            Braces,
            Ignored("this program has no BFD process"),
            |d, a| d.checkers.extend(checks::read(Kind::Bfd, a)),
        ),
    ]],
};

const NO_AUTHORITIES: &str = "certificates of servers are not verified, by keepalived neither";
const NO_CERTIFICATE: &str =
    "SSL_GET shows no client certificate: a server that demands one fails its check";

pub(super) const TLS: Table<Tls> = Table {
    block: "SSL",
    keys: &[&[
        key("password", Value, Ignored(NO_CERTIFICATE), |d, a| {
            d.password = a.text("a password")
        }),
        key("ca", Value, Ignored(NO_AUTHORITIES), |d, a| {
            d.ca = a.text("a path")
        }),
        key("certificate", Value, Ignored(NO_CERTIFICATE), |d, a| {
            d.certificate = a.text("a path")
        }),
        key("key", Value, Ignored(NO_CERTIFICATE), |d, a| {
            d.key = a.text("a path")
        }),
    ]],
};

fn flag(draft: &mut VirtualDraft, a: &mut Args<'_, '_, '_>) {
    let name = a.block.keyword();
    draft.flags |= FLAGS
        .iter()
        .find(|(n, _)| *n == name)
        .map_or(0, |(_, bit)| *bit);
    let wanted = name
        .split_once('-')
        .map(|(scheduler, _)| scheduler)
        .filter(|s| *s != "flag");
    if let Some(wanted) = wanted.filter(|w| draft.scheduler != Some(*w)) {
        a.context.diags.warn(
            a.block.at(),
            format!("'{name}' has a meaning after 'lvs_sched {wanted}' only"),
        );
    }
}

/// `virtual_server address [port]`, `fwmark N` or `group name`.
pub(super) fn server(a: &mut Args<'_, '_, '_>) -> Option<VirtualDraft> {
    let first = a.need("an address")?;
    let service = match first.text {
        "fwmark" => a.number(1..=i64::from(u32::MAX)).map(Service::Mark),
        "group" => a.text("the name of a group").map(Service::Group),
        _ => a
            .parsed(first, "an address")
            .zip(port(a))
            .map(|(ip, port)| Service::Address(ip, port)),
    };
    let mut draft = VirtualDraft {
        at: first.at,
        service,
        ..VirtualDraft::default()
    };
    VIRTUAL.read(a.block.children(), &mut draft, a.context);
    if draft.service.is_none() {
        a.context
            .diags
            .warn(first.at, "the virtual server is left out");
    }
    draft.service.is_some().then_some(draft)
}

fn port(a: &mut Args<'_, '_, '_>) -> Option<u16> {
    if a.peek().is_some() {
        a.number(0..=65_535)
    } else {
        Some(0)
    }
}

fn real(a: &mut Args<'_, '_, '_>) -> Option<RealDraft> {
    let first = a.need("an address")?;
    let ip = a.parsed::<IpAddr>(first, "an address");
    let port = port(a);
    let mut draft = RealDraft {
        at: first.at,
        ip: ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port: port.unwrap_or(0),
        weight: None,
        forwarding: None,
        inhibit: None,
        upper: 0,
        lower: 0,
        notify_up: None,
        notify_down: None,
        mail: None,
        host: None,
        pace: PaceDraft::default(),
        checkers: Vec::new(),
    };
    REAL.read(a.block.children(), &mut draft, a.context);
    // Most servers have one, and a list begins with room for four: of thousands of servers that is megabytes.
    draft.checkers.shrink_to_fit();
    (ip.is_some() && port.is_some()).then_some(draft)
}

/// `NAT`, `DR`, or `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
fn forwarding(a: &mut Args<'_, '_, '_>) -> Option<Forwarding> {
    #[derive(Clone, Copy)]
    enum Method {
        Nat,
        Direct,
        Tunnel,
    }
    let methods = [
        ("NAT", Method::Nat),
        ("DR", Method::Direct),
        ("TUN", Method::Tunnel),
    ];
    match a.choice("forwarding method", &methods)? {
        Method::Nat => return Some(Forwarding::Nat),
        Method::Direct => return Some(Forwarding::Direct),
        Method::Tunnel => {}
    }
    let (mut tunnel, mut checksum) = (Tunnel::IpIp, TunnelChecksum::None);
    while let Some(word) = a.word() {
        match word.text {
            "type" => {
                let kinds = [
                    ("ipip", Tunnel::IpIp),
                    ("gue", Tunnel::Gue(0)),
                    ("gre", Tunnel::Gre),
                ];
                tunnel = a.choice("type of tunnel", &kinds).unwrap_or_default();
            }
            "port" => {
                let port = a.number(1..=65_535);
                match (&mut tunnel, port) {
                    (Tunnel::Gue(slot), Some(port)) => *slot = port,
                    (_, None) => {}
                    _ => {
                        a.error(word, "only a tunnel of type gue has a port");
                    }
                }
            }
            "nocsum" => checksum = TunnelChecksum::None,
            "csum" => checksum = TunnelChecksum::Full,
            "remcsum" => checksum = TunnelChecksum::Remote,
            _ => {
                a.error(word, format!("unknown option '{}' of a tunnel", word.text));
            }
        }
    }
    if tunnel == Tunnel::Gue(0) {
        a.context
            .diags
            .error(a.block.at(), "a tunnel of type gue needs a port")
            .hint("add 'port N'");
        return None;
    }
    Some(Forwarding::Tunnel(tunnel, checksum))
}

/// Six minutes unless a time is given; none at all for a zero, which is often written to say so.
fn persistence(a: &mut Args<'_, '_, '_>) -> Option<Duration> {
    let Some(word) = a.peek() else {
        return Some(Duration::from_secs(360));
    };
    if word.text == "0" {
        a.word();
        a.context
            .diags
            .warn(word.at, "persistence_timeout 0 is no persistence")
            .hint("remove the line");
        return None;
    }
    a.seconds(1..=MOST)
}

fn granularity(a: &mut Args<'_, '_, '_>) -> Option<u8> {
    let word = a.need("a mask")?;
    match mask(word.text).filter(|m| *m > 0) {
        Some(length) => Some(length),
        None => a.number_of(word, 1..=128),
    }
}

/// The lines of a `virtual_server_group`.
pub(super) fn group(a: &mut Args<'_, '_, '_>) -> Option<Group> {
    let name = a.text("a name")?;
    let entries = a
        .block
        .children()
        .iter()
        .filter_map(|block| entry(block, a.context))
        .collect();
    Some(Group { name, entries })
}

fn entry(block: &Block<'_>, context: &mut Context) -> Option<Entry> {
    let mut a = Args::line(block, context);
    let first = a.word()?;
    let entry = if first.text == "fwmark" {
        let mark = a.number(1..=i64::from(u32::MAX));
        let family = if a.flag("inet") {
            Some(Family::V4)
        } else {
            a.flag("inet6").then_some(Family::V6)
        };
        mark.map(|mark| Entry::Mark(mark, family))
    } else {
        let range = range(&mut a, first);
        let port = port(&mut a);
        range
            .zip(port)
            .map(|((first, last), port)| Entry::Addresses { first, last, port })
    };
    a.finish();
    entry
}

/// One address, `a-b` where `b` is an address or the last part of one, or a network.
fn range(a: &mut Args<'_, '_, '_>, word: Word<'_>) -> Option<(IpAddr, IpAddr)> {
    let range = if let Some((low, high)) = word.text.split_once('-') {
        low.parse()
            .ok()
            .and_then(|low| Some((low, last(low, high)?)))
    } else if word.text.contains('/') {
        let (ip, length) = a.prefix_of(word)?;
        let (network, end) = network(ip, length);
        if network != ip {
            a.error(
                word,
                format!("{ip} is not the first address of a /{length}"),
            )
            .hint(format!("did you mean {network}/{length}?"));
            return None;
        }
        Some((ip, end))
    } else {
        word.text.parse().ok().map(|ip| (ip, ip))
    };
    match range {
        Some((low, high)) if low > high => {
            a.error(word, "the range ends before it begins");
            None
        }
        Some((low, high)) if count(low, high) > LONGEST => {
            a.error(word, format!("more than {LONGEST} addresses"))
                .hint("each is a virtual server of the kernel's; mark their packets with nft instead, and use 'fwmark N'");
            None
        }
        None => {
            a.error(
                word,
                format!("'{}' is neither an address nor a range of them", word.text),
            );
            None
        }
        range => range,
    }
}

/// How many addresses there are from the first to the last, both of one family.
const fn count(first: IpAddr, last: IpAddr) -> u128 {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (last.to_bits() - first.to_bits()) as u128 + 1,
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            (last.to_bits() - first.to_bits()).saturating_add(1)
        }
        _ => 0,
    }
}

fn last(low: IpAddr, text: &str) -> Option<IpAddr> {
    if let Ok(high) = text.parse::<IpAddr>() {
        return (high.is_ipv4() == low.is_ipv4()).then_some(high);
    }
    match low {
        IpAddr::V4(ip) => {
            let part: u8 = text.parse().ok()?;
            Some(Ipv4Addr::from_bits(ip.to_bits() & !0xff | u32::from(part)).into())
        }
        IpAddr::V6(ip) => {
            let part = u16::from_str_radix(text, 16).ok()?;
            Some(Ipv6Addr::from_bits(ip.to_bits() & !0xffff | u128::from(part)).into())
        }
    }
}

/// First and last address of the network of a length.
fn network(ip: IpAddr, length: u8) -> (IpAddr, IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            let (low, high) = (ip.to_bits() & !hosts, ip.to_bits() | hosts);
            (
                Ipv4Addr::from_bits(low).into(),
                Ipv4Addr::from_bits(high).into(),
            )
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let (low, high) = (ip.to_bits() & !hosts, ip.to_bits() | hosts);
            (
                Ipv6Addr::from_bits(low).into(),
                Ipv6Addr::from_bits(high).into(),
            )
        }
    }
}

/// `interface [[inst] instance] [id N] [maxlen N] [port N] [ttl N] [group address]`.
pub(super) fn sync_daemon(a: &mut Args<'_, '_, '_>) -> Option<SyncDaemon> {
    let mut daemon = SyncDaemon::on(a.interface()?);
    while let Some(word) = a.word() {
        match word.text {
            "inst" => daemon.instance = a.text("an instance"),
            "id" => daemon.id = a.number(0..=255),
            "maxlen" => daemon.max_len = a.number(1..=65_507),
            "port" => daemon.port = a.number(1..=65_535),
            "ttl" => daemon.ttl = a.number(1..=255),
            "group" => daemon.group = a.address(),
            // The old form: an id without its word.
            text if daemon.instance.is_some() && integer(text).is_some() => {
                daemon.id = a.number_of(word, 0..=255)
            }
            _ if daemon.instance.is_none() => daemon.instance = Some(word.text.to_owned()),
            _ => {
                a.error(
                    word,
                    format!("unknown option '{}' of lvs_sync_daemon", word.text),
                );
            }
        }
    }
    Some(daemon)
}
