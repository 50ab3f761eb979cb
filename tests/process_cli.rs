//! What the binary answers to its command line.

#![allow(clippy::expect_used)]

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

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
fn genhash_and_commands_of_later_releases_fail_and_say_why() {
    let outputs = [
        named("genhash", &["-s", "192.0.2.1"]),
        keepalite(&["--genhash"]),
        keepalite(&["status"]),
    ];
    for output in outputs {
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("not in this build"));
    }
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
