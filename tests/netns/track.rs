//! What is tracked, by the real program on a real LAN: what it does to the priority that the adverts carry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::lab::{self, Capture, Frame, Lab, Process, with_namespaces};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(8);
const OURS: &str = env!("CARGO_BIN_EXE_keepalite");
/// The other implementation, where there is one.
const THEIRS: &str = "/usr/sbin/keepalived";

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

/// Does this to both implementations where there are both, each on a LAN of its own: what is on the wire is the same.
fn with_each(test: impl Fn(&Stage, &str)) {
    for program in [OURS, THEIRS] {
        if fs::exists(program).unwrap_or(false) {
            on_a_stage(|stage| test(stage, program));
        }
    }
}

/// Waits until this is so; nothing tells.
fn wait_until(what: &str, so: impl Fn() -> bool) {
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(5)));
    let answer = || so().then_some(());
    lab::wait_until(Instant::now() + SOON, step, answer).unwrap_or_else(|| panic!("never {what}"));
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
        // The way down may be short: b is better by more than its skew.
        stage.expect("b", 100, &b);
        said(&a, "Changing effective priority from 110 to 80");
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
        let from = stage.capture.len();
        fs::write(format!("{check}.down"), "").expect("a file");
        stage.expect_from(from, "a", 0, &a);
        said(&a, "Entering FAULT STATE (a tracked script fails)");
        fs::remove_file(format!("{check}.down")).expect("removed");
        stage.expect("a", 110, &a);
    });
}

#[test]
fn the_effective_priority_on_the_wire_is_that_of_keepalived() {
    // What is tracked, and the lines that track it; base priority, and what goes out.
    let script = |of: &str, result: &str| {
        format!("vrrp_script s {{\n script \"/bin/{result}\"\n interval 1\n {of}\n}}")
    };
    let file = |of: &str| format!("track_file f {{\n file @/number\n {of}\n}}");
    let process =
        |of: &str| format!("vrrp_track_process p {{\n process no-such-process\n {of}\n}}");
    let script_line = " track_script {\n  s\n }";
    let file_line = " track_file {\n  f\n }";
    let cases: Vec<(&str, String, &str, u8)> = vec![
        ("up adds", script("weight 20", "true"), script_line, 120),
        (
            "down adds nothing",
            script("weight 20", "false"),
            script_line,
            100,
        ),
        (
            "up takes nothing",
            script("weight -20", "true"),
            script_line,
            100,
        ),
        ("down takes", script("weight -20", "false"), script_line, 80),
        (
            "up, reversed, takes",
            script("weight 20 reverse", "true"),
            script_line,
            80,
        ),
        (
            "down, reversed, adds",
            script("weight -20 reverse", "false"),
            script_line,
            120,
        ),
        (
            "up, reversed",
            script("weight -20 reverse", "true"),
            script_line,
            100,
        ),
        (
            "down, reversed",
            script("weight 20 reverse", "false"),
            script_line,
            100,
        ),
        (
            "the line's weight",
            script("weight 20", "true"),
            " track_script {\n  s weight 7\n }",
            107,
        ),
        (
            "at most 254",
            script("weight 253", "true"),
            script_line,
            254,
        ),
        ("at least 1", script("weight -253", "false"), script_line, 1),
        ("a file's number", file(""), file_line, 130),
        ("times its weight", file("weight 2"), file_line, 160),
        ("reversed", file("weight 2 reverse"), file_line, 40),
        (
            "an interface up",
            String::new(),
            " track_interface {\n  lo weight 10\n }",
            110,
        ),
        (
            "an interface missing up",
            String::new(),
            " track_interface {\n  lo weight -10\n }",
            100,
        ),
        (
            "no process",
            process("weight 5"),
            " track_process {\n  p\n }",
            100,
        ),
        (
            "no process takes",
            process("weight -5"),
            " track_process {\n  p\n }",
            95,
        ),
    ];
    with_each(|stage, program| {
        stage.write("number", "30\n");
        for (what, block, line, expected) in &cases {
            if program == THEIRS && block.contains("track_process") {
                // It cannot hear of processes in another network namespace.
                continue;
            }
            stage.configure("a", 100, block, line);
            let from = stage.capture.len();
            let mut daemon = stage.start(program, "a");
            // The first adverts may come before the first result.
            stage.expect_from(from, "a", *expected, &daemon);
            let from = stage.capture.len();
            let next = stage.capture.wait_for(from, SOON, |frame| {
                frame.from == "a" && frame.seen.priority().is_some()
            });
            assert_eq!(
                next.and_then(|f| f.seen.priority()),
                Some(*expected),
                "{program}: {what}\n{}",
                daemon.output()
            );
            daemon.terminate(SOON).expect("it ends");
        }
    });
}

