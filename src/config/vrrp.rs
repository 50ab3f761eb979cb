//! `vrrp_instance` and `vrrp_sync_group`.

use core::net::IpAddr;
use core::time::Duration;

use super::address::{self, Placed};
use super::diag::Span;
use super::global::{AnnouncingDraft, version};
use super::keys::Shape::{Any, Block as Braces, Value};
use super::keys::Status::{Ignored, Obeyed};
use super::keys::{Feature, Key, Status, Table, key, of};
use super::route;
use super::track::{self, HasTracking, TrackingDraft};
use super::value::Args;
use crate::model::vrrp::{OldChecksum, Peer, Vmac, Wish};
use crate::model::{Notify, Route, Rule};
use crate::name::{IfName, Mac, Version, Vrid};

/// A value and where it was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

impl<T> At<T> {
    pub(super) fn new(value: Option<T>, a: &Args<'_, '_, '_>) -> Option<Self> {
        let at = a.block.words.get(1).map_or_else(|| a.block.at(), |w| w.at);
        value.map(|value| Self { value, at })
    }
}

/// How adverts are authenticated, before the password is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthKind {
    Pass,
    Ah,
}

/// `vrrp_instance` while it is read: what was said, and where.
#[derive(Default)]
pub(super) struct InstanceDraft {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) wish: Option<At<Wish>>,
    pub(super) interface: Option<At<IfName>>,
    pub(super) vrid: Option<At<Vrid>>,
    pub(super) priority: Option<At<u8>>,
    pub(super) interval: Option<At<Duration>>,
    pub(super) version: Option<At<Version>>,
    pub(super) auth_kind: Option<At<AuthKind>>,
    pub(super) auth_pass: Option<At<String>>,
    pub(super) addresses: Vec<Placed>,
    pub(super) excluded: Vec<Placed>,
    pub(super) no_addresses: Option<Span>,
    pub(super) routes: Vec<Route>,
    pub(super) rules: Vec<Rule>,
    pub(super) preempt: Option<At<bool>>,
    pub(super) preempt_delay: Option<At<Duration>>,
    pub(super) source: Option<At<IpAddr>>,
    pub(super) track_source: bool,
    pub(super) group: Option<At<IpAddr>>,
    pub(super) unicast: Option<Span>,
    pub(super) peers: Vec<At<Peer>>,
    pub(super) unicast_ttl: Option<u8>,
    pub(super) check_unicast_src: Option<bool>,
    pub(super) old_checksum: OldChecksum,
    pub(super) fault_without_peer: bool,
    pub(super) announcing: AnnouncingDraft,
    pub(super) down_timer_adverts: Option<At<u8>>,
    pub(super) accept: Option<At<bool>>,
    pub(super) vmac: Option<At<Vmac>>,
    pub(super) vmac_addr: bool,
    pub(super) xmit_base: Option<Span>,
    pub(super) vrf: Option<IfName>,
    pub(super) tracking: TrackingDraft,
    pub(super) dont_track_primary: bool,
    pub(super) notify: Notify,
    pub(super) strict: Option<At<bool>>,
    pub(super) v3_checksum_as_v2: Option<bool>,
    pub(super) skip_check_adv_addr: Option<bool>,
    pub(super) lower_prio_no_advert: Option<bool>,
    pub(super) higher_prio_send_advert: Option<bool>,
    pub(super) owner_ignore_adverts: Option<bool>,
    pub(super) promote_secondaries: bool,
    pub(super) timer_expired_backup: Option<Option<u8>>,
    pub(super) receive_buffer: Option<u32>,
    pub(super) linkbeat_polling: bool,
    pub(super) sync_daemon: Option<At<IfName>>,
}

impl HasTracking for InstanceDraft {
    fn tracking(&mut self) -> &mut TrackingDraft {
        &mut self.tracking
    }
}

