//! The virtual MAC interfaces of this host, kept as the configuration wants them.
//!
//! They follow the interface under them: made when it appears, gone with it, made again when it comes back. What is left over
//! from a run that was killed is found by the note on it, and put right or taken away.

use core::net::{IpAddr, Ipv6Addr};

use super::others;
use super::settings::{self, Note, Place, Settings};
use super::vmac::{self, Source, Step, Wanted};
use super::world::World;
use crate::io::address::{self, Assignment};
use crate::io::link::{self, Kind, Link, Setting};
use crate::io::netlink::{Batch, Netlink};
use crate::io::sysctl::{self, Scope, Setting::DisableIpv6};
use crate::model::Model;
use crate::name::{IfName, Ifindex, Mac};
use crate::sorted::Set;
use crate::time::Instant;
use crate::vrrp::Interface;

/// The virtual MAC interfaces.
#[derive(Debug, Default)]
pub struct Links {
    wanted: Vec<Wanted>,
    /// Interfaces whose `promote_secondaries` is wanted.
    promoting: Vec<IfName>,
    /// Those that we made, now or before a crash.
    ours: Set<Ifindex>,
    ready: Set<Ifindex>,
    settings: Settings,
    /// Whether the kernel can make them, once it has been asked.
    able: Option<bool>,
    /// When to try again what was refused; until then nothing is made or switched on.
    retry: Option<Instant>,
    /// Wanted ones of which it has been told that something else has their name.
    blocked: Set<IfName>,
}

impl Links {
    /// Finds what an earlier run of ours left behind.
    pub fn adopt(&mut self, world: &World) {
        for link in world.links() {
            let Some((process, note)) = link.alias.as_deref().and_then(Note::read) else {
                continue;
            };
            // Another one that lives looks after its own.
            if others::is_one(process) && process != std::process::id() {
                continue;
            }
            self.ours.insert(link.index);
            for (all, setting, before) in note.0 {
                let place = match link.parent {
                    _ if all => Place::All,
                    Some(parent) => Place::Link(parent),
                    None => continue,
                };
                self.settings.recall(place, setting, before);
            }
        }
    }

    /// Takes over what a configuration wants, and makes plain interfaces of the virtual MACs in it. Where the kernel has none, it
    /// goes without.
    pub fn settle(&mut self, model: &mut Model, world: &World, netlink: &mut Netlink) {
        let promoting = model.instances.iter().filter(|i| i.promote_secondaries);
        self.promoting = promoting.map(|i| i.interface.clone()).collect();
        let quiet = model.global.disable_local_igmp;
        self.settings.report_local_groups(!quiet);
        let mut wanted = vmac::settle(model, world, &self.wanted);
        if !wanted.is_empty() && !*self.able.get_or_insert_with(|| link::has_macvlan(netlink)) {
            vmac::forgo(model);
            log::error!(
                "the kernel has no macvlan: virtual routers with use_vmac run without a virtual MAC; \
                 load the module macvlan (kmod-macvlan on OpenWrt)"
            );
            wanted.clear();
        }
        self.wanted = wanted;
        self.blocked.clear();
        self.retry = None;
        self.ready.clear();
    }

    /// Wants nothing any more: the next steps take all of it away.
    pub fn give_up(&mut self) {
        self.wanted.clear();
        self.promoting.clear();
        self.settings.report_local_groups(true);
    }

    /// Something was refused: it is asked for again at that time.
    pub const fn wait_until(&mut self, at: Instant) {
        self.retry = Some(at);
    }

    /// When there is something to try again.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Forgets [`Self::deadline`], because it has come, or because one that they need came or went.
    pub const fn retrying(&mut self) {
        self.retry = None;
    }

