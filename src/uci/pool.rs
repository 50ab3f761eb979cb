//! Virtual servers and their real servers.

use core::fmt::Write;

use super::Form::Value;
use super::text::Text;
use super::{Form, Package, Section, notify, put};

const SERVER: &[(&str, Form)] = &[
    ("delay_loop", Value),
    ("lb_kind", Value),
    ("persistence_timeout", Value),
    ("persistence_granularity", Value),
    ("virtualhost", Value),
];

/// What each kind of check takes.
const CHECKS: &[(&str, &[(&str, Form)])] = &[
    ("TCP_CHECK", CONNECT),
    ("PING_CHECK", &[("connect_timeout", Value)]),
    ("MISC_CHECK", &[("misc_path", Value)]),
    ("HTTP_GET", HTTP),
    ("SSL_GET", HTTP),
];

const CONNECT: &[(&str, Form)] = &[("connect_timeout", Value), ("connect_port", Value)];

const HTTP: &[(&str, Form)] = &[
    ("connect_timeout", Value),
    ("connect_port", Value),
    ("nb_get_retry", Value),
    ("delay_before_retry", Value),
];

const URL: &[(&str, Form)] = &[("path", Value), ("digest", Value), ("status_code", Value)];

pub(super) fn write(package: &mut Package<'_>, out: &mut Text) {
    for section in package.all("virtual_server") {
        if section.flag("enabled") != Some(false) {
            server(section, package, out);
        }
    }
}

fn server<'a>(section: &'a Section, package: &mut Package<'a>, out: &mut Text) {
    let place = (section.get("ipaddr"), section.get("port"));
    let head = match (section.get("fwmark"), place) {
        // The mark says which traffic; an address beside it says no more than its family.
        (Some(mark), (ip, _)) => {
            let v6 = ip.is_some_and(|ip| ip.contains(':'));
            let family = if v6 { " inet6" } else { "" };
            format!("virtual_server fwmark {mark}{family}")
        }
        (None, (Some(ip), Some(port))) => format!("virtual_server {ip} {port}"),
        (None, _) => {
            let what = "virtual_server needs ipaddr and port, or fwmark: left out";
            return package.remark(section, what.to_owned());
        }
    };
    out.block(head, |out| {
        put(section, SERVER, package, out);
        // keepalived's own default is UDP, which nobody expects.
        out.put("protocol", section.get("protocol").unwrap_or("TCP"));
        out.put("lb_algo", section.get("lb_algo").unwrap_or("rr"));
        let sorry = (
            section.get("sorry_server_ip"),
            section.get("sorry_server_port"),
        );
        if let (Some(ip), Some(port)) = sorry {
            out.line(format_args!("sorry_server {ip} {port}"));
        }
        for real in package.named(section, "real_server", "real_server") {
            if real.flag("enabled") != Some(false) {
                real_server(real, package, out);
            }
        }
    });
}

fn real_server<'a>(section: &'a Section, package: &mut Package<'a>, out: &mut Text) {
    let name = section.called().unwrap_or_default();
    let (Some(ip), Some(weight)) = (section.get("ipaddr"), section.get("weight")) else {
        let what = format!("real_server {name} needs ipaddr and weight: left out");
        return package.remark(section, what);
    };
    let mut head = format!("real_server {ip}");
    if let Some(port) = section.get("port") {
        // Writing to a String cannot fail.
        let _ = write!(head, " {port}");
    }
    out.block(head, |out| {
        out.put("weight", weight);
        check(section, package, out);
        notify("REAL_SERVER", name, &["notify_up", "notify_down"], out);
    });
}

fn check<'a>(section: &'a Section, package: &mut Package<'a>, out: &mut Text) {
    let Some(kind) = section.get("check") else {
        return;
    };
    let Some((_, options)) = CHECKS.iter().find(|(name, _)| *name == kind) else {
        let known: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        let what = format!("check '{kind}' is none of {}: left out", known.join(", "));
        return package.remark(section, what);
    };
    // A check may do without any option, so its block stands also when it is empty.
    out.line(format_args!("{kind} {{"));
    out.inside(|out| {
        put(section, options, package, out);
        if kind.ends_with("_GET") {
            for url in package.named(section, "url", "url") {
                if url.get("path").is_none() {
                    package.remark(url, "url has no path: left out".to_owned());
                } else {
                    out.block("url", |out| put(url, URL, package, out));
                }
            }
        }
    });
    out.line('}');
}
