//! What README.md says of keywords is what the tables say; `UPDATE=1` writes it anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use keepalite::config::keys::{Status, table};

const BEGIN: &str = "<!-- keywords -->\n";
const END: &str = "<!-- /keywords -->";

#[test]
fn the_compatibility_table_is_that_of_the_keyword_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let fresh = format!("{head}{BEGIN}{}{END}{tail}", compatibility());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert!(
        fresh == readme || std::env::var_os("UPDATE").is_some(),
        "README.md is stale: UPDATE=1 cargo test --test readme"
    );
}

/// The screens of README.md are those that scenarios and stories show.
#[test]
fn screens_are_as_the_program_prints_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = String::new();
    for folder in ["tests/scenario", "tests/check"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = fs::read_to_string(path).unwrap();
                let lines = text.lines().filter_map(|line| line.strip_prefix('<'));
                shown.extend(
                    lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n"),
                );
            }
        }
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut screens = readme.split("    $ keepalite ").skip(1);
    let mut seen = 0;
    for screen in &mut screens {
        let (command, rest) = screen.split_once('\n').unwrap();
        if !command.starts_with("status") && !command.starts_with("explain") {
            continue;
        }
        let lines = rest.lines();
        let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
        let lines: Vec<_> = lines
            .map(|line| line.strip_prefix("    ").unwrap_or(line))
            .collect();
        let screen = lines.join("\n");
        let screen = screen.trim_end();
        assert!(shown.contains(screen), "no scenario shows\n{screen}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
#[cfg(feature = "help")]
fn the_keyword_that_is_explained_reads_as_the_program_prints_it() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let paint = keepalite::console::paint::Paint {
        width: 80,
        colour: false,
    };
    let screen = keepalite::help::screen::keyword(None, "advert_int", paint).unwrap();
    let lines = screen.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("    {line}\n"),
    });
    let block = format!(
        "    $ keepalite help advert_int\n{}",
        lines.collect::<String>()
    );
    assert!(readme.unwrap().contains(&block), "README.md lacks\n{block}");
}

/// Keywords by what becomes of them.
type Fates = BTreeMap<(u8, String), Vec<&'static str>>;

/// Keywords by block, and within it by what becomes of them.
fn compatibility() -> String {
    let mut blocks: Vec<(&str, Fates)> = Vec::new();
    for row in table() {
        let name = if row.block.is_empty() {
            "(top level)"
        } else {
            row.block
        };
        let place = match blocks.iter().position(|(block, _)| *block == name) {
            Some(place) => place,
            None => {
                blocks.push((name, BTreeMap::new()));
                blocks.len() - 1
            }
        };
        let words = blocks[place].1.entry(fate(row.status)).or_default();
        if !words.contains(&row.keyword) {
            words.push(row.keyword);
        }
    }
    let mut text = String::from("| block | what becomes of them | keywords |\n|---|---|---|\n");
    for (block, fates) in blocks {
        for ((_, fate), words) in fates {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            writeln!(text, "| {block} | {fate} | {} |", words.join(" ")).unwrap();
        }
    }
    text
}

/// A rank to sort by, and words.
fn fate(status: Status) -> (u8, String) {
    match status {
        Status::Obeyed => (0, "obeyed".to_owned()),
        Status::Feature(feature) => (1, format!("obeyed in builds with the feature `{feature}`")),
        Status::Ignored(why) => (2, format!("accepted without effect: {why}")),
    }
}
