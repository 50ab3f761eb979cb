//! A change of state, with its cause and its cost: what the one line in the log says, and what an operator is told later.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use log::Level;

use super::State;
use super::track::Faults;
use crate::name::Priority;
use crate::time::{Seconds, Span};

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: State,
    /// What it has become.
    pub to: State,
    /// How long it was what it was.
    pub lasted: Duration,
    /// Why.
    pub why: Why,
}

/// Why the state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It starts, and listens first.
    Start,
    /// It owns the addresses, and is master at once.
    Owner,
    /// It has listened for so long and heard nobody.
    Unheard(Duration),
    /// The master has been silent for so long.
    Silent {
        /// Who.
        from: IpAddr,
        /// For how long.
        since: Duration,
    },
    /// The master resigned.
    Resigned(IpAddr),
    /// The master is worse.
    Lower {
        /// Who.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// Another master is better.
    Higher {
        /// Who.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// Another master is as good, and its address is higher.
    HigherAddress {
        /// Who.
        from: IpAddr,
        /// The priority of both.
        priority: Priority,
    },
    /// Another one claims to own the addresses too.
    OtherOwner(IpAddr),
    /// Its sync group does so.
    Group,
    /// Something that it needs is missing.
    Missing(Faults),
    /// All that it needs is there again.
    Recovered,
    /// Its own timer ran so late that others may have taken over.
    Late(Duration),
    /// Its authentication headers are counted to the end.
    WornOut,
    /// The daemon stops, or a reload removed it.
    End,
}

impl Transition {
    /// How important it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self.why {
            Why::Missing(_) | Why::Late(_) | Why::WornOut => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entering {} STATE ({})", self.to, self.why)?;
        match self.from {
            State::Init => Ok(()),
            from => write!(f, ", was {from} for {}", Span(self.lasted)),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("init"),
            Self::Owner => f.write_str("it owns the addresses"),
            Self::Unheard(since) => write!(f, "no advert heard for {} s", Seconds(*since)),
            Self::Silent { from, since } => {
                write!(f, "no advert from {from} for {} s", Seconds(*since))
            }
            Self::Resigned(from) => write!(f, "{from} resigned"),
            Self::Lower { from, theirs, ours } if theirs == ours => {
                write!(f, "{from} is master with our priority {ours}")
            }
            Self::Lower { from, theirs, ours } => {
                write!(f, "{from} is master with {theirs} only, ours is {ours}")
            }
            Self::Higher { from, theirs, ours } => {
                write!(f, "{from} advertises {theirs}, ours is {ours}")
            }
            Self::HigherAddress { from, priority } => {
                write!(
                    f,
                    "{from} advertises {priority} as we do, and its address is higher"
                )
            }
            Self::OtherOwner(from) => write!(f, "{from} owns the addresses too"),
            Self::Group => f.write_str("with its sync group"),
            Self::Missing(faults) => faults.fmt(f),
            Self::Recovered => f.write_str("all that it needs is there again"),
            Self::Late(by) => write!(
                f,
                "woke up {} s late, others may have become master",
                Seconds(*by)
            ),
            Self::WornOut => f.write_str("its authentication headers are counted to the end"),
            Self::End => f.write_str("end"),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        })
    }
}
