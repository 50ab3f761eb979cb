//! One thing whole.

use core::fmt::Write;

use super::{Found, Line, Subject, Sum, Tracker, View, kind_name, several, state_colour};
use crate::console::clock::Clock;
use crate::console::paint::{Cell, Colour, Paint, Table};
use crate::model::{Auth, Peering};
use crate::name::{Family, Version};
use crate::time::Span;
use crate::vrrp::{Bearing, Group, Instance, State};

/// The screen of `keepalite status NAME`; `None` if nothing has this name.
#[must_use]
pub fn whole(view: &View<'_>, name: &str, paint: Paint) -> Option<String> {
    let mut out = String::new();
    let mut groups = view.engine.groups().map(|(_, group)| group);
    if let Some(instance) = view.instance(name) {
        router(view, instance, paint, &mut out);
    } else if let Some(found) = groups.find(|group| group.config().name == name) {
        group(view, found, paint, &mut out);
    } else {
        tracker(view, view.tracker(name)?, paint, &mut out);
    }
    Some(out)
}

/// `VI_1 is MASTER for 2h 3m, since Nov 27 15:15:02`
fn headline(name: &str, state: State, more: &str, paint: Paint, out: &mut String) {
    let text = format!("{name} is {state}{more}");
    paint.lines(out, &text, &state.to_string(), state_colour(state), 0);
    out.push('\n');
}

fn router(view: &View<'_>, instance: &Instance, paint: Paint, out: &mut String) {
    let clock = view.clock;
    let since = instance.since();
    let (span, date) = (Span(clock.ago(since)), clock.date(since));
    let more = format!(" for {span}, since {date}");
    headline(&instance.config().name, instance.state(), &more, paint, out);
    let mut table = Table::default();
    let mut row = |key: &str, value: String| table.row([key.into(), value.into()]);
    row("router", identity(instance));
    row("priority", Sum(view, instance).to_string());
    row("master", master(instance, clock));
    row("peers", peers(instance));
    row("addresses", addresses(instance));
    if let Some(group) = instance.group().and_then(|id| view.engine.group(id)) {
        row("group", group.config().name.clone());
    }
    if !instance.faults().is_empty() {
        row("faults", instance.faults().to_string());
    }
    row("adverts", adverts(instance));
    table.write(paint, out);
    tracked(view, instance, paint, out);
    let subject = Subject::Router(instance.id());
    view.events.write(&subject, clock, paint, out);
}

fn identity(instance: &Instance) -> String {
    let config = instance.config();
    let family = match config.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let version = match config.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    let mut text = format!(
        "VRID {} on {}, VRRP version {version} for {family}, an advert each {} s",
        config.vrid,
        config.advert_interface(),
        config.interval
    );
    match config.auth {
        Auth::None => {}
        Auth::Pass(_) => text.push_str(", with a password"),
        Auth::Ah(_) => text.push_str(", with an authentication header"),
    }
    if !config.preempt {
        text.push_str(", nopreempt");
    }
    text
}

fn master(instance: &Instance, clock: Clock) -> String {
    let due = |text: &mut String, what: &str| {
        if let Some(at) = instance.deadline() {
            let _ = write!(text, ", {what} in {}", Span(at.since(clock.now)));
        }
    };
    match (instance.state(), instance.heard()) {
        (State::Master, _) => "we".to_owned(),
        (State::Backup, Some(heard)) => {
            let mut text = format!(
                "{} with priority {}, heard {} ago",
                heard.from,
                heard.priority,
                Span(clock.ago(heard.at))
            );
            due(&mut text, "counts as down");
            text
        }
        (State::Backup, None) => {
            let mut text = "none has been heard yet".to_owned();
            due(&mut text, "we take over");
            text
        }
        (State::Init | State::Fault, _) => "not known: we do not listen".to_owned(),
    }
}

fn peers(instance: &Instance) -> String {
    let mut text = match &instance.config().peering {
        Peering::Multicast(group) => format!("multicast to {group}"),
        Peering::Unicast { peers, .. } => {
            let peers: Vec<String> = peers.iter().map(|peer| peer.ip.to_string()).collect();
            format!("unicast to {}", peers.join(" "))
        }
    };
    if let Some(source) = instance.source() {
        let _ = write!(text, " from {source}");
    }
    text
}

fn addresses(instance: &Instance) -> String {
    let config = instance.config();
    let all = config.addresses.iter().chain(&config.excluded);
    let all: Vec<String> = all.map(|address| Line(address).to_string()).collect();
    match (all.is_empty(), instance.owns_addresses()) {
        (true, _) => "none".to_owned(),
        (false, true) => format!("{} (here)", all.join(", ")),
        (false, false) => format!("{} (not here)", all.join(", ")),
    }
}

