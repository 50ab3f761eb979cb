//! Desired against observed gives steps, for addresses, routes and rules alike.
//!
//! One plan serves the start (what an earlier crash left behind), a transition, a reload and "someone deleted my address".
//! Planning again after the steps were carried out yields nothing.

use super::object::{Key, Object, There};

use crate::sorted::{Map, Set};

/// One change of the kernel's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put it there.
    Add(Object),
    /// Take it away.
    Remove(Object),
}

/// Something that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub object: Object,
    /// Whether it is put back when somebody takes it away; otherwise it is put there once.
    pub tracked: bool,
}

/// What leads from `observed` to `desired`: additions first and in the order of `desired`, removals last and the other way round, so
/// that a service is never without all of its addresses half-way; what is there with other properties is taken away and
/// added again. Of two that are the same to the kernel the first is wanted.
///
/// Only what is in `ours` is removed: what else lives on an interface is none of our business.
pub fn plan<'a>(
    observed: impl Fn(&Key) -> Option<There<'a>>,
    desired: Vec<Wanted>,
    ours: &Map<Key, Object>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let keys: Vec<Key> = desired.iter().map(|wanted| wanted.object.key()).collect();
    // References: of thousands in no order each makes room among the others.
    let mut wanted_keys = Set::new();
    for (Wanted { object, tracked }, key) in desired.into_iter().zip(&keys) {
        let is_first = wanted_keys.insert(key);
        match observed(key) {
            _ if !is_first => {}
            Some(there) if there.serves(&object) => {}
            _ if !tracked && ours.get(key) == Some(&object) => {}
            Some(there) => steps.extend([Step::Remove(there.to_object()), Step::Add(object)]),
            None => steps.push(Step::Add(object)),
        }
    }
    let surplus = ours
        .iter()
        .rev()
        .filter(|(key, _)| !wanted_keys.contains(key));
    steps.extend(
        surplus.filter_map(|(key, object)| match (observed(key), object) {
            (Some(there), _) => Some(Step::Remove(there.to_object())),
            (None, Object::Address(_)) => None,
            // It may be there where we do not look: as another one's, or as a part of a greater one.
            (None, object) => Some(Step::Remove(object.clone())),
        }),
    );
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::address::Assignment;
    use crate::io::route::{Hop, Route};
    use crate::io::rule::Rule;
    use crate::name::Family;

    fn at(ip: &str) -> Object {
        Object::Address(Assignment::new(3, ip.parse().unwrap(), 24))
    }

    fn route(gateway: &str) -> Object {
        let mut route = Route::new(Family::V4, None);
        route.hops = vec![Hop {
            gateway: gateway.parse().ok(),
            ifindex: 3,
            weight: 1,
            onlink: false,
            realms: 0,
            encapsulation: None,
        }];
        Object::Route(route)
    }

    fn rule(priority: u32) -> Object {
        Object::Rule(Rule::new(Family::V4, priority, 7))
    }

    fn set(of: &[Object]) -> Map<Key, Object> {
        of.iter().map(|o| (o.key(), o.clone())).collect()
    }

    const fn there(object: &Object) -> There<'_> {
        match object {
            Object::Address(a) => There::Address(a),
            Object::Route(r) => There::Route(r),
            Object::Rule(r) => There::Rule(r),
        }
    }

    fn planned(
        observed: &[Object],
        desired: &[Object],
        ours: &[Object],
        tracked: bool,
    ) -> Vec<Step> {
        let observed = set(observed);
        let wanted = |object: &Object| Wanted {
            object: object.clone(),
            tracked,
        };
        let desired = desired.iter().map(wanted).collect();
        plan(|key| observed.get(key).map(there), desired, &set(ours))
    }

    fn steps(observed: &[Object], desired: &[Object], ours: &[Object]) -> Vec<Step> {
        planned(observed, desired, ours, true)
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_ours_and_unwanted_removed_last() {
        let [old, new] = [at("10.0.0.1"), at("10.0.0.2")];
        let plan = steps(&[at("10.0.0.1")], &[at("10.0.0.2")], &[at("10.0.0.1")]);
        assert_eq!(plan, [Step::Add(new), Step::Remove(old)]);
    }

    #[test]
    fn what_is_of_somebody_else_is_left_alone() {
        assert_eq!(steps(&[at("10.0.0.9"), rule(7)], &[], &[]), []);
    }

    #[test]
    fn planning_again_after_the_steps_yields_nothing() {
        let wanted = [at("10.0.0.1"), at("fe80::1"), route("10.0.0.9"), rule(1)];
        assert_eq!(steps(&wanted, &wanted, &wanted), []);
    }

    #[test]
    fn an_address_with_another_label_is_put_right() {
        let mut labelled = Assignment::new(3, "10.0.0.1".parse().unwrap(), 24);
        labelled.label = "eth0:1".try_into().ok();
        let labelled = Object::Address(labelled);
        let wanted = core::slice::from_ref(&labelled);
        let plan = steps(&[at("10.0.0.1")], wanted, &[]);
        assert_eq!(plan, [Step::Remove(at("10.0.0.1")), Step::Add(labelled)]);
    }

    #[test]
    fn removals_go_from_rules_over_routes_to_addresses() {
        let all = [at("10.0.0.1"), route("10.0.0.9"), rule(1)];
        let gone = all.iter().rev().cloned().map(Step::Remove);
        assert_eq!(steps(&all, &[], &all), gone.collect::<Vec<_>>());
    }

    #[test]
    fn another_gateway_comes_before_the_old_one_goes() {
        let [old, new] = [route("10.0.0.8"), route("10.0.0.9")];
        let (there, wanted) = (core::slice::from_ref(&old), core::slice::from_ref(&new));
        let plan = steps(there, wanted, there);
        assert_eq!(plan, [Step::Add(new), Step::Remove(old)]);
    }

    #[test]
    fn a_route_that_vanished_is_put_back_unless_nobody_tracks_it() {
        let wanted = [route("10.0.0.9")];
        assert_eq!(steps(&[], &wanted, &wanted), [Step::Add(route("10.0.0.9"))]);
        assert_eq!(planned(&[], &wanted, &wanted, false), []);
        let first = planned(&[], &wanted, &[], false);
        assert_eq!(first, [Step::Add(route("10.0.0.9"))]);
    }

    #[test]
    fn a_route_of_ours_is_taken_back_though_we_do_not_see_it() {
        let ours = [route("10.0.0.9"), at("10.0.0.1")];
        let plan = steps(&[], &[], &ours);
        assert_eq!(plan, [Step::Remove(route("10.0.0.9"))]);
    }

    #[test]
    fn what_two_want_is_added_once() {
        let plan = steps(&[], &[rule(1), rule(1)], &[]);
        assert_eq!(plan, [Step::Add(rule(1))]);
    }
}
