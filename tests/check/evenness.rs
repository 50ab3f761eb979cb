//! A thousand checks a second come evenly, also after a moment in which nobody could look at them.

use std::collections::VecDeque;
use std::fmt::Write as _;

use keepalite::check::conversation::Outcome;
use keepalite::check::{Action, Engine, Event};
use keepalite::time::Instant;

const SECOND: u64 = 1_000_000;
/// How long an attempt takes; they are made one after the other.
const ATTEMPT: u64 = 200;

/// A thousand servers that are checked every second.
fn configuration(interval: &str) -> String {
    let mut text = String::new();
    for service in 0..250 {
        writeln!(
            text,
            "virtual_server 10.0.{service}.1 80 {{\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\ndelay_loop {interval}"
        )
        .expect("memory");
        for server in 1..=4 {
            writeln!(
                text,
                "real_server 10.1.{service}.{server} 80 {{\nTCP_CHECK {{\n}}\n}}"
            )
            .expect("memory");
        }
        text.push_str("}\n");
    }
    text
}

struct Clock {
    engine: Engine,
    now: u64,
    ends: VecDeque<(u64, keepalite::check::ProbeId)>,
    /// When attempts began.
    begun: Vec<u64>,
    wakes: usize,
}

impl Clock {
    fn start() -> Self {
        let model = super::read(&configuration("1"), "a thousand servers");
        let mut clock = Self {
            engine: Engine::new(model.lvs, &[], Instant(0)),
            now: 0,
            ends: VecDeque::new(),
            begun: Vec::new(),
            wakes: 0,
        };
        clock.happen(Event::Start);
        clock
    }

    fn happen(&mut self, event: Event<'_>) {
        let mut out = Vec::new();
        self.engine.handle(event, Instant(self.now), &mut out);
        for action in out {
            if let Action::Start(id) = action {
                let free = self.ends.back().map_or(self.now, |(end, _)| *end);
                let begin = free.max(self.now);
                self.begun.push(begin);
                self.ends.push_back((begin + ATTEMPT, id));
            }
        }
    }

    /// What happens until then.
    fn run_until(&mut self, end: u64) {
        loop {
            let due = self.engine.deadline().map_or(u64::MAX, |at| at.0);
            let over = self.ends.front().map_or(u64::MAX, |(at, _)| *at);
            let next = due.min(over).max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            self.wakes += 1;
            while let Some((_, id)) = self.ends.front().copied().filter(|(at, _)| *at <= next) {
                self.ends.pop_front();
                self.happen(Event::Outcome(id, Outcome::Passed));
            }
            self.happen(Event::Deadline);
        }
    }

    /// Most attempts that began within 10 ms since `from`.
    fn busiest(&self, from: u64) -> usize {
        let since = self.begun.partition_point(|at| *at < from);
        let times = &self.begun[since..];
        let count = |(place, begin): (usize, &u64)| {
            times[place..].partition_point(|at| *at < begin + 10_000)
        };
        times.iter().enumerate().map(count).max().unwrap_or(0)
    }
}

#[test]
fn a_thousand_checks_in_a_second_come_evenly() {
    let mut clock = Clock::start();
    clock.run_until(60 * SECOND);
    let busiest = clock.busiest(2 * SECOND);
    assert!(busiest <= 20, "{busiest} within 10 ms");
}

#[test]
fn a_burst_after_a_busy_moment_does_not_stay_one() {
    for length in [SECOND / 5, SECOND / 2, 3 * SECOND] {
        let mut clock = Clock::start();
        clock.run_until(10 * SECOND);
        clock.now += length;
        clock.run_until(30 * SECOND);
        assert!(clock.busiest(10 * SECOND) >= 40, "it is one at first");
        let busiest = clock.busiest(18 * SECOND);
        assert!(busiest <= 30, "{busiest} within 10 ms, after {length} µs");
    }
}

#[test]
fn several_checks_are_begun_and_waited_for_together() {
    let mut clock = Clock::start();
    clock.run_until(10 * SECOND);
    let (wakes, begun) = (clock.wakes, clock.begun.len());
    clock.run_until(20 * SECOND);
    let (wakes, begun) = (clock.wakes - wakes, clock.begun.len() - begun);
    assert!(begun >= 9_900, "{begun}");
    // One for each end, which here come one by one, and one for every few that begin.
    assert!(wakes <= begun * 3 / 2, "{wakes} for {begun}");
}

#[test]
fn a_reload_that_quickens_all_checks_makes_no_burst() {
    let mut clock = Clock::start();
    let slow = super::read(&configuration("60"), "a thousand servers");
    clock.run_until(10 * SECOND);
    clock
        .engine
        .reload(slow.lvs, &[], Instant(clock.now), &mut Vec::new());
    clock.run_until(100 * SECOND);
    let quick = super::read(&configuration("1"), "a thousand servers");
    clock
        .engine
        .reload(quick.lvs, &[], Instant(clock.now), &mut Vec::new());
    clock.run_until(110 * SECOND);
    let busiest = clock.busiest(100 * SECOND);
    assert!(busiest <= 30, "{busiest} within 10 ms");
}
