//! The socket that clients come in by.
//!
//! A few of them may be in at a time, each for a few seconds. One that has not asked yet makes room for one that comes, so that
//! silence keeps nobody out.

use core::cell::Cell;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
    socket_with,
};
use rustix::process::umask;
use smol::{Task, future};

use super::inbox::Inbox;
use super::line::{read_line, write};
use super::request::{Form, Part, Request, VERSION};
use crate::run::reactor::{Source, sleep, spawn};

/// So many clients may be in at a time.
const MOST: usize = 8;

/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(5);

/// How long a client may take to get its answer: a reload of the largest configuration on the smallest router.
const ANSWERING: Duration = Duration::from_secs(60);

/// An open door; gone, with its file, when dropped.
pub struct Door {
    path: PathBuf,
    inode: u64,
    _porter: Task<()>,
}

impl Door {
    /// Opens it: what is asked comes into `inbox`, to be answered with a whole answer.
    ///
    /// # Errors
    /// What the kernel refused; also when another daemon has it.
    pub fn open(path: &Path, inbox: Inbox) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let new = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let listener = new()?;
        if let Some(directory) = path.parent() {
            if directory
                .file_name()
                .is_some_and(|name| name == "keepalived")
            {
                let _ = std::fs::create_dir(directory);
            }
        }
        // For its owner only, from the first moment.
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = bind(&listener, &address).or_else(|error| {
            let left = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
            // One that nobody answers was left behind by a crash.
            if error != Errno::ADDRINUSE
                || !left
                || connect(new()?, &address) != Err(Errno::CONNREFUSED)
            {
                return Err(error);
            }
            rustix::fs::unlink(path)?;
            bind(&listener, &address)
        });
        umask(before);
        bound?;
        listen(&listener, MOST as i32)?;
        let inode = std::fs::symlink_metadata(path)?.ino();
        let porter = spawn(admit(Source::new(listener), inbox));
        Ok(Self {
            path: path.to_owned(),
            inode,
            _porter: porter,
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Another one may have taken our place meanwhile.
        let there = std::fs::symlink_metadata(&self.path).map(|it| it.ino());
        if there.ok() == Some(self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

struct Client {
    task: Task<()>,
    has_asked: Rc<Cell<bool>>,
}

async fn admit(listener: Source<OwnedFd>, inbox: Inbox) {
    let mut clients: heapless::Vec<Client, MOST> = heapless::Vec::new();
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream = match accept_with(listener.get_ref().as_fd(), flags) {
            Ok(stream) => stream,
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            Err(Errno::AGAIN) => {
                if listener.readable().await.is_err() {
                    return;
                }
                continue;
            }
            Err(error) => {
                // Out of descriptors or memory, which may pass.
                log::warn!("control socket: {}", io::Error::from(error));
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        clients.retain(|client| !client.task.is_finished());
        if clients.is_full() {
            match clients.iter().position(|client| !client.has_asked.get()) {
                Some(silent) => drop(clients.remove(silent)),
                // All have asked: one of them is about to have its answer.
                None => clients.remove(0).task.await,
            }
        }
        let has_asked = Rc::new(Cell::new(false));
        let task = spawn(attend(stream, inbox.clone(), Rc::clone(&has_asked)));
        let _ = clients.push(Client { task, has_asked });
    }
}

async fn attend(stream: OwnedFd, inbox: Inbox, has_asked: Rc<Cell<bool>>) {
    let stream = Source::new(stream);
    let asked = async { read_line(&stream).await.ok().flatten() };
    let late = async {
        sleep(ASKING).await;
        None
    };
    let Some(line) = future::or(asked, late).await else {
        return;
    };
    has_asked.set(true);
    let answered = async {
        let answer = match line.parse::<Request>() {
            Ok(request) => {
                let form = request.form;
                let is_json = request.verb.is_json();
                envelope(form, is_json, inbox.ask(request).await)
            }
            Err(garbage) => envelope(
                Form::Json,
                true,
                Part::error(Form::Json, &garbage.to_string()),
            ),
        };
        // Whoever hangs up has heard enough.
        let _ = write(&stream, answer.as_bytes()).await;
    };
    future::or(answered, async {
        sleep(ANSWERING).await;
    })
    .await;
}

/// Puts around an answer what makes it whole.
fn envelope(form: Form, is_json: bool, part: Part) -> String {
    let Part { exit, body } = part;
    match form {
        Form::Json if !is_json => body,
        Form::Json if body.is_empty() => format!("{{\"version\":{VERSION}}}\n"),
        Form::Json => format!("{{\"version\":{VERSION},{body}}}\n"),
        Form::Text { .. } => format!("{exit}\n{body}"),
    }
}
