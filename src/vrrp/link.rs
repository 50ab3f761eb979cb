//! The interfaces as far as they are known.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Interface;
use crate::name::{Family, IfName, Ifindex};

/// What is known of an interface; the default is one that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: Option<Ifindex>,
    pub(super) up: bool,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl From<Interface<'_>> for Link {
    fn from(interface: Interface<'_>) -> Self {
        match interface.index {
            // Whatever else is said of it, one that does not exist is not up.
            None => Self::default(),
            index => Self {
                index,
                up: interface.up,
                v4: interface.v4,
                v6: interface.v6,
            },
        }
    }
}

impl Link {
    pub(super) fn source(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }
}

/// The interfaces that the engine has been told about.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(IfName, Link)>);

impl Links {
    pub(super) fn get(&self, name: &IfName) -> Option<&Link> {
        let mut links = self.0.iter();
        links.find(|(other, _)| other == name).map(|(_, link)| link)
    }

    pub(super) fn set(&mut self, name: &IfName, link: Link) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, known)) => *known = link,
            None => self.0.push((name.clone(), link)),
        }
    }
}
