//! Why a virtual server serves as it does, and what would have to change.

use super::{Health, View, name, weight};
use crate::check::Pool;
use crate::time::Span;

/// The sentences about the virtual server of this name; `None` if nothing has it.
#[must_use]
pub fn explain(view: &View<'_>, wanted: &str) -> Option<Vec<String>> {
    let said: Vec<String> = view
        .pools(wanted)
        .flat_map(|(_, pool)| sentences(view, pool))
        .collect();
    (!said.is_empty()).then_some(said)
}

fn sentences(view: &View<'_>, pool: &Pool) -> Vec<String> {
    let (name, config) = (name(pool), pool.config());
    let (has, quorum, hysteresis) = (pool.weight(), config.quorum, config.hysteresis);
    let mut said = Vec::new();
    if !view.is_balancing {
        said.push(
            "The kernel has no IPVS, so that nothing is balanced: load the module ip_vs."
                .to_owned(),
        );
    }
    if pool.is_suspended() {
        said.push(format!(
            "{name} rests, because ha_suspend is set and its address is not on this host."
        ));
    }
    said.push(if pool.has_quorum() {
        format!("{name} is up, because its servers that are up weigh {has} and the quorum is {quorum}.")
    } else {
        let wanted = u64::from(quorum) + u64::from(hysteresis);
        format!("{name} is down, because its servers that are up weigh {has}; it is up again from {wanted} on.")
    });
    if let (true, Some(sorry)) = (pool.is_sorry(), config.sorry) {
        said.push(format!(
            "Its sorry server {} stands in until then.",
            core::net::SocketAddr::new(sorry.ip, sorry.port)
        ));
    }
    for server in pool.servers() {
        let real = server.config();
        let at = core::net::SocketAddr::new(real.ip, real.port);
        let weight = weight(pool, server);
        let span = Span(view.clock.ago(server.since()));
        let health = Health(view, server).to_string();
        let because = if health.is_empty() {
            String::new()
        } else {
            format!(": {health}")
        };
        said.push(match (server.is_up(), pool.is_sorry(), real.inhibit) {
            (true, false, _) if weight == real.weight => {
                format!("{at} has weight {weight}, as configured; all of its checks have passed for {span}{because}.")
            }
            (true, false, _) => format!(
                "{at} has weight {weight} instead of {}, as its checks want it{because}.",
                real.weight
            ),
            (true, true, _) => format!("{at} is up, but gets nothing while the sorry server stands in{because}."),
            (false, _, true) => format!(
                "{at} has had weight 0 for {span} because a check fails{because}; inhibit_on_failure keeps it in the table."
            ),
            (false, _, false) => format!("{at} has been out of the table for {span} because a check fails{because}."),
        });
    }
    said
}
