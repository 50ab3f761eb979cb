//! `global_defs`.

use core::time::Duration;

use super::keys::Shape::{Any, Block as Braces, Value};
use super::keys::Status::{Ignored, Obeyed};
use super::keys::{Feature, Key, Status, Table, key, of};
use super::value::{Args, checked, integer};
use super::vrrp::At;
use crate::model::global::{ControlSocket, Fifo, ProcessNames, ReceiveBuffer, Scheduling};
use crate::model::lvs::SyncDaemon;
use crate::model::{Command, Global, Lvs, User};
use crate::name::Version;

/// `global_defs` while it is read: what stays global, and what is a default of instances.
#[derive(Default)]
pub(super) struct GlobalDraft {
    pub(super) global: Global,
    pub(super) lvs: Lvs,
    pub(super) sync_daemon: Option<At<SyncDaemon>>,
    pub(super) announcing: AnnouncingDraft,
    pub(super) min_garp: bool,
    pub(super) down_timer_adverts: Option<u8>,
    pub(super) lower_prio_no_advert: Option<bool>,
    pub(super) higher_prio_send_advert: bool,
    pub(super) owner_ignore_adverts: bool,
    pub(super) check_unicast_src: bool,
    pub(super) skip_check_adv_addr: bool,
    pub(super) strict: bool,
    pub(super) v3_checksum_as_v2: bool,
    startup: Hook,
    shutdown: Hook,
    buffers: Option<u32>,
}

#[derive(Default)]
struct Hook {
    command: Option<Command>,
    timeout: Option<Duration>,
}

impl Hook {
    fn take(&mut self) -> Option<(Command, Duration)> {
        let timeout = self.timeout.unwrap_or(Duration::from_secs(10));
        self.command.take().map(|c| (c, timeout))
    }
}

impl GlobalDraft {
    /// What waits for the end of the file.
    pub(super) fn finish(&mut self) {
        if let (
            Some(ReceiveBuffer::Packets(count) | ReceiveBuffer::Adverts(count)),
            Some(buffers),
        ) = (&mut self.global.receive_buffer, self.buffers)
        {
            *count = buffers;
        }
        self.global.startup = self.startup.take();
        self.global.shutdown = self.shutdown.take();
    }
}

/// The `garp_*` family of an instance, or of all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AnnouncingDraft {
    pub(super) delay: Option<Duration>,
    pub(super) repeat: Option<u32>,
    pub(super) refresh: Option<Duration>,
    pub(super) refresh_repeat: Option<u32>,
    pub(super) lower_delay: Option<Duration>,
    pub(super) lower_repeat: Option<u32>,
    pub(super) extra: Option<(Duration, bool)>,
}

const MOST: i64 = i32::MAX as i64;

/// `vrrp_rx_bufs_multiplier` where it is not given.
const BUFFERED: u32 = 3;

impl AnnouncingDraft {
    pub(super) fn set_repeat(slot: &mut Option<u32>, a: &mut Args<'_, '_, '_>) {
        let word = a.peek();
        if let (Some(repeat), Some(word)) = (a.number::<u32>(0..=MOST), word) {
            if repeat == 0 {
                a.context
                    .diags
                    .warn(word.at, "none at all is not possible, taken as 1");
            }
            *slot = Some(repeat.max(1));
        }
    }

    pub(super) fn set_delay(slot: &mut Option<Duration>, a: &mut Args<'_, '_, '_>) {
        *slot = a.seconds(0..=MOST).or(*slot);
    }

    pub(super) fn set_extra(&mut self, a: &mut Args<'_, '_, '_>) {
        let all = a.flag("all");
        self.extra = a.seconds(0..=86_400).map(|d| (d, all)).or(self.extra);
    }
}

const SNMP: Status = Ignored("this program has no SNMP agent");
const DBUS: Status = Ignored("this program has no D-Bus interface");
const IPTABLES: Status = Ignored("rules are made with nftables where they are needed");
const BUFFERS: Status = Ignored("netlink buffers grow by themselves");
pub(super) const NO_BFD: Status = Ignored("this program has no BFD process");
const PER_ADDRESS: Status = Ignored("each address of a group is a virtual server of its own");
const COPIES: Status = Ignored("the configuration is read once, no copy is needed");

