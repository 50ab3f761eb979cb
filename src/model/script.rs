//! Commands that are run for us: notify scripts, tracking scripts, checks.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use crate::time::micros_of;

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

/// What a command asks for that does nothing but connect: `</dev/tcp/HOST/PORT` in the language of bash. It needs no shell,
/// let alone one that knows the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Where to: one after the other until one answers.
    pub targets: Vec<SocketAddr>,
    /// How long that may take, as `timeout N` in front says.
    pub limit: Option<Duration>,
}

impl Command {
    /// What it connects to, if that is all that it does: with `exec`, a number in front of the redirection, `<>` or `>`
    /// instead of `<`, output thrown away, or in `timeout N bash -c '…'` as well. Hosts are numeric, or `localhost`.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let mut limit = None;
        if let ["timeout", seconds, rest @ ..] = words.as_slice() {
            limit = Some(Duration::from_micros(micros_of(
                seconds.trim_end_matches('s'),
            )?));
            words = rest.to_vec();
        }
        if let [shell, "-c", script] = words.as_slice() {
            if !matches!(shell.rsplit('/').next(), Some("bash" | "sh")) {
                return None;
            }
            words = script.split_whitespace().collect();
        }
        if let ["exec" | ":" | "true", rest @ ..] = words.as_slice() {
            words = rest.to_vec();
        }
        let (first, rest) = words.split_first()?;
        let first = first.trim_start_matches(|c: char| c.is_ascii_digit());
        let place = ["<>", "<", ">"]
            .iter()
            .find_map(|sign| first.strip_prefix(sign))?;
        // `< /dev/tcp/…` is two words.
        let (place, rest) = match (place, rest.split_first()) {
            ("", Some((place, rest))) => (*place, rest),
            _ => (place, rest),
        };
        let is_quiet = |word: &&str| {
            [
                "2>&1",
                ">/dev/null",
                "1>/dev/null",
                "2>/dev/null",
                "&>/dev/null",
            ]
            .contains(word)
        };
        if !rest.iter().all(is_quiet) {
            return None;
        }
        let (host, port) = place.strip_prefix("/dev/tcp/")?.split_once('/')?;
        let port = port.parse().ok()?;
        let hosts: Vec<IpAddr> = match host {
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            host => vec![host.parse().ok()?],
        };
        let targets = hosts.into_iter().map(|ip| SocketAddr::new(ip, port));
        Some(Connection {
            targets: targets.collect(),
            limit,
        })
    }

    /// Whether it is written in the language of the shell. Only words that stand alone count, so that
    /// `curl http://x/?a=1&b=2` is what it looks like.
    #[must_use]
    pub fn needs_shell(&self) -> bool {
        const FIRST: [&str; 14] = [
            "[[", "!", ":", ".", "{", "(", "case", "cd", "exit", "export", "for", "if", "set",
            "while",
        ];
        const ANYWHERE: [&str; 6] = ["|", "||", "&", "&&", ";", "2>&1"];
        let first = self.words.first().map_or("", String::as_str);
        let assigns = first
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && !name.contains('/'));
        assigns
            || FIRST.contains(&first)
            || self.words.iter().map(String::as_str).any(|word| {
                ANYWHERE.contains(&word)
                    || word.starts_with(['<', '>', '`'])
                    || word.starts_with("2>")
                    || word.starts_with("$(")
                    || word.ends_with(';')
            })
    }
}

/// The notify family of an instance, a group, or (up and down) of a server. Most have none of them, and some routers hundreds of
/// instances: what is not there takes a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// `notify_master`.
    pub master: Option<Box<Command>>,
    /// `notify_backup`.
    pub backup: Option<Box<Command>>,
    /// `notify_fault`.
    pub fault: Option<Box<Command>>,
    /// `notify_stop`.
    pub stop: Option<Box<Command>>,
    /// `notify`: gets `INSTANCE|GROUP name STATE priority` appended.
    pub any: Option<Box<Command>>,
    /// `notify_deleted`: present when a removal by reload tells DELETED instead of FAULT; with its own command or none.
    pub deleted: Option<Option<Box<Command>>>,
    /// `notify_master_rx_lower_pri`.
    pub lower_priority: Option<Box<Command>>,
    /// `notify_priority_changes`; `None` is the global setting.
    pub priority_changes: Option<bool>,
    /// `smtp_alert`; `None` is the global setting.
    pub mail: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Command {
        Command {
            text: words.join(" "),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            user: None,
        }
    }

    fn plain(text: &str) -> Command {
        command(&text.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_written_for_a_shell_is_told_from_a_plain_command() {
        for text in [
            "[[ -f /etc/keepalived/down ]] && exit 1 || exit 0",
            "</dev/tcp/127.0.0.1/80",
            "killall -0 haproxy || exit 1",
            "exit 0",
            "/bin/a > /tmp/x",
            "/bin/a 2>/dev/null",
            "/bin/a; /bin/b",
            "test `/bin/a`",
            "LANG=C /bin/a",
        ] {
            assert!(plain(text).needs_shell(), "{text}");
        }
        for text in [
            "killall -0 sshd",
            "/usr/bin/curl http://x/?a=1&b=2",
            "/etc/keepalived/notify.sh a|b",
            "/bin/test -f /x",
            "/bin/a=b c",
        ] {
            assert!(!plain(text).needs_shell(), "{text}");
        }
    }

    #[test]
    fn what_only_connects_is_known_by_its_redirection() {
        let one = |text| plain(text).connection().unwrap().targets;
        let http = ["127.0.0.1:80".parse().unwrap()];
        for text in [
            "</dev/tcp/127.0.0.1/80",
            "< /dev/tcp/127.0.0.1/80",
            "exec 3<>/dev/tcp/127.0.0.1/80",
            ": >/dev/tcp/127.0.0.1/80 2>/dev/null",
        ] {
            assert_eq!(one(text), http, "{text}");
        }
        assert_eq!(
            one("</dev/tcp/fe80::1/22"),
            ["[fe80::1]:22".parse().unwrap()]
        );
        assert_eq!(one("</dev/tcp/localhost/22").len(), 2);
        let inside = [
            "timeout",
            "0.5",
            "/bin/bash",
            "-c",
            "</dev/tcp/127.0.0.1/80",
        ];
        let inside = command(&inside).connection().unwrap();
        assert_eq!(inside.targets, http);
        assert_eq!(inside.limit, Some(Duration::from_millis(500)));
    }

    #[test]
    fn what_does_more_than_connect_is_left_to_the_shell() {
        for text in [
            "/bin/true",
            "</dev/tcp/router.example/80",
            "</dev/tcp/127.0.0.1/http",
            "</dev/tcp/127.0.0.1/80 || exit 1",
            "cat </dev/tcp/127.0.0.1/80",
            "</etc/passwd",
            "exec",
            "timeout 1",
            "timeout x bash",
            "timeout -1 bash",
        ] {
            assert_eq!(plain(text).connection(), None, "{text}");
        }
    }
}
