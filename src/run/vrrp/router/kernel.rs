//! What is put into the kernel's tables: what an earlier run left there, and portion by portion what leads from what is there to
//! what is to be there.

use core::time::Duration;

use super::{Router, Work};
use crate::error::Chain;
use crate::io::address::{self, Assignment};
use crate::io::error::{Failed, NetError};
use crate::io::netlink::Batch;
use crate::name::IfName;
use crate::run::reactor::now;
use crate::run::vrrp::object::{Key, Object, There};
use crate::run::vrrp::reconcile::{self, Step};
use crate::run::vrrp::{firewall, others};
use crate::sorted::Map;
use crate::time::Instant;

/// Changes that the kernel is asked for together.
const PORTION: usize = 64;

/// How long it is asked before adverts have their turn. With thousands of addresses on an interface one more takes it a tenth of a
/// millisecond.
const TURN: Duration = Duration::from_millis(5);

impl Router {
    /// What is there and may come and go with us was put there by an earlier run of ours: it goes if nobody wants it, and
    /// stays untouched if somebody does. The same is true of all that bears our mark, whatever the configuration was then, unless
    /// another daemon is there whose it may be.
    pub(super) fn adopt(&mut self) {
        let marked = self.read_marked();
        let known = self
            .world
            .addresses()
            .filter(|there| self.desired.may_be(there.ip) || self.links.contains(there.ifindex));
        let known = known.map(|there| Object::Address(there.clone()));
        let keyed = |object: Object| (object.key(), object);
        self.ours = known.map(keyed).collect();
        let mut marked: Map<Key, Object> = marked.into_iter().map(keyed).collect();
        marked.retain(|key, _| !self.ours.contains_key(key));
        if !marked.is_empty() && !others::are_here() {
            self.ours.extend(marked);
        }
        if !self.ours.is_empty() || !self.links.is_empty() {
            self.firewall.clear_leftover();
        }
        let mut batch = Batch::default();
        for wanted in self.desired.all_routes_and_rules(&self.engine, &self.world) {
            let key = wanted.object.key();
            if !wanted.object.is_seen() {
                wanted.object.remove(&mut batch, &IfName::default());
            } else if self.world.there(&key).is_some() {
                self.ours.insert(key, wanted.object);
            }
        }
        self.commit(batch);
    }

    /// All addresses, routes and rules with our mark.
    fn read_marked(&mut self) -> Vec<Object> {
        let mut read = || {
            self.world.read_routes(&mut self.netlink)?;
            self.world.read_rules(&mut self.netlink)
        };
        if let Err(error) = read() {
            log::error!("{}", Chain(&error));
        }
        let marked = |there: &&Assignment| there.protocol == address::KEEPALIVED;
        let addresses = self.world.addresses().filter(marked).map(There::Address);
        let all = addresses.chain(self.world.routes_and_rules());
        all.map(There::to_object).collect()
    }

    /// Listens to routes and rules, and reads them, while there may be some of ours.
    pub(super) fn listen_to_routes(&mut self) {
        let routes = self.desired.has_routes();
        let rules = self.desired.has_rules();
        if let Err(error) = self.monitor.get_ref().listen_to(routes, rules) {
            log::error!("cannot listen to changes of routes and rules: {error}");
        }
        let mut read = || {
            if routes {
                self.world.doubt_routes();
                self.world.read_routes(&mut self.netlink)?;
            }
            if rules {
                self.world.read_rules(&mut self.netlink)?;
            }
            Ok::<_, NetError>(())
        };
        if let Err(error) = read() {
            log::error!("{}", Chain(&error));
        }
    }

    /// Sends requests, takes in what becomes of them, and returns those that were refused.
    fn commit(&mut self, batch: Batch) -> Vec<Failed> {
        let refusals = self.netlink.commit(batch).unwrap_or_else(|error| {
            log::error!("{}", Chain(&error));
            Vec::new()
        });
        match self.drain() {
            // What else has happened meanwhile must not be missed.
            Ok(links) if links && !self.work.contains(&Work::LookAround) => {
                self.work.push_back(Work::LookAround);
            }
            Ok(_) => {}
            Err(error) => log::error!("cannot learn what became of a request: {error}"),
        }
        refusals
    }

    /// Sends requests and takes in what becomes of them. False if something was refused, which has been told.
    pub(super) fn submit(&mut self, batch: Batch) -> bool {
        let refusals = self.commit(batch);
        for refused in refusals.iter().filter(|refused| !is_idle(refused)) {
            log::error!("{}", Chain(refused));
        }
        refusals.is_empty()
    }

