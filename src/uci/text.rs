//! Text of a keepalived.conf, as it grows.

use core::fmt::{self, Display, Write};

/// Lines, indented by the blocks that are open.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    depth: usize,
}

impl Text {
    pub(super) fn line(&mut self, line: impl Display) {
        let indent = self.depth * 4;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }

    /// A keyword with a value that may be words.
    pub(super) fn put(&mut self, keyword: &str, value: &str) {
        self.line(format_args!("{keyword} {}", Quoted(value)));
    }

    /// Lines one step further in.
    pub(super) fn inside(&mut self, fill: impl FnOnce(&mut Self)) {
        self.depth += 1;
        fill(self);
        self.depth -= 1;
    }

    /// A block; without anything in it, nothing.
    pub(super) fn block(&mut self, head: impl Display, fill: impl FnOnce(&mut Self)) {
        let before = self.text.len();
        self.line(format_args!("{head} {{"));
        let empty = self.text.len();
        self.inside(fill);
        if self.text.len() == empty {
            self.text.truncate(before);
        } else {
            self.line('}');
        }
    }
}

/// A value in double quotes unless it is one plain word. A double quote or a new line within could not be written: it
/// becomes a blank.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:/-+,%@=".contains(&b);
        if !self.0.is_empty() && self.0.bytes().all(plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for letter in self.0.chars() {
            f.write_char(if matches!(letter, '"' | '\n') {
                ' '
            } else {
                letter
            })?;
        }
        f.write_char('"')
    }
}
