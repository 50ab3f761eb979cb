//! What a reload would do to the virtual routers that run.

use super::router::Router;
use crate::config::dump::dump;
use crate::console::plan::{Change, Fate, difference};
use crate::model::lvs::SyncDaemon;
use crate::model::{FileTracker, Lvs, Model, Tracking, Weight};
use crate::vrrp::{Instance, TrackerKind};

/// The changes from what runs to another configuration, each with what it means.
pub(super) fn plan(router: &Router, new: &Model) -> Vec<Change> {
    let mut new = new.clone();
    new.lvs = of_routers(new.lvs.sync_daemon);
    // What nobody tracks is not run either.
    let tracked = names(&new, |t| &t.scripts);
    new.scripts.retain(|script| tracked.contains(&script.name));
    let tracked = names(&new, |t| &t.files);
    new.files.retain(|file| tracked.contains(&file.name));
    let tracked = names(&new, |t| &t.processes);
    new.processes
        .retain(|process| tracked.contains(&process.name));
    let mut old = running(router, &new);
    same_names_of_virtual_macs(&mut old, &new);
    let successors = router.engine().successors(&new);
    let mut changes = difference(&dump(&old), &dump(&new));
    for change in &mut changes {
        if let Some(name) = change.block.strip_prefix("vrrp_instance ") {
            change.meaning = meaning(router, &new, &successors, name, change.fate);
        }
    }
    changes
}

/// Names and weights of what is tracked.
type List = Vec<(String, Option<Weight>)>;

/// Names of all that virtual routers and groups track of a kind.
fn names(model: &Model, list: fn(&Tracking) -> &List) -> Vec<String> {
    let instances = model.instances.iter().map(|instance| &instance.tracking);
    let groups = model.groups.iter().map(|group| &group.tracking);
    let all = instances.chain(groups).flat_map(list);
    all.map(|(name, _)| name.clone()).collect()
}

/// The configuration that runs, as far as it is about virtual routers; of `new` what bears on nothing that runs.
fn running(router: &Router, new: &Model) -> Model {
    let engine = router.engine();
    let trackers = router.trackers();
    let files = trackers.files();
    let files = files.iter().map(|file| FileTracker {
        name: file.name.to_string(),
        path: file.path.to_string_lossy().into_owned(),
        weight: engine
            .weight(TrackerKind::File, &file.name)
            .unwrap_or_default(),
        // It is written at the start only.
        init: new
            .files
            .iter()
            .find(|f| f.name == *file.name)
            .and_then(|f| f.init),
    });
    Model {
        global: router.global().clone(),
        statics: router.statics().clone(),
        scripts: trackers
            .scripts()
            .map(|script| script.config().clone())
            .collect(),
        files: files.collect(),
        processes: trackers
            .processes()
            .iter()
            .map(|p| p.config().clone())
            .collect(),
        bfds: new.bfds.clone(),
        groups: engine
            .groups()
            .map(|(_, group)| group.config().clone())
            .collect(),
        instances: engine
            .iter()
            .map(|(_, instance)| instance.config().clone())
            .collect(),
        lvs: of_routers(router.sync_daemon().cloned()),
    }
}

/// What the process of the virtual routers does for virtual servers.
fn of_routers(sync_daemon: Option<SyncDaemon>) -> Lvs {
    Lvs {
        sync_daemon,
        ..Lvs::default()
    }
}

/// A virtual MAC without a name has got one when it was made.
fn same_names_of_virtual_macs(old: &mut Model, new: &Model) {
    for instance in &mut old.instances {
        let other = new
            .instances
            .iter()
            .find(|other| other.name == instance.name);
        let unnamed = other
            .and_then(|other| other.vmac.as_ref())
            .is_some_and(|vmac| vmac.name.is_none());
        if let (true, Some(vmac)) = (unnamed, &mut instance.vmac) {
            vmac.name = None;
        }
    }
}

/// What a change of a virtual router means for the one that runs.
fn meaning(
    router: &Router,
    new: &Model,
    successors: &[Option<&Instance>],
    name: &str,
    fate: Fate,
) -> String {
    let name = name.trim_matches('"');
    let runs = router
        .engine()
        .iter()
        .map(|(_, i)| i)
        .find(|i| i.config().name == name);
    let place = new.instances.iter().position(|config| config.name == name);
    let before = place.and_then(|at| *successors.get(at)?);
    let goes_on = |instance: &Instance| {
        successors
            .iter()
            .flatten()
            .any(|other| other.id() == instance.id())
    };
    match (fate, runs, before) {
        (Fate::Changes, _, Some(same)) => format!("goes on as {}", same.state()),
        (Fate::Changes, Some(old), None) => format!(
            "is another virtual router (interface, VRID, family, kind of peers or virtual MAC): the old one stops, which is {}, a new one starts",
            old.state()
        ),
        (Fate::Comes, _, Some(same)) => {
            format!(
                "is a new name of {}, which goes on as {}",
                same.config().name,
                same.state()
            )
        }
        (Fate::Goes, Some(old), _) if goes_on(old) => "goes on under another name".to_owned(),
        (Fate::Goes, Some(old), _) => format!("stops, is {} now", old.state()),
        _ => "starts, and listens first".to_owned(),
    }
}
