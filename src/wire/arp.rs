//! Gratuitous ARP (RFC 826, RFC 5227 section 3): tells a link where an IPv4 address lives now.
//!
//! In the request form, as keepalived sends it: there are hosts that ignore a reply they have not asked for, and none
//! that ignore a request. It is a whole Ethernet frame, so that its source can be a virtual MAC on any interface.
//!
//! ```text
//!  0 … 5      6 … 11   12  13   14 … 21             22 … 27   28 … 31   32 … 37     38 … 41
//! +----------+--------+--------+-------------------+---------+---------+-----------+---------+
//! | ff:…:ff  | MAC    | 0806   | Ethernet, IPv4, 1 | MAC     | address | ff:…:ff   | address |
//! +----------+--------+--------+-------------------+---------+---------+-----------+---------+
//! ```

use core::net::Ipv4Addr;

use crate::name::Mac;

/// EtherType of ARP.
pub const ETHERTYPE: u16 = 0x0806;

/// Length of the frame in bytes; what a link needs more, its driver pads.
pub const LEN: usize = 42;

/// Hardware type Ethernet, protocol type IPv4, lengths 6 and 4, operation request.
const REQUEST: [u8; 8] = [0, 1, 0x08, 0, 6, 4, 0, 1];

/// A gratuitous ARP to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GratuitousArp {
    /// Where the address lives: MAC of the interface, or of the virtual router.
    pub mac: Mac,
    /// The address.
    pub ip: Ipv4Addr,
}

impl GratuitousArp {
    /// Writes the frame and returns it; `None` where `buffer` is shorter than [`LEN`].
    pub fn emit<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let out = buffer.first_chunk_mut::<LEN>()?;
        let ip = self.ip.octets();
        let parts: [&[u8]; 8] = [
            &Mac::BROADCAST.0,
            &self.mac.0,
            &ETHERTYPE.to_be_bytes(),
            &REQUEST,
            &self.mac.0,
            &ip,
            &Mac::BROADCAST.0,
            &ip,
        ];
        super::lay(out, &parts);
        Some(out)
    }
}
