//! What this process may do without being asked twice (capabilities(7)): what its configuration needs, and nothing else of
//! what root may.
//!
//! Only the effective set shrinks, so that nothing is taken from scripts: one that runs as root finds all that it would have
//! found under keepalived. Whoever executes a program gets back what the bounding set holds anyway, and had the permitted set
//! grown by that, the kernel would forget that the script is to end when we do (`PR_SET_PDEATHSIG`, see `commit_creds`). It guards
//! against our own mistakes; against others the supervisor has the bounding set.

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::supervise::Role;
use crate::io::sys;
use crate::model::global::{Fifo, Scheduling};
use crate::model::lvs::{Check, Checker};
use crate::model::{Global, Model};

/// Who does it: a role, or `None` for the parent. With `--single` one process is several.
pub type Part = Option<Role>;

const WATCHDOG: Part = None;
const ROUTERS: Part = Some(Role::Vrrp);
const CHECKERS: Part = Some(Role::Checkers);

/// One capability.
struct Right {
    set: CapabilitySet,
    name: &'static str,
    who: &'static [Part],
    needed: fn(&Model) -> bool,
    /// What does not work without it, where that is certain.
    without: Option<&'static str>,
}

/// `CAP_SETUID` and `CAP_SETGID` are missing here: only what is to become a script uses them, which takes them up itself.
const RIGHTS: [Right; 12] = [
    Right {
        set: CapabilitySet::NET_ADMIN,
        name: "CAP_NET_ADMIN",
        who: &[ROUTERS],
        needed: |_| true,
        without: Some("no address, route, rule or virtual MAC can be put in place"),
    },
    Right {
        set: CapabilitySet::NET_RAW,
        name: "CAP_NET_RAW",
        who: &[ROUTERS],
        needed: |_| true,
        without: Some(
            "adverts can neither be sent nor heard, so that virtual routers stay in FAULT",
        ),
    },
    Right {
        set: CapabilitySet::NET_ADMIN,
        name: "CAP_NET_ADMIN",
        who: &[CHECKERS],
        needed: |_| true,
        without: Some("servers are checked, but nothing is balanced"),
    },
    Right {
        set: CapabilitySet::NET_RAW,
        name: "CAP_NET_RAW",
        who: &[CHECKERS],
        // Kernels before 5.7 bind nobody else to an interface.
        needed: |model| {
            checkers(model).any(|one| one.check == Check::Ping || one.way.bind_interface.is_some())
        },
        without: Some(
            "PING_CHECK works for the groups of net.ipv4.ping_group_range only, bind_if with Linux 5.7",
        ),
    },
    Right {
        set: CapabilitySet::NET_BIND_SERVICE,
        name: "CAP_NET_BIND_SERVICE",
        who: &[CHECKERS],
        needed: |model| {
            checkers(model).any(|one| one.way.bind_port.is_some_and(|port| port < 1024))
        },
        without: Some("no check can come from a bind_port below 1024"),
    },
    Right {
        set: CapabilitySet::CHOWN,
        name: "CAP_CHOWN",
        who: &[ROUTERS, CHECKERS],
        needed: |model| fifos(&model.global).any(|fifo| matches!(fifo.path, Some((_, Some(_))))),
        without: Some("a FIFO cannot be given to its user"),
    },
    Right {
        set: CapabilitySet::KILL,
        name: "CAP_KILL",
        who: &[ROUTERS, CHECKERS],
        needed: |model| {
            !model.scripts.is_empty()
                || fifos(&model.global).any(|fifo| fifo.script.is_some())
                || checkers(model).any(|one| matches!(one.check, Check::Misc { .. }))
        },
        without: Some("scripts of other users that take too long cannot be ended"),
    },
    Right {
        set: CapabilitySet::KILL,
        name: "CAP_KILL",
        who: &[WATCHDOG],
        needed: |model| model.global.startup.is_some() || model.global.shutdown.is_some(),
        without: Some("a startup_script of another user that takes too long cannot be ended"),
    },
    Right {
        set: CapabilitySet::SYS_NICE,
        name: "CAP_SYS_NICE",
        who: &[ROUTERS, CHECKERS],
        needed: |model| {
            let global = &model.global;
            let hurries = |asked: &Scheduling| asked.nice.is_some() || asked.realtime.is_some();
            global.auto_priority.most > 0
                || hurries(&global.vrrp_process)
                || hurries(&global.checker_process)
        },
        without: Some("priorities of processes are not as asked"),
    },
    Right {
        set: CapabilitySet::IPC_LOCK,
        name: "CAP_IPC_LOCK",
        who: &[ROUTERS, CHECKERS],
        needed: |model| model.global.vrrp_process.no_swap || model.global.checker_process.no_swap,
        without: Some("memory is locked as far as RLIMIT_MEMLOCK allows"),
    },
    // Processes of others, where /proc is mounted with hidepid.
    Right {
        set: CapabilitySet::SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        who: &[ROUTERS],
        needed: |model| !model.processes.is_empty(),
        without: None,
    },
    // Files of others: what the configuration includes, tracks and writes.
    Right {
        set: CapabilitySet::DAC_OVERRIDE,
        name: "CAP_DAC_OVERRIDE",
        who: &[WATCHDOG, ROUTERS, CHECKERS],
        needed: |_| true,
        without: None,
    },
];

fn checkers(model: &Model) -> impl Iterator<Item = &Checker> {
    let servers = model.lvs.servers.iter().flat_map(|service| &service.real);
    servers.flat_map(|server| &server.checkers)
}

fn fifos(global: &Global) -> impl Iterator<Item = &Fifo> {
    [&global.fifo, &global.vrrp_fifo, &global.lvs_fifo].into_iter()
}

/// Does something with all that this process may do, and puts aside again what was.
pub fn in_full<T>(work: impl FnOnce() -> T) -> T {
    let before = capabilities(None);
    sys::take_up_rights();
    let done = work();
    if let Ok(before) = before {
        let _ = set_capabilities(None, before);
    }
    done
}

/// What the configurations of this process have needed so far.
#[derive(Debug)]
pub struct Rights(CapabilitySet);

impl Default for Rights {
    fn default() -> Self {
        Self(CapabilitySet::empty())
    }
}

impl Rights {
    /// Puts everything aside that a configuration does not need, and says what is missing of what it does. What an earlier one
    /// needed stays: what it has started is still to be ended.
    pub fn settle(&mut self, parts: &[Part], model: &Model) {
        let Ok(mut sets) = capabilities(None) else {
            return;
        };
        let before = self.0;
        for right in &RIGHTS {
            let ours = right.who.iter().any(|part| parts.contains(part));
            if !ours || before.contains(right.set) || !(right.needed)(model) {
                continue;
            }
            self.0 |= right.set;
            if let (Some(without), false) = (right.without, sets.permitted.contains(right.set)) {
                log::warn!("{} is missing: {without}", right.name);
            }
        }
        sets.effective = self.0 & sets.permitted;
        if let Err(error) = set_capabilities(None, sets) {
            log::warn!("cannot put capabilities aside: {error}");
        }
    }
}
