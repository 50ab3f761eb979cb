//! One daemon, or two, on hosts of a laboratory: what the kernel, the wire, scripts and files see of it.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::lab::{
    Capture, Daemon, Dump, Frame, Host, Json, Lab, Program, SOON, Seen, Watch, has_keepalived,
    kill, wait_until, with_namespaces,
};
use keepalite::io::sys;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

/// No advert may be later than this, or a backup takes over.
const GAP: Duration = Duration::from_millis(150);

/// A virtual router of version 3 on `eth0`, its interval short enough for quick elections and long enough for a busy machine.
fn instance(name: &str, vrid: u8, priority: u8, more: &str, addresses: &[&str]) -> String {
    let addresses = addresses.join("\n ");
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n version 3\n advert_int 0.05\n \
         {more}\n virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
    )
}

/// The usual one.
fn plain(priority: u8) -> String {
    instance("A", 1, priority, "", &["10.0.0.100"])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const VIP: &str = "10.0.0.100";

/// A lab with one host, `one`.
fn alone() -> Lab {
    Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap()
}

/// Waits until the host has this address, or has it no more.
fn wait_for_address(host: &Host, address: &str, wanted: bool) {
    let ip = ip(address);
    let verb = if wanted { "gets" } else { "loses" };
    host.wait(SOON, || (host.has(ip) == wanted).then_some(()))
        .unwrap_or_else(|| panic!("{} never {verb} {address}", host.name));
}

fn is_advert(frame: &Frame, host: &str, wanted: u8) -> bool {
    frame.from == host && matches!(&frame.seen, Seen::Advert { vrid, .. } if *vrid == wanted)
}

/// Waits for an advert of a router of this priority, after the first `from` frames.
fn wait_for_advert(capture: &Capture, from: usize, host: &str, vrid: u8, priority: u8) -> Frame {
    capture
        .wait_for(from, SOON, |f| {
            is_advert(f, host, vrid) && f.seen.priority() == Some(priority)
        })
        .unwrap_or_else(|| panic!("{host} never advertises router {vrid} with {priority}"))
}

/// The longest time between two adverts of a router.
fn longest_gap(frames: &[Frame], host: &str, vrid: u8) -> Duration {
    let times: Vec<Instant> = frames
        .iter()
        .filter(|f| is_advert(f, host, vrid))
        .map(|f| f.at)
        .collect();
    assert!(times.len() > 1, "{} adverts have no gap", times.len());
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

/// Runs a story with keepalived and with keepalite, and holds what they give against one another.
fn as_with_keepalived<T: PartialEq + std::fmt::Debug>(story: impl Fn(Program) -> T) {
    with_namespaces(|| {
        if has_keepalived() {
            let (theirs, ours) = (story(Program::Keepalived), story(Program::Keepalite));
            assert!(ours == theirs, "{}", difference(&theirs, &ours));
        }
    });
}

/// The lines that only one of the two has.
fn difference<T: std::fmt::Debug>(theirs: &T, ours: &T) -> String {
    let [theirs, ours] = [theirs, ours].map(|it| format!("{it:#?}"));
    let only = |these: &str, those: &str| -> Vec<String> {
        let mut those: Vec<&str> = those.lines().collect();
        let mut only = Vec::new();
        for line in these.lines() {
            match those.iter().position(|other| *other == line) {
                Some(at) => drop(those.remove(at)),
                None => only.push(line.trim().to_owned()),
            }
        }
        only
    };
    format!(
        "only keepalived has\n{:#?}\nonly keepalite has\n{:#?}\nof keepalived's\n{theirs}",
        only(&theirs, &ours),
        only(&ours, &theirs)
    )
}

/// Addresses of all interfaces as `ip -j` tells them, in no order and without what differs by nature.
fn kernel_addresses(host: &Host) -> Vec<(String, Vec<String>)> {
    let all = host.ask("ip -j addr show");
    let mut links: Vec<(String, Vec<String>)> = all
        .elements()
        .iter()
        .map(|link| {
            let name = link.get("ifname").unwrap().as_str().to_owned();
            let addresses = link.get("addr_info").unwrap().elements();
            let mut addresses: Vec<String> = addresses
                .iter()
                .map(|a| format!("{:?}", a.clone().without(&["protocol"])))
                .collect();
            addresses.sort();
            (name, addresses)
        })
        .collect();
    links.sort();
    links
}

const ALL_KINDS_OF_ADDRESSES: &str = "
static_ipaddress {
    10.0.7.1/24 dev other
    10.0.7.2/24 brd + dev other
    fd00:7::1/64 dev other
}
vrrp_instance A {
    state MASTER
    interface eth0
    virtual_router_id 1
    priority 255
    version 3
    advert_int 0.05
    virtual_ipaddress {
        10.0.0.100
        10.0.0.101/24
        10.0.0.102/24 brd +
        10.0.0.103/24 brd -
        10.0.0.104/24 brd 10.0.0.200
        10.0.0.105/32 label eth0:vip
        10.0.0.106/32 scope link
        10.0.0.107/32 scope host
        10.0.8.1/24 dev other scope site
        10.0.10.1/24 noprefixroute
    }
    virtual_ipaddress_excluded {
        10.0.0.120/24
        fd00::100
        fd00::101/64
        fd00::102/64 -nodad
        fd00::103/128 preferred_lft forever
        fd00::104/64 noprefixroute
        fd00::105/64 dev other home
        fe80::106/64
        10.0.0.121/32
    }
}
";

#[test]
fn addresses_are_just_as_keepalived_puts_them_and_go_just_as_it_takes_them() {
    as_with_keepalived(|program| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24", "fd00::1/64"])]).unwrap();
        let host = lab.host("one");
        host.wait_for_link_local();
        host.run("ip link add other type veth peer name far");
        for link in ["other", "far"] {
            host.run(&format!("ip link set {link} addrgenmode none up"));
        }
        let mut daemon = host.daemon(program, ALL_KINDS_OF_ADDRESSES);
        wait_for_address(host, "10.0.0.121", true);
        wait_for_address(host, "fe80::106", true);
        let settled = || {
            let all = host.addresses();
            (!all.iter().any(|a| a.is_tentative())).then_some(())
        };
        host.wait(SOON, settled).expect("all addresses usable");
        let as_master = kernel_addresses(host);
        daemon.terminate();
        (as_master, kernel_addresses(host))
    });
}

#[test]
fn an_address_with_a_peer_comes_and_goes() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let text = instance("A", 1, 100, "", &["10.0.9.1 peer 10.0.9.2"]);
        let mut daemon = host.daemon(Program::Keepalite, &text);
        wait_for_address(host, "10.0.9.1", true);
        let all = host.run("ip -o addr show dev eth0");
        assert!(all.contains("inet 10.0.9.1 peer 10.0.9.2/32 "), "{all}");
        daemon.terminate();
        assert!(!host.has(ip("10.0.9.1")));
    });
}

