//! From the words of a command line to what they ask for.

use core::fmt::Write;
use std::ffi::OsString;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, FromArgs, Optionality};

use crate::argv::{self, Arity, Form};
use crate::run::command;
use crate::run::options::Options;
use crate::run::signal;

#[cfg(feature = "genhash")]
mod genhash;

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// To do the work; beside it, what has to be said about the command line.
    Run(Box<Options>, Vec<String>),
    /// To carry out the command that is among the options.
    Command(Box<Options>),
    /// To print the digest of a page.
    #[cfg(feature = "genhash")]
    Genhash(crate::run::genhash::Order),
    /// To explain a keyword.
    Help(Vec<String>),
    /// To print a help or a number.
    Print(String),
    /// To print what scripts look for on the standard error, where keepalived has it.
    Version(String),
    /// Nothing that we can do.
    Refuse(String),
}

/// Takes a command line apart, the program's name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Request {
    let mut words = args.into_iter().map(|arg| match arg.into_string() {
        Ok(word) => word,
        Err(raw) => raw.to_string_lossy().into_owned(),
    });
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    if program == "genhash" {
        return digest(program, words.collect());
    }
    let program = if program.is_empty() {
        "keepalite"
    } else {
        program
    };
    let mut words: Vec<String> = words.collect();
    let first = words.first().map_or("", String::as_str);
    if ["-T", "--genhash", "genhash"].contains(&first) {
        let name = words.remove(0);
        return digest(&format!("{program} {name}"), words);
    }
    if first == "help" {
        return Request::Help(words.split_off(1));
    }
    let info = Options::get_args_info();
    let commands: Vec<&str> = info.commands.iter().map(|command| command.name).collect();
    let hint = |why: String| Request::Refuse(format!("{why}\nTry {program} --help."));
    let plain = match argv::plain(words, &forms(info.flags), &commands) {
        Ok(plain) => plain,
        Err(misspelt) => return hint(misspelt.to_string()),
    };
    if plain.options.iter().any(|word| word == "--help") {
        return Request::Print(help(program, &info));
    }
    if let Some(late) = plain
        .extra
        .iter()
        .find(|word| commands.contains(&word.as_str()))
    {
        return hint(format!("the command {late} must come before other words"));
    }
    // Any other word is ignored, as keepalived does; but nobody who mistypes a question wants a daemon instead of an answer.
    let near = plain.extra.first().and_then(|word| {
        let near = argv::nearest(word, commands.iter().copied());
        near.map(|near| format!("there is no command {word}; did you mean {near}?"))
    });
    if let Some(misspelt) = near {
        return hint(misspelt);
    }
    let mut words = plain.options;
    let named = plain
        .command
        .first()
        .map(|name| format!("{program} {name}"));
    let mut command = plain.command.into_iter();
    if let Some(name) = command.next() {
        let found = info.commands.iter().find(|command| command.name == name);
        let info = found.map(|found| &found.command);
        let flags = info.map_or(&[][..], |info| info.flags);
        let plain = match argv::plain(command, &forms(flags), &[]) {
            Ok(plain) => plain,
            Err(misspelt) => {
                return Request::Refuse(format!("{misspelt}\nTry {program} {name} --help."));
            }
        };
        if let (true, Some(info)) = (plain.options.iter().any(|word| word == "--help"), info) {
            return Request::Print(help(&format!("{program} {name}"), info));
        }
        words.push(name);
        words.extend(plain.options);
        words.extend(plain.extra);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Options::from_args(&[program], &words) {
        Ok(options) => answer(options, &plain.extra),
        Err(early) => Request::Refuse(format!(
            "{}\nTry {} --help.",
            early.output.trim_end(),
            named.as_deref().unwrap_or(program)
        )),
    }
}

#[cfg(feature = "genhash")]
fn digest(program: &str, words: Vec<String>) -> Request {
    match genhash::parse(program, words) {
        Ok(order) => Request::Genhash(order),
        Err(why) => Request::Refuse(why),
    }
}

