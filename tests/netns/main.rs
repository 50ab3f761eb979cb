//! The real program on hosts of a laboratory: network namespaces, and wires between them.
//!
//! What the kernel, the wire, scripts and files see of it, alone, in pairs, and beside keepalived. Without the rights a test says
//! SKIPPED and passes; with `NETNS=require` it fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../lab/mod.rs"]
mod lab;
#[path = "../made/mod.rs"]
mod made;
#[path = "../play/mod.rs"]
mod play;

mod console;
mod crash;
mod daemon;
mod faults;
mod ipv6;
mod keepalived;
mod kernel;
mod mail;
mod many;
mod matrix;
mod record;
mod reload;
mod rights;
mod routes;
mod sockets;
mod statics;
mod track;
mod tshark;
mod vmac;
mod wires;