#[test]
fn a_missing_interface_is_waited_for() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        // keepalived wants `dynamic_interfaces` for this, and ends without.
        let daemon = host.daemon(Program::Keepalite, &plain(100).replace("eth0", "late"));
        wait_for_child(&daemon);
        assert_eq!(daemon.instance("A").0.number("state"), 3.0);
        make_late(host);
        wait_for_address(host, VIP, true);
        assert_eq!(daemon.instance("A").0.number("state"), 2.0);
    });
}

#[test]
fn an_interface_that_is_deleted_and_made_again_is_used_again() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        make_late(host);
        let text = plain(100).replace("eth0", "late");
        let daemon = host.daemon(
            Program::Keepalite,
            &format!("global_defs {{\n dynamic_interfaces\n}}\n{text}"),
        );
        wait_for_address(host, VIP, true);
        for _ in 0..3 {
            host.run("ip link delete late");
            wait_for_state(&daemon, 3.0);
            make_late(host);
            wait_for_address(host, VIP, true);
        }
    });
}

/// An interface that comes late, with an address, its other end in the same namespace.
fn make_late(host: &Host) {
    host.run("ip link add late type veth peer name far");
    host.run("ip link set far up");
    host.run("ip address add 10.0.6.1/24 dev late");
    host.run("ip link set late up");
}

/// Waits until the daemon's JSON says that the instance A is in this state; the daemon itself is the clock.
fn wait_for_state(daemon: &Daemon, state: f64) {
    wait_until(
        Instant::now() + SOON,
        |_| (),
        || (daemon.instance("A").0.number("state") == state).then_some(()),
    )
    .unwrap_or_else(|| panic!("A is never in state {state}"));
}

