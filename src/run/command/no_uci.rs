//! `keepalite uci` in a build without it.

use std::io::{self, Write};

use argh::{ArgsInfo, FromArgs};

use crate::error::Exit;

/// print the keepalived.conf that a configuration of OpenWrt means (not in this build)
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "uci")]
pub struct Uci {
    /// the UCI file
    #[argh(positional)]
    pub file: Option<String>,
}

impl Uci {
    pub(super) fn run(&self) -> Exit {
        let _ = writeln!(
            io::stderr(),
            "keepalite: this build does not read UCI; it needs the feature 'uci'"
        );
        Exit::Fatal
    }
}
