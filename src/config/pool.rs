//! What was said about a virtual server becomes a pool: defaults go from the service to its servers and on to their
//! checks.

use core::net::IpAddr;
use core::time::Duration;
use std::rc::Rc;

use super::checks::{CheckerDraft, Kind, PaceDraft};
use super::diag::{Diags, Span};
use super::lvs::{RealDraft, VirtualDraft};
use crate::model::lvs::{
    Checker, Entry, Forwarding, Group, Pace, Persistence, Protocol, RealServer, Service, Settings,
    Sorry, VirtualServer, Way,
};
use crate::name::Family;
use crate::sorted::Set;

/// `persistence_timeout` without a value.
const PERSISTENCE: Duration = Duration::from_secs(360);

/// The virtual servers of the drafts; what cannot be one is told and left out.
pub(super) fn servers(
    drafts: Vec<VirtualDraft>,
    groups: &[Group],
    log_all: bool,
    diags: &mut Diags,
) -> Vec<VirtualServer> {
    let mut seen = Set::new();
    let mut servers = Vec::new();
    let mut common = Common::default();
    for draft in drafts {
        let at = draft.at;
        let Some(server) = server(draft, groups, log_all, &mut common, diags) else {
            continue;
        };
        let protocol = server.protocol.map_or("", Protocol::name);
        let family = server.family.map_or(0, Family::address_len);
        if seen.insert(format!("{} {protocol} {family}", server.service)) {
            servers.push(server);
        } else {
            diags
                .error(at, "this virtual server is defined twice")
                .hint("the first one counts");
        }
    }
    servers
}

fn server(
    mut draft: VirtualDraft,
    groups: &[Group],
    log_all: bool,
    common: &mut Common,
    diags: &mut Diags,
) -> Option<VirtualServer> {
    let at = draft.at;
    let service = draft.service.take()?;
    let group = match &service {
        Service::Group(name) => {
            let found = groups.iter().find(|g| g.name == *name);
            if found.is_none() {
                let near = super::keys::nearest(name, groups.iter().map(|g| g.name.as_str()));
                let diag = diags.error(at, format!("there is no virtual_server_group '{name}'"));
                diag.hint = Some(near.map_or_else(
                    || "left out".to_owned(),
                    |(n, _)| format!("did you mean '{n}'?"),
                ));
                return None;
            }
            found
        }
        _ => None,
    };
    let marked = !has_address(&service, group);
    let protocol = protocol(&draft, marked, at, diags);
    let scheduler = draft.scheduler.unwrap_or_else(|| {
        diags
            .warn(at, "the virtual server has no lvs_sched")
            .hint("wlc is used");
        "wlc"
    });
    let forwarding = draft.forwarding.unwrap_or_else(|| {
        diags
            .warn(at, "the virtual server has no lvs_method")
            .hint("NAT is used");
        Forwarding::Nat
    });
    let family = family(&draft, &service, group, forwarding);
    let persistence = persistence(&draft, &service, at, diags);
    let (pace, host, inhibit, weight) = (
        draft.pace,
        draft.host.clone(),
        draft.inhibit,
        draft.weight.unwrap_or(1),
    );
    let drafts = core::mem::take(&mut draft.real);
    let mut real = Vec::new();
    for server in drafts {
        let tunnel = matches!(
            server.forwarding.unwrap_or(forwarding),
            Forwarding::Tunnel(..)
        );
        if family.is_some_and(|f| f != Family::of(server.ip)) && !tunnel {
            diags
                .error(
                    server.at,
                    format!("{} is of another family than its virtual server", server.ip),
                )
                .hint("left out; only a tunnel changes the family");
            continue;
        }
        let outer = Outer {
            service: &service,
            forwarding,
            inhibit,
            weight,
            pace,
            host: host.as_deref(),
            log_all,
        };
        let at = server.at;
        let server = outer.real(server, common, diags);
        let is_same = |other: &RealServer| (other.ip, other.port) == (server.ip, server.port);
        if real.iter().any(is_same) {
            diags
                .error(at, "this real server is defined twice")
                .hint("the first one counts");
            continue;
        }
        real.push(server);
    }
    if real.is_empty() {
        diags
            .error(at, "the virtual server has no real servers")
            .hint("left out");
        return None;
    }
    let (quorum, hysteresis) = quorum(&draft, &real, diags);
    let sorry = sorry(&draft, family, forwarding, diags);
    let ha_suspend = draft.ha_suspend && !marked;
    if draft.ha_suspend && !ha_suspend {
        diags
            .warn(at, "ha_suspend needs an address that comes and goes")
            .hint("ignored: a firewall mark has none");
    }
    Some(VirtualServer {
        service,
        protocol,
        family,
        scheduler,
        flags: draft.flags,
        forwarding,
        persistence,
        sorry,
        real,
        quorum,
        hysteresis,
        quorum_up: draft.quorum_up,
        quorum_down: draft.quorum_down,
        alpha: pace.alpha.unwrap_or(false),
        omega: draft.omega,
        ha_suspend,
        mail: draft.mail,
        virtual_host: host,
    })
}

