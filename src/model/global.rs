//! `global_defs`, and what stands outside any block.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::{Announcing, Command, User};
use crate::name::{IfName, Version};

/// Settings of the whole daemon. What is a default for instances has been filled in there already.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// `router_id`, in mails and logs only; the host's name where absent.
    pub router_id: Option<String>,
    /// Mail settings.
    pub mail: Mail,
    /// `script_user`; `None` is the user `keepalived_script` if there is one, else root.
    pub script_user: Option<User>,
    /// `enable_script_security`.
    pub script_security: bool,
    /// `startup_script` and its timeout.
    pub startup: Option<(Command, Duration)>,
    /// `shutdown_script` and its timeout.
    pub shutdown: Option<(Command, Duration)>,
    /// `notify_fifo`: lines of every instance, group and server.
    pub fifo: Fifo,
    /// `vrrp_notify_fifo`.
    pub vrrp_fifo: Fifo,
    /// `lvs_notify_fifo`.
    pub lvs_fifo: Fifo,
    /// `fifo_write_vrrp_states_on_reload`.
    pub fifo_states_on_reload: bool,
    /// `vrrp_notify_priority_changes`.
    pub notify_priority_changes: bool,
    /// `vrrp_version`.
    pub version: Version,
    /// `vrrp_mcast_group4`.
    pub group4: Ipv4Addr,
    /// `vrrp_mcast_group6`.
    pub group6: Ipv6Addr,
    /// `default_interface`; eth0 unless given.
    pub default_interface: Option<IfName>,
    /// `dynamic_interfaces`.
    pub dynamic_interfaces: bool,
    /// `vrrp_startup_delay`.
    pub startup_delay: Duration,
    /// The `vrrp_garp_*` family: defaults of every instance.
    pub announcing: Announcing,
    /// `disable_local_igmp`: do not join the multicast group by IGMP.
    pub disable_local_igmp: bool,
    /// `log_unknown_vrids`.
    pub log_unknown_vrids: bool,
    /// `data_use_instance` and the names of the dump files.
    pub files: DumpFiles,
    /// `json_version`, 1 or 2.
    pub json_version: u8,
    /// `control_socket`.
    pub control_socket: ControlSocket,
    /// `umask` of files that are written.
    pub umask: Option<u32>,
    /// `net_namespace`.
    pub net_namespace: Option<String>,
    /// `instance`: tells several daemons apart.
    pub instance: Option<String>,
    /// `use_pid_dir`.
    pub use_pid_dir: bool,
    /// `child_wait_time`: how long the parent waits for its children at stop.
    pub child_wait: Duration,
    /// `vrrp_priority` and its kin.
    pub vrrp_process: Scheduling,
    /// `checker_priority` and its kin.
    pub checker_process: Scheduling,
    /// `max_auto_priority` and `min_auto_priority_delay`.
    pub auto_priority: AutoPriority,
    /// `vrrp_rx_bufs_policy` with its multiplier; `None` is the system's.
    pub receive_buffer: Option<ReceiveBuffer>,
    /// `interface_up_down_delays`: interface, down delay, up delay.
    pub link_delays: Vec<(IfName, Duration, Duration)>,
    /// `linkbeat_use_polling`: of every interface.
    pub linkbeat_polling: bool,
    /// `linkbeat_interfaces`.
    pub linkbeat_interfaces: Vec<IfName>,
    /// `vmac_prefix`: names of virtual MAC interfaces begin with it; `vrrp` unless given.
    pub vmac_prefix: Option<String>,
    /// `vmac_addr_prefix`: likewise of those that carry addresses only.
    pub vmac_addr_prefix: Option<String>,
    /// `nftables`: the name of the table.
    pub nftables: Option<String>,
    /// `nftables_priority`: of the chains; lower is asked earlier.
    pub nftables_priority: i32,
    /// `nftables_counters`: count the packets that the rules concern.
    pub nftables_counters: bool,
    /// `reload_check_config`: always done; a log file may be named.
    pub reload_log: Option<String>,
    /// `reload_time_file`: names a file that tells when to reload.
    pub reload_time: Option<String>,
    /// `reload_repeat`: at that time every day.
    pub reload_repeat: bool,
    /// `reload_file`: there while a reload reads files; `Some(None)` is keepalived's name beside the pid files.
    pub reload_file: Option<Option<String>>,
    /// `iproute_etc_dir`: where names of routing tables, realms and protocols are defined.
    pub iproute_etc: Option<String>,
    /// `iproute_usr_dir`: the same, as the distribution ships them.
    pub iproute_usr: Option<String>,
    /// `process_names` and its kin.
    pub names: ProcessNames,
}

impl Global {
    /// Takes up the settings of a reload, but for those of the start, which cannot change while it runs.
    pub fn reload(&mut self, new: &Self) {
        let begun = core::mem::take(self);
        *self = Self {
            control_socket: begun.control_socket,
            net_namespace: begun.net_namespace,
            instance: begun.instance,
            use_pid_dir: begun.use_pid_dir,
            ..new.clone()
        };
    }
}