pub(super) const GLOBAL: Table<GlobalDraft> = Table {
    block: "global_defs",
    keys: &[MAIL, SCRIPTS, VRRP, LVS, SYSTEM, OTHERS],
};

type Rows = &'static [Key<GlobalDraft>];

const MAIL: Rows = &[
    key("router_id", Value, Obeyed, |d, a| {
        d.global.router_id = a.text("a name")
    }),
    key("notification_email", Braces, Obeyed, |d, a| {
        let words = a.block.children().iter().flat_map(|b| b.words.iter());
        d.global.mail.to.extend(words.map(|w| w.text.to_owned()));
        if d.global.mail.to.is_empty() {
            a.context
                .diags
                .warn(a.block.at(), "notification_email names nobody");
        }
    }),
    key("notification_email_from", Value, Obeyed, |d, a| {
        d.global.mail.from = a.text("an address")
    }),
    key("smtp_server", Value, Obeyed, |d, a| {
        let host = a.text("a server").unwrap_or_default();
        let port = if a.peek().is_some() {
            a.number(1..=65_535)
        } else {
            Some(25)
        };
        d.global.mail.server = port.map(|port| (host, port));
    }),
    key("smtp_helo_name", Value, Obeyed, |d, a| {
        d.global.mail.helo = a.text("a name")
    }),
    key("smtp_connect_timeout", Value, Obeyed, |d, a| {
        d.global.mail.timeout = a
            .time(1..=u32::MAX as u64 * 1_000)
            .unwrap_or(d.global.mail.timeout);
    }),
    key("smtp_alert", Any, Obeyed, |d, a| {
        d.global.mail.alert = a.alert()
    }),
    key("smtp_alert_vrrp", Any, Obeyed, |d, a| {
        d.global.mail.alert_vrrp = a.alert()
    }),
    key("smtp_alert_checker", Any, Obeyed, |d, a| {
        d.global.mail.alert_checker = a.alert()
    }),
    key("no_email_faults", Any, Obeyed, |d, _| {
        d.global.mail.faults = false
    }),
    of(
        Feature::LVS,
        key("no_checker_emails", Any, Obeyed, |d, _| {
            d.lvs.no_checker_emails = true
        }),
    ),
];

const SCRIPTS: Rows = &[
    key("script_user", Value, Obeyed, |d, a| {
        d.global.script_user = a.user()
    }),
    key("enable_script_security", Any, Obeyed, |d, a| {
        d.global.script_security = a.switch().unwrap_or(d.global.script_security)
    }),
    key("startup_script", Value, Obeyed, |d, a| {
        d.startup.command = a.script()
    }),
    key("startup_script_timeout", Value, Obeyed, |d, a| {
        d.startup.timeout = a.seconds(1..=1000)
    }),
    key("shutdown_script", Value, Obeyed, |d, a| {
        d.shutdown.command = a.script()
    }),
    key("shutdown_script_timeout", Value, Obeyed, |d, a| {
        d.shutdown.timeout = a.seconds(1..=1000)
    }),
    key("notify_fifo", Value, Obeyed, |d, a| {
        fifo(&mut d.global.fifo, a)
    }),
    key("notify_fifo_script", Value, Obeyed, |d, a| {
        a.notify(&mut d.global.fifo.script)
    }),
    key("vrrp_notify_fifo", Value, Obeyed, |d, a| {
        fifo(&mut d.global.vrrp_fifo, a)
    }),
    key("vrrp_notify_fifo_script", Value, Obeyed, |d, a| {
        a.notify(&mut d.global.vrrp_fifo.script)
    }),
    of(
        Feature::LVS,
        key("lvs_notify_fifo", Value, Obeyed, |d, a| {
            fifo(&mut d.global.lvs_fifo, a)
        }),
    ),
    of(
        Feature::LVS,
        key("lvs_notify_fifo_script", Value, Obeyed, |d, a| {
            a.notify(&mut d.global.lvs_fifo.script)
        }),
    ),
    key("fifo_write_vrrp_states_on_reload", Any, Obeyed, |d, a| {
        d.global.fifo_states_on_reload = a.switch().unwrap_or(false)
    }),
];

