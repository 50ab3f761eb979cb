//! Virtual routers, what they track, and static addresses and routes.

use core::fmt::Write;
use core::net::IpAddr;

use super::Form::{Flag, Value};
use super::text::Text;
use super::{Form, Package, Section, notify, put};

/// Letters that the kernel has for a label (`IFNAMSIZ` without its end).
const LABEL: usize = 15;

const SCRIPT: &[(&str, Form)] = &[
    ("script", Value),
    ("interval", Value),
    ("timeout", Value),
    ("fall", Value),
    ("rise", Value),
];

const BFD: &[(&str, Form)] = &[
    ("neighbor_ip", Value),
    ("source_ip", Value),
    ("min_rx", Value),
    ("min_tx", Value),
    ("idle_tx", Value),
    ("hoplimit", Value),
    ("max_hops", Value),
];

const GROUP: &[(&str, Form)] = &[("smtp_alert", Flag), ("global_tracking", Flag)];

const INSTANCE: &[(&str, Form)] = &[
    ("state", Value),
    ("interface", Value),
    ("mcast_src_ip", Value),
    ("unicast_src_ip", Value),
    ("virtual_router_id", Value),
    ("version", Value),
    ("priority", Value),
    ("advert_int", Value),
    ("preempt_delay", Value),
    ("debug", Value),
    ("lvs_sync_daemon_interface", Value),
    ("garp_master_delay", Value),
    ("garp_master_refresh", Value),
    ("garp_master_repeat", Value),
    ("garp_master_refresh_repeat", Value),
    ("vmac_xmit_base", Flag),
    ("native_ipv6", Flag),
    ("accept", Flag),
    ("no_accept", Flag),
    ("dont_track_primary", Flag),
    ("smtp_alert", Flag),
    ("nopreempt", Flag),
];

pub(super) fn write(package: &mut Package<'_>, out: &mut Text) {
    out.block("static_ipaddress", |out| {
        for section in package.all("static_ipaddress") {
            addresses(section, "address", package, out);
        }
    });
    out.block("static_routes", |out| {
        for section in package.all("static_routes") {
            routes(section, "route", package, out);
        }
    });
    for section in package.all("vrrp_script") {
        if let Some(name) = package.name(section) {
            out.block(format_args!("vrrp_script {name}"), |out| {
                put(section, SCRIPT, package, out);
                let weight = weight(section);
                if !weight.is_empty() {
                    out.line(weight.trim_start());
                }
            });
        }
    }
    for section in package.all("bfd_instance") {
        if let Some(name) = package.name(section) {
            out.block(format_args!("bfd_instance {name}"), |out| {
                put(section, BFD, package, out);
            });
        }
    }
    for section in package.all("vrrp_sync_group") {
        group(section, package, out);
    }
    for section in package.all("vrrp_instance") {
        instance(section, package, out);
    }
}

fn group<'a>(section: &'a Section, package: &mut Package<'a>, out: &mut Text) {
    let Some(name) = package.name(section) else {
        return;
    };
    let mut members = Vec::new();
    for member in section.list("group") {
        match package.find("vrrp_instance", member) {
            Some(_) => members.push(member),
            None => package.missing(section, "group", "vrrp_instance", member),
        }
    }
    if members.is_empty() {
        let what = format!("vrrp_sync_group {name} has no instance: left out");
        return package.remark(section, what);
    }
    out.block(format_args!("vrrp_sync_group {name}"), |out| {
        out.block("group", |out| members.iter().for_each(|m| out.line(m)));
        put(section, GROUP, package, out);
        scripts(section, package, out);
        let events = ["notify_backup", "notify_master", "notify_fault", "notify"];
        notify("GROUP", name, &events, out);
    });
}

fn instance<'a>(section: &'a Section, package: &mut Package<'a>, out: &mut Text) {
    let Some(name) = package.name(section) else {
        return;
    };
    out.block(format_args!("vrrp_instance {name}"), |out| {
        if let (Some(kind), Some(pass)) = (section.get("auth_type"), section.get("auth_pass")) {
            out.block("authentication", |out| {
                out.put("auth_type", kind);
                out.put("auth_pass", pass);
            });
        }
        put(section, INSTANCE, package, out);
        virtual_mac(section, out);
        let events = [
            "notify_backup",
            "notify_master",
            "notify_fault",
            "notify_stop",
        ];
        notify("INSTANCE", name, &events, out);
        for list in ["virtual_ipaddress", "virtual_ipaddress_excluded"] {
            out.block(list, |out| addresses(section, list, package, out));
        }
        out.block("virtual_routes", |out| {
            routes(section, "virtual_routes", package, out);
        });
        scripts(section, package, out);
        out.block("track_interface", |out| {
            for tracked in package.named(section, "track_interface", "track_interface") {
                match tracked.get("value") {
                    Some(device) => out.line(format_args!("{device}{}", weight(tracked))),
                    None => {
                        package.remark(tracked, "track_interface has no value: left out".to_owned())
                    }
                }
            }
        });
        out.block("track_bfd", |out| {
            for tracked in package.named(section, "track_bfd", "bfd_instance") {
                let name = tracked.called().unwrap_or_default();
                out.line(format_args!("{name}{}", weight(tracked)));
            }
        });
        out.block("unicast_peer", |out| peers(section, package, out));
    });
}

