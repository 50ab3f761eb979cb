//! Other daemons of our kind on this host: what bears our mark may be theirs.

use std::fs;

use crate::io::processes;

/// The names of their processes: of keepalived's, of our parents, of those like this one.
const NAMES: [&[u8]; 3] = [b"keepalived", b"keepalite", b"keepalite_vrrp"];

/// Whether a process is such a daemon, and not one that got the number of a dead one.
#[must_use]
pub fn is_one(process: u32) -> bool {
    NAMES.contains(&processes::name(process, &mut Vec::new()))
}

/// Whether one lives in our network namespace. Neither we nor our own parent are one.
#[must_use]
pub fn are_here() -> bool {
    let network = |process: u32| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let (us, parent) = (std::process::id(), std::os::unix::process::parent_id());
    let ours = network(us);
    let mut others = processes::all().filter(|process| ![us, parent].contains(process));
    others.any(|process| is_one(process) && network(process) == ours)
}
