//! Requests on their way to the kernel: many in one send, each with its own words.

use core::fmt;
use std::fmt::Write;
use std::io::{self, Cursor};

use neli::ToBytes;
use neli::consts::nl::NlmF;
use neli::nl::{NlPayload, NlmsghdrBuilder};

use super::super::error::Failed;
use super::Body;

/// What one send carries at most. Every refusal is answered with a message that costs the receive buffer about 1 kB, so
/// this many refusals still fit into what the kernel allows anyone.
const CHUNK_REQUESTS: usize = 128;
/// Far below the kernel's limit of one datagram, `SO_SNDBUF`.
const CHUNK_BYTES: usize = 32 * 1024;

/// Requests to be sent together: a whole transition, all addresses of a virtual router.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Cursor<Vec<u8>>,
    words: String,
    requests: Vec<Request>,
    /// Those that could not even be written down.
    pub(super) unwritten: Vec<Failed>,
}

/// Where a request ends in the bytes and the words of its batch; it begins where the one before ends.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    place: usize,
    bytes_end: usize,
    words_end: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True if there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.unwritten.is_empty()
    }

    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len() + self.unwritten.len()
    }

    /// Adds a request: what it does in words, as in "add 10.0.0.1/24 to eth0"; the type of the message; flags beyond
    /// `NLM_F_REQUEST`, such as `NLM_F_CREATE`; the family header with its attributes. A body that could not be written comes
    /// back as a failure of the batch, with the same words.
    pub fn push(&mut self, op: fmt::Arguments<'_>, kind: impl Into<u16>, flags: NlmF, body: Body) {
        self.add(op, kind.into(), flags, body);
    }

    fn add(&mut self, op: fmt::Arguments<'_>, kind: u16, flags: NlmF, body: Body) {
        let begin = self.bytes.get_ref().len();
        if let Err(source) = encode(&mut self.bytes, kind, flags, body) {
            self.bytes.get_mut().truncate(begin);
            self.bytes.set_position(begin as u64);
            self.unwritten.push(Failed {
                place: self.len(),
                op: op.to_string(),
                source,
                kernel_says: None,
            });
            return;
        }
        // Writing into a String cannot fail.
        let _ = self.words.write_fmt(op);
        self.requests.push(Request {
            place: self.len(),
            bytes_end: self.bytes.get_ref().len(),
            words_end: self.words.len(),
        });
    }

    /// Cuts the batch into what one send can carry.
    pub(super) fn chunks(&mut self) -> Chunks<'_> {
        Chunks {
            bytes: self.bytes.get_mut(),
            words: &self.words,
            requests: &self.requests,
            cut: Request::default(),
        }
    }
}

/// The parts of a batch that are sent one after the other.
pub(super) struct Chunks<'a> {
    bytes: &'a mut [u8],
    words: &'a str,
    requests: &'a [Request],
    /// What has been cut off already.
    cut: Request,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let begin = self.cut;
        let count = self
            .requests
            .iter()
            .take(CHUNK_REQUESTS)
            .take_while(|r| r.bytes_end - begin.bytes_end <= CHUNK_BYTES)
            .count()
            .max(1); // one longer than a chunk goes alone
        let (requests, later) = self.requests.split_at_checked(count)?;
        let end = *requests.last()?;
        let (bytes, rest) = core::mem::take(&mut self.bytes)
            .split_at_mut_checked(end.bytes_end - begin.bytes_end)?;
        (self.bytes, self.requests, self.cut) = (rest, later, end);
        Some(Chunk {
            bytes,
            words: self.words,
            requests,
            begin,
        })
    }
}

/// What one send carries.
pub(super) struct Chunk<'a> {
    bytes: &'a mut [u8],
    words: &'a str,
    requests: &'a [Request],
    begin: Request,
}

