//! Faults put in on purpose, and what is to come of them. Nothing that comes from outside stops the daemon; what failed is said once,
//! and put right as soon as it can be.
//!
//! | fault | expected |
//! |---|---|
//! | the kernel refuses an address | said once; the other addresses are there; tried again when the world changes |
//! | the answer to any request is lost (`ENOBUFS`), whichever | all addresses are there in the end, none twice, and the state stays |
//! | the kernel answers late | adverts go on between the portions; nobody takes over |
//! | announcements of the kernel are lost, because too many came while we slept | the world is read anew: what vanished is put back |
//! | adverts cannot be sent: `EAGAIN`, `ENOBUFS`, `EINTR`, `ENETDOWN`, `EPERM` | said once, the beat goes on, and the next one leaves as soon as it can |
//! | adverts cannot be received for a while, by the same errors | none is lost: a backup stays a backup |
//! | gratuitous ARPs find the queue full | all of them leave, a little later |
//! | no descriptor is left when a socket is needed | said once, FAULT, tried again every second, master once there is one |
//! | the disk is full, at the start and at a dump | it runs without its pid files; the dump is refused and said; no half of a file is left |
//! | no process can be started | notify scripts are left out and that is said; a tracking script counts as failed; VRRP goes on |
//! | no child can be started | tried again in a while |
//! | `/dev/log` goes and comes back | nobody waits for it; lines that were lost are counted |
//! | the clock of the machine starts anywhere, or is set to and fro (`tests/uml/vrrp.rs`: a kernel whose clock a test may set) | nothing notices |
//! | a master sleeps for a while (`SIGSTOP`) and wakes up | the peer served; afterwards one serves, at once, and the client finds it |
//! | the same with `nopreempt` | the peer goes on serving, and who slept gives way without an advert of its own |
//! | its interface goes down, or away, and its FIFO's reader dies | it waits for them, and does not spin |
//! | a storm of signals | adverts leave in time, every question is answered in the end |

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{
    Capture, Client, Dump, Frame, Host, Lab, Process, Program, SOON, Seen, Watch, kill, wait_until,
    with_namespaces,
};

/// No advert may be later than this, or a backup takes over.
const GAP: Duration = Duration::from_millis(150);

const VIP: &str = "10.0.0.100";

fn instance(priority: u8, more: &str, addresses: &str) -> String {
    format!(
        "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n priority {priority}\n version 3\n advert_int 0.05\n \
         {more}\n virtual_ipaddress {{\n {VIP}\n }}\n virtual_ipaddress_excluded {{\n {addresses}\n }}\n}}\n"
    )
}