const VRRP: Rows = &[
    key("vrrp_version", Value, Obeyed, |d, a| {
        d.global.version = version(a).unwrap_or(d.global.version)
    }),
    key("vrrp_mcast_group4", Value, Obeyed, |d, a| {
        let word = a.peek();
        match (a.address4(), word) {
            (Some(group), Some(word)) if !group.is_multicast() => {
                a.error(word, format!("{group} is no multicast address"));
            }
            (Some(group), _) => d.global.group4 = group,
            _ => {}
        }
    }),
    key("vrrp_mcast_group6", Value, Obeyed, |d, a| {
        let word = a.peek();
        match (a.address6(), word) {
            (Some(group), Some(word)) if !group.is_multicast() => {
                a.error(word, format!("{group} is no multicast address"));
            }
            (Some(group), _) => d.global.group6 = group,
            _ => {}
        }
    }),
    key("default_interface", Value, Obeyed, |d, a| {
        d.global.default_interface = a.interface()
    }),
    key("dynamic_interfaces", Any, Obeyed, |d, a| {
        if a.flag("allow_if_changes") {
            d.global.dynamic_interfaces = true;
        } else {
            d.global.dynamic_interfaces = a.switch().unwrap_or(false);
        }
    }),
    key("vrrp_startup_delay", Value, Obeyed, |d, a| {
        d.global.startup_delay = a.time(0..=u32::MAX as u64 * 1_000_000).unwrap_or_default();
    }),
    key("vrrp_garp_master_delay", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_delay(&mut d.announcing.delay, a)
    }),
    key("vrrp_garp_master_repeat", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_repeat(&mut d.announcing.repeat, a)
    }),
    key("vrrp_garp_master_refresh", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_delay(&mut d.announcing.refresh, a)
    }),
    key("vrrp_garp_master_refresh_repeat", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_repeat(&mut d.announcing.refresh_repeat, a)
    }),
    key("vrrp_garp_lower_prio_delay", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_delay(&mut d.announcing.lower_delay, a)
    }),
    key("vrrp_garp_lower_prio_repeat", Value, Obeyed, |d, a| {
        d.announcing.lower_repeat = a.number(0..=MOST).or(d.announcing.lower_repeat)
    }),
    key("vrrp_garp_interval", Value, Obeyed, |d, a| {
        pace(&mut d.global.announcing.arp_pace, a)
    }),
    key("vrrp_gna_interval", Value, Obeyed, |d, a| {
        pace(&mut d.global.announcing.na_pace, a)
    }),
    key("vrrp_min_garp", Any, Obeyed, |d, a| {
        d.min_garp = a.switch().unwrap_or(false)
    }),
    key("vrrp_garp_extra_if", Value, Obeyed, |d, a| {
        d.announcing.set_extra(a)
    }),
    key("vrrp_vmac_garp_intvl", Value, Obeyed, |d, a| {
        d.announcing.set_extra(a)
    }),
    key("vrrp_down_timer_adverts", Value, Obeyed, |d, a| {
        d.down_timer_adverts = a.number(1..=100)
    }),
    key("vrrp_lower_prio_no_advert", Any, Obeyed, |d, a| {
        d.lower_prio_no_advert = a.switch()
    }),
    key("vrrp_higher_prio_send_advert", Any, Obeyed, |d, a| {
        d.higher_prio_send_advert = a.switch().unwrap_or(false)
    }),
    key("vrrp_check_unicast_src", Any, Obeyed, |d, a| {
        d.check_unicast_src = a.switch().unwrap_or(false)
    }),
    key("vrrp_skip_check_adv_addr", Any, Obeyed, |d, a| {
        d.skip_check_adv_addr = a.switch().unwrap_or(false)
    }),
    key("vrrp_owner_ignore_adverts", Any, Obeyed, |d, a| {
        d.owner_ignore_adverts = a.switch().unwrap_or(false)
    }),
    key("vrrp_strict", Any, Obeyed, |d, a| {
        d.strict = a.switch().unwrap_or(false)
    }),
    key("v3_checksum_as_v2", Any, Obeyed, |d, a| {
        d.v3_checksum_as_v2 = a.switch().unwrap_or(false)
    }),
    key("log_unknown_vrids", Any, Obeyed, |d, a| {
        d.global.log_unknown_vrids = a.switch().unwrap_or(false)
    }),
    key("vrrp_notify_priority_changes", Any, Obeyed, |d, a| {
        d.global.notify_priority_changes = a.switch().unwrap_or(false)
    }),
    key("disable_local_igmp", Any, Obeyed, |d, a| {
        d.global.disable_local_igmp = a.switch().unwrap_or(false)
    }),
    key("vrrp_rx_bufs_policy", Value, Obeyed, |d, a| {
        d.global.receive_buffer = if a.flag("MTU") {
            Some(ReceiveBuffer::Packets(BUFFERED))
        } else if a.flag("ADVERT") {
            Some(ReceiveBuffer::Adverts(BUFFERED))
        } else {
            a.number(1..=MOST).map(ReceiveBuffer::Bytes)
        };
    }),
    key("vrrp_rx_bufs_multiplier", Value, Obeyed, |d, a| {
        d.buffers = a.number(1..=MOST)
    }),
    key("vmac_prefix", Value, Obeyed, |d, a| {
        d.global.vmac_prefix = a.text("a prefix")
    }),
    key("vmac_addr_prefix", Value, Obeyed, |d, a| {
        d.global.vmac_addr_prefix = a.text("a prefix")
    }),
    key("nftables", Any, Obeyed, |d, a| {
        d.global.nftables = Some(
            a.word()
                .map_or_else(|| "keepalived".to_owned(), |w| w.text.to_owned()),
        );
    }),
    key("nftables_priority", Value, Obeyed, |d, a| {
        d.global.nftables_priority = a.number(-MOST..=MOST).unwrap_or(-1)
    }),
    key("nftables_counters", Any, Obeyed, |d, _| {
        d.global.nftables_counters = true
    }),
    // Link-local addresses always go with the number of their interface.
    key("nftables_ifindex", Any, Obeyed, |_, _| {}),
    key("vrrp_iptables", Any, IPTABLES, |_, a| a.skip()),
    key("vrrp_ipsets", Any, IPTABLES, |_, a| a.skip()),
];

