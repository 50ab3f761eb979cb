//! The sockets that adverts come in and go out by: one for each interface and family that some virtual router uses.

use core::net::IpAddr;
use core::task::{Context, Poll};
use core::time::Duration;
use std::error::Error;
use std::io;

use crate::io::advert::{AdvertSocket, Options};
use crate::io::link::Link;
use crate::model::global::ReceiveBuffer;
use crate::model::{self, Auth, Global, Peering};
use crate::name::{Family, IfName, Ifindex, Priority};
use crate::run::reactor::Source;
use crate::sorted::Set;
use crate::time::Instant;
use crate::vrrp::{Datagram, Engine, Instance};
use crate::wire::vrrp::AdvertRepr;

/// Until a socket that could not be had is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The open sockets.
#[derive(Default)]
pub struct Sockets {
    open: Vec<Open>,
    /// When to try again what failed.
    retry: Option<Instant>,
    /// Interfaces of which a failure has been told since the last success.
    told: Set<IfName>,
}

struct Open {
    place: Place,
    memberships: Vec<Membership>,
    socket: Source<AdvertSocket>,
    /// Whether the last advert went out; told once until one does again.
    sending: bool,
}

/// What a socket is for. Those whose adverts come in an authentication header need one of another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    index: Ifindex,
    family: Family,
    authenticated: bool,
}

impl Place {
    const fn of(config: &model::Instance, index: Ifindex) -> Self {
        let authenticated = matches!(config.auth, Auth::Ah(_));
        Self {
            index,
            family: config.family,
            authenticated,
        }
    }
}

/// A group that is joined on an interface.
type Membership = (IpAddr, Ifindex);

/// The group of a virtual router, joined on the interface of its adverts, and where that is a virtual MAC's, on the one under it as
/// well: switches learn by reports of membership where a group is wanted, and where a MAC lives, and the upper interface may not
/// report while it is a backup's.
fn memberships(
    config: &model::Instance,
    index: Ifindex,
    parent: Option<Ifindex>,
) -> impl Iterator<Item = Membership> {
    let group = match config.peering {
        Peering::Multicast(group) => Some(group),
        Peering::Unicast { .. } => None,
    };
    let places = core::iter::once(index).chain(parent);
    places.filter_map(move |index| Some((group?, index)))
}

/// Bytes that may wait for a virtual router, which keepalived adds up for all that share a socket; its own number goes before the global one.
fn buffer(config: &model::Instance, global: &Global, mtu: u32) -> Option<u32> {
    let policy = config.receive_buffer.map(ReceiveBuffer::Bytes);
    Some(match policy.or(global.receive_buffer)? {
        ReceiveBuffer::Bytes(bytes) => bytes,
        ReceiveBuffer::Packets(count) => count.saturating_mul(mtu),
        ReceiveBuffer::Adverts(count) => {
            let addresses: Vec<IpAddr> = config.addresses.iter().map(|one| one.ip).collect();
            let message = AdvertRepr {
                version: config.version,
                vrid: config.vrid,
                priority: config.priority,
                interval: config.interval,
                auth_type: 0,
                auth_data: [0; 8],
                family: config.family,
                addresses: &addresses,
            };
            let header = match config.family {
                Family::V4 => 20,
                Family::V6 => 40,
            };
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
            count.saturating_mul(length.saturating_add(header))
        }
    })
}

impl Sockets {
    /// Sees to a socket, joined to the right groups, for each virtual router on an interface. False if one could not be had; then
    /// it is tried again at [`Self::deadline`].
    pub fn prepare(
        &mut self,
        name: &IfName,
        link: &Link,
        parent: Option<Ifindex>,
        engine: &Engine,
        global: &Global,
        now: Instant,
    ) -> bool {
        let configs = || {
            let all = engine.iter().map(|(_, instance)| instance.config());
            all.filter(|config| config.advert_interface() == name)
        };
        for config in configs() {
            let place = Place::of(config, link.index);
            let receive_buffer = || {
                let shared = configs().filter(|other| Place::of(other, link.index) == place);
                let buffers = shared.filter_map(|config| buffer(config, global, link.mtu));
                buffers.reduce(u32::saturating_add)
            };
            if let Err(error) = self.ensure(config, place, parent, receive_buffer) {
                if self.told.insert(name.clone()) {
                    log::error!("{error}; trying again every second");
                }
                self.retry = Some(now + PATIENCE);
                return false;
            }
        }
        self.told.remove(name);
        true
    }

    fn ensure(
        &mut self,
        config: &model::Instance,
        place: Place,
        parent: Option<Ifindex>,
        receive_buffer: impl FnOnce() -> Option<u32>,
    ) -> Result<(), Box<dyn Error>> {
        let wanted = memberships(config, place.index, parent);
        if let Some(open) = self.open.iter_mut().find(|open| open.place == place) {
            return open.join(wanted);
        }
        let options = Options {
            authenticated: place.authenticated,
            receive_buffer: receive_buffer(),
        };
        let interface = config.advert_interface();
        let own = memberships(config, place.index, None).next();
        let group = own.map(|(group, _)| group);
        let socket = AdvertSocket::open(interface, place.index, place.family, group, options)?;
        let mut open = Open {
            place,
            memberships: own.into_iter().collect(),
            socket: Source::new(socket),
            sending: true,
        };
        open.join(wanted)?;
        self.open.push(open);
        Ok(())
    }

