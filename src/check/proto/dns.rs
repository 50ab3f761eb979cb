//! `DNS_CHECK`: a question by UDP (RFC 1035) that has to be answered without an error; the answer itself may be empty.

use crate::check::conversation::{Outcome, Reason, Speaker, Step};

/// Bytes before the question.
const HEADER: usize = 12;

#[derive(Debug)]
pub(in crate::check) struct Dns<'a> {
    record: u16,
    name: &'a str,
    id: [u8; 2],
}

impl<'a> Dns<'a> {
    pub(super) const fn new(record: u16, name: &'a str, nonce: u32) -> Self {
        let [_, _, high, low] = nonce.to_be_bytes();
        Self {
            record,
            name,
            id: [high, low],
        }
    }
}

impl Speaker for Dns<'_> {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(&self.id);
        // Recursion desired, one question.
        out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            // RFC 1035 section 2.3.4: 63 octets at most, which the configuration has seen to.
            let label = label.as_bytes().get(..63).unwrap_or(label.as_bytes());
            out.push(label.len() as u8);
            out.extend_from_slice(label);
        }
        out.push(0);
        out.extend_from_slice(&self.record.to_be_bytes());
        // Class IN.
        out.extend_from_slice(&[0, 1]);
        Step::Listen
    }

    /// What is no answer to our question is as if it had not come.
    fn heard(&mut self, bytes: &[u8], _out: &mut Vec<u8>) -> Step {
        let Some([high, low, flags, more, ..]) = bytes.first_chunk::<HEADER>() else {
            return Step::Listen;
        };
        let response = flags & 0x80 != 0;
        if self.id != [*high, *low] || !response {
            return Step::Listen;
        }
        match more & 0x0f {
            0 => Step::Done(Outcome::Passed),
            code => Reason::Rcode(code).into(),
        }
    }
}
