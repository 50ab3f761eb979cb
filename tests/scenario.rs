//! The engine's behaviour, a file per rule in tests/scenario: what happens to it, and what it does.
//!
//! A file begins with the configuration: `key value` lines as [`made::set`] knows them, after `instance NAME` where there
//! are several, and `group NAME MEMBER…`, `track_group NAME MEMBER…`, `script NAME`, `file NAME`, `process NAME`. Then come steps. A line with `>` is what happens, at a made-up time in seconds; lines with `<` are what the
//! engine does on its way there and in answer, and how it stands afterwards. The engine is woken exactly when it asks to be.
//!
//! ```text
//! > 0 interface eth0 up 10.0.0.1     (or: down, gone; index N; several addresses)
//! > 1 advert from 10.0.0.2 priority 150     (and: for NAME, version, vrid, advert_int, pass, auth, addresses, ttl, to,
//!                                            checksum pseudo|plain|old|wrong, on IFACE; with auth_ah: sequence, key, spi)
//! > 2 bytes from 10.0.0.2 ttl 255 213364…   (hex)
//! > 3 wait          nothing happens
//! > 9 oversleep     the process slept: nobody woke the engine until now
//! > 4 tracked script NAME up        (or: file, process, statics; down; a number)
//! > 5 source 10.0.0.50 gone            (or: here)
//! > 5 lost NAME     someone took an address of it away
//! > 9 group NAME MEMBER…
//! > 9 configure NAME key value      > 9 remove NAME      > 9 add NAME        > 9 reload
//! > 9 wire          the advert that it would send now, in hex
//! > 9 stats         the counters that are not zero
//! > 9 stop
//! ```
//!
//! `UPDATE=1 cargo test --test scenario` writes the answers into the files; the review is in the difference.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod made;

use core::net::IpAddr;
use core::time::Duration;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use keepalite::model::{Auth, Model, Peering};
use keepalite::name::{Version, Vrid};
use keepalite::time::{Centis, Instant};
use keepalite::vrrp::{
    Action, Datagram, Engine, Event, Instance, Interface, Reading, Tracked, TrackerKind,
};
use keepalite::wire::Checksum;
use keepalite::wire::ah::{self, AhRepr};
use keepalite::wire::ip::{self, Ipv4Repr};
use keepalite::wire::vrrp::AdvertRepr;

#[test]
fn every_scenario_goes_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenario");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("tests/scenario is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let update = env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).expect("readable");
        let replayed = Replay::of(&text, path);
        if replayed == text {
            continue;
        }
        if update {
            fs::write(path, &replayed).expect("writable");
        } else {
            wrong.push(difference(path, &text, &replayed));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} of {} scenarios differ; UPDATE=1 rewrites them",
        wrong.join("\n"),
        wrong.len(),
        files.len()
    );
}

fn difference(path: &Path, expected: &str, found: &str) -> String {
    let pairs = expected.lines().zip(found.lines());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(end)").to_owned();
    format!(
        "{}:{}\n  expected: {}\n  found:    {}",
        path.display(),
        same + 1,
        line(expected),
        line(found)
    )
}

struct Replay {
    model: Model,
    engine: Option<Engine>,
    now: Instant,
    /// Whether lines tell the name.
    names: bool,
    text: String,
}

impl Replay {
    /// The file again, with what the engine really did.
    fn of(text: &str, path: &Path) -> String {
        let mut replay = Self {
            model: made::model(Vec::new()),
            engine: None,
            now: Instant(0),
            names: false,
            text: String::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if line.starts_with('<') {
                continue;
            }
            replay.text.push_str(line);
            replay.text.push('\n');
            if let Some(step) = line.strip_prefix("> ") {
                replay.step(step, &place);
            } else if !line.is_empty() && !line.starts_with('#') {
                replay.configure(line);
            }
        }
        replay.text
    }

    fn configure(&mut self, line: &str) {
        if line == "log_unknown_vrids" {
            self.model.global.log_unknown_vrids = true;
        } else if let Some(delay) = line.strip_prefix("vrrp_startup_delay ") {
            self.model.global.startup_delay = Duration::from_secs(delay.parse().expect("seconds"));
        } else if made::tracker(&mut self.model, line)
            || made::group(&mut self.model, line)
            || made::track_group(&mut self.model, line)
        {
            // One of the model's, not of an instance.
        } else if let Some(name) = line.strip_prefix("instance ") {
            self.model.instances.push(made::instance(name));
        } else {
            self.first_instance();
            made::set(self.model.instances.last_mut().expect("one"), line);
        }
    }

    fn first_instance(&mut self) {
        if self.model.instances.is_empty() {
            self.model.instances.push(made::instance("VI_1"));
        }
    }