#[test]
fn a_tracked_file_counts_as_soon_as_it_is_written_moved_or_gone() {
    with_each(|stage, program| {
        fs::create_dir(stage.path("place")).expect("a directory");
        let block = "track_file f {\n file @/place/number\n weight 1\n}";
        stage.configure("a", 100, block, " track_file {\n  f\n }");
        let a = stage.start(program, "a");
        stage.expect("a", 100, &a);
        stage.write("place/number", "20");
        stage.expect("a", 120, &a);
        stage.write("place/number", "-20\n");
        stage.expect("a", 80, &a);
        stage.write("place/number", "garbage");
        stage.expect("a", 100, &a);
        stage.write("place/other", "5");
        fs::rename(stage.path("place/other"), stage.path("place/number")).expect("moved");
        stage.expect("a", 105, &a);
        fs::remove_file(stage.path("place/number")).expect("removed");
        stage.expect("a", 100, &a);
        let from = stage.capture.len();
        stage.write("place/number", "-254");
        stage.expect_from(from, "a", 0, &a);
        stage.write("place/number", "0");
        stage.expect("a", 100, &a);
    });
}

#[test]
fn a_tracked_file_may_be_a_link_and_its_directory_may_come_later() {
    on_a_stage(|stage| {
        let block =
            "track_file f {\n file @/later/still/number\n}\ntrack_file g {\n file @/link\n}";
        stage.configure("a", 100, block, " track_file {\n  f\n  g\n }");
        std::os::unix::fs::symlink(stage.path("elsewhere"), stage.path("link")).expect("a link");
        let a = stage.start(OURS, "a");
        stage.expect("a", 100, &a);
        fs::create_dir_all(stage.path("later/still")).expect("directories");
        stage.write("later/still/number", "7");
        stage.expect("a", 107, &a);
        stage.write("elsewhere", "50");
        stage.expect("a", 157, &a);
        fs::remove_file(stage.path("elsewhere")).expect("removed");
        stage.expect("a", 107, &a);
        fs::remove_dir_all(stage.path("later")).expect("removed");
        stage.expect("a", 100, &a);
        fs::create_dir_all(stage.path("later/still")).expect("directories");
        stage.write("later/still/number", "3");
        stage.expect("a", 103, &a);
    });
}

#[test]
fn a_file_is_made_at_start_and_overwritten_only_where_that_is_asked_for() {
    on_a_stage(|stage| {
        let block = "track_file f {\n file @/new\n init_file 5\n}\ntrack_file g {\n file @/old\n init_file 7\n}\n\
                     track_file h {\n file @/anew\n init_file 9 overwrite\n}";
        stage.configure("a", 100, block, " track_file {\n  f\n  g\n  h\n }");
        stage.write("old", "1");
        stage.write("anew", "1");
        let a = stage.start(OURS, "a");
        stage.expect("a", 115, &a);
        let read = |name| fs::read_to_string(stage.path(name)).expect("a file");
        assert_eq!(["new", "old", "anew"].map(read), ["5\n", "1", "9\n"]);
        stage.write("anew", "2");
        stage.expect("a", 108, &a);
        a.signal(Signal::HUP).expect("a signal");
        said(&a, "Reloading");
        let from = stage.capture.len();
        stage.expect_from(from, "a", 108, &a);
        assert_eq!(read("anew"), "2", "a reload overwrites nothing");
    });
}

