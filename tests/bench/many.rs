//! Thousands of addresses in one virtual router: how long after its decision a router has all of them, and has announced each; how
//! long it takes to give them up; and whether an advert was late meanwhile.
//!
//! Beside keepalived, and beside the floor: the same addresses by netlink requests that were written before, and the same frames
//! by `sendmmsg`, with the same listener beside it.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keepalite::io::address::{self, Assignment};
use keepalite::io::frame::{self, FrameSocket};
use keepalite::io::monitor::{Change, Monitor};
use keepalite::io::netlink::{Batch, Netlink};
use keepalite::io::sys;
use keepalite::name::IfName;
use rustix::process::Signal;

use crate::Bench;
use crate::figure::{Aim, Question};
use crate::lab::{Capture, Frame, Host, Lab, commit};
use crate::side::{ONE, Routers, Side, sweep};

/// Nothing takes as long.
const ENOUGH: Duration = Duration::from_secs(20);
const FLOOR: &str = "floor";
const INTERVAL: Duration = Duration::from_millis(100);

const HELD: Question = Question {
    what: "decision to last address",
    unit: "ms",
    aim: Aim::Ratio(1.0),
};
const ANNOUNCED: Question = Question {
    what: "decision to last announcement",
    unit: "ms",
    aim: Aim::Ratio(1.0),
};
const RELEASED: Question = Question {
    what: "resignation to last removal",
    unit: "ms",
    aim: Aim::Ratio(1.0),
};
const LATE: Question = Question {
    what: "latest advert, beyond its interval",
    unit: "ms",
    aim: Aim::AtMost(15.0),
};

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"])])?;
    let reps = bench.effort(1, 7);
    let floor = Side {
        name: FLOOR.to_owned(),
        program: PathBuf::new(),
    };
    for count in [100, 1000, 4000] {
        let case = format!("many {count} addresses");
        bench.compare(&case, [HELD, ANNOUNCED, RELEASED, LATE], reps, |side| {
            router(&lab, side, count)
        });
        let beside = |question| Question {
            aim: Aim::Ratio(1.2),
            ..question
        };
        let sides = [bench.sides[0].clone(), floor.clone()];
        let case = format!("many {count}, beside the floor");
        let questions = [HELD, ANNOUNCED, RELEASED].map(beside);
        bench.compare_sides(&case, &sides, questions, reps, |side| {
            let [held, announced, released, _] = if side.name == FLOOR {
                bare(&lab, count)?
            } else {
                router(&lab, side, count)?
            };
            Ok([held, announced, released])
        });
    }
    Ok(())
}

/// A router that becomes master by itself, and is told to end.
fn router(lab: &Lab, side: &Side, count: u16) -> io::Result<[f64; 4]> {
    let host = lab.host("router-a");
    let capture = lab.capture()?;
    let mut addresses = Addresses::watch(host)?;
    let routers = Routers {
        excluded: count - 1,
        ..ONE
    };
    // Each is announced once: what else the kernel has to carry is the same for everybody.
    let config = routers.write(lab)?;
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(
        &config,
        text.replace(
            "garp_master_delay 0",
            "garp_master_delay 0\n    garp_master_repeat 1",
        ),
    )?;
    let mut router = side.start(lab, "router-a", &config)?;
    let missing = |what: &str| io::Error::other(format!("no {what}"));
    let first = capture
        .wait_for(0, ENOUGH, |f| f.seen.priority() == Some(255))
        .ok_or_else(|| missing("advert"))?;
    let held = addresses.until(usize::from(count))?;
    let announced =
        all_announced(&capture, usize::from(count)).ok_or_else(|| missing("announcement"))?;
    let is_advert = |f: &Frame| f.seen.priority() == Some(255);
    let last = capture
        .wait_for(0, ENOUGH, |f| is_advert(f) && f.at > announced)
        .ok_or_else(|| missing("advert afterwards"))?;
    let frames = capture.frames(0);
    let adverts = frames.iter().filter(|f| is_advert(f) && f.at <= last.at);
    let adverts: Vec<Instant> = adverts.map(|f| f.at).collect();
    let gap = adverts.windows(2).map(|pair| pair[1] - pair[0]).max();
    let mark = capture.len();
    router.signal(Signal::TERM)?;
    let resigned = capture
        .wait_for(mark, ENOUGH, |f| f.seen.priority() == Some(0))
        .ok_or_else(|| missing("resignation"))?;
    let released = addresses.until(0)?;
    router.wait(ENOUGH)?;
    sweep(host)?;
    let millis =
        |to: Instant, from: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
    Ok([
        millis(held, first.at),
        millis(announced, first.at),
        millis(released, resigned.at),
        (gap.unwrap_or(INTERVAL).as_secs_f64() - INTERVAL.as_secs_f64()) * 1e3,
    ])
}

