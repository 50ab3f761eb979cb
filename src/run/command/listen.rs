//! `keepalite listen`.

use std::io::{self, Write};
use std::path::Path;

use argh::{ArgsInfo, FromArgs};

use super::ask::Terminal;
use crate::config;
use crate::console::paint::Colour;
use crate::console::vrrp::advert::{Place, Speakers, describe};
use crate::error::Exit;
use crate::io::sniffer::Sniffer;
use crate::name::IfName;
use crate::run::clock::clock;
use crate::run::configuration;
use crate::run::control::answers::paint;
use crate::run::options::Options;
use crate::run::reactor::now;

/// print adverts as they pass and what is wrong with them; needs no daemon
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand, name = "listen")]
pub struct Listen {
    /// end after so many adverts
    #[argh(option, short = 'c', arg_name = "COUNT")]
    pub count: Option<u32>,
    /// the interface; all unless given
    #[argh(positional, arg_name = "INTERFACE")]
    pub interface: Option<String>,
}

impl Listen {
    pub(super) fn run(&self, options: &Options) -> Exit {
        let fail = |why: &str| {
            let _ = writeln!(io::stderr(), "keepalite: cannot listen: {why}");
            Exit::Fatal
        };
        let interface = match self.interface.as_deref().map(IfName::new) {
            Some(None) => return fail("that is no name of an interface"),
            Some(name) => name,
            None => None,
        };
        let sniffer = match Sniffer::open(interface.as_ref()) {
            Ok(sniffer) => sniffer,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return fail("it needs root, or CAP_NET_RAW");
            }
            Err(error) => return fail(&error.to_string()),
        };
        // What is expected is told by our own configuration, if there is one.
        let file = Path::new(&options.use_file);
        let ours = config::load(file, &configuration::reading(options)).ok();
        let ours = ours.as_ref().map(|loaded| &loaded.model);
        let terminal = Terminal::of_stdout();
        // Programs want an advert on one line.
        let width = if terminal.is_one {
            terminal.columns
        } else {
            u16::MAX
        };
        let paint = paint(width, terminal.has_colours());
        let mut speakers = Speakers::default();
        let mut buffer = [0; 2048];
        let mut left = self.count;
        while left != Some(0) {
            let (heard, interface) = match sniffer.receive(&mut buffer) {
                Ok(heard) => heard,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return fail(&error.to_string()),
            };
            let now = now();
            let place = Place {
                interface,
                ifindex: heard.ifindex,
                is_ours: heard.is_ours,
                at: now,
            };
            let packet = buffer.get(..heard.len).unwrap_or_default();
            let said = describe(packet, place, ours, &mut speakers);
            let date = clock(now).date(now);
            let mut text = String::new();
            for (row, line) in said.iter().enumerate() {
                if row == 0 {
                    paint.lines(&mut text, &format!("{date} {line}"), "", Colour::Plain, 8);
                } else {
                    let line = format!("    {line}");
                    paint.lines(&mut text, &line, &line, Colour::Red, 8);
                }
            }
            // Whoever closes the pipe has read enough.
            let mut out = io::stdout().lock();
            if out
                .write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .is_err()
            {
                return Exit::Ok;
            }
            left = left.map(|left| left - 1);
        }
        Exit::Ok
    }
}
