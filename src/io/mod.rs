//! The kernel: what is asked of it and what it says, without any rule of the protocol.

pub mod sys;
