//! From what there is to what there should be: one plan for start, reload, verdicts, and what somebody changed behind us.

use core::fmt;

use super::table::{Destination, Endpoint, Key, Row, Service, Table};
use crate::sorted::Map;

/// A change of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A virtual server that is not there.
    AddService(Key, &'a Service),
    /// A real server that is not there.
    AddDestination(Key, Endpoint, Destination),
    /// Other settings for a virtual server; its connections go on.
    EditService(Key, &'a Service),
    /// Other settings for a real server; its connections go on.
    EditDestination(Key, Endpoint, Destination),
    /// A real server less; its connections wait for it to come back, or end.
    RemoveDestination(Key, Endpoint),
    /// A virtual server less, with all of its real ones.
    RemoveService(Key),
}

impl Step<'_> {
    /// Makes a table what it is once the kernel has done this.
    pub fn carry_out(&self, table: &mut Table) {
        match *self {
            Self::AddService(key, service) => {
                table.get_or_insert_with(key, || Row {
                    service: service.clone(),
                    destinations: Map::new(),
                });
            }
            Self::EditService(key, service) => {
                if let Some(row) = table.get_mut(&key) {
                    row.service.clone_from(service);
                }
            }
            Self::AddDestination(key, endpoint, destination)
            | Self::EditDestination(key, endpoint, destination) => {
                if let Some(row) = table.get_mut(&key) {
                    row.destinations.insert(endpoint, destination);
                }
            }
            Self::RemoveDestination(key, endpoint) => {
                if let Some(row) = table.get_mut(&key) {
                    row.destinations.remove(&endpoint);
                }
            }
            Self::RemoveService(key) => {
                table.remove(&key);
            }
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService(key, _) => write!(f, "add virtual server {key}"),
            Self::EditService(key, _) => write!(f, "change virtual server {key}"),
            Self::RemoveService(key) => write!(f, "remove virtual server {key}"),
            Self::AddDestination(key, endpoint, _) => {
                write!(f, "add real server {endpoint} to {key}")
            }
            Self::EditDestination(key, endpoint, _) => {
                write!(f, "change real server {endpoint} of {key}")
            }
            Self::RemoveDestination(key, endpoint) => {
                write!(f, "remove real server {endpoint} from {key}")
            }
        }
    }
}

/// What makes `observed` into `desired`: additions first and removals last, so that no virtual server is without a real one
/// half-way; what differs is changed in place. A virtual server that is desired becomes what is desired, whoever made it; of
/// the others only those that are `ours` are removed.
pub fn plan<'a>(
    desired: &'a Table,
    observed: &Table,
    ours: impl Fn(&Key) -> bool,
) -> Vec<Step<'a>> {
    let (mut additions, mut edits, mut removals) = (Vec::new(), Vec::new(), Vec::new());
    for (key, row) in desired {
        let there = observed.get(key);
        match there {
            None => additions.push(Step::AddService(*key, &row.service)),
            Some(there) if there.service != row.service => {
                edits.push(Step::EditService(*key, &row.service));
            }
            Some(_) => {}
        }
        let known = |endpoint| there.and_then(|there| there.destinations.get(endpoint));
        for (endpoint, wanted) in &row.destinations {
            match known(endpoint) {
                None => additions.push(Step::AddDestination(*key, *endpoint, *wanted)),
                Some(there) if there != wanted => {
                    edits.push(Step::EditDestination(*key, *endpoint, *wanted));
                }
                Some(_) => {}
            }
        }
        let left_over = there
            .into_iter()
            .flat_map(|there| there.destinations.keys());
        let left_over = left_over.filter(|endpoint| !row.destinations.contains_key(endpoint));
        removals.extend(left_over.map(|endpoint| Step::RemoveDestination(*key, *endpoint)));
    }
    let gone = observed.keys().filter(|key| !desired.contains_key(key));
    removals.extend(
        gone.filter(|key| ours(key))
            .map(|key| Step::RemoveService(*key)),
    );
    additions.append(&mut edits);
    additions.append(&mut removals);
    additions
}

#[cfg(test)]
mod tests {
    use super::super::table::{Forwarding, Protocol, flag};
    use super::*;
    use crate::name::Family;

    fn key(port: u16) -> Key {
        let ip = "10.0.0.100".parse().unwrap();
        let protocol = Protocol::Tcp;
        Key::Address { protocol, ip, port }
    }

