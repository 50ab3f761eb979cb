//! The attempts that are being made, each in a task of its own.

use smol::Task;

use super::{News, command, prober};
use crate::check::{Probe, ProbeId};
use crate::model::User;
use crate::model::lvs::Check;
use crate::run::mailbox::Mailbox;
use crate::run::reactor::spawn;
use crate::sorted::Map;

/// Attempts; what becomes of them is posted.
pub struct Attempts {
    running: Map<ProbeId, Task<()>>,
    news: Mailbox<News>,
}

impl Attempts {
    /// None is made yet.
    #[must_use]
    pub const fn new(news: Mailbox<News>) -> Self {
        let running = Map::new();
        Self { running, news }
    }

    /// Makes one; `default` runs commands that name no user.
    pub fn start(&mut self, probe: &Probe, default: Option<User>) {
        let id = probe.id();
        let checker = probe.checker().clone();
        let page = probe.page();
        let news = self.news.clone();
        let task = spawn(async move {
            news.post(match &checker.check {
                Check::Misc {
                    command, timeout, ..
                } => {
                    let (outcome, words) = command::run(command, *timeout, default).await;
                    News::Ended(id, outcome, words)
                }
                _ => News::Outcome(id, prober::attempt(&checker, page).await),
            });
        });
        self.running.insert(id, task);
    }

    /// Gives one up, also one that is over but not yet looked at.
    pub fn cancel(&mut self, id: ProbeId) {
        self.over(id);
        self.news.retain(|news| news.about() != Some(id));
    }

    /// One is over.
    pub fn over(&mut self, id: ProbeId) {
        self.running.remove(&id);
    }

    /// Gives all of them up.
    pub fn stop(&mut self) {
        self.running.clear();
    }
}
