//! Virtual routers and the groups in which they fail over together.

use core::net::IpAddr;
use core::time::Duration;

use super::{Address, Notify, Route, Rule, Tracking};
use crate::name::{Family, IfName, Mac, Priority, Version, Vrid};
use crate::time::Centis;

/// `vrrp_instance`: one virtual router on one interface in one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its name: for people only, never its identity.
    pub name: String,
    /// `interface`.
    pub interface: IfName,
    /// `virtual_router_id`.
    pub vrid: Vrid,
    /// Family of the advertised addresses (of the excluded ones where there are none).
    pub family: Family,
    /// `version`.
    pub version: Version,
    /// `state`: a wish, see [`Wish`].
    pub wish: Wish,
    /// `priority`, 1 to 255.
    pub priority: Priority,
    /// `advert_int`.
    pub interval: Centis,
    /// `authentication`.
    pub auth: Auth,
    /// `virtual_ipaddress`, in the order of the file, which is the order on the wire.
    pub addresses: Vec<Address>,
    /// `virtual_ipaddress_excluded`: put in place but not advertised; of either family.
    pub excluded: Vec<Address>,
    /// `virtual_routes`.
    pub routes: Vec<Route>,
    /// `virtual_rules`.
    pub rules: Vec<Rule>,
    /// False with `nopreempt`.
    pub preempt: bool,
    /// `preempt_delay`.
    pub preempt_delay: Duration,
    /// `mcast_src_ip` or `unicast_src_ip`; the interface's own where absent.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: FAULT while that address is not on this host.
    pub track_source: bool,
    /// To whom adverts go.
    pub peering: Peering,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    pub announcing: Announcing,
    /// `down_timer_adverts`: how many intervals of silence end a master, 1 to 100.
    pub down_timer_adverts: u8,
    /// `accept`: answer to packets for the virtual addresses.
    pub accept: bool,
    /// `use_vmac` and its kin.
    pub vmac: Option<Vmac>,
    /// `vrf`.
    pub vrf: Option<IfName>,
    /// What it tracks besides its own interface.
    pub tracking: Tracking,
    /// False with `dont_track_primary`.
    pub track_primary: bool,
    /// Scripts to run.
    pub notify: Notify,
    /// `strict_mode`.
    pub strict: bool,
    /// `v3_checksum_as_v2`: send IPv4 v3 adverts with a checksum without pseudo header, and accept any.
    pub v3_checksum_as_v2: bool,
    /// `skip_check_adv_addr`: the address list is compared for a new sender only.
    pub skip_check_adv_addr: bool,
    /// `lower_prio_no_advert`: as master, do not answer an advert of lower priority.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: send one more advert before giving way.
    pub higher_prio_send_advert: bool,
    /// `owner_ignore_adverts`.
    pub owner_ignore_adverts: bool,
    /// `promote_secondaries`: set the sysctl of the interface.
    pub promote_secondaries: bool,
    /// `timer_expired_backup`: go backup first when our own timer ran so late that another router, of this priority at the
    /// most, may have taken over.
    pub timer_expired_backup: Option<Option<Priority>>,
    /// `kernel_rx_buf_size` in bytes.
    pub receive_buffer: Option<u32>,
    /// `linkbeat_use_polling`.
    pub linkbeat_polling: bool,
}

/// `state`: how an instance would like to start.
///
/// An owner (priority 255) that wishes so is master at once; anyone else listens first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `MASTER`.
    Master,
    /// `BACKUP`.
    Backup,
}

/// `authentication` (RFC 2338 section 10, dropped by RFC 3768 and version 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// None; eight zero bytes on the wire in version 2.
    #[default]
    None,
    /// `PASS`: the password in clear, padded with zeros.
    Pass([u8; 8]),
    /// `AH`: HMAC-MD5 in an IPsec authentication header, keyed with the padded password.
    Ah([u8; 8]),
}

