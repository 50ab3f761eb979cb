//! Everything of LVS.

use core::fmt::Display;
use core::time::Duration;

use super::{ByUser, Out, Quoted, Script};
use crate::config::checks::{Kind, RECORDS};
use crate::config::lvs::FLAGS;
use crate::model::lvs::{
    Check, Checker, Entry, FlushOnStop, Forwarding, Http, HttpProtocol, Protocol, RealServer,
    Service, Tunnel, TunnelChecksum, Udp, Url, VirtualServer,
};
use crate::model::{Lvs, Model};
use crate::name::Family;
use crate::time::Seconds;

/// The lines of `global_defs`.
pub(super) fn global(lvs: &Lvs, out: &mut Out) {
    let times = [
        ("tcp", lvs.timeouts.tcp),
        ("tcpfin", lvs.timeouts.tcp_fin),
        ("udp", lvs.timeouts.udp),
    ];
    let times: Vec<String> = times
        .iter()
        .filter_map(|(name, t)| t.map(|t| format!(" {name} {t}")))
        .collect();
    if !times.is_empty() {
        out.line(format_args!("lvs_timeouts{}", times.concat()));
    }
    out.flag("lvs_flush", lvs.flush);
    match lvs.flush_on_stop {
        FlushOnStop::No => {}
        FlushOnStop::All => out.line("lvs_flush_on_stop"),
        FlushOnStop::Servers => out.line("lvs_flush_on_stop VS"),
    }
    if let Some(daemon) = &lvs.sync_daemon {
        let mut line = format!("lvs_sync_daemon {}", Quoted(daemon.interface.as_str()));
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                line = format!("{line} {name} {value}");
            }
        };
        add(
            "inst",
            daemon.instance.as_ref().map(|i| Quoted(i).to_string()),
        );
        add("id", daemon.id.map(|v| v.to_string()));
        add("maxlen", daemon.max_len.map(|v| v.to_string()));
        add("port", daemon.port.map(|v| v.to_string()));
        add("ttl", daemon.ttl.map(|v| v.to_string()));
        add("group", daemon.group.map(|v| v.to_string()));
        out.line(line);
    }
    out.flag("rs_init_notifies", lvs.init_notifies);
    out.flag("checker_log_all_failures", lvs.log_all_failures);
    out.flag("no_checker_emails", lvs.no_checker_emails);
}

pub(super) fn dump(model: &Model, out: &mut Out) {
    let lvs = &model.lvs;
    if let Some(tls) = &lvs.tls {
        out.line("SSL {");
        out.depth += 1;
        out.word("password", tls.password.as_ref());
        out.word("ca", tls.ca.as_ref());
        out.word("certificate", tls.certificate.as_ref());
        out.word("key", tls.key.as_ref());
        out.depth -= 1;
        out.line("}");
    }
    for group in &lvs.groups {
        out.named("virtual_server_group", &group.name, |out| {
            for entry in &group.entries {
                match entry {
                    Entry::Addresses { first, last, port } if first == last => {
                        out.line(format_args!("{first} {port}"))
                    }
                    Entry::Addresses { first, last, port } => {
                        out.line(format_args!("{first}-{last} {port}"))
                    }
                    Entry::Mark(mark, family) => {
                        let family = family.map(|f| format!(" {}", inet(f))).unwrap_or_default();
                        out.line(format_args!("fwmark {mark}{family}"));
                    }
                }
            }
        });
    }
    lvs.servers.iter().for_each(|s| server(s, lvs, out));
}

const fn inet(family: Family) -> &'static str {
    match family {
        Family::V4 => "inet",
        Family::V6 => "inet6",
    }
}

fn server(s: &VirtualServer, lvs: &Lvs, out: &mut Out) {
    let head = match &s.service {
        Service::Group(name) => format!("virtual_server group {}", Quoted(name)),
        service => format!("virtual_server {service}"),
    };
    out.block(head, |out| {
        out.line(format_args!("lvs_sched {}", s.scheduler));
        let mut left = s.flags;
        for (name, bit) in FLAGS {
            out.flag(name, left & bit != 0);
            left &= !bit;
        }
        out.line(Method("lvs_method", s.forwarding));
        out.value("protocol", s.protocol.map(Protocol::name));
        if !matches!(s.service, Service::Address(..)) {
            out.value("ip_family", s.family.map(inet));
        }
        if let Some(persistence) = s.persistence {
            out.line(format_args!(
                "persistence_timeout {}",
                persistence.timeout.as_secs()
            ));
            out.value("persistence_granularity", persistence.granularity);
            if persistence.sip {
                out.line("persistence_engine sip");
            }
        }
        if let Some(sorry) = s.sorry {
            out.line(format_args!("sorry_server {} {}", sorry.ip, sorry.port));
            out.flag("sorry_server_inhibit", sorry.inhibit);
            if sorry.forwarding != s.forwarding {
                out.line(Method("sorry_server_lvs_method", sorry.forwarding));
            }
        }
        out.flag("alpha", s.alpha);
        out.flag("omega", s.omega);
        out.flag("ha_suspend", s.ha_suspend);
        out.line(format_args!("quorum {}", s.quorum));
        if s.hysteresis > 0 {
            out.line(format_args!("hysteresis {}", s.hysteresis));
        }
        out.command("quorum_up", s.quorum_up.as_deref());
        out.command("quorum_down", s.quorum_down.as_deref());
        out.switch("smtp_alert", s.mail);
        out.word("virtualhost", s.virtual_host.as_ref());
        s.real.iter().for_each(|r| real(r, s, lvs, out));
    });
}

