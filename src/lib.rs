//! keepalite: a keepalived-compatible VRRP and IPVS health-check daemon for small routers.
//!
//! The rooms of the house, in the order in which things happen:
//!
//! - [`config`]: text of a configuration file → [`model`], with diagnostics; touches nothing but files;
//! - [`model`]: what was asked for, as plain data;
//! - [`wire`]: bytes ↔ values, for what VRRP puts on the wire; no clock, no sockets;
//! - [`vrrp`]: the protocol, a pure function of (state, event, now) → actions;
//! - [`check`]: what is asked of real servers, and what their answers mean, as pure as that;
//! - [`track`]: what scripts, files and processes that are watched mean, as pure as that;
//! - [`pattern`]: regular expressions for what servers say;
//! - [`console`]: what an operator sees of all this, as pure functions to text and JSON;
//! - `help`: what the keywords of the configuration mean, as texts beside what its tables say;
//! - [`io`]: the kernel; knows no rule of the protocol, and holds all of the unsafe code (`io::sys`);
//! - `uci`: the configuration as OpenWrt has it → that of keepalived, text to text;
//! - [`run`]: what connects them: reactor, processes, signals, files.
//!
//! Arrows never turn back: `main → cli → run → {io, vrrp, check, track, console, config, help}`, `io → wire`, `vrrp → model, wire`,
//! `check → model, pattern, wire`, `track → model`, `console → vrrp, track, model`, `config → model, pattern`,
//! `help → config, console`,
//! `pattern → model`.
//! The engines, `wire`, `config` and `model` know neither sockets nor clocks, so that the protocol runs on a made-up
//! clock in tests, thousands of routers at a time. `tests/architecture.rs` holds this.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod argv;
#[cfg(feature = "lvs")]
pub mod check;
pub mod cli;
pub mod config;
pub mod console;
pub mod error;
#[cfg(feature = "help")]
pub mod help;
pub mod io;
pub mod model;
pub mod name;
pub mod pattern;
pub mod run;
pub mod sorted;
pub mod time;
#[cfg(any(feature = "vrrp", feature = "lvs"))]
pub mod track;
#[cfg(feature = "uci")]
pub mod uci;
#[cfg(feature = "vrrp")]
pub mod vrrp;
pub mod wire;