pub(super) const INSTANCE: Table<InstanceDraft> = Table {
    block: "vrrp_instance",
    keys: &[BASE, ADDRESSES, GARP, NOTIFY, PEERING, LINK, TRACKING, FINE],
};

type Rows = &'static [Key<InstanceDraft>];

const TRACKING: Rows = &track::lists();

const BASE: Rows = &[
    key("state", Value, Obeyed, |d, a| d.wish = At::new(wish(a), a)),
    key("interface", Value, Obeyed, |d, a| {
        d.interface = At::new(a.interface(), a)
    }),
    key("virtual_router_id", Value, Obeyed, |d, a| {
        d.vrid = At::new(a.number(1..=255).and_then(Vrid::new), a)
    }),
    key("priority", Value, Obeyed, |d, a| {
        d.priority = At::new(priority(a), a)
    }),
    key("advert_int", Value, Obeyed, |d, a| {
        d.interval = At::new(a.time(10_000..=255_000_000), a)
    }),
    key("version", Value, Obeyed, |d, a| {
        d.version = At::new(version(a), a)
    }),
    key("authentication", Braces, Obeyed, |d, a| {
        AUTH.read(a.block.children(), d, a.context)
    }),
    // Without its block these are often written straight into the instance.
    key("nopreempt", Any, Obeyed, |d, a| {
        d.preempt = At::new(Some(false), a)
    }),
    key("preempt", Any, Obeyed, |d, a| {
        d.preempt = At::new(Some(true), a)
    }),
    key("preempt_delay", Value, Obeyed, |d, a| {
        d.preempt_delay = At::new(a.time(0..=1_000_000_000), a)
    }),
    key("down_timer_adverts", Value, Obeyed, |d, a| {
        d.down_timer_adverts = At::new(a.number(1..=100), a)
    }),
    key("skip_check_adv_addr", Any, Obeyed, |d, a| {
        d.skip_check_adv_addr = a.switch()
    }),
    key("lower_prio_no_advert", Any, Obeyed, |d, a| {
        d.lower_prio_no_advert = a.switch()
    }),
    key("higher_prio_send_advert", Any, Obeyed, |d, a| {
        d.higher_prio_send_advert = a.switch()
    }),
    key("owner_ignore_adverts", Any, Obeyed, |d, a| {
        d.owner_ignore_adverts = a.switch()
    }),
    key("v3_checksum_as_v2", Any, Obeyed, |d, a| {
        d.v3_checksum_as_v2 = a.switch()
    }),
    key("strict_mode", Any, Obeyed, |d, a| {
        d.strict = At::new(a.switch(), a)
    }),
    key("debug", Any, Obeyed, |_, a| a.skip()),
    key("native_ipv6", Any, Obeyed, |_, _| {}),
];

pub(super) const AUTH: Table<InstanceDraft> = Table {
    block: "authentication",
    keys: &[&[
        key("auth_type", Value, Obeyed, |d, a| {
            let kinds = [("PASS", AuthKind::Pass), ("AH", AuthKind::Ah)];
            d.auth_kind = At::new(a.choice("kind of authentication", &kinds), a);
        }),
        key("auth_pass", Value, Obeyed, |d, a| {
            let word = a.peek();
            let pass = a.text("a password");
            d.auth_pass = pass
                .zip(word)
                .map(|(value, word)| At { value, at: word.at });
        }),
    ]],
};

const ADDRESSES: Rows = &[
    key("virtual_ipaddress", Braces, Obeyed, |d, a| {
        address::read(a.block.children(), false, &mut d.addresses, a.context)
    }),
    key("virtual_ipaddress_excluded", Braces, Obeyed, |d, a| {
        address::read(a.block.children(), false, &mut d.excluded, a.context);
    }),
    key("no_virtual_ipaddress", Any, Obeyed, |d, a| {
        d.no_addresses = Some(a.block.at())
    }),
    key("virtual_routes", Braces, Obeyed, |d, a| {
        d.routes
            .extend(route::routes(a.block.children(), false, a.context))
    }),
    key("virtual_rules", Braces, Obeyed, |d, a| {
        d.rules
            .extend(route::rules(a.block.children(), false, a.context))
    }),
    key("promote_secondaries", Any, Obeyed, |d, _| {
        d.promote_secondaries = true
    }),
    key("accept", Any, Obeyed, |d, a| {
        d.accept = At::new(Some(true), a)
    }),
    key("no_accept", Any, Obeyed, |d, a| {
        d.accept = At::new(Some(false), a)
    }),
];

