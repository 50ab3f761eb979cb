//! What a run can be told on its command line: keepalived's options by keepalived's names, and a few of our own.

use argh::{ArgsInfo, FromArgs};

use super::command::Command;
use super::levels::Levels;
use super::logger::Facility;
use super::supervise::Role;

/// Where keepalived looks for its configuration.
const CONFIG: &str = "/etc/keepalived/keepalived.conf";

/// Virtual routers (VRRP) as keepalived runs them, for small routers.
/// Reads keepalived's configuration file and heeds its signals: HUP reads it again, USR1 and USR2
/// write state and statistics to /tmp, TERM stops.
#[derive(ArgsInfo, Clone, Debug, Default, FromArgs, PartialEq, Eq)]
pub struct Options {
    /// the configuration file; /etc/keepalived/keepalived.conf unless given
    #[argh(option, short = 'f', arg_name = "FILE", default = "CONFIG.to_owned()")]
    pub use_file: String,
    /// check the configuration and stop: to the standard error, or to LOG if attached (-tLOG)
    #[argh(option, short = 't', arg_name = "[LOG]")]
    pub config_test: Option<String>,
    /// with --config-test, warnings are errors too
    #[argh(switch)]
    pub strict_test: bool,
    /// keep lines that begin with @ID, skip those with @^ID; the host's name unless given
    #[argh(option, short = 'i', arg_name = "ID")]
    pub config_id: Option<String>,
    /// a file that an include names and that is missing is an error
    #[argh(switch, short = 'e')]
    pub all_config: bool,
    /// stay in the foreground
    #[argh(switch, short = 'n')]
    pub dont_fork: bool,
    /// one process and no watchdog: for procd, systemd and other supervisors
    #[argh(switch)]
    pub single: bool,
    /// run only virtual routers
    #[argh(switch, short = 'P')]
    pub vrrp: bool,
    /// run only health checkers
    #[argh(switch, short = 'C')]
    pub check: bool,
    /// run every process, also one that has nothing to do
    #[argh(switch)]
    pub all: bool,
    /// log to the console as well
    #[argh(switch, short = 'l')]
    pub log_console: bool,
    /// log details; twice for more
    #[argh(switch, short = 'D')]
    pub log_detail: u8,
    /// off, error, warn, info, debug, trace; of vrrp, check, scripts, mail alone as in warn,vrrp=debug
    #[argh(option, arg_name = "LEVELS", default = "Levels::default()")]
    pub log_level: Levels,
    /// facility of syslog: 0 to 7, local0 to local7, user, daemon
    #[argh(
        option,
        short = 'S',
        arg_name = "FACILITY",
        default = "Facility::DAEMON"
    )]
    pub log_facility: Facility,
    /// log to a file, TMPDIR/keepalived.log unless attached (-gFILE)
    #[argh(option, short = 'g', arg_name = "[FILE]")]
    pub log_file: Option<String>,
    /// accepted: the log file is never buffered
    #[argh(switch)]
    pub flush_log_file: bool,
    /// do not log to syslog
    #[argh(switch, short = 'G')]
    pub no_syslog: bool,
    /// umask of files that are written, as a number
    #[argh(option, short = 'u', arg_name = "MASK")]
    pub umask: Option<Umask>,
    /// give up virtual addresses on a change of state that a signal causes
    #[argh(switch, short = 'X')]
    pub release_vips: bool,
    /// leave virtual addresses and routes in place at stop
    #[argh(switch, short = 'V')]
    pub dont_release_vrrp: bool,
    /// leave virtual servers in place at stop
    #[argh(switch, short = 'I')]
    pub dont_release_ipvs: bool,
    /// stop altogether when a child dies
    #[argh(switch, short = 'R')]
    pub dont_respawn: bool,
    /// log the configuration as it was understood
    #[argh(switch, short = 'd')]
    pub dump_conf: bool,
    /// pid file of the parent
    #[argh(option, short = 'p', arg_name = "FILE")]
    pub pid: Option<String>,
    /// pid file of the VRRP process
    #[argh(option, short = 'r', arg_name = "FILE")]
    pub vrrp_pid: Option<String>,
    /// pid file of the checkers
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub checkers_pid: Option<String>,
    /// control socket; beside the pid file unless given
    #[argh(option, arg_name = "PATH")]
    pub control_socket: Option<String>,
    /// log every address that comes or goes
    #[argh(switch, short = 'a')]
    pub address_monitoring: bool,
    /// run in the network namespace NAME
    #[argh(option, short = 's', arg_name = "NAME")]
    pub namespace: Option<String>,
    /// let a crash leave a core dump
    #[argh(switch, short = 'm')]
    pub core_dump: bool,
    /// likewise, and set the kernel's pattern for its name; core unless attached
    #[argh(option, short = 'M', arg_name = "[PATTERN]")]
    pub core_dump_pattern: Option<String>,
    /// do not stop at an interrupt from the keyboard
    #[argh(switch)]
    pub ignore_sigint: bool,
    /// print the number of a signal: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON
    #[argh(option, arg_name = "NAME")]
    pub signum: Option<String>,
    /// print version and features
    #[argh(switch, short = 'v')]
    pub version: bool,
    /// compute digests of web pages (not in this build)
    #[argh(switch, short = 'T')]
    pub genhash: bool,
    /// accepted: there is no BFD
    #[argh(switch, short = 'B')]
    pub no_bfd: bool,
    /// accepted: there is no BFD
    #[argh(option, short = 'b', arg_name = "FILE")]
    pub bfd_pid: Option<String>,
    /// accepted: there is no SNMP
    #[argh(switch, short = 'x')]
    pub snmp: bool,
    /// accepted: there is no SNMP
    #[argh(option, short = 'A', arg_name = "FILE")]
    pub snmp_agent_socket: Option<String>,
    /// of keepalived's own debugging
    #[argh(option, hidden_help, arg_name = "[WHEN]")]
    pub perf: Option<String>,
    /// of keepalived's own debugging
    #[argh(option, hidden_help, arg_name = "[FLAGS]")]
    pub debug: Option<String>,
    /// of keepalived's own debugging
    #[argh(switch, hidden_help)]
    pub no_mem_check: bool,
    /// of keepalived's own debugging
    #[argh(switch, hidden_help, short = 'L')]
    pub mem_check_log: bool,
    /// of keepalived's own processes
    #[argh(option, hidden_help, arg_name = "FD")]
    pub config_fd: Option<String>,
    /// write down what the virtual routers hear and do, for a test that replays it
    #[argh(option, hidden_help, arg_name = "FILE")]
    pub record: Option<String>,
    /// what this process is to the parent that started it
    #[argh(option, hidden_help)]
    pub role: Option<Role>,
    /// what is asked of a daemon that runs
    #[argh(subcommand)]
    pub command: Option<Command>,
}

