//! What a LAN consists of and what happens to it, as data: made from a seed, and made smaller when something went wrong.
//!
//! Configurations are lines as in the head of a scenario file, so that they can be taken away one by one, and told.

use keepalite::model::Model;
use keepalite::vrrp::{Reading, TrackerKind};

use crate::lan::address;
use crate::{made, play};

/// How wrong a clock may go, in millionths.
pub(crate) const DRIFT: u64 = 2_000;
/// The latest that a process is woken, unless it sleeps.
pub(crate) const LATENESS: u64 = 2_000;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) vrids: Vec<Shared>,
    pub(crate) hosts: Vec<HostPlan>,
    pub(crate) rounds: Vec<Round>,
    /// The latest that a process is woken.
    pub(crate) lateness: u64,
}

/// What all routers of a VRID have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The interface that they are on: `eth0` or `eth1`.
    pub(crate) segment: usize,
    pub(crate) unicast: bool,
    pub(crate) lines: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    /// The last byte of its addresses.
    pub(crate) number: u8,
    /// How fast its clock goes, in millionths of a second per second.
    pub(crate) clock: u64,
    /// Trackers and global settings.
    pub(crate) head: Vec<String>,
    /// By VRID; `None` where it takes no part.
    pub(crate) own: Vec<Option<Vec<String>>>,
    /// All of its virtual routers are one sync group.
    pub(crate) grouped: bool,
}

/// A storm, and what is done in the calm after it.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    /// The longest that a datagram takes.
    pub(crate) delay: u64,
    /// Each after a pause.
    pub(crate) happenings: Vec<(u64, Happening)>,
    /// Scripts, files and processes are well again afterwards.
    pub(crate) mended: bool,
    /// The master then loses power.
    pub(crate) cut: bool,
    /// The master then stops in order.
    pub(crate) stop: bool,
}

/// Something happens to a host, or to a segment.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Power(usize, bool),
    Link(usize, usize, LinkState),
    /// The interface is made anew, with another index.
    Renew(usize, usize),
    Source(usize, bool),
    Track(usize, TrackerKind, Reading),
    Sleep(usize, u64),
    /// The clock leaps: a virtual machine that was suspended.
    Leap(usize, u64),
    /// The segment falls apart: bit by bit, who is on the other side.
    Split(usize, u64),
    Reload(usize, Change),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    Up,
    Down,
    Gone,
    Bare,
}

/// What a reload finds changed.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A line more in this VRID, or in all of a sync group.
    Line(usize, String),
    /// The same, in the configurations of all hosts: version 3 learns the interval of a master, but of several that differ whoever
    /// is heard last counts, and a LAN like that need not come to rest.
    Interval(usize, String),
    Remove(usize),
    Restore(usize),
    Rename(usize),
    Nothing,
}

impl Plan {
    /// Whether its parts fit together: what has only version 3 is there with version 3 only, and the members of a sync group
    /// wish for the same.
    pub(crate) fn is_sound(&self) -> bool {
        let agrees = |host: &HostPlan| host.own.iter().all(|own| *own == host.own[0]);
        if !self.hosts.iter().all(|host| !host.grouped || agrees(host)) {
            return false;
        }
        let whole = |line: &String| !line.contains("advert_int") || !line.contains('.');
        let own = |vrid: usize| {
            self.hosts
                .iter()
                .filter_map(move |host| host.own[vrid].as_ref())
        };
        let mut vrids = self.vrids.iter().enumerate();
        vrids.all(|(vrid, shared)| {
            let lines = || shared.lines.iter().chain(own(vrid).flatten());
            shared.is_version_3() || (!shared.is_v6() && lines().all(whole))
        })
    }

    /// The head of a scenario file for this host.
    pub(crate) fn lines(&self, at: usize) -> Vec<String> {
        let host = &self.hosts[at];
        let mut lines = host.head.clone();
        let mut names = Vec::new();
        for vrid in 0..self.vrids.len() {
            let router = self.router(at, vrid);
            if !router.is_empty() {
                lines.push(format!("instance {}", name(vrid)));
                lines.extend(router);
                names.push(name(vrid));
            }
        }
        if host.grouped && names.len() > 1 {
            lines.push(format!("group G {}", names.join(" ")));
        }
        lines
    }

    /// What a virtual router is made of, after its name; nothing where the host takes no part.
    pub(crate) fn router(&self, at: usize, vrid: usize) -> Vec<String> {
        let (shared, host) = (&self.vrids[vrid], &self.hosts[at]);
        let Some(own) = &host.own[vrid] else {
            return Vec::new();
        };
        let mut lines = vec![format!("virtual_router_id {}", vrid + 1)];
        if shared.segment != 0 {
            lines.push(format!("interface eth{}", shared.segment));
        }
        lines.extend(shared.lines.iter().cloned());
        if shared.unicast {
            let others = self
                .hosts
                .iter()
                .filter(|other| other.number != host.number);
            let peers = others.map(|other| address(shared.segment, other.number).to_string());
            lines.push(format!(
                "unicast_peer {}",
                peers.collect::<Vec<_>>().join(",")
            ));
        }
        lines.extend(own.iter().cloned());
        lines
    }

    pub(crate) fn model(&self, at: usize) -> Model {
        let mut model = made::model(Vec::new());
        for line in self.lines(at) {
            play::configure(&mut model, &mut false, &line);
        }
        model
    }
}

/// What a virtual router is called.
pub(crate) fn name(vrid: usize) -> String {
    format!("VI_{}", vrid + 1)
}

impl Shared {
    pub(crate) fn has(&self, word: &str) -> bool {
        self.lines.iter().any(|line| line.contains(word))
    }

    pub(crate) fn is_version_3(&self) -> bool {
        self.has("version 3")
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.has("::")
    }

    pub(crate) fn is_multicast_v4(&self) -> bool {
        !self.is_v6() && !self.unicast
    }
}