    fn server(last: u8) -> Endpoint {
        let ip = [10, 0, 1, last].into();
        Endpoint { ip, port: 80 }
    }

    fn weighing(weight: u32) -> Destination {
        Destination::new(Forwarding::Nat, weight)
    }

    /// A virtual server on each port, with real servers of these weights.
    fn table(rows: &[(u16, &[(u8, u32)])]) -> Table {
        let row = |servers: &[(u8, u32)]| Row {
            service: Service::new("rr".try_into().unwrap(), Family::V4),
            destinations: servers
                .iter()
                .map(|(last, weight)| (server(*last), weighing(*weight)))
                .collect(),
        };
        let rows = rows
            .iter()
            .map(|(port, servers)| (key(*port), row(servers)));
        rows.collect()
    }

    #[test]
    fn a_table_as_it_should_be_needs_nothing() {
        let desired = table(&[(80, &[(1, 1), (2, 1)]), (443, &[])]);
        assert_eq!(plan(&desired, &desired, |_| true), []);
    }

    #[test]
    fn additions_come_first_and_removals_last_so_that_a_pool_is_never_empty_half_way() {
        let observed = table(&[(80, &[(1, 1), (2, 1)]), (81, &[(1, 1)])]);
        let desired = table(&[(80, &[(2, 5), (3, 1)]), (82, &[(1, 1)])]);
        let service = &desired.get(&key(82)).unwrap().service;
        assert_eq!(
            plan(&desired, &observed, |_| true),
            [
                Step::AddDestination(key(80), server(3), weighing(1)),
                Step::AddService(key(82), service),
                Step::AddDestination(key(82), server(1), weighing(1)),
                Step::EditDestination(key(80), server(2), weighing(5)),
                Step::RemoveDestination(key(80), server(1)),
                Step::RemoveService(key(81)),
            ]
        );
    }

    #[test]
    fn another_scheduler_is_a_change_in_place() {
        let observed = table(&[(80, &[(1, 1)])]);
        let mut desired = observed.clone();
        let service = &mut desired.get_mut(&key(80)).unwrap().service;
        service.scheduler = "sh".try_into().unwrap();
        service.flags = flag::SCHEDULER_1;
        let steps = plan(&desired, &observed, |_| true);
        assert_eq!(
            steps,
            [Step::EditService(
                key(80),
                &desired.get(&key(80)).unwrap().service
            )]
        );
    }

    #[test]
    fn what_is_desired_is_adopted_and_corrected_and_the_rest_of_others_left_alone() {
        let observed = table(&[(80, &[(1, 7), (9, 1)]), (5000, &[(1, 1)])]);
        let desired = table(&[(80, &[(1, 1)])]);
        assert_eq!(
            plan(&desired, &observed, |_| false),
            [
                Step::EditDestination(key(80), server(1), weighing(1)),
                Step::RemoveDestination(key(80), server(9)),
            ]
        );
    }

    #[test]
    fn after_it_is_carried_out_nothing_is_left_to_do() {
        // Every pair of small tables: three ports, each absent or with one of four pools.
        let pools: [&[(u8, u32)]; 4] = [&[], &[(1, 1)], &[(1, 2), (2, 1)], &[(2, 1), (3, 0)]];
        let tables: Vec<Table> = (0..125usize)
            .map(|number| {
                let digit = |at: usize| (number / at) % 5;
                let rows = [(80, digit(1)), (81, digit(5)), (82, digit(25))];
                let rows = rows.map(|(port, digit)| Some((port, *pools.get(digit)?)));
                table(&rows.into_iter().flatten().collect::<Vec<_>>())
            })
            .collect();
        for desired in &tables {
            for observed in &tables {
                let mut table = observed.clone();
                for step in plan(desired, observed, |_| true) {
                    step.carry_out(&mut table);
                }
                assert_eq!(table, *desired);
            }
        }
    }

    #[test]
    fn a_step_says_what_it_does() {
        let said = Step::RemoveDestination(key(80), server(1)).to_string();
        assert_eq!(
            said,
            "remove real server 10.0.1.1:80 from [10.0.0.100]:tcp:80"
        );
        let mark = |family| Step::RemoveService(Key::Mark { mark: 7, family }).to_string();
        assert_eq!(mark(Family::V4), "remove virtual server FWM 7");
        assert_eq!(mark(Family::V6), "remove virtual server FWM 7 (IPv6)");
    }
}