const LVS: Rows = &[
    of(
        Feature::LVS,
        key("checker_log_all_failures", Any, Obeyed, |d, a| {
            d.lvs.log_all_failures = a.switch().unwrap_or(false)
        }),
    ),
    of(
        Feature::LVS,
        key("lvs_timeouts", Value, Obeyed, |d, a| {
            while let Some(word) = a.word() {
                let slot = match word.text {
                    "tcp" => &mut d.lvs.timeouts.tcp,
                    "tcpfin" => &mut d.lvs.timeouts.tcp_fin,
                    "udp" => &mut d.lvs.timeouts.udp,
                    _ => {
                        a.error(word, format!("unknown timeout '{}'", word.text))
                            .hint("expected tcp, tcpfin or udp");
                        continue;
                    }
                };
                *slot = a.number(1..=MOST).or(*slot);
            }
        }),
    ),
    of(
        Feature::LVS,
        key("lvs_flush", Any, Obeyed, |d, _| d.lvs.flush = true),
    ),
    of(
        Feature::LVS,
        key("lvs_flush_on_stop", Any, Obeyed, |d, a| {
            d.lvs.set_flush_on_stop(a.flag("VS"))
        }),
    ),
    of(
        Feature::LVS,
        key("lvs_flush_onstop", Any, Obeyed, |d, a| {
            d.lvs.set_flush_on_stop(a.flag("VS"))
        }),
    ),
    of(
        Feature::LVS,
        key("lvs_sync_daemon", Value, Obeyed, |d, a| {
            d.sync_daemon = At::new(super::lvs::sync_daemon(a), a)
        }),
    ),
    of(
        Feature::LVS,
        key("rs_init_notifies", Any, Obeyed, |d, _| {
            d.lvs.init_notifies = true
        }),
    ),
    key("nftables_ipvs", Any, PER_ADDRESS, |_, a| a.skip()),
    key("nftables_ipvs_priority", Value, PER_ADDRESS, |_, a| {
        checked(a.number::<i32>(-MOST..=MOST))
    }),
    key("nftables_ipvs_start_fwmark", Value, PER_ADDRESS, |_, a| {
        checked(a.number::<u32>(1..=u32::MAX as i64))
    }),
];

