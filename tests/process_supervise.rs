//! The watchdog and its child, as processes: the real binary, bounded waits, no network.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

/// A directory with a configuration and pid files; gone with the value.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("run-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("conf"), "! nothing\n").unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepalite"));
        command
            .args(words)
            .args(["-G", "-P", "--all", "-f"])
            .arg(self.file("conf"))
            .arg("-p")
            .arg(self.file("parent.pid"))
            .arg("-r")
            .arg(self.file("vrrp.pid"));
        command
    }

    fn start(&self, words: &[&str]) -> Daemon {
        let mut child = self
            .command(words)
            .args(["-n", "-l", "-D"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Daemon { child, lines }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Daemon {
    child: Child,
    lines: Receiver<String>,
}

impl Daemon {
    /// The next line that has `part` in it.
    fn says(&self, part: &str) -> String {
        let end = Instant::now() + LIMIT;
        let mut heard = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => heard = heard + &line + "\n",
                Err(_) => panic!("it never said {part:?}, but\n{heard}"),
            }
        }
    }

    /// The number of the VRRP process once it is there and has taken its pid file.
    fn vrrp(&self, place: &Place) -> u32 {
        let line = self.says("Starting VRRP child process");
        let pid: u32 = line.rsplit('=').next().unwrap().parse().unwrap();
        until("the child's pid file", || {
            let text = fs::read_to_string(place.file("vrrp.pid")).ok()?;
            (text.trim() == pid.to_string()).then_some(())
        });
        pid
    }

    fn ends(&mut self) -> ExitStatus {
        until("the end of the parent", || self.child.try_wait().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn gone(pid: u32) {
    until("the end of a process", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie that init has not seen yet has ended, too.
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

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
