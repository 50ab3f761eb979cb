//! Mails to people, one after the other, while everything else goes on.
//!
//! A server that cannot be reached, or that keeps silent, costs what waits for it: one line in the log, and nothing is tried
//! again before there is a new mail.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use smol::future;

use crate::io::connect;
use crate::io::sys::{self, LocalTime};
use crate::model::Global;
use crate::wire::smtp::{Dialogue, Failure, Mail, Trouble, Verdict, one_line};

use super::logger::Rfc5322;
use super::lookup;
use super::reactor::{Source, now, sleep, sleep_until, spawn};

/// So many mails may wait; then the oldest are given up, since what is newest is what counts.
const LONGEST: usize = 256;

/// Sends mails.
pub struct Mailer(Rc<Office>);

#[derive(Default)]
struct Office {
    sender: RefCell<Option<Rc<Sender>>>,
    waiting: RefCell<VecDeque<Letter>>,
    /// Given up because too many waited.
    lost: Cell<usize>,
    busy: Cell<bool>,
    settled: RefCell<Option<Waker>>,
}

/// What has happened, and when.
struct Letter {
    subject: String,
    text: Cow<'static, str>,
    at: LocalTime,
}

/// What all mails have in common.
#[derive(PartialEq, Eq)]
struct Sender {
    router: String,
    host: String,
    port: u16,
    helo: String,
    from: String,
    to: Vec<String>,
    timeout: Duration,
}

/// Why a mail did not get through.
enum Obstacle {
    /// The name of the server has no address.
    Unknown(io::Error),
    /// There is no connection, or it broke.
    Unreachable(io::Error),
    /// The server did not take it.
    Failed(Failure),
}

impl Mailer {
    /// Sends nothing without a server and somebody to send to.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let mailer = Self(Rc::default());
        mailer.reload(global);
        mailer
    }

    /// Takes up another configuration; what waits goes by that.
    pub fn reload(&self, global: &Global) {
        *self.0.sender.borrow_mut() = Sender::of(global).map(Rc::new);
    }

    /// Whether mails are sent at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.sender.borrow().is_some()
    }

    /// Sends a mail when its turn comes. The subject gets the router's name in front.
    pub fn send(&self, subject: String, text: impl Into<Cow<'static, str>>) {
        if !self.is_on() {
            return;
        }
        let at = sys::local_time();
        let office = &self.0;
        let mut waiting = office.waiting.borrow_mut();
        if waiting.len() >= LONGEST {
            waiting.pop_front();
            office.lost.set(office.lost.get().saturating_add(1));
        }
        let text = text.into();
        waiting.push_back(Letter { subject, text, at });
        if !office.busy.replace(true) {
            spawn(Rc::clone(office).work()).detach();
        }
    }

    /// Waits until no mail is on its way, but no longer than `limit`; true if none is.
    pub async fn settle(&self, limit: Duration) -> bool {
        let settled = poll_fn(|context| {
            if !self.0.busy.get() {
                return Poll::Ready(true);
            }
            *self.0.settled.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        });
        future::or(settled, async {
            sleep(limit).await;
            false
        })
        .await
    }
}

impl Office {
    async fn work(self: Rc<Self>) {
        // Found once for all that wait.
        let mut found: Option<(Rc<Sender>, Vec<SocketAddr>)> = None;
        while let Some((letter, sender)) = self.next() {
            let known = found.take().filter(|(of, _)| *of == sender);
            let servers = match known {
                Some((_, servers)) => Ok(servers),
                None => sender.find().await,
            };
            let sent = match servers {
                Ok(servers) => {
                    let sent = sender.deliver(&servers, &letter).await;
                    found = Some((sender.clone(), servers));
                    sent
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(refused) => {
                    log::debug!("sent the mail '{}'", letter.subject);
                    for reply in refused {
                        log::error!("{sender} refused a recipient: {reply}");
                    }
                }
                Err(obstacle) => self.report(&sender, &letter, &obstacle),
            }
        }
        let lost = self.lost.take();
        if lost > 0 {
            log::error!("{lost} mails were given up: too many waited");
        }
        self.busy.set(false);
        let settled = self.settled.take();
        if let Some(waker) = settled {
            waker.wake();
        }
    }

    fn next(&self) -> Option<(Letter, Rc<Sender>)> {
        let sender = self.sender.borrow().clone();
        let mut waiting = self.waiting.borrow_mut();
        match sender {
            Some(sender) => Some((waiting.pop_front()?, sender)),
            None => {
                waiting.clear();
                None
            }
        }
    }

    /// A refusal concerns one mail; anything else all that wait.
    fn report(&self, sender: &Sender, letter: &Letter, obstacle: &Obstacle) {
        let subject = &letter.subject;
        if let Obstacle::Failed(Failure {
            why: Trouble::Refused(_),
            ..
        }) = obstacle
        {
            log::error!("cannot send the mail '{subject}' by {sender}: {obstacle}");
            return;
        }
        let others = core::mem::take(&mut *self.waiting.borrow_mut()).len();
        let others = match others {
            0 => String::new(),
            others => format!(", nor {others} that waited behind it"),
        };
        log::error!("cannot send the mail '{subject}'{others} by {sender}: {obstacle}");
    }
}

impl Sender {
    fn of(global: &Global) -> Option<Self> {
        let mail = &global.mail;
        let (host, port) = mail.server.clone()?;
        if mail.to.is_empty() {
            return None;
        }
        let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let own = own.trim();
        Some(Self {
            router: global.router_id.clone().unwrap_or_else(|| own.to_owned()),
            host,
            port,
            helo: mail.helo.clone().unwrap_or_else(|| own.to_owned()),
            from: mail
                .from
                .clone()
                .unwrap_or_else(|| format!("{}@{own}", account())),
            to: mail.to.clone(),
            timeout: mail.timeout,
        })
    }

