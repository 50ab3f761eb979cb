//! What is watched: `vrrp_script`, `track_file`, `vrrp_track_process`, and the lists that name it.

use core::time::Duration;

use super::diag::Span;
use super::global::NO_BFD;
use super::keys::Shape::{Any, Block as Braces, Value};
use super::keys::Status::Obeyed;
use super::keys::{Context, Key, Table, key};
use super::tree::Block;
use super::value::Args;
use crate::model::{
    ArgumentMatch, Command, FileTracker, ProcessTracker, ScriptTracker, User, Weight,
};
use crate::name::IfName;

const SECOND: u64 = 1_000_000;

/// `vrrp_script` while it is read.
pub(super) struct ScriptDraft {
    name: String,
    command: Option<Command>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    weight: Weight,
    rise: u32,
    fall: u32,
    user: Option<User>,
    init_fail: bool,
}

pub(super) const SCRIPT: Table<ScriptDraft> = Table {
    block: "vrrp_script",
    keys: &[&[
        key("script", Value, Obeyed, |d, a| d.command = a.lone_script()),
        key("interval", Value, Obeyed, |d, a| {
            d.interval = a.time(1_000..=u32::MAX as u64 * 1_000).or(d.interval)
        }),
        key("timeout", Value, Obeyed, |d, a| {
            d.timeout = a.time(1..=u32::MAX as u64 * 1_000).or(d.timeout)
        }),
        key("weight", Value, Obeyed, |d, a| {
            d.weight = a.weight(253).unwrap_or(d.weight)
        }),
        key("rise", Value, Obeyed, |d, a| {
            d.rise = a.number(1..=i32::MAX as i64).unwrap_or(d.rise)
        }),
        key("fall", Value, Obeyed, |d, a| {
            d.fall = a.number(1..=i32::MAX as i64).unwrap_or(d.fall)
        }),
        key("user", Value, Obeyed, |d, a| d.user = a.user()),
        key("init_fail", Any, Obeyed, |d, _| d.init_fail = true),
    ]],
};

pub(super) fn script(a: &mut Args<'_, '_, '_>) -> Option<ScriptTracker> {
    let mut draft = ScriptDraft {
        name: a.text("a name")?,
        command: None,
        interval: None,
        timeout: None,
        weight: Weight::default(),
        rise: 1,
        fall: 1,
        user: None,
        init_fail: false,
    };
    SCRIPT.read(a.block.children(), &mut draft, a.context);
    let Some(mut command) = draft.command else {
        a.context
            .diags
            .error(
                a.block.at(),
                format!("vrrp_script '{}' has no script", draft.name),
            )
            .hint("left out");
        return None;
    };
    command.user = command.user.or(draft.user);
    let interval = draft.interval.unwrap_or(Duration::from_secs(1));
    let timeout = draft.timeout.unwrap_or(interval);
    let limit = command.connection().and_then(|connection| connection.limit);
    Some(ScriptTracker {
        name: draft.name,
        command,
        interval,
        timeout: limit.map_or(timeout, |limit| timeout.min(limit)),
        weight: draft.weight,
        rise: draft.rise,
        fall: draft.fall,
        init_fail: draft.init_fail,
    })
}

/// `track_file` while it is read.
pub(super) struct FileDraft {
    tracker: FileTracker,
}

pub(super) const FILE: Table<FileDraft> = Table {
    block: "track_file",
    keys: &[&[
        key("file", Value, Obeyed, |d, a| {
            d.tracker.path = a.text("a path").unwrap_or_default()
        }),
        key("weight", Value, Obeyed, |d, a| {
            d.tracker.weight = a.weight(254).unwrap_or(d.tracker.weight)
        }),
        key("init_file", Any, Obeyed, |d, a| {
            let value = match a.peek() {
                Some(word) if word.text != "overwrite" => {
                    a.number(i64::from(i32::MIN)..=i64::from(i32::MAX))
                }
                _ => Some(0),
            };
            let overwrite = a.flag("overwrite");
            d.tracker.init = value.map(|v| (v, overwrite));
        }),
    ]],
};

pub(super) fn file(a: &mut Args<'_, '_, '_>) -> Option<FileTracker> {
    let mut draft = FileDraft {
        tracker: FileTracker {
            name: a.text("a name")?,
            path: String::new(),
            weight: Weight {
                value: 1,
                reverse: false,
            },
            init: None,
        },
    };
    FILE.read(a.block.children(), &mut draft, a.context);
    let tracker = draft.tracker;
    if tracker.path.is_empty() {
        a.context
            .diags
            .error(
                a.block.at(),
                format!("track_file '{}' names no file", tracker.name),
            )
            .hint("left out");
        return None;
    }
    Some(tracker)
}

/// `vrrp_track_process` while it is read.
pub(super) struct ProcessDraft {
    tracker: ProcessTracker,
}

const HOUR: u64 = 3600 * SECOND;

