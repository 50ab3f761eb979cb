//! What the daemons occupy while they are master, all their processes together.

use std::io;

use crate::figure::{Aim, Question};
use crate::lab::Lab;
use crate::side::{MANY, ONE, Routers, Side, sweep};
use crate::{Bench, cost, usage};

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let lab = Lab::new(&[("router-a", &["10.0.0.1/8"])])?;
    let reps = bench.effort(1, 3);
    let questions = [
        ("resident (RSS)", "kB", Aim::None),
        ("proportional (PSS)", "kB", Aim::Ratio(0.25)),
        ("private (USS)", "kB", Aim::AtMost(200.0)),
        ("anonymous", "kB", Aim::None),
        ("processes", "", Aim::None),
        ("threads", "", Aim::AtMost(2.0)),
    ]
    .map(|(what, unit, aim)| Question { what, unit, aim });
    for (routers, name) in [(ONE, "1 router"), (MANY, "250 routers")] {
        let case = format!("memory {name}");
        bench.compare(&case, questions, reps, |side| once(&lab, side, routers));
        if let Some(fixed) = bench.fixed.clone() {
            let sides = [fixed, bench.peer.clone()];
            let case = format!("memory static {name}");
            bench.compare_sides(&case, &sides, questions, reps, |side| {
                once(&lab, side, routers)
            });
        }
    }
    Ok(())
}

fn once(lab: &Lab, side: &Side, routers: Routers) -> io::Result<[f64; 6]> {
    let capture = lab.capture()?;
    let router = side.start(lab, "router-a", &routers.write(lab)?)?;
    cost::settle(&capture, routers.count)
        .ok_or_else(|| io::Error::other(format!("no adverts\n{}", router.output())))?;
    let processes = router.tree();
    let memory = usage::Memory::of(&processes)?;
    let threads = usage::threads(&processes)?;
    drop(router);
    sweep(lab.host("router-a"))?;
    let count = |n: usize| u32::try_from(n).map_or(f64::NAN, f64::from);
    Ok([
        memory.resident,
        memory.proportional,
        memory.private,
        memory.anonymous,
        count(processes.len()),
        count(threads),
    ])
}
