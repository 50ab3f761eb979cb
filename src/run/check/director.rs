//! The checkers process: what its engine decides, carried out on this host.
//!
//! The table comes first, since clients wait for it; scripts, FIFOs, mails and the log follow. Whatever comes in together
//! changes the table in one batch.

use core::task::{Context, Poll};
use std::io;

use super::News;
use super::attempts::Attempts;
use super::notifier::Notifier;
use super::presence::{Move, Presence};
use super::table::VirtualTable;
use crate::check::{Action, Engine, Event, Note, PoolId};
use crate::console::events::Events;
use crate::console::lvs::{Connections, event};
use crate::error::Chain;
use crate::model::lvs::{Check, FlushOnStop, Lvs};
use crate::model::{FileTracker, Global, Model};
use crate::run::files::{self, Files};
use crate::run::mailbox::Mailbox;
use crate::run::reactor::now;
use crate::time::Instant;

/// Everything that the checkers process is.
pub struct Director {
    global: Global,
    /// What holds for all virtual servers.
    settings: Lvs,
    engine: Engine,
    table: VirtualTable,
    attempts: Attempts,
    notifier: Notifier,
    files: Files,
    /// With `ha_suspend` only.
    presence: Option<Presence>,
    news: Mailbox<News>,
    /// What has happened lately, for who asks.
    lately: Events<String, String>,
    actions: Vec<Action>,
    changed: Vec<PoolId>,
}

impl Director {
    /// Makes the table what it should be before the first check, and begins to check.
    #[must_use]
    pub fn start(model: &mut Model) -> Self {
        let mut lvs = core::mem::take(&mut model.lvs);
        let settings = lvs.settings();
        let timeouts = settings.timeouts;
        let news = Mailbox::default();
        let mut director = Self {
            notifier: Notifier::new(&model.global, lvs.no_checker_emails),
            table: VirtualTable::new(lvs.flush),
            attempts: Attempts::new(news.clone()),
            lately: Events::default(),
            files: Files::default(),
            presence: None,
            settings,
            news,
            actions: Vec::new(),
            changed: Vec::new(),
            global: model.global.clone(),
            engine: Engine::new(Lvs::default(), &[], now()),
        };
        let moves = director.listen(&lvs);
        director.engine = Engine::new(lvs, &model.files, now());
        director.tell_moves(moves);
        director.watch(&model.files);
        director
            .engine
            .handle(Event::Start, now(), &mut director.actions);
        director.table.settle(&director.engine, timeouts, now());
        director.carry_out();
        director
    }

    /// Listens to addresses as long as somebody wants to know of them.
    fn listen(&mut self, lvs: &Lvs) -> Vec<Move> {
        let mut moves = Vec::new();
        if lvs.servers.iter().all(|server| !server.ha_suspend) {
            return moves;
        }
        if self.presence.is_none() {
            match Presence::open(&mut moves) {
                Ok(presence) => self.presence = Some(presence),
                Err(error) => log::error!("{}; checks with ha_suspend rest", Chain(&error)),
            }
        }
        moves
    }

    fn tell_moves(&mut self, moves: Vec<Move>) {
        let now = now();
        for (ip, here) in moves {
            self.engine
                .handle(Event::Address { ip, here }, now, &mut self.actions);
        }
    }

    /// Reads the files that checks name, and watches them.
    fn watch(&mut self, all: &[FileTracker]) {
        let probes = self.engine.probes().iter();
        let mut named: Vec<String> = probes
            .filter_map(|probe| match &probe.checker().check {
                Check::File(name, _) => Some(name.clone()),
                _ => None,
            })
            .collect();
        named.sort_unstable();
        named.dedup();
        let wanted = || all.iter().filter(|file| named.contains(&file.name));
        let news = self.news.clone();
        self.files.update(wanted(), move |name, value| {
            news.post(News::File(name.clone(), value));
        });
        for file in wanted() {
            let value = files::read(file.path.as_ref()).unwrap_or(0);
            let name = &file.name;
            self.engine
                .handle(Event::File { name, value }, now(), &mut self.actions);
        }
    }

    /// The engine, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How the kernel uses the real servers, pool by pool.
    pub fn connections(&mut self) -> Vec<Vec<Option<Connections>>> {
        let pools = self.engine.pools().iter();
        pools
            .map(|pool| self.table.connections(&self.engine, pool))
            .collect()
    }

    /// The configuration that runs, as far as it is about virtual servers.
    #[must_use]
    pub fn running(&self) -> Lvs {
        let Lvs {
            groups, servers, ..
        } = self.engine.running();
        Lvs {
            groups,
            servers,
            ..self.settings.clone()
        }
    }

