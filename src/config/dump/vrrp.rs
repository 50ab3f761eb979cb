//! Everything of VRRP: static entries, trackers, groups, instances.

use core::fmt::{self, Display};

use super::{Out, Quoted, announcing};
use crate::model::vrrp::{OldChecksum, Peering, Wish};
use crate::model::{
    Address, Auth, Broadcast, Global, Instance, Model, Notify, ProcessTracker, ScriptTracker,
    Tracking, Vmac, Weight,
};
use crate::name::IfName;
use crate::sorted::Set;
use crate::time::Seconds;

pub(super) fn dump(model: &Model, out: &mut Out) {
    for group in &model.statics.groups {
        out.named("track_group", &group.name, |out| {
            out.block("group", |out| {
                group.members.iter().for_each(|m| out.line(Quoted(m)))
            });
        });
    }
    out.block("static_ipaddress", |out| {
        model
            .statics
            .addresses
            .iter()
            .for_each(|a| out.line(Line(a)))
    });
    out.block("static_routes", |out| {
        model
            .statics
            .routes
            .iter()
            .for_each(|r| out.line(Words(&r.words)))
    });
    out.block("static_rules", |out| {
        model
            .statics
            .rules
            .iter()
            .for_each(|r| out.line(Words(&r.words)))
    });
    garp_groups(model, out);
    model.scripts.iter().for_each(|s| script(s, out));
    for file in &model.files {
        out.named("track_file", &file.name, |out| {
            out.line(format_args!("file {}", Quoted(&file.path)));
            out.line(file.weight);
            if let Some((value, overwrite)) = file.init {
                out.line(format_args!(
                    "init_file {value}{}",
                    if overwrite { " overwrite" } else { "" }
                ));
            }
        });
    }
    model.processes.iter().for_each(|p| process(p, out));
    for bfd in &model.bfds {
        out.named("bfd_instance", bfd, |_| {});
    }
    model.instances.iter().for_each(|i| {
        out.named("vrrp_instance", &i.name, |out| {
            instance(i, &model.global, out)
        })
    });
    for group in &model.groups {
        out.named("vrrp_sync_group", &group.name, |out| {
            out.block("group", |out| {
                group.members.iter().for_each(|m| out.line(Quoted(m)))
            });
            tracking(&group.tracking, out);
            notify(&group.notify, out);
            out.flag("sync_group_tracking_weight", group.weights);
        });
    }
}

/// The paces that are not the global ones, by interface.
fn garp_groups(model: &Model, out: &mut Out) {
    let global = &model.global.announcing;
    let mut told: Set<&IfName> = Set::new();
    for instance in &model.instances {
        let own = &instance.announcing;
        let global_pace = own.arp_pace == global.arp_pace && own.na_pace == global.na_pace;
        if global_pace || !told.insert(&instance.interface) {
            continue;
        }
        out.block("garp_group", |out| {
            out.line(format_args!(
                "interface {}",
                Quoted(instance.interface.as_str())
            ));
            if !own.arp_pace.is_zero() {
                out.line(format_args!("garp_interval {}", Seconds(own.arp_pace)));
            }
            if !own.na_pace.is_zero() {
                out.line(format_args!("gna_interval {}", Seconds(own.na_pace)));
            }
        });
    }
}

fn script(script: &ScriptTracker, out: &mut Out) {
    out.named("vrrp_script", &script.name, |out| {
        out.line(format_args!(
            "script {}",
            super::Script(&script.command.text)
        ));
        if let Some(user) = script.command.user {
            out.line(format_args!("user{}", super::ByUser(Some(user))));
        }
        out.line(format_args!("interval {}", Seconds(script.interval)));
        if script.timeout != script.interval {
            out.line(format_args!("timeout {}", Seconds(script.timeout)));
        }
        if script.weight != Weight::default() {
            out.line(script.weight);
        }
        out.line(format_args!("rise {}", script.rise));
        out.line(format_args!("fall {}", script.fall));
        out.flag("init_fail", script.init_fail);
    });
}

fn process(process: &ProcessTracker, out: &mut Out) {
    use crate::model::ArgumentMatch;
    out.named("vrrp_track_process", &process.name, |out| {
        let words: Vec<String> = process
            .words
            .iter()
            .map(|w| super::Script(w).to_string())
            .collect();
        out.line(format_args!("process {}", words.join(" ")));
        out.value(
            "param_match",
            process.arguments.map(|a| match a {
                ArgumentMatch::Exact => "exact",
                ArgumentMatch::Initial => "initial",
                ArgumentMatch::Partial => "partial",
            }),
        );
        if process.weight != Weight::default() {
            out.line(process.weight);
        }
        out.line(format_args!("quorum {}", process.quorum));
        out.value("quorum_max", process.quorum_max);
        if !process.fork_delay.is_zero() {
            out.line(format_args!("fork_delay {}", Seconds(process.fork_delay)));
        }
        if !process.terminate_delay.is_zero() {
            out.line(format_args!(
                "terminate_delay {}",
                Seconds(process.terminate_delay)
            ));
        }
        out.flag("full_command", process.full_command);
    });
}