    /// Closes the sockets that no virtual router uses any more, and leaves the groups that none wants. `parent` is the interface
    /// under a virtual MAC's.
    pub fn keep(&mut self, engine: &Engine, parent: impl Fn(&IfName) -> Option<Ifindex>) {
        let users = |place: Place| {
            let all = engine.iter().map(|(_, instance)| instance);
            all.filter(move |user| {
                let index = user.ifindex();
                index.is_some_and(|index| Place::of(user.config(), index) == place)
            })
        };
        self.open.retain_mut(|open| {
            let index = open.place.index;
            let wanted = |membership: &Membership| {
                users(open.place).map(Instance::config).any(|config| {
                    let parent = parent(config.advert_interface());
                    memberships(config, index, parent).any(|wanted| wanted == *membership)
                })
            };
            let surplus: Vec<Membership> = open
                .memberships
                .extract_if(.., |one| !wanted(one))
                .collect();
            for (group, index) in surplus {
                // It went with its interface.
                let _ = open.socket.get_ref().leave_on(group, index);
            }
            users(open.place).next().is_some()
        });
        let users = |name: &IfName| {
            let mut all = engine.iter().map(|(_, instance)| instance.config());
            all.any(|config| config.advert_interface() == name)
        };
        self.told.retain(users);
    }

    /// When to prepare again what could not be had.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Forgets [`Self::deadline`], because it has come.
    pub const fn retrying(&mut self) {
        self.retry = None;
    }

    /// The place of a socket that can be read.
    ///
    /// # Errors
    /// The kernel cannot wait for one of them.
    pub fn poll_readable(&self, context: &Context<'_>) -> Poll<io::Result<usize>> {
        for (place, open) in self.open.iter().enumerate() {
            if let Poll::Ready(ready) = open.socket.poll_readable(context) {
                return Poll::Ready(ready.map(|()| place));
            }
        }
        Poll::Pending
    }

    /// How many there are; their places are counted from zero.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.open.len()
    }

    /// Reads one datagram from the socket in `place`.
    ///
    /// # Errors
    /// The kernel's, as `ENETDOWN` when the interface went down.
    pub fn receive<'b>(
        &self,
        place: usize,
        buffer: &'b mut [u8],
    ) -> io::Result<Option<Datagram<'b>>> {
        let Some(open) = self.open.get(place) else {
            return Ok(None);
        };
        let received = open.socket.get_ref().receive(buffer)?;
        Ok(received.map(|r| Datagram {
            ifindex: r.ifindex,
            source: r.source,
            destination: r.destination,
            hops: r.hops,
            header: r.header,
            payload: r.payload,
        }))
    }

    /// Sends one advert to everyone who is to have it. What does not go out is told once; the peers' clocks decide the rest.
    pub fn advertise(&mut self, instance: &Instance, priority: Priority) {
        let config = instance.config();
        let (Some(index), Some(source)) = (instance.ifindex(), instance.source()) else {
            return;
        };
        let place = Place::of(config, index);
        let Some(open) = self.open.iter_mut().find(|open| open.place == place) else {
            return;
        };
        let mut send = |destination, hops| {
            send(
                open.socket.get_mut(),
                instance,
                priority,
                source,
                destination,
                hops,
            )
        };
        let sent = match &config.peering {
            Peering::Multicast(group) => send(*group, 255),
            Peering::Unicast { peers, ttl, .. } => peers
                .iter()
                .map(|peer| send(peer.ip, *ttl))
                .fold(Ok(()), io::Result::and),
        };
        match sent {
            Ok(()) => open.sending = true,
            Err(error) => {
                if core::mem::replace(&mut open.sending, false) {
                    log::error!(
                        "({}) cannot send an advert by {}: {error}",
                        config.name,
                        config.advert_interface()
                    );
                }
            }
        }
    }
}

impl Open {
    /// Joins what it has not joined yet.
    fn join(&mut self, wanted: impl Iterator<Item = Membership>) -> Result<(), Box<dyn Error>> {
        for (group, index) in wanted {
            if self.memberships.contains(&(group, index)) {
                continue;
            }
            match self.socket.get_ref().join_on(group, index) {
                Ok(()) => self.memberships.push((group, index)),
                Err(error) if index == self.place.index => return Err(error.into()),
                Err(error) => {
                    log::debug!(
                        "cannot report {group} by the interface under a virtual MAC: {error}"
                    );
                }
            }
        }
        Ok(())
    }
}

fn send(
    socket: &mut AdvertSocket,
    instance: &Instance,
    priority: Priority,
    source: IpAddr,
    destination: IpAddr,
    hops: u8,
) -> io::Result<()> {
    let advert = instance.advert(priority);
    let write = |buffer: &mut [u8]| {
        let pseudo = instance.pseudo_header(destination, advert.len());
        advert.emit(buffer, pseudo).map(<[u8]>::len)
    };
    match (instance.key(), source, destination) {
        (Some(key), IpAddr::V4(source), IpAddr::V4(destination)) => {
            socket.send_authenticated(source, destination, hops, key, instance.sequence(), write)
        }
        _ => socket.send(source, destination, hops, write),
    }
}
