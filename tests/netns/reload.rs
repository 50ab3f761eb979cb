//! A reload by difference, on the real binary: what did not change does not notice, and what did takes the smallest step.
//!
//! Adverts leave on their beat, nobody resigns, no address goes and comes, no script is started again, counters count on; of a
//! thousand reloads neither memory nor descriptors grow (`RELOADS=10000` for as many).

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{
    Capture, Client, Frame, Host, Lab, Program, SOON, Seen, wait_until, with_namespaces,
};
use keepalite::io::monitor::{Change, Monitor};

/// No advert may be later than this, or a backup takes over.
const GAP: Duration = Duration::from_millis(350);

/// Whatever is about: a busy router with a script, a FIFO and its reader, and a second virtual router that no change is about.
fn base(scratch: &Path) -> String {
    let scratch = scratch.display();
    format!(
        "global_defs {{
             router_id one
             vrrp_notify_fifo {scratch}/fifo
             vrrp_notify_fifo_script {scratch}/reader
         }}
         vrrp_script once {{
             script {scratch}/script
             interval 3600
         }}
         vrrp_script slow {{
             script \"/bin/sleep 60\"
             interval 3600
         }}
         vrrp_instance A {{
             interface eth0
             virtual_router_id 1
             priority 100
             version 3
             advert_int 0.1
             garp_master_delay 0
             virtual_ipaddress {{
                 10.0.0.100
             }}
         }}
         vrrp_instance Untouched {{
             interface eth0
             virtual_router_id 99
             priority 100
             version 3
             advert_int 0.1
             garp_master_delay 0
             track_script {{
                 once
             }}
             virtual_ipaddress {{
                 10.0.0.199
             }}
         }}
        "
    )
}

/// A script that leaves a line in `FILE.ran` for each of its runs, and then does this.
fn script(scratch: &Path, name: &str, then: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = scratch.join(name);
    let text = format!("#!/bin/sh\necho $$ >>{}.ran\n{then}\n", path.display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Its runs.
fn runs(scratch: &Path, name: &str) -> usize {
    let ran = std::fs::read_to_string(scratch.join(format!("{name}.ran")));
    ran.unwrap_or_default().lines().count()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn is_advert(frame: &Frame, host: &str, wanted: u8) -> bool {
    frame.from == host && matches!(&frame.seen, Seen::Advert { vrid, .. } if *vrid == wanted)
}

/// The longest time between two adverts of a router.
fn longest_gap(frames: &[Frame], host: &str, vrid: u8) -> Duration {
    let adverts = frames.iter().filter(|f| is_advert(f, host, vrid));
    let times: Vec<Instant> = adverts.map(|f| f.at).collect();
    assert!(times.len() > 1, "{} adverts have no gap", times.len());
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

fn wait_for_advert(capture: &Capture, host: &str, vrid: u8) {
    // Two, so that what came before is over.
    for _ in 0..2 {
        let next = capture.wait_for(capture.len(), SOON, |f| is_advert(f, host, vrid));
        assert!(next.is_some(), "{host} advertises router {vrid} no more");
    }
}

/// Waits until `A` and `Untouched` are masters that have announced their addresses, and their scripts have run.
fn settle(host: &Host, capture: &Capture, scratch: &Path) {
    host.wait_for_link_local();
    for address in ["10.0.0.100", "10.0.0.199"] {
        host.wait(SOON, || host.has(ip(address)).then_some(()))
            .unwrap_or_else(|| panic!("{address} never comes"));
    }
    let announced = |f: &&Frame| f.seen.announced().is_some();
    let count = || capture.frames(0).iter().filter(announced).count();
    while count() < 10 {
        assert!(capture.wait_for(capture.len(), SOON, |_| true).is_some());
    }
    let ran = || ["script", "reader"].iter().all(|s| runs(scratch, s) == 1);
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(5)));
    wait_until(Instant::now() + SOON, step, || ran().then_some(())).expect("both scripts run");
}

/// One change of the file, there and back again.
struct Row {
    what: &'static str,
    old: &'static str,
    new: &'static str,
    /// The addresses that come and go on the way there, as `+10.0.0.101/32`; on the way back the other way round.
    moves: &'static [&'static str],
    /// Whether its addresses may be announced anew.
    announces: bool,
    /// How many virtual routers resign on the way there, and on the way back.
    resigns: [usize; 2],
}

/// The change is of no consequence on this host or on the wire but for what the adverts say.
const fn quiet(what: &'static str, old: &'static str, new: &'static str) -> Row {
    Row {
        what,
        old,
        new,
        moves: &[],
        announces: false,
        resigns: [0, 0],
    }
}

const fn holding(
    what: &'static str,
    old: &'static str,
    new: &'static str,
    moves: &'static [&'static str],
) -> Row {
    Row {
        moves,
        announces: true,
        ..quiet(what, old, new)
    }
}

