//! The files that were read, and the lines that they amount to.
//!
//! A [`Line`] is what is left when includes are followed and comments, conditions, definitions, sequences and lists are
//! worked out. Nearly all lines are plain ranges of a file's text; a line that was made by substitution carries its own
//! text and a map back to the places it came from, so that every word can be shown where a person wrote it.

use core::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diag::Span;
use super::files::Files;

/// Texts and names of the files that were read.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: Rc<String>,
    starts: OnceCell<Vec<u32>>,
}

impl Sources {
    /// The name of a file as it was asked for.
    #[must_use]
    pub fn name(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", |s| &s.name)
    }

    /// The names of all files that were read, the main file first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|s| s.name.as_str())
    }

    /// The line of a place, without its end; `None` where the place is a whole file.
    #[must_use]
    pub fn line(&self, at: Span) -> Option<&str> {
        let source = self.files.get(usize::from(at.file))?;
        let starts = source.starts.get_or_init(|| {
            let ends = source.text.match_indices('\n').map(|(i, _)| i as u32 + 1);
            core::iter::once(0).chain(ends).collect()
        });
        let start = *starts.get(at.line.checked_sub(1)? as usize)? as usize;
        let rest = source.text.get(start..)?;
        let line = rest.split('\n').next().unwrap_or("");
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    pub(super) fn text(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", |s| &s.text)
    }

    pub(super) fn get(&self, file: u16) -> Option<&Source> {
        self.files.get(usize::from(file))
    }

    /// Reads a file, once however often it is included. What is not UTF-8 (comments in GB2312 or Latin-1 are common)
    /// becomes replacement characters.
    pub(super) fn read(&mut self, files: &dyn Files, path: &Path) -> io::Result<u16> {
        let full = files.canonical(path)?;
        if let Some(known) = self.files.iter().position(|s| s.path == full) {
            return Ok(known as u16);
        }
        let bytes = files.read(&full)?;
        let name = path.display().to_string();
        self.add(name, full, bytes)
    }

    pub(super) fn add(&mut self, name: String, path: PathBuf, bytes: Vec<u8>) -> io::Result<u16> {
        let file = u16::try_from(self.files.len())
            .map_err(|_| io::Error::other("there are too many files"))?;
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.files.push(Source {
            name,
            path,
            text: Rc::new(text),
            starts: OnceCell::new(),
        });
        Ok(file)
    }
}

/// A line of configuration, ready to be cut into words.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Place of a plain line: `start` is its offset in the text of the file, as `column` is in the line.
    file: u16,
    number: u32,
    column: u32,
    start: u32,
    end: u32,
    made: Option<Box<Made>>,
}

/// Text that stands nowhere in a file as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    pub(super) text: String,
    pieces: Vec<Piece>,
}

/// From `at` on, text comes from `span`: letter by letter if `verbatim`, else as a whole.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: u32,
    span: Span,
    verbatim: bool,
}

impl Line {
    pub(super) fn plain(file: u16, number: u32, column: usize, start: usize, end: usize) -> Self {
        Self {
            file,
            number,
            column: column as u32,
            start: start as u32,
            end: end as u32,
            made: None,
        }
    }

    pub(super) fn text<'a>(&'a self, sources: &'a Sources) -> &'a str {
        match &self.made {
            Some(made) => &made.text,
            None => sources
                .text(self.file)
                .get(self.start as usize..self.end as usize)
                .unwrap_or(""),
        }
    }

    /// Where the bytes from `start` to `end` of the text were written.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let (start, len) = (start as u32, end.saturating_sub(start) as u32);
        match &self.made {
            Some(made) => made.span(start, len),
            None => Span {
                file: self.file,
                line: self.number,
                start: self.column + start,
                len,
            },
        }
    }
}

impl From<Made> for Line {
    fn from(made: Made) -> Self {
        Self {
            file: 0,
            number: 0,
            column: 0,
            start: 0,
            end: 0,
            made: Some(Box::new(made)),
        }
    }
}

impl Made {
    /// Text as it stands in a file.
    pub(super) fn verbatim(text: &str, span: Span) -> Self {
        let mut made = Self::default();
        made.push(text, span, true);
        made
    }

    /// Adds text that was written at `span`, letter by letter or as a whole.
    pub(super) fn push(&mut self, text: &str, span: Span, verbatim: bool) {
        self.pieces.push(Piece {
            at: self.text.len() as u32,
            span,
            verbatim,
        });
        self.text.push_str(text);
    }

    /// Adds a part of another.
    pub(super) fn append(&mut self, other: &Self, start: usize, end: usize) {
        let Some(text) = other.text.get(start..end) else {
            return;
        };
        let base = self.text.len() as u32;
        let first = other
            .pieces
            .partition_point(|p| p.at as usize <= start)
            .saturating_sub(1);
        for piece in other
            .pieces
            .iter()
            .skip(first)
            .take_while(|p| (p.at as usize) < end)
        {
            let cut = (start as u32).saturating_sub(piece.at);
            let mut span = piece.span;
            if piece.verbatim {
                span.start += cut;
                span.len = span.len.saturating_sub(cut);
            }
            self.pieces.push(Piece {
                at: base + (piece.at + cut).saturating_sub(start as u32),
                span,
                verbatim: piece.verbatim,
            });
        }
        self.text.push_str(text);
    }

    /// The part from `start` to the end.
    pub(super) fn tail(&self, start: usize) -> Self {
        let mut made = Self::default();
        made.append(self, start, self.text.len());
        made
    }

    pub(super) fn span(&self, start: u32, len: u32) -> Span {
        let next = self.pieces.partition_point(|p| p.at <= start);
        let Some(piece) = next.checked_sub(1).and_then(|i| self.pieces.get(i)) else {
            return Span::default();
        };
        if !piece.verbatim {
            return piece.span;
        }
        let limit = self.pieces.get(next).map_or(u32::MAX, |p| p.at);
        Span {
            start: piece.span.start + (start - piece.at),
            len: len.min(limit - start),
            ..piece.span
        }
    }
}
