//! `SMTP_CHECK`: a greeting of 220, `HELO` answered by 250, and `QUIT` by anything.
//!
//! A reply may have several lines, and is over with the last one (RFC 5321 section 4.2.1); keepalived looks at the first
//! line alone, and takes the second one for the next reply if it comes late.

use crate::check::conversation::{Outcome, Reason, Speaker, Step};
use crate::wire::smtp::{LONGEST, one_line, reply};

/// What keepalived calls itself unless `helo_name` says otherwise.
const HELO: &str = "smtpchecker.keepalived.org";

#[derive(Debug)]
pub(in crate::check) struct Smtp<'a> {
    helo: &'a str,
    answering: Answering,
    heard: Vec<u8>,
}

/// What the server is to answer.
#[derive(Clone, Copy, Debug)]
enum Answering {
    Connection,
    Hello,
    Quit,
}

impl<'a> Smtp<'a> {
    pub(super) fn new(helo: Option<&'a str>) -> Self {
        Self {
            helo: helo.unwrap_or(HELO),
            answering: Answering::Connection,
            heard: Vec::new(),
        }
    }
}

impl Speaker for Smtp<'_> {
    fn opened(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::Listen
    }

    fn heard(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        self.heard.extend_from_slice(bytes);
        loop {
            let (wanted, next) = match self.answering {
                Answering::Connection => (220, Answering::Hello),
                Answering::Hello => (250, Answering::Quit),
                Answering::Quit if self.heard.contains(&b'\n') => {
                    return Step::Done(Outcome::Passed);
                }
                Answering::Quit if self.heard.len() > LONGEST => {
                    return Reason::TooLong("reply is").into();
                }
                Answering::Quit => return Step::Listen,
            };
            let (answer, length) = match reply(&self.heard) {
                Ok(Some(found)) => found,
                Ok(None) if self.heard.len() > LONGEST => {
                    return Reason::TooLong("reply is").into();
                }
                Ok(None) => return Step::Listen,
                Err(_) => return Reason::Foreign("SMTP").into(),
            };
            if answer.code != wanted {
                return Reason::Reply(answer.text).into();
            }
            self.heard.drain(..length.min(self.heard.len()));
            match next {
                Answering::Hello => {
                    out.extend_from_slice(format!("HELO {}\r\n", one_line(self.helo)).as_bytes());
                }
                _ => out.extend_from_slice(b"QUIT\r\n"),
            }
            self.answering = next;
        }
    }
}
