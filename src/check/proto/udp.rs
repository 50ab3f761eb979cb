//! `UDP_CHECK`: something is sent, and an ICMP error is bad. Silence is good unless a reply is required.

use crate::check::conversation::{Outcome, Reason, Speaker, Step};
use crate::model::lvs;

/// What is said for want of a payload: as long as keepalived's.
const PAYLOAD: &[u8; 32] = b"keepalite check keepalite check\n";

#[derive(Debug)]
pub(in crate::check) struct Udp<'a>(&'a lvs::Udp);

impl<'a> Udp<'a> {
    pub(super) const fn new(check: &'a lvs::Udp) -> Self {
        Self(check)
    }
}

impl Speaker for Udp<'_> {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(self.0.payload.as_deref().unwrap_or(PAYLOAD));
        Step::Listen
    }

    /// As with keepalived the lengths count only beside bytes that are required, and a reply shorter than those is compared
    /// as far as it goes.
    fn heard(&mut self, bytes: &[u8], _out: &mut Vec<u8>) -> Step {
        let Self(check) = self;
        let wanted = check.reply.as_deref().unwrap_or_default();
        if wanted.is_empty() {
            return Step::Done(Outcome::Passed);
        }
        let lengths = usize::from(check.min_reply)..=usize::from(check.max_reply);
        if !lengths.contains(&bytes.len()) {
            return Reason::Length(bytes.len()).into();
        }
        let same = bytes
            .iter()
            .zip(wanted)
            .all(|(heard, (byte, counts))| (heard ^ byte) & counts == 0);
        match same {
            true => Step::Done(Outcome::Passed),
            false => Reason::Content.into(),
        }
    }

    fn expired(&self) -> Outcome {
        match self.0.reply {
            Some(_) => Outcome::Failed(Reason::Silent),
            None => Outcome::Passed,
        }
    }
}
