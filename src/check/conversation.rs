//! One attempt of a check, without socket or clock: bytes in, bytes out, an outcome.
//!
//! Whoever runs it opens the transport, keeps the time (`connect_timeout` for the connection and for each silence after
//! it) and passes on what comes. The same bytes give the same outcome however they are cut up.

use core::cell::RefCell;
use core::fmt;

use super::proto::Engine;
use crate::model::lvs::Checker;

/// What an attempt talks over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// TCP.
    Stream,
    /// TLS over TCP.
    Tls {
        /// Server name indication, if the server is to be told (`enable_sni`).
        name: Option<&'a str>,
        /// Say goodbye before hanging up (`tls_compliant`).
        goodbye: bool,
    },
    /// UDP, connected.
    Datagram,
    /// ICMP, or ICMPv6: whole messages from their type on.
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
    /// The connection did not come about in time.
    Unconnected,
    /// It did not answer in time.
    Silent,
    /// It answers, but far too slowly.
    Slow,
    /// It hung up in the middle.
    Closed,
    /// The connection broke: the kernel's reason.
    Broken(String),
    /// TLS did not come about, or went wrong: why.
    Tls(String),
    /// The kernel did not do something for us: what was tried, and its reason.
    Local(String),
    /// What it speaks is not this protocol.
    Foreign(&'static str),
    /// This part of its answer is longer than anybody needs.
    TooLong(&'static str),
    /// A status of HTTP that was not asked for.
    Status {
        /// What it was.
        heard: u16,
        /// The ranges that are good, both ends included.
        wanted: Vec<(u16, u16)>,
    },
    /// MD5 of the page, which is not that of the configuration.
    Digest([u8; 16]),
    /// The page has not what it should have, or has what it should not.
    Regex {
        /// Whether the expression matched.
        matched: bool,
    },
    /// An answer that refuses: its line.
    Reply(String),
    /// `RCODE` of DNS (RFC 1035 section 4.1.1).
    Rcode(u8),
    /// The datagram's length, which is out of bounds.
    Length(usize),
    /// The datagram is of the right length, but says something else.
    Content,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Unconnected => f.write_str("no connection within connect_timeout"),
            Self::Silent => f.write_str("no answer within connect_timeout"),
            Self::Slow => f.write_str("the answer takes too long"),
            Self::Closed => f.write_str("it hung up in the middle of its answer"),
            Self::Broken(why) | Self::Local(why) => f.write_str(why),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Foreign(protocol) => write!(f, "its answer is not {protocol}"),
            Self::TooLong(part) => write!(f, "its {part} too long"),
            Self::Status { heard, wanted } => {
                write!(f, "status {heard}, not ")?;
                for (place, (low, high)) in wanted.iter().enumerate() {
                    let or = if place == 0 { "" } else { " or " };
                    match low == high {
                        true => write!(f, "{or}{low}")?,
                        false => write!(f, "{or}{low}-{high}")?,
                    }
                }
                Ok(())
            }
            Self::Digest(heard) => {
                f.write_str("the digest of the page is ")?;
                heard.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Regex { matched: false } => f.write_str("the page does not match the regex"),
            Self::Regex { matched: true } => f.write_str("the page matches the regex"),
            Self::Reply(line) => write!(f, "it said '{line}'"),
            Self::Rcode(code) => match RCODES.get(usize::from(*code)) {
                Some(name) => write!(f, "it answered {name}"),
                None => write!(f, "it answered with RCODE {code}"),
            },
            Self::Length(length) => write!(f, "its reply has {length} bytes"),
            Self::Content => f.write_str("its reply is not the required one"),
        }
    }
}

/// Names of `RCODE`s from zero on (RFC 1035 section 4.1.1).
const RCODES: [&str; 6] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
];

/// Our side of a protocol.
pub(super) trait Speaker {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step;

    fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step;

    fn closed(&mut self) -> Step {
        Reason::Closed.into()
    }

    fn expired(&self) -> Outcome {
        Outcome::Failed(Reason::Silent)
    }
}

impl From<Reason> for Step {
    fn from(reason: Reason) -> Self {
        Self::Done(Outcome::Failed(reason))
    }
}

/// One attempt.
#[derive(Debug)]
pub struct Conversation<'a> {
    transport: Transport<'a>,
    engine: Engine<'a>,
    ear: Option<&'a RefCell<Vec<u8>>>,
}

impl<'a> Conversation<'a> {
    /// The attempt that a check asks for; `page` says which of its [`pages`](super::pages), `nonce` is random and tells
    /// this attempt's answers from those of others. `None` for a check that talks to nobody: commands, files, BFD.
    #[must_use]
    pub fn new(checker: &'a Checker, page: usize, nonce: u32) -> Option<Self> {
        let (transport, engine) = Engine::new(checker, page, nonce)?;
        Some(Self {
            transport,
            engine,
            ear: None,
        })
    }

    /// Lets somebody have all that is heard.
    #[must_use]
    pub fn overheard(self, ear: Option<&'a RefCell<Vec<u8>>>) -> Self {
        Self { ear, ..self }
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
        if let Some(ear) = self.ear {
            ear.borrow_mut().extend_from_slice(bytes);
        }
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
