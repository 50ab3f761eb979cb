//! Pools by chance, servers that come and go by chance, and what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keepalite::check::conversation::{Outcome, Reason};
use keepalite::check::{Action, Engine, Event, Member, Notice, Phase, Pool, ProbeId};
use keepalite::time::Instant;
use keepalite::track;

/// Numbers by chance, the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A configuration of a few pools, whose servers are few too, so that checks are shared.
fn configuration(chance: &mut Chance) -> String {
    let mut text = String::from("track_file load {\n    file /tmp/load\n    weight 1\n}\n");
    for pool in 0..=chance.below(3) {
        if chance.one_in(4) {
            continue;
        }
        let head = format!(
            "virtual_server 10.0.0.{pool} 80 {{\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n"
        );
        text.push_str(&head);
        writeln!(
            text,
            "delay_loop {}\nwarmup {}",
            1 + chance.below(5),
            chance.below(4)
        )
        .expect("memory");
        let mut flags = |text: &mut String, word: &str, often| {
            if chance.one_in(often) {
                writeln!(text, "{word}").expect("memory");
            }
        };
        flags(&mut text, "alpha", 3);
        flags(&mut text, "omega", 3);
        flags(&mut text, "inhibit_on_failure", 4);
        flags(&mut text, "ha_suspend", 6);
        flags(&mut text, "sorry_server 10.0.9.9 80", 2);
        flags(&mut text, "sorry_server_inhibit", 4);
        writeln!(
            text,
            "quorum {}\nhysteresis {}",
            1 + chance.below(6),
            chance.below(3)
        )
        .expect("memory");
        let mut some = false;
        for server in 1..=4 {
            if chance.one_in(3) && (some || server < 4) {
                continue;
            }
            some = true;
            let weight = chance.below(4);
            writeln!(text, "real_server 10.0.1.{server} 80 {{\nweight {weight}").expect("memory");
            for _ in 0..chance.below(3) {
                let retry = chance.below(3);
                text.push_str(&match chance.below(5) {
                    0 => format!("MISC_CHECK {{\nmisc_path \"/bin/c {server}\"\nmisc_dynamic\nretry {retry}\n}}\n"),
                    1 => "FILE_CHECK {\ntrack_file load\n}\n".to_owned(),
                    2 => "FILE_CHECK {\ntrack_file load\nweight 0\n}\n".to_owned(),
                    _ => format!("TCP_CHECK {{\nretry {retry}\ndelay_before_retry 1\n}}\n"),
                });
            }
            text.push_str("}\n");
        }
        text.push_str("}\n");
    }
    text
}

/// An engine, and what the world knows of it.
struct World {
    engine: Engine,
    now: Instant,
    running: BTreeSet<ProbeId>,
    /// What the kernel has, by the name of the pool.
    table: BTreeMap<String, Vec<Member>>,
    /// What scripts have heard of servers.
    told: BTreeMap<String, bool>,
    /// Likewise of quorums.
    quorums: BTreeMap<String, bool>,
    story: String,
}

impl World {
    fn start(config: &str) -> Self {
        let model = super::read(config, "a configuration by chance");
        let mut world = Self {
            engine: Engine::new(model.lvs, &model.files, Instant(0)),
            now: Instant(0),
            running: BTreeSet::new(),
            table: BTreeMap::new(),
            told: BTreeMap::new(),
            quorums: BTreeMap::new(),
            story: config.to_owned(),
        };
        world.happen(Event::Start);
        world
    }