/// Waits until the process that speaks VRRP has written its pid file, and reads signals.
fn wait_for_child(daemon: &Daemon) -> u32 {
    let watch = Watch::new(&daemon.directory).unwrap();
    let running = || daemon.child().filter(|child| reads_signals(*child));
    let found = watch.wait(Duration::from_millis(20), running);
    found.unwrap_or_else(|| {
        let running = || daemon.child().filter(|child| reads_signals(*child));
        // No file tells when a process is ready for signals.
        let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(5)));
        wait_until(Instant::now() + SOON, step, running).expect("a child that runs")
    })
}

/// Does the process catch or hold back USR1, which kills it otherwise?
fn reads_signals(process: u32) -> bool {
    const USR1: u64 = 1 << 9;
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        u64::from_str_radix(line.unwrap_or("0").trim(), 16).unwrap_or(0)
    };
    (mask("SigBlk:") | mask("SigCgt:")) & USR1 != 0
}

#[test]
fn without_a_carrier_it_is_in_fault_and_has_no_addresses_until_it_is_back() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        host.plug(false).unwrap();
        wait_for_address(host, VIP, false);
        let (data, stats) = daemon.instance("A");
        assert_eq!(data.number("state"), 3.0);
        assert_eq!(stats.number("release_master"), 1.0);
        host.plug(true).unwrap();
        wait_for_address(host, VIP, true);
        let (data, stats) = daemon.instance("A");
        assert_eq!(data.number("state"), 2.0);
        assert_eq!(stats.number("become_master"), 2.0);
    });
}

#[test]
fn a_link_that_goes_down_counts_as_down_only_after_its_delay() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let delays = "interface_up_down_delays {\n eth0 0.6 0.1\n}\n";
        let daemon = host.daemon(Program::Keepalite, &format!("{delays}{}", plain(100)));
        wait_for_address(host, VIP, true);
        for _ in 0..3 {
            host.plug(false).unwrap();
            host.wait_for_carrier(false).unwrap();
            host.plug(true).unwrap();
            host.wait_for_carrier(true).unwrap();
        }
        assert_eq!(daemon.instance("A").1.number("become_master"), 1.0);
        let begin = Instant::now();
        host.plug(false).unwrap();
        wait_for_address(host, VIP, false);
        let lasted = begin.elapsed();
        assert!(lasted >= Duration::from_millis(600), "only {lasted:?}");
        host.plug(true).unwrap();
        wait_for_address(host, VIP, true);
        let stats = daemon.instance("A").1;
        assert_eq!(stats.number("become_master"), 2.0);
        assert_eq!(stats.number("release_master"), 1.0);
    });
}

#[test]
fn an_address_that_somebody_deletes_is_put_back() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let _daemon = host.daemon(Program::Keepalite, &plain(100));
        let capture = lab.capture().unwrap();
        wait_for_address(host, VIP, true);
        // Also when it is gone before the daemon has seen it.
        for _ in 0..20 {
            let from = capture.len();
            let begin = Instant::now();
            host.remove(&["10.0.0.100/32"]).unwrap();
            wait_for_address(host, VIP, true);
            let lasted = begin.elapsed();
            assert!(lasted < Duration::from_secs(1), "only after {lasted:?}");
            wait_for_advert(&capture, from, "one", 1, 100);
        }
    });
}

#[test]
fn what_a_crashed_master_left_behind_is_put_right_at_the_next_start() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"]), ("two", &["10.0.0.2/24"])]).unwrap();
        let capture = lab.capture().unwrap();
        let [one, two] = [lab.host("one"), lab.host("two")];
        let both = ["10.0.0.100", "10.0.0.101/24 brd + label eth0:1"];
        let text = |priority| instance("A", 1, priority, "", &both);
        let mut crashed = one.daemon(Program::Keepalite, &text(200));
        wait_for_address(one, "10.0.0.101", true);
        let _two = two.daemon(Program::Keepalite, &text(100));
        crashed.process.kill_tree();
        wait_for_address(two, "10.0.0.101", true);
        assert!(one.has(ip(VIP)) && one.has(ip("10.0.0.101")));

        let from = capture.len();
        let again = Daemon::start_in(
            one,
            crashed.directory.clone(),
            Program::Keepalite,
            &text(50),
        )
        .unwrap();
        wait_for_address(one, VIP, false);
        wait_for_address(one, "10.0.0.101", false);
        assert!(two.has(ip(VIP)) && two.has(ip("10.0.0.101")));
        wait_for_child(&again);
        assert_eq!(again.instance("A").0.number("state"), 1.0);
        assert!(
            !capture.frames(from).iter().any(|f| is_advert(f, "one", 1)),
            "the weaker one kept quiet"
        );
    });
}

