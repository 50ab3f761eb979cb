//! What the checkers' process answers.

use super::director::Director;
use crate::model::Model;
use crate::run::control::{Part, Request, Verb};

/// Answers a question. `reload` gives the configuration to go on with, or `None` after having said why not.
pub(super) fn answer(
    director: &mut Director,
    request: &Request,
    reload: &mut impl FnMut() -> Option<Box<Model>>,
) -> Part {
    match request.verb {
        Verb::Status if request.object.is_empty() => Part::default(),
        Verb::Status => Part {
            exit: Part::STRANGER,
            body: String::new(),
        },
        Verb::Reload => match reload() {
            Some(mut model) => {
                director.reload(&mut model);
                Part::default()
            }
            None => Part::error(request.form, "the configuration cannot be read"),
        },
    }
}
