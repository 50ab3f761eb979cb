//! What an advert costs whoever sends it and whoever hears it: system calls and time on a processor, in separate passes, for
//! counting calls makes them dear.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::figure::{Aim, Question};
use crate::lab::{Capture, Lab, Process};
use crate::side::{MANY, ONE, Routers, Side, sweep};
use crate::{Bench, usage};

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"]), ("router-b", &["10.0.0.2/8"])])?;
    let quickly = Routers {
        interval: "0.01",
        ..ONE
    };
    let peer = bench.peer.clone();
    for (routers, name) in [(quickly, "1 x 0.01 s"), (MANY, "250 x 1 s")] {
        for (as_master, role) in [(true, "master"), (false, "backup")] {
            let case = format!("cost {role} {name}");
            let cast = Cast {
                lab: &lab,
                routers,
                peer: (!as_master).then_some(&peer),
            };
            let time = Duration::from_secs(bench.effort(2, 6));
            let cpu = Question {
                what: "CPU per advert",
                unit: "us",
                aim: Aim::Ratio(0.6),
            };
            let reps = bench.effort(1, 5);
            bench.compare(&case, [cpu], reps, |side| Ok([cast.cpu(side, time)?]));
            let calls = Question {
                what: "system calls per advert",
                unit: "",
                aim: Aim::AtMost(2.05),
            };
            let time = Duration::from_secs(bench.effort(2, 4));
            let reps = bench.effort(1, 2);
            bench.compare(&case, [calls], reps, |side| Ok([cast.calls(side, time)?]));
        }
    }
    Ok(())
}

/// Who plays: the measured side as master, or as backup of an unchanging peer.
#[derive(Clone, Copy)]
struct Cast<'a> {
    lab: &'a Lab,
    routers: Routers,
    peer: Option<&'a Side>,
}

impl Cast<'_> {
    fn cpu(self, side: &Side, time: Duration) -> io::Result<f64> {
        self.play(side, |capture, measured| {
            let processes = measured.tree();
            let before = (usage::cpu(&processes)?, adverts(capture));
            std::thread::sleep(time);
            let used = usage::cpu(&processes)?.saturating_sub(before.0);
            Ok(used.as_secs_f64() * 1e6 / (adverts(capture) - before.1))
        })
    }

    fn calls(self, side: &Side, time: Duration) -> io::Result<f64> {
        let summary = self.lab.scratch().join("strace");
        self.play(side, |capture, measured| {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-c", "-o"]).arg(&summary);
            for id in measured.tree() {
                strace.args(["-p", &id.to_string()]);
            }
            strace.stdout(Stdio::null()).stderr(Stdio::null());
            let mut strace = strace.spawn()?;
            let traced = || measured.tree().iter().all(|id| is_traced(*id));
            let deadline = Instant::now() + Duration::from_secs(5);
            while !traced() && Instant::now() < deadline {
                std::thread::yield_now();
            }
            let before = adverts(capture);
            std::thread::sleep(time);
            let counted = adverts(capture) - before;
            if let Some(id) = Pid::from_raw(strace.id().cast_signed()) {
                kill_process(id, Signal::INT)?;
            }
            strace.wait()?;
            Ok(total(&summary)? / counted)
        })
    }

    /// Starts who is needed, waits until it goes evenly, measures.
    fn play(
        self,
        side: &Side,
        measure: impl FnOnce(&Capture, &Process) -> io::Result<f64>,
    ) -> io::Result<f64> {
        let capture = self.lab.capture()?;
        let config = self.routers.write(self.lab)?;
        let (master, backup) = match self.peer {
            None => (side.start(self.lab, "router-a", &config)?, None),
            Some(peer) => {
                let master = peer.start(self.lab, "router-a", &config)?;
                let lower = Routers {
                    priority: 100,
                    ..self.routers
                };
                let backup = side.start(self.lab, "router-b", &lower.write(self.lab)?)?;
                (master, Some(backup))
            }
        };
        let measured = backup.as_ref().unwrap_or(&master);
        settle(&capture, self.routers.count)
            .ok_or_else(|| io::Error::other(format!("no adverts\n{}", measured.output())))?;
        let result = measure(&capture, measured);
        drop((master, backup));
        sweep(self.lab.host("router-a"))?;
        sweep(self.lab.host("router-b"))?;
        result
    }
}

/// Waits until every virtual router has been heard, and the commotion of the beginning is over.
pub(crate) fn settle(capture: &Capture, routers: u8) -> Option<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut from = 0;
    let mut heard = HashSet::new();
    while heard.len() < usize::from(routers) {
        let left = deadline.saturating_duration_since(Instant::now());
        capture.wait_for(from, left, |f| f.seen.priority().is_some())?;
        for frame in capture.frames(from) {
            from += 1;
            if let crate::lab::Seen::Advert { vrid, .. } = frame.seen {
                heard.insert(vrid);
            }
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    Some(())
}

fn adverts(capture: &Capture) -> f64 {
    let frames = capture.frames(0);
    let count = frames.iter().filter(|f| f.seen.priority().is_some());
    u32::try_from(count.count()).map_or(f64::NAN, f64::from)
}

fn is_traced(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status
        .lines()
        .filter_map(|line| line.strip_prefix("TracerPid:"))
        .any(|tracer| tracer.trim() != "0")
}

/// The calls in the last line of `strace -c`: "100.00  0.1  5  1234  7 total".
fn total(summary: &Path) -> io::Result<f64> {
    let text = std::fs::read_to_string(summary)?;
    if std::env::var_os("VERSUS_LOG").is_some() {
        println!("{text}");
    }
    text.lines()
        .rfind(|line| line.ends_with("total"))
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("strace counted nothing\n{text}")))
}
