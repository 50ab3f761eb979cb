//! The files that signals ask for, in keepalived's words: `keepalived.json`, `keepalived.stats`, `keepalived.data`.
//!
//! LuCI and the Prometheus exporters read them. Each is written beside its place and moved there, so that nobody ever reads
//! half a file.

use core::fmt::{self, Display, Write};
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use super::addresses::broadcast;
use crate::console::clock::Clock;
use crate::console::json::Json;
use crate::model::{Address, Auth, Command, Global, Wish};
use crate::name::IfName;
use crate::run::replace::replace;
use crate::time::Seconds;
use crate::vrrp::{Engine, Instance, State, Stats};

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Everything, for people.
    Data,
    /// Counters, for people.
    Stats,
    /// Everything, for programs.
    Json,
}

impl Report {
    /// Where it goes: as configured, else keepalived's name in `TMPDIR` or `/tmp`.
    #[must_use]
    pub fn path(self, global: &Global) -> PathBuf {
        let (configured, extension) = match self {
            Self::Data => (&global.files.state, "data"),
            Self::Stats => (&global.files.stats, "stats"),
            Self::Json => (&global.files.json, "json"),
        };
        let directory =
            std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let instance = global
            .instance
            .as_ref()
            .filter(|_| global.files.with_instance);
        let name = match instance {
            Some(instance) => format!("keepalived.{instance}.{extension}"),
            None => format!("keepalived.{extension}"),
        };
        configured
            .as_ref()
            .map_or_else(|| directory.join(&name), PathBuf::from)
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the file system refused; the file that was there before is then untouched.
    pub fn write(self, engine: &Engine, global: &Global, clock: Clock) -> io::Result<()> {
        let path = self.path(global);
        replace(&path, global.umask.unwrap_or(0o177), |out| match self {
            Self::Data => data(out, engine, global, clock),
            Self::Stats => stats(out, engine),
            Self::Json => json(out, engine, global, clock),
        })
    }
}

/// A time on the wall as seconds with six decimals.
struct Wall(Duration);

impl Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}

/// An address line as keepalived prints it: `10.0.0.1/24 dev eth0 scope global set`.
struct Line<'a> {
    address: &'a Address,
    interface: &'a IfName,
    set: bool,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address {
            ip,
            prefix,
            scope,
            label,
            ..
        } = self.address;
        let dev = self.address.dev.as_ref().unwrap_or(self.interface);
        write!(f, "{ip}")?;
        if *prefix != self.address.family().address_len() as u8 * 8 {
            write!(f, "/{prefix}")?;
        }
        if let Some(broadcast) = broadcast(self.address) {
            write!(f, " brd {broadcast}")?;
        }
        write!(f, " dev {dev} scope {}", Scope(scope.unwrap_or(0)))?;
        if let Some(label) = label {
            write!(f, " label {label}")?;
        }
        if let Some((peer, prefix)) = self.address.peer {
            write!(f, " peer {peer}/{prefix}")?;
        }
        for (flag, asked, word) in FLAGS {
            let applies = flag != NODAD || ip.is_ipv6();
            if applies && (self.address.flags & flag != 0) == asked {
                write!(f, " {word}")?;
            }
        }
        if !self.address.tracked {
            f.write_str(" no_track")?;
        }
        if ip.is_ipv6() {
            match self.address.preferred {
                None => f.write_str(" preferred_lft forever")?,
                Some(0) => f.write_str(" deprecated")?,
                Some(seconds) => write!(f, " preferred_lft {seconds}")?,
            }
        }
        if self.set {
            f.write_str(" set")
        } else {
            Ok(())
        }
    }
}

/// `IFA_F_NODAD` of linux/if_addr.h: what has no word is that it is not asked for.
const NODAD: u32 = 0x02;

/// Flags of linux/if_addr.h: asked for or not, and keepalived's word for that, in its order.
const FLAGS: [(u32, bool, &str); 5] = [
    (0x10, true, "home"),
    (NODAD, false, "-nodad"),
    (0x100, true, "mngtmpaddr"),
    (0x200, true, "noprefixroute"),
    (0x400, true, "autojoin"),
];

/// Scope of an address by name (`rtnetlink(7)`).
struct Scope(u8);

impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("global"),
            200 => f.write_str("site"),
            253 => f.write_str("link"),
            254 => f.write_str("host"),
            255 => f.write_str("nowhere"),
            other => write!(f, "{other}"),
        }
    }
}

