//! What holds between the routers of a LAN.

use keepalite::model::Auth;
use keepalite::vrrp::{Instance, State};

use crate::SECOND;
use crate::hearing::{skew, waits};
use crate::lan::{Lan, Outcome, slack};
use crate::rule::{Breach, Rule};

/// Who is master, as the routers have told.
pub(crate) struct Watch {
    /// By VRID and host.
    seats: Vec<Vec<Seat>>,
    /// VRIDs with more than one master.
    contested: Vec<usize>,
    /// Since when all is calm.
    pub(crate) calm: Option<u64>,
    pub(crate) changes: u64,
}

#[derive(Clone, Copy, Default)]
struct Seat {
    master: bool,
    /// Since when it is what it is.
    since: u64,
    /// Since when it is master beside a better one.
    beside: Option<u64>,
}

impl Watch {
    pub(crate) fn new(hosts: usize, vrids: usize) -> Self {
        Self {
            seats: vec![vec![Seat::default(); hosts]; vrids],
            contested: Vec::new(),
            calm: None,
            changes: 0,
        }
    }

    fn masters(&self, vrid: usize) -> impl Iterator<Item = usize> + Clone {
        let seats = self.seats[vrid].iter().enumerate();
        seats.filter(|(_, seat)| seat.master).map(|(at, _)| at)
    }

    fn set(&mut self, at: usize, vrid: usize, master: bool, now: u64) {
        self.changes += 1;
        self.seats[vrid][at] = Seat {
            master,
            since: now,
            beside: None,
        };
        self.contested.retain(|contested| *contested != vrid);
        if self.masters(vrid).count() > 1 {
            self.contested.push(vrid);
        }
    }

    /// A host is without power.
    pub(crate) fn gone(&mut self, at: usize, now: u64) {
        for vrid in 0..self.seats.len() {
            self.set(at, vrid, false, now);
        }
    }
}

fn breach(rule: Rule, text: String) -> Breach {
    Breach { rule, text }
}