const GARP: Rows = &[
    key("garp_master_delay", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_delay(&mut d.announcing.delay, a)
    }),
    key("garp_master_repeat", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_repeat(&mut d.announcing.repeat, a)
    }),
    key("garp_master_refresh", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_delay(&mut d.announcing.refresh, a)
    }),
    key("garp_master_refresh_repeat", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_repeat(&mut d.announcing.refresh_repeat, a)
    }),
    key("garp_lower_prio_delay", Value, Obeyed, |d, a| {
        AnnouncingDraft::set_delay(&mut d.announcing.lower_delay, a)
    }),
    key("garp_lower_prio_repeat", Value, Obeyed, |d, a| {
        d.announcing.lower_repeat = a
            .number(0..=i64::from(i32::MAX))
            .or(d.announcing.lower_repeat);
    }),
    key("garp_extra_if", Value, Obeyed, |d, a| {
        d.announcing.set_extra(a)
    }),
    key("vmac_garp_intvl", Value, Obeyed, |d, a| {
        d.announcing.set_extra(a)
    }),
];

const NOTIFY: Rows = &[
    key("notify_master", Value, Obeyed, |d, a| {
        a.notify(&mut d.notify.master)
    }),
    key("notify_backup", Value, Obeyed, |d, a| {
        a.notify(&mut d.notify.backup)
    }),
    key("notify_fault", Value, Obeyed, |d, a| {
        a.notify(&mut d.notify.fault)
    }),
    key("notify_stop", Value, Obeyed, |d, a| {
        a.notify(&mut d.notify.stop)
    }),
    key("notify", Value, Obeyed, |d, a| a.notify(&mut d.notify.any)),
    key("notify_deleted", Any, Obeyed, |d, a| {
        d.notify.deleted = Some(a.script().map(Box::new))
    }),
    key("notify_master_rx_lower_pri", Value, Obeyed, |d, a| {
        a.notify(&mut d.notify.lower_priority)
    }),
    key("notify_priority_changes", Any, Obeyed, |d, a| {
        d.notify.priority_changes = a.switch()
    }),
    key("smtp_alert", Any, Obeyed, |d, a| d.notify.mail = a.alert()),
];

const PEERING: Rows = &[
    key("mcast_src_ip", Value, Obeyed, |d, a| {
        d.source = At::new(a.address(), a)
    }),
    key("mcast_dst_ip", Value, Obeyed, |d, a| {
        d.group = At::new(a.address(), a)
    }),
    key("unicast_src_ip", Value, Obeyed, |d, a| {
        d.unicast = Some(a.block.at());
        d.source = At::new(a.address(), a);
    }),
    key("track_src_ip", Any, Obeyed, |d, _| d.track_source = true),
    key("unicast_peer", Braces, Obeyed, |d, a| {
        d.unicast = Some(a.block.at());
        for block in a.block.children() {
            let mut line = Args::line(block, a.context);
            if let Some(peer) = peer(&mut line) {
                d.peers.push(At {
                    value: peer,
                    at: block.at(),
                });
            }
            line.finish();
        }
    }),
    key("unicast_ttl", Value, Obeyed, |d, a| {
        d.unicast = Some(a.block.at());
        d.unicast_ttl = a.number(0..=255);
    }),
    key("unicast_fault_no_peer", Any, Obeyed, |d, a| {
        d.unicast = Some(a.block.at());
        d.fault_without_peer = true;
    }),
    key("check_unicast_src", Any, Obeyed, |d, a| {
        d.check_unicast_src = a.switch()
    }),
    key("old_unicast_checksum", Any, Obeyed, |d, a| {
        d.old_checksum = if a.flag("never") {
            OldChecksum::Never
        } else {
            OldChecksum::Always
        };
    }),
];

