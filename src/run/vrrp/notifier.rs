//! Telling scripts and FIFOs what has become of a virtual router, in keepalived's words and order: the script of the state,
//! the script of all states, the FIFOs, a mail.

use core::time::Duration;

use smol::future;

use crate::model::{Command, Global, Notify};
use crate::name::Priority;
use crate::run::fifo::Outlet;
use crate::run::mailer::Mailer;
use crate::run::scripts::{Job, Runner};
use crate::sorted::Map;
use crate::vrrp::{Group, GroupId, Id, Instance, State, Told};

/// How long the scripts that are told of the stop may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Scripts and FIFOs.
pub struct Notifier {
    runner: Runner<Queue>,
    /// `notify_fifo` and `vrrp_notify_fifo`.
    lines: [Outlet; 2],
    mailer: Mailer,
    /// What the last mail about each told, so that none tells it again.
    mailed: Map<Queue, Told>,
    /// `smtp_alert_vrrp`, or `smtp_alert`.
    alert: bool,
    /// False with `no_email_faults`.
    mail_faults: bool,
    /// `vrrp_notify_priority_changes`.
    priority_changes: bool,
}

/// Whose scripts run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Queue {
    Instance(Id),
    Group(GroupId),
}

/// Who has become something, and who wants to know.
struct Subject<'a> {
    kind: &'a str,
    name: &'a str,
    notify: &'a Notify,
}

impl Notifier {
    /// Opens the FIFOs and starts the scripts that read them.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let mut notifier = Self {
            runner: Runner::new(global.script_user),
            lines: Default::default(),
            mailer: Mailer::new(global),
            mailed: Map::new(),
            alert: false,
            mail_faults: true,
            priority_changes: false,
        };
        notifier.reload(global);
        notifier
    }

    /// Takes up another configuration; a FIFO that is asked for as before does not notice.
    pub fn reload(&mut self, global: &Global) {
        self.runner.set_default(global.script_user);
        self.priority_changes = global.notify_priority_changes;
        let [all, vrrp] = &mut self.lines;
        all.update(&global.fifo, global.script_user);
        vrrp.update(&global.vrrp_fifo, global.script_user);
        self.mailer.reload(global);
        self.alert = global
            .mail
            .alert_vrrp
            .or(global.mail.alert)
            .unwrap_or(false);
        self.mail_faults = global.mail.faults;
        // A reload numbers the groups anew.
        self.mailed
            .retain(|about, _| matches!(about, Queue::Instance(_)));
    }

    /// Tells what a virtual router has become.
    pub fn tell(&mut self, instance: &Instance, told: Told, priority: Priority) {
        let config = instance.config();
        let own = config.notify.priority_changes;
        if told == Told::PriorityChanged && !own.unwrap_or(self.priority_changes) {
            return;
        }
        let subject = Subject {
            kind: "INSTANCE",
            name: &config.name,
            notify: &config.notify,
        };
        self.spread(
            Queue::Instance(instance.id()),
            &subject,
            told,
            word(told, instance.state()),
            priority,
        );
    }

    /// Tells what a sync group has become; a group has no priority, which is told as zero.
    pub fn tell_group(&mut self, id: GroupId, group: &Group, told: Told) {
        let config = group.config();
        let subject = Subject {
            kind: "GROUP",
            name: &config.name,
            notify: &config.notify,
        };
        self.spread(
            Queue::Group(id),
            &subject,
            told,
            word(told, group.state()),
            0,
        );
    }

    fn spread(
        &mut self,
        queue: Queue,
        subject: &Subject<'_>,
        told: Told,
        state: &str,
        priority: Priority,
    ) {
        let Subject { kind, name, notify } = *subject;
        let (label, own) = match told {
            Told::Master => ("notify_master", notify.master.as_deref()),
            Told::Backup => ("notify_backup", notify.backup.as_deref()),
            Told::Fault => ("notify_fault", notify.fault.as_deref()),
            Told::Stop => ("notify_stop", notify.stop.as_deref()),
            Told::Deleted => (
                "notify_deleted",
                notify.deleted.as_ref().and_then(Option::as_deref),
            ),
            Told::LowerPriority => (
                "notify_master_rx_lower_pri",
                notify.lower_priority.as_deref(),
            ),
            Told::PriorityChanged => ("", None),
        };
        if let Some(command) = own {
            self.run(queue, name, label, command, Vec::new());
        }
        let is_state = !matches!(told, Told::LowerPriority | Told::PriorityChanged);
        if let Some(command) = notify.any.as_deref().filter(|_| is_state) {
            let arguments = [kind, name, state, &priority.to_string()].map(str::to_owned);
            self.run(queue, name, "notify", command, arguments.into());
        }
        if self.lines.iter().any(Outlet::is_open) {
            let line = format!("{kind} \"{name}\" {state} {priority}\n");
            self.lines.iter_mut().for_each(|outlet| outlet.write(&line));
        }
        self.mail(queue, subject, told);
    }

    /// Writes to the people, if they want to know.
    fn mail(&mut self, queue: Queue, subject: &Subject<'_>, told: Told) {
        let what = match told {
            Told::Master => "Entering MASTER state",
            Told::Backup => "Entering BACKUP state",
            Told::Fault if self.mail_faults => "Entering FAULT state",
            Told::Stop => "Stopping",
            Told::Deleted => {
                self.mailed.remove(&queue);
                return;
            }
            Told::Fault | Told::LowerPriority | Told::PriorityChanged => return,
        };
        let Subject { kind, name, notify } = *subject;
        if !notify.mail.unwrap_or(self.alert)
            || !self.mailer.is_on()
            || self.mailed.insert(queue, told) == Some(told)
        {
            return;
        }
        let whole = kind == "GROUP";
        let (kind, text) = match (whole, told) {
            (false, Told::Master) => ("Instance", "It now has the virtual addresses."),
            (false, _) => ("Instance", "It no longer has the virtual addresses."),
            (true, Told::Master) => ("Group", "All its instances are in MASTER state."),
            (true, Told::Backup) => ("Group", "All its instances are in BACKUP state."),
            (true, _) => ("Group", "None of its instances is in MASTER state."),
        };
        self.mailer
            .send(format!("VRRP {kind} {name} - {what}"), text);
    }

    fn run(
        &self,
        queue: Queue,
        name: &str,
        label: &str,
        command: &Command,
        arguments: Vec<String>,
    ) {
        let label = format!("({name}) {label}");
        self.runner.run(
            queue,
            Job {
                label,
                command: command.clone(),
                arguments,
            },
        );
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

/// The word for a state; a change of priority tells which state it is a priority of.
const fn word(told: Told, state: State) -> &'static str {
    match (told, state) {
        (Told::Master, _) => "MASTER",
        (Told::Backup, _) => "BACKUP",
        (Told::Fault, _) => "FAULT",
        (Told::Stop, _) => "STOP",
        (Told::Deleted, _) => "DELETED",
        (Told::LowerPriority, _) => "MASTER_RX_LOWER_PRI",
        (Told::PriorityChanged, State::Master) => "MASTER_PRIORITY",
        (Told::PriorityChanged, _) => "BACKUP_PRIORITY",
    }
}
