//! `keepalite status`.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};

use super::ask::{Terminal, ask, print};
use crate::error::Exit;
use crate::run::control::{Form, Request, Verb};
use crate::run::options::Options;

/// how everything is, or one thing whole
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "status")]
pub struct Status {
    /// for programs: JSON with a version
    #[argh(switch)]
    pub json: bool,
    /// for Prometheus: all numbers in its text format
    #[argh(switch)]
    pub prometheus: bool,
    /// again each second, in place, until interrupted
    #[argh(switch, short = 'w')]
    pub watch: bool,
    /// a virtual router, sync group, tracker or virtual server; all unless given
    #[argh(positional, arg_name = "NAME")]
    pub name: Option<String>,
}

/// Between two looks of `--watch`.
const PERIOD: Duration = Duration::from_secs(1);

impl Status {
    pub(super) fn run(&self, options: &Options) -> Exit {
        let terminal = Terminal::of_stdout();
        let request = Request {
            form: if self.json || self.prometheus {
                Form::Json
            } else {
                terminal.form()
            },
            verb: if self.prometheus {
                Verb::Metrics
            } else {
                Verb::Status
            },
            object: self.name.clone().unwrap_or_default(),
        };
        if !self.watch {
            return print(ask(options, &request));
        }
        loop {
            let form = match request.form {
                Form::Json => Form::Json,
                Form::Text { .. } => Terminal::of_stdout().form(),
            };
            let request = Request {
                form,
                ..request.clone()
            };
            let (text, exit) = match ask(options, &request) {
                Ok((exit, text)) => (text, exit),
                Err(error) => (format!("{error}\n"), Exit::Fatal),
            };
            if redraw(&text, &terminal).is_err() {
                return exit;
            }
            thread::sleep(PERIOD);
        }
    }
}

/// Home, each line to its end, and what is below: nothing flickers. On anything else than a terminal one after the other.
fn redraw(text: &str, terminal: &Terminal) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !terminal.is_one {
        out.write_all(text.as_bytes())?;
        return out.flush();
    }
    let rows = usize::from(Terminal::of_stdout().rows).max(2);
    let mut screen = String::from("\x1b[H");
    let lines = text.lines().count();
    let room = if lines > rows { rows - 1 } else { rows };
    for (row, line) in text.lines().take(room).enumerate() {
        if row > 0 {
            screen.push_str("\r\n");
        }
        screen.push_str(line);
        screen.push_str("\x1b[K");
    }
    if lines > rows {
        screen.push_str(&format!("\r\n({} more lines)\x1b[K", lines - room));
    }
    screen.push_str("\x1b[J");
    out.write_all(screen.as_bytes())?;
    out.flush()
}
