//! What a line stands for: `@id` conditions, `$NAME` definitions, `~SEQ` and `~LST`.

use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use super::reader::{MOST_MADE_LINES, Reader};
use super::source::Made;

use crate::sorted::Map;

/// Definitions within definitions.
const DEEPEST: usize = 64;
/// Replacements in one line, and its length when they are done: `$A=${A}${A}` must end.
const MOST_REPLACED: usize = 2000;
const LONGEST: usize = 1 << 20;
/// A name with what `_RANDOM` takes.
const LONGEST_NAME: usize = 256;

/// What the names stand for.
#[derive(Default)]
pub(super) struct Definitions {
    known: Map<String, Rc<Vec<Made>>>,
    /// A definition of several lines that has not ended yet.
    open: Option<(String, Vec<Made>)>,
    random: Option<u64>,
}

impl Definitions {
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn continue_with(&mut self, line: Made, goes_on: bool) {
        if let Some((_, lines)) = &mut self.open {
            lines.push(line);
        }
        if !goes_on {
            self.close();
        }
    }

    pub(super) fn close(&mut self) {
        if let Some((name, lines)) = self.open.take() {
            self.known.insert(name, Rc::new(lines));
        }
    }

    /// A number from `low` to `high`. The same seed gives the same numbers.
    fn random(&mut self, low: u64, high: u64) -> u64 {
        let state = self.random.get_or_insert_with(|| {
            let mut seed = [0; 8];
            let read = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut seed));
            if read.is_ok() {
                u64::from_le_bytes(seed) | 1
            } else {
                0x9e37_79b9
            }
        });
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let width = high.saturating_sub(low).saturating_add(1);
        low + (*state >> 11) % width
    }

    fn seed(&mut self, text: &str) {
        if let Ok(seed) = text.trim().parse::<u64>() {
            self.random = Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        }
    }
}

/// Where a name ends, and what follows it.
enum Reference {
    Replace {
        start: usize,
        end: usize,
        with: Replacement,
    },
    Undefined {
        end: usize,
    },
}

enum Replacement {
    Text(String),
    Lines(Rc<Vec<Made>>),
}

