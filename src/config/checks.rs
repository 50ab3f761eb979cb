//! The checks of a real server.

use core::net::IpAddr;
use core::time::Duration;

use super::diag::Span;
use super::keys::Shape::{Any, Block as Braces, Value};
use super::keys::Status::{self, Ignored, Obeyed};
use super::keys::{Feature, Key, Row, Table, key, of};
use super::value::{Args, checked, integer};
use crate::model::lvs::{Check, Http, HttpProtocol, Regex, Udp, Url};
use crate::model::{Command, User, Weight};
use crate::name::IfName;
use crate::pattern::Search;

const MOST: i64 = i32::MAX as i64;

/// Which check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Http,
    Https,
    Smtp,
    Dns,
    Udp,
    Ping,
    Misc,
    File,
    Bfd,
}

/// When checks run: of a service, a server or a check, the innermost that says something counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PaceDraft {
    pub(super) interval: Option<Duration>,
    pub(super) retry: Option<u32>,
    pub(super) retry_delay: Option<Duration>,
    pub(super) warmup: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) alpha: Option<bool>,
}

impl PaceDraft {
    pub(super) fn or(self, outer: Self) -> Self {
        Self {
            interval: self.interval.or(outer.interval),
            retry: self.retry.or(outer.retry),
            retry_delay: self.retry_delay.or(outer.retry_delay),
            warmup: self.warmup.or(outer.warmup),
            timeout: self.timeout.or(outer.timeout),
            alpha: self.alpha.or(outer.alpha),
        }
    }
}

/// A check while it is read.
#[derive(Clone)]
pub(super) struct CheckerDraft {
    pub(super) kind: Kind,
    pub(super) at: Span,
    pub(super) ip: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) bind_ip: Option<IpAddr>,
    pub(super) bind_port: Option<u16>,
    pub(super) bind_interface: Option<IfName>,
    pub(super) mark: Option<u32>,
    pub(super) pace: PaceDraft,
    pub(super) log_all_failures: Option<bool>,
    http: Http,
    helo: Option<String>,
    hosts: Vec<Self>,
    record: u16,
    name: Option<String>,
    udp: Udp,
    command: Option<Command>,
    timeout: Option<Duration>,
    dynamic: bool,
    user: Option<User>,
    weight: Option<Weight>,
}

type Rows = &'static [Key<CheckerDraft>];

const CONNECT: Rows = &[
    key("connect_ip", Value, Obeyed, |d, a| d.ip = a.address()),
    key("connect_port", Value, Obeyed, |d, a| {
        d.port = a.number(1..=65_535)
    }),
    key("bindto", Value, Obeyed, |d, a| d.bind_ip = a.address()),
    key("bind_port", Value, Obeyed, |d, a| {
        d.bind_port = a.number(1..=65_535)
    }),
    key("bind_if", Value, Obeyed, |d, a| {
        d.bind_interface = a.interface()
    }),
    key("connect_timeout", Value, Obeyed, |d, a| {
        d.pace.timeout = period(a)
    }),
    key("fwmark", Value, Obeyed, |d, a| {
        d.mark = a.number(0..=i64::from(u32::MAX))
    }),
];

const PACE: Rows = &[
    key("retry", Value, Obeyed, |d, a| {
        d.pace.retry = a.number(0..=MOST)
    }),
    key("delay_before_retry", Value, Obeyed, |d, a| {
        d.pace.retry_delay = period(a)
    }),
    key("warmup", Value, Obeyed, |d, a| d.pace.warmup = period(a)),
    key("delay_loop", Value, Obeyed, |d, a| {
        d.pace.interval = period(a)
    }),
    key("alpha", Any, Obeyed, |d, a| d.pace.alpha = a.switch()),
    key("log_all_failures", Any, Obeyed, |d, a| {
        d.log_all_failures = a.switch()
    }),
];