impl Options {
    /// One line for each option that means nothing here. A child says nothing: its parent has.
    #[must_use]
    pub fn ignored(&self) -> Vec<String> {
        let table = [
            (
                self.no_bfd || self.bfd_pid.is_some(),
                "--no_bfd, --bfd_pid",
                "there is no BFD",
            ),
            (
                self.snmp || self.snmp_agent_socket.is_some(),
                "--snmp, --snmp-agent-socket",
                "there is no SNMP",
            ),
            (self.perf.is_some(), "--perf", "use perf(1) itself"),
            (self.debug.is_some(), "--debug", "use -DD for more detail"),
            (
                self.no_mem_check || self.mem_check_log,
                "--no-mem-check, --mem-check-log",
                "memory needs no check of its own",
            ),
            (
                self.config_fd.is_some(),
                "--config-fd",
                "it is internal to keepalived",
            ),
        ];
        let given = table
            .iter()
            .filter(|(given, ..)| *given && self.role.is_none());
        given
            .map(|(_, name, why)| format!("{name}: accepted, without effect: {why}"))
            .collect()
    }
}

/// A umask in C's notation: octal with a leading 0, hexadecimal with 0x, else decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(pub u32);

impl core::str::FromStr for Umask {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
            (Some(hex), _) => u32::from_str_radix(hex, 16),
            (_, Some(octal)) if !octal.is_empty() => u32::from_str_radix(octal, 8),
            _ => text.parse(),
        };
        match number {
            Ok(mask) if mask <= 0o777 => Ok(Self(mask)),
            _ => Err("a number up to 0777 is wanted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_umask_is_read_as_c_does() {
        let masks = ["022", "0x12", "18"].map(|text| text.parse::<Umask>());
        assert_eq!(masks, [Ok(Umask(18)); 3]);
        assert_eq!("0".parse(), Ok(Umask(0)));
    }
}
