//! The checkers against a kernel with IPVS: what `ipvsadm` says while servers come and go.

use crate::table::table;
use crate::uml;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
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
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the table is as it should be.
fn becomes(expected: &[&str]) {
    within(SOON, expected);
}

fn within(limit: Duration, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    until("the table", limit, || {
        let table = table();
        (table == expected)
            .then_some(())
            .ok_or_else(|| format!("{table:#?}\nnot {expected:#?}"))
    });
}

fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
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
        let director = Director::start(&one, &["--single"]);
        becomes(&[service, first]);
        director.stop();
        becomes(&[]);
        let director = Director::start(&one, &["-I"]);
        becomes(&[service, first]);
        director.stop();
        becomes(&[service, first]);
        let two = unchecked("real_server 10.0.1.2 80 {\n}\n");
        let director = Director::start(&two, &[]);
        becomes(&[service, "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -g -w 1"]);
        director.stop();
        becomes(&[]);
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
        let all = [
            "-A -t 10.0.0.100:80 -s wlc",
            "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1",
        ];
        within(Duration::from_secs(35), &all);
        director.stop();
    });
}

#[test]
fn a_group_becomes_a_virtual_server_for_each_address_and_mark() {
    uml::inside(|| {
        let director = Director::start(
            "
virtual_server_group web {
    10.0.0.100-102 80
    10.0.4.0/31 8080
    2001:db8::10-11 80
    fwmark 7 inet
    fwmark 7 inet6
}
virtual_server group web {
    lvs_sched rr
    lvs_method TUN
    protocol TCP
    real_server 10.0.1.1 80 {
    }
}
virtual_server fwmark 9 {
    ip_family inet6
    lvs_sched wrr
    lvs_method DR
    real_server 2001:db8::1 443 {
    }
}
",
            &[],
        );
        let mut expected = Vec::new();
        let services = [
            ("-t 10.0.0.100:80", 80),
            ("-t 10.0.0.101:80", 80),
            ("-t 10.0.0.102:80", 80),
            ("-t 10.0.4.0:8080", 8080),
            ("-t 10.0.4.1:8080", 8080),
            ("-t [2001:db8::10]:80", 80),
            ("-t [2001:db8::11]:80", 80),
            ("-f 7", 0),
            ("-f 7 -6", 0),
        ];
        for (service, port) in services {
            expected.push(format!("-A {service} -s rr"));
            expected.push(format!(
                "-a {service} -r 10.0.1.1:{port} -i -w 1 --tun-type ipip"
            ));
        }
        expected.push("-A -f 9 -6 -s wrr".to_owned());
        expected.push("-a -f 9 -6 -r [2001:db8::1]:0 -g -w 1".to_owned());
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        becomes(&expected);
        director.stop();
        becomes(&[]);
    });
}

#[test]
fn flush_and_timeouts_are_done_at_the_start_and_flush_at_the_stop() {
    uml::inside(|| {
        ipvsadm("-A -u 10.0.0.200:53 -s rr");
        let globals = "global_defs {\nlvs_flush\nlvs_flush_on_stop\nlvs_timeouts tcp 1000 tcpfin 50 udp 70\n}\n";
        let servers = unchecked("real_server 10.0.1.1 80 {\n}\n");
        let director = Director::start(&format!("{globals}{servers}"), &[]);
        let service = "-A -t 10.0.0.100:80 -s wlc";
        let first = "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1";
        becomes(&[service, first]);
        let output = Command::new("ipvsadm")
            .args(["-l", "--timeout"])
            .output()
            .expect("ipvsadm");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("1000 50 70"), "{said}");
        ipvsadm("-A -u 10.0.0.200:53 -s rr");
        director.stop();
        becomes(&[]);
    });
}

#[test]
fn what_somebody_changes_behind_us_is_put_right_within_half_a_minute() {
    uml::inside(|| {
        let one = unchecked("real_server 10.0.1.1 80 {\n}\n");
        let both = one.clone() + &one.replace("10.0.0.100", "10.0.0.101");
        let director = Director::start(&both, &[]);
        let all = [
            "-A -t 10.0.0.100:80 -s wlc",
            "-A -t 10.0.0.101:80 -s wlc",
            "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1",
            "-a -t 10.0.0.101:80 -r 10.0.1.1:80 -g -w 1",
        ];
        becomes(&all);
        ipvsadm("-D -t 10.0.0.101:80");
        ipvsadm("-E -t 10.0.0.100:80 -s rr");
        ipvsadm("-e -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 9");
        ipvsadm("-a -t 10.0.0.100:80 -r 10.0.1.9:80 -g -w 9");
        within(Duration::from_secs(35), &all);
        director.stop();
    });
}

