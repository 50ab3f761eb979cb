//! Runs one `vrrp_script` again and again.

use core::cell::{Ref, RefCell};
use core::future::{Future, poll_fn};
use core::net::SocketAddr;
use core::pin::pin;
use core::task::{Context, Poll};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use smol::Task;

use super::{Finding, News};
use crate::io::connect;
use crate::io::sys::{self, Ended};
use crate::model::{Command, Connection, ScriptTracker, User};
use crate::run::child::Child;
use crate::run::reactor::{Source, now, sleep_until, spawn};
use crate::run::scripts;
use crate::track::{Order, Outcome, Script};
use crate::vrrp::{Reading, TrackerKind};

/// A script that is being run.
pub struct Watched {
    config: ScriptTracker,
    user: Option<User>,
    script: Rc<RefCell<Script>>,
    /// Ends what runs when it goes.
    _task: Task<()>,
}

impl Watched {
    /// Goes on with `old` where nothing has changed that matters; with what is known of it where the command is the same.
    pub(super) fn start(
        config: &ScriptTracker,
        default: Option<User>,
        old: Option<Self>,
        news: &News,
    ) -> Self {
        let user = config.command.user.or(default);
        let same = old.filter(|old| old.config.command == config.command && old.user == user);
        let script = match same {
            Some(mut old) if differs_in_weight_only(&old.config, config) => {
                old.config = config.clone();
                return old;
            }
            Some(old) => old.script.borrow().succeeded_by(config, now()),
            None => Script::new(config, now()),
        };
        let script = Rc::new(RefCell::new(script));
        let runner = Runner {
            command: config.command.clone(),
            connection: config.command.connection(),
            label: format!("vrrp_script {}", config.name),
            name: config.name.as_str().into(),
            user,
            script: Rc::clone(&script),
            told: None,
            news: news.clone(),
        };
        Self {
            config: config.clone(),
            user,
            script,
            _task: spawn(runner.run()),
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &ScriptTracker {
        &self.config
    }

    /// How it is.
    #[must_use]
    pub fn script(&self) -> Ref<'_, Script> {
        self.script.borrow()
    }
}

fn differs_in_weight_only(old: &ScriptTracker, new: &ScriptTracker) -> bool {
    *old == ScriptTracker {
        weight: old.weight,
        ..new.clone()
    }
}

/// What the task is.
struct Runner {
    command: Command,
    /// What it connects to, if that is all that it does.
    connection: Option<Connection>,
    label: String,
    name: Rc<str>,
    user: Option<User>,
    script: Rc<RefCell<Script>>,
    told: Option<bool>,
    news: News,
}

/// What is being run.
enum Attempt {
    Program(Running),
    Connection {
        socket: Source<OwnedFd>,
        /// Where else to try.
        others: Vec<SocketAddr>,
    },
}

impl Runner {
    async fn run(mut self) {
        let mut attempt = None;
        self.tell();
        loop {
            loop {
                // Not in the head of a loop, where the borrow would last for its body.
                let order = self.script.borrow_mut().tick(now());
                let Some(order) = order else { break };
                self.obey(order, &mut attempt);
                self.tell();
            }
            let deadline = self.script.borrow().deadline();
            let mut due = pin!(sleep_until(deadline));
            let ended = poll_fn(|context| {
                if let Some(Poll::Ready(outcome)) = attempt.as_mut().map(|a| a.poll(context)) {
                    return Poll::Ready(Some(outcome));
                }
                due.as_mut().poll(context).map(|()| None)
            });
            if let Some(outcome) = ended.await {
                self.over(outcome, attempt.take());
            }
        }
    }

    fn obey(&mut self, order: Order, attempt: &mut Option<Attempt>) {
        match order {
            Order::Start => match self.start() {
                Ok(started) => *attempt = Some(started),
                Err(outcome) => self.over(outcome, None),
            },
            Order::Terminate => match attempt {
                Some(Attempt::Program(running)) => {
                    self.heed(running);
                    running.signal_group(libc::SIGTERM);
                }
                // There is nobody who would not obey.
                _ => self.over(Outcome::TimedOut, attempt.take()),
            },
            Order::Kill => {
                if let Some(Attempt::Program(running)) = attempt {
                    log::warn!("{}: it does not end, killing it", self.label);
                    running.signal_group(libc::SIGKILL);
                }
            }
            Order::Skip => log::warn!("{}: still running, not started again", self.label),
        }
    }

