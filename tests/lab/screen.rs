//! How the story looks: 80 columns, colours and bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

/// Cells of a bar; with its label a line of 78 columns.
pub(crate) const CELLS: usize = 64;

/// What a piece of text means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Title,
    Good,
    Bad,
    Dim,
}

/// The terminal, or the file that stands in for one.
pub(crate) struct Screen {
    bars: bool,
    colours: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        // https://no-color.org
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self {
            bars: terminal,
            colours,
        }
    }

    pub(crate) fn ink(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Title => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Dim => "2",
        };
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn line(&self, text: &str) {
        println!("{text}");
    }

    pub(crate) fn title(&self, text: &str) {
        println!("\n{}", self.ink(Ink::Title, text));
    }

    /// Something happened, so long after the event of the scene.
    pub(crate) fn event(&self, after: Duration, ink: Ink, text: &str) {
        let when = format!("{:7.3} s", after.as_secs_f64());
        println!("  {}  {}", self.ink(Ink::Dim, &when), self.ink(ink, text));
    }

    /// One row of a picture of time: a label and its cells.
    pub(crate) fn row(&self, label: &str, cells: &[(char, Ink)]) {
        if !self.bars {
            return;
        }
        let mut text = String::new();
        for run in cells.chunk_by(|a, b| a.1 == b.1) {
            let piece: String = run.iter().map(|(cell, _)| cell).collect();
            text.push_str(&self.ink(run[0].1, &piece));
        }
        println!("  {label:<10}{text}");
    }

    /// The scale under such rows.
    pub(crate) fn scale(&self, text: &str) {
        if self.bars {
            println!("{}", self.ink(Ink::Dim, text));
        }
    }
}

/// "361.1 ms".
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
