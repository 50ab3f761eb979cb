//! How the kernel schedules this process: `vrrp_priority` and its kin, and those of the checkers.
//!
//! Scripts do not inherit it. Where `max_auto_priority` allows, a process that runs late goes to real-time scheduling, and one
//! priority higher each time that it is late again.

use core::cell::OnceCell;

use rustix::process::{
    Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::io::sys;
use crate::model::Global;
use crate::model::global::Scheduling;
use crate::time::micros;

use super::reactor;
use super::supervise::Role;

thread_local! {
    static ORIGIN: OnceCell<Origin> = const { OnceCell::new() };
}

/// As the process was started, for what is not asked for any more.
struct Origin {
    nice: i32,
    cpus: Option<CpuSet>,
    time: Rlimit,
}

impl Origin {
    fn read() -> Self {
        Self {
            nice: getpriority_process(None).unwrap_or(0),
            cpus: sched_getaffinity(None).ok(),
            time: getrlimit(Resource::Rttime),
        }
    }
}

/// Has the kernel schedule this process as a configuration wants it for its role.
pub fn apply(role: Role, global: &Global) {
    let asked = match role {
        Role::Vrrp => &global.vrrp_process,
        Role::Checkers => &global.checker_process,
    };
    ORIGIN.with(|origin| {
        // Who never asked for anything is left alone.
        if *asked != Scheduling::default() || origin.get().is_some() {
            settle(asked, origin.get_or_init(Origin::read));
        }
    });
    let most = global.auto_priority.most;
    let mut priority = asked.realtime.unwrap_or(0);
    let hurry = (most > priority).then_some(move |late: core::time::Duration| {
        if priority < most {
            priority += 1;
            log::warn!(
                "woke up {} ms late: going to real-time priority {priority}",
                micros(late) / 1000
            );
            told(
                "set its real-time priority",
                sys::set_realtime(Some(priority)),
            );
            reactor::policy_changed();
        }
    });
    reactor::watch_lateness(global.auto_priority.delay, hurry);
}

fn settle(asked: &Scheduling, origin: &Origin) {
    let mut cpus = CpuSet::new();
    for cpu in asked.cpus.iter().copied().map(usize::from) {
        if cpu < CpuSet::MAX_CPU {
            cpus.set(cpu);
        }
    }
    let cpus = if cpus.count() > 0 {
        Some(cpus)
    } else {
        origin.cpus
    };
    if let Some(cpus) = cpus {
        told("bind it to its CPUs", sched_setaffinity(None, &cpus));
    }
    told("lock its memory", sys::lock_memory(asked.no_swap));
    // Before the policy: the time of a real-time process counts from there. Who passes the soft limit gets SIGXCPU, which ends it, and
    // the parent starts it again; a hard one could not be taken back by everybody.
    let limit = Rlimit {
        current: asked.rttime.or(origin.time.current),
        maximum: origin.time.maximum,
    };
    told("limit its real-time", setrlimit(Resource::Rttime, limit));
    told(
        "set its real-time priority",
        sys::set_realtime(asked.realtime),
    );
    let nice = asked.nice.map_or(origin.nice, i32::from);
    told("set its priority", setpriority_process(None, nice));
    reactor::policy_changed();
}

/// What is refused is told, and done without.
fn told<E: core::fmt::Display>(what: &str, result: Result<(), E>) {
    if let Err(error) = result {
        log::warn!("cannot schedule this process as asked: {what}: {error}");
    }
}
