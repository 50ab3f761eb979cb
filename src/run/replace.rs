//! Files that others read: written beside their place and moved there, so that nobody ever reads half of one.

use core::fmt::{self, Write};
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes a file beside `path` and moves it there. The name in between is new and ours (`O_EXCL`), because `/tmp` belongs to
/// everybody.
///
/// # Errors
/// What the file system refused; the file that was there before is then untouched.
pub fn replace(
    path: &Path,
    umask: u32,
    fill: impl FnOnce(&mut dyn Write) -> fmt::Result,
) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut open = OpenOptions::new();
    open.write(true).create_new(true).mode(0o666 & !umask);
    let file = match open.open(&beside) {
        // Left by an earlier process of the same id that died half-way.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&beside)?;
            open.open(&beside)?
        }
        other => other?,
    };
    let mut out = Adapter {
        to: BufWriter::new(file),
        failed: None,
    };
    let written = fill(&mut out)
        .and_then(|()| out.write_str(""))
        .map_err(|_| ());
    let flushed = match (written, out.failed.take()) {
        (_, Some(error)) => Err(error),
        _ => io::Write::flush(&mut out.to),
    };
    let done = flushed.and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

/// [`fmt::Write`] over a file, keeping the error that `fmt` has no place for.
struct Adapter<W> {
    to: W,
    failed: Option<io::Error>,
}

impl<W: io::Write> Write for Adapter<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.to.write_all(text.as_bytes()).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}
