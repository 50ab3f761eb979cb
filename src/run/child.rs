//! Processes that we have started: waiting for their end, and seeing to it that none stays a zombie.

use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;

use smol::future;

use crate::io::sys::{self, Ended, Program};

use super::complaint::{Complaint, Ear};
use super::reactor::{sleep, spawn};
use super::signal;

/// From asking until killing.
const RETIREMENT: Duration = Duration::from_secs(2);

thread_local! {
    static CHILDREN: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

struct Entry {
    pid: i32,
    ended: Option<Ended>,
    waker: Option<Waker>,
    /// Nobody holds its [`Child`] any more.
    orphan: bool,
}

/// A process that we have started. Dropping it lets it run on; its end is seen to all the same.
pub struct Child {
    pid: i32,
    ear: Option<Ear>,
}

impl Child {
    /// Starts a program.
    ///
    /// # Errors
    /// When there can be no more processes.
    pub fn start(program: &Program<'_>) -> io::Result<Self> {
        sys::spawn(program).map(Self::of)
    }

    /// The same, with an ear for what it says on its standard error; without one if there is none to be had.
    ///
    /// # Errors
    /// When there can be no more processes.
    pub fn start_aloud(program: &Program<'_>) -> io::Result<Self> {
        let Ok(ear) = Ear::open(program.user.is_some()) else {
            return Self::start(program);
        };
        let mut child = Self::start(&Program {
            errors: Some(ear.mouth()),
            ..*program
        })?;
        child.ear = Some(ear);
        Ok(child)
    }

    /// What it has said on its standard error so far.
    #[must_use]
    pub fn complaint(&self) -> Complaint {
        self.ear.as_ref().map(Ear::complaint).unwrap_or_default()
    }

    /// Does something that blocks in a process of its own.
    ///
    /// # Errors
    /// When there can be no more processes.
    pub fn apart(work: impl FnOnce()) -> io::Result<Self> {
        sys::apart(work).map(Self::of)
    }

    fn of(pid: i32) -> Self {
        let entry = Entry {
            pid,
            ended: None,
            waker: None,
            orphan: false,
        };
        CHILDREN.with_borrow_mut(|children| children.push(entry));
        Self { pid, ear: None }
    }

    /// Its number; not that of another process as long as this value lives.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Completes when it has ended. Needs [`Signals`](super::signal::Signals) to be read beside it.
    pub async fn ended(&self) -> Ended {
        poll_fn(|context| self.poll_ended(context)).await
    }

    /// [`ended`](Self::ended) for a hand-made future, which may so wait for several children at once.
    pub fn poll_ended(&self, context: &Context<'_>) -> Poll<Ended> {
        CHILDREN.with_borrow_mut(|children| {
            // An entry leaves only after its Child, so that there is one.
            let entry = children.iter_mut().find(|entry| entry.pid == self.pid);
            let Some(entry) = entry else {
                return Poll::Pending;
            };
            if let Some(ended) = entry.ended {
                return Poll::Ready(ended);
            }
            entry.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// Sends it a signal; nothing happens if it has ended.
    pub fn signal(&self, number: i32) {
        if self.runs() {
            let _ = sys::kill(self.pid, number);
        }
    }

    /// Sends a signal to it and all that it has started, if it was started apart; nothing happens if it has ended.
    pub fn signal_group(&self, number: i32) {
        if self.runs() {
            let _ = sys::kill(-self.pid, number);
        }
    }

    /// Asks it and all that it has started to end, and kills what has not after two seconds. For one that was started apart.
    pub fn retire(self) {
        if !self.runs() {
            return;
        }
        self.signal_group(libc::SIGTERM);
        spawn(async move {
            let ended = async {
                self.ended().await;
            };
            future::or(ended, sleep(RETIREMENT)).await;
            self.signal_group(libc::SIGKILL);
        })
        .detach();
    }

    /// Whether it has not been waited for, so that its number is still its own.
    fn runs(&self) -> bool {
        CHILDREN.with_borrow(|children| {
            let own = children.iter().find(|entry| entry.pid == self.pid);
            own.is_some_and(|entry| entry.ended.is_none())
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = CHILDREN.try_with(|children| {
            let mut children = children.borrow_mut();
            if let Some(index) = children.iter().position(|entry| entry.pid == self.pid) {
                if children.get(index).is_some_and(|e| e.ended.is_some()) {
                    children.swap_remove(index);
                } else if let Some(entry) = children.get_mut(index) {
                    entry.orphan = true;
                }
            }
        });
    }
}

/// Looks which children have ended, and wakes who waits for them. For the reader of SIGCHLD.
pub fn reap() {
    let woken: Vec<Waker> = CHILDREN.with_borrow_mut(|children| {
        for entry in children.iter_mut().filter(|entry| entry.ended.is_none()) {
            entry.ended = match sys::ended(entry.pid) {
                Ok(ended) => ended,
                // Waited for by somebody else: it is gone, and nobody knows how.
                Err(_) => Some(Ended::Status(0)),
            };
        }
        children.retain(|entry| !(entry.orphan && entry.ended.is_some()));
        let done = children.iter_mut().filter(|entry| entry.ended.is_some());
        done.filter_map(|entry| entry.waker.take()).collect()
    });
    woken.into_iter().for_each(Waker::wake);
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status(0) => f.write_str("exited"),
            Self::Status(sys::NOT_FOUND) => f.write_str("exited with status 127 (not found)"),
            Self::Status(sys::NOT_EXECUTABLE) => {
                f.write_str("exited with status 126 (cannot be executed)")
            }
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(number) => match signal::meaning(number) {
                "" => write!(f, "ended by signal {number}"),
                meaning => write!(f, "ended by signal {number} ({meaning})"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        let told = [
            Ended::Status(0),
            Ended::Status(3),
            Ended::Status(127),
            Ended::Signal(libc::SIGSEGV),
            Ended::Signal(libc::SIGRTMAX()),
        ]
        .map(|ended| ended.to_string());
        assert_eq!(told[0], "exited");
        assert_eq!(told[1], "exited with status 3");
        assert_eq!(told[2], "exited with status 127 (not found)");
        assert_eq!(told[3], "ended by signal 11 (segmentation fault)");
        assert_eq!(told[4], format!("ended by signal {}", libc::SIGRTMAX()));
    }
}