const fn another(what: &'static str, old: &'static str, new: &'static str) -> Row {
    Row {
        moves: &["-10.0.0.100/32", "+10.0.0.100/32"],
        announces: true,
        resigns: [1, 1],
        ..quiet(what, old, new)
    }
}

const ROWS: &[Row] = &[
    quiet("nothing", "A {", "A {"),
    quiet(
        "only how it is written",
        "vrrp_instance A {",
        "# a remark\nvrrp_instance   'A'\n{",
    ),
    quiet("its name", "vrrp_instance A {", "vrrp_instance B {"),
    quiet("its priority", "id 1\n", "id 1\n priority 150\n"),
    quiet("its interval", "id 1\n", "id 1\n advert_int 0.08\n"),
    quiet("its preemption", "id 1\n", "id 1\n nopreempt\n"),
    quiet("the delay of it", "id 1\n", "id 1\n preempt_delay 5\n"),
    quiet(
        "its announcements",
        "id 1\n",
        "id 1\n garp_master_repeat 2\n garp_lower_prio_repeat 1\n",
    ),
    quiet(
        "its scripts",
        "id 1\n",
        "id 1\n notify /bin/true\n notify_master /bin/true\n",
    ),
    quiet(
        "that it tracks a script",
        "id 1\n",
        "id 1\n track_script {\n slow\n }\n",
    ),
    quiet(
        "that it tracks its interface",
        "id 1\n",
        "id 1\n track_interface {\n eth0\n }\n",
    ),
    quiet("its group", "id 1\n", "id 1\n mcast_dst_ip 224.0.0.99\n"),
    quiet(
        "its checks",
        "id 1\n",
        "id 1\n skip_check_adv_addr\n lower_prio_no_advert\n",
    ),
    quiet(
        "a sync group",
        "vrrp_instance A",
        "vrrp_sync_group G {\n group {\n A\n Untouched\n }\n}\nvrrp_instance A",
    ),
    quiet(
        "global settings",
        "router_id one",
        "router_id two\n vrrp_higher_prio_send_advert",
    ),
    quiet(
        "a script that nobody tracks",
        "vrrp_instance A",
        "vrrp_script idle {\n script /bin/true\n}\nvrrp_instance A",
    ),
    holding(
        "an address more",
        "10.0.0.100\n",
        "10.0.0.100\n 10.0.0.101\n",
        &["+10.0.0.101/32"],
    ),
    holding(
        "an address in front",
        "10.0.0.100\n",
        "10.0.0.101\n 10.0.0.100\n",
        &["+10.0.0.101/32"],
    ),
    holding(
        "an excluded address",
        "id 1\n",
        "id 1\n virtual_ipaddress_excluded {\n 10.0.0.102\n }\n",
        &["+10.0.0.102/32"],
    ),
    holding(
        "the prefix of an address",
        "10.0.0.100\n",
        "10.0.0.100/24\n",
        &["+10.0.0.100/24", "-10.0.0.100/32"],
    ),
    holding(
        "a route",
        "id 1\n",
        "id 1\n virtual_routes {\n 10.9.0.0/16 via 10.0.0.2 dev eth0\n }\n",
        &[],
    ),
    Row {
        resigns: [0, 1],
        ..holding(
            "a virtual router more",
            "vrrp_instance A",
            "vrrp_instance C {\n interface eth0\n virtual_router_id 3\n version 3\n advert_int 0.1\n \
        virtual_ipaddress {\n 10.0.0.103\n }\n}\nvrrp_instance A",
            &["+10.0.0.103/32"],
        )
    },
    another("its number", "id 1\n", "id 3\n"),
    another(
        "from multicast to unicast",
        "id 1\n",
        "id 1\n unicast_peer {\n 10.0.0.2\n }\n",
    ),
];

