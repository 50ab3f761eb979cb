//! What the VRRP process answers.

use super::report::clock;
use super::router::Router;
use crate::console::paint::Paint;
use crate::console::vrrp::{Tracker, View, machine, overview, whole};
use crate::model::Model;
use crate::run::control::{Form, Part, Request, Verb};
use crate::run::reactor::now;

/// Answers a question. `reload` gives the configuration to go on with, or `None` after having said why not.
pub(super) fn answer(
    router: &mut Router,
    request: &Request,
    reload: &mut impl FnMut() -> Option<Box<Model>>,
) -> Part {
    match request.verb {
        Verb::Status => status(router, request),
        Verb::Reload => match reload() {
            Some(mut model) => {
                router.reload(&mut model);
                Part::default()
            }
            None => Part::error(request.form, "the configuration cannot be read"),
        },
    }
}

fn status(router: &Router, request: &Request) -> Part {
    let name = request.object.as_str();
    look(router, |view| match request.form {
        Form::Json => machine::members(view, name),
        Form::Text { width, colour } => {
            let paint = Paint {
                width: width.into(),
                colour,
            };
            if name.is_empty() {
                Some(overview::overview(view, paint))
            } else {
                whole::whole(view, name, paint)
            }
        }
    })
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
        events: router.events(),
        clock: clock(now()),
    };
    match show(&view) {
        Some(body) => Part {
            exit: Part::OK,
            body,
        },
        None => Part {
            exit: Part::STRANGER,
            body: view.names(),
        },
    }
}
