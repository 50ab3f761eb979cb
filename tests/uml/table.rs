//! The kernel's table of virtual servers.

use std::process::Command;

/// What `ipvsadm -Sn` says, in order, without blanks at the ends.
pub(crate) fn table() -> Vec<String> {
    let output = Command::new("ipvsadm")
        .arg("-Sn")
        .output()
        .expect("ipvsadm");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.sort();
    lines
}