/// For drivers that only answer when asked: there have been none in the kernel for many years.
pub(super) const LINKBEAT: Status =
    Ignored("the kernel tells of every change of a carrier by itself");

const LINK: Rows = &[
    key("dont_track_primary", Any, Obeyed, |d, _| {
        d.dont_track_primary = true
    }),
    key("use_vmac", Any, Obeyed, |d, a| {
        let vmac = vmac(a, false);
        d.vmac = At::new(Some(vmac), a);
    }),
    key(
        "use_ipvlan",
        Any,
        Ignored(
            "an ipvlan has the MAC of the interface under it: the addresses go on that interface instead",
        ),
        |d, a| {
            let vmac = vmac(a, true);
            d.vmac = At::new(Some(vmac), a);
        },
    ),
    key("use_vmac_addr", Any, Obeyed, |d, _| d.vmac_addr = true),
    key("vmac_xmit_base", Any, Obeyed, |d, a| {
        d.xmit_base = Some(a.block.at())
    }),
    key("vrf", Value, Obeyed, |d, a| d.vrf = a.interface()),
    key("linkbeat_use_polling", Any, LINKBEAT, |d, _| {
        d.linkbeat_polling = true
    }),
    of(
        Feature::LVS,
        key("lvs_sync_daemon_interface", Value, Obeyed, |d, a| {
            a.context
                .diags
                .warn(a.block.at(), "'lvs_sync_daemon_interface' is deprecated")
                .hint("use lvs_sync_daemon in global_defs");
            d.sync_daemon = At::new(a.interface(), a);
        }),
    ),
];

const FINE: Rows = &[
    key("timer_expired_backup", Any, Obeyed, |d, a| {
        d.timer_expired_backup = Some(if a.peek().is_some() {
            a.number(1..=254)
        } else {
            None
        });
    }),
    key("thread_timer_expired", Any, Obeyed, |d, a| {
        d.timer_expired_backup = Some(if a.peek().is_some() {
            a.number(1..=254)
        } else {
            None
        });
    }),
    key("kernel_rx_buf_size", Value, Obeyed, |d, a| {
        d.receive_buffer = a.number(1..=i64::from(i32::MAX))
    }),
];

fn wish(a: &mut Args<'_, '_, '_>) -> Option<Wish> {
    let word = a.need("a state")?;
    match word.text {
        "MASTER" => Some(Wish::Master),
        "BACKUP" => Some(Wish::Backup),
        // Words that can only mean the one or the other.
        "SLAVE" | "slave" | "Slave" | "backup" | "Backup" | "PEER" => {
            let what = format!("there is no state {}, taken as BACKUP", word.text);
            a.context
                .diags
                .warn(word.at, what)
                .hint("write 'state BACKUP'");
            Some(Wish::Backup)
        }
        _ => {
            let what = format!("there is no state '{}', taken as BACKUP", word.text);
            a.error(word, what).hint("expected MASTER or BACKUP");
            Some(Wish::Backup)
        }
    }
}

/// A priority that is none falls back to the default, as if it had been given.
fn priority(a: &mut Args<'_, '_, '_>) -> Option<u8> {
    Some(a.number(1..=255).unwrap_or(100))
}

