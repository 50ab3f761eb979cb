//! Attempts of checks: what is said and heard, and what comes of it, against servers of every kind.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod conversation;
mod genhash;
mod hostile;
mod made;
mod peers;
mod prober;
mod server;
mod tls;
