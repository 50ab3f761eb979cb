//! One virtual router: what it is and what it can be asked.
//!
//! What it does is in [`machine`], and state by state in [`backup`] and [`master`].

mod backup;
mod change;
mod hear;
mod machine;
mod master;

pub(super) use machine::{Input, Order};

use core::net::IpAddr;
use core::time::Duration;

use super::receive;
use super::track::{self, Faults};
use super::{Action, GroupId, Id, Note, State, Stats, Told, Transition};
use crate::model::vrrp::OldChecksum;
use crate::model::{self, Auth, Peering, Tracking};
use crate::name::{Family, IfName, Ifindex, OWNER, Priority, Version};
use crate::time::{Centis, Instant};
use crate::wire::Checksum;
use crate::wire::ah::Key;
use crate::wire::vrrp::AdvertRepr;
use hear::Said;
use machine::Phase;

/// A virtual router that runs.
#[derive(Debug)]
pub struct Instance {
    id: Id,
    config: model::Instance,
    /// The advertised addresses as the wire wants them.
    advertised: Vec<IpAddr>,
    phase: Phase,
    since: Instant,
    last: Option<Transition>,
    pub(super) faults: Faults,
    /// Whether all that may be a fault is known.
    pub(super) known: bool,
    /// Sum of the weights of what it tracks.
    weights: i16,
    membership: Option<Membership>,
    /// The `track_group`s that it is in.
    pub(super) track_groups: Vec<String>,
    /// It has told the hosts again where its addresses are; its sync group is to follow.
    pub(super) insisted: bool,
    /// An owner that gave up claiming so, because another one insists.
    lowered: bool,
    pub(super) ifindex: Option<Ifindex>,
    /// The address that its interface offers as a source.
    pub(super) local: Option<IpAddr>,
    heard: Option<Heard>,
    said: Said,
    old_checksum: bool,
    /// Of `auth_type AH`.
    key: Option<Box<Key>>,
    /// The last sequence number of an authentication header, seen or sent.
    sequence: u32,
    /// Whether that number was said by us, and by nobody else that we know of.
    said_sequence: bool,
    stats: Stats,
}

/// What an instance has from its sync group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Membership {
    /// Which one.
    pub(super) group: GroupId,
    /// All members own their addresses and wish to be master.
    pub(super) all_owners: bool,
    /// What the group tracks for all of its members.
    pub(super) tracking: Tracking,
}

/// The last master that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its address.
    pub from: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// Its interval.
    pub interval: Centis,
    /// When its last advert came.
    pub at: Instant,
}

/// Whether an instance owns its addresses and wishes to be master.
pub(super) fn claims(config: &model::Instance) -> bool {
    config.is_owner() && config.wish == model::Wish::Master
}

impl Instance {
    pub(super) fn new(id: Id, config: &model::Instance, now: Instant) -> Self {
        let mut instance = Self {
            id,
            config: config.clone(),
            advertised: Vec::new(),
            phase: Phase::Init,
            since: now,
            last: None,
            faults: Faults::default(),
            known: false,
            weights: 0,
            membership: None,
            track_groups: Vec::new(),
            insisted: false,
            lowered: false,
            ifindex: None,
            local: None,
            heard: None,
            said: Said::default(),
            old_checksum: false,
            key: None,
            sequence: 0,
            said_sequence: false,
            stats: Stats::default(),
        };
        instance.derive();
        instance
    }

    /// What is kept in another shape than the configuration has it.
    fn derive(&mut self) {
        self.advertised.clear();
        let addresses = self.config.addresses.iter().map(|address| address.ip);
        self.advertised.extend(addresses);
        self.key = match (self.config.auth, self.config.version, self.config.family) {
            (Auth::Ah(password), Version::V2, Family::V4) => Some(Box::new(Key::new(password))),
            _ => None,
        };
        self.old_checksum = matches!(
            self.config.peering,
            Peering::Unicast {
                old_checksum: OldChecksum::Always,
                ..
            }
        );
    }

