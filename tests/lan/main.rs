//! A LAN of virtual routers on a made-up clock: real engines that exchange real bytes, through a wire that loses, delays,
//! duplicates and reorders, while routers lose power, links and addresses come and go, trackers change their minds, the LAN
//! falls apart, configurations are reloaded, clocks drift and leap, and processes sleep. Everything random comes from one seed.
//!
//! The routers are of all kinds, side by side: versions 2 and 3, IPv4 and IPv6, multicast and unicast, both readings of the
//! checksum, passwords and authentication headers, owners and two who both claim to be one, with preemption, without, and with
//! a delay, alone and in sync groups over two segments, some that start late, up to thousands on one LAN.
//!
//! What holds between them, whatever the seed:
//!
//! 1. **OneMaster.** When all is calm for as long as the slowest timers take, each VRID has exactly one master, if anyone can
//!    be it. If all of its routers preempt, none that can run has a higher priority; among equals whoever came first stays.
//! 2. **Calm.** From then on nobody changes state.
//! 3. **FollowUp.** When the master loses power the one with the shortest master-down time follows within that time; when it
//!    stops in order, within its skew; give or take drift, delay and lateness. Nobody else does, unless his time is as short.
//! 4. **Rivals.** On a calm LAN a master stays beside a better one for no longer than that one's interval, give or take the
//!    same; with authentication headers three of them, for the better one may have to learn how far the other has counted.
//! 5. **Waits.** On a calm LAN nobody with `nopreempt` becomes master beside one that speaks, and nobody with `preempt_delay`
//!    before it is over.
//! 6. **Refused.** Nothing that we send is refused by others; with authentication headers, once all is calm.
//!
//! What holds for each by itself, after everything that happens to it:
//!
//! 7. **Addresses.** They are acquired by becoming master and released by ceasing to be; never twice, but for what a reload
//!    changes. A backup never holds or announces them. Nobody but a master advertises, except to resign.
//! 8. **Transition.** The state changes only as the documentation has it for what has happened. Nobody but an owner that
//!    wishes to is master without listening first, nobody starts before `vrrp_startup_delay` is over and all is known that may
//!    be a fault, and a reload changes no state that it need not.
//! 9. **Groups.** All members of a sync group are master or none is, all are in fault or none is, and the group is what they
//!    are.
//! 10. **Faults.** Who has a fault is in fault, and nobody else; who knows all that may be one has started.
//! 11. **Priority.** What is advertised is the configured priority with the weights of all that is tracked.
//! 12. **Listening.** A backup that hears an advert restarts its timer, shortens it to the skew, or lets it run, as section
//!     6.4.2 of RFC 9568 says; a new one waits the full time.
//! 13. **Contention.** A master that hears a better one gives way at once, and to nobody else (section 6.4.3), but that one
//!     which slept may have to; it answers a lower one at once.
//! 14. **Beat.** A master's next advert is never more than an interval after its last one.
//! 15. **Rest.** After a deadline the next one lies ahead; one that comes too early does nothing; who has stopped wants none.
//! 16. **Sequence.** No two adverts in answer to one event; no number of an authentication header is said twice.
//!
//! A seed that fails is made as small as it can be, and what then happened to the routers that it is about is told as scenario
//! files. `LAN_SEED=n` runs one seed; `LAN_RUNS=n` runs as many as that; `LAN_SECONDS=n` runs new ones for that long:
//! `LAN_SECONDS=7200 cargo test --release --test lan -- --nocapture`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bytes;
mod generator;
mod hearing;
mod host;
mod lan;
#[path = "../made/mod.rs"]
mod made;
mod network;
mod plan;
#[path = "../play/mod.rs"]
mod play;
mod property;
mod random;
mod rule;
mod shrink;
mod story;
mod witness;
mod world;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lan::{Failure, Lan};
use plan::Plan;

const SECOND: u64 = 1_000_000;

