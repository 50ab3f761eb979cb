//! The Internet checksum (RFC 1071), with the pseudo headers of RFC 768 and RFC 8200.

use core::net::IpAddr;

use super::ip::VRRP;

/// A running one's complement sum; only the last piece may have an odd length, and none may be longer than 64 KiB, which
/// is what a datagram holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum(u32);

impl Checksum {
    /// An empty sum.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The pseudo header of a VRRP message of `len` bytes: IPv4 as keepalived reads RFC 5798 section 5.2.8 (source,
    /// destination, zero, protocol, length), IPv6 as in RFC 8200 section 8.1.
    #[must_use]
    pub fn pseudo_header(source: IpAddr, destination: IpAddr, len: usize) -> Self {
        Self::pseudo_header_of(source, destination, VRRP, len)
    }

    /// The pseudo header for another protocol.
    #[must_use]
    pub fn pseudo_header_of(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Self {
        let sum = Self::new().ip(source).ip(destination);
        // The length is a 16-bit field in IPv4 and a 32-bit one in IPv6; for what fits a datagram the sums are the same.
        sum.bytes(&(u32::try_from(len).unwrap_or(u32::MAX)).to_be_bytes())
            .bytes(&[0, protocol])
    }

    fn ip(self, ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
    }

    /// Adds bytes in network order.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut sum = self.0;
        let mut words = bytes.chunks_exact(2);
        for word in &mut words {
            if let [high, low] = word {
                sum += u32::from(u16::from_be_bytes([*high, *low]));
            }
        }
        if let [last] = words.remainder() {
            sum += u32::from(*last) << 8;
        }
        // Folded here, a sum of datagrams can never outgrow 32 bits.
        Self((sum & 0xffff) + (sum >> 16))
    }

    /// The complement, as it is written; zero over bytes that contain their own right checksum.
    #[must_use]
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap_or(u16::MAX)
    }
}
