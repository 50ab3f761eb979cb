//! The VRRP advertisement, versions 2 and 3.
//!
//! ```text
//!  0       1       2        3       4            5              6   7     8 …           (v2 over IPv4) last 8
//! +-------+-------+--------+-------+------------+--------------+---------+-------------+-------------------+
//! | ver|1 | VRID  |priority| count |v2 auth type|v2 seconds    |checksum | addresses   | authentication    |
//! |       |       |        |       |v3 0000 | 12 bits of 1/100 s|         |             |                   |
//! +-------+-------+--------+-------+------------+--------------+---------+-------------+-------------------+
//! ```
//!
//! RFC 3768 section 5.1, RFC 9568 section 5.1. Version 2 over IPv4 always ends in eight bytes of authentication data,
//! zeros where there is none.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Checksum;
use crate::name::{Family, Priority, Version, Vrid};
use crate::time::Centis;

/// Type of the only message there is (RFC 9568 section 5.2.2).
const ADVERTISEMENT: u8 = 1;
const HEADER: usize = 8;
const AUTH_DATA: usize = 8;
/// The twelve bits of an interval in version 3, which are also the longest one.
const INTERVAL_V3: u16 = 0x0fff;

/// The longest message: 255 IPv6 addresses.
pub const MAX_LEN: usize = HEADER + 255 * 16;

/// The longest message over IPv4: 255 addresses and authentication data.
pub const MAX_LEN_V4: usize = HEADER + 255 * 4 + AUTH_DATA;

/// Why bytes are no advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its header, or than the addresses it counts.
    Truncated {
        /// Bytes that it should have.
        need: usize,
        /// Bytes that it has.
        have: usize,
    },
    /// Bytes beyond what it counts.
    Trailing(usize),
    /// Neither version 2 nor 3.
    Version(u8),
    /// Not an advertisement.
    Type(u8),
    /// VRID zero.
    Vrid,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => {
                write!(f, "it has {have} bytes where it needs {need}")
            }
            Self::Trailing(extra) => write!(f, "it has {extra} bytes more than it counts"),
            Self::Version(version) => write!(f, "its version is {version}"),
            Self::Type(kind) => write!(f, "its type is {kind}, not advertisement"),
            Self::Vrid => f.write_str("its virtual router id is 0"),
        }
    }
}

impl core::error::Error for Malformed {}

/// An advertisement borrowed from the receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct Advert<'a> {
    bytes: &'a [u8],
    family: Family,
    version: Version,
    vrid: Vrid,
}

impl<'a> Advert<'a> {
    /// Checks form only: lengths, version, type, VRID. The checksum is a question of its own, see [`Self::sum`].
    ///
    /// # Errors
    /// What is wrong with the form.
    pub fn new_checked(bytes: &'a [u8], family: Family) -> Result<Self, Malformed> {
        let have = bytes.len();
        let Some(&[ver_type, vrid, _, count, ..]) = bytes.first_chunk::<HEADER>() else {
            return Err(Malformed::Truncated { need: HEADER, have });
        };
        let version = match ver_type >> 4 {
            2 => Version::V2,
            3 => Version::V3,
            other => return Err(Malformed::Version(other)),
        };
        let need = HEADER + usize::from(count) * family.address_len() + trailer(version, family);
        if have < need {
            return Err(Malformed::Truncated { need, have });
        }
        if have > need {
            return Err(Malformed::Trailing(have - need));
        }
        if ver_type & 0xf != ADVERTISEMENT {
            return Err(Malformed::Type(ver_type & 0xf));
        }
        let vrid = Vrid::new(vrid).ok_or(Malformed::Vrid)?;
        Ok(Self {
            bytes,
            family,
            version,
            vrid,
        })
    }