pub(super) const PROCESS: Table<ProcessDraft> = Table {
    block: "vrrp_track_process",
    keys: &[&[
        key("process", Value, Obeyed, |d, a| {
            let words = a.block.phrase.script_words().into_iter().skip(1);
            d.tracker.words = words.map(|(w, _)| w).collect();
            a.skip();
        }),
        key("param_match", Value, Obeyed, |d, a| {
            let kinds = [
                ("exact", ArgumentMatch::Exact),
                ("initial", ArgumentMatch::Initial),
                ("partial", ArgumentMatch::Partial),
            ];
            d.tracker.arguments = a.choice("way to compare arguments", &kinds);
        }),
        key("weight", Value, Obeyed, |d, a| {
            d.tracker.weight = a.weight(254).unwrap_or(d.tracker.weight)
        }),
        key("quorum", Value, Obeyed, |d, a| {
            d.tracker.quorum = a.number(0..=65_535).unwrap_or(d.tracker.quorum)
        }),
        key("quorum_max", Value, Obeyed, |d, a| {
            d.tracker.quorum_max = a.number(0..=65_535)
        }),
        key("fork_delay", Value, Obeyed, |d, a| {
            d.tracker.fork_delay = a.time(1..=HOUR).unwrap_or_default()
        }),
        key("terminate_delay", Value, Obeyed, |d, a| {
            d.tracker.terminate_delay = a.time(1..=HOUR).unwrap_or_default()
        }),
        key("delay", Value, Obeyed, |d, a| {
            let delay = a.time(1..=HOUR).unwrap_or_default();
            (d.tracker.fork_delay, d.tracker.terminate_delay) = (delay, delay);
        }),
        key("full_command", Any, Obeyed, |d, _| {
            d.tracker.full_command = true
        }),
    ]],
};

pub(super) fn process(a: &mut Args<'_, '_, '_>) -> Option<ProcessTracker> {
    let mut draft = ProcessDraft {
        tracker: ProcessTracker {
            name: a.text("a name")?,
            words: Vec::new(),
            arguments: None,
            full_command: false,
            weight: Weight::default(),
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        },
    };
    PROCESS.read(a.block.children(), &mut draft, a.context);
    let mut tracker = draft.tracker;
    if tracker.words.is_empty() {
        a.context
            .diags
            .error(
                a.block.at(),
                format!("vrrp_track_process '{}' names no process", tracker.name),
            )
            .hint("left out");
        return None;
    }
    // Arguments that are given are compared, exactly unless said otherwise.
    if tracker.words.len() > 1 && tracker.arguments.is_none() {
        tracker.arguments = Some(ArgumentMatch::Exact);
    }
    Some(tracker)
}

/// A name in a `track_*` list, its weight, and its place.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) name: String,
    pub(super) weight: Option<Weight>,
    pub(super) at: Span,
}

/// The `track_*` lists of an instance or a group.
#[derive(Clone, Debug, Default)]
pub(super) struct TrackingDraft {
    pub(super) interfaces: Vec<(IfName, Weight, Span)>,
    pub(super) scripts: Vec<Tracked>,
    pub(super) files: Vec<Tracked>,
    pub(super) processes: Vec<Tracked>,
    pub(super) bfds: Vec<Tracked>,
}

/// Who has such lists.
pub(super) trait HasTracking {
    fn tracking(&mut self) -> &mut TrackingDraft;
}

pub(super) const fn lists<D: HasTracking>() -> [Key<D>; 5] {
    [
        key("track_interface", Braces, Obeyed, |d, a| {
            list(a.block.children(), 253, a.context, |a, item| {
                let Some(name) = a.interface_of(item.word) else {
                    return;
                };
                let tracking = d.tracking();
                if tracking.interfaces.iter().any(|(n, _, _)| *n == name) {
                    a.context
                        .diags
                        .warn(item.word.at, format!("interface {name} is tracked twice"))
                        .hint("the first one counts");
                } else {
                    tracking
                        .interfaces
                        .push((name, item.weight.unwrap_or_default(), item.word.at));
                }
            });
        }),
        key("track_script", Braces, Obeyed, |d, a| {
            named(a, 253, &mut d.tracking().scripts)
        }),
        key("track_file", Braces, Obeyed, |d, a| {
            named(a, 254, &mut d.tracking().files)
        }),
        key("track_process", Braces, Obeyed, |d, a| {
            named(a, 254, &mut d.tracking().processes)
        }),
        key("track_bfd", Braces, NO_BFD, |d, a| {
            named(a, 253, &mut d.tracking().bfds)
        }),
    ]
}

struct Item<'a> {
    word: super::words::Word<'a>,
    weight: Option<Weight>,
}

fn named(a: &mut Args<'_, '_, '_>, limit: i64, into: &mut Vec<Tracked>) {
    list(a.block.children(), limit, a.context, |a, item| {
        let (name, at) = (item.word.text.to_owned(), item.word.at);
        if into.iter().any(|t| t.name == name) {
            a.context
                .diags
                .warn(at, format!("'{name}' is tracked twice"))
                .hint("the first one counts");
        } else {
            into.push(Tracked {
                name,
                weight: item.weight,
                at,
            });
        }
    });
}

fn list(
    blocks: &[Block<'_>],
    limit: i64,
    context: &mut Context,
    mut each: impl FnMut(&mut Args<'_, '_, '_>, Item<'_>),
) {
    for block in blocks {
        let mut a = Args::line(block, context);
        let Some(word) = a.word() else {
            continue;
        };
        let mut weight = None;
        if a.flag("weight") {
            weight = a.weight(limit);
            // A line whose weight is wrong is left out, as keepalived does.
            if weight.is_none() {
                a.skip();
                continue;
            }
        }
        each(&mut a, Item { word, weight });
        a.finish();
    }
}
