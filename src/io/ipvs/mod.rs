//! IPVS: the kernel's table of virtual servers, and what to change about it.
//!
//! The table belongs to a network namespace, that of the socket.

mod daemon;
mod message;
mod plan;
mod table;
mod usage;

use neli::consts::nl::NlmF;

pub use daemon::{SyncRole, SyncSettings};
pub use plan::{Step, plan};
pub use table::{
    Checksum, Destination, Endpoint, Forwarding, Key, Name, Protocol, Row, Service, Table, Tunnel,
    flag,
};
pub use usage::{Counters, Usage};

use self::message::{Command, top};
use super::error::{Failed, NetError};
use super::module;
use super::netlink::message::u32_at;
use super::netlink::{Batch, Netlink};
use crate::sorted::Map;

/// Steps that are put into words together: what of a long plan is in memory at a time.
const PORTION: usize = 128;

/// How long the kernel remembers a silent connection, in seconds; `None` is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP, established.
    pub tcp: Option<u32>,
    /// TCP, after a FIN.
    pub tcp_fin: Option<u32>,
    /// UDP.
    pub udp: Option<u32>,
}

/// The way to the kernel's table.
#[derive(Debug)]
pub struct Ipvs {
    netlink: Netlink,
    family: u16,
}

impl Ipvs {
    /// Opens it, and has the kernel load the module `ip_vs` where that is missing.
    ///
    /// # Errors
    /// [`NetError::Module`] if the kernel has no IPVS, or what else went wrong.
    pub fn open() -> Result<Self, NetError> {
        const NAME: &str = "IPVS";
        let mut netlink = Netlink::generic()?;
        // The kernel loads the module of a family by itself, if the module says whose it is and there is a program to load it.
        if let Some(family) = netlink.generic_family(NAME)? {
            return Ok(Self { netlink, family });
        }
        let loaded = module::load("ip_vs");
        match (netlink.generic_family(NAME)?, loaded) {
            (Some(family), _) => Ok(Self { netlink, family }),
            (None, loaded) => Err(NetError::Module {
                name: "ip_vs",
                package: "kmod-ipvs",
                source: loaded.err(),
            }),
        }
    }

    /// All virtual servers with their real ones, whoever made them.
    ///
    /// # Errors
    /// If the kernel does not give the list.
    pub fn read(&mut self) -> Result<Table, NetError> {
        let services = self.services()?;
        let mut rows = Vec::with_capacity(services.len());
        for (key, service) in services {
            let destinations = self.real_servers(key)?;
            let row = Row {
                service,
                destinations,
            };
            rows.push((key, row));
        }
        // The kernel lists them in the order of its hashes.
        Ok(Map::of_many(rows))
    }

    /// The real servers of a virtual one; none if there is no such virtual server.
    ///
    /// # Errors
    /// If the kernel does not give the list.
    pub fn real_servers(&mut self, key: Key) -> Result<Map<Endpoint, Destination>, NetError> {
        let destinations = self.destinations(key)?.into_iter();
        Ok(destinations
            .map(|(endpoint, destination, _)| (endpoint, destination))
            .collect())
    }

    /// How they are used.
    ///
    /// # Errors
    /// If the kernel does not give the list.
    pub fn usage(&mut self, key: Key) -> Result<Map<Endpoint, Usage>, NetError> {
        let destinations = self.destinations(key)?.into_iter();
        Ok(destinations
            .map(|(endpoint, _, usage)| (endpoint, usage))
            .collect())
    }

    fn services(&mut self) -> Result<Vec<(Key, Service)>, NetError> {
        let body = message::request(Command::GetService);
        self.netlink
            .dump("list the virtual servers", self.family, body, |message| {
                message::read_service(message.payload)
            })
    }

    fn destinations(&mut self, key: Key) -> Result<Vec<(Endpoint, Destination, Usage)>, NetError> {
        let body = message::destinations_of(key);
        self.netlink
            .dump("list the real servers", self.family, body, |message| {
                message::read_destination(message.payload, key.family())
            })
    }

    /// Carries a plan out, in its order, and returns what the kernel refused of it, by its place in the plan. The rest is done.
    ///
    /// # Errors
    /// [`NetError::Unanswered`] if an answer is lost: what was done can only be found by reading again.
    pub fn apply(&mut self, steps: &[Step<'_>]) -> Result<Vec<Failed>, NetError> {
        let mut failed = Vec::new();
        let mut before = 0;
        for portion in steps.chunks(PORTION) {
            let mut batch = Batch::new();
            for step in portion {
                // Words cost as much as the rest: only what is refused gets some.
                let body = message::step(step);
                batch.push(format_args!(""), self.family, NlmF::empty(), body);
            }
            let refused = self.netlink.commit(batch).map_err(|error| match error {
                NetError::Unanswered { source, .. } => NetError::Unanswered {
                    op: "change the virtual servers".to_owned(),
                    source,
                },
                other => other,
            })?;
            for mut refused in refused {
                if let Some(step) = portion.get(refused.place) {
                    refused.op = step.to_string();
                    refused.kernel_says = remedy(step, &refused);
                }
                refused.place += before;
                failed.push(refused);
            }
            before += portion.len();
        }
        Ok(failed)
    }

    /// Removes every virtual server, whoever made it.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn flush(&mut self) -> Result<(), NetError> {
        let body = message::request(Command::Flush);
        self.change("remove all virtual servers", body)
    }

