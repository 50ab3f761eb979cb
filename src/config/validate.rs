//! What needs the whole: names that are used and exist, identities that must differ, users and rights of scripts.

use std::rc::Rc;

use super::address::Placed;
use super::diag::{Diags, Span};
use super::keys::{Context, Feature};
use super::pool;
use super::resolve::{self, Known};
use super::root::{Root, TrackGroup};
use super::script::{self, Refused};
use super::vrrp::{At, GroupDraft, InstanceDraft};
use crate::model::global::Mail;
use crate::model::lvs::{Check, SyncDaemon};
use crate::model::vrrp::Peering;
use crate::model::{
    Address, Command, FileTracker, Global, Instance, Model, Notify, ScriptTracker, Statics,
    SyncGroup, Tracking, User,
};
use crate::name::{Family, IfName, Version};
use crate::sorted::{Map, Set};

/// The model of everything that was said, with what is wrong in it added to the diagnostics.
pub(super) fn finish(mut root: Root, mut context: Context) -> (Model, Diags) {
    root.global.finish();
    if root.global.global.script_user.is_none() {
        root.global.global.script_user = context.users.account("keepalived_script");
    }
    let default = root.global.global.script_user;
    let secure = root.global.global.script_security;
    let mut diags = context.diags;
    let refused = script::check(context.scripts, default, secure, &mut diags);
    root.global.global.announcing = announcing(&root);
    if let Some(at) = context.alert {
        mails(at, &root.global.global.mail, &mut diags);
    }

    let scripts = distinct(root.scripts, |s| &s.name, "vrrp_script", &mut diags);
    let files = distinct(root.files, |f| &f.name, "track_file", &mut diags);
    let processes = distinct(
        root.processes,
        |p| &p.name,
        "vrrp_track_process",
        &mut diags,
    );
    let known = Known {
        scripts: scripts.iter().map(|s| s.name.as_str()).collect(),
        files: files.iter().map(|f| f.name.as_str()).collect(),
        processes: processes.iter().map(|p| p.name.as_str()).collect(),
        bfds: root.bfds.iter().map(String::as_str).collect(),
    };
    let followed = followed(
        &root.instances,
        root.global.sync_daemon.is_some(),
        &mut diags,
    );
    let mut instances = instances(
        root.instances,
        &root.global,
        &root.garp_groups,
        &known,
        &mut diags,
    );
    let groups = groups(
        root.groups,
        &mut instances,
        &known,
        &scripts,
        &files,
        &mut diags,
    );
    let mut statics = Statics {
        addresses: addresses(root.addresses, &root.global.global),
        routes: root.routes,
        rules: root.rules,
        groups: track_groups(root.track_groups, &instances, &mut diags),
    };
    without_unknown_groups(&mut statics, context.track_groups, &mut diags);
    let mut lvs = root.global.lvs;
    if Feature::LVS.built {
        lvs.sync_daemon = sync_daemon(root.global.sync_daemon, followed, &instances, &mut diags);
        lvs.servers = pool::servers(root.servers, &lvs.groups, lvs.log_all_failures, &mut diags);
    }
    let mut model = Model {
        global: root.global.global,
        statics,
        scripts,
        files,
        processes,
        bfds: root.bfds,
        groups,
        instances,
        lvs,
    };
    settle_scripts(&mut model, &refused);
    diags.sort();
    (model, diags)
}

/// `lvs_sync_daemon_interface` of an instance: an older way to say `lvs_sync_daemon`, of which there can be one.
fn followed(
    drafts: &[InstanceDraft],
    mut taken: bool,
    diags: &mut Diags,
) -> Option<At<SyncDaemon>> {
    let mut first = None;
    for draft in drafts {
        let Some(At { value, at }) = &draft.sync_daemon else {
            continue;
        };
        if core::mem::replace(&mut taken, true) {
            diags
                .error(*at, "there is a sync daemon already")
                .hint("the kernel has one; the first one counts");
            continue;
        }
        let value = SyncDaemon {
            instance: Some(draft.name.clone()),
            ..SyncDaemon::on(value.clone())
        };
        first = Some(At { value, at: *at });
    }
    first
}

/// The sync daemon, if the instance that it follows exists.
fn sync_daemon(
    global: Option<At<SyncDaemon>>,
    of_instance: Option<At<SyncDaemon>>,
    instances: &[Instance],
    diags: &mut Diags,
) -> Option<SyncDaemon> {
    let At { value, at } = global.or(of_instance)?;
    if let Some(name) = &value.instance {
        if !instances.iter().any(|instance| instance.name == *name) {
            diags
                .warn(
                    at,
                    format!("the sync daemon follows instance {name}, which does not exist"),
                )
                .hint("there will be none");
            return None;
        }
    }
    Some(value)
}

