//! The kernel: sockets, netlink, processes. Knows no rule of the protocol.

pub mod advert;
pub mod frame;
mod sys;
