//! Going to the background, only after the start has succeeded: who has typed the command sees its errors and gets its
//! exit status.

use std::io::{self, Read, Write};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::Exit;
use crate::io::sys::{self, Ended};

/// The two processes that one becomes.
#[derive(Debug)]
pub enum Side {
    /// The one that was started, which has nothing more to do than to exit so.
    Launcher(Exit),
    /// The one that goes on.
    Daemon(Launch),
}

/// A launcher that waits for us.
#[derive(Debug)]
pub struct Launch(std::fs::File);

/// Becomes two processes. The launcher returns once the other has called [`Launch::succeed`] or has ended.
///
/// # Errors
/// When there can be no other process.
pub fn daemonize() -> io::Result<Side> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let Some(child) = sys::fork()? else {
        drop(reader);
        rustix::process::setsid()?;
        return Ok(Side::Daemon(Launch(writer.into())));
    };
    drop(writer);
    let mut reader = std::fs::File::from(reader);
    if reader.read(&mut [0]).unwrap_or(0) == 1 {
        return Ok(Side::Launcher(Exit::Ok));
    }
    Ok(Side::Launcher(match sys::wait_for_end(child)? {
        Ended::Status(status) => Exit::from_status(status).unwrap_or(Exit::Internal),
        Ended::Signal(_) => Exit::Internal,
    }))
}

impl Launch {
    /// Lets the launcher report success, and leaves its terminal.
    pub fn succeed(mut self) {
        sys::silence();
        // A launcher that has been killed in the meantime does not matter.
        let _ = self.0.write_all(&[0]);
    }
}
