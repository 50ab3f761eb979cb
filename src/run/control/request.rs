//! What can be asked, and what a process answers.

use core::fmt;
use core::str::FromStr;

/// Version of the answers in JSON. It changes when something that was there goes or means something else, not when there is more.
pub const VERSION: u32 = 1;

/// The longest question, with its line end: a path fits in.
pub const LONGEST: usize = 1024;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How the answer is to look.
    pub form: Form,
    /// What to do.
    pub verb: Verb,
    /// To what: a name or a path; empty is everything.
    pub object: String,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For programs.
    Json,
    /// For people.
    Text {
        /// Columns of the terminal.
        width: u16,
        /// Whether states have colours.
        colour: bool,
    },
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Tell how everything is, or one thing whole.
    Status,
    /// Tell why one thing is as it is.
    Explain,
    /// Tell what a reload would change.
    Plan,
    /// Read the configuration anew, and tell what changes.
    Reload,
    /// Tell all numbers to Prometheus.
    Metrics,
}

impl Verb {
    const WORDS: [(&'static str, Self); 5] = [
        ("status", Self::Status),
        ("explain", Self::Explain),
        ("plan", Self::Plan),
        ("reload", Self::Reload),
        ("metrics", Self::Metrics),
    ];

    /// Whether its answer for programs is JSON.
    #[must_use]
    pub const fn is_json(self) -> bool {
        !matches!(self, Self::Metrics)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        words
            .find(|(_, verb)| *verb == self)
            .map_or("", |(word, _)| word)
    }
}

/// A line that is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ask one of")?;
        for (word, _) in Verb::WORDS {
            write!(f, " {word}")?;
        }
        f.write_str(", with 'text WIDTH' in front for a terminal")
    }
}

impl FromStr for Request {
    type Err = Garbage;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let next = |rest: &str| -> (String, String) {
            let rest = rest.trim();
            let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (word.to_owned(), rest.trim_start().to_owned())
        };
        let (first, rest) = next(line);
        let (form, word, object) = match first.as_str() {
            "text" | "colour" => {
                let (width, rest) = next(&rest);
                let width = width.parse().map_err(|_| Garbage)?;
                let colour = first == "colour";
                let (word, object) = next(&rest);
                (Form::Text { width, colour }, word, object)
            }
            _ => (Form::Json, first, rest),
        };
        let mut words = Verb::WORDS.iter();
        let verb = words.find(|(known, _)| *known == word).ok_or(Garbage)?.1;
        Ok(Self { form, verb, object })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Json => {}
            Form::Text {
                width,
                colour: true,
            } => write!(f, "colour {width} ")?,
            Form::Text { width, .. } => write!(f, "text {width} ")?,
        }
        f.write_str(self.verb.word())?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        Ok(())
    }
}

/// What one process has to say: text, or members of the JSON object that the answer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Exit status of the command.
    pub exit: u8,
    /// What to print.
    pub body: String,
}

impl Part {
    /// All is well.
    pub const OK: u8 = 0;
    /// It cannot be done.
    pub const ERROR: u8 = 1;
    /// A plan has changes.
    pub const CHANGES: u8 = 2;
    /// There is nothing of this name here, but the other process may have it. The body is the names that there are, one a line.
    pub const STRANGER: u8 = 3;

    /// That something cannot be done, and why.
    #[must_use]
    pub fn error(form: Form, why: &str) -> Self {
        Self::said(Self::ERROR, form, "error", why)
    }

    /// What was found; without anything, the names that there are instead.
    #[must_use]
    pub fn found(body: Option<String>, names: impl FnOnce() -> String) -> Self {
        match body {
            Some(body) => Self {
                exit: Self::OK,
                body,
            },
            None => Self {
                exit: Self::STRANGER,
                body: names(),
            },
        }
    }

    /// One sentence: in JSON as the member `key`.
    #[must_use]
    pub fn said(exit: u8, form: Form, key: &str, sentence: &str) -> Self {
        let body = match form {
            Form::Text { .. } => format!("{sentence}\n"),
            Form::Json => crate::console::json::member(|json| json.text(key, sentence)),
        };
        Self { exit, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_back_as_it_was_written() {
        for line in [
            "status",
            "text 80 status VI_1",
            "colour 60 status a name",
            "explain VI_1",
            "plan /etc/keepalived/a b.conf",
            "reload",
            "metrics",
        ] {
            let request: Request = line.parse().unwrap();
            assert_eq!(request.to_string(), line);
        }
    }

    #[test]
    fn anything_else_is_garbage_that_is_told_what_can_be_asked() {
        for line in ["", "GET / HTTP/1.1", "text", "text x status", "text 80"] {
            assert_eq!(line.parse::<Request>(), Err(Garbage), "{line:?}");
        }
        assert!(Garbage.to_string().contains("status"));
    }
}
