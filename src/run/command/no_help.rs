//! `keepalite help` in a build without it.

use std::io::{self, Write};

use crate::error::Exit;

/// What it does, in a line.
pub const SUMMARY: &str = "explain a keyword of the configuration (not in this build)";

/// Says so.
#[must_use]
pub fn run(_words: &[String]) -> Exit {
    let _ = writeln!(
        io::stderr(),
        "keepalite: this build explains no keywords: it needs the feature 'help'\n\
         keepalite.conf(5) says the same, and keepalite --help lists the options."
    );
    Exit::Fatal
}
