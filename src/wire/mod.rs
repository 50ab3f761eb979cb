//! Bytes ↔ values for what a virtual router says on the wire.
//!
//! Reading: a view borrows the receive buffer, `new_checked` is the only way to one, and afterwards no accessor can panic.
//! Writing: a plain value is emitted into the caller's buffer. No clock, no sockets, no allocation.

mod checksum;
pub mod vrrp;

pub use checksum::Checksum;
