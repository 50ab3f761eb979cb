//! Commands that are run for us, without ever waiting for them.
//!
//! Commands of one queue run one after the other, so that a `notify_master` which takes its time cannot be overtaken by
//! the `notify_backup` after it; keepalived lets them overlap. Different queues do not wait for each other.

use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::ffi::CString;
use std::rc::Rc;

use smol::future;

use crate::io::sys::{Ended, Program};
use crate::model::{Command, User};

use super::child::Child;
use super::reactor::{now, sleep, spawn};

/// A command to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is, for the log: `(VI_1) notify_master`.
    pub label: String,
    /// The command.
    pub command: Command,
    /// Words after its own, such as `INSTANCE VI_1 MASTER 100`.
    pub arguments: Vec<String>,
}

/// Runs commands in queues; `K` names a queue: an instance, a group.
#[derive(Clone)]
pub struct Runner<K> {
    default: Option<User>,
    queues: Rc<RefCell<Queues<K>>>,
}

struct Queues<K> {
    /// Those in which something runs.
    busy: Vec<Queue<K>>,
    /// Who waits for all of them to end.
    settled: Option<Waker>,
}

struct Queue<K> {
    key: K,
    waiting: VecDeque<Job>,
}

/// So many commands may wait for one that hangs; then the oldest are given up, since what is newest is what counts.
const LONGEST: usize = 64;

impl<K: Copy + Eq + 'static> Runner<K> {
    /// `default` runs the commands that name no user of their own; `None` is ourselves.
    #[must_use]
    pub fn new(default: Option<User>) -> Self {
        let queues = Queues {
            busy: Vec::new(),
            settled: None,
        };
        Self {
            default,
            queues: Rc::new(RefCell::new(queues)),
        }
    }

    /// Changes who runs the commands that name no user of their own, from the next one on.
    pub const fn set_default(&mut self, default: Option<User>) {
        self.default = default;
    }

    /// Runs `job` as soon as those before it in the same queue have ended.
    pub fn run(&self, key: K, job: Job) {
        let mut queues = self.queues.borrow_mut();
        if let Some(queue) = queues.busy.iter_mut().find(|queue| queue.key == key) {
            queue.waiting.push_back(job);
            if queue.waiting.len() > LONGEST {
                if let Some(old) = queue.waiting.pop_front() {
                    log::warn!("{}: not run, since the one before it still runs", old.label);
                }
            }
            return;
        }
        let waiting = VecDeque::new();
        queues.busy.push(Queue { key, waiting });
        drop(queues);
        let runner = self.clone();
        spawn(async move { runner.work(key, job).await }).detach();
    }

    /// Waits until every queue is empty, but no longer than `limit`; true if they are.
    pub async fn settle(&self, limit: Duration) -> bool {
        let empty = poll_fn(|context| {
            let mut queues = self.queues.borrow_mut();
            if queues.busy.is_empty() {
                return Poll::Ready(true);
            }
            queues.settled = Some(context.waker().clone());
            Poll::Pending
        });
        future::or(empty, async {
            sleep(limit).await;
            false
        })
        .await
    }

    async fn work(&self, key: K, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            run(&job, self.default).await;
            next = self.next(key);
        }
    }

    fn next(&self, key: K) -> Option<Job> {
        let mut queues = self.queues.borrow_mut();
        let index = queues.busy.iter().position(|queue| queue.key == key)?;
        if let Some(job) = queues.busy.get_mut(index)?.waiting.pop_front() {
            return Some(job);
        }
        queues.busy.swap_remove(index);
        let settled = queues.settled.take();
        drop(queues);
        if let Some(waker) = settled {
            waker.wake();
        }
        None
    }
}

/// Runs one command to its end and logs how that was.
async fn run(job: &Job, default: Option<User>) {
    let started = now();
    let Some(child) = start(&job.label, &job.command, &job.arguments, default) else {
        return;
    };
    let how = child.ended().await;
    let took = Took(now().since(started));
    match how {
        Ended::Status(0) => log::debug!("{}: {} after {took}", job.label, job.command.text),
        _ => log::warn!(
            "{}: {} {how} after {took}{}",
            job.label,
            job.command.text,
            child.complaint()
        ),
    }
}

struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// Starts a command apart from us: its own process group, no standard streams but an error output that is
/// [listened to](Child::complaint), SIGTERM when we die. `None` after having logged why it cannot be.
///
/// It is executed directly with its words, unless it is written in the language of the shell, or the kernel finds that it
/// has no `#!`.
#[must_use]
pub fn start(
    label: &str,
    command: &Command,
    arguments: &[String],
    default: Option<User>,
) -> Option<Child> {
    let user = command.user.or(default);
    // The shell's own "$@", so that the arguments need no quoting.
    let script = format!("{} \"$@\"", command.text);
    let script = if arguments.is_empty() {
        &command.text
    } else {
        &script
    };
    let shell = ["sh", "-c", script, "sh"];
    let shell = words(
        shell
            .into_iter()
            .chain(arguments.iter().map(String::as_str)),
    );
    let own = command.words.iter().chain(arguments).map(String::as_str);
    let (Some(direct), Some(shell)) = (words(own), shell) else {
        log::error!("{label}: {}: a NUL in a command", command.text);
        return None;
    };
    let path = direct.first()?;
    let program = Program {
        path,
        words: &direct,
        shell: Some(&shell),
        user: user.map(|user| (user.uid, user.gid)),
        apart: true,
        input: None,
        errors: None,
    };
    let program = if command.needs_shell() {
        Program {
            path: c"/bin/sh",
            words: &shell,
            shell: None,
            ..program
        }
    } else {
        program
    };
    match Child::start_aloud(&program) {
        Ok(child) => Some(child),
        Err(error) => {
            log::error!("{label}: cannot run {}: {error}", command.text);
            None
        }
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> Option<Vec<CString>> {
    words.map(|word| CString::new(word).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_time_is_told_in_seconds() {
        assert_eq!(Took(Duration::from_millis(61_007)).to_string(), "61.007 s");
    }
}