#[test]
fn what_a_verdict_finds_otherwise_than_it_was_is_put_right_at_once() {
    uml::inside(|| {
        addresses(&["10.0.1.1/32"]);
        fs::write("/run/weight", "12").expect("writable");
        let _server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        let whole = |weight: u8| {
            [
                "-A -t 10.0.0.100:80 -s rr".to_owned(),
                "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -m -w 1".to_owned(),
                format!("-a -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w {weight}"),
            ]
        };
        // Well before anybody looks anyway.
        let soon = |weight: u8| {
            let whole = whole(weight);
            let lines: Vec<&str> = whole.iter().map(String::as_str).collect();
            within(Duration::from_secs(8), &lines);
        };
        let director = Director::start(WEB, &[]);
        soon(10);
        ipvsadm("-d -t 10.0.0.100:80 -r 10.0.1.2:80");
        fs::write("/run/weight", "13").expect("writable");
        soon(11);
        ipvsadm("-D -t 10.0.0.100:80");
        fs::write("/run/weight", "14").expect("writable");
        soon(12);
        director.stop();
        becomes(&[]);
    });
}

#[test]
fn scripts_and_fifo_hear_what_keepalived_tells_them() {
    uml::inside(|| {
        addresses(&["10.0.1.1/32", "10.0.1.2/32"]);
        let server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        let made = Command::new("mkfifo").arg("/run/lines").status();
        assert!(made.expect("mkfifo").success());
        let mut lines = Lines::of("/run/lines");
        let script = |name: &str| format!("{name} \"/bin/sh -c 'echo {name} >>/run/told'\"\n");
        let director = Director::start(
            &format!(
                "
global_defs {{
    lvs_notify_fifo /run/lines
}}
virtual_server 10.0.0.100 80 {{
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    delay_loop 1
    warmup 0
    retry 0
    omega
    {}{}
    real_server 10.0.1.1 80 {{
        {}{}
        TCP_CHECK {{
            connect_timeout 1
        }}
    }}
}}
virtual_server fwmark 7 {{
    lvs_sched rr
    lvs_method DR
    real_server 10.0.1.2 80 {{
    }}
}}
",
                script("quorum_up"),
                script("quorum_down"),
                script("notify_up"),
                script("notify_down")
            ),
            &[],
        );
        let (virtual_server, real) = ("[10.0.0.100]:tcp:80", "[10.0.1.1]:tcp:80");
        assert_eq!(lines.next(), format!("VS {virtual_server} UP"));
        assert_eq!(lines.next(), "VS FWM 7 UP");
        drop(server);
        assert_eq!(lines.next(), format!("RS {real} {virtual_server} DOWN"));
        assert_eq!(lines.next(), format!("VS {virtual_server} DOWN"));
        let _server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        assert_eq!(lines.next(), format!("RS {real} {virtual_server} UP"));
        assert_eq!(lines.next(), format!("VS {virtual_server} UP"));
        director.signal("USR1");
        let report = until("the report", SOON, || {
            let path = "/run/tmp/keepalived_check.data";
            fs::read_to_string(path).map_err(|error| error.to_string())
        });
        assert!(
            report.contains("VS VIP = 10.0.0.100, VPORT = 80"),
            "{report}"
        );
        assert!(report.contains("connection refused"), "{report}");
        let words = [
            "quorum_up",
            "notify_down",
            "quorum_down",
            "notify_up",
            "quorum_up",
        ];
        until("what scripts have heard", SOON, || {
            let told = fs::read_to_string("/run/told").unwrap_or_default();
            let mut told: Vec<_> = told.lines().collect();
            // Those of the service and of the server do not wait for each other.
            told.sort_unstable();
            let mut words = words.to_vec();
            words.sort_unstable();
            (told == words)
                .then_some(())
                .ok_or_else(|| format!("{told:?}"))
        });
        director.stop();
        // With omega also the end is told.
        assert_eq!(lines.next(), format!("RS {real} {virtual_server} DOWN"));
        assert_eq!(lines.next(), format!("VS {virtual_server} DOWN"));
    });
}

/// The lines that come out of a FIFO.
struct Lines(std::sync::mpsc::Receiver<String>);

impl Lines {
    fn of(path: &str) -> Self {
        // For writing too, so that it does not end when a writer does.
        let fifo = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .expect("a FIFO");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(fifo).lines() {
                let _ = tell.send(line.expect("text"));
            }
        });
        Self(told)
    }

    fn next(&mut self) -> String {
        self.0.recv_timeout(SOON).expect("a line")
    }
}

