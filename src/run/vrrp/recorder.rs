//! `--record`: what the engine hears and does, written down as it happens. A recording is a scenario file of
//! `tests/scenario`: put there, it is a test that the engine does the same again.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::config::dump::dump;
use crate::model::Model;
use crate::time::{Instant, Seconds};
use crate::vrrp::{Action, Engine, Event};

/// The most that is written: the file may be in the memory of a small router.
const MOST: usize = 64 << 20;

/// A file that is being written, line by line, so that a crash loses nothing of it.
#[derive(Debug)]
pub struct Recorder {
    file: Option<File>,
    written: usize,
    began: Instant,
    /// Whether lines tell whom they are about.
    names: bool,
    text: String,
}

impl Recorder {
    /// Begins a file with the configuration that an engine starts with now. Passwords are in it: nobody else may read it. What
    /// an earlier run has recorded, which may have crashed, is kept beside it as `.old`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn start(path: &Path, model: &Model, now: Instant) -> io::Result<Self> {
        let mut old = path.as_os_str().to_owned();
        old.push(".old");
        // There need not be one.
        let _ = fs::rename(path, old);
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut recorder = Self {
            file: Some(file),
            written: 0,
            began: now,
            names: false,
            text: String::new(),
        };
        let version = env!("CARGO_PKG_VERSION");
        recorder.line(format_args!("# Recorded by keepalite v{version}."));
        recorder.line(format_args!("recorded"));
        recorder.configuration(model);
        recorder.write();
        Ok(recorder)
    }

    /// An event and what follows from it.
    pub fn heard(&mut self, event: Event<'_>, now: Instant, engine: &Engine, actions: &[Action]) {
        let now = self.since(now);
        self.line(format_args!("> {now} {event}"));
        self.answer(now, engine, actions);
    }

    /// Another configuration and what follows from it, before what it has removed is forgotten.
    pub fn reloaded(&mut self, model: &Model, now: Instant, engine: &Engine, actions: &[Action]) {
        let now = self.since(now);
        self.configuration(model);
        self.line(format_args!("> {now} reload"));
        self.answer(now, engine, actions);
    }

    fn answer(&mut self, now: Seconds, engine: &Engine, actions: &[Action]) {
        for action in actions {
            match engine.whose(action).filter(|_| self.names) {
                Some(who) => self.line(format_args!("< {now} {who}: {action}")),
                None => self.line(format_args!("< {now} {action}")),
            }
        }
        self.write();
    }

    fn configuration(&mut self, model: &Model) {
        self.names |= model.instances.len() > 1;
        for line in dump(model).lines() {
            self.line(format_args!("| {line}"));
        }
    }

    fn since(&self, now: Instant) -> Seconds {
        Seconds(now.since(self.began))
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn write(&mut self) {
        self.written = self.written.saturating_add(self.text.len());
        let done = match &mut self.file {
            Some(_) if self.written > MOST => Err(io::Error::other("the file is full")),
            Some(file) => file.write_all(self.text.as_bytes()),
            None => Ok(()),
        };
        if let Err(error) = done {
            log::error!("the recording ends here: {error}");
            self.file = None;
        }
        self.text.clear();
    }
}
