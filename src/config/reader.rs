//! Reads files into lines: joins, comments and includes. What a line may stand for is worked out in `expand`.

use std::path::{Path, PathBuf};

use super::diag::{Diags, Span};
use super::expand::Definitions;
use super::files::Files;
use super::glob;
use super::source::{Line, Made, Sources};

/// Includes within includes.
const DEEPEST: usize = 32;
/// Includes that are followed altogether: a few files that include each other twice make millions.
const MOST_INCLUDES: usize = 10_000;
/// Lines that a configuration may amount to.
const MOST_LINES: usize = 300_000;
/// Lines of these that do not stand in a file as they are, and their bytes, so that a mistyped sequence takes neither all
/// memory nor many seconds.
pub(super) const MOST_MADE_LINES: usize = 100_000;
const MOST_MADE: usize = 32 << 20;

/// Which missing includes are errors: `include_check` and the letters of `includer` and its kin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Strictness {
    readable: bool,
    plain: bool,
    wild: bool,
    braces: bool,
}

impl Strictness {
    pub(super) const ALL: Self = Self {
        readable: true,
        plain: true,
        wild: true,
        braces: true,
    };

    fn set(&mut self, option: &str, on: bool) -> bool {
        match option {
            "readable" => self.readable = on,
            "match" => self.plain = on,
            "wildcard_match" => self.wild = on,
            "brace_match" => self.braces = on,
            _ => return false,
        }
        true
    }
}

/// Files to lines.
pub(super) struct Reader<'d> {
    files: &'d dyn Files,
    pub(super) sources: Sources,
    pub(super) lines: Vec<Line>,
    pub(super) diags: &'d mut Diags,
    pub(super) definitions: Definitions,
    pub(super) config_id: String,
    pub(super) strictness: Strictness,
    /// Files that are being read, the main one first.
    open: Vec<u16>,
    includes: usize,
    pub(super) steps: usize,
    made: usize,
    made_lines: usize,
    /// A limit was reached and told; nothing more is produced.
    pub(super) exhausted: bool,
}

impl<'d> Reader<'d> {
    pub(super) fn new(
        files: &'d dyn Files,
        config_id: String,
        strictness: Strictness,
        diags: &'d mut Diags,
    ) -> Self {
        Self {
            files,
            sources: Sources::default(),
            lines: Vec::new(),
            diags,
            definitions: Definitions::default(),
            config_id,
            strictness,
            open: Vec::new(),
            includes: 0,
            steps: 0,
            made: 0,
            made_lines: 0,
            exhausted: false,
        }
    }

    /// The directory of the file that is being read, as people name it.
    fn directory(&self) -> PathBuf {
        let file = self.open.last().and_then(|f| self.sources.get(*f));
        let path = file.and_then(|s| Path::new(&s.name).parent());
        path.unwrap_or(Path::new("")).to_owned()
    }

    /// The same without links, from the root.
    pub(super) fn real_directory(&self) -> PathBuf {
        let file = self.open.last().and_then(|f| self.sources.get(*f));
        let path = file.and_then(|s| s.path.parent());
        path.unwrap_or(Path::new("/")).to_owned()
    }