fn plain(priority: u8) -> String {
    instance(priority, "", "10.0.0.101")
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn alone() -> Lab {
    Lab::new(&[("one", &["10.0.0.1/8"])]).unwrap()
}

fn pair() -> Lab {
    let all: [(&str, &[&str]); 3] = [
        ("one", &["10.0.0.1/8"]),
        ("two", &["10.0.0.2/8"]),
        ("client", &["10.0.0.9/8"]),
    ];
    Lab::new(&all).unwrap()
}

/// Whether a program that makes the fault is there; where it has to be and is not, that is a failure.
fn has(program: &str) -> bool {
    if Path::new(program).exists() {
        return true;
    }
    let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
    assert!(!required, "{program} is not installed, but NETNS=require");
    // Not through the harness, which would swallow it.
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("main");
    let _ = writeln!(io::stderr(), "SKIPPED {name}: {program} is not installed");
    false
}

fn wait_for_address(host: &Host, address: &str, wanted: bool) {
    let verb = if wanted { "gets" } else { "loses" };
    let ip = ip(address);
    host.wait(SOON, || (host.has(ip) == wanted).then_some(()))
        .unwrap_or_else(|| panic!("{} never {verb} {address}", host.name));
}

fn is_advert(frame: &Frame, host: &str) -> bool {
    frame.from == host && matches!(frame.seen, Seen::Advert { priority, .. } if priority > 0)
}

fn wait_for_advert(capture: &Capture, host: &str) -> Frame {
    capture
        .wait_for(capture.len(), SOON, |f| is_advert(f, host))
        .unwrap_or_else(|| panic!("{host} never advertises"))
}

fn longest_gap(frames: &[Frame], host: &str) -> Duration {
    let times: Vec<Instant> = frames
        .iter()
        .filter(|f| is_advert(f, host))
        .map(|f| f.at)
        .collect();
    assert!(times.len() > 1, "{} adverts have no gap", times.len());
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default()
}

/// Waits until a process has said something.
fn wait_for_words(process: &Process, words: &str) {
    let watch = Watch::new(process.output_directory()).unwrap();
    watch
        .wait(SOON, || process.output().contains(words).then_some(()))
        .unwrap_or_else(|| panic!("it never said {words:?}, but:\n{}", process.output()));
}

fn times(process: &Process, words: &str) -> usize {
    process.output().matches(words).count()
}

/// The program as a single process under others, as `strace` or `unshare` are.
fn single(host: &Host, scratch: &Path, before: &[&str], configuration: &str) -> Process {
    launched(
        host,
        scratch,
        before,
        configuration,
        &["-n", "-l", "-D", "--single"],
    )
}

fn launched(
    host: &Host,
    scratch: &Path,
    before: &[&str],
    configuration: &str,
    words: &[&str],
) -> Process {
    let path = |name: &str| scratch.join(name).display().to_string();
    let (conf, parent, child) = (path("it.conf"), path("it.pid"), path("it-vrrp.pid"));
    std::fs::write(&conf, configuration).unwrap();
    let program = Program::Keepalite.path().display().to_string();
    let mut all = before.to_vec();
    all.extend([&program[..], "-f", &conf, "-p", &parent, "-r", &child]);
    all.extend(words);
    let temporary = scratch.display().to_string();
    host.start(all[0], &all[1..], &[("TMPDIR", &temporary)])
        .unwrap()
}

/// Under `strace`, with this fault in its system calls.
fn faulty(host: &Host, scratch: &Path, fault: &str, configuration: &str) -> Process {
    let inject = format!("inject={fault}");
    single(
        host,
        scratch,
        &[
            "/usr/bin/strace",
            "-qq",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            &inject,
        ],
        configuration,
    )
}

const STRACE: &str = "/usr/bin/strace";

/// The program under `strace` and the like: the youngest of the tree.
fn program(process: &Process) -> u32 {
    *process.tree().get(1).expect("it runs")
}

fn ended(mut process: Process) {
    kill("TERM", program(&process));
    let _ = process.wait(SOON).expect("it ends");
}

#[test]
fn an_address_that_the_kernel_refuses_hinders_no_other_and_comes_when_it_can() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        host.run("sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1");
        let daemon = host.daemon(
            Program::Keepalite,
            &instance(100, "", "2001:db8::1\n 10.0.0.101"),
        );
        wait_for_address(host, "10.0.0.101", true);
        daemon.wait_for_words("2001:db8::1");
        host.run("sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=0");
        wait_for_address(host, "2001:db8::1", true);
        assert_eq!(
            times(&daemon.process, "refused to add 2001:db8::1"),
            1,
            "{}",
            daemon.process.output()
        );
    });
}

