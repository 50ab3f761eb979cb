//! A conversation over TLS: the handshake comes first, and what is said and heard is sealed.

use core::net::IpAddr;

use crate::check::conversation::{Conversation, Outcome, Reason, Step};
use crate::io::tls::{Heard, Session};

/// A conversation and the session that carries it.
pub struct Tunnel<'a> {
    session: Session,
    conversation: Conversation<'a>,
    /// The conversation has begun.
    begun: bool,
    /// Say goodbye before hanging up.
    goodbye: bool,
}

impl<'a> Tunnel<'a> {
    /// To the server at `ip`, which is told `name` if there is one.
    ///
    /// # Errors
    /// Why there can be none; it says nothing about the server.
    pub fn new(
        conversation: Conversation<'a>,
        ip: IpAddr,
        name: Option<&str>,
        goodbye: bool,
    ) -> Result<Self, Reason> {
        let session = Session::new(name, ip).map_err(Reason::Local)?;
        Ok(Self {
            session,
            conversation,
            begun: false,
            goodbye,
        })
    }

    /// The connection stands: the handshake begins.
    pub fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        self.session.take(out);
        Step::Listen
    }

    /// What came, a piece of the stream.
    pub fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        let Self {
            session,
            conversation,
            ..
        } = self;
        let (mut step, mut said) = (Step::Listen, Vec::new());
        let heard = session.hear(bytes, |text| {
            step = conversation.heard(text, &mut said);
            step == Step::Listen
        });
        if !self.begun && session.is_ready() && heard.is_ok() && step == Step::Listen {
            self.begun = true;
            step = conversation.opened(&mut said);
        }
        session.say(&said);
        let step = match (step, heard) {
            (Step::Listen, Ok(Heard::More)) => Step::Listen,
            (Step::Listen, Ok(Heard::Goodbye)) => conversation.closed(),
            (Step::Listen, Err(why)) => Reason::Tls(why).into(),
            (over, _) => over,
        };
        if self.goodbye && step != Step::Listen {
            session.close();
        }
        session.take(out);
        step
    }

    /// The stream has ended. Many servers do not say goodbye, which is taken as an end too, as by keepalived.
    pub fn closed(&mut self) -> Step {
        match self.begun {
            true => self.conversation.closed(),
            false => Reason::Tls("it hung up during the handshake".to_owned()).into(),
        }
    }

    /// Nothing came in time.
    pub fn expired(&mut self) -> Outcome {
        match self.begun {
            true => self.conversation.expired(),
            false => Outcome::Failed(Reason::Tls(
                "it did not finish the handshake within connect_timeout".to_owned(),
            )),
        }
    }
}
