//! The properties by name, and what kinds of things may change a state.

use std::fmt;

use keepalite::vrrp::{Event, State};

/// The properties that are watched; what each says stands in the head of the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    OneMaster,
    Calm,
    FollowUp,
    Rivals,
    Waits,
    Refused,
    Addresses,
    Transition,
    Groups,
    Faults,
    Priority,
    Listening,
    Contention,
    Beat,
    Rest,
    Sequence,
}

/// A property that did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) rule: Rule,
    pub(crate) text: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}

pub(crate) fn breach<T>(rule: Rule, text: impl Into<String>) -> Result<T, Breach> {
    let text = text.into();
    Err(Breach { rule, text })
}

/// What kind of thing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wake,
    Datagram,
    World,
    Stop,
    Reload,
}

impl Kind {
    pub(crate) const fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Deadline => Self::Wake,
            Event::Datagram(_) => Self::Datagram,
            Event::Interface(_) | Event::Tracked(_) | Event::Source { .. } => Self::World,
            Event::Stop => Self::Stop,
        }
    }

    /// Which changes of state it may cause; members of a sync group change with one another.
    pub(crate) const fn allows(self, from: State, to: State) -> bool {
        use State::{Backup, Fault, Init, Master};
        matches!(
            (self, from, to),
            (Self::Wake, Init, Backup | Master | Fault)
                | (Self::Wake, Backup, Master)
                | (Self::Wake | Self::Datagram, Master, Backup)
                | (Self::World, Init, Backup | Master | Fault)
                | (Self::World, Backup | Master, Fault)
                | (Self::World, Fault, Backup)
                | (Self::Stop, _, Init)
                | (Self::Reload, Init, Init | Backup | Master | Fault)
                | (Self::Reload, Backup | Master, Init | Fault)
                | (Self::Reload, Backup, Master)
                | (Self::Reload, Master | Fault, Backup)
                | (Self::Reload, Fault, Init)
        )
    }
}
