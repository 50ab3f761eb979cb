//! Why something is as it is, and what would have to change: a sentence for each link of the chain.

use core::fmt::Write;

use super::{Found, Sum, Tracker, View, kind_name, several, weights};
use crate::time::Span;
use crate::vrrp::{Bearing, Faults, Group, Influence, Instance, State};

/// The sentences about what has this name; `None` if nothing has it.
#[must_use]
pub fn explain(view: &View<'_>, name: &str) -> Option<Vec<String>> {
    let mut groups = view.engine.groups().map(|(_, group)| group);
    if let Some(instance) = view.instance(name) {
        Some(router(view, instance))
    } else if let Some(found) = groups.find(|group| group.config().name == name) {
        Some(group(view, found))
    } else {
        Some(tracker(view, view.tracker(name)?))
    }
}

fn router(view: &View<'_>, instance: &Instance) -> Vec<String> {
    let mut said = vec![state(view, instance)];
    if let Some(last) = instance.last().filter(|last| last.from != last.to) {
        let (date, why) = (view.clock.date(instance.since()), last.why);
        let mut text = format!("It became {} at {date}: {why}", last.to);
        if last.from != State::Init {
            let _ = write!(
                text,
                "; it had been {} for {}",
                last.from,
                Span(last.lasted)
            );
        }
        said.push(text + ".");
    }
    if instance.state() == State::Fault {
        faults(view, instance, &mut said);
        return said;
    }
    said.push(format!("Its priority is {}.", Sum(view, instance)));
    for (influence, adds) in weights(view.engine.influences(instance)) {
        let (kind, name) = (kind_name(influence.kind), influence.name);
        let verb = if adds < 0 { "takes" } else { "adds" };
        let found = last(view, &influence);
        said.push(format!(
            "{kind} {name} {verb} {}{found}.",
            adds.unsigned_abs()
        ));
    }
    if let Some(group) = instance.group().and_then(|id| view.engine.group(id)) {
        let name = &group.config().name;
        said.push(format!(
            "It moves together with its sync group {name}, which is {}.",
            group.state()
        ));
    }
    outlook(view, instance, &mut said);
    said
}

/// What it is, and the nearest reason.
fn state(view: &View<'_>, instance: &Instance) -> String {
    let (name, ours) = (&instance.config().name, instance.priority());
    let clock = view.clock;
    match (instance.state(), instance.heard()) {
        (State::Init, _) => {
            let unknown = view.engine.influences(instance);
            let unknown = unknown.filter(|influence| influence.bearing.is_none());
            let unknown: Vec<String> = unknown
                .map(|influence| format!("{} {}", kind_name(influence.kind), influence.name))
                .collect();
            match unknown.is_empty() {
                true => format!("{name} is INIT because it has not started yet."),
                false => format!(
                    "{name} is INIT because nothing is known yet of {}.",
                    unknown.join(", ")
                ),
            }
        }
        (State::Fault, _) => format!("{name} is FAULT because {}.", instance.faults()),
        (State::Master, _) => {
            format!("{name} is MASTER because it hears nobody whose priority is above {ours}.")
        }
        (State::Backup, Some(heard)) => format!(
            "{name} is BACKUP because {} advertises priority {} and ours is {ours}; its last advert came {} ago.",
            heard.from,
            heard.priority,
            Span(clock.ago(heard.at))
        ),
        (State::Backup, None) => {
            format!(
                "{name} is BACKUP because it has just started to listen; no master has been heard."
            )
        }
    }
}

/// What its tracker has found out last, if there is more to tell than that.
fn last(view: &View<'_>, influence: &Influence<'_>) -> String {
    let is = |tracker: &&Tracker<'_>| {
        Some(tracker.kind()) == influence.kind && tracker.name() == influence.name
    };
    let tracker = view.trackers.iter().find(is);
    tracker.map_or_else(String::new, |tracker| {
        let mut text = format!(": {}", Found(tracker, view.clock));
        let changed = tracker.changed();
        if let (Some(up), Some(changed)) = (tracker.up(), changed) {
            let state = if up { "up" } else { "down" };
            let _ = write!(text, "; {state} since {}", view.clock.date(changed));
        }
        text
    })
}

