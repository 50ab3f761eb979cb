//! Gratuitous ARPs and neighbour advertisements that still have to go out.
//!
//! A set of 4,000 addresses five times over is 20,000 frames: they leave in portions between which adverts go on, and no
//! faster than `garp_interval` and `gna_interval` allow.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::VecDeque;

use crate::io::frame::{FrameSocket, is_full};
use crate::name::{Ifindex, Mac};
use crate::time::Instant;
use crate::vrrp::Id;

/// Frames in one portion: what a few hundred microseconds can send.
const PORTION: usize = 256;

/// Until the next attempt when the device's queue is full.
const PATIENCE: Duration = Duration::from_millis(1);

/// One set of announcements on one interface.
#[derive(Debug)]
pub struct Burst {
    /// For which virtual router; a release cancels what is left.
    pub id: Id,
    /// On which interface.
    pub ifindex: Ifindex,
    /// The MAC that the addresses live at.
    pub mac: Mac,
    /// Whether neighbour advertisements say that this host forwards (RFC 4861 section 4.4).
    pub router: bool,
    /// The addresses; all are announced before the first is repeated.
    pub ips: Vec<IpAddr>,
    /// How many times each is still to be announced.
    pub repeat: u32,
    /// Between two frames; zero sends portions back to back.
    pub pace: Duration,
}

/// Bursts in the order in which they were asked for.
#[derive(Debug)]
pub struct Announcer {
    /// None where the kernel refused it.
    socket: Option<FrameSocket>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    burst: Burst,
    next: usize,
    due: Instant,
}

impl Announcer {
    /// Sends through `socket`, or without one does not send.
    #[must_use]
    pub const fn new(socket: Option<FrameSocket>) -> Self {
        Self {
            socket,
            waiting: VecDeque::new(),
        }
    }

    /// Asks for a burst.
    pub fn push(&mut self, burst: Burst, now: Instant) {
        if self.socket.is_some() && !burst.ips.is_empty() && burst.repeat > 0 {
            self.waiting.push_back(Waiting {
                burst,
                next: 0,
                due: now,
            });
        }
    }

    /// Forgets what is left for a virtual router that gave its addresses up.
    pub fn cancel(&mut self, id: Id) {
        self.waiting.retain(|waiting| waiting.burst.id != id);
    }

    /// When [`Self::send`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// Sends what is due, at most one portion of each burst.
    pub fn send(&mut self, now: Instant) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        for waiting in &mut self.waiting {
            if waiting.due <= now {
                waiting.portion(socket, now);
            }
        }
        self.waiting.retain(|waiting| waiting.burst.repeat > 0);
    }
}

impl Waiting {
    fn portion(&mut self, socket: &mut FrameSocket, now: Instant) {
        let Burst {
            ifindex,
            mac,
            router,
            ref ips,
            pace,
            ..
        } = self.burst;
        let size = if pace.is_zero() { PORTION } else { 1 };
        let portion = ips.get(self.next..).unwrap_or_default();
        let portion = portion.get(..size).unwrap_or(portion);
        self.due = now + pace;
        match socket.announce(ifindex, mac, router, portion.iter().copied()) {
            Ok(sent) => {
                if sent < portion.len() {
                    self.due = now + PATIENCE.max(pace);
                }
                self.next += sent;
            }
            Err(error) if is_full(&error) => self.due = now + PATIENCE.max(pace),
            // The interface is gone or down: nobody is left to tell.
            Err(error) => {
                log::warn!("cannot announce {} addresses: {error}", ips.len());
                self.burst.repeat = 0;
            }
        }
        if self.next >= ips.len() {
            self.next = 0;
            self.burst.repeat = self.burst.repeat.saturating_sub(1);
        }
    }
}