    /// Version of the protocol.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Virtual router.
    #[must_use]
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// Priority; zero resigns.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.at(2)
    }

    /// Number of addresses.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.at(3)
    }

    /// Authentication type: version 2 only, zero in version 3.
    #[must_use]
    pub fn auth_type(&self) -> u8 {
        match self.version {
            Version::V2 => self.at(4),
            Version::V3 => 0,
        }
    }

    /// The sender's interval.
    #[must_use]
    pub fn interval(&self) -> Centis {
        match self.version {
            Version::V2 => Centis::from_secs(self.at(5)),
            // The four bits in front are reserved and to be ignored (RFC 9568 section 5.2.6).
            Version::V3 => Centis(u16::from_be_bytes([self.at(4), self.at(5)]) & INTERVAL_V3),
        }
    }

    /// The addresses in their order.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = IpAddr> + Clone + use<'a> {
        let len = usize::from(self.count()) * self.family.address_len();
        let bytes = self.bytes.get(HEADER..HEADER + len).unwrap_or_default();
        bytes
            .chunks_exact(self.family.address_len())
            .map(|a| match a.first_chunk::<16>() {
                Some(v6) => IpAddr::V6(Ipv6Addr::from(*v6)),
                None => IpAddr::V4(
                    a.first_chunk::<4>()
                        .map_or(Ipv4Addr::UNSPECIFIED, |v4| Ipv4Addr::from(*v4)),
                ),
            })
    }

    /// The trailer of version 2 over IPv4.
    #[must_use]
    pub fn auth_data(&self) -> Option<[u8; AUTH_DATA]> {
        match trailer(self.version, self.family) {
            0 => None,
            _ => self.bytes.last_chunk().copied(),
        }
    }

    /// The checksum over the message after `pseudo` (empty where the reading has no pseudo header); zero when right.
    #[must_use]
    pub fn sum(&self, pseudo: Checksum) -> u16 {
        pseudo.bytes(self.bytes).finish()
    }

    /// Length of the message in bytes, as a pseudo header counts it.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a checked advertisement is never empty"
    )]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    fn at(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or_default()
    }
}

/// Bytes behind the addresses.
const fn trailer(version: Version, family: Family) -> usize {
    match (version, family) {
        (Version::V2, Family::V4) => AUTH_DATA,
        _ => 0,
    }
}

/// What is to be said; owns nothing, allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertRepr<'a> {
    /// Version of the protocol.
    pub version: Version,
    /// Virtual router.
    pub vrid: Vrid,
    /// Priority; zero resigns.
    pub priority: Priority,
    /// Authentication type, version 2 only: 0 none, 1 simple text, 2 authentication header.
    pub auth_type: u8,
    /// Authentication data, version 2 over IPv4 only.
    pub auth_data: [u8; AUTH_DATA],
    /// Interval; one that the version cannot say goes out as the next that it can: version 2 has whole seconds up to 255,
    /// version 3 centiseconds up to 4095.
    pub interval: Centis,
    /// Family of the addresses.
    pub family: Family,
    /// The addresses, at most 255; those of another family are left out.
    pub addresses: &'a [IpAddr],
}

impl AdvertRepr<'_> {
    /// Length on the wire in bytes.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an advertisement is never empty"
    )]
    pub fn len(&self) -> usize {
        HEADER
            + self.said().count() * self.family.address_len()
            + trailer(self.version, self.family)
    }

    fn said(&self) -> impl Iterator<Item = &IpAddr> {
        self.addresses
            .iter()
            .filter(|a| Family::of(**a) == self.family)
            .take(255)
    }

    /// Writes the message and its checksum after `pseudo` (empty where the reading has no pseudo header; the IPv6 one is
    /// filled in by the kernel, and harmless here). Returns what was written, or `None` where `buffer` is too short.
    pub fn emit<'b>(&self, buffer: &'b mut [u8], pseudo: Checksum) -> Option<&'b [u8]> {
        let out = buffer.get_mut(..self.len())?;
        let (head, rest) = out.split_first_chunk_mut::<HEADER>()?;
        let [high, low] = match self.version {
            Version::V2 => [
                self.auth_type,
                u8::try_from(self.interval.0.div_ceil(100)).unwrap_or(u8::MAX),
            ],
            Version::V3 => self.interval.0.min(INTERVAL_V3).to_be_bytes(),
        };
        let count = u8::try_from(self.said().count()).unwrap_or(u8::MAX);
        *head = [
            self.version as u8 * 16 + ADVERTISEMENT,
            self.vrid.get(),
            self.priority,
            count,
            high,
            low,
            0,
            0,
        ];
        for (slot, ip) in rest
            .chunks_exact_mut(self.family.address_len())
            .zip(self.said())
        {
            match ip {
                IpAddr::V4(ip) => slot.copy_from_slice(&ip.octets()),
                IpAddr::V6(ip) => slot.copy_from_slice(&ip.octets()),
            }
        }
        if trailer(self.version, self.family) != 0 {
            *rest.last_chunk_mut::<AUTH_DATA>()? = self.auth_data;
        }
        let sum = pseudo.bytes(out).finish().to_be_bytes();
        out.get_mut(6..8)?.copy_from_slice(&sum);
        Some(out)
    }
}
