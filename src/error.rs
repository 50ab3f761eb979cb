//! How a cause is shown, and what the process answers to whoever started it.

use core::fmt;
use std::error::Error;

/// Prints an error with all its causes on one line: what was tried, then what went wrong.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Exit status, with keepalived's numbers (lib/scheduler.h of keepalived).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done as asked.
    Ok = 0,
    /// Something that cannot be mended by trying again.
    Fatal = 1,
    /// The configuration asks for nothing that can run.
    Config = 2,
    /// The file or an include is missing or unreadable; or a right is missing.
    Missing = 4,
    /// `-t`: the configuration has errors.
    Errors = 5,
    /// `-t`: a script is refused by script security. Otherwise: there is no configuration.
    Insecure = 6,
    /// A fault of our own.
    Internal = 70,
}

impl Exit {
    /// What a process meant that ended with this status; `None` if it is none of ours.
    #[must_use]
    pub fn from_status(status: i32) -> Option<Self> {
        const ALL: [Exit; 7] = [
            Exit::Ok,
            Exit::Fatal,
            Exit::Config,
            Exit::Missing,
            Exit::Errors,
            Exit::Insecure,
            Exit::Internal,
        ];
        ALL.into_iter()
            .find(|exit| i32::from(*exit as u8) == status)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
