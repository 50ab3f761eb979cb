//! What the checkers' process answers.

use super::director::Director;
use crate::run::control::{Part, Request, Verb};

/// Answers a question that changes nothing.
pub(super) fn answer(_director: &Director, request: &Request) -> Part {
    match request.verb {
        Verb::Status if !request.object.is_empty() => Part {
            exit: Part::STRANGER,
            body: String::new(),
        },
        Verb::Status | Verb::Reload => Part::default(),
    }
}

/// What became of a reload.
pub(super) fn reloaded(done: Option<()>, request: &Request) -> Part {
    match done {
        Some(()) => Part::default(),
        None => Part::error(request.form, "the configuration cannot be read"),
    }
}
