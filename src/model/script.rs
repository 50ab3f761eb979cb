//! Commands that are run for us: notify scripts, tracking scripts, checks.

/// Who runs a command: `script_user`, `user`, or the words after a notify script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A command as the file gives it, cut into words; the first is the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The text as written, for messages, dumps and for the shell where the command needs one.
    pub text: String,
    /// The words after quotes are taken away.
    pub words: Vec<String>,
    /// Who runs it; `None` is the default of `script_user`.
    pub user: Option<User>,
}

/// The notify family of an instance, a group, or (up and down) of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify`: gets `INSTANCE|GROUP name STATE priority` appended.
    pub any: Option<Command>,
    /// `notify_deleted`: present when a removal by reload tells DELETED instead of FAULT; with its own command or none.
    pub deleted: Option<Option<Command>>,
    /// `notify_master_rx_lower_pri`.
    pub lower_priority: Option<Command>,
    /// `notify_priority_changes`; `None` is the global setting.
    pub priority_changes: Option<bool>,
    /// `smtp_alert`; `None` is the global setting.
    pub mail: Option<bool>,
}