/// The process of the checkers.
fn checkers() -> Option<u32> {
    let output = Command::new("pidof").arg("keepalite_check").output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

#[test]
fn checkers_that_are_killed_come_back_and_the_table_becomes_true() {
    uml::inside(|| {
        addresses(&["10.0.1.1/32", "10.0.1.2/32"]);
        fs::write("/run/weight", "0").expect("writable");
        let server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        let service = "-A -t 10.0.0.100:80 -s rr";
        let first = "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -m -w 1";
        let second = "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w 10";
        let director = Director::start(WEB, &[]);
        becomes(&[service, first, second]);
        let killed = checkers().expect("checkers");
        let status = Command::new("kill")
            .args(["-9", &killed.to_string()])
            .status();
        assert!(status.expect("kill").success());
        // What is left behind is no longer true.
        ipvsadm("-e -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w 77");
        drop(server);
        until("the next process", SOON, || {
            checkers()
                .filter(|pid| *pid != killed)
                .ok_or_else(|| "missing".to_owned())
        });
        becomes(&[service, second]);
        director.stop();
        becomes(&[]);
    });
}

#[test]
fn a_reload_lets_the_connections_of_servers_that_stay_go_on() {
    uml::inside(|| {
        addresses(&["10.0.0.100/32", "10.0.1.1/32", "10.0.1.2/32", "10.0.1.3/32"]);
        let server = TcpListener::bind("10.0.1.1:80").expect("a listener");
        let service = |servers: &str| {
            format!(
                "virtual_server 10.0.0.100 80 {{\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n{servers}}}\n"
            )
        };
        let real = |last: u8, weight: u8| {
            format!("real_server 10.0.1.{last} 80 {{\nweight {weight}\n}}\n")
        };
        let director = Director::start(&service(&real(1, 1)), &[]);
        let first = "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -m -w 1";
        becomes(&["-A -t 10.0.0.100:80 -s rr", first]);
        let mut client =
            TcpStream::connect("10.0.0.100:80").expect("a connection through the director");
        let (mut served, _) = server.accept().expect("it comes through");
        let mut speaks = || {
            client.write_all(b"?").expect("sent");
            served.read_exact(&mut [0]).expect("heard");
            served.write_all(b"!").expect("sent");
            client.read_exact(&mut [0]).expect("heard");
        };
        speaks();
        director.reload(&service(&(real(1, 1) + &real(2, 1))));
        becomes(&[
            "-A -t 10.0.0.100:80 -s rr",
            first,
            "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -m -w 1",
        ]);
        speaks();
        director.reload(&service(&(real(1, 1) + &real(3, 5))).replace("rr", "wrr"));
        becomes(&[
            "-A -t 10.0.0.100:80 -s wrr",
            first,
            "-a -t 10.0.0.100:80 -r 10.0.1.3:80 -m -w 5",
        ]);
        speaks();
        // Not taken out and put in again: it still counts the one connection that it had, once the kernel has added it up.
        until("the count", SOON, || {
            let counted = Command::new("ipvsadm")
                .args(["-L", "-n", "--stats"])
                .output()
                .expect("ipvsadm");
            let counted = String::from_utf8_lossy(&counted.stdout).into_owned();
            let line = counted.lines().find(|line| line.contains("10.0.1.1:80"));
            let count = line.and_then(|line| line.split_whitespace().nth(2));
            (count == Some("1")).then_some(()).ok_or(counted)
        });
        director.stop();
    });
}

#[test]
fn one_process_balances_and_is_a_virtual_router_too() {
    uml::inside(|| {
        let made = Command::new("ip")
            .args(["link", "add", "eth9", "type", "dummy"])
            .status();
        assert!(made.expect("ip").success());
        let up = Command::new("sh")
            .args([
                "-c",
                "ip link set eth9 up; ip address add 10.0.0.1/24 dev eth9",
            ])
            .status();
        assert!(up.expect("ip").success());
        let router = "vrrp_instance V {\ninterface eth9\nvirtual_router_id 1\npriority 100\nversion 3\nadvert_int 0.1\n\
            virtual_ipaddress {\n10.0.0.100/32\n}\n}\n";
        let one = unchecked("real_server 10.0.1.1 80 {\n}\n");
        let director = Director::start(&format!("{router}{one}"), &["--single"]);
        let service = "-A -t 10.0.0.100:80 -s wlc";
        becomes(&[service, "-a -t 10.0.0.100:80 -r 10.0.1.1:80 -g -w 1"]);
        let here = |wanted: bool| {
            until("the virtual address", SOON, || {
                let shown = Command::new("ip")
                    .args(["-o", "address", "show", "dev", "eth9"])
                    .output();
                let shown = String::from_utf8_lossy(&shown.expect("ip").stdout).into_owned();
                if shown.contains("10.0.0.100") == wanted {
                    Ok(())
                } else {
                    Err(shown)
                }
            });
        };
        here(true);
        let two = unchecked("real_server 10.0.1.2 80 {\n}\n");
        director.reload(&format!("{router}{two}"));
        becomes(&[service, "-a -t 10.0.0.100:80 -r 10.0.1.2:80 -g -w 1"]);
        here(true);
        assert_eq!(checkers(), None);
        director.stop();
        becomes(&[]);
        here(false);
    });
}
