//! A LAN of virtual routers on a made-up clock: real engines that exchange real bytes, through a wire that loses, delays,
//! duplicates and reorders, while routers lose power, links go down, the LAN falls apart, clocks drift and processes sleep.
//! Everything random comes from one seed.
//!
//! What holds, whatever the seed:
//!
//! 1. **One master.** When all is calm for as long as the slowest timer takes, each VRID has exactly one master. If all of
//!    its routers preempt, none has a higher priority; among equals whoever came first stays.
//! 2. **Calm stays calm.** From then on nobody changes state.
//! 3. **Follow-up in time.** When the master loses power there is another one within the best backup's master-down time;
//!    when it stops in order, within the best backup's skew; give or take drift, delay and lateness.
//! 4. **No second master for long.** On a calm LAN a master stays beside a better one for no longer than that one's interval,
//!    give or take the same.
//! 5. **Addresses follow the state.** They are acquired by becoming master and released by ceasing to be; never twice.
//!    Nobody but a master advertises, except to resign.
//! 6. **Nothing that we send is refused** by others, and none of our own counts as faulty.
//! 7. **Sync groups agree.** After everything that happens, all members are master or none is.
//! 8. **Who does not preempt waits.** On a calm LAN nobody with `nopreempt` becomes master beside one that speaks.
//! 9. **An engine rests.** After a deadline the next one lies ahead, and a deadline that comes too early does nothing.
//!
//! `LAN_SEED=n` runs one seed and tells its story; `LAN_RUNS=n` runs as many as that.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod made;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::env;
use std::net::{IpAddr, Ipv4Addr};

use keepalite::model::{Instance, Model, Wish};
use keepalite::name::{IfName, OWNER, Version, Vrid};
use keepalite::time::{Centis, Instant};
use keepalite::vrrp::{Action, Datagram, Engine, Event, Id, Interface, Told};

const SECOND: u64 = 1_000_000;
/// The longest that a datagram takes, and the latest that a process is woken.
const DELAY: u64 = 3_000;
const LATENESS: u64 = 2_000;
/// How wrong a clock may go, in millionths.
const DRIFT: u64 = 2_000;

#[test]
fn any_lan_settles_on_one_master_and_follows_it_in_time() {
    if let Some(seed) = number("LAN_SEED") {
        if let Err(failure) = Lan::new(seed, true).run() {
            panic!("{failure}");
        }
        return;
    }
    let runs = number("LAN_RUNS").unwrap_or(1000);
    let started = std::time::Instant::now();
    let mut router_seconds = 0;
    for seed in 1..=runs {
        let mut lan = Lan::new(seed, false);
        if lan.run().is_err() {
            let told = Lan::new(seed, true).run().expect_err("it fails again");
            panic!("{told}\nrerun: LAN_SEED={seed} cargo test --test lan");
        }
        router_seconds += lan.now / SECOND * (lan.nodes.len() * lan.routers.len()) as u64;
    }
    let took = started.elapsed().as_secs_f64();
    let rate = router_seconds as f64 / took;
    println!("{runs} LANs, {router_seconds} router-seconds in {took:.2} s: {rate:.0} a second");
}