const HTTP_ROWS: Rows = &[
    key("nb_get_retry", Value, Obeyed, |d, a| {
        a.context
            .diags
            .warn(a.block.at(), "'nb_get_retry' is deprecated")
            .hint("write 'retry'");
        d.pace.retry = a.number(0..=MOST);
    }),
    key("virtualhost", Value, Obeyed, |d, a| {
        d.http.virtual_host = a.text("a host name")
    }),
    key("http_protocol", Value, Obeyed, |d, a| {
        let protocols = [
            ("1.0", HttpProtocol::V1_0),
            ("1.0C", HttpProtocol::V1_0Close),
            ("1.1", HttpProtocol::V1_1),
        ];
        d.http.protocol = a.choice("HTTP version", &protocols).unwrap_or_default();
    }),
    key("enable_sni", Any, Obeyed, |d, a| {
        d.http.sni = a.switch().unwrap_or(false)
    }),
    key("fast_recovery", Any, Obeyed, |d, a| {
        d.http.fast_recovery = a.switch().unwrap_or(false)
    }),
    key("tls_compliant", Any, Obeyed, |d, a| {
        d.http.tls_compliant = a.switch().unwrap_or(false)
    }),
    key("url", Braces, Obeyed, |d, a| {
        let mut draft = UrlDraft::default();
        URL.read(a.block.children(), &mut draft, a.context);
        if draft.url.path.is_empty() {
            a.context
                .diags
                .warn(a.block.at(), "the url has no path")
                .hint("taken as '/'");
            "/".clone_into(&mut draft.url.path);
        }
        draft.url.regex = regex(draft.regex, draft.regex_at, a);
        d.http.urls.push(draft.url);
    }),
];

#[derive(Default)]
struct UrlDraft {
    url: Url,
    regex: Regex,
    regex_at: Option<Span>,
}

const URL: Table<UrlDraft> = Table {
    block: "url",
    keys: &[&[
        key("path", Value, Obeyed, |d, a| {
            d.url.path = a.text("a path").unwrap_or_default()
        }),
        key("digest", Value, Obeyed, |d, a| d.url.digest = digest(a)),
        key("status_code", Value, Obeyed, |d, a| status(&mut d.url, a)),
        key("virtualhost", Value, Obeyed, |d, a| {
            d.url.virtual_host = a.text("a host name")
        }),
        of(
            Feature::REGEX,
            key("regex", Value, Obeyed, |d, a| {
                d.regex_at = Some(a.block.at());
                let pattern = a.block.phrase.script_words().into_iter().nth(1);
                d.regex.pattern = pattern.map(|(text, _)| unescape(&text)).unwrap_or_default();
                a.skip();
            }),
        ),
        of(
            Feature::REGEX,
            key("regex_no_match", Any, Obeyed, |d, _| d.regex.negate = true),
        ),
        of(
            Feature::REGEX,
            key("regex_options", Value, Obeyed, |d, a| {
                while let Some(word) = a.word() {
                    d.regex.options.push(word.text.to_owned());
                }
            }),
        ),
        key(
            "regex_stack",
            Value,
            Ignored("the engine of regular expressions needs no stack of its own"),
            |_, a| a.skip(),
        ),
        of(
            Feature::REGEX,
            key("regex_min_offset", Value, Obeyed, |d, a| {
                d.regex.min_offset = a.number(0..=MOST).unwrap_or(0)
            }),
        ),
        of(
            Feature::REGEX,
            key("regex_max_offset", Value, Obeyed, |d, a| {
                d.regex.max_offset = a.number(0..=MOST)
            }),
        ),
        key("tls_compliant", Any, Obeyed, |d, a| {
            d.url.tls_compliant = a.switch()
        }),
    ]],
};

