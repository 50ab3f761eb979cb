//! How long the LAN is without a master: from the end of one router to the first advert, the first gratuitous ARP and the
//! first answer of the other.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Bench;
use crate::figure::{Aim, Question};
use crate::lab::{Capture, Client, Lab};
use crate::side::{ONE, Routers, Side, sweep};

const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const MASTER: u8 = 200;
const BACKUP: u8 = 100;

/// What befalls the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    Cut,
    Terminated,
}

/// Beyond the time that RFC 9568 gives.
const LATE: Question = Question {
    what: "first advert, beyond theory",
    unit: "ms",
    aim: Aim::NoMoreThan(0.05),
};
const ANNOUNCED: Question = Question {
    what: "advert to first gratuitous ARP",
    unit: "ms",
    aim: Aim::NoMoreThan(0.05),
};
const ANSWERED: Question = Question {
    what: "advert to first answer",
    unit: "ms",
    aim: Aim::NoMoreThan(0.5),
};
const OUTAGE: Question = Question {
    what: "client without an answer",
    unit: "ms",
    aim: Aim::None,
};

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[
        ("router-a", &["10.0.0.1/8"]),
        ("router-b", &["10.0.0.2/8"]),
        ("client", &["10.0.0.9/8"]),
    ])?;
    let reps = bench.effort(2, 15);
    for (interval, micros) in [("0.1", 100_000), ("0.01", 10_000)] {
        let interval = Interval {
            text: interval,
            length: Duration::from_micros(micros),
        };
        for (fate, name) in [
            (Fate::Killed, "kill -9"),
            (Fate::Cut, "cable cut"),
            (Fate::Terminated, "TERM"),
        ] {
            let case = format!("takeover {} s, {name}", interval.text);
            let measure = |side: &Side| once(&lab, side, interval, fate);
            if fate == Fate::Cut {
                let questions = [LATE, ANNOUNCED, ANSWERED, OUTAGE];
                bench.compare(&case, questions, reps, measure);
            } else {
                bench.compare(&case, [LATE, ANNOUNCED], reps, |side| {
                    let [late, announced, ..] = measure(side)?;
                    Ok([late, announced])
                });
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Interval {
    text: &'static str,
    length: Duration,
}

fn once(lab: &Lab, side: &Side, interval: Interval, fate: Fate) -> io::Result<[f64; 4]> {
    let (a, b) = (lab.host("router-a"), lab.host("router-b"));
    let capture = lab.capture()?;
    let routers = |priority| Routers {
        interval: interval.text,
        priority,
        ..ONE
    };
    let configs = [routers(BACKUP).write(lab)?, routers(MASTER).write(lab)?];
    let backup = side.start(lab, "router-b", &configs[0])?;
    let mut master = side.start(lab, "router-a", &configs[1])?;
    settle(&capture).ok_or_else(|| {
        io::Error::other(format!("the master never settled\n{}", master.output()))
    })?;
    let client = (fate == Fate::Cut)
        .then(|| Client::start(lab.host("client"), VIRTUAL))
        .transpose()?;
    let soon = Duration::from_secs(2);
    if client.as_ref().is_some_and(|c| !c.wait_until_served(soon)) {
        return Err(io::Error::other("the client is never answered"));
    }

    let mark = capture.len();
    let began = Instant::now();
    match fate {
        Fate::Killed => master.kill_tree(),
        Fate::Cut => a.plug(false)?,
        Fate::Terminated => master.signal(Signal::TERM)?,
    }
    let enough = interval.length * 6 + Duration::from_secs(1);
    let first = capture
        .wait_for(mark, enough, |f| {
            f.from == "router-b" && f.seen.priority() == Some(BACKUP)
        })
        .ok_or_else(|| io::Error::other(format!("nobody took over\n{}", backup.output())))?;
    let announced = capture
        .wait_for(mark, enough, |f| {
            f.from == "router-b" && f.seen.announced() == Some(IpAddr::V4(VIRTUAL))
        })
        .ok_or_else(|| io::Error::other("no gratuitous ARP"))?;
    let last = capture
        .frames(0)
        .into_iter()
        .rfind(|f| f.from == "router-a" && f.seen.priority().is_some() && f.at <= first.at)
        .ok_or_else(|| io::Error::other("no advert of the master"))?;

    let skew = interval.length * (256 - u32::from(BACKUP)) / 256;
    let theory = match fate {
        Fate::Terminated if last.seen.priority() != Some(0) => {
            return Err(io::Error::other("the master went without a word"));
        }
        Fate::Terminated => skew,
        _ if last.seen.priority() == Some(0) => {
            return Err(io::Error::other("the master said good-bye"));
        }
        _ => interval.length * 3 + skew,
    };
    let (mut answered, mut outage) = (f64::NAN, f64::NAN);
    if let Some(client) = client.as_ref().filter(|c| c.wait_until_served(enough)) {
        let out = client.longest_outage(began);
        answered = millis(out.from + out.lasted, first.at);
        outage = out.lasted.as_secs_f64() * 1e3;
    }
    drop(client);
    drop((master, backup));
    if fate == Fate::Cut {
        a.plug(true)?;
    }
    sweep(a)?;
    sweep(b)?;
    let late = millis(first.at, last.at) - theory.as_secs_f64() * 1e3;
    Ok([late, millis(announced.at, first.at), answered, outage])
}

/// Waits until the better router alone has sent ten adverts.
fn settle(capture: &Capture) -> Option<()> {
    let mut from = 0;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        capture.wait_for(from, left, |f| f.seen.priority() == Some(MASTER))?;
        let adverts = capture.frames(0);
        let alone = adverts
            .iter()
            .rev()
            .filter_map(|f| f.seen.priority())
            .take_while(|p| *p == MASTER)
            .count();
        if alone >= 10 {
            return Some(());
        }
        from = adverts.len();
    }
}

/// From `earlier` to `later`; below nought if it was the other way round.
fn millis(later: Instant, earlier: Instant) -> f64 {
    let ahead = later.saturating_duration_since(earlier).as_secs_f64();
    let behind = earlier.saturating_duration_since(later).as_secs_f64();
    (ahead - behind) * 1e3
}
