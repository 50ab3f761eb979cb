//! The wire between the hosts: it loses, delays, duplicates and reorders, and falls apart.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use keepalite::name::Family;
use keepalite::time::Centis;
use keepalite::vrrp::Instance;
use keepalite::wire::ah::{self, AhRepr};
use keepalite::wire::ip::{self, Ipv4Repr};

use crate::random::Random;

/// The longest that a datagram takes on a calm LAN.
pub(crate) const DELAY: u64 = 3_000;
/// Room for an advert of one address with all headers.
const ROOM: usize = 96;

/// An advert as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) vrid: usize,
    pub(crate) priority: u8,
    pub(crate) interval: Centis,
    pub(crate) sender: usize,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    header: usize,
    len: usize,
    bytes: [u8; ROOM],
    /// On how many ways it still is.
    ways: usize,
}

impl Frame {
    /// What a virtual router sends now, as the kernel would.
    pub(crate) fn new(
        sender: usize,
        vrid: usize,
        priority: u8,
        instance: &Instance,
        to: IpAddr,
    ) -> Option<Self> {
        let source = instance.source()?;
        let mut bytes = [0; ROOM];
        let advert = instance.advert(priority);
        let header = match instance.config().family {
            Family::V4 => ip::HEADER,
            Family::V6 => 0,
        };
        let between = instance.key().map_or(0, |_| ah::LEN);
        let at = header + between;
        let pseudo = instance.pseudo_header(to, advert.len());
        let len = at + advert.emit(bytes.get_mut(at..)?, pseudo)?.len();
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, to) {
            let protocol = if between == 0 { ip::VRRP } else { ip::AH };
            let repr = Ipv4Repr {
                source,
                destination,
                ttl: 255,
                protocol,
                identification: 7,
                payload_len: len - header,
            };
            repr.emit(&mut bytes)?;
            if let Some(key) = instance.key() {
                let seal = AhRepr {
                    spi: source,
                    sequence: instance.sequence(),
                };
                seal.seal(&mut bytes[..len], key)?;
            }
        }
        Some(Self {
            vrid,
            priority,
            interval: advert.interval,
            sender,
            source,
            destination: to,
            header,
            len,
            bytes,
            ways: 0,
        })
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes[..self.header]
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.header..self.len]
    }
}

/// What comes next: what has arrived goes before who is due, as the engine wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Next {
    /// A frame at a host.
    Arrival(u64, usize, usize),
    /// A host is woken.
    Wake(usize),
}

/// Frames and alarms in the order of their times.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    sent: u64,
    queue: BinaryHeap<Reverse<(u64, Next)>>,
    frames: Vec<Frame>,
    free: Vec<usize>,
    /// By sender and receiver, when the last frame arrives.
    arrivals: Vec<u64>,
    hosts: usize,
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    pub(crate) delay: u64,
    /// Frames may overtake each other. On a calm LAN they do not: there an advert that overtakes its sender's resignation
    /// would undo it, and nobody could do anything about that.
    pub(crate) reordering: bool,
}

impl Network {
    pub(crate) fn new(seed: u64, hosts: usize) -> Self {
        Self {
            seed,
            sent: 0,
            queue: BinaryHeap::new(),
            frames: Vec::new(),
            free: Vec::new(),
            arrivals: vec![0; hosts * hosts],
            hosts,
            loss: 0,
            duplicates: 0,
            delay: DELAY,
            reordering: false,
        }
    }

    /// Sends a frame to those of the hosts that are reachable.
    pub(crate) fn send(&mut self, frame: Frame, now: u64, to: impl Iterator<Item = usize>) {
        let sender = frame.sender;
        let place = match self.free.pop() {
            Some(place) => {
                self.frames[place] = frame;
                place
            }
            None => {
                self.frames.push(frame);
                self.frames.len() - 1
            }
        };
        let mut ways = 0;
        for to in to {
            let mut random = Random(self.seed ^ self.sent.wrapping_mul(0x1_0000_01b3));
            let copies = 1 + u64::from(random.chance(self.duplicates));
            for _ in 0..copies {
                self.sent += 1;
                if random.chance(self.loss) {
                    continue;
                }
                let mut arrives = now + random.range(20.min(self.delay), self.delay);
                let last = &mut self.arrivals[sender * self.hosts + to];
                if !self.reordering {
                    arrives = arrives.max(*last);
                }
                *last = arrives.max(*last);
                ways += 1;
                self.queue
                    .push(Reverse((arrives, Next::Arrival(self.sent, place, to))));
            }
        }
        self.frames[place].ways = ways;
        if ways == 0 {
            self.free.push(place);
        }
    }

    pub(crate) fn wake(&mut self, host: usize, at: u64) {
        self.queue.push(Reverse((at, Next::Wake(host))));
    }

    /// Has a frame wait for a host that sleeps.
    pub(crate) fn defer(&mut self, next: Next, at: u64) {
        self.queue.push(Reverse((at, next)));
    }

    /// What comes next, up to a time.
    pub(crate) fn next(&mut self, until: u64) -> Option<(u64, Next)> {
        let Reverse((at, _)) = self.queue.peek()?;
        if *at > until {
            return None;
        }
        self.queue.pop().map(|Reverse(next)| next)
    }

    /// A frame that has arrived somewhere.
    pub(crate) fn arrived(&self, place: usize) -> &Frame {
        &self.frames[place]
    }

    /// It has been delivered there.
    pub(crate) fn done(&mut self, place: usize) {
        let frame = &mut self.frames[place];
        frame.ways -= 1;
        if frame.ways == 0 {
            self.free.push(place);
        }
    }

    /// When the last frame arrives that is on its way.
    pub(crate) fn settled(&self) -> u64 {
        let frames = self.queue.iter().map(|Reverse((at, next))| match next {
            Next::Arrival(..) => *at,
            Next::Wake(_) => 0,
        });
        frames.max().unwrap_or_default()
    }
}