/// `marked` is what has no addresses, but marks alone.
fn protocol(draft: &VirtualDraft, marked: bool, at: Span, diags: &mut Diags) -> Option<Protocol> {
    match (marked, draft.protocol) {
        (true, Some(given)) => {
            diags.warn(given.at, "a firewall mark says it all: protocol is ignored");
            None
        }
        (true, None) => None,
        (false, Some(given)) => Some(given.value),
        (false, None) => {
            diags
                .error(at, "the virtual server has no protocol")
                .hint("UDP is used, as keepalived does; add 'protocol TCP'");
            Some(Protocol::Udp)
        }
    }
}

/// That of the address, or of the group's; for a mark what is said, or that of the first real server.
fn family(
    draft: &VirtualDraft,
    service: &Service,
    group: Option<&Group>,
    forwarding: Forwarding,
) -> Option<Family> {
    let of_entry = |entry: &Entry| match entry {
        Entry::Addresses { first, .. } => Some(Family::of(*first)),
        Entry::Mark(_, family) => *family,
    };
    let said = match service {
        Service::Address(ip, _) => return Some(Family::of(*ip)),
        Service::Group(_) => group.and_then(|g| g.entries.iter().find_map(of_entry)),
        Service::Mark(_) => None,
    };
    let tunnel = matches!(forwarding, Forwarding::Tunnel(..));
    let first = draft
        .real
        .first()
        .filter(|_| !tunnel)
        .map(|r| Family::of(r.ip));
    draft.family.or(said).or(first)
}

fn persistence(
    draft: &VirtualDraft,
    service: &Service,
    at: Span,
    diags: &mut Diags,
) -> Option<Persistence> {
    let any_port = matches!(service, Service::Address(_, 0));
    let asked = draft.timeout.is_some() || draft.granularity.is_some();
    if any_port && !asked {
        diags
            .warn(at, "a virtual server without a port needs persistence")
            .hint("a persistence_timeout of 360 s is used");
    }
    (asked || any_port).then(|| Persistence {
        timeout: draft.timeout.unwrap_or(PERSISTENCE),
        granularity: draft.granularity,
        sip: draft.sip,
    })
}

/// The sorry server, if it can stand in.
fn sorry(
    draft: &VirtualDraft,
    family: Option<Family>,
    forwarding: Forwarding,
    diags: &mut Diags,
) -> Option<Sorry> {
    let Some((ip, port)) = draft.sorry else {
        if draft.sorry_inhibit || draft.sorry_forwarding.is_some() {
            diags.warn(
                draft.at,
                "the virtual server says how to use a sorry_server, but has none",
            );
        }
        return None;
    };
    let forwarding = draft.sorry_forwarding.unwrap_or(forwarding);
    let tunnel = matches!(forwarding, Forwarding::Tunnel(..));
    if family.is_some_and(|f| f != Family::of(ip)) && !tunnel {
        diags
            .error(
                draft.at,
                format!("the sorry_server {ip} is of another family than its virtual server"),
            )
            .hint("left out; only a tunnel changes the family");
        return None;
    }
    Some(Sorry {
        ip,
        port,
        inhibit: draft.sorry_inhibit,
        forwarding,
    })
}

/// Whether there is an address that packets to it have.
fn has_address(service: &Service, group: Option<&Group>) -> bool {
    let is = |entry: &Entry| matches!(entry, Entry::Addresses { .. });
    match service {
        Service::Address(..) => true,
        Service::Mark(_) => false,
        Service::Group(_) => group.is_some_and(|group| group.entries.iter().any(is)),
    }
}

