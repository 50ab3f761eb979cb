//! `keepalite reload`.

use argh::{ArgsInfo, FromArgs};

use super::ask::{Terminal, ask, print};
use crate::error::Exit;
use crate::run::control::{Form, Request, Verb};
use crate::run::options::Options;

/// read the configuration anew, and tell what has changed
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "reload")]
pub struct Reload {
    /// for programs: JSON with a version
    #[argh(switch)]
    pub json: bool,
}

impl Reload {
    pub(super) fn run(&self, options: &Options) -> Exit {
        let form = if self.json {
            Form::Json
        } else {
            Terminal::of_stdout().form()
        };
        let request = Request {
            form,
            verb: Verb::Reload,
            object: String::new(),
        };
        // That something has changed is what was asked for.
        match print(ask(options, &request)) {
            Exit::Config => Exit::Ok,
            exit => exit,
        }
    }
}
