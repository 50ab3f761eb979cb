//! A kernel of its own for a test: user-mode Linux, which has IPVS and whatever else the running kernel lacks.
//!
//! The test starts itself again as the only one inside, with the host's own root file system under it, so that it is written
//! like any other. Each has its own kernel: nothing of another test is in it, several run side by side, and whatever becomes
//! of it is gone when it ends. It takes about two seconds to come up.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "it offers more than each of its users needs, and may fail loudly"
)]

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Debian's package user-mode-linux.
const KERNEL: &str = "/usr/bin/linux.uml";
/// What its first process tells the test that runs inside.
const INSIDE: &str = "UML_INSIDE";
/// What of the environment counts inside too.
const INHERITED: [&str; 4] = ["KEEPALITE", "NETNS", "RUST_BACKTRACE", "UPDATE"];
/// From coming up to switching off, unless a test says otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the test that calls it in a kernel of its own. Where there is none it says so loudly and passes, or fails if the
/// environment has `NETNS=require`.
pub(crate) fn inside(test: impl FnOnce()) {
    inside_for(PATIENCE, test);
}

/// [`inside`] with at most so much time.
pub(crate) fn inside_for(patience: Duration, test: impl FnOnce()) {
    if is_inside() {
        return test();
    }
    // The test harness names the thread of a test after the test.
    let name = std::thread::current().name().unwrap_or("main").to_owned();
    if !Path::new(KERNEL).exists() {
        let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
        assert!(
            !required,
            "{name}: it needs {KERNEL} (NETNS=require); install user-mode-linux, kmod and ipvsadm"
        );
        // Not through the harness, which would swallow it.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED {name}: no {KERNEL} here (Debian's user-mode-linux, kmod, ipvsadm)"
        );
        return;
    }
    let arguments = [
        "--exact",
        &name,
        "--nocapture",
        "--include-ignored",
        "--test-threads=1",
    ];
    let console = boot(&arguments, patience);
    let mut lines = console.lines();
    let result = lines.find_map(|line| line.strip_prefix("RESULT "));
    match result {
        Some("0") => said_inside(&console),
        Some(status) => panic!("{name} failed inside (exit status {status}):\n{console}"),
        None => panic!("{name} did not end within {patience:?}:\n{console}"),
    }
}

/// What counts of the console of a test that passed: skips, and lines that it wants seen.
fn said_inside(console: &str) {
    for line in console.lines().filter(|line| line.starts_with("SKIPPED")) {
        let _ = writeln!(io::stderr(), "{line}");
    }
    let from = console.find("\nrunning 1 test").map_or(0, |at| at + 1);
    let to = console.find("RESULT ").unwrap_or(console.len());
    print!("{}", console.get(from..to).unwrap_or_default());
}

/// Whether this process runs in such a kernel.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// The next one of the processors that we may use. The kernel has one itself, but several processes here that wait for each
/// other all the time: that goes several times faster where none of them has to wake another processor.
fn processor() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let ours = rustix::thread::sched_getaffinity(None).expect("processors");
    let all = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| ours.is_set(*cpu));
    let all: Vec<usize> = all.collect();
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % all.len();
    all[number].to_string()
}

/// Comes up, runs this program with these arguments, in which there are neither blanks nor commas, and switches off;
/// everything that was said on the console. The last line of the program is `RESULT` and its exit status.
pub(crate) fn boot(arguments: &[&str], patience: Duration) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let scratch = format!("keepalite-uml-{}-{now:x}", std::process::id());
    let scratch = std::env::temp_dir().join(scratch);
    std::fs::create_dir(&scratch).expect("a directory for the kernel");
    let shown = |path: io::Result<std::path::PathBuf>| path.expect("a path").display().to_string();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut kernel = Command::new("timeout");
    kernel
        .args(["--kill-after=5", &patience.as_secs().to_string()])
        .args(["taskset", "--cpu-list", &processor(), KERNEL])
        .args([
            "mem=512M",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "quiet",
        ])
        .args(["con=null", "con0=null,fd:1", "panic=1"])
        .arg(format!("uml_dir={}", scratch.display()))
        .arg(format!("init={}", here.join("tests/uml/init").display()))
        .arg(format!("UML_PROGRAM={}", shown(std::env::current_exe())))
        .arg(format!("UML_DIRECTORY={}", shown(std::env::current_dir())))
        .arg(format!("UML_ARGUMENTS={}", arguments.join(",")))
        .env("TMPDIR", &scratch)
        .stdin(std::process::Stdio::null());
    for name in INHERITED {
        if let Ok(value) = std::env::var(name) {
            kernel.arg(format!("{name}={value}"));
        }
    }
    let output = kernel.output();
    let _ = std::fs::remove_dir_all(&scratch);
    let output = output.expect("the program timeout (coreutils)");
    // A terminal ends its lines with a carriage return as well.
    let console = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let errors = String::from_utf8_lossy(&output.stderr).replace('\r', "");
    if console.contains("RESULT ") {
        console
    } else {
        format!("{console}{errors}")
    }
}
