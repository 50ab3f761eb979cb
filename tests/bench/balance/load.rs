//! A thousand virtual servers with four real ones each: their start, a reload, their end, and what they occupy.

use std::io;
use std::time::{Duration, Instant};

use keepalite::io::ipvs::{Destination, Forwarding, Row, Service, Table, plan};
use keepalite::name::Family;
use rustix::process::Signal;

use crate::figure::{Aim, Question};
use crate::ground::{Ground, LONG, endpoint, key, service, told};
use crate::lab::Process;
use crate::usage::{self, Memory};
use crate::{Bench, Side};

const SERVICES: u16 = 1000;
const SERVERS: u16 = 4;
/// By then both have given back what they needed to read the configuration.
const AT_REST: Duration = Duration::from_secs(7);
/// All processes together.
const MEMORY: [(&str, &str, Aim); 2] = [
    ("resident (RSS)", "kB", Aim::Ratio(0.25)),
    ("proportional (PSS)", "kB", Aim::Ratio(0.25)),
];

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let questions = [
        ("start to the whole table", "ms", Aim::Ratio(0.33)),
        ("CPU of it", "ms", Aim::Ratio(0.33)),
        MEMORY[0],
        MEMORY[1],
        ("reload without a change: CPU", "ms", Aim::NoMoreThan(0.0)),
        (
            "reload, one weight: until the kernel has it",
            "ms",
            Aim::NoMoreThan(0.0),
        ),
        ("CPU of it", "ms", Aim::NoMoreThan(0.0)),
        ("end", "ms", Aim::NoMoreThan(0.0)),
        ("virtual servers left behind", "", Aim::AtMost(0.0)),
        ("floor: making the table", "ms", Aim::None),
        ("floor: reading it", "ms", Aim::None),
    ]
    .map(question);
    let reps = bench.effort(1, 5);
    bench.compare("load 1,000 x 4", questions, reps, once);
    if let Some(sides) = bench.shipped.clone() {
        let reps = bench.effort(1, 3);
        let case = "load 1,000 x 4, static";
        bench.compare_sides(case, &sides, MEMORY.map(question), reps, occupied);
    }
    Ok(())
}

const fn question((what, unit, aim): (&'static str, &'static str, Aim)) -> Question {
    Question { what, unit, aim }
}

/// Starts a side with the whole table; the instant of that, and how long it took.
fn load(ground: &Ground, side: &Side) -> io::Result<(Process, Instant, Duration)> {
    let begin = Instant::now();
    let daemon = ground.start(side, &configuration(1))?;
    let whole = |members: &crate::ground::Members| members.len() == usize::from(SERVERS);
    let loaded = ground.wait(key(SERVICES - 1), begin, whole)?;
    Ok((daemon, begin, loaded))
}

/// What a side occupies once it rests.
fn occupied(ground: &Ground, side: &Side) -> io::Result<[f64; 2]> {
    let (mut daemon, begin, _) = load(ground, side)?;
    let memory = at_rest(&daemon, begin)?;
    daemon.terminate(LONG)?;
    Ok([memory.resident, memory.proportional])
}

fn at_rest(daemon: &Process, begin: Instant) -> io::Result<Memory> {
    std::thread::sleep(AT_REST.saturating_sub(begin.elapsed()));
    Memory::of(&daemon.tree())
}

/// The configuration, with one real server of another weight.
fn configuration(weight: u8) -> String {
    let last = SERVICES - 1;
    (0..SERVICES)
        .map(|number| {
            let other = format!("weight {}", if number == last { weight } else { 1 });
            let servers: Vec<_> = (0..SERVERS)
                .map(|server| {
                    (
                        server,
                        if server + 1 == SERVERS {
                            other.as_str()
                        } else {
                            "weight 1"
                        },
                    )
                })
                .collect();
            service(number, "", &servers)
        })
        .collect()
}

fn once(ground: &Ground, side: &Side) -> io::Result<[f64; 11]> {
    let [making, reading] = floor(ground)?;
    let last = key(SERVICES - 1);
    let whole = usize::from(SERVERS);
    let (mut daemon, begin, loaded) = load(ground, side)?;
    let processes = daemon.tree();
    let loading = usage::cpu(&processes)?;
    settle(&processes)?;
    let table = ground.ipvs.borrow_mut().read().map_err(told)?;
    let there: usize = table.values().map(|row| row.destinations.len()).sum();
    if (table.len(), there) != (SERVICES.into(), usize::from(SERVICES) * whole) {
        return Err(io::Error::other(format!(
            "{} virtual, {there} real servers",
            table.len()
        )));
    }
    let memory = at_rest(&daemon, begin)?;

    let before = usage::cpu(&processes)?;
    daemon.signal(Signal::HUP)?;
    settle(&processes)?;
    let unchanged = usage::cpu(&processes)?.saturating_sub(before);

    ground.write(&configuration(9))?;
    let before = usage::cpu(&processes)?;
    let begin = Instant::now();
    daemon.signal(Signal::HUP)?;
    let odd = endpoint(SERVERS - 1);
    let heavier = |weight| {
        move |members: &crate::ground::Members| {
            members.get(&odd).is_some_and(|d| d.weight == weight)
        }
    };
    let reloaded = ground.wait(last, begin, heavier(9))?;
    settle(&processes)?;
    let reloading = usage::cpu(&processes)?.saturating_sub(before);

    let begin = Instant::now();
    daemon.terminate(LONG)?;
    let ended = begin.elapsed();
    let left = ground.ipvs.borrow_mut().read().map_err(told)?.len();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok([
        ms(loaded),
        ms(loading),
        memory.resident,
        memory.proportional,
        ms(unchanged),
        ms(reloaded),
        ms(reloading),
        ms(ended),
        f64::from(u32::try_from(left).unwrap_or(u32::MAX)),
        making,
        reading,
    ])
}

/// Waits until the processes have had nothing to do for half a second.
fn settle(processes: &[u32]) -> io::Result<()> {
    let pause = Duration::from_millis(500);
    let mut before = usage::cpu(processes)?;
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        std::thread::sleep(pause);
        let now = usage::cpu(processes)?;
        if now.saturating_sub(before).as_millis() < 2 {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

/// The same table by nothing but requests: how long it takes to make and to read, in milliseconds.
fn floor(ground: &Ground) -> io::Result<[f64; 2]> {
    let destinations = (0..SERVERS)
        .map(|server| (endpoint(server), Destination::new(Forwarding::Nat, 1)))
        .collect();
    let row = Row {
        service: Service::new("wlc".try_into().expect("short"), Family::V4),
        destinations,
    };
    let desired: Table = (0..SERVICES)
        .map(|number| (key(number), row.clone()))
        .collect();
    let empty = Table::new();
    let steps = plan(&desired, &empty, |_| false);
    let mut ipvs = ground.ipvs.borrow_mut();
    ipvs.flush().map_err(told)?;
    let begin = Instant::now();
    let refused = ipvs.apply(&steps).map_err(told)?;
    let took = begin.elapsed();
    if let Some(first) = refused.first() {
        return Err(io::Error::other(keepalite::error::Chain(first).to_string()));
    }
    let begin = Instant::now();
    ipvs.read().map_err(told)?;
    Ok([took, begin.elapsed()].map(|time| time.as_secs_f64() * 1e3))
}
