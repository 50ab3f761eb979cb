//! Where log records go: syslog, console, file.
//!
//! Nothing here waits: a syslog daemon that is slow, gone, or not there yet costs records, and the next one that gets
//! through says how many. Records of a level that is not wanted cost a comparison. What repeats is summed up.

use core::fmt::{self, Write as _};
use core::str::FromStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, TryLockError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::io::sys;
use crate::time::Instant;

use super::levels::Levels;
use super::reactor::{now, sleep_until, spawn};
use super::repetition::Repetition;

/// How many errors are kept for whoever asked for what went wrong; all are in the log.
const MOST_ERRORS: usize = 8;

/// Facility of syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Other system daemons; the default.
    pub const DAEMON: Self = Self(3);
    const USER: Self = Self(1);
    const LOCAL0: u8 = 16;
}

impl Default for Facility {
    fn default() -> Self {
        Self::DAEMON
    }
}

impl FromStr for Facility {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match (name, name.strip_prefix("local").unwrap_or(name).as_bytes()) {
            ("daemon", _) => Ok(Self::DAEMON),
            ("user", _) => Ok(Self::USER),
            (_, [digit @ b'0'..=b'7']) => Ok(Self(Self::LOCAL0 + (digit - b'0'))),
            _ => Err("one of 0 to 7, local0 to local7, user, daemon is wanted"),
        }
    }
}

/// Where to log, and how much.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The name before the pid.
    pub ident: &'a str,
    /// `None` for no syslog at all.
    pub facility: Option<Facility>,
    /// What the standard error shows.
    pub console: LevelFilter,
    /// How much of each part; with `-D`, details of what it says nothing of, and still more of them.
    pub levels: Levels,
    /// `-D` given how often.
    pub detail: u8,
    /// A file that is appended to.
    pub file: Option<&'a str>,
}

/// Starts logging, or changes where it goes.
///
/// # Errors
/// When the file cannot be opened; everything else is in force nevertheless.
pub fn start(setup: &Setup<'_>) -> io::Result<()> {
    let levels = setup.levels.or(match setup.detail {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
    let opened = setup.file.map(|path| {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.map_err(|e| io::Error::new(e.kind(), format!("cannot log to {path}: {e}")))
    });
    let (file, result) = match opened {
        Some(Ok(file)) => (Some(file), Ok(())),
        Some(Err(error)) => (None, Err(error)),
        None => (None, Ok(())),
    };
    if let Ok(mut sinks) = LOGGER.0.lock() {
        sinks.ident.clear();
        sinks.ident.push_str(setup.ident);
        sinks.syslog = setup.facility.map(Syslog::new);
        sinks.console = setup.console;
        sinks.file = file;
        sinks.levels = levels;
    }
    // Only the first call sets it; later ones change what it does.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(levels.most());
    result
}

/// Shows only `level` and graver on the standard error from now on.
pub fn set_console(level: LevelFilter) {
    if let Ok(mut sinks) = LOGGER.0.lock() {
        sinks.console = level;
    }
}

/// Keeps what is logged as an error from now on, until [`heard`] asks for it.
pub fn listen() {
    if let Ok(mut sinks) = LOGGER.0.lock() {
        sinks.errors = Some(Vec::new());
    }
}

/// The first errors that were logged since [`listen`].
pub fn heard() -> Vec<String> {
    let mut sinks = LOGGER.0.lock().ok();
    let errors = sinks.as_mut().and_then(|sinks| sinks.errors.take());
    errors.unwrap_or_default()
}

static LOGGER: Logger = Logger(Mutex::new(Sinks {
    ident: String::new(),
    syslog: None,
    console: LevelFilter::Off,
    file: None,
    levels: Levels::all(LevelFilter::Info),
    repetition: Repetition::new(),
    summing: false,
    errors: None,
    text: String::new(),
    line: String::new(),
}));

struct Logger(Mutex<Sinks>);

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let mut sinks = match self.0.try_lock() {
            Ok(sinks) => sinks,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // A record made while another one is being written, by its own arguments.
            Err(TryLockError::WouldBlock) => return,
        };
        if record.level() <= sinks.levels.of(record.target()) {
            sinks.take(record.level(), record.args());
        }
    }

    /// Says what is held back: for the end.
    fn flush(&self) {
        if let Ok(mut sinks) = self.0.try_lock() {
            sinks.sum_up(Instant(u64::MAX));
        }
    }
}

/// Says what was held back, minute by minute until there is nothing.
async fn sum_up() {
    loop {
        let due = match LOGGER.0.lock() {
            Ok(mut sinks) => {
                sinks.sum_up(now());
                let due = sinks.repetition.deadline();
                sinks.summing = due.is_some();
                due
            }
            Err(_) => None,
        };
        let Some(due) = due else { return };
        sleep_until(due).await;
    }
}

struct Sinks {
    ident: String,
    syslog: Option<Syslog>,
    console: LevelFilter,
    file: Option<File>,
    levels: Levels,
    repetition: Repetition,
    /// [`sum_up`] runs.
    summing: bool,
    /// Those that somebody listens to.
    errors: Option<Vec<String>>,
    /// Buffers that are used again for every record.
    text: String,
    line: String,
}

impl Sinks {
    fn take(&mut self, level: Level, args: &fmt::Arguments<'_>) {
        self.text.clear();
        // A Display that gives up leaves what it has written so far.
        let _ = self.text.write_fmt(*args);
        let errors = self.errors.as_mut().filter(|_| level == Level::Error);
        if let Some(errors) = errors.filter(|errors| errors.len() < MOST_ERRORS) {
            errors.push(self.text.clone());
        }
        if self.repetition.hear(level, &self.text, now()) {
            self.write(level);
        } else if !self.summing {
            self.summing = true;
            spawn(sum_up()).detach();
        }
    }

