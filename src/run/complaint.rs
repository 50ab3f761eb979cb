//! What a program says on its standard error, as far as it is worth a line of the log.

use core::cell::RefCell;
use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, fchmod, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use smol::Task;

use super::reactor::{Source, sleep, spawn};

/// So many lines are kept, the first ones.
const LINES: usize = 3;
/// So many bytes of each.
const LENGTH: usize = 200;

/// The first lines of a program that complains. Prints as `: first | second`, or as nothing where it was silent.
#[derive(Clone, Debug, Default)]
pub struct Complaint {
    kept: Vec<u8>,
    /// Lines that have ended.
    ended: usize,
    /// Bytes of the line that has not, as far as they matter.
    length: usize,
}

impl Complaint {
    /// Takes in what was said, however it is cut up.
    pub fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.ended == LINES {
                return;
            }
            let line = piece.strip_suffix(b"\n");
            self.keep(line.unwrap_or(piece));
            if line.is_some() && self.length > 0 {
                (self.ended, self.length) = (self.ended + 1, 0);
            }
        }
    }

    /// Keeps what there is room for of a piece of a line.
    fn keep(&mut self, piece: &[u8]) {
        let piece = match self.length {
            0 => piece.trim_ascii_start(),
            _ => piece,
        };
        if piece.is_empty() || self.length > LENGTH {
            return;
        }
        if self.length == 0 && self.ended > 0 {
            self.kept.extend_from_slice(b" | ");
        }
        // Nobody's terminal is to be painted.
        let plain = |byte: &u8| match byte.is_ascii_control() {
            true => b' ',
            false => *byte,
        };
        let room = LENGTH - self.length;
        self.kept.extend(piece.iter().take(room).map(plain));
        self.length += piece.len();
        if self.length > LENGTH {
            self.kept.extend_from_slice("…".as_bytes());
        }
    }

    /// Its lines in one.
    #[must_use]
    pub fn words(&self) -> Box<str> {
        String::from_utf8_lossy(&self.kept).trim_end().into()
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.words() {
            "" => Ok(()),
            words => write!(f, ": {words}"),
        }
    }
}

/// Between two visits to a program that goes on talking: whoever floods is slowed down, and holds nobody up.
const PAUSE: Duration = Duration::from_millis(1);
/// Pieces that are heard in one visit, together what a pipe holds.
const PIECES: u32 = 16;

/// Listens to the standard error of a program as long as this value lives.
///
/// What a script leaves running keeps its end of the pipe when ours is long gone. So that end is open for reading too, which makes
/// it no broken pipe, and blocks nobody any more: only what nobody reads is lost.
pub struct Ear {
    pipe: Rc<Source<OwnedFd>>,
    heard: Rc<RefCell<Complaint>>,
    mouth: OwnedFd,
    _listening: Task<()>,
}

impl Ear {
    /// Opens it; `shared` lets another user open his end again, as `/dev/stderr`.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn open(shared: bool) -> io::Result<Self> {
        let (ours, _) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let path = format!("/proc/self/fd/{}", ours.as_raw_fd());
        let mouth = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        if shared {
            fchmod(&mouth, Mode::from_raw_mode(0o666))?;
        }
        let pipe = Rc::new(Source::brief(ours));
        let heard = Rc::<RefCell<Complaint>>::default();
        let listening = spawn(listen(Rc::clone(&pipe), Rc::clone(&heard)));
        Ok(Self {
            pipe,
            heard,
            mouth,
            _listening: listening,
        })
    }

    /// The end of the program.
    #[must_use]
    pub fn mouth(&self) -> BorrowedFd<'_> {
        self.mouth.as_fd()
    }

    /// What has been said so far.
    #[must_use]
    pub fn complaint(&self) -> Complaint {
        visit(&self.pipe, &self.heard);
        self.heard.borrow().clone()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = fcntl_setfl(&self.mouth, OFlags::NONBLOCK);
    }
}

async fn listen(pipe: Rc<Source<OwnedFd>>, heard: Rc<RefCell<Complaint>>) {
    loop {
        if visit(&pipe, &heard) {
            sleep(PAUSE).await;
        } else if pipe.readable().await.is_err() {
            return;
        }
    }
}

/// Hears what there is; true if there may be more already.
fn visit(pipe: &Source<OwnedFd>, heard: &RefCell<Complaint>) -> bool {
    let mut buffer = [0; 4096];
    for _ in 0..PIECES {
        match rustix::io::read(pipe.get_ref(), &mut buffer) {
            Ok(length) => {
                let said = buffer.get(..length).unwrap_or_default();
                heard.borrow_mut().hear(said);
            }
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]]) -> String {
        let mut complaint = Complaint::default();
        pieces.iter().for_each(|piece| complaint.hear(piece));
        complaint.to_string()
    }

    #[test]
    fn three_lines_are_kept_however_they_come() {
        assert_eq!(heard(&[]), "");
        assert_eq!(heard(&[b"cat: /x: gone"]), ": cat: /x: gone");
        let all = b"one\n\r\ntwo\nthree\nfour\n";
        assert_eq!(heard(&[all]), ": one | two | three");
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(heard(&bytes), ": one | two | three");
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_heard() {
        let long = "x".repeat(100_000) + "\nshort\n";
        let kept = format!(": {}… | short", "x".repeat(LENGTH));
        assert_eq!(heard(&[long.as_bytes()]), kept);
    }

    #[test]
    fn what_is_no_text_does_no_harm() {
        assert_eq!(heard(&[b"\x1b[31mred\x07\xff\n"]), ":  [31mred \u{fffd}");
        assert_eq!(
            heard(&["\u{e4}".repeat(LENGTH).as_bytes()]).chars().count(),
            103
        );
    }
}