    /// The global settings that are in force.
    #[must_use]
    pub const fn global(&self) -> &Global {
        &self.global
    }

    /// What has happened lately.
    #[must_use]
    pub const fn lately(&self) -> &Events<String, String> {
        &self.lately
    }

    /// Whether the kernel has IPVS.
    #[must_use]
    pub const fn is_balancing(&self) -> bool {
        self.table.is_open()
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let audit = self.table.deadline();
        self.engine.deadline().map_or(audit, |due| due.min(audit))
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        let now = now();
        if self.table.deadline() <= now {
            self.table.settle(&self.engine, self.settings.timeouts, now);
        }
        self.engine.handle(Event::Deadline, now, &mut self.actions);
        self.carry_out();
    }

    /// Whether something has been found out.
    pub fn poll_news(&self, context: &Context<'_>) -> Poll<()> {
        self.news.poll(context)
    }

    /// Takes in what has been found out.
    pub fn learn(&mut self) {
        let now = now();
        while let Some(news) = self.news.take() {
            if let Some(id) = news.about() {
                self.attempts.over(id);
            }
            let event = match &news {
                News::Outcome(id, outcome) => Event::Outcome(*id, outcome.clone()),
                News::Ended(id, outcome, words) => Event::Ended(*id, *outcome, words.clone()),
                News::File(name, value) => Event::File {
                    name,
                    value: *value,
                },
            };
            self.engine.handle(event, now, &mut self.actions);
        }
        self.carry_out();
    }

    /// Whether an address came or went.
    ///
    /// # Errors
    /// When the kernel cannot wait for it.
    pub fn poll_presence(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let presence = self.presence.as_ref();
        presence.map_or(Poll::Pending, |presence| presence.poll_change(context))
    }

    /// Takes in which addresses came and went.
    ///
    /// # Errors
    /// The kernel does not tell any more.
    pub fn observe(&mut self) -> io::Result<()> {
        let mut moves = Vec::new();
        if let Some(presence) = &mut self.presence {
            presence.observe(&mut moves)?;
        }
        self.tell_moves(moves);
        self.carry_out();
        Ok(())
    }

    fn carry_out(&mut self) {
        let mut actions = core::mem::take(&mut self.actions);
        let user = self.global.script_user;
        for action in &actions {
            match *action {
                Action::Start(id) => {
                    if let Some(probe) = self.engine.probe(id) {
                        self.attempts.start(probe, user);
                    }
                }
                Action::Cancel(id) => self.attempts.cancel(id),
                Action::Table(pool) => self.changed.push(pool),
                Action::Notify(_) | Action::Say(_) => {}
            }
        }
        if !self.changed.is_empty() {
            let pools = self.changed.iter().filter_map(|id| self.engine.pool(*id));
            self.table.update(&self.engine, pools);
            self.changed.clear();
        }
        for action in actions.drain(..) {
            match action {
                Action::Notify(notice) => self.notifier.tell(&self.engine, notice),
                Action::Say(note) => self.say(note),
                _ => {}
            }
        }
        self.actions = actions;
    }

    /// To the log, and to who asks later.
    fn say(&mut self, note: Note) {
        log::log!(note.level(), "{}", self.engine.say(note));
        if let Some((pool, text)) = event(&self.engine, note) {
            self.lately.push(now(), pool, text);
        }
    }

    /// Carries out another configuration: what did not change does not notice.
    pub fn reload(&mut self, model: &mut Model) {
        let mut lvs = core::mem::take(&mut model.lvs);
        // Who goes is told of while the names are still known.
        self.engine.depart(&lvs, &mut self.actions);
        self.carry_out();
        if lvs.timeouts != self.settings.timeouts {
            self.table.set_timeouts(lvs.timeouts);
        }
        self.settings = lvs.settings();
        self.notifier.reload(&model.global, lvs.no_checker_emails);
        self.global.reload(&model.global);
        let moves = self.listen(&lvs);
        self.tell_moves(moves);
        let now = now();
        self.engine
            .reload(lvs, &model.files, now, &mut self.actions);
        self.watch(&model.files);
        self.table.reload(&self.engine);
        self.carry_out();
    }

    /// Ends every check, and takes everything away that is ours unless it is to be kept.
    pub fn stop(&mut self, keep: bool) {
        self.attempts.stop();
        self.files.stop();
        if keep {
            return;
        }
        let all = self.settings.flush_on_stop == FlushOnStop::All;
        self.table.clear(all);
        self.engine.handle(Event::Stop, now(), &mut self.actions);
        self.carry_out();
    }

    /// Waits for the scripts that were told of the stop, for a second at the most.
    pub async fn farewell(&mut self) {
        self.notifier.farewell().await;
    }
}
