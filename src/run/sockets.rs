//! The sockets that adverts come in and go out by: one for each interface and family that some virtual router uses.

use core::net::IpAddr;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use super::reactor::Source;
use crate::io::advert::{AdvertSocket, Options};
use crate::model::{Global, Peering};
use crate::name::{Family, IfName, Ifindex, Priority};
use crate::time::Instant;
use crate::vrrp::{Datagram, Engine, Instance};

/// Until a socket that could not be had is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The open sockets.
#[derive(Default)]
pub struct Sockets {
    open: Vec<Open>,
    /// When to try again what failed.
    retry: Option<Instant>,
    /// Whether failures have been told since the last success.
    told: bool,
}

struct Open {
    index: Ifindex,
    family: Family,
    groups: Vec<IpAddr>,
    socket: Source<AdvertSocket>,
    /// Whether the last advert went out; told once until one does again.
    sending: bool,
}

impl Sockets {
    /// Sees to a socket, joined to the right groups, for each family that is used on an interface. False if one could not be had;
    /// then it is tried again at [`Self::deadline`].
    pub fn prepare(
        &mut self,
        name: &IfName,
        index: Ifindex,
        engine: &Engine,
        global: &Global,
        now: Instant,
    ) -> bool {
        let here = engine
            .iter()
            .map(|(_, i)| i.config())
            .filter(|config| config.interface == *name);
        let mut all = true;
        for config in here {
            let group = match config.peering {
                Peering::Multicast(group) => Some(group),
                Peering::Unicast { .. } => None,
            };
            let receive_buffer = config.receive_buffer.or(global.receive_buffer);
            let options = Options {
                receive_buffer,
                ..Options::default()
            };
            all &= self.ensure(name, index, config.family, group, options, now);
        }
        all
    }

    fn ensure(
        &mut self,
        name: &IfName,
        index: Ifindex,
        family: Family,
        group: Option<IpAddr>,
        options: Options,
        now: Instant,
    ) -> bool {
        let joined = match self
            .open
            .iter_mut()
            .find(|open| open.index == index && open.family == family)
        {
            Some(open) => match group.filter(|group| !open.groups.contains(group)) {
                None => return true,
                Some(group) => open
                    .socket
                    .get_ref()
                    .join(group)
                    .map(|()| open.groups.push(group))
                    .map_err(|e| e.to_string()),
            },
            None => AdvertSocket::open(name, index, family, group, options)
                .map(|socket| {
                    let groups = group.into_iter().collect();
                    let socket = Source::new(socket);
                    self.open.push(Open {
                        index,
                        family,
                        groups,
                        socket,
                        sending: true,
                    });
                })
                .map_err(|e| e.to_string()),
        };
        match joined {
            Ok(()) => self.told = false,
            Err(error) => {
                if !core::mem::replace(&mut self.told, true) {
                    log::error!("{name}: {error}; trying again every second");
                }
                self.retry = Some(now + PATIENCE);
                return false;
            }
        }
        true
    }

    /// Closes the sockets of interfaces that are gone or no longer used.
    pub fn keep(&mut self, used: impl Fn(Ifindex) -> bool) {
        self.open.retain(|open| used(open.index));
        if self.open.is_empty() {
            self.told = false;
        }
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
            payload: r.payload,
        }))
    }

    /// Sends one advert to everyone who is to have it. What does not go out is told once; the peers' clocks decide the rest.
    pub fn advertise(&mut self, instance: &Instance, priority: Priority) {
        let config = instance.config();
        let (Some(index), Some(source)) = (instance.ifindex(), instance.source()) else {
            return;
        };
        let Some(open) = self
            .open
            .iter_mut()
            .find(|open| open.index == index && open.family == config.family)
        else {
            return;
        };
        let advert = instance.advert(priority);
        let mut send = |destination, hops| {
            open.socket
                .get_mut()
                .send(source, destination, hops, |buffer| {
                    let pseudo = instance.pseudo_header(destination, advert.len());
                    advert.emit(buffer, pseudo).map(<[u8]>::len)
                })
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
                        config.interface
                    );
                }
            }
        }
    }
}
