//! The laboratory itself: what the other tests, the benches and the example rely on.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{self, Client, Lab, Seen, with_namespaces};

const SOON: Duration = Duration::from_secs(5);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn with_lab(test: impl FnOnce(&Lab)) {
    with_namespaces(|| {
        let lab = Lab::new(&[
            ("a", &["10.0.0.2/24", "2001:db8::2/64"]),
            ("b", &["10.0.0.3/24", "2001:db8::3/64"]),
            ("client", &["10.0.0.100/24"]),
        ]);
        test(&lab.expect("a LAN"));
    });
}

/// A program that runs until it is stopped, with a child of its own.
fn sleeper(lab: &Lab) -> lab::Process {
    let script = "sleep 1000 & echo child $!; wait";
    lab.host("a")
        .start("/bin/sh", &["-c", script], &[])
        .expect("a shell")
}

/// Waits for a line of a process's output; the file tells of no event.
fn line_of(process: &lab::Process, beginning: &str) -> String {
    let answer = || {
        let output = process.output();
        let line = output.lines().find_map(|l| l.strip_prefix(beginning));
        line.map(str::to_owned)
    };
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(1)));
    lab::wait_until(Instant::now() + SOON, step, answer).expect("the line")
}

#[test]
fn hosts_of_a_lan_reach_each_other_and_know_their_neighbours() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let asking = Client::start(client, Ipv4Addr::new(10, 0, 0, 2)).expect("a client");
        assert!(asking.wait_until_served(SOON));
        let known = client.neighbour("10.0.0.2".parse().expect("v4"));
        assert_eq!(known, Some(a.mac));
        assert!(a.has("2001:db8::2".parse().expect("v6")));
        assert!(
            a.addresses()
                .iter()
                .all(|a| !a.is_tentative() || a.scope == 253)
        );
    });
}

#[test]
fn the_capture_tells_which_host_sent_a_frame_and_when_and_tells_it_once() {
    with_lab(|lab| {
        let capture = lab.capture().expect("a listener");
        let begin = Instant::now();
        let asking = Client::start(lab.host("client"), Ipv4Addr::new(10, 0, 0, 2));
        assert!(asking.expect("a client").wait_until_served(SOON));
        let arp = |wanted| move |f: &lab::Frame| matches!(f.seen, Seen::Arp { request, .. } if request == wanted);
        let asked = capture.wait_for(0, SOON, arp(true)).expect("a request");
        let told = capture.wait_for(0, SOON, arp(false)).expect("an answer");
        assert_eq!((asked.from.as_str(), told.from.as_str()), ("client", "a"));
        assert_eq!(told.mac, lab.host("a").mac);
        let slack = Duration::from_millis(1);
        assert!(asked.at + slack >= begin && asked.at <= told.at && told.at <= Instant::now());
        // A host repeats itself after a second at the earliest.
        let all = capture.frames(0);
        for (index, frame) in all.iter().enumerate() {
            let same = |f: &&lab::Frame| (&f.from, &f.seen) == (&frame.from, &frame.seen);
            let again = all.iter().skip(index + 1).find(same);
            let soon = again.filter(|f| f.at < frame.at + Duration::from_millis(100));
            assert!(soon.is_none(), "told twice: {frame:?} and {soon:?}");
        }
    });
}

#[test]
fn a_pulled_cable_takes_the_carrier_and_an_isolated_host_keeps_it() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        a.add(&["10.0.0.1/24"]).expect("added");
        assert!(a.has(IpAddr::V4(VIRTUAL)));
        let asking = Client::start(client, VIRTUAL).expect("a client");
        for cut in ["plug", "isolate"] {
            assert!(asking.wait_until_served(SOON), "before {cut}");
            let begin = Instant::now();
            if cut == "plug" {
                a.plug(false).expect("pulled");
                assert!(!a.link().expect("eth0").is_running());
            } else {
                a.isolate(true).expect("isolated");
                assert!(a.link().expect("eth0").is_running());
            }
            let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(1)));
            let out = || (!asking.is_served()).then_some(());
            lab::wait_until(begin + SOON, step, out).expect("no answer any more");
            if cut == "plug" {
                a.plug(true).expect("plugged in");
            } else {
                a.isolate(false).expect("back");
            }
            assert!(asking.wait_until_served(SOON), "after {cut}");
            let outage = asking.longest_outage(begin).lasted;
            assert!(outage >= Duration::from_millis(19), "{outage:?} by {cut}");
        }
    });
}

#[test]
fn a_process_lives_on_its_host_and_is_heard() {
    with_lab(|lab| {
        let mut process = lab
            .host("b")
            .start(
                "/bin/sh",
                &["-c", "echo $WORD; cat /proc/net/dev"],
                &[("WORD", "hello")],
            )
            .expect("a shell");
        assert!(process.wait(SOON).expect("it ends").success());
        let output = process.output();
        assert!(
            output.starts_with("hello\n") && output.contains("eth0:"),
            "{output}"
        );
    });
}

#[test]
fn a_process_that_does_not_end_is_not_waited_for_for_ever() {
    with_lab(|lab| {
        let mut process = sleeper(lab);
        let refusal = process
            .wait(Duration::from_millis(20))
            .expect_err("it sleeps");
        assert_eq!(refusal.kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_crash_takes_a_process_with_all_that_it_started() {
    with_lab(|lab| {
        let mut process = sleeper(lab);
        let child = line_of(&process, "child ");
        let entry = Path::new("/proc").join(child);
        assert!(entry.exists());
        process.kill_tree();
        assert!(!entry.exists() && process.has_ended());
    });
}

#[test]
fn nothing_of_a_lab_is_left_on_the_disk() {
    with_lab(|lab| {
        let scratch = lab.scratch().to_owned();
        assert!(scratch.is_dir());
        let other = Lab::new(&[("c", &[])]).expect("another");
        let path = other.scratch().to_owned();
        drop(other);
        assert!(!path.exists() && scratch.exists());
    });
}
