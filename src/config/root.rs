//! The top level: blocks, and the few keywords that stand outside any.

use core::time::Duration;

use super::address::{self, Placed};
use super::diag::Span;
use super::global::{self, GLOBAL, GlobalDraft, NO_BFD};
use super::keys::Shape::{Any, Block as Braces, Named, Value};
use super::keys::Status::{Ignored, Obeyed};
use super::keys::{Feature, Row, Table, key, of};
use super::lvs::VirtualDraft;
use super::value::{Args, checked};
use super::vrrp::{AUTH, At, GROUP, GroupDraft, INSTANCE, InstanceDraft, LINKBEAT};
use super::{checks, lvs, route, track};
use crate::model::lvs::Tls;
use crate::model::{FileTracker, ProcessTracker, Route, Rule, ScriptTracker};
use crate::name::IfName;

/// Everything that the file says, before it is looked at as a whole.
#[derive(Default)]
pub(super) struct Root {
    pub(super) global: GlobalDraft,
    pub(super) addresses: Vec<Placed>,
    pub(super) routes: Vec<Route>,
    pub(super) rules: Vec<Rule>,
    pub(super) track_groups: Vec<TrackGroup>,
    pub(super) garp_groups: Vec<GarpGroup>,
    pub(super) scripts: Vec<At<ScriptTracker>>,
    pub(super) files: Vec<At<FileTracker>>,
    pub(super) processes: Vec<At<ProcessTracker>>,
    pub(super) bfds: Vec<String>,
    pub(super) groups: Vec<GroupDraft>,
    pub(super) instances: Vec<InstanceDraft>,
    pub(super) servers: Vec<VirtualDraft>,
}

/// `track_group`: a name for instances that depend on static addresses and routes.
#[derive(Default)]
pub(super) struct TrackGroup {
    pub(super) name: String,
    pub(super) members: Vec<At<String>>,
}

/// `garp_group`: interfaces that share a pace.
#[derive(Default)]
pub(super) struct GarpGroup {
    pub(super) interfaces: Vec<IfName>,
    pub(super) arp_pace: Duration,
    pub(super) na_pace: Duration,
}

pub(super) fn rows(rows: &mut Vec<Row>) {
    ROOT.rows(rows);
    GLOBAL.rows(rows);
    GARP_GROUP.rows(rows);
    TRACK_GROUP.rows(rows);
    track::SCRIPT.rows(rows);
    track::FILE.rows(rows);
    track::PROCESS.rows(rows);
    BFD.rows(rows);
    GROUP.rows(rows);
    INSTANCE.rows(rows);
    AUTH.rows(rows);
    if Feature::LVS.built {
        lvs::VIRTUAL.rows(rows);
        lvs::REAL.rows(rows);
        lvs::TLS.rows(rows);
        checks::rows(rows);
    }
}

pub(super) const ROOT: Table<Root> = Table {
    block: "",
    keys: &[&[
        key("global_defs", Braces, Obeyed, |d, a| {
            GLOBAL.read(a.block.children(), &mut d.global, a.context)
        }),
        key("net_namespace", Value, Obeyed, |d, a| {
            d.global.global.net_namespace = a.text("a name")
        }),
        key(
            "net_namespace_ipvs",
            Any,
            Ignored("this program works in one namespace"),
            |_, a| a.skip(),
        ),
        key(
            "namespace_with_ipsets",
            Any,
            Ignored("this program uses no ipsets"),
            |_, a| a.skip(),
        ),
        key("instance", Value, Obeyed, |d, a| {
            d.global.global.instance = a.text("a name")
        }),
        key("use_pid_dir", Any, Obeyed, |d, _| {
            d.global.global.use_pid_dir = true
        }),
        key("child_wait_time", Value, Obeyed, |d, a| {
            d.global.global.child_wait = a
                .time(0..=u32::MAX as u64 * 1_000_000)
                .unwrap_or(d.global.global.child_wait);
        }),
        key("linkbeat_use_polling", Any, LINKBEAT, |d, _| {
            d.global.global.linkbeat_polling = true
        }),
        key("linkbeat_interfaces", Braces, LINKBEAT, |d, a| {
            for block in a.block.children() {
                let mut line = Args::line(block, a.context);
                d.global.global.linkbeat_interfaces.extend(line.interface());
                let _ = line.flag("MII") || line.flag("ETHTOOL") || line.flag("IOCTL");
                line.finish();
            }
        }),
        key("interface_up_down_delays", Braces, Obeyed, |d, a| {
            for block in a.block.children() {
                let mut line = Args::line(block, a.context);
                let name = line.interface();
                let down = line.time(0..=255_000_000);
                let up = if line.peek().is_some() {
                    line.time(0..=255_000_000)
                } else {
                    down
                };
                if let (Some(name), Some(down), Some(up)) = (name, down, up) {
                    d.global.global.link_delays.push((name, down, up));
                }
                line.finish();
            }
        }),
        key("static_ipaddress", Braces, Obeyed, |d, a| {
            address::read(a.block.children(), true, &mut d.addresses, a.context)
        }),
        key("static_routes", Braces, Obeyed, |d, a| {
            d.routes
                .extend(route::routes(a.block.children(), true, a.context))
        }),
        key("static_rules", Braces, Obeyed, |d, a| {
            d.rules
                .extend(route::rules(a.block.children(), true, a.context))
        }),
        key("track_group", Named, Obeyed, |d, a| {
            let mut group = TrackGroup {
                name: a.text("a name").unwrap_or_default(),
                members: Vec::new(),
            };
            TRACK_GROUP.read(a.block.children(), &mut group, a.context);
            d.track_groups.push(group);
        }),
        key("garp_group", Braces, Obeyed, |d, a| {
            let mut group = GarpGroup::default();
            GARP_GROUP.read(a.block.children(), &mut group, a.context);
            if group.interfaces.is_empty() {
                a.context
                    .diags
                    .error(a.block.at(), "garp_group names no interface");
            }
            d.garp_groups.push(group);
        }),
        key("vrrp_script", Named, Obeyed, |d, a| {
            let at = named(a);
            d.scripts
                .extend(track::script(a).map(|value| At { value, at }));
        }),
        key("track_file", Named, Obeyed, |d, a| {
            let at = named(a);
            d.files.extend(track::file(a).map(|value| At { value, at }));
        }),
        key("vrrp_track_file", Named, Obeyed, |d, a| {
            let at = named(a);
            d.files.extend(track::file(a).map(|value| At { value, at }));
        }),
        key("vrrp_track_process", Named, Obeyed, |d, a| {
            let at = named(a);
            d.processes
                .extend(track::process(a).map(|value| At { value, at }));
        }),
        key("bfd_instance", Named, NO_BFD, |d, a| {
            let mut name = a.text("a name").unwrap_or_default();
            BFD.read(a.block.children(), &mut name, a.context);
            d.bfds.push(name);
        }),
        key("vrrp_sync_group", Named, Obeyed, |d, a| {
            let mut group = GroupDraft {
                at: named(a),
                name: a.text("a name").unwrap_or_default(),
                ..GroupDraft::default()
            };
            GROUP.read(a.block.children(), &mut group, a.context);
            d.groups.push(group);
        }),
        key("vrrp_instance", Named, Obeyed, |d, a| {
            let mut instance = InstanceDraft {
                at: named(a),
                name: a.text("a name").unwrap_or_default(),
                ..InstanceDraft::default()
            };
            INSTANCE.read(a.block.children(), &mut instance, a.context);
            d.instances.push(instance);
        }),
        of(
            Feature::LVS,
            key("virtual_server_group", Named, Obeyed, |d, a| {
                d.global.lvs.groups.extend(lvs::group(a))
            }),
        ),
        of(
            Feature::LVS,
            key("virtual_server", Named, Obeyed, |d, a| {
                d.servers.extend(lvs::server(a))
            }),
        ),
        of(
            Feature::LVS,
            key("SSL", Braces, Obeyed, |d, a| {
                let mut tls = Tls::default();
                lvs::TLS.read(a.block.children(), &mut tls, a.context);
                d.global.lvs.tls = Some(tls);
            }),
        ),
    ]],
};

