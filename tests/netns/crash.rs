//! A crash at any moment, and the start after it: whatever there was, nothing stray is left, and one router serves.
//!
//! `strace` kills the process as it makes its Nth system call, for each N from its start to its end: those that send, to the kernel
//! and to the other routers, or with `CRASHES=all` all of them.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{
    Capture, Daemon, Frame, Host, Lab, Process, Program, SOON, Seen, kill, wait_until,
    with_namespaces,
};
use rustix::process::{Pid, Signal, kill_process};

/// All that a virtual router can put on a host: a virtual MAC, a packet filter, addresses of both families, a route, a rule.
const EVERYTHING: &str = "
    vrrp_instance A {
        interface eth0
        virtual_router_id 1
        priority 200
        version 3
        advert_int 0.05
        use_vmac
        no_accept
        virtual_ipaddress {
            10.0.0.100/24
            10.0.0.101/24 dev eth0 label eth0:1
        }
        virtual_routes {
            10.9.0.0/16 via 10.0.0.2 dev eth0
        }
        virtual_rules {
            from 10.1.0.0/16 table 9 preference 15
        }
    }
    vrrp_instance B {
        interface eth0
        virtual_router_id 2
        priority 200
        version 3
        advert_int 0.05
        virtual_ipaddress {
            fe80::5e:2
            2001:db8::2/64
        }
    }
    static_ipaddress {
        10.0.0.150/32 dev eth0
    }
";

/// What the addresses, routes and rules of that are known by; the last to come is the last in here.
const SIGNS: [&str; 6] = [
    "10.0.0.100/24",
    "10.0.0.101/24",
    "2001:db8::2/64",
    "10.0.0.150/32",
    "10.9.0.0/16",
    "10.1.0.0/16",
];

/// Nothing of it.
const ANOTHER: &str = "
    vrrp_instance C {
        interface eth0
        virtual_router_id 3
        priority 200
        version 3
        advert_int 0.05
        virtual_ipaddress {
            10.0.0.9
        }
    }
";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn has_strace() -> bool {
    if Path::new("/usr/bin/strace").exists() {
        return true;
    }
    let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
    assert!(!required, "strace is not installed, but NETNS=require");
    // Not through the harness, which would swallow it.
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("main");
    let _ = writeln!(io::stderr(), "SKIPPED {name}: strace is not installed");
    false
}

/// Links, addresses, routes, rules and tables of the packet filter, without what tells numbers.
fn view(host: &Host) -> Vec<String> {
    let script = "ip -o -d link | sed 's/^[0-9]*: //; s/alias .*//'; ip -o addr | sed 's/^[0-9]*: //'; \
         ip -4 route show table all; ip -6 route show table all; ip -4 rule; ip -6 rule; nft list tables";
    let mut shell = host.start("/bin/sh", &["-ec", script], &[]).unwrap();
    assert!(shell.wait(SOON).unwrap().success(), "{}", shell.output());
    shell.output().lines().map(str::to_owned).collect()
}

/// Waits until the host is as wanted; links and addresses tell of changes, routes and rules that come a moment later do not.
fn wait_for_view(host: &Host, what: &str, wanted: impl Fn(&[String]) -> bool) {
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(10)));
    let answer = || wanted(&view(host)).then_some(());
    wait_until(Instant::now() + SOON, step, answer)
        .unwrap_or_else(|| panic!("{} is never {what}: {:#?}", host.name, view(host)));
}

fn holds_everything(view: &[String]) -> bool {
    SIGNS
        .iter()
        .all(|sign| view.iter().any(|line| line.contains(sign)))
}

/// What differs from the beginning.
fn difference(before: &[String], now: &[String]) -> Vec<String> {
    let gone = before
        .iter()
        .filter(|line| !now.contains(line))
        .map(|l| format!("- {l}"));
    let new = now
        .iter()
        .filter(|line| !before.contains(line))
        .map(|l| format!("+ {l}"));
    gone.chain(new).collect()
}

/// The program under strace.
struct Traced {
    strace: Process,
}

