//! Which addresses are to be where, and the routes and rules that come with them.

use core::net::{IpAddr, Ipv4Addr};

use super::object::Object;
use super::reconcile::Wanted;
use super::routes;
use super::world::World;
use crate::io::address::{self, Assignment};
use crate::io::link::Link;
use crate::model::{Address, Broadcast, Model, Route, Rule, Statics};
use crate::name::IfName;
use crate::sorted::Set;
use crate::vrrp::{Engine, Instance};

/// What a configuration says about addresses, routes and rules beyond what its virtual routers hold.
#[derive(Debug, Default)]
pub struct Desired {
    statics: Statics,
    virtual_ones: Set<IpAddr>,
    has_routes: bool,
    has_rules: bool,
}

impl Desired {
    /// What a configuration wants.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let virtual_ones = model
            .instances
            .iter()
            .flat_map(|i| i.addresses.iter().chain(&i.excluded));
        Self {
            virtual_ones: virtual_ones.map(|a| a.ip).collect(),
            has_routes: !model.statics.routes.is_empty()
                || model.instances.iter().any(|i| !i.routes.is_empty()),
            has_rules: !model.statics.rules.is_empty()
                || model.instances.iter().any(|i| !i.rules.is_empty()),
            statics: model.statics.clone(),
        }
    }

    /// Addresses that come and go with virtual routers.
    #[must_use]
    pub const fn virtual_ones(&self) -> &Set<IpAddr> {
        &self.virtual_ones
    }

    /// Whether an address that is there may be of our making.
    #[must_use]
    pub fn may_be(&self, ip: IpAddr) -> bool {
        self.virtual_ones.contains(&ip)
            || self
                .statics
                .addresses
                .iter()
                .any(|address| address.ip == ip)
    }

    /// What is there from start to stop.
    #[must_use]
    pub const fn statics(&self) -> &Statics {
        &self.statics
    }

    /// Whether there may ever be a route of ours.
    #[must_use]
    pub const fn has_routes(&self) -> bool {
        self.has_routes
    }

    /// Whether there may ever be a rule of ours.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// What is to be there now: what is static, and what comes with every virtual router that holds its addresses. What needs
    /// an interface that does not exist is left out until it does. Addresses come first, then routes, then rules, each in the
    /// order of the configuration.
    #[must_use]
    pub fn now(&self, engine: &Engine, world: &World) -> Vec<Wanted> {
        let statics = self
            .statics
            .addresses
            .iter()
            .filter_map(|address| Some((world.link_named(address.dev.as_ref()?)?, address)));
        let holders = || {
            let all = engine.iter().map(|(_, instance)| instance);
            all.filter(|instance| instance.owns_addresses())
        };
        let held = holders().flat_map(|instance| self.places(instance, world));
        let mut all: Vec<_> = statics
            .chain(held)
            .map(|(link, address)| Wanted {
                object: Object::Address(assignment(link, address)),
                tracked: address.tracked,
            })
            .collect();
        all.extend(self.routes_and_rules(holders, world));
        all
    }

    /// Of every `track_group`: whether all that names it is in place, and the interfaces of that are up.
    #[must_use]
    pub fn track_groups(&self, world: &World) -> Vec<(String, bool)> {
        let statics = &self.statics;
        let runs = |name: &IfName| world.link_named(name).is_some_and(Link::is_running);
        let there = |wanted: Wanted| {
            let object = wanted.object;
            !object.is_seen() || world.there(&object.key()).is_some()
        };
        let address = |address: &Address| {
            let link = address.dev.as_ref().and_then(|dev| world.link_named(dev));
            link.is_some_and(|link| {
                let object = Object::Address(assignment(link, address));
                link.is_running() && world.there(&object.key()).is_some()
            })
        };
        let route = |route: &Route| {
            let mut devices = route.hops.iter().filter_map(|hop| hop.dev.as_ref());
            devices.all(runs) && routes::route(route, world).is_some_and(there)
        };
        let rule = |rule: &Rule| {
            let mut devices = rule.input.iter().chain(&rule.output);
            devices.all(runs) && there(routes::rule(rule))
        };
        let states = statics.groups_in_use().map(|group| {
            let of_group = |tracked: bool, name: &Option<String>| {
                tracked && name.as_ref() == Some(&group.name)
            };
            let mut addresses = statics.addresses.iter();
            let mut routes = statics.routes.iter();
            let mut rules = statics.rules.iter();
            let whole = addresses.all(|a| !of_group(a.tracked, &a.group) || address(a))
                && routes.all(|r| !of_group(r.tracked, &r.group) || route(r))
                && rules.all(|r| !of_group(r.tracked, &r.group) || rule(r));
            (group.name.clone(), whole)
        });
        states.collect()
    }

    /// All routes and rules that there ever can be.
    pub fn all_routes_and_rules(&self, engine: &Engine, world: &World) -> Vec<Wanted> {
        let everybody = || engine.iter().map(|(_, instance)| instance);
        self.routes_and_rules(everybody, world).collect()
    }

    fn routes_and_rules<'a, I: Iterator<Item = &'a Instance>>(
        &'a self,
        holders: impl Fn() -> I,
        world: &'a World,
    ) -> impl Iterator<Item = Wanted> {
        let held = holders().flat_map(|instance| &instance.config().routes);
        let all = self.statics.routes.iter().chain(held);
        let routes = all.filter_map(|route| routes::route(route, world));
        let held = holders().flat_map(|instance| &instance.config().rules);
        routes.chain(self.statics.rules.iter().chain(held).map(routes::rule))
    }

    /// The addresses of a virtual router beside the links that they go on.
    pub fn places<'a>(
        &self,
        instance: &'a Instance,
        world: &'a World,
    ) -> impl Iterator<Item = (&'a Link, &'a Address)> + use<'a> {
        let config = instance.config();
        let link = |dev: &Option<IfName>| {
            world.link_named(dev.as_ref().unwrap_or(config.address_interface()))
        };
        let all = config.addresses.iter().chain(&config.excluded);
        all.filter_map(move |address| Some((link(&address.dev)?, address)))
    }
}

