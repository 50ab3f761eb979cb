//! `PING_CHECK`: an echo request (RFC 792, RFC 4443) that has to come back.
//!
//! Any other message is as if it had not come: also what answers another process, and what comes late.

use core::net::IpAddr;

use crate::check::conversation::{Outcome, Speaker, Step};
use crate::wire::Checksum;

/// Bytes behind the header, as many as ping(8) sends.
const DATA: usize = 56;

#[derive(Debug)]
pub(in crate::check) struct Ping {
    v6: bool,
    nonce: [u8; 4],
}

impl Ping {
    pub(super) const fn new(ip: IpAddr, nonce: u32) -> Self {
        Self {
            v6: ip.is_ipv6(),
            nonce: nonce.to_be_bytes(),
        }
    }

    /// Type, code, checksum, identifier and sequence number; and the nonce again, since the kernel puts an identifier of
    /// its own into what leaves by a datagram socket.
    fn message(&self, kind: u8) -> [u8; 8 + DATA] {
        let mut message = [0; 8 + DATA];
        let [a, b, c, d] = self.nonce;
        if let Some(start) = message.first_chunk_mut() {
            *start = [kind, 0, 0, 0, a, b, c, d, a, b, c, d];
        }
        message
    }
}

impl Speaker for Ping {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        let mut message = self.message(if self.v6 { 128 } else { 8 });
        if !self.v6 {
            // That of ICMPv6 covers addresses, which the kernel knows: it fills it in.
            let sum = Checksum::new().bytes(&message).finish().to_be_bytes();
            (message[2], message[3]) = (sum[0], sum[1]);
        }
        out.extend_from_slice(&message);
        Step::Listen
    }

    fn heard(&mut self, bytes: &[u8], _out: &mut Vec<u8>) -> Step {
        let sent = self.message(if self.v6 { 129 } else { 0 });
        let same = |part: core::ops::Range<usize>| bytes.get(part.clone()) == sent.get(part);
        // Type and code, the sequence number and everything behind it.
        match same(0..2) && same(6..8 + DATA) {
            true => Step::Done(Outcome::Passed),
            false => Step::Listen,
        }
    }
}
