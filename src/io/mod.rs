//! The kernel: sockets, interfaces, addresses. Knows no rule of the protocol.

pub mod address;
pub mod error;
pub mod link;
pub mod monitor;
pub mod netlink;
pub mod sys;
