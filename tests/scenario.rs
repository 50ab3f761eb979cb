//! The engine's behaviour, a file per rule in tests/scenario: what happens to it, and what it does. [`play`] tells how they are
//! written.
//!
//! `UPDATE=1 cargo test --test scenario` writes the answers into the files; the review is in the difference. A recording that
//! `keepalite --record FILE` has written is such a file too.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod made;
mod play;

use std::path::Path;
use std::{env, fs};

#[test]
fn every_scenario_goes_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenario");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("tests/scenario is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let update = env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).expect("readable");
        let place = path.display().to_string();
        let played = play::play(&text, &place);
        if played == text {
            continue;
        }
        if update {
            fs::write(path, &played).expect("writable");
        } else {
            wrong.push(play::difference(&place, &text, &played));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} of {} scenarios differ; UPDATE=1 rewrites them",
        wrong.join("\n"),
        wrong.len(),
        files.len()
    );
}
