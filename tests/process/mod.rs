//! The daemon as a process: started in a directory of its own, its words heard line by line, every wait bounded.

#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

/// A directory with a configuration and pid files; gone with the value.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("run-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("conf"), "! nothing\n").unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
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

    pub(crate) fn start(&self, words: &[&str]) -> Daemon {
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

/// A daemon; it ends with the value.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Daemon {
    /// The next line that has `part` in it.
    pub(crate) fn says(&self, part: &str) -> String {
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

    /// All that it has said and nobody has heard yet, once it has ended.
    pub(crate) fn all(&self) -> String {
        let lines: Vec<String> = self.lines.iter().collect();
        lines.join("\n")
    }

    /// The number of the VRRP process once it is there and has taken its pid file.
    pub(crate) fn vrrp(&self, place: &Place) -> u32 {
        let line = self.says("Starting VRRP child process");
        let pid: u32 = line.rsplit('=').next().unwrap().parse().unwrap();
        until("the child's pid file", || {
            let text = fs::read_to_string(place.file("vrrp.pid")).ok()?;
            (text.trim() == pid.to_string()).then_some(())
        });
        pid
    }

    pub(crate) fn ends(&mut self) -> ExitStatus {
        until("the end of the parent", || self.child.try_wait().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal, by its name.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits for the end of a process that is no child of ours.
pub(crate) fn gone(pid: u32) {
    until("the end of a process", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie that init has not seen yet has ended, too.
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

/// How many threads a process has.
pub(crate) fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// Says loudly that a test is left out; where the environment has `NETNS=require` that is a failure.
pub(crate) fn skip(why: &str) {
    let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
    assert!(!required, "{why}, but NETNS=require");
    // Not through the harness, which would swallow it.
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}
