//! Model → canonical text, which parses back to an equal model. What is as it would be without a line has no line.

mod lvs;
mod vrrp;

use core::fmt::{self, Display, Write};

use super::keys::Feature;
use crate::model::global::{ControlSocket, Fifo, ReceiveBuffer, Scheduling};
use crate::model::{Announcing, Command, Global, Model, User, Weight};
use crate::time::{Seconds, micros};

/// The text of a model.
#[must_use]
pub fn dump(model: &Model) -> String {
    let mut out = Out::default();
    outside(&model.global, &mut out);
    out.block("global_defs", |out| {
        global(&model.global, out);
        if Feature::LVS.built {
            lvs::global(&model.lvs, out);
        }
    });
    vrrp::dump(model, &mut out);
    if Feature::LVS.built {
        lvs::dump(model, &mut out);
    }
    out.text
}

/// Text that grows, indented by the blocks that are open.
#[derive(Default)]
struct Out {
    text: String,
    depth: usize,
}

impl Out {
    fn line(&mut self, line: impl Display) {
        self.put(&line);
    }

    /// The part of it that is compiled once.
    fn put(&mut self, line: &dyn Display) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// A block, unless it stays empty.
    fn block(&mut self, head: impl Display, body: impl Fn(&mut Self)) {
        self.braces(&head, &body);
    }

    fn braces(&mut self, head: &dyn Display, body: &dyn Fn(&mut Self)) {
        let before = self.text.len();
        self.put(&format_args!("{head} {{"));
        let inside = self.text.len();
        self.depth += 1;
        body(self);
        self.depth -= 1;
        if self.text.len() == inside {
            self.text.truncate(before);
        } else {
            self.line("}");
        }
    }

    /// A block that is there even if it is empty.
    fn named(&mut self, keyword: &str, name: &str, body: impl Fn(&mut Self)) {
        self.named_braces(keyword, name, &body);
    }

    fn named_braces(&mut self, keyword: &str, name: &str, body: &dyn Fn(&mut Self)) {
        self.put(&format_args!("{keyword} {} {{", Quoted(name)));
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line("}");
    }

    fn flag(&mut self, keyword: &str, set: bool) {
        if set {
            self.line(keyword);
        }
    }

    fn switch(&mut self, keyword: &str, value: Option<bool>) {
        match value {
            Some(true) => self.line(format_args!("{keyword} on")),
            Some(false) => self.line(format_args!("{keyword} off")),
            None => {}
        }
    }

    fn value(&mut self, keyword: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.pair(keyword, &value);
        }
    }

    fn pair(&mut self, keyword: &str, value: &dyn Display) {
        self.put(&format_args!("{keyword} {value}"));
    }

    fn word(&mut self, keyword: &str, value: Option<&String>) {
        self.value(keyword, value.map(|v| Quoted(v)));
    }

    fn command(&mut self, keyword: &str, command: Option<&Command>) {
        if let Some(command) = command {
            self.line(format_args!(
                "{keyword} {}{}",
                Script(&command.text),
                ByUser(command.user)
            ));
        }
    }
}

/// A word, in quotes where it needs them.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-+,%".contains(&b);
        if !self.0.is_empty() && self.0.bytes().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0)
        }
    }
}

/// A command in the kind of quotes that it does not contain itself.
struct Script<'a>(&'a str);

impl Display for Script<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains('"') {
            return write!(f, "\"{}\"", self.0);
        }
        // Comments know double quotes only, so outside them their signs need a backslash.
        f.write_char('\'')?;
        let (mut quoted, mut escaped) = (false, false);
        for c in self.0.chars() {
            match c {
                '\'' => f.write_str("'\"'\"")?,
                '#' | '!' if !quoted && !escaped => f.write_char('\\')?,
                '"' if !escaped => quoted = !quoted,
                _ => {}
            }
            f.write_char(c)?;
            escaped = c == '\\' && !escaped;
        }
        f.write_char('\'')
    }
}

struct ByUser(Option<User>);

impl Display for ByUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(user) => write!(f, " {} {}", user.uid, user.gid),
            None => Ok(()),
        }
    }
}

impl Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "weight {}{}",
            self.value,
            if self.reverse { " reverse" } else { "" }
        )
    }
}

