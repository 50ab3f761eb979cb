//! What the kernel counts.

/// How a real server is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Established connections.
    pub active: u32,
    /// Connections that are about to begin or have ended.
    pub inactive: u32,
    /// Connections of clients that stay with it.
    pub persistent: u32,
    /// Since it was added.
    pub counters: Counters,
}

/// What went through a virtual or a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients, as far as they come by here.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients, as far as they come by here.
    pub bytes_out: u64,
}