    /// Brings the packet filter to what the virtual routers are now. While addresses are `moving`, none is let through before it is
    /// gone.
    pub(super) fn guard(&mut self, moving: bool) {
        let wanted = firewall::wanted(&self.engine, &self.desired, &self.links, &self.world);
        match wanted {
            Some(wanted) => self.firewall.follow(wanted, moving),
            None => self.firewall.remove(),
        }
    }

    /// Changes addresses for a while; true if there are more, be it because somebody else changes them too.
    pub(super) fn reconcile(&mut self) -> bool {
        self.guard(true);
        let end = now() + TURN;
        loop {
            if self.steps.is_empty() {
                // Once to change, once to find that nothing is left to change.
                self.plan();
            }
            if self.steps.is_empty() {
                self.guard(false);
                return false;
            }
            let count = self.steps.len().min(PORTION);
            let portion = self.steps.drain(..count).collect();
            self.change(portion);
            if now() >= end {
                return true;
            }
        }
    }

    /// Finds out what is to be changed.
    fn plan(&mut self) {
        if self.desired.has_routes() {
            if let Err(error) = self.world.read_routes(&mut self.netlink) {
                log::error!("{}", Chain(&error));
            }
        }
        let mut desired = self.sources();
        desired.extend(self.desired.now(&self.engine, &self.world));
        let mut steps = reconcile::plan(|key| self.world.there(key), desired, &self.ours);
        self.wait(&mut steps);
        self.steps = steps.into();
    }

    /// Leaves out what did not last a moment ago.
    pub(super) fn wait(&mut self, steps: &mut Vec<Step>) {
        let now = now();
        steps.retain(|step| match step {
            Step::Add(wanted) => self.patience.may(&wanted.key(), now),
            Step::Remove(_) => true,
        });
    }

    pub(super) fn change(&mut self, steps: Vec<Step>) {
        let mut batch = Batch::default();
        let mut asked = Vec::with_capacity(steps.len());
        let mut added = Vec::with_capacity(steps.len());
        let now = now();
        let nobody = IfName::default();
        for step in steps {
            let (Step::Add(object) | Step::Remove(object)) = &step;
            let dev = match object {
                Object::Address(address) => self.world.link(address.ifindex).map(|l| &l.name),
                Object::Route(_) | Object::Rule(_) => Some(&nobody),
            };
            let Some(dev) = dev else { continue };
            let key = object.key();
            match &step {
                Step::Add(wanted) => {
                    wanted.add(&mut batch, dev);
                    if self.ours.contains_key(&key) && !self.patience.is_refused(&key) {
                        self.lost(key.clone(), wanted, now);
                    }
                    added.push((key, wanted.clone()));
                }
                Step::Remove(unwanted) => {
                    unwanted.remove(&mut batch, dev);
                    self.ours.remove(&key);
                }
            }
            asked.push(step);
        }
        self.ours.extend(added);
        let mut refusals = self.commit(batch);
        refusals.sort_by_key(|refusal| refusal.place);
        let mut refusals = refusals.iter().peekable();
        for (place, step) in asked.into_iter().enumerate() {
            let refusal = refusals.next_if(|refusal| refusal.place == place);
            self.learn_of(step, refusal, now);
        }
    }

    /// What became of a step.
    fn learn_of(&mut self, step: Step, refusal: Option<&Failed>, now: Instant) {
        match (step, refusal) {
            (Step::Add(wanted), None) => {
                let key = wanted.key();
                self.patience.settled(&key);
                // Somebody removed it before we could see it, or it is an IPv6 address, of which the kernel tells later.
                if wanted.is_seen() && self.world.there(&key).is_none() {
                    self.patience.lost(key, now);
                }
            }
            // It is not asked for again at once, over and over.
            (Step::Add(wanted), Some(refusal)) if self.world.there(&wanted.key()).is_none() => {
                let key = wanted.key();
                if !wanted.is_seen() {
                    self.ours.remove(&key);
                }
                if self.patience.refused(key, now) && !refusal.already_there() {
                    log::error!("{}", Chain(refusal));
                }
            }
            (_, Some(refusal)) if !is_idle(refusal) => log::error!("{}", Chain(refusal)),
            _ => {}
        }
    }

    /// Something that we put there has vanished, and is put back.
    fn lost(&mut self, key: Key, object: &Object, now: Instant) {
        let remover = self.monitor.get_mut().take_remover();
        if self.patience.lost(key, now) {
            match remover.and_then(process) {
                Some(who) => log::warn!("{who} has taken away {object}: putting it back"),
                None => log::info!("{object} has vanished: putting it back"),
            }
        }
    }
}

/// A request for what is so already.
fn is_idle(refusal: &Failed) -> bool {
    refusal.already_there() || refusal.already_gone()
}

/// The process that a netlink port belongs to, by name and number; none where it does not tell.
fn process(port: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{port}/comm")).ok()?;
    Some(format!("{} (process {port})", name.trim()))
}
