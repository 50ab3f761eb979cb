//! Network interfaces: what there are, and how they are made and changed.

use std::os::fd::{AsRawFd, BorrowedFd};

use neli::consts::nl::NlmF;
use neli::consts::rtnl::{Ifla, IflaInfo, Rtm};

use super::error::NetError;
use super::netlink::message::{attributes, text, u16_at, u32_at};
use super::netlink::{Batch, Body, Netlink};
use crate::name::{IfName, Ifindex, Mac};

/// Length of `struct ifinfomsg` of linux/rtnetlink.h.
const HEADER: usize = 16;

/// `IFLA_MACVLAN_MODE` and `MACVLAN_MODE_PRIVATE` of linux/if_link.h.
const MACVLAN_MODE: u16 = 1;
const MACVLAN_PRIVATE: u32 = 1;
/// `IFLA_VRF_TABLE`.
const VRF_TABLE: u16 = 1;

/// Flags of linux/if.h that matter here.
mod flag {
    pub(super) const UP: u32 = 0x1;
    pub(super) const LOOPBACK: u32 = 0x8;
    pub(super) const POINT_TO_POINT: u32 = 0x10;
    pub(super) const RUNNING: u32 = 0x40;
    pub(super) const NO_ARP: u32 = 0x80;
    pub(super) const MULTICAST: u32 = 0x1000;
    pub(super) const LOWER_UP: u32 = 0x1_0000;
}

/// A network interface as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: Ifindex,
    /// Its name.
    pub name: IfName,
    /// `IFF_*` of linux/if.h.
    pub flags: u32,
    /// `ARPHRD_*` of linux/if_arp.h: 1 is Ethernet.
    pub hardware: u16,
    /// Its address, if it is one of six bytes.
    pub mac: Option<Mac>,
    /// Longest packet in bytes.
    pub mtu: u32,
    /// `IFLA_OPERSTATE`, RFC 2863: 0 unknown, 2 down, 3 lower layer down, 5 dormant, 6 up.
    pub operstate: u8,
    /// The interface under it: the parent of a macvlan or VLAN, the other end of a veth.
    pub parent: Option<Ifindex>,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<Ifindex>,
    /// What it is, as "macvlan" or "bridge"; empty for hardware.
    pub kind: heapless::String<15>,
    /// The group that it was put into, zero by default.
    pub group: u32,
    /// The note that somebody left on it (`IFLA_IFALIAS`), which lives as long as the interface.
    pub alias: Option<Box<str>>,
    /// A macvlan that takes no traffic from others of the same parent.
    pub private: bool,
    /// The routing table of a VRF.
    pub table: Option<u32>,
}

impl Link {
    /// Someone switched it on.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.flags & flag::UP != 0
    }

    /// The cable is plugged in, and the other end answers.
    #[must_use]
    pub const fn has_carrier(&self) -> bool {
        self.flags & flag::LOWER_UP != 0
    }

    /// Switched on and able to pass packets: what VRRP waits for. The kernel derives it from the carrier and the
    /// operational state (`IFF_RUNNING`), so that a port that waits for 802.1X or spanning tree is not yet running.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        const BOTH: u32 = flag::UP | flag::RUNNING;
        self.flags & BOTH == BOTH
    }

    /// The loopback interface.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.flags & flag::LOOPBACK != 0
    }

    /// No neighbour resolution: gratuitous ARP makes no sense.
    #[must_use]
    pub const fn is_noarp(&self) -> bool {
        self.flags & flag::NO_ARP != 0
    }

    /// A tunnel or a serial line.
    #[must_use]
    pub const fn is_point_to_point(&self) -> bool {
        self.flags & flag::POINT_TO_POINT != 0
    }

    /// Able to send to groups.
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        self.flags & flag::MULTICAST != 0
    }
}

/// All interfaces of the namespace.
///
/// # Errors
/// If the kernel does not give the list.
pub fn list(netlink: &mut Netlink) -> Result<Vec<Link>, NetError> {
    /// Leaves the counters out (linux/rtnetlink.h, since Linux 4.4), which are most of the message.
    const RTEXT_FILTER_SKIP_STATS: u32 = 8;
    let mut body = about(0);
    body.put_u32(Ifla::ExtMask.into(), RTEXT_FILTER_SKIP_STATS);
    netlink.dump("list the interfaces", Rtm::Getlink, body, |message| {
        read(message.payload)
    })
}