#[test]
fn told_to_end_it_resigns_and_leaves_nothing_behind() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        host.wait_for_link_local();
        let before = kernel_addresses(host);
        let mut daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        let from = capture.len();
        assert!(daemon.terminate().success());
        wait_for_advert(&capture, from, "one", 1, 0);
        let zeros = |f: &&Frame| is_advert(f, "one", 1) && f.seen.priority() == Some(0);
        assert_eq!(capture.frames(from).iter().filter(zeros).count(), 1);
        assert_eq!(kernel_addresses(host), before);
        for file in ["parent.pid", "vrrp.pid"] {
            assert!(!daemon.directory.join(file).exists(), "{file} is left");
        }
    });
}

#[test]
fn when_the_parent_is_killed_the_child_ends_in_good_order() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let mut daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        let from = capture.len();
        kill("KILL", daemon.process.id());
        wait_for_advert(&capture, from, "one", 1, 0);
        wait_for_address(host, VIP, false);
        assert!(!daemon.process.wait(SOON).unwrap().success());
    });
}

#[test]
fn when_the_child_is_killed_the_parent_starts_another_one() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        let first = wait_for_child(&daemon);
        let watch = Watch::new(&daemon.directory).unwrap();
        kill("KILL", first);
        let second = watch.wait(SOON, || daemon.child().filter(|child| *child != first));
        assert!(second.is_some(), "another child");
        let from = capture.len();
        wait_for_advert(&capture, from, "one", 1, 100);
        wait_for_address(host, VIP, true);
        let (data, stats) = daemon.instance("A");
        assert_eq!(data.number("state"), 2.0);
        assert_eq!(stats.number("become_master"), 1.0, "it began anew");
    });
}

/// A FIFO and its reader.
struct Fifo {
    reader: OwnedFd,
    text: String,
}

