//! `keepalite help`. The parser of arguments has a meaning of its own for that word, so that it never sees it.

use std::io::{self, Write};

use super::ask::Terminal;
use crate::error::Exit;
use crate::help::screen::{blocks, keyword};
use crate::run::control::answers::paint;

/// What it does, in a line.
pub const SUMMARY: &str = "explain a keyword of the configuration, or list its blocks";

/// Explains a keyword, or a block and a keyword of it; lists all blocks where there is none.
#[must_use]
pub fn run(words: &[String]) -> Exit {
    let terminal = Terminal::of_stdout();
    let paint = paint(terminal.columns, terminal.has_colours());
    let said = match words {
        [] => Ok(blocks(paint)),
        [word] => keyword(None, word, paint),
        [block, word] => keyword(Some(block), word, paint),
        _ => Err("one keyword at a time: keepalite help [BLOCK] KEYWORD".to_owned()),
    };
    match said {
        Ok(text) => {
            // Whoever closes the pipe has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            Exit::Ok
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "keepalite: {why}");
            Exit::Fatal
        }
    }
}
