//! Conversations by example, in `conversation/*.txt`: a check, what is said (`>`) and heard (`<`), and how it ends (`=`).
//!
//! Bytes that cannot be printed are written as in a string of Rust. `end` is the end of the stream, `silence` that
//! `connect_timeout` has passed. Each is played again with what is heard cut in two at every byte, and byte by byte, which
//! must change nothing. `UPDATE=1` writes anew what is said and how it ends.

use core::fmt::Write;
use std::fs;
use std::path::Path;

use keepalite::check::conversation::{Conversation, Outcome, Step, Transport};
use keepalite::model::lvs::Checker;

use crate::made;

const NONCE: u32 = 0x1234_5678;

/// What happens to a conversation.
#[derive(Clone, Debug)]
enum Event {
    Heard(Vec<u8>),
    End,
    Silence,
}

#[test]
fn every_conversation_goes_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks/conversation");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    let mut played = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let cases: Vec<String> = text.split("\n\n").map(play).collect();
        played += cases.len();
        let found = cases.join("\n\n") + "\n";
        if update {
            fs::write(&path, found).unwrap();
        } else if found != text {
            let _ = write!(wrong, "{}:\n{found}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(played > 0);
}

/// A case as it should be written.
fn play(case: &str) -> String {
    let case = case.trim_end();
    let ours = |line: &&str| {
        let played = ["> ", "< ", "= "].iter().any(|sign| line.starts_with(sign));
        !played && !["end", "silence"].contains(line)
    };
    let head: Vec<&str> = case.lines().take_while(ours).collect();
    let head = head.join("\n");
    let check = head.lines().filter(|line| !line.starts_with('#'));
    let server = match head.contains("[v6]") {
        true => "[2001:db8::1]:80",
        false => "192.0.2.1:80",
    };
    let check = check.collect::<Vec<_>>().join("\n");
    let Some(checker) = made::check_if_built(&check, server.parse().unwrap()) else {
        return case.to_owned();
    };
    let events: Vec<Event> = case.lines().filter_map(event).collect();
    let mut text = head.clone();
    let (said, outcome) = talk(&checker, &events, Some(&mut text));
    for cut in cuts(&checker, &events) {
        let again = talk(&checker, &cut, None);
        assert_eq!(again, (said.clone(), outcome.clone()), "{case}\n{cut:?}");
    }
    let _ = match outcome {
        None => write!(text, "\n= listens"),
        Some(Outcome::Passed) => write!(text, "\n= passed"),
        Some(Outcome::Failed(reason)) => write!(text, "\n= failed: {reason}"),
        Some(Outcome::Untried(reason)) => write!(text, "\n= untried: {reason}"),
    };
    text
}

fn event(line: &str) -> Option<Event> {
    match line {
        "end" => Some(Event::End),
        "silence" => Some(Event::Silence),
        _ => Some(Event::Heard(unescape(line.strip_prefix("< ")?))),
    }
}

/// All that is said, and how it ends; `None` if it has not.
fn talk(
    checker: &Checker,
    events: &[Event],
    mut story: Option<&mut String>,
) -> (Vec<u8>, Option<Outcome>) {
    let mut conversation = Conversation::new(checker, 0, NONCE).expect("a check that talks");
    let (mut out, mut said) = (Vec::new(), Vec::new());
    let mut step = conversation.opened(&mut out);
    let mut events = events.iter();
    loop {
        if let Some(story) = story.as_mut().filter(|_| !out.is_empty()) {
            let _ = write!(story, "\n> {}", out.escape_ascii());
        }
        said.append(&mut out);
        if let Step::Done(outcome) = step {
            return (said, Some(outcome));
        }
        let Some(event) = events.next() else {
            return (said, None);
        };
        if let Some(story) = &mut story {
            let _ = match event {
                Event::Heard(bytes) => write!(story, "\n< {}", bytes.escape_ascii()),
                Event::End => write!(story, "\nend"),
                Event::Silence => write!(story, "\nsilence"),
            };
        }
        step = match event {
            Event::Heard(bytes) => conversation.heard(bytes, &mut out),
            Event::End => conversation.closed(),
            Event::Silence => Step::Done(conversation.expired()),
        };
    }
}

/// The same, otherwise cut up.
fn cuts(checker: &Checker, events: &[Event]) -> Vec<Vec<Event>> {
    let conversation = Conversation::new(checker, 0, NONCE).unwrap();
    if !matches!(
        conversation.transport(),
        Transport::Stream | Transport::Tls { .. }
    ) {
        return Vec::new();
    }
    let mut cuts = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let Event::Heard(bytes) = event else { continue };
        for at in 1..bytes.len() {
            let (first, second) = bytes.split_at(at);
            let halves = [first, second].map(|half| Event::Heard(half.to_vec()));
            let mut cut = events.to_vec();
            cut.splice(place..=place, halves);
            cuts.push(cut);
        }
    }
    let bytes = events.iter().flat_map(|event| match event {
        Event::Heard(bytes) => bytes.iter().map(|byte| Event::Heard(vec![*byte])).collect(),
        other => vec![other.clone()],
    });
    cuts.push(bytes.collect());
    cuts
}

/// Undoes `escape_ascii`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(core::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                Some(other) => other,
                None => panic!("a backslash at the end of {text}"),
            },
            other => other,
        };
        bytes.push(byte);
    }
    bytes
}