fn instance(i: &Instance, global: &Global, out: &mut Out) {
    out.line(match i.wish {
        Wish::Master => "state MASTER",
        Wish::Backup => "state BACKUP",
    });
    out.line(format_args!("interface {}", Quoted(i.interface.as_str())));
    out.line(format_args!("virtual_router_id {}", i.vrid));
    out.line(format_args!("priority {}", i.priority));
    out.line(format_args!("version {}", i.version));
    out.line(format_args!("advert_int {}", i.interval));
    out.flag("strict_mode", i.strict);
    authentication(i.auth, out);
    out.flag("nopreempt", !i.preempt);
    if !i.preempt_delay.is_zero() {
        out.line(format_args!("preempt_delay {}", Seconds(i.preempt_delay)));
    }
    peering(i, global, out);
    if i.announcing != global.announcing {
        announcing("garp", &i.announcing, out);
    }
    if i.down_timer_adverts != 3 {
        out.line(format_args!("down_timer_adverts {}", i.down_timer_adverts));
    }
    out.flag("accept", i.accept && i.strict && !i.is_owner());
    out.flag("no_accept", !i.accept);
    if let Some(vmac) = &i.vmac {
        interface(vmac, out);
    }
    out.value("vrf", i.vrf.as_ref().map(|n| Quoted(n.as_str())));
    tracking(&i.tracking, out);
    out.flag("dont_track_primary", !i.track_primary);
    notify(&i.notify, out);
    out.flag("v3_checksum_as_v2", i.v3_checksum_as_v2);
    out.flag("skip_check_adv_addr", i.skip_check_adv_addr);
    out.flag("lower_prio_no_advert", i.lower_prio_no_advert);
    out.flag("higher_prio_send_advert", i.higher_prio_send_advert);
    out.flag("owner_ignore_adverts", i.owner_ignore_adverts);
    out.flag("promote_secondaries", i.promote_secondaries);
    if let Some(priority) = i.timer_expired_backup {
        let priority = priority.map(|p| format!(" {p}")).unwrap_or_default();
        out.line(format_args!("timer_expired_backup{priority}"));
    }
    out.value("kernel_rx_buf_size", i.receive_buffer);
    out.flag("linkbeat_use_polling", i.linkbeat_polling);
    out.flag("no_virtual_ipaddress", i.addresses.is_empty());
    out.block("virtual_ipaddress", |out| {
        i.addresses.iter().for_each(|a| out.line(Line(a)))
    });
    out.block("virtual_ipaddress_excluded", |out| {
        i.excluded.iter().for_each(|a| out.line(Line(a)))
    });
    out.block("virtual_routes", |out| {
        i.routes.iter().for_each(|r| out.line(Words(&r.words)))
    });
    out.block("virtual_rules", |out| {
        i.rules.iter().for_each(|r| out.line(Words(&r.words)))
    });
}

fn authentication(auth: Auth, out: &mut Out) {
    let (kind, key) = match auth {
        Auth::None => return,
        Auth::Pass(key) => ("PASS", key),
        Auth::Ah(key) => ("AH", key),
    };
    let end = key.iter().position(|b| *b == 0).unwrap_or(key.len());
    let pass = String::from_utf8_lossy(key.get(..end).unwrap_or(&[])).into_owned();
    out.block("authentication", |out| {
        out.line(format_args!("auth_type {kind}"));
        out.line(format_args!("auth_pass {}", Quoted(&pass)));
    });
}

fn peering(i: &Instance, global: &Global, out: &mut Out) {
    out.flag("track_src_ip", i.track_source);
    match &i.peering {
        Peering::Multicast(group) => {
            out.value("mcast_src_ip", i.source);
            if *group != global.group4 && *group != global.group6 {
                out.line(format_args!("mcast_dst_ip {group}"));
            }
        }
        Peering::Unicast {
            peers,
            ttl,
            check_source,
            old_checksum,
            fault_without_peer,
        } => {
            out.value("unicast_src_ip", i.source);
            out.block("unicast_peer", |out| {
                for peer in peers {
                    let low = if peer.min_ttl > 0 {
                        format!(" min_ttl {}", peer.min_ttl)
                    } else {
                        String::new()
                    };
                    let high = if peer.max_ttl < 255 {
                        format!(" max_ttl {}", peer.max_ttl)
                    } else {
                        String::new()
                    };
                    out.line(format_args!("{}{low}{high}", peer.ip));
                }
            });
            if *ttl != 255 {
                out.line(format_args!("unicast_ttl {ttl}"));
            }
            out.flag("check_unicast_src", *check_source);
            match old_checksum {
                OldChecksum::Auto => {}
                OldChecksum::Always => out.line("old_unicast_checksum"),
                OldChecksum::Never => out.line("old_unicast_checksum never"),
            }
            out.flag("unicast_fault_no_peer", *fault_without_peer);
        }
    }
}

