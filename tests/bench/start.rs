//! From the start of the program to the first advert, and how long it takes to check a configuration.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::figure::{Aim, Question};
use crate::lab::Lab;
use crate::side::{ONE, Routers, Side, sweep};
use crate::{Bench, usage};

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"])])?;
    let question = Question {
        what: "exec to first advert of an owner",
        unit: "ms",
        aim: Aim::AtMost(5.0),
    };
    let reps = bench.effort(3, 20);
    bench.compare("start", [question], reps, |side| first(&lab, side));
    if let Some(fixed) = bench.fixed.clone() {
        let sides = [fixed, bench.peer.clone()];
        bench.compare_sides("start static", &sides, [question], reps, |side| {
            first(&lab, side)
        });
    }
    Ok(())
}

fn first(lab: &Lab, side: &Side) -> io::Result<[f64; 1]> {
    let config = ONE.write(lab)?;
    let capture = lab.capture()?;
    let began = Instant::now();
    let router = side.start(lab, "router-a", &config)?;
    let advert = capture
        .wait_for(0, Duration::from_secs(5), |f| f.seen.priority().is_some())
        .ok_or_else(|| io::Error::other(format!("no advert\n{}", router.output())))?;
    drop(router);
    sweep(lab.host("router-a"))?;
    Ok([advert.at.saturating_duration_since(began).as_secs_f64() * 1e3])
}

/// `-t` of files from small to huge.
pub(crate) fn check(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"])])?;
    let many = |excluded| Routers {
        count: 250,
        version: 2,
        interval: "1",
        excluded,
        ..ONE
    };
    for (routers, reps, ratio) in [
        (ONE, bench.effort(3, 20), 0.1),
        (many(27), bench.effort(2, 10), 0.33),
        (many(387), bench.effort(1, 5), 0.33),
    ] {
        let config = routers.write(&lab)?;
        let case = format!("test of {} lines", routers.text().lines().count());
        let questions =
            [("wall", Aim::Ratio(ratio)), ("CPU", Aim::Ratio(ratio))].map(|(what, aim)| Question {
                what,
                unit: "ms",
                aim,
            });
        bench.compare(&case, questions, reps, |side| {
            let path = config.display().to_string();
            let began = Instant::now();
            let mut test =
                lab.host("router-a")
                    .start(&side.program, &["-t", "-P", "-f", &path], &[])?;
            let id = test.id();
            let pid = Pid::from_raw(id.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
            // Not yet reaped, so that what it used can still be read.
            waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            )?;
            let wall = began.elapsed();
            let cpu = usage::cpu(&[id])?;
            let status = test.wait(Duration::from_secs(1))?;
            if !status.success() {
                return Err(io::Error::other(format!("{status}\n{}", test.output())));
            }
            Ok([wall, cpu].map(|time| time.as_secs_f64() * 1e3))
        });
    }
    Ok(())
}
