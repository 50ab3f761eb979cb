//! The manual pages say what the program says, and every keyword that is obeyed is explained; `UPDATE=1` writes the pages anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind};
use keepalite::config::keys::{Row, Status, table};
use keepalite::console::paint::wrap;
use keepalite::help::{Entry, sections, values::values};
use keepalite::run::command::help::SUMMARY;
use keepalite::run::options::Options;

const PAGES: [&str; 2] = ["keepalite.8", "keepalite.conf.5"];

fn path(page: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("man")
        .join(page)
}

#[test]
fn every_keyword_that_is_obeyed_is_explained_and_nothing_else() {
    let obeyed: BTreeSet<(&str, &str)> = table()
        .iter()
        .filter(|row| row.status == Status::Obeyed)
        .map(|row| (row.block, row.keyword))
        .collect();
    let mut explained = BTreeSet::new();
    for section in sections() {
        for entry in &section.entries {
            for block in &section.blocks {
                for keyword in entry.keywords() {
                    assert!(
                        explained.insert((*block, keyword)),
                        "{block} {keyword} is explained twice"
                    );
                }
            }
            assert!(!entry.text.is_empty(), "{:?} has no text", entry.heads);
        }
    }
    let left_out: Vec<_> = obeyed.difference(&explained).collect();
    let made_up: Vec<_> = explained.difference(&obeyed).collect();
    assert!(
        left_out.is_empty() && made_up.is_empty(),
        "not explained: {left_out:?}; not obeyed: {made_up:?}"
    );
}

