//! Each of `config-examples/lvs-*` does what it is there for: it is read without a warning, by keepalived too, and balances over
//! the servers that live.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::lab::{Lab, Program, SOON};
use crate::table::table;
use crate::uml;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples");

/// A check every five or ten seconds, a retry, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Who answers on a port; it is gone when dropped.
struct Server {
    gone: Arc<AtomicBool>,
    wake: Box<dyn Fn()>,
}

impl Server {
    /// Says `text` to whoever connects.
    fn tcp(place: &'static str, text: &'static str) -> Self {
        let listener = TcpListener::bind(place).expect("a listener");
        let gone = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&gone);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let _ = stream.read(&mut [0; 1024]);
                let length = text.len();
                let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
                let _ = stream.write_all(format!("{head}{text}").as_bytes());
            }
        });
        let wake = Box::new(move || drop(TcpStream::connect(place)));
        Self { gone, wake }
    }

    /// Sends each question back as its answer (RFC 1035 section 4.1.1: QR, RD, RA).
    fn dns(place: &'static str) -> Self {
        let socket = UdpSocket::bind(place).expect("a socket");
        let gone = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&gone);
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(flags) = buffer.get_mut(2..4) {
                    flags.copy_from_slice(&[0x81, 0x80]);
                }
                let _ = socket.send_to(&buffer[..length], from);
            }
        });
        let wake = Box::new(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let _ = socket.send_to(b"bye", place);
        });
        Self { gone, wake }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        (self.wake)();
    }
}

/// keepalite on the one machine that there is; it ends when dropped.
struct Director(Child);