/// Whether the virtual router is another one by the change: the old one ends, the new one listens first.
const fn is_another(row: &Row) -> bool {
    matches!(row.resigns, [1, 1])
}

/// The addresses that have come and gone since it was asked last.
fn moves(monitor: &mut Monitor) -> Vec<String> {
    let mut changes = Vec::new();
    monitor.read(&mut changes).unwrap();
    let told = changes.iter().filter_map(|change| match change {
        Change::Address(a) => Some(format!("+{}/{}", a.ip, a.prefix)),
        Change::AddressGone(a) => Some(format!("-{}/{}", a.ip, a.prefix)),
        Change::Overrun => panic!("addresses were missed"),
        _ => None,
    });
    told.collect()
}

fn back(moves: &[&str]) -> Vec<String> {
    let turned = moves.iter().rev().map(|one| match one.strip_prefix('+') {
        Some(address) => format!("-{address}"),
        None => format!("+{}", one.trim_start_matches('-')),
    });
    turned.collect()
}

#[test]
fn each_kind_of_change_takes_the_smallest_step_and_the_others_do_not_notice() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"]), ("two", &["10.0.0.2/24"])]).unwrap();
        let host = lab.host("one");
        let scratch = lab.scratch().to_owned();
        script(&scratch, "script", "");
        script(&scratch, "reader", "exec sleep 600");
        let capture = lab.capture().unwrap();
        let base = base(&scratch);
        let daemon = host.daemon(Program::Keepalite, &base);
        settle(host, &capture, &scratch);
        let mut monitor = host.namespace.enter(Monitor::open).unwrap();
        let child = daemon.child();
        let mut sent = 0.0;
        for row in ROWS {
            let changed = base.replacen(row.old, row.new, 1);
            assert!(changed != base || row.old == row.new, "{}", row.what);
            let there = row.moves.iter().map(|one| (*one).to_owned()).collect();
            let ways = [(&changed, there), (&base, back(row.moves))];
            for ((text, mut expected), resigns) in ways.into_iter().zip(row.resigns) {
                wait_for_advert(&capture, "one", 99);
                let from = capture.len();
                daemon.reload(text);
                let mut seen = Vec::new();
                // Whoever is another one listens first, for three intervals and its skew.
                host.wait(SOON, || {
                    seen.extend(moves(&mut monitor));
                    (seen.len() >= expected.len()).then_some(())
                })
                .unwrap_or_else(|| panic!("{}: only {seen:?} of {expected:?}", row.what));
                let (data, stats) = daemon.instance("Untouched");
                wait_for_advert(&capture, "one", 99);
                seen.extend(moves(&mut monitor));
                if !is_another(row) {
                    // Additions go before removals, whatever the way.
                    expected.sort_unstable();
                }
                assert_eq!(seen, expected, "{}", row.what);
                let frames = capture.frames(from);
                let gap = longest_gap(&frames, "one", 99);
                assert!(
                    gap < GAP,
                    "{}: the untouched one paused for {gap:?}",
                    row.what
                );
                assert_eq!(data.number("state"), 2.0);
                assert_eq!(stats.number("become_master"), 1.0, "{}", row.what);
                assert!(
                    stats.number("advert_sent") > sent,
                    "{}: counted anew",
                    row.what
                );
                sent = stats.number("advert_sent");
                let resigned = |f: &&Frame| f.seen.priority() == Some(0);
                let resigned = frames.iter().filter(resigned).count();
                assert_eq!(resigned, resigns, "{}", row.what);
                let announced: Vec<IpAddr> =
                    frames.iter().filter_map(|f| f.seen.announced()).collect();
                assert!(!announced.contains(&ip("10.0.0.199")), "{}", row.what);
                assert!(
                    announced.is_empty() || row.announces,
                    "{}: {announced:?}",
                    row.what
                );
            }
            let master = daemon.instance("A");
            let times = if is_another(row) {
                1.0
            } else {
                master.1.number("become_master")
            };
            assert_eq!(
                (master.0.number("state"), times),
                (2.0, 1.0),
                "{}",
                row.what
            );
        }
        assert_eq!(daemon.child(), child, "the same process");
        for name in ["script", "reader"] {
            assert_eq!(runs(&scratch, name), 1, "{name} was started again");
        }
    });
}