    fn step(&mut self, step: &str, place: &str) {
        if self.engine.is_none() {
            self.first_instance();
            self.engine = Some(Engine::new(&self.model, Instant(0)));
        }
        let (time, what) = step.split_once(' ').expect(place);
        let at = instant(time);
        assert!(at >= self.now, "{place}: time goes forward");
        self.names |= self.model.instances.len() > 1;
        let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
        if word != "oversleep" {
            self.run_until(at, word == "wait");
        }
        self.now = at;
        match word {
            "wait" => {}
            "oversleep" => self.happen(Event::Deadline),
            "stop" => self.happen(Event::Stop),
            "interface" => self.interface(rest, place),
            "tracked" => self.tracked(rest, place),
            "source" => {
                let (address, state) = rest.split_once(' ').expect(place);
                self.happen(Event::Source {
                    address: address.parse().expect(place),
                    here: state == "here",
                });
            }
            "lost" => {
                let engine = self.engine.as_ref().expect("started");
                let lost = engine.iter().find(|(_, i)| i.config().name == rest);
                let id = lost.map(|(id, _)| id).expect(place);
                self.happen(Event::AddressLost(id));
            }
            "group" => {
                self.model.groups.clear();
                assert!(made::group(&mut self.model, what), "{place}");
                return;
            }
            "advert" => self.advert(rest, place),
            "bytes" => self.bytes(rest, place),
            "configure" => {
                let (name, line) = rest.split_once(' ').expect(place);
                let mut all = self.model.instances.iter_mut();
                let instance = all.find(|instance| instance.name == name);
                return made::set(instance.expect(place), line);
            }
            "add" => return self.model.instances.push(made::instance(rest)),
            "remove" => return self.model.instances.retain(|i| i.name != rest),
            "reload" => self.act(|engine, model, now, out| engine.reload(model, now, out)),
            "stats" => return self.stats(),
            "wire" => return self.wire(),
            other => panic!("{place}: no such event: {other}"),
        }
        self.status();
    }

    /// Wakes the engine whenever it asks for it; up to `end`, or also there.
    fn run_until(&mut self, end: Instant, there: bool) {
        for _ in 0..10_000 {
            let deadline = self.engine.as_ref().and_then(Engine::deadline);
            match deadline {
                Some(at) if at < end || (there && at == end) => {
                    self.now = self.now.max(at);
                    self.happen(Event::Deadline);
                }
                _ => return,
            }
        }
        panic!("the engine does not come to rest before {end}");
    }

    fn happen(&mut self, event: Event<'_>) {
        self.act(|engine, _, now, out| engine.handle(event, now, out));
    }

    fn act(&mut self, act: impl FnOnce(&mut Engine, &Model, Instant, &mut Vec<Action>)) {
        let engine = self.engine.as_mut().expect("started");
        let mut actions = Vec::new();
        act(engine, &self.model, self.now, &mut actions);
        let engine = self.engine.as_ref().expect("started");
        for action in actions {
            let (id, text) = match action {
                Action::Advertise { id, priority } => {
                    (Ok(id), format!("advertise priority {priority}"))
                }
                Action::SayStranger(stranger) => {
                    let now = seconds(self.now);
                    writeln!(self.text, "< {now} info: {stranger}").expect("memory");
                    continue;
                }
                Action::Acquire(id) => (Ok(id), "acquire".to_owned()),
                Action::Release(id) => (Ok(id), "release".to_owned()),
                Action::Announce { id, repeat } => (Ok(id), format!("announce {repeat} times")),
                Action::AnnounceElsewhere(id) => (Ok(id), "announce elsewhere".to_owned()),
                Action::AnnounceSource(id) => (Ok(id), "announce its source".to_owned()),
                Action::Notify {
                    id,
                    state,
                    priority,
                } => (Ok(id), format!("notify {state:?} {priority}")),
                Action::NotifyGroup { group, state } => {
                    (Err(group), format!("notify group {state:?}"))
                }
                Action::Say { id, note } => {
                    let level = note.level().as_str().to_lowercase();
                    (Ok(id), format!("{level}: {note}"))
                }
            };
            let name = match id {
                Ok(id) => engine.get(id).map(|i| &i.config().name),
                Err(group) => engine.group(group).map(|g| &g.config().name),
            };
            let name = name.map_or("?", |name| name);
            let who = self.who(name);
            writeln!(self.text, "< {} {who}{text}", seconds(self.now)).expect("memory");
        }
        if let Some(engine) = &mut self.engine {
            engine.forget_removed();
        }
    }