impl Fifo {
    fn new(path: &Path) -> Self {
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
        // Also for writing, so that there is no end between two writers.
        let reader = open(path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
        Self {
            reader,
            text: String::new(),
        }
    }

    /// Reads until this line has come `times` times in all.
    fn wait_for(&mut self, line: &str, times: usize) {
        let deadline = Instant::now() + SOON;
        while self.text.lines().filter(|l| *l == line).count() < times {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {line} among:\n{}", self.text);
            if sys::wait_readable(self.reader.as_fd(), left).unwrap() {
                self.read();
            }
        }
    }

    fn read(&mut self) {
        let mut file = File::from(self.reader.try_clone().unwrap());
        let mut buffer = [0; 4096];
        while let Ok(length) = file.read(&mut buffer) {
            self.text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
    }
}

/// An executable script.
fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// The lines of the FIFO about each instance and group, and what the scripts wrote into each file.
type Told = (Vec<(String, Vec<String>)>, Vec<(String, String)>);

/// The story that all scripts and FIFOs are told: elected, cut off, elected again, ended.
fn tell_a_story(program: Program) -> Told {
    let lab = alone();
    let host = lab.host("one");
    let told = lab.scratch().join("told");
    std::fs::create_dir(&told).unwrap();
    let fifo = lab.scratch().join("fifo");
    // The first argument names a file, the others go into it.
    let tell = script(
        lab.scratch(),
        "tell",
        &format!(
            "file=$1; shift; echo \"$#: $@\" >> {}/$file",
            told.display()
        ),
    );
    let tell = tell.display();
    let scripts = |who: &str| {
        let each = ["master", "backup", "fault", "stop"]
            .map(|state| format!("notify_{state} \"{tell} {who}-{state} 'two words' plain\"\n"));
        each.concat() + &format!("notify \"{tell} {who}-notify\"\n")
    };
    let text = format!(
        "global_defs {{\n script_user root\n notify_fifo {}\n}}\n\
         vrrp_sync_group G {{\n group {{\n B\n C\n }}\n {}}}\n{}{}{}",
        fifo.display(),
        scripts("G"),
        instance("A", 1, 100, &scripts("A"), &["10.0.0.100"]),
        instance("B", 2, 101, &scripts("B"), &["10.0.0.101"]),
        instance("C", 3, 102, &scripts("C"), &["10.0.0.102"]),
    );
    let mut fifo = Fifo::new(&fifo);
    let mut daemon = host.daemon(program, &text);
    let masters = [
        "INSTANCE \"A\" MASTER 100",
        "INSTANCE \"B\" MASTER 101",
        "INSTANCE \"C\" MASTER 102",
        "GROUP \"G\" MASTER 0",
    ];
    let watch = Watch::new(&told).unwrap();
    // Two scripts for each line; the next chapter only after all have run, so that they are not overtaken.
    let wait = |fifo: &mut Fifo, state: &str, times| {
        for line in masters {
            fifo.wait_for(&line.replace("MASTER", state), times);
        }
        let all = fifo.text.lines().count() * 2;
        let run = || (lines(&told) >= all).then_some(());
        watch
            .wait(SOON, run)
            .unwrap_or_else(|| panic!("scripts are missing: {:?}", files(&told)));
    };
    wait(&mut fifo, "MASTER", 1);
    host.plug(false).unwrap();
    wait(&mut fifo, "FAULT", 1);
    host.plug(true).unwrap();
    wait(&mut fifo, "MASTER", 2);
    daemon.terminate();
    wait(&mut fifo, "STOP", 1);
    // In which order those are told who become something together is nobody's business.
    let subjects = masters.map(|line| line.trim_end_matches(|c| c != '"').to_owned());
    let lines = |subject: &String| {
        let lines = fifo.text.lines().filter(|l| l.starts_with(subject));
        lines.map(str::to_owned).collect()
    };
    let by_subject = subjects.map(|subject| (subject.clone(), lines(&subject)));
    (by_subject.into(), files(&told))
}

/// Names and contents of the files of a directory.
fn files(directory: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Number of lines in all files of a directory.
fn lines(directory: &Path) -> usize {
    let lines = |(_, text): &(String, String)| text.lines().count();
    files(directory).iter().map(lines).sum()
}

#[test]
fn scripts_and_fifo_are_told_what_keepalived_tells_them() {
    as_with_keepalived(tell_a_story);
}

#[test]
fn a_script_that_hangs_holds_nothing_up() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let hang = script(lab.scratch(), "hang", "exec sleep 600");
        let states = ["master", "backup", "fault", "stop"];
        let mut scripts = format!("notify \"{}\"\n", hang.display());
        for state in states {
            scripts += &format!("notify_{state} \"{}\"\n", hang.display());
        }
        let text = instance("A", 1, 100, &scripts, &[VIP]);
        let mut daemon = host.daemon(Program::Keepalite, &text);
        for _ in 0..2 {
            wait_for_address(host, VIP, true);
            let from = capture.len();
            for _ in 0..10 {
                wait_for_advert(&capture, capture.len(), "one", 1, 100);
            }
            let gap = longest_gap(&capture.frames(from), "one", 1);
            assert!(gap < GAP, "a gap of {gap:?}");
            host.plug(false).unwrap();
            wait_for_address(host, VIP, false);
            host.plug(true).unwrap();
        }
        wait_for_address(host, VIP, true);
        let begin = Instant::now();
        daemon.terminate();
        let lasted = begin.elapsed();
        assert!(lasted < Duration::from_secs(3), "it ended in {lasted:?}");
        assert!(!host.has(ip(VIP)));
    });
}

#[test]
fn the_script_of_the_stop_is_waited_for() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let done = lab.scratch().join("done");
        let slow = format!("sleep 0.4; echo > {}", done.display());
        let slow = script(lab.scratch(), "slow", &slow);
        let stop = format!("notify_stop \"{}\"", slow.display());
        let text = instance("A", 1, 100, &stop, &[VIP]);
        let mut daemon = host.daemon(Program::Keepalite, &text);
        wait_for_address(host, VIP, true);
        daemon.terminate();
        assert!(done.exists(), "it ended before its script");
    });
}

