//! One attempt of a check, carried out: a socket, the time it may take, and the conversation over it.
//!
//! An HTTP check costs eight system calls: socket, connect, one registration, a wait for the connection and one for the
//! answer (both shared by all that wait), send, receive, close. All attempts read into one buffer, since none of them keeps what
//! it heard.

use core::cell::RefCell;
use core::hash::{BuildHasher, Hasher};
use core::net::SocketAddr;
use core::time::Duration;
use std::hash::RandomState;
use std::io;

use smol::future;

use super::talk::Talk;
use crate::check::conversation::{Conversation, Outcome, Reason, Step, Transport};
use crate::io::probe::{Arrival, Kind, Obstacle, Socket, Way};
use crate::model::lvs::Checker;
use crate::run::reactor::{Source, now, sleep_until};
use crate::time::Instant;

/// Room for the longest datagram that `max_reply_length` allows, and one byte more that tells it from longer ones.
const BUFFER: usize = 65_536;

/// So many full buffers or datagrams are heard before it is another's turn.
const PIECES: u32 = 8;

thread_local! {
    static BUFFERED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into());
}

/// Asks a server for what a check wants, for a `page` of its [`pages`](crate::check::pages). The connection and each silence
/// after it may last for `connect_timeout`; as a whole it may take `delay_loop`, or four of these timeouts where those are
/// longer, so that nobody holds us up by a byte now and then.
///
/// A check that talks to nobody passes.
pub async fn attempt(checker: &Checker, page: usize) -> Outcome {
    attempt_aloud(checker, page, None).await
}

/// The same, with somebody who hears all that the server says.
pub async fn attempt_aloud(
    checker: &Checker,
    page: usize,
    ear: Option<&RefCell<Vec<u8>>>,
) -> Outcome {
    let Some(conversation) = Conversation::new(checker, page, nonce()) else {
        return Outcome::Passed;
    };
    let conversation = conversation.overheard(ear);
    let timeout = checker.way.timeout;
    let patience = checker.pace.interval.max(timeout.saturating_mul(4));
    let transport = conversation.transport();
    let talk = match Talk::new(conversation, checker.ip) {
        Ok(talk) => talk,
        Err(reason) => return Outcome::Untried(reason),
    };
    match open(transport, checker) {
        Ok(socket) => {
            let begin = now();
            let exchange = Exchange {
                stream: socket.is_stream(),
                socket: Source::brief(socket),
                talk,
                timeout,
                end: begin + patience,
            };
            exchange.run(begin).await.unwrap_or_else(Outcome::Failed)
        }
        Err(Obstacle::Peer(error)) => Outcome::Failed(reason(error)),
        Err(Obstacle::Own(what, error)) => {
            Outcome::Untried(Reason::Local(format!("cannot {what}: {error}")))
        }
    }
}

fn open(transport: Transport<'_>, checker: &Checker) -> Result<Socket, Obstacle> {
    let kind = match transport {
        Transport::Stream | Transport::Tls { .. } => Kind::Stream,
        Transport::Datagram => Kind::Datagram,
        Transport::Echo => Kind::Echo,
    };
    let way = Way {
        to: SocketAddr::new(checker.ip, checker.port),
        from: checker.way.bind_ip,
        from_port: checker.way.bind_port,
        interface: checker.way.bind_interface.as_ref(),
        mark: checker.way.mark,
    };
    Socket::open(kind, &way)
}

/// An attempt that has a socket.
struct Exchange<'a> {
    stream: bool,
    socket: Source<Socket>,
    talk: Talk<'a>,
    timeout: Duration,
    end: Instant,
}

impl Exchange<'_> {
    async fn run(mut self, begin: Instant) -> Result<Outcome, Reason> {
        let mut out = Vec::new();
        let stream = self.stream;
        let mut until = self.patience(begin);
        if stream {
            within(until, self.socket.writable(), Reason::Unconnected).await?;
        }
        let mut step = self.talk.opened(&mut out);
        // What is sent finds out by itself whether the connection stands, and so has the reactor if nothing went wrong.
        while stream
            && out.is_empty()
            && self.socket.is_broken()
            && !self.socket.get_ref().connected().map_err(reason)?
        {
            within(until, self.socket.writable(), Reason::Unconnected).await?;
        }
        let (mut drained, mut pieces) = (true, 0);
        loop {
            if let Step::Done(outcome) = step {
                if !out.is_empty() {
                    // A farewell, for which nobody waits.
                    let _ = self.socket.get_ref().send(&mut out);
                }
                return Ok(outcome);
            }
            self.send(until, &mut out).await?;
            if drained {
                pieces = 0;
                match within(until, self.socket.readable(), Reason::Silent).await {
                    Err(Reason::Silent) => return self.late(until),
                    other => other?,
                }
            } else if pieces == PIECES {
                // Who has this much to say keeps others waiting no longer, and gets no more time by it.
                pieces = 0;
                future::yield_now().await;
                if now() >= until {
                    return self.late(until);
                }
            }
            pieces += 1;
            (step, drained) = self.receive(&mut out)?;
            if stream && step == Step::Listen {
                // Each piece of a stream is a sign of life; of datagrams only the right one is.
                until = self.patience(now());
            }
        }
    }

    /// What it means that `until` has come.
    fn late(&mut self, until: Instant) -> Result<Outcome, Reason> {
        match until < self.end {
            true => Ok(self.talk.expired()),
            false => Err(Reason::Slow),
        }
    }

    fn patience(&self, from: Instant) -> Instant {
        self.end.min(from + self.timeout)
    }

    async fn send(&self, until: Instant, out: &mut Vec<u8>) -> Result<(), Reason> {
        while !out.is_empty() {
            match self.socket.get_ref().send(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    within(until, self.socket.writable(), Reason::Silent).await?;
                }
                sent => sent.map_err(reason)?,
            }
        }
        Ok(())
    }

    /// Hears one piece or one datagram, if there is one; and whether nothing more waits to be received.
    fn receive(&mut self, out: &mut Vec<u8>) -> Result<(Step, bool), Reason> {
        BUFFERED.with_borrow_mut(|buffer| match self.socket.get_ref().receive(buffer) {
            Ok(Arrival::End) => Ok((self.talk.closed(), true)),
            Ok(Arrival::Bytes { start, end }) => {
                let drained = self.stream && end < buffer.len();
                let bytes = buffer.get(start..end).unwrap_or_default();
                Ok((self.talk.heard(bytes, out), drained))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((Step::Listen, true)),
            Err(error) => Err(reason(error)),
        })
    }
}

/// Waits for readiness, but no longer than `until`; `late` is why that is a failure.
async fn within(
    until: Instant,
    ready: impl Future<Output = io::Result<()>>,
    late: Reason,
) -> Result<(), Reason> {
    let ready = async { ready.await.map_err(reason) };
    future::or(ready, async {
        sleep_until(until).await;
        Err(late)
    })
    .await
}

/// What the kernel says of a server, in our words.
fn reason(error: io::Error) -> Reason {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::CONNREFUSED) => Reason::Refused,
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN) => {
            Reason::Unreachable
        }
        Some(Errno::TIMEDOUT) => Reason::Unconnected,
        Some(Errno::CONNRESET | Errno::PIPE) => Reason::Closed,
        _ => Reason::Broken(error.to_string()),
    }
}

/// Random enough that nobody guesses the next one: the standard library keys its hashers so, without a system call for each.
fn nonce() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
