//! IPVS: the kernel's table of virtual servers and what to change about it.

mod plan;
mod table;

pub use plan::{Step, plan};
pub use table::{
    Checksum, Destination, Endpoint, Forwarding, Key, Name, Protocol, Row, Service, Table, Tunnel,
    flag,
};
