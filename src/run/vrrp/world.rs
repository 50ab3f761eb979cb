//! What the kernel says is there: links and addresses, kept true by what it announces.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};

use crate::io::address::{self, Assignment, Key};
use crate::io::error::NetError;
use crate::io::link::{self, Link};
use crate::io::monitor::Change;
use crate::io::netlink::Netlink;
use crate::name::{IfName, Ifindex};
use crate::vrrp::Interface;

/// Links and addresses of this network namespace.
#[derive(Debug, Default)]
pub struct World {
    links: BTreeMap<Ifindex, Link>,
    addresses: BTreeMap<Key, Seen>,
    seen: u32,
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
        let mut world = Self::default();
        for link in link::list(netlink)? {
            world.learn(Change::Link(link));
        }
        for there in address::list(netlink)? {
            world.learn(Change::Address(there));
        }
        Ok(world)
    }

    /// Takes one announcement in. [`Change::Overrun`] is the caller's: read everything again.
    pub fn learn(&mut self, change: Change) {
        match change {
            Change::Link(link) => {
                self.links.insert(link.index, link);
            }
            Change::LinkGone(gone) => {
                self.links.remove(&gone.index);
                self.addresses
                    .retain(|_, seen| seen.there.ifindex != gone.index);
            }
            Change::Address(there) => {
                let order = self.seen;
                let seen = self.addresses.entry(there.key());
                let seen = seen.or_insert_with(|| Seen {
                    order,
                    there: there.clone(),
                });
                if seen.order == order {
                    self.seen = order.wrapping_add(1);
                }
                seen.there = there;
            }
            Change::AddressGone(gone) => {
                self.addresses.remove(&gone.key());
            }
            Change::Overrun => {}
        }
    }

    /// An address, if it is there.
    #[must_use]
    pub fn address(&self, key: &Key) -> Option<&Assignment> {
        self.addresses.get(key).map(|seen| &seen.there)
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
    pub fn interface<'a>(
        &self,
        name: &'a IfName,
        virtual_ones: &BTreeSet<IpAddr>,
    ) -> Interface<'a> {
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
