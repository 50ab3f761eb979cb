//! What `global_defs` says about the processes themselves: the real binary, bounded waits, no network.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod process;

use std::fs;
use std::io::Write as _;
use std::time::SystemTime;

use process::{Daemon, Place, signal, until};

fn configure(place: &Place, lines: &str) {
    fs::write(place.file("conf"), format!("global_defs {{\n{lines}\n}}\n")).unwrap();
}

fn start(place: &Place, lines: &str) -> (Daemon, u32) {
    configure(place, lines);
    let daemon = place.start(&[]);
    let vrrp = daemon.vrrp(place);
    (daemon, vrrp)
}

fn reload(place: &Place, daemon: &Daemon, lines: &str) {
    configure(place, lines);
    signal(daemon.child.id(), "HUP");
}

fn comm(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    name.trim_end().to_owned()
}

#[test]
fn processes_have_the_names_that_they_are_given() {
    let place = Place::new("given-names");
    let (daemon, vrrp) = start(&place, "process_names");
    assert_eq!(comm(daemon.child.id()), "keepalived");
    until("its name", || {
        (comm(vrrp) == "keepalived_vrrp").then_some(())
    });
    reload(&place, &daemon, "process_name one\n vrrp_process_name two");
    until("another name", || {
        (comm(daemon.child.id()) == "one" && comm(vrrp) == "two").then_some(())
    });
}

/// Nice value, real-time priority and policy, as proc(5) numbers them from behind the name.
fn scheduling(pid: u32) -> [i32; 3] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind = stat.rsplit(") ").next().unwrap();
    let fields: Vec<_> = behind.split(' ').collect();
    [19, 40, 41].map(|field| fields[field - 3].parse().unwrap())
}

fn status(pid: u32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_default()
        .trim_matches([':', '\t', ' '])
        .to_owned()
}

fn time_limit(pid: u32) -> String {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max realtime timeout"));
    line.unwrap().split_whitespace().nth(3).unwrap().to_owned()
}

#[test]
fn the_kernel_schedules_the_process_as_asked_until_a_reload_takes_that_back() {
    if !rustix::process::geteuid().is_root() {
        return process::skip("only root may ask for such priorities");
    }
    let place = Place::new("scheduling");
    let all = "vrrp_priority -7\n vrrp_rt_priority 3\n vrrp_no_swap\n vrrp_cpu_affinity 0\n vrrp_rlimit_rttime 500000";
    let (daemon, vrrp) = start(&place, all);
    let (others, cpus) = (
        scheduling(daemon.child.id()),
        status(daemon.child.id(), "Cpus_allowed_list"),
    );
    // SCHED_RR of linux/sched.h.
    until("its scheduling", || {
        (scheduling(vrrp) == [-7, 3, 2]).then_some(())
    });
    assert_eq!(status(vrrp, "Cpus_allowed_list"), "0");
    assert_ne!(status(vrrp, "VmLck"), "0 kB");
    assert_eq!(time_limit(vrrp), "500000");
    assert_eq!(
        scheduling(daemon.child.id()),
        others,
        "the parent is none of it"
    );

    reload(&place, &daemon, "vrrp_priority 4");
    until("another nice value", || {
        (scheduling(vrrp) == [4, 0, 0]).then_some(())
    });
    assert_eq!(status(vrrp, "Cpus_allowed_list"), cpus);
    assert_eq!(status(vrrp, "VmLck"), "0 kB");
    assert_eq!(time_limit(vrrp), "unlimited");
    reload(&place, &daemon, "");
    until("its old nice value", || {
        (scheduling(vrrp) == others).then_some(())
    });
}

/// The time of day in universal time, so many seconds from now.
fn time_of_day(later: u64) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let second = (now.as_secs() + later) % 86_400;
    format!(
        "{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[test]
fn a_file_tells_when_to_reload_and_goes_when_that_is_done() {
    let place = Place::new("reload-time");
    let file = place.file("at");
    let lines = format!("reload_time_file {}", file.display());
    let (daemon, _vrrp) = start(&place, &lines);
    fs::write(&file, "some time\n").unwrap();
    daemon.says("is no time to come");
    fs::write(&file, format!("{}\n", time_of_day(2))).unwrap();
    daemon.says("next reload at");
    daemon.says("Reloading");
    assert!(!file.exists());
}

#[test]
fn the_file_stays_for_the_next_day_where_that_is_asked_for() {
    let place = Place::new("reload-repeat");
    let file = place.file("at");
    fs::write(&file, time_of_day(2)).unwrap();
    let lines = format!("reload_time_file {}\n reload_repeat", file.display());
    let (daemon, _vrrp) = start(&place, &lines);
    daemon.says("Reloading");
    daemon.says("next reload at");
    assert!(file.exists());
}

#[test]
fn a_reload_file_is_there_until_the_last_process_has_read_the_configuration() {
    let place = Place::new("reload-file");
    let file = place.file("reading");
    let lines = format!("reload_file {}", file.display());
    let (daemon, vrrp) = start(&place, &lines);
    // Who changes the configuration makes the file, with something in it, and sees it emptied. Those who have read leave a mark.
    let mut mine = fs::File::create(&file).unwrap();
    mine.write_all(b"mine").unwrap();
    signal(vrrp, "STOP");
    signal(daemon.child.id(), "HUP");
    daemon.says("Reloading");
    let text = fs::read_to_string(&file).expect("it is still there");
    assert!(text.bytes().all(|byte| byte == b'.'), "{text}");
    signal(vrrp, "CONT");
    until("the end of reading", || (!file.exists()).then_some(()));

    fs::write(place.file("conf"), "no such word\n").unwrap();
    signal(daemon.child.id(), "HUP");
    daemon.says("not reloaded");
    until("nobody reads it any more", || {
        (!file.exists()).then_some(())
    });
}