/// The global `vrrp_garp_*` settings as an instance without own ones would have them.
fn announcing(root: &Root) -> crate::model::Announcing {
    let own = super::global::AnnouncingDraft::default();
    resolve::announcing(&own, &root.global, false, &[], &IfName::default())
}

/// Mails need somebody to bring them, and somebody to bring them to.
fn mails(asked: Span, mail: &Mail, diags: &mut Diags) {
    let missing = match (&mail.server, mail.to.is_empty()) {
        (Some(_), false) => return,
        (Some(_), true) => "notification_email",
        (None, false) => "smtp_server",
        (None, true) => "notification_email and smtp_server",
    };
    diags
        .warn(asked, "no mail is sent")
        .hint(format!("global_defs has no {missing}"));
}

/// The first of several things with one name counts.
fn distinct<T>(
    things: Vec<At<T>>,
    name: impl Fn(&T) -> &String,
    what: &str,
    diags: &mut Diags,
) -> Vec<T> {
    let mut seen = Set::new();
    let kept = things.into_iter().filter(|thing| {
        let new = seen.insert(name(&thing.value).clone());
        if !new {
            diags
                .error(
                    thing.at,
                    format!("{what} '{}' is defined twice", name(&thing.value)),
                )
                .hint("the first one counts");
        }
        new
    });
    kept.map(|thing| thing.value).collect()
}

fn instances(
    drafts: Vec<InstanceDraft>,
    defaults: &super::global::GlobalDraft,
    garp: &[super::root::GarpGroup],
    known: &Known<'_>,
    diags: &mut Diags,
) -> Vec<Instance> {
    let mut names = Set::new();
    let new: Vec<bool> = drafts
        .iter()
        .map(|draft| names.insert(draft.name.as_str()))
        .collect();
    drop(names);
    let mut identities = Map::new();
    // Strict mode surprises people with it: it is said once.
    let mut mute = None;
    let mut instances: Vec<Instance> = Vec::with_capacity(drafts.len());
    for (mut draft, new) in drafts.into_iter().zip(new) {
        let at = draft.at;
        if !new {
            diags
                .error(at, format!("instance {} is defined twice", draft.name))
                .hint("the first one counts");
            continue;
        }
        let vrid_at = draft.vrid.map_or(at, |v| v.at);
        let accept_said = draft.accept.is_some();
        let mut tracked = core::mem::take(&mut draft.tracking);
        let Some(mut instance) = resolve::instance(draft, defaults, garp, diags) else {
            continue;
        };
        let first = *identities.get_or_insert_with(identity(&instance), || instances.len());
        if let Some(other) = instances.get(first) {
            let what = format!(
                "virtual_router_id {} is already that of instance {} on {}",
                instance.vrid, other.name, instance.interface
            );
            diags.error(vrid_at, what).hint("left out; give it another");
            continue;
        }
        tracked.interfaces.retain(|(name, _, at)| {
            let own = *name == instance.interface && instance.track_primary;
            if own {
                diags.warn(
                    *at,
                    format!("{name} is the instance's own interface, which is tracked anyway"),
                );
            }
            !own
        });
        instance.tracking = resolve::tracking(tracked, known, diags);
        if instance.strict && !instance.accept && !accept_said {
            mute.get_or_insert((at, instance.version));
        }
        // It lives as long as the daemon.
        instance.addresses.shrink_to_fit();
        instance.excluded.shrink_to_fit();
        instances.push(instance);
    }
    if let Some((at, version)) = mute {
        let what = "in strict mode a master does not answer at its virtual addresses, neither to ping nor to ssh";
        diags.warn(at, what).hint(match version {
            Version::V3 => "write 'accept' if it should, or 'no_accept' if that is meant",
            Version::V2 => "only version 3 has 'accept'; write 'no_accept' if that is meant",
        });
    }
    instances
}

/// Two instances must differ in this, or they would take each other's adverts for their own.
fn identity(
    instance: &Instance,
) -> (
    IfName,
    u8,
    Family,
    Option<core::net::IpAddr>,
    Vec<core::net::IpAddr>,
) {
    let (group, peers) = match &instance.peering {
        Peering::Multicast(group) => (Some(*group), Vec::new()),
        Peering::Unicast { peers, .. } => (None, peers.iter().map(|p| p.ip).collect()),
    };
    (
        instance.interface.clone(),
        instance.vrid.get(),
        instance.family,
        group,
        peers,
    )
}

