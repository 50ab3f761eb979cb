//! Pid files: where scripts find us, and what keeps a second daemon from starting.

use core::time::Duration;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::io::sys;
use crate::model::Global;
use crate::time::Instant;

use super::options::Options;
use super::reactor::now;
use super::supervise::Role;

/// How long a process that has lost its parent may take to let go of what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pid file that is ours until this value is dropped, which removes it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Locked; `None` where it could not be written.
    file: Option<File>,
}

/// There is one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running(pub Option<u32>);

/// Where the pid file of a process belongs: `None` is the parent, or the only one.
#[must_use]
pub fn path(role: Option<Role>, options: &Options, global: &Global) -> PathBuf {
    let (given, name) = match role {
        None => (&options.pid, "keepalived"),
        Some(Role::Vrrp) => (&options.vrrp_pid, "vrrp"),
        Some(Role::Checkers) => (&options.checkers_pid, "checkers"),
    };
    if let Some(given) = given {
        return PathBuf::from(given);
    }
    // Older OpenWrt has no /run.
    let run = ["/run", "/var/run"].map(Path::new);
    let [first, second] = run;
    let run = if first.is_dir() { first } else { second };
    let namespace = options.namespace.as_ref().or(global.net_namespace.as_ref());
    if !global.use_pid_dir && global.instance.is_none() && namespace.is_none() {
        return run.join(format!("{name}.pid"));
    }
    let mut name = name.to_owned();
    for part in [global.instance.as_ref(), namespace].into_iter().flatten() {
        name.push('_');
        name.push_str(part);
    }
    run.join("keepalived").join(format!("{name}.pid"))
}

impl PidFile {
    /// Writes our number to `path` and locks it. A file that cannot be written is said in the log and done without.
    ///
    /// # Errors
    /// [`Running`] when another daemon has it.
    pub fn take(path: &Path) -> Result<Self, Running> {
        match Self::lock(path) {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(running)) => Err(running),
            Err(error) => {
                log::warn!(
                    "cannot write the pid file {}: {error}; going on without it",
                    path.display()
                );
                Ok(Self {
                    path: path.to_owned(),
                    file: None,
                })
            }
        }
    }

    /// [`take`](Self::take) for a child. A watchdog that died and was started again starts its children while those of before
    /// are still resigning: they are waited for, since the next try would come a second later.
    ///
    /// # Errors
    /// [`Running`] when whoever has it goes on.
    pub fn take_over(path: &Path) -> Result<Self, Running> {
        let deadline = now() + PATIENCE;
        loop {
            match Self::take(path) {
                Err(Running(Some(pid))) if has_ended(pid, deadline) => {}
                taken => return taken,
            }
        }
    }

    fn lock(path: &Path) -> io::Result<Result<Self, Running>> {
        if let Some(directory) = path.parent() {
            if directory
                .file_name()
                .is_some_and(|name| name == "keepalived")
            {
                let _ = fs::create_dir(directory);
            }
        }
        // Somebody may remove the file between our opening and our locking it; then it is made anew.
        for _ in 0..5 {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)?;
            let mut text = String::new();
            // Whatever else it holds is no number.
            let _ = (&file).take(32).read_to_string(&mut text);
            let before: Option<u32> = text.trim().parse().ok();
            match sys::lock(file.as_fd()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Err(Running(before)));
                }
                Err(error) => return Err(error),
            }
            let ours = file.metadata()?.ino();
            if fs::symlink_metadata(path).map(|there| there.ino()).ok() != Some(ours) {
                continue;
            }
            // keepalived before 2.3 does not lock its file.
            if let Some(pid) = before.filter(|pid| is_another_daemon(*pid)) {
                return Ok(Err(Running(Some(pid))));
            }
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            return Ok(Ok(Self {
                path: path.to_owned(),
                file: Some(file),
            }));
        }
        Err(io::Error::other("it is removed again and again"))
    }
}

/// Waits until a process ends; false if it has not by then, or the kernel cannot tell (before Linux 5.3).
fn has_ended(pid: u32, deadline: Instant) -> bool {
    let left = deadline.since(now());
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    if left.is_zero() {
        return false;
    }
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => sys::wait_readable(process.as_fd(), left).unwrap_or(false),
        Err(error) => error == Errno::SRCH,
    }
}

/// Whether a process of this number is a daemon of our kind, and neither we nor who has just started us.
fn is_another_daemon(pid: u32) -> bool {
    let ourselves = pid == std::process::id() || pid == std::os::unix::process::parent_id();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    !ourselves && matches!(name.trim(), "keepalived" | "keepalite")
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Before the lock goes with the descriptor.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pid-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
        fn file(&self) -> PathBuf {
            self.0.join("it.pid")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_pid_file_holds_our_number_and_goes_with_us() {
        let place = Place::new("ours");
        let held = PidFile::take(&place.file()).unwrap();
        let text = fs::read_to_string(place.file()).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(held);
        assert!(!place.file().exists());
    }

    #[test]
    fn a_second_one_is_told_who_has_it() {
        let place = Place::new("second");
        let _held = PidFile::take(&place.file()).unwrap();
        let second = PidFile::take(&place.file()).unwrap_err();
        assert_eq!(second, Running(Some(std::process::id())));
        assert!(place.file().exists());
    }

    #[test]
    fn a_stale_file_is_taken_over_whatever_it_holds() {
        let place = Place::new("stale");
        for stale in [
            "4194305\n",
            "",
            "rubbish\n",
            "1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n",
        ] {
            fs::write(place.file(), stale).unwrap();
            let held = PidFile::take(&place.file()).unwrap();
            let text = fs::read_to_string(place.file()).unwrap();
            assert_eq!(text, format!("{}\n", std::process::id()));
            drop(held);
        }
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let place = Place::new("link");
        let victim = place.0.join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, place.file()).unwrap();
        let without = PidFile::take(&place.file()).unwrap();
        assert!(without.file.is_none());
        drop(without);
        assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    }

    #[test]
    fn without_a_directory_the_daemon_goes_on() {
        let held = PidFile::take(Path::new("/nonexistent/it.pid")).unwrap();
        assert!(held.file.is_none());
    }

    #[test]
    fn paths_are_those_of_keepalived() {
        let options = Options::default();
        let mut global = Global::default();
        assert_eq!(
            path(None, &options, &global),
            Path::new("/run/keepalived.pid")
        );
        assert_eq!(
            path(Some(Role::Vrrp), &options, &global),
            Path::new("/run/vrrp.pid")
        );
        global.instance = Some("edge".to_owned());
        assert_eq!(
            path(Some(Role::Vrrp), &options, &global),
            Path::new("/run/keepalived/vrrp_edge.pid")
        );
        let given = Options {
            pid: Some("/tmp/p".to_owned()),
            ..options
        };
        assert_eq!(path(None, &given, &global), Path::new("/tmp/p"));
    }
}
