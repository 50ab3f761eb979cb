//! A listener on every port of the switch.
//!
//! Frames are stamped by the kernel, seen where they enter the switch (each once, with the host that sent it), and taken
//! apart as far as a story needs: adverts, ARP, neighbour advertisements.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use keepalite::io::sys;
use keepalite::name::{Family, Mac, Version};
use keepalite::time::Centis;
use keepalite::wire::vrrp::Advert;
use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, socket_with, sockopt};

use super::Namespace;

/// A frame that a host sent.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// When it entered the switch.
    pub(crate) at: Instant,
    /// Name of the host.
    pub(crate) from: String,
    /// Source MAC.
    pub(crate) mac: Mac,
    /// What it is.
    pub(crate) seen: Seen,
    /// All of it, from the Ethernet header on.
    pub(crate) bytes: Vec<u8>,
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A VRRP advertisement; also inside an authentication header.
    Advert {
        version: Version,
        vrid: u8,
        priority: u8,
        interval: Centis,
        source: IpAddr,
        destination: IpAddr,
        addresses: Vec<IpAddr>,
    },
    /// ARP: gratuitous if sender and target are the same.
    Arp {
        request: bool,
        sender: Ipv4Addr,
        sender_mac: Mac,
        target: Ipv4Addr,
    },
    /// A neighbour advertisement.
    Neighbour { target: Ipv6Addr },
    /// A report of membership in multicast groups: IGMP, or MLD.
    Membership,
}

impl Seen {
    /// Priority of an advert.
    pub(crate) fn priority(&self) -> Option<u8> {
        match self {
            Self::Advert { priority, .. } => Some(*priority),
            _ => None,
        }
    }

    /// The address that is announced unasked: gratuitous ARP or neighbour advertisement.
    pub(crate) fn announced(&self) -> Option<IpAddr> {
        match self {
            Self::Arp { sender, target, .. } if sender == target => Some((*sender).into()),
            Self::Neighbour { target } => Some((*target).into()),
            _ => None,
        }
    }
}

/// Frames as a file that tcpdump and Wireshark read (draft-ietf-opsawg-pcap).
pub(crate) fn pcap<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<u8> {
    const ETHERNET: u32 = 1;
    let words = |words: [u32; 4]| words.map(u32::to_be_bytes).concat();
    let mut file = 0xa1b2_c3d4_u32.to_be_bytes().to_vec();
    file.extend([0, 2, 0, 4]);
    file.extend(words([0, 0, 65535, ETHERNET]));
    let mut start = None;
    for frame in frames {
        let since = frame.at - *start.get_or_insert(frame.at);
        let length = u32::try_from(frame.bytes.len()).expect("a frame");
        let seconds = u32::try_from(since.as_secs()).expect("a short story");
        file.extend(words([seconds, since.subsec_micros(), length, length]));
        file.extend(&frame.bytes);
    }
    file
}

/// The listener; it ends with this value.
pub(crate) struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    frames: Mutex<Vec<Frame>>,
    arrived: Condvar,
    over: AtomicBool,
}

impl Shared {
    fn frames(&self) -> MutexGuard<'_, Vec<Frame>> {
        self.frames.lock().expect("the listener lives")
    }
}

impl Capture {
    pub(super) fn start(namespace: &Namespace, ports: HashMap<u32, String>) -> io::Result<Self> {
        let socket = namespace.enter(open)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || listen(&socket, &ports, &theirs));
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// All frames so far, from the `from`th on.
    pub(crate) fn frames(&self, from: usize) -> Vec<Frame> {
        self.shared
            .frames()
            .get(from..)
            .unwrap_or_default()
            .to_vec()
    }

    /// The number of frames so far, for [`Self::frames`] and [`Self::wait_for`].
    pub(crate) fn len(&self) -> usize {
        self.shared.frames().len()
    }

