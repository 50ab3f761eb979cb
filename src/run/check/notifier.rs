//! Telling scripts, FIFOs and people what has become of servers and pools, in keepalived's words and order: the script, the
//! FIFOs, a mail.

use core::fmt::Display;
use core::time::Duration;

use smol::future;

use crate::check::{Engine, Notice, Pool, PoolId, ServerId, Why, kind};
use crate::model::{Command, Global};
use crate::run::fifo::Outlet;
use crate::run::mailer::Mailer;
use crate::run::scripts::{Job, Runner};

/// How long the scripts that are told of the stop may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Scripts, FIFOs and mails.
pub struct Notifier {
    runner: Runner<Queue>,
    /// `notify_fifo` and `lvs_notify_fifo`.
    lines: [Outlet; 2],
    mailer: Mailer,
    /// `smtp_alert_checker`, or `smtp_alert`.
    alert: Option<bool>,
    /// `no_checker_emails`: only servers that go up or down are worth a mail.
    servers_only: bool,
}

/// Whose scripts run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Server(ServerId),
    Pool(PoolId),
}

impl Notifier {
    /// Opens the FIFOs and starts the scripts that read them.
    #[must_use]
    pub fn new(global: &Global, servers_only: bool) -> Self {
        let mut notifier = Self {
            runner: Runner::new(global.script_user),
            lines: Default::default(),
            mailer: Mailer::new(global),
            alert: None,
            servers_only,
        };
        notifier.reload(global, servers_only);
        notifier
    }

    /// Takes up another configuration; a FIFO that is asked for as before does not notice.
    pub fn reload(&mut self, global: &Global, servers_only: bool) {
        self.runner.set_default(global.script_user);
        self.servers_only = servers_only;
        let [all, lvs] = &mut self.lines;
        all.update(&global.fifo, global.script_user);
        lvs.update(&global.lvs_fifo, global.script_user);
        self.mailer.reload(global);
        self.alert = global.mail.alert_checker.or(global.mail.alert);
    }

    /// Tells it.
    pub fn tell(&mut self, engine: &Engine, notice: Notice) {
        match notice {
            Notice::Server(id, up) => self.server(engine, id, up),
            Notice::Removed { server, stopping } => {
                self.server(engine, server, false);
                let text = if stopping {
                    "=> Shutting down <="
                } else {
                    "=> Removing <="
                };
                self.mail_server(engine, server, "DOWN", text.to_owned());
            }
            Notice::Check {
                server,
                probe,
                up,
                turned,
            } => {
                let Some(probe) = engine.probe(probe).filter(|_| turned || !self.servers_only)
                else {
                    return;
                };
                let state = if engine.server(server).is_some_and(|server| server.is_up()) {
                    "UP"
                } else {
                    "DOWN"
                };
                let result = if up { "succeeded" } else { "failed" };
                let kind = kind(probe.checker());
                let mut text = format!("=> {kind} {result} on service <=");
                if let Some(failure) = probe.failure().filter(|_| !up) {
                    text.push_str(&format!("\n{}", failure.cause));
                }
                self.mail_server(engine, server, state, text);
            }
            Notice::Quorum { pool, up, why } => {
                if let Some(pool) = engine.pool(pool) {
                    self.pool(pool, up, why);
                }
            }
        }
    }

    fn server(&mut self, engine: &Engine, id: ServerId, up: bool) {
        let (Some(pool), Some(server)) = (engine.pool(id.pool), engine.server(id)) else {
            return;
        };
        let config = server.config();
        let (label, command, state) = if up {
            ("notify_up", &config.notify_up, "UP")
        } else {
            ("notify_down", &config.notify_down, "DOWN")
        };
        let (name, of) = (pool.server_name(server), pool.name());
        self.run(Queue::Server(id), &name, label, command.as_deref());
        self.write(|| format!("RS {name} {of} {state}\n"));
    }

    fn pool(&mut self, pool: &Pool, up: bool, why: Why) {
        let config = pool.config();
        let (label, command, state) = if up {
            ("quorum_up", &config.quorum_up, "UP")
        } else {
            ("quorum_down", &config.quorum_down, "DOWN")
        };
        let name = pool.name();
        self.run(Queue::Pool(pool.id()), &name, label, command.as_deref());
        self.write(|| format!("VS {name} {state}\n"));
        if !config.mail.or(self.alert).unwrap_or(false) || !self.mailer.is_on() {
            return;
        }
        let (quorum, hysteresis, weight) = (config.quorum, config.hysteresis, pool.weight());
        let (sign, threshold) = if up {
            ('+', u64::from(quorum) + u64::from(hysteresis))
        } else {
            ('-', u64::from(quorum.saturating_sub(hysteresis)))
        };
        let compared = if up { "<=" } else { ">" };
        let how = match (why, up) {
            (Why::Stopping, _) => "",
            (Why::Starting, true) => "Starting with quorum up",
            (Why::Starting, false) => "Starting with quorum down",
            (Why::Changed, true) => "Gained quorum",
            (Why::Changed, false) => "Lost quorum",
        };
        let text = match why {
            Why::Stopping => "=> Shutting down <=".to_owned(),
            _ => format!("=> {how} {quorum}{sign}{hysteresis}={threshold} {compared} {weight} <="),
        };
        self.mailer
            .send(format!("Virtualserver {name} - {state}"), text);
    }

    fn mail_server(&self, engine: &Engine, id: ServerId, state: &str, text: String) {
        let (Some(pool), Some(server)) = (engine.pool(id.pool), engine.server(id)) else {
            return;
        };
        // Of all mails these are the only ones that are sent unless told otherwise, as with keepalived.
        if !server.config().mail.or(self.alert).unwrap_or(true) || !self.mailer.is_on() {
            return;
        }
        let (name, of) = (pool.server_name(server), pool.name());
        let subject = format!("Realserver {name} of virtual server {of} - {state}");
        self.mailer.send(subject, text);
    }

    fn write(&mut self, line: impl FnOnce() -> String) {
        if self.lines.iter().any(Outlet::is_open) {
            let line = line();
            self.lines.iter_mut().for_each(|outlet| outlet.write(&line));
        }
    }

    fn run(&self, queue: Queue, name: &dyn Display, label: &str, command: Option<&Command>) {
        let Some(command) = command else { return };
        let job = Job {
            label: format!("({name}) {label}"),
            command: command.clone(),
            arguments: Vec::new(),
        };
        self.runner.run(queue, job);
    }

    /// Waits until all scripts have ended and all mails are sent, for a second at the most.
    pub async fn farewell(&mut self) {
        let scripts = self.runner.settle(FAREWELL);
        let (scripts, mails) = future::zip(scripts, self.mailer.settle(FAREWELL)).await;
        if !scripts {
            log::warn!("not waiting any longer for scripts that still run");
        }
        if !mails {
            log::warn!("not waiting any longer for mails that are not sent yet");
        }
    }
}
