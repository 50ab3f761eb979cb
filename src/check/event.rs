//! What the check engine hears and what it asks for, as plain values.

use core::fmt;
use core::net::IpAddr;

use super::conversation::{Outcome, Reason};
use super::note::Note;
use crate::track;

/// Names one probe of an engine; never used again for another one, also across reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId(pub u32);

/// Names one pool by its place in the configuration, until the next reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolId(pub u32);

/// Names one server by its pool and its place in it, until the next reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerId {
    /// Its pool.
    pub pool: PoolId,
    /// Its place there.
    pub place: u32,
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Files and addresses are known as they are now: begin.
    Start,
    /// The time that the engine asked to be woken at has come; too early is harmless.
    Deadline,
    /// An attempt at talking to a server is over.
    Outcome(ProbeId, Outcome),
    /// A command has ended, and this is what it wrote on its standard error, the first lines of it in one.
    Ended(ProbeId, track::Outcome, Box<str>),
    /// The number in a `track_file`.
    File {
        /// Its name in the configuration.
        name: &'a str,
        /// The number.
        value: i64,
    },
    /// An address came to this host or left it; until told otherwise none is here. For `ha_suspend`.
    Address {
        /// Which.
        ip: IpAddr,
        /// Whether this host has it.
        here: bool,
    },
    /// Orderly stop: nothing is checked any more, and with `omega` everybody is told.
    Stop,
}

/// What the caller has to do: what concerns the table first, since clients wait for it, the rest in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make an attempt, and tell what became of it.
    Start(ProbeId),
    /// Give up an attempt that is being made: nobody wants to know any more.
    Cancel(ProbeId),
    /// The members of a pool are others now, or weigh otherwise.
    Table(PoolId),
    /// Tell the world.
    Notify(Notice),
    /// Write a line into the log; nothing has been formatted yet.
    Say(Note),
}

/// What scripts, FIFOs and mails are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A server went up or down: its script, the FIFOs.
    Server(ServerId, bool),
    /// A check passes or fails now: a mail.
    Check {
        /// Of which server.
        server: ServerId,
        /// Which check.
        probe: ProbeId,
        /// Whether it passes.
        up: bool,
        /// Whether the server went up or down with it.
        turned: bool,
    },
    /// The quorum of a pool was gained or lost: its script, the FIFOs, a mail.
    Quorum {
        /// Of which pool.
        pool: PoolId,
        /// Whether it is there now.
        up: bool,
        /// Why it is told.
        why: Why,
    },
    /// A server that was up is taken out: its `notify_down`, the FIFOs, a mail.
    Removed {
        /// Which.
        server: ServerId,
        /// By the stop, not by a reload.
        stopping: bool,
    },
}

/// Why a quorum is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// This is how it starts, or how a reload leaves it.
    Starting,
    /// The weight of the servers that are up has changed.
    Changed,
    /// The daemon stops.
    Stopping,
}

/// Why a check failed, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What was heard, or not, from the server.
    Answer(Reason),
    /// How its command ended, and what it complained of.
    Command(track::Outcome, Box<str>),
    /// The number in its file.
    File(i64),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(reason) => reason.fmt(f),
            Self::Command(outcome, complaint) => match &**complaint {
                "" => outcome.fmt(f),
                words => write!(f, "{outcome}: {words}"),
            },
            Self::File(value) => write!(f, "the file says {value}"),
        }
    }
}