const SYSTEM: Rows = &[
    key("umask", Value, Obeyed, |d, a| d.global.umask = umask(a)),
    key("data_use_instance", Any, Obeyed, |d, a| {
        d.global.files.with_instance = a.switch().unwrap_or(false)
    }),
    key("state_dump_file", Value, Obeyed, |d, a| {
        d.global.files.state = a.text("a path")
    }),
    key("stats_dump_file", Value, Obeyed, |d, a| {
        d.global.files.stats = a.text("a path")
    }),
    key("json_dump_file", Value, Obeyed, |d, a| {
        d.global.files.json = a.text("a path")
    }),
    key("control_socket", Value, Obeyed, |d, a| {
        if let Some(path) = a.text("a path, or off") {
            d.global.control_socket = match path.as_str() {
                "off" => ControlSocket::Off,
                _ => ControlSocket::At(path),
            };
        }
    }),
    key("json_version", Value, Obeyed, |d, a| {
        d.global.json_version = a.number(1..=2).unwrap_or(1)
    }),
    key("vrrp_priority", Value, Obeyed, |d, a| {
        nice(&mut d.global.vrrp_process, a)
    }),
    key("vrrp_no_swap", Any, Obeyed, |d, _| {
        d.global.vrrp_process.no_swap = true
    }),
    key("vrrp_rt_priority", Value, Obeyed, |d, a| {
        d.global.vrrp_process.realtime = a.number(1..=99)
    }),
    key("vrrp_cpu_affinity", Value, Obeyed, |d, a| {
        cpus(&mut d.global.vrrp_process, a)
    }),
    key("vrrp_rlimit_rttime", Value, Obeyed, |d, a| {
        d.global.vrrp_process.rttime = a.number(1..=MOST)
    }),
    key("vrrp_rlimit_rtime", Value, Obeyed, |d, a| {
        d.global.vrrp_process.rttime = a.number(1..=MOST)
    }),
    key("checker_priority", Value, Obeyed, |d, a| {
        nice(&mut d.global.checker_process, a)
    }),
    key("checker_no_swap", Any, Obeyed, |d, _| {
        d.global.checker_process.no_swap = true
    }),
    key("checker_rt_priority", Value, Obeyed, |d, a| {
        d.global.checker_process.realtime = a.number(1..=99)
    }),
    key("checker_cpu_affinity", Value, Obeyed, |d, a| {
        cpus(&mut d.global.checker_process, a)
    }),
    key("checker_rlimit_rttime", Value, Obeyed, |d, a| {
        d.global.checker_process.rttime = a.number(1..=MOST)
    }),
    key("checker_rlimit_rtime", Value, Obeyed, |d, a| {
        d.global.checker_process.rttime = a.number(1..=MOST)
    }),
    key("max_auto_priority", Any, Obeyed, |d, a| {
        let most: Option<i8> = match a.peek() {
            Some(_) => a.number(-1..=99),
            None => Some(99),
        };
        // Where -1 is none, too, and no word about it.
        d.global.auto_priority.most = most.map_or(0, |most| most.max(0).unsigned_abs());
    }),
    key("min_auto_priority_delay", Value, Obeyed, |d, a| {
        let micros = a.number(1..=10_000_000);
        d.global.auto_priority.delay =
            micros.map_or(d.global.auto_priority.delay, Duration::from_micros);
    }),
    key("reload_check_config", Any, Obeyed, |d, a| {
        d.global.reload_log = a.word().map(|w| w.text.to_owned())
    }),
    key("include_check", Any, Obeyed, |_, a| {
        while let Some(word) = a.word() {
            let name = word.text.trim_start_matches(['+', '-']);
            if !["readable", "match", "wildcard_match", "brace_match", ""].contains(&name) {
                a.error(word, format!("unknown check '{name}'"))
                    .hint("expected readable, match, wildcard_match or brace_match");
            }
        }
    }),
    key("random_seed", Value, Obeyed, |_, a| {
        checked(a.number::<u32>(0..=u32::MAX as i64))
    }),
    key("reload_time_file", Value, Obeyed, |d, a| {
        d.global.reload_time = absolute(a)
    }),
    key("reload_repeat", Any, Obeyed, |d, _| {
        d.global.reload_repeat = true
    }),
    key("reload_file", Any, Obeyed, |d, a| {
        d.global.reload_file = match a.peek() {
            None => Some(None),
            Some(_) => absolute(a).map(Some),
        };
    }),
    key("iproute_usr_dir", Value, Obeyed, |d, a| {
        d.global.iproute_usr = a.text("a directory");
        a.context.names.usr.clone_from(&d.global.iproute_usr);
    }),
    key("iproute_etc_dir", Value, Obeyed, |d, a| {
        d.global.iproute_etc = a.text("a directory");
        a.context.names.etc.clone_from(&d.global.iproute_etc);
    }),
    key("process_names", Any, Obeyed, |d, _| {
        let [parent, vrrp, checkers] = ["keepalived", "keepalived_vrrp", "keepalived_ipvs"];
        d.global.names = ProcessNames {
            parent: Some(parent.to_owned()),
            vrrp: Some(vrrp.to_owned()),
            checkers: Some(checkers.to_owned()),
        };
    }),
    key("process_name", Value, Obeyed, |d, a| {
        d.global.names.parent = process_name(a)
    }),
    key("vrrp_process_name", Value, Obeyed, |d, a| {
        d.global.names.vrrp = process_name(a)
    }),
    key("checker_process_name", Value, Obeyed, |d, a| {
        d.global.names.checkers = process_name(a)
    }),
    key("lvs_process_name", Value, Obeyed, |d, a| {
        d.global.names.checkers = process_name(a)
    }),
];

