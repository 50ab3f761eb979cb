//! The rules that hold the house up, held: who may know whom, and where unsafe code and features may stand.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of `src/`, and what each may name of the others.
const ARROWS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("name", &[]),
    ("sorted", &[]),
    ("error", &[]),
    ("model", &["name", "time"]),
    ("wire", &["name", "time"]),
    ("pattern", &["model"]),
    (
        "config",
        &["error", "model", "name", "pattern", "sorted", "time"],
    ),
    ("vrrp", &["model", "name", "sorted", "time", "wire"]),
    (
        "check",
        &[
            "model", "name", "pattern", "sorted", "time", "track", "wire",
        ],
    ),
    (
        "console",
        &[
            "check", "model", "name", "sorted", "time", "track", "vrrp", "wire",
        ],
    ),
    ("help", &["config", "console"]),
    ("track", &["model", "name", "time"]),
    ("io", &["error", "name", "sorted", "time", "wire"]),
    ("argv", &[]),
    ("uci", &[]),
    (
        "run",
        &[
            "check", "config", "console", "error", "help", "io", "model", "name", "sorted", "time",
            "track", "uci", "vrrp", "wire",
        ],
    ),
    ("cli", &["argv", "config", "error", "model", "name", "run"]),
];

/// What an engine must not know: sockets, clocks, the kernel, files, threads.
const WORLDLY: &[&str] = &[
    "smol::",
    "rustix::",
    "neli::",
    "libc::",
    "std::net::Udp",
    "std::net::Tcp",
    "std::net::ToSocketAddrs",
    "std::os::fd",
    "std::os::unix::net",
    "std::os::unix::process",
    "std::process::",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
];

/// Rooms that run on a made-up clock, or are pure text in and values out. Only `config` reads files.
const UNWORLDLY: &[&str] = &[
    "config", "console", "help", "model", "wire", "vrrp", "check", "pattern", "track", "name",
    "sorted", "time", "uci",
];

/// Where features may be asked for: a feature is let in at the doors and not heard of inside.
const DOORS: &[&str] = &[
    "main.rs",
    "lib.rs",
    "check/mod.rs",
    "check/proto/mod.rs",
    "config/keys.rs",
    "pattern/mod.rs",
    "console/mod.rs",
    "run/command/mod.rs",
    "run/mod.rs",
    "run/command/mod.rs",
    "run/supervise.rs",
    "run/vrrp/mod.rs",
    "io/mod.rs",
    "cli.rs",
];

#[test]
fn no_room_knows_one_that_stands_above_it() {
    for (room, may) in ARROWS {
        for source in sources(room) {
            for (number, line) in code(&source) {
                for other in line
                    .match_indices("crate::")
                    .filter_map(|(at, _)| named(&line[at + 7..]))
                {
                    let own = *room == other;
                    assert!(
                        own || may.contains(&other),
                        "{}:{number}: {room} names {other}",
                        source.display()
                    );
                }
            }
        }
    }
}

#[test]
fn every_room_is_on_the_map() {
    let rooms = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let rooms = rooms.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    for room in rooms.filter(|room| !["lib", "main"].contains(&room.as_str())) {
        assert!(
            ARROWS.iter().any(|(name, _)| *name == room),
            "{room} has no row"
        );
    }
}

#[test]
fn engines_know_neither_sockets_nor_clocks_nor_files() {
    for room in UNWORLDLY {
        for source in sources(room) {
            for (number, line) in code(&source) {
                let found = WORLDLY.iter().find(|word| line.contains(*word));
                assert_eq!(found, None, "{}:{number}: {line}", source.display());
                let files = line.contains("std::fs") && *room != "config";
                assert!(!files, "{}:{number}: {line}", source.display());
            }
        }
    }
}

#[test]
fn unsafe_code_stands_in_one_place_and_gives_its_reason() {
    for source in all(&root()) {
        let place = source.strip_prefix(root()).unwrap();
        if place.starts_with("io/sys") || place == Path::new("io/sys.rs") {
            let text = fs::read_to_string(&source).unwrap();
            let blocks = text.matches("unsafe {").count();
            let reasons = text.matches("SAFETY:").count();
            assert!(
                reasons > 0 || blocks == 0,
                "{}: unsafe without a reason",
                source.display()
            );
            continue;
        }
        for (number, line) in code(&source) {
            assert!(
                !line.contains("unsafe "),
                "{}:{number}: {line}",
                source.display()
            );
        }
    }
}

#[test]
fn features_are_asked_for_at_the_doors_only() {
    for source in all(&root()) {
        let place = source.strip_prefix(root()).unwrap().to_str().unwrap();
        if DOORS.contains(&place) {
            continue;
        }
        for (number, line) in code(&source) {
            assert!(!line.contains("feature ="), "{place}:{number}: {line}");
        }
    }
}

/// The static binaries have no `Debug` (cross/build): of what it would write they write nothing.
#[test]
fn nothing_that_people_read_is_written_by_debug() {
    for source in all(&root()) {
        for (number, line) in code(&source) {
            let debug = line.contains(":?}") || line.contains(":#?}");
            assert!(!debug, "{}:{number}: {line}", source.display());
        }
    }
}

#[test]
fn no_part_starts_a_second_thread_by_convenience() {
    let helpers = [
        "smol::Timer",
        "smol::Async",
        "smol::process",
        "smol::unblock",
        "smol::net",
        "smol::fs",
        "thread::spawn",
    ];
    for source in all(&root()) {
        for (number, line) in code(&source) {
            let found = helpers.iter().find(|word| line.contains(*word));
            assert_eq!(found, None, "{}:{number}: {line}", source.display());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a room: `src/room.rs`, and all below `src/room/`.
fn sources(room: &str) -> Vec<PathBuf> {
    let mut found = all(&root().join(room));
    found.extend(Some(root().join(format!("{room}.rs"))).filter(|file| file.exists()));
    found
}

fn all(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let files = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    files
        .chain(folders.iter().flat_map(|folder| all(folder)))
        .collect()
}

/// Numbered lines of code, without comments and without what follows `mod tests`.
fn code(source: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(source).unwrap();
    let lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim().to_owned()));
    let own = lines.take_while(|(_, line)| line != "mod tests {");
    own.filter(|(_, line)| !line.starts_with("//")).collect()
}

/// The room that a path behind `crate::` begins with.
fn named(path: &str) -> Option<&'static str> {
    let end = path
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(path.len());
    let first = path.get(..end)?;
    ARROWS
        .iter()
        .map(|(room, _)| *room)
        .find(|room| *room == first)
}