impl Reader<'_> {
    /// If this line, which goes on in the next, begins a definition, it is opened.
    pub(super) fn begin_definition(&mut self, line: &Made) -> bool {
        let (line, kept) = match self.condition(line) {
            Some(rest) => (rest, true),
            None => (line.clone(), false),
        };
        let Some((name, value)) = definition(&line.text) else {
            return false;
        };
        // A definition whose condition does not hold is read all the same, into a name that nobody can use.
        let name = if kept { name.to_owned() } else { String::new() };
        let mut lines = Vec::new();
        let first = line.tail(value);
        if !first.text.trim().is_empty() {
            lines.push(first);
        }
        self.definitions.open = Some((name, lines));
        true
    }

    /// Works out a line and pushes what it stands for.
    pub(super) fn expand(&mut self, mut line: Made, depth: usize) {
        self.steps += 1;
        if self.exhausted {
            return;
        }
        let at = line.span(0, line.text.len() as u32);
        if self.steps > 2 * MOST_MADE_LINES {
            return self.stop(at, "the configuration grows too large here");
        }
        if depth > DEEPEST {
            return self.stop(
                at,
                "definitions are nested too deeply here; does one refer to itself?",
            );
        }
        let (mut replaced, mut from) = (0, 0_usize);
        loop {
            let indent = line.text.len() - line.text.trim_start().len();
            if indent > 0 {
                line = line.tail(indent);
                from = from.saturating_sub(indent);
            }
            let text = line.text.as_str();
            if text.starts_with('@') {
                match self.condition(&line) {
                    Some(rest) => line = rest,
                    None => return,
                }
                from = 0;
                continue;
            }
            // Once a name was passed over, the line does not begin anew.
            let start = if from == 0 { definition(text) } else { None };
            if let Some((name, value)) = start {
                let (name, value) = (name.to_owned(), line.tail(value));
                self.definitions.known.insert(name, Rc::new(vec![value]));
                return;
            }
            if text.starts_with("~SEQ") || text.starts_with("~LST") {
                match loop_end(text).map(|end| text.get(..end).unwrap_or("").contains('$')) {
                    // Its own parameters may need replacing first.
                    Some(true) if replaced < MOST_REPLACED => {
                        if let Some(next) = self.replace(&line, 0, loop_end(text)) {
                            line = next;
                            replaced += 1;
                            continue;
                        }
                        return self.repeat(&line, depth);
                    }
                    _ => return self.repeat(&line, depth),
                }
            }
            match self.reference(&line, from, line.text.len()) {
                None => break,
                Some(Reference::Undefined { end }) => from = end,
                Some(Reference::Replace { start, end, with }) => {
                    replaced += 1;
                    if replaced > MOST_REPLACED || line.text.len() > LONGEST {
                        return self.stop(at, "the replacement of definitions does not end here; does one refer to itself?");
                    }
                    match with {
                        Replacement::Text(text) => line = splice(&line, start, end, &text),
                        Replacement::Lines(lines) => {
                            return self.unfold(&line, start, end, &lines, depth);
                        }
                    }
                    from = start;
                }
            }
        }
        let end = line.text.trim_end().len();
        if end > 0 {
            line.text.truncate(end);
            self.push_made(line);
        }
    }

    /// One replacement before `limit`, if there is one to make.
    fn replace(&mut self, line: &Made, mut from: usize, limit: Option<usize>) -> Option<Made> {
        let limit = limit.unwrap_or(line.text.len());
        loop {
            match self.reference(line, from, limit)? {
                Reference::Undefined { end } => from = end,
                Reference::Replace {
                    start,
                    end,
                    with: Replacement::Text(text),
                } => return Some(splice(line, start, end, &text)),
                Reference::Replace { .. } => return None,
            }
        }
    }

    /// The rest of a line whose condition holds; a line without one is its own rest.
    fn condition(&self, line: &Made) -> Option<Made> {
        let Some(text) = line.text.strip_prefix('@') else {
            return Some(line.clone());
        };
        let word = text.split_ascii_whitespace().next().unwrap_or("");
        let word = if text.starts_with(|c: char| c.is_ascii_whitespace()) {
            ""
        } else {
            word
        };
        let holds = match word.strip_prefix('^') {
            Some(id) => id != self.config_id,
            None => word == self.config_id,
        };
        let rest = line.tail(1 + word.len());
        let indent = rest.text.len() - rest.text.trim_start().len();
        holds.then(|| rest.tail(indent))
    }

    /// A definition of several lines takes the place of its name: what stands before joins the first, what stands
    /// after the last.
    fn unfold(&mut self, line: &Made, start: usize, end: usize, lines: &[Made], depth: usize) {
        for (i, part) in lines.iter().enumerate() {
            let mut made = Made::default();
            if i == 0 {
                made.append(line, 0, start);
            }
            made.append(part, 0, part.text.len());
            if i + 1 == lines.len() {
                made.append(line, end, line.text.len());
            }
            self.expand(made, depth + 1);
        }
    }

    /// The first name from `from` on.
    fn reference(&mut self, line: &Made, from: usize, limit: usize) -> Option<Reference> {
        let text = line.text.get(..limit)?;
        let start = from + text.get(from..)?.find('$')?;
        let after = text.get(start + 1..)?;
        let (name, end) = match after.strip_prefix('{') {
            Some(inner) => match inner.bytes().take(LONGEST_NAME).position(|b| b == b'}') {
                Some(close) => (inner.get(..close)?, start + 3 + close),
                None => return Some(Reference::Undefined { end: start + 1 }),
            },
            None => {
                let mut letters = after.bytes().take(LONGEST_NAME);
                let length = letters
                    .position(|b| !b.is_ascii_alphanumeric() && b != b'_')
                    .unwrap_or(after.len().min(LONGEST_NAME));
                let next = line.text.get(start + 1 + length..)?.chars().next();
                if !matches!(next, None | Some(' ' | '\t' | ',' | ')')) {
                    return Some(Reference::Undefined { end: start + 1 });
                }
                (after.get(..length)?, start + 1 + length)
            }
        };
        let with = match self.definitions.known.get(name) {
            Some(lines) => match lines.as_slice() {
                [] => Some(Replacement::Text(String::new())),
                [one] => Some(Replacement::Text(one.text.clone())),
                _ => Some(Replacement::Lines(lines.clone())),
            },
            None => self.predefined(name).map(Replacement::Text),
        };
        Some(match with {
            Some(with) => Reference::Replace { start, end, with },
            None => Reference::Undefined { end: start + 1 },
        })
    }

    fn predefined(&mut self, name: &str) -> Option<String> {
        let mut words = name.split_ascii_whitespace();
        Some(match words.next()? {
            "_PWD" => self.real_directory().display().to_string(),
            "_INSTANCE" => self.config_id.clone(),
            "_HASH" => "#".to_owned(),
            "_BANG" => "!".to_owned(),
            "_RANDOM" => {
                let low = words.next().map_or(Some(0), |w| w.parse().ok())?;
                let high = words.next().map_or(Some(32_767), |w| w.parse().ok())?;
                self.definitions.random(low, high).to_string()
            }
            _ => return None,
        })
    }

    /// `random_seed` acts on the lines that follow, so it is looked at here.
    pub(super) fn seed(&mut self, text: &str) {
        self.definitions.seed(text);
    }

    /// `~SEQ(var, start, step, end) rest` and `~LST(…) rest`.
    fn repeat(&mut self, line: &Made, depth: usize) {
        let text = line.text.as_str();
        let end = loop_end(text);
        let inner = end.and_then(|end| text.get(text.find('(')? + 1..end - 1));
        let (Some(end), Some(inner)) = (end, inner) else {
            self.diags.error(
                line.span(0, 4),
                "the parenthesis of ~SEQ or ~LST does not end",
            );
            return;
        };
        let at = line.span(0, end as u32);
        let rest = line.tail(end);
        let kind = text
            .get(..text.find('(').unwrap_or(0))
            .unwrap_or("")
            .trim_end();
        match kind {
            "~SEQ" | "~SEQx" => match sequence(inner) {
                Some((name, start, step, end)) => {
                    let mut value = start;
                    while (step > 0 && value <= end) || (step < 0 && value >= end) {
                        let text = if kind == "~SEQx" {
                            format!("{value:x}")
                        } else {
                            value.to_string()
                        };
                        self.with(&[(name, &text)], &rest, depth);
                        match value.checked_add(step) {
                            Some(next) if !self.exhausted => value = next,
                            _ => break,
                        }
                    }
                }
                None => {
                    self.diags
                        .error(at, "~SEQ needs a name and numbers")
                        .hint("~SEQ(name, start, step, end)");
                }
            },
            "~LST" => match list(inner) {
                Some((names, rows)) => {
                    for row in rows {
                        let pairs: Vec<_> = names.iter().copied().zip(row).collect();
                        self.with(&pairs, &rest, depth);
                        if self.exhausted {
                            break;
                        }
                    }
                }
                None => {
                    self.diags
                        .error(at, "~LST needs names and as many values in each place")
                        .hint("~LST({a, b}, {1, 2}, {3, 4})");
                }
            },
            _ => {
                self.diags
                    .error(at, format!("'{kind}' is neither ~SEQ, ~SEQx nor ~LST"));
            }
        }
    }

    /// Expands `rest` with names set; afterwards they are what they were.
    fn with(&mut self, pairs: &[(&str, &str)], rest: &Made, depth: usize) {
        let mut before = Vec::new();
        for (name, value) in pairs {
            let value = Made::verbatim(value, rest.span(0, 0));
            before.push((
                *name,
                self.definitions
                    .known
                    .insert((*name).to_owned(), Rc::new(vec![value])),
            ));
        }
        self.expand(rest.clone(), depth + 1);
        for (name, old) in before.into_iter().rev() {
            match old {
                Some(old) => self.definitions.known.insert(name.to_owned(), old),
                None => self.definitions.known.remove(name),
            };
        }
    }
}