/// A quorum that all servers together do not reach would never be gained.
fn quorum(draft: &VirtualDraft, real: &[RealServer], diags: &mut Diags) -> (u32, u32) {
    let total = real
        .iter()
        .fold(0_u32, |sum, r| sum.saturating_add(r.weight))
        .max(1);
    let mut quorum = draft.quorum.map_or(1, |q| q.value);
    let mut hysteresis = draft.hysteresis.map_or(0, |h| h.value);
    if let Some(given) = draft.quorum.filter(|q| q.value > total) {
        quorum = total;
        diags.warn(
            given.at,
            format!("a quorum above the weight of all servers is taken as {total}"),
        );
    }
    if let Some(given) = draft
        .hysteresis
        .filter(|h| h.value >= quorum && h.value > 0)
    {
        hysteresis = quorum - 1;
        diags.warn(
            given.at,
            format!("hysteresis is to be below the quorum, taken as {hysteresis}"),
        );
    }
    (quorum, hysteresis)
}

/// Settings of checks so far, each of them once.
#[derive(Default)]
struct Common(Vec<Rc<Settings>>);

impl Common {
    /// The same settings, perhaps those of a check nearby: who has thousands of servers checks them in few ways.
    fn share(&mut self, settings: Settings) -> Rc<Settings> {
        /// The kinds of checks that a server has at once.
        const NEAR: usize = 4;
        let Self(all) = self;
        let mut near = all.iter().rev().take(NEAR);
        if let Some(known) = near.find(|known| ***known == settings) {
            return Rc::clone(known);
        }
        let settings = Rc::new(settings);
        all.push(Rc::clone(&settings));
        settings
    }
}

/// What a service says for its servers.
struct Outer<'a> {
    service: &'a Service,
    forwarding: Forwarding,
    inhibit: bool,
    weight: u32,
    pace: PaceDraft,
    host: Option<&'a str>,
    log_all: bool,
}

impl Outer<'_> {
    fn real(&self, draft: RealDraft, common: &mut Common, diags: &mut Diags) -> RealServer {
        let forwarding = draft.forwarding.unwrap_or(self.forwarding);
        let of_service = match self.service {
            Service::Address(_, port) => *port,
            _ => 0,
        };
        let mut port = draft.port;
        // Only address translation can change the port.
        if forwarding != Forwarding::Nat
            && port != of_service
            && matches!(self.service, Service::Address(..))
        {
            if port != 0 {
                diags.warn(draft.at, format!("without NAT the port of the virtual server stays: {port} is taken as {of_service}"));
            }
            port = of_service;
        } else if port == 0 {
            port = of_service;
        }
        let pace = draft.pace.or(self.pace);
        let host = draft.host.as_deref().or(self.host);
        // Most servers have one, and a list begins with room for four.
        let mut checkers: Vec<Checker> = draft
            .checkers
            .into_iter()
            .filter_map(|c| self.checker(c, (draft.ip, port), pace, host, common))
            .collect();
        checkers.shrink_to_fit();
        RealServer {
            ip: draft.ip,
            port,
            weight: draft.weight.unwrap_or(self.weight),
            forwarding,
            inhibit: draft.inhibit.unwrap_or(self.inhibit),
            upper: draft.upper,
            lower: draft.lower,
            notify_up: draft.notify_up,
            notify_down: draft.notify_down,
            mail: draft.mail,
            virtual_host: draft.host,
            checkers,
        }
    }

    fn checker(
        &self,
        draft: CheckerDraft,
        (ip, port): (IpAddr, u16),
        outer: PaceDraft,
        host: Option<&str>,
        common: &mut Common,
    ) -> Option<Checker> {
        let mut pace = draft.pace.or(outer);
        let kind = draft.kind;
        match kind {
            // These are told of changes: nothing is repeated and nothing connects.
            Kind::File | Kind::Bfd => {
                pace = PaceDraft {
                    alpha: pace.alpha,
                    ..PaceDraft::default()
                }
            }
            Kind::Misc => pace.timeout = None,
            _ => {}
        }
        let interval = pace.interval.unwrap_or(Duration::from_secs(60));
        let (ip, port) = (draft.ip.unwrap_or(ip), draft.port.unwrap_or(port));
        let settings = Settings {
            way: Way {
                bind_ip: draft.bind_ip,
                bind_port: draft.bind_port,
                bind_interface: draft.bind_interface.clone(),
                mark: draft.mark,
                timeout: pace.timeout.unwrap_or(Duration::from_secs(5)),
            },
            pace: Pace {
                interval,
                retry: pace.retry.unwrap_or(kind.retry()),
                retry_delay: pace.retry_delay.or(kind.retry_delay()).unwrap_or(interval),
                warmup: pace.warmup.unwrap_or(interval),
            },
            alpha: pace.alpha.unwrap_or(false),
            log_all_failures: draft.log_all_failures.unwrap_or(self.log_all),
            check: draft.check(host, interval)?,
        };
        Some(Checker {
            ip,
            port,
            settings: common.share(settings),
        })
    }
}