    fn status(&mut self) {
        let engine = self.engine.as_ref().expect("started");
        for (_, instance) in engine.iter() {
            let who = self.who(&instance.config().name);
            let next = match instance.deadline() {
                Some(at) => format!(", wakes at {}", seconds(at)),
                None => String::new(),
            };
            let state = instance.state();
            writeln!(self.text, "<   {who}{state:?}{next}").expect("memory");
        }
    }

    /// The name in front, where there are several.
    fn who(&self, name: &str) -> String {
        if self.names {
            format!("{name}: ")
        } else {
            String::new()
        }
    }

    fn stats(&mut self) {
        let engine = self.engine.as_ref().expect("started");
        for (_, instance) in engine.iter() {
            let who = self.who(&instance.config().name);
            let all = format!("{:?}", instance.stats());
            let all = all.trim_start_matches("Stats { ").trim_end_matches(" }");
            let counted = all
                .split(", ")
                .filter(|c| !c.ends_with(": 0") && !c.starts_with("last_master"));
            for counter in counted {
                writeln!(self.text, "<   {who}{counter}").expect("memory");
            }
        }
    }

    fn wire(&mut self) {
        let engine = self.engine.as_ref().expect("started");
        for (_, instance) in engine.iter() {
            let who = self.who(&instance.config().name);
            let advert = instance.advert(instance.priority());
            let to = destination(instance);
            let mut buffer = [0; 256];
            let pseudo = instance.pseudo_header(to, advert.len());
            let bytes = advert.emit(&mut buffer, pseudo).expect("fits");
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let from = instance
                .source()
                .map_or("?".to_owned(), |ip| ip.to_string());
            let sequence = match instance.key() {
                Some(_) => format!(
                    " in an authentication header, sequence {}",
                    instance.sequence()
                ),
                None => String::new(),
            };
            writeln!(self.text, "<   {who}{from} to {to}: {hex}{sequence}").expect("memory");
        }
    }

    fn tracked(&mut self, rest: &str, place: &str) {
        let words: Vec<_> = rest.split_whitespace().collect();
        let [kind, name, reading] = words[..] else {
            panic!("{place}: tracked KIND NAME READING");
        };
        self.happen(Event::Tracked(Tracked {
            kind: match kind {
                "script" => TrackerKind::Script,
                "file" => TrackerKind::File,
                "statics" => TrackerKind::Statics,
                _ => TrackerKind::Process,
            },
            name,
            reading: match reading {
                "up" => Reading::Up,
                "down" => Reading::Down,
                number => Reading::Value(number.parse().expect(place)),
            },
        }));
    }

    fn interface(&mut self, rest: &str, place: &str) {
        let mut words = rest.split_whitespace();
        let name = made::interface(words.next().expect(place));
        let state = words.next().expect(place);
        let mut interface = Interface {
            name: &name,
            index: (state != "gone").then(|| index(name.as_str())),
            // What else is said of one that is gone does not count.
            up: state != "down",
            v4: None,
            v6: None,
        };
        while let Some(word) = words.next() {
            match word {
                "index" => {
                    interface.index = Some(words.next().expect(place).parse().expect(place));
                }
                address => match address.parse().expect(place) {
                    IpAddr::V4(ip) => interface.v4 = Some(ip),
                    IpAddr::V6(ip) => interface.v6 = Some(ip),
                },
            }
        }
        self.happen(Event::Interface(interface));
    }

