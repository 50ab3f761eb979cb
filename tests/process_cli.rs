//! What the binary answers to its command line.

#![allow(clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn keepalite(words: &[&str]) -> Output {
    named("keepalite", words)
}

fn named(name: &str, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepalite"))
        .arg0(name)
        .args(words)
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_version_is_where_keepalived_prints_it_and_names_the_features() {
    for words in [&["-v"][..], &["--version"], &["-nv"]] {
        let output = keepalite(words);
        assert_eq!(output.status.code(), Some(0));
        let said = text(&output.stderr);
        assert!(said.starts_with("keepalite v"), "{said}");
        assert!(said.contains("vrrp"), "{said}");
    }
}

#[test]
fn help_shows_every_option_with_its_value() {
    for words in [&["-h"][..], &["--help"], &["-nh"]] {
        let output = keepalite(words);
        assert_eq!(output.status.code(), Some(0));
        let said = text(&output.stdout);
        for option in [
            "-f, --use-file=FILE",
            "-t, --config-test[=LOG]",
            "-n, --dont-fork",
            "--single",
        ] {
            assert!(said.contains(option), "{option} is not in\n{said}");
        }
        assert!(!said.contains("--role"), "{said}");
    }
}

#[test]
#[cfg(feature = "help")]
fn a_keyword_is_explained_in_each_block_that_has_it() {
    let output = keepalite(&["help", "weight"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    for block in ["vrrp_script", "track_file", "real_server", "FILE_CHECK"] {
        assert!(
            said.lines().any(|line| line.ends_with(block)),
            "{block}: {said}"
        );
    }
    let output = keepalite(&["help", "vrrp_script", "weight"]);
    assert_eq!(text(&output.stdout).matches("\nvalues").count(), 1);
    let output = keepalite(&["help"]);
    assert!(text(&output.stdout).contains("\nvrrp_instance "));
}

#[test]
#[cfg(feature = "help")]
fn who_asks_for_no_keyword_hears_what_may_have_been_meant() {
    for (words, why) in [
        (&["tcp_chekc"][..], "did you mean TCP_CHECK?"),
        (&["nexthop"], "see keepalite help virtual_routes"),
        (&["host", "retry"], "does not stand in host, but in"),
        (&["nowhere", "retry"], "there is no block nowhere"),
        (&["a", "b", "c"], "one keyword at a time"),
    ] {
        let output = keepalite(&[&["help"], words].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains(why), "{words:?}: {said}");
    }
}

#[test]
#[cfg(not(feature = "help"))]
fn a_build_without_help_says_so() {
    let output = keepalite(&["help", "priority"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("it needs the feature 'help'"));
}

#[test]
fn an_unknown_option_is_refused_and_the_nearest_one_named() {
    let output = keepalite(&["--dont-frok"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("did you mean --dont-fork?"), "{said}");
}

#[test]
fn a_signal_s_number_is_printed() {
    let output = keepalite(&["--signum=RELOAD"]);
    assert_eq!(text(&output.stdout), "1\n");
    assert_eq!(keepalite(&["--signum=NONE"]).status.code(), Some(1));
}

#[test]
fn a_question_without_a_daemon_fails_and_says_where_nobody_listens() {
    let output = keepalite(&["-p", "/nonexistent/a.pid", "status"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("nobody listens at /nonexistent/a.sock"),
        "{said}"
    );
}

#[test]
fn a_missing_configuration_is_told_to_whoever_started_it_also_from_the_background() {
    for words in [&["-G"][..], &["-nG"], &["-t"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_keepalite"))
            .args(words)
            .args(["-f", "/nonexistent/keepalived.conf"])
            .output()
            .expect("the binary starts");
        assert_eq!(output.status.code(), Some(4), "{words:?}");
        let said = text(&output.stderr);
        assert!(said.contains("/nonexistent/keepalived.conf"), "{said}");
    }
}

/// A directory of its own with a configuration in it, gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("keepalite-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("writable");
        let scratch = Self(directory);
        fs::write(scratch.file("main.conf"), text).expect("writable");
        scratch
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("readable");
        let names = entries.map(|e| {
            e.expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// `keepalite -f main.conf` in it, and more words. Nothing but answers is waited for, and not for long.
    fn run(&self, words: &[&str]) -> Output {
        self.run_on("main.conf", words)
    }

    fn run_on(&self, file: &str, words: &[&str]) -> Output {
        Command::new("timeout")
            .args(["10", env!("CARGO_BIN_EXE_keepalite"), "-f", file])
            .args(words)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GOOD: &str = "vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.1/24
    }
}
";

/// The same with one more line in its block.
fn good_with(line: &str) -> String {
    GOOD.replace("    interface", &format!("    {line}\n    interface"))
}

/// What every case of a test mode comes to: its status, and words that are on its outputs.
fn tested(name: &str, text: &str, words: &[&str], status: i32) -> (String, String) {
    let scratch = Scratch::new(name, text);
    let output = scratch.run(words);
    let (out, err) = (self::text(&output.stdout), self::text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{name}\n{out}{err}");
    assert_eq!(scratch.names(), ["main.conf"], "{name}");
    let left = fs::read_to_string(scratch.file("main.conf")).expect("readable");
    assert_eq!(left, text, "{name}");
    (out, err)
}

#[test]
fn a_test_of_a_good_configuration_says_in_one_line_what_would_run() {
    let (out, err) = tested("good", GOOD, &["-t"], 0);
    assert_eq!(
        out,
        "main.conf: 1 virtual router with 1 address, no errors\n"
    );
    assert_eq!(err, "");
}

#[cfg(feature = "check-tcp")]
#[test]
fn a_test_counts_the_virtual_servers_and_their_checks() {
    let service = "virtual_server 10.0.0.1 80 {\n protocol TCP\n lb_kind DR\n real_server 10.0.0.2 80 {\n TCP_CHECK {\n }\n }\n}";
    let (out, _) = tested("services", service, &["-t"], 0);
    let counted = "1 virtual server with 1 checker";
    assert!(out.contains(counted), "{out}");
}

#[test]
fn a_test_with_warnings_only_succeeds_unless_it_is_strict() {
    let text = good_with("surely_not_a_keyword 1");
    let (out, err) = tested("unknown", &text, &["-t"], 5);
    assert!(out.ends_with(", 1 error\n"), "{out}");
    assert!(err.contains("surely_not_a_keyword"), "{err}");
    let text = good_with("include nothing.conf");
    let (out, err) = tested("warned", &text, &["-t"], 0);
    assert!(out.ends_with(", no errors, 1 warning\n"), "{out}");
    assert!(err.contains("warning:"), "{err}");
    tested("strict", &text, &["-t", "--strict-test"], 5);
    tested("strict-good", GOOD, &["-t", "--strict-test"], 0);
}

#[test]
fn a_test_fails_with_4_for_an_include_that_must_be_there() {
    let text = good_with("include nothing.conf");
    let (_, err) = tested("include", &text, &["-t", "-e"], 4);
    assert!(err.contains("nothing.conf"), "{err}");
    tested("includea", &good_with("includea nothing.conf"), &["-t"], 4);
}

#[test]
fn a_test_fails_with_6_for_a_script_that_others_can_change() {
    let scratch = Scratch::new("insecure", "");
    let script = scratch.file("script.sh");
    fs::write(&script, "#!/bin/sh\n").expect("writable");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o777)).expect("ours");
    let script = script.display();
    let line = format!("notify_master \"{script}\" root root");
    let text = format!(
        "global_defs {{\n    enable_script_security\n}}\n{}",
        good_with(&line)
    );
    fs::write(scratch.file("main.conf"), &text).expect("writable");
    let output = scratch.run(&["-t"]);
    let err = self::text(&output.stderr);
    assert!(err.contains("script.sh"), "{err}");
    assert_eq!(output.status.code(), Some(6), "{err}");
}

#[test]
fn a_test_writes_its_findings_into_the_file_that_is_attached_to_the_option() {
    let scratch = Scratch::new("log", &good_with("surely_not_a_keyword 1"));
    let output = scratch.run(&["-t=said.txt"]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    let said = fs::read_to_string(scratch.file("said.txt")).expect("written");
    assert!(
        said.contains("surely_not_a_keyword") && said.ends_with(", 1 error\n"),
        "{said}"
    );
    assert_eq!(scratch.names(), ["main.conf", "said.txt"]);
}

#[test]
fn a_test_with_a_dump_prints_the_canonical_form_which_comes_to_the_same() {
    let text = GOOD.replace("interface eth0", "interface   eth0 # uplink");
    let (out, err) = tested("dump", &text, &["-t", "-d"], 0);
    assert_eq!(err, "");
    let (dump, summary) = out
        .trim_end()
        .rsplit_once('\n')
        .expect("two lines at least");
    assert!(
        dump.starts_with("vrrp_instance VI_1 {\n") && dump.contains("\n    interface eth0\n"),
        "{dump}"
    );
    assert!(summary.starts_with("main.conf: "), "{summary}");
    let (again, _) = tested("dumped", &format!("{dump}\n"), &["-t", "-d"], 0);
    assert_eq!(again, out);
}

#[test]
fn findings_are_readable_on_a_terminal_of_80_columns_without_colour() {
    let text = good_with("surely_not_a_keyword 1")
        .replace("virtual_router_id 51", "virtual_router_id 300");
    let (_, err) = tested("narrow", &text, &["-t"], 5);
    assert!(err.is_ascii(), "{err}");
    assert!(!err.contains('\u{1b}'), "{err}");
    assert!(err.lines().all(|line| line.len() <= 80), "{err}");
    let carets = err.lines().filter(|line| line.contains('^')).count();
    assert!(carets >= 2, "{err}");
}

#[test]
fn a_daemon_tells_each_finding_on_one_line() {
    // Refused once everything is told: there is no such network namespace.
    let text = good_with("include nothing.conf");
    let text = format!("net_namespace keepalite-none-such\npid_file x\n{text}");
    let scratch = Scratch::new("daemon", &text);
    let output = scratch.run(&["-nlG", "--single", "-p", "pid"]);
    let err = self::text(&output.stderr);
    let told: Vec<&str> = err
        .lines()
        .filter(|line| line.contains("nothing.conf"))
        .collect();
    assert_eq!(told.len(), 1, "{err}");
    assert!(
        told[0].contains("main.conf:4:5: warning: ") && told[0].ends_with(')'),
        "{err}"
    );
    assert!(!err.contains('^'), "{err}");
}

#[test]
fn what_is_no_readable_file_is_refused_at_once_and_by_its_name() {
    let scratch = Scratch::new("kinds", GOOD);
    fs::create_dir(scratch.file("directory")).expect("writable");
    let made = Command::new("mkfifo").arg(scratch.file("fifo")).status();
    assert!(made.expect("mkfifo is there").success());
    symlink("nowhere", scratch.file("dangling")).expect("writable");
    let cases = [
        ("directory", "it is a directory"),
        ("fifo", "it is not a regular file"),
        ("/dev/null", "it is not a regular file"),
        ("dangling", "No such file"),
        ("main.conf/x", "Not a directory"),
        // Not even root can read this one.
        ("/proc/self/mem", "cannot read"),
    ];
    for (file, why) in cases {
        let output = scratch.run_on(file, &["-t"]);
        let err = self::text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{file}: {err}");
        assert!(err.contains(file) && err.contains(why), "{file}: {err}");
        assert_eq!(err.lines().count(), 1, "{file}: {err}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    for (words, status) in [
        ("-h", 0),
        ("-v", 0),
        ("--dont-frok", 1),
        ("-t -f /dev/null", 4),
    ] {
        let script = format!("{{ \"$0\" {words} 2>&1; echo $? >&3; }} 3>&2 | true");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_keepalite")])
            .output()
            .expect("a shell");
        assert_eq!(self::text(&output.stderr), format!("{status}\n"), "{words}");
    }
}

#[cfg(feature = "uci")]
#[test]
fn uci_prints_what_a_configuration_of_openwrt_means_and_tells_what_it_cannot_mean() {
    let path = std::env::temp_dir().join(format!("keepalite-uci-{}", std::process::id()));
    let file = path.to_str().expect("plain");
    let ask = |text: &str| {
        fs::write(&path, text).expect("writable");
        keepalite(&["uci", file])
    };
    let whole = ask(
        "config vrrp_instance 'lan'\n option interface 'br-lan'\n list virtual_ipaddress 'x'\n",
    );
    assert_eq!(whole.status.code(), Some(0));
    assert!(text(&whole.stdout).contains("vrrp_instance lan {\n    interface br-lan\n"));
    assert!(text(&whole.stderr).contains(&format!("{file}:1: virtual_ipaddress 'x'")));
    let broken = ask("config vrrp_instance 'lan'\n option interface 'br-lan\n");
    assert_eq!(broken.status.code(), Some(5));
    fs::remove_file(&path).expect("is there");
    let missing = keepalite(&["uci", file]);
    assert_eq!(missing.status.code(), Some(4));
    assert!(text(&missing.stderr).contains(file));
}