/// What has to be there again, one by one.
fn faults(view: &View<'_>, instance: &Instance, said: &mut Vec<String>) {
    let config = instance.config();
    let remedies = [
        (
            Faults::MISSING,
            format!("{} must come to exist.", config.advert_interface()),
        ),
        (
            Faults::DOWN,
            format!(
                "{} must be up and have a carrier.",
                config.advert_interface()
            ),
        ),
        (
            Faults::NO_SOURCE,
            format!(
                "{} must have an address of its own family, or mcast_src_ip (unicast_src_ip) must give one.",
                config.advert_interface()
            ),
        ),
        (Faults::NO_PEER, "unicast_peer must name a peer.".to_owned()),
        (
            Faults::SOURCE_GONE,
            format!(
                "{} must be on this host again.",
                config
                    .source
                    .map_or_else(|| "its source".to_owned(), |source| source.to_string())
            ),
        ),
    ];
    let faults = instance.faults();
    said.extend(
        remedies
            .into_iter()
            .filter(|(fault, _)| faults.contains(*fault))
            .map(|(_, what)| what),
    );
    for influence in view.engine.influences(instance) {
        if influence.bearing == Some(Bearing::Fault) {
            let (kind, name) = (kind_name(influence.kind), influence.name);
            said.push(format!(
                "{kind} {name} must be well again{}.",
                last(view, &influence)
            ));
        }
    }
    if let (true, Some(group)) = (
        faults.contains(Faults::GROUP),
        instance.group().and_then(|id| view.engine.group(id)),
    ) {
        for member in members(view, group).filter(|m| m.state() == State::Fault) {
            let own: Vec<&str> = member.faults().sentences().collect();
            if !member.faults().contains(Faults::GROUP) {
                let name = &member.config().name;
                said.push(format!(
                    "{name} of its sync group must be well again: {}.",
                    own.join(", ")
                ));
            }
        }
    }
    said.push("Then it listens first, as BACKUP.".to_owned());
}

/// What would have to change for it to become something else.
fn outlook(view: &View<'_>, instance: &Instance, said: &mut Vec<String>) {
    let config = instance.config();
    let ours = instance.priority();
    match (instance.state(), instance.heard()) {
        (State::Master, _) => {
            let source = instance.source().map_or_else(String::new, |source| {
                format!(", or as high from an address above {source}")
            });
            said.push(format!(
                "It gives way to whoever advertises more than {ours}{source}."
            ));
        }
        (State::Backup, heard) => {
            if let Some(at) = instance.deadline() {
                let left = Span(at.since(view.clock.now));
                said.push(format!("If nothing more is heard it takes over in {left}."));
            }
            let Some(heard) = heard else { return };
            if !config.preempt {
                let from = heard.from;
                said.push(format!(
                    "With nopreempt it waits until {from} falls silent or resigns."
                ));
                return;
            }
            let sum = view
                .engine
                .influences(instance)
                .map(|influence| i32::from(influence.best))
                .sum::<i32>();
            let best = if config.is_owner() {
                255
            } else {
                (i32::from(config.priority) + sum).clamp(1, 254)
            };
            let theirs = i32::from(heard.priority);
            if best > theirs && best > i32::from(ours) {
                said.push(format!(
                    "If all that it tracks were well its priority would be {best}, and it would take over."
                ));
            } else if best <= theirs {
                said.push(format!(
                    "To take over while {} lives, its priority must be above {theirs}; with all that it tracks well it is {best}.",
                    heard.from
                ));
            }
        }
        (State::Init | State::Fault, _) => {}
    }
}

fn members<'a>(view: &'a View<'_>, group: &'a Group) -> impl Iterator<Item = &'a Instance> {
    let names = group.config().members.iter();
    names.filter_map(|name| view.instance(name))
}

fn group(view: &View<'_>, group: &Group) -> Vec<String> {
    let (name, state) = (&group.config().name, group.state());
    let because = match state {
        State::Master => "all of its members are master",
        State::Backup => "one of its members is backup, and they move together",
        State::Fault => "one of its members has a fault, and they move together",
        State::Init => "not all of its members have started",
    };
    let mut said = vec![format!("{name} is {state} because {because}.")];
    said.extend(members(view, group).map(|member| self::state(view, member)));
    said
}

fn tracker(view: &View<'_>, tracker: &Tracker<'_>) -> Vec<String> {
    let (kind, name) = (kind_name(Some(tracker.kind())), tracker.name());
    let state = match tracker.up() {
        Some(true) => "is up",
        Some(false) => "is down",
        None => "is watched",
    };
    let mut said = vec![format!(
        "{kind} {name} {state}: {}.",
        Found(tracker, view.clock)
    )];
    if let Tracker::Script { config, script } = tracker {
        if !script.complaint().is_empty() {
            said.push(format!("It said: {}", script.complaint()));
        }
        said.push(format!(
            "It is down after {} in a row, and up after {}.",
            several(config.fall, "failure", "failures"),
            several(config.rise, "success", "successes")
        ));
    }
    for (_, instance) in view.engine.iter() {
        let mut all = view.engine.influences(instance);
        let found = all.find(|i| i.kind == Some(tracker.kind()) && i.name == name);
        let effect = match found.map(|influence| influence.bearing) {
            None => continue,
            Some(None) => "which waits for its first result".to_owned(),
            Some(Some(Bearing::Fault)) => "which is in FAULT because of it".to_owned(),
            Some(Some(Bearing::Adds(0))) => "whose priority it leaves as it is".to_owned(),
            Some(Some(Bearing::Adds(adds))) => format!("whose priority it changes by {adds:+}"),
        };
        said.push(format!(
            "It is tracked by {}, {effect}.",
            instance.config().name
        ));
    }
    said
}