/// Reloads from one configuration to another, beside a router that is in both and must not notice; `check` waits for what is to
/// come of it.
fn reloads(old: &str, new: &str, check: impl Fn(&Host, &Capture, usize)) {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let untouched = instance("Untouched", 99, 100, "", &["10.0.0.199"]);
        let daemon = host.daemon(Program::Keepalite, &(untouched.clone() + old));
        wait_for_address(host, "10.0.0.199", true);
        if !old.is_empty() {
            wait_for_address(host, VIP, true);
        }
        // The capture lags behind the kernel: all that belongs to the beginning is in it first.
        let announced = |f: &Frame| f.seen.announced() == Some(ip("10.0.0.199"));
        let count = || capture.frames(0).iter().filter(|f| announced(f)).count();
        while count() < 5 {
            let next = capture.wait_for(capture.len(), SOON, |_| true);
            assert!(next.is_some(), "it was never announced");
        }
        let beginning = capture.len();
        wait_for_advert(&capture, beginning, "one", 99, 100);
        let from = capture.len();
        let begin = Instant::now();
        daemon.reload(&(untouched + new));
        check(host, &capture, from);
        wait_for_advert(&capture, capture.len(), "one", 99, 100);
        let gap = longest_gap(&capture.frames(beginning), "one", 99);
        assert!(gap < GAP, "the untouched one paused for {gap:?}");
        let (data, stats) = daemon.instance("Untouched");
        assert_eq!(data.number("state"), 2.0);
        assert_eq!(stats.number("become_master"), 1.0);
        assert_eq!(stats.number("pri_zero_sent"), 0.0);
        let again = capture.frames(from);
        let announced: Vec<Duration> = again
            .iter()
            .filter(|f| announced(f))
            .map(|f| f.at - begin)
            .collect();
        assert!(announced.is_empty(), "it was announced after {announced:?}");
    });
}

#[test]
fn a_reload_changes_a_priority() {
    reloads(&plain(100), &plain(150), |host, capture, from| {
        wait_for_advert(capture, from, "one", 1, 150);
        wait_for_advert(capture, capture.len(), "one", 1, 150);
        assert!(host.has(ip(VIP)));
        let all = capture.frames(from);
        assert!(longest_gap(&all, "one", 1) < GAP);
        let resigned = |f: &Frame| is_advert(f, "one", 1) && f.seen.priority() == Some(0);
        assert!(!all.iter().any(resigned), "it stayed master");
    });
}

#[test]
fn a_reload_adds_and_announces_an_address() {
    let more = instance("A", 1, 100, "", &[VIP, "10.0.0.101"]);
    reloads(&plain(100), &more, |host, capture, from| {
        wait_for_address(host, "10.0.0.101", true);
        assert!(host.has(ip(VIP)));
        let announced = |f: &Frame| f.seen.announced() == Some(ip("10.0.0.101"));
        assert!(capture.wait_for(from, SOON, announced).is_some());
        let advertised = |f: &Frame| matches!(&f.seen, Seen::Advert { vrid: 1, addresses, .. } if addresses.len() == 2);
        assert!(capture.wait_for(from, SOON, advertised).is_some());
        wait_for_advert(capture, capture.len(), "one", 1, 100);
        assert!(longest_gap(&capture.frames(from), "one", 1) < GAP);
    });
}

#[test]
fn a_reload_removes_an_address() {
    let more = instance("A", 1, 100, "", &[VIP, "10.0.0.101"]);
    reloads(&more, &plain(100), |host, capture, from| {
        wait_for_address(host, "10.0.0.101", false);
        assert!(host.has(ip(VIP)));
        let advertised = |f: &Frame| matches!(&f.seen, Seen::Advert { vrid: 1, addresses, .. } if addresses.len() == 1);
        assert!(capture.wait_for(from, SOON, advertised).is_some());
    });
}

#[test]
fn a_reload_starts_an_instance() {
    reloads("", &plain(100), |host, capture, from| {
        wait_for_address(host, VIP, true);
        wait_for_advert(capture, from, "one", 1, 100);
    });
}

#[test]
fn a_reload_ends_an_instance() {
    reloads(&plain(100), "", |host, capture, from| {
        wait_for_advert(capture, from, "one", 1, 0);
        wait_for_address(host, VIP, false);
    });
}