#[test]
fn whichever_answer_is_lost_all_addresses_are_there_in_the_end() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let addresses: String = (0..150).map(|n| format!("10.1.0.{n}\n")).collect();
        let configuration = instance(100, "", &addresses);
        let capture = lab.capture().unwrap();
        // The first ones are about what is there at the start.
        for number in (1..=12).chain([14, 16, 20, 30, 50]) {
            let fault = format!("recvfrom:error=ENOBUFS:when={number}");
            let process = faulty(host, lab.scratch(), &fault, &configuration);
            let all = || {
                (host.addresses().iter().filter(|a| a.prefix == 32).count() == 151).then_some(())
            };
            let got = host.wait(SOON, all);
            let said = process.output();
            assert!(
                got.is_some(),
                "answer {number}: {} addresses; {said}",
                host.addresses().len()
            );
            let from = capture.len();
            for _ in 0..3 {
                wait_for_advert(&capture, "one");
            }
            assert!(longest_gap(&capture.frames(from), "one") < GAP);
            assert_eq!(times(&process, "Entering MASTER"), 1, "answer {number}");
            ended(process);
            assert_eq!(
                host.addresses().iter().filter(|a| a.prefix == 32).count(),
                0
            );
        }
    });
}

#[test]
fn a_kernel_that_answers_late_makes_no_advert_late() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let addresses: String = (0..200).map(|n| format!("10.1.0.{n}\n")).collect();
        let capture = lab.capture().unwrap();
        let process = faulty(
            host,
            lab.scratch(),
            "sendto:delay_exit=15000",
            &instance(100, "", &addresses),
        );
        wait_for_address(host, "10.1.0.199", true);
        wait_for_advert(&capture, "one");
        let gap = longest_gap(&capture.frames(0), "one");
        assert!(gap < GAP, "it paused for {gap:?}");
        ended(process);
    });
}

#[test]
fn who_missed_what_the_kernel_announced_looks_at_everything_anew() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        let child = daemon.child().unwrap();
        kill("STOP", child);
        // More than its socket can hold; what is asked for last is told to nobody.
        let lines = |verb: &str| -> String {
            let all = (0..3000_u16).map(u16::to_be_bytes);
            all.map(|[high, low]| format!("addr {verb} 10.2.{high}.{low}/32 dev eth0\n"))
                .collect()
        };
        for (name, text) in [("add", lines("add")), ("del", lines("del"))] {
            let file = lab.scratch().join(name);
            std::fs::write(&file, text).unwrap();
            host.run(&format!("ip -batch {}", file.display()));
        }
        host.remove(&[&format!("{VIP}/32")]).unwrap();
        assert!(!host.has(ip(VIP)));
        kill("CONT", child);
        wait_for_address(host, VIP, true);
        assert_eq!(times(&daemon.process, "Entering MASTER"), 1);
    });
}

/// Puts a fault into the system calls of a process that runs already, for so many of them, while `check` looks on.
fn while_faulty(host: &Host, process: u32, fault: &str, check: impl FnOnce()) {
    let (inject, number) = (format!("inject={fault}"), process.to_string());
    let words = ["-qq", "-o", "/dev/null", "-e", &inject, "-p", &number];
    let mut strace = host.start(STRACE, &words, &[]).unwrap();
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"));
        (tracer.unwrap().trim() == strace.id().to_string()).then_some(())
    };
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(1)));
    wait_until(Instant::now() + SOON, step, traced).expect("it is traced");
    check();
    let _ = strace.terminate(SOON);
}

#[test]
fn an_advert_that_cannot_be_sent_is_said_once_and_the_next_ones_keep_the_beat() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = pair();
        let slowly = |priority| plain(priority).replace("advert_int 0.05", "advert_int 0.1");
        let (one, two) = (lab.host("one"), lab.host("two"));
        let capture = lab.capture().unwrap();
        let master = one.daemon(Program::Keepalite, &slowly(200));
        wait_for_address(one, VIP, true);
        let _backup = two.daemon(Program::Keepalite, &slowly(100));
        wait_for_advert(&capture, "one");
        for error in ["EAGAIN", "ENOBUFS", "EINTR", "ENETDOWN", "EPERM"] {
            let said = times(&master.process, "cannot send an advert");
            // Two are lost: that is what the protocol forgives.
            let fault = format!("sendto:error={error}:when=1..2");
            while_faulty(one, master.child().unwrap(), &fault, || {
                for _ in 0..3 {
                    wait_for_advert(&capture, "one");
                }
            });
            assert_eq!(
                times(&master.process, "cannot send an advert"),
                said + 1,
                "{error}"
            );
        }
        let frames = capture.frames(0);
        assert!(
            !frames.iter().any(|f| is_advert(f, "two")),
            "the backup kept quiet"
        );
        // A lost one is no reason to be late with the next.
        let times: Vec<Instant> = frames
            .iter()
            .filter(|f| is_advert(f, "one"))
            .map(|f| f.at)
            .collect();
        for pair in times.windows(2).skip(1) {
            let beats = (pair[1] - pair[0]).as_secs_f64() / 0.1;
            assert!((beats - beats.round()).abs() < 0.4, "{beats} intervals");
        }
        assert_eq!(master.instance("A").1.number("become_master"), 1.0);
    });
}

