//! Files and directories, and the moment in which something about them changes.

use core::mem::MaybeUninit;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// What is watched of a file: that a writer is done with it, and that it is another file now. Not each single write, so that a
/// file which has just been emptied to be written anew is not read in between.
const FILE: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF);

/// What is watched of a directory: which files there are. What happens in them is none of our business.
const DIRECTORY: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Becomes readable when something about what is watched has changed.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
    watches: Vec<i32>,
    /// Those that are still wanted, while they are being asked for anew.
    wanted: Vec<i32>,
}

impl Inotify {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// As inotify_init(2).
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            watches: Vec::new(),
            wanted: Vec::new(),
        })
    }

    /// Watches a file, or what it is a link to; true if there is one.
    pub fn file(&mut self, path: &Path) -> bool {
        self.add(path, FILE)
    }

    /// Watches which files a directory has; true if there is one.
    pub fn directory(&mut self, path: &Path) -> bool {
        self.add(path, DIRECTORY)
    }

    fn add(&mut self, path: &Path, what: WatchFlags) -> bool {
        match inotify::add_watch(&self.fd, path, what) {
            Ok(watch) => {
                self.wanted.push(watch);
                true
            }
            Err(Errno::NOSPC) => {
                log::warn!(
                    "cannot watch {}: raise fs.inotify.max_user_watches",
                    path.display()
                );
                false
            }
            Err(_) => false,
        }
    }

    /// Watches nothing any more but what has been asked for since this was last called.
    pub fn settle(&mut self) {
        for watch in &self.watches {
            if !self.wanted.contains(watch) {
                // It may have gone with its file.
                let _ = inotify::remove_watch(&self.fd, *watch);
            }
        }
        self.watches.clear();
        core::mem::swap(&mut self.watches, &mut self.wanted);
    }

    /// Takes away what has been told so far: whoever was woken looks for himself.
    ///
    /// # Errors
    /// If it is of no use any more.
    pub fn drain(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(&self.fd, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {}
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
