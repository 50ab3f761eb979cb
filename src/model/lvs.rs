//! Virtual servers, their pools and the checks of their members.

use core::fmt;
use core::net::IpAddr;
use core::ops::Deref;
use core::time::Duration;
use std::rc::Rc;

use super::{Command, Weight};
use crate::name::{Family, IfName};

/// `virtual_server_group`, `virtual_server`, `SSL`, and what `global_defs` says about LVS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lvs {
    /// `lvs_timeouts`, in seconds; `None` leaves the kernel's.
    pub timeouts: Timeouts,
    /// `lvs_flush`: the table is emptied at start.
    pub flush: bool,
    /// `lvs_flush_on_stop`.
    pub flush_on_stop: FlushOnStop,
    /// `lvs_sync_daemon`.
    pub sync_daemon: Option<SyncDaemon>,
    /// `rs_init_notifies`: also the first state of a real server is notified.
    pub init_notifies: bool,
    /// `checker_log_all_failures`.
    pub log_all_failures: bool,
    /// `no_checker_emails`.
    pub no_checker_emails: bool,
    /// `SSL`: files for `SSL_GET`.
    pub tls: Option<Tls>,
    /// `virtual_server_group`.
    pub groups: Vec<Group>,
    /// `virtual_server`.
    pub servers: Vec<VirtualServer>,
}

impl Lvs {
    /// All but groups and servers.
    #[must_use]
    pub fn settings(&mut self) -> Self {
        let groups = core::mem::take(&mut self.groups);
        let servers = core::mem::take(&mut self.servers);
        let settings = self.clone();
        (self.groups, self.servers) = (groups, servers);
        settings
    }

    pub(crate) const fn set_flush_on_stop(&mut self, servers: bool) {
        self.flush_on_stop = if servers {
            FlushOnStop::Servers
        } else {
            FlushOnStop::All
        };
    }
}

/// `lvs_timeouts`, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Of an established TCP session.
    pub tcp: Option<u32>,
    /// Of a TCP session after FIN.
    pub tcp_fin: Option<u32>,
    /// Of UDP.
    pub udp: Option<u32>,
}

/// How the table is left at stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushOnStop {
    /// Every real server is removed, then every virtual one.
    #[default]
    No,
    /// The whole table goes at once.
    All,
    /// Our virtual servers go with their real ones.
    Servers,
}

/// `lvs_sync_daemon`: connections are copied between routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// The interface that it sends and listens on.
    pub interface: IfName,
    /// The instance whose state it follows; both roles without one.
    pub instance: Option<String>,
    /// `id`, 0 to 255; the VRID of the instance unless given.
    pub id: Option<u8>,
    /// `maxlen` of a packet, 1 to 65507.
    pub max_len: Option<u16>,
    /// `port`.
    pub port: Option<u16>,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// `group`: multicast address.
    pub group: Option<IpAddr>,
}

impl SyncDaemon {
    /// One with all else at its default.
    pub(crate) const fn on(interface: IfName) -> Self {
        Self {
            interface,
            instance: None,
            id: None,
            max_len: None,
            port: None,
            ttl: None,
            group: None,
        }
    }
}

/// `SSL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// `password` of the key.
    pub password: Option<String>,
    /// `ca`: file of authorities.
    pub ca: Option<String>,
    /// `certificate`.
    pub certificate: Option<String>,
    /// `key`.
    pub key: Option<String>,
}

/// `virtual_server_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its lines.
    pub entries: Vec<Entry>,
}

/// One line of a `virtual_server_group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Addresses from the first to the last, both included, and their port; 0 is any.
    Addresses {
        /// First address.
        first: IpAddr,
        /// Last address, of the same family.
        last: IpAddr,
        /// Port.
        port: u16,
    },
    /// `fwmark`, with its family where given.
    Mark(u32, Option<Family>),
}

/// What packets a virtual server is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// An address and a port; 0 is any.
    Address(IpAddr, u16),
    /// Packets with a firewall mark.
    Mark(u32),
    /// The addresses and marks of a group.
    Group(String),
}

