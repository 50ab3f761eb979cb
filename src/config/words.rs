//! Lines into words: blanks separate, double quotes keep together.

use super::diag::Span;
use super::source::Line;

/// A word of the file, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) at: Span,
    pub(super) quoted: bool,
}

/// A range of a line's text: a keyword with what follows it, up to the next brace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrase<'a> {
    pub(super) line: &'a Line,
    pub(super) text: &'a str,
    /// Where `text` begins in the text of the line.
    pub(super) offset: usize,
}

impl<'a> Phrase<'a> {
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        self.line.span(self.offset + start, self.offset + end)
    }

    /// The words, and the place of a quote that does not end.
    pub(super) fn words(&self) -> (Vec<Word<'a>>, Option<Span>) {
        // A keyword and its value, nearly always.
        let mut words = Vec::with_capacity(2);
        let mut at = 0;
        loop {
            at += blanks(self.text.get(at..).unwrap_or(""));
            let rest = self.text.get(at..).unwrap_or("");
            if rest.is_empty() {
                return (words, None);
            }
            let (from, len, step, closed) = match rest.strip_prefix('"') {
                Some(inner) => match inner.find('"') {
                    Some(len) => (1, len, len + 2, true),
                    None => (1, inner.len(), rest.len(), false),
                },
                None => {
                    let ends = |b: u8| is_blank(b.into()) || b == b'"';
                    let len = rest.bytes().position(ends).unwrap_or(rest.len());
                    (0, len, len, true)
                }
            };
            let start = at + from;
            words.push(Word {
                text: self.text.get(start..start + len).unwrap_or(""),
                at: self.span(start, start + len),
                quoted: from == 1,
            });
            if !closed {
                return (words, Some(self.span(at, at + 1)));
            }
            at += step;
        }
    }

    /// The words as scripts and patterns have them: both kinds of quotes, and pieces that touch are one word.
    pub(super) fn script_words(&self) -> Vec<(String, Span)> {
        let mut words = Vec::new();
        let (mut word, mut start, mut quote) = (None::<String>, 0, None);
        let mut letters = self.text.char_indices().peekable();
        while let Some((at, c)) = letters.next() {
            if quote.is_none() && is_blank(c) {
                if let Some(done) = word.take() {
                    words.push((done, self.span(start, at)));
                }
                continue;
            }
            let text = word.get_or_insert_with(|| {
                start = at;
                String::new()
            });
            match c {
                '\\' => {
                    // A backslash is kept: it means something to whoever cuts the command into words.
                    text.push(c);
                    if let Some((_, next)) = letters.next() {
                        text.push(next);
                    }
                }
                '"' | '\'' if quote == Some(c) => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ => text.push(c),
            }
        }
        if let Some(done) = word {
            words.push((done, self.span(start, self.text.len())));
        }
        words
    }
}

pub(super) const fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\0'
}

/// How many bytes of blanks a text begins with.
pub(super) fn blanks(text: &str) -> usize {
    let first = text.bytes().position(|b| !is_blank(b.into()));
    first.unwrap_or(text.len())
}

/// Cuts a command into its words: blanks separate, quotes of either kind keep together and go, a backslash takes the
/// meaning from what follows it.
pub(super) fn command_words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut letters = command.chars();
    while let Some(c) = letters.next() {
        match c {
            _ if quote.is_none() && is_blank(c) => words.extend(word.take()),
            '"' | '\'' if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            '\\' if quote != Some('\'') => word
                .get_or_insert_default()
                .push(letters.next().unwrap_or('\\')),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_quoted_words_together() {
        assert_eq!(
            command_words(r#"/bin/x 'a b' "c d"e f\ g"#),
            ["/bin/x", "a b", "c de", "f g"]
        );
        assert_eq!(command_words("x ''"), ["x", ""]);
    }
}
