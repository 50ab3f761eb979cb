//! From the death of a server to its removal: later than the check's own rules have it by how much?

use std::io;
use std::time::{Duration, Instant};

use crate::figure::{Aim, Question};
use crate::ground::{Ground, endpoint, key, service};
use crate::served::Served;
use crate::{Bench, Side};

/// `delay_loop`.
const INTERVAL: Duration = Duration::from_secs(1);
/// `delay_before_retry`, once.
const RETRY: Duration = Duration::from_millis(200);

pub(crate) fn run(bench: &mut Bench) -> io::Result<()> {
    let questions = [
        (
            "from the last success, beyond delay_loop and the retry",
            "ms",
            Aim::AtMost(5.0),
        ),
        ("from the death", "ms", Aim::None),
    ]
    .map(|(what, unit, aim)| Question { what, unit, aim });
    let reps = bench.effort(2, 12);
    bench.compare("death", questions, reps, once);
    Ok(())
}

fn once(ground: &Ground, side: &Side) -> io::Result<[f64; 2]> {
    let check = "TCP_CHECK {\n }";
    let lines = "delay_loop 1\n warmup 0\n retry 1\n delay_before_retry 0.2\n connect_timeout 1";
    let servers = [0, 1].map(|number| Served::start(ground.host(), endpoint(number).ip, false));
    let [first, second] = servers;
    let (first, _second) = (first?, second?);
    let begin = Instant::now();
    let daemon = ground.start(side, &service(0, lines, &[(0, check), (1, check)]))?;
    while first.since(begin).len() < 3 {
        if begin.elapsed() > crate::ground::LONG {
            return Err(io::Error::other(format!("no checks\n{}", daemon.output())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let last = *first.since(begin).last().expect("three");
    drop(first);
    let died = Instant::now();
    let dead = endpoint(0);
    let gone = ground.wait(key(0), died, |members| !members.contains_key(&dead))?;
    let removed = died + gone;
    drop(daemon);
    let late = removed.saturating_duration_since(last + INTERVAL + RETRY);
    Ok([late.as_secs_f64() * 1e3, gone.as_secs_f64() * 1e3])
}
