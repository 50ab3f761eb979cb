//! The kernel: what is asked of it and what it says. Knows no rule of the protocol.

pub mod advert;
pub mod frame;
pub mod sys;