/// As it stands behind `virtual_server`.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip, port) => write!(f, "{ip} {port}"),
            Self::Mark(mark) => write!(f, "fwmark {mark}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// `protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// As the configuration has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }

    /// As the kernel's tools have it.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// `lvs_method`, `lb_kind`: how packets get to a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// Addresses are translated.
    #[default]
    Nat,
    /// The Ethernet address is replaced.
    Direct,
    /// The packet is wrapped.
    Tunnel(Tunnel, TunnelChecksum),
}

/// `TUN type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnel {
    /// IP in IP.
    #[default]
    IpIp,
    /// Generic UDP encapsulation, to this port.
    Gue(u16),
    /// Generic routing encapsulation.
    Gre,
}

/// Checksum of the wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelChecksum {
    /// `nocsum`.
    #[default]
    None,
    /// `csum`.
    Full,
    /// `remcsum`.
    Remote,
}

/// `persistence_timeout` and its kin: a client stays with its real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// How long after its last connection; 360 s unless given.
    pub timeout: Duration,
    /// Prefix length of what counts as one client.
    pub granularity: Option<u8>,
    /// `persistence_engine sip`.
    pub sip: bool,
}

/// `virtual_server`.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualServer {
    /// What it is for.
    pub service: Service,
    /// `protocol`; `None` where a mark says it all.
    pub protocol: Option<Protocol>,
    /// `ip_family`, or that of its address or first real server.
    pub family: Option<Family>,
    /// `lvs_sched`, as the kernel names it.
    pub scheduler: &'static str,
    /// `IP_VS_SVC_F_SCHED1` and its kin of linux/ip_vs.h, and `IP_VS_SVC_F_ONEPACKET`.
    pub flags: u32,
    /// `lvs_method`: default of its real servers.
    pub forwarding: Forwarding,
    /// `persistence_*`.
    pub persistence: Option<Persistence>,
    /// `sorry_server`.
    pub sorry: Option<Sorry>,
    /// `real_server`.
    pub real: Vec<RealServer>,
    /// `quorum`: least weight of live servers for it to be up.
    pub quorum: u32,
    /// `hysteresis` around the quorum.
    pub hysteresis: u32,
    /// `quorum_up`.
    pub quorum_up: Option<Box<Command>>,
    /// `quorum_down`.
    pub quorum_down: Option<Box<Command>>,
    /// `alpha`: all are down until proven.
    pub alpha: bool,
    /// `omega`: down scripts run at stop.
    pub omega: bool,
    /// `ha_suspend`: checks rest while its address is not here.
    pub ha_suspend: bool,
    /// `smtp_alert`.
    pub mail: Option<bool>,
    /// `virtualhost`.
    pub virtual_host: Option<String>,
}

/// `sorry_server`: stands in while the quorum is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorry {
    /// Its address.
    pub ip: IpAddr,
    /// Its port; 0 is that of the service.
    pub port: u16,
    /// `sorry_server_inhibit`.
    pub inhibit: bool,
    /// `sorry_server_lvs_method`.
    pub forwarding: Forwarding,
}

/// `real_server`.
#[derive(Clone, Debug, PartialEq)]
pub struct RealServer {
    /// Its address.
    pub ip: IpAddr,
    /// Its port; 0 is that of the service.
    pub port: u16,
    /// `weight`.
    pub weight: u32,
    /// `lvs_method`.
    pub forwarding: Forwarding,
    /// `inhibit_on_failure`: weight 0 instead of removal.
    pub inhibit: bool,
    /// `uthreshold`: most connections; 0 is no limit.
    pub upper: u32,
    /// `lthreshold`: fewest connections for it to be used again.
    pub lower: u32,
    /// `notify_up`.
    pub notify_up: Option<Box<Command>>,
    /// `notify_down`.
    pub notify_down: Option<Box<Command>>,
    /// `smtp_alert`.
    pub mail: Option<bool>,
    /// `virtualhost`.
    pub virtual_host: Option<String>,
    /// Its checks; always up without any.
    pub checkers: Vec<Checker>,
}

/// A check of a real server; what server and service say is filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Checker {
    /// `connect_ip`.
    pub ip: IpAddr,
    /// `connect_port`.
    pub port: u16,
    /// All else, once for the many that differ in nothing else.
    pub settings: Rc<Settings>,
}

