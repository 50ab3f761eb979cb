//! Everything on one screen.

use core::fmt::Write;

use super::{Found, Line, View, kind_name, state_colour};
use crate::console::paint::{Cell, Colour, Paint, Table};
use crate::model::Instance as Config;
use crate::time::Span;
use crate::vrrp::{Instance, State};

/// The tables of `keepalite status`.
#[must_use]
pub fn overview(view: &View<'_>, paint: Paint) -> String {
    let tables = [routers(view), groups(view), trackers(view)];
    let mut out = String::new();
    for table in tables.iter().filter(|table| !table.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        table.write(paint, &mut out);
    }
    out
}

fn routers(view: &View<'_>) -> Table {
    let mut table = Table::with_heads(&["ROUTER", "STATE", "FOR", "PRIORITY", "NOW"]);
    for (_, instance) in view.engine.iter() {
        let state = instance.state();
        let priority = match (instance.config().priority, instance.priority()) {
            (base, effective) if base == effective => base.to_string(),
            (base, effective) => format!("{effective} of {base}"),
        };
        table.row([
            instance.config().name.as_str().into(),
            Cell::from(state.to_string()).coloured(state_colour(state)),
            Span(view.clock.ago(instance.since())).to_string().into(),
            priority.into(),
            now(instance).into(),
        ]);
    }
    table
}

/// What matters most about it in its state.
fn now(instance: &Instance) -> String {
    match (instance.state(), instance.heard()) {
        (State::Master, _) => addresses(instance.config()),
        (State::Fault, _) => instance.faults().to_string(),
        (State::Backup, Some(heard)) => {
            format!("{} is master with {}", heard.from, heard.priority)
        }
        (State::Backup, None) => "no master has been heard yet".to_owned(),
        (State::Init, _) => "waits until what it tracks is known".to_owned(),
    }
}

/// The first address, and how many more.
fn addresses(config: &Config) -> String {
    let mut all = config.addresses.iter().chain(&config.excluded);
    let Some(first) = all.next() else {
        return format!("no addresses, on {}", config.interface);
    };
    let mut text = Line(first).to_string();
    let more = all.count();
    // Writing to a String cannot fail.
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    let _ = write!(text, " on {}", config.interface);
    text
}

fn groups(view: &View<'_>) -> Table {
    let mut table = Table::with_heads(&["GROUP", "STATE", "MEMBERS"]);
    for (_, group) in view.engine.groups() {
        let state = group.state();
        table.row([
            group.config().name.as_str().into(),
            Cell::from(state.to_string()).coloured(state_colour(state)),
            group.config().members.join(" ").into(),
        ]);
    }
    table
}

fn trackers(view: &View<'_>) -> Table {
    let mut table = Table::with_heads(&["TRACKER", "KIND", "STATE", "FOR", "LAST"]);
    for tracker in view.trackers {
        let changed = tracker.changed();
        let since = changed.map(|at| Span(view.clock.ago(at)).to_string());
        table.row([
            tracker.name().into(),
            kind_name(Some(tracker.kind())).into(),
            state(tracker.up()),
            since.unwrap_or_default().into(),
            Found(tracker, view.clock).to_string().into(),
        ]);
    }
    table
}

fn state(up: Option<bool>) -> Cell {
    match up {
        Some(true) => Cell::from("up").coloured(Colour::Green),
        Some(false) => Cell::from("down").coloured(Colour::Red),
        None => Cell::from(""),
    }
}