const TCP: Table<CheckerDraft> = Table {
    block: "TCP_CHECK",
    keys: &[CONNECT, PACE],
};
const HTTP: Table<CheckerDraft> = Table {
    block: "HTTP_GET",
    keys: &[CONNECT, PACE, HTTP_ROWS],
};
const HTTPS: Table<CheckerDraft> = Table {
    block: "SSL_GET",
    keys: &[CONNECT, PACE, HTTP_ROWS],
};
const SMTP: Table<CheckerDraft> = Table {
    block: "SMTP_CHECK",
    keys: &[
        CONNECT,
        PACE,
        &[
            key("helo_name", Value, Obeyed, |d, a| d.helo = a.text("a name")),
            key("host", Braces, Obeyed, |d, a| {
                a.context
                    .diags
                    .warn(a.block.at(), "'host' blocks are deprecated")
                    .hint("write one SMTP_CHECK for each");
                let mut host = CheckerDraft::new(Kind::Smtp, a.block.at());
                HOST.read(a.block.children(), &mut host, a.context);
                d.hosts.push(host);
            }),
        ],
    ],
};
const HOST: Table<CheckerDraft> = Table {
    block: "host",
    keys: &[CONNECT],
};
const DNS: Table<CheckerDraft> = Table {
    block: "DNS_CHECK",
    keys: &[
        CONNECT,
        PACE,
        &[
            key("type", Value, Obeyed, |d, a| {
                d.record = a.choice("record type", &RECORDS).unwrap_or(d.record)
            }),
            key("name", Value, Obeyed, |d, a| d.name = domain(a)),
        ],
    ],
};
const UDP: Table<CheckerDraft> = Table {
    block: "UDP_CHECK",
    keys: &[
        CONNECT,
        PACE,
        &[
            key("payload", Value, Obeyed, |d, a| {
                d.udp.payload =
                    hex(a).map(|bytes| bytes.into_iter().map(|(byte, _)| byte).collect());
            }),
            key("require_reply", Any, Obeyed, |d, a| d.udp.reply = hex(a)),
            key("min_reply_length", Value, Obeyed, |d, a| {
                d.udp.min_reply = a.number(0..=65_535).unwrap_or(0)
            }),
            key("max_reply_length", Value, Obeyed, |d, a| {
                d.udp.max_reply = a.number(0..=65_535).unwrap_or(255)
            }),
        ],
    ],
};
const PING: Table<CheckerDraft> = Table {
    block: "PING_CHECK",
    keys: &[CONNECT, PACE],
};
const MISC: Table<CheckerDraft> = Table {
    block: "MISC_CHECK",
    keys: &[
        PACE,
        &[
            key("misc_path", Value, Obeyed, |d, a| {
                d.command = a.lone_script()
            }),
            key("misc_timeout", Value, Obeyed, |d, a| d.timeout = period(a)),
            key("misc_dynamic", Any, Obeyed, |d, _| d.dynamic = true),
            key("user", Value, Obeyed, |d, a| d.user = a.user()),
        ],
    ],
};
const FILE: Table<CheckerDraft> = Table {
    block: "FILE_CHECK",
    keys: &[&[
        key("track_file", Value, Obeyed, |d, a| {
            d.name = a.text("the name of a track_file")
        }),
        key("weight", Value, Obeyed, |d, a| {
            d.weight = a.weight(i64::from(i16::MAX))
        }),
    ]],
};
const NO_BFD: Status = Ignored("this program has no BFD process");

const BFD: Table<CheckerDraft> = Table {
    block: "BFD_CHECK",
    keys: &[&[
        key("name", Value, NO_BFD, |d, a| {
            d.name = a.text("the name of a bfd_instance")
        }),
        key("alpha", Any, NO_BFD, |_, a| checked(a.switch())),
    ]],
};

pub(super) fn rows(rows: &mut Vec<Row>) {
    for table in [
        TCP, HTTP, HTTPS, SMTP, HOST, DNS, UDP, PING, MISC, FILE, BFD,
    ] {
        table.rows(rows);
    }
    URL.rows(rows);
}

/// Record types of DNS (IANA registry) by name.
pub(super) const RECORDS: [(&str, u16); 10] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("RRSIG", 46),
    ("DNSKEY", 48),
];

impl Kind {
    const fn table(self) -> Table<CheckerDraft> {
        match self {
            Self::Tcp => TCP,
            Self::Http => HTTP,
            Self::Https => HTTPS,
            Self::Smtp => SMTP,
            Self::Dns => DNS,
            Self::Udp => UDP,
            Self::Ping => PING,
            Self::Misc => MISC,
            Self::File => FILE,
            Self::Bfd => BFD,
        }
    }

    /// Failures that are borne after the first, unless given.
    pub(super) const fn retry(self) -> u32 {
        match self {
            Self::Dns => 3,
            Self::Misc | Self::File | Self::Bfd => 0,
            _ => 1,
        }
    }

    /// Pause before the next try, unless given; `None` is the interval.
    pub(super) const fn retry_delay(self) -> Option<Duration> {
        match self {
            Self::Dns => None,
            Self::Http | Self::Https => Some(Duration::from_secs(3)),
            _ => Some(Duration::from_secs(1)),
        }
    }
}