/// What processes are called in place of their own names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessNames {
    /// `process_name`.
    pub parent: Option<String>,
    /// `vrrp_process_name`.
    pub vrrp: Option<String>,
    /// `checker_process_name`, `lvs_process_name`.
    pub checkers: Option<String>,
}

/// `vrrp_rx_bufs_policy`: how much of what comes in may wait in a socket, for each virtual router that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveBuffer {
    /// So many bytes.
    Bytes(u32),
    /// `MTU`: so many of the largest packets of the interface.
    Packets(u32),
    /// `ADVERT`: so many of its adverts.
    Adverts(u32),
}

/// Mail settings of `global_defs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `notification_email`; no mail at all without one.
    pub to: Vec<String>,
    /// `notification_email_from`.
    pub from: Option<String>,
    /// `smtp_server`: address or name, and port.
    pub server: Option<(String, u16)>,
    /// `smtp_helo_name`.
    pub helo: Option<String>,
    /// `smtp_connect_timeout`; 30 s unless given.
    pub timeout: Duration,
    /// `smtp_alert`, `smtp_alert_vrrp`, `smtp_alert_checker`.
    pub alert: Option<bool>,
    /// `smtp_alert_vrrp`.
    pub alert_vrrp: Option<bool>,
    /// `smtp_alert_checker`.
    pub alert_checker: Option<bool>,
    /// False with `no_email_faults`.
    pub faults: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            from: None,
            server: None,
            helo: None,
            timeout: Duration::from_secs(30),
            alert: None,
            alert_vrrp: None,
            alert_checker: None,
            faults: true,
        }
    }
}

/// A notify FIFO and the script that reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fifo {
    /// Its path, and who owns it.
    pub path: Option<(String, Option<User>)>,
    /// The script; gets the path as its last argument.
    pub script: Option<Command>,
}

/// Where the files that signals ask for are written; `None` is keepalived's name in `/tmp` (or `TMPDIR`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpFiles {
    /// `state_dump_file`.
    pub state: Option<String>,
    /// `stats_dump_file`.
    pub stats: Option<String>,
    /// `json_dump_file`.
    pub json: Option<String>,
    /// `data_use_instance`.
    pub with_instance: bool,
}

/// Where `keepalite status` and its kin find the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ControlSocket {
    /// Beside the pid file of the parent.
    #[default]
    BesidePidFile,
    /// There.
    At(String),
    /// Nowhere.
    Off,
}

/// What a process that runs late may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoPriority {
    /// `max_auto_priority`: the highest real-time priority that it may take, 1 to 99; zero for none.
    pub most: u8,
    /// `min_auto_priority_delay`: what counts as late; 1 s unless given.
    pub delay: Duration,
}

/// How the kernel is to schedule a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// `*_priority`: nice value.
    pub nice: Option<i8>,
    /// `*_rt_priority`.
    pub realtime: Option<u8>,
    /// `*_no_swap`.
    pub no_swap: bool,
    /// `*_cpu_affinity`.
    pub cpus: Vec<u16>,
    /// `*_rlimit_rttime` in microseconds.
    pub rttime: Option<u64>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            router_id: None,
            mail: Mail::default(),
            script_user: None,
            script_security: false,
            startup: None,
            shutdown: None,
            fifo: Fifo::default(),
            vrrp_fifo: Fifo::default(),
            lvs_fifo: Fifo::default(),
            fifo_states_on_reload: false,
            notify_priority_changes: false,
            version: Version::V2,
            group4: Ipv4Addr::new(224, 0, 0, 18),
            group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            default_interface: None,
            dynamic_interfaces: false,
            startup_delay: Duration::ZERO,
            announcing: Announcing::default(),
            disable_local_igmp: false,
            log_unknown_vrids: false,
            files: DumpFiles::default(),
            json_version: 1,
            control_socket: ControlSocket::BesidePidFile,
            umask: None,
            net_namespace: None,
            instance: None,
            use_pid_dir: false,
            child_wait: Duration::from_secs(5),
            vrrp_process: Scheduling::default(),
            checker_process: Scheduling::default(),
            auto_priority: AutoPriority {
                most: 0,
                delay: Duration::from_secs(1),
            },
            receive_buffer: None,
            link_delays: Vec::new(),
            linkbeat_polling: false,
            linkbeat_interfaces: Vec::new(),
            vmac_prefix: None,
            vmac_addr_prefix: None,
            nftables: None,
            nftables_priority: -1,
            nftables_counters: false,
            reload_log: None,
            reload_time: None,
            reload_repeat: false,
            reload_file: None,
            iproute_etc: None,
            iproute_usr: None,
            names: ProcessNames::default(),
        }
    }
}
