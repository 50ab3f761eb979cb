//! The same stories under keepalived and under keepalite: servers come and go, the file changes, and the kernel's table is the
//! same after each step.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::table;
use crate::uml;
use Step::{Configure, Gone, Here, Weigh};

const KEEPALITE: &str = env!("CARGO_BIN_EXE_keepalite");
const KEEPALIVED: &str = "/usr/sbin/keepalived";
const FILE: &str = "/run/story.conf";

/// What happens.
enum Step {
    /// This is the configuration now: the first one is started with, others are reloaded. `%` stands for [`COMMON`].
    Configure(&'static str),
    /// A server listens, by the last part of its address.
    Here(u8),
    /// It no longer does.
    Gone(u8),
    /// What the command of a server exits with.
    Weigh(u8, u8),
}

/// Checks each second; a failure is borne for another one.
const COMMON: &str = "protocol TCP\nlvs_sched wrr\nlvs_method NAT\ndelay_loop 1\nwarmup 0\n";

/// `S1` is a server of weight 2 with a check of its port, `M1` one with a command that tells its weight.
fn expand(text: &str) -> String {
    let mut expanded = text.replace('%', COMMON);
    for last in 1..=3 {
        let server = format!("real_server 10.0.1.{last} 80 {{\nweight 2\n");
        let port = "TCP_CHECK {\nconnect_timeout 1\n}\n}\n";
        let command = format!(
            "MISC_CHECK {{\nmisc_path \"/bin/sh -c 'exit $(cat /run/weight-{last})'\"\nmisc_dynamic\n}}\n}}\n"
        );
        expanded = expanded.replace(&format!("S{last}"), &format!("{server}{port}"));
        expanded = expanded.replace(&format!("M{last}"), &format!("{server}{command}"));
    }
    let globals = "global_defs {\nscript_user root\n}\n";
    format!("{globals}virtual_server 10.0.0.100 80 {{\n{expanded}}}\n")
}

/// A daemon, and the servers that it checks.
#[derive(Default)]
struct Play {
    daemon: Option<Child>,
    servers: BTreeMap<u8, TcpListener>,
}

impl Play {
    fn step(&mut self, program: &str, step: &Step) {
        match step {
            Configure(text) => {
                fs::write(FILE, expand(text)).expect("writable");
                if self.daemon.is_some() {
                    return self.signal("HUP");
                }
                let mut command = Command::new(program);
                command.args(["-n", "-l", "-f", FILE]).stdin(Stdio::null());
                self.daemon = Some(command.spawn().expect("it starts"));
            }
            Here(last) => {
                let listener = TcpListener::bind(format!("10.0.1.{last}:80"));
                self.servers.insert(*last, listener.expect("a listener"));
            }
            Gone(last) => drop(self.servers.remove(last)),
            Weigh(last, status) => {
                fs::write(format!("/run/weight-{last}"), status.to_string()).expect("writable");
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.daemon.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill").success());
    }

    fn end(mut self) {
        self.signal("TERM");
        let _ = self.daemon.take().expect("it runs").wait();
        assert_eq!(table(), [""; 0]);
    }
}

/// Plays a story under keepalived, then under keepalite, which has to come to the same tables.
fn same(steps: &[Step]) {
    uml::inside(|| {
        if !std::path::Path::new(KEEPALIVED).exists() {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: there is no {KEEPALIVED} to compare with"
            );
            return;
        }
        for last in 1..=3 {
            let address = format!("10.0.1.{last}/32");
            let added = Command::new("ip")
                .args(["address", "add", &address, "dev", "lo"])
                .status();
            assert!(added.expect("ip").success());
        }
        let mut tables = Vec::new();
        let mut play = Play::default();
        for step in steps {
            play.step(KEEPALIVED, step);
            // Nothing tells that it has come to rest: its check each second, once more, and a busy machine.
            std::thread::sleep(Duration::from_millis(4500));
            tables.push(table());
        }
        play.end();
        let mut play = Play::default();
        for (number, (step, expected)) in steps.iter().zip(&tables).enumerate() {
            play.step(KEEPALITE, step);
            let end = Instant::now() + Duration::from_secs(30);
            while table() != *expected {
                assert!(
                    Instant::now() < end,
                    "step {number}: keepalived has\n{expected:#?}\nkeepalite has\n{:#?}",
                    table()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        play.end();
    });
}

#[test]
fn servers_that_come_and_go() {
    same(&[
        Here(1),
        Here(2),
        Configure("% S1 S2"),
        Gone(1),
        Gone(2),
        Here(2),
        Here(1),
    ]);
}

#[test]
fn alpha_begins_with_nobody_and_inhibit_with_weight_0() {
    same(&[Here(1), Configure("% alpha\nS1 S2"), Here(2), Gone(1)]);
}

#[test]
fn alpha_with_inhibit() {
    same(&[
        Here(1),
        Configure("% alpha\ninhibit_on_failure\nS1 S2"),
        Here(2),
        Gone(1),
    ]);
}

#[test]
fn quorum_with_hysteresis_and_a_sorry_server() {
    same(&[
        Here(1),
        Here(2),
        Here(3),
        Configure("% quorum 3\nhysteresis 1\nsorry_server 10.0.9.9 80\nS1 S2 S3"),
        Gone(1),
        Gone(2),
        Gone(3),
        Here(1),
        Here(2),
    ]);
}

#[test]
fn a_sorry_server_that_is_inhibited_beside_servers_that_are() {
    same(&[
        Here(1),
        Configure(
            "% inhibit_on_failure\nquorum 4\nsorry_server 10.0.9.9 80\nsorry_server_inhibit\nS1 S2",
        ),
        Here(2),
        Gone(1),
        Here(1),
    ]);
}

#[test]
fn weights_of_commands() {
    // keepalived 2.2.7 mistakes the second weight that a command sets, so each sets one.
    same(&[
        Weigh(1, 0),
        Weigh(2, 0),
        Configure("% quorum 3\nsorry_server 10.0.9.9 80\nM1 M2"),
        Weigh(1, 52),
        Weigh(2, 1),
        Weigh(2, 0),
    ]);
}

#[test]
fn a_reload_adds_and_takes_away() {
    same(&[
        Here(1),
        Here(2),
        Here(3),
        Configure("% S1 S2"),
        Configure("% S1 S3"),
        Gone(3),
        Configure("% S1 S2 S3"),
        Configure("% sorry_server 10.0.9.9 80\nS3"),
        Here(3),
    ]);
}

#[test]
fn a_reload_changes_the_sorry_server() {
    // keepalived 2.2.7 forgets the living when their sorry server is taken away, so there is always one.
    same(&[
        Here(1),
        Configure("% quorum 4\nsorry_server 10.0.9.9 80\nS1 S2"),
        Configure("% quorum 4\nsorry_server 10.0.9.8 80\nS1 S2"),
        Gone(1),
    ]);
}

#[test]
fn a_reload_changes_the_quorum() {
    same(&[
        Here(1),
        Configure("% quorum 4\nS1 S2"),
        Configure("% quorum 1\nsorry_server 10.0.9.9 80\nS1 S2"),
        Gone(1),
    ]);
}

#[test]
fn a_reload_inhibits_or_no_longer() {
    same(&[
        Here(1),
        Configure("% S1 S2"),
        Configure("% inhibit_on_failure\nS1 S2"),
        Configure("% S1 S2"),
        Here(2),
    ]);
}
