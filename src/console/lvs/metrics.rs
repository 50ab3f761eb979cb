//! The numbers for Prometheus.

use super::{Connections, View, name, weight};
use crate::check::{Pool, Server};
use crate::console::metrics::{Exposition, Quoted};

/// A number of a real server: name, kind, help, value.
type Sample = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Pool, &Server, Option<Connections>) -> Option<u64>,
);

const SAMPLES: [Sample; 5] = [
    (
        "real_server_up",
        "gauge",
        "1 while all checks pass",
        |_, server, _| Some(u64::from(server.is_up())),
    ),
    (
        "real_server_weight",
        "gauge",
        "Weight that the kernel has",
        |pool, server, _| Some(u64::from(weight(pool, server))),
    ),
    (
        "real_server_active_connections",
        "gauge",
        "Established connections",
        |_, _, c| c.map(|c| u64::from(c.active)),
    ),
    (
        "real_server_inactive_connections",
        "gauge",
        "Connections that begin or have ended",
        |_, _, c| c.map(|c| u64::from(c.inactive)),
    ),
    (
        "real_server_connections_total",
        "counter",
        "Connections since it was added",
        |_, _, c| c.map(|c| c.total),
    ),
];

/// The answer to `metrics`.
#[must_use]
pub fn metrics(view: &View<'_>) -> String {
    let mut out = Exposition(String::new());
    let pools = || view.engine.pools().iter().enumerate();
    out.family(
        "virtual_server_quorum",
        "gauge",
        "1 while enough real servers are up",
    );
    for (_, pool) in pools() {
        let labels = format!("virtual_server={}", Quoted(&name(pool)));
        out.sample(
            "virtual_server_quorum",
            &labels,
            u8::from(pool.has_quorum()),
        );
    }
    out.family(
        "virtual_server_weight",
        "gauge",
        "Weight of the real servers that are up",
    );
    for (_, pool) in pools() {
        let labels = format!("virtual_server={}", Quoted(&name(pool)));
        out.sample("virtual_server_weight", &labels, pool.weight());
    }
    for (family, kind, help, value) in SAMPLES {
        out.family(family, kind, help);
        for (place, pool) in pools() {
            for (at, server) in pool.servers().iter().enumerate() {
                let Some(value) = value(pool, server, view.connections(place, at)) else {
                    continue;
                };
                let real = server.config();
                let address = core::net::SocketAddr::new(real.ip, real.port);
                let labels = format!(
                    "virtual_server={},real_server=\"{address}\"",
                    Quoted(&name(pool))
                );
                out.sample(family, &labels, value);
            }
        }
    }
    out.0
}