    fn happen(&mut self, event: Event<'_>) -> usize {
        writeln!(self.story, "> {} {event:?}", self.now).expect("memory");
        let mut actions = Vec::new();
        self.engine.handle(event, self.now, &mut actions);
        self.carry_out(actions)
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> usize {
        let count = actions.len();
        for action in actions {
            writeln!(self.story, "< {action:?}").expect("memory");
            match action {
                Action::Start(id) => assert!(
                    self.running.insert(id),
                    "two attempts at once\n{}",
                    self.story
                ),
                Action::Cancel(id) => {
                    assert!(self.running.remove(&id), "no such attempt\n{}", self.story)
                }
                Action::Table(id) => {
                    let pool = self.engine.pool(id).expect("a pool");
                    self.table
                        .insert(pool.name().to_string(), pool.members().collect());
                }
                Action::Notify(Notice::Server(id, up)) => {
                    self.told.insert(self.name(id), up);
                }
                Action::Notify(Notice::Removed { server, .. }) => {
                    // Whether it is told when it comes again is rs_init_notifies's to say.
                    self.told.remove(&self.name(server));
                }
                Action::Notify(Notice::Quorum { pool, up, .. }) => {
                    let name = self.engine.pool(pool).expect("a pool").name().to_string();
                    self.quorums.insert(name, up);
                }
                Action::Notify(Notice::Check { .. }) => {}
                Action::Say(note) => assert!(!self.engine.say(note).to_string().is_empty()),
            }
        }
        count
    }

    fn name(&self, id: keepalite::check::ServerId) -> String {
        let pool = self.engine.pool(id.pool).expect("a pool");
        let server = self.engine.server(id).expect("a server");
        format!("{} of {}", pool.server_name(server), pool.name())
    }

    /// One thing by chance.
    fn step(&mut self, chance: &mut Chance) {
        match chance.below(40) {
            0 => {
                let config = configuration(chance);
                self.story.push_str(&config);
                let model = super::read(&config, "a configuration by chance");
                let mut actions = Vec::new();
                self.engine.depart(&model.lvs, &mut actions);
                self.carry_out(actions);
                let mut actions = Vec::new();
                self.engine
                    .reload(model.lvs, &model.files, self.now, &mut actions);
                let names: Vec<_> = self
                    .engine
                    .pools()
                    .iter()
                    .map(|p| p.name().to_string())
                    .collect();
                self.table.retain(|name, _| names.contains(name));
                let there = |pool: &Pool| {
                    let of = pool.name().to_string();
                    let servers = pool.servers().iter();
                    servers
                        .map(|s| format!("{} of {of}", pool.server_name(s)))
                        .collect::<Vec<_>>()
                };
                let there: Vec<_> = self.engine.pools().iter().flat_map(there).collect();
                self.told.retain(|name, _| there.contains(name));
                self.carry_out(actions);
            }
            1 | 2 => {
                let value = chance.below(7) as i64 - 3;
                self.happen(Event::File {
                    name: "load",
                    value,
                });
            }
            3 => {
                let ip = [10, 0, 0, chance.below(4) as u8].into();
                let here = chance.one_in(2);
                self.happen(Event::Address { ip, here });
            }
            4..20 if !self.running.is_empty() => {
                let at = chance.below(self.running.len() as u64) as usize;
                let id = *self.running.iter().nth(at).expect("one");
                self.running.remove(&id);
                self.end(id, chance);
            }
            _ => {
                if let Some(due) = self.engine.deadline() {
                    self.now = self.now.max(due);
                    self.happen(Event::Deadline);
                }
            }
        }
    }

    fn end(&mut self, id: ProbeId, chance: &mut Chance) {
        let probe = self.engine.probe(id).expect("it was started");
        let misc = keepalite::check::kind(probe.checker()) == "MISC_CHECK";
        let (up, known, effect) = (probe.is_up(), probe.is_known(), probe.effect());
        let fine = chance.one_in(2);
        let count = match (misc, fine) {
            (true, _) => {
                let status = [0, 1, 2, 3, 7].get(chance.below(5) as usize).copied();
                self.happen(Event::Ended(
                    id,
                    track::Outcome::Status(status.unwrap_or(0)),
                    Box::default(),
                ))
            }
            (false, true) => self.happen(Event::Outcome(id, Outcome::Passed)),
            (false, false) => self.happen(Event::Outcome(id, Outcome::Failed(Reason::Refused))),
        };
        let probe = self.engine.probe(id).expect("it is there");
        let same = (up, known, effect) == (probe.is_up(), probe.is_known(), probe.effect());
        assert!(
            !same || count == 0,
            "{count} actions for no news\n{}",
            self.story
        );
    }

    /// What must hold whatever has happened.
    fn check(&self) {
        let story = &self.story;
        for pool in self.engine.pools() {
            let name = pool.name().to_string();
            let members: Vec<_> = pool.members().collect();
            assert_eq!(
                self.table.get(&name),
                Some(&members),
                "the table of {name}\n{story}"
            );
            assert_eq!(members, self.members_of(pool), "members of {name}\n{story}");
            let config = pool.config();
            let (quorum, hysteresis) = (u64::from(config.quorum), u64::from(config.hysteresis));
            let weight = pool.weight();
            if pool.has_quorum() {
                assert!(
                    weight > 0 && weight + hysteresis >= quorum,
                    "{name}\n{story}"
                );
            } else {
                assert!(weight < quorum + hysteresis, "{name}\n{story}");
            }
            assert_eq!(
                pool.is_sorry(),
                !pool.has_quorum() && config.sorry.is_some(),
                "{name}\n{story}"
            );
            let told = self.quorums.get(&name).copied().unwrap_or(false);
            assert_eq!(told, pool.has_quorum(), "told of {name}\n{story}");
            for server in pool.servers() {
                let name = format!("{} of {name}", pool.server_name(server));
                let told = self.told.get(&name);
                assert!(
                    told.is_none_or(|told| *told == server.is_up()),
                    "told of {name}\n{story}"
                );
            }
        }
        for probe in self.engine.probes() {
            let running = self.running.contains(&probe.id());
            match probe.phase() {
                Phase::Running { .. } => assert!(running, "an attempt is lost\n{story}"),
                Phase::Waiting(at) => {
                    assert!(
                        !running && self.engine.deadline() <= Some(at),
                        "asleep\n{story}"
                    );
                }
                Phase::Resting => assert!(!running, "it rests and runs\n{story}"),
            }
        }
    }

    /// What the rules say, told another way than the engine has it.
    fn members_of(&self, pool: &Pool) -> Vec<Member> {
        let config = pool.config();
        let mut members = Vec::new();
        for server in pool.servers() {
            let real = server.config();
            let probes = server
                .probes()
                .iter()
                .map(|id| self.engine.probe(*id).expect("a probe"));
            let up = probes.clone().all(|probe| probe.is_up());
            assert_eq!(up, server.is_up(), "{}", self.story);
            let weight = i64::from(real.weight)
                + probes
                    .map(|p| p.effect().difference(real.weight))
                    .sum::<i64>();
            let serves = up && !pool.is_sorry();
            if serves || real.inhibit {
                members.push(Member {
                    ip: real.ip,
                    port: real.port,
                    forwarding: real.forwarding,
                    weight: if serves { weight.max(0) as u32 } else { 0 },
                    upper: 0,
                    lower: 0,
                });
            }
        }
        if let Some(sorry) = config
            .sorry
            .filter(|sorry| pool.is_sorry() || sorry.inhibit)
        {
            members.push(Member {
                ip: sorry.ip,
                port: sorry.port,
                forwarding: sorry.forwarding,
                weight: pool.is_sorry().into(),
                upper: 0,
                lower: 0,
            });
        }
        members
    }
}

#[test]
fn whatever_happens_table_quorum_and_what_is_told_are_those_of_the_servers_states() {
    for seed in 1..=300 {
        let mut chance = Chance::new(seed);
        let config = configuration(&mut chance);
        let mut world = World::start(&config);
        world.check();
        for _ in 0..150 {
            world.step(&mut chance);
            world.check();
        }
        let before = world.running.len();
        world.happen(Event::Stop);
        assert_eq!(world.running.len(), 0, "of {before}\n{}", world.story);
        assert_eq!(world.engine.deadline(), None);
    }
}