fn peer(a: &mut Args<'_, '_, '_>) -> Option<Peer> {
    let ip = a.address();
    let mut peer = Peer {
        ip: ip?,
        min_ttl: 0,
        max_ttl: 255,
    };
    loop {
        if a.flag("min_ttl") {
            peer.min_ttl = a.number(0..=255).unwrap_or(0);
        } else if a.flag("max_ttl") {
            peer.max_ttl = a.number(0..=255).unwrap_or(255);
        } else {
            break;
        }
    }
    if peer.min_ttl > peer.max_ttl {
        a.context
            .diags
            .error(
                a.block.at(),
                "min_ttl is above max_ttl: every packet would be refused",
            )
            .hint("both are ignored");
        (peer.min_ttl, peer.max_ttl) = (0, 255);
    }
    Some(peer)
}

/// `[[name] [interface]] [MAC] [netlink_notify_msg] [group N]`.
fn vmac(a: &mut Args<'_, '_, '_>, ipvlan: bool) -> Vmac {
    let mut vmac = Vmac {
        name: None,
        mac: None,
        transmit_base: false,
        per_address: false,
        netlink_notify: false,
        group: None,
        ipvlan,
    };
    while let Some(word) = a.word() {
        match word.text {
            "netlink_notify_msg" => vmac.netlink_notify = true,
            "group" => vmac.group = a.number(0..=i64::from(u32::MAX)),
            "bridge" | "private" | "vepa" if ipvlan => {}
            text if ipvlan && text.parse::<IpAddr>().is_ok() => {}
            text if text.matches(':').count() >= 4 => match mac(text) {
                Some(mac) => vmac.mac = Some(mac),
                None => {
                    a.error(word, format!("'{text}' is no MAC address"));
                }
            },
            _ if vmac.name.is_none() => vmac.name = a.interface_of(word),
            _ => {
                a.interface_of(word);
            }
        }
    }
    vmac
}

/// Six octets; of five the VRID becomes the last, which is filled in later.
fn mac(text: &str) -> Option<Mac> {
    let mut octets = [0; 6];
    let mut count = 0;
    for part in text.split(':') {
        *octets.get_mut(count)? = u8::from_str_radix(part, 16).ok()?;
        count += 1;
    }
    (count >= 5).then_some(Mac(octets))
}

/// `vrrp_sync_group` while it is read.
#[derive(Default)]
pub(super) struct GroupDraft {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) members: Vec<At<String>>,
    pub(super) tracking: TrackingDraft,
    pub(super) notify: Notify,
    pub(super) weights: bool,
}

impl HasTracking for GroupDraft {
    fn tracking(&mut self) -> &mut TrackingDraft {
        &mut self.tracking
    }
}

const GROUP_TRACKING: &[Key<GroupDraft>] = &track::lists();

pub(super) const GROUP: Table<GroupDraft> = Table {
    block: "vrrp_sync_group",
    keys: &[
        GROUP_TRACKING,
        &[
            key("group", Braces, Obeyed, |d, a| {
                let words = a.block.children().iter().flat_map(|b| b.words.iter());
                d.members.extend(words.map(|w| At {
                    value: w.text.to_owned(),
                    at: w.at,
                }));
            }),
            key("notify_master", Value, Obeyed, |d, a| {
                a.notify(&mut d.notify.master)
            }),
            key("notify_backup", Value, Obeyed, |d, a| {
                a.notify(&mut d.notify.backup)
            }),
            key("notify_fault", Value, Obeyed, |d, a| {
                a.notify(&mut d.notify.fault)
            }),
            key("notify_stop", Value, Obeyed, |d, a| {
                a.notify(&mut d.notify.stop)
            }),
            key("notify", Value, Obeyed, |d, a| a.notify(&mut d.notify.any)),
            key("notify_priority_changes", Any, Obeyed, |d, a| {
                d.notify.priority_changes = a.switch()
            }),
            key("smtp_alert", Any, Obeyed, |d, a| d.notify.mail = a.alert()),
            key(
                "global_tracking",
                Any,
                Ignored("it is deprecated and does nothing"),
                |_, _| {},
            ),
            key("sync_group_tracking_weight", Any, Obeyed, |d, _| {
                d.weights = true
            }),
        ],
    ],
};
