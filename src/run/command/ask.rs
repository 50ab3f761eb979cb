//! The other side of the control socket.

use core::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config;
use crate::error::{Chain, Exit};
use crate::model::Global;
use crate::run::configuration;
use crate::run::control::{self, Form, Request};
use crate::run::options::Options;

/// Longer than a daemon takes for anything.
const PATIENCE: Duration = Duration::from_secs(70);

/// What the standard output shows things on.
pub(super) struct Terminal {
    /// Whether it is one.
    pub(super) is_one: bool,
    pub(super) rows: u16,
    pub(super) columns: u16,
}

impl Terminal {
    pub(super) fn of_stdout() -> Self {
        let out = io::stdout();
        let is_one = out.is_terminal();
        let size = rustix::termios::tcgetwinsize(&out).ok();
        let size = size.filter(|_| is_one);
        // A serial line knows neither, some terminals only one.
        let known = |number: Option<u16>, usual| number.filter(|n| *n > 0).unwrap_or(usual);
        Self {
            is_one,
            rows: known(size.map(|size| size.ws_row), 24),
            columns: known(size.map(|size| size.ws_col), 80),
        }
    }

    /// Colours on a terminal only, and only where nobody minds (<https://no-color.org>).
    pub(super) fn has_colours(&self) -> bool {
        let minds = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        self.is_one && !minds && !dumb
    }

    /// How a daemon is to write for it.
    pub(super) fn form(&self) -> Form {
        Form::Text {
            width: self.columns,
            colour: self.has_colours(),
        }
    }
}

/// Nobody answers.
#[derive(Debug)]
pub(super) struct Silence {
    path: Option<PathBuf>,
    source: io::Error,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(path) = &self.path else {
            return f.write_str("the daemon has no control socket: control_socket is off");
        };
        let path = path.display();
        match self.source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => write!(
                f,
                "no daemon runs here: nobody listens at {path}\n\
                 Start keepalite, or tell by -f or --control-socket which one you mean."
            ),
            io::ErrorKind::PermissionDenied => {
                write!(f, "the control socket {path} is for root only")
            }
            _ => write!(f, "cannot ask at {path}: {}", self.source),
        }
    }
}

/// Asks the daemon that the options name; its answer, and the exit status that goes with it.
pub(super) fn ask(options: &Options, request: &Request) -> Result<(Exit, String), Silence> {
    let path = control::path(options, &global(options));
    let silence = |source| Silence {
        path: path.clone(),
        source,
    };
    let Some(at) = &path else {
        return Err(silence(io::ErrorKind::NotFound.into()));
    };
    let answer = exchange(at, request).map_err(silence)?;
    let malformed = || silence(io::Error::other("the answer is cut off"));
    match request.form {
        Form::Json if answer.ends_with('\n') => Ok((Exit::Ok, answer)),
        Form::Json => Err(malformed()),
        Form::Text { .. } => {
            let (status, text) = answer.split_once('\n').ok_or_else(malformed)?;
            let status = status.parse().ok().and_then(Exit::from_status);
            Ok((status.ok_or_else(malformed)?, text.to_owned()))
        }
    }
}

fn exchange(path: &Path, request: &Request) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{request}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Where the socket is may stand in the configuration; one that cannot be read has the usual place.
fn global(options: &Options) -> Global {
    let file = Path::new(&options.use_file);
    let loaded = config::load(file, &configuration::reading(options));
    loaded.map(|loaded| loaded.model.global).unwrap_or_default()
}

/// Prints an answer, or why there is none.
pub(super) fn print(answer: Result<(Exit, String), Silence>) -> Exit {
    match answer {
        Ok((exit, text)) => {
            // Whoever closes the pipe has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            exit
        }
        Err(silence) => {
            let _ = writeln!(io::stderr(), "keepalite: {}", Chain(&silence));
            Exit::Fatal
        }
    }
}

impl std::error::Error for Silence {}
