//! Which gratuitous ARPs and neighbour advertisements tell where the addresses of a virtual router are.

use core::net::IpAddr;

use super::Router;
use crate::io::link::Link;
use crate::io::sysctl::{self, Scope, Setting};
use crate::name::Ifindex;
use crate::run::reactor::now;
use crate::run::vrrp::announcer::Burst;
use crate::run::vrrp::world::World;
use crate::sorted::{Map, Set};
use crate::vrrp::{Id, Instance};

impl Router {
    /// Asks for the gratuitous ARPs and neighbour advertisements of one virtual router.
    pub(super) fn announce(&mut self, id: Id, repeat: u32) {
        let Some(instance) = self.engine.get(id) else {
            return;
        };
        let mut by_link: Map<(Ifindex, bool), Vec<IpAddr>> = Map::new();
        for (link, address) in self.desired.places(instance, &self.world) {
            let set = (link.index, address.ip.is_ipv6());
            by_link.get_or_insert_with(set, Vec::new).push(address.ip);
        }
        let now = now();
        for ((ifindex, _), ips) in by_link {
            let burst = burst(instance, &self.world, ifindex, ips, repeat);
            burst
                .into_iter()
                .for_each(|burst| self.announcer.push(burst, now));
        }
        self.announcer.send(now);
    }

    /// One address of each interface that hears no adverts: of virtual MACs, or of all if that is asked for.
    pub(super) fn announce_elsewhere(&mut self, id: Id) {
        let Some(instance) = self.engine.get(id) else {
            return;
        };
        let config = instance.config();
        let silent = |link: &Link| {
            let asked = config.announcing.extra_everywhere || self.links.contains(link.index);
            asked && link.name != *config.advert_interface()
        };
        let mut told = Set::new();
        let now = now();
        for (link, address) in self.desired.places(instance, &self.world) {
            if silent(link) && told.insert(link.index) {
                let burst = burst(instance, &self.world, link.index, vec![address.ip], 1);
                burst
                    .into_iter()
                    .for_each(|burst| self.announcer.push(burst, now));
            }
        }
        self.announcer.send(now);
    }

    /// The same for the address that its adverts come from, once.
    pub(super) fn announce_source(&mut self, id: Id) {
        let instance = self.engine.get(id);
        let burst = instance.and_then(|instance| {
            burst(
                instance,
                &self.world,
                instance.ifindex()?,
                vec![instance.source()?],
                1,
            )
        });
        let now = now();
        burst
            .into_iter()
            .for_each(|burst| self.announcer.push(burst, now));
        self.announcer.send(now);
    }
}

/// Announcements of addresses of one family on one link; none where nobody resolves addresses.
fn burst(
    instance: &Instance,
    world: &World,
    ifindex: Ifindex,
    ips: Vec<IpAddr>,
    repeat: u32,
) -> Option<Burst> {
    let link = world.link(ifindex)?;
    let mac = link
        .mac
        .filter(|_| !link.is_loopback() && !link.is_noarp())?;
    let v6 = ips.first()?.is_ipv6();
    let announcing = &instance.config().announcing;
    let pace = if v6 {
        announcing.na_pace
    } else {
        announcing.arp_pace
    };
    let router = v6 && forwards(link);
    Some(Burst {
        id: instance.id(),
        ifindex,
        mac,
        router,
        ips,
        repeat,
        pace,
    })
}

/// Whether this host forwards IPv6 packets that come in by a link, as a neighbour advertisement tells.
fn forwards(link: &Link) -> bool {
    sysctl::get(Scope::Link(&link.name), Setting::Forwarding).is_ok_and(|value| value == 1)
}