impl Deref for Checker {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.settings
    }
}

/// What checks of several servers may have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How it connects.
    pub way: Way,
    /// When it runs.
    pub pace: Pace,
    /// `alpha`: down until proven.
    pub alpha: bool,
    /// `log_all_failures`.
    pub log_all_failures: bool,
    /// What it does.
    pub check: Check,
}

/// How a check connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// `bindto`.
    pub bind_ip: Option<IpAddr>,
    /// `bind_port`.
    pub bind_port: Option<u16>,
    /// `bind_if`.
    pub bind_interface: Option<IfName>,
    /// `fwmark`.
    pub mark: Option<u32>,
    /// `connect_timeout`.
    pub timeout: Duration,
}

/// When a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// `delay_loop`: between two checks.
    pub interval: Duration,
    /// `retry`: failures that are borne after the first.
    pub retry: u32,
    /// `delay_before_retry`.
    pub retry_delay: Duration,
    /// `warmup`: the first check comes at random within this.
    pub warmup: Duration,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// `TCP_CHECK`.
    Tcp,
    /// `HTTP_GET`, `SSL_GET`.
    Http(Http),
    /// `SMTP_CHECK` and its `helo_name`.
    Smtp(Option<String>),
    /// `DNS_CHECK`.
    Dns {
        /// `type`: record type by number.
        record: u16,
        /// `name`.
        name: String,
    },
    /// `UDP_CHECK`.
    Udp(Udp),
    /// `PING_CHECK`.
    Ping,
    /// `MISC_CHECK`.
    Misc {
        /// `misc_path`.
        command: Command,
        /// `misc_timeout`.
        timeout: Duration,
        /// `misc_dynamic`: its exit status is a weight.
        dynamic: bool,
    },
    /// `FILE_CHECK`: name of a `track_file`, and the weight of its number.
    File(String, Option<Weight>),
    /// `BFD_CHECK`: name of a `bfd_instance`.
    Bfd(String),
}

/// `HTTP_GET` and `SSL_GET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// `SSL_GET`.
    pub tls: bool,
    /// `http_protocol`.
    pub protocol: HttpProtocol,
    /// `enable_sni`.
    pub sni: bool,
    /// `fast_recovery`: no pause between the pages after a failure.
    pub fast_recovery: bool,
    /// `tls_compliant`: the peer must say goodbye.
    pub tls_compliant: bool,
    /// `virtualhost`.
    pub virtual_host: Option<String>,
    /// `url`: the pages, all of which must be right.
    pub urls: Vec<Url>,
}

/// `http_protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpProtocol {
    /// 1.0 without a Connection header.
    #[default]
    V1_0,
    /// 1.0 with `Connection: close`.
    V1_0Close,
    /// 1.1 with `Connection: close`.
    V1_1,
}

/// `url`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// `path`.
    pub path: String,
    /// `digest`: MD5 of the body.
    pub digest: Option<[u8; 16]>,
    /// `status_code`: ranges, both ends included; 200 to 299 unless given.
    pub status: Vec<(u16, u16)>,
    /// `virtualhost`.
    pub virtual_host: Option<String>,
    /// `regex` and its kin.
    pub regex: Option<Regex>,
    /// `tls_compliant`.
    pub tls_compliant: Option<bool>,
}

/// `regex` of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regex {
    /// The expression.
    pub pattern: String,
    /// `regex_no_match`: it must not match.
    pub negate: bool,
    /// `regex_options`, the words of pcre2api(3).
    pub options: Vec<String>,
    /// `regex_min_offset`.
    pub min_offset: u32,
    /// `regex_max_offset`.
    pub max_offset: Option<u32>,
}

/// `UDP_CHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// `payload`; something random unless given.
    pub payload: Option<Vec<u8>>,
    /// `require_reply`: bytes with the bits that count; empty is any reply.
    pub reply: Option<Vec<(u8, u8)>>,
    /// `min_reply_length`.
    pub min_reply: u16,
    /// `max_reply_length`; 255 unless given.
    pub max_reply: u16,
}