/// Kilobytes that only this process occupies, and its descriptors.
fn occupied(process: u32) -> (usize, usize) {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("Private_Dirty:"));
    let size = line.and_then(|l| l.split_whitespace().next()).unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    (size.parse().unwrap(), descriptors.count())
}

#[test]
fn hundreds_of_reloads_under_traffic_move_nothing_and_nothing_grows() {
    /// Kilobytes: what an allocator needs until it has seen every size that there is, and what waits for a few seconds until it is
    /// given back. A leak of a hundred bytes at each of thousands of reloads is more.
    const ROOM: usize = 192;
    with_namespaces(|| {
        let count = std::env::var("RELOADS").map_or(300, |text| text.parse().unwrap());
        let lab = Lab::new(&[
            ("one", &["10.0.0.1/24"]),
            ("two", &["10.0.0.2/24"]),
            ("client", &["10.0.0.9/24"]),
        ])
        .unwrap();
        let host = lab.host("one");
        let scratch = lab.scratch().to_owned();
        script(&scratch, "script", "");
        script(&scratch, "reader", "exec sleep 6000");
        let capture = lab.capture().unwrap();
        let base = base(&scratch);
        let daemon = host.daemon(Program::Keepalite, &base);
        settle(host, &capture, &scratch);
        let weaker = "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n priority 50\n version 3\n advert_int 0.1\n \
             virtual_ipaddress {\n 10.0.0.100\n }\n}\n";
        let _backup = lab.host("two").daemon(Program::Keepalite, weaker);
        let client = Client::start(lab.host("client"), "10.0.0.100".parse().unwrap()).unwrap();
        assert!(client.wait_until_served(SOON));
        // All of them in turn, so that each kind of change is a part of what may grow; but for those that are another router.
        let changes: Vec<String> = ROWS
            .iter()
            .filter(|row| !is_another(row))
            .flat_map(|row| [base.replacen(row.old, row.new, 1), base.clone()])
            .collect();
        let processes = [daemon.process.id(), daemon.child().unwrap()];
        let round = |number: usize| {
            daemon.reload(&changes[number % changes.len()]);
            // In the order of their arrival: the answer comes after the reload.
            assert_eq!(daemon.instance("Untouched").0.number("state"), 2.0);
        };
        for number in 0..changes.len() * 2 {
            round(number);
        }
        let before = processes.map(occupied);
        let begin = Instant::now();
        let from = capture.len();
        for number in 0..count {
            round(number);
        }
        wait_for_advert(&capture, "one", 1);
        for (process, (before, after)) in processes
            .iter()
            .zip(before.iter().zip(processes.map(occupied)))
        {
            assert_eq!(before.1, after.1, "descriptors of {process}");
            let grown = after.0.saturating_sub(before.0);
            assert!(
                grown <= ROOM,
                "process {process} grew by {grown} kB from {} kB",
                before.0
            );
        }
        let frames = capture.frames(from);
        for vrid in [1, 99] {
            let gap = longest_gap(&frames, "one", vrid);
            assert!(gap < GAP, "router {vrid} paused for {gap:?}");
            assert!(!frames.iter().any(|f| is_advert(f, "two", vrid)));
        }
        let outage = client.longest_outage(begin).lasted;
        assert!(
            outage < GAP,
            "the client went without an answer for {outage:?}"
        );
        for (name, state) in [("A", 2.0), ("Untouched", 2.0)] {
            let (data, stats) = daemon.instance(name);
            let masters = (data.number("state"), stats.number("become_master"));
            assert_eq!(masters, (state, 1.0), "{name}");
        }
        for name in ["script", "reader"] {
            assert_eq!(runs(&scratch, name), 1, "{name} was started again");
        }
    });
}