    /// The next requests that bring the interfaces to what is wanted; `None` if they are. Settings are written on the way:
    /// noted before they are changed, changed before an interface is switched on.
    pub fn next(&mut self, world: &World) -> Option<Batch> {
        self.ours.retain(|index| world.link(*index).is_some());
        self.ready.retain(|index| world.link(*index).is_some());
        self.settings.forget(|index| world.link(index).is_some());
        let mut steps = vmac::plan(&self.wanted, world, &self.ours, &self.ready);
        if self.retry.is_some() {
            steps.retain(|step| matches!(step, Step::Remove(_) | Step::Prepare(..)));
        }
        let is_raw = |step: &&Step<'_>| matches!(step, Step::Create(..) | Step::Remove(_));
        let mut batch = Batch::new();
        if steps.iter().any(|step| is_raw(&step)) {
            for step in steps.iter().filter(is_raw) {
                raw(step, world, &mut batch);
            }
            return Some(batch);
        }
        let promoted = self.promoting.iter();
        let promoted = promoted.filter_map(|name| Some(world.link_named(name)?.index));
        let over = self.wanted.iter().filter(|one| one.v4);
        let parents = over.filter_map(|one| {
            let there = world.link_named(&one.name)?;
            there.parent
        });
        let desired = settings::of_parents(&parents.collect(), &promoted.collect());
        self.settings.learn(&desired, world);
        let mut up = Batch::new();
        for step in &steps {
            match step {
                Step::Prepare(one, link) => {
                    self.ours.insert(link.index);
                    self.ready.insert(link.index);
                    settings::prepare(&link.name, one.v4, one.v6);
                    let note = self.settings.note(link.parent.unwrap_or(0));
                    let note = note.write(std::process::id());
                    prepare(one, link, &note, world, &mut batch);
                }
                Step::Join(link, vrf) => {
                    link::set(&mut batch, link.index, &link.name, Setting::Master(*vrf));
                }
                Step::Up(link) => link::set(&mut up, link.index, &link.name, Setting::Up),
                Step::Blocked(one) => {
                    if self.blocked.insert(one.name.clone()) {
                        log::error!(
                            "cannot make the virtual MAC interface {}: something else has that name; \
                             give use_vmac another one",
                            one.name
                        );
                    }
                }
                Step::Create(..) | Step::Remove(_) => {}
            }
        }
        if !batch.is_empty() {
            return Some(batch);
        }
        self.settings.apply(&desired, world);
        (!up.is_empty()).then_some(up)
    }

    /// An interface as the protocol sees it. A virtual MAC's is as good as the one under it, and its IPv4 adverts come from the
    /// address of that one.
    #[must_use]
    pub fn interface<'a>(
        &self,
        name: &'a IfName,
        world: &World,
        virtual_ones: &Set<IpAddr>,
    ) -> Interface<'a> {
        let mut interface = world.interface(name, virtual_ones);
        if let Some(one) = self.wanted.iter().find(|one| one.name == *name) {
            let parent = world.interface(&one.parent, virtual_ones);
            interface.up = parent.up && world.link_named(name).is_some_and(Link::is_up);
            interface.v4 = parent.v4;
            // It has been asked for, and nobody looks for duplicates: the kernel tells of it a little later.
            let sources = self.sources(world, virtual_ones);
            let here = |source: &&Assignment| Some(source.ifindex) == interface.index;
            if let Some(IpAddr::V6(ip)) = sources.iter().find(here).map(|source| source.ip) {
                interface.v6 = Some(ip);
            }
        }
        interface
    }

    /// The interface under a virtual MAC's.
    #[must_use]
    pub fn parent<'w>(&self, name: &IfName, world: &'w World) -> Option<&'w Link> {
        let one = self.wanted.iter().find(|one| one.name == *name)?;
        world.link_named(&one.parent)
    }

    /// Whether an interface of this name is wanted, or is to be under one that is.
    #[must_use]
    pub fn concern(&self, name: &IfName) -> bool {
        let mut all = self.wanted.iter();
        all.any(|one| one.name == *name || one.parent == *name)
    }

    /// The interfaces of virtual MACs that are there.
    pub fn there<'w>(&self, world: &'w World) -> impl Iterator<Item = &'w Link> {
        let wanted = self.wanted.iter();
        wanted.filter_map(move |one| world.link_named(&one.name))
    }

    /// Whether there are none, and none wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.ours.is_empty()
    }

    /// Whether it is one of ours.
    #[must_use]
    pub fn contains(&self, index: Ifindex) -> bool {
        self.ours.contains(&index)
    }

    /// The addresses that IPv6 adverts come from. They are on the virtual MAC's interface as well as on the one under it, and
    /// never chosen for anything else.
    #[must_use]
    pub fn sources(&self, world: &World, virtual_ones: &Set<IpAddr>) -> Vec<Assignment> {
        let source = |one: &Wanted| {
            let link = world.link_named(&one.name)?;
            let ip = match one.source? {
                Source::At(ip) => ip,
                Source::Parents => {
                    let parent = world.link_named(&one.parent)?;
                    let theirs = world.interface(&one.parent, virtual_ones).v6;
                    theirs.or_else(|| made_up(parent, world))?
                }
            };
            Some(Assignment {
                flags: address::flag::NODAD,
                preferred: 0,
                ..Assignment::new(link.index, IpAddr::V6(ip), 64)
            })
        };
        self.wanted.iter().filter_map(source).collect()
    }
}

