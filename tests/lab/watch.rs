//! Waiting for files instead of looking at them again and again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepalite::io::sys;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::wait_until;

/// Watches a directory: wakes at whatever happens in it.
pub(crate) struct Watch {
    inotify: OwnedFd,
    directory: PathBuf,
}

impl Watch {
    /// From now on.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes = WatchFlags::CLOSE_WRITE
            | WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_TO;
        inotify::add_watch(&inotify, directory, changes)?;
        Ok(Self {
            inotify,
            directory: directory.to_owned(),
        })
    }

    /// Asks again after each change in the directory, until the answer is there.
    pub(crate) fn wait<T>(
        &self,
        at_most: Duration,
        answer: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let step = |left| {
            // A time-out is noticed by the caller.
            let _ = sys::wait_readable(self.inotify.as_fd(), left);
            self.names(|_, _| ());
        };
        wait_until(Instant::now() + at_most, step, answer)
    }

    /// The content of the file of that name as soon as somebody has finished writing it, or has moved it there, and it is complete.
    pub(crate) fn written(
        &self,
        name: &str,
        at_most: Duration,
        complete: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + at_most;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let _ = sys::wait_readable(self.inotify.as_fd(), left);
            let mut finished = false;
            self.names(|file, done| finished |= file == name && done);
            let text = || std::fs::read_to_string(self.directory.join(name)).ok();
            if let Some(text) = finished.then(text).flatten().filter(|t| complete(t)) {
                return Some(text);
            }
        }
    }

    /// Takes what has happened off the queue: file, and whether it is complete now.
    fn names(&self, mut each: impl FnMut(&str, bool)) {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let complete = event
                .events()
                .intersects(inotify::ReadFlags::CLOSE_WRITE | inotify::ReadFlags::MOVED_TO);
            let name = event.file_name().and_then(|n| n.to_str().ok());
            each(name.unwrap_or_default(), complete);
        }
    }
}