    /// Reads all lines of a file that is in the sources already.
    pub(super) fn file(&mut self, file: u16) {
        let Some(text) = self.sources.get(file).map(|s| s.text.clone()) else {
            return;
        };
        self.open.push(file);
        let before = self.strictness;
        let (mut start, mut number) = (0, 0);
        let mut pending: Option<Made> = None;
        for raw in text.split('\n') {
            number += 1;
            let offset = start;
            start += raw.len() + 1;
            if self.exhausted {
                break;
            }
            let blank = |c: char| c.is_ascii_whitespace() || c == '\0';
            let indent = raw.len() - raw.trim_start_matches(blank).len();
            let content = raw.trim_matches(blank);
            let (end, traits) = scan(content);
            let content = content.get(..end).unwrap_or("").trim_end_matches(blank);
            // An empty line does not end a definition of several lines.
            if content.is_empty() && (pending.is_none() || start <= text.len()) {
                continue;
            }
            let at = Span {
                file,
                line: number,
                start: indent as u32,
                len: content.len() as u32,
            };
            if pending.is_none() && !traits.special && !content.ends_with('\\') {
                let line = Line::plain(
                    file,
                    number,
                    indent,
                    offset + indent,
                    offset + indent + content.len(),
                );
                self.push(line, is_directive(content));
                continue;
            }
            let (content, goes_on) = match content.strip_suffix('\\') {
                Some(rest) => (rest.trim_end_matches(blank), true),
                None => (content, false),
            };
            let mut part = Made::default();
            unescape(&mut part, content, at, traits.escapes);
            if self.definitions.is_open() {
                self.definitions.continue_with(part, goes_on);
                pending = goes_on.then(Made::default);
                continue;
            }
            if goes_on && pending.is_none() && self.begin_definition(&part) {
                pending = Some(Made::default());
                continue;
            }
            let line = match pending.take() {
                Some(mut line) => {
                    line.push(
                        " ",
                        Span {
                            start: at.start,
                            len: 0,
                            ..at
                        },
                        false,
                    );
                    let end = part.text.len();
                    line.append(&part, 0, end);
                    line
                }
                None => part,
            };
            if goes_on {
                pending = Some(line);
            } else {
                self.expand(line, 0);
            }
        }
        self.definitions.close();
        if let Some(line) = pending {
            self.expand(line, 0);
        }
        self.strictness = before;
        self.open.pop();
    }

    /// Takes a finished line; a directive acts on the lines that follow it.
    fn push(&mut self, line: Line, directive: bool) {
        if directive {
            let text = line.text(&self.sources).to_owned();
            let mut words = text.split_ascii_whitespace();
            let word = words.next().unwrap_or("");
            let span = line.span(0, text.len());
            if word == "random_seed" {
                self.seed(words.next().unwrap_or(""));
            }
            match word.strip_prefix("include") {
                Some("_check") => self.check(words),
                Some(letter @ ("" | "r" | "m" | "w" | "b" | "a")) => {
                    let pattern = text
                        .get(word.len()..)
                        .unwrap_or("")
                        .trim()
                        .trim_matches('"');
                    return self.include(pattern, letter, span);
                }
                _ => {}
            }
        }
        let many = self.lines.len() >= MOST_LINES || self.made_lines > MOST_MADE_LINES;
        if many || self.made > MOST_MADE {
            let at = line.span(0, 0);
            return self.stop(at, "the configuration grows too large here");
        }
        self.lines.push(line);
    }

    pub(super) fn push_made(&mut self, made: Made) {
        self.made = self.made.saturating_add(made.text.len());
        self.made_lines = self.made_lines.saturating_add(1);
        let directive = is_directive(&made.text);
        self.push(Line::from(made), directive);
    }

    /// Tells that a limit was reached; the rest is not read.
    pub(super) fn stop(&mut self, at: Span, what: &str) {
        if !self.exhausted {
            self.exhausted = true;
            self.diags
                .error(at, what)
                .hint("the rest of the configuration is not read");
        }
    }

