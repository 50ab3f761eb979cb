//! Virtual MAC interfaces: which ones a configuration asks for, by what names, and what leads from those that are there to those
//! that are to be there.
//!
//! The virtual MAC of RFC 9568 section 7.3 lives on an interface of its own, a private macvlan over the interface of the
//! virtual router. Once every one has its name, a configuration only speaks of plain interfaces, and nobody else needs to
//! know what is special about some.

use core::net::{IpAddr, Ipv6Addr};

use super::world::World;
use crate::io::link::Link;
use crate::model::{Address, Instance, Model};
use crate::name::{Family, IfName, Ifindex, Mac, Vrid};
use crate::sorted::{Map, Set};

/// Begins the names of virtual MAC interfaces where `vmac_prefix` does not say otherwise.
const PREFIX: &str = "vrrp";

/// What a virtual MAC interface is known by: the interface under it, and its MAC. Who wants the same shares it.
pub type Key = (IfName, Mac);

/// A virtual MAC interface that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: IfName,
    /// The interface under it.
    pub parent: IfName,
    /// Its MAC.
    pub mac: Mac,
    /// `group`: of the link; that of the interface under it where absent.
    pub group: Option<u32>,
    /// `vrf`: which one it belongs to; that of the interface under it where absent.
    pub vrf: Option<IfName>,
    /// IPv4 is used on it.
    pub v4: bool,
    /// IPv6 is used on it.
    pub v6: bool,
    /// IPv6 adverts leave by it, from this address.
    pub source: Option<Source>,
    /// `netlink_notify_msg`: have the kernel tell about the interface under it once more.
    pub notify: bool,
}

/// Where IPv6 adverts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The link-local address of the interface under it.
    Parents,
    /// `mcast_src_ip`.
    At(Ipv6Addr),
}

/// Gives every virtual MAC interface of a configuration its name, lets addresses that go on one name it, and returns them all.
/// Names of `before` are kept; an interface that is there and fits is taken.
#[must_use]
pub fn settle(model: &mut Model, world: &World, before: &[Wanted]) -> Vec<Wanted> {
    let mut settled = Settled {
        world,
        before,
        all: Map::new(),
    };
    let global = &model.global;
    let prefix = global.vmac_prefix.as_deref().unwrap_or(PREFIX);
    let address_prefix = global.vmac_addr_prefix.as_deref().unwrap_or(prefix);
    // Names that are given come first: nobody else may take them.
    let (given, chosen): (Vec<_>, Vec<_>) = model.instances.iter_mut().partition(|instance| {
        let vmac = instance.vmac.as_ref();
        vmac.is_some_and(|vmac| vmac.name.is_some())
    });
    for instance in given.into_iter().chain(chosen) {
        settled.instance(instance, prefix, address_prefix);
    }
    settled.all.into_values().collect()
}

/// Takes every virtual MAC out of a configuration, for a kernel that has none. Tells whether there was one.
pub fn forgo(model: &mut Model) -> bool {
    let mut any = false;
    for instance in &mut model.instances {
        any |= instance.vmac.take().is_some();
        let addresses = instance.addresses.iter_mut().chain(&mut instance.excluded);
        for address in addresses {
            any |= core::mem::take(&mut address.on_vmac);
        }
    }
    any
}

struct Settled<'a> {
    world: &'a World,
    before: &'a [Wanted],
    all: Map<Key, Wanted>,
}

impl Settled<'_> {
    fn instance(&mut self, instance: &mut Instance, prefix: &str, address_prefix: &str) {
        // An ipvlan shares the MAC of the interface under it.
        instance.vmac.take_if(|vmac| vmac.ipvlan);
        let Instance {
            interface,
            family,
            vrid,
            addresses,
            excluded,
            vmac,
            vrf,
            source,
            ..
        } = instance;
        let on_other_devices = vmac.as_ref().is_some_and(|vmac| vmac.per_address);
        let mut own = None;
        if let Some(given) = vmac {
            let mac = given.mac.unwrap_or(Mac::of_virtual_router(*family, *vrid));
            let key = (interface.clone(), mac);
            let Some(wanted) = self.get(&key, given.name.as_ref(), prefix, *family, *vrid) else {
                *vmac = None;
                return;
            };
            wanted.group = given.group.or(wanted.group);
            wanted.vrf = vrf.clone().or(wanted.vrf.take());
            wanted.notify |= given.netlink_notify;
            match family {
                Family::V4 => wanted.v4 = true,
                Family::V6 => wanted.v6 = true,
            }
            if *family == Family::V6 && !given.transmit_base {
                wanted.source = Some(match source {
                    Some(IpAddr::V6(ip)) => Source::At(*ip),
                    _ => Source::Parents,
                });
            }
            given.name = Some(wanted.name.clone());
            own = Some(key);
        }
        for address in addresses.iter_mut().chain(excluded) {
            self.address(
                address,
                interface,
                (*family, *vrid),
                own.as_ref(),
                on_other_devices,
                address_prefix,
            );
        }
    }

    /// Where an address goes: its device means the virtual MAC over it where that is the instance's own, or asked for.
    fn address(
        &mut self,
        address: &mut Address,
        interface: &IfName,
        (family, vrid): (Family, Vrid),
        own: Option<&Key>,
        on_other_devices: bool,
        prefix: &str,
    ) {
        let dev = address.dev.as_ref().unwrap_or(interface);
        let elsewhere = dev != interface || address.family() != family;
        let asked = address.on_vmac || on_other_devices && elsewhere;
        let key = match own {
            Some(own) if dev == interface && !(asked && elsewhere) => own.clone(),
            _ if asked => (dev.clone(), Mac::of_virtual_router(address.family(), vrid)),
            _ => return,
        };
        if let Some(wanted) = self.get(&key, None, prefix, address.family(), vrid) {
            match address.family() {
                Family::V4 => wanted.v4 = true,
                Family::V6 => wanted.v6 = true,
            }
            address.dev = (Some(&key) != own).then(|| wanted.name.clone());
        }
    }

    fn get(
        &mut self,
        key: &Key,
        given: Option<&IfName>,
        prefix: &str,
        family: Family,
        vrid: Vrid,
    ) -> Option<&mut Wanted> {
        if !self.all.contains_key(key) {
            let name = match given {
                Some(given) => given.clone(),
                None => self.name(key, prefix, family, vrid)?,
            };
            let wanted = Wanted {
                name,
                parent: key.0.clone(),
                mac: key.1,
                group: None,
                vrf: None,
                v4: false,
                v6: false,
                source: None,
                notify: false,
            };
            self.all.insert(key.clone(), wanted);
        }
        self.all.get_mut(key)
    }

    fn name(&self, key: &Key, prefix: &str, family: Family, vrid: Vrid) -> Option<IfName> {
        let is_same = |old: &&Wanted| (&old.parent, old.mac) == (&key.0, key.1);
        let in_use = |name: &IfName| self.all.values().any(|other| other.name == *name);
        let before = self.before.iter().find(is_same).map(|old| old.name.clone());
        if let Some(before) =
            before.filter(|name| name.as_str().starts_with(prefix) && !in_use(name))
        {
            return Some(before);
        }
        let parent = self.world.link_named(&key.0);
        let there = |name: &IfName| {
            let link = self.world.link_named(name);
            link.is_some_and(|link| parent.is_none_or(|parent| !fits(link, key.1, parent)))
        };
        free_name(prefix, family, vrid, |name| in_use(name) || there(name))
    }
}