/// What makes an interface or takes one away.
fn raw(step: &Step<'_>, world: &World, batch: &mut Batch) {
    match step {
        Step::Create(one, parent) => {
            log::info!(
                "making the virtual MAC interface {} over {}",
                one.name,
                one.parent
            );
            let (parent, mac) = (*parent, one.mac);
            link::create(batch, &one.name, Kind::Macvlan { parent, mac });
            // What it says of settings it gets before they are changed.
            let note = Note::default().write(std::process::id());
            link::sign(batch, &one.name, &note);
        }
        Step::Remove(link) => {
            let under = link.parent.and_then(|parent| world.link(parent));
            let under = under.map_or("nothing", |parent| parent.name.as_str());
            log::info!(
                "removing the virtual MAC interface {} over {under}",
                link.name
            );
            link::delete(batch, link.index, &link.name);
        }
        Step::Prepare(..) | Step::Join(..) | Step::Up(_) | Step::Blocked(_) => {}
    }
}

/// What has to be so before an interface is switched on.
fn prepare(one: &Wanted, link: &Link, note: &str, world: &World, batch: &mut Batch) {
    let parent = world.link_named(&one.parent);
    let group = one.group.or(parent.map(|parent| parent.group)).unwrap_or(0);
    let mut set = |setting| link::set(batch, link.index, &link.name, setting);
    set(Setting::Alias(note));
    if sysctl::get(Scope::Default, DisableIpv6).is_ok() {
        set(Setting::NoLinkLocal);
    }
    if link.group != group {
        set(Setting::Group(group));
    }
    if let Some(parent) = parent.filter(|_| one.notify) {
        let same = Setting::Group(parent.group);
        link::set(batch, parent.index, &parent.name, same);
    }
}

/// The link-local address that an interface without one could have, made of its MAC (RFC 4291 appendix A). One that has not
/// finished looking for duplicates of its own is waited for.
fn made_up(parent: &Link, world: &World) -> Option<Ipv6Addr> {
    let of_parent = |there: &&Assignment| there.ifindex == parent.index;
    let link_local =
        |there: &Assignment| matches!(there.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    if !parent.is_running() || world.addresses().filter(of_parent).any(link_local) {
        return None;
    }
    let Mac([a, b, c, d, e, f]) = parent.mac?;
    let word = |high, low| u16::from_be_bytes([high, low]);
    Some(Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        word(a ^ 2, b),
        word(c, 0xff),
        word(0xfe, d),
        word(e, f),
    ))
}
