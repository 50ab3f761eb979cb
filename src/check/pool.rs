//! A virtual server and its real ones: who is up, whether they are enough, and what follows for the kernel's table.

use core::fmt;
use core::net::IpAddr;

use super::event::{Action, Notice, PoolId, ProbeId, Why};
use super::note::{Note, Quorum};
use crate::model::lvs::{Forwarding, Protocol, RealServer, Service, VirtualServer};
use crate::time::Instant;

/// The kernel's largest weight.
const HEAVIEST: i64 = i32::MAX as i64;

/// A virtual server and its real ones.
#[derive(Debug)]
pub struct Pool {
    pub(super) id: PoolId,
    /// Without its real servers, which are the [`Server`]s.
    pub(super) config: VirtualServer,
    /// Which of the services of its group it is.
    ordinal: u16,
    pub(super) servers: Vec<Server>,
    quorum: bool,
    /// The sorry server stands in.
    sorry: bool,
    /// An address of it is on this host; known with `ha_suspend` only.
    pub(super) here: bool,
}

/// A real server of a pool.
#[derive(Debug)]
pub struct Server {
    /// Without its checks, which are the [`Probe`](super::Probe)s.
    pub(super) config: RealServer,
    pub(super) probes: Box<[ProbeId]>,
    pub(super) up: bool,
    pub(super) weight: u32,
    pub(super) since: Instant,
    /// It was there before the last reload.
    pub(super) kept: bool,
}

/// An entry that the kernel's table is to have for a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its address.
    pub ip: IpAddr,
    /// Its port; 0 is that of the service.
    pub port: u16,
    /// How packets get to it.
    pub forwarding: Forwarding,
    /// Its weight; 0 gets no new connections.
    pub weight: u32,
    /// `uthreshold`.
    pub upper: u32,
    /// `lthreshold`.
    pub lower: u32,
}

impl Server {
    pub(super) fn new(mut config: RealServer, now: Instant) -> Self {
        config.checkers = Vec::new();
        Self {
            weight: config.weight,
            config,
            probes: Box::default(),
            up: false,
            since: now,
            kept: false,
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &RealServer {
        &self.config
    }

    /// Its checks.
    #[must_use]
    pub fn probes(&self) -> &[ProbeId] {
        &self.probes
    }

    /// Whether all of its checks pass.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// Its weight while it is up: what is configured, and what its checks make of it.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Since when it has been up, or down.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn set_weight(&mut self, difference: i64) -> bool {
        let weight = i64::from(self.config.weight).saturating_add(difference);
        let weight = u32::try_from(weight.clamp(0, HEAVIEST)).unwrap_or(0);
        core::mem::replace(&mut self.weight, weight) != weight
    }

    /// What the table is to have for it, if anything: `serving` is false while the sorry server stands in.
    fn member(&self, serving: bool) -> Option<Member> {
        let counts = self.up && serving;
        (counts || self.config.inhibit).then_some(Member {
            ip: self.config.ip,
            port: self.config.port,
            forwarding: self.config.forwarding,
            weight: if counts { self.weight } else { 0 },
            upper: self.config.upper,
            lower: self.config.lower,
        })
    }
}

impl Pool {
    pub(super) fn new(id: PoolId, mut config: VirtualServer, ordinal: u16, now: Instant) -> Self {
        let real = core::mem::take(&mut config.real);
        Self {
            id,
            config,
            ordinal,
            servers: real
                .into_iter()
                .map(|real| Server::new(real, now))
                .collect(),
            quorum: false,
            sorry: false,
            here: false,
        }
    }

    /// Its name until the next reload.
    #[must_use]
    pub const fn id(&self) -> PoolId {
        self.id
    }

    pub(super) const fn ordinal(&self) -> u16 {
        self.ordinal
    }

    /// What was asked for, without the real servers.
    #[must_use]
    pub const fn config(&self) -> &VirtualServer {
        &self.config
    }

    /// The real servers, in the order of the file.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Whether enough of them are up.
    #[must_use]
    pub const fn has_quorum(&self) -> bool {
        self.quorum
    }

    /// Whether the sorry server stands in for them.
    #[must_use]
    pub const fn is_sorry(&self) -> bool {
        self.sorry
    }

    /// Whether its checks rest, since its address is elsewhere.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.config.ha_suspend && !self.here
    }