/// Keywords that stand outside any block.
fn outside(global: &Global, out: &mut Out) {
    out.word("net_namespace", global.net_namespace.as_ref());
    out.word("instance", global.instance.as_ref());
    out.flag("use_pid_dir", global.use_pid_dir);
    if global.child_wait != Global::default().child_wait {
        out.line(format_args!(
            "child_wait_time {}",
            Seconds(global.child_wait)
        ));
    }
    out.flag("linkbeat_use_polling", global.linkbeat_polling);
    out.block("linkbeat_interfaces", |out| {
        global
            .linkbeat_interfaces
            .iter()
            .for_each(|name| out.line(Quoted(name.as_str())));
    });
    out.block("interface_up_down_delays", |out| {
        for (name, down, up) in &global.link_delays {
            out.line(format_args!(
                "{} {} {}",
                Quoted(name.as_str()),
                Seconds(*down),
                Seconds(*up)
            ));
        }
    });
}

fn global(global: &Global, out: &mut Out) {
    let default = Global::default();
    out.word("router_id", global.router_id.as_ref());
    mail(global, out);
    if let Some(user) = global.script_user {
        out.line(format_args!("script_user{}", ByUser(Some(user))));
    }
    out.flag("enable_script_security", global.script_security);
    for (keyword, hook) in [
        ("startup_script", &global.startup),
        ("shutdown_script", &global.shutdown),
    ] {
        if let Some((command, timeout)) = hook {
            out.command(keyword, Some(command));
            out.line(format_args!("{keyword}_timeout {}", timeout.as_secs()));
        }
    }
    fifo("notify_fifo", &global.fifo, out);
    fifo("vrrp_notify_fifo", &global.vrrp_fifo, out);
    fifo("lvs_notify_fifo", &global.lvs_fifo, out);
    out.flag(
        "fifo_write_vrrp_states_on_reload",
        global.fifo_states_on_reload,
    );
    out.flag(
        "vrrp_notify_priority_changes",
        global.notify_priority_changes,
    );
    if global.version != default.version {
        out.line(format_args!("vrrp_version {}", global.version));
    }
    if global.group4 != default.group4 {
        out.line(format_args!("vrrp_mcast_group4 {}", global.group4));
    }
    if global.group6 != default.group6 {
        out.line(format_args!("vrrp_mcast_group6 {}", global.group6));
    }
    out.value(
        "default_interface",
        global
            .default_interface
            .as_ref()
            .map(|n| Quoted(n.as_str())),
    );
    out.flag("dynamic_interfaces", global.dynamic_interfaces);
    if !global.startup_delay.is_zero() {
        out.line(format_args!(
            "vrrp_startup_delay {}",
            Seconds(global.startup_delay)
        ));
    }
    if global.announcing != default.announcing {
        announcing("vrrp_garp", &global.announcing, out);
        if !global.announcing.arp_pace.is_zero() {
            out.line(format_args!(
                "vrrp_garp_interval {}",
                Seconds(global.announcing.arp_pace)
            ));
        }
        if !global.announcing.na_pace.is_zero() {
            out.line(format_args!(
                "vrrp_gna_interval {}",
                Seconds(global.announcing.na_pace)
            ));
        }
    }
    out.flag("disable_local_igmp", global.disable_local_igmp);
    out.flag("log_unknown_vrids", global.log_unknown_vrids);
    match global.receive_buffer {
        None => {}
        Some(ReceiveBuffer::Bytes(bytes)) => out.value("vrrp_rx_bufs_policy", Some(bytes)),
        Some(ReceiveBuffer::Packets(count)) => {
            out.line("vrrp_rx_bufs_policy MTU");
            out.value("vrrp_rx_bufs_multiplier", Some(count));
        }
        Some(ReceiveBuffer::Adverts(count)) => {
            out.line("vrrp_rx_bufs_policy ADVERT");
            out.value("vrrp_rx_bufs_multiplier", Some(count));
        }
    }
    out.word("vmac_prefix", global.vmac_prefix.as_ref());
    out.word("vmac_addr_prefix", global.vmac_addr_prefix.as_ref());
    out.word("nftables", global.nftables.as_ref());
    let priority = Some(global.nftables_priority).filter(|priority| *priority != -1);
    out.value("nftables_priority", priority);
    out.flag("nftables_counters", global.nftables_counters);
    system(global, out);
}