impl Traced {
    fn start(
        host: &Host,
        scratch: &Path,
        follow: bool,
        calls: &str,
        number: usize,
        words: &[&str],
    ) -> Self {
        let program = Program::Keepalite.path();
        let file = |name: &str| scratch.join(name).display().to_string();
        let inject = format!("inject={calls}:signal=KILL:when={number}");
        let (conf, parent, child) = (
            file("traced.conf"),
            file("traced.pid"),
            file("traced-vrrp.pid"),
        );
        let mut all = vec!["-qq", "-o", "/dev/null", "-e", &inject];
        if follow {
            all.push("-f");
        }
        let program = program.display().to_string();
        all.extend([
            &program[..],
            "-n",
            "-l",
            "-D",
            "-f",
            &conf,
            "-p",
            &parent,
            "-r",
            &child,
        ]);
        all.extend(words);
        let strace = host.start("/usr/bin/strace", &all, &[]).unwrap();
        Self { strace }
    }

    /// Waits until the program has ended, asking it to as soon as it is `complete`. True if it came to its end untouched.
    fn end(mut self, complete: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + 2 * SOON;
        let mut asked = false;
        loop {
            match self.strace.wait(Duration::from_millis(20)) {
                Ok(status) => return status.success(),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
            }
            assert!(
                Instant::now() < deadline,
                "it never ends: {}",
                self.strace.output()
            );
            if !asked && complete() {
                asked = true;
                if let Some(program) = self.strace.tree().get(1) {
                    let program = Pid::from_raw(i32::try_from(*program).unwrap()).unwrap();
                    let _ = kill_process(program, Signal::TERM);
                }
            }
        }
    }
}

/// The system calls at which it is killed.
fn calls() -> &'static str {
    match std::env::var("CRASHES") {
        Ok(all) if all == "all" => "all",
        _ => "sendto,sendmsg,sendmmsg",
    }
}

fn settled(lab: &Lab) -> (&Host, Vec<String>) {
    let host = lab.host("one");
    host.wait_for_link_local();
    (host, view(host))
}

#[test]
fn killed_at_any_system_call_it_leaves_nothing_that_the_next_start_does_not_put_right() {
    with_namespaces(|| {
        if !has_strace() {
            return;
        }
        let lab = Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap();
        let (host, before) = settled(&lab);
        let scratch = lab.scratch();
        std::fs::write(scratch.join("traced.conf"), EVERYTHING).unwrap();
        let mut left_something = 0;
        for number in 1.. {
            let traced = Traced::start(host, scratch, false, calls(), number, &["--single"]);
            if traced.end(|| holds_everything(&view(host))) {
                assert_eq!(
                    difference(&before, &view(host)),
                    [""; 0],
                    "after its own end"
                );
                assert!(
                    number > 20 && left_something > 10,
                    "{left_something} of {number}"
                );
                break;
            }
            left_something += usize::from(view(host) != before);
            // By turns with a configuration that wants the same again, and with one that wants nothing of it.
            let mut next = if number % 2 == 0 {
                let next = host.daemon(Program::Keepalite, EVERYTHING);
                wait_for_view(host, "complete", holds_everything);
                next
            } else {
                let next = host.daemon(Program::Keepalite, ANOTHER);
                host.wait(SOON, || host.has(ip("10.0.0.9")).then_some(()))
                    .expect("another master");
                let now = view(host);
                let stray = difference(&before, &now);
                let own = stray.iter().all(|line| line.contains("10.0.0.9"));
                assert!(own, "killed at call {number}, stray: {stray:#?}");
                next
            };
            next.terminate();
            let stray = difference(&before, &view(host));
            assert_eq!(
                stray, [""; 0],
                "killed at call {number}, then ended in order"
            );
        }
    });
}

#[test]
fn when_the_parent_is_killed_at_any_system_call_its_child_ends_and_clears_up_by_itself() {
    with_namespaces(|| {
        if !has_strace() {
            return;
        }
        let lab = Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap();
        let (host, before) = settled(&lab);
        let scratch = lab.scratch();
        std::fs::write(scratch.join("traced.conf"), EVERYTHING).unwrap();
        // Those of the parent's life: it makes no other processes, and no other files.
        let calls = match calls() {
            "all" => "all",
            _ => "clone,fork,vfork,openat,rt_sigprocmask,wait4,unlink,kill",
        };
        for number in 1.. {
            let traced = Traced::start(host, scratch, false, calls, number, &[]);
            let unhurt = traced.end(|| holds_everything(&view(host)));
            wait_for_view(host, "as before", |now| now == before);
            if unhurt {
                assert!(number > 5, "{number}");
                break;
            }
        }
    });
}

fn is_advert(frame: &Frame, host: &str) -> bool {
    frame.from == host && matches!(frame.seen, Seen::Advert { priority, .. } if priority > 0)
}