/// Whatever bytes come in, from whomever, an engine neither panics nor misses an advert of its own.
#[test]
fn no_datagram_stops_an_engine() {
    let mut random = Random(7);
    let mut model = made::model(Vec::new());
    let lines = [
        "version 2",
        "version 3",
        "auth_pass secret",
        "auth_ah secret",
        "v3_checksum_as_v2",
        "unicast_peer 10.0.0.2",
    ];
    for (at, line) in lines.into_iter().enumerate() {
        let mut instance = made::instance(line);
        made::set(&mut instance, &format!("virtual_router_id {}", at + 1));
        made::set(&mut instance, "priority 255");
        made::set(&mut instance, "state MASTER");
        made::set(&mut instance, "owner_ignore_adverts");
        made::set(&mut instance, line);
        model.instances.push(instance);
    }
    let mut engine = Engine::new(&model, Instant(0));
    let mut out = Vec::new();
    let eth0 = made::interface("eth0");
    let up = Interface {
        name: &eth0,
        index: Some(1),
        up: true,
        v4: Some([10, 0, 0, 1].into()),
        v6: None,
    };
    engine.handle(Event::Interface(up), Instant(0), &mut out);
    for round in 0..200_000_u64 {
        let at = random.range(0, lines.len() as u64 - 1) as usize;
        let mut packet = [0; 100];
        let (_, instance) = engine.iter().nth(at).expect("one of them");
        let advert = instance.advert(random.next() as u8);
        let group = IpAddr::from([224, 0, 0, 18]);
        let pseudo = instance.pseudo_header(group, advert.len());
        let front = if random.chance(50) { 20 } else { 44 };
        let len = advert
            .emit(&mut packet[front..], pseudo)
            .expect("fits")
            .len();
        packet[9] = if front == 20 { 112 } else { 51 };
        if front == 44 {
            packet[20..22].copy_from_slice(&[112, 4]);
        }
        for _ in 0..random.range(0, 4) {
            let bit = random.range(0, 799) as usize;
            packet[bit / 8] ^= 1 << (bit % 8);
        }
        let end = if random.chance(80) {
            front + len
        } else {
            random.range(20, 100) as usize
        };
        let datagram = Datagram {
            ifindex: 1,
            source: IpAddr::from([10, 0, 0, random.range(1, 3) as u8]),
            destination: if random.chance(80) {
                group
            } else {
                IpAddr::from([10, 0, 0, 1])
            },
            hops: if random.chance(90) { 255 } else { 1 },
            header: if random.chance(95) {
                &packet[..20]
            } else {
                &[]
            },
            payload: &packet[20..end],
        };
        let now = Instant(round * 1_000);
        engine.handle(Event::Datagram(datagram), now, &mut out);
        engine.handle(Event::Deadline, now, &mut out);
        for action in out.drain(..) {
            if let Action::Say { note, .. } = action {
                assert!(!note.to_string().is_empty());
            }
        }
    }
    for (_, instance) in engine.iter() {
        assert!(instance.owns_addresses());
        assert_eq!(instance.stats().advert_sent, 200, "{:?}", instance.stats());
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// splitmix64: <https://prng.di.unimi.it/splitmix64.c>, public domain.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.range(0, 99) < percent
    }
}

/// What all routers of a VRID have in common.
struct Router {
    interval: u64,
    /// The longest that any of them waits for a master.
    patience: u64,
    preempt_delay: u64,
    all_preempt: bool,
    masters: usize,
}

struct Node {
    address: Ipv4Addr,
    model: Model,
    /// `None` is without power.
    engine: Option<Engine>,
    up: bool,
    /// Which part of the LAN it is in.
    part: u64,
    /// How fast its clock goes, in millionths of a second per second.
    clock: u64,
    /// The process sleeps until then.
    asleep: u64,
    wakes_at: Option<u64>,
    /// By VRID.
    is_master: Vec<bool>,
    master_since: Vec<u64>,
    holds: Vec<bool>,
    /// Since when it is master beside a better one.
    beside: Vec<Option<u64>>,
    /// When the last datagram of each other node arrives.
    arrivals: Vec<u64>,
}

/// On its way to one node; ordered by time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    at: u64,
    sequence: u64,
    to: usize,
    from: Ipv4Addr,
    len: usize,
    bytes: [u8; 40],
}

struct Lan {
    seed: u64,
    random: Random,
    nodes: Vec<Node>,
    routers: Vec<Router>,
    wire: BinaryHeap<Reverse<Packet>>,
    sequence: u64,
    now: u64,
    loss: u64,
    duplicates: u64,
    delay: u64,
    /// Datagrams may overtake each other. On a calm LAN they do not: there a regular advert that overtakes its sender's
    /// resignation would undo it, and nobody could do anything about that.
    reordering: bool,
    /// Since when all is calm.
    calm: Option<u64>,
    /// All VRIDs are one sync group on every node.
    synced: bool,
    changes: u64,
    actions: Vec<Action>,
    interface: IfName,
    failure: Option<String>,
    story: Option<VecDeque<String>>,
}

