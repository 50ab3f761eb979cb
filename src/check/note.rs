//! What there is to say about pools, as data; formatted by whoever writes it, if it is written at all.
//!
//! The words are keepalived's, because people and their log filters look for them.

use core::fmt;

use log::Level;

use super::Engine;
use super::event::{PoolId, ProbeId, ServerId};
use crate::model::lvs::{Check, Checker};

/// One line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A check passes, for the first time or again.
    Passes(ServerId, ProbeId),
    /// A check fails, and has no retry left.
    Fails(ServerId, ProbeId),
    /// A check that has not passed yet fails (`alpha`).
    Unproven(ServerId, ProbeId),
    /// A failure is borne, and told because of `log_all_failures`.
    Borne(ServerId, ProbeId),
    /// An attempt could not be made, for a reason on this host; told until there is a result.
    Missed(ServerId, ProbeId),
    /// A server went up.
    Up(ServerId),
    /// A server went down.
    Down(ServerId),
    /// The weight of a server is another one.
    Weight {
        /// Which.
        server: ServerId,
        /// Before.
        from: u32,
        /// Now.
        to: u32,
    },
    /// The quorum of a pool was gained or lost.
    Quorum(Quorum),
    /// The sorry server of a pool stands in, or no longer does.
    Sorry {
        /// Of which pool.
        pool: PoolId,
        /// Whether it stands in now.
        serves: bool,
    },
    /// The checks of a pool rest, or go on (`ha_suspend`).
    Suspended(PoolId, bool),
}

/// A quorum and the weight that it is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Of which pool.
    pub pool: PoolId,
    /// Whether it is there.
    pub up: bool,
    /// It starts so.
    pub starting: bool,
    /// Weight of the servers that are up.
    pub weight: u64,
}

impl Note {
    /// Of which pool.
    #[must_use]
    pub const fn pool(&self) -> PoolId {
        match self {
            Self::Passes(server, _)
            | Self::Fails(server, _)
            | Self::Unproven(server, _)
            | Self::Borne(server, _)
            | Self::Missed(server, _)
            | Self::Up(server)
            | Self::Down(server)
            | Self::Weight { server, .. } => server.pool,
            Self::Quorum(Quorum { pool, .. })
            | Self::Sorry { pool, .. }
            | Self::Suspended(pool, _) => *pool,
        }
    }

    /// How important it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Fails(..) | Self::Missed(..) | Self::Down(_) => Level::Warn,
            Self::Quorum(Quorum {
                up: false,
                starting: false,
                ..
            }) => Level::Warn,
            _ => Level::Info,
        }
    }
}

/// A note with the engine that knows the names in it.
pub(super) struct Line<'a>(pub(super) &'a Engine, pub(super) Note);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(engine, note) = self;
        let Some(pool) = engine.pool(note.pool()) else {
            return Ok(());
        };
        let name = pool.name();
        match *note {
            Note::Passes(server, probe)
            | Note::Fails(server, probe)
            | Note::Unproven(server, probe)
            | Note::Borne(server, probe)
            | Note::Missed(server, probe) => self.check(f, server, probe),
            Note::Up(id) | Note::Down(id) | Note::Weight { server: id, .. } => {
                let Some(server) = engine.server(id) else {
                    return Ok(());
                };
                let called = pool.server_name(server);
                let words = match (note, server.config().inhibit) {
                    (Note::Weight { from, to, .. }, _) => {
                        let kind = if server.is_up() { "active" } else { "inactive" };
                        return write!(
                            f,
                            "Changing weight from {from} to {to} for {kind} service {called} of VS {name}"
                        );
                    }
                    (Note::Up(_), false) => ("Adding", "to"),
                    (Note::Up(_), true) => ("Enabling", "of"),
                    (_, false) => ("Removing", "from"),
                    (_, true) => ("Disabling", "of"),
                };
                write!(f, "{} service {called} {} VS {name}", words.0, words.1)
            }
            Note::Quorum(Quorum {
                up,
                starting,
                weight,
                ..
            }) => {
                let (quorum, hysteresis) = (pool.config().quorum, pool.config().hysteresis);
                let (how, sign, compared) = match (starting, up) {
                    (true, true) => ("Starting with quorum up,", '+', "<="),
                    (false, true) => ("Gained quorum", '+', "<="),
                    (true, false) => ("Starting with quorum down,", '+', ">"),
                    (false, false) => ("Lost quorum", '-', ">"),
                };
                let threshold = match sign {
                    '+' => u64::from(quorum) + u64::from(hysteresis),
                    _ => u64::from(quorum.saturating_sub(hysteresis)),
                };
                write!(
                    f,
                    "{how} {quorum}{sign}{hysteresis}={threshold} {compared} {weight} for VS {name}"
                )
            }
            Note::Sorry { serves, .. } => {
                let inhibit = pool.config().sorry.is_some_and(|sorry| sorry.inhibit);
                let words = match (serves, inhibit) {
                    (true, false) => ("Adding", "to"),
                    (true, true) => ("Enabling", "of"),
                    (false, false) => ("Removing", "from"),
                    (false, true) => ("Disabling", "of"),
                };
                let called = pool.sorry_name();
                write!(f, "{} sorry server {called} {} VS {name}", words.0, words.1)
            }
            Note::Suspended(_, true) => write!(f, "Suspending healthcheckers for VS {name}"),
            Note::Suspended(_, false) => write!(f, "Activating healthcheckers for VS {name}"),
        }
    }
}

impl Line<'_> {
    fn check(&self, f: &mut fmt::Formatter<'_>, server: ServerId, probe: ProbeId) -> fmt::Result {
        let Self(engine, note) = self;
        let parts = (
            engine.pool(server.pool),
            engine.server(server),
            engine.probe(probe),
        );
        let (Some(pool), Some(server), Some(probe)) = parts else {
            return Ok(());
        };
        let checker = probe.checker();
        let (pool, server) = (pool.name(), pool.server_name(server));
        write!(f, "{} on service {server} of VS {pool}", kind(checker))?;
        if let Note::Passes(..) = note {
            return f.write_str(" succeeded");
        }
        match (note, checker.pace.retry) {
            (Note::Missed(..), _) => f.write_str(" could not be made")?,
            (Note::Borne(..), retry) => write!(f, " failed, {} of {retry} borne", probe.borne())?,
            (Note::Unproven(..), _) | (_, 0) => f.write_str(" failed")?,
            (_, 1) => f.write_str(" failed after 1 retry")?,
            (_, retry) => write!(f, " failed after {retry} retries")?,
        }
        match probe.failure() {
            Some(failure) => write!(f, ": {}", failure.cause),
            None => Ok(()),
        }
    }
}

/// The keyword of a check.
#[must_use]
pub fn kind(checker: &Checker) -> &'static str {
    match &checker.check {
        Check::Tcp => "TCP_CHECK",
        Check::Http(http) if http.tls => "SSL_GET",
        Check::Http(_) => "HTTP_GET",
        Check::Smtp(_) => "SMTP_CHECK",
        Check::Dns { .. } => "DNS_CHECK",
        Check::Udp(_) => "UDP_CHECK",
        Check::Ping => "PING_CHECK",
        Check::Misc { .. } => "MISC_CHECK",
        Check::File(..) => "FILE_CHECK",
        Check::Bfd(_) => "BFD_CHECK",
    }
}
