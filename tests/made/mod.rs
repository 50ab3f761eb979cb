//! Virtual routers for tests, without a configuration file: an ordinary one, and words that change it.

#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use core::net::IpAddr;
use core::time::Duration;

use keepalite::model::vrrp::{OldChecksum, Peer};
use keepalite::model::{
    Address, Announcing, Auth, Command, FileTracker, Instance, Model, Notify, Peering,
    ProcessTracker, ScriptTracker, SyncGroup, TrackGroup, Tracking, Vmac, Weight, Wish,
};
use keepalite::name::{Family, IfName, Version, Vrid};
use keepalite::time::Centis;

/// A virtual router with everything at its default: VRID 51 on eth0, version 2, priority 100, one address.
pub(crate) fn instance(name: &str) -> Instance {
    Instance {
        name: name.to_owned(),
        interface: interface("eth0"),
        vrid: Vrid::new(51).expect("not zero"),
        family: Family::V4,
        version: Version::V2,
        wish: Wish::Backup,
        priority: 100,
        interval: Centis::SECOND,
        auth: Auth::None,
        addresses: vec![Address::new(IpAddr::from([10, 0, 0, 100]), 24)],
        excluded: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        preempt: true,
        preempt_delay: Duration::ZERO,
        source: None,
        track_source: false,
        peering: Peering::Multicast(IpAddr::from([224, 0, 0, 18])),
        announcing: Announcing::default(),
        down_timer_adverts: 3,
        accept: true,
        vmac: None,
        vrf: None,
        tracking: Tracking::default(),
        track_primary: true,
        notify: Notify::default(),
        strict: false,
        v3_checksum_as_v2: false,
        skip_check_adv_addr: false,
        lower_prio_no_advert: false,
        higher_prio_send_advert: false,
        owner_ignore_adverts: false,
        promote_secondaries: false,
        timer_expired_backup: None,
        receive_buffer: None,
        linkbeat_polling: false,
    }
}

/// A model with nothing else in it.
pub(crate) fn model(instances: Vec<Instance>) -> Model {
    Model {
        instances,
        ..Model::default()
    }
}

pub(crate) fn interface(name: &str) -> IfName {
    IfName::new(name).expect("a legal name")
}

/// Eight bytes, as `auth_pass` is padded.
pub(crate) fn password(text: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes
        .iter_mut()
        .zip(text.bytes())
        .for_each(|(to, from)| *to = from);
    bytes
}

/// Changes one thing, in keepalived's words where it has some.
pub(crate) fn set(instance: &mut Instance, line: &str) {
    let (key, value) = line.split_once(' ').unwrap_or((line, ""));
    let value = value.trim();
    let list = || value.split(',').map(str::trim).filter(|s| !s.is_empty());
    let number = || value.parse::<u32>().expect("a number");
    let seconds = || Duration::from_secs_f64(value.parse().expect("seconds"));
    let announcing = &mut instance.announcing;
    match key {
        "interface" => instance.interface = interface(value),
        "virtual_router_id" => {
            instance.vrid = Vrid::new(number().try_into().expect("a byte")).expect("not zero")
        }
        "version" if value == "3" => instance.version = Version::V3,
        "version" => instance.version = Version::V2,
        "state" if value == "MASTER" => instance.wish = Wish::Master,
        "state" => instance.wish = Wish::Backup,
        "priority" => instance.priority = number().try_into().expect("a byte"),
        "advert_int" => {
            instance.interval = Centis(
                (seconds().as_millis() / 10)
                    .try_into()
                    .expect("an interval"),
            );
        }
        "auth_pass" => instance.auth = Auth::Pass(password(value)),
        "auth_ah" => instance.auth = Auth::Ah(password(value)),
        "virtual_ipaddress" => {
            instance.addresses = list().map(address).collect();
            if instance.addresses.iter().any(|a| a.ip.is_ipv6()) {
                instance.family = Family::V6;
                let group = "ff02::12".parse().expect("an address");
                instance.peering = Peering::Multicast(group);
            }
        }
        "virtual_ipaddress_excluded" => instance.excluded = list().map(address).collect(),
        "preempt" => instance.preempt = true,
        "nopreempt" => instance.preempt = false,
        "preempt_delay" => instance.preempt_delay = seconds(),
        "mcast_src_ip" | "unicast_src_ip" => {
            instance.source = Some(value.parse().expect("an address"));
        }
        "mcast_dst_ip" => {
            instance.peering = Peering::Multicast(value.parse().expect("a group"));
        }
        "track_src_ip" => instance.track_source = true,
        "unicast_peer" => instance.peering = unicast(list().map(peer).collect()),
        "unicast_fault_no_peer" => {
            if let Peering::Unicast {
                fault_without_peer, ..
            } = &mut instance.peering
            {
                *fault_without_peer = true;
            }
        }
        "unicast_peer_unchecked" => {
            instance.peering = unicast(list().map(peer).collect());
            if let Peering::Unicast { check_source, .. } = &mut instance.peering {
                *check_source = false;
            }
        }
        "old_unicast_checksum" => {
            if let Peering::Unicast { old_checksum, .. } = &mut instance.peering {
                *old_checksum = match value {
                    "always" => OldChecksum::Always,
                    _ => OldChecksum::Never,
                };
            }
        }
        "down_timer_adverts" => instance.down_timer_adverts = number().try_into().expect("a byte"),
        "v3_checksum_as_v2" => instance.v3_checksum_as_v2 = true,
        "skip_check_adv_addr" => instance.skip_check_adv_addr = true,
        "lower_prio_no_advert" => instance.lower_prio_no_advert = true,
        "higher_prio_send_advert" => instance.higher_prio_send_advert = true,
        "owner_ignore_adverts" => instance.owner_ignore_adverts = true,
        "timer_expired_backup" => instance.timer_expired_backup = Some(value.parse().ok()),
        "dont_track_primary" => instance.track_primary = false,
        "track_interface" => {
            let mut words = value.split_whitespace();
            let name = interface(words.next().expect("a name"));
            let weight = Weight {
                value: words.next().map_or(0, |w| w.parse().expect("a weight")),
                reverse: words.next() == Some("reverse"),
            };
            instance.tracking.interfaces.push((name, weight));
        }
        "track_script" => instance.tracking.scripts.push(tracked(value)),
        "track_file" => instance.tracking.files.push(tracked(value)),
        "track_process" => instance.tracking.processes.push(tracked(value)),
        "notify_deleted" => instance.notify.deleted = Some(None),
        "garp_master_delay" => announcing.delay = seconds(),
        "garp_master_repeat" => announcing.repeat = number(),
        "garp_master_refresh" => announcing.refresh = seconds(),
        "garp_master_refresh_repeat" => announcing.refresh_repeat = number(),
        "garp_lower_prio_delay" => announcing.lower_delay = seconds(),
        "garp_extra_if" => announcing.extra_interface = seconds(),
        "use_vmac" => instance.vmac = Some(vmac()),
        "garp_lower_prio_repeat" => announcing.lower_repeat = number(),
        other => panic!("no such key: {other}"),
    }
}