impl Chunk<'_> {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// The request in words; of the first for an index beyond.
    pub(super) fn words(&self, index: usize) -> &str {
        let before = |i: usize| i.checked_sub(1).and_then(|i| self.requests.get(i));
        let from = before(index).unwrap_or(&self.begin).words_end;
        let to = self.requests.get(index).map_or(from, |r| r.words_end);
        self.words.get(from..to).unwrap_or_default()
    }

    /// The place of the request in its batch.
    pub(super) fn place(&self, index: usize) -> usize {
        self.requests.get(index).map_or(0, |request| request.place)
    }

    /// Numbers the requests from `first` on, and asks for an acknowledgement of the last one only: a refusal is always
    /// answered, and requests are done in their order, so that silence before the last answer means success.
    pub(super) fn stamp(&mut self, first: u32) -> &[u8] {
        const ACK: u16 = 0x4;
        let mut at = self.begin.bytes_end;
        let mut seq = first;
        for (index, request) in self.requests.iter().enumerate() {
            let Some(header) = self
                .bytes
                .get_mut(at - self.begin.bytes_end..)
                .and_then(|b| b.first_chunk_mut::<16>())
            else {
                break;
            };
            let [_, _, _, _, _, _, flags @ .., a, b, c, d, _, _, _, _] = header;
            [*a, *b, *c, *d] = seq.to_ne_bytes();
            if index + 1 == self.requests.len() {
                *flags = (u16::from_ne_bytes(*flags) | ACK).to_ne_bytes();
            }
            at = request.bytes_end;
            seq = seq.wrapping_add(1);
        }
        self.bytes
    }
}

/// Appends one message; its sequence number is left zero.
pub(super) fn encode(
    out: &mut Cursor<Vec<u8>>,
    kind: u16,
    flags: NlmF,
    body: Body,
) -> io::Result<()> {
    let message = NlmsghdrBuilder::default()
        .nl_type(kind)
        .nl_flags(flags | NlmF::REQUEST)
        .nl_payload(NlPayload::Payload(body.done()))
        .build()
        .map_err(io::Error::other)?;
    message.to_bytes(out).map_err(io::Error::other)
}

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` of linux/netfilter/nfnetlink.h.
pub(super) const BEGIN: u16 = 0x10;
pub(super) const END: u16 = 0x11;

/// What stands before and behind requests to nf_tables that are done together: a message header and `struct nfgenmsg`, with
/// the number of the subsystem in the order of the network.
pub(super) fn transaction_mark(kind: u16, seq: u32) -> [u8; 20] {
    const NFTABLES: u8 = 10;
    const REQUEST: u16 = 1;
    let mut mark = [0; 20];
    let parts: [(usize, &[u8]); 5] = [
        (0, &20u32.to_ne_bytes()),
        (4, &kind.to_ne_bytes()),
        (6, &REQUEST.to_ne_bytes()),
        (8, &seq.to_ne_bytes()),
        (19, &[NFTABLES]),
    ];
    for (at, bytes) in parts {
        for (slot, byte) in mark.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::super::message::messages;
    use super::*;

    fn batch_of(count: u32) -> Batch {
        let mut batch = Batch::new();
        for i in 0..count {
            batch.push(
                format_args!("do {i}"),
                20u16,
                NlmF::CREATE,
                Body::new(&i.to_ne_bytes()),
            );
        }
        batch
    }

    #[test]
    fn a_long_batch_is_cut_and_every_request_keeps_its_number_and_words() {
        let mut batch = batch_of(300);
        let mut seen = 0;
        let mut sizes = Vec::new();
        for mut chunk in batch.chunks() {
            let len = chunk.len();
            sizes.push(len);
            for index in 0..len {
                assert_eq!(chunk.words(index), format!("do {}", seen + index));
            }
            let sent: Vec<_> = messages(chunk.stamp(7)).map(|m| (m.seq, m.flags)).collect();
            let plain = 0x401;
            let last = sent.len() - 1;
            for (index, (seq, flags)) in sent.iter().enumerate() {
                assert_eq!(*seq, 7 + u32::try_from(index).expect("few"));
                assert_eq!(*flags, if index == last { plain | 4 } else { plain });
            }
            seen += len;
        }
        assert_eq!((seen, sizes), (300, vec![128, 128, 44]));
    }

    #[test]
    fn an_empty_batch_sends_nothing() {
        assert_eq!(Batch::new().chunks().count(), 0);
    }
}