    fn check<'t>(&mut self, options: impl Iterator<Item = &'t str>) {
        let mut options = options.peekable();
        match options.peek().and_then(|o| o.chars().next()) {
            None => self.strictness = Strictness::ALL,
            Some('+' | '-') => {}
            Some(_) => self.strictness = Strictness::default(),
        }
        let mut on = true;
        for option in options {
            let name = match option.split_at_checked(1) {
                Some(("+", name)) => {
                    on = true;
                    name
                }
                Some(("-", name)) => {
                    on = false;
                    name
                }
                _ => option,
            };
            // An option that is not known is told when the keyword is parsed.
            self.strictness.set(name, on);
        }
    }

    fn include(&mut self, pattern: &str, letter: &str, at: Span) {
        let mut strictness = self.strictness;
        match letter {
            "r" => strictness.readable = true,
            "m" => (strictness.readable, strictness.plain) = (true, true),
            "w" => (strictness.readable, strictness.wild) = (true, true),
            "b" => (strictness.readable, strictness.braces) = (true, true),
            "a" => strictness = Strictness::ALL,
            _ => {}
        }
        if pattern.is_empty() {
            self.diags.error(at, "include names no file");
            return;
        }
        let base = self.directory();
        let choices = glob::braces(pattern);
        let several = choices.len() > 1;
        for choice in choices {
            let paths = glob::paths(self.files, &base, &choice);
            let must = if several {
                strictness.braces
            } else if glob::is_wild(&choice) {
                strictness.wild
            } else {
                strictness.plain
            };
            if paths.is_empty() && must {
                self.diags
                    .missing(at, format!("include '{choice}' matches no file"));
            } else if paths.is_empty() && !glob::is_wild(&choice) && !several {
                self.diags
                    .warn(at, format!("included file '{choice}' does not exist"))
                    .hint("write includea to make this an error");
            }
            for path in paths {
                self.enter(&path, strictness.readable, at);
            }
        }
    }

    fn enter(&mut self, path: &Path, must: bool, at: Span) {
        if self.files.is_dir(path) {
            self.diags
                .warn(at, format!("included '{}' is a directory", path.display()))
                .hint("include its files with /*");
            return;
        }
        self.includes += 1;
        if self.includes > MOST_INCLUDES {
            return self.stop(at, "too many files are included");
        }
        match self.sources.read(self.files, path) {
            Ok(file) if self.open.contains(&file) => {
                let chain: Vec<_> = self
                    .open
                    .iter()
                    .chain([&file])
                    .map(|f| self.sources.name(*f))
                    .collect();
                let chain = chain.join(" → ");
                self.diags.error(at, "a file includes itself").hint(chain);
            }
            Ok(_) if self.open.len() >= DEEPEST => {
                self.diags
                    .error(at, format!("includes are nested deeper than {DEEPEST}"));
            }
            Ok(file) => self.file(file),
            Err(error) if must => {
                self.diags.missing(
                    at,
                    format!("cannot read included file '{}': {error}", path.display()),
                );
            }
            Err(error) => {
                self.diags.warn(
                    at,
                    format!("cannot read included file '{}': {error}", path.display()),
                );
            }
        }
    }
}

/// Keywords that this stage obeys.
fn is_directive(text: &str) -> bool {
    text.starts_with("include") || text.starts_with("random_seed")
}

/// What a glance at a line tells.
#[derive(Clone, Copy, Default)]
struct Traits {
    /// It has something that is to be worked out.
    special: bool,
    /// It has `\#` or `\!`.
    escapes: bool,
}

/// Finds where the comment begins, outside double quotes, and whether there is more than plain text.
fn scan(content: &str) -> (usize, Traits) {
    let mut traits = Traits {
        special: content.starts_with(['@', '~']),
        escapes: false,
    };
    let bytes = content.as_bytes();
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b'#' | b'!' if !quoted && escaped => {
                traits.escapes = true;
                traits.special = true;
            }
            b'#' | b'!' if !quoted => return (at, traits),
            b'$' => traits.special = true,
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
    }
    (content.len(), traits)
}

/// Adds a line of a file; outside quotes `\#` and `\!` lose their backslash.
fn unescape(made: &mut Made, content: &str, at: Span, escapes: bool) {
    if !escapes {
        made.push(content, at, true);
        return;
    }
    let (mut quoted, mut from) = (false, 0);
    let bytes = content.as_bytes();
    let mut piece = |from: usize, to: usize| {
        let span = Span {
            start: at.start + from as u32,
            len: to.saturating_sub(from) as u32,
            ..at
        };
        made.push(content.get(from..to).unwrap_or(""), span, true);
    };
    for (i, pair) in bytes.windows(2).enumerate() {
        match pair {
            [b'"', _] => quoted = !quoted,
            [b'\\', b'#' | b'!'] if !quoted => {
                piece(from, i);
                from = i + 1;
            }
            _ => {}
        }
    }
    piece(from, content.len());
}
