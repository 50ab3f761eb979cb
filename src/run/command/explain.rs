//! `keepalite explain`.

use argh::{ArgsInfo, FromArgs};

use super::ask::{Terminal, ask, print};
use crate::error::Exit;
use crate::run::control::{Form, Request, Verb};
use crate::run::options::Options;

/// why something is as it is, and what would have to change
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "explain")]
pub struct Explain {
    /// for programs: JSON with a version
    #[argh(switch)]
    pub json: bool,
    /// a virtual router, sync group, tracker or virtual server
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
}

impl Explain {
    pub(super) fn run(&self, options: &Options) -> Exit {
        let form = if self.json {
            Form::Json
        } else {
            Terminal::of_stdout().form()
        };
        let request = Request {
            form,
            verb: Verb::Explain,
            object: self.name.clone(),
        };
        print(ask(options, &request))
    }
}