/// Reads a check, several with the `host`s of `SMTP_CHECK`; none, with an error told, if it cannot be carried out.
pub(super) fn read(kind: Kind, a: &mut Args<'_, '_, '_>) -> Vec<CheckerDraft> {
    let mut draft = CheckerDraft::new(kind, a.block.at());
    kind.table().read(a.block.children(), &mut draft, a.context);
    let lack = match kind {
        Kind::Http | Kind::Https if draft.http.urls.is_empty() => "a url",
        Kind::Misc if draft.command.is_none() => "misc_path",
        Kind::File if draft.name.is_none() => "track_file",
        Kind::Bfd if draft.name.is_none() => "name",
        _ => return draft.of_hosts(),
    };
    a.context
        .diags
        .error(draft.at, format!("{} without {lack}", a.block.keyword()))
        .hint("left out");
    Vec::new()
}

impl CheckerDraft {
    fn new(kind: Kind, at: Span) -> Self {
        Self {
            kind,
            at,
            ip: None,
            port: None,
            bind_ip: None,
            bind_port: None,
            bind_interface: None,
            mark: None,
            pace: PaceDraft::default(),
            log_all_failures: None,
            http: Http {
                tls: kind == Kind::Https,
                protocol: HttpProtocol::default(),
                sni: false,
                fast_recovery: false,
                tls_compliant: false,
                virtual_host: None,
                urls: Vec::new(),
            },
            helo: None,
            hosts: Vec::new(),
            record: 6,
            name: None,
            udp: Udp {
                max_reply: 255,
                ..Udp::default()
            },
            command: None,
            timeout: None,
            dynamic: false,
            user: None,
            weight: None,
        }
    }

    /// One check for each `host`, with what the block says for all of them; and one for the block itself, if it says how to
    /// connect or has no hosts.
    pub(super) fn of_hosts(mut self) -> Vec<Self> {
        let hosts = core::mem::take(&mut self.hosts);
        let own = self.ip.is_some()
            || self.port.is_some()
            || self.bind_ip.is_some()
            || self.bind_port.is_some()
            || self.bind_interface.is_some()
            || self.mark.is_some()
            || self.pace.timeout.is_some();
        let alone = hosts.is_empty();
        let of_hosts = hosts.into_iter().map(|host| Self {
            pace: host.pace.or(self.pace),
            log_all_failures: self.log_all_failures,
            helo: self.helo.clone(),
            ..host
        });
        let mut all: Vec<Self> = of_hosts.collect();
        if own || alone {
            all.insert(0, self);
        }
        all
    }

    /// What it does; `host` is the name of its server, `interval` the time limit of a command that has none of its own.
    pub(super) fn check(mut self, host: Option<&str>, interval: Duration) -> Option<Check> {
        let named = self.http.virtual_host.take();
        self.http.virtual_host = named.or_else(|| host.map(str::to_owned));
        Some(match self.kind {
            Kind::Tcp => Check::Tcp,
            Kind::Http | Kind::Https => Check::Http(self.http),
            Kind::Smtp => Check::Smtp(self.helo),
            Kind::Dns => Check::Dns {
                record: self.record,
                name: self.name.unwrap_or_else(|| ".".to_owned()),
            },
            Kind::Udp => Check::Udp(self.udp),
            Kind::Ping => Check::Ping,
            Kind::Misc => {
                let mut command = self.command?;
                command.user = command.user.or(self.user);
                Check::Misc {
                    command,
                    timeout: self.timeout.unwrap_or(interval),
                    dynamic: self.dynamic,
                }
            }
            Kind::File => Check::File(self.name?, self.weight),
            Kind::Bfd => Check::Bfd(self.name?),
        })
    }
}

/// A time that may be as long as anyone likes.
pub(super) fn period(a: &mut Args<'_, '_, '_>) -> Option<Duration> {
    a.time(0..=u32::MAX as u64 * 1_000)
}

/// A regex with its options, if it is understood.
fn regex(mut regex: Regex, at: Option<Span>, a: &mut Args<'_, '_, '_>) -> Option<Regex> {
    let Some(at) = at.filter(|_| !regex.pattern.is_empty()) else {
        if regex != Regex::default() {
            a.context
                .diags
                .error(a.block.at(), "the url has options of a regex, but none");
        }
        return None;
    };
    if regex.max_offset.is_some_and(|last| last < regex.min_offset) {
        a.context
            .diags
            .warn(at, "regex_max_offset is before regex_min_offset")
            .hint("both are ignored");
        (regex.min_offset, regex.max_offset) = (0, None);
    }
    match Search::new(&regex) {
        Ok(_) => Some(regex),
        Err(why) => {
            a.context
                .diags
                .error(at, format!("the regex is not understood: {why}"))
                .hint("it is ignored; this engine has no look-around, back references or Unicode classes");
            None
        }
    }
}