#[test]
fn an_advert_that_cannot_be_received_now_is_received_later() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = pair();
        let (one, two) = (lab.host("one"), lab.host("two"));
        let capture = lab.capture().unwrap();
        let _master = one.daemon(Program::Keepalite, &plain(200));
        wait_for_address(one, VIP, true);
        let backup = two.daemon(Program::Keepalite, &plain(100));
        backup.wait_for_words("Entering BACKUP STATE");
        for error in ["EAGAIN", "ENOBUFS", "EINTR", "ENETDOWN", "ENOMEM"] {
            let fault = format!("recvmsg:error={error}:when=1..3");
            while_faulty(two, backup.child().unwrap(), &fault, || {
                for _ in 0..8 {
                    wait_for_advert(&capture, "one");
                }
            });
        }
        assert!(!capture.frames(0).iter().any(|f| is_advert(f, "two")));
        assert_eq!(backup.instance("A").0.number("state"), 1.0);
    });
}

#[test]
fn a_full_queue_holds_gratuitous_arps_up_and_loses_none() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let addresses: String = (0..100).map(|n| format!("10.1.0.{n}\n")).collect();
        for error in ["ENOBUFS", "EAGAIN", "EINTR"] {
            let capture = lab.capture().unwrap();
            let fault = format!("sendmmsg:error={error}:when=1..4");
            let process = faulty(host, lab.scratch(), &fault, &instance(100, "", &addresses));
            for last in ["10.1.0.0", "10.1.0.50", "10.1.0.99", VIP] {
                let announced = |f: &Frame| f.seen.announced() == Some(ip(last));
                assert!(
                    capture.wait_for(0, SOON, announced).is_some(),
                    "{error}: {last}"
                );
            }
            ended(process);
        }
    });
}

