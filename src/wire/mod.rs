//! Bytes ↔ values for what a virtual router says on the wire.
//!
//! Reading: a view borrows the receive buffer, `new_checked` is the only way to one, and afterwards no accessor can panic.
//! Writing: a plain value is emitted into the caller's buffer. No clock, no sockets, no allocation.

pub mod ah;
pub mod arp;
mod checksum;
pub mod ip;
pub mod ndisc;
pub mod smtp;
pub mod vrrp;

pub use checksum::Checksum;

/// Lays parts one behind the other; both sides have the same length.
fn lay(out: &mut [u8], parts: &[&[u8]]) {
    let mut rest = out;
    for part in parts {
        let Some((slot, behind)) = rest.split_at_mut_checked(part.len()) else {
            return;
        };
        slot.copy_from_slice(part);
        rest = behind;
    }
}