const OTHERS: Rows = &[
    key("bfd_process_name", Value, NO_BFD, |_, a| a.skip()),
    key("bfd_priority", Value, NO_BFD, |_, a| a.skip()),
    key("bfd_no_swap", Any, NO_BFD, |_, a| a.skip()),
    key("bfd_rt_priority", Value, NO_BFD, |_, a| a.skip()),
    key("bfd_cpu_affinity", Value, NO_BFD, |_, a| a.skip()),
    key("bfd_rlimit_rttime", Value, NO_BFD, |_, a| a.skip()),
    key("bfd_rlimit_rtime", Value, NO_BFD, |_, a| a.skip()),
    key("vrrp_netlink_cmd_rcv_bufs", Value, BUFFERS, |_, a| a.skip()),
    key("vrrp_netlink_cmd_rcv_bufs_force", Any, BUFFERS, |_, a| {
        a.skip()
    }),
    key("vrrp_netlink_monitor_rcv_bufs", Value, BUFFERS, |_, a| {
        a.skip()
    }),
    key(
        "vrrp_netlink_monitor_rcv_bufs_force",
        Any,
        BUFFERS,
        |_, a| a.skip(),
    ),
    key("lvs_netlink_cmd_rcv_bufs", Value, BUFFERS, |_, a| a.skip()),
    key("lvs_netlink_cmd_rcv_bufs_force", Any, BUFFERS, |_, a| {
        a.skip()
    }),
    key("lvs_netlink_monitor_rcv_bufs", Value, BUFFERS, |_, a| {
        a.skip()
    }),
    key(
        "lvs_netlink_monitor_rcv_bufs_force",
        Any,
        BUFFERS,
        |_, a| a.skip(),
    ),
    key("process_monitor_rcv_bufs", Value, BUFFERS, |_, a| a.skip()),
    key("process_monitor_rcv_bufs_force", Any, BUFFERS, |_, a| {
        a.skip()
    }),
    key("snmp_socket", Any, SNMP, |_, a| a.skip()),
    key("enable_traps", Any, SNMP, |_, a| a.skip()),
    key("enable_snmp_vrrp", Any, SNMP, |_, a| a.skip()),
    key("enable_snmp_keepalived", Any, SNMP, |_, a| a.skip()),
    key("enable_snmp_checker", Any, SNMP, |_, a| a.skip()),
    key("enable_snmp_rfc", Any, SNMP, |_, a| a.skip()),
    key("enable_snmp_rfcv2", Any, SNMP, |_, a| a.skip()),
    key("enable_snmp_rfcv3", Any, SNMP, |_, a| a.skip()),
    key("snmp_vs_stats_update_interval", Value, SNMP, |_, a| {
        a.skip()
    }),
    key("snmp_rs_stats_update_interval", Value, SNMP, |_, a| {
        a.skip()
    }),
    key("enable_dbus", Any, DBUS, |_, a| a.skip()),
    key("dbus_service_name", Value, DBUS, |_, a| a.skip()),
    key("dbus_no_interface_name", Any, DBUS, |_, a| a.skip()),
    key("tmp_config_directory", Value, COPIES, |_, a| a.skip()),
    key("config_save_dir", Value, COPIES, |_, a| a.skip()),
    key(
        "use_symlink_paths",
        Any,
        Ignored("a script is run by the path that is given"),
        |_, a| a.skip(),
    ),
];