    /// Its name among all of the engine.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &model::Instance {
        &self.config
    }

    /// What it is.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Init => State::Init,
            Phase::Fault => State::Fault,
            Phase::Backup(_) => State::Backup,
            Phase::Master(_) => State::Master,
        }
    }

    /// Since when it is that.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Its last change of state, with its cause; `None` before its first.
    #[must_use]
    pub const fn last(&self) -> Option<Transition> {
        self.last
    }

    /// Its effective priority.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match track::effective(self.config.priority, self.weights) {
            OWNER if self.lowered => OWNER - 1,
            priority => priority,
        }
    }

    /// The address that its adverts come from.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.config.source.or(self.local)
    }

    /// Its interface, while that exists.
    #[must_use]
    pub const fn ifindex(&self) -> Option<Ifindex> {
        self.ifindex
    }

    /// Why it cannot run.
    #[must_use]
    pub const fn faults(&self) -> Faults {
        self.faults
    }

    /// The last master that was heard; ourselves do not count.
    #[must_use]
    pub const fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// Interval of the master: as a backup the one it has learned, otherwise its own.
    #[must_use]
    pub const fn master_interval(&self) -> Centis {
        match self.phase {
            Phase::Backup(backup) => backup.interval,
            _ => self.config.interval,
        }
    }

    /// What has been counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Starts counting anew.
    pub fn clear_stats(&mut self) {
        self.stats = Stats::default();
    }

    /// Whether its addresses, routes and rules are to be on this host now.
    #[must_use]
    pub const fn owns_addresses(&self) -> bool {
        matches!(self.phase, Phase::Master(_))
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Init | Phase::Fault => None,
            Phase::Backup(backup) => Some(backup.down_at),
            Phase::Master(master) => Some(
                master
                    .announce
                    .next()
                    .map_or(master.advert_at, |at| at.min(master.advert_at)),
            ),
        }
    }

    /// The advert to be sent now.
    #[must_use]
    pub fn advert(&self, priority: Priority) -> AdvertRepr<'_> {
        let auth = match self.config.version {
            Version::V2 => self.config.auth,
            Version::V3 => Auth::None,
        };
        AdvertRepr {
            version: self.config.version,
            vrid: self.config.vrid,
            priority,
            auth_type: receive::auth_type(auth),
            auth_data: match auth {
                Auth::Pass(password) => password,
                Auth::None | Auth::Ah(_) => [0; 8],
            },
            interval: self.config.interval,
            family: self.config.family,
            addresses: &self.advertised,
        }
    }

    /// The key of the authentication header in front of its adverts, where it uses one.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_deref()
    }

    /// Sequence number of the authentication header of the advert to be sent now.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// What the checksum of an advert of `len` bytes to `destination` begins with.
    #[must_use]
    pub fn pseudo_header(&self, destination: IpAddr, len: usize) -> Checksum {
        let Some(source) = self.source() else {
            return Checksum::new();
        };
        match (self.config.version, self.config.family) {
            (Version::V2, _) => Checksum::new(),
            (Version::V3, Family::V4) if self.config.v3_checksum_as_v2 => Checksum::new(),
            (Version::V3, Family::V4) if self.old_checksum => {
                Checksum::pseudo_header(source, receive::OLD_CHECKSUM_GROUP, len)
            }
            (Version::V3, _) => Checksum::pseudo_header(source, destination, len),
        }
    }

    /// How long it waits for a master with this interval (RFC 9568 section 6.1, with `down_timer_adverts` for the 3).
    #[must_use]
    pub fn master_down(&self, interval: Centis) -> Duration {
        interval.as_duration() * u32::from(self.config.down_timer_adverts) + self.skew(interval)
    }

    fn skew(&self, interval: Centis) -> Duration {
        self.skew_of(interval, self.priority())
    }

    /// That of a router with another priority.
    fn skew_of(&self, interval: Centis, priority: Priority) -> Duration {
        let interval = match self.config.version {
            Version::V2 => Centis::SECOND,
            Version::V3 => interval,
        };
        interval.skew(priority)
    }

    /// The interfaces that must be up besides the one of its adverts: those of its addresses, its routes and its rules.
    pub(super) fn devices(&self) -> Box<dyn Iterator<Item = &IfName> + '_> {
        let config = &self.config;
        let addresses = config.addresses.iter().chain(&config.excluded);
        let addresses = addresses
            .filter(|address| address.tracked)
            .map(|address| address.dev.as_ref().unwrap_or(config.address_interface()));
        let routes = config.routes.iter().filter(|route| route.tracked);
        let hops = routes.flat_map(|route| &route.hops);
        let rules = config.rules.iter().filter(|rule| rule.tracked);
        let all = addresses
            .chain(hops.filter_map(|hop| hop.dev.as_ref()))
            .chain(rules.flat_map(|rule| rule.input.iter().chain(&rule.output)));
        Box::new(all.filter(|dev| *dev != config.advert_interface()))
    }

    /// What it tracks, itself and as a member of its sync group.
    pub(super) fn trackings(&self) -> impl Iterator<Item = &Tracking> {
        let group = self.membership.as_ref().map(|group| &group.tracking);
        core::iter::once(&self.config.tracking).chain(group)
    }

    /// Its sync group.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.membership.as_ref().map(|group| group.group)
    }

    pub(super) fn join(&mut self, membership: Option<Membership>) {
        self.membership = membership;
        self.insisted = false;
        if self.membership.is_none() {
            self.faults = self.faults.own();
        }
    }

    /// Whether a sync group may count on it.
    pub(super) const fn wants_master(&self) -> bool {
        match self.phase {
            Phase::Init | Phase::Fault => false,
            Phase::Backup(backup) => backup.wants,
            Phase::Master(_) => true,
        }
    }

    pub(super) const fn say(&self, note: Note) -> Action {
        Action::Say { id: self.id, note }
    }

    fn tell(&self, state: Told) -> Action {
        Action::Notify {
            id: self.id,
            state,
            priority: self.priority(),
        }
    }
}
