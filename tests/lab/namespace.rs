//! A network namespace, and the right to have one.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, ExitStatus};
use std::sync::{PoisonError, RwLock};

use keepalite::io::{link, netlink, sys};
use keepalite::name::IfName;

/// A network namespace lives exactly as long as this value and what was started in it: it has no name, and no process of its
/// own keeps it, so that nothing of it survives us, however we end.
#[derive(Debug)]
pub(crate) struct Namespace(OwnedFd);

impl Namespace {
    /// A new one, its loopback interface up.
    pub(crate) fn new() -> io::Result<Self> {
        let make = || {
            sys::unshare_network()?;
            let mut batch = netlink::Batch::new();
            let lo = IfName::new("lo").ok_or(io::ErrorKind::InvalidInput)?;
            link::set(&mut batch, 1, &lo, link::Setting::Up);
            super::commit(
                &mut netlink::Netlink::route().map_err(io::Error::other)?,
                batch,
            )?;
            File::open("/proc/thread-self/ns/net")
        };
        std::thread::scope(|s| s.spawn(make).join())
            .map_err(|_| io::ErrorKind::Other)?
            .map(|f| Self(f.into()))
    }

    /// Does something inside: a socket that is opened there stays there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            rustix::thread::move_into_link_name_space(self.as_fd(), None).expect("own namespace");
            work()
        };
        match std::thread::scope(|s| s.spawn(inside).join()) {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Set for what [`as_root`] started, so that it does not try again.
const INSIDE: &str = "KEEPALITE_LAB_INSIDE";

/// May we make namespaces?
pub(crate) fn permitted() -> bool {
    Namespace::new().is_ok()
}

/// Starts this program again with these arguments, as root of a user namespace. `None` where that is not permitted, or
/// was of no use.
pub(crate) fn as_root(arguments: impl IntoIterator<Item = String>) -> Option<ExitStatus> {
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    let mut again = Command::new("/proc/self/exe");
    again.args(arguments).env(INSIDE, "1");
    sys::confine_as_root(&mut again);
    again.status().ok()
}

/// Held by each test that needs namespaces, and by one that must be alone for itself.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a test that needs namespaces: here as root, in a process of its own as root of a user namespace otherwise. Where neither is
/// permitted it says so loudly and passes, or fails if the environment has `NETNS=require`.
pub(crate) fn with_namespaces(test: impl FnOnce()) {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    run(test);
}

/// The same, and no other test runs beside it: for one that takes the whole processor, or wants to see how fast we are.
pub(crate) fn with_namespaces_alone(test: impl FnOnce()) {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    run(test);
}

fn run(test: impl FnOnce()) {
    if permitted() {
        return test();
    }
    // The test harness names the thread of a test after the test.
    let name = std::thread::current().name().unwrap_or("main").to_owned();
    let status = if name == "main" {
        None
    } else {
        as_root([name.clone(), "--exact".to_owned(), "--nocapture".to_owned()])
    };
    if let Some(status) = status {
        assert!(status.success(), "{name} failed in its user namespace");
        return;
    }
    skip("network namespaces are not permitted here");
}

/// Says loudly that a test, or a part of it, is left out; where the environment has `NETNS=require` that is a failure.
pub(crate) fn skip(why: &str) {
    let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
    assert!(!required, "{why}, but NETNS=require");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("main");
    // Not through the harness, which would swallow it.
    let _ = writeln!(io::stderr(), "SKIPPED {name}: {why}");
}