struct Method(&'static str, Forwarding);

impl Display for Method {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(keyword, forwarding) = self;
        match forwarding {
            Forwarding::Nat => write!(f, "{keyword} NAT"),
            Forwarding::Direct => write!(f, "{keyword} DR"),
            Forwarding::Tunnel(tunnel, checksum) => {
                write!(f, "{keyword} TUN type ")?;
                match tunnel {
                    Tunnel::IpIp => f.write_str("ipip")?,
                    Tunnel::Gue(port) => write!(f, "gue port {port}")?,
                    Tunnel::Gre => f.write_str("gre")?,
                }
                f.write_str(match checksum {
                    TunnelChecksum::None => "",
                    TunnelChecksum::Full => " csum",
                    TunnelChecksum::Remote => " remcsum",
                })
            }
        }
    }
}

fn real(r: &RealServer, s: &VirtualServer, lvs: &Lvs, out: &mut Out) {
    out.line(format_args!("real_server {} {} {{", r.ip, r.port));
    out.depth += 1;
    out.line(format_args!("weight {}", r.weight));
    if r.forwarding != s.forwarding {
        out.line(Method("lvs_method", r.forwarding));
    }
    out.flag("inhibit_on_failure", r.inhibit);
    if r.upper > 0 {
        out.line(format_args!("uthreshold {}", r.upper));
    }
    if r.lower > 0 {
        out.line(format_args!("lthreshold {}", r.lower));
    }
    out.command("notify_up", r.notify_up.as_deref());
    out.command("notify_down", r.notify_down.as_deref());
    out.switch("smtp_alert", r.mail);
    out.word("virtualhost", r.virtual_host.as_ref());
    r.checkers.iter().for_each(|c| checker(c, r, s, lvs, out));
    out.depth -= 1;
    out.line("}");
}

fn checker(c: &Checker, r: &RealServer, s: &VirtualServer, lvs: &Lvs, out: &mut Out) {
    let (keyword, kind) = match &c.check {
        Check::Tcp => ("TCP_CHECK", Kind::Tcp),
        Check::Http(http) if http.tls => ("SSL_GET", Kind::Https),
        Check::Http(_) => ("HTTP_GET", Kind::Http),
        Check::Smtp(_) => ("SMTP_CHECK", Kind::Smtp),
        Check::Dns { .. } => ("DNS_CHECK", Kind::Dns),
        Check::Udp(_) => ("UDP_CHECK", Kind::Udp),
        Check::Ping => ("PING_CHECK", Kind::Ping),
        Check::Misc { .. } => ("MISC_CHECK", Kind::Misc),
        Check::File(..) => ("FILE_CHECK", Kind::File),
        Check::Bfd(_) => ("BFD_CHECK", Kind::Bfd),
    };
    out.line(format_args!("{keyword} {{"));
    out.depth += 1;
    let watched = matches!(kind, Kind::File | Kind::Bfd);
    if !watched && kind != Kind::Misc {
        connection(c, r, out);
    }
    if !watched {
        let defaults = (kind.retry(), kind.retry_delay().unwrap_or(c.pace.interval));
        pace(c, defaults, s, lvs, out);
    }
    match &c.check {
        Check::Tcp | Check::Ping => {}
        Check::Http(check) => http(check, out),
        Check::Smtp(helo) => out.word("helo_name", helo.as_ref()),
        Check::Dns { record, name } => {
            out.value(
                "type",
                RECORDS
                    .iter()
                    .find(|(_, r)| r == record)
                    .map(|(name, _)| name),
            );
            out.word("name", Some(name));
        }
        Check::Udp(check) => udp(check, out),
        Check::Misc {
            command,
            timeout,
            dynamic,
        } => {
            out.line(format_args!("misc_path {}", Script(&command.text)));
            out.line(format_args!("misc_timeout {}", Seconds(*timeout)));
            out.flag("misc_dynamic", *dynamic);
            if let Some(user) = command.user {
                out.line(format_args!("user{}", ByUser(Some(user))));
            }
        }
        Check::File(name, weight) => {
            out.word("track_file", Some(name));
            if let Some(weight) = weight {
                out.line(weight);
            }
        }
        Check::Bfd(name) => out.word("name", Some(name)),
    }
    out.depth -= 1;
    out.line("}");
}

