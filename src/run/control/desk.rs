//! Where questions from the door are passed on to those who know, and their answers put together.

use core::cell::RefCell;
use core::time::Duration;
use std::path::Path;
use std::rc::Rc;

use smol::Task;

use super::inbox::Inbox;
use super::line::{Line, PATIENCE};
use super::request::{Form, Part, Request, Verb};
use crate::config::keys;
use crate::run::configuration;
use crate::run::options::Options;
use crate::run::reactor::spawn;
use crate::run::supervise::Role;

/// How long a process may take to read a configuration.
const READING: Duration = Duration::from_secs(50);

/// Who can be asked, by what it is there for.
pub type Lines = Rc<RefCell<Vec<(Role, Rc<Line>)>>>;

/// The desk, for as long as it lives.
pub struct Desk {
    /// Who can be asked.
    pub lines: Lines,
    /// Reloads, which the parent begins: an answer [`Part::OK`] lets those who can be asked go on with theirs.
    pub reloads: Inbox,
    _clerk: Task<()>,
}

impl Desk {
    /// Works off what comes into `inbox`, one question after the other; who can be asked has still to be told. `options` tell how a
    /// configuration is read.
    #[must_use]
    pub fn open(inbox: Inbox, options: &Options) -> Self {
        let lines = Lines::default();
        let reloads = Inbox::default();
        let clerk = Clerk {
            lines: Rc::clone(&lines),
            reloads: reloads.clone(),
            options: options.clone(),
        };
        let clerk = spawn(async move { clerk.work(&inbox).await });
        Self {
            lines,
            reloads,
            _clerk: clerk,
        }
    }
}

struct Clerk {
    lines: Lines,
    reloads: Inbox,
    options: Options,
}

impl Clerk {
    async fn work(&self, inbox: &Inbox) {
        loop {
            let call = inbox.next().await;
            let part = self.answer(&call.request).await;
            call.reply(part);
        }
    }

    async fn answer(&self, request: &Request) -> Part {
        if request.verb == Verb::Plan {
            let file = Path::new(&request.object);
            if let Err(refused) = configuration::read(&self.options, file) {
                return refused.part(request.form);
            }
        }
        if request.verb == Verb::Reload {
            let begun = self.reloads.ask(request.clone()).await;
            if begun.exit != Part::OK {
                return begun;
            }
        }
        let patience = match request.verb {
            Verb::Status | Verb::Explain | Verb::Metrics => PATIENCE,
            Verb::Plan | Verb::Reload => READING,
        };
        let asked = self.lines.borrow().clone();
        let mut parts = Vec::with_capacity(asked.len());
        for (role, line) in asked {
            let part = line.ask(request, patience).await;
            parts.push(part.unwrap_or_else(|| {
                let why = format!("the {role} process does not answer");
                Part::error(request.form, &why)
            }));
        }
        together(request, parts)
    }
}

/// One answer of those of all. Who knows nothing of the name is not heard if another one does.
fn together(request: &Request, mut parts: Vec<Part>) -> Part {
    let known = |part: &Part| part.exit != Part::STRANGER;
    if parts.iter().any(known) {
        parts.retain(known);
    } else if matches!(request.verb, Verb::Status | Verb::Explain) && !request.object.is_empty() {
        let names: Vec<&str> = parts.iter().flat_map(|part| part.body.lines()).collect();
        let what = known_names(&names, &request.object);
        let why = format!("nothing is called {}: {what}", request.object);
        return Part::error(request.form, &why);
    }
    // Virtual routers come first, as they are stopped last.
    parts.reverse();
    // An error goes before changes, and changes before nothing.
    let rank = |part: &Part| match part.exit {
        Part::ERROR => 2,
        Part::CHANGES => 1,
        _ => 0,
    };
    let exit = parts
        .iter()
        .max_by_key(|part| rank(part))
        .map_or(Part::OK, |part| part.exit);
    let between = match request.form {
        Form::Json if request.verb.is_json() => ",",
        Form::Text { .. } if request.verb == Verb::Status => "\n",
        _ => "",
    };
    let bodies = parts
        .iter()
        .map(|part| part.body.as_str())
        .filter(|body| !body.is_empty());
    let body = bodies.collect::<Vec<_>>().join(between);
    let is_idle = body.is_empty() && exit == Part::OK;
    match (request.form, request.verb) {
        (Form::Text { .. }, Verb::Plan) if is_idle => {
            Part::said(exit, request.form, "", "a reload would change nothing")
        }
        (Form::Text { .. }, Verb::Reload) if is_idle => {
            Part::said(exit, request.form, "", "reloaded: nothing has changed")
        }
        (Form::Text { .. }, Verb::Status) if is_idle => {
            Part::said(exit, request.form, "", "nothing is configured")
        }
        _ => Part { exit, body },
    }
}

