//! What the kernel tells of interfaces and addresses, and what the engine is told of that.

use core::time::Duration;
use std::io;

use super::Router;
use crate::error::Chain;
use crate::io::address::{self, Assignment};
use crate::io::monitor::Change;
use crate::name::IfName;
use crate::run::reactor::now;
use crate::run::vrrp::object::{Key, Object, There};
use crate::run::vrrp::reconcile::{self, Wanted};
use crate::run::vrrp::world::World;
use crate::sorted::Map;
use crate::time::Instant;
use crate::vrrp::{Event, Reading, Tracked, TrackerKind};

/// Until interfaces that the kernel refused are tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests for virtual MAC interfaces that follow from one another: remove, make, prepare, switch on; and once more where the
/// world changed meanwhile.
const ROUNDS: usize = 6;

impl Router {
    /// Takes in what the kernel has announced. After a request of ours its effects are among it. True if interfaces have changed.
    pub(super) fn drain(&mut self) -> io::Result<bool> {
        let mut changes = core::mem::take(&mut self.changes);
        self.monitor.get_mut().read(&mut changes)?;
        let lost = changes.contains(&Change::Overrun);
        let is_link = |change: &Change| matches!(change, Change::Link(_) | Change::LinkGone(_));
        let links = lost || changes.iter().any(is_link);
        for change in &changes {
            match change {
                Change::Address(there) => self.look_for_duplicate(there),
                // What was refused may have been refused for want of it, or because it was going.
                Change::Link(link) if self.links.concern(&link.name) => {
                    let there = self.world.link_named(&link.name);
                    if there.is_none_or(|there| there.index != link.index) {
                        self.links.retrying();
                    }
                }
                Change::LinkGone(link) if self.links.concern(&link.name) => self.links.retrying(),
                _ => {}
            }
        }
        self.world.learn_all(changes.drain(..));
        self.changes = changes;
        if lost {
            match World::read(&mut self.netlink) {
                Ok(world) => {
                    self.world = world;
                    self.listen_to_routes();
                }
                Err(error) => log::error!("{}", Chain(&error)),
            }
        }
        Ok(links)
    }

    /// An address of ours that the kernel has asked the link for (`-nodad`), and that was answered.
    fn look_for_duplicate(&self, there: &Assignment) {
        let failed = |there: &Assignment| there.flags & address::flag::DADFAILED != 0;
        // One that is new may have been looked for while we slept.
        let before = self.world.there(&Key::Address(there.key()));
        let told = matches!(before, Some(There::Address(before)) if failed(before));
        if failed(there) && !told && self.desired.may_be(there.ip) {
            log::error!("another host has the address {there}: it does not work here");
        }
    }

    /// Tells the engine what has become of the interfaces that it uses, and gives it sockets on those that are there.
    pub(super) fn look_around(&mut self) {
        self.tend_links();
        let now = now();
        let mut names: Vec<_> = self.engine.interfaces().cloned().collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let virtual_ones = self.desired.virtual_ones();
            let mut interface = self.links.interface(name, &self.world, virtual_ones);
            if interface.index.is_some() {
                let parent = self.links.parent(name, &self.world);
                let configured = parent.map_or(name, |parent| &parent.name);
                interface.up = self.debouncer.settle(name, configured, interface.up, now);
            }
            let link = interface.index.filter(|_| interface.up);
            if let Some(link) = link.and_then(|index| self.world.link(index)) {
                // Without a socket it would hear nobody, and take over from a living master.
                let parent = self.links.parent(name, &self.world).map(|link| link.index);
                let (engine, global) = (&self.engine, &self.global);
                interface.up = self
                    .sockets
                    .prepare(name, link, parent, engine, global, now);
            }
            self.happened(Event::Interface(interface), now);
        }
        let world = &self.world;
        // An interface that is deleted is no longer one that may come back in time.
        self.debouncer
            .keep(|name| names.contains(name) && world.link_named(name).is_some());
        self.tell_sources(now);
        let (links, world) = (&self.links, &self.world);
        let parent = |name: &IfName| links.parent(name, world).map(|link| link.index);
        self.sockets.keep(&self.engine, parent);
    }

    /// Brings the virtual MAC interfaces to what is wanted, with the addresses that adverts come from.
    pub(super) fn tend_links(&mut self) {
        for _ in 0..ROUNDS {
            let Some(batch) = self.links.next(&self.world) else {
                break;
            };
            self.guard(true);
            if !self.submit(batch) {
                self.links.wait_until(now() + PATIENCE);
            }
        }
        let sources = self.sources();
        let nothing = Map::new();
        let mut steps = reconcile::plan(|key| self.world.there(key), sources, &nothing);
        self.wait(&mut steps);
        if !steps.is_empty() {
            self.change(steps);
        }
    }

    /// The addresses that adverts from virtual MACs come from.
    pub(super) fn sources(&self) -> Vec<Wanted> {
        let sources = self.links.sources(&self.world, self.desired.virtual_ones());
        let wanted = |source| Wanted {
            object: Object::Address(source),
            tracked: true,
        };
        sources.into_iter().map(wanted).collect()
    }

    /// Tells the engine whether the source addresses that were asked for by name (`track_src_ip`) are on this host.
    fn tell_sources(&mut self, now: Instant) {
        let configs = self.engine.iter().map(|(_, instance)| instance.config());
        let tracked = configs.filter(|config| config.track_source);
        let sources: Vec<_> = tracked.filter_map(|i| i.source).collect();
        for address in sources {
            let here = self
                .world
                .addresses()
                .any(|there| there.ip == address && !there.is_tentative());
            self.happened(Event::Source { address, here }, now);
        }
    }

    /// Tells the engine what has become of the static addresses, routes and rules that name a `track_group`.
    pub(super) fn tell_groups(&mut self) {
        let now = now();
        for (name, whole) in self.desired.track_groups(&self.world) {
            let tracked = Tracked {
                kind: TrackerKind::Statics,
                name: &name,
                reading: if whole { Reading::Up } else { Reading::Down },
            };
            self.happened(Event::Tracked(tracked), now);
        }
    }
}
