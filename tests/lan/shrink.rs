//! A plan that fails, made as small as it can be while it still fails by the same rule.

use crate::SECOND;
use crate::lan::{Failure, Lan};
use crate::network::DELAY;
use crate::plan::{Change, Happening, Plan};

/// How many smaller plans are tried.
const TRIES: usize = 5_000;

/// The smallest plan that was found, and how it fails.
pub(crate) fn shrink(plan: Plan, failure: Failure) -> (Plan, Failure) {
    let mut shrinking = Shrinking {
        plan,
        failure,
        tries: 0,
    };
    while shrinking.round() && shrinking.tries < TRIES {}
    (shrinking.plan, shrinking.failure)
}

struct Shrinking {
    plan: Plan,
    failure: Failure,
    tries: usize,
}

impl Shrinking {
    /// Tries everything once; whether anything could be left out.
    fn round(&mut self) -> bool {
        let mut smaller = false;
        let count = |plan: &Plan| plan.rounds.len();
        smaller |= self.leave_out(count, |plan, at| {
            plan.rounds.remove(at);
        });
        smaller |= self.leave_out(|plan| plan.vrids.len(), remove_vrid);
        smaller |= self.leave_out(|plan| plan.hosts.len(), remove_host);
        for round in 0..self.plan.rounds.len() {
            let count = |plan: &Plan| plan.rounds[round].happenings.len();
            smaller |= self.leave_out(count, |plan, at| {
                let (pause, _) = plan.rounds[round].happenings.remove(at);
                // What comes after it comes no earlier.
                if let Some((later, _)) = plan.rounds[round].happenings.get_mut(at) {
                    *later += pause;
                }
            });
        }
        smaller |= self.hurry();
        smaller |= self.calm_down();
        for vrid in 0..self.plan.vrids.len() {
            smaller |= self.leave_out(
                |plan| plan.vrids[vrid].lines.len(),
                |plan, at| {
                    plan.vrids[vrid].lines.remove(at);
                },
            );
        }
        for host in 0..self.plan.hosts.len() {
            smaller |= self.leave_out(
                |plan| plan.hosts[host].head.len(),
                |plan, at| {
                    plan.hosts[host].head.remove(at);
                },
            );
            for vrid in 0..self.plan.vrids.len() {
                smaller |= self.leave_out(
                    |plan| plan.hosts[host].own[vrid].as_ref().map_or(0, Vec::len),
                    |plan, at| {
                        // Members of a sync group go on wishing for the same.
                        let host = &mut plan.hosts[host];
                        let members = if host.grouped {
                            0..host.own.len()
                        } else {
                            vrid..vrid + 1
                        };
                        for own in host.own[members].iter_mut().flatten() {
                            own.remove(at);
                        }
                    },
                );
            }
        }
        smaller
    }

    /// Leaves out as many of a kind of thing as it can, the larger parts first.
    fn leave_out(
        &mut self,
        count: impl Fn(&Plan) -> usize,
        remove: impl Fn(&mut Plan, usize),
    ) -> bool {
        let mut smaller = false;
        let mut part = count(&self.plan);
        while part > 0 {
            let mut at = 0;
            while at < count(&self.plan) {
                let end = (at + part).min(count(&self.plan));
                let changed = self.attempt(|plan| {
                    (at..end).rev().for_each(|one| remove(plan, one));
                });
                smaller |= changed;
                if !changed {
                    at = end;
                }
            }
            part /= 2;
        }
        smaller
    }

    /// What happens does so sooner.
    fn hurry(&mut self) -> bool {
        let mut smaller = false;
        for round in 0..self.plan.rounds.len() {
            for at in 0..self.plan.rounds[round].happenings.len() {
                let pause = self.plan.rounds[round].happenings[at].0;
                let sooner = [0, SECOND, 3 * SECOND, pause / 2];
                let mut sooner = sooner.into_iter().filter(|sooner| *sooner < pause);
                smaller |= sooner.any(|sooner| {
                    self.attempt(|plan| plan.rounds[round].happenings[at].0 = sooner)
                });
            }
        }
        smaller
    }

