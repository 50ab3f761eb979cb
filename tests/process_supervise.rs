//! The watchdog and its child, as processes: the real binary, bounded waits, no network.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod process;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use process::{Place, gone, signal, threads, until};

#[test]
fn parent_and_child_have_one_thread_each_and_only_the_parent_has_its_name() {
    let place = Place::new("names");
    let daemon = place.start(&[]);
    let vrrp = daemon.vrrp(&place);
    let parent = daemon.child.id();
    assert_eq!((threads(parent), threads(vrrp)), (1, 1));
    let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name(parent), "keepalite\n");
    assert_eq!(name(vrrp), "keepalite_vrrp\n");
    let words = fs::read(format!("/proc/{vrrp}/cmdline")).unwrap();
    assert!(words.starts_with(b"keepalite_vrrp\0"));
}

#[test]
fn term_stops_everything_and_removes_the_pid_files() {
    for name in ["TERM", "INT"] {
        let place = Place::new("stop");
        let mut daemon = place.start(&[]);
        let vrrp = daemon.vrrp(&place);
        signal(daemon.child.id(), name);
        assert_eq!(daemon.ends().code(), Some(0));
        gone(vrrp);
        assert!(!place.file("parent.pid").exists());
        assert!(!place.file("vrrp.pid").exists());
    }
}

#[test]
fn a_child_that_is_killed_is_started_again_after_ever_longer_waits() {
    let place = Place::new("respawn");
    let daemon = place.start(&[]);
    let mut vrrp = daemon.vrrp(&place);
    for wait in [1, 2] {
        let killed = Instant::now();
        signal(vrrp, "ABRT");
        let line = daemon.says("aborted");
        assert!(line.contains(&format!("again in {wait} s")), "{line}");
        vrrp = daemon.vrrp(&place);
        assert!(killed.elapsed() >= Duration::from_secs(wait));
    }
}

#[test]
fn without_respawn_the_death_of_a_child_is_the_end() {
    let place = Place::new("once");
    let mut daemon = place.start(&["-R"]);
    let vrrp = daemon.vrrp(&place);
    signal(vrrp, "KILL");
    assert_eq!(daemon.ends().code(), Some(70));
}

#[test]
fn a_permanent_error_of_a_child_ends_the_parent_with_the_same_status() {
    let place = Place::new("permanent");
    let mut daemon = place.start(&[]);
    let vrrp = daemon.vrrp(&place);
    fs::remove_file(place.file("conf")).unwrap();
    signal(vrrp, "KILL");
    assert_eq!(daemon.ends().code(), Some(4));
    assert!(!place.file("parent.pid").exists());
}

#[test]
fn when_the_parent_is_killed_the_child_ends_by_itself() {
    let place = Place::new("orphan");
    let mut daemon = place.start(&[]);
    let vrrp = daemon.vrrp(&place);
    daemon.child.kill().unwrap();
    assert_eq!(daemon.ends().signal(), Some(9));
    gone(vrrp);
    until("the removal of the child's pid file", || {
        (!place.file("vrrp.pid").exists()).then_some(())
    });
}

#[test]
fn a_second_daemon_says_that_there_is_one_and_leaves_it_alone() {
    let place = Place::new("second");
    let daemon = place.start(&[]);
    daemon.vrrp(&place);
    let second = place.command(&["-n"]).output().unwrap();
    assert_eq!(second.status.code(), Some(0));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("daemon is already running"), "{said}");
    let text = fs::read_to_string(place.file("parent.pid")).unwrap();
    assert_eq!(text.trim(), daemon.child.id().to_string());
}

#[test]
fn a_bad_file_is_not_passed_on_at_reload() {
    let place = Place::new("reload");
    let daemon = place.start(&[]);
    let vrrp = daemon.vrrp(&place);
    fs::remove_file(place.file("conf")).unwrap();
    signal(daemon.child.id(), "HUP");
    daemon.says("not reloaded");
    assert!(Path::new(&format!("/proc/{vrrp}")).exists());
}

#[test]
fn a_reload_looks_for_the_scripts_of_the_new_file() {
    let place = Place::new("scripts");
    let daemon = place.start(&[]);
    daemon.vrrp(&place);
    let text = "vrrp_instance A {\n interface nowhere0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }\n \
                notify_master /no/such/script\n}\n";
    fs::write(place.file("conf"), text).unwrap();
    signal(daemon.child.id(), "HUP");
    daemon.says("there is no program '/no/such/script'");
}

#[test]
fn a_storm_of_signals_stops_nothing() {
    let place = Place::new("storm");
    let mut daemon = place.start(&[]);
    let vrrp = daemon.vrrp(&place);
    let parent = daemon.child.id();
    let storm = format!(
        "for i in $(seq 2000); do for s in HUP USR1 USR2 CHLD $((64-1)); do kill -$s {parent} {vrrp}; done; done"
    );
    let sent = Command::new("bash").args(["-c", &storm]).status();
    assert!(sent.unwrap().success());
    assert_eq!((threads(parent), threads(vrrp)), (1, 1));
    signal(parent, "TERM");
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn in_the_background_the_launcher_returns_when_the_daemon_is_ready() {
    let place = Place::new("background");
    let status = place.command(&[]).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let text = fs::read_to_string(place.file("parent.pid")).unwrap();
    let daemon: u32 = text.trim().parse().unwrap();
    let streams = [0, 1, 2].map(|n| fs::read_link(format!("/proc/{daemon}/fd/{n}")).unwrap());
    assert!(
        streams
            .iter()
            .all(|stream| stream == Path::new("/dev/null"))
    );
    let stat = fs::read_to_string(format!("/proc/{daemon}/stat")).unwrap();
    let session = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .nth(3)
        .unwrap()
        .to_owned();
    assert_eq!(session, daemon.to_string());
    signal(daemon, "TERM");
    gone(daemon);
    assert!(!place.file("parent.pid").exists());
}

#[test]
fn single_is_one_process() {
    let place = Place::new("single");
    let mut daemon = place.start(&["--single"]);
    let parent = daemon.child.id();
    until("the pid file", || {
        place.file("parent.pid").exists().then_some(())
    });
    daemon.says("Starting keepalite");
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    assert_eq!(children.unwrap_or_default(), "");
    assert_eq!(threads(parent), 1);
    signal(parent, "TERM");
    assert_eq!(daemon.ends().code(), Some(0));
}
