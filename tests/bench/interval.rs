//! How evenly a master sends its adverts.

use std::io;
use std::time::Duration;

use crate::Bench;
use crate::figure::{Aim, Question, Samples};
use crate::lab::Lab;
use crate::side::{ONE, Routers, sweep};

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"])])?;
    let reps = bench.effort(1, 5);
    for (interval, nominal, quick, full) in
        [("1", 1e6, 3, 12), ("0.1", 1e5, 2, 7), ("0.01", 1e4, 2, 5)]
    {
        let routers = Routers { interval, ..ONE };
        let time = Duration::from_secs(bench.effort(quick, full));
        let questions = [
            Question {
                what: "deviation p50",
                unit: "us",
                aim: Aim::AtMost(50.0),
            },
            Question {
                what: "deviation p99",
                unit: "us",
                aim: Aim::None,
            },
            Question {
                what: "drift (mean, signed)",
                unit: "us",
                aim: Aim::AtMost(10.0),
            },
            Question {
                what: "adverts per second",
                unit: "1/s",
                aim: Aim::None,
            },
        ];
        bench.compare(&format!("interval {interval} s"), questions, reps, |side| {
            let config = routers.write(&lab)?;
            let capture = lab.capture()?;
            let router = side.start(&lab, "router-a", &config)?;
            // The first few are in the company of addresses and announcements.
            let silent = || io::Error::other(format!("no advert\n{}", router.output()));
            let first = capture
                .wait_for(0, Duration::from_secs(5), |f| f.seen.priority().is_some())
                .ok_or_else(silent)?;
            std::thread::sleep(time);
            let sent: Vec<_> = capture
                .frames(0)
                .into_iter()
                .filter(|f| f.seen.priority().is_some() && f.at > first.at)
                .map(|f| f.at)
                .collect();
            drop(router);
            sweep(lab.host("router-a"))?;
            let off: Vec<f64> = sent
                .windows(2)
                .filter_map(|pair| match pair {
                    [a, b] => Some(b.saturating_duration_since(*a).as_secs_f64() * 1e6 - nominal),
                    _ => None,
                })
                .collect();
            let signed: Samples = off.iter().copied().collect();
            let size: Samples = off.iter().map(|us| us.abs()).collect();
            let part = |part| {
                size.quantile(part)
                    .ok_or_else(|| io::Error::other("one advert only"))
            };
            let mean = signed.mean();
            Ok([part(0.5)?, part(0.99)?, mean, 1e6 / (nominal + mean)])
        });
    }
    Ok(())
}