fn interface(vmac: &Vmac, out: &mut Out) {
    let mut line = if vmac.ipvlan {
        "use_ipvlan"
    } else {
        "use_vmac"
    }
    .to_owned();
    if let Some(name) = &vmac.name {
        line = format!("{line} {}", Quoted(name.as_str()));
    }
    if let Some(mac) = vmac.mac {
        line = format!("{line} {mac}");
    }
    if vmac.netlink_notify {
        line.push_str(" netlink_notify_msg");
    }
    if let Some(group) = vmac.group {
        line = format!("{line} group {group}");
    }
    out.line(line);
    out.flag("use_vmac_addr", vmac.per_address);
    out.flag("vmac_xmit_base", vmac.transmit_base);
}

fn tracking(tracking: &Tracking, out: &mut Out) {
    out.block("track_interface", |out| {
        for (name, weight) in &tracking.interfaces {
            let weight = Some(*weight).filter(|w| *w != Weight::default());
            out.line(Tracked(name.as_str(), weight));
        }
    });
    let lists = [
        ("track_script", &tracking.scripts),
        ("track_file", &tracking.files),
        ("track_process", &tracking.processes),
        ("track_bfd", &tracking.bfds),
    ];
    for (keyword, list) in lists {
        out.block(keyword, |out| {
            list.iter()
                .for_each(|(name, weight)| out.line(Tracked(name, *weight)))
        });
    }
}

struct Tracked<'a>(&'a str, Option<Weight>);

impl Display for Tracked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted(self.0))?;
        self.1.map_or(Ok(()), |weight| write!(f, " {weight}"))
    }
}

fn notify(notify: &Notify, out: &mut Out) {
    out.command("notify_master", notify.master.as_deref());
    out.command("notify_backup", notify.backup.as_deref());
    out.command("notify_fault", notify.fault.as_deref());
    out.command("notify_stop", notify.stop.as_deref());
    out.command("notify", notify.any.as_deref());
    match &notify.deleted {
        None => {}
        Some(None) => out.line("notify_deleted"),
        Some(command) => out.command("notify_deleted", command.as_deref()),
    }
    out.command(
        "notify_master_rx_lower_pri",
        notify.lower_priority.as_deref(),
    );
    out.switch("notify_priority_changes", notify.priority_changes);
    out.switch("smtp_alert", notify.mail);
}

struct Words<'a>(&'a [String]);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { " " } else { "" }, Quoted(word))?;
        }
        Ok(())
    }
}

/// A line of `virtual_ipaddress`.
struct Line<'a>(&'a Address);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let a = self.0;
        let default = Address::new(a.ip, a.prefix);
        write!(f, "{}/{}", a.ip, a.prefix)?;
        if let Some(dev) = &a.dev {
            write!(f, " dev {}", Quoted(dev.as_str()))?;
        }
        match a.broadcast {
            None => {}
            Some(Broadcast::At(ip)) => write!(f, " brd {ip}")?,
            Some(Broadcast::Ones) => f.write_str(" brd +")?,
            Some(Broadcast::Zeros) => f.write_str(" brd -")?,
        }
        if let Some(scope) = a.scope {
            match crate::config::address::SCOPES
                .iter()
                .find(|(_, s)| *s == scope)
            {
                Some((name, _)) => write!(f, " scope {name}")?,
                None => write!(f, " scope {scope}")?,
            }
        }
        if let Some(label) = &a.label {
            write!(f, " label {}", Quoted(label))?;
        }
        if let Some((ip, prefix)) = a.peer {
            write!(f, " peer {ip}/{prefix}")?;
        }
        for (name, flag) in crate::config::address::FLAGS {
            if a.flags & flag != 0 {
                write!(f, " {name}")?;
            }
        }
        if a.flags & crate::config::address::IFA_F_NODAD
            != default.flags & crate::config::address::IFA_F_NODAD
        {
            f.write_str(" -nodad")?;
        }
        if a.preferred != default.preferred {
            match a.preferred {
                Some(seconds) => write!(f, " preferred_lft {seconds}")?,
                None => f.write_str(" preferred_lft forever")?,
            }
        }
        if !a.tracked {
            f.write_str(" no_track")?;
        }
        if a.on_vmac {
            f.write_str(" use_vmac")?;
        }
        if let Some(group) = &a.group {
            write!(f, " track_group {}", Quoted(group))?;
        }
        Ok(())
    }
}