/// `use_vmac` is a flag, or the name that the interface is to have.
fn virtual_mac(section: &Section, out: &mut Text) {
    match (section.flag("use_vmac"), section.get("use_vmac")) {
        (Some(false), _) | (_, None) => {}
        (Some(true), _) => out.line("use_vmac"),
        // The example of OpenWrt names the parent, and its script never passed that on.
        (None, Some(name)) if section.get("interface") == Some(name) => out.line("use_vmac"),
        (None, Some(name)) => out.put("use_vmac", name),
    }
}

/// The entries of `track_script` name a `vrrp_script`, or a `track_script` section that names one, which has a weight of its own.
fn scripts(section: &Section, package: &mut Package<'_>, out: &mut Text) {
    out.block("track_script", |out| {
        for name in section.list("track_script") {
            let through = package.find("track_script", name);
            let target = through.and_then(|t| t.get("value")).unwrap_or(name);
            if package.find("vrrp_script", target).is_none() {
                package.missing(section, "track_script", "vrrp_script", target);
                continue;
            }
            let weight = through.map(weight).unwrap_or_default();
            out.line(format_args!("{target}{weight}"));
        }
    });
}

/// ` weight W [reverse]`, or nothing.
fn weight(section: &Section) -> String {
    let mut text = String::new();
    if let Some(weight) = section.get("weight") {
        let reverse = section.get("direction") == Some("reverse");
        let reverse = if reverse { " reverse" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, " weight {weight}{reverse}");
    }
    text
}

/// A peer is a section, or simply an address.
fn peers(section: &Section, package: &mut Package<'_>, out: &mut Text) {
    for name in section.list("unicast_peer") {
        let Some(peer) = package.find("peer", name) else {
            if name.parse::<IpAddr>().is_ok() {
                out.line(name);
            } else {
                package.missing(section, "unicast_peer", "peer", name);
            }
            continue;
        };
        let Some(address) = peer.get("address") else {
            package.remark(peer, format!("peer {name} has no address: left out"));
            continue;
        };
        let mut line = address.to_owned();
        for option in ["min_ttl", "max_ttl"] {
            if let Some(value) = peer.get(option) {
                line.extend([" ", option, " ", value]);
            }
        }
        out.line(line);
    }
}

fn addresses<'a>(section: &'a Section, list: &str, package: &mut Package<'a>, out: &mut Text) {
    for found in package.named(section, list, "ipaddress") {
        let Some(address) = found.get("address") else {
            package.remark(found, "ipaddress has no address: left out".to_owned());
            continue;
        };
        let mut line = address.to_owned();
        if let Some(device) = found.get("device") {
            line.extend([" dev ", device]);
            let label = format!("{device}:{}", found.get("label_suffix").unwrap_or("vip"));
            // Only IPv4 addresses have labels.
            if address.contains(':') {
            } else if label.len() <= LABEL {
                line.extend([" label ", &label]);
            } else {
                let what = format!("label {label} has more than {LABEL} letters: left out");
                package.remark(found, what);
            }
        }
        if let Some(scope) = found.get("scope") {
            line.extend([" scope ", scope]);
        }
        out.line(line);
    }
}

fn routes<'a>(section: &'a Section, list: &str, package: &mut Package<'a>, out: &mut Text) {
    for found in package.named(section, list, "route") {
        let Some(address) = found.get("address") else {
            package.remark(found, "route has no address: left out".to_owned());
            continue;
        };
        let mut line = String::new();
        if found.flag("blackhole") == Some(true) {
            line.extend(["blackhole ", address]);
        } else if found.get("device").is_none() && found.get("gateway").is_none() {
            package.remark(
                found,
                "route has neither gateway nor device: left out".to_owned(),
            );
            continue;
        } else {
            if let Some(source) = found.get("src_addr") {
                line.extend(["src ", source, " "]);
            }
            line.push_str(address);
            for (keyword, option) in [("via", "gateway"), ("dev", "device"), ("scope", "scope")] {
                if let Some(value) = found.get(option) {
                    line.extend([" ", keyword, " ", value]);
                }
            }
        }
        if let Some(table) = found.get("table") {
            line.extend([" table ", table]);
        }
        out.line(line);
    }
}