#[test]
fn an_interface_without_a_weight_is_a_fault_and_with_one_takes_priority() {
    on_a_stage(|stage| {
        stage.configure("a", 100, "", " track_interface {\n  lo weight -30\n }");
        stage.configure("b", 50, "", " track_interface {\n  lo\n }");
        let ip = |host: &str, setting: &str| {
            let host = stage.lab.host(host);
            let mut ip = host
                .start("/sbin/ip", &["link", "set", "lo", setting], &[])
                .expect("ip");
            assert!(ip.wait(SOON).expect("it ends").success());
        };
        let a = stage.start(OURS, "a");
        stage.expect("a", 100, &a);
        ip("a", "down");
        stage.expect("a", 70, &a);
        ip("a", "up");
        stage.expect("a", 100, &a);
        drop(a);
        let b = stage.start(OURS, "b");
        stage.expect("b", 50, &b);
        let from = stage.capture.len();
        ip("b", "down");
        stage.expect_from(from, "b", 0, &b);
        said(&b, "Entering FAULT STATE (a tracked interface is down)");
        ip("b", "up");
        stage.expect("b", 50, &b);
    });
}

#[test]
fn a_tracked_process_counts_while_it_runs() {
    on_a_stage(|stage| {
        let name = format!("kl-{}", std::process::id());
        let program = stage.path(&name);
        fs::copy("/bin/sleep", &program).expect("a program");
        let block = format!(
            "vrrp_track_process p {{\n process {name} 1000\n quorum 2\n weight 20\n}}\n\
             vrrp_track_process q {{\n process {name}\n quorum 1\n quorum_max 2\n weight 3\n}}"
        );
        stage.configure("a", 100, &block, " track_process {\n  p\n  q\n }");
        let a = stage.start(OURS, "a");
        stage.expect("a", 100, &a);
        let start = |seconds| {
            stage
                .lab
                .host("a")
                .start(&program, &[seconds], &[])
                .expect("sleep")
        };
        let first = start("1000");
        stage.expect("a", 103, &a);
        let second = start("1000");
        stage.expect("a", 123, &a);
        let third = start("999");
        stage.expect("a", 120, &a);
        drop(third);
        stage.expect("a", 123, &a);
        drop(second);
        stage.expect("a", 103, &a);
        drop(first);
        stage.expect("a", 100, &a);
    });
}

#[test]
fn a_port_is_asked_without_any_shell() {
    on_a_stage(|stage| {
        let block = "vrrp_script port {\n script \"</dev/tcp/127.0.0.1/8099\"\n interval 0.1\n weight 20\n}\n\
                     vrrp_script wrapped {\n script \"timeout 1 bash -c '</dev/tcp/localhost/8099'\"\n \
                     interval 0.1\n weight 5\n}";
        stage.configure("a", 100, block, " track_script {\n  port\n  wrapped\n }");
        let a = stage.start(OURS, "a");
        stage.expect("a", 100, &a);
        let bind = || std::net::TcpListener::bind(("127.0.0.1", 8099)).expect("a port");
        let listener = stage.lab.host("a").namespace.enter(bind);
        stage.expect("a", 125, &a);
        drop(listener);
        stage.expect("a", 100, &a);
    });
}

#[test]
fn a_script_that_hangs_is_ended_with_all_that_it_started() {
    on_a_stage(|stage| {
        let mark = format!("9{:07}", std::process::id());
        stage.script(
            "check",
            &format!("trap '' TERM\nsleep {mark} & sleep {mark}"),
        );
        let block = "vrrp_script chk {\n script \"@/check\"\n interval 60\n timeout 1\n}";
        stage.configure("a", 110, block, " track_script {\n  chk weight -10\n }");
        let a = stage.start(OURS, "a");
        said(&a, "VRRP_Script(chk) failed (due to timeout)");
        stage.expect("a", 100, &a);
        said(&a, "killing it");
        wait_until("all gone", || !is_running(&mark));
    });
}

/// Whether a process has this among its words.
fn is_running(word: &str) -> bool {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|w| w == word.as_bytes()))
}