fn connection(c: &Checker, r: &RealServer, out: &mut Out) {
    if c.ip != r.ip {
        out.line(format_args!("connect_ip {}", c.ip));
    }
    if c.port != r.port {
        out.line(format_args!("connect_port {}", c.port));
    }
    out.value("bindto", c.way.bind_ip);
    out.value("bind_port", c.way.bind_port);
    out.value(
        "bind_if",
        c.way.bind_interface.as_ref().map(|n| Quoted(n.as_str())),
    );
    out.value("fwmark", c.way.mark);
    if c.way.timeout != Duration::from_secs(5) {
        out.line(format_args!("connect_timeout {}", Seconds(c.way.timeout)));
    }
}

fn pace(
    c: &Checker,
    (retry, retry_delay): (u32, Duration),
    s: &VirtualServer,
    lvs: &Lvs,
    out: &mut Out,
) {
    out.line(format_args!("delay_loop {}", Seconds(c.pace.interval)));
    if c.pace.retry != retry {
        out.line(format_args!("retry {}", c.pace.retry));
    }
    if c.pace.retry_delay != retry_delay {
        out.line(format_args!(
            "delay_before_retry {}",
            Seconds(c.pace.retry_delay)
        ));
    }
    if c.pace.warmup != c.pace.interval {
        out.line(format_args!("warmup {}", Seconds(c.pace.warmup)));
    }
    out.switch("alpha", Some(c.alpha).filter(|a| *a != s.alpha));
    out.switch(
        "log_all_failures",
        Some(c.log_all_failures).filter(|l| *l != lvs.log_all_failures),
    );
}

fn http(http: &Http, out: &mut Out) {
    match http.protocol {
        HttpProtocol::V1_0 => {}
        HttpProtocol::V1_0Close => out.line("http_protocol 1.0C"),
        HttpProtocol::V1_1 => out.line("http_protocol 1.1"),
    }
    out.flag("enable_sni", http.sni);
    out.flag("fast_recovery", http.fast_recovery);
    out.flag("tls_compliant", http.tls_compliant);
    out.word("virtualhost", http.virtual_host.as_ref());
    http.urls
        .iter()
        .for_each(|u| out.block("url", |out| url(u, out)));
}

fn url(url: &Url, out: &mut Out) {
    out.word("path", Some(&url.path));
    out.value(
        "digest",
        url.digest
            .map(|d| d.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    );
    if !url.status.is_empty() {
        let codes = url.status.iter().map(|(low, high)| {
            if low == high {
                format!(" {low}")
            } else {
                format!(" {low}-{high}")
            }
        });
        out.line(format_args!("status_code{}", codes.collect::<String>()));
    }
    out.word("virtualhost", url.virtual_host.as_ref());
    out.switch("tls_compliant", url.tls_compliant);
    if let Some(regex) = &url.regex {
        out.line(format_args!("regex \"{}\"", escape(&regex.pattern)));
        out.flag("regex_no_match", regex.negate);
        if !regex.options.is_empty() {
            out.line(format_args!("regex_options {}", regex.options.join(" ")));
        }
        if regex.min_offset > 0 {
            out.line(format_args!("regex_min_offset {}", regex.min_offset));
        }
        out.value("regex_max_offset", regex.max_offset);
    }
}

fn udp(udp: &Udp, out: &mut Out) {
    if let Some(payload) = &udp.payload {
        out.line(format_args!(
            "payload {}",
            payload
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
        ));
    }
    if let Some(reply) = &udp.reply {
        let digit = |value: u8, mask: u8| {
            if mask & 0xf == 0 {
                'x'
            } else {
                char::from_digit(u32::from(value & 0xf), 16).unwrap_or('x')
            }
        };
        let digits = reply
            .iter()
            .flat_map(|(byte, mask)| [digit(byte >> 4, mask >> 4), digit(*byte, *mask)]);
        let digits: String = digits.collect();
        out.line(
            format_args!("require_reply {digits}")
                .to_string()
                .trim_end(),
        );
    }
    if udp.min_reply > 0 {
        out.line(format_args!("min_reply_length {}", udp.min_reply));
    }
    if udp.max_reply != 255 {
        out.line(format_args!("max_reply_length {}", udp.max_reply));
    }
}

/// With a backslash in front of what would be read as something else.
fn escape(pattern: &str) -> String {
    let mut text = String::new();
    for c in pattern.chars() {
        match c {
            '\\' | '"' => text.extend(['\\', c]),
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}