fn groups(
    drafts: Vec<GroupDraft>,
    instances: &mut [Instance],
    known: &Known<'_>,
    scripts: &[ScriptTracker],
    files: &[FileTracker],
    diags: &mut Diags,
) -> Vec<SyncGroup> {
    let mut groups: Vec<SyncGroup> = Vec::new();
    let mut taken: Map<String, String> = Map::new();
    for draft in drafts {
        if groups.iter().any(|g| g.name == draft.name) {
            diags
                .error(
                    draft.at,
                    format!("sync group {} is defined twice", draft.name),
                )
                .hint("the first one counts");
            continue;
        }
        let mut members = Vec::new();
        for member in draft.members {
            if !instances.iter().any(|i| i.name == member.value) {
                let near =
                    super::keys::nearest(&member.value, instances.iter().map(|i| i.name.as_str()));
                let diag = diags.error(
                    member.at,
                    format!("there is no instance '{}'", member.value),
                );
                diag.hint = near.map(|(name, _)| format!("did you mean '{name}'?"));
            } else if let Some(other) = taken.get(&member.value) {
                diags
                    .error(
                        member.at,
                        format!("instance {} is in sync group {other} already", member.value),
                    )
                    .hint("left out here");
            } else {
                taken.insert(member.value.clone(), draft.name.clone());
                members.push(member.value);
            }
        }
        match members.len() {
            0 => {
                diags
                    .error(
                        draft.at,
                        format!("sync group {} has no instance", draft.name),
                    )
                    .hint("left out");
                continue;
            }
            1 => {
                diags.warn(
                    draft.at,
                    format!("sync group {} has only one instance", draft.name),
                );
            }
            _ => {}
        }
        if !draft.weights {
            let of_group = instances.iter_mut().filter(|i| members.contains(&i.name));
            of_group.for_each(|i| without_weights(i, draft.at, scripts, files, diags));
        }
        groups.push(SyncGroup {
            name: draft.name,
            members,
            tracking: resolve::tracking(draft.tracking, known, diags),
            notify: draft.notify,
            weights: draft.weights,
        });
    }
    groups
}

/// Members of a group must not differ in priority by what they track.
fn without_weights(
    instance: &mut Instance,
    at: Span,
    scripts: &[ScriptTracker],
    files: &[FileTracker],
    diags: &mut Diags,
) {
    let Tracking {
        interfaces,
        scripts: tracked,
        files: tracked_files,
        ..
    } = &mut instance.tracking;
    let name = &instance.name;
    let mut tell = |what: &str| {
        let text = format!("{name} tracks {what} with a weight, which its sync group excludes");
        diags
            .warn(at, text)
            .hint("track it in the group, or add sync_group_tracking_weight");
    };
    for (interface, weight) in interfaces.iter_mut().filter(|(_, w)| w.value != 0) {
        tell(interface.as_str());
        weight.value = 0;
    }
    tracked.retain(|(script, weight)| {
        let own = || scripts.iter().find(|s| s.name == *script).map(|s| s.weight);
        let weighted = weight.or_else(own).is_some_and(|w| w.value != 0);
        if weighted {
            tell(script);
        }
        !weighted
    });
    for (file, weight) in tracked_files.iter_mut() {
        let own = files.iter().find(|f| f.name == *file).map(|f| f.weight);
        let mut effective = weight.or(own).unwrap_or_default();
        if effective.value != 0 {
            if effective.value != 1 {
                tell(file);
            }
            effective.value = 0;
            *weight = Some(effective);
        }
    }
}

fn track_groups(
    groups: Vec<TrackGroup>,
    instances: &[Instance],
    diags: &mut Diags,
) -> Vec<crate::model::TrackGroup> {
    let settle = groups.into_iter().map(|group| {
        let members = group.members.into_iter().filter(|member| {
            let found = instances.iter().any(|i| i.name == member.value);
            if !found {
                diags
                    .error(
                        member.at,
                        format!("there is no instance '{}'", member.value),
                    )
                    .hint("left out");
            }
            found
        });
        crate::model::TrackGroup {
            members: members.map(|m| m.value).collect(),
            name: group.name,
        }
    });
    settle.collect()
}

