//! Desired against observed gives steps, for addresses.
//!
//! One plan serves the start (what an earlier crash left behind), a transition, a reload and "someone deleted my address".
//! Planning again after the steps were carried out yields nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::io::address::{Assignment, Key};

/// One change of the kernel's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put it there.
    Add(Assignment),
    /// Take it away.
    Remove(Assignment),
}

/// What leads from `observed` to `desired`: additions first, removals last, so that a service is never without all of its
/// addresses half-way; an address that is there with other properties is taken away and added again.
///
/// Only addresses in `ours` are removed: what else lives on an interface is none of our business.
pub fn plan<'a>(
    observed: impl Fn(&Key) -> Option<&'a Assignment>,
    desired: &BTreeMap<Key, Assignment>,
    ours: &BTreeSet<Key>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (key, wanted) in desired {
        match observed(key) {
            Some(there) if serves(there, wanted) => {}
            Some(there) => steps.extend([Step::Remove(there.clone()), Step::Add(wanted.clone())]),
            None => steps.push(Step::Add(wanted.clone())),
        }
    }
    let surplus = ours.iter().filter(|key| !desired.contains_key(key));
    steps.extend(surplus.filter_map(|key| observed(key).cloned().map(Step::Remove)));
    steps
}

/// Whether what is there does what is wanted. Flags and lifetimes are not compared: the kernel changes them as time goes by.
fn serves(there: &Assignment, wanted: &Assignment) -> bool {
    let same = there.prefix == wanted.prefix && there.peer == wanted.peer;
    // The kernel finds the scope of an IPv6 address itself, and gives it neither label nor broadcast address.
    let v4 = || {
        there.scope == wanted.scope
            && there.broadcast == wanted.broadcast
            && (wanted.label.is_none() || there.label == wanted.label)
    };
    same && (wanted.ip.is_ipv6() || v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ip: &str) -> Assignment {
        Assignment::new(3, ip.parse().unwrap(), 24)
    }

    fn set(of: &[Assignment]) -> BTreeMap<Key, Assignment> {
        of.iter().map(|a| (a.key(), a.clone())).collect()
    }

    fn steps(observed: &[Assignment], desired: &[Assignment], ours: &[Assignment]) -> Vec<Step> {
        let observed = set(observed);
        let ours = ours.iter().map(Assignment::key).collect();
        plan(|key| observed.get(key), &set(desired), &ours)
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_ours_and_unwanted_removed_last() {
        let [old, new] = [at("10.0.0.1"), at("10.0.0.2")];
        let plan = steps(&[at("10.0.0.1")], &[at("10.0.0.2")], &[at("10.0.0.1")]);
        assert_eq!(plan, [Step::Add(new), Step::Remove(old)]);
    }

    #[test]
    fn an_address_of_somebody_else_is_left_alone() {
        assert_eq!(steps(&[at("10.0.0.9")], &[], &[]), []);
    }

    #[test]
    fn planning_again_after_the_steps_yields_nothing() {
        let wanted = [at("10.0.0.1"), at("10.0.0.2"), at("fe80::1")];
        assert_eq!(steps(&wanted, &wanted, &wanted), []);
    }

    #[test]
    fn an_address_with_another_label_is_put_right() {
        let mut labelled = at("10.0.0.1");
        labelled.label = "eth0:1".try_into().ok();
        let plan = steps(&[at("10.0.0.1")], &[labelled.clone()], &[]);
        assert_eq!(plan, [Step::Remove(at("10.0.0.1")), Step::Add(labelled)]);
    }
}