/// An address of the configuration as the kernel is to have it on a link.
fn assignment(link: &Link, address: &Address) -> Assignment {
    let label = address.label.as_deref().unwrap_or(link.name.as_str());
    Assignment {
        prefix: address.peer.map_or(address.prefix, |(_, prefix)| prefix),
        broadcast: broadcast(address),
        scope: address.scope.unwrap_or(0),
        label: address
            .ip
            .is_ipv4()
            .then(|| heapless::String::try_from(label).ok())
            .flatten(),
        peer: address.peer.map(|(peer, _)| peer),
        flags: address.flags,
        preferred: address.preferred.unwrap_or(address::FOR_EVER),
        ..Assignment::new(link.index, address.ip, address.prefix)
    }
}

/// The broadcast address that is asked for, if it means one.
pub(super) fn broadcast(address: &Address) -> Option<Ipv4Addr> {
    let broadcast = address.broadcast?;
    resolve(broadcast, address.ip, address.prefix)
}

/// The broadcast address of a subnet; none for a prefix without host bits to set (RFC 3021).
fn resolve(broadcast: Broadcast, ip: IpAddr, prefix: u8) -> Option<Ipv4Addr> {
    let IpAddr::V4(ip) = ip else { return None };
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    match broadcast {
        Broadcast::At(given) => Some(given),
        _ if prefix > 30 => None,
        Broadcast::Ones => Some(Ipv4Addr::from_bits(ip.to_bits() | hosts)),
        Broadcast::Zeros => Some(Ipv4Addr::from_bits(ip.to_bits() & !hosts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broadcast_address_has_all_host_bits_one_or_zero() {
        let ip = "10.1.2.3".parse().unwrap();
        let shown = |b, prefix| resolve(b, ip, prefix).map(|ip| ip.to_string());
        assert_eq!(shown(Broadcast::Ones, 24).as_deref(), Some("10.1.2.255"));
        assert_eq!(shown(Broadcast::Zeros, 16).as_deref(), Some("10.1.0.0"));
        assert_eq!(
            shown(Broadcast::Ones, 0).as_deref(),
            Some("255.255.255.255")
        );
        assert_eq!(shown(Broadcast::Ones, 31), None);
        assert_eq!(shown(Broadcast::Ones, 32), None);
        assert_eq!(
            shown(Broadcast::At(Ipv4Addr::new(1, 2, 3, 4)), 32).as_deref(),
            Some("1.2.3.4")
        );
    }
}