/// Static addresses, each with its interface.
fn addresses(placed: Vec<Placed>, global: &Global) -> Vec<Address> {
    let default = global
        .default_interface
        .clone()
        .or_else(|| IfName::new("eth0"));
    let settle = placed.into_iter().map(|(mut address, _)| {
        if address.dev.is_none() {
            address.dev = default.clone();
        }
        address
    });
    settle.collect()
}

/// What names a `track_group` that is not there is tracked by nobody.
fn without_unknown_groups(statics: &mut Statics, used: Vec<At<String>>, diags: &mut Diags) {
    let Statics {
        addresses,
        routes,
        rules,
        groups,
    } = statics;
    let names = || groups.iter().map(|group| group.name.as_str());
    let known = |name: &String| names().any(|known| known == name);
    for At { value, at } in used.iter().filter(|used| !known(&used.value)) {
        let near = super::keys::nearest(value, names());
        let diag = diags.error(*at, format!("there is no track_group '{value}'"));
        diag.hint = near.map(|(name, _)| format!("did you mean '{name}'?"));
    }
    for address in addresses {
        address.group.take_if(|name| !known(name));
    }
    let lines = routes.iter_mut().map(|r| (&mut r.group, &mut r.words));
    let lines = lines.chain(rules.iter_mut().map(|r| (&mut r.group, &mut r.words)));
    for (group, words) in lines {
        if group.take_if(|name| !known(name)).is_some() {
            let at = words.iter().position(|word| word == "track_group");
            at.map(|at| words.drain(at..at + 2));
        }
    }
}

/// Takes away what script security refuses and says who runs the rest.
fn settle_scripts(model: &mut Model, refused: &Refused) {
    let default = model.global.script_user;
    let mine = |command: &mut Command| {
        command.user = command.user.or(default);
        !refused.contains(&command.text)
    };
    let settle = |slot: &mut Option<Command>| {
        slot.take_if(|command| !mine(command));
    };
    let settle_boxed = |slot: &mut Option<Box<Command>>| {
        slot.take_if(|command| !mine(command));
    };
    let notify = |n: &mut Notify| {
        for slot in [
            &mut n.master,
            &mut n.backup,
            &mut n.fault,
            &mut n.stop,
            &mut n.any,
            &mut n.lower_priority,
        ] {
            settle_boxed(slot);
        }
        n.deleted.iter_mut().for_each(settle_boxed);
    };
    model
        .instances
        .iter_mut()
        .for_each(|i| notify(&mut i.notify));
    model.groups.iter_mut().for_each(|g| notify(&mut g.notify));
    let global = &mut model.global;
    for fifo in [
        &mut global.fifo,
        &mut global.vrrp_fifo,
        &mut global.lvs_fifo,
    ] {
        settle(&mut fifo.script);
        if let Some((_, user)) = &mut fifo.path {
            *user = user.or(default);
        }
    }
    for hook in [&mut global.startup, &mut global.shutdown] {
        let (command, timeout) = hook.take().unzip();
        let mut command: Option<Command> = command;
        // These are the parent's: root unless the line says otherwise.
        let user: Option<User> = command.as_ref().and_then(|c| c.user);
        settle(&mut command);
        *hook = command.map(|c| Command { user, ..c }).zip(timeout);
    }
    for server in &mut model.lvs.servers {
        settle_boxed(&mut server.quorum_up);
        settle_boxed(&mut server.quorum_down);
        for real in &mut server.real {
            settle_boxed(&mut real.notify_up);
            settle_boxed(&mut real.notify_down);
            real.checkers.retain_mut(|checker| {
                if !matches!(checker.check, Check::Misc { .. }) {
                    return true;
                }
                match &mut Rc::make_mut(&mut checker.settings).check {
                    Check::Misc { command, .. } => mine(command),
                    _ => true,
                }
            });
        }
    }
    // A tracker without its script could never be up, so it goes as a whole.
    let (gone, kept): (Vec<ScriptTracker>, Vec<_>) = core::mem::take(&mut model.scripts)
        .into_iter()
        .partition(|s| refused.contains(&s.command.text));
    model.scripts = kept;
    for tracking in model
        .instances
        .iter_mut()
        .map(|i| &mut i.tracking)
        .chain(model.groups.iter_mut().map(|g| &mut g.tracking))
    {
        tracking
            .scripts
            .retain(|(name, _)| !gone.iter().any(|s| s.name == *name));
    }
    for script in &mut model.scripts {
        script.command.user = script.command.user.or(default);
    }
}