/// What keepalived makes of backslashes before PCRE2 sees an expression: `\\d` is a digit, `\d` a letter. Bytes that are
/// no characters of ASCII stay for the engine.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let Some(kind) = Some(c).filter(|c| *c == '\\').and_then(|_| rest.next()) else {
            plain.push(c);
            continue;
        };
        let mut number = |radix, most, mut value: u32| {
            for _ in 0..most {
                let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else {
                    break;
                };
                value = value * radix + digit;
                rest.next();
            }
            value & 0xff
        };
        let code = match kind {
            'x' => number(16, 2, 0),
            '0'..='7' => number(8, 2, kind.to_digit(8).unwrap_or(0)),
            'c' => rest.next().map_or(0, |c| u32::from(c) & 0x1f),
            'a' => 0x07,
            'b' => 0x08,
            'E' => 0x1b,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            other => u32::from(other),
        };
        match char::from_u32(code) {
            Some(c) if c.is_ascii() || c == kind => plain.push(c),
            _ => plain.push_str(&format!("\\x{code:02x}")),
        }
    }
    plain
}

/// 32 hexadecimal digits.
fn digest(a: &mut Args<'_, '_, '_>) -> Option<[u8; 16]> {
    let word = a.need("a digest")?;
    let digits = word.text.as_bytes();
    let mut bytes = [0; 16];
    let whole = digits.len() == 32
        && bytes
            .iter_mut()
            .zip(digits.chunks_exact(2))
            .all(|(byte, pair)| {
                let text = core::str::from_utf8(pair).ok();
                let value = text.and_then(|t| u8::from_str_radix(t, 16).ok());
                *byte = value.unwrap_or(0);
                value.is_some()
            });
    if !whole {
        a.error(word, format!("'{}' is no digest", word.text))
            .hint("genhash prints 32 hexadecimal digits");
    }
    whole.then_some(bytes)
}

/// A domain name (RFC 1035 section 2.3.4), with or without its last dot.
fn domain(a: &mut Args<'_, '_, '_>) -> Option<String> {
    let word = a.need("a name")?;
    let name = word.text;
    let labels = name.strip_suffix('.').unwrap_or(name);
    let fits = |label: &str| (1..=63).contains(&label.len());
    let right = name == "." || (labels.len() <= 253 && labels.split('.').all(fits));
    if !right {
        a.error(word, format!("'{name}' is no domain name"))
            .hint("up to 253 characters, in labels of 1 to 63");
    }
    right.then(|| name.to_owned())
}

/// `200`, `200-299`, and more of them.
fn status(url: &mut Url, a: &mut Args<'_, '_, '_>) {
    while let Some(word) = a.word() {
        let (low, high) = word.text.split_once('-').unwrap_or((word.text, word.text));
        let code = |text| {
            integer(text)
                .and_then(|c| u16::try_from(c).ok())
                .filter(|c| (100..=999).contains(c))
        };
        match code(low).zip(code(high)) {
            Some((low, high)) if low <= high => url.status.push((low, high)),
            _ => {
                a.error(word, format!("'{}' is no status code", word.text))
                    .hint("expected 200, or 200-299");
            }
        }
    }
}

/// Hexadecimal digits in free form: pairs, or a single one before a blank; `x` is a half that does not count. The second
/// of each pair is the bits that count.
fn hex(a: &mut Args<'_, '_, '_>) -> Option<Vec<(u8, u8)>> {
    let mut bytes = Vec::new();
    while let Some(word) = a.word() {
        for pair in word.text.as_bytes().chunks(2) {
            let (mut byte, mut mask) = (0u8, 0u8);
            for digit in pair {
                let (value, counts) = match (*digit as char).to_digit(16) {
                    Some(value) => (value as u8, 0xf),
                    None if matches!(digit, b'x' | b'X') => (0, 0),
                    None => {
                        a.error(word, format!("'{}' is not hexadecimal", word.text));
                        a.skip();
                        return None;
                    }
                };
                byte = byte << 4 | value;
                mask = mask << 4 | counts;
            }
            if pair.len() == 1 {
                mask |= 0xf0;
            }
            bytes.push((byte, mask));
        }
    }
    Some(bytes)
}
