//! Hundreds of virtual routers, and thousands of addresses of one: none is late for the others.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::lab::{Capture, Client, Frame, Host, Lab, Program, SOON, Seen, with_namespaces_alone};

/// Nothing here takes as long, also on a busy machine.
const LONG: Duration = Duration::from_secs(20);

fn is_advert(frame: &Frame, host: &str, wanted: u8) -> bool {
    frame.from == host && matches!(&frame.seen, Seen::Advert { vrid, .. } if *vrid == wanted)
}

/// The longest time between two adverts of a router.
fn longest_gap(frames: &[Frame], host: &str, vrid: u8) -> Duration {
    let adverts = frames.iter().filter(|f| is_advert(f, host, vrid));
    let times: Vec<Instant> = adverts.map(|f| f.at).collect();
    assert!(
        times.len() > 1,
        "{} adverts of {vrid} have no gap",
        times.len()
    );
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

/// A router with thousands of addresses, in no order, and one beside it on the same interface.
fn thousands(priority: u8, count: u16) -> String {
    let mut text = String::new();
    for (name, vrid, address) in [("Many", 1, "10.0.0.100"), ("Beside", 2, "10.0.0.200")] {
        let _ = write!(
            text,
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n version 3\n \
             advert_int 0.1\n garp_master_repeat 1\n virtual_ipaddress {{\n {address}\n }}\n"
        );
        if vrid == 1 {
            text.push_str(" virtual_ipaddress_excluded {\n");
            for address in excluded(count) {
                let _ = writeln!(text, "  {address}");
            }
            text.push_str(" }\n");
        }
        text.push_str("}\n");
    }
    text
}

fn excluded(count: u16) -> impl Iterator<Item = Ipv4Addr> {
    let scattered = move |n: u16| {
        let place = u32::from(n) * 1597 % u32::from(count);
        u16::try_from(place).unwrap().to_be_bytes()
    };
    (0..count)
        .map(scattered)
        .map(|[high, low]| Ipv4Addr::new(10, 1 + high, 3, low))
}

fn virtual_ones(host: &Host) -> usize {
    host.addresses().iter().filter(|a| a.prefix == 32).count()
}

#[test]
fn four_thousand_addresses_change_hands_and_no_advert_is_late_meanwhile() {
    const COUNT: u16 = 3999;
    /// A backup takes over after 361 ms.
    const GAP: Duration = Duration::from_millis(250);
    with_namespaces_alone(|| {
        let lab = Lab::new(&[
            ("one", &["10.0.0.1/8"]),
            ("two", &["10.0.0.2/8"]),
            ("client", &["10.0.0.9/8"]),
        ])
        .unwrap();
        let (one, two) = (lab.host("one"), lab.host("two"));
        let all = usize::from(COUNT) + 2;
        let holds = |host: &Host, wanted: usize| {
            let found = host.wait(LONG, || (virtual_ones(host) == wanted).then_some(()));
            assert!(
                found.is_some(),
                "{} has {} addresses",
                host.name,
                virtual_ones(host)
            );
        };
        let _backup = two.daemon(Program::Keepalite, &thousands(100, COUNT));
        holds(two, all);
        // With the addresses go the announcements, each once; the frames of all that came before are not of interest.
        let capture = lab.capture().unwrap();
        let client = Client::start(lab.host("client"), Ipv4Addr::new(10, 0, 0, 200)).unwrap();
        let mut better = one.daemon(Program::Keepalite, &thousands(200, COUNT));
        holds(one, all);
        holds(two, 0);
        let wanted: HashSet<IpAddr> = excluded(COUNT).map(IpAddr::V4).collect();
        wait_for_announcements(&capture, "one", &wanted);
        for vrid in [1, 2] {
            let gap = longest_gap(&capture.frames(0), "one", vrid);
            assert!(
                gap < GAP,
                "router {vrid} paused for {gap:?} as it took over"
            );
        }
        // And back: what one resigned from two has to have.
        let from = capture.len();
        better.terminate();
        holds(two, all);
        for vrid in [1, 2] {
            wait_for_advert(&capture, "two", vrid);
            let resigned: Vec<Frame> = capture.frames(from);
            let gap = longest_gap(&resigned, "two", vrid);
            assert!(
                gap < GAP,
                "router {vrid} paused for {gap:?} as it took over again"
            );
        }
        assert_eq!(virtual_ones(one), 0);
        assert!(client.wait_until_served(SOON));
    });
}

fn wait_for_advert(capture: &Capture, host: &str, vrid: u8) {
    // Two, so that what came before is over.
    for _ in 0..2 {
        let next = capture.wait_for(capture.len(), SOON, |f| is_advert(f, host, vrid));
        assert!(next.is_some(), "{host} advertises router {vrid} no more");
    }
}

/// Waits until a host has announced all of these.
fn wait_for_announcements(capture: &Capture, host: &str, wanted: &HashSet<IpAddr>) {
    let deadline = Instant::now() + LONG;
    let (mut missing, mut seen) = (wanted.clone(), 0);
    while !missing.is_empty() {
        let frames = capture.frames(seen);
        seen += frames.len();
        for frame in frames.iter().filter(|f| f.from == host) {
            frame.seen.announced().map(|ip| missing.remove(&ip));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{} were never announced", missing.len());
        capture.wait_for(seen, left.min(SOON), |_| true);
    }
}

#[test]
fn two_hundred_and_fifty_virtual_routers_on_each_of_three_interfaces_keep_their_beat() {
    const EACH: u8 = 250;
    with_namespaces_alone(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/8"])]).unwrap();
        let host = lab.host("one");
        for number in 1..3 {
            host.run(&format!(
                "ip link add lan{number} type veth peer name far{number}"
            ));
            host.run(&format!("ip link set far{number} up"));
            host.run(&format!(
                "ip address add 10.20{number}.0.1/16 dev lan{number}"
            ));
            host.run(&format!("ip link set lan{number} up"));
        }
        let mut text = String::new();
        for (number, interface) in (0..).zip(["eth0", "lan1", "lan2"]) {
            for vrid in 1..=EACH {
                let _ = writeln!(
                    text,
                    "vrrp_instance {interface}_{vrid} {{\n interface {interface}\n virtual_router_id {vrid}\n priority 200\n \
                     version 3\n advert_int 0.5\n garp_master_repeat 1\n virtual_ipaddress {{\n 10.20{number}.1.{vrid}\n }}\n}}"
                );
            }
        }
        let capture = lab.capture().unwrap();
        let daemon = host.daemon(Program::Keepalite, &text);
        let all = usize::from(EACH) * 3;
        let found = host.wait(LONG, || (virtual_ones(host) == all).then_some(()));
        assert!(found.is_some(), "{} of {all} addresses", virtual_ones(host));
        // Neither a reload of all of them nor an interface that comes and goes makes one late.
        let from = capture.len();
        daemon.reload(&text.replace("lan2_7 ", "another_name "));
        host.run("ip link set lan2 down");
        let found = host.wait(LONG, || {
            (virtual_ones(host) == usize::from(EACH) * 2).then_some(())
        });
        assert!(
            found.is_some(),
            "{} addresses without lan2",
            virtual_ones(host)
        );
        host.run("ip link set lan2 up");
        let found = host.wait(LONG, || (virtual_ones(host) == all).then_some(()));
        assert!(
            found.is_some(),
            "{} of {all} addresses again",
            virtual_ones(host)
        );
        wait_for_advert(&capture, "one", EACH);
        let mut last: HashMap<u8, Instant> = HashMap::new();
        for frame in capture.frames(from) {
            let Seen::Advert { vrid, priority, .. } = frame.seen else {
                continue;
            };
            assert_ne!(priority, 0, "router {vrid} resigned");
            if let Some(before) = last.insert(vrid, frame.at) {
                let gap = frame.at - before;
                assert!(
                    gap < Duration::from_millis(750),
                    "router {vrid} paused for {gap:?}"
                );
            }
        }
        assert_eq!(last.len(), usize::from(EACH));
        let masters = daemon.json();
        let masters = masters.iter().filter(|one| {
            let (data, stats) = (one.get("data").unwrap(), one.get("stats").unwrap());
            let name = data.get("iname").unwrap().as_str();
            let times = if name.starts_with("eth0") || name.starts_with("lan1") {
                1.0
            } else {
                2.0
            };
            data.number("state") == 2.0 && stats.number("become_master") == times
        });
        assert_eq!(masters.count(), all);
    });
}