#[test]
fn a_reload_moves_an_address_to_another_instance() {
    let a = instance("A", 1, 100, "", &[VIP, "10.0.0.101"]);
    let b = instance("B", 2, 100, "", &["10.0.0.102"]);
    let without = instance("A", 1, 100, "", &[VIP]);
    let with = instance("B", 2, 100, "", &["10.0.0.102", "10.0.0.101"]);
    reloads(&(a + &b), &(without + &with), |host, capture, from| {
        let advertised = |f: &Frame| matches!(&f.seen, Seen::Advert { vrid: 2, addresses, .. } if addresses.len() == 2);
        assert!(capture.wait_for(from, SOON, advertised).is_some());
        wait_for_advert(capture, capture.len(), "one", 2, 100);
        assert!(host.has(ip("10.0.0.101")) && host.has(ip(VIP)));
    });
}

#[test]
fn a_broken_file_changes_nothing_and_every_fault_of_it_is_said() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        let from = capture.len();
        wait_for_advert(&capture, from, "one", 1, 100);
        let broken = plain(150)
            .replace("virtual_router_id 1", "virtual_router_id 300")
            .replace("10.0.0.100", "10.0.0.400");
        daemon.reload(&broken);
        daemon.wait_for_words("10.0.0.400");
        daemon.wait_for_words("300");
        for _ in 0..3 {
            wait_for_advert(&capture, capture.len(), "one", 1, 100);
        }
        let all = capture.frames(from);
        assert!(longest_gap(&all, "one", 1) < GAP);
        assert!(
            all.iter()
                .all(|f| f.seen.priority().is_none_or(|p| p == 100))
        );
        assert!(host.has(ip(VIP)));
        assert_eq!(daemon.instance("A").1.number("become_master"), 1.0);
    });
}

/// Much of what a dump tells.
const MANY_WORDS: &str = "
global_defs {
    script_user root
    vrrp_garp_master_refresh 30
}
vrrp_sync_group G {
    group {
        B
        C
    }
}
vrrp_instance A {
    state BACKUP
    interface eth0
    virtual_router_id 1
    priority 100
    nopreempt
    advert_int 1
    garp_master_delay 3
    authentication {
        auth_type PASS
        auth_pass secret
    }
    track_interface {
        other
        far weight 10
    }
    virtual_ipaddress {
        10.0.0.100
        10.0.0.101/24 brd + label eth0:1
        10.0.8.1/24 dev other scope site
        10.0.9.1 peer 10.0.9.2 no_track noprefixroute
    }
    virtual_ipaddress_excluded {
        fd00::100/64
        fd00::101/64 -nodad home mngtmpaddr autojoin
        fd00::102 preferred_lft 100
        fd00::103 no_track
    }
    notify_deleted /usr/bin/true
    notify_master_rx_lower_pri /usr/bin/true
    notify_master \"/usr/bin/true one two\"
    notify_backup /usr/bin/true
    notify \"/usr/bin/true\"
}
vrrp_instance B {
    interface eth0
    virtual_router_id 2
    priority 150
    version 3
    advert_int 0.25
    preempt_delay 2
    lower_prio_no_advert
    virtual_ipaddress {
        10.0.0.102
    }
    notify_fault /usr/bin/true
    notify_stop /usr/bin/true
}
vrrp_instance C {
    interface eth0
    virtual_router_id 3
    priority 101
    version 3
    advert_int 0.25
    dont_track_primary
    skip_check_adv_addr
    virtual_ipaddress {
        fe80::102
        fd00::102/64
    }
    smtp_alert
}
vrrp_instance D {
    state MASTER
    interface eth0
    virtual_router_id 4
    priority 255
    version 3
    advert_int 0.05
    virtual_ipaddress {
        10.0.0.103
    }
}
";

/// Starts a daemon with [`MANY_WORDS`] and asks it once the owner is master.
fn with_many_words<T>(program: Program, ask: impl Fn(&Daemon) -> T) -> T {
    let lab = alone();
    let host = lab.host("one");
    host.wait_for_link_local();
    host.run("ip link add other type veth peer name far");
    for link in ["other", "far"] {
        host.run(&format!("ip link set {link} up"));
    }
    let daemon = host.daemon(program, MANY_WORDS);
    wait_for_address(host, "10.0.0.103", true);
    wait_for_child(&daemon);
    ask(&daemon)
}

