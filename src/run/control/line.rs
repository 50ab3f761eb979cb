//! A line from the parent to a child: the questions go down as they came, numbered, and the answers come back with their length.
//!
//! It is the standard input of the child, which has no other use for it. Questions are asked one at a time; the answer to one
//! that nobody waits for any more is recognised by its number and thrown away.

use core::cell::Cell;
use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use smol::future;

use super::inbox::Inbox;
use super::request::{LONGEST, Part, Request};
use crate::run::reactor::{Source, sleep, spawn};

/// How long a process may take to answer, unless it has to read a configuration.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer that a parent takes from a child.
const MOST: usize = 16 << 20;

/// Where a question goes.
pub enum Line {
    /// To this process.
    Here(Inbox),
    /// To a child.
    Child(Remote),
}

/// The parent's end.
pub struct Remote {
    stream: Source<OwnedFd>,
    number: Cell<u32>,
}

impl Line {
    /// A line to a child, and what is to become the standard input of the child.
    ///
    /// # Errors
    /// When there can be no more descriptors.
    pub fn to_child() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let remote = Remote {
            stream: Source::new(ours),
            number: Cell::new(0),
        };
        Ok((Self::Child(remote), theirs))
    }

    /// Asks, and waits for the answer but no longer than `patience`; `None` if there is none.
    pub async fn ask(&self, request: &Request, patience: Duration) -> Option<Part> {
        let answer = async {
            match self {
                Self::Here(inbox) => Some(inbox.ask(request.clone()).await),
                Self::Child(remote) => match remote.ask(request).await {
                    Ok(part) => Some(part),
                    Err(error) => {
                        log::debug!("a child does not answer: {error}");
                        None
                    }
                },
            }
        };
        let late = async {
            sleep(patience).await;
            None
        };
        future::or(answer, late).await
    }
}

impl Remote {
    async fn ask(&self, request: &Request) -> io::Result<Part> {
        let number = self.number.get().wrapping_add(1);
        self.number.set(number);
        write(&self.stream, format!("{number} {request}\n").as_bytes()).await?;
        loop {
            let head = read_line(&self.stream)
                .await?
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            let mut words = head.split(' ').map(str::parse::<usize>);
            let (Some(Ok(of)), Some(Ok(exit)), Some(Ok(len))) =
                (words.next(), words.next(), words.next())
            else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            if len > MOST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut body = vec![0; len];
            read_exact(&self.stream, &mut body).await?;
            if u32::try_from(of) == Ok(number) {
                return Ok(Part {
                    exit: u8::try_from(exit).unwrap_or(Part::ERROR),
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
            }
        }
    }
}

/// The child's end: passes what the parent asks on to `inbox`, and the answers back. Ends with the parent.
pub fn listen_to_parent(inbox: Inbox) {
    let Some(stream) = take_standard_input() else {
        return;
    };
    spawn(async move {
        let stream = Source::new(stream);
        // The end of the parent is noticed otherwise.
        let _ = serve(&stream, &inbox).await;
    })
    .detach();
}

async fn serve(stream: &Source<OwnedFd>, inbox: &Inbox) -> io::Result<()> {
    while let Some(line) = read_line(stream).await? {
        let Some((number, request)) = line.split_once(' ') else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let Ok(request) = request.parse() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let Part { exit, body } = inbox.ask(request).await;
        let head = format!("{number} {exit} {}\n", body.len());
        write(stream, head.as_bytes()).await?;
        write(stream, body.as_bytes()).await?;
    }
    Ok(())
}

/// The socket that the parent has put there; `None` if it is something else. What is started from here gets nothing of it.
fn take_standard_input() -> Option<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    let kind = rustix::net::sockopt::socket_type(stdin).ok()?;
    if kind != SocketType::STREAM {
        return None;
    }
    let stream = rustix::io::fcntl_dupfd_cloexec(stdin, 3).ok()?;
    let nothing = std::fs::File::open("/dev/null").ok()?;
    rustix::stdio::dup2_stdin(nothing).ok()?;
    Some(stream)
}

/// One line without its end; `None` at the end of everything. Byte by byte would be slow for more than a line.
pub(super) async fn read_line(stream: &Source<OwnedFd>) -> io::Result<Option<String>> {
    let mut line: heapless::Vec<u8, LONGEST> = heapless::Vec::new();
    let mut byte = [0];
    loop {
        match rustix::io::read(stream.get_ref(), &mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte == [b'\n'] => break,
            Ok(_) => {
                let [byte] = byte;
                if line.push(byte).is_err() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
            Err(Errno::AGAIN) => stream.readable().await?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

async fn read_exact(stream: &Source<OwnedFd>, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match rustix::io::read(stream.get_ref(), &mut *buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(Errno::AGAIN) => stream.readable().await?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) async fn write(stream: &Source<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // Not a signal but an error if nobody reads.
        match rustix::net::send(stream.get_ref(), bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::AGAIN) => stream.writable().await?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