#[test]
fn whatever_happens_to_a_lan_its_properties_hold() {
    if let Some(seed) = number("LAN_SEED") {
        return try_seed(seed, &mut 0);
    }
    let started = Instant::now();
    let mut router_seconds = 0;
    let mut seeds = 0;
    if let Some(seconds) = number("LAN_SECONDS") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let first = now.expect("after 1970").as_secs() << 24;
        let mut told = started;
        while started.elapsed() < Duration::from_secs(seconds) {
            try_seed(first + seeds, &mut router_seconds);
            seeds += 1;
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                report(seeds, router_seconds, started);
            }
        }
    } else {
        while seeds < number("LAN_RUNS").unwrap_or(1000) {
            seeds += 1;
            try_seed(seeds, &mut router_seconds);
        }
    }
    report(seeds, router_seconds, started);
}

fn report(seeds: u64, router_seconds: u64, started: Instant) {
    let took = started.elapsed().as_secs_f64();
    let rate = router_seconds as f64 / took;
    println!("{seeds} LANs, {router_seconds} router-seconds in {took:.0} s: {rate:.0} a second");
}

fn try_seed(seed: u64, router_seconds: &mut u64) {
    let plan = Plan::new(seed);
    let mut lan = Lan::new(&plan, false);
    if let Err(failure) = lan.run() {
        let first = failure.breach.to_string();
        let (plan, failure) = shrink::shrink(plan, failure);
        let told = tell(&plan, &failure);
        panic!("seed {seed}: {first}\n{told}\nagain: LAN_SEED={seed} cargo test --test lan");
    }
    *router_seconds += lan.router_seconds();
}

/// How a plan fails, with a scenario file for each router that it is about.
fn tell(plan: &Plan, failure: &Failure) -> String {
    let mut lan = Lan::new(plan, true);
    let failed = lan.run().is_err();
    let breach = &failure.breach;
    let mut text = format!("{breach}, after {} us", failure.at);
    for at in &failure.hosts {
        let title = format!(
            "{breach}\nHost {at} of {} in a simulated LAN.",
            plan.hosts.len()
        );
        if let Some(story) = &lan.hosts[*at].story {
            text += &format!("\n--- scenario of host {at} ---\n{}", story.told(&title));
        }
    }
    if !failed {
        text += "\n(told, it did not fail)";
    }
    text
}

#[test]
fn what_a_router_has_lived_through_is_a_scenario_that_it_plays_again() {
    for seed in 1..=40 {
        let plan = Plan::new(seed);
        if plan.hosts.len() * plan.vrids.len() > 100 {
            continue;
        }
        let mut lan = Lan::new(&plan, true);
        assert!(lan.run().is_ok());
        for host in lan.hosts {
            let story = host.story.expect("it is told");
            let played = story.told("");
            let answers = played.lines().filter(|line| {
                line.strip_prefix("< ")
                    .is_some_and(|rest| !rest.starts_with(' '))
            });
            let answers: Vec<&str> = answers.collect();
            let done: Vec<&str> = story.answers().lines().collect();
            let same = answers
                .iter()
                .zip(&done)
                .take_while(|(a, b)| a == b)
                .count();
            assert!(
                answers == done,
                "seed {seed}, host {}: {:?} became {:?} of\n{played}",
                host.number,
                done.get(same),
                answers.get(same)
            );
        }
    }
}

#[test]
fn a_lan_that_goes_wrong_is_told_as_a_short_story() {
    // Version 2 drops adverts of another interval: two of these cannot agree.
    let mut plan = Plan::new(3);
    for host in &mut plan.hosts {
        host.grouped = false;
        host.own[0] = Some(vec![format!("advert_int {}", host.number)]);
    }
    plan.vrids[0].lines.clear();
    let failure = Lan::new(&plan, false).run().expect_err("two masters");
    let (plan, failure) = shrink::shrink(plan, failure);
    assert_eq!(failure.breach.rule, rule::Rule::Rivals, "{failure:?}");
    assert_eq!((plan.hosts.len(), plan.vrids.len()), (2, 1), "{plan:?}");
    assert!(
        plan.rounds.iter().all(|round| round.happenings.is_empty()),
        "{plan:?}"
    );
    let told = tell(&plan, &failure);
    assert!(told.contains("\nadvert_int"), "{told}");
    assert!(told.contains("notify Master"), "{told}");
    assert!(told.lines().count() < 200, "{told}");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