#[cfg(not(feature = "genhash"))]
fn digest(_program: &str, _words: Vec<String>) -> Request {
    let why = "genhash is not in this build: it needs the feature 'genhash'; keepalived's own computes the same digests";
    Request::Refuse(why.to_owned())
}

fn answer(options: Options, extra: &[String]) -> Request {
    if options.genhash {
        return Request::Refuse("--genhash has to be the first word".to_owned());
    }
    if options.version {
        return Request::Version(version());
    }
    if let Some(name) = &options.signum {
        return match signal::number(name) {
            Some(number) => Request::Print(format!("{number}\n")),
            None => Request::Refuse(format!(
                "unknown signal {name}; known are STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON"
            )),
        };
    }
    if options.command.is_some() {
        return Request::Command(Box::new(options));
    }
    let mut notes = Vec::new();
    if !extra.is_empty() {
        notes.push(format!("ignoring extra words: {}", extra.join(" ")));
    }
    notes.extend(options.ignored());
    Request::Run(Box::new(options), notes)
}

/// Options, as argh knows them.
fn forms(flags: &[FlagInfo<'static>]) -> Vec<Form> {
    let form = |flag: &FlagInfo<'static>| Form {
        long: flag.long.trim_start_matches('-'),
        short: if flag.long == "--help" {
            Some('h')
        } else {
            flag.short
        },
        arity: match flag.kind {
            FlagInfoKind::Switch => Arity::None,
            FlagInfoKind::Option { arg_name } if arg_name.starts_with('[') => Arity::Optional,
            FlagInfoKind::Option { .. } => Arity::Required,
        },
    };
    flags.iter().map(form).collect()
}

/// The options in one column, what they do in another.
fn help(program: &str, info: &CommandInfoWithArgs) -> String {
    // Writing to a String cannot fail.
    let mut text = format!("Usage: {program} [OPTION...]");
    if !info.commands.is_empty() {
        text.push_str(" [COMMAND]");
    }
    for word in info.positionals {
        let _ = match word.optionality {
            Optionality::Required => write!(text, " {}", word.name),
            _ => write!(text, " [{}]", word.name),
        };
    }
    let _ = writeln!(text, "\n\n{}\n", info.description);
    for command in &info.commands {
        let summary = command.command.description.lines().next();
        let _ = writeln!(
            text,
            "  {:<32} {}",
            command.name,
            summary.unwrap_or_default()
        );
    }
    if !info.commands.is_empty() {
        let _ = writeln!(text, "  {:<32} {}\n", "help", command::help::SUMMARY);
    }
    for word in info.positionals.iter().filter(|word| !word.hidden) {
        let _ = writeln!(text, "  {:<32} {}", word.name, word.description);
    }
    for flag in info
        .flags
        .iter()
        .filter(|flag| !flag.hidden && flag.long != "--help")
    {
        let short = flag.short.map_or("    ".to_owned(), |s| format!("-{s}, "));
        let value = match flag.kind {
            FlagInfoKind::Switch => String::new(),
            FlagInfoKind::Option { arg_name } => match arg_name.strip_prefix('[') {
                Some(optional) => format!("[={optional}"),
                None => format!("={arg_name}"),
            },
        };
        let name = format!("{short}{}{value}", flag.long);
        let _ = writeln!(text, "  {name:<32} {}", flag.description);
    }
    text.push_str("  -h, --help                       print this\n");
    if !info.commands.is_empty() {
        text.push_str(
            "\nLetters can be bundled and values attached: -nlDf/path, --use-file=/path.\n",
        );
    }
    text
}