    fn start(&self) -> Result<Attempt, Outcome> {
        if let Some(Connection { targets, .. }) = &self.connection {
            return Attempt::connect(targets).ok_or(Outcome::Unanswered);
        }
        match scripts::start(&self.label, &self.command, &[], self.user) {
            Some(child) => Ok(Attempt::Program(Running(Some(child)))),
            None => Err(Outcome::NotStarted),
        }
    }

    fn over(&mut self, outcome: Outcome, attempt: Option<Attempt>) {
        let given_up = self.script.borrow_mut().ended(outcome, now());
        match attempt {
            Some(Attempt::Program(running)) if given_up => {
                // No other process can have its number as long as one of its group lives.
                let group = running.0.as_ref().map(Child::pid);
                group.map(|group| sys::kill(-group, libc::SIGKILL));
            }
            Some(Attempt::Program(running)) => self.heed(&running),
            _ => {}
        }
        self.tell();
    }

    /// Takes note of what a run that is over has complained of.
    fn heed(&self, running: &Running) {
        let words = running.0.as_ref().map(|child| child.complaint().words());
        self.script
            .borrow_mut()
            .complained(words.unwrap_or_default());
    }

    /// Tells the router and the log if it is news.
    fn tell(&mut self) {
        let script = self.script.borrow();
        let Some(up) = script.verdict().filter(|up| self.told != Some(*up)) else {
            return;
        };
        let name = &self.name;
        match (script.last(), up) {
            (_, true) => log::info!("VRRP_Script({name}) succeeded"),
            (Some(run), false) => {
                let complaint = script.complaint();
                let between = if complaint.is_empty() { "" } else { ": " };
                log::info!(
                    "VRRP_Script({name}) failed ({}){between}{complaint}",
                    run.outcome
                );
            }
            (None, false) => log::info!("VRRP_Script({name}) counts as failed until it succeeds"),
        }
        self.told = Some(up);
        self.news.post(Finding {
            kind: TrackerKind::Script,
            name: Rc::clone(name),
            reading: if up { Reading::Up } else { Reading::Down },
        });
    }
}

impl Attempt {
    /// Connects to the first of several addresses that does not refuse at once.
    fn connect(mut targets: &[SocketAddr]) -> Option<Self> {
        while let Some((target, others)) = targets.split_first() {
            match connect::start(*target) {
                Ok(socket) => {
                    return Some(Self::Connection {
                        socket: Source::new(socket),
                        others: others.to_vec(),
                    });
                }
                Err(error) => log::debug!("cannot connect to {target}: {error}"),
            }
            targets = others;
        }
        None
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Outcome> {
        match self {
            Self::Program(running) => running.poll(context).map(|ended| match ended {
                Ended::Status(0) => Outcome::Passed,
                Ended::Status(status) => Outcome::Status(status),
                Ended::Signal(number) => Outcome::Signal(number),
            }),
            Self::Connection { socket, others } => {
                let connected = match socket.poll_writable(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(ready) => ready.and_then(|()| connect::finish(socket.get_ref())),
                };
                match connected {
                    Ok(()) => Poll::Ready(Outcome::Passed),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.poll(context),
                    Err(_) => match Self::connect(others) {
                        Some(next) => {
                            *self = next;
                            self.poll(context)
                        }
                        None => Poll::Ready(Outcome::Unanswered),
                    },
                }
            }
        }
    }
}

/// A script that runs; dropped, it ends within the time that a script gets.
struct Running(Option<Child>);

impl Running {
    fn poll(&self, context: &Context<'_>) -> Poll<Ended> {
        let child = self.0.as_ref();
        child.map_or(Poll::Pending, |child| child.poll_ended(context))
    }

    fn signal_group(&self, number: i32) {
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
