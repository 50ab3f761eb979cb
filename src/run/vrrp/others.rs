//! Other daemons of our kind on this host: what bears our mark may be theirs.

use std::fs;

use crate::io::processes;
use crate::run::rights;

/// The names of their processes: of keepalived's, of our parents, of those like this one.
const NAMES: [&[u8]; 3] = [b"keepalived", b"keepalite", b"keepalite_vrrp"];

/// Whether a process is such a daemon, and not one that got the number of a dead one.
#[must_use]
pub fn is_one(process: u32) -> bool {
    let mut buffer = Vec::new();
    // `process_name` changes the one of these, and nobody the other.
    NAMES.contains(&processes::name(process, &mut buffer))
        || NAMES.contains(&program(processes::command_line(process, &mut buffer)))
}

/// The file name of the first word.
fn program(words: &[u8]) -> &[u8] {
    let path = words.split(|byte| *byte == 0).next().unwrap_or_default();
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether one lives in our network namespace. Neither we nor our own parent are one.
#[must_use]
pub fn are_here() -> bool {
    // It is told to who may do all that the other process may, ptrace(2).
    let link = |process: u32| fs::read_link(format!("/proc/{process}/ns/net"));
    let network = |process: u32| rights::in_full(|| link(process)).ok();
    let (us, parent) = (std::process::id(), std::os::unix::process::parent_id());
    let ours = network(us);
    let mut others = processes::all().filter(|process| ![us, parent].contains(process));
    others.any(|process| is_one(process) && network(process) == ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_known_by_what_it_was_started_as() {
        assert_eq!(program(b"/usr/sbin/keepalived\0-n\0-l\0"), b"keepalived");
        assert_eq!(program(b"keepalite_vrrp\0--role=vrrp\0"), b"keepalite_vrrp");
        assert_eq!(program(b""), b"");
    }
}