fn adverts(instance: &Instance) -> String {
    let stats = instance.stats();
    let refused: u64 = stats.refused().iter().map(|(_, count)| count).sum();
    let mut text = format!(
        "{} sent, {} received, {refused} refused; {} master",
        stats.advert_sent,
        stats.advert_rcvd,
        several(stats.become_master, "time", "times")
    );
    for (why, count) in stats.refused().iter().filter(|(_, count)| *count > 0) {
        let _ = write!(text, "; {count} {why}");
    }
    text
}

fn tracked(view: &View<'_>, instance: &Instance, paint: Paint, out: &mut String) {
    let mut table = Table::with_heads(&["TRACKS", "NAME", "EFFECT", "LAST"]);
    for influence in view.engine.influences(instance) {
        let effect = match influence.bearing {
            Some(Bearing::Fault) => Cell::from("fault").coloured(Colour::Red),
            Some(Bearing::Adds(0)) => Cell::from("none"),
            Some(Bearing::Adds(adds)) => Cell::from(format!("{adds:+}")).coloured(Colour::Yellow),
            None => Cell::from("not known yet").coloured(Colour::Yellow),
        };
        let is = |tracker: &&Tracker<'_>| {
            Some(tracker.kind()) == influence.kind && tracker.name() == influence.name
        };
        let tracker = view.trackers.iter().find(is);
        let last = tracker.map(|tracker| Found(tracker, view.clock).to_string());
        table.row([
            kind_name(influence.kind).into(),
            influence.name.into(),
            effect,
            last.unwrap_or_default().into(),
        ]);
    }
    if !table.is_empty() {
        out.push('\n');
        table.write(paint, out);
    }
}

fn group(view: &View<'_>, group: &Group, paint: Paint, out: &mut String) {
    let more = ", as all of its members are together";
    headline(&group.config().name, group.state(), more, paint, out);
    let mut table = Table::with_heads(&["ROUTER", "STATE", "WHY"]);
    for name in &group.config().members {
        let Some(member) = view.instance(name) else {
            table.row([
                name.as_str().into(),
                "".into(),
                "is no virtual router".into(),
            ]);
            continue;
        };
        let state = member.state();
        table.row([
            name.as_str().into(),
            Cell::from(state.to_string()).coloured(state_colour(state)),
            member.faults().to_string().into(),
        ]);
    }
    table.write(paint, out);
}

fn tracker(view: &View<'_>, tracker: &Tracker<'_>, paint: Paint, out: &mut String) {
    let (kind, name) = (kind_name(Some(tracker.kind())), tracker.name());
    let (state, colour) = match tracker.up() {
        Some(true) => ("is up", Colour::Green),
        Some(false) => ("is down", Colour::Red),
        None => ("is watched", Colour::Plain),
    };
    let mut text = format!("{kind} {name} {state}");
    if let Some(changed) = tracker.changed() {
        let (span, date) = (Span(view.clock.ago(changed)), view.clock.date(changed));
        let _ = match tracker {
            Tracker::File { .. } => write!(text, "; its number changed {span} ago, at {date}"),
            _ => write!(text, " for {span}, since {date}"),
        };
    }
    paint.lines(out, &text, state, colour, 0);
    out.push('\n');
    let mut table = Table::default();
    let mut row = |key: &str, value: String| table.row([key.into(), value.into()]);
    row("last", Found(tracker, view.clock).to_string());
    match tracker {
        Tracker::Script { config, script } => {
            if !script.complaint().is_empty() {
                row("it said", script.complaint().to_owned());
            }
            row("command", config.command.text.clone());
            row(
                "rhythm",
                format!(
                    "each {}, for at most {}; down after {}, up after {}",
                    Span(config.interval),
                    Span(config.timeout),
                    several(config.fall, "failure", "failures"),
                    several(config.rise, "success", "successes")
                ),
            );
        }
        Tracker::File { .. } => {}
        Tracker::Process { config, .. } => row("process", config.words.join(" ")),
    }
    let users: Vec<&str> = view
        .engine
        .iter()
        .filter(|(_, instance)| {
            let mut all = view.engine.influences(instance);
            all.any(|i| i.kind == Some(tracker.kind()) && i.name == name)
        })
        .map(|(_, instance)| instance.config().name.as_str())
        .collect();
    row("tracked by", users.join(" "));
    table.write(paint, out);
    let subject = Subject::Tracker(tracker.kind(), name.into());
    view.events.write(&subject, view.clock, paint, out);
}