    /// Waits for the first frame, counted from the `from`th, that is as wanted; woken by each frame that arrives.
    pub(crate) fn wait_for(
        &self,
        from: usize,
        at_most: Duration,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Option<Frame> {
        let deadline = Instant::now() + at_most;
        let mut frames = self.shared.frames();
        let mut looked_at = from;
        loop {
            let new = frames.get(looked_at..).unwrap_or_default();
            if let Some(found) = new.iter().find(|f| wanted(f)) {
                return Some(found.clone());
            }
            looked_at = frames.len().max(from);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.arrived.wait_timeout(frames, left);
            frames = waited.expect("the listener lives").0;
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::PACKET,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(eth::ALL),
    )?;
    sys::set_timestamps(socket.as_fd())?;
    // A client that asks every millisecond leaves its frames here too.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20);
    Ok(socket)
}

fn listen(socket: &OwnedFd, ports: &HashMap<u32, String>, shared: &Shared) {
    const PACKET_OUTGOING: u8 = 4;
    let mut buffer = [0; 2048];
    let (monotonic, real) = clocks();
    while !shared.over.load(Ordering::Relaxed) {
        // Bounded only so that the end of the capture is noticed.
        if !sys::wait_readable(socket.as_fd(), Duration::from_millis(50)).unwrap_or(false) {
            continue;
        }
        let Ok(passed) = sys::receive_frame(socket.as_fd(), &mut buffer) else {
            continue;
        };
        // The same frame is seen again when it leaves by another port, and at the bridge itself.
        let (Some(from), false) = (ports.get(&passed.ifindex), passed.kind == PACKET_OUTGOING)
        else {
            continue;
        };
        let bytes = buffer.get(..passed.len).unwrap_or_default();
        let Some((mac, seen)) = take_apart(bytes) else {
            continue;
        };
        let at = passed
            .at
            .and_then(|at| monotonic.checked_add(at.checked_sub(real)?))
            .unwrap_or_else(Instant::now);
        shared.frames().push(Frame {
            at,
            from: from.clone(),
            mac,
            seen,
            bytes: bytes.to_owned(),
        });
        shared.arrived.notify_all();
    }
}

/// The same moment on both clocks, which run alike for as long as a lab lives: the kernel stamps frames with the real one. The best of
/// several readings, as a busy machine may do something else between the two.
fn clocks() -> (Instant, Duration) {
    let reading = || {
        let before = Instant::now();
        let real = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        (before.elapsed(), before, real.unwrap_or_default())
    };
    let best = (0..16).map(|_| reading()).min().expect("several");
    (best.1, best.2)
}

fn take_apart(frame: &[u8]) -> Option<(Mac, Seen)> {
    let mac = Mac(*frame.get(6..)?.first_chunk()?);
    let payload = frame.get(14..)?;
    let seen = match *frame.get(12..14)?.first_chunk::<2>()? {
        [0x08, 0x00] => ipv4(payload),
        [0x08, 0x06] => arp(payload),
        [0x86, 0xdd] => ipv6(payload),
        _ => None,
    };
    seen.map(|seen| (mac, seen))
}

fn ipv4(packet: &[u8]) -> Option<Seen> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?));
    let payload = packet.get(header..total)?;
    let payload = match packet.get(9)? {
        112 => payload,
        51 => payload.get(24..)?,
        2 => return Some(Seen::Membership),
        _ => return None,
    };
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?).into());
    advert(payload, Family::V4, address(12)?, address(16)?)
}

fn ipv6(packet: &[u8]) -> Option<Seen> {
    let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?));
    let payload = packet.get(40..)?;
    match (packet.get(6)?, payload.first()?) {
        (112, _) => advert(payload, Family::V6, address(8)?.into(), address(24)?.into()),
        (58, 136) => Some(Seen::Neighbour {
            target: address(48)?,
        }),
        // A hop-by-hop header with its router alert stands before every message of MLD (RFC 3810 section 5).
        (0, 58) if matches!(payload.get(8)?, 131 | 132 | 143) => Some(Seen::Membership),
        _ => None,
    }
}

fn advert(payload: &[u8], family: Family, source: IpAddr, destination: IpAddr) -> Option<Seen> {
    let advert = Advert::new_checked(payload, family).ok()?;
    Some(Seen::Advert {
        version: advert.version(),
        vrid: advert.vrid().get(),
        priority: advert.priority(),
        interval: advert.interval(),
        source,
        destination,
        addresses: advert.addresses().collect(),
    })
}

fn arp(payload: &[u8]) -> Option<Seen> {
    let ip = |at: usize| Some(Ipv4Addr::from(*payload.get(at..)?.first_chunk::<4>()?));
    Some(Seen::Arp {
        request: *payload.get(7)? == 1,
        sender_mac: Mac(*payload.get(8..)?.first_chunk()?),
        sender: ip(14)?,
        target: ip(24)?,
    })
}
