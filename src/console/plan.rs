//! What a reload would change, as the difference of two configurations in their canonical form, block by block.

use core::fmt;

use super::json::Json;
use super::paint::{Colour, Paint};

/// A block that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its first line without the brace.
    pub block: String,
    /// What becomes of it.
    pub fate: Fate,
    /// The lines that go, and those that come, with the blocks inside it that they stand in.
    pub lines: Vec<(bool, String)>,
    /// What that means for what runs.
    pub meaning: String,
}

/// What becomes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Comes,
    /// It is no longer there.
    Goes,
    /// It is another one.
    Changes,
}

/// The blocks that differ, in the order of the new text, then those that go.
#[must_use]
pub fn difference(old: &str, new: &str) -> Vec<Change> {
    let (old, new) = (blocks(old), blocks(new));
    let mut changes = Vec::new();
    let mut change = |block: &String, fate, before: &[String], after: &[String]| {
        let lines = lines_that_differ(before, after);
        let meaning = of_the_start(block, &lines);
        changes.push(Change {
            block: block.clone(),
            fate,
            // Of a block that comes or goes, all of them.
            lines: Some(lines)
                .filter(|_| fate == Fate::Changes)
                .unwrap_or_default(),
            meaning: meaning.unwrap_or_default(),
        });
    };
    for (block, lines) in &new {
        match old.iter().find(|(other, _)| other == block) {
            None => change(block, Fate::Comes, &[], lines),
            Some((_, before)) if before == lines => {}
            Some((_, before)) => change(block, Fate::Changes, before, lines),
        }
    }
    for (block, lines) in &old {
        if new.iter().all(|(other, _)| other != block) {
            change(block, Fate::Goes, lines, &[]);
        }
    }
    changes
}

/// Settings that a reload leaves as they are.
const OF_THE_START: [&str; 4] = ["control_socket", "instance", "net_namespace", "use_pid_dir"];

/// What is to be said of a change that a reload does not carry out.
fn of_the_start(block: &str, lines: &[(bool, String)]) -> Option<String> {
    let lines = lines.iter().map(|(_, line)| line.as_str()).chain([block]);
    let mut keywords = lines.filter_map(|line| line.split(' ').next());
    let keyword = keywords.find(|keyword| OF_THE_START.contains(keyword))?;
    Some(if block.starts_with(keyword) {
        "at the next start only".to_owned()
    } else {
        format!("{keyword} at the next start only")
    })
}

/// Top-level blocks, by their first line, each with its lines; a line outside any block is one by itself.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "}" {
            inside.pop();
            continue;
        }
        let head = line.strip_suffix(" {");
        if inside.is_empty() {
            blocks.push((head.unwrap_or(line).to_owned(), Vec::new()));
        } else if let (Some((_, lines)), None) = (blocks.last_mut(), head) {
            let path = inside.iter().skip(1).map(|block| format!("{block}: "));
            lines.push(path.collect::<String>() + line);
        }
        inside.extend(head);
    }
    blocks
}

fn lines_that_differ(old: &[String], new: &[String]) -> Vec<(bool, String)> {
    let without = |these: &[String], others: &[String]| -> Vec<String> {
        let mut others: Vec<&String> = others.iter().collect();
        let gone = |line: &&String| match others.iter().position(|other| other == line) {
            Some(at) => {
                others.swap_remove(at);
                false
            }
            None => true,
        };
        these.iter().filter(gone).cloned().collect()
    };
    let goes = without(old, new).into_iter().map(|line| (false, line));
    let comes = without(new, old).into_iter().map(|line| (true, line));
    goes.chain(comes).collect()
}

/// The changes as text.
pub fn write(changes: &[Change], paint: Paint, out: &mut String) {
    for change in changes {
        let (sign, colour) = match change.fate {
            Fate::Comes => ("+", Colour::Green),
            Fate::Goes => ("-", Colour::Red),
            Fate::Changes => ("~", Colour::Yellow),
        };
        let block = format!("{sign} {}", change.block);
        let text = match change.meaning.as_str() {
            "" => block.clone(),
            meaning => format!("{block}: {meaning}"),
        };
        paint.lines(out, &text, &block, colour, 2);
        for (comes, line) in &change.lines {
            let (sign, colour) = if *comes {
                ("+", Colour::Green)
            } else {
                ("-", Colour::Red)
            };
            let text = format!("    {sign} {line}");
            paint.lines(out, &text, &text, colour, 6);
        }
    }
}

/// The same for programs: elements of a list.
pub fn write_json(changes: &[Change], list: &mut Json<'_>) -> fmt::Result {
    changes.iter().try_for_each(|change| {
        list.object(|o| {
            o.text("block", &change.block)?;
            o.text(
                "change",
                match change.fate {
                    Fate::Comes => "comes",
                    Fate::Goes => "goes",
                    Fate::Changes => "changes",
                },
            )?;
            o.text("meaning", &change.meaning)?;
            let of = |wanted: bool| {
                let lines = change.lines.iter();
                lines
                    .filter(move |(comes, _)| *comes == wanted)
                    .map(|(_, line)| line)
            };
            o.array("removed", of(false))?;
            o.array("added", of(true))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "\
use_pid_dir
global_defs {
    router_id a
}
vrrp_instance A {
    priority 100
    virtual_ipaddress {
        10.0.0.1/24
        10.0.0.2/24
    }
}
vrrp_instance B {
    priority 100
}
";
    const NEW: &str = "\
global_defs {
    router_id a
}
vrrp_instance A {
    priority 150
    virtual_ipaddress {
        10.0.0.2/24
        10.0.0.3/24
    }
}
vrrp_instance C {
    priority 100
}
";

    #[test]
    fn a_plan_names_blocks_that_come_go_and_change_and_the_lines_in_which() {
        let mut out = String::new();
        let paint = Paint {
            width: 80,
            colour: false,
        };
        write(&difference(OLD, NEW), paint, &mut out);
        let expected = "\
~ vrrp_instance A
    - priority 100
    - virtual_ipaddress: 10.0.0.1/24
    + priority 150
    + virtual_ipaddress: 10.0.0.3/24
+ vrrp_instance C
- use_pid_dir: at the next start only
- vrrp_instance B
";
        assert_eq!(out, expected);
    }

    #[test]
    fn what_a_reload_leaves_as_it_is_takes_effect_at_the_next_start() {
        let socket = "global_defs {\n    router_id a\n    control_socket off\n}\n";
        for (old, new) in [(OLD, socket), ("", socket), (socket, "")] {
            let changes = difference(old, new);
            let global = changes.iter().find(|change| change.block == "global_defs");
            assert_eq!(
                global.map(|change| change.meaning.as_str()),
                Some("control_socket at the next start only")
            );
        }
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        assert_eq!(difference(OLD, OLD), []);
    }
}
