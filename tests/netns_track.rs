//! What is tracked, by the real program on a real LAN: what it does to the priority that the adverts carry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "lab/mod.rs"]
mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::{Capture, Frame, Lab, Process, with_namespaces};

const SOON: Duration = Duration::from_secs(8);
const OURS: &str = env!("CARGO_BIN_EXE_keepalite");

/// A LAN with two routers, what is heard on it, and a place for files.
struct Stage {
    lab: Lab,
    capture: Capture,
}

fn on_a_stage(test: impl FnOnce(&Stage)) {
    with_namespaces(|| {
        let lab = Lab::new(&[("a", &["10.0.0.2/24"]), ("b", &["10.0.0.3/24"])]).expect("a LAN");
        let capture = lab.capture().expect("a listener");
        test(&Stage { lab, capture });
    });
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.lab.scratch().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn script(&self, name: &str, text: &str) -> String {
        let path = self.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        path
    }

    /// One virtual router whose instance block has `lines` besides, and `blocks` before it. `@` is the place for files.
    fn configure(&self, host: &str, priority: u8, blocks: &str, lines: &str) {
        let text = format!(
            "global_defs {{\n script_user root\n}}\n{blocks}\n\
             vrrp_instance V {{\n interface eth0\n virtual_router_id 7\n priority {priority}\n version 3\n \
             advert_int 0.1\n virtual_ipaddress {{\n  10.0.0.1/24\n }}\n{lines}\n}}\n"
        );
        let place = self.lab.scratch().display().to_string();
        self.write(&format!("{host}.conf"), &text.replace('@', &place));
    }

    fn start(&self, program: &str, host: &str) -> Process {
        let file = |suffix: &str| self.path(&format!("{host}{suffix}")).display().to_string();
        let (config, pid, vrrp) = (file(".conf"), file(".pid"), file(".vrrp.pid"));
        let arguments = [
            "-n", "-l", "-D", "-P", "-f", &config, "-p", &pid, "-r", &vrrp,
        ];
        let host = self.lab.host(host);
        host.start(program, &arguments, &[]).expect("a daemon")
    }

    /// Waits for an advert of `host` with this priority; panics with what was said otherwise.
    fn expect(&self, host: &str, priority: u8, daemon: &Process) -> Frame {
        let from = self.capture.len();
        self.expect_from(from, host, priority, daemon)
    }

    fn expect_from(&self, from: usize, host: &str, priority: u8, daemon: &Process) -> Frame {
        let wanted = |frame: &Frame| frame.from == host && frame.seen.priority() == Some(priority);
        self.capture
            .wait_for(from, SOON, wanted)
            .unwrap_or_else(|| {
                let heard = self.capture.frames(from);
                let heard: Vec<_> = heard
                    .iter()
                    .filter_map(|frame| Some((frame.from.as_str(), frame.seen.priority()?)))
                    .collect();
                panic!(
                    "no advert of {host} with {priority} in {heard:?}\n{}",
                    daemon.output()
                )
            })
    }
}

/// Waits until it has said this.
fn said(daemon: &Process, what: &str) {
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(5)));
    let answer = || daemon.output().contains(what).then_some(());
    lab::wait_until(Instant::now() + SOON, step, answer)
        .unwrap_or_else(|| panic!("never said {what:?}:\n{}", daemon.output()));
}

#[test]
fn a_script_with_a_weight_makes_a_master_give_way_and_come_back() {
    on_a_stage(|stage| {
        let check = stage.script("check", "test ! -e $0.down");
        let block = "vrrp_script chk {\n script \"@/check\"\n interval 0.1\n weight -30\n}";
        let lines = " track_script {\n  chk\n }";
        stage.configure("a", 110, block, lines);
        stage.configure("b", 100, "", "");
        let b = stage.start(OURS, "b");
        let a = stage.start(OURS, "a");
        stage.expect("a", 110, &a);
        fs::write(format!("{check}.down"), "").expect("a file");
        stage.expect("a", 80, &a);
        stage.expect("b", 100, &b);
        fs::remove_file(format!("{check}.down")).expect("removed");
        stage.expect("a", 110, &a);
        said(&b, "Entering BACKUP STATE");
    });
}

#[test]
fn a_script_without_a_weight_is_a_fault_while_it_fails() {
    on_a_stage(|stage| {
        let check = stage.script("check", "test ! -e $0.down");
        let block = "vrrp_script chk {\n script \"@/check\"\n interval 0.1\n fall 2\n rise 2\n}";
        stage.configure("a", 110, block, " track_script {\n  chk\n }");
        let a = stage.start(OURS, "a");
        stage.expect("a", 110, &a);
        fs::write(format!("{check}.down"), "").expect("a file");
        stage.expect("a", 0, &a);
        said(&a, "Entering FAULT STATE (a tracked script fails)");
        fs::remove_file(format!("{check}.down")).expect("removed");
        stage.expect("a", 110, &a);
    });
}