/// To whom adverts go and from whom they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peering {
    /// All routers of the link, at this group.
    Multicast(IpAddr),
    /// `unicast_peer`.
    Unicast {
        /// The peers.
        peers: Vec<Peer>,
        /// `unicast_ttl`; 255 unless given.
        ttl: u8,
        /// `check_unicast_src`: listen to listed peers only.
        check_source: bool,
        /// `old_unicast_checksum`.
        old_checksum: OldChecksum,
        /// `unicast_fault_no_peer`.
        fault_without_peer: bool,
    },
}

/// One line of `unicast_peer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub ip: IpAddr,
    /// Smallest TTL of a packet from it.
    pub min_ttl: u8,
    /// Largest TTL of a packet from it.
    pub max_ttl: u8,
}

/// `old_unicast_checksum`: the v3 unicast checksum of keepalived before 2.0, whose pseudo header names the
/// multicast group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldChecksum {
    /// Change over when a packet verifies only that way.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// When and how often the world is told where an address lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcing {
    /// `garp_master_delay`: until the second set; zero is no second set.
    pub delay: Duration,
    /// `garp_master_repeat`: packets per address in a set.
    pub repeat: u32,
    /// `garp_master_refresh`: between two sets while master; zero is never.
    pub refresh: Duration,
    /// `garp_master_refresh_repeat`.
    pub refresh_repeat: u32,
    /// `garp_lower_prio_delay`: until the second set after an advert of lower priority.
    pub lower_delay: Duration,
    /// `garp_lower_prio_repeat`; zero is no set at all.
    pub lower_repeat: u32,
    /// `garp_extra_if`: on the base interface of a virtual MAC as often as this; zero is never.
    pub extra_interface: Duration,
    /// `garp_extra_if all`: on every interface of the instance, not of its virtual MACs only.
    pub extra_everywhere: bool,
    /// `vrrp_garp_interval` or the group's: between two gratuitous ARPs of an interface.
    pub arp_pace: Duration,
    /// `vrrp_gna_interval` or the group's: between two neighbour advertisements of an interface.
    pub na_pace: Duration,
}

impl Default for Announcing {
    fn default() -> Self {
        let delay = Duration::from_secs(5);
        Self {
            delay,
            repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_delay: delay,
            lower_repeat: 5,
            extra_interface: Duration::ZERO,
            extra_everywhere: false,
            arp_pace: Duration::ZERO,
            na_pace: Duration::ZERO,
        }
    }
}

/// `use_vmac`, `use_vmac_addr`, `use_ipvlan`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmac {
    /// Name of the interface; chosen from the prefix and the VRID where absent.
    pub name: Option<IfName>,
    /// Its MAC; that of the virtual router where absent.
    pub mac: Option<Mac>,
    /// `vmac_xmit_base`: adverts leave by the base interface.
    pub transmit_base: bool,
    /// `use_vmac_addr`: addresses on other devices get one too.
    pub per_address: bool,
    /// `netlink_notify_msg`.
    pub netlink_notify: bool,
    /// `group`: of the link.
    pub group: Option<u32>,
    /// `use_ipvlan` instead of a macvlan.
    pub ipvlan: bool,
}

/// `vrrp_sync_group`: instances that fail over together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// Names of its instances.
    pub members: Vec<String>,
    /// What the group as a whole tracks.
    pub tracking: Tracking,
    /// Scripts of the group.
    pub notify: Notify,
    /// `sync_group_tracking_weight`: members may track with weights.
    pub weights: bool,
}

impl Instance {
    /// The interface that its addresses go on where they name none: that of its virtual MAC, once it has a name, or its own.
    #[must_use]
    pub fn address_interface(&self) -> &IfName {
        let vmac = self.vmac.as_ref().and_then(|vmac| vmac.name.as_ref());
        vmac.unwrap_or(&self.interface)
    }

    /// The interface that its adverts go out and come in by: that of its virtual MAC unless `vmac_xmit_base` keeps them off it.
    #[must_use]
    pub fn advert_interface(&self) -> &IfName {
        match &self.vmac {
            Some(vmac) if vmac.transmit_base => &self.interface,
            _ => self.address_interface(),
        }
    }

    /// Whether it owns the addresses (RFC 9568 section 1.6).
    #[must_use]
    pub const fn is_owner(&self) -> bool {
        self.priority == crate::name::OWNER
    }
}