#[test]
fn without_a_descriptor_for_its_socket_it_waits_in_fault_until_there_is_one() {
    with_namespaces(|| {
        if !has("/usr/bin/prlimit") {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let late = plain(100).replace("eth0", "late");
        let daemon = host.daemon(Program::Keepalite, &late);
        daemon.wait_for_words("Entering FAULT STATE");
        let child = daemon.child().unwrap();
        // What is open stays open; the first three are always taken.
        host.run(&format!("prlimit --pid {child} --nofile=3:1024"));
        host.run("ip link add late type veth peer name far");
        host.run("ip link set far up");
        host.run("ip address add 10.7.0.1/24 dev late");
        host.run("ip link set late up");
        daemon.wait_for_words("trying again every second");
        assert!(!host.has(ip(VIP)));
        // Whatever becomes of the interface meanwhile is no reason to tell it again.
        for mtu in [1400, 1450, 1500] {
            host.run(&format!("ip link set late mtu {mtu}"));
        }
        host.run(&format!("prlimit --pid {child} --nofile=1024:1024"));
        wait_for_address(host, VIP, true);
        assert_eq!(times(&daemon.process, "trying again every second"), 1);
    });
}

#[test]
fn a_full_disk_costs_pid_files_and_dumps_and_nothing_else() {
    with_namespaces(|| {
        if !has("/usr/bin/unshare") || !has("/usr/bin/nsenter") {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let disk = lab.scratch().join("disk");
        std::fs::create_dir(&disk).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=8k tmpfs {0}; cp {0}/../full.conf {0}/it.conf; \
             cat /dev/zero >{0}/full 2>/dev/null; exec \"$@\"",
            disk.display()
        );
        std::fs::write(lab.scratch().join("full.conf"), plain(100)).unwrap();
        let capture = lab.capture().unwrap();
        let before = ["/usr/bin/unshare", "-m", "/bin/sh", "-c", &script, "sh"];
        let process = single(host, &disk, &before, "");
        wait_for_address(host, VIP, true);
        wait_for_words(&process, "cannot write the pid file");
        let from = capture.len();
        let daemon = process.id();
        for signal in ["USR1", "USR2", "36"] {
            let said = times(&process, "cannot write");
            kill(signal, daemon);
            let watch = Watch::new(process.output_directory()).unwrap();
            let more = || (times(&process, "cannot write") > said).then_some(());
            watch
                .wait(SOON, more)
                .unwrap_or_else(|| panic!("{signal}: {}", process.output()));
        }
        let left = host.run(&format!("nsenter -t {daemon} -m ls {}", disk.display()));
        let halves: Vec<&str> = left
            .lines()
            .filter(|name| name.starts_with("keepalived."))
            .collect();
        assert_eq!(halves, [""; 0]);
        for _ in 0..3 {
            wait_for_advert(&capture, "one");
        }
        assert!(longest_gap(&capture.frames(from), "one") < GAP);
        kill("TERM", daemon);
        wait_for_address(host, VIP, false);
    });
}

#[test]
fn where_no_process_can_be_started_scripts_fail_and_virtual_routers_live() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let script = "vrrp_script check {\n script /bin/true\n interval 1\n weight -10\n}\n";
        let more = "track_script {\n check\n }\n notify /bin/true";
        let configuration = script.to_owned() + &instance(100, more, "10.0.0.101");
        let fault = "clone,clone3,fork,vfork:error=EAGAIN";
        let process = faulty(host, lab.scratch(), fault, &configuration);
        wait_for_address(host, VIP, true);
        let weighed = capture.wait_for(0, SOON, |f| f.seen.priority() == Some(90));
        assert!(weighed.is_some(), "the script counts as failed");
        wait_for_words(&process, "notify");
        assert!(
            process
                .output()
                .contains("Resource temporarily unavailable"),
            "{}",
            process.output()
        );
        let from = capture.len();
        for _ in 0..30 {
            wait_for_advert(&capture, "one");
        }
        assert!(longest_gap(&capture.frames(from), "one") < GAP);
        ended(process);
    });
}