impl Lan {
    fn new(seed: u64, tell: bool) -> Self {
        let mut random = Random(seed);
        let vrids = random.range(1, 3);
        let count = random.range(2, 6);
        let mut routers = Vec::new();
        let mut nodes: Vec<Node> = (0..count).map(|n| Node::new(n, &mut random)).collect();
        for vrid in 0..vrids {
            routers.push(Router::new(vrid, &mut nodes, &mut random));
        }
        let synced = random.chance(30);
        for node in &mut nodes {
            if synced {
                node.sync();
            }
            for (router, instance) in routers.iter_mut().zip(&node.model.instances) {
                let patience = Waits::of(instance).master_down;
                router.patience = router.patience.max(patience);
                router.all_preempt &= instance.preempt;
                let delay = instance.preempt_delay.as_micros() as u64;
                router.preempt_delay = router.preempt_delay.max(delay);
            }
            node.is_master = vec![false; routers.len()];
            node.master_since = vec![0; routers.len()];
            node.holds = node.is_master.clone();
            node.beside = vec![None; routers.len()];
            node.arrivals = vec![0; count as usize];
        }
        Self {
            seed,
            random,
            nodes,
            routers,
            wire: BinaryHeap::new(),
            sequence: 0,
            now: SECOND,
            loss: 0,
            duplicates: 0,
            delay: DELAY,
            reordering: false,
            calm: None,
            synced,
            changes: 0,
            actions: Vec::new(),
            interface: made::interface("eth0"),
            failure: None,
            story: tell.then(VecDeque::new),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            self.chaos();
            self.settle("after chaos");
            self.cut_power();
            self.settle("after the power came back");
            self.stop_in_order();
            self.settle("after a restart");
        }
        self.refusals();
        match self.failure.take() {
            None => Ok(()),
            Some(failure) => {
                let story = self.story.take().unwrap_or_default();
                let story: Vec<String> = story.into();
                let (seed, now) = (self.seed, self.now);
                let story = story.join("\n");
                Err(format!("{story}\nseed {seed}, {now} us: {failure}"))
            }
        }
    }