    /// Clocks that are right, a wire that loses nothing, times that are round.
    fn calm_down(&mut self) -> bool {
        let mut smaller = false;
        let easier: [fn(&mut Plan); 10] = [
            |plan| plan.lateness = 0,
            |plan| plan.hosts.iter_mut().for_each(|host| host.clock = SECOND),
            |plan| plan.hosts.iter_mut().for_each(|host| host.grouped = false),
            |plan| {
                plan.vrids
                    .iter_mut()
                    .for_each(|shared| shared.unicast = false)
            },
            |plan| plan.rounds.iter_mut().for_each(|round| round.loss = 0),
            |plan| {
                plan.rounds
                    .iter_mut()
                    .for_each(|round| round.duplicates = 0)
            },
            |plan| plan.rounds.iter_mut().for_each(|round| round.delay = DELAY),
            |plan| plan.rounds.iter_mut().for_each(|round| round.cut = false),
            |plan| plan.rounds.iter_mut().for_each(|round| round.stop = false),
            |plan| {
                let rounds = plan.rounds.iter_mut();
                for (pause, _) in rounds.flat_map(|round| &mut round.happenings) {
                    *pause = *pause / SECOND * SECOND;
                }
            },
        ];
        let size = |plan: &Plan| format!("{plan:?}");
        for change in easier {
            let before = size(&self.plan);
            smaller |= self.attempt(change) && size(&self.plan) != before;
        }
        smaller
    }

    /// Takes a smaller plan if it fails by the same rule.
    fn attempt(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        self.tries += 1;
        let mut plan = self.plan.clone();
        change(&mut plan);
        if self.tries > TRIES || plan.hosts.is_empty() || plan.vrids.is_empty() || !plan.is_sound()
        {
            return false;
        }
        match Lan::new(&plan, false).run() {
            Err(failure) if failure.breach.rule == self.failure.breach.rule => {
                self.plan = plan;
                self.failure = failure;
                true
            }
            _ => false,
        }
    }
}

fn remove_vrid(plan: &mut Plan, gone: usize) {
    plan.vrids.remove(gone);
    for host in &mut plan.hosts {
        host.own.remove(gone);
    }
    plan.keep(|happening| match happening {
        Happening::Reload(
            _,
            Change::Line(vrid, _)
            | Change::Interval(vrid, _)
            | Change::Remove(vrid)
            | Change::Restore(vrid)
            | Change::Rename(vrid),
        ) => follow(vrid, gone),
        _ => true,
    });
}

fn remove_host(plan: &mut Plan, gone: usize) {
    plan.hosts.remove(gone);
    plan.keep(|happening| match happening {
        Happening::Power(host, _)
        | Happening::Link(host, ..)
        | Happening::Renew(host, _)
        | Happening::Source(host, _)
        | Happening::Track(host, ..)
        | Happening::Sleep(host, _)
        | Happening::Leap(host, _)
        | Happening::Reload(host, _) => follow(host, gone),
        Happening::Split(_, sides) => {
            let low = (1 << gone) - 1;
            *sides = (*sides & low) | (*sides >> 1 & !low);
            true
        }
    });
}

/// Those behind the one that is gone move up; false for what was about that one.
fn follow(at: &mut usize, gone: usize) -> bool {
    let stays = *at != gone;
    *at -= usize::from(*at > gone);
    stays
}

impl Plan {
    /// Changes what happens, and leaves out what is false.
    fn keep(&mut self, mut keep: impl FnMut(&mut Happening) -> bool) {
        for round in &mut self.rounds {
            let mut earlier = 0;
            round.happenings.retain_mut(|(pause, happening)| {
                *pause += std::mem::take(&mut earlier);
                let keeps = keep(happening);
                earlier = if keeps { 0 } else { *pause };
                keeps
            });
        }
    }
}
