//! Commands, the users that run them, and whether they can be run safely.
//!
//! Users are read from the files, not through the C library: a static binary cannot load its name services.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::diag::{Diags, Span};
use super::value::Args;
use super::words::command_words;
use crate::model::{Command, User};
use crate::sorted::{Map, Set};

/// Where programs without a path are looked for.
const PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// `/etc/passwd` and `/etc/group`, read when first asked.
#[derive(Default)]
pub(super) struct Users {
    users: Option<Map<String, User>>,
    groups: Option<Map<String, u32>>,
}

impl Users {
    /// An account by its name.
    pub(super) fn account(&mut self, name: &str) -> Option<User> {
        self.all().get(name).copied()
    }

    fn all(&mut self) -> &Map<String, User> {
        self.users.get_or_insert_with(|| {
            entries("/etc/passwd", |fields| {
                let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
                Some(User { uid, gid })
            })
        })
    }

    /// A user by name or number, with the group of the account; a number without an account is its own group.
    pub(super) fn user(&mut self, name: &str) -> Option<User> {
        let users = self.all();
        if let Some(user) = users.get(name) {
            return Some(*user);
        }
        let uid = name.parse().ok()?;
        let account = users.values().find(|u| u.uid == uid);
        Some(account.copied().unwrap_or(User { uid, gid: uid }))
    }

    pub(super) fn group(&mut self, name: &str) -> Option<u32> {
        let groups = self
            .groups
            .get_or_insert_with(|| entries("/etc/group", |fields| fields.get(2)?.parse().ok()));
        groups.get(name).copied().or_else(|| name.parse().ok())
    }
}

fn entries<T>(file: &str, read: impl Fn(&[&str]) -> Option<T>) -> Map<String, T> {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        Some(((*fields.first()?).to_owned(), read(&fields)?))
    });
    lines.collect()
}

/// Every command of the configuration, with its place.
#[derive(Default)]
pub(super) struct Scripts {
    seen: Vec<(Command, Span)>,
}

impl Args<'_, '_, '_> {
    /// `"command and arguments" [user [group]]`.
    pub(super) fn script(&mut self) -> Option<Command> {
        let words = self.block.phrase.script_words();
        self.skip();
        let (text, at) = words.get(1)?;
        let user = match words.get(2) {
            None => None,
            Some((name, at)) => Some(self.account(name, *at, words.get(3))?),
        };
        if let Some((word, at)) = words.get(4) {
            self.context.diags.warn(
                *at,
                format!("'{word}' after the user and the group is ignored"),
            );
        }
        self.command(text, *at, user)
    }

    /// A command that nothing may follow; people leave its quotes away.
    pub(super) fn lone_script(&mut self) -> Option<Command> {
        let mut words = self.block.phrase.script_words().into_iter().skip(1);
        self.skip();
        let (mut text, at) = words.next()?;
        for (word, more) in words {
            if !text.contains(' ') {
                let what = "a command with arguments needs quotes; taken as if it had them";
                self.context
                    .diags
                    .warn(more, what)
                    .hint("keepalived takes the first word only");
            }
            text.push(' ');
            text.push_str(&word);
        }
        self.command(&text, at, None)
    }

    /// Keeps the first of several scripts for one occasion, as keepalived does.
    pub(super) fn notify<C: From<Command>>(&mut self, slot: &mut Option<C>) {
        let command = self.script().map(C::from);
        if slot.is_some() {
            let what = format!("'{}' is given twice", self.block.keyword());
            self.context
                .diags
                .warn(self.block.at(), what)
                .hint("the first one counts");
        } else {
            *slot = command;
        }
    }

    fn command(&mut self, text: &str, at: Span, user: Option<User>) -> Option<Command> {
        let words = command_words(text);
        if words.is_empty() {
            self.context.diags.error(at, "the command is empty");
            return None;
        }
        let command = Command {
            text: text.to_owned(),
            words,
            user,
        };
        self.context.scripts.seen.push((command.clone(), at));
        Some(command)
    }

    /// `user [group]` as values of their own.
    pub(super) fn user(&mut self) -> Option<User> {
        let name = self.need("a user")?;
        let group = self.word().map(|w| (w.text.to_owned(), w.at));
        self.account(name.text, name.at, group.as_ref())
    }

    fn account(&mut self, name: &str, at: Span, group: Option<&(String, Span)>) -> Option<User> {
        let Some(mut user) = self.context.users.user(name) else {
            let diag = self
                .context
                .diags
                .error(at, format!("there is no user '{name}'"));
            if self.block.keyword().starts_with("notify")
                || self.block.keyword().starts_with("quorum")
            {
                diag.hint("a command with arguments needs quotes; what follows it is the user");
            }
            return None;
        };
        if let Some((name, at)) = group {
            match self.context.users.group(name) {
                Some(gid) => user.gid = gid,
                None => {
                    self.context
                        .diags
                        .error(*at, format!("there is no group '{name}'"));
                    return None;
                }
            }
        }
        Some(user)
    }
}

