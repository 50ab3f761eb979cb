//! What is put into the kernel's tables and taken out again: addresses, routes and rules, all alike.

use core::fmt;

use crate::io::address::{self, Assignment, KEEPALIVED};
use crate::io::netlink::Batch;
use crate::io::route::{self, Route};
use crate::io::rule::{self, Rule};
use crate::name::IfName;

/// One entry of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// An address on an interface.
    Address(Assignment),
    /// A route.
    Route(Route),
    /// A rule.
    Rule(Rule),
}

/// What makes it the same entry to the kernel. In the order in which one needs the other: an address before the route that
/// leads to its network, or that names it as a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// See [`address::Key`].
    Address(address::Key),
    /// See [`route::Key`].
    Route(route::Key),
    /// The rule itself.
    Rule(Rule),
}

/// An entry as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There<'a> {
    /// An address on an interface.
    Address(&'a Assignment),
    /// A route.
    Route(&'a Route),
    /// A rule.
    Rule(&'a Rule),
}

impl Object {
    /// See [`Key`].
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Address(address) => Key::Address(address.key()),
            Self::Route(route) => Key::Route(route.key()),
            Self::Rule(rule) => Key::Rule(rule.clone()),
        }
    }

    /// Whether we are told of it when it is there: of routes and rules only if they have keepalived's mark.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Route(route) => route.protocol == KEEPALIVED,
            Self::Rule(rule) => rule.protocol == KEEPALIVED,
        }
    }

    /// Asks for it; `dev` is the interface of an address.
    pub fn add(&self, batch: &mut Batch, dev: &IfName) {
        match self {
            Self::Address(address) => address::add(batch, address, dev),
            Self::Route(route) => route::add(batch, route),
            Self::Rule(rule) => rule::add(batch, rule),
        }
    }

    /// Asks for its removal.
    pub fn remove(&self, batch: &mut Batch, dev: &IfName) {
        match self {
            Self::Address(address) => address::remove(batch, address, dev),
            Self::Route(route) => route::remove(batch, route),
            Self::Rule(rule) => rule::remove(batch, rule),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "the address {address}"),
            Self::Route(route) => write!(f, "the route {route}"),
            Self::Rule(rule) => write!(f, "the rule {rule}"),
        }
    }
}

impl There<'_> {
    /// Whether what is there does what is wanted.
    #[must_use]
    pub fn serves(self, wanted: &Object) -> bool {
        match (self, wanted) {
            (Self::Address(there), Object::Address(wanted)) => same_address(there, wanted),
            (Self::Route(there), Object::Route(wanted)) => there.serves(wanted),
            (Self::Rule(there), Object::Rule(wanted)) => there == wanted,
            _ => false,
        }
    }

    /// A copy, to be taken away.
    #[must_use]
    pub fn to_object(self) -> Object {
        match self {
            Self::Address(address) => Object::Address(address.clone()),
            Self::Route(route) => Object::Route(route.clone()),
            Self::Rule(rule) => Object::Rule(rule.clone()),
        }
    }
}

/// Flags and lifetimes are not compared: the kernel changes them as time goes by.
fn same_address(there: &Assignment, wanted: &Assignment) -> bool {
    let same = there.prefix == wanted.prefix && there.peer == wanted.peer;
    // The kernel finds the scope of an IPv6 address itself, and gives it neither label nor broadcast address.
    let v4 = || {
        there.scope == wanted.scope
            && there.broadcast == wanted.broadcast
            && (wanted.label.is_none() || there.label == wanted.label)
    };
    same && (wanted.ip.is_ipv6() || v4())
}
