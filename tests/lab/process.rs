//! A process on a host.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use keepalite::io::sys;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, set_child_subreaper,
    waitpid,
};

use super::Namespace;

/// A process and all that it started. Dropped, it is killed with all of them; and if the lab is killed, so is it.
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    pub(super) fn start(
        namespace: &Namespace,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        scratch: &Path,
    ) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let output = scratch.join(format!("output-{number}"));
        let file = File::create(&output)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        sys::confine(&mut command, namespace.as_fd())?;
        set_child_subreaper(Some(getpid()))?;
        let child = command.spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("cannot start {}: {e}", program.display()))
        })?;
        Ok(Self { child, output })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it and its children have said so far.
    pub(crate) fn output(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.output).and_then(|mut f| f.read_to_end(&mut text));
        read.expect("the file of what it says");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The directory of the file to which it says everything.
    pub(crate) fn output_directory(&self) -> &Path {
        self.output.parent().unwrap_or(Path::new("/"))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(pid(self.id())?, signal)?)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self, at_most: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(at_most)
    }

    /// It and all that it started, the oldest first.
    pub(crate) fn tree(&self) -> Vec<u32> {
        tree(self.id())
    }

    /// Kills it and all that it started, at once: what a crash or a power cut does.
    pub(crate) fn kill_tree(&mut self) {
        let victims = freeze(self.id());
        kill(&victims);
        let _ = self.child.wait();
        // Orphans are ours (we are their subreaper): a dead one that nobody buries looks alive to whoever reads its pid file.
        for orphan in victims.iter().skip(1).flat_map(|victim| pid(*victim)) {
            let _ = waitpid(Some(orphan), WaitOptions::empty());
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, at_most: Duration) -> io::Result<ExitStatus> {
        let end = pidfd_open(pid(self.id())?, PidfdFlags::empty())?;
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            sys::wait_readable(end.as_fd(), left)?;
        }
    }

    /// Has it ended?
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill_tree();
        }
    }
}

/// Kills everything that we started, and what that started.
pub(super) fn kill_descendants() {
    let own = std::process::id();
    for child in tree(own).into_iter().skip(1) {
        kill(&freeze(child));
    }
    while waitpid(None, WaitOptions::empty()).is_ok() {}
}

/// Makes a process and its descendants stand still before the first of them dies, so that none starts another again, or hears
/// of a death and says good-bye on the wire.
fn freeze(root: u32) -> Vec<u32> {
    let mut known = 0;
    loop {
        let all = tree(root);
        for process in all.iter().flat_map(|process| pid(*process)) {
            let _ = kill_process(process, Signal::STOP);
        }
        // Those that were born meanwhile.
        if all.len() == known {
            return all;
        }
        known = all.len();
    }
}

fn kill(processes: &[u32]) {
    for process in processes.iter().flat_map(|process| pid(*process)) {
        let _ = kill_process(process, Signal::KILL);
    }
}

fn pid(number: u32) -> io::Result<Pid> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    Pid::from_raw(number).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// A process and its descendants, the oldest first.
fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let number = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            // The name stands in brackets and may hold anything; the state and the parent follow.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((number, parent.parse().ok()?))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(number, _)| *number),
        );
        next += 1;
    }
    found
}