/// `vrrp.51`, or for IPv6 `vrrp6.51`, or `vrrp1.51` and so on, as keepalived has it; none if they get too long.
fn free_name(
    prefix: &str,
    family: Family,
    vrid: Vrid,
    taken: impl Fn(&IfName) -> bool,
) -> Option<IfName> {
    const MOST: u32 = 1000;
    let six = (family == Family::V6).then(|| format!("{prefix}6.{vrid}"));
    let numbered = (1..MOST).map(|number| format!("{prefix}{number}.{vrid}"));
    let mut all = core::iter::once(format!("{prefix}.{vrid}"))
        .chain(six)
        .chain(numbered)
        .map_while(|name| IfName::new(&name));
    all.find(|name| !taken(name))
}

/// Whether an interface is the virtual MAC that is wanted over `parent`.
fn fits(link: &Link, mac: Mac, parent: &Link) -> bool {
    link.private && link.parent == Some(parent.index) && link.mac == Some(mac)
}

/// One change of the interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Make it, over the interface of this index.
    Create(&'a Wanted, Ifindex),
    /// Remove it.
    Remove(&'a Link),
    /// It is there and not yet as it has to be before it is switched on.
    Prepare(&'a Wanted, &'a Link),
    /// Let it belong to the VRF of this index; zero is none.
    Join(&'a Link, Ifindex),
    /// Switch it on.
    Up(&'a Link),
    /// Something else has its name.
    Blocked(&'a Wanted),
}

/// What leads from the interfaces that are there to the wanted ones. Of others only those in `ours` are touched, and a macvlan
/// that has the name of a wanted one but is not like it. An interface whose parent does not exist is not wanted now; one that
/// is `ready` has been prepared.
#[must_use]
pub fn plan<'a>(
    wanted: &'a [Wanted],
    world: &'a World,
    ours: &Set<Ifindex>,
    ready: &Set<Ifindex>,
) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let mut kept = Set::new();
    for one in wanted {
        let Some(parent) = world.link_named(&one.parent) else {
            continue;
        };
        match world.link_named(&one.name) {
            None => steps.push(Step::Create(one, parent.index)),
            Some(link) if fits(link, one.mac, parent) => {
                kept.insert(link.index);
                if !ready.contains(&link.index) {
                    steps.push(Step::Prepare(one, link));
                }
                let vrf = vrf(one, parent, world);
                if link.master.unwrap_or(0) != vrf {
                    steps.push(Step::Join(link, vrf));
                }
                if !link.is_up() {
                    steps.push(Step::Up(link));
                }
            }
            Some(link) if link.kind == "macvlan" => {
                kept.insert(link.index);
                steps.push(Step::Remove(link));
            }
            Some(_) => steps.push(Step::Blocked(one)),
        }
    }
    let surplus = ours.iter().filter(|index| !kept.contains(index));
    steps.extend(surplus.filter_map(|index| world.link(*index).map(Step::Remove)));
    steps
}

fn vrf(wanted: &Wanted, parent: &Link, world: &World) -> Ifindex {
    let is_vrf = |link: &&Link| link.kind == "vrf";
    let asked = wanted.vrf.as_ref().and_then(|name| world.link_named(name));
    let parents = parent.master.and_then(|master| world.link(master));
    asked
        .filter(is_vrf)
        .or(parents.filter(is_vrf))
        .map_or(0, |vrf| vrf.index)
}