    /// Sets how long silent connections are remembered.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), NetError> {
        let mut body = message::request(Command::SetConfig);
        let all = [
            (top::TIMEOUT_TCP, timeouts.tcp),
            (top::TIMEOUT_TCP_FIN, timeouts.tcp_fin),
            (top::TIMEOUT_UDP, timeouts.udp),
        ];
        for (kind, seconds) in all {
            // Zero leaves it as it is: an older kernel wants all three.
            body.put_u32(kind, seconds.unwrap_or(0));
        }
        self.change("set the timeouts of connections", body)
    }

    /// How long silent connections are remembered.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn timeouts(&mut self) -> Result<Timeouts, NetError> {
        let body = message::request(Command::GetConfig);
        let op = "read the timeouts of connections";
        let read = self.netlink.ask(op, self.family, body, |answer| {
            let seconds = |kind| u32_at(message::row(answer.payload, kind)?, 0);
            Some(Timeouts {
                tcp: seconds(top::TIMEOUT_TCP),
                tcp_fin: seconds(top::TIMEOUT_TCP_FIN),
                udp: seconds(top::TIMEOUT_UDP),
            })
        });
        Ok(read?.unwrap_or_default())
    }

    /// Starts the thread of a role. The kernel refuses with `EEXIST` if there is one.
    ///
    /// # Errors
    /// What the kernel refused: `ENODEV` without the interface, `EADDRNOTAVAIL` without an address on it.
    pub fn start_daemon(
        &mut self,
        role: SyncRole,
        settings: &SyncSettings,
    ) -> Result<(), NetError> {
        let op = format!("start the sync daemon as {role} on {}", settings.interface);
        self.change(&op, daemon::start(role, settings))
    }

    /// Stops the thread of a role. The kernel refuses with `ESRCH` if there is none.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn stop_daemon(&mut self, role: SyncRole) -> Result<(), NetError> {
        self.change(
            &format!("stop the sync daemon as {role}"),
            daemon::stop(role),
        )
    }

    /// The threads that run.
    ///
    /// # Errors
    /// If the kernel does not give the list.
    pub fn daemons(&mut self) -> Result<Map<SyncRole, SyncSettings>, NetError> {
        let body = message::request(Command::GetDaemon);
        let found = self
            .netlink
            .dump("list the sync daemons", self.family, body, |message| {
                daemon::read(message.payload)
            })?;
        Ok(found.into_iter().collect())
    }

    /// One request by itself.
    fn change(&mut self, op: &str, body: super::netlink::Body) -> Result<(), NetError> {
        let mut batch = Batch::new();
        batch.push(format_args!("{op}"), self.family, NlmF::empty(), body);
        let mut failed = self.netlink.commit(batch)?;
        failed.pop().map_or(Ok(()), |failed| Err(failed.into()))
    }
}

/// What the kernel means with a number that it explains to its log only.
fn remedy(step: &Step<'_>, failed: &Failed) -> Option<String> {
    match (step, failed.source.raw_os_error()?) {
        (Step::AddService(_, service) | Step::EditService(_, service), libc::ENOENT) => {
            let scheduler = &service.scheduler;
            Some(match &service.engine {
                None => format!("no scheduler {scheduler}: it needs the module ip_vs_{scheduler}"),
                Some(engine) => format!(
                    "no scheduler {scheduler} or no persistence engine {engine}: they need the modules \
                     ip_vs_{scheduler} and ip_vs_pe_{engine}"
                ),
            })
        }
        (Step::AddService(Key::Address { protocol, .. }, _), libc::EPROTONOSUPPORT) => {
            Some(format!("its IPVS does not know {protocol}"))
        }
        (Step::AddService(..), libc::EAFNOSUPPORT) => Some("its IPVS has no IPv6".to_owned()),
        (
            Step::AddDestination(key, endpoint, _) | Step::EditDestination(key, endpoint, _),
            libc::EINVAL,
        ) if key.family() != crate::name::Family::of(endpoint.ip) => Some(
            "of another family than its virtual server it must be reached through a tunnel, without a sync daemon"
                .to_owned(),
        ),
        _ => failed.kernel_says.clone(),
    }
}
