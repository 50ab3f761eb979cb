//! Counts the processes of every `vrrp_track_process`: by the kernel's events where it tells them, else by looking at all
//! processes each second.

use core::cell::{Ref, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;

use smol::Task;

use super::{Finding, News};
use crate::io::processes::{self, ProcessEvent, ProcessEvents};
use crate::model::ProcessTracker;
use crate::run::reactor::{Source, now, sleep_until, spawn};
use crate::sorted::Set;
use crate::time::Instant;
use crate::track::Quorum;
use crate::track::process::{is_meant, is_named};
use crate::vrrp::{Reading, TrackerKind};

/// Between two looks at all processes.
const PERIOD: Duration = Duration::from_secs(1);

/// All processes that are watched.
#[derive(Default)]
pub(super) struct Processes {
    watched: Rc<RefCell<Vec<WatchedProcess>>>,
    task: Option<Task<()>>,
}

/// Processes of one kind that are counted.
#[derive(Clone, Debug)]
pub struct WatchedProcess {
    config: ProcessTracker,
    name: Rc<str>,
    quorum: Quorum,
    members: Set<u32>,
    told: Option<bool>,
}

impl WatchedProcess {
    fn new(config: &ProcessTracker) -> Self {
        Self {
            config: config.clone(),
            name: config.name.as_str().into(),
            quorum: Quorum::new(config),
            members: Set::new(),
            told: None,
        }
    }

    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &ProcessTracker {
        &self.config
    }

    /// How it is.
    #[must_use]
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    fn is_member(&self, process: u32, buffer: &mut Vec<u8>) -> bool {
        is_named(&self.config, processes::name(process, buffer))
            && is_meant(&self.config, processes::command_line(process, buffer))
    }

    fn count(&mut self, now: Instant) {
        let count = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.quorum.count(count, now);
    }

    fn tell(&mut self, news: &News) {
        let Some(up) = self.quorum.verdict().filter(|up| self.told != Some(*up)) else {
            return;
        };
        let (name, count) = (&self.name, self.quorum.processes());
        let what = if up { "gained" } else { "lost" };
        log::info!("vrrp_track_process {name}: quorum {what}, processes {count}");
        self.told = Some(up);
        news.post(Finding {
            kind: TrackerKind::Process,
            name: Rc::clone(name),
            reading: if up { Reading::Up } else { Reading::Down },
        });
    }
}

impl Processes {
    /// Watches these from now on; what stays does not notice.
    pub(super) fn update<'a>(
        &mut self,
        configs: impl Iterator<Item = &'a ProcessTracker>,
        news: &News,
    ) {
        let old = self.watched.take();
        let same = |old: &&WatchedProcess, config: &ProcessTracker| {
            let config = ProcessTracker {
                weight: old.config.weight,
                ..config.clone()
            };
            old.config == config
        };
        let mut fresh = false;
        let watched: Vec<_> = configs
            .map(|config| match old.iter().find(|old| same(old, config)) {
                Some(old) => old.clone(),
                None => {
                    fresh = true;
                    WatchedProcess::new(config)
                }
            })
            .collect();
        let none = watched.is_empty();
        *self.watched.borrow_mut() = watched;
        if none {
            self.task = None;
        } else if fresh || self.task.is_none() {
            self.task = Some(spawn(watch(Rc::clone(&self.watched), news.clone())));
        }
    }

    pub(super) fn stop(&mut self) {
        self.task = None;
    }

    pub(super) fn watched(&self) -> Ref<'_, [WatchedProcess]> {
        Ref::map(self.watched.borrow(), Vec::as_slice)
    }
}

async fn watch(watched: Rc<RefCell<Vec<WatchedProcess>>>, news: News) {
    // Asked before looking, so that nothing falls between the two.
    let mut events = ProcessEvents::open().ok().map(Source::new);
    // Until the kernel has said so, it does not tell.
    let mut informed = false;
    let mut looks = 0_u32;
    let mut look_at = now();
    let mut happened = Vec::new();
    let mut buffer = Vec::new();
    loop {
        let now = now();
        if !informed && look_at <= now {
            look(&mut watched.borrow_mut(), &mut buffer, now);
            look_at = now + PERIOD;
            looks = looks.saturating_add(1);
            if looks == 2 {
                log::info!(
                    "the kernel does not tell of processes (CONFIG_PROC_EVENTS, first network namespace): looking each second"
                );
            }
        }
        for one in watched.borrow_mut().iter_mut() {
            one.quorum.tick(now);
            one.tell(&news);
        }
        let pending = watched
            .borrow()
            .iter()
            .filter_map(|one| one.quorum.deadline())
            .min();
        let look_at = (!informed).then_some(look_at);
        let due = pending.into_iter().chain(look_at).min();
        if !wait(events.as_ref(), due).await {
            continue;
        }
        let read = events.as_mut().map(|e| e.get_mut().read(&mut happened));
        if let Some(Err(error)) = read {
            log::warn!("the kernel does not tell of processes any more: {error}");
            (events, informed) = (None, false);
        }
        if happened.contains(&ProcessEvent::Answer(0)) && !informed {
            log::info!("counting processes as the kernel tells of them");
            informed = true;
        }
        learn(&mut watched.borrow_mut(), &mut happened, &mut buffer);
    }
}

/// Waits until the kernel tells something, which is true, or a time has come.
async fn wait(events: Option<&Source<ProcessEvents>>, due: Option<Instant>) -> bool {
    let mut due = pin!(due.map(sleep_until));
    poll_fn(|context| {
        // A refusal is met again by who reads.
        if let Some(Poll::Ready(_)) = events.map(|events| events.poll_readable(context)) {
            return Poll::Ready(true);
        }
        let due = due.as_mut().as_pin_mut().map(|due| due.poll(context));
        due.map_or(Poll::Pending, |due| due.map(|()| false))
    })
    .await
}

/// Looks at all processes.
fn look(watched: &mut [WatchedProcess], buffer: &mut Vec<u8>, now: Instant) {
    for one in watched.iter_mut() {
        one.members.clear();
    }
    for process in processes::all() {
        for one in watched.iter_mut() {
            if one.is_member(process, buffer) {
                one.members.insert(process);
            }
        }
    }
    for one in watched {
        one.count(now);
    }
}

/// Takes in what the kernel has told.
fn learn(watched: &mut [WatchedProcess], happened: &mut Vec<ProcessEvent>, buffer: &mut Vec<u8>) {
    let now = now();
    if happened.contains(&ProcessEvent::Overrun) {
        happened.clear();
        return look(watched, buffer, now);
    }
    for event in happened.drain(..) {
        for one in watched.iter_mut() {
            let changed = match event {
                ProcessEvent::Changed(process) if one.is_member(process, buffer) => {
                    one.members.insert(process)
                }
                ProcessEvent::Changed(process) | ProcessEvent::Ended(process) => {
                    one.members.remove(&process)
                }
                ProcessEvent::Answer(_) | ProcessEvent::Overrun => false,
            };
            if changed {
                one.count(now);
            }
        }
    }
}
