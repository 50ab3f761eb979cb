//! What an attempt says and hears, in the open or through TLS.

use super::tunnel::Tunnel;
use crate::check::conversation::{Conversation, Outcome, Reason, Step, Transport};
use core::net::IpAddr;

/// A conversation with or without TLS.
pub enum Talk<'a> {
    /// As it is.
    Plain(Conversation<'a>),
    /// Through TLS.
    Sealed(Box<Tunnel<'a>>),
}

impl<'a> Talk<'a> {
    /// With the server at `ip`.
    ///
    /// # Errors
    /// Why there can be none; it says nothing about the server.
    pub fn new(conversation: Conversation<'a>, ip: IpAddr) -> Result<Self, Reason> {
        Ok(match conversation.transport() {
            Transport::Tls { name, goodbye } => {
                let tunnel = Tunnel::new(conversation, ip, name, goodbye)?;
                Self::Sealed(Box::new(tunnel))
            }
            _ => Self::Plain(conversation),
        })
    }

    /// The connection stands; what is to be sent goes into `out`.
    pub fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        match self {
            Self::Plain(conversation) => conversation.opened(out),
            Self::Sealed(tunnel) => tunnel.opened(out),
        }
    }

    /// What came: a piece of a stream, or one datagram.
    pub fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        match self {
            Self::Plain(conversation) => conversation.heard(bytes, out),
            Self::Sealed(tunnel) => tunnel.heard(bytes, out),
        }
    }

    /// The server has ended the stream in good order.
    pub fn closed(&mut self) -> Step {
        match self {
            Self::Plain(conversation) => conversation.closed(),
            Self::Sealed(tunnel) => tunnel.closed(),
        }
    }

    /// `connect_timeout` has passed and nothing came.
    pub fn expired(&mut self) -> Outcome {
        match self {
            Self::Plain(conversation) => conversation.expired(),
            Self::Sealed(tunnel) => tunnel.expired(),
        }
    }
}
