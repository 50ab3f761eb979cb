//! Tables on a terminal.

use core::fmt::Write;

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// As everything else.
    Plain,
    /// Heads of tables.
    Dim,
    /// All is well.
    Green,
    /// Ready, but not in charge.
    Blue,
    /// Worth a look.
    Yellow,
    /// Broken.
    Red,
}

impl Colour {
    /// Codes of ECMA-48 (SGR), which every terminal knows.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Green => "\x1b[32m",
            Self::Blue => "\x1b[34m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}

/// What a screen can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Columns.
    pub width: usize,
    /// Whether there are colours.
    pub colour: bool,
}

impl Paint {
    /// Adds `text` in this colour.
    pub fn put(self, out: &mut String, colour: Colour, text: &str) {
        if self.colour && colour != Colour::Plain {
            out.push_str(colour.code());
            out.push_str(text);
            out.push_str("\x1b[0m");
        } else {
            out.push_str(text);
        }
    }
}

/// One field of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    colour: Colour,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        let colour = Colour::Plain;
        Self { text, colour }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl Cell {
    /// The same in another colour.
    #[must_use]
    pub fn coloured(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }
}

/// Rows whose columns stand below each other; the last one takes what is left of the line, and goes on below itself.
#[derive(Debug, Default)]
pub struct Table(Vec<Vec<Cell>>);

/// Between two columns.
const GAP: usize = 2;

/// So much is left for the last column at least.
const LEAST: usize = 24;

impl Table {
    /// A table with heads.
    #[must_use]
    pub fn with_heads(heads: &[&str]) -> Self {
        let heads = heads
            .iter()
            .map(|head| Cell::from(*head).coloured(Colour::Dim));
        Self(vec![heads.collect()])
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.0.push(cells.into());
    }

    /// Whether it has no row but its heads.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() < 2
    }

    /// Writes it.
    pub fn write(&self, paint: Paint, out: &mut String) {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns.saturating_sub(1))
            .map(|column| {
                let cells = self.0.iter().filter_map(|row| row.get(column));
                cells
                    .map(|cell| cell.text.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let left: usize = widths.iter().map(|width| width + GAP).sum();
        let below = left + LEAST > paint.width;
        for row in &self.0 {
            self.write_row(row, &widths, below, paint, out);
        }
    }

    fn write_row(
        &self,
        row: &[Cell],
        widths: &[usize],
        below: bool,
        paint: Paint,
        out: &mut String,
    ) {
        let mut at = 0;
        let mut owed = 0;
        for (cell, width) in row.iter().zip(widths) {
            pad(out, owed);
            paint.put(out, cell.colour, &cell.text);
            owed = (width + GAP).saturating_sub(cell.text.chars().count());
            at += width + GAP;
        }
        let Some(last) = row.get(widths.len()).filter(|cell| !cell.text.is_empty()) else {
            out.push('\n');
            return;
        };
        let indent = if below { 4 } else { at };
        if below && last.colour == Colour::Dim {
            out.push('\n');
            return;
        }
        if below && at > 0 {
            out.push('\n');
            owed = indent;
        }
        let mut lines = wrap(&last.text, paint.width.saturating_sub(indent).max(1));
        if let Some(first) = lines.next() {
            pad(out, owed);
            paint.put(out, last.colour, first);
            out.push('\n');
        }
        for line in lines {
            pad(out, indent);
            paint.put(out, last.colour, line);
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, by: usize) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{:by$}", "");
}

/// Lines of at most so many columns, broken at blanks where there are some, and at line ends.
pub fn wrap(text: &str, width: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let (paragraph, further) = match text.split_once('\n') {
            Some((paragraph, further)) => (paragraph, Some(further)),
            None => (text, None),
        };
        let end = paragraph.char_indices().nth(width).map(|(at, _)| at);
        let Some(end) = end else {
            rest = further;
            return Some(paragraph);
        };
        // A blank that would be the first one of the next line ends this one.
        let fits = paragraph.get(..=end).unwrap_or(paragraph);
        let (line, next) = match fits.rfind(' ').filter(|at| *at > 0) {
            Some(blank) => (text.get(..blank), text.get(blank + 1..)),
            None => (text.get(..end), text.get(end..)),
        };
        rest = next;
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Paint = Paint {
        width: 40,
        colour: false,
    };

    fn table() -> Table {
        let mut table = Table::with_heads(&["ROUTER", "STATE", "WHY"]);
        let why = "10.0.0.2 is master with 150, and has been so for hours";
        table.row([
            "VI_1".into(),
            Cell::from("MASTER").coloured(Colour::Green),
            why.into(),
        ]);
        table.row(["a-longer-one".into(), "FAULT".into(), "".into()]);
        table
    }

    fn written(table: &Table, paint: Paint) -> String {
        let mut out = String::new();
        table.write(paint, &mut out);
        out
    }

    #[test]
    fn the_last_column_goes_on_below_itself() {
        let wide = Paint {
            width: 50,
            ..NARROW
        };
        let expected = "\
ROUTER        STATE   WHY
VI_1          MASTER  10.0.0.2 is master with 150,
                      and has been so for hours
a-longer-one  FAULT   \n";
        assert_eq!(
            written(&table(), wide),
            expected.replace("FAULT   \n", "FAULT\n")
        );
    }

    #[test]
    fn where_there_is_no_room_it_stands_on_a_line_of_its_own() {
        let expected = "\
ROUTER        STATE
VI_1          MASTER
    10.0.0.2 is master with 150, and has
    been so for hours
a-longer-one  FAULT
";
        assert_eq!(written(&table(), NARROW), expected);
    }

    #[test]
    fn colours_take_no_room() {
        let coloured = Paint {
            width: 80,
            colour: true,
        };
        let text = written(&table(), coloured);
        assert!(text.contains("\x1b[32mMASTER\x1b[0m  10.0.0.2"), "{text:?}");
    }

    #[test]
    fn a_line_is_never_wider_than_the_screen_unless_a_word_is() {
        let text = "one two three four\nfive sixseveneightnine ten";
        let lines: Vec<&str> = wrap(text, 9).collect();
        assert_eq!(
            lines,
            [
                "one two",
                "three",
                "four",
                "five",
                "sixsevene",
                "ightnine",
                "ten"
            ]
        );
        assert_eq!(
            wrap("exactly nine", 7).collect::<Vec<_>>(),
            ["exactly", "nine"]
        );
    }
}
