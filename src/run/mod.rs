//! What connects configuration, engines and kernel: reactor, processes, signals, files.

pub mod addresses;
pub mod announcer;
pub mod drive;
pub mod json;
pub mod notifier;
pub mod reactor;
pub mod reconcile;
pub mod report;
pub mod router;
pub mod sockets;
pub mod world;
