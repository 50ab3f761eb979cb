//! What the VRRP process answers.

use std::path::Path;

use super::plan::plan;
use super::router::Router;
use crate::console::vrrp::{Tracker, View, explain, machine, metrics, overview, whole};
use crate::model::Model;
use crate::run::clock::clock;
use crate::run::configuration;
use crate::run::control::answers::{self, paint};
use crate::run::control::{Form, Part, Request, Verb};
use crate::run::logger;
use crate::run::options::Options;
use crate::run::reactor::now;

/// Answers a question; the answer to a reload counts when the router has nothing left to do, see [`settled`]. `reload` gives the
/// configuration to go on with, or `None` after having said why not.
pub(super) fn answer(
    router: &mut Router,
    request: &Request,
    options: &Options,
    reload: &mut impl FnMut() -> Option<Box<Model>>,
) -> Part {
    let name = request.object.as_str();
    match request.verb {
        Verb::Status => look(router, |view| match request.form {
            Form::Json => machine::members(view, name),
            Form::Text { width, colour } if name.is_empty() => {
                Some(overview::overview(view, paint(width, colour)))
            }
            Form::Text { width, colour } => whole::whole(view, name, paint(width, colour)),
        }),
        Verb::Explain => look(router, |view| {
            Some(answers::sentences(
                request.form,
                &explain::explain(view, name)?,
            ))
        }),
        Verb::Metrics => look(router, |view| Some(metrics::metrics(view))),
        Verb::Plan => match configuration::read(options, Path::new(name)) {
            Ok(loaded) => {
                let changes = plan(router, &loaded.model);
                answers::changes(request.form, "vrrp", &changes)
            }
            Err(refused) => refused.part(request.form),
        },
        Verb::Reload => match reload() {
            Some(mut model) => {
                let changes = plan(router, &model);
                logger::listen();
                router.reload(&mut model);
                answers::changes(request.form, "vrrp", &changes)
            }
            None => Part::error(request.form, "the configuration cannot be read"),
        },
    }
}

/// The answer to a reload that has been carried out.
pub(super) fn settled(changes: Part, request: &Request) -> Part {
    answers::with_errors(changes, request.form, "vrrp_errors", &logger::heard())
}

/// Looks at everything; what is not found is answered with the names that there are.
fn look(router: &Router, show: impl FnOnce(&View<'_>) -> Option<String>) -> Part {
    let (files, processes) = (router.trackers().files(), router.trackers().processes());
    let scripts = router.trackers().scripts().map(|script| Tracker::Script {
        config: script.config(),
        script: script.script().clone(),
    });
    let files = files.iter().map(|file| Tracker::File {
        name: &file.name,
        path: &file.path,
        value: file.value,
        changed: file.changed,
    });
    let processes = processes.iter().map(|process| Tracker::Process {
        config: process.config(),
        quorum: process.quorum(),
    });
    let trackers: Vec<_> = scripts.chain(files).chain(processes).collect();
    let view = View {
        engine: router.engine(),
        trackers: &trackers,
        events: router.lately(),
        clock: clock(now()),
    };
    Part::found(show(&view), || view.names())
}
