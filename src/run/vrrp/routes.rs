//! Routes and rules of the configuration as the kernel is to have them.

use super::object::Object;
use super::reconcile::Wanted;
use super::world::World;
use crate::io::route::{Encapsulation, Hop, MAIN, Route, UNICAST};
use crate::io::rule::Rule;
use crate::model;
use crate::model::route::{KEEPALIVED, LOOK_UP};
use crate::name::Family;

/// A route, once every interface that it names exists.
pub(super) fn route(config: &model::Route, world: &World) -> Option<Wanted> {
    let table = match &config.vrf {
        Some(vrf) => world.link_named(vrf)?.table?,
        None => config.table.unwrap_or(MAIN),
    };
    let hops: Option<Vec<Hop>> = config.hops.iter().map(|hop| way(hop, world)).collect();
    let route = Route {
        kind: config.kind.unwrap_or(UNICAST),
        from: config.from,
        table,
        metric: config.metric.unwrap_or(0),
        tos: config.tos,
        scope: config.scope.unwrap_or(0),
        protocol: config.protocol.unwrap_or(KEEPALIVED),
        source: config.source,
        hops: hops?,
        realms: config.realms.unwrap_or(0),
        preference: config.preference.unwrap_or(0),
        expires: config.expires,
        metrics: config.metrics.clone(),
        locked: config.locked,
        congestion: config.congestion.clone(),
        append: config.append,
        ..Route::new(config.family.unwrap_or(Family::V4), config.destination)
    };
    Some(Wanted {
        object: Object::Route(route),
        tracked: config.tracked,
    })
}

fn way(hop: &model::Hop, world: &World) -> Option<Hop> {
    let ifindex = match &hop.dev {
        Some(dev) => world.link_named(dev)?.index,
        None => 0,
    };
    Some(Hop {
        gateway: hop.gateway,
        ifindex,
        weight: hop.weight.max(1),
        onlink: hop.onlink,
        realms: hop.realms.unwrap_or(0),
        encapsulation: hop.encapsulation.as_ref().map(|one| Encapsulation {
            kind: one.kind,
            attributes: one.attributes.clone(),
        }),
    })
}

/// A rule. The interfaces that it names need not exist.
pub(super) fn rule(config: &model::Rule) -> Wanted {
    // A packet that is looked up in no table of its own is looked up in the main one, as iproute2 has it.
    let table = match config.table {
        Some(table) => table,
        None if config.action == LOOK_UP && !config.l3mdev => MAIN,
        None => 0,
    };
    let rule = Rule {
        inverted: config.inverted,
        from: config.from,
        to: config.to,
        action: config.action,
        target: config.target,
        mark: config.mark,
        input: config.input.clone(),
        output: config.output.clone(),
        tos: config.tos,
        realms: config.realms.unwrap_or(0),
        suppress_prefix: config.suppress_prefix,
        suppress_group: config.suppress_group,
        tunnel: config.tunnel,
        users: config.users,
        l3mdev: config.l3mdev,
        protocol: config.protocol.unwrap_or(KEEPALIVED),
        ip_protocol: config.ip_protocol,
        source_ports: config.source_ports,
        destination_ports: config.destination_ports,
        ..Rule::new(config.family.unwrap_or(Family::V4), config.priority, table)
    };
    Wanted {
        object: Object::Rule(rule),
        tracked: config.tracked,
    }
}
