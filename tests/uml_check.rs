//! The checkers against a kernel with IPVS: what `ipvsadm` says while servers come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "uml/mod.rs"]
mod uml;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes as long: the checks are a second apart.
const SOON: Duration = Duration::from_secs(15);

/// keepalite with its checkers; it ends when dropped.
struct Director {
    process: Child,
    configuration: PathBuf,
}

impl Director {
    fn start(configuration: &str, options: &[&str]) -> Self {
        let path = PathBuf::from("/run/keepalite.conf");
        fs::write(&path, configuration).expect("writable");
        let program = env!("CARGO_BIN_EXE_keepalite");
        let process = Command::new(program)
            .args(["-n", "-l", "-G", "-f"])
            .arg(&path)
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .expect("keepalite starts");
        Self {
            process,
            configuration: path,
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill").success());
    }

    fn reload(&self, configuration: &str) {
        fs::write(&self.configuration, configuration).expect("writable");
        self.signal("HUP");
    }

    fn stop(mut self) {
        self.signal("TERM");
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `ipvsadm -Sn` says, without the options that are as everywhere here.
fn table() -> Vec<String> {
    let output = Command::new("ipvsadm")
        .arg("-Sn")
        .output()
        .expect("ipvsadm");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.sort();
    lines
}

/// Waits until the table is as it should be.
fn becomes(expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    until("the table", || {
        let table = table();
        (table == expected)
            .then_some(())
            .ok_or_else(|| format!("{table:#?}\nnot {expected:#?}"))
    });
}

fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + SOON;
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) if Instant::now() > end => panic!("{what} is {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn addresses(all: &[&str]) {
    for address in all {
        let added = Command::new("ip")
            .args(["address", "add", address, "dev", "lo"])
            .status();
        assert!(added.expect("ip").success(), "{address}");
    }
}

const WEB: &str = "
virtual_server 10.0.0.100 80 {
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    delay_loop 1
    warmup 0
    retry 0
    real_server 10.0.1.1 80 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
    real_server 10.0.1.2 80 {
        weight 10
        MISC_CHECK {
            misc_path \"/bin/sh -c 'exit $(cat /run/weight)'\"
            misc_dynamic
        }
    }
}
";

#[test]
fn servers_that_fail_leave_the_table_and_weights_follow_their_commands() {
    uml::inside(|| {
        addresses(&["10.0.1.1/32", "10.0.1.2/32"]);
        let server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        fs::write("/run/weight", "0").expect("writable");
        let service = "-A -t 10.0.0.100:80 -s rr";
        let first = "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -m -w 1";
        let director = Director::start(WEB, &[]);
        becomes(&[
            service,
            first,
            "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w 10",
        ]);
        fs::write("/run/weight", "32").expect("writable");
        becomes(&[
            service,
            first,
            "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w 30",
        ]);
        drop(server);
        becomes(&[service, "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w 30"]);
        fs::write("/run/weight", "1").expect("writable");
        becomes(&[service]);
        let _server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        becomes(&[service, first]);
        director.stop();
        becomes(&[]);
    });
}

fn ipvsadm(arguments: &str) {
    let words = arguments.split_whitespace();
    let done = Command::new("ipvsadm").args(words).status();
    assert!(done.expect("ipvsadm").success(), "{arguments}");
}

/// A virtual server whose real ones are not checked.
fn unchecked(servers: &str) -> String {
    let service = "lvs_sched wlc\nlvs_method DR\nprotocol TCP\n";
    format!("virtual_server 10.0.0.100 80 {{\n{service}{servers}}}\n")
}

#[test]
fn what_is_there_is_adopted_and_corrected_and_the_rest_of_others_left_alone() {
    uml::inside(|| {
        ipvsadm("-A -t 10.0.0.100:80 -s rr");
        ipvsadm("-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 7");
        ipvsadm("-a -t 10.0.0.100:80 -r 10.0.1.9:80 -g -w 1");
        ipvsadm("-A -u 10.0.0.200:53 -s rr");
        let two = "real_server 10.0.1.1 8080 {\n}\nreal_server 10.0.1.2 80 {\nweight 5\n}\n";
        let director = Director::start(&unchecked(two), &[]);
        let foreign = "-A -u 10.0.0.200:53 -s rr";
        let service = "-A -t 10.0.0.100:80 -s wlc";
        let first = "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1";
        let second = "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -g -w 5";
        becomes(&[foreign, service, first, second]);
        let another = "real_server 10.0.1.1 80 {\n}\nreal_server 10.0.1.3 80 {\n}\n";
        director.reload(&unchecked(another));
        let third = "-a -t 10.0.0.100:80 -r 10.0.1.3:80 -g -w 1";
        becomes(&[foreign, service, first, third]);
        ipvsadm("-d -t 10.0.0.100:80 -r 10.0.1.1:80");
        director.reload(&unchecked(another));
        becomes(&[foreign, service, first, third]);
        director.stop();
        becomes(&[foreign]);
    });
}

#[test]
fn without_release_the_table_stays_and_the_next_start_goes_on_with_it() {
    uml::inside(|| {
        let one = unchecked("real_server 10.0.1.1 80 {\n}\n");
        let service = "-A -t 10.0.0.100:80 -s wlc";
        let first = "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1";
        for options in [&["-I"][..], &["--single"]] {
            let director = Director::start(&one, options);
            becomes(&[service, first]);
            director.stop();
            let left = if options == ["-I"] {
                &[service, first][..]
            } else {
                &[]
            };
            becomes(left);
        }
    });
}

#[test]
fn a_kernel_without_ipvs_is_told_and_does_not_stop_anything() {
    uml::inside(|| {
        let modprobe = "/proc/sys/kernel/modprobe";
        let before = fs::read_to_string(modprobe).expect("a setting");
        fs::write(modprobe, "/bin/false").expect("a setting");
        let one = unchecked("real_server 10.0.1.1 80 {\n}\n");
        let director = Director::start(&one, &[]);
        let child = Command::new("sh")
            .args([
                "-c",
                "while ! pidof keepalite_check; do sleep 0.1; done; sleep 1; pidof keepalite_check",
            ])
            .output()
            .expect("sh");
        let text = String::from_utf8_lossy(&child.stdout);
        let pids: Vec<_> = text.lines().collect();
        assert_eq!(pids.first(), pids.last());
        fs::write(modprobe, before.trim()).expect("a setting");
        becomes(&[
            "-A -t 10.0.0.100:80 -s wlc",
            "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1",
        ]);
        director.stop();
    });
}
