//! Family header and attributes of a request, written down byte by byte: neli has types for half of them only, and each of those
//! costs code of its own.

use core::net::IpAddr;

use neli::types::Buffer;

/// `NLA_F_NESTED` of linux/netlink.h.
const NESTED: u16 = 0x8000;

/// A request in the making.
#[derive(Debug)]
pub struct Body(Vec<u8>);

impl Body {
    /// Begins with the family header, whose length is a multiple of four.
    #[must_use]
    pub fn new(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    /// Appends a part of the family header, whose length is a multiple of four.
    pub fn append(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        self.row(kind, &mut |body| body.0.extend_from_slice(value));
    }

    /// Appends a number in the order of the CPU.
    pub(in crate::io) fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends a number in the order of the network.
    pub(in crate::io) fn put_be(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends an address.
    pub fn put_ip(&mut self, kind: u16, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.put(kind, &ip.octets()),
            IpAddr::V6(ip) => self.put(kind, &ip.octets()),
        }
    }

    /// Appends a text with its NUL.
    pub(in crate::io) fn put_text(&mut self, kind: u16, text: &str) {
        self.row(kind, &mut |body| {
            body.0.extend_from_slice(text.as_bytes());
            body.0.push(0);
        });
    }

    /// Appends an attribute that holds a row of others.
    pub(in crate::io) fn nest(&mut self, kind: u16, mut row: impl FnMut(&mut Self)) {
        self.row(kind | NESTED, &mut row);
    }

    /// Appends a part that begins with its length in two bytes and what `rest` adds to the `head` behind that.
    pub(in crate::io) fn part(&mut self, head: &[u8], rest: &mut dyn FnMut(&mut Self)) {
        let begin = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(head);
        rest(self);
        // What is too long for its length is refused by the kernel, which sees a length of zero.
        let len = u16::try_from(self.0.len() - begin).unwrap_or(0);
        if let Some(slot) = self.0.get_mut(begin..).and_then(|b| b.first_chunk_mut()) {
            *slot = len.to_ne_bytes();
        }
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// The same without the flag that says so, as the older families have it.
    pub(in crate::io) fn row(&mut self, kind: u16, rest: &mut dyn FnMut(&mut Self)) {
        self.part(&kind.to_ne_bytes(), rest);
    }

    /// As neli takes it.
    pub(super) fn done(self) -> Buffer {
        self.0.into()
    }

    #[cfg(test)]
    pub(in crate::io) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
