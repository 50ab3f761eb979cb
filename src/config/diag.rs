//! What is wrong with a configuration, where, and what to do about it.
//!
//! The parser never prints, exits or stops at the first fault: it collects [`Diag`]s, each with the exact place of the
//! word it is about. The same list serves the test mode, the start and a reload.

use core::fmt;

use super::source::Sources;

/// A place in one of the files that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which of the [`Sources`].
    pub file: u16,
    /// Line, counted from 1; 0 is the file as a whole.
    pub line: u32,
    /// Offset into the line, in bytes from 0.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Done, but worth a remark; or known and not done by this build.
    Warning,
    /// Something that the file asks for is not done.
    Error,
}

/// What the exit status of the test mode wants to know beyond the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing more.
    Plain,
    /// An include that must be there is missing or unreadable.
    MissingInclude,
    /// A script that script security refuses.
    InsecureScript,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diag {
    /// How bad it is.
    pub level: Level,
    /// Where.
    pub at: Span,
    /// What is the matter.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What else it means.
    pub kind: Kind,
}

impl Diag {
    /// Adds what to do about it.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}

/// More findings of a level than this are only counted: nobody reads them, and memory is small.
const KEPT: usize = 1000;

/// All findings, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Diags {
    kept: Vec<Diag>,
    errors: usize,
    warnings: usize,
    missing_include: bool,
    insecure_scripts: usize,
    spare: Option<Box<Diag>>,
}

impl Diags {
    /// The findings, in the order of the text as far as they can be told while reading it.
    pub fn iter(&self) -> impl Iterator<Item = &Diag> {
        self.kept.iter()
    }

    /// How many errors there are, also those that were only counted.
    #[must_use]
    pub const fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are, also those that were only counted.
    #[must_use]
    pub const fn warnings(&self) -> usize {
        self.warnings
    }

    /// Whether something that the file asks for is not done.
    #[must_use]
    pub const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether an include is missing that must be there.
    #[must_use]
    pub const fn missing_include(&self) -> bool {
        self.missing_include
    }

    /// How many of the errors are scripts that script security refused.
    #[must_use]
    pub const fn insecure_scripts(&self) -> usize {
        self.insecure_scripts
    }

    /// Whether an error more would be kept: a hint that takes time is worth it for those only.
    pub(super) const fn keeps_errors(&self) -> bool {
        self.errors < KEPT
    }

    pub(super) fn error(&mut self, at: Span, what: impl Into<String>) -> &mut Diag {
        self.put(Level::Error, Kind::Plain, at, what.into())
    }

    pub(super) fn warn(&mut self, at: Span, what: impl Into<String>) -> &mut Diag {
        self.put(Level::Warning, Kind::Plain, at, what.into())
    }

    pub(super) fn missing(&mut self, at: Span, what: impl Into<String>) -> &mut Diag {
        self.missing_include = true;
        self.put(Level::Error, Kind::MissingInclude, at, what.into())
    }

    pub(super) fn insecure(&mut self, at: Span, what: impl Into<String>) -> &mut Diag {
        self.insecure_scripts = self.insecure_scripts.saturating_add(1);
        self.put(Level::Error, Kind::InsecureScript, at, what.into())
    }

    fn put(&mut self, level: Level, kind: Kind, at: Span, mut what: String) -> &mut Diag {
        // A word may be as long as its file.
        if let Some((end, _)) = what.char_indices().nth(2 * SHOWN) {
            what.truncate(end);
            what.push('…');
        }
        let count = match level {
            Level::Error => &mut self.errors,
            Level::Warning => &mut self.warnings,
        };
        *count = count.saturating_add(1);
        let diag = Diag {
            level,
            at,
            what,
            hint: None,
            kind,
        };
        if *count <= KEPT {
            let place = self.kept.len();
            self.kept.push(diag);
            &mut self.kept[place]
        } else {
            self.spare.insert(Box::new(diag))
        }
    }

    /// Puts the findings of each file into the order of its lines, for a reader who goes through the file.
    pub(super) fn sort(&mut self) {
        self.kept
            .sort_by_key(|d| (d.at.file, d.at.line, d.at.start));
        // A sequence, or a file that is included twice, says the same of the same place again.
        self.kept.dedup();
        self.spare = None;
    }
}

/// `file:line:column: error: …`, the line itself, and a caret under the exact words.
pub struct Render<'a> {
    /// The finding.
    pub diag: &'a Diag,
    /// The files.
    pub sources: &'a Sources,
}

/// The widest part of a line that is shown around the place.
const SHOWN: usize = 160;

impl fmt::Display for Render<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { diag, sources } = self;
        let line = sources.line(diag.at);
        head(f, diag, sources)?;
        let Some(line) = line else {
            return match &diag.hint {
                Some(hint) => write!(f, "\n      = {hint}"),
                None => Ok(()),
            };
        };
        let (start, end) = clip(line, diag.at);
        let before = line.get(..start).unwrap_or("");
        let marked = line.get(start..end).unwrap_or("");
        // A line of a megabyte is shown around the place only.
        let skip = match before.char_indices().rev().nth(SHOWN / 2) {
            Some((at, _)) if before.len() > SHOWN => at,
            _ => 0,
        };
        let before = before.get(skip..).unwrap_or("");
        let shown = line.get(skip..).unwrap_or("");
        let shown = match shown.char_indices().nth(SHOWN) {
            Some((at, _)) => shown.get(..at).unwrap_or(""),
            None => shown,
        };
        let dots = if skip > 0 { "…" } else { "" };
        write!(f, "\n{:>5} | {dots}", diag.at.line)?;
        shown
            .chars()
            .try_for_each(|c| write!(f, "{}", visible(c)))?;
        write!(f, "\n      | {}", if skip > 0 { " " } else { "" })?;
        // Tabs stay, so that the caret lines up in any terminal.
        for c in before.chars() {
            f.write_str(if c == '\t' { "\t" } else { " " })?;
        }
        for _ in 0..marked.chars().count().clamp(1, SHOWN) {
            f.write_str("^")?;
        }
        match &diag.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

/// The same on one line, for a log.
pub struct OneLine<'a> {
    /// The finding.
    pub diag: &'a Diag,
    /// The files.
    pub sources: &'a Sources,
}

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head(f, self.diag, self.sources)?;
        match &self.diag.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

fn head(f: &mut fmt::Formatter<'_>, diag: &Diag, sources: &Sources) -> fmt::Result {
    write!(f, "{}:", sources.name(diag.at.file))?;
    if let Some(line) = sources.line(diag.at) {
        let (start, _) = clip(line, diag.at);
        let column = line.get(..start).unwrap_or("").chars().count() + 1;
        write!(f, "{}:{column}:", diag.at.line)?;
    }
    let level = match diag.level {
        Level::Warning => "warning",
        Level::Error => "error",
    };
    write!(f, " {level}: ")?;
    diag.what
        .chars()
        .try_for_each(|c| write!(f, "{}", visible(c)))
}

/// Start and end of the place, on character boundaries of the line.
fn clip(line: &str, at: Span) -> (usize, usize) {
    let floor = |mut at: usize| {
        at = at.min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(at.start as usize);
    (start, floor(start + at.len as usize))
}

/// A file is somebody else's text: none of its control characters reaches the terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => c,
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    }
}
