//! The IPv4 header (RFC 791 section 3.1): ours to write, because adverts leave by a raw socket that includes it, and
//! ours to read, because a raw socket receives it.
//!
//! ```text
//!  0         1        2    3     4      5   6    7       8     9          10    11   12 … 15   16 … 19
//! +---------+--------+----------+----------+------------+-----+----------+----------+---------+-------------+
//! | 4 | IHL | TOS    | length   | identif. | fragment   | TTL | protocol | checksum | source  | destination |
//! +---------+--------+----------+----------+------------+-----+----------+----------+---------+-------------+
//! ```

use core::fmt;
use core::net::Ipv4Addr;

use super::Checksum;

/// Protocol number of VRRP (RFC 9568 section 5.1.1.4).
pub const VRRP: u8 = 112;

/// Protocol number of the IPsec authentication header (RFC 4302 section 2).
pub const AH: u8 = 51;

/// Type of service of all that a router says about itself: precedence "internetwork control" (RFC 791 section 3.1), in
/// DiffServ's words CS6. IPv6 carries it as traffic class.
pub const INTERNETWORK_CONTROL: u8 = 0xc0;

/// Length of a header without options.
pub const HEADER: usize = 20;

/// More fragments, and the offset of this one.
const FRAGMENT: u16 = 0x3fff;

/// Why bytes are no IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its header, or than its header says.
    Truncated {
        /// Bytes that it should have.
        need: usize,
        /// Bytes that it has.
        have: usize,
    },
    /// Not version 4.
    Version(u8),
    /// A header length, in bytes, that is less than a header or more than the packet.
    HeaderLength(usize),
    /// A piece of a packet.
    Fragment,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => {
                write!(f, "it has {have} bytes where it needs {need}")
            }
            Self::Version(version) => write!(f, "its IP version is {version}, not 4"),
            Self::HeaderLength(len) => write!(f, "its header claims {len} bytes"),
            Self::Fragment => f.write_str("it is a fragment"),
        }
    }
}

impl core::error::Error for Malformed {}

/// A received packet, cut at the length that it claims: what follows is padding of the link.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Packet<'a> {
    fixed: &'a [u8; HEADER],
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4Packet<'a> {
    /// Checks form only. The checksum is a question of its own, see [`Self::sum`]; the kernel has asked it already of
    /// what a raw socket receives.
    ///
    /// # Errors
    /// What is wrong with the form.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let have = bytes.len();
        let truncated = |need| Malformed::Truncated { need, have };
        let fixed = bytes
            .first_chunk::<HEADER>()
            .ok_or_else(|| truncated(HEADER))?;
        let &[ver_len, _, len_high, len_low, _, _, frag_high, frag_low, ..] = fixed;
        if ver_len >> 4 != 4 {
            return Err(Malformed::Version(ver_len >> 4));
        }
        let header_len = usize::from(ver_len & 0xf) * 4;
        let need = usize::from(u16::from_be_bytes([len_high, len_low]));
        if header_len < HEADER || header_len > need {
            return Err(Malformed::HeaderLength(header_len));
        }
        let (header, payload) = bytes
            .get(..need)
            .and_then(|packet| packet.split_at_checked(header_len))
            .ok_or_else(|| truncated(need))?;
        if u16::from_be_bytes([frag_high, frag_low]) & FRAGMENT != 0 {
            return Err(Malformed::Fragment);
        }
        Ok(Self {
            fixed,
            header,
            payload,
        })
    }

    /// Who sent it.
    #[must_use]
    pub const fn source(&self) -> Ipv4Addr {
        let &[.., a, b, c, d, _, _, _, _] = self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// To whom.
    #[must_use]
    pub const fn destination(&self) -> Ipv4Addr {
        let &[.., a, b, c, d] = self.fixed;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Time to live.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// What the payload is: [`VRRP`], [`AH`] or something else.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.fixed[9]
    }

    /// The header with its options, as an authentication header covers it.
    #[must_use]
    pub const fn header(&self) -> &'a [u8] {
        self.header
    }

    /// What follows the header.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The checksum over the header; zero when right.
    #[must_use]
    pub fn sum(&self) -> u16 {
        Checksum::new().bytes(self.header).finish()
    }
}

/// A header to be written: without options, whole (no fragment), with precedence "internetwork control".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Repr {
    /// Who sends it.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// What follows: [`VRRP`] or [`AH`].
    pub protocol: u8,
    /// Identification. Never zero where an authentication header covers it: the kernel replaces a zero on its way out.
    pub identification: u16,
    /// Bytes that follow the header.
    pub payload_len: usize,
}

impl Ipv4Repr {
    /// Writes the header at the start of `packet` and returns the packet, cut to its length; `None` where `packet` is
    /// too short or the payload too long for IPv4.
    pub fn emit<'b>(&self, packet: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let len = HEADER.checked_add(self.payload_len)?;
        let [len_high, len_low] = u16::try_from(len).ok()?.to_be_bytes();
        let [id_high, id_low] = self.identification.to_be_bytes();
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        let out = packet.get_mut(..len)?;
        let header = out.first_chunk_mut::<HEADER>()?;
        *header = [
            0x45,
            INTERNETWORK_CONTROL,
            len_high,
            len_low,
            id_high,
            id_low,
            0,
            0,
            self.ttl,
            self.protocol,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ];
        let [sum_high, sum_low] = Checksum::new().bytes(header).finish().to_be_bytes();
        header[10] = sum_high;
        header[11] = sum_low;
        Some(out)
    }
}