/// Where the name of the block stands.
fn named(a: &Args<'_, '_, '_>) -> Span {
    a.peek().map_or_else(|| a.block.at(), |w| w.at)
}

const GARP_GROUP: Table<GarpGroup> = Table {
    block: "garp_group",
    keys: &[&[
        key("garp_interval", Value, Obeyed, |d, a| {
            global::pace(&mut d.arp_pace, a)
        }),
        key("gna_interval", Value, Obeyed, |d, a| {
            global::pace(&mut d.na_pace, a)
        }),
        key("interface", Value, Obeyed, |d, a| {
            d.interfaces.extend(a.interface())
        }),
        key("interfaces", Braces, Obeyed, |d, a| {
            for block in a.block.children() {
                for word in &block.words {
                    d.interfaces.extend(a.interface_of(*word));
                }
            }
        }),
    ]],
};

const TRACK_GROUP: Table<TrackGroup> = Table {
    block: "track_group",
    keys: &[&[key("group", Braces, Obeyed, |d, a| {
        let words = a.block.children().iter().flat_map(|b| b.words.iter());
        d.members.extend(words.map(|w| At {
            value: w.text.to_owned(),
            at: w.at,
        }));
    })]],
};

/// `bfd_instance`: checked, but nothing is kept besides its name.
const BFD: Table<String> = Table {
    block: "bfd_instance",
    keys: &[&[
        key("neighbor_ip", Value, NO_BFD, |_, a| checked(a.address())),
        key("neighbour_ip", Value, NO_BFD, |_, a| checked(a.address())),
        key("source_ip", Value, NO_BFD, |_, a| checked(a.address())),
        key("min_rx", Value, NO_BFD, |_, a| {
            checked(a.time(1..=60_000_000_000))
        }),
        key("min_tx", Value, NO_BFD, |_, a| {
            checked(a.time(1..=60_000_000_000))
        }),
        key("idle_tx", Value, NO_BFD, |_, a| {
            checked(a.time(1..=60_000_000_000))
        }),
        key("multiplier", Value, NO_BFD, |_, a| {
            checked(a.number::<u8>(1..=255))
        }),
        key("passive", Any, NO_BFD, |_, _| {}),
        key("ttl", Value, NO_BFD, |_, a| {
            checked(a.number::<u8>(1..=255))
        }),
        key("hoplimit", Value, NO_BFD, |_, a| {
            checked(a.number::<u8>(1..=255))
        }),
        key("max_hops", Value, NO_BFD, |_, a| {
            checked(a.number::<u8>(0..=255))
        }),
        key("multihop", Any, NO_BFD, |_, _| {}),
        key("weight", Value, NO_BFD, |_, a| checked(a.weight(253))),
        key("vrrp", Any, NO_BFD, |_, _| {}),
        key("checker", Any, NO_BFD, |_, _| {}),
    ]],
};