    fn fail(&mut self, failure: String) {
        self.failure.get_or_insert(failure);
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            if story.len() == 200 {
                story.pop_front();
            }
            story.push_back(format!("{:>12} {}", self.now, line()));
        }
    }

    /// Half a minute in which anything may happen.
    fn chaos(&mut self) {
        self.calm = None;
        self.loss = self.random.range(0, 40);
        self.duplicates = self.random.range(0, 20);
        self.delay = DELAY * self.random.range(1, 300);
        self.reordering = true;
        let end = self.now + 30 * SECOND;
        while self.now < end && self.failure.is_none() {
            let pause = self.random.range(0, 3 * SECOND);
            self.run_for(pause);
            let who = self.random.range(0, self.nodes.len() as u64 - 1) as usize;
            match self.random.range(0, 6) {
                0 => self.power(who, false),
                1 => self.power(who, true),
                2 => self.link(who, false),
                3 => self.link(who, true),
                4 => {
                    for at in 0..self.nodes.len() {
                        self.nodes[at].part = self.random.range(0, 1);
                    }
                    self.tell(|| "the LAN falls apart".to_owned());
                }
                5 => {
                    self.nodes.iter_mut().for_each(|node| node.part = 0);
                    self.tell(|| "the LAN is whole".to_owned());
                }
                _ => {
                    let until = self.now + self.random.range(0, 10 * SECOND);
                    self.nodes[who].asleep = until;
                    self.reckon(who);
                    self.tell(|| format!("{who} sleeps until {until}"));
                }
            }
        }
    }

    /// All is well again; whoever should be master has time to become so, and then nothing happens any more.
    fn settle(&mut self, when: &str) {
        if self.failure.is_some() {
            return;
        }
        self.loss = 0;
        self.duplicates = 0;
        self.delay = DELAY;
        self.reordering = false;
        self.calm = None;
        for at in 0..self.nodes.len() {
            self.nodes[at].part = 0;
            self.nodes[at].asleep = 0;
            self.power(at, true);
            self.link(at, true);
            self.reckon(at);
        }
        self.tell(|| format!("calm {when}"));
        // What chaos has left on the wire is still on its way.
        let wire = self.wire.iter().map(|packet| packet.0.at).max();
        self.run_for(wire.unwrap_or(self.now).saturating_sub(self.now) + DELAY);
        self.calm = Some(self.now);
        let slowest = self.routers.iter().map(|r| {
            let preempting = r.preempt_delay + if r.preempt_delay == 0 { 0 } else { r.patience };
            2 * r.patience + preempting
        });
        self.run_for(slack(slowest.max().unwrap_or_default()));
        for vrid in 0..self.routers.len() {
            self.one_master(vrid, when);
        }
        let before = self.changes;
        self.run_for(10 * SECOND);
        if self.changes != before {
            self.fail(format!("{when}: a state changed although all was calm"));
        }
        self.calm = None;
    }

    fn one_master(&mut self, vrid: usize, when: &str) {
        let masters: Vec<usize> = self.masters(vrid).collect();
        let priority = |at: usize| self.nodes[at].rank(vrid).0;
        let best = (0..self.nodes.len()).map(priority).max();
        let right = match masters[..] {
            [one] => Some(priority(one)) == best || !self.routers[vrid].all_preempt,
            _ => false,
        };
        if !right {
            let vrid = vrid + 1;
            self.fail(format!(
                "{when}: vrid {vrid}: masters are {masters:?}, the best priority is {best:?}"
            ));
        }
    }

    fn masters(&self, vrid: usize) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(move |(_, node)| node.is_master[vrid])
            .map(|(at, _)| at)
    }

    /// The master of the first VRID goes without a word.
    fn cut_power(&mut self) {
        let (None, Some(master)) = (&self.failure, self.masters(0).next()) else {
            return;
        };
        self.power(master, false);
        let bound = self.follow_up(|instance| instance.master_down);
        self.expect_follower(bound);
    }

    /// The master of the first VRID resigns.
    fn stop_in_order(&mut self) {
        let (None, Some(master)) = (&self.failure, self.masters(0).next()) else {
            return;
        };
        self.feed(master, Event::Stop);
        self.nodes[master].engine = None;
        self.reckon(master);
        let bound = self.follow_up(|instance| instance.skew);
        self.expect_follower(bound);
    }

    /// The shortest wait among those that are left.
    fn follow_up(&self, wait: impl Fn(&Waits) -> u64) -> u64 {
        let left = self.nodes.iter().filter(|node| node.engine.is_some());
        let count = if self.synced { self.routers.len() } else { 1 };
        let waits = left.map(|node| {
            let instances = node.model.instances.iter().take(count);
            let waits = instances.map(|instance| wait(&Waits::of(instance)));
            waits.max().unwrap_or_default()
        });
        waits.min().unwrap_or_default()
    }

    fn expect_follower(&mut self, bound: u64) {
        self.run_for(slack(bound));
        if self.masters(0).next().is_none() {
            self.fail(format!("nobody followed within {bound} us"));
        }
    }

    /// Property 6.
    fn refusals(&mut self) {
        let engines = self.nodes.iter().filter_map(|node| node.engine.as_ref());
        let stats = engines.flat_map(|engine| engine.iter().map(|(_, i)| *i.stats()));
        let refused = stats.into_iter().find(|s| {
            let faulty = s.packet_len_err
                + s.ip_ttl_err
                + s.invalid_type_rcvd
                + s.advert_interval_err
                + s.addr_list_err
                + s.version_err
                + s.checksum_err
                + s.destination_err
                + s.authtype_mismatch
                + s.auth_failure;
            faulty != 0
        });
        if let Some(stats) = refused {
            self.fail(format!("what we send is refused: {stats:?}"));
        }
    }

    fn power(&mut self, at: usize, on: bool) {
        let node = &mut self.nodes[at];
        match (on, node.engine.is_some()) {
            (true, false) => {
                let now = node.local(self.now);
                node.engine = Some(Engine::new(&node.model, now));
                node.up = true;
                self.tell(|| format!("{at} starts"));
                self.tell_interface(at);
            }
            (false, true) => {
                node.engine = None;
                self.tell(|| format!("{at} has no power"));
                for vrid in 0..self.routers.len() {
                    self.nodes[at].holds[vrid] = false;
                    self.became(at, vrid, false);
                }
                self.reckon(at);
            }
            _ => {}
        }
    }

    fn link(&mut self, at: usize, up: bool) {
        if self.nodes[at].up != up {
            self.nodes[at].up = up;
            self.tell(|| format!("{at} link up: {up}"));
            self.tell_interface(at);
        }
    }

    fn tell_interface(&mut self, at: usize) {
        let name = self.interface.clone();
        let interface = Interface {
            name: &name,
            index: Some(1),
            up: self.nodes[at].up,
            v4: Some(self.nodes[at].address),
            v6: None,
        };
        self.feed(at, Event::Interface(interface));
    }

    /// Jumps from one thing that happens to the next; datagrams come before deadlines, as the engine wants it.
    fn run_for(&mut self, time: u64) {
        let end = self.now + time;
        while self.failure.is_none() {
            let packet = self.wire.peek().map(|packet| packet.0.at);
            let nodes = self.nodes.iter().enumerate();
            let timer = nodes
                .filter_map(|(at, node)| Some((node.wakes_at?, at)))
                .min();
            match (packet, timer) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(t, _)| at <= t) => {
                    self.now = self.now.max(at);
                    self.deliver();
                }
                (_, Some((at, node))) if at <= end => {
                    self.now = self.now.max(at);
                    self.wake(node);
                }
                _ => break,
            }
            if self.calm.is_some() {
                self.rivals();
            }
        }
        if self.failure.is_none() {
            self.now = end;
        }
    }

    fn deliver(&mut self) {
        let Some(Reverse(mut packet)) = self.wire.pop() else {
            return;
        };
        let node = &self.nodes[packet.to];
        if node.engine.is_none() || !node.up {
            return;
        }
        if node.asleep > self.now {
            packet.at = node.asleep;
            self.wire.push(Reverse(packet));
            return;
        }
        let datagram = Datagram {
            ifindex: 1,
            source: IpAddr::V4(packet.from),
            destination: IpAddr::from([224, 0, 0, 18]),
            header: &[],
            hops: 255,
            payload: &packet.bytes[..packet.len],
        };
        self.feed(packet.to, Event::Datagram(datagram));
    }

    fn wake(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let now = node.local(self.now);
        let early = Instant(now.0.saturating_sub(LATENESS + 1));
        let Some(engine) = &mut node.engine else {
            return;
        };
        if engine.deadline().is_some_and(|at| early < at) {
            engine.handle(Event::Deadline, early, &mut self.actions);
            if !self.actions.is_empty() {
                let failure = format!("{at}: woken early, and it did {:?}", self.actions);
                self.actions.clear();
                return self.fail(failure);
            }
        }
        self.feed(at, Event::Deadline);
        let node = &self.nodes[at];
        let next = node.engine.as_ref().and_then(Engine::deadline);
        if next.is_some_and(|next| next <= now) {
            self.fail(format!("{at} asks for {next:?}, and it is {now:?}"));
        }
    }

    fn feed(&mut self, at: usize, event: Event<'_>) {
        let node = &mut self.nodes[at];
        let now = node.local(self.now);
        if let Some(engine) = &mut node.engine {
            engine.handle(event, now, &mut self.actions);
        }
        let mut actions = std::mem::take(&mut self.actions);
        let adverts = actions.iter().filter_map(|action| match action {
            Action::Advertise { id, .. } => Some(id.0),
            _ => None,
        });
        let mut said = 0_u32;
        for id in adverts {
            if said & (1 << id) != 0 {
                self.fail(format!("{at}: two adverts in answer to one event"));
            }
            said |= 1 << id;
        }
        for action in actions.drain(..) {
            self.carry_out(at, action);
        }
        self.actions = actions;
        let node = &self.nodes[at];
        if self.synced && node.is_master.iter().any(|is| *is != node.is_master[0]) {
            self.fail(format!("{at}: its sync group does not agree"));
        }
        self.reckon(at);
    }

    fn carry_out(&mut self, at: usize, action: Action) {
        self.tell(|| format!("{at} {action:?}"));
        match action {
            Action::Advertise { id, priority } => self.send(at, id, priority),
            Action::Acquire(id) => self.hold(at, id, true),
            Action::Release(id) => self.hold(at, id, false),
            Action::Notify { id, state, .. } => match state {
                Told::Master => self.became(at, id.0 as usize, true),
                Told::Backup | Told::Fault | Told::Stop | Told::Deleted => {
                    self.became(at, id.0 as usize, false);
                }
                Told::LowerPriority | Told::PriorityChanged => {}
            },
            Action::Announce { .. }
            | Action::AnnounceElsewhere(_)
            | Action::AnnounceSource(_)
            | Action::NotifyGroup { .. }
            | Action::Say { .. }
            | Action::SayStranger(_) => {}
        }
    }

    fn hold(&mut self, at: usize, id: Id, hold: bool) {
        let held = &mut self.nodes[at].holds[id.0 as usize];
        if std::mem::replace(held, hold) == hold {
            self.fail(format!("{at}: acquired or released twice"));
        }
    }

    fn became(&mut self, at: usize, vrid: usize, master: bool) {
        self.changes += 1;
        let speaks_for = slack(self.routers[vrid].interval);
        let speaks = |node: &Node| {
            let since = self.calm.map(|calm| calm.max(node.master_since[vrid]));
            node.is_master[vrid] && since.is_some_and(|since| self.now > since + speaks_for)
        };
        let preempts = self.nodes[at].model.instances[vrid].preempt;
        if master && !preempts && self.nodes.iter().any(speaks) {
            self.fail(format!("{at} preempts, although it is not to"));
        }
        let node = &mut self.nodes[at];
        if std::mem::replace(&mut node.is_master[vrid], master) != master {
            let masters = &mut self.routers[vrid].masters;
            *masters = if master { *masters + 1 } else { *masters - 1 };
        }
        node.beside[vrid] = None;
        node.master_since[vrid] = self.now;
        if node.holds[vrid] != master {
            self.fail(format!(
                "{at}: master {master}, but its addresses are not so"
            ));
        }
    }

    fn send(&mut self, at: usize, id: Id, priority: u8) {
        let node = &self.nodes[at];
        let Some(instance) = node.engine.as_ref().and_then(|engine| engine.get(id)) else {
            return self.fail(format!("{at} advertises for {id:?}, which it has not"));
        };
        // One that gives way may say a last word.
        let was_master = node.is_master[id.0 as usize];
        if !was_master && (priority == 0 || !instance.owns_addresses()) {
            return self.fail(format!("{at} advertises but is not master"));
        }
        let group = IpAddr::from([224, 0, 0, 18]);
        let advert = instance.advert(priority);
        let mut bytes = [0; 40];
        let pseudo = instance.pseudo_header(group, advert.len());
        let len = advert.emit(&mut bytes, pseudo).map_or(0, <[u8]>::len);
        let (up, part, from) = (node.up, node.part, node.address);
        for to in 0..self.nodes.len() {
            if to == at || !up || !self.nodes[to].up || self.nodes[to].part != part {
                continue;
            }
            let copies = 1 + u64::from(self.random.chance(self.duplicates));
            for _ in 0..copies {
                if self.random.chance(self.loss) {
                    continue;
                }
                self.sequence += 1;
                let mut arrives = self.now + self.random.range(20, self.delay);
                let last = &mut self.nodes[to].arrivals[at];
                if !self.reordering {
                    arrives = arrives.max(*last);
                }
                *last = arrives.max(*last);
                self.wire.push(Reverse(Packet {
                    at: arrives,
                    sequence: self.sequence,
                    to,
                    from,
                    len,
                    bytes,
                }));
            }
        }
    }

    /// When a node is woken: at its deadline or when it has slept enough, a little late as processes are.
    fn reckon(&mut self, at: usize) {
        let late = self.random.range(0, LATENESS);
        let node = &mut self.nodes[at];
        let deadline = node.engine.as_ref().and_then(Engine::deadline);
        node.wakes_at = deadline.map(|deadline| (node.global(deadline) + late).max(node.asleep));
    }

    /// Property 4.
    fn rivals(&mut self) {
        for vrid in 0..self.routers.len() {
            if self.routers[vrid].masters < 2 {
                self.nodes.iter_mut().for_each(|n| n.beside[vrid] = None);
                continue;
            }
            let best = self
                .masters(vrid)
                .max_by_key(|at| self.nodes[*at].rank(vrid));
            let worse: Vec<usize> = self.masters(vrid).filter(|at| Some(*at) != best).collect();
            for at in worse {
                let since = *self.nodes[at].beside[vrid].get_or_insert(self.now);
                if self.now - since > slack(self.routers[vrid].interval) {
                    let vrid = vrid + 1;
                    self.fail(format!(
                        "vrid {vrid}: {at} is master beside {best:?} since {since}"
                    ));
                }
            }
        }
    }
}