/// The payload of an `RTM_NEWLINK` or `RTM_DELLINK`; `None` if malformed, or about something else than the interface itself: a
/// bridge sends such messages about its ports, and one that leaves the bridge is not gone.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Link> {
    let (family, flags) = (payload.first()?, u32_at(payload, 8)?);
    if i32::from(*family) != libc::AF_UNSPEC {
        return None;
    }
    let mut name = None;
    let mut link = Link {
        index: u32_at(payload, 4)?,
        name: IfName::default(),
        flags,
        hardware: u16_at(payload, 2)?,
        mac: None,
        mtu: 0,
        operstate: 0,
        parent: None,
        master: None,
        kind: heapless::String::new(),
        group: 0,
        alias: None,
        private: false,
        table: None,
    };
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match Ifla::from(kind) {
            Ifla::Ifname => name = text(value).and_then(IfName::new),
            Ifla::Address => link.mac = value.try_into().ok().map(Mac),
            Ifla::Mtu => link.mtu = u32_at(value, 0)?,
            Ifla::Operstate => link.operstate = *value.first()?,
            Ifla::Link => link.parent = u32_at(value, 0),
            Ifla::Master => link.master = u32_at(value, 0),
            Ifla::Group => link.group = u32_at(value, 0)?,
            Ifla::Ifalias => link.alias = text(value).map(Box::from),
            Ifla::Linkinfo => {
                let info = |wanted| {
                    let mut all = attributes(value);
                    all.find(|(kind, _)| IflaInfo::from(*kind) == wanted)
                        .map(|(_, value)| value)
                };
                link.kind = info(IflaInfo::Kind)
                    .and_then(|value| text(value)?.try_into().ok())
                    .unwrap_or_default();
                let detail = |of: &str, wanted| {
                    let data = info(IflaInfo::Data).filter(|_| link.kind == of)?;
                    let (_, value) = attributes(data).find(|(kind, _)| *kind == wanted)?;
                    u32_at(value, 0)
                };
                link.private = detail("macvlan", MACVLAN_MODE) == Some(MACVLAN_PRIVATE);
                link.table = detail("vrf", VRF_TABLE);
            }
            _ => {}
        }
    }
    link.name = name?;
    Some(link)
}

/// What kind of interface is made.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// A bridge without spanning tree.
    Bridge,
    /// An interface that swallows what it is given.
    Dummy,
    /// A cable with two ends.
    Veth {
        /// Name of the other end.
        peer: &'a IfName,
        /// Namespace of the other end; `None` is this one.
        namespace: Option<BorrowedFd<'a>>,
    },
    /// A second MAC on an interface, in private mode: no traffic between it and others of the same parent.
    Macvlan {
        /// The interface under it.
        parent: Ifindex,
        /// Its MAC.
        mac: Mac,
    },
}

impl Kind<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Dummy => "dummy",
            Self::Veth { .. } => "veth",
            Self::Macvlan { .. } => "macvlan",
        }
    }
}

/// Whether the kernel can make virtual MAC interfaces. It is asked for one on an interface that cannot be, and says what is wrong
/// first: a kernel without macvlan does not get as far as looking for the interface.
pub fn has_macvlan(netlink: &mut Netlink) -> bool {
    let mut batch = Batch::new();
    let Some(name) = IfName::new("macvlan-probe") else {
        return false;
    };
    let mac = Mac([2, 0, 0, 0, 0, 0]);
    create(&mut batch, &name, Kind::Macvlan { parent: 0, mac });
    let unknown =
        |refused: &super::error::Failed| refused.source.raw_os_error() == Some(libc::EOPNOTSUPP);
    netlink
        .commit(batch)
        .is_ok_and(|refused| !refused.iter().any(unknown))
}

/// Asks for a new interface, which is down.
pub fn create(batch: &mut Batch, name: &IfName, kind: Kind<'_>) {
    batch.push(
        format_args!("create {} {name}", kind.name()),
        Rtm::Newlink,
        NlmF::CREATE | NlmF::EXCL,
        creation(name, kind),
    );
}

fn creation(name: &IfName, kind: Kind<'_>) -> Body {
    /// linux/veth.h.
    const VETH_INFO_PEER: u16 = 1;

    let mut body = about(0);
    body.put_text(Ifla::Ifname.into(), name.as_str());
    if let Kind::Macvlan { parent, mac } = kind {
        body.put_u32(Ifla::Link.into(), parent);
        body.put(Ifla::Address.into(), &mac.0);
    }
    body.row(Ifla::Linkinfo.into(), &mut |info| {
        info.put_text(IflaInfo::Kind.into(), kind.name());
        match kind {
            Kind::Bridge | Kind::Dummy => {}
            Kind::Veth { peer, namespace } => info.row(IflaInfo::Data.into(), &mut |data| {
                data.row(VETH_INFO_PEER, &mut |end| {
                    end.append(&[0; HEADER]);
                    end.put_text(Ifla::Ifname.into(), peer.as_str());
                    if let Some(fd) = namespace {
                        end.put_u32(Ifla::NetNsFd.into(), fd.as_raw_fd().cast_unsigned());
                    }
                });
            }),
            Kind::Macvlan { .. } => info.row(IflaInfo::Data.into(), &mut |data| {
                data.put_u32(MACVLAN_MODE, MACVLAN_PRIVATE);
            }),
        }
    });
    body
}