    async fn find(&self) -> Result<Vec<SocketAddr>, Obstacle> {
        let found = lookup::addresses(&self.host, self.port, self.timeout).await;
        found.map_err(Obstacle::Unknown)
    }

    fn write(&self, letter: &Letter) -> Mail {
        let to = self.to.iter().map(|to| one_line(to)).collect::<Vec<_>>();
        let message = format!(
            "Date: {}\nFrom: {}\nSubject: {}\nX-Mailer: Keepalived\nTo: {}\n\n{}\n",
            Rfc5322(&letter.at),
            one_line(&self.from),
            one_line(&format!("[{}] {}", self.router, letter.subject)),
            to.join(", "),
            &letter.text,
        );
        Mail {
            from: self.from.clone(),
            to: self.to.clone(),
            message,
        }
    }

    /// Hands a mail over; gives the server's replies about the recipients that it refused.
    async fn deliver(
        &self,
        servers: &[SocketAddr],
        letter: &Letter,
    ) -> Result<Vec<String>, Obstacle> {
        let mut connection = self.connect(servers).await.map_err(Obstacle::Unreachable)?;
        let mut dialogue = Dialogue::new(self.helo.clone(), self.write(letter));
        let mut out = Vec::new();
        let mut buffer = [0; 512];
        loop {
            // For the whole of a reply: nobody holds us up by a byte now and then.
            let until = now() + self.timeout;
            let step = dialogue.step();
            let verdict = loop {
                let heard = async {
                    let length = receive(&connection, &mut buffer).await?;
                    Ok(Some(length))
                };
                let late = async {
                    sleep_until(until).await;
                    Ok(None)
                };
                let heard: io::Result<Option<usize>> = future::or(heard, late).await;
                let verdict = match heard.map_err(Obstacle::Unreachable)? {
                    Some(0) => dialogue.closed(),
                    Some(length) => {
                        dialogue.hear(buffer.get(..length).unwrap_or_default(), &mut out)
                    }
                    None => dialogue.silent(),
                };
                if verdict != Verdict::Pending || dialogue.step() != step {
                    break verdict;
                }
            };
            let sent = self.within(send(&mut connection, &mut out)).await;
            match verdict {
                Verdict::Pending => sent.map_err(Obstacle::Unreachable)?,
                Verdict::Sent => return Ok(dialogue.refused().to_vec()),
                Verdict::Failed(failure) => return Err(Obstacle::Failed(failure)),
            }
        }
    }

    /// Connects to the first server that lets us.
    async fn connect(&self, servers: &[SocketAddr]) -> io::Result<Source<OwnedFd>> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for server in servers {
            match self.within(open(*server)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn within<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let late = async {
            sleep(self.timeout).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        future::or(work, late).await
    }
}

async fn open(server: SocketAddr) -> io::Result<Source<OwnedFd>> {
    let socket = Source::new(connect::start(server)?);
    loop {
        socket.writable().await?;
        match connect::finish(socket.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            finished => return finished.map(|()| socket),
        }
    }
}

async fn receive(connection: &Source<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(connection.get_ref(), &mut *buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN) => connection.readable().await?,
            Err(Errno::INTR) => {}
            // A connection that is reset is closed, if not politely.
            Err(Errno::CONNRESET) => return Ok(0),
            received => return received.map(|(length, _)| length).map_err(Into::into),
        }
    }
}

/// Sends everything, and leaves nothing.
async fn send(connection: &mut Source<OwnedFd>, out: &mut Vec<u8>) -> io::Result<()> {
    while !out.is_empty() {
        match rustix::net::send(connection.get_ref(), out, SendFlags::NOSIGNAL) {
            Ok(length) => drop(out.drain(..length.min(out.len()))),
            Err(Errno::AGAIN) => connection.writable().await?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The name of the account that we run as.
fn account() -> String {
    let own = rustix::process::getuid().as_raw().to_string();
    let accounts = fs::read("/etc/passwd").unwrap_or_default();
    let accounts = String::from_utf8_lossy(&accounts);
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == own).then(|| name.to_owned())
    });
    name.unwrap_or(own)
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "smtp_server {} {}", self.host, self.port)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => write!(f, "cannot find its address: {error}"),
            Self::Unreachable(error) if error.kind() == io::ErrorKind::TimedOut => {
                f.write_str("no connection within smtp_connect_timeout")
            }
            Self::Unreachable(error) => write!(f, "no connection: {error}"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}