fn mail(global: &Global, out: &mut Out) {
    let mail = &global.mail;
    out.block("notification_email", |out| {
        mail.to.iter().for_each(|to| out.line(Quoted(to)))
    });
    out.word("notification_email_from", mail.from.as_ref());
    if let Some((host, port)) = &mail.server {
        out.line(format_args!("smtp_server {} {port}", Quoted(host)));
    }
    out.word("smtp_helo_name", mail.helo.as_ref());
    if mail.timeout != Global::default().mail.timeout {
        out.line(format_args!(
            "smtp_connect_timeout {}",
            Seconds(mail.timeout)
        ));
    }
    out.switch("smtp_alert", mail.alert);
    out.switch("smtp_alert_vrrp", mail.alert_vrrp);
    out.switch("smtp_alert_checker", mail.alert_checker);
    out.flag("no_email_faults", !mail.faults);
}

fn fifo(keyword: &str, fifo: &Fifo, out: &mut Out) {
    if let Some((path, user)) = &fifo.path {
        out.line(format_args!("{keyword} {}{}", Quoted(path), ByUser(*user)));
    }
    out.command(&format!("{keyword}_script"), fifo.script.as_ref());
}

fn system(global: &Global, out: &mut Out) {
    out.value("umask", global.umask.map(|m| format!("0{m:o}")));
    out.flag("data_use_instance", global.files.with_instance);
    out.word("state_dump_file", global.files.state.as_ref());
    out.word("stats_dump_file", global.files.stats.as_ref());
    out.word("json_dump_file", global.files.json.as_ref());
    match &global.control_socket {
        ControlSocket::BesidePidFile => {}
        ControlSocket::At(path) => out.line(format_args!("control_socket {}", Quoted(path))),
        ControlSocket::Off => out.line(format_args!("control_socket off")),
    }
    if global.json_version != 1 {
        out.line(format_args!("json_version {}", global.json_version));
    }
    scheduling("vrrp", &global.vrrp_process, out);
    scheduling("checker", &global.checker_process, out);
    let (auto, default) = (global.auto_priority, Global::default().auto_priority);
    out.value(
        "max_auto_priority",
        Some(auto.most).filter(|most| *most != 0),
    );
    let delay = Some(auto.delay).filter(|delay| *delay != default.delay);
    out.value("min_auto_priority_delay", delay.map(micros));
    out.word("process_name", global.names.parent.as_ref());
    out.word("vrrp_process_name", global.names.vrrp.as_ref());
    out.word("checker_process_name", global.names.checkers.as_ref());
    out.word("reload_check_config", global.reload_log.as_ref());
    out.word("reload_time_file", global.reload_time.as_ref());
    out.flag("reload_repeat", global.reload_repeat);
    match &global.reload_file {
        Some(None) => out.line("reload_file"),
        given => out.word("reload_file", given.as_ref().and_then(Option::as_ref)),
    }
    out.word("iproute_etc_dir", global.iproute_etc.as_ref());
    out.word("iproute_usr_dir", global.iproute_usr.as_ref());
}

fn scheduling(process: &str, scheduling: &Scheduling, out: &mut Out) {
    out.value(&format!("{process}_priority"), scheduling.nice);
    out.flag(&format!("{process}_no_swap"), scheduling.no_swap);
    out.value(&format!("{process}_rt_priority"), scheduling.realtime);
    if !scheduling.cpus.is_empty() {
        let cpus: Vec<String> = scheduling.cpus.iter().map(u16::to_string).collect();
        out.line(format_args!("{process}_cpu_affinity {}", cpus.join(" ")));
    }
    out.value(&format!("{process}_rlimit_rttime"), scheduling.rttime);
}

/// The whole family, since a value that is not given follows another.
fn announcing(prefix: &str, a: &Announcing, out: &mut Out) {
    out.line(format_args!("{prefix}_master_delay {}", a.delay.as_secs()));
    out.line(format_args!("{prefix}_master_repeat {}", a.repeat));
    out.line(format_args!(
        "{prefix}_master_refresh {}",
        a.refresh.as_secs()
    ));
    out.line(format_args!(
        "{prefix}_master_refresh_repeat {}",
        a.refresh_repeat
    ));
    out.line(format_args!(
        "{prefix}_lower_prio_delay {}",
        a.lower_delay.as_secs()
    ));
    out.line(format_args!(
        "{prefix}_lower_prio_repeat {}",
        a.lower_repeat
    ));
    let all = if a.extra_everywhere { "all " } else { "" };
    out.line(format_args!(
        "{prefix}_extra_if {all}{}",
        a.extra_interface.as_secs()
    ));
}
