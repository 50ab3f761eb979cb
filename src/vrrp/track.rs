//! How the things that are watched bear on a virtual router: they add to its priority, or they are a fault.

use core::fmt;
use core::ops::BitOr;

use super::{Reading, Tracked, TrackerKind};
use crate::model::{Model, Weight};
use crate::name::{OWNER, Priority};

/// Why a virtual router cannot run, as a set; it runs while the set is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u16);

impl Faults {
    /// Its interface does not exist.
    pub const MISSING: Self = Self(1);
    /// Its interface is down or has no carrier.
    pub const DOWN: Self = Self(1 << 1);
    /// It has no address to send from.
    pub const NO_SOURCE: Self = Self(1 << 2);
    /// A tracked interface, or one that an address goes on, is down.
    pub const INTERFACE: Self = Self(1 << 3);
    /// A tracked script fails.
    pub const SCRIPT: Self = Self(1 << 4);
    /// A tracked file says so.
    pub const FILE: Self = Self(1 << 5);
    /// A tracked process has no quorum.
    pub const PROCESS: Self = Self(1 << 6);
    /// Another member of its sync group has a fault.
    pub const GROUP: Self = Self(1 << 7);
    /// Unicast without a peer, `unicast_fault_no_peer`.
    pub const NO_PEER: Self = Self(1 << 8);
    /// Its configured source address is not on this host, `track_src_ip`.
    pub const SOURCE_GONE: Self = Self(1 << 9);
    /// Something static that names its `track_group` is not in place.
    pub const STATICS: Self = Self(1 << 10);

    const SENTENCES: [(Self, &str); 11] = [
        (Self::MISSING, "its interface does not exist"),
        (Self::DOWN, "its interface is down"),
        (Self::NO_SOURCE, "its interface has no address to send from"),
        (Self::INTERFACE, "a tracked interface is down"),
        (Self::SCRIPT, "a tracked script fails"),
        (Self::FILE, "a tracked file says so"),
        (Self::PROCESS, "a tracked process is missing"),
        (Self::GROUP, "another member of its sync group is in fault"),
        (Self::NO_PEER, "it has no unicast_peer"),
        (Self::SOURCE_GONE, "its source address is not on this host"),
        (
            Self::STATICS,
            "something static of its track_group is missing",
        ),
    ];

    /// Nothing is missing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is among them.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Each of them in a sentence.
    pub fn sentences(self) -> impl Iterator<Item = &'static str> {
        let all = Self::SENTENCES.into_iter();
        all.filter(move |(fault, _)| self.contains(*fault))
            .map(|(_, sentence)| sentence)
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Its own ones: not those of the other members of its sync group.
    pub(super) const fn own(self) -> Self {
        Self(self.0 & !Self::GROUP.0)
    }
}

impl BitOr for Faults {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, sentence) in self.sentences().enumerate() {
            let between = if place == 0 { "" } else { ", " };
            write!(f, "{between}{sentence}")?;
        }
        Ok(())
    }
}

/// What one tracked thing does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// It adds this to the priority, zero included.
    Adds(i16),
    /// It is a fault.
    Fault,
}

/// Weight zero is a fault while down, reversed while up. A positive weight counts while up, a negative one while down;
/// reversed it does so with the opposite sign, as keepalived has it.
pub(super) const fn bearing(weight: Weight, up: bool) -> Bearing {
    match weight.value {
        0 if up == weight.reverse => Bearing::Fault,
        0 => Bearing::Adds(0),
        w if (w > 0) == up => Bearing::Adds(if weight.reverse { -w } else { w }),
        _ => Bearing::Adds(0),
    }
}

/// The most that it can add.
pub(super) fn best(weight: Weight) -> i16 {
    let both = [bearing(weight, true), bearing(weight, false)];
    let adds = both.iter().map(|bearing| match bearing {
        Bearing::Adds(adds) => *adds,
        Bearing::Fault => 0,
    });
    adds.max().unwrap_or(0)
}

/// A file's number times its weight: at -254 and below a fault, otherwise at most 253. With weight zero any number but zero
/// is a fault, reversed zero is.
pub(super) fn bearing_of_file(weight: Weight, value: i64) -> Bearing {
    let sign = if weight.reverse { -1 } else { 1 };
    match (weight.value, value) {
        (0, value) if (value == 0) != weight.reverse => Bearing::Adds(0),
        (0, _) => Bearing::Fault,
        (weight, value) => {
            let product = value.saturating_mul(i64::from(weight) * sign);
            match i16::try_from(product.clamp(-254, 253)) {
                Ok(adds @ -253..) => Bearing::Adds(adds),
                _ => Bearing::Fault,
            }
        }
    }
}

/// The trackers of a configuration and what they have read.
#[derive(Debug, Default)]
pub(super) struct Trackers(Vec<Tracker>);

#[derive(Debug)]
struct Tracker {
    kind: TrackerKind,
    name: String,
    /// Where the line that tracks it gives none.
    weight: Weight,
    reading: Option<Reading>,
}

impl Trackers {
    /// Those of a model. What was read before under the same name is kept, also where the command is another one now: a
    /// reload is no reason to fall.
    pub(super) fn of(model: &Model, before: &Self) -> Self {
        let scripts = model.scripts.iter();
        let scripts = scripts.map(|t| (TrackerKind::Script, &t.name, t.weight));
        let files = model.files.iter();
        let files = files.map(|t| (TrackerKind::File, &t.name, t.weight));
        let processes = model.processes.iter();
        let processes = processes.map(|t| (TrackerKind::Process, &t.name, t.weight));
        let groups = model.statics.groups_in_use();
        let groups = groups.map(|g| (TrackerKind::Statics, &g.name, Weight::default()));
        let all = scripts.chain(files).chain(processes).chain(groups);
        Self(
            all.map(|(kind, name, weight)| Tracker {
                kind,
                name: name.clone(),
                weight,
                reading: before.find(kind, name).and_then(|t| t.reading),
            })
            .collect(),
        )
    }

