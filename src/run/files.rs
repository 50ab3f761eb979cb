//! Watches every `track_file`.
//!
//! Anything that happens to one of them, or to the directory that it is or will be in, is a reason to look at all of them
//! again: there are few, and files come, go and are moved in more ways than are worth telling apart.

use core::cell::{Ref, RefCell};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use smol::Task;

use super::reactor::{Source, now, spawn};
use crate::io::inotify::Inotify;
use crate::model::FileTracker;
use crate::time::Instant;
use crate::track::file;

/// Longest chain of links that is followed.
const LINKS: usize = 8;

/// All files that are watched.
#[derive(Default)]
pub struct Files {
    watched: Rc<RefCell<Vec<WatchedFile>>>,
    task: Option<Task<()>>,
}

/// A file that is being watched.
#[derive(Clone, Debug)]
pub struct WatchedFile {
    /// Its name in the configuration.
    pub name: Rc<str>,
    /// Where it is.
    pub path: PathBuf,
    /// The number in it.
    pub value: Option<i64>,
    /// When that last changed.
    pub changed: Option<Instant>,
}

impl Files {
    /// Watches these from now on; what stays does not notice. `tell` hears of every number, first of those that are there.
    pub fn update<'a>(
        &mut self,
        configs: impl Iterator<Item = &'a FileTracker>,
        tell: impl Fn(&Rc<str>, i64) + 'static,
    ) {
        let starting = self.task.is_none();
        let old = self.watched.take();
        let find = |config: &FileTracker| {
            let is = |old: &&WatchedFile| {
                *old.name == *config.name && old.path == Path::new(&config.path)
            };
            old.iter().find(is).cloned()
        };
        let watched: Vec<_> = configs
            .map(|config| {
                find(config).unwrap_or_else(|| {
                    initialise(config, starting);
                    WatchedFile {
                        name: config.name.as_str().into(),
                        path: PathBuf::from(&config.path),
                        value: None,
                        changed: None,
                    }
                })
            })
            .collect();
        let names = |all: &[WatchedFile]| -> Vec<Rc<str>> {
            all.iter().map(|file| Rc::clone(&file.name)).collect()
        };
        let same = names(&old) == names(&watched) && watched.iter().all(|f| f.value.is_some());
        let none = watched.is_empty();
        *self.watched.borrow_mut() = watched;
        if none {
            self.task = None;
        } else if !same || self.task.is_none() {
            self.task = Some(spawn(watch(Rc::clone(&self.watched), tell)));
        }
    }

    /// Watches nothing any more.
    pub fn stop(&mut self) {
        self.task = None;
    }

    /// The files, to look at.
    #[must_use]
    pub fn watched(&self) -> Ref<'_, [WatchedFile]> {
        Ref::map(self.watched.borrow(), Vec::as_slice)
    }
}

/// `init_file`: written where there is none, with `overwrite` at the start in any case.
fn initialise(config: &FileTracker, starting: bool) {
    let Some((value, overwrite)) = config.init else {
        return;
    };
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let written = match options.create_new(true).open(&config.path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !(overwrite && starting) {
                return;
            }
            let options = options.create_new(false).truncate(true);
            options.open(&config.path).and_then(|file| {
                if !file.metadata()?.is_file() {
                    return Err(io::Error::other("it is no regular file"));
                }
                Ok(file)
            })
        }
        opened => opened,
    };
    let written = written.and_then(|mut file| writeln!(file, "{value}"));
    if let Err(error) = written {
        log::error!(
            "track_file {}: cannot write {}: {error}",
            config.name,
            config.path
        );
    }
}

async fn watch(files: Rc<RefCell<Vec<WatchedFile>>>, tell: impl Fn(&Rc<str>, i64)) {
    let mut inotify = match Inotify::open() {
        Ok(inotify) => Source::new(inotify),
        Err(error) => {
            log::error!("cannot watch files: {error}; they are read once");
            look(&mut files.borrow_mut(), &tell);
            return;
        }
    };
    loop {
        // Watching before reading, so that nothing falls between the two.
        for file in files.borrow().iter() {
            attend(inotify.get_mut(), &file.path);
        }
        inotify.get_mut().settle();
        look(&mut files.borrow_mut(), &tell);
        let woken = inotify.readable().await;
        if let Err(error) = woken.and_then(|()| inotify.get_ref().drain()) {
            log::error!("cannot watch files any longer: {error}");
            return;
        }
    }
}

/// Watches a file, where it is and where it may come to be: the links on the way to it, and the first directory that exists.
fn attend(inotify: &mut Inotify, path: &Path) {
    inotify.file(path);
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let mut above = path.ancestors().skip(1);
        above.find(|directory| {
            let here = directory.as_os_str().is_empty();
            inotify.directory(if here { Path::new(".") } else { directory })
        });
        let Ok(target) = path.read_link() else {
            return;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
}

/// Reads all of them and tells what is news.
fn look(files: &mut [WatchedFile], tell: &impl Fn(&Rc<str>, i64)) {
    for file in files {
        // No number at all says nothing about what it was.
        let Some(value) = read(&file.path).or(file.value.is_none().then_some(0)) else {
            log::warn!(
                "track_file {}: ignoring the number in {}, which is beyond 32 bits",
                file.name,
                file.path.display()
            );
            continue;
        };
        if file.value == Some(value) {
            continue;
        }
        if file.value.is_some() {
            log::info!("track_file {}: {value}", file.name);
        }
        file.value = Some(value);
        file.changed = Some(now());
        tell(&file.name, value);
    }
}

/// The number in a file; zero where there is no file, `None` where it is beyond 32 bits.
#[must_use]
pub fn read(path: &Path) -> Option<i64> {
    let mut options = OpenOptions::new();
    // A FIFO must not hold us up.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut text = [0; file::LONGEST];
    let read = options
        .open(path)
        .and_then(|mut file| file.read(&mut text))
        .unwrap_or(0);
    file::number(text.get(..read).unwrap_or_default())
}
