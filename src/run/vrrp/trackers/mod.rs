//! Scripts, files and processes that are watched for the virtual routers: they run beside the adverts, each in a task of
//! its own, and leave here what they have found until the router takes it.
//!
//! Only what a virtual router or a group tracks is watched. Whatever a reload does not change goes on and does not notice.

use core::cell::Ref;
use core::task::{Context, Poll};
use std::rc::Rc;

use crate::model::{Model, Tracking, Weight};
use crate::run::files::{Files, WatchedFile};
use crate::run::mailbox::Mailbox;
use crate::track::Outcome;
use crate::vrrp::{Reading, TrackerKind};

mod process;
mod script;

pub use process::WatchedProcess;
pub use script::Watched as WatchedScript;

use process::Processes;

/// Everything that is watched.
pub struct Trackers {
    news: News,
    scripts: Vec<WatchedScript>,
    files: Files,
    processes: Processes,
}

/// What somebody has found out.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of tracker.
    pub kind: TrackerKind,
    /// Its name in the configuration.
    pub name: Rc<str>,
    /// What it reads now.
    pub reading: Reading,
}

/// Where findings wait for the router.
type News = Mailbox<Finding>;

impl Trackers {
    /// Starts to watch what a configuration tracks.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let mut trackers = Self {
            news: News::default(),
            scripts: Vec::new(),
            files: Files::default(),
            processes: Processes::default(),
        };
        trackers.reload(model);
        trackers
    }

    /// Takes up another configuration.
    pub fn reload(&mut self, model: &Model) {
        let wanted = |name: &str| is_tracked(model, name, |tracking| &tracking.scripts);
        let scripts = model.scripts.iter().filter(|script| wanted(&script.name));
        let mut before = core::mem::take(&mut self.scripts);
        for config in scripts {
            let old = before
                .iter()
                .position(|old| old.config().name == config.name);
            let old = old.map(|at| before.swap_remove(at));
            let script = WatchedScript::start(config, model.global.script_user, old, &self.news);
            self.scripts.push(script);
        }
        let wanted = |name: &str| is_tracked(model, name, |tracking| &tracking.files);
        let files = model.files.iter().filter(|file| wanted(&file.name));
        let news = self.news.clone();
        self.files.update(files, move |name, value| {
            news.post(Finding {
                kind: TrackerKind::File,
                name: Rc::clone(name),
                reading: Reading::Value(value),
            });
        });
        let wanted = |name: &str| is_tracked(model, name, |tracking| &tracking.processes);
        let processes = model.processes.iter().filter(|one| wanted(&one.name));
        self.processes.update(processes, &self.news);
    }

    /// Watches nothing any more, and ends what runs.
    pub fn stop(&mut self) {
        self.scripts.clear();
        self.files.stop();
        self.processes.stop();
    }

    /// Whether something has been found out.
    pub fn poll_news(&self, context: &Context<'_>) -> Poll<()> {
        self.news.poll(context)
    }

    /// What has been found out first of what has not been taken yet.
    #[must_use]
    pub fn take(&self) -> Option<Finding> {
        self.news.take()
    }

    /// How the run of a script ended by which something was found out.
    #[must_use]
    pub fn outcome(&self, found: &Finding) -> Option<Outcome> {
        let is = |script: &&WatchedScript| script.config().name == *found.name;
        let mut scripts = self.scripts.iter();
        let script = scripts
            .find(is)
            .filter(|_| found.kind == TrackerKind::Script)?;
        script.script().last().map(|run| run.outcome)
    }

    /// The scripts, to look at: what their last run was, and when they changed.
    pub fn scripts(&self) -> impl Iterator<Item = &WatchedScript> {
        self.scripts.iter()
    }

    /// The files, to look at.
    #[must_use]
    pub fn files(&self) -> Ref<'_, [WatchedFile]> {
        self.files.watched()
    }

    /// The processes, to look at.
    #[must_use]
    pub fn processes(&self) -> Ref<'_, [WatchedProcess]> {
        self.processes.watched()
    }
}

/// Names and weights of what is tracked.
type List = Vec<(String, Option<Weight>)>;

/// Whether an instance or a group has it in this list.
fn is_tracked(model: &Model, name: &str, list: fn(&Tracking) -> &List) -> bool {
    let instances = model.instances.iter().map(|instance| &instance.tracking);
    let groups = model.groups.iter().map(|group| &group.tracking);
    let mut all = instances.chain(groups).flat_map(list);
    all.any(|(tracked, _)| tracked == name)
}
