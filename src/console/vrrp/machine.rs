//! The same for programs: JSON.

use core::fmt;

use super::{Found, Line, Subject, Tracker, View, kind_name};
use crate::console::json::{Json, member};
use crate::model::Peering;
use crate::name::{Family, Version};
use crate::time::Seconds;
use crate::vrrp::{Bearing, Group, Instance};

/// The members of `keepalite status --json`: of everything, or of one thing and what has happened to it; `None` if nothing has
/// this name.
#[must_use]
pub fn members(view: &View<'_>, name: &str) -> Option<String> {
    let wanted = |other: &str| name.is_empty() || other == name;
    let instances = || {
        view.engine
            .iter()
            .map(|(_, i)| i)
            .filter(|i| wanted(&i.config().name))
    };
    let groups = || {
        view.engine
            .groups()
            .map(|(_, g)| g)
            .filter(|g| wanted(&g.config().name))
    };
    let trackers = || {
        view.trackers
            .iter()
            .filter(|tracker| wanted(tracker.name()))
    };
    if !name.is_empty()
        && instances().next().is_none()
        && groups().next().is_none()
        && trackers().next().is_none()
    {
        return None;
    }
    Some(member(|json| {
        json.array_of("instances", |list| {
            instances().try_for_each(|i| list.object(|o| router(o, view, i, !name.is_empty())))
        })?;
        json.array_of("groups", |list| {
            groups().try_for_each(|g| list.object(|o| group(o, g)))
        })?;
        json.array_of("trackers", |list| {
            trackers().try_for_each(|t| list.object(|o| tracker(o, view, t, !name.is_empty())))
        })?;
        json.number("unknown_vrids", view.engine.unknown_vrids())
    }))
}

fn router(json: &mut Json<'_>, view: &View<'_>, instance: &Instance, whole: bool) -> fmt::Result {
    let config = instance.config();
    let clock = view.clock;
    json.text("name", &config.name)?;
    json.text("state", &instance.state().to_string())?;
    json.number("since", Seconds(clock.at(instance.since())))?;
    json.number("for", Seconds(clock.ago(instance.since())))?;
    json.text("interface", config.interface.as_str())?;
    json.number("vrid", config.vrid)?;
    json.number("family", if config.family == Family::V4 { 4 } else { 6 })?;
    json.number(
        "vrrp_version",
        if config.version == Version::V2 { 2 } else { 3 },
    )?;
    json.number("advert_interval", config.interval)?;
    json.boolean("preempt", config.preempt)?;
    json.number("priority", instance.priority())?;
    json.number("base_priority", config.priority)?;
    json.array_of("influences", |list| {
        view.engine.influences(instance).try_for_each(|influence| {
            list.object(|o| {
                o.text("kind", kind_name(influence.kind))?;
                o.text("name", influence.name)?;
                match influence.bearing {
                    Some(Bearing::Adds(adds)) => o.number("adds", adds),
                    Some(Bearing::Fault) => o.boolean("fault", true),
                    None => o.boolean("unknown", true),
                }
            })
        })
    })?;
    if let Some(heard) = instance.heard() {
        json.member("master", |o| {
            o.text("address", &heard.from.to_string())?;
            o.number("priority", heard.priority)?;
            o.number("advert_interval", heard.interval)?;
            o.number("heard", Seconds(clock.at(heard.at)))
        })?;
    }
    if let Some(source) = instance.source() {
        json.text("source", &source.to_string())?;
    }
    if let Peering::Unicast { peers, .. } = &config.peering {
        json.array("peers", peers.iter().map(|peer| peer.ip))?;
    }
    json.boolean("has_addresses", instance.owns_addresses())?;
    json.array("addresses", config.addresses.iter().map(Line))?;
    json.array("excluded_addresses", config.excluded.iter().map(Line))?;
    json.array("faults", instance.faults().sentences())?;
    if let Some(last) = instance.last() {
        json.member("last_transition", |o| {
            o.text("from", &last.from.to_string())?;
            o.number("lasted", Seconds(last.lasted))?;
            o.text("why", &last.why.to_string())
        })?;
    }
    json.member("counters", |o| {
        let stats = instance.stats();
        stats
            .all()
            .iter()
            .try_for_each(|(name, count)| o.number(name, count))
    })?;
    if !whole {
        return Ok(());
    }
    let subject = Subject::Router(instance.id());
    view.events.write_json(&subject, clock, json)
}

fn group(json: &mut Json<'_>, group: &Group) -> fmt::Result {
    json.text("name", &group.config().name)?;
    json.text("state", &group.state().to_string())?;
    json.array("members", &group.config().members)
}

fn tracker(
    json: &mut Json<'_>,
    view: &View<'_>,
    tracker: &Tracker<'_>,
    whole: bool,
) -> fmt::Result {
    let clock = view.clock;
    json.text("name", tracker.name())?;
    json.text("kind", kind_name(Some(tracker.kind())))?;
    if let Some(up) = tracker.up() {
        json.boolean("up", up)?;
    }
    if let Some(changed) = tracker.changed() {
        json.number("changed", Seconds(clock.at(changed)))?;
    }
    match tracker {
        Tracker::Script { config, script } => {
            json.text("command", &config.command.text)?;
            if let Some(run) = script.last() {
                json.number("last_run", Seconds(clock.at(run.at)))?;
                json.number("last_took", Seconds(run.took))?;
            }
            if !script.complaint().is_empty() {
                json.text("complaint", script.complaint())?;
            }
        }
        Tracker::File { path, value, .. } => {
            json.text("path", &path.to_string_lossy())?;
            if let Some(value) = value {
                json.number("value", value)?;
            }
        }
        Tracker::Process { quorum, .. } => json.number("processes", quorum.processes())?,
    }
    json.text("last", &Found(tracker, clock).to_string())?;
    if !whole {
        return Ok(());
    }
    let subject = Subject::Tracker(tracker.kind(), tracker.name().into());
    view.events.write_json(&subject, clock, json)
}
