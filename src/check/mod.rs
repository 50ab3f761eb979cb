//! The health checks of real servers: what is said to a server, what is heard from it, and the verdict.

pub mod conversation;
pub mod pages;
mod proto;
