//! A laboratory: a LAN of hosts in network namespaces, real processes on them, a client that never stops asking, a listener
//! that sees every frame. Used by the tests, the benches and the `lab` example alike.
//!
//! Everything is made by our own netlink code, with no other program; as root, or without root in a user namespace.
//! Nothing has a name outside, and nothing survives the process, however it ends.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a laboratory offers more than each of its users needs, and may fail loudly"
)]

use std::io;

use keepalite::error::Chain;
use keepalite::io::netlink::{Batch, Netlink};

mod namespace;

pub(crate) use namespace::{Namespace, as_root, permitted, with_namespaces};

/// Carries a batch out; the first refusal is an error.
pub(crate) fn commit(netlink: &mut Netlink, batch: Batch) -> io::Result<()> {
    let failed = netlink
        .commit(batch)
        .map_err(|e| io::Error::other(Chain(&e).to_string()))?;
    match failed.first() {
        Some(first) => Err(io::Error::other(Chain(first).to_string())),
        None => Ok(()),
    }
}
