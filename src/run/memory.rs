//! Memory that reading a configuration needed, and nothing after it does.

use core::time::Duration;

use super::reactor::{sleep, spawn};
use crate::io::sys;

/// By then whoever starts with a configuration has become what it will be, and has announced itself for the second time
/// (`garp_master_delay`).
const SETTLED: Duration = Duration::from_secs(10);

/// Gives it back, once all is quiet. Half of the program is there to read configurations; without this its pages count as
/// ours until the machine runs short of memory, and a router of 64 MB does sooner than others.
pub fn give_back_later() {
    spawn(async {
        sleep(SETTLED).await;
        sys::return_memory();
        sys::forget_code();
    })
    .detach();
}
