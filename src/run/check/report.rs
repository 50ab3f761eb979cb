//! The file that USR1 asks for, in keepalived's words: `keepalived_check.data`.

use core::fmt::{self, Display};
use std::path::PathBuf;

use super::director::Director;
use crate::check::{Engine, Pool, Probe, Server, kind};
use crate::model::Global;
use crate::model::lvs::{Forwarding, Protocol, Service};
use crate::run::reactor::now;
use crate::run::replace::replace;
use crate::time::Instant;

/// Writes it, or says why not.
pub fn write(director: &Director) {
    let path = path(director.global());
    let umask = director.global().umask.unwrap_or(0o177);
    let report = Report {
        engine: director.engine(),
        balancing: director.is_balancing(),
        now: now(),
    };
    if let Err(error) = replace(&path, umask, |out| write!(out, "{report}")) {
        log::error!("cannot write {}: {error}", path.display());
    }
}

/// Where it goes: in `TMPDIR` or `/tmp`.
fn path(global: &Global) -> PathBuf {
    let directory = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let instance = global
        .instance
        .as_ref()
        .filter(|_| global.files.with_instance);
    directory.join(match instance {
        Some(instance) => format!("keepalived_check.{instance}.data"),
        None => "keepalived_check.data".to_owned(),
    })
}

/// Everything about the virtual servers, for people.
struct Report<'a> {
    engine: &'a Engine,
    balancing: bool,
    now: Instant,
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "------< LVS Topology >------")?;
        writeln!(
            f,
            " IPVS in the kernel = {}",
            if self.balancing { "yes" } else { "no" }
        )?;
        for pool in self.engine.pools() {
            self.pool(f, pool)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn pool(&self, f: &mut fmt::Formatter<'_>, pool: &Pool) -> fmt::Result {
        let config = pool.config();
        writeln!(f, " ------< Virtual server >------")?;
        match &config.service {
            Service::Address(ip, port) => writeln!(f, " VS VIP = {ip}, VPORT = {port}")?,
            Service::Mark(mark) => writeln!(f, " VS FWMARK = {mark}")?,
            Service::Group(_) => writeln!(f, " VS GROUP = {}", pool.name())?,
        }
        let protocol = config.protocol.map_or("none", Protocol::name);
        writeln!(f, "   lvs_sched = {}", config.scheduler)?;
        if let Some(persistence) = config.persistence {
            writeln!(
                f,
                "   persistence timeout = {}",
                persistence.timeout.as_secs()
            )?;
        }
        writeln!(f, "   protocol = {protocol}")?;
        writeln!(f, "   alpha is {}", on(config.alpha))?;
        writeln!(f, "   omega is {}", on(config.omega))?;
        let (quorum, hysteresis) = (config.quorum, config.hysteresis);
        writeln!(f, "   quorum = {quorum}, hysteresis = {hysteresis}")?;
        if pool.is_suspended() {
            writeln!(f, "   HA suspend: no address of it is here, checks rest")?;
        }
        let state = if pool.has_quorum() { "up" } else { "down" };
        writeln!(
            f,
            "   quorum state = {state}, weight of live servers = {}",
            pool.weight()
        )?;
        if let Some(sorry) = config.sorry {
            let serves = if pool.is_sorry() {
                "serving"
            } else {
                "standing by"
            };
            writeln!(
                f,
                "   sorry server = [{}]:{}, {serves}",
                sorry.ip, sorry.port
            )?;
        }
        pool.servers()
            .iter()
            .try_for_each(|server| self.server(f, server))
    }

    fn server(&self, f: &mut fmt::Formatter<'_>, server: &Server) -> fmt::Result {
        let config = server.config();
        let (ip, port, weight) = (config.ip, config.port, server.weight());
        writeln!(f, "   ------< Real server >------")?;
        writeln!(f, "   RIP = {ip}, RPORT = {port}, WEIGHT = {weight}")?;
        let method = match config.forwarding {
            Forwarding::Nat => "NAT",
            Forwarding::Direct => "DR",
            Forwarding::Tunnel(..) => "TUN",
        };
        writeln!(f, "   forwarding method = {method}")?;
        writeln!(f, "   Inhibit on failure is {}", on(config.inhibit))?;
        writeln!(f, "   initial weight = {}", config.weight)?;
        let since = self.ago(server.since());
        writeln!(f, "   alive = {}, since {since}", u8::from(server.is_up()))?;
        let probes = server
            .probes()
            .iter()
            .filter_map(|id| self.engine.probe(*id));
        for probe in probes {
            self.probe(f, probe)?;
        }
        Ok(())
    }

    fn probe(&self, f: &mut fmt::Formatter<'_>, probe: &Probe) -> fmt::Result {
        let state = match (probe.is_known(), probe.is_up()) {
            (false, true) => "not yet tried, taken as passing",
            (false, false) => "not yet tried, taken as failing (alpha)",
            (true, true) => "passing",
            (true, false) => "failing",
        };
        write!(
            f,
            "     {} {state} since {}",
            kind(probe.checker()),
            self.ago(probe.since())
        )?;
        if let Some(failure) = probe.failure() {
            write!(
                f,
                "; last failure {}: {}",
                self.ago(failure.at),
                failure.cause
            )?;
        }
        writeln!(f)
    }

    fn ago(&self, then: Instant) -> impl Display + use<> {
        let seconds = self.now.since(then).as_secs();
        format!("{seconds} s ago")
    }
}

const fn on(set: bool) -> &'static str {
    if set { "ON" } else { "OFF" }
}