    fn sum_up(&mut self, now: Instant) {
        let mut repetition = core::mem::replace(&mut self.repetition, Repetition::new());
        repetition.sum_up(now, |level, text, count| {
            self.text.clear();
            // Writing to a String cannot fail.
            let _ = match count {
                1 => write!(self.text, "once more in the last minute: {text}"),
                _ => write!(self.text, "{count} times more in the last minute: {text}"),
            };
            self.write(level);
        });
        self.repetition = repetition;
    }

    fn write(&mut self, level: Level) {
        let now = sys::local_time();
        let line = &mut self.line;
        for text in self.text.lines() {
            if let Some(syslog) = &mut self.syslog {
                syslog.send(level, &now, &self.ident, text, line);
            }
            line.clear();
            let _ = writeln!(line, "{}: {text}", Console(&now));
            if level <= self.console {
                let _ = io::stderr().write_all(line.as_bytes());
            }
            if let Some(file) = &mut self.file {
                let _ = file.write_all(line.as_bytes());
            }
        }
    }
}

/// The socket of the syslog daemon, which may not be there yet, or go and come back.
struct Syslog {
    facility: Facility,
    socket: Option<UnixDatagram>,
    lost: u32,
}

impl Syslog {
    const PATH: &str = "/dev/log";

    const fn new(facility: Facility) -> Self {
        Self {
            facility,
            socket: None,
            lost: 0,
        }
    }

    fn send(
        &mut self,
        level: Level,
        now: &sys::LocalTime,
        ident: &str,
        text: &str,
        line: &mut String,
    ) {
        // keepalived logs its details as information, and people's syslog filters expect that.
        let severity = match level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info | Level::Debug => 6,
            Level::Trace => 7,
        };
        let priority = self.facility.0 << 3 | severity;
        let (time, process) = (Rfc3164(now), std::process::id());
        let prefix = format!("<{priority}>{time} {ident}[{process}]:");
        // Writing to a String cannot fail.
        if self.lost > 0 {
            line.clear();
            let _ = write!(line, "{prefix} {} log messages were lost", self.lost);
            if self.deliver(line.as_bytes()).is_ok() {
                self.lost = 0;
            }
        }
        line.clear();
        let _ = write!(line, "{prefix} {text}");
        if self.deliver(line.as_bytes()).is_err() {
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Sends, over a new connection where the old one is gone.
    fn deliver(&mut self, message: &[u8]) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            match socket.send(message) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.socket = None,
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(Self::PATH)?;
        socket.send(message)?;
        self.socket = Some(socket);
        Ok(())
    }
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn name(names: &'static [&'static str], index: u8) -> &'static str {
    names.get(usize::from(index)).copied().unwrap_or("???")
}

/// `Sun Nov 23 08:41:48 2025`, as keepalived's console has it.
struct Console<'a>(&'a sys::LocalTime);

impl fmt::Display for Console<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        let (day, month) = (name(&DAYS, t.weekday), name(&MONTHS, t.month));
        write!(f, "{day} {month} {:02} ", t.day)?;
        write!(
            f,
            "{:02}:{:02}:{:02} {}",
            t.hour, t.minute, t.second, t.year
        )
    }
}

/// `Nov 23 08:41:48`, RFC 3164 section 4.1.2.
struct Rfc3164<'a>(&'a sys::LocalTime);

impl fmt::Display for Rfc3164<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(f, "{} {:2} ", name(&MONTHS, t.month), t.day)?;
        write!(f, "{:02}:{:02}:{:02}", t.hour, t.minute, t.second)
    }
}

/// `Sun, 23 Nov 2025 08:41:48 +0100`, RFC 5322 section 3.3.
#[derive(Debug)]
pub struct Rfc5322<'a>(pub &'a sys::LocalTime);

impl fmt::Display for Rfc5322<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        let (day, month) = (name(&DAYS, t.weekday), name(&MONTHS, t.month));
        let sign = if t.ahead < 0 { '-' } else { '+' };
        let ahead = t.ahead.unsigned_abs() / 60;
        write!(f, "{day}, {} {month} {} ", t.day, t.year)?;
        write!(f, "{:02}:{:02}:{:02} ", t.hour, t.minute, t.second)?;
        write!(f, "{sign}{:02}{:02}", ahead / 60, ahead % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVEMBER: sys::LocalTime = sys::LocalTime {
        year: 2025,
        month: 10,
        day: 3,
        weekday: 1,
        hour: 8,
        minute: 4,
        second: 9,
        ahead: -12_600,
    };

    #[test]
    fn stamps_are_those_of_keepalived_s_console_and_of_rfc_3164() {
        assert_eq!(Console(&NOVEMBER).to_string(), "Mon Nov 03 08:04:09 2025");
        assert_eq!(Rfc3164(&NOVEMBER).to_string(), "Nov  3 08:04:09");
    }

    #[test]
    fn stamps_of_mails_tell_the_zone() {
        assert_eq!(
            Rfc5322(&NOVEMBER).to_string(),
            "Mon, 3 Nov 2025 08:04:09 -0330"
        );
    }

    #[test]
    fn facilities_have_the_names_of_keepalived() {
        let number = |name: &str| name.parse::<Facility>().map(|facility| facility.0);
        assert_eq!(number("daemon"), Ok(3));
        assert_eq!(number("user"), Ok(1));
        assert_eq!(number("0"), Ok(16));
        assert_eq!(number("local7"), Ok(23));
        for wrong in ["8", "local8", "local", "", "mail", "local10"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