#[test]
fn a_script_that_fails_says_why_in_the_log_and_to_who_asks() {
    on_a_stage(|stage| {
        stage.script("check", "echo fine; cat /nonexistent; exit 1");
        let block = "vrrp_script chk {\n script \"@/check\"\n interval 0.1\n}";
        stage.configure("a", 100, block, " track_script {\n  chk weight 1\n }");
        let a = stage.start(OURS, "a");
        let why = "cat: /nonexistent: No such file or directory";
        said(
            &a,
            &format!("VRRP_Script(chk) failed (exited with status 1): {why}\n"),
        );
        let [config, pid] = [".conf", ".pid"].map(|name| stage.path(&format!("a{name}")));
        let ask = |words: &[&str]| {
            let options = [config.as_os_str(), pid.as_os_str()];
            let mut command = std::process::Command::new(OURS);
            command
                .arg("-f")
                .arg(options[0])
                .arg("-p")
                .arg(options[1])
                .args(words);
            String::from_utf8(command.output().expect("an answer").stdout).expect("text")
        };
        assert!(ask(&["status", "chk"]).contains(why));
        assert!(ask(&["explain", "chk"]).contains("It said: cat: /nonexistent"));
        assert!(ask(&["status", "--json"]).contains(&format!("\"complaint\":\"{why}\"")));
    });
}

#[test]
#[cfg(feature = "check-misc")]
fn a_check_and_a_notify_script_that_fail_say_why_in_the_log() {
    on_a_stage(|stage| {
        let [check, notify] = [("check", 1), ("notify", 3)].map(|(name, status)| {
            let text = format!("cat /nonexistent/{name}; exit {status}");
            stage.script(name, &text)
        });
        let text = format!(
            "virtual_server 10.0.0.200 80 {{\n delay_loop 1\n protocol TCP\n real_server 10.0.0.9 80 {{\n \
             notify_down {notify}\n MISC_CHECK {{\n misc_path {check}\n}}\n}}\n}}\n"
        );
        let host = stage.lab.host("a");
        let daemon = host.daemon(lab::Program::Keepalite, &text);
        let why = |name| format!("cat: /nonexistent/{name}: No such file or directory\n");
        daemon.wait_for_words(&format!(" failed: exited with status 1: {}", why("check")));
        daemon.wait_for_words(&format!(
            "notify_down: {notify} exited with status 3 after "
        ));
        daemon.wait_for_words(&format!(" s: {}", why("notify")));
    });
}

#[test]
fn scripts_that_fork_flood_and_leave_children_behind_hurt_nobody() {
    on_a_stage(|stage| {
        stage.script("flood", "exec head -c 10000000 /dev/zero");
        stage.script(
            "forks",
            "for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.01) & done; exit 0",
        );
        stage.script("leaves", "sleep 3 & exit 0");
        stage.script("shouts", "yes | head -c 200000 >&2");
        let block = |name: &str| {
            format!(
                "vrrp_script {name} {{\n script \"@/{name}\"\n interval 0.1\n timeout 3\n weight 1\n}}\n"
            )
        };
        let blocks: String = ["flood", "forks", "leaves", "shouts"].map(block).concat();
        let lines = " track_script {\n  flood\n  forks\n  leaves\n  shouts\n }";
        stage.configure("a", 100, &blocks, lines);
        let a = stage.start(OURS, "a");
        let first = stage.expect("a", 104, &a);
        // Adverts keep their beat meanwhile.
        let mut last = first.at;
        let from = stage.capture.len();
        for round in 0..20 {
            let is_next = |frame: &Frame| {
                frame.from == "a" && frame.at > last && frame.seen.priority().is_some()
            };
            let next = stage
                .capture
                .wait_for(from, SOON, is_next)
                .expect("an advert");
            assert_eq!(
                next.seen.priority(),
                Some(104),
                "in round {round}\n{}",
                a.output()
            );
            assert!(
                next.at - last < Duration::from_millis(300),
                "in round {round}"
            );
            last = next.at;
        }
    });
}

