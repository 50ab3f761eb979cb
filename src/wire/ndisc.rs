//! Unsolicited neighbour advertisement (RFC 4861 sections 4.4 and 7.2.6): tells a link where an IPv6 address lives now.
//!
//! A whole Ethernet frame, so that its source can be a virtual MAC and an address that was added a moment ago.
//!
//! ```text
//!  0 … 13     14 … 53                       54   55  56  57    58          62 … 77   78 … 85
//! +----------+-----------------------------+----+---+---------+-----------+---------+-------------------+
//! | Ethernet | IPv6: address → ff02::1, 255 | 136| 0 | checksum| R S O     | address | option 2, 1, MAC  |
//! +----------+-----------------------------+----+---+---------+-----------+---------+-------------------+
//! ```

use core::net::{IpAddr, Ipv6Addr};

use super::Checksum;
use crate::name::Mac;

/// EtherType of IPv6.
pub const ETHERTYPE: u16 = 0x86dd;

/// Length of the frame in bytes.
pub const LEN: usize = ETHERNET + IPV6 + MESSAGE;

const ETHERNET: usize = 14;
const IPV6: usize = 40;
/// Header, target address, and the option with the target's link-layer address.
const MESSAGE: usize = 32;

/// All nodes of the link (RFC 4291 section 2.7.1) …
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// … and their Ethernet address (RFC 2464 section 7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
/// Option "target link-layer address", one unit of eight bytes.
const TARGET_MAC: [u8; 2] = [2, 1];

/// An unsolicited neighbour advertisement to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourAdvert {
    /// Where the address lives: MAC of the interface, or of the virtual router.
    pub mac: Mac,
    /// The address.
    pub ip: Ipv6Addr,
    /// Whether the sender forwards packets: a host that hears otherwise takes it off its list of routers.
    pub router: bool,
}

impl NeighbourAdvert {
    /// Writes the frame and returns it; `None` where `buffer` is shorter than [`LEN`].
    pub fn emit<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let out = buffer.first_chunk_mut::<LEN>()?;
        let ip = self.ip.octets();
        let flags = OVERRIDE | if self.router { ROUTER } else { 0 };
        let head = [NEIGHBOUR_ADVERTISEMENT, 0];
        let flags = [flags, 0, 0, 0];
        let sum = [&head, &flags[..], &ip, &TARGET_MAC, &self.mac.0]
            .into_iter()
            .fold(
                Checksum::pseudo_header_of(
                    IpAddr::V6(self.ip),
                    IpAddr::V6(ALL_NODES),
                    ICMPV6,
                    MESSAGE,
                ),
                |sum, part| sum.bytes(part),
            )
            .finish()
            .to_be_bytes();
        let parts: [&[u8]; 13] = [
            &ALL_NODES_MAC,
            &self.mac.0,
            &ETHERTYPE.to_be_bytes(),
            &[0x60, 0, 0, 0],
            &[0, MESSAGE as u8, ICMPV6, 255],
            &ip,
            &ALL_NODES.octets(),
            &head,
            &sum,
            &flags,
            &ip,
            &TARGET_MAC,
            &self.mac.0,
        ];
        super::lay(out, &parts);
        Some(out)
    }
}