/// The base with this many addresses more, in a virtual router of their own.
fn with_addresses(base: &str, count: u16) -> String {
    let addresses: String = (0..count)
        .map(|n| n.to_be_bytes())
        .map(|[high, low]| format!("  10.1.{high}.{low}\n"))
        .collect();
    format!(
        "{base}vrrp_instance Many {{\n interface eth0\n virtual_router_id 7\n priority 255\n version 3\n advert_int 0.1\n \
         virtual_ipaddress {{\n 10.0.0.107\n }}\n virtual_ipaddress_excluded {{\n{addresses} }}\n}}\n"
    )
}

#[test]
fn two_thousand_addresses_come_and_go_by_reload_and_no_advert_is_late() {
    const COUNT: u16 = 2000;
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/8"])]).unwrap();
        let host = lab.host("one");
        let scratch = lab.scratch().to_owned();
        script(&scratch, "script", "");
        script(&scratch, "reader", "exec sleep 600");
        let capture = lab.capture().unwrap();
        let base = base(&scratch);
        let daemon = host.daemon(Program::Keepalite, &base);
        settle(host, &capture, &scratch);
        wait_for_advert(&capture, "one", 99);
        let from = capture.len();
        let few = host.addresses().len();
        for (text, wanted) in [
            (with_addresses(&base, COUNT), few + usize::from(COUNT) + 1),
            (base.clone(), few),
        ] {
            daemon.reload(&text);
            host.wait(SOON, || (host.addresses().len() == wanted).then_some(()))
                .unwrap_or_else(|| panic!("{wanted} never become {}", host.addresses().len()));
        }
        wait_for_advert(&capture, "one", 99);
        let gap = longest_gap(&capture.frames(from), "one", 99);
        assert!(gap < GAP, "the untouched one paused for {gap:?}");
    });
}

#[test]
fn a_storm_of_reloads_ends_with_the_last_configuration() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/8"])]).unwrap();
        let host = lab.host("one");
        let scratch = lab.scratch().to_owned();
        script(&scratch, "script", "");
        script(&scratch, "reader", "exec sleep 600");
        let capture = lab.capture().unwrap();
        let base = base(&scratch);
        let daemon = host.daemon(Program::Keepalite, &base);
        settle(host, &capture, &scratch);
        let from = capture.len();
        for round in 0..50 {
            let text = with_addresses(&base, 100 * (round % 5));
            daemon.reload(&text);
        }
        daemon.reload(&base.replacen("10.0.0.100\n", "10.0.0.100\n 10.0.0.101\n", 1));
        let last = || host.has(ip("10.0.0.101")) && !host.has(ip("10.0.0.107"));
        host.wait(SOON, || last().then_some(()))
            .expect("the last configuration");
        wait_for_advert(&capture, "one", 99);
        let gap = longest_gap(&capture.frames(from), "one", 99);
        assert!(gap < GAP, "the untouched one paused for {gap:?}");
        assert_eq!(daemon.instance("A").1.number("become_master"), 1.0);
    });
}
