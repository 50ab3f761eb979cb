//! One attempt of a check, without socket or clock: bytes in, bytes out, an outcome.
//!
//! Whoever runs it opens the transport, keeps the time (`connect_timeout` for the connection and for each silence after
//! it) and passes on what comes. The same bytes give the same outcome however they are cut up.

use core::fmt;

use super::proto::Engine;
use crate::model::lvs::Checker;

/// What an attempt talks over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// TCP.
    Stream,
    /// TLS over TCP; `name` is the server's, if it is to be told (`enable_sni`).
    Tls {
        /// Server name indication.
        name: Option<&'a str>,
    },
    /// UDP, connected.
    Datagram,
    /// ICMP, whole messages from their type on; the runner fills in the checksum.
    Echo,
}

/// How an attempt goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The server has to say more.
    Listen,
    /// It is over.
    Done(Outcome),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server did as it should.
    Passed,
    /// It did not.
    Failed(Reason),
    /// Nothing could be asked, and the fault is on this side: it says nothing about the server. keepalived tries again
    /// after `delay_loop`, and counts it neither way.
    Untried(Reason),
}

/// Why an attempt did not pass, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody listens.
    Refused,
    /// No way to it.
    Unreachable,
    /// It did not answer in time.
    Silent,
    /// It hung up in the middle.
    Closed,
    /// The connection broke: the kernel's reason.
    Broken(String),
    /// The kernel did not do something: what was tried, and its reason.
    Local(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Silent => f.write_str("no answer in time"),
            Self::Closed => f.write_str("it hung up"),
            Self::Broken(why) | Self::Local(why) => f.write_str(why),
        }
    }
}

/// One side of a protocol: ours.
pub(super) trait Speaker {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step;

    fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step;

    fn closed(&mut self) -> Step {
        Step::Done(Outcome::Failed(Reason::Closed))
    }

    fn expired(&self) -> Outcome {
        Outcome::Failed(Reason::Silent)
    }
}

/// One attempt.
#[derive(Debug)]
pub struct Conversation<'a> {
    transport: Transport<'a>,
    engine: Engine,
}

impl<'a> Conversation<'a> {
    /// The attempt that a check asks for; `page` says which of its [`pages`](super::pages), `nonce` is random and tells
    /// this attempt's answers from those of others. `None` for a check that talks to nobody: commands, files, BFD.
    #[must_use]
    pub fn new(checker: &'a Checker, page: usize, nonce: u32) -> Option<Self> {
        let (transport, engine) = Engine::new(checker, page, nonce)?;
        Some(Self { transport, engine })
    }

    /// What it talks over.
    #[must_use]
    pub const fn transport(&self) -> Transport<'a> {
        self.transport
    }

    /// The connection stands; what is to be said goes into `out`.
    pub fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        self.engine.speaker().opened(out)
    }

    /// What came: a piece of a stream, or one datagram.
    pub fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        self.engine.speaker().heard(bytes, out)
    }

    /// The server has ended the stream in good order.
    pub fn closed(&mut self) -> Step {
        self.engine.speaker().closed()
    }

    /// `connect_timeout` has passed and nothing came.
    pub fn expired(&mut self) -> Outcome {
        self.engine.speaker().expired()
    }
}
