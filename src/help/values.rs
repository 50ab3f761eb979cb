//! What a keyword can be given, as its own parser says when it is given something else.

use std::path::Path;

use crate::config::files::Memory;
use crate::config::keys::Row;
use crate::config::{Options, load_from};

/// No number, no time, and no word that any keyword knows.
const NONSENSE: &str = "?";

/// What may follow in the place of a name, an address and a port.
const NAME: &str = "192.0.2.1 1";

/// What is expected after a keyword, such as `1 to 255`; `None` where its parser has no list or range. `rows` are those of
/// [`crate::config::keys::table`].
#[must_use]
pub fn values(row: Row, rows: &[Row]) -> Option<String> {
    let mut text = String::new();
    let around = around(row.block, rows);
    for block in around.iter().rev() {
        text.push_str(&format!("{block} {NAME} {{\n"));
    }
    text.push_str(&format!("{} {NONSENSE}\n", row.keyword));
    text.push_str(&"}\n".repeat(around.len()));
    let mut files = Memory::new();
    files.insert("it", text);
    let loaded = load_from(&files, Path::new("it"), &Options::default()).ok()?;
    let line = u32::try_from(around.len() + 1).ok()?;
    let mut hints = loaded.diags.iter().filter(|diag| diag.at.line == line);
    let expected = hints.find_map(|diag| diag.hint.as_deref()?.strip_prefix("expected "))?;
    // The words for yes and no are known.
    (!expected.starts_with("on, off")).then(|| expected.to_owned())
}

/// A block and those that it stands in, outermost last.
fn around(block: &'static str, rows: &[Row]) -> Vec<&'static str> {
    let mut around = Vec::new();
    let mut inner = block;
    while !inner.is_empty() && !around.contains(&inner) {
        around.push(inner);
        let home = rows.iter().find(|row| row.keyword == inner);
        inner = home.map_or("", |row| row.block);
    }
    around
}