/// Leaves a note on an interface that the request before makes, so that at no moment it is there without.
pub fn sign(batch: &mut Batch, name: &IfName, note: &str) {
    let mut body = about(0);
    body.put_text(Ifla::Ifname.into(), name.as_str());
    body.put_text(Ifla::Ifalias.into(), note);
    let op = format_args!("note on {name}");
    batch.push(op, Rtm::Setlink, NlmF::empty(), body);
}

/// One thing to change about an interface.
#[derive(Clone, Copy, Debug)]
pub enum Setting<'a> {
    /// Switch it on.
    Up,
    /// Switch it off.
    Down,
    /// Another name; the interface has to be down (before Linux 6.2).
    Name(&'a IfName),
    /// Another MAC.
    Mac(Mac),
    /// Longest packet in bytes.
    Mtu(u32),
    /// Make it a port of a bridge, a member of a VRF.
    Master(Ifindex),
    /// Make it independent again.
    NoMaster,
    /// Move it into the namespace that the descriptor refers to; it is down there.
    Namespace(BorrowedFd<'a>),
    /// Move it into the namespace of a process.
    NamespaceOf(u32),
    /// No link-local IPv6 address of the kernel's own making.
    NoLinkLocal,
    /// Put it into a group; the kernel tells everybody about the interface, also where nothing changes.
    Group(u32),
    /// Leave a note on it, of at most 255 bytes.
    Alias(&'a str),
}

/// Asks for a change of the interface of this index; `name` is for the words of a refusal.
pub fn set(batch: &mut Batch, index: Ifindex, name: &IfName, setting: Setting<'_>) {
    let body = change(index, setting);
    let ask = |op| batch.push(op, Rtm::Setlink, NlmF::empty(), body);
    match setting {
        Setting::Up => ask(format_args!("switch {name} on")),
        Setting::Down => ask(format_args!("switch {name} off")),
        Setting::Name(n) => ask(format_args!("rename {name} to {n}")),
        Setting::Mac(m) => ask(format_args!("give {name} the MAC {m}")),
        Setting::Mtu(m) => ask(format_args!("give {name} the MTU {m}")),
        Setting::Master(m) => ask(format_args!("make {name} a port of interface {m}")),
        Setting::NoMaster => ask(format_args!("take {name} from its bridge")),
        Setting::Namespace(_) | Setting::NamespaceOf(_) => {
            ask(format_args!("move {name} to another namespace"));
        }
        Setting::Group(g) => ask(format_args!("put {name} into group {g}")),
        Setting::Alias(_) => ask(format_args!("note on {name}")),
        Setting::NoLinkLocal => ask(format_args!("keep {name} without a link-local address")),
    }
}

fn change(index: Ifindex, setting: Setting<'_>) -> Body {
    /// linux/if_link.h.
    const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
    const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
    const AF_INET6: u16 = libc::AF_INET6 as u16;

    let up = match setting {
        Setting::Up => Some(true),
        Setting::Down => Some(false),
        _ => None,
    };
    let mut body = switched(index, up);
    match setting {
        Setting::Up | Setting::Down => {}
        Setting::Name(name) => body.put_text(Ifla::Ifname.into(), name.as_str()),
        Setting::Mac(mac) => body.put(Ifla::Address.into(), &mac.0),
        Setting::Mtu(mtu) => body.put_u32(Ifla::Mtu.into(), mtu),
        Setting::Master(master) => body.put_u32(Ifla::Master.into(), master),
        Setting::NoMaster => body.put_u32(Ifla::Master.into(), 0),
        Setting::Namespace(fd) => {
            body.put_u32(Ifla::NetNsFd.into(), fd.as_raw_fd().cast_unsigned());
        }
        Setting::NamespaceOf(pid) => body.put_u32(Ifla::NetNsPid.into(), pid),
        Setting::Group(group) => body.put_u32(Ifla::Group.into(), group),
        Setting::Alias(note) => body.put_text(Ifla::Ifalias.into(), note),
        Setting::NoLinkLocal => body.row(Ifla::AfSpec.into(), &mut |families| {
            families.row(AF_INET6, &mut |inet6| {
                inet6.put(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
            });
        }),
    }
    body
}

/// Asks for the removal of an interface; `name` is for the words of a refusal.
pub fn delete(batch: &mut Batch, index: Ifindex, name: &IfName) {
    batch.push(
        format_args!("remove {name}"),
        Rtm::Dellink,
        NlmF::empty(),
        about(index),
    );
}

/// A request about an interface: `struct ifinfomsg` of linux/rtnetlink.h, attributes to follow.
fn about(index: Ifindex) -> Body {
    switched(index, None)
}

/// The same, which switches it on or off.
fn switched(index: Ifindex, up: Option<bool>) -> Body {
    let flags = if up == Some(true) { flag::UP } else { 0 };
    let changed = if up.is_some() { flag::UP } else { 0 };
    let mut body = Body::new(&[0; 4]);
    for number in [index, flags, changed] {
        body.append(&number.to_ne_bytes());
    }
    body
}