    fn find(&self, kind: TrackerKind, name: &str) -> Option<&Tracker> {
        let mut all = self.0.iter();
        all.find(|tracker| tracker.kind == kind && tracker.name == name)
    }

    /// Its weight where the line that tracks it gives none.
    pub(super) fn weight(&self, kind: TrackerKind, name: &str) -> Option<Weight> {
        self.find(kind, name).map(|tracker| tracker.weight)
    }

    /// The most that a line that tracks it can add; of a file what it adds now.
    pub(super) fn best(&self, kind: TrackerKind, name: &str, weight: Option<Weight>) -> i16 {
        match (kind, self.bearing(kind, name, weight)) {
            (TrackerKind::File, Some(Bearing::Adds(adds))) => adds,
            (TrackerKind::File, _) => 0,
            _ => {
                let own = self.find(kind, name).map(|tracker| tracker.weight);
                best(weight.or(own).unwrap_or_default())
            }
        }
    }

    /// Whether it is news.
    pub(super) fn set(&mut self, tracked: Tracked<'_>) -> bool {
        let mut all = self.0.iter_mut();
        let Some(tracker) = all.find(|t| t.kind == tracked.kind && t.name == tracked.name) else {
            return false;
        };
        tracker.reading.replace(tracked.reading) != Some(tracked.reading)
    }

    /// What a line that tracks it means now; `None` where nothing has been read yet and that would matter at start.
    pub(super) fn bearing(
        &self,
        kind: TrackerKind,
        name: &str,
        weight: Option<Weight>,
    ) -> Option<Bearing> {
        let Some(tracker) = self.find(kind, name) else {
            return Some(Bearing::Adds(0));
        };
        let weight = weight.unwrap_or(tracker.weight);
        match tracker.reading {
            Some(Reading::Up) => Some(bearing(weight, true)),
            Some(Reading::Down) => Some(bearing(weight, false)),
            Some(Reading::Value(value)) => Some(bearing_of_file(weight, value)),
            None if weight.value == 0 => None,
            None => Some(Bearing::Adds(0)),
        }
    }
}

/// Base and sum of weights, within 1 to 254; an owner's never changes.
pub(super) fn effective(base: Priority, weights: i16) -> Priority {
    if base == OWNER {
        return OWNER;
    }
    let sum = i16::from(base).saturating_add(weights).clamp(1, 254);
    Priority::try_from(sum).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn weight(value: i16, reverse: bool) -> Weight {
        Weight { value, reverse }
    }

    #[test]
    fn a_positive_weight_counts_while_up_and_a_negative_one_while_down() {
        assert_eq!(bearing(weight(20, false), true), Bearing::Adds(20));
        assert_eq!(bearing(weight(20, false), false), Bearing::Adds(0));
        assert_eq!(bearing(weight(-20, false), true), Bearing::Adds(0));
        assert_eq!(bearing(weight(-20, false), false), Bearing::Adds(-20));
    }

    #[test]
    fn weight_zero_is_a_fault_while_down() {
        assert_eq!(bearing(weight(0, false), true), Bearing::Adds(0));
        assert_eq!(bearing(weight(0, false), false), Bearing::Fault);
    }

    #[test]
    fn reverse_changes_the_sign_of_a_weight_and_when_there_is_none_up_and_down() {
        assert_eq!(bearing(weight(0, true), true), Bearing::Fault);
        assert_eq!(bearing(weight(0, true), false), Bearing::Adds(0));
        assert_eq!(bearing(weight(20, true), true), Bearing::Adds(-20));
        assert_eq!(bearing(weight(20, true), false), Bearing::Adds(0));
        assert_eq!(bearing(weight(-20, true), true), Bearing::Adds(0));
        assert_eq!(bearing(weight(-20, true), false), Bearing::Adds(20));
    }

    #[test]
    fn a_file_counts_as_its_number_times_its_weight() {
        assert_eq!(bearing_of_file(weight(1, false), 20), Bearing::Adds(20));
        assert_eq!(bearing_of_file(weight(2, true), 20), Bearing::Adds(-40));
        assert_eq!(bearing_of_file(weight(1, false), 300), Bearing::Adds(253));
        assert_eq!(bearing_of_file(weight(1, false), -253), Bearing::Adds(-253));
        assert_eq!(bearing_of_file(weight(1, false), -254), Bearing::Fault);
        assert_eq!(
            bearing_of_file(weight(-253, false), i64::MAX),
            Bearing::Fault
        );
        assert_eq!(bearing_of_file(weight(0, false), 0), Bearing::Adds(0));
        assert_eq!(bearing_of_file(weight(0, false), 1), Bearing::Fault);
        assert_eq!(bearing_of_file(weight(0, true), 1), Bearing::Adds(0));
        assert_eq!(bearing_of_file(weight(0, true), 0), Bearing::Fault);
    }

    #[test]
    fn the_effective_priority_stays_within_1_to_254_and_an_owner_stays_owner() {
        assert_eq!(effective(100, 20), 120);
        assert_eq!(effective(100, -253), 1);
        assert_eq!(effective(250, 253), 254);
        assert_eq!(effective(OWNER, -100), OWNER);
    }

    #[test]
    fn several_faults_are_told_in_one_sentence() {
        let faults = Faults::DOWN | Faults::NO_SOURCE;
        assert_eq!(
            faults.to_string(),
            "its interface is down, its interface has no address to send from"
        );
    }
}
