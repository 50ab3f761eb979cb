//! What an operator sees: pure functions from what the engines are to text and to JSON.
//!
//! Nothing in here knows sockets, clocks or terminals: how wide and how colourful a screen is, and what time it is, comes in as
//! a value, so that each screen is compared with a file in the tests.

pub mod clock;
#[cfg(any(feature = "vrrp", feature = "lvs"))]
pub mod events;
pub mod json;
#[cfg(feature = "lvs")]
pub mod lvs;
pub mod metrics;
pub mod paint;
pub mod plan;
#[cfg(feature = "vrrp")]
pub mod vrrp;
