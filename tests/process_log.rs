//! What the daemon logs: the real binary, bounded waits, no network.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod process;

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;

use process::{Place, signal, until};

#[test]
fn what_repeats_is_said_ten_times_and_summed_up_at_the_end() {
    let place = Place::new("repeats");
    let mut daemon = place.start(&["--single"]);
    until("who listens", || {
        UnixStream::connect(place.file("parent.sock")).ok()
    });
    for _ in 0..14 {
        let reload = Command::new(env!("CARGO_BIN_EXE_keepalite"))
            .arg("-f")
            .arg(place.file("conf"))
            .arg("-p")
            .arg(place.file("parent.pid"))
            .arg("reload")
            .output()
            .unwrap();
        assert!(reload.status.success(), "{reload:?}");
    }
    signal(daemon.child.id(), "TERM");
    let mut said = 0;
    loop {
        let line = daemon.says("Reloading ");
        if line.contains("times more") {
            assert!(
                line.contains(": 4 times more in the last minute: Reloading "),
                "{line}"
            );
            break;
        }
        said += 1;
    }
    assert_eq!(said, 10);
    assert!(daemon.ends().success());
}

#[test]
fn a_part_may_say_more_or_less_than_the_rest() {
    let place = Place::new("levels");
    let start = |levels: &str| {
        let mut daemon = place.start(&["--single", "--log-level", levels]);
        let pid = daemon.child.id().to_string();
        until("its pid file", || {
            let text = fs::read_to_string(place.file("parent.pid")).ok()?;
            (text.trim() == pid).then_some(())
        });
        signal(daemon.child.id(), "TERM");
        assert!(daemon.ends().success());
        daemon.all()
    };
    assert!(start("vrrp=debug").contains("Starting keepalite"));
    assert_eq!(start("error,check=info"), "");
    let refused = place.command(&["--log-level=vrpp=debug"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("vrrp, check, scripts and mail"), "{why}");
}
