//! A reload of 250 virtual routers: does the LAN notice?

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::figure::{Aim, Question};
use crate::lab::{Frame, Lab, Seen};
use crate::side::{MANY, Routers, Side, sweep};
use crate::{Bench, cost, usage};

/// Long enough for every router to advertise, and for the work to be over.
const WINDOW: Duration = Duration::from_millis(2500);

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"])])?;
    let questions = [
        ("longest gap between adverts", "ms", Aim::NoMoreThan(5.0)),
        ("CPU beyond the usual", "ms", Aim::NoMoreThan(1.0)),
        ("CPU of the same time before", "ms", Aim::None),
    ]
    .map(|(what, unit, aim)| Question { what, unit, aim });
    let more = Routers {
        excluded: 1,
        ..MANY
    };
    for (after, name) in [(MANY, "no change"), (more, "an address more each")] {
        let reps = bench.effort(1, 4);
        bench.compare(&format!("reload 250, {name}"), questions, reps, |side| {
            once(&lab, side, after)
        });
    }
    Ok(())
}

fn once(lab: &Lab, side: &Side, after: Routers) -> io::Result<[f64; 3]> {
    let config = MANY.write(lab)?;
    let capture = lab.capture()?;
    let router = side.start(lab, "router-a", &config)?;
    cost::settle(&capture, MANY.count)
        .ok_or_else(|| io::Error::other(format!("no adverts\n{}", router.output())))?;
    let processes = router.tree();
    let used = |time: Duration| -> io::Result<Duration> {
        let before = usage::cpu(&processes)?;
        std::thread::sleep(time);
        Ok(usage::cpu(&processes)?.saturating_sub(before))
    };
    let usual = used(WINDOW)?;
    rewrite(&config, after)?;
    let from = Instant::now();
    router.signal(Signal::HUP)?;
    let reloading = used(WINDOW)?;
    let gap = longest_gap(&capture.frames(0), from);
    if router.tree() != processes {
        return Err(io::Error::other("the reload started other processes"));
    }
    drop(router);
    sweep(lab.host("router-a"))?;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok([
        millis(gap),
        millis(reloading) - millis(usual),
        millis(usual),
    ])
}

fn rewrite(path: &Path, routers: Routers) -> io::Result<()> {
    std::fs::write(path, routers.text())
}

/// The longest time that any virtual router was silent and that reaches beyond `from`.
fn longest_gap(frames: &[Frame], from: Instant) -> Duration {
    let mut last: HashMap<u8, Instant> = HashMap::new();
    let mut longest = Duration::ZERO;
    for frame in frames {
        let Seen::Advert { vrid, .. } = frame.seen else {
            continue;
        };
        let before = last.insert(vrid, frame.at);
        if let Some(before) = before.filter(|_| frame.at > from) {
            longest = longest.max(frame.at.saturating_duration_since(before));
        }
    }
    longest
}
