//! The VRRP process: its engine's decisions carried out on this host.

pub mod addresses;
pub mod announcer;
pub mod debouncer;
pub mod desk;
pub mod drive;
pub mod firewall;
pub mod links;
pub mod notifier;
pub mod object;
pub mod others;
pub mod patience;
mod plan;
pub mod reconcile;
pub mod recorder;
#[cfg(feature = "lvs")]
pub mod replicator;
#[cfg(not(feature = "lvs"))]
#[path = "no_replicator.rs"]
pub mod replicator;
pub mod report;
pub mod router;
mod routes;
pub mod settings;
pub mod sockets;
pub mod trackers;
pub mod vmac;
pub mod world;

pub use drive::drive;
