//! `keepalite uci`.

use std::fs;
use std::io::{self, Write};

use argh::{ArgsInfo, FromArgs};

use crate::error::Exit;
use crate::uci;

/// print the keepalived.conf that a configuration of OpenWrt means
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "uci")]
pub struct Uci {
    /// the UCI file; /etc/config/keepalived if none is given
    #[argh(positional, default = "\"/etc/config/keepalived\".to_owned()")]
    pub file: String,
}

impl Uci {
    /// The text goes to the standard output, and what is wrong with the file to the standard error, by line. The status is that of
    /// `-t` for a file that is no UCI, whose text is what is whole of it.
    pub(super) fn run(&self) -> Exit {
        let file = &self.file;
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                let _ = writeln!(io::stderr(), "keepalite: cannot read {file}: {error}");
                return Exit::Missing;
            }
        };
        let meant = uci::translate(&text);
        for remark in &meant.remarks {
            let _ = writeln!(io::stderr(), "{file}:{remark}");
        }
        match io::stdout().write_all(meant.text.as_bytes()) {
            Ok(()) if meant.well_formed => Exit::Ok,
            Ok(()) => Exit::Errors,
            Err(error) => {
                let _ = writeln!(io::stderr(), "keepalite: cannot write the text: {error}");
                Exit::Fatal
            }
        }
    }
}
