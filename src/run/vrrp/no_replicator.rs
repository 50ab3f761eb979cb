//! A build without LVS has no connections to copy.

use crate::model::lvs::SyncDaemon;
use crate::vrrp::Engine;

/// Nothing, which does nothing.
#[derive(Debug, Default)]
pub struct Replicator {}

impl Replicator {
    /// Nothing.
    #[must_use]
    pub fn start(_: Option<SyncDaemon>, _: &Engine) -> Self {
        Self {}
    }

    /// Nothing.
    pub fn reload(&mut self, _: Option<SyncDaemon>, _: &Engine) {}

    /// Nothing.
    #[must_use]
    pub const fn config(&self) -> Option<&SyncDaemon> {
        None
    }

    /// Nothing.
    pub const fn try_again(&mut self, _: &Engine) {}

    /// Nothing.
    pub const fn follow(&mut self, _: &Engine) {}

    /// Nothing.
    pub const fn stop(&mut self) {}
}