/// Give or take drift on both sides, delay and lateness.
const fn slack(time: u64) -> u64 {
    time + time * 2 * DRIFT / SECOND + 2 * (DELAY + LATENESS)
}

impl Node {
    /// Makes one sync group of all its instances; they can only agree if they wish for the same.
    fn sync(&mut self) {
        let instances = &mut self.model.instances;
        let (first, others) = instances.split_first_mut().expect("at least one");
        for other in others {
            other.priority = first.priority;
            other.wish = first.wish;
            other.preempt = first.preempt;
            other.preempt_delay = first.preempt_delay;
        }
        let names = instances.iter().map(|instance| instance.name.as_str());
        let names: Vec<&str> = names.collect();
        let line = format!("group all {}", names.join(" "));
        assert!(made::group(&mut self.model, &line));
    }

    fn new(number: u64, random: &mut Random) -> Self {
        Self {
            address: Ipv4Addr::new(10, 0, 0, number as u8 + 1),
            model: made::model(Vec::new()),
            engine: None,
            up: false,
            part: 0,
            clock: SECOND - DRIFT + random.range(0, 2 * DRIFT),
            asleep: 0,
            wakes_at: None,
            is_master: Vec::new(),
            master_since: Vec::new(),
            holds: Vec::new(),
            beside: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    const fn local(&self, at: u64) -> Instant {
        Instant((at as u128 * self.clock as u128 / SECOND as u128) as u64)
    }

    const fn global(&self, at: Instant) -> u64 {
        (at.0 as u128 * SECOND as u128).div_ceil(self.clock as u128) as u64
    }

    fn rank(&self, vrid: usize) -> (u8, Ipv4Addr) {
        (self.model.instances[vrid].priority, self.address)
    }
}

/// The times of one instance, reckoned here anew from the RFCs.
struct Waits {
    master_down: u64,
    skew: u64,
}

impl Waits {
    fn of(instance: &Instance) -> Self {
        let interval = u64::from(instance.interval.0) * 10_000;
        let of = match instance.version {
            Version::V2 => SECOND,
            Version::V3 => interval,
        };
        let skew = of * (256 - u64::from(instance.priority)) / 256;
        Self {
            master_down: 3 * interval + skew,
            skew,
        }
    }
}

impl Router {
    /// Gives every node an instance for one more VRID.
    fn new(vrid: u64, nodes: &mut [Node], random: &mut Random) -> Self {
        let version = if random.chance(50) {
            Version::V2
        } else {
            Version::V3
        };
        let interval = match version {
            Version::V2 => 100,
            Version::V3 => random.range(10, 300) as u16,
        };
        let all_preempt = random.chance(70);
        let preempt_delay = if random.chance(20) {
            random.range(1, 10)
        } else {
            0
        };
        let owner = random
            .chance(15)
            .then(|| random.range(0, nodes.len() as u64 - 1) as usize);
        for (at, node) in nodes.iter_mut().enumerate() {
            let mut instance = made::instance(&format!("VI_{vrid}"));
            instance.vrid = Vrid::new(vrid as u8 + 1).expect("not zero");
            instance.version = version;
            instance.interval = Centis(interval);
            // Few values, so that there are equals and neighbours.
            instance.priority = random.range(98, 102) as u8;
            instance.preempt = all_preempt || random.chance(50);
            instance.preempt_delay = std::time::Duration::from_secs(preempt_delay);
            instance.v3_checksum_as_v2 = random.chance(20);
            instance.higher_prio_send_advert = random.chance(20);
            instance.lower_prio_no_advert = random.chance(20);
            if owner == Some(at) {
                instance.priority = OWNER;
                instance.wish = Wish::Master;
                instance.preempt = true;
                instance.preempt_delay = std::time::Duration::ZERO;
            }
            node.model.instances.push(instance);
        }
        Self {
            interval: u64::from(interval) * 10_000,
            patience: 0,
            preempt_delay: 0,
            all_preempt: true,
            masters: 0,
        }
    }
}
