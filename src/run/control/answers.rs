//! Answers that several processes give in the same shape.

use super::request::{Form, Part};
use crate::console::json::member;
use crate::console::paint::{Paint, wrap};
use crate::console::plan::{self, Change};

/// How a screen looks.
#[must_use]
pub fn paint(width: u16, colour: bool) -> Paint {
    Paint {
        width: width.into(),
        colour,
    }
}

/// Sentences, each on lines of its own.
#[must_use]
pub fn sentences(form: Form, sentences: &[String]) -> String {
    match form {
        Form::Json => member(|json| json.array("reasons", sentences)),
        Form::Text { width, .. } => {
            let lines = sentences.iter().flat_map(|text| wrap(text, width.into()));
            lines.flat_map(|line| [line, "\n"]).collect()
        }
    }
}

/// What changes by a reload; in JSON below `key`.
#[must_use]
pub fn changes(form: Form, key: &str, changes: &[Change]) -> Part {
    let body = match form {
        Form::Json => member(|json| json.array_of(key, |list| plan::write_json(changes, list))),
        Form::Text { width, colour } => {
            let mut out = String::new();
            plan::write(changes, paint(width, colour), &mut out);
            out
        }
    };
    let exit = if changes.is_empty() {
        Part::OK
    } else {
        Part::CHANGES
    };
    Part { exit, body }
}

/// What went wrong while a reload was carried out, behind what it changed; in JSON as the list `key`.
#[must_use]
pub fn with_errors(changes: Part, form: Form, key: &str, errors: &[String]) -> Part {
    if errors.is_empty() {
        return changes;
    }
    let Part { mut body, .. } = changes;
    match form {
        Form::Json => {
            body.push(',');
            body += &member(|json| json.array(key, errors));
        }
        Form::Text { width, .. } => {
            for line in errors.iter().flat_map(|text| wrap(text, width.into())) {
                body.extend([line, "\n"]);
            }
        }
    }
    Part {
        exit: Part::ERROR,
        body,
    }
}
