//! What was said about an instance, with what was not said, becomes a virtual router: defaults that depend on each
//! other, and settings that exclude each other.

use core::net::IpAddr;
use core::time::Duration;

use super::address::Placed;
use super::diag::{Diags, Span};
use super::global::{AnnouncingDraft, GlobalDraft};
use super::root::GarpGroup;
use super::track::{Tracked, TrackingDraft};
use super::vrrp::{At, AuthKind, InstanceDraft};
use crate::model::vrrp::{Peering, Wish};
use crate::model::{Announcing, Auth, Instance, Tracking, Vmac, Weight};
use crate::name::{Family, IfName, OWNER, Version};
use crate::time::{Centis, micros};

/// Bytes of a datagram that any link carries.
const MTU: usize = 1500;

/// The virtual router of a draft; `None`, with errors told, if it cannot be one.
pub(super) fn instance(
    mut draft: InstanceDraft,
    defaults: &GlobalDraft,
    garp: &[GarpGroup],
    diags: &mut Diags,
) -> Option<Instance> {
    let name = core::mem::take(&mut draft.name);
    let unicast = !draft.peers.is_empty();
    let interface = match draft.interface.take() {
        Some(given) => given.value,
        None => {
            diags
                .error(draft.at, format!("instance {name} has no interface"))
                .hint("left out");
            return None;
        }
    };
    let Some(vrid) = draft.vrid.map(|v| v.value) else {
        diags
            .error(
                draft.at,
                format!("instance {name} has no virtual_router_id"),
            )
            .hint("left out; give it one from 1 to 255");
        return None;
    };
    let family = family(&draft);
    let strict = draft.strict.map_or(defaults.strict, |s| s.value);
    let version = version(&draft, family, strict, defaults, diags);
    one_family(&mut draft, family, diags);

    let wish = draft.wish.map(|w| w.value);
    let priority = match (draft.priority, wish) {
        (Some(given), _) => given.value,
        (None, Some(Wish::Master)) => OWNER,
        (None, _) => 100,
    };
    let owner = priority == OWNER;
    let mut wish = wish.unwrap_or(if owner { Wish::Master } else { Wish::Backup });
    if strict && draft.wish.is_some() && owner != (wish == Wish::Master) {
        let at = draft.wish.map_or(draft.at, |w| w.at);
        wish = if owner { Wish::Master } else { Wish::Backup };
        diags.error(at, "in strict mode MASTER is the state of an owner, whose priority is 255, and of nobody else");
    }
    let (preempt, preempt_delay) = preemption(&draft, wish, owner, strict, diags);
    let auth = auth(&draft, version, family, strict, diags);
    let excluded = limit(&mut draft, family, version, auth, diags);
    let (mut addresses, mut excluded) = (
        addresses(core::mem::take(&mut draft.addresses)),
        addresses(excluded),
    );
    if addresses.is_empty() && draft.no_addresses.is_none() {
        if strict {
            diags
                .error(
                    draft.at,
                    format!("instance {name} has no virtual_ipaddress, which strict mode needs"),
                )
                .hint("left out");
            return None;
        }
        diags.warn(
            draft.at,
            format!("instance {name} has no virtual_ipaddress"),
        );
    }
    if strict && unicast {
        diags
            .error(
                draft.at,
                format!("instance {name} has unicast peers, which strict mode excludes"),
            )
            .hint("left out");
        return None;
    }
    if let (Family::V6, Some(first)) = (family, addresses.first()) {
        let local = matches!(first.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        if !local && !unicast {
            let what =
                "the first IPv6 virtual address is to be link-local (RFC 9568 section 5.2.9)";
            if strict {
                diags.error(draft.at, what)
            } else {
                diags.warn(draft.at, what)
            };
        }
    }
    if let Some(fault) = draft
        .vmac
        .as_ref()
        .filter(|_| unicast && draft.xmit_base.is_none())
    {
        diags.warn(
            fault.at,
            "a virtual MAC with unicast peers needs vmac_xmit_base, which is taken as given",
        );
    }
    let strict_off = |value: bool| value && !strict;
    let down_timer_adverts = match draft.down_timer_adverts {
        Some(given) if strict && given.value != 3 => {
            diags.error(given.at, "strict mode has 3 as down_timer_adverts");
            3
        }
        Some(given) => given.value,
        None if strict => 3,
        None => defaults.down_timer_adverts.unwrap_or(3),
    };
    let mut vmac = vmac(&draft, vrid.get(), strict, diags);
    if let Some(vmac) = vmac.as_mut().filter(|_| unicast) {
        vmac.transmit_base = true;
    }
    if draft.vmac_addr && vmac.is_none() {
        for address in addresses.iter_mut().chain(&mut excluded) {
            let elsewhere = address.dev.as_ref().is_some_and(|dev| *dev != interface);
            address.on_vmac |= elsewhere || address.family() != family;
        }
    }
    Some(Instance {
        interval: interval(&draft, version, diags),
        source: source(&draft, family, diags),
        peering: peering(&draft, family, defaults, diags),
        announcing: announcing(&draft.announcing, defaults, strict, garp, &interface),
        accept: draft.accept.map_or(owner || !strict, |a| a.value || owner),
        vmac,
        tracking: Tracking::default(),
        name,
        interface,
        vrid,
        family,
        version,
        wish,
        priority,
        auth,
        addresses,
        excluded,
        routes: draft.routes,
        rules: draft.rules,
        preempt,
        preempt_delay,
        track_source: draft.track_source,
        down_timer_adverts,
        vrf: draft.vrf,
        track_primary: !draft.dont_track_primary,
        notify: draft.notify,
        strict,
        v3_checksum_as_v2: draft
            .v3_checksum_as_v2
            .unwrap_or(defaults.v3_checksum_as_v2),
        skip_check_adv_addr: draft
            .skip_check_adv_addr
            .unwrap_or(defaults.skip_check_adv_addr),
        lower_prio_no_advert: strict
            || draft
                .lower_prio_no_advert
                .or(defaults.lower_prio_no_advert)
                .unwrap_or(false),
        higher_prio_send_advert: strict_off(
            draft
                .higher_prio_send_advert
                .unwrap_or(defaults.higher_prio_send_advert),
        ),
        owner_ignore_adverts: (strict && owner)
            || draft
                .owner_ignore_adverts
                .unwrap_or(defaults.owner_ignore_adverts),
        promote_secondaries: draft.promote_secondaries,
        timer_expired_backup: draft.timer_expired_backup,
        receive_buffer: draft.receive_buffer,
        linkbeat_polling: draft.linkbeat_polling,
    })
}

fn addresses(placed: Vec<Placed>) -> Vec<crate::model::Address> {
    placed.into_iter().map(|(address, _)| address).collect()
}

/// That of the advertised addresses, else of the addresses of the peers, else of the excluded ones.
fn family(draft: &InstanceDraft) -> Family {
    let first = draft.addresses.first().map(|(a, _)| a.ip);
    let source = draft.source.map(|s| s.value);
    let peer = draft.peers.first().map(|p| p.value.ip);
    let excluded = draft.excluded.first().map(|(a, _)| a.ip);
    first
        .or(source)
        .or(peer)
        .or(excluded)
        .map_or(Family::V4, Family::of)
}

fn version(
    draft: &InstanceDraft,
    family: Family,
    strict: bool,
    defaults: &GlobalDraft,
    diags: &mut Diags,
) -> Version {
    match (draft.version, family) {
        (Some(given), Family::V6) if given.value == Version::V2 => {
            let what = "version 2 has no IPv6; version 3 is used";
            if strict {
                diags.error(given.at, what)
            } else {
                diags.warn(given.at, what)
            };
            Version::V3
        }
        (_, Family::V6) => Version::V3,
        (Some(given), Family::V4) => given.value,
        (None, Family::V4) => defaults.global.version,
    }
}

/// Adverts carry addresses of one family.
fn one_family(draft: &mut InstanceDraft, family: Family, diags: &mut Diags) {
    draft.addresses.retain(|(address, at)| {
        let same = address.family() == family;
        if !same {
            diags
                .error(
                    *at,
                    format!(
                        "{} is not {family} as the first virtual address is",
                        address.ip
                    ),
                )
                .hint("left out; put it into virtual_ipaddress_excluded");
        }
        same
    });
    draft.peers.retain(|peer| {
        let same = Family::of(peer.value.ip) == family;
        if !same {
            diags
                .error(
                    peer.at,
                    format!(
                        "peer {} is not {family} as the virtual addresses are",
                        peer.value.ip
                    ),
                )
                .hint("left out");
        }
        same
    });
}

fn preemption(
    draft: &InstanceDraft,
    wish: Wish,
    owner: bool,
    strict: bool,
    diags: &mut Diags,
) -> (bool, Duration) {
    let mut preempt = draft.preempt.is_none_or(|p| p.value);
    let mut delay = draft.preempt_delay.map_or(Duration::ZERO, |d| d.value);
    if let Some(given) = draft.preempt.filter(|p| !p.value) {
        if wish == Wish::Master && !owner {
            preempt = true;
            diags
                .warn(given.at, "nopreempt has no effect with state MASTER")
                .hint("write 'state BACKUP' on all routers");
        } else if owner {
            preempt = true;
            diags.warn(
                given.at,
                "nopreempt has no effect with priority 255, the owner of the addresses",
            );
        }
    }
    if let Some(given) = draft.preempt_delay.filter(|d| !d.value.is_zero()) {
        let cleared = if wish == Wish::Master {
            Some("preempt_delay has no effect with state MASTER")
        } else if !preempt {
            Some("preempt_delay has no effect with nopreempt")
        } else {
            None
        };
        if let Some(what) = cleared {
            delay = Duration::ZERO;
            diags.warn(given.at, what);
        } else if strict {
            delay = Duration::ZERO;
            diags.error(given.at, "strict mode has no preempt_delay");
        }
    }
    (preempt, delay)
}

fn auth(
    draft: &InstanceDraft,
    version: Version,
    family: Family,
    strict: bool,
    diags: &mut Diags,
) -> Auth {
    let Some(kind) = draft.auth_kind else {
        if let Some(pass) = &draft.auth_pass {
            diags
                .warn(pass.at, "auth_pass without auth_type")
                .hint("add 'auth_type PASS'; no authentication is used");
        }
        return Auth::None;
    };
    if strict {
        diags.error(kind.at, "strict mode has no authentication");
        return Auth::None;
    }
    if version == Version::V3 {
        diags
            .warn(kind.at, "version 3 has no authentication")
            .hint("it is not used");
        return Auth::None;
    }
    let Some(pass) = draft.auth_pass.as_ref().filter(|p| !p.value.is_empty()) else {
        diags
            .error(kind.at, "authentication without auth_pass")
            .hint("no authentication is used");
        return Auth::None;
    };
    let mut key = [0; 8];
    for (to, from) in key.iter_mut().zip(pass.value.bytes()) {
        *to = from;
    }
    if pass.value.len() > key.len() {
        let at = Span {
            start: pass.at.start + 8,
            len: pass.at.len.saturating_sub(8),
            ..pass.at
        };
        diags
            .warn(at, "a password has at most 8 characters")
            .hint("the rest is not used");
    }
    match kind.value {
        AuthKind::Pass => Auth::Pass(key),
        AuthKind::Ah if family == Family::V6 => {
            diags
                .error(kind.at, "auth_type AH is for IPv4 only")
                .hint("no authentication is used");
            Auth::None
        }
        AuthKind::Ah => Auth::Ah(key),
    }
}

/// Takes away the addresses that an advert has no room for; they join the excluded ones, which are returned.
fn limit(
    draft: &mut InstanceDraft,
    family: Family,
    version: Version,
    auth: Auth,
    diags: &mut Diags,
) -> Vec<Placed> {
    const ADVERT: usize = 8;
    let ip = if family == Family::V4 { 20 } else { 40 };
    let trailer = if version == Version::V2 { 8 } else { 0 };
    let header = if matches!(auth, Auth::Ah(_)) { 24 } else { 0 };
    let room = ((MTU - ip - header - ADVERT - trailer) / family.address_len()).min(255);
    let mut excluded = core::mem::take(&mut draft.excluded);
    if let Some((_, at)) = draft.addresses.get(room) {
        let what = format!("an advert has room for {room} addresses");
        diags.warn(*at, what).hint(
            "this and those that follow are not advertised, as if in virtual_ipaddress_excluded",
        );
        excluded.splice(0..0, draft.addresses.drain(room..));
    }
    excluded
}

fn interval(draft: &InstanceDraft, version: Version, diags: &mut Diags) -> Centis {
    let Some(given) = draft.interval else {
        return Centis::SECOND;
    };
    let centis = micros(given.value).div_ceil(10_000);
    let longest = if version == Version::V2 { 25_500 } else { 4095 };
    let step = if version == Version::V2 { 100 } else { 1 };
    let fitting = ((centis + step / 2) / step * step).clamp(step, longest);
    let interval = Centis(u16::try_from(fitting).unwrap_or(Centis::SECOND.0));
    if fitting != centis {
        let why = match version {
            Version::V2 => "version 2 counts whole seconds",
            Version::V3 => "version 3 counts to 40.95 s",
        };
        diags
            .warn(given.at, format!("advert_int is taken as {interval}"))
            .hint(why);
    }
    interval
}

fn source(draft: &InstanceDraft, family: Family, diags: &mut Diags) -> Option<IpAddr> {
    let given = draft.source?;
    if Family::of(given.value) == family {
        return Some(given.value);
    }
    diags
        .error(
            given.at,
            format!(
                "{} is not {family} as the virtual addresses are",
                given.value
            ),
        )
        .hint("the interface's own is used");
    None
}

fn peering(
    draft: &InstanceDraft,
    family: Family,
    defaults: &GlobalDraft,
    diags: &mut Diags,
) -> Peering {
    let mut group = match family {
        Family::V4 => IpAddr::V4(defaults.global.group4),
        Family::V6 => IpAddr::V6(defaults.global.group6),
    };
    if let Some(given) = draft.group {
        if given.value.is_multicast() && Family::of(given.value) == family {
            group = given.value;
        } else {
            diags
                .error(
                    given.at,
                    format!("{} is no {family} multicast address", given.value),
                )
                .hint(format!("{group} is used"));
        }
    }
    if draft.peers.is_empty() && !draft.fault_without_peer {
        if let Some(at) = draft.unicast {
            diags
                .warn(at, "there are no unicast peers: adverts go by multicast")
                .hint("add unicast_peer, or unicast_fault_no_peer");
        }
        return Peering::Multicast(group);
    }
    let limited = |p: &At<crate::model::vrrp::Peer>| p.value.min_ttl > 0 || p.value.max_ttl < 255;
    Peering::Unicast {
        peers: draft.peers.iter().map(|p| p.value).collect(),
        ttl: draft.unicast_ttl.unwrap_or(255),
        check_source: draft
            .check_unicast_src
            .unwrap_or(defaults.check_unicast_src)
            || draft.peers.iter().any(limited),
        old_checksum: draft.old_checksum,
        fault_without_peer: draft.fault_without_peer,
    }
}

/// Each value is the instance's, else the global one, else keepalived's default; `vrrp_min_garp` lowers those that
/// nobody gave.
pub(super) fn announcing(
    own: &AnnouncingDraft,
    defaults: &GlobalDraft,
    strict: bool,
    garp: &[GarpGroup],
    interface: &IfName,
) -> Announcing {
    let global = &defaults.announcing;
    let base = Announcing::default();
    let (base_delay, base_repeat) = if defaults.min_garp {
        (Duration::ZERO, 1)
    } else {
        (base.delay, base.repeat)
    };
    let global_delay = global.delay.unwrap_or(base_delay);
    let global_repeat = global.repeat.unwrap_or(base_repeat);
    let delay = own.delay.unwrap_or(global_delay);
    let repeat = own.repeat.unwrap_or(global_repeat);
    // The global values, as keepalived has it, whatever the instance itself says about becoming master.
    let lower_delay = global.lower_delay.unwrap_or(global_delay);
    let lower_repeat = global.lower_repeat.unwrap_or(global_repeat);
    let extra = own.extra.or(global.extra);
    let group = garp.iter().find(|g| g.interfaces.contains(interface));
    let pace = &defaults.global.announcing;
    Announcing {
        delay,
        repeat,
        refresh: own.refresh.or(global.refresh).unwrap_or(base.refresh),
        refresh_repeat: own
            .refresh_repeat
            .or(global.refresh_repeat)
            .unwrap_or(base.refresh_repeat),
        lower_delay: if strict {
            Duration::ZERO
        } else {
            own.lower_delay.unwrap_or(lower_delay)
        },
        lower_repeat: if strict {
            0
        } else {
            own.lower_repeat.unwrap_or(lower_repeat)
        },
        extra_interface: extra.map_or(base.extra_interface, |(every, _)| every),
        extra_everywhere: extra.is_some_and(|(_, all)| all),
        arp_pace: group.map_or(pace.arp_pace, |g| g.arp_pace),
        na_pace: group.map_or(pace.na_pace, |g| g.na_pace),
    }
}

fn vmac(draft: &InstanceDraft, vrid: u8, strict: bool, diags: &mut Diags) -> Option<Vmac> {
    let Some(given) = &draft.vmac else {
        if let Some(at) = draft.xmit_base {
            diags.warn(at, "vmac_xmit_base has no effect without use_vmac");
        }
        return None;
    };
    let mut vmac = given.value.clone();
    vmac.per_address = draft.vmac_addr;
    vmac.transmit_base = draft.xmit_base.is_some();
    // Five octets were given: the sixth is the VRID.
    if let Some(mac) = vmac.mac.as_mut().filter(|m| m.0[5] == 0) {
        mac.0[5] = vrid;
    }
    if strict && vmac.mac.is_some() {
        diags.error(given.at, "strict mode has the virtual router's own MAC");
        vmac.mac = None;
    }
    if let Some(at) = draft.xmit_base.filter(|_| strict) {
        diags.error(at, "strict mode has no vmac_xmit_base");
        vmac.transmit_base = false;
    }
    Some(vmac)
}

/// Names that exist stay; others are told and left out.
pub(super) fn tracking(draft: TrackingDraft, known: &Known<'_>, diags: &mut Diags) -> Tracking {
    let mut keep = |list: Vec<Tracked>, names: &[&str], what: &str| {
        let kept = list.into_iter().filter(|t| {
            let found = names.contains(&t.name.as_str());
            if !found {
                let near = super::keys::nearest(&t.name, names.iter().copied());
                let diag = diags.error(t.at, format!("there is no {what} '{}'", t.name));
                diag.hint = Some(near.map_or_else(
                    || "left out".to_owned(),
                    |(n, _)| format!("did you mean '{n}'?"),
                ));
            }
            found
        });
        kept.map(|t| (t.name, t.weight))
            .collect::<Vec<(String, Option<Weight>)>>()
    };
    Tracking {
        scripts: keep(draft.scripts, &known.scripts, "vrrp_script"),
        files: keep(draft.files, &known.files, "track_file"),
        processes: keep(draft.processes, &known.processes, "vrrp_track_process"),
        bfds: keep(draft.bfds, &known.bfds, "bfd_instance"),
        interfaces: draft
            .interfaces
            .into_iter()
            .map(|(name, weight, _)| (name, weight))
            .collect(),
    }
}

/// Names that a `track_*` list may use.
pub(super) struct Known<'a> {
    pub(super) scripts: Vec<&'a str>,
    pub(super) files: Vec<&'a str>,
    pub(super) processes: Vec<&'a str>,
    pub(super) bfds: Vec<&'a str>,
}
