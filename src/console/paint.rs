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
    /// Adds lines of `text`, those but the first further in by `indent`; the first `word` among them is in this colour, or all
    /// where it is the text itself.
    pub fn lines(self, out: &mut String, text: &str, word: &str, colour: Colour, indent: usize) {
        let all = word == text;
        let mut word = Some(word).filter(|_| !all);
        let mut by = 0;
        for line in wrap_below(text, self.width, indent) {
            pad(out, by);
            by = indent;
            let parts = word.and_then(|word| Some((line.split_once(word)?, word)));
            if let Some(((before, after), found)) = parts {
                out.push_str(before);
                self.put(out, colour, found);
                out.push_str(after);
                word = None;
            } else {
                self.put(out, if all { colour } else { Colour::Plain }, line);
            }
            out.push('\n');
        }
    }

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
    fn width(&self) -> usize {
        self.text.chars().count()
    }

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

/// The narrowest that a column gets for want of room.
const HEAD: usize = 8;

/// So much is left for the last column at least.
const LEAST: usize = 24;

/// Where it begins when it stands below the others.
const BELOW: usize = 4;

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
        let layout = Layout::of(&self.0, paint);
        for row in &self.0 {
            layout.write(row, out);
        }
    }
}

/// Where the columns of a table stand.
struct Layout {
    /// Of all columns but the last.
    widths: Vec<usize>,
    /// Between two columns.
    gap: usize,
    /// The last one stands on lines of its own.
    below: bool,
    paint: Paint,
}

impl Layout {
    fn of(rows: &[Vec<Cell>], paint: Paint) -> Self {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(Cell::width).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..columns.saturating_sub(1)).map(width).collect();
        // Where there is too little room the widest column gives of its own, and then the gaps do.
        let total = |widths: &[usize], gap| widths.iter().map(|width| width + gap).sum::<usize>();
        let excess = total(&widths, GAP).saturating_sub(paint.width);
        if let Some(widest) = widths.iter_mut().max() {
            *widest -= excess.min(widest.saturating_sub(HEAD));
        }
        let gap = if total(&widths, GAP) > paint.width {
            1
        } else {
            GAP
        };
        Self {
            below: total(&widths, gap) + LEAST > paint.width,
            widths,
            gap,
            paint,
        }
    }

    fn write(&self, row: &[Cell], out: &mut String) {
        let (paint, mut at, mut owed) = (self.paint, 0, 0);
        for (cell, width) in row.iter().zip(&self.widths) {
            pad(out, owed);
            let long = cell.width();
            if long > *width {
                // What follows stands in its column below.
                self.write_lines(cell, at, 0, out);
                owed = at + width + self.gap;
            } else {
                paint.put(out, cell.colour, &cell.text);
                owed = width + self.gap - long;
            }
            at += width + self.gap;
        }
        let last = row.get(self.widths.len());
        // A head of what stands below would be alone there.
        let is_shown =
            |cell: &&Cell| !(cell.text.is_empty() || self.below && cell.colour == Colour::Dim);
        match last.filter(is_shown) {
            None if out.ends_with('\n') => {}
            None => out.push('\n'),
            Some(last) if self.below && at > 0 => {
                if !out.ends_with('\n') {
                    out.push('\n');
                }
                self.write_lines(last, BELOW, BELOW, out);
            }
            Some(last) => self.write_lines(last, at, owed, out),
        }
    }

    /// Writes a cell from column `at` on, as many lines as it needs; `owed` blanks are to be written first.
    fn write_lines(&self, cell: &Cell, at: usize, owed: usize, out: &mut String) {
        let mut by = owed;
        for line in wrap(&cell.text, self.paint.width.saturating_sub(at).max(1)) {
            pad(out, by);
            self.paint.put(out, cell.colour, line);
            out.push('\n');
            by = at;
        }
    }
}

fn pad(out: &mut String, by: usize) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{:by$}", "");
}

/// Lines of at most so many columns, of which those but the first begin further in by `indent`.
fn wrap_below(text: &str, width: usize, indent: usize) -> impl Iterator<Item = &str> {
    let first = wrap(text, width).next().unwrap_or_default();
    let rest = text.get(first.len()..).unwrap_or_default().trim_start();
    let below = wrap(rest, width.saturating_sub(indent).max(1));
    core::iter::once(first).chain(below.filter(|line| !line.is_empty()))
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
        let is_between = |at: &usize| fits.get(..*at).is_some_and(|line| !line.trim().is_empty());
        let (line, next) = match fits.rfind(' ').filter(is_between) {
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
