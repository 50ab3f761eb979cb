//! The checkers process: its engine's decisions carried out on this host.

use std::rc::Rc;

use crate::check::ProbeId;
use crate::check::conversation::Outcome;
use crate::track;

pub mod attempts;
pub mod command;
mod desk;
pub mod director;
pub mod drive;
pub mod notifier;
pub mod presence;
pub mod prober;
pub mod report;
pub mod table;
pub mod talk;
pub mod tunnel;

pub use drive::drive;

/// What has been found out beside the loop of this process.
pub enum News {
    /// What became of an attempt at talking to a server.
    Outcome(ProbeId, Outcome),
    /// How a command ended, and what it complained of.
    Ended(ProbeId, track::Outcome, Box<str>),
    /// The number in a `track_file`.
    File(Rc<str>, i64),
}

impl News {
    /// The probe whose attempt is over.
    const fn about(&self) -> Option<ProbeId> {
        match self {
            Self::Outcome(id, _) | Self::Ended(id, ..) => Some(*id),
            Self::File(..) => None,
        }
    }
}