fn version() -> String {
    let features = [
        ("vrrp", cfg!(feature = "vrrp")),
        ("lvs", cfg!(feature = "lvs")),
        ("check-tcp", cfg!(feature = "check-tcp")),
        ("check-http", cfg!(feature = "check-http")),
        ("check-smtp", cfg!(feature = "check-smtp")),
        ("check-dns", cfg!(feature = "check-dns")),
        ("check-udp", cfg!(feature = "check-udp")),
        ("check-ping", cfg!(feature = "check-ping")),
        ("check-misc", cfg!(feature = "check-misc")),
        ("check-file", cfg!(feature = "check-file")),
        ("tls", cfg!(feature = "tls")),
        ("regex", cfg!(feature = "regex")),
        ("genhash", cfg!(feature = "genhash")),
        ("uci", cfg!(feature = "uci")),
        ("help", cfg!(feature = "help")),
    ];
    let mut text = format!("keepalite v{}\n\nFeatures:", env!("CARGO_PKG_VERSION"));
    for (name, present) in features {
        // Writing to a String cannot fail.
        let _ = write!(text, " {}{name}", if present { "+" } else { "-" });
    }
    let _ = writeln!(
        text,
        "\nBuilt for {} {}-bit {}-endian",
        std::env::consts::ARCH,
        usize::BITS,
        if cfg!(target_endian = "big") {
            "big"
        } else {
            "little"
        }
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::command::Command;

    fn ask(line: &str) -> Request {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> Options {
        match ask(line) {
            Request::Run(options, _) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_options_keepalived_s_file_is_used() {
        assert_eq!(
            options("keepalite").use_file,
            "/etc/keepalived/keepalived.conf"
        );
    }

    #[test]
    fn options_are_those_of_keepalived() {
        // Letter, long name; a value where keepalived has one.
        let table = "f:use-file=x P:vrrp C:check B:no_bfd l:log-console D:log-detail S:log-facility=3 g:log-file?x \
            G:no-syslog u:umask=077 X:release-vips V:dont-release-vrrp I:dont-release-ipvs R:dont-respawn n:dont-fork \
            d:dump-conf p:pid=x r:vrrp_pid=x c:checkers_pid=x b:bfd_pid=x a:address-monitoring s:namespace=x \
            e:all-config i:config-id=x x:snmp A:snmp-agent-socket=x m:core-dump M:core-dump-pattern?x t:config-test?x \
            L:mem-check-log";
        for row in table.split_whitespace() {
            let (letter, long) = row.split_once(':').unwrap();
            let (name, value, optional) = match (long.split_once('='), long.split_once('?')) {
                (Some((name, value)), _) => (name, value, false),
                (_, Some((name, value))) => (name, value, true),
                _ => (long, "", false),
            };
            let all: Vec<String> = if value.is_empty() {
                vec![format!("-{letter}"), format!("--{name}")]
            } else {
                let mut all = vec![format!("-{letter}{value}"), format!("--{name}={value}")];
                if !optional {
                    all.push(format!("-{letter} {value}"));
                    all.push(format!("--{name} {value}"));
                }
                all
            };
            let parsed: Vec<Options> = all.iter().map(|s| options(&format!("k {s}"))).collect();
            assert!(parsed.windows(2).all(|two| two[0] == two[1]), "{all:?}");
            assert_ne!(parsed[0], options("k"), "{row} has no effect");
        }
        for long in [
            "all",
            "flush-log-file",
            "ignore-sigint",
            "no-mem-check",
            "perf",
            "debug",
        ] {
            assert_ne!(options(&format!("k --{long}")), options("k"), "{long}");
        }
    }

    #[test]
    fn by_the_name_of_keepalived_it_does_the_same() {
        assert_eq!(
            options("/usr/sbin/keepalived -nlD"),
            options("keepalite -n -l -D")
        );
    }

    #[test]
    #[cfg(not(feature = "genhash"))]
    fn genhash_says_that_it_is_not_there() {
        for line in ["/usr/bin/genhash -s 1.2.3.4", "k -T", "k --genhash -S"] {
            let Request::Refuse(said) = ask(line) else {
                panic!("{line}");
            };
            assert!(said.contains("the feature 'genhash'"), "{said}");
        }
    }

    #[test]
    #[cfg(feature = "genhash")]
    fn genhash_is_asked_for_by_its_name_by_an_option_or_by_a_command() {
        let wanted = "-S -I -s 192.0.2.1 -p 443 -u /x -V www.example -P 1.0c -m 7 -t 3 -v";
        for name in ["/usr/bin/genhash", "k --genhash", "k -T", "k genhash"] {
            let Request::Genhash(order) = ask(&format!("{name} {wanted}")) else {
                panic!("{name}");
            };
            assert_eq!(
                (order.server.to_string(), order.port),
                ("192.0.2.1".to_owned(), 443)
            );
            assert_eq!(
                (order.path, order.host),
                ("/x".to_owned(), Some("www.example".to_owned()))
            );
            assert_eq!(
                (order.tls, order.sni, order.verbose, order.mark),
                (true, true, true, Some(7))
            );
            assert_eq!(order.timeout, core::time::Duration::from_secs(3));
        }
        for (line, why) in [
            (
                "genhash -s www.example -p 80 -u /",
                "server should be an IP, not www.example",
            ),
            ("genhash -s 192.0.2.1 -p 0 -u /", "invalid port number '0'"),
            ("genhash -s 192.0.2.1 -p 80", "Usage: genhash"),
            (
                "genhash -s 192.0.2.1 -p 80 -u / -P 2",
                "invalid HTTP protocol version '2'",
            ),
            ("genhash x", "Unexpected argument(s): x"),
            ("genhash -h", "Usage: genhash"),
        ] {
            let Request::Refuse(said) = ask(line) else {
                panic!("{line}");
            };
            assert!(said.starts_with(why), "{line}: {said}");
        }
    }

    #[test]
    fn extra_words_are_told_and_ignored_unless_one_is_a_command() {
        assert!(
            matches!(ask("k -n start"), Request::Run(_, notes) if notes == ["ignoring extra words: start"])
        );
        assert!(
            matches!(ask("k start status"), Request::Refuse(said) if said.contains("must come before"))
        );
        assert!(
            matches!(ask("k -n stauts VI_1"), Request::Refuse(said) if said.contains("did you mean status?"))
        );
        for word in ["restart", "stop", "force-reload", "try-restart", "daemon"] {
            assert!(
                matches!(ask(&format!("k -n {word}")), Request::Run(..)),
                "{word}"
            );
        }
        assert!(
            matches!(ask("k explain"), Request::Refuse(said) if said.contains("Try k explain --help."))
        );
    }

    #[test]
    fn a_command_has_options_of_its_own_after_those_of_the_daemon() {
        let Request::Command(options) = ask("k -f x -p y status --json VI_1") else {
            panic!("no command");
        };
        assert_eq!(
            (options.use_file.as_str(), options.pid.as_deref()),
            ("x", Some("y"))
        );
        let Some(Command::Status(status)) = options.command else {
            panic!("another command");
        };
        assert!(status.json);
        assert_eq!(status.name.as_deref(), Some("VI_1"));
        for wrong in ["k status --jsno", "k status a b", "k explain"] {
            assert!(matches!(ask(wrong), Request::Refuse(_)), "{wrong}");
        }
        assert!(matches!(ask("k status --help"), Request::Print(said) if said.contains("--json")));
    }

    #[test]
    fn what_has_no_meaning_here_is_accepted_with_one_line() {
        let Request::Run(_, notes) = ask("k -x -A sock -B --perf") else {
            panic!("refused");
        };
        assert_eq!(notes.len(), 3, "{notes:?}");
    }

    #[test]
    fn signals_have_the_numbers_of_this_libc() {
        let number = |name: &str| match ask(&format!("k --signum={name}")) {
            Request::Print(text) => text.trim().parse::<i32>().unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(number("STOP"), libc::SIGTERM);
        assert_eq!(number("RELOAD"), libc::SIGHUP);
        assert_eq!(number("DATA"), libc::SIGUSR1);
        assert_eq!(number("STATS"), libc::SIGUSR2);
        assert_eq!(number("STATS_CLEAR"), libc::SIGRTMAX() - 1);
        assert_eq!(number("JSON"), libc::SIGRTMIN() + 2);
        assert!(matches!(ask("k --signum=KILL"), Request::Refuse(_)));
    }

    #[test]
    fn a_wrong_value_names_option_and_value() {
        for line in ["k -S local8", "k -u 9999", "k --role=cook"] {
            let Request::Refuse(said) = ask(line) else {
                panic!("{line} accepted");
            };
            let value = line.rsplit([' ', '=']).next().unwrap();
            assert!(said.contains(value), "{said}");
        }
    }
}
