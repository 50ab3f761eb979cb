//! The numbers for Prometheus.
//!
//! Names and labels are those of the exporters that people run beside keepalived, so that their dashboards go on; what those
//! have not got is named by the same rule.

use super::{Tracker, View};
use crate::console::metrics::{Exposition, Quoted};
use crate::time::Seconds;
use crate::vrrp::{Instance, Stats, TrackerKind};

/// The counters of an instance: name without `keepalived_` and `_total`, help, value.
type Counter = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTERS: [Counter; 19] = [
    (
        "advertisements_received",
        "Adverts that were accepted",
        |s| s.advert_rcvd,
    ),
    ("advertisements_sent", "Adverts that were sent", |s| {
        s.advert_sent
    }),
    ("become_master", "Transitions to MASTER", |s| {
        s.become_master
    }),
    ("release_master", "Transitions from MASTER", |s| {
        s.release_master
    }),
    (
        "packet_length_errors",
        "Adverts of another length than they say",
        |s| s.packet_len_err,
    ),
    (
        "advertisements_interval_errors",
        "Adverts with another interval",
        |s| s.advert_interval_err,
    ),
    ("ip_ttl_errors", "Adverts that crossed a router", |s| {
        s.ip_ttl_err
    }),
    ("invalid_type_received", "Adverts of another type", |s| {
        s.invalid_type_rcvd
    }),
    ("address_list_errors", "Adverts for other addresses", |s| {
        s.addr_list_err
    }),
    (
        "authentication_invalid",
        "Adverts with an unknown authentication",
        |s| s.invalid_authtype,
    ),
    (
        "authentication_mismatch",
        "Adverts with another authentication",
        |s| s.authtype_mismatch,
    ),
    (
        "authentication_failure",
        "Adverts with a wrong password",
        |s| s.auth_failure,
    ),
    ("priority_zero_received", "Masters that resigned", |s| {
        s.pri_zero_rcvd
    }),
    ("priority_zero_sent", "Times that we resigned", |s| {
        s.pri_zero_sent
    }),
    ("version_errors", "Adverts of another version", |s| {
        s.version_err
    }),
    ("checksum_errors", "Adverts with a wrong checksum", |s| {
        s.checksum_err
    }),
    (
        "destination_errors",
        "Adverts to another destination",
        |s| s.destination_err,
    ),
    (
        "unknown_peer_received",
        "Adverts from nobody who is a peer",
        |s| s.unknown_peer,
    ),
    (
        "lower_priority_ignored",
        "Adverts of worse masters not listened to",
        |s| s.lower_priority_ignored,
    ),
];

/// The answer to `metrics`.
#[must_use]
pub fn metrics(view: &View<'_>) -> String {
    let mut out = Exposition(String::new());
    let instances = || view.engine.iter().map(|(_, instance)| instance);
    out.family("vrrp_state", "gauge", "0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT");
    for instance in instances() {
        let config = instance.config();
        let all = config.addresses.iter().chain(&config.excluded);
        for address in all {
            let ip = format!("{}/{}", address.ip, address.prefix);
            let labels = format!("{},ip_address=\"{ip}\"", labels(instance));
            out.sample("vrrp_state", &labels, instance.state() as u8);
        }
    }
    gauge(
        &mut out,
        view,
        "vrrp_priority",
        "Effective priority",
        |_, i| Some(i.priority().to_string()),
    );
    gauge(
        &mut out,
        view,
        "vrrp_base_priority",
        "Priority as configured",
        |_, i| Some(i.config().priority.to_string()),
    );
    gauge(
        &mut out,
        view,
        "vrrp_master_priority",
        "Priority of the master that is heard",
        |_, i| i.heard().map(|heard| heard.priority.to_string()),
    );
    gauge(
        &mut out,
        view,
        "vrrp_last_transition_timestamp_seconds",
        "When the state last changed",
        |view, i| Some(Seconds(view.clock.at(i.since())).to_string()),
    );
    for (name, help, value) in COUNTERS {
        let name = format!("{name}_total");
        out.family(&name, "counter", help);
        for instance in instances() {
            out.sample(&name, &labels(instance), value(instance.stats()));
        }
    }
    out.family(
        "unknown_vrids_total",
        "counter",
        "Adverts for virtual routers that are not ours",
    );
    out.sample("unknown_vrids_total", "", view.engine.unknown_vrids());
    out.family(
        "vrrp_sync_group_state",
        "gauge",
        "0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT",
    );
    for (_, group) in view.engine.groups() {
        let labels = format!("name={}", Quoted(&group.config().name));
        out.sample("vrrp_sync_group_state", &labels, group.state() as u8);
    }
    trackers(&mut out, view);
    out.0
}

fn gauge(
    out: &mut Exposition,
    view: &View<'_>,
    name: &str,
    help: &str,
    value: impl Fn(&View<'_>, &Instance) -> Option<String>,
) {
    out.family(name, "gauge", help);
    for (_, instance) in view.engine.iter() {
        if let Some(value) = value(view, instance) {
            out.sample(name, &labels(instance), value);
        }
    }
}

fn trackers(out: &mut Exposition, view: &View<'_>) {
    let of = |kind| {
        view.trackers
            .iter()
            .filter(move |tracker| tracker.kind() == kind)
    };
    let label = |tracker: &Tracker<'_>| format!("name={}", Quoted(tracker.name()));
    for (kind, family, help) in [
        (
            TrackerKind::Script,
            "script_status",
            "1 while the script is up",
        ),
        (
            TrackerKind::Process,
            "process_status",
            "1 while the process has its quorum",
        ),
    ] {
        out.family(family, "gauge", help);
        for tracker in of(kind) {
            if let Some(up) = tracker.up() {
                out.sample(family, &label(tracker), u8::from(up));
            }
        }
    }
    out.family(
        "script_duration_seconds",
        "gauge",
        "How long the last run of the script took",
    );
    for tracker in of(TrackerKind::Script) {
        if let Tracker::Script { script, .. } = tracker {
            if let Some(run) = script.last() {
                out.sample(
                    "script_duration_seconds",
                    &label(tracker),
                    Seconds(run.took),
                );
            }
        }
    }
    out.family("file_value", "gauge", "The number in a tracked file");
    for tracker in of(TrackerKind::File) {
        if let Tracker::File {
            value: Some(value), ..
        } = tracker
        {
            out.sample("file_value", &label(tracker), value);
        }
    }
}

/// Labels of a virtual router.
fn labels(instance: &Instance) -> String {
    let config = instance.config();
    let (name, interface) = (Quoted(&config.name), Quoted(config.interface.as_str()));
    format!("iname={name},intf={interface},vrid=\"{}\"", config.vrid)
}
