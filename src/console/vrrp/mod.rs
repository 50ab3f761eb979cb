//! Virtual routers, sync groups and trackers as an operator sees them.

pub mod advert;
pub mod explain;
pub mod machine;
pub mod metrics;
pub mod overview;
pub mod whole;

use core::fmt;
use std::path::Path;
use std::rc::Rc;

use super::clock::Clock;
use super::events::Events;
use super::paint::Colour;
use crate::model::{Address, ProcessTracker, ScriptTracker};
use crate::time::{Instant, Seconds, Span};
use crate::track::{Outcome, Quorum, Script};
use crate::vrrp::{Bearing, Engine, Id, Influence, Instance, Note, Reading, State, TrackerKind};

/// What there is to look at, and when.
pub struct View<'a> {
    /// The virtual routers.
    pub engine: &'a Engine,
    /// What is watched for them.
    pub trackers: &'a [Tracker<'a>],
    /// What has happened to them lately.
    pub events: &'a Events<Subject, Happening>,
    /// The time of looking.
    pub clock: Clock,
}

/// To whom something has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A virtual router.
    Router(Id),
    /// What is watched for them, by kind and name.
    Tracker(TrackerKind, Rc<str>),
}

/// What has happened.
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    /// What the log says of a virtual router.
    Note(Note),
    /// What a tracker reads now; of a script also how its run ended.
    Reads(Reading, Option<Outcome>),
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reading, outcome) = match self {
            Self::Note(note) => return note.fmt(f),
            Self::Reads(reading, outcome) => (reading, outcome),
        };
        match reading {
            Reading::Up => f.write_str("up")?,
            Reading::Down => f.write_str("down")?,
            Reading::Value(value) => write!(f, "{value}")?,
        }
        match outcome {
            Some(outcome) => write!(f, ": {outcome}"),
            None => Ok(()),
        }
    }
}

/// Something that is watched.
pub enum Tracker<'a> {
    /// `vrrp_script`.
    Script {
        /// What was asked for.
        config: &'a ScriptTracker,
        /// What it has done.
        script: Script,
    },
    /// `track_file`.
    File {
        /// Its name.
        name: &'a str,
        /// Where it is.
        path: &'a Path,
        /// The number in it.
        value: Option<i64>,
        /// When that last changed.
        changed: Option<Instant>,
    },
    /// `vrrp_track_process`.
    Process {
        /// What was asked for.
        config: &'a ProcessTracker,
        /// How many there are.
        quorum: &'a Quorum,
    },
}

impl Tracker<'_> {
    const fn kind(&self) -> TrackerKind {
        match self {
            Self::Script { .. } => TrackerKind::Script,
            Self::File { .. } => TrackerKind::File,
            Self::Process { .. } => TrackerKind::Process,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Script { config, .. } => &config.name,
            Self::File { name, .. } => name,
            Self::Process { config, .. } => &config.name,
        }
    }

    const fn changed(&self) -> Option<Instant> {
        match self {
            Self::Script { script, .. } => script.changed(),
            Self::File { changed, .. } => *changed,
            Self::Process { quorum, .. } => quorum.changed(),
        }
    }

    /// Up, down, or what a file holds; `None` while nothing is known.
    const fn up(&self) -> Option<bool> {
        match self {
            Self::Script { script, .. } => script.verdict(),
            Self::File { .. } => None,
            Self::Process { quorum, .. } => quorum.verdict(),
        }
    }
}

impl View<'_> {
    fn instance(&self, name: &str) -> Option<&Instance> {
        let mut all = self.engine.iter();
        all.find(|(_, i)| i.config().name == name).map(|(_, i)| i)
    }

    fn tracker(&self, name: &str) -> Option<&Tracker<'_>> {
        self.trackers.iter().find(|tracker| tracker.name() == name)
    }

    /// Everything that has a name, one on a line.
    #[must_use]
    pub fn names(&self) -> String {
        let instances = self.engine.iter().map(|(_, i)| i.config().name.as_str());
        let groups = self.engine.groups().map(|(_, g)| g.config().name.as_str());
        let trackers = self.trackers.iter().map(Tracker::name);
        let all = instances.chain(groups).chain(trackers);
        all.flat_map(|name| [name, "\n"]).collect()
    }
}

const fn state_colour(state: State) -> Colour {
    match state {
        State::Init => Colour::Yellow,
        State::Backup => Colour::Blue,
        State::Master => Colour::Green,
        State::Fault => Colour::Red,
    }
}

/// What kind of thing is watched, in a word.
const fn kind_name(kind: Option<TrackerKind>) -> &'static str {
    match kind {
        None => "interface",
        Some(TrackerKind::Script) => "script",
        Some(TrackerKind::File) => "file",
        Some(TrackerKind::Process) => "process",
        Some(TrackerKind::Statics) => "statics",
    }
}

/// `1 failure`, `2 failures`.
fn several(count: impl Into<u64>, one: &str, more: &str) -> String {
    match count.into() {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    }
}

/// An address as it is written, with its device where that is not the usual one.
struct Line<'a>(&'a Address);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address {
            ip, prefix, dev, ..
        } = self.0;
        write!(f, "{ip}/{prefix}")?;
        match dev {
            Some(dev) => write!(f, " dev {dev}"),
            None => Ok(()),
        }
    }
}

/// The effective priority and what it is made of: `98 = 100 - 2 (script chk)`.
struct Sum<'a>(&'a View<'a>, &'a Instance);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(view, instance) = self;
        let (base, effective) = (instance.config().priority, instance.priority());
        if instance.config().is_owner() {
            return match effective {
                crate::name::OWNER => f.write_str("255, the owner of the addresses"),
                lowered => write!(f, "{lowered}, lowered because another owner goes on"),
            };
        }
        write!(f, "{effective}")?;
        let mut sum = i32::from(base);
        let mut between = format!(" = {base}");
        for (influence, adds) in weights(view.engine.influences(instance)) {
            sum += i32::from(adds);
            let sign = if adds < 0 { '-' } else { '+' };
            let (adds, kind) = (adds.unsigned_abs(), kind_name(influence.kind));
            write!(f, "{between} {sign} {adds} ({kind} {})", influence.name)?;
            between.clear();
        }
        if sum != i32::from(effective) {
            write!(f, ", kept within 1 and 254")?;
        }
        Ok(())
    }
}

/// Those that add to the priority now.
fn weights<'a>(
    influences: impl Iterator<Item = Influence<'a>>,
) -> impl Iterator<Item = (Influence<'a>, i16)> {
    influences.filter_map(|influence| match influence.bearing {
        Some(Bearing::Adds(adds)) if adds != 0 => Some((influence, adds)),
        _ => None,
    })
}

/// What a tracker has found out last.
struct Found<'a>(&'a Tracker<'a>, Clock);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(tracker, clock) = self;
        match tracker {
            Tracker::Script { script, .. } => match script.last() {
                None => f.write_str("has not come to an end yet"),
                Some(run) => {
                    let (outcome, took) = (run.outcome, Seconds(run.took));
                    let ago = Span(clock.ago(run.at));
                    write!(f, "{outcome}, took {took} s, {ago} ago")
                }
            },
            Tracker::File { path, value, .. } => match value {
                Some(value) => write!(f, "{value} in {}", path.display()),
                None => write!(f, "{} has not been read yet", path.display()),
            },
            Tracker::Process { config, quorum } => {
                write!(f, "{} of at least {}", quorum.processes(), config.quorum)?;
                match config.quorum_max {
                    Some(most) => write!(f, " and at most {most}"),
                    None => Ok(()),
                }
            }
        }
    }
}