/// A path from the root, wherever the daemon is started.
fn absolute(a: &mut Args<'_, '_, '_>) -> Option<String> {
    let word = a.need("a path")?;
    let absolute = word.text.starts_with('/');
    if !absolute {
        a.error(word, format!("'{}' is no path from the root", word.text))
            .hint("it begins with '/'");
    }
    absolute.then(|| word.text.to_owned())
}

/// A name that the kernel keeps in full.
fn process_name(a: &mut Args<'_, '_, '_>) -> Option<String> {
    let word = a.need("a name")?;
    if word.text.len() > 15 {
        let what = format!("the kernel keeps 15 letters of '{}'", word.text);
        a.context.diags.warn(word.at, what);
    }
    Some(word.text.to_owned())
}

/// 2 or 3.
pub(super) fn version(a: &mut Args<'_, '_, '_>) -> Option<Version> {
    match a.number::<u8>(2..=3) {
        Some(2) => Some(Version::V2),
        Some(_) => Some(Version::V3),
        None => None,
    }
}

/// Between two announcements; distributions ship a zero, which is the default.
pub(super) fn pace(slot: &mut Duration, a: &mut Args<'_, '_, '_>) {
    let word = a.peek();
    let Some(pace) = a.time(0..=u32::MAX as u64 * 1_000_000) else {
        return;
    };
    if let (true, Some(word)) = (pace.is_zero(), word) {
        let what = format!("'{} 0' says what is so without it", a.block.keyword());
        a.context.diags.warn(word.at, what).hint("remove the line");
    }
    *slot = pace;
}

fn fifo(fifo: &mut Fifo, a: &mut Args<'_, '_, '_>) {
    let Some(path) = a.text("a path") else {
        return;
    };
    let user: Option<User> = if a.peek().is_some() { a.user() } else { None };
    if fifo.path.is_some() {
        a.context
            .diags
            .warn(
                a.block.at(),
                format!("'{}' is given twice", a.block.keyword()),
            )
            .hint("the first one counts");
    } else {
        fifo.path = Some((path, user));
    }
}

fn nice(process: &mut Scheduling, a: &mut Args<'_, '_, '_>) {
    process.nice = a.number(-20..=19);
}

fn cpus(process: &mut Scheduling, a: &mut Args<'_, '_, '_>) {
    while a.peek().is_some() {
        process.cpus.extend(a.number::<u16>(0..=4095));
    }
}

/// A number as in C, or names of mode bits joined by `|`.
fn umask(a: &mut Args<'_, '_, '_>) -> Option<u32> {
    let word = a.need("a mask")?;
    let number = match word.text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() && octal.bytes().all(|b| b.is_ascii_digit()) => {
            u32::from_str_radix(octal, 8).ok()
        }
        _ => integer(word.text).and_then(|n| u32::try_from(n).ok()),
    };
    if let Some(mask) = number.filter(|m| *m <= 0o777) {
        return Some(mask);
    }
    let mut mask = 0;
    for name in word.text.split('|') {
        let who = [("USR", 6), ("GRP", 3), ("OTH", 0)]
            .into_iter()
            .find(|(who, _)| name.ends_with(who));
        let what = [("IR", 4), ("IW", 2), ("IX", 1)]
            .into_iter()
            .find(|(what, _)| name.starts_with(what));
        match (what, who) {
            (Some((_, bit)), Some((_, shift))) if name.len() == 5 => mask |= bit << shift,
            _ => {
                a.error(word, format!("'{}' is no umask", word.text))
                    .hint("expected a number such as 022, or IWGRP|IWOTH");
                return None;
            }
        }
    }
    Some(mask)
}
