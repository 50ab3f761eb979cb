//! What the checkers' process answers.

use std::path::Path;

use super::director::Director;
use crate::config::dump::dump;
use crate::console::lvs::{View, explain, machine, metrics, overview};
use crate::console::plan::{Change, Fate, difference};
use crate::model::{Model, Statics};
use crate::run::clock::clock;
use crate::run::configuration;
use crate::run::control::answers::{self, paint};
use crate::run::control::{Form, Part, Request, Verb};
use crate::run::logger;
use crate::run::options::Options;
use crate::run::reactor::now;

/// Answers a question. `reload` gives the configuration to go on with, or `None` after having said why not.
pub(super) fn answer(
    director: &mut Director,
    request: &Request,
    options: &Options,
    reload: &mut impl FnMut() -> Option<Box<Model>>,
) -> Part {
    let name = request.object.as_str();
    match request.verb {
        Verb::Status => look(director, |view| match request.form {
            Form::Json => machine::members(view, name),
            Form::Text { width, colour } if name.is_empty() => {
                Some(overview::overview(view, paint(width, colour)))
            }
            Form::Text { width, colour } => overview::whole(view, name, paint(width, colour)),
        }),
        Verb::Explain => look(director, |view| {
            Some(answers::sentences(
                request.form,
                &explain::explain(view, name)?,
            ))
        }),
        Verb::Metrics => look(director, |view| Some(metrics::metrics(view))),
        Verb::Plan => match configuration::read(options, Path::new(name)) {
            Ok(loaded) => answers::changes(request.form, "lvs", &plan(director, &loaded.model)),
            Err(refused) => refused.part(request.form),
        },
        Verb::Reload => match reload() {
            Some(mut model) => {
                let changes = plan(director, &model);
                logger::listen();
                director.reload(&mut model);
                let changes = answers::changes(request.form, "lvs", &changes);
                answers::with_errors(changes, request.form, "lvs_errors", &logger::heard())
            }
            None => Part::error(request.form, "the configuration cannot be read"),
        },
    }
}

/// Looks at everything; what is not found is answered with the names that there are.
fn look(director: &mut Director, show: impl FnOnce(&View<'_>) -> Option<String>) -> Part {
    let connections = director.connections();
    let view = View {
        engine: director.engine(),
        connections: &connections,
        events: director.lately(),
        is_balancing: director.is_balancing(),
        clock: clock(now()),
    };
    Part::found(show(&view), || view.names())
}

/// What a reload would do to the virtual servers; global settings are told by the process of the virtual routers, if there is one.
fn plan(director: &Director, new: &Model) -> Vec<Change> {
    let alone = new.instances.is_empty()
        && new.statics == Statics::default()
        && new.lvs.sync_daemon.is_none();
    let mut old = Model {
        lvs: director.running(),
        ..Model::default()
    };
    let mut other = Model {
        lvs: new.lvs.clone(),
        ..Model::default()
    };
    // It bears on the start only.
    other.lvs.flush = old.lvs.flush;
    // That of the virtual routers runs it.
    other.lvs.sync_daemon.clone_from(&old.lvs.sync_daemon);
    if alone {
        old.global = director.global().clone();
        other.global = new.global.clone();
    }
    let mut changes = difference(&dump(&old), &dump(&other));
    for change in &mut changes {
        if change.block.starts_with("virtual_server ") {
            change.meaning = match change.fate {
                Fate::Comes => "starts to be checked and balanced",
                Fate::Goes => "leaves the table",
                Fate::Changes => "goes on; servers that stay keep their health and connections",
            }
            .to_owned();
        }
    }
    changes
}