    fn advert(&mut self, rest: &str, place: &str) {
        let words: Vec<_> = rest.split_whitespace().collect();
        let value = |key: &str| {
            let pairs = words.chunks(2).find(|pair| pair.first() == Some(&key));
            pairs.map(|pair| *pair.get(1).expect(place))
        };
        let known = [
            "for",
            "from",
            "priority",
            "version",
            "vrid",
            "advert_int",
            "pass",
            "auth",
            "addresses",
            "ttl",
            "to",
            "checksum",
            "sequence",
            "key",
            "spi",
            "on",
        ];
        for pair in words.chunks(2) {
            assert!(
                known.contains(&pair[0]),
                "{place}: no such word: {}",
                pair[0]
            );
        }
        let (config, to, sequence) = {
            let engine = self.engine.as_ref().expect("started");
            let wanted = |i: &&Instance| value("for").is_none_or(|name| i.config().name == name);
            let instance = engine.iter().map(|(_, i)| i).find(wanted).expect(place);
            let sequence = instance.sequence() + 1;
            (instance.config().clone(), destination(instance), sequence)
        };
        let source: IpAddr = value("from").expect(place).parse().expect(place);
        let to = value("to").map_or(to, |to| to.parse().expect(place));
        let version = match value("version") {
            Some("2") => Version::V2,
            Some(_) => Version::V3,
            None => config.version,
        };
        let interval = value("advert_int").map_or(config.interval, |s| {
            let seconds: f64 = s.parse().expect(place);
            Centis((seconds * 100.0).round() as u16)
        });
        let addresses: Vec<IpAddr> = match value("addresses") {
            Some(list) => list.split(',').map(|a| a.parse().expect(place)).collect(),
            None => config.addresses.iter().map(|a| a.ip).collect(),
        };
        let auth = match (version, config.auth, value("pass")) {
            (Version::V2, _, Some(pass)) => Some(made::password(pass)),
            (Version::V2, Auth::Pass(pass), None) => Some(pass),
            _ => None,
        };
        let kind = match (auth, config.auth) {
            (Some(_), _) => 1,
            (None, Auth::Ah(_)) => 2,
            (None, _) => 0,
        };
        let advert = AdvertRepr {
            version,
            vrid: value("vrid").map_or(config.vrid, |v| {
                Vrid::new(v.parse().expect(place)).expect(place)
            }),
            priority: value("priority").expect(place).parse().expect(place),
            auth_type: value("auth").map_or(kind, |a| a.parse().expect(place)),
            auth_data: auth.unwrap_or_default(),
            interval,
            family: config.family,
            addresses: &addresses,
        };
        let len = advert.len();
        let group = IpAddr::from([224, 0, 0, 18]);
        let pseudo = match (value("checksum"), version) {
            (Some("plain"), _) | (None, Version::V2) => Checksum::new(),
            (Some("old"), _) => Checksum::pseudo_header(source, group, len),
            (Some("wrong"), _) => Checksum::new().bytes(&[0x12, 0x34]),
            _ => Checksum::pseudo_header(source, to, len),
        };
        let hops = value("ttl").map_or(255, |ttl| ttl.parse().expect(place));
        let mut packet = [0; 4096];
        let key = match (config.auth, value("key")) {
            (_, Some(key)) => Some(made::password(key)),
            (Auth::Ah(key), None) if value("auth").is_none() => Some(key),
            _ => None,
        };
        let between = if key.is_some() { ah::LEN } else { 0 };
        let at = ip::HEADER + between;
        let message = advert.emit(&mut packet[at..], pseudo).expect("fits").len();
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, to) {
            let header = Ipv4Repr {
                source,
                destination,
                ttl: hops,
                protocol: if key.is_some() { ip::AH } else { ip::VRRP },
                identification: 7,
                payload_len: between + message,
            };
            header.emit(&mut packet).expect("fits");
            if let Some(key) = key {
                let seal = AhRepr {
                    spi: value("spi").map_or(source, |spi| spi.parse().expect(place)),
                    sequence: value("sequence").map_or(sequence, |n| n.parse().expect(place)),
                };
                let packet = &mut packet[..at + message];
                seal.seal(packet, &ah::Key::new(key)).expect("fits");
            }
        }
        let header = if source.is_ipv4() { ip::HEADER } else { 0 };
        let datagram = Datagram {
            ifindex: index(value("on").unwrap_or(config.interface.as_str())),
            source,
            destination: to,
            hops,
            header: &packet[..header],
            payload: &packet[ip::HEADER..at + message],
        };
        self.happen(Event::Datagram(datagram));
    }

    fn bytes(&mut self, rest: &str, place: &str) {
        let words: Vec<_> = rest.split_whitespace().collect();
        let ["from", from, "ttl", ttl, hex] = words[..] else {
            panic!("{place}: bytes from ADDRESS ttl NUMBER HEX");
        };
        let payload: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect(place))
            .collect();
        self.happen(Event::Datagram(Datagram {
            ifindex: index("eth0"),
            source: from.parse().expect(place),
            destination: IpAddr::from([224, 0, 0, 18]),
            header: &[],
            hops: ttl.parse().expect(place),
            payload: &payload,
        }));
    }
}

/// Where a peer's advert goes to.
fn destination(instance: &Instance) -> IpAddr {
    match &instance.config().peering {
        Peering::Multicast(group) => *group,
        Peering::Unicast { .. } => instance.source().expect("an address"),
    }
}

/// eth0 is 1, eth1 is 2 …
fn index(name: &str) -> u32 {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse::<u32>().unwrap_or(0) + 1
}

fn instant(text: &str) -> Instant {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<6}");
    Instant(
        whole.parse::<u64>().expect("seconds") * 1_000_000
            + part.parse::<u64>().expect("microseconds"),
    )
}

/// As people write it: no zeros behind.
fn seconds(at: Instant) -> String {
    let text = at.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
