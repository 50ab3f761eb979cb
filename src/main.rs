//! Words in, exit code out.

use std::io::{self, Write};
use std::process::ExitCode;

use keepalite::cli::{self, Request};
use keepalite::error::Exit;
use keepalite::run;

fn main() -> ExitCode {
    let exit = match cli::parse(std::env::args_os()) {
        Request::Run(options, notes) => run::start(&options, &notes),
        Request::Command(options) => run::command::run(&options),
        #[cfg(feature = "genhash")]
        Request::Genhash(order) => run::genhash::run(&order),
        Request::Help(words) => run::command::help::run(&words),
        Request::Print(text) => {
            say(io::stdout(), &text);
            Exit::Ok
        }
        Request::Version(text) => {
            say(io::stderr(), &text);
            Exit::Ok
        }
        Request::Refuse(why) => {
            say(io::stderr(), &format!("{why}\n"));
            Exit::Fatal
        }
    };
    exit.into()
}

/// Whoever closes the pipe has read enough.
fn say(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
