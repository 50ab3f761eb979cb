//! Notify FIFOs: a line for each change of state, and the script that may read them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use smol::Task;

use crate::model::{Command, User, global};

use super::child::Child;
use super::reactor::{now, sleep, spawn};
use super::scripts;
use super::supervise::Patience;

/// A FIFO that we write to. It is removed in the end if we made it.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    file: File,
    made: bool,
    lost: u32,
}

impl Fifo {
    /// Opens the FIFO at `path`, or makes it for `owner` to write and for everybody to read.
    ///
    /// # Errors
    /// When it can be neither opened nor made, or is something else.
    pub fn open(path: &Path, owner: Option<User>) -> io::Result<Self> {
        let made = match mknodat(CWD, path, FileType::Fifo, Mode::from(0o644), 0) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        // For reading too: so it opens without a reader, and a reader that leaves is no broken pipe.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("it is there, but is not a FIFO"));
        }
        if made {
            // Whatever our umask.
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            if let Some(User { uid, gid }) = owner {
                fchown(&file, Some(uid), Some(gid))?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            made,
            lost: 0,
        })
    }

    /// Writes a line, which brings its newline. When the reader is slow and the FIFO full, the line is lost.
    pub fn write(&mut self, line: &str) {
        // Up to PIPE_BUF (4096) bytes are written as a whole or not at all, pipe(7).
        match (&self.file).write_all(line.as_bytes()) {
            Ok(()) => {
                if self.lost > 0 {
                    log::warn!(
                        "FIFO {}: {} lines were lost",
                        self.path.display(),
                        self.lost
                    );
                    self.lost = 0;
                }
            }
            Err(error) => {
                if self.lost == 0 {
                    log::warn!("FIFO {}: losing lines: {error}", self.path.display());
                }
                self.lost = self.lost.saturating_add(1);
            }
        }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A FIFO as it was asked for, and what came of it.
#[derive(Default)]
pub struct Outlet {
    asked: global::Fifo,
    open: Option<Fifo>,
    /// Ends the script when it goes.
    reader: Option<Task<()>>,
}

impl Outlet {
    /// Takes up what is asked for; a FIFO that is asked for as before does not notice.
    pub fn update(&mut self, asked: &global::Fifo, user: Option<User>) {
        if self.asked == *asked {
            return;
        }
        // The old one goes first: it may be at the same place.
        *self = Self {
            asked: asked.clone(),
            ..Self::default()
        };
        let Some((path, owner)) = &asked.path else {
            return;
        };
        let path = Path::new(path);
        match Fifo::open(path, *owner) {
            Ok(fifo) => self.open = Some(fifo),
            Err(error) => {
                log::error!(
                    "cannot open the FIFO {}: {error}; nothing is written to it",
                    path.display()
                );
                return;
            }
        }
        self.reader = asked
            .script
            .clone()
            .map(|script| keep_reader(script, path, user));
    }

    /// Whether there is anything to write to.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Writes a line, which brings its newline.
    pub fn write(&mut self, line: &str) {
        if let Some(fifo) = &mut self.open {
            fifo.write(line);
        }
    }
}

/// Runs the script that reads a FIFO, with its path as last argument, and starts it again when it ends. Dropping the task
/// stops both.
pub fn keep_reader(command: Command, path: &Path, default: Option<User>) -> Task<()> {
    let arguments = [path.display().to_string()];
    spawn(async move {
        let label = "FIFO script";
        let mut patience = Patience::default();
        loop {
            let started = now();
            let child = scripts::start(label, &command, &arguments, default);
            if let Some(child) = child.map(Reader) {
                let how = child.0.ended().await;
                log::warn!("{label}: {} {how}{}", command.text, child.0.complaint());
            }
            sleep(patience.after(now().since(started))).await;
        }
    })
}

struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.signal_group(libc::SIGTERM);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("fifo-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_reader_gets_whole_lines() {
        let path = path("lines");
        let mut fifo = Fifo::open(&path, None).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        let mut reader = File::open(&path).unwrap();
        fifo.write("INSTANCE \"a\" MASTER 100\n");
        fifo.write("INSTANCE \"a\" BACKUP 100\n");
        drop(fifo);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            "INSTANCE \"a\" MASTER 100\nINSTANCE \"a\" BACKUP 100\n"
        );
        assert!(!path.exists());
    }

    #[test]
    fn a_full_fifo_loses_lines_and_counts_them_and_never_blocks() {
        let path = path("full");
        let mut fifo = Fifo::open(&path, None).unwrap();
        for _ in 0..10_000 {
            fifo.write("INSTANCE \"a\" MASTER 100\n");
        }
        assert!(fifo.lost > 0);
        let mut reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .unwrap();
        let _ = reader.read(&mut vec![0; 1 << 17]).unwrap();
        fifo.write("INSTANCE \"a\" BACKUP 100\n");
        assert_eq!(fifo.lost, 0);
    }

    #[test]
    fn a_fifo_that_was_there_stays_and_a_file_is_refused() {
        let path = path("there");
        mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
        drop(Fifo::open(&path, None).unwrap());
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert!(Fifo::open(&path, None).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
        fs::remove_file(&path).unwrap();
    }
}
