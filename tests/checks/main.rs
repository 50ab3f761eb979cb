//! Attempts of checks: what is said and heard, and what comes of it, against servers of every kind.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod conversation;
#[cfg(all(feature = "checks", feature = "genhash", feature = "tls"))]
mod genhash;
#[cfg(feature = "checks")]
mod hostile;
mod made;
#[cfg(feature = "checks")]
mod peers;
#[cfg(feature = "checks")]
mod prober;
#[cfg(feature = "checks")]
mod server;
#[cfg(all(feature = "checks", feature = "tls"))]
mod tls;
