//! Which addresses this host has, for `ha_suspend`.

use core::net::IpAddr;
use core::task::{Context, Poll};
use std::io;

use crate::error::Chain;
use crate::io::address;
use crate::io::error::NetError;
use crate::io::monitor::{Change, Monitor};
use crate::io::netlink::Netlink;
use crate::name::Ifindex;
use crate::run::reactor::Source;
use crate::sorted::Set;

/// The addresses of this host, and their coming and going.
pub struct Presence {
    monitor: Source<Monitor>,
    /// By interface, since a link-local address may be on several.
    here: Set<(Ifindex, IpAddr)>,
    changes: Vec<Change>,
}

/// An address that came or went.
pub type Move = (IpAddr, bool);

impl Presence {
    /// Listens from now on, and tells what is here.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn open(out: &mut Vec<Move>) -> Result<Self, NetError> {
        // Listening before looking, so that nothing falls between the two.
        let monitor = Monitor::open()?;
        let mut presence = Self {
            monitor: Source::new(monitor),
            here: Set::new(),
            changes: Vec::new(),
        };
        presence.look(out)?;
        Ok(presence)
    }

    /// Whether something has changed.
    ///
    /// # Errors
    /// When the kernel cannot wait for it.
    pub fn poll_change(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.monitor.poll_readable(context)
    }

    /// Takes in what has changed.
    ///
    /// # Errors
    /// The kernel does not tell any more.
    pub fn observe(&mut self, out: &mut Vec<Move>) -> io::Result<()> {
        let mut changes = core::mem::take(&mut self.changes);
        self.monitor.get_mut().read(&mut changes)?;
        for change in changes.drain(..) {
            match change {
                Change::Address(there) => self.come((there.ifindex, there.ip), out),
                Change::AddressGone(there) => self.go((there.ifindex, there.ip), out),
                Change::LinkGone(link) => {
                    let of = |(ifindex, _): &&(Ifindex, IpAddr)| *ifindex == link.index;
                    let gone: Vec<_> = self.here.iter().filter(of).copied().collect();
                    gone.into_iter().for_each(|gone| self.go(gone, out));
                }
                Change::Overrun => {
                    if let Err(error) = self.look(out) {
                        log::error!("{}", Chain(&error));
                    }
                }
                _ => {}
            }
        }
        self.changes = changes;
        Ok(())
    }

    fn look(&mut self, out: &mut Vec<Move>) -> Result<(), NetError> {
        let found = address::list(&mut Netlink::route()?)?;
        let found: Set<_> = found.into_iter().map(|a| (a.ifindex, a.ip)).collect();
        let gone: Vec<_> = self.here.difference(&found).copied().collect();
        gone.into_iter().for_each(|gone| self.go(gone, out));
        found.into_iter().for_each(|there| self.come(there, out));
        Ok(())
    }

    fn come(&mut self, there: (Ifindex, IpAddr), out: &mut Vec<Move>) {
        if self.here.insert(there) {
            out.push((there.1, true));
        }
    }

    fn go(&mut self, gone: (Ifindex, IpAddr), out: &mut Vec<Move>) {
        if self.here.remove(&gone) {
            out.push((gone.1, false));
        }
    }
}
