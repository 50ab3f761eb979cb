//! Words in, exit code out.

use std::process::ExitCode;

use keepalite::cli::{self, Request};
use keepalite::error::Exit;
use keepalite::run;

fn main() -> ExitCode {
    let exit = match cli::parse(std::env::args_os()) {
        Request::Run(options, notes) => run::start(&options, &notes),
        Request::Print(text) => {
            print!("{text}");
            Exit::Ok
        }
        Request::Version(text) => {
            eprint!("{text}");
            Exit::Ok
        }
        Request::Refuse(why) => {
            eprintln!("{why}");
            Exit::Fatal
        }
    };
    exit.into()
}
