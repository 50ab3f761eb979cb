//! Netlink datagrams taken apart, without a copy and without trust.
//!
//! A datagram is a row of messages, a message a header of 16 bytes, a family header and a row of attributes; everything
//! begins at a multiple of four (linux/netlink.h). Netlink never leaves the machine, so its numbers are in the order of the
//! CPU.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
/// The bits of an attribute's type that are no flag: not `NLA_F_NESTED`, not `NLA_F_NET_BYTEORDER`.
const TYPE_MASK: u16 = 0x3fff;

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: that of the request, zero in a notification.
    pub seq: u32,
    /// `nlmsg_pid`: in a notification the port of whoever asked for the change, 0 is the kernel.
    pub port: u32,
    /// Family header and attributes.
    pub payload: &'a [u8],
}

/// The messages of a datagram; ends at the first that is shorter or longer than it can be.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        let len = usize::try_from(u32_at(rest, 0)?).ok()?;
        let message = Message {
            kind: u16_at(rest, 4)?,
            flags: u16_at(rest, 6)?,
            seq: u32_at(rest, 8)?,
            port: u32_at(rest, 12)?,
            payload: rest.get(HEADER..len)?,
        };
        rest = after(rest, len);
        Some(message)
    })
}

/// The attributes in a row of them: type without its flags, and value; ends at the first that is malformed.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let len = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & TYPE_MASK;
        let value = rest.get(ATTRIBUTE_HEADER..len)?;
        rest = after(rest, len);
        Some((kind, value))
    })
}

fn after(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(len.next_multiple_of(4)..).unwrap_or_default()
}

/// The number at `at` in the order of the CPU, if there are that many bytes.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u16::from_ne_bytes(*b))
}

/// The number at `at` in the order of the CPU, if there are that many bytes.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u32::from_ne_bytes(*b))
}

/// An attribute's value as an address: 4 or 16 bytes.
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes
            .first_chunk::<4>()
            .map(|b| IpAddr::V4(Ipv4Addr::from(*b))),
        16 => bytes
            .first_chunk::<16>()
            .map(|b| IpAddr::V6(Ipv6Addr::from(*b))),
        _ => None,
    }
}

/// An attribute's value as text, up to its NUL.
pub fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    core::str::from_utf8(bytes.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(HEADER + payload.len()).expect("short");
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(0u16.to_ne_bytes());
        bytes.extend(seq.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_a_row_of_messages_each_at_a_multiple_of_four() {
        let bytes = [message(20, 1, b"hello"), message(3, 2, b"")].concat();
        let found: Vec<_> = messages(&bytes)
            .map(|m| (m.kind, m.seq, m.payload))
            .collect();
        assert_eq!(found, [(20, 1, &b"hello"[..]), (3, 2, &b""[..])]);
    }

    #[test]
    fn every_prefix_of_a_datagram_ends_quietly() {
        let bytes = [message(20, 1, b"hello"), message(3, 2, b"x")].concat();
        for end in 0..bytes.len() {
            assert!(messages(&bytes[..end]).count() <= 2);
        }
    }

    #[test]
    fn a_length_that_lies_ends_the_row() {
        for len in [0u32, 1, 15, 1000, u32::MAX] {
            let mut bytes = message(20, 1, b"hello");
            bytes[..4].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0, "{len}");
        }
        for len in [0u16, 3, 1000, u16::MAX] {
            assert_eq!(
                attributes(&[len.to_ne_bytes(), [0, 0], [0, 0]].concat()).count(),
                0
            );
        }
    }

    #[test]
    fn text_ends_at_its_nul() {
        assert_eq!(text(b"eth0\0\0\0"), Some("eth0"));
        assert_eq!(text(b"eth0"), Some("eth0"));
        assert_eq!(text(&[0xff, 0]), None);
    }
}