impl Lan<'_> {
    /// A virtual router became master, or ceased to be.
    pub(crate) fn became(&mut self, at: usize, vrid: usize, master: bool) -> Outcome {
        if master {
            self.waited(at, vrid)?;
        }
        self.watch.set(at, vrid, master, self.now);
        Ok(())
    }

    /// Who does not preempt leaves a master that speaks alone; who delays preemption has waited that long.
    fn waited(&self, at: usize, vrid: usize) -> Outcome {
        let (Some(calm), Some(instance)) = (self.watch.calm, self.hosts[at].instance(vrid)) else {
            return Ok(());
        };
        // With an authentication header it may not have been able to hear that one yet.
        let config = instance.config();
        if matches!(config.auth, Auth::Ah(_)) {
            return Ok(());
        }
        let speaks = |other: &usize| {
            let seats = &self.watch.seats[vrid];
            let since = seats[*other].since.max(seats[at].since).max(calm);
            let interval = self.hosts[*other].instance(vrid).map(interval);
            interval.is_some_and(|interval| self.now > since + slack(interval))
        };
        let Some(other) = self.watch.masters(vrid).find(speaks) else {
            return Ok(());
        };
        let delay = config.preempt_delay.as_micros() as u64;
        let waited = self.now - self.watch.seats[vrid][at].since;
        if config.preempt && slack(waited) >= delay {
            return Ok(());
        }
        let vrid = vrid + 1;
        let text = format!("vrid {vrid}: host {at} preempts host {other}, although it is not to");
        self.fail(&[at], breach(Rule::Waits, text))
    }

    /// Who can run this VRID.
    fn able(&self, vrid: usize) -> Vec<usize> {
        let is_able = |at: &usize| {
            let host = &self.hosts[*at];
            let (Some(engine), Some(witness)) = (&host.engine, &host.witness) else {
                return false;
            };
            let instance = host.instance(vrid);
            let able = instance.and_then(|instance| witness.able(engine, instance));
            able.is_some_and(|(known, faulty)| known && !faulty)
        };
        (0..self.hosts.len()).filter(is_able).collect()
    }

    /// The priority that it should have.
    fn priority(&self, at: usize, vrid: usize) -> Option<u8> {
        let host = &self.hosts[at];
        let (engine, witness) = (host.engine.as_ref()?, host.witness.as_ref()?);
        let instance = host.instance(vrid)?;
        let group = instance.group().and_then(|group| engine.group(group));
        let tracking = group.map(|group| &group.config().tracking);
        let verdict = witness.world().verdict(instance.config(), tracking)?;
        Some(verdict.priority(instance.config()))
    }

    pub(crate) fn one_master_each(&self, when: &str) -> Outcome {
        for vrid in 0..self.plan.vrids.len() {
            let able = self.able(vrid);
            let masters: Vec<usize> = self.watch.masters(vrid).collect();
            let preempts = |at: &&usize| self.instance(**at, vrid).is_some_and(preempts);
            let all_preempt = able.iter().filter(preempts).count() == able.len();
            let best = able.iter().map(|at| self.priority(*at, vrid)).max();
            let right = match masters[..] {
                [] => able.is_empty(),
                [one] => {
                    able.contains(&one) && (!all_preempt || Some(self.priority(one, vrid)) == best)
                }
                _ => false,
            };
            if !right {
                let hosts = if masters.is_empty() { &able } else { &masters };
                let best = best.flatten();
                let vrid = vrid + 1;
                let text = format!(
                    "{when}: vrid {vrid}: masters are {masters:?} of {able:?}, the best priority is {best:?}"
                );
                return self.fail(hosts, breach(Rule::OneMaster, text));
            }
            for at in able {
                let state = self.instance(at, vrid).map(Instance::state);
                if !matches!(state, Some(State::Backup | State::Master)) {
                    let text = format!("{when}: vrid {}: host {at} is {state:?}", vrid + 1);
                    return self.fail(&[at], breach(Rule::OneMaster, text));
                }
            }
        }
        Ok(())
    }

    fn instance(&self, at: usize, vrid: usize) -> Option<&Instance> {
        self.hosts[at].instance(vrid)
    }

    /// The time in which every election on a calm LAN is over.
    pub(crate) fn patience(&self) -> u64 {
        let mut longest = 0;
        for vrid in 0..self.plan.vrids.len() {
            let instances = self.hosts.iter().filter_map(|host| host.instance(vrid));
            let slowest = instances.clone().map(|i| i.config().interval).max();
            let Some(slowest) = slowest else { continue };
            let (mut patience, mut delay, mut slow, mut owners) = (0, 0, false, 0);
            for instance in instances {
                let config = instance.config();
                patience = patience.max(waits(instance, slowest).as_micros() as u64);
                delay = delay.max(config.preempt_delay.as_micros() as u64);
                slow |= matches!(config.auth, Auth::Ah(_)) || instance.group().is_some();
                owners += usize::from(config.is_owner());
            }
            let more = usize::from(delay != 0) + usize::from(slow) + usize::from(owners > 1);
            longest = longest.max(patience * (2 + more as u64) + delay);
        }
        let startup = self
            .hosts
            .iter()
            .map(|host| host.model.global.startup_delay);
        slack(longest + startup.max().unwrap_or_default().as_micros() as u64)
    }

    pub(crate) fn stayed_calm(&self, when: &str, changes: u64, refused: u64) -> Outcome {
        if self.watch.changes != changes {
            let text = format!("{when}: a state changed although all was calm");
            return self.fail(&self.everybody(), breach(Rule::Calm, text));
        }
        if self.refused() != refused {
            let text = format!("{when}: adverts are refused although all is calm");
            return self.fail(&self.everybody(), breach(Rule::Refused, text));
        }
        Ok(())
    }

    fn everybody(&self) -> Vec<usize> {
        (0..self.hosts.len()).collect()
    }

    /// The master of some VRID goes without a word.
    pub(crate) fn cut_power(&mut self) -> Result<bool, crate::lan::Failure> {
        let Some((vrid, master)) = self.some_master() else {
            return Ok(false);
        };
        let waits = self.waiting(vrid, master, waits);
        self.cut(master);
        self.expect_follower(vrid, waits)?;
        Ok(true)
    }

    /// The master of some VRID resigns.
    pub(crate) fn stop_in_order(&mut self) -> Result<bool, crate::lan::Failure> {
        let Some((vrid, master)) = self.some_master() else {
            return Ok(false);
        };
        let waits = self.waiting(vrid, master, skew);
        self.stop(master)?;
        self.expect_follower(vrid, waits)?;
        Ok(true)
    }

    fn some_master(&self) -> Option<(usize, usize)> {
        let vrids = 0..self.plan.vrids.len();
        let mut masters = vrids.flat_map(|vrid| self.watch.masters(vrid).map(move |at| (vrid, at)));
        masters.next()
    }

    /// How long each of the others waits before it follows this master; in a sync group as long as the slowest member.
    fn waiting(
        &self,
        vrid: usize,
        master: usize,
        wait: fn(&Instance, keepalite::time::Centis) -> std::time::Duration,
    ) -> Vec<(u64, usize)> {
        let others = self.able(vrid).into_iter().filter(|at| *at != master);
        let mut waiting: Vec<_> = others
            .map(|at| {
                let grouped = self.instance(at, vrid).is_some_and(|i| i.group().is_some());
                let vrids = if grouped {
                    0..self.plan.vrids.len()
                } else {
                    vrid..vrid + 1
                };
                let waits = vrids.filter_map(|vrid| {
                    let instance = self.instance(at, vrid)?;
                    let interval = self.instance(master, vrid)?.config().interval;
                    Some(wait(instance, interval).as_micros() as u64)
                });
                (waits.max().unwrap_or_default(), at)
            })
            .collect();
        waiting.sort_unstable();
        waiting
    }

    /// The one that waits shortest follows; alone, unless another one waits hardly longer.
    fn expect_follower(&mut self, vrid: usize, waiting: Vec<(u64, usize)>) -> Outcome {
        let Some((first, best)) = waiting.first().copied() else {
            return Ok(());
        };
        self.watch.calm = Some(self.now);
        self.run_for(slack(first))?;
        // In a sync group, a member that refuses what the master's headers count has given him up long ago.
        let deaf = |instance: &Instance| instance.key().is_some() && instance.group().is_some();
        let mut vrids = 0..self.plan.vrids.len();
        let deaf = vrids.any(|vrid| self.instance(best, vrid).is_some_and(deaf));
        let next = waiting.get(1);
        let alone = !deaf && next.is_none_or(|(second, _)| *second > slack(first));
        let masters: Vec<usize> = self.watch.masters(vrid).collect();
        if masters.is_empty() || (alone && masters != [best]) {
            let vrid = vrid + 1;
            let text =
                format!("vrid {vrid}: after {first} us {best} should follow, not {masters:?}");
            return self.fail(
                &[&masters[..], &[best]].concat(),
                breach(Rule::FollowUp, text),
            );
        }
        Ok(())
    }

    /// On a calm LAN nobody is master beside a better one for longer than that one is silent.
    pub(crate) fn rivals(&mut self) -> Outcome {
        if self.watch.calm.is_none() || self.watch.contested.is_empty() {
            return Ok(());
        }
        for at in 0..self.watch.contested.len() {
            let vrid = self.watch.contested[at];
            let rank = |at: &usize| {
                let instance = self.hosts[*at].instance(vrid);
                instance.map(|instance| (instance.priority(), instance.source()))
            };
            let masters = self.watch.masters(vrid);
            let Some(best) = masters.clone().max_by_key(rank) else {
                continue;
            };
            let worse: Vec<usize> = masters.filter(|at| *at != best).collect();
            let Some(instance) = self.instance(best, vrid) else {
                continue;
            };
            // With authentication headers the better one may first have to learn how far the other has counted.
            let rounds = if instance.key().is_some() { 3 } else { 1 };
            let bound = slack(interval(instance) * rounds);
            for at in worse {
                let now = self.now;
                let seat = &mut self.watch.seats[vrid][at];
                let since = *seat.beside.get_or_insert(now);
                if now - since > bound {
                    let vrid = vrid + 1;
                    let text = format!("vrid {vrid}: {at} is master beside {best} since {since}");
                    return self.fail(&[at, best], breach(Rule::Rivals, text));
                }
            }
        }
        Ok(())
    }

    /// How many adverts have been refused. A member of a sync group that gives way with the others has heard of nobody how far
    /// it has counted, and goes on refusing him for as long as that was.
    pub(crate) fn refused(&self) -> u64 {
        let instances = self.hosts.iter().filter_map(|host| host.engine.as_ref());
        let instances = instances.flat_map(|engine| engine.iter());
        let counted = instances.map(|(_, instance)| {
            let lags = instance.key().is_some() && instance.group().is_some();
            let forged = if lags {
                0
            } else {
                instance.stats().auth_failure
            };
            refusals(instance) + forged
        });
        counted.sum()
    }

    /// Nothing that one has sent was refused by another; asked for one host, or at the end for all. What an authentication
    /// header counts may lag behind after a restart, and is no fault.
    pub(crate) fn refusals(&self, at: usize) -> Outcome {
        let hosts = self.hosts.iter().enumerate();
        for (host, state) in hosts.filter(|(host, _)| *host == at || at == self.hosts.len()) {
            let instances = state.engine.iter().flat_map(|engine| engine.iter());
            for (_, instance) in instances {
                let sealed = instance.key().is_some();
                let stats = instance.stats();
                if refusals(instance) + if sealed { 0 } else { stats.auth_failure } != 0 {
                    let name = &instance.config().name;
                    let text = format!("{name} of {host} refuses what others send: {stats:?}");
                    return self.fail(&[host], breach(Rule::Refused, text));
                }
            }
        }
        Ok(())
    }
}

fn interval(instance: &Instance) -> u64 {
    u64::from(instance.config().interval.0) * SECOND / 100
}

fn preempts(instance: &Instance) -> bool {
    instance.config().preempt
}

fn refusals(instance: &Instance) -> u64 {
    let stats = instance.stats();
    stats.packet_len_err
        + stats.ip_ttl_err
        + stats.invalid_type_rcvd
        + stats.advert_interval_err
        + stats.addr_list_err
        + stats.version_err
        + stats.checksum_err
        + stats.destination_err
        + stats.authtype_mismatch
        + stats.invalid_authtype
        + stats.unknown_peer
}