#[test]
fn a_parent_that_cannot_start_its_child_tries_again() {
    with_namespaces(|| {
        if !has(STRACE) {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let inject = "inject=clone,clone3,fork,vfork:error=EAGAIN:when=1";
        let before = [STRACE, "-qq", "-o", "/dev/null", "-e", inject];
        let process = launched(
            host,
            lab.scratch(),
            &before,
            &plain(100),
            &["-n", "-l", "-D"],
        );
        wait_for_words(&process, "cannot start the VRRP process");
        let vip = ip(VIP);
        host.wait(2 * SOON, || host.has(vip).then_some(()))
            .expect("a child in the end");
        ended(process);
    });
}

#[test]
fn nobody_waits_for_syslog_and_lost_lines_are_counted_when_it_is_back() {
    with_namespaces(|| {
        if !has("/usr/bin/unshare") {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let dev = lab.scratch().join("dev");
        std::fs::create_dir(&dev).unwrap();
        let script = format!(
            "for i in null zero urandom; do touch {0}/$i; mount --bind /dev/$i {0}/$i; done; mount --rbind {0} /dev; exec \"$@\"",
            dev.display()
        );
        let listen = || {
            let socket = UnixDatagram::bind(dev.join("log")).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket
        };
        let hear = |socket: &UnixDatagram, words: &str| {
            let mut buffer = [0; 2048];
            let mut heard = Vec::new();
            loop {
                let length = socket
                    .recv(&mut buffer)
                    .unwrap_or_else(|_| panic!("no {words:?} in {heard:#?}"));
                let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if line.contains(words) {
                    return line;
                }
                heard.push(line);
            }
        };
        let first = listen();
        let before = ["/usr/bin/unshare", "-m", "/bin/sh", "-c", &script, "sh"];
        let capture = lab.capture().unwrap();
        let process = launched(
            host,
            lab.scratch(),
            &before,
            &plain(100),
            &["-n", "-D", "--single"],
        );
        hear(&first, "Entering MASTER STATE");
        let from = capture.len();
        drop(first);
        std::fs::remove_file(dev.join("log")).unwrap();
        // Each says a line or more.
        for _ in 0..3 {
            kill("HUP", process.id());
            wait_for_advert(&capture, "one");
            wait_for_advert(&capture, "one");
        }
        let second = listen();
        kill("HUP", process.id());
        assert!(hear(&second, "log messages were lost").contains(" 3 "));
        hear(&second, "Reloading");
        // One that does not read is not waited for either.
        for _ in 0..300 {
            kill("HUP", process.id());
        }
        for _ in 0..3 {
            wait_for_advert(&capture, "one");
        }
        assert!(longest_gap(&capture.frames(from), "one") < GAP);
    });
}

#[test]
fn the_clock_may_start_anywhere_and_pass_what_32_bits_can_count() {
    with_namespaces(|| {
        if !has("/usr/bin/unshare") || !Path::new("/proc/self/ns/time").exists() {
            return;
        }
        let lab = alone();
        let host = lab.host("one");
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
        #[allow(clippy::cast_possible_truncation, reason = "seconds")]
        let uptime = uptime as i64;
        for limit in [1_i64 << 31, 1 << 32] {
            // So that the limit is passed two seconds from now.
            let offset = (limit - uptime - 2).to_string();
            let before = [
                "/usr/bin/unshare",
                "-T",
                "--monotonic",
                &offset,
                "--boottime",
                &offset,
                "--fork",
            ];
            let capture = lab.capture().unwrap();
            let process = single(host, lab.scratch(), &before, &plain(100));
            wait_for_address(host, VIP, true);
            for _ in 0..80 {
                wait_for_advert(&capture, "one");
            }
            let gap = longest_gap(&capture.frames(0), "one");
            assert!(gap < GAP, "a pause of {gap:?} at {limit} seconds");
            assert_eq!(times(&process, "Entering"), 2, "{}", process.output());
            ended(process);
            wait_for_address(host, VIP, false);
        }
    });
}

/// How long a master sleeps.
const NAP: Duration = Duration::from_secs(10);

/// A master that sleeps beside a backup that takes over and a client that asks, until it wakes up.
fn sleeps(more: &str, awake: impl FnOnce(&Lab, &Capture, &Client, Instant, usize)) {
    with_namespaces(|| {
        let lab = pair();
        let (one, two) = (lab.host("one"), lab.host("two"));
        let capture = lab.capture().unwrap();
        let sleeper = one.daemon(Program::Keepalite, &instance(200, more, "10.0.0.101"));
        wait_for_address(one, VIP, true);
        let _backup = two.daemon(Program::Keepalite, &plain(100));
        let client = Client::start(lab.host("client"), Ipv4Addr::new(10, 0, 0, 100)).unwrap();
        assert!(client.wait_until_served(SOON));
        let child = sleeper.child().unwrap();
        kill("STOP", child);
        wait_for_address(two, VIP, true);
        std::thread::sleep(NAP);
        let (from, begin) = (capture.len(), Instant::now());
        kill("CONT", child);
        awake(&lab, &capture, &client, begin, from);
    });
}

#[test]
fn a_master_that_slept_is_master_again_at_once_and_the_client_finds_it() {
    sleeps("", |lab, capture, client, begin, from| {
        let back = capture
            .wait_for(from, SOON, |f| is_advert(f, "one"))
            .expect("it is back");
        wait_for_address(lab.host("two"), VIP, false);
        for _ in 0..3 {
            wait_for_advert(capture, "one");
        }
        let frames = capture.frames(from);
        let after = |f: &&Frame| is_advert(f, "two") && f.at > back.at + GAP;
        assert_eq!(frames.iter().filter(after).count(), 0, "one master");
        let announced = |f: &&Frame| f.seen.announced() == Some(ip(VIP));
        let last = frames.iter().rfind(announced).expect("it is announced");
        assert_eq!(last.from, "one");
        let outage = client.longest_outage(begin).lasted;
        assert!(
            outage < 2 * GAP,
            "the client went without an answer for {outage:?}"
        );
    });
}

#[test]
fn a_master_that_slept_gives_way_where_it_may_not_preempt() {
    sleeps("nopreempt", |lab, capture, client, begin, from| {
        wait_for_address(lab.host("one"), VIP, false);
        for _ in 0..3 {
            wait_for_advert(capture, "two");
        }
        let frames = capture.frames(from);
        assert!(
            !frames.iter().any(|f| is_advert(f, "one")),
            "without a word"
        );
        assert!(lab.host("two").has(ip(VIP)));
        let outage = client.longest_outage(begin).lasted;
        assert!(
            outage < 2 * GAP,
            "the client went without an answer for {outage:?}"
        );
    });
}

/// The time that a process has had on a processor.
fn used(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn whatever_it_lives_on_goes_away_it_waits_and_does_not_spin() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let fifo = lab.scratch().join("fifo");
        let global = format!(
            "global_defs {{\n vrrp_notify_fifo {}\n vrrp_notify_fifo_script /bin/false\n}}\n",
            fifo.display()
        );
        let make = || {
            host.run("ip link add late type veth peer name far");
            host.run("ip link set far up");
            host.run("ip address add 10.7.0.1/24 dev late");
            host.run("ip link set late up");
        };
        make();
        let configuration = global + &plain(100).replace("eth0", "late");
        let daemon = host.daemon(Program::Keepalite, &configuration);
        wait_for_address(host, VIP, true);
        let child = daemon.child().unwrap();
        for what in [
            "ip link set late down",
            "ip link set late up",
            "ip link del late",
        ] {
            host.run(what);
            let before = used(child);
            // For so long it is looked at; a process that spins has all of it.
            std::thread::sleep(Duration::from_secs(1));
            let used = used(child) - before;
            assert!(
                used < Duration::from_millis(300),
                "{what}: {used:?} of a second"
            );
        }
        make();
        wait_for_address(host, VIP, true);
    });
}

#[test]
fn a_storm_of_signals_makes_no_advert_late_and_is_answered_in_the_end() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let capture = lab.capture().unwrap();
        let daemon = host.daemon(Program::Keepalite, &plain(100));
        wait_for_address(host, VIP, true);
        wait_for_advert(&capture, "one");
        let from = capture.len();
        let processes = [
            daemon.process.id().to_string(),
            daemon.child().unwrap().to_string(),
        ];
        let storm =
            "for i in $(seq 300); do for s in HUP USR1 USR2 36 CHLD; do kill -$s $0 $1; done; done";
        let status = Command::new("/bin/bash")
            .args(["-c", storm, &processes[0], &processes[1]])
            .status();
        assert!(status.is_ok_and(|s| s.success()));
        assert_eq!(daemon.instance("A").1.number("become_master"), 1.0);
        for dump in [Dump::Data, Dump::Stats] {
            assert!(!daemon.dump(dump).is_empty());
        }
        for _ in 0..2 {
            wait_for_advert(&capture, "one");
        }
        let gap = longest_gap(&capture.frames(from), "one");
        assert!(gap < GAP, "it paused for {gap:?}");
    });
}
