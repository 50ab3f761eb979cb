//! The kernel: what is asked of it and what it says. Knows no rule of the protocol.

pub mod address;
pub mod advert;
pub mod connect;
pub mod error;
pub mod frame;
pub mod inotify;
#[cfg(feature = "lvs")]
pub mod ipvs;
pub mod link;
#[cfg(feature = "lvs")]
pub mod module;
pub mod monitor;
pub mod netlink;
pub mod nftables;
pub mod probe;
pub mod processes;
pub mod route;
pub mod rule;
pub mod sys;
pub mod sysctl;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub mod tls;