/// A command as keepalived prints it: every word in single quotes.
struct Quoted<'a>(&'a Command);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.0.words.iter().enumerate() {
            write!(f, "{}'{word}'", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

fn lines<'a>(instance: &'a Instance, addresses: &'a [Address]) -> impl Iterator<Item = Line<'a>> {
    let interface = instance.config().address_interface();
    addresses.iter().map(move |address| Line {
        address,
        interface,
        set: instance.owns_addresses(),
    })
}

const fn state_name(state: State) -> &'static str {
    match state {
        State::Init => "INIT",
        State::Backup => "BACKUP",
        State::Master => "MASTER",
        State::Fault => "FAULT",
    }
}

/// The counters of the JSON file by their names.
fn counters(stats: &Stats) -> [(&'static str, u64); 14] {
    [
        ("advert_rcvd", stats.advert_rcvd),
        ("advert_sent", stats.advert_sent),
        ("become_master", stats.become_master),
        ("release_master", stats.release_master),
        ("packet_len_err", stats.packet_len_err),
        ("advert_interval_err", stats.advert_interval_err),
        ("ip_ttl_err", stats.ip_ttl_err),
        ("invalid_type_rcvd", stats.invalid_type_rcvd),
        ("addr_list_err", stats.addr_list_err),
        ("invalid_authtype", stats.invalid_authtype),
        ("authtype_mismatch", stats.authtype_mismatch),
        ("auth_failure", stats.auth_failure),
        ("pri_zero_rcvd", stats.pri_zero_rcvd),
        ("pri_zero_sent", stats.pri_zero_sent),
    ]
}

/// `json_version 1` is a list, which LuCI reads; 2 is an object around it.
fn json(out: &mut dyn Write, engine: &Engine, global: &Global, clock: Clock) -> fmt::Result {
    if global.json_version == 2 {
        out.write_str("{\"vrrp\":")?;
        instances(out, engine, clock)?;
        return out.write_char('}');
    }
    instances(out, engine, clock)
}

fn instances(out: &mut dyn Write, engine: &Engine, clock: Clock) -> fmt::Result {
    Json::new(out).list(|list| {
        engine.iter().try_for_each(|(_, instance)| {
            list.object(|entry| {
                entry.member("data", |data| instance_data(data, instance, clock))?;
                entry.member("stats", |stats| {
                    counters(instance.stats())
                        .into_iter()
                        .try_for_each(|(name, count)| stats.number(name, count))
                })
            })
        })
    })
}

fn instance_data(data: &mut Json<'_>, instance: &Instance, clock: Clock) -> fmt::Result {
    let config = instance.config();
    let announcing = &config.announcing;
    data.text("iname", &config.name)?;
    data.number("dont_track_primary", u8::from(!config.track_primary))?;
    data.number("skip_check_adv_addr", u8::from(config.skip_check_adv_addr))?;
    data.number("strict_mode", u8::from(config.strict))?;
    let vmac = config.vmac.as_ref().and_then(|vmac| vmac.name.as_ref());
    data.text("vmac_ifname", vmac.map_or("", IfName::as_str))?;
    data.text("ifp_ifname", config.interface.as_str())?;
    data.number(
        "master_priority",
        instance.heard().map_or(0, |master| master.priority),
    )?;
    data.number("last_transition", Wall(clock.at(instance.since())))?;
    data.number("garp_delay", Seconds(announcing.delay))?;
    data.number("garp_refresh", Seconds(announcing.refresh))?;
    data.number("garp_rep", announcing.repeat)?;
    data.number("garp_refresh_rep", announcing.refresh_repeat)?;
    data.number("garp_lower_prio_delay", Seconds(announcing.lower_delay))?;
    data.number("garp_lower_prio_rep", announcing.lower_repeat)?;
    data.number(
        "lower_prio_no_advert",
        u8::from(config.lower_prio_no_advert),
    )?;
    data.number(
        "higher_prio_send_advert",
        u8::from(config.higher_prio_send_advert),
    )?;
    data.number("vrid", config.vrid)?;
    data.number("base_priority", config.priority)?;
    data.number("effective_priority", instance.priority())?;
    data.boolean("vipset", instance.owns_addresses())?;
    data.boolean("promote_secondaries", config.promote_secondaries)?;
    data.number("adver_int", config.interval)?;
    data.number(
        "master_adver_int",
        instance
            .heard()
            .map_or(config.interval, |master| master.interval),
    )?;
    data.number("accept", u8::from(config.accept))?;
    data.boolean("nopreempt", !config.preempt)?;
    data.number("preempt_delay", Seconds(config.preempt_delay))?;
    data.number("state", instance.state() as u8)?;
    data.number("wantstate", wanted(instance) as u8)?;
    data.number("version", config.version)?;
    data.boolean("smtp_alert", config.notify.mail.unwrap_or(false))?;
    data.boolean("notify_deleted", config.notify.deleted.is_some())?;
    let deleted = config.notify.deleted.as_ref().unwrap_or(&None);
    let scripts = [
        ("script_backup", &config.notify.backup),
        ("script_master", &config.notify.master),
        ("script_fault", &config.notify.fault),
        ("script_stop", &config.notify.stop),
        ("script_deleted", deleted),
        ("script", &config.notify.any),
        ("script_master_rx_lower_pri", &config.notify.lower_priority),
    ];
    for (key, command) in scripts {
        if let Some(command) = command {
            data.text(key, &Quoted(command).to_string())?;
        }
    }
    for (key, addresses) in [("vips", &config.addresses), ("evips", &config.excluded)] {
        if !addresses.is_empty() {
            data.array(key, lines(instance, addresses))?;
        }
    }
    let tracked = &config.tracking.interfaces;
    if !tracked.is_empty() {
        data.array("track_ifp", tracked.iter().map(|(name, _)| name))?;
    }
    // The password itself is nobody's business: keepalived masks it from 2.4.0 on.
    data.number(
        "auth_type",
        match config.auth {
            Auth::None => 0,
            Auth::Pass(_) => 1,
            Auth::Ah(_) => 2,
        },
    )
}

/// What the instance is after: what it is, or what it was configured to begin with.
fn wanted(instance: &Instance) -> State {
    match (instance.state(), instance.config().wish) {
        (state @ (State::Master | State::Backup), _) => state,
        (_, Wish::Master) => State::Master,
        (_, Wish::Backup) => State::Backup,
    }
}

fn stats(out: &mut dyn Write, engine: &Engine) -> fmt::Result {
    for (_, instance) in engine.iter() {
        let s = instance.stats();
        writeln!(out, "VRRP Instance: {}", instance.config().name)?;
        section(
            out,
            "Advertisements",
            &[("Received", s.advert_rcvd), ("Sent", s.advert_sent)],
        )?;
        writeln!(out, "  Became master: {}", s.become_master)?;
        writeln!(out, "  Released master: {}", s.release_master)?;
        let packet = [
            ("Length", s.packet_len_err),
            ("TTL", s.ip_ttl_err),
            ("Invalid Type", s.invalid_type_rcvd),
            ("Advertisement Interval", s.advert_interval_err),
            ("Address List", s.addr_list_err),
        ];
        section(out, "Packet Errors", &packet)?;
        let authentication = [
            ("Invalid Type", s.invalid_authtype),
            ("Type Mismatch", s.authtype_mismatch),
            ("Failure", s.auth_failure),
        ];
        section(out, "Authentication Errors", &authentication)?;
        section(
            out,
            "Priority Zero",
            &[("Received", s.pri_zero_rcvd), ("Sent", s.pri_zero_sent)],
        )?;
    }
    Ok(())
}

fn section(out: &mut dyn Write, title: &str, counts: &[(&str, u64)]) -> fmt::Result {
    writeln!(out, "  {title}:")?;
    counts
        .iter()
        .try_for_each(|(name, count)| writeln!(out, "    {name}: {count}"))
}

fn data(out: &mut dyn Write, engine: &Engine, global: &Global, clock: Clock) -> fmt::Result {
    writeln!(out, "------< Global definitions >------")?;
    writeln!(
        out,
        " Router ID = {}",
        global.router_id.as_deref().unwrap_or("(host name)")
    )?;
    writeln!(out, " VRRP IPv4 mcast group = {}", global.group4)?;
    writeln!(out, " VRRP IPv6 mcast group = {}", global.group6)?;
    writeln!(out, " VRRP default protocol version = {}", global.version)?;
    writeln!(out, " Dynamic interfaces = {}", global.dynamic_interfaces)?;
    writeln!(
        out,
        " Script security {}",
        if global.script_security {
            "enabled"
        } else {
            "disabled"
        }
    )?;
    writeln!(out, "------< VRRP Topology >------")?;
    for (_, instance) in engine.iter() {
        let config = instance.config();
        writeln!(out, " VRRP Instance = {}", config.name)?;
        writeln!(out, "   VRRP Version = {}", config.version)?;
        writeln!(out, "   State = {}", state_name(instance.state()))?;
        writeln!(out, "   Wantstate = {}", state_name(wanted(instance)))?;
        writeln!(
            out,
            "   Last transition = {}",
            Wall(clock.at(instance.since()))
        )?;
        writeln!(out, "   Interface = {}", config.advert_interface())?;
        match instance.source() {
            Some(source) => writeln!(out, "   Using src_ip = {source}")?,
            None => writeln!(out, "   Using src_ip = (none)")?,
        }
        if let Some(master) = instance.heard() {
            writeln!(out, "   Master router = {}", master.from)?;
            writeln!(out, "   Master priority = {}", master.priority)?;
        }
        writeln!(out, "   Virtual Router ID = {}", config.vrid)?;
        writeln!(out, "   Priority = {}", config.priority)?;
        writeln!(out, "   Effective priority = {}", instance.priority())?;
        writeln!(out, "   Advert interval = {} sec", config.interval)?;
        writeln!(
            out,
            "   Preempt = {}",
            if config.preempt {
                "enabled"
            } else {
                "disabled"
            }
        )?;
        if !config.preempt_delay.is_zero() {
            writeln!(
                out,
                "   Preempt delay = {} sec",
                Seconds(config.preempt_delay)
            )?;
        }
        writeln!(out, "   Virtual IP ({}):", config.addresses.len())?;
        lines(instance, &config.addresses).try_for_each(|line| writeln!(out, "     {line}"))?;
        if !config.excluded.is_empty() {
            writeln!(out, "   Virtual IP Excluded ({}):", config.excluded.len())?;
            lines(instance, &config.excluded).try_for_each(|line| writeln!(out, "     {line}"))?;
        }
    }
    Ok(())
}