impl Director {
    fn start(example: &str) -> Self {
        let path = Path::new(EXAMPLES).join(example);
        is_accepted(&path, here);
        let process = Command::new(Program::Keepalite.path())
            .args(["-n", "-l", "-G", "-f"])
            .arg(path)
            .stdin(Stdio::null())
            .spawn();
        Self(process.expect("keepalite starts"))
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both programs read the file and have nothing to say against it. `run` runs a command of the shell, on the host whose
/// interfaces it names.
fn is_accepted(path: &Path, run: impl Fn(&str) -> String) {
    for program in [Program::Keepalite, Program::Keepalived] {
        let (program, path) = (program.path(), path.display());
        if program.exists() {
            let said = run(&format!("{} -t -l -f {path} 2>&1", program.display()));
            let complains = |line: &str| {
                let line = line.to_lowercase();
                line.contains("warning:") || line.contains("warning -")
            };
            assert!(
                !said.lines().any(complains),
                "{}: {said}",
                program.display()
            );
        }
    }
}

fn here(command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .output()
        .expect("sh");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {said}");
    said
}

fn becomes(expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let end = Instant::now() + PATIENCE;
    while table() != expected {
        assert!(Instant::now() < end, "{:#?}\nis not {expected:#?}", table());
        std::thread::sleep(Duration::from_millis(50));
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

#[test]
fn a_web_farm_is_served_by_those_that_answer_its_pages() {
    uml::inside(|| {
        addresses(&["10.0.1.11/32", "10.0.1.12/32"]);
        let first = Server::tcp("10.0.1.11:8080", "welcome");
        let _second = Server::tcp("10.0.1.12:8080", "welcome");
        let _director = Director::start("lvs-web/keepalived.conf");
        let service = "-A -t 203.0.113.10:80 -s wlc -p 300";
        let others = "-a -t 203.0.113.10:80 -r 10.0.1.12:8080 -m -w 1";
        let own = "-a -t 203.0.113.10:80 -r 10.0.1.11:8080 -m -w 1";
        becomes(&[service, own, others]);
        drop(first);
        becomes(&[service, others]);
        let _first = Server::tcp("10.0.1.11:8080", "welcome");
        becomes(&[service, own, others]);
    });
}

#[test]
fn a_sorry_server_serves_while_too_few_of_the_others_do() {
    uml::inside(|| {
        addresses(&["192.168.1.11/32", "192.168.1.12/32"]);
        let first = Server::tcp("192.168.1.11:443", "");
        let _second = Server::tcp("192.168.1.12:443", "");
        let _director = Director::start("lvs-direct/keepalived.conf");
        let service = "-A -t 192.168.1.100:443 -s wrr";
        let all = [
            service,
            "-a -t 192.168.1.100:443 -r 192.168.1.11:443 -g -w 2",
            "-a -t 192.168.1.100:443 -r 192.168.1.12:443 -g -w 1",
        ];
        becomes(&all);
        drop(first);
        // A weight of 1 is 2 - 1: just enough.
        becomes(&[all[0], all[2]]);
        drop(_second);
        becomes(&[
            service,
            "-a -t 192.168.1.100:443 -r 192.168.1.99:443 -g -w 1",
        ]);
        let _first = Server::tcp("192.168.1.11:443", "");
        let _second = Server::tcp("192.168.1.12:443", "");
        becomes(&all);
    });
}

#[test]
fn resolvers_are_asked_for_the_root() {
    uml::inside(|| {
        addresses(&["192.168.2.11/32", "192.168.2.12/32"]);
        let first = Server::dns("192.168.2.11:53");
        let _second = Server::dns("192.168.2.12:53");
        let _tcp = Server::tcp("192.168.2.11:53", "");
        let _tcp2 = Server::tcp("192.168.2.12:53", "");
        let _director = Director::start("lvs-dns/keepalived.conf");
        let all = [
            "-A -u 192.168.1.53:53 -s rr -o",
            "-a -u 192.168.1.53:53 -r 192.168.2.12:53 -m -w 1",
            "-A -t 192.168.1.53:53 -s rr",
            "-a -t 192.168.1.53:53 -r 192.168.2.11:53 -m -w 1",
            "-a -t 192.168.1.53:53 -r 192.168.2.12:53 -m -w 1",
            "-a -u 192.168.1.53:53 -r 192.168.2.11:53 -m -w 1",
        ];
        becomes(&all);
        drop(first);
        becomes(&all[..5]);
    });
}

#[test]
fn marked_packets_go_to_servers_whose_services_all_answer() {
    uml::inside(|| {
        addresses(&["192.168.1.11/32", "192.168.1.12/32"]);
        let _web = ["192.168.1.11:80", "192.168.1.12:80", "192.168.1.12:443"]
            .map(|place| Server::tcp(place, ""));
        let secure = Server::tcp("192.168.1.11:443", "");
        let _director = Director::start("lvs-mark/keepalived.conf");
        let service = "-A -f 80 -s sh -p 600";
        let second = "-a -f 80 -r 192.168.1.12:0 -g -w 1";
        becomes(&[service, "-a -f 80 -r 192.168.1.11:0 -g -w 1", second]);
        drop(secure);
        becomes(&[service, "-a -f 80 -r 192.168.1.11:0 -g -w 0", second]);
    });
}

#[test]
fn weights_follow_what_servers_and_operators_say() {
    uml::inside(|| {
        addresses(&["192.168.2.11/32", "192.168.2.12/32"]);
        let _first = Server::tcp("192.168.2.11:9100", "90");
        let second = Server::tcp("192.168.2.12:9100", "30");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "none", "/etc/keepalived"])
            .status();
        assert!(mounted.expect("mount").success());
        let script = Path::new(EXAMPLES).join("lvs-weights/load.sh");
        fs::copy(script, "/etc/keepalived/load.sh").expect("copied");
        let _director = Director::start("lvs-weights/keepalived.conf");
        let service = "-A -t 192.168.1.100:80 -s wlc";
        let of_first = |weight| format!("-a -t 192.168.1.100:80 -r 192.168.2.11:80 -m -w {weight}");
        let of_second = "-a -t 192.168.1.100:80 -r 192.168.2.12:80 -m -w 30";
        becomes(&[service, &of_first(90), of_second]);
        fs::write("/var/run/first.weight", "-50\n").expect("written");
        becomes(&[service, &of_first(40), of_second]);
        drop(second);
        becomes(&[service, &of_first(40)]);
    });
}

#[test]
fn a_pair_of_directors_goes_on_when_one_dies() {
    uml::inside(|| {
        let lab = Lab::new(&[
            ("director-a", &["192.168.1.2/24"]),
            ("director-b", &["192.168.1.3/24"]),
            ("server", &["192.168.1.11/24", "192.168.1.12/24"]),
        ])
        .unwrap();
        let _web = lab
            .host("server")
            .start("/bin/busybox", &["httpd", "-f", "-p", "80"], &[])
            .unwrap();
        let files = ["director-a", "director-b"]
            .map(|name| Path::new(EXAMPLES).join(format!("lvs-pair/{name}.conf")));
        let mut directors =
            ["director-a", "director-b"]
                .into_iter()
                .zip(&files)
                .map(|(name, file)| {
                    is_accepted(file, |command| lab.host(name).run(command));
                    let text = fs::read_to_string(file).unwrap();
                    lab.host(name).daemon(Program::Keepalite, &text)
                });
        let (mut a, _b) = (directors.next().unwrap(), directors.next().unwrap());
        let address = "192.168.1.100".parse().unwrap();
        let has = |name: &str| {
            let host = lab.host(name);
            host.wait(PATIENCE, || host.has(address).then_some(()))
                .expect(name);
            let table = host.run("ipvsadm -Sn");
            assert_eq!(table.matches("-g -w 1").count(), 2, "{table}");
            host.wait(SOON, || {
                host.run("ipvsadm -l --daemon")
                    .contains("master sync daemon")
                    .then_some(())
            })
            .expect(name);
        };
        has("director-a");
        a.process.kill_tree();
        lab.host("director-a").isolate(true).unwrap();
        has("director-b");
    });
}

#[test]
fn no_example_is_left_out() {
    let known = ["direct", "dns", "mark", "pair", "web", "weights"];
    let entries = fs::read_dir(EXAMPLES)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let mut found: Vec<_> = names
        .filter_map(|name| Some(name.strip_prefix("lvs-")?.to_owned()))
        .collect();
    found.sort();
    assert_eq!(found, known);
}
