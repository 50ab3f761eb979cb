//! Things that are watched, and what they do to a virtual router.

use core::time::Duration;

use super::Command;
use crate::name::IfName;

/// How a tracked thing bears on the priority.
///
/// Zero means fault: the instance is in FAULT while the thing is down (reversed: while it is up).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// -253 to 253; positive is added while up, negative while down.
    pub value: i16,
    /// `reverse`: the sign is the opposite one; with zero, up and down change places.
    pub reverse: bool,
}

/// What an instance or a group tracks; a weight that is `None` is the tracked thing's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// `track_interface`.
    pub interfaces: Vec<(IfName, Weight)>,
    /// `track_script`.
    pub scripts: Vec<(String, Option<Weight>)>,
    /// `track_file`.
    pub files: Vec<(String, Option<Weight>)>,
    /// `track_process`.
    pub processes: Vec<(String, Option<Weight>)>,
    /// `track_bfd`.
    pub bfds: Vec<(String, Option<Weight>)>,
}

/// `vrrp_script`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptTracker {
    /// Its name.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// Between two starts; 1 s unless given.
    pub interval: Duration,
    /// After which a run is ended and counts as failed; the interval unless given.
    pub timeout: Duration,
    /// Its weight where the tracking line gives none.
    pub weight: Weight,
    /// Successes in a row until it is up.
    pub rise: u32,
    /// Failures in a row until it is down.
    pub fall: u32,
    /// `init_fail`: down until its first success.
    pub init_fail: bool,
}

/// `track_file`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTracker {
    /// Its name.
    pub name: String,
    /// The file whose integer is multiplied with the weight.
    pub path: String,
    /// Its weight; 1 unless given.
    pub weight: Weight,
    /// `init_file`: written at start if absent, or always with `overwrite`.
    pub init: Option<(i64, bool)>,
}

/// `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessTracker {
    /// Its name.
    pub name: String,
    /// Program name or path, then its arguments where they matter.
    pub words: Vec<String>,
    /// `param_match`: how arguments are compared; `None` where they are not.
    pub arguments: Option<ArgumentMatch>,
    /// `full_command`: compare the whole command line's first word, not the short name.
    pub full_command: bool,
    /// Its weight where the tracking line gives none.
    pub weight: Weight,
    /// Fewest processes for it to be up.
    pub quorum: u32,
    /// Most processes for it to be up.
    pub quorum_max: Option<u32>,
    /// `fork_delay` or `delay`: how long the quorum must hold before it counts as gained.
    pub fork_delay: Duration,
    /// `terminate_delay` or `delay`: likewise lost.
    pub terminate_delay: Duration,
}

/// `param_match` of a tracked process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentMatch {
    /// All arguments are equal.
    Exact,
    /// The process's first arguments are these; more may follow.
    Initial,
    /// The last argument may go on.
    Partial,
}
