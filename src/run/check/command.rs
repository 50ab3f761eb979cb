//! `MISC_CHECK`: one run of a command.

use core::time::Duration;

use smol::future;

use crate::io::sys::{self, Ended};
use crate::model::{Command, User};
use crate::run::child::Child;
use crate::run::reactor::sleep;
use crate::run::scripts;
use crate::track::Outcome;

/// From the request to end until it is killed, as with keepalived.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a command to its end; after `limit` it is asked to end, which is a failure however it ends. Dropped before, it takes
/// the command with it. Beside the outcome stands what it complained of.
pub async fn run(command: &Command, limit: Duration, default: Option<User>) -> (Outcome, Box<str>) {
    let Some(child) = scripts::start("MISC_CHECK", command, &[], default) else {
        return (Outcome::NotStarted, Box::default());
    };
    let mut running = Running(Some(child));
    let ended = running.within(limit).await;
    let words = running.0.as_ref().map(|child| child.complaint().words());
    let words = words.unwrap_or_default();
    if let Some(ended) = ended {
        running.0 = None;
        let outcome = match ended {
            Ended::Status(0) => Outcome::Passed,
            Ended::Status(status) => Outcome::Status(status),
            Ended::Signal(number) => Outcome::Signal(number),
        };
        return (outcome, words);
    }
    running.signal(libc::SIGTERM);
    if running.within(GRACE).await.is_none() {
        log::warn!("MISC_CHECK: {} does not end, killing it", command.text);
    }
    // Also what it has started: no other process can have its number as long as one of its group lives.
    if let Some(child) = running.0.take() {
        let _ = sys::kill(-child.pid(), libc::SIGKILL);
        child.ended().await;
    }
    (Outcome::TimedOut, words)
}

/// A command that runs; dropped, it is asked to end.
struct Running(Option<Child>);

impl Running {
    async fn within(&self, limit: Duration) -> Option<Ended> {
        let child = self.0.as_ref()?;
        let ended = async { Some(child.ended().await) };
        let late = async {
            sleep(limit).await;
            None
        };
        future::or(ended, late).await
    }

    fn signal(&self, number: i32) {
        if let Some(child) = &self.0 {
            child.signal_group(number);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            child.retire();
        }
    }
}