/// The same work with nothing around it.
fn bare(lab: &Lab, count: u16) -> io::Result<[f64; 4]> {
    let host = lab.host("router-a");
    let _capture = lab.capture()?;
    let mut addresses = Addresses::watch(host)?;
    let mut netlink = host
        .namespace
        .enter(Netlink::route)
        .map_err(io::Error::other)?;
    let mut socket = host
        .namespace
        .enter(FrameSocket::open)
        .map_err(io::Error::other)?;
    let all: Vec<Assignment> = (0..count)
        .map(u16::to_be_bytes)
        .map(|[high, low]| Ipv4Addr::new(10, high + 2, 1, low))
        .map(|ip| Assignment::new(host.eth0, IpAddr::V4(ip), 32))
        .collect();
    let eth0 = IfName::new("eth0").ok_or(io::ErrorKind::InvalidInput)?;
    let batch = |how: fn(&mut Batch, &Assignment, &IfName)| {
        let mut batch = Batch::new();
        all.iter()
            .for_each(|address| how(&mut batch, address, &eth0));
        batch
    };
    let (add, remove) = (batch(address::add), batch(address::remove));
    let frames = all
        .iter()
        .map(|a| frame::Frame::announcing(a.ip, host.mac, false));
    let mut frames = frames.peekable();
    let [held, announced] = beside(&mut addresses, usize::from(count), || {
        let begin = Instant::now();
        commit(&mut netlink, add)?;
        let held = begin.elapsed();
        while frames.peek().is_some() {
            socket.send_all(host.eth0, frames.by_ref().take(256))?;
        }
        Ok([held, begin.elapsed()])
    })?;
    let released = beside(&mut addresses, 0, || {
        let begin = Instant::now();
        commit(&mut netlink, remove)?;
        Ok(begin.elapsed())
    })?;
    let [held, announced, released] =
        [held, announced, released].map(|time| time.as_secs_f64() * 1e3);
    Ok([held, announced, released, 0.0])
}

/// Does some work beside a listener that waits for so many addresses.
fn beside<T>(
    addresses: &mut Addresses,
    count: usize,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| addresses.until(count));
        let done = work()?;
        watching.join().map_err(|_| io::ErrorKind::Other)??;
        Ok(done)
    })
}

/// The virtual addresses of a host, as the kernel tells of them.
struct Addresses {
    monitor: Monitor,
    there: HashSet<IpAddr>,
}

impl Addresses {
    fn watch(host: &Host) -> io::Result<Self> {
        Ok(Self {
            monitor: host
                .namespace
                .enter(Monitor::open)
                .map_err(io::Error::other)?,
            there: HashSet::new(),
        })
    }

    /// Waits until there are so many, and tells when it was so.
    fn until(&mut self, count: usize) -> io::Result<Instant> {
        let deadline = Instant::now() + ENOUGH;
        let mut changes = Vec::new();
        while self.there.len() != count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !sys::wait_readable(self.monitor.as_fd(), left)? {
                let text = format!("{} addresses, not {count}", self.there.len());
                return Err(io::Error::other(text));
            }
            self.monitor.read(&mut changes)?;
            for change in changes.drain(..) {
                match change {
                    Change::Address(a) if a.prefix == 32 => self.there.insert(a.ip),
                    Change::AddressGone(a) => self.there.remove(&a.ip),
                    Change::Overrun => return Err(io::Error::other("addresses were missed")),
                    _ => continue,
                };
            }
        }
        Ok(Instant::now())
    }
}

/// When the last of so many addresses was announced.
fn all_announced(capture: &Capture, count: usize) -> Option<Instant> {
    let deadline = Instant::now() + ENOUGH;
    let (mut announced, mut seen) = (HashSet::new(), 0);
    loop {
        let frames = capture.frames(seen);
        seen += frames.len();
        for frame in frames {
            announced.extend(frame.seen.announced());
            if announced.len() >= count {
                return Some(frame.at);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        capture.wait_for(seen, left, |f| f.seen.announced().is_some())?;
    }
}
