//! The IPsec authentication header as VRRP version 2 uses it (RFC 2338 section 5.3.6.3, RFC 4302 section 2, RFC 2403).
//!
//! ```text
//!  0      1        2   3      4 … 7   8 … 11     12 … 23                          24 …
//! +------+--------+----------+-------+----------+--------------------------------+---------+
//! | 112  | 4      | 0        | SPI   | sequence | integrity check value          | message |
//! +------+--------+----------+-------+----------+--------------------------------+---------+
//! ```
//!
//! The integrity check value is the first 96 bits of HMAC-MD5 over the IP header, this header and the message, where
//! fields that a router may change count as zero. VRRP has no key exchange: the SPI is the source address, the key is the
//! configured password. The TTL of a multicast packet counts as it stands: nobody forwards it, and keepalived, the one
//! implementation in use, has it so.

use core::fmt;
use core::net::Ipv4Addr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::ip::{HEADER, VRRP};

/// Length of the header with its integrity check value.
pub const LEN: usize = 24;

/// Where the integrity check value begins.
const ICV: usize = 12;

/// Length of the header in words of 32 bits, less two (RFC 4302 section 2.2).
const PAYLOAD_LEN: u8 = 4;

/// The longest IPv4 header.
const HEADER_MAX: usize = 60;

/// A password made ready: the two blocks that depend on nothing else are hashed once.
#[derive(Clone)]
pub struct Key(Hmac<Md5>);

impl Key {
    /// From a password of up to eight bytes, padded with zeros.
    #[must_use]
    pub fn new(password: [u8; 8]) -> Self {
        // HMAC pads its key to a block with zeros (RFC 2104 section 2): a whole block needs no check of its length.
        let mut block = hmac::digest::Key::<Hmac<Md5>>::default();
        for (slot, byte) in block.iter_mut().zip(password) {
            *slot = byte;
        }
        Self(Hmac::new(&block))
    }

    /// HMAC over an IP header, the fixed part of an authentication header and a message.
    fn mac(&self, header: &[u8], fixed: &[u8; ICV], message: &[u8]) -> Option<Hmac<Md5>> {
        let mut copy = [0; HEADER_MAX];
        let copy = copy.get_mut(..header.len())?;
        copy.copy_from_slice(header);
        let (tos, flags, ttl, sum) = (1, 6..8, 8, 10..12);
        copy.get_mut(flags)?.fill(0);
        copy.get_mut(sum)?.fill(0);
        *copy.get_mut(tos)? = 0;
        let &[a, b, c, d] = copy.get(16..20)?.first_chunk()?;
        if !Ipv4Addr::new(a, b, c, d).is_multicast() {
            *copy.get_mut(ttl)? = 0;
        }
        let mut mac = self.0.clone();
        mac.update(copy);
        mac.update(fixed);
        mac.update(&[0; LEN - ICV]);
        mac.update(message);
        Some(mac)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Why bytes are no authentication header with VRRP behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than the header: so many bytes.
    Truncated(usize),
    /// Something else is authenticated: IPsec of the host, none of ours.
    NextHeader(u8),
    /// An integrity check value that is not 96 bits long, or the reserved field in use.
    Length(u8),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(have) => write!(f, "it has {have} bytes where it needs {LEN}"),
            Self::NextHeader(next) => write!(f, "it authenticates protocol {next}, not {VRRP}"),
            Self::Length(len) => write!(f, "its length field is {len}, not {PAYLOAD_LEN}"),
        }
    }
}

impl core::error::Error for Malformed {}

/// A received authentication header and the message behind it.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticationHeader<'a> {
    fixed: &'a [u8; ICV],
    icv: &'a [u8],
    message: &'a [u8],
}

impl<'a> AuthenticationHeader<'a> {
    /// Checks form only; whether it is genuine is a question of its own, see [`Self::is_genuine`].
    ///
    /// # Errors
    /// What is wrong with the form.
    pub fn new_checked(payload: &'a [u8]) -> Result<Self, Malformed> {
        let truncated = Malformed::Truncated(payload.len());
        let (header, message) = payload.split_at_checked(LEN).ok_or(truncated)?;
        let (fixed, icv) = header.split_first_chunk::<ICV>().ok_or(truncated)?;
        let &[next, len, reserved_high, reserved_low, ..] = fixed;
        if next != VRRP {
            return Err(Malformed::NextHeader(next));
        }
        if len != PAYLOAD_LEN || (reserved_high, reserved_low) != (0, 0) {
            return Err(Malformed::Length(len));
        }
        Ok(Self {
            fixed,
            icv,
            message,
        })
    }

    /// Security parameters index; here the sender's address.
    #[must_use]
    pub const fn spi(&self) -> Ipv4Addr {
        let &[_, _, _, _, a, b, c, d, ..] = self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Sequence number, which grows with every packet.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        let &[.., a, b, c, d] = self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The message of protocol 112.
    #[must_use]
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// Whether who sent it knows the key, and `header`, the IP header in front of it, and the message are as sent. Takes
    /// the same time for any answer.
    #[must_use]
    pub fn is_genuine(&self, header: &[u8], key: &Key) -> bool {
        key.mac(header, self.fixed, self.message)
            .is_some_and(|mac| mac.verify_truncated_left(self.icv).is_ok())
    }
}

/// An authentication header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AhRepr {
    /// Security parameters index: the source address of the packet.
    pub spi: Ipv4Addr,
    /// Sequence number: greater than that of any packet before.
    pub sequence: u32,
}

impl AhRepr {
    /// Writes the header into a `packet` whose IP header (without options) and message are in place, with [`LEN`] bytes
    /// left free between them. `None` where the packet is too short for that.
    pub fn seal(&self, packet: &mut [u8], key: &Key) -> Option<()> {
        let (header, payload) = packet.split_at_mut_checked(HEADER)?;
        let (authentication, message) = payload.split_at_mut_checked(LEN)?;
        let (fixed, icv) = authentication.split_first_chunk_mut::<ICV>()?;
        let [s0, s1, s2, s3] = self.spi.octets();
        let [n0, n1, n2, n3] = self.sequence.to_be_bytes();
        *fixed = [VRRP, PAYLOAD_LEN, 0, 0, s0, s1, s2, s3, n0, n1, n2, n3];
        let mac = key.mac(header, fixed, message)?.finalize().into_bytes();
        icv.copy_from_slice(mac.get(..LEN - ICV)?);
        Some(())
    }
}