/// Waits until one of the two has advertised ten times in a row, and gives its name.
fn only_master(capture: &Capture) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        let frames = capture.frames(0);
        let adverts = frames.iter().rev().filter(|f| f.seen.priority().is_some());
        let last: Vec<&str> = adverts.take(10).map(|f| f.from.as_str()).collect();
        if last.len() == 10 && last.iter().all(|from| *from == last[0]) {
            return last[0].to_owned();
        }
        assert!(Instant::now() < deadline, "two masters: {last:?}");
        capture.wait_for(capture.len(), SOON, |f| f.seen.priority().is_some());
    }
}

#[test]
fn whoever_of_parent_and_child_is_killed_in_whatever_state_one_router_serves_in_the_end() {
    #[derive(Clone, Copy, Debug)]
    enum Victim {
        Parent,
        Child,
        Both,
    }
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"]), ("two", &["10.0.0.2/24"])]).unwrap();
        let [one, two] = ["one", "two"].map(|name| lab.host(name));
        let text = |priority| {
            format!(
                "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n priority {priority}\n version 3\n advert_int 0.05\n \
                 virtual_ipaddress {{\n 10.0.0.100\n }}\n}}\n"
            )
        };
        let capture = lab.capture().unwrap();
        let _backup = two.daemon(Program::Keepalite, &text(100));
        assert_eq!(only_master(&capture), "two");
        let mut daemon = one.daemon(Program::Keepalite, &text(200));
        for victim in [Victim::Parent, Victim::Child, Victim::Both] {
            // Before it has taken over, in the middle of that, as master.
            for adverts in [0, 1, 8] {
                let from = capture.len();
                for _ in 0..adverts {
                    let next =
                        capture.wait_for(capture.len().max(from), SOON, |f| is_advert(f, "one"));
                    assert!(next.is_some(), "{victim:?}: one never takes over");
                }
                let child = daemon.child();
                match victim {
                    Victim::Parent => kill("KILL", daemon.process.id()),
                    Victim::Child => child.into_iter().for_each(|child| kill("KILL", child)),
                    Victim::Both => daemon.process.kill_tree(),
                }
                if !matches!(victim, Victim::Child) {
                    // As its supervisor does, at once.
                    let _ = daemon.process.wait(SOON);
                    let directory = daemon.directory.clone();
                    daemon =
                        Daemon::start_in(one, directory, Program::Keepalite, &text(200)).unwrap();
                }
                let served = capture.wait_for(capture.len(), SOON, |f| is_advert(f, "one"));
                assert!(
                    served.is_some(),
                    "{victim:?} after {adverts} adverts: it never comes back"
                );
                assert_eq!(
                    only_master(&capture),
                    "one",
                    "{victim:?} after {adverts} adverts"
                );
                let vip = ip("10.0.0.100");
                two.wait(SOON, || (!two.has(vip)).then_some(()))
                    .expect("two gives it up");
                assert!(one.has(vip));
            }
        }
        daemon.terminate();
    });
}

#[test]
fn addresses_bear_the_mark_of_who_put_them_there() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap();
        let host = lab.host("one");
        let _daemon = host.daemon(Program::Keepalite, ANOTHER);
        let vip = ip("10.0.0.9");
        host.wait(SOON, || host.has(vip).then_some(()))
            .expect("a master");
        let marks: Vec<(IpAddr, u8)> = host
            .addresses()
            .iter()
            .map(|a| (a.ip, a.protocol))
            .collect();
        // A kernel before 5.18 keeps no mark.
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let wanted = if is_old(&release) { 0 } else { 18 };
        assert!(
            marks.contains(&(vip, wanted)) && marks.contains(&(ip("10.0.0.1"), 0)),
            "{marks:?}"
        );
    });
}

fn is_old(release: &str) -> bool {
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(5), Some(18))
}

#[test]
fn what_another_daemon_on_the_same_host_holds_is_left_alone() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap();
        let host = lab.host("one");
        let first = host.daemon(Program::Keepalite, EVERYTHING);
        wait_for_view(host, "complete", holds_everything);
        let mut second = host.daemon(Program::Keepalite, ANOTHER);
        host.wait(SOON, || host.has(ip("10.0.0.9")).then_some(()))
            .expect("a second master");
        second.terminate();
        assert!(holds_everything(&view(host)));
        for words in ["putting it back", "has vanished"] {
            assert!(
                !first.process.output().contains(words),
                "{}",
                first.process.output()
            );
        }
    });
}
