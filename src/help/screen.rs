//! What `keepalite help` prints.

use super::{Entry, Section, sections, values};
use crate::config::keys::{Row, Status, nearest, table};
use crate::console::paint::{Cell, Colour, Paint, Table, wrap};

/// All blocks, where they stand and what they are for, and what stands in none.
#[must_use]
pub fn blocks(paint: Paint) -> String {
    let (rows, sections) = (table(), sections());
    let mut table = Table::with_heads(&["BLOCK", "IN", "WHAT"]);
    let mut outside = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let obeyed = !matches!(row.status, Status::Ignored(_));
        let Some(entry) = entry(row, &sections).filter(|_| obeyed) else {
            continue;
        };
        // Lists of a block's name that stand in other blocks come later.
        let again = rows
            .iter()
            .take(at)
            .any(|other| other.keyword == row.keyword);
        if holds(row.keyword, &rows).next().is_none() {
            outside.extend(Some(row.keyword).filter(|_| row.block.is_empty()));
        } else if !again {
            let what = entry.text.first().copied().unwrap_or_default();
            table.row([row.keyword.into(), row.block.into(), what.into()]);
        }
    }
    let mut out = String::new();
    table.write(paint, &mut out);
    let outside = format!("\nOutside of these: {}.", outside.join(", "));
    let more = "\n`keepalite help BLOCK` lists what can stand in one, `keepalite help [BLOCK] KEYWORD` explains a keyword.";
    for text in [outside.as_str(), more] {
        lines(text, paint, &mut out);
    }
    out
}

/// What a keyword is, in every block that has it or in one of them.
///
/// # Errors
/// Nothing is called so: what may have been meant.
pub fn keyword(block: Option<&str>, word: &str, paint: Paint) -> Result<String, String> {
    let (rows, sections) = (table(), sections());
    let here = |row: &&Row| block.is_none_or(|block| row.block.eq_ignore_ascii_case(block));
    let called = |row: &&Row| row.keyword.eq_ignore_ascii_case(word);
    let mut topics: Vec<Topic<'_>> = Vec::new();
    for row in rows.iter().filter(called).filter(here) {
        let entry = entry(row, &sections);
        let known = topics.iter_mut().find(|topic| {
            topic.row.status == row.status
                && topic.entry.map(core::ptr::from_ref) == entry.map(core::ptr::from_ref)
        });
        match known {
            Some(topic) => topic.blocks.push(row.block),
            None => topics.push(Topic {
                row: *row,
                blocks: vec![row.block],
                entry,
            }),
        }
    }
    if topics.is_empty() {
        return Err(unknown(block, word, &rows, &sections));
    }
    let mut out = String::new();
    for topic in topics {
        if !out.is_empty() {
            out.push('\n');
        }
        topic.write(&rows, paint, &mut out);
    }
    Ok(out)
}

/// A keyword in the blocks where it means the same.
struct Topic<'a> {
    row: Row,
    blocks: Vec<&'static str>,
    entry: Option<&'a Entry>,
}

impl Topic<'_> {
    fn write(&self, rows: &[Row], paint: Paint, out: &mut String) {
        let none = Entry {
            heads: vec![self.row.keyword],
            ..Entry::default()
        };
        let entry = self.entry.unwrap_or(&none);
        for head in &entry.heads {
            lines(head, paint, out);
        }
        out.push('\n');
        match self.row.status {
            Status::Ignored(why) => {
                lines(&format!("Accepted without effect: {why}."), paint, out);
            }
            Status::Obeyed => lines(&entry.text.join(" "), paint, out),
            Status::Feature(feature) => {
                lines(&entry.text.join(" "), paint, out);
                let lack = format!("It needs the feature '{feature}', which this build lacks.");
                lines(&lack, paint, out);
            }
        }
        out.push('\n');
        let places = self.blocks.iter().map(|block| match *block {
            "" => "the top level",
            block => block,
        });
        let holds: Vec<_> = holds(self.row.keyword, rows).collect();
        let facts = [
            ("in", places.collect::<Vec<_>>().join(", ")),
            ("values", values::values(self.row, rows).unwrap_or_default()),
            ("default", entry.default.to_owned()),
            ("keepalived", entry.keepalived.to_owned()),
            ("holds", holds.join(", ")),
        ];
        let mut table = Table::default();
        for (name, fact) in facts {
            if !fact.is_empty() {
                table.row([Cell::from(name).coloured(Colour::Dim), fact.into()]);
            }
        }
        table.write(paint, out);
    }
}

/// The keywords of a block.
fn holds(block: &str, rows: &[Row]) -> impl Iterator<Item = &'static str> {
    let inside = rows.iter().filter(move |row| row.block == block);
    inside.map(|row| row.keyword)
}

fn entry<'a>(row: &Row, sections: &'a [Section]) -> Option<&'a Entry> {
    let here = sections
        .iter()
        .filter(|section| section.blocks.contains(&row.block));
    let mut entries = here.flat_map(|section| &section.entries);
    entries.find(|entry| entry.keywords().contains(&row.keyword))
}

fn lines(text: &str, paint: Paint, out: &mut String) {
    for line in wrap(text, paint.width) {
        out.push_str(line);
        out.push('\n');
    }
}

/// What somebody may have meant: a keyword that is nearly the same, or one in whose lines the word stands.
fn unknown(block: Option<&str>, word: &str, rows: &[Row], sections: &[Section]) -> String {
    let is_block = |name: &str| rows.iter().any(|row| row.block.eq_ignore_ascii_case(name));
    if let Some(block) = block.filter(|block| !is_block(block)) {
        return format!("there is no block {block}; keepalite help lists those that there are");
    }
    if let Some(row) = rows
        .iter()
        .find(|row| row.keyword.eq_ignore_ascii_case(word))
    {
        let (block, home) = (block.unwrap_or_default(), row.block);
        return match home {
            "" => format!("{word} does not stand in {block}, but at the top level"),
            home => format!("{word} does not stand in {block}, but in {home}"),
        };
    }
    if let Some((near, _)) = nearest(word, rows.iter().map(|row| row.keyword)) {
        return format!("there is no keyword {word}: did you mean {near}?");
    }
    let mentions = |entry: &&Entry| {
        let texts = entry.heads.iter().chain(&entry.text);
        let mut words = texts
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-'));
        words.any(|said| said == word)
    };
    let entry = sections
        .iter()
        .flat_map(|section| &section.entries)
        .find(mentions);
    match entry.and_then(|entry| entry.keywords().first().copied()) {
        Some(keyword) => format!("{word} is no keyword of its own; see keepalite help {keyword}"),
        None => format!("there is no keyword {word}; keepalite help lists the blocks"),
    }
}
