//! `keepalite plan`.

use std::io::{self, Write};
use std::path::Path;

use argh::{ArgsInfo, FromArgs};

use super::ask::{Terminal, ask, print};
use crate::error::Exit;
use crate::run::control::{Form, Request, Verb};
use crate::run::options::Options;

/// what a reload would change; exit status 0 is nothing, 2 something, 1 an error
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "plan")]
pub struct Plan {
    /// for programs: JSON with a version
    #[argh(switch)]
    pub json: bool,
    /// the file that would be read; the one that the daemon reads unless given
    #[argh(option, short = 'f', arg_name = "FILE")]
    pub file: Option<String>,
}

impl Plan {
    pub(super) fn run(&self, options: &Options) -> Exit {
        let file = self.file.as_ref().unwrap_or(&options.use_file);
        // The daemon stands in another directory.
        let file = match std::path::absolute(Path::new(file)) {
            Ok(file) => file.to_string_lossy().into_owned(),
            Err(error) => {
                let _ = writeln!(io::stderr(), "keepalite: cannot find {file}: {error}");
                return Exit::Fatal;
            }
        };
        let form = if self.json {
            Form::Json
        } else {
            Terminal::of_stdout().form()
        };
        let request = Request {
            form,
            verb: Verb::Plan,
            object: file,
        };
        print(ask(options, &request))
    }
}