#[test]
fn json_has_the_keys_of_keepalived_in_its_order_and_its_values() {
    as_with_keepalived(|program| {
        with_many_words(program, |daemon| {
            let json = daemon.json();
            let clean = |one: &Json| {
                let data = one.get("data").unwrap();
                let stats = one.get("stats").unwrap();
                // Not equal by nature, or a secret; that they are there is in the names.
                let volatile = ["last_transition", "auth_data"];
                let names = |json: &Json| -> Vec<String> {
                    let names = json.names().into_iter().filter(|n| *n != "auth_data");
                    names.map(str::to_owned).collect()
                };
                (names(data), data.clone().without(&volatile), names(stats))
            };
            json.iter().map(clean).collect::<Vec<_>>()
        })
    });
}

#[test]
fn the_text_of_the_counters_is_that_of_keepalived() {
    as_with_keepalived(|program| {
        with_many_words(program, |daemon| {
            let text = daemon.dump(Dump::Stats);
            let digits = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
            text.lines().map(digits).collect::<Vec<_>>()
        })
    });
}

#[test]
fn the_dump_of_the_data_names_every_instance() {
    with_namespaces(|| {
        with_many_words(Program::Keepalite, |daemon| {
            let text = daemon.dump(Dump::Data);
            for name in ["A", "B", "C", "D"] {
                let heading = format!("VRRP Instance = {name}");
                assert!(text.contains(&heading), "no {heading} in:\n{text}");
            }
        });
    });
}

/// Entries of a directory of a process in /proc.
fn count(process: u32, what: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/{what}"))
        .unwrap()
        .count()
}

fn children(process: u32) -> Vec<u32> {
    let file = format!("/proc/{process}/task/{process}/children");
    let text = std::fs::read_to_string(file).unwrap();
    text.split_whitespace().flat_map(str::parse).collect()
}

#[test]
fn each_process_has_one_thread_and_fifty_reloads_leave_neither_descriptors_nor_zombies() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let notify = "notify \"/usr/bin/true\"";
        let [odd, even] =
            ["10.0.0.101", "10.0.0.102"].map(|other| instance("A", 1, 100, notify, &[VIP, other]));
        let daemon = host.daemon(Program::Keepalite, &even);
        wait_for_address(host, "10.0.0.102", true);
        let parent = daemon.process.id();
        let child = wait_for_child(&daemon);
        let reload = |round: usize| {
            let (text, address) = if round.is_multiple_of(2) {
                (&odd, "10.0.0.101")
            } else {
                (&even, "10.0.0.102")
            };
            daemon.reload(text);
            wait_for_address(host, address, true);
        };
        for round in 0..2 {
            reload(round);
        }
        let descriptors = [parent, child].map(|process| count(process, "fd"));
        for round in 0..50 {
            reload(round);
        }
        assert_eq!(
            [parent, child].map(|process| count(process, "fd")),
            descriptors
        );
        for process in [parent, child] {
            assert_eq!(count(process, "task"), 1);
        }
        assert_eq!(children(parent), [child]);
        for process in children(child) {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
            assert!(
                stat.is_ok_and(|s| !s.contains(") Z")),
                "{process} is a zombie"
            );
        }
    });
}

#[test]
fn a_process_that_runs_late_goes_to_real_time_one_priority_at_a_time() {
    with_namespaces(|| {
        let lab = alone();
        let global = "global_defs {\n max_auto_priority 2\n min_auto_priority_delay 100000\n}\n";
        let daemon = lab
            .host("one")
            .daemon(Program::Keepalite, &format!("{global}{}", plain(100)));
        daemon.wait_for_words("Entering MASTER STATE");
        let child = daemon.child().unwrap();
        // Field 40 of proc(5), counted from behind the name.
        let priority = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
            let behind = stat.rsplit(") ").next().unwrap();
            behind.split(' ').nth(37).unwrap().to_owned()
        };
        assert_eq!(priority(), "0");
        for expected in ["1", "2", "2"] {
            kill("STOP", child);
            // What makes it late is that time passes.
            std::thread::sleep(Duration::from_millis(400));
            kill("CONT", child);
            let step = |_| std::thread::yield_now();
            let there = || (priority() == expected).then_some(());
            wait_until(Instant::now() + SOON, step, there).expect("its priority");
        }
        assert_eq!(
            daemon
                .process
                .output()
                .matches("going to real-time priority")
                .count(),
            2
        );
    });
}
