//! Words and braces into blocks: syntax, no meaning.
//!
//! Blocks of the top level are made one at a time and dropped when they are understood, so that a large file is never in
//! memory as a whole tree.

use super::diag::{Diags, Span};
use super::source::{Line, Sources};
use super::words::{Phrase, Word, blanks, is_blank};

/// Blocks within blocks; the language has five.
const DEEPEST: usize = 16;

/// A keyword with its values, and what stands in braces after it.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// Never empty: the first is the keyword.
    pub(super) words: Vec<Word<'a>>,
    /// The same before it was cut.
    pub(super) phrase: Phrase<'a>,
    /// What stands in braces, if there are any.
    pub(super) body: Option<Vec<Block<'a>>>,
}

impl<'a> Block<'a> {
    pub(super) fn keyword(&self) -> &'a str {
        self.words.first().map_or("", |w| w.text)
    }

    /// The place of the keyword.
    pub(super) fn at(&self) -> Span {
        self.words.first().map_or_else(Span::default, |w| w.at)
    }

    pub(super) fn children(&self) -> &[Block<'a>] {
        self.body.as_deref().unwrap_or_default()
    }
}

enum Token<'a> {
    Words(Phrase<'a>),
    Open(Span),
    Close(Span),
    End,
}

/// Lines to blocks of the top level.
pub(super) struct Tree<'a> {
    sources: &'a Sources,
    lines: core::slice::Iter<'a, Line>,
    line: Option<(&'a Line, usize)>,
    ahead: Option<Token<'a>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(sources: &'a Sources, lines: &'a [Line]) -> Self {
        Self {
            sources,
            lines: lines.iter(),
            line: None,
            ahead: None,
        }
    }

    /// The next block of the top level.
    pub(super) fn next(&mut self, diags: &mut Diags) -> Option<Block<'a>> {
        loop {
            match self.token() {
                Token::Words(phrase) => return Some(self.block(phrase, 0, diags)),
                Token::Open(at) => self.stray(at, diags),
                Token::Close(at) => {
                    diags
                        .error(at, "this '}' closes nothing")
                        .hint("one '}' too many, or a '{' is missing above");
                }
                Token::End => return None,
            }
        }
    }

    fn block(&mut self, phrase: Phrase<'a>, depth: usize, diags: &mut Diags) -> Block<'a> {
        let (words, unended) = phrase.words();
        if let Some(at) = unended {
            diags.error(at, "this quote does not end on its line");
        }
        // Whatever begins with a dollar sign and was to be replaced has been.
        let left = words
            .iter()
            .find(|w| !w.quoted && w.text.starts_with('$') && w.text.len() > 1);
        if let Some(word) = left {
            diags
                .warn(word.at, format!("'{}' is not defined here", word.text))
                .hint("taken as it stands");
        }
        let mut block = Block {
            words,
            phrase,
            body: None,
        };
        match self.token() {
            Token::Open(at) if depth + 1 >= DEEPEST => {
                diags.error(at, "blocks are nested too deeply");
                self.skip();
                block.body = Some(Vec::new());
            }
            Token::Open(at) => block.body = Some(self.body(block.at(), at, depth + 1, diags)),
            other => self.ahead = Some(other),
        }
        block
    }

    fn body(
        &mut self,
        keyword: Span,
        open: Span,
        depth: usize,
        diags: &mut Diags,
    ) -> Vec<Block<'a>> {
        let mut blocks: Vec<Block<'a>> = Vec::new();
        loop {
            match self.token() {
                Token::Words(phrase) => blocks.push(self.block(phrase, depth, diags)),
                Token::Open(at) => self.stray(at, diags),
                Token::Close(_) => return blocks,
                Token::End => {
                    let diag = diags.error(open, "this '{' is never closed");
                    // Whoever indents shows where the '}' was meant to be.
                    let outer = blocks
                        .iter()
                        .map(Block::at)
                        .find(|b| b.file == keyword.file && b.start <= keyword.start);
                    if let Some(at) = outer {
                        diag.hint(format!("is a '}}' missing before line {}?", at.line));
                    }
                    return blocks;
                }
            }
        }
    }

    fn stray(&mut self, at: Span, diags: &mut Diags) {
        diags
            .error(at, "this '{' follows no keyword")
            .hint("ignored up to its '}'");
        self.skip();
    }

    /// Passes over everything up to the brace that closes.
    fn skip(&mut self) {
        let mut depth = 1u32;
        while depth > 0 {
            match self.token() {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth -= 1,
                Token::Words(_) => {}
                Token::End => return,
            }
        }
    }

    fn token(&mut self) -> Token<'a> {
        if let Some(token) = self.ahead.take() {
            return token;
        }
        loop {
            let Some((line, from)) = self.line else {
                match self.lines.next() {
                    Some(line) => self.line = Some((line, 0)),
                    None => return Token::End,
                }
                continue;
            };
            let text = line.text(self.sources);
            let rest = text.get(from..).unwrap_or("");
            let start = from + blanks(rest);
            let rest = text.get(start..).unwrap_or("");
            match rest.as_bytes().first() {
                None => self.line = None,
                Some(brace @ (b'{' | b'}')) => {
                    self.line = Some((line, start + 1));
                    let at = line.span(start, start + 1);
                    return if *brace == b'{' {
                        Token::Open(at)
                    } else {
                        Token::Close(at)
                    };
                }
                Some(_) => {
                    let end = phrase_end(rest);
                    self.line = Some((line, start + end));
                    return Token::Words(Phrase {
                        line,
                        text: rest.get(..end).unwrap_or("").trim_end_matches(is_blank),
                        offset: start,
                    });
                }
            }
        }
    }
}

/// Up to the first brace outside double quotes; that of an undefined `${NAME}` belongs to its word.
fn phrase_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut quoted, mut name) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'{' if !quoted && at > 0 && bytes.get(at - 1) == Some(&b'$') => name = true,
            b'}' if name => name = false,
            b'{' | b'}' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}