    /// Weight of all servers that are up.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let up = self.servers.iter().filter(|server| server.up);
        up.map(|server| u64::from(server.weight)).sum()
    }

    /// Its name as keepalived writes it: `[10.0.0.1]:tcp:80`, `FWM 7`, `[group]:0`.
    #[must_use]
    pub const fn name(&self) -> impl fmt::Display + '_ {
        PoolName(self)
    }

    /// The name of one of its servers: `[10.0.0.1]:tcp:80`.
    #[must_use]
    pub const fn server_name(&self, server: &Server) -> impl fmt::Display + use<> {
        Trio(server.config.ip, self.config.protocol, server.config.port)
    }

    /// The name of its sorry server.
    pub(super) fn sorry_name(&self) -> impl fmt::Display + use<> {
        let sorry = self.config.sorry;
        let ip = sorry.map_or(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), |s| s.ip);
        Trio(ip, self.config.protocol, sorry.map_or(0, |s| s.port))
    }

    /// What the kernel's table is to have for it. Where two have one address and port, the later counts.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        let servers = self
            .servers
            .iter()
            .filter_map(|server| server.member(!self.sorry));
        let sorry = self.config.sorry.filter(|sorry| {
            let is = |s: &Server| s.config.ip == sorry.ip && s.config.port == sorry.port;
            self.sorry || sorry.inhibit && !self.servers.iter().any(is)
        });
        servers.chain(sorry.map(|sorry| Member {
            ip: sorry.ip,
            port: sorry.port,
            forwarding: sorry.forwarding,
            weight: u32::from(self.sorry),
            upper: 0,
            lower: 0,
        }))
    }

    /// Takes over how the same virtual server was before a reload.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.quorum = old.quorum;
        self.sorry = old.sorry && self.config.sorry.is_some();
        self.here = old.here;
    }

    /// Whether it is the same virtual server: by address, port and protocol, mark, or group.
    #[must_use]
    pub(super) fn is_same(&self, other: &VirtualServer, ordinal: u16) -> bool {
        let by_name = !matches!(other.service, Service::Group(_)) || self.ordinal == ordinal;
        self.config.service == other.service
            && self.config.protocol == other.protocol
            && self.config.family == other.family
            && by_name
    }

    /// Looks whether those that are up are enough. The hysteresis makes gaining it harder than keeping it. True if the members are others now.
    pub(super) fn judge(&mut self, why: Why, out: &mut Vec<Action>) -> bool {
        let weight = self.weight();
        let (quorum, hysteresis) = (self.config.quorum, self.config.hysteresis);
        let up = if self.quorum {
            weight > 0 && weight >= u64::from(quorum.saturating_sub(hysteresis))
        } else {
            weight >= u64::from(quorum) + u64::from(hysteresis)
        };
        let sorry = !up && self.config.sorry.is_some();
        let turned = core::mem::replace(&mut self.quorum, up) != up;
        let swapped = core::mem::replace(&mut self.sorry, sorry) != sorry;
        let pool = self.id;
        // A sorry server that comes or goes with a reload is no news about the quorum.
        if turned || swapped && sorry {
            let starting = why == Why::Starting;
            let note = Quorum {
                pool,
                up,
                starting,
                weight,
            };
            out.push(Action::Say(Note::Quorum(note)));
        }
        if swapped && self.config.sorry.is_some() {
            out.push(Action::Say(Note::Sorry {
                pool,
                serves: sorry,
            }));
        }
        if turned || swapped && sorry {
            out.push(Action::Notify(Notice::Quorum { pool, up, why }));
        }
        swapped
    }

    /// The daemon stops: with `omega` everybody hears that all is down.
    pub(super) fn stop(&mut self, servers: bool, out: &mut Vec<Action>) {
        if servers {
            self.remove(true, out);
        }
        self.quorum = false;
        let (pool, up, why) = (self.id, false, Why::Stopping);
        out.push(Action::Notify(Notice::Quorum { pool, up, why }));
    }

    /// All servers that are up are taken out.
    pub(super) fn remove(&mut self, stopping: bool, out: &mut Vec<Action>) {
        for place in 0..self.servers.len() {
            self.remove_server(place, stopping, out);
        }
    }

    /// A server that is up is taken out.
    pub(super) fn remove_server(&mut self, place: usize, stopping: bool, out: &mut Vec<Action>) {
        let server = self.server_id(place);
        let up = self
            .servers
            .get_mut(place)
            .is_some_and(|server| core::mem::take(&mut server.up));
        if up {
            out.push(Action::Notify(Notice::Removed { server, stopping }));
        }
    }

    pub(super) fn server_id(&self, place: usize) -> super::ServerId {
        super::ServerId {
            pool: self.id,
            place: u32::try_from(place).unwrap_or(u32::MAX),
        }
    }
}

struct PoolName<'a>(&'a Pool);

impl fmt::Display for PoolName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(pool) = self;
        match &pool.config.service {
            Service::Address(ip, port) => Trio(*ip, pool.config.protocol, *port).fmt(f),
            Service::Mark(mark) => write!(f, "FWM {mark}"),
            Service::Group(name) => write!(f, "[{name}]:{}", pool.ordinal),
        }
    }
}

/// keepalived's way to write an address, a protocol and a port.
struct Trio(IpAddr, Option<Protocol>, u16);

impl fmt::Display for Trio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.1.map_or("none", Protocol::short);
        write!(f, "[{}]:{protocol}:{}", self.0, self.2)
    }
}