/// `$NAME=` at the start of a line: the name, and where the value begins.
fn definition(text: &str) -> Option<(&str, usize)> {
    let (name, _) = text.strip_prefix('$')?.split_once('=')?;
    let legal = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (legal && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, name.len() + 2))
}

/// A text in the place of a name, shown where the name stands.
fn splice(line: &Made, start: usize, end: usize, text: &str) -> Made {
    let mut made = Made::default();
    made.append(line, 0, start);
    made.push(text, line.span(start as u32, (end - start) as u32), false);
    made.append(line, end, line.text.len());
    made
}

/// Just after the parenthesis that ends `~SEQ(…)`.
fn loop_end(text: &str) -> Option<usize> {
    text.find(')').map(|at| at + 1)
}

fn sequence(inner: &str) -> Option<(&str, i64, i64, i64)> {
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    let number = |text: &str| {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
        let value = match digits.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok()?,
            None => digits.parse::<i64>().ok()?,
        };
        Some(if negative { -value } else { value })
    };
    let (name, start, step, end) = match parts.as_slice() {
        [name, end] => {
            let end = number(end)?;
            (*name, if end < 0 { -1 } else { 1 }, None, end)
        }
        [name, start, end] => (*name, number(start)?, None, number(end)?),
        [name, start, step, end] => (*name, number(start)?, Some(number(step)?), number(end)?),
        _ => return None,
    };
    let step = step.unwrap_or(if end < start { -1 } else { 1 });
    (!name.is_empty() && step != 0).then_some((name, start, step, end))
}

fn list(inner: &str) -> Option<(Vec<&str>, Vec<Vec<&str>>)> {
    let mut fields = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('{') {
            Some(braced) => {
                let (field, after) = braced.split_once('}')?;
                (
                    field.split(',').map(str::trim).collect(),
                    after.trim_start(),
                )
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (vec![rest.get(..end)?.trim()], rest.get(end..)?)
            }
        };
        fields.push(field);
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
    }
    let mut fields = fields.into_iter();
    let names = fields.next()?;
    let rows: Vec<_> = fields.collect();
    let even = rows.iter().all(|row| row.len() == names.len());
    (even && !rows.is_empty() && names.iter().all(|n| !n.is_empty())).then_some((names, rows))
}
