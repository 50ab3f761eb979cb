//! How the things that are watched bear on a virtual router: they add to its priority, or they are a fault.

use core::fmt;
use core::ops::BitOr;

use crate::model::Weight;
use crate::name::{OWNER, Priority};

/// Why a virtual router cannot run, as a set; it runs while the set is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u8);

impl Faults {
    /// Its interface does not exist.
    pub const MISSING: Self = Self(1);
    /// Its interface is down or has no carrier.
    pub const DOWN: Self = Self(2);
    /// It has no address to send from.
    pub const NO_SOURCE: Self = Self(4);
    /// A tracked interface, or one that an address goes on, is down.
    pub const TRACKED_INTERFACE: Self = Self(8);

    const SENTENCES: [(Self, &str); 4] = [
        (Self::MISSING, "its interface does not exist"),
        (Self::DOWN, "its interface is down"),
        (Self::NO_SOURCE, "its interface has no address to send from"),
        (Self::TRACKED_INTERFACE, "a tracked interface is down"),
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

    pub(super) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
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
        let mut between = "";
        for (fault, sentence) in Self::SENTENCES {
            if self.contains(fault) {
                write!(f, "{between}{sentence}")?;
                between = ", ";
            }
        }
        Ok(())
    }
}

/// What one tracked thing does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearing {
    /// It adds this to the priority, zero included.
    Adds(i16),
    /// It is a fault.
    Fault,
}

/// Weight zero is a fault while down; a positive weight counts while up, a negative one while down; `reverse` changes
/// up and down.
pub(super) const fn bearing(weight: Weight, up: bool) -> Bearing {
    let up = up != weight.reverse;
    match weight.value {
        0 if !up => Bearing::Fault,
        0 => Bearing::Adds(0),
        w if (w > 0) == up => Bearing::Adds(w),
        _ => Bearing::Adds(0),
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
    fn reverse_changes_up_and_down() {
        assert_eq!(bearing(weight(0, true), true), Bearing::Fault);
        assert_eq!(bearing(weight(20, true), false), Bearing::Adds(20));
        assert_eq!(bearing(weight(-20, true), true), Bearing::Adds(-20));
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
