//! The real program in a kernel of its own, which has IPVS and a clock that a test may set; see `mod.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../lab/mod.rs"]
mod lab;
mod serving;
mod table;
mod twins;
#[path = "mod.rs"]
mod uml;

mod check;
mod differential;
mod directors;
mod examples;
mod ipvs;
mod stories;
mod traffic;
mod vrrp;
