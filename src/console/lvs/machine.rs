//! The same for programs: JSON.

use core::fmt;

use super::{View, forwarding, name, state, weight};
use crate::check::{Pool, kind};
use crate::console::json::{Json, member};
use crate::time::Seconds;

/// The members of `keepalite status --json`; `None` if nothing has this name.
#[must_use]
pub fn members(view: &View<'_>, wanted: &str) -> Option<String> {
    if !wanted.is_empty() && view.pools(wanted).next().is_none() {
        return None;
    }
    Some(member(|json| {
        json.boolean("ipvs", view.is_balancing)?;
        json.array_of("virtual_servers", |list| {
            view.pools(wanted).try_for_each(|(place, pool)| {
                list.object(|o| {
                    virtual_server(o, view, place, pool)?;
                    if wanted.is_empty() {
                        return Ok(());
                    }
                    view.events.write_json(&name(pool), view.clock, o)
                })
            })
        })
    }))
}

fn virtual_server(json: &mut Json<'_>, view: &View<'_>, place: usize, pool: &Pool) -> fmt::Result {
    let (config, clock) = (pool.config(), view.clock);
    json.text("name", &name(pool))?;
    json.text("state", state(pool).0)?;
    if let Some(protocol) = config.protocol {
        json.text("protocol", protocol.short())?;
    }
    json.text("scheduler", config.scheduler)?;
    json.number("quorum", config.quorum)?;
    json.boolean("has_quorum", pool.has_quorum())?;
    json.number("weight", pool.weight())?;
    json.boolean("sorry", pool.is_sorry())?;
    json.array_of("real_servers", |list| {
        let mut all = pool.servers().iter().enumerate();
        all.try_for_each(|(at, server)| {
            list.object(|o| {
                let real = server.config();
                o.text("address", &real.ip.to_string())?;
                o.number("port", real.port)?;
                o.boolean("up", server.is_up())?;
                o.number("since", Seconds(clock.at(server.since())))?;
                o.number("weight", weight(pool, server))?;
                o.number("base_weight", real.weight)?;
                o.text("forwarding", forwarding(real.forwarding))?;
                if let Some(connections) = view.connections(place, at) {
                    o.number("active_connections", connections.active)?;
                    o.number("inactive_connections", connections.inactive)?;
                    o.number("connections", connections.total)?;
                }
                o.array_of("checks", |list| {
                    view.probes(server).try_for_each(|probe| {
                        list.object(|o| {
                            o.text("kind", kind(probe.checker()))?;
                            o.boolean("known", probe.is_known())?;
                            o.boolean("up", probe.is_up())?;
                            o.number("since", Seconds(clock.at(probe.since())))?;
                            let Some(failure) = probe.failure() else {
                                return Ok(());
                            };
                            o.number("last_failure", Seconds(clock.at(failure.at)))?;
                            o.text("last_failure_cause", &failure.cause.to_string())
                        })
                    })
                })
            })
        })
    })
}