/// A tracker and perhaps its weight.
fn tracked(text: &str) -> (String, Option<Weight>) {
    let mut words = text.split_whitespace();
    let name = words.next().expect("a name").to_owned();
    let weight = words.next().map(|value| Weight {
        value: value.parse().expect("a weight"),
        reverse: words.next() == Some("reverse"),
    });
    (name, weight)
}

/// Adds `script NAME`, `file NAME` or `process NAME`, perhaps with a weight, and tells whether the line was one of these.
pub(crate) fn tracker(model: &mut Model, line: &str) -> bool {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    if !["script", "file", "process"].contains(&kind) {
        return false;
    }
    let (name, weight) = tracked(rest);
    let weight = weight.unwrap_or_default();
    let second = Duration::from_secs(1);
    match kind {
        "script" => model.scripts.push(ScriptTracker {
            name,
            command: Command {
                text: String::new(),
                words: Vec::new(),
                user: None,
            },
            interval: second,
            timeout: second,
            weight,
            rise: 1,
            fall: 1,
            init_fail: false,
        }),
        "file" => model.files.push(FileTracker {
            name,
            path: String::new(),
            weight,
            init: None,
        }),
        _ => model.processes.push(ProcessTracker {
            name,
            words: Vec::new(),
            arguments: None,
            full_command: false,
            weight,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        }),
    }
    true
}

/// Adds `track_group NAME MEMBER…` with a static address that names it, and tells whether the line was one.
pub(crate) fn track_group(model: &mut Model, line: &str) -> bool {
    let mut words = line.split_whitespace().map(str::to_owned);
    if words.next().as_deref() != Some("track_group") {
        return false;
    }
    let name = words.next().expect("a name");
    let mut address = address("192.0.2.1");
    address.group = Some(name.clone());
    model.statics.addresses.push(address);
    let members = words.collect();
    model.statics.groups.push(TrackGroup { name, members });
    true
}

/// The interface of a virtual MAC over eth0, once its name is chosen.
fn vmac() -> Vmac {
    Vmac {
        name: Some(interface("vrrp.51")),
        mac: None,
        transmit_base: false,
        per_address: false,
        netlink_notify: false,
        group: None,
        ipvlan: false,
    }
}

/// Adds `group NAME MEMBER…`, and tells whether the line was one.
pub(crate) fn group(model: &mut Model, line: &str) -> bool {
    let mut words = line.split_whitespace().map(str::to_owned);
    if words.next().as_deref() != Some("group") {
        return false;
    }
    model.groups.push(SyncGroup {
        name: words.next().expect("a name"),
        members: words.collect(),
        ..SyncGroup::default()
    });
    true
}

fn address(text: &str) -> Address {
    let (ip, dev) = match text.split_once(" dev ") {
        Some((ip, dev)) => (ip, Some(interface(dev))),
        None => (text, None),
    };
    let mut address = Address::new(ip.parse().expect("an address"), 24);
    address.dev = dev;
    address
}

fn unicast(peers: Vec<Peer>) -> Peering {
    Peering::Unicast {
        peers,
        ttl: 255,
        check_source: true,
        old_checksum: Default::default(),
        fault_without_peer: false,
    }
}

fn peer(text: &str) -> Peer {
    let mut words = text.split_whitespace();
    let ip = words.next().expect("an address");
    Peer {
        ip: ip.parse().expect("an address"),
        min_ttl: words.next().map_or(0, |w| w.parse().expect("a TTL")),
        max_ttl: words.next().map_or(255, |w| w.parse().expect("a TTL")),
    }
}