/// As many names are told as somebody reads.
const TOLD: usize = 6;

/// What there is instead of something that is not there: all, where they are few, or the nearest.
fn known_names(names: &[&str], wanted: &str) -> String {
    let near = keys::nearest(wanted, names.iter().copied());
    match (names, near) {
        ([], _) => "nothing has a name".to_owned(),
        (_, Some((near, _))) if names.len() > TOLD => format!("did you mean {near}?"),
        (names, _) => {
            let mut text = format!(
                "there are {}",
                names.get(..TOLD).unwrap_or(names).join(", ")
            );
            if let Some(more) = names.len().checked_sub(TOLD).filter(|more| *more > 0) {
                text.push_str(&format!(" and {more} more"));
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_nearest_is_told_or_the_first_ones() {
        let names: Vec<String> = (1..=250).map(|number| format!("VI_{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(known_names(&names, "VI_251"), "did you mean VI_21?");
        let few = "there are VI_1, VI_2, VI_3, VI_4, VI_5, VI_6";
        assert_eq!(
            known_names(&names, "gateway"),
            format!("{few} and 244 more")
        );
        assert_eq!(known_names(&names[..6], "gateway"), few);
        assert_eq!(known_names(&[], "gateway"), "nothing has a name");
    }

    fn part(exit: u8, body: &str) -> Part {
        let body = body.to_owned();
        Part { exit, body }
    }

    fn ask(line: &str, parts: Vec<Part>) -> Part {
        together(&line.parse().unwrap(), parts)
    }

    #[test]
    fn members_of_several_processes_make_one_object() {
        let both = vec![part(0, "\"b\":1"), part(0, "\"a\":2")];
        assert_eq!(ask("status", both), part(0, "\"a\":2,\"b\":1"));
    }

    #[test]
    fn who_knows_the_name_answers_for_all() {
        let both = vec![part(Part::STRANGER, "web\n"), part(0, "VI_1 is MASTER\n")];
        assert_eq!(
            ask("text 80 status VI_1", both),
            part(0, "VI_1 is MASTER\n")
        );
    }

    #[test]
    fn a_name_that_nobody_knows_is_an_error_with_the_names_that_there_are() {
        let both = vec![
            part(Part::STRANGER, "web\n"),
            part(Part::STRANGER, "VI_1\nVI_2\n"),
        ];
        let said = ask("text 80 status VI_3", both);
        assert_eq!(
            said,
            part(1, "nothing is called VI_3: there are web, VI_1, VI_2\n")
        );
    }

    #[test]
    fn an_error_goes_before_changes_and_changes_before_nothing() {
        let all = |exits: &[u8]| {
            let parts = exits.iter().map(|exit| part(*exit, ""));
            ask("text 80 reload", parts.collect()).exit
        };
        assert_eq!(all(&[0, 2]), 2);
        assert_eq!(all(&[2, 1]), 1);
        assert_eq!(all(&[0, 0]), 0);
        assert_eq!(all(&[]), 0);
    }
}