#[test]
fn a_reload_keeps_what_is_known_and_a_new_script_is_no_fault() {
    on_a_stage(|stage| {
        stage.script("check", "echo >> $0.runs");
        let block = "vrrp_script chk {\n script \"@/check\"\n interval 60\n weight 20\n}";
        stage.configure("a", 100, block, " track_script {\n  chk\n }");
        let a = stage.start(OURS, "a");
        stage.expect("a", 120, &a);
        let runs = || {
            fs::read_to_string(stage.path("check.runs"))
                .expect("runs")
                .len()
        };
        assert_eq!(runs(), 1);
        // A new script that takes its time, another weight for the old one.
        stage.script("slow", "sleep 1");
        let more = block.replace("weight 20", "weight 30")
            + "\nvrrp_script slow {\n script \"@/slow\"\n interval 60\n timeout 5\n}";
        stage.configure("a", 100, &more, " track_script {\n  chk\n  slow\n }");
        let from = stage.capture.len();
        a.signal(Signal::HUP).expect("a signal");
        stage.expect_from(from, "a", 130, &a);
        said(&a, "VRRP_Script(slow) succeeded");
        assert_eq!(runs(), 1, "the old one was not run anew");
        let frames = stage.capture.frames(from);
        let ours = frames.iter().filter(|f| f.from == "a");
        assert!(
            ours.filter_map(|f| f.seen.priority())
                .all(|p| p == 120 || p == 130),
            "{}",
            a.output()
        );
        assert!(
            !a.output().contains("BACKUP STATE\n") && !a.output().contains("FAULT"),
            "{}",
            a.output()
        );
    });
}

#[test]
fn the_fifo_tells_of_priorities_where_that_is_asked_for() {
    on_a_stage(|stage| {
        stage.script("reader", "cat $1 >> $0.out");
        let block = "global_defs {\n vrrp_notify_fifo @/fifo\n vrrp_notify_fifo_script @/reader\n}\n\
                     track_file f {\n file @/number\n}";
        let lines = " notify_priority_changes\n track_file {\n  f\n }";
        stage.configure("a", 100, block, lines);
        let mut a = stage.start(OURS, "a");
        stage.expect("a", 100, &a);
        stage.write("number", "5");
        stage.expect("a", 105, &a);
        let read = || fs::read_to_string(stage.path("reader.out")).unwrap_or_default();
        wait_until("told", || {
            read().contains("INSTANCE \"V\" MASTER_PRIORITY 105\n")
        });
        a.terminate(SOON).expect("it ends");
        wait_until("told", || read().contains("INSTANCE \"V\" STOP 105\n"));
        assert!(!stage.path("fifo").exists());
    });
}

#[test]
fn one_script_runs_before_everything_and_one_after_everything() {
    on_a_stage(|stage| {
        stage.script(
            "first",
            "test -e $0.go || sleep 1; echo first >> ${0%/*}/order",
        );
        stage.script("notify", "echo $3 >> ${0%/*}/order");
        stage.script("last", "echo last >> ${0%/*}/order");
        let block = "global_defs {\n startup_script @/first\n shutdown_script @/last\n}";
        stage.configure("a", 100, block, " notify @/notify");
        let mut a = stage.start(OURS, "a");
        stage.expect("a", 100, &a);
        a.terminate(SOON).expect("it ends");
        let order = fs::read_to_string(stage.path("order")).expect("an order");
        assert_eq!(order, "first\nBACKUP\nMASTER\nSTOP\nlast\n");
    });
}

#[test]
fn a_first_script_that_hangs_is_ended_and_everything_goes_on() {
    on_a_stage(|stage| {
        stage.script("first", "trap '' TERM\nsleep 1000");
        let block = "global_defs {\n startup_script @/first\n startup_script_timeout 1\n}";
        stage.configure("a", 100, block, "");
        let a = stage.start(OURS, "a");
        said(&a, "startup_script: not done after 1 s, ending it");
        stage.expect("a", 100, &a);
    });
}

/// Each example does what it says.
#[test]
fn the_examples_run() {
    let examples =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples/tracking");
    let mut number = 0;
    for entry in fs::read_dir(examples).expect("examples").flatten() {
        number += 1;
        on_a_stage(|stage| {
            let text = fs::read_to_string(entry.path()).expect("an example");
            let place = stage.lab.scratch().display().to_string();
            stage.write(
                "a.conf",
                &text.replace("/run/maintenance", &format!("{place}/maintenance")),
            );
            let bind = || std::net::TcpListener::bind(("127.0.0.1", 53)).expect("a port");
            let _listener = stage.lab.host("a").namespace.enter(bind);
            let a = stage.start(OURS, "a");
            let said = a.output();
            stage.expect("a", 100, &a);
            assert!(!a.output().contains("conf:"), "{said}");
            if text.contains("track_file") {
                stage.write("maintenance", "-50\n");
                stage.expect("a", 50, &a);
            }
        });
    }
    assert!(number > 0);
}
