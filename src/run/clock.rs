//! Reading the clocks for those who show times.

use std::time::SystemTime;

use crate::console::clock::Clock;
use crate::io::sys;
use crate::time::Instant;

/// Reads the clocks.
#[must_use]
pub fn clock(now: Instant) -> Clock {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Clock {
        now,
        wall: wall.unwrap_or_default(),
        ahead: sys::local_time().ahead,
    }
}
