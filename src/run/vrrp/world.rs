//! What the kernel says is there: links, addresses, routes and rules, kept true by what it announces.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::object::{Key, There};
use crate::io::address::{self, Assignment};
use crate::io::error::NetError;
use crate::io::link::{self, Link};
use crate::io::monitor::Change;
use crate::io::netlink::Netlink;
use crate::io::route::{self, Route};
use crate::io::rule::{self, Rule};
use crate::name::{Family, IfName, Ifindex};
use crate::sorted::{Map, Set};
use crate::vrrp::Interface;

/// Links and addresses of this network namespace, and the routes and rules of ours once they were asked for.
#[derive(Debug, Default)]
pub struct World {
    links: Map<Ifindex, Link>,
    addresses: Map<address::Key, Seen>,
    seen: u32,
    routes: Map<route::Key, Route>,
    rules: Set<Rule>,
    /// The routes, and whether they may have changed without a word.
    routes_doubtful: bool,
}

/// An address and its place in the order in which the kernel keeps them.
#[derive(Debug)]
struct Seen {
    order: u32,
    there: Assignment,
}

impl World {
    /// Asks for everything: at start, and after the kernel had to drop announcements.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn read(netlink: &mut Netlink) -> Result<Self, NetError> {
        let mut world = Self {
            routes_doubtful: true,
            ..Self::default()
        };
        for link in link::list(netlink)? {
            world.learn(Change::Link(link));
        }
        let addresses = address::list(netlink)?.into_iter();
        world.learn_all(addresses.map(Change::Address));
        Ok(world)
    }

    /// The routes may have changed without a word.
    pub const fn doubt_routes(&mut self) {
        self.routes_doubtful = true;
    }

    /// Asks for the routes of ours, if they may have changed without a word.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn read_routes(&mut self, netlink: &mut Netlink) -> Result<(), NetError> {
        if core::mem::take(&mut self.routes_doubtful) {
            self.routes.clear();
            for route in route::list(netlink)? {
                self.learn(Change::Route(route));
            }
        }
        Ok(())
    }

    /// Asks for the rules of ours.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn read_rules(&mut self, netlink: &mut Netlink) -> Result<(), NetError> {
        self.rules = rule::list(netlink)?.into_iter().collect();
        Ok(())
    }

    /// Takes announcements in, in their order.
    pub fn learn_all(&mut self, changes: impl Iterator<Item = Change>) {
        let mut new: Vec<(address::Key, Seen)> = Vec::new();
        for change in changes {
            match change {
                Change::Address(there) if !self.addresses.contains_key(&there.key()) => {
                    let order = self.seen;
                    self.seen = order.wrapping_add(1);
                    new.push((there.key(), Seen { order, there }));
                }
                other => {
                    self.addresses.extend(new.drain(..));
                    self.learn(other);
                }
            }
        }
        self.addresses.extend(new);
    }

    /// Takes one announcement in. [`Change::Overrun`] is the caller's: read everything again.
    pub fn learn(&mut self, change: Change) {
        match change {
            Change::Link(link) => {
                // With an interface, or with an address, the kernel takes IPv4 routes away and tells nobody.
                let up = link.is_up();
                let before = self.links.insert(link.index, link);
                self.routes_doubtful |= before.is_some_and(|before| before.is_up() && !up);
            }
            Change::LinkGone(gone) => {
                self.routes_doubtful = true;
                self.links.remove(&gone.index);
                self.addresses
                    .retain(|_, seen| seen.there.ifindex != gone.index);
            }
            Change::Address(there) => {
                let order = self.seen;
                let seen = self.addresses.get_or_insert_with(there.key(), || Seen {
                    order,
                    there: there.clone(),
                });
                if seen.order == order {
                    self.seen = order.wrapping_add(1);
                }
                seen.there = there;
            }
            Change::AddressGone(gone) => {
                self.routes_doubtful = true;
                self.addresses.remove(&gone.key());
            }
            Change::Route(route) => {
                self.routes.insert(route.key(), route);
            }
            Change::RouteGone(gone) => {
                let key = gone.key();
                let v6 = gone.family == Family::V6;
                if !self
                    .routes
                    .get_mut(&key)
                    .is_some_and(|route| v6 && route.lose(&gone))
                {
                    self.routes.remove(&key);
                }
            }
            Change::Rule(rule) => {
                self.rules.insert(rule);
            }
            Change::RuleGone(gone) => {
                self.rules.remove(&gone);
            }
            Change::Overrun => {}
        }
    }

    /// An address, a route or a rule, if it is there.
    #[must_use]
    pub fn there(&self, key: &Key) -> Option<There<'_>> {
        match key {
            Key::Address(key) => Some(There::Address(&self.addresses.get(key)?.there)),
            Key::Route(key) => self.routes.get(key).map(There::Route),
            Key::Rule(rule) => self.rules.get(rule).map(There::Rule),
        }
    }

    /// All routes and rules that were read: those with our mark.
    pub fn routes_and_rules(&self) -> impl Iterator<Item = There<'_>> {
        let routes = self.routes.values().map(There::Route);
        routes.chain(self.rules.iter().map(There::Rule))
    }

    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &Assignment> {
        self.addresses.values().map(|seen| &seen.there)
    }

    /// All links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// A link by its index.
    #[must_use]
    pub fn link(&self, index: Ifindex) -> Option<&Link> {
        self.links.get(&index)
    }

    /// A link by its name.
    #[must_use]
    pub fn link_named(&self, name: &IfName) -> Option<&Link> {
        self.links.values().find(|link| link.name == *name)
    }

    /// An interface as the protocol sees it. Its own address is its first one that is not in `virtual_ones`: adverts carry the
    /// primary address (RFC 9568 section 1.6), which a virtual one never is, though the kernel may keep it in front.
    #[must_use]
    pub fn interface<'a>(&self, name: &'a IfName, virtual_ones: &Set<IpAddr>) -> Interface<'a> {
        let Some(link) = self.link_named(name) else {
            return Interface {
                name,
                index: None,
                up: false,
                v4: None,
                v6: None,
            };
        };
        let first = |fits: &dyn Fn(&Assignment) -> bool| {
            let of_link = self
                .addresses
                .values()
                .filter(|seen| seen.there.ifindex == link.index);
            let own = of_link.filter(|seen| {
                !seen.there.is_tentative() && !virtual_ones.contains(&seen.there.ip)
            });
            let first = own
                .filter(|seen| fits(&seen.there))
                .min_by_key(|seen| seen.order);
            first.map(|seen| seen.there.ip)
        };
        let primary =
            |there: &Assignment| there.ip.is_ipv4() && there.flags & address::flag::SECONDARY == 0;
        Interface {
            name,
            index: Some(link.index),
            up: link.is_running(),
            v4: first(&primary)
                .or_else(|| first(&|there| there.ip.is_ipv4()))
                .and_then(v4),
            v6: first(&|there| v6(there.ip).is_some_and(|ip| ip.is_unicast_link_local()))
                .and_then(v6),
        }
    }
}

const fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

const fn v6(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    }
}
