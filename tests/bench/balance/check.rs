//! What a check costs, with a thousand servers that are checked every second.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::figure::{Aim, Question};
use crate::ground::{Ground, LONG, service};
use crate::lab::Process;
use crate::served::Served;
use crate::usage::{self, Memory};
use crate::{Bench, Side};

const SERVERS: u16 = 1000;
/// To each virtual server.
const EACH: u16 = 4;

pub(crate) fn tcp(bench: &mut Bench) -> io::Result<()> {
    compare(bench, "tcp 1,000 x 1 s", false)
}

pub(crate) fn http(bench: &mut Bench) -> io::Result<()> {
    compare(bench, "http 1,000 x 1 s", true)
}

fn compare(bench: &mut Bench, case: &str, answering: bool) -> io::Result<()> {
    let questions = [
        ("CPU per check", "us", Aim::Ratio(0.5)),
        ("checks in a second", "", Aim::None),
        ("checks in the busiest 10 ms", "", Aim::AtMost(100.0)),
        ("resident (RSS)", "kB", Aim::Ratio(0.25)),
        ("proportional (PSS)", "kB", Aim::Ratio(0.25)),
    ]
    .map(|(what, unit, aim)| Question { what, unit, aim });
    let time = Duration::from_secs(bench.effort(4, 10));
    let reps = bench.effort(1, 5);
    bench.compare(case, questions, reps, |ground, side| {
        play(ground, side, answering, |daemon, served| {
            cost(daemon, served, time)
        })
    });
    let calls = Question {
        what: "system calls per check",
        unit: "",
        aim: Aim::Ratio(0.5),
    };
    let reps = bench.effort(1, 2);
    bench.compare(case, [calls], reps, |ground, side| {
        play(ground, side, answering, |daemon, served| {
            calls_of(ground, daemon, served, time)
        })
    });
    Ok(())
}

fn configuration(answering: bool) -> String {
    let check = if answering {
        "HTTP_GET {\n url {\n path /\n status_code 200\n }\n }"
    } else {
        "TCP_CHECK {\n }"
    };
    (0..SERVERS / EACH)
        .map(|number| {
            let servers: Vec<_> = (0..EACH).map(|n| (number * EACH + n, check)).collect();
            service(number, "delay_loop 1\n connect_timeout 2", &servers)
        })
        .collect()
}

/// Starts the servers and who checks them, waits until it goes evenly, measures.
fn play<const N: usize>(
    ground: &Ground,
    side: &Side,
    answering: bool,
    measure: impl FnOnce(&Process, &Served) -> io::Result<[f64; N]>,
) -> io::Result<[f64; N]> {
    let served = Served::start(ground.host(), IpAddr::V4(Ipv4Addr::UNSPECIFIED), answering)?;
    let begin = Instant::now();
    let daemon = ground.start(side, &configuration(answering))?;
    while served.since(begin).len() < 2 * usize::from(SERVERS) {
        if begin.elapsed() > LONG {
            return Err(io::Error::other(format!(
                "only {} checks in {LONG:?}\n{}",
                served.since(begin).len(),
                daemon.output()
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    measure(&daemon, &served)
}

fn cost(daemon: &Process, served: &Served, time: Duration) -> io::Result<[f64; 5]> {
    let processes = daemon.tree();
    let begin = Instant::now();
    let before = usage::cpu(&processes)?;
    std::thread::sleep(time);
    let used = usage::cpu(&processes)?.saturating_sub(before);
    let took = begin.elapsed();
    let times = served.since(begin);
    let checks = count(times.len());
    let mut busiest = 0;
    let mut from = 0;
    for (to, at) in times.iter().enumerate() {
        while times[from] + Duration::from_millis(10) < *at {
            from += 1;
        }
        busiest = busiest.max(to - from + 1);
    }
    let memory = Memory::of(&processes)?;
    Ok([
        used.as_secs_f64() * 1e6 / checks,
        checks / took.as_secs_f64(),
        count(busiest),
        memory.resident,
        memory.proportional,
    ])
}

fn calls_of(
    ground: &Ground,
    daemon: &Process,
    served: &Served,
    time: Duration,
) -> io::Result<[f64; 1]> {
    let summary = ground.lab.scratch().join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&summary);
    let processes = daemon.tree();
    for id in &processes {
        strace.args(["-p", &id.to_string()]);
    }
    let mut strace = strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begin = Instant::now();
    while !processes.iter().all(|id| is_traced(*id)) && begin.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
    let begin = Instant::now();
    std::thread::sleep(time);
    let checks = count(served.since(begin).len());
    if let Some(id) = Pid::from_raw(strace.id().cast_signed()) {
        kill_process(id, Signal::INT)?;
    }
    strace.wait()?;
    Ok([total(&summary)? / checks])
}

pub(crate) fn is_traced(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status
        .lines()
        .filter_map(|line| line.strip_prefix("TracerPid:"))
        .any(|tracer| tracer.trim() != "0")
}

/// The calls of `strace -c`, whose lines are as "100.00  0.1  5  1234  7 connect". A look at the clock is one in user-mode Linux
/// only, which has none that can be read without.
pub(crate) fn total(summary: &Path) -> io::Result<f64> {
    let text = std::fs::read_to_string(summary)?;
    let calls = |name: &str| {
        let mut lines = text.lines().filter(|line| line.ends_with(name));
        lines.find_map(|line| line.split_whitespace().nth(3)?.parse::<f64>().ok())
    };
    let all = calls(" total")
        .ok_or_else(|| io::Error::other(format!("strace counted nothing\n{text}")))?;
    Ok(all - calls(" clock_gettime").unwrap_or(0.0))
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::NAN, f64::from)
}