#[test]
fn texts_are_sentences_one_on_a_line() {
    for section in sections() {
        for entry in &section.entries {
            for sentence in &entry.text {
                let place = format!("{:?}: {sentence}", entry.heads);
                assert!(
                    sentence.ends_with('.') && !sentence.contains(". "),
                    "{place}"
                );
                assert!(
                    sentence.starts_with(|c: char| !c.is_ascii_lowercase())
                        || table().iter().any(|row| sentence.starts_with(row.keyword)),
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn the_manual_pages_say_what_the_program_says() {
    let info = Options::get_args_info();
    let parts = [
        ("keepalite.8", "commands", commands(&info)),
        ("keepalite.8", "options", options(&info)),
        ("keepalite.conf.5", "keywords", keywords()),
    ];
    for (page, part, fresh) in parts {
        let old = fs::read_to_string(path(page)).unwrap();
        let (begin, end) = (format!(".\\\" {part}\n"), format!(".\\\" /{part}\n"));
        let (head, rest) = old.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        let new = format!("{head}{begin}{fresh}{end}{tail}");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(path(page), &new).unwrap();
        } else {
            assert!(
                new == old,
                "man/{page} is stale: UPDATE=1 cargo test --all-features --test pages"
            );
        }
        let version = format!("\"keepalite {}\"", env!("CARGO_PKG_VERSION"));
        assert!(head.contains(&version), "man/{page} is not of {version}");
    }
}

/// Whoever formats them has nothing to complain about.
#[test]
fn the_manual_pages_are_well_formed() {
    let checks: [(&str, &[&str]); 2] = [
        ("mandoc", &["-Tlint", "-Wstyle"]),
        ("man", &["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]),
    ];
    for page in PAGES {
        for (program, words) in checks {
            let output = match Command::new(program).args(words).arg(path(page)).output() {
                Ok(output) => output,
                Err(error) => {
                    assert!(std::env::var_os("NETNS").is_none(), "{program}: {error}");
                    println!("SKIPPED: {program} is not installed");
                    continue;
                }
            };
            let said = if program == "mandoc" {
                &output.stdout
            } else {
                &output.stderr
            };
            let said = String::from_utf8_lossy(said);
            assert!(said.is_empty(), "{program} says of {page}:\n{said}");
        }
    }
}

fn commands(info: &CommandInfoWithArgs) -> String {
    let mut out = String::new();
    for command in &info.commands {
        let about = &command.command;
        let words = about.positionals.iter().filter(|word| !word.hidden);
        let words: String = words.map(|word| format!(" {}", word.name)).collect();
        writeln!(out, ".TP\n\\fB{}\\fR{}", command.name, roff(&words)).unwrap();
        paragraph(&sentence(about.description), &mut out);
        for word in about
            .positionals
            .iter()
            .filter(|word| !word.description.is_empty())
        {
            paragraph(&format!("{}: {}.", word.name, word.description), &mut out);
        }
        for flag in about.flags.iter().filter(|flag| flag.long != "--help") {
            paragraph(
                &format!("With {}: {}.", flag.long, flag.description),
                &mut out,
            );
        }
    }
    writeln!(out, ".TP\n\\fBhelp\\fR [[BLOCK] KEYWORD]").unwrap();
    paragraph(&sentence(SUMMARY), &mut out);
    out
}

fn options(info: &CommandInfoWithArgs) -> String {
    let mut out = String::new();
    for flag in info.flags.iter().filter(|flag| !flag.hidden) {
        let short = match (flag.short, flag.long) {
            (Some(short), _) => format!("\\fB\\-{short}\\fR, "),
            (None, "--help") => "\\fB\\-h\\fR, ".to_owned(),
            (None, _) => String::new(),
        };
        let value = match flag.kind {
            FlagInfoKind::Switch => String::new(),
            FlagInfoKind::Option { arg_name } => match arg_name.strip_prefix('[') {
                Some(optional) => format!("[={optional}"),
                None => format!("={arg_name}"),
            },
        };
        writeln!(
            out,
            ".TP\n{short}\\fB{}\\fR{}",
            roff(flag.long),
            roff(&value)
        )
        .unwrap();
        let about = if flag.long == "--help" {
            "print the options"
        } else {
            flag.description
        };
        paragraph(&sentence(about), &mut out);
    }
    out
}

/// `what it does; more` as a sentence.
fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}

fn keywords() -> String {
    let rows = table();
    let mut out = String::new();
    for section in sections() {
        let names: Vec<&str> = section
            .blocks
            .iter()
            .map(|block| if block.is_empty() { "Top level" } else { block })
            .collect();
        writeln!(out, ".SS {}", roff(&names.join(", "))).unwrap();
        for entry in &section.entries {
            let row = rows
                .iter()
                .find(|row| row.block == section.blocks[0] && row.keyword == entry.keywords()[0]);
            explain(entry, *row.unwrap(), &rows, &mut out);
        }
    }
    out.push_str(".SS Without effect\n");
    out.push_str("These are accepted, for the sake of files that have them.\n");
    for (why, words) in without_effect(&rows) {
        out.push_str(".PP\n");
        paragraph(
            &format!("{}:", sentence(why).trim_end_matches('.')),
            &mut out,
        );
        out.push_str(".RS\n");
        paragraph(&format!("{}.", words.join(", ")), &mut out);
        out.push_str(".RE\n");
    }
    out
}

fn explain(entry: &Entry, row: Row, rows: &[Row], out: &mut String) {
    for (at, head) in entry.heads.iter().enumerate() {
        let (keyword, rest) = head
            .split_once(' ')
            .map_or((*head, ""), |(keyword, rest)| (keyword, rest));
        let macros = if at == 0 { ".TP" } else { ".TQ" };
        writeln!(
            out,
            "{macros}\n{}",
            format!("\\fB{}\\fR {}", roff(keyword), roff(rest)).trim_end()
        )
        .unwrap();
    }
    for text in &entry.text {
        paragraph(text, out);
    }
    let facts = [
        ("Values", values(row, rows).unwrap_or_default()),
        ("Default", entry.default.to_owned()),
        ("Keepalived", entry.keepalived.to_owned()),
    ];
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        out.push_str(".br\n");
        paragraph(&format!("{name}: {}.", fact.trim_end_matches('.')), out);
    }
}

/// Reasons, each with the keywords that have none for it.
fn without_effect(rows: &[Row]) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let Status::Ignored(why) = row.status else {
            continue;
        };
        let at = all
            .iter()
            .position(|(other, _)| *other == why)
            .unwrap_or_else(|| {
                all.push((why, Vec::new()));
                all.len() - 1
            });
        if !all[at].1.contains(&row.keyword) {
            all[at].1.push(row.keyword);
        }
    }
    all
}

/// Text in lines that an editor shows whole.
fn paragraph(text: &str, out: &mut String) {
    for line in wrap(text, 64) {
        out.push_str(&roff(line));
        out.push('\n');
    }
}

/// Nothing in it is taken for a request or an escape.
fn roff(text: &str) -> String {
    let plain = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('…', "...");
    if plain.starts_with(['.', '\'']) {
        format!("\\&{plain}")
    } else {
        plain
    }
}