/// Commands that script security refuses, by text.
pub(super) type Refused = Set<String>;

/// What the file system says about a program.
enum Program {
    Missing,
    NotExecutable(PathBuf),
    /// Someone besides root can write this part of its path.
    Insecure(PathBuf),
    Sound,
}

impl Program {
    fn look(name: &str) -> Self {
        let Some(path) = find(name) else {
            return Self::Missing;
        };
        if fs::metadata(&path).is_ok_and(|m| !m.is_file() || m.mode() & 0o111 == 0) {
            return Self::NotExecutable(path);
        }
        insecure_part(&path).map_or(Self::Sound, Self::Insecure)
    }
}

/// Looks at every program; `default` is the user where a command names none.
pub(super) fn check(
    scripts: Scripts,
    default: Option<User>,
    secure: bool,
    diags: &mut Diags,
) -> Refused {
    let mut refused = Refused::new();
    let mut programs: Map<String, Program> = Map::new();
    let mut told = Set::new();
    let shell = plain_shell();
    for (command, at) in scripts.seen {
        if command.needs_shell() || command.connection().is_some() {
            let shell = shell.filter(|_| told.insert(command.text.clone()));
            if let Some(shell) = shell {
                check_shell(&command, at, shell, diags);
            }
            continue;
        }
        let Some(name) = command.words.first() else {
            continue;
        };
        let new = !programs.contains_key(name);
        let program = programs.get_or_insert_with(name.clone(), || Program::look(name));
        match program {
            Program::Missing if new => {
                diags.warn(at, format!("there is no program '{name}'"));
            }
            Program::NotExecutable(path) if new => {
                diags
                    .warn(at, format!("'{}' cannot be executed", path.display()))
                    .hint("chmod +x");
            }
            Program::Insecure(part) if command.user.or(default).is_none_or(|u| u.uid == 0) => {
                let what = format!(
                    "'{name}' would run as root, but others than root can change '{}'",
                    part.display()
                );
                if secure {
                    diags
                        .insecure(at, what)
                        .hint("enable_script_security refuses it");
                    refused.insert(command.text);
                } else if new {
                    diags
                        .warn(at, what)
                        .hint("enable_script_security would refuse it");
                }
            }
            _ => {}
        }
    }
    refused
}

/// A line for a shell can only be judged by the words that the system's shell does not know.
fn check_shell(command: &Command, at: Span, shell: &str, diags: &mut Diags) {
    let (what, hint) = if command.connection().is_some() {
        return;
    } else if command.words.iter().any(|word| word == "[[") {
        ("[[ … ]]", "write [ … ] instead, or bash -c '…'")
    } else if command.text.contains("/dev/tcp/") && !command.text.contains("bash") {
        (
            "/dev/tcp",
            "\"</dev/tcp/ADDRESS/PORT\" alone needs no shell",
        )
    } else {
        return;
    };
    let what = format!("/bin/sh is {shell} here, which does not know {what}: it always fails");
    diags.warn(at, what).hint(hint);
}

/// The name of /bin/sh, if it is one that knows no more than POSIX asks for.
fn plain_shell() -> Option<&'static str> {
    let path = fs::canonicalize("/bin/sh").ok()?;
    let name = path.file_name()?;
    ["dash", "posh"].into_iter().find(|shell| name == *shell)
}

fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|p| p.exists());
    }
    PATH.iter()
        .map(|d| Path::new(d).join(name))
        .find(|p| p.is_file())
}

/// The first part of a path, links followed, that someone besides root can write.
fn insecure_part(path: &Path) -> Option<PathBuf> {
    const STICKY: u32 = 0o1000;
    let path = fs::canonicalize(path).ok()?;
    let parts: Vec<&Path> = path.ancestors().collect();
    let part = parts.into_iter().rev().find(|part| {
        fs::metadata(part).is_ok_and(|m| {
            let by_group = m.gid() != 0 && m.mode() & 0o020 != 0;
            let by_all = m.mode() & 0o002 != 0 && (m.is_file() || m.mode() & STICKY == 0);
            m.uid() != 0 || by_group || by_all
        })
    });
    part.map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plain_shell_does_not_know_is_told_before_it_fails() {
        let told = |text: &str| {
            let command = Command {
                text: text.to_owned(),
                words: command_words(text),
                user: None,
            };
            let mut diags = Diags::default();
            check_shell(&command, Span::default(), "dash", &mut diags);
            diags.warnings()
        };
        assert_eq!(told("[[ -f /x ]] && exit 1"), 1);
        assert_eq!(told("cat </dev/tcp/127.0.0.1/80 | grep -q ok"), 1);
        assert_eq!(told("</dev/tcp/127.0.0.1/80"), 0);
        assert_eq!(told("[ -f /x ] && exit 1"), 0);
        assert_eq!(told("bash -c 'cat </dev/tcp/127.0.0.1/80' | grep -q ok"), 0);
    }
}
