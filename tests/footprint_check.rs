//! In the steady state the check engine allocates nothing: an attempt that is due, a check that passes, one that is borne.
//!
//! This binary counts allocations, so it holds one test only: another one on another thread would be counted too.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "counting.rs"]
mod counting;

use std::fmt::Write as _;
use std::path::Path;

use keepalite::check::conversation::{Outcome, Reason};
use keepalite::check::{Action, Engine, Event};
use keepalite::config::files::Memory;
use keepalite::config::{Options, load_from};
use keepalite::time::Instant;

#[test]
fn a_minute_of_a_thousand_checks_allocates_nothing() {
    let mut text = String::new();
    for service in 0..250 {
        writeln!(
            text,
            "virtual_server 10.0.{service}.1 80 {{\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\ndelay_loop 1"
        )
        .expect("memory");
        for server in 1..=4 {
            let real = format!("real_server 10.1.{service}.{server} 80 {{\nTCP_CHECK {{\n}}\n}}\n");
            text.push_str(&real);
        }
        text.push_str("}\n");
    }
    let mut files = Memory::new();
    files.insert("pools.conf", text);
    let loaded = load_from(&files, Path::new("pools.conf"), &Options::default());
    let model = loaded.expect("readable").model;
    let mut engine = Engine::new(model.lvs, &[], Instant(0));
    let mut out = Vec::with_capacity(8192);
    engine.handle(Event::Start, Instant(0), &mut out);
    let mut due = Vec::with_capacity(1024);
    let (mut attempts, mut before) = (0, 0);
    while let Some(now) = engine.deadline().filter(|at| *at < Instant(65_000_000)) {
        if now < Instant(5_000_000) {
            (attempts, before) = (0, counting::allocations());
        }
        engine.handle(Event::Deadline, now, &mut out);
        due.extend(out.drain(..).filter_map(|action| match action {
            Action::Start(id) => Some(id),
            _ => None,
        }));
        for id in due.drain(..) {
            attempts += 1;
            // Each fails at first, and has a place for what failed from then on. Later one in a hundred does, and passes at its
            // retry.
            let outcome = if now < Instant(3_000_000) || attempts % 100 == 0 {
                Outcome::Failed(Reason::Refused)
            } else {
                Outcome::Passed
            };
            engine.handle(Event::Outcome(id, outcome), now, &mut out);
        }
    }
    let allocations = counting::allocations() - before;
    assert_eq!(allocations, 0, "in {attempts} attempts");
    assert!((59_000..=61_000).contains(&attempts), "{attempts} attempts");
}
