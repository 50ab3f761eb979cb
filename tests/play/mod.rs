//! Plays a scenario file: what happens to an engine, and what it does.
//!
//! A file begins with the configuration: `key value` lines as [`made::set`] knows them, after `instance NAME` where there
//! are several, and `group NAME MEMBER…`, `track_group NAME MEMBER…`, `script NAME`, `file NAME`, `process NAME`; or the lines
//! of a configuration file, each behind a `|`. Then come steps. A line with `>` is what happens, at a made-up time in seconds;
//! lines with `<` are what the engine does on its way there and in answer, and how it stands afterwards. The engine is woken
//! exactly when it asks to be.
//!
//! ```text
//! > 0 interface eth0 up 10.0.0.1     (or: down, gone; index N; several addresses)
//! > 1 advert from 10.0.0.2 priority 150     (and: for NAME, version, vrid, advert_int, pass, auth, addresses, ttl, to,
//!                                            checksum pseudo|plain|old|wrong, on IFACE; with auth_ah: sequence, key, spi)
//! > 2 bytes from 10.0.0.2 payload 213364…   (hex; and: to, ttl, on IFACE, header)
//! > 3 wait          nothing happens
//! > 9 wake          the engine is woken now, and was not before: the process slept
//! > 9 asleep advert …    the same, and this is what it hears first
//! > 4 tracked script NAME up        (or: file, process, statics; down; a number)
//! > 4 ran SCRIPT passed 0.004          (or: timeout; a status) and its screens tell of it; likewise counted PROCESS 3, read FILE 20
//! > 5 source 10.0.0.50 gone            (or: here)
//! > 9 group NAME MEMBER…
//! > 9 configure NAME key value   > 9 remove NAME   > 9 add NAME   > 9 rename OLD NEW   > 9 reload
//! > 9 wire          the advert that it would send now, in hex
//! > 9 stats         the counters that are not zero
//! > 9 screen [NAME]     what an operator sees; narrow [NAME] on 40 columns, explain NAME
//! > 9 stop
//! ```
//!
//! After the line `recorded`, as in a file that `keepalite --record` has written, the engine is woken only where the file says
//! so, and how it stands is left out.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "each test uses its part of it, and fails by panicking"
)]

mod datagram;
pub(crate) mod screen;

use core::net::IpAddr;
use core::time::Duration;
use std::fmt::Write as _;
use std::path::Path;

use keepalite::config::files::Memory;
use keepalite::config::{Options, load_from};
use keepalite::model::Model;
use keepalite::time::{Instant, Seconds};
use keepalite::vrrp::{Action, Engine, Event, Id, Interface, Reading, Tracked, TrackerKind};

use crate::made;
use datagram::destination;
use screen::{NARROW, WIDE, Watch};

/// A scenario under way.
pub(crate) struct Player {
    model: Model,
    /// Lines of a configuration file that are not yet read.
    configuration: String,
    engine: Option<Engine>,
    watch: Watch,
    now: Instant,
    /// Whether lines tell the name.
    names: bool,
    /// Whether the engine is woken only where the file says so.
    recorded: bool,
    text: String,
}

/// The file again, with what the engine really does. `place` is where to look when it cannot be played.
pub(crate) fn play(text: &str, place: &str) -> String {
    let mut player = Player::new();
    for (number, line) in text.lines().enumerate() {
        player.line(line, &format!("{place}:{}", number + 1));
    }
    player.text
}

/// The first line that differs.
pub(crate) fn difference(place: &str, expected: &str, found: &str) -> String {
    let pairs = expected.lines().zip(found.lines());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(end)").to_owned();
    format!(
        "{place}:{}\n  expected: {}\n  found:    {}",
        same + 1,
        line(expected),
        line(found)
    )
}

impl Player {
    fn new() -> Self {
        Self {
            model: made::model(Vec::new()),
            configuration: String::new(),
            engine: None,
            watch: Watch::default(),
            now: Instant(0),
            names: false,
            recorded: false,
            text: String::new(),
        }
    }

    fn line(&mut self, line: &str, place: &str) {
        if line.starts_with('<') {
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
        if let Some(step) = line.strip_prefix("> ") {
            self.step(step, place);
        } else if let Some(line) = line.strip_prefix('|') {
            self.configuration.push_str(line);
            self.configuration.push('\n');
        } else if !line.is_empty() && !line.starts_with('#') {
            configure(&mut self.model, &mut self.recorded, line);
        }
    }

    /// Takes up the lines of a configuration file, if there are any.
    fn load(&mut self, place: &str) {
        if self.configuration.is_empty() {
            return;
        }
        let mut files = Memory::new();
        files.insert("main.conf", core::mem::take(&mut self.configuration));
        let loaded = load_from(&files, Path::new("main.conf"), &Options::default());
        self.model = loaded.expect(place).model;
    }

    fn step(&mut self, step: &str, place: &str) {
        self.load(place);
        if self.engine.is_none() {
            first_instance(&mut self.model);
            self.engine = Some(Engine::new(&self.model, Instant(0)));
            self.watch = Watch::start(&self.model);
        }
        let (time, what) = step.split_once(' ').expect(place);
        let at = instant(time);
        assert!(at >= self.now, "{place}: time goes forward");
        self.names |= self.model.instances.len() > 1;
        let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
        if !matches!(word, "wake" | "asleep") && !self.recorded {
            self.run_until(at, word == "wait");
        }
        let (word, rest) = match word {
            "asleep" => rest.split_once(' ').unwrap_or((rest, "")),
            _ => (word, rest),
        };
        self.now = at;
        match word {
            "wait" => {}
            "wake" => self.happen(Event::Deadline),
            "stop" => self.happen(Event::Stop),
            "interface" => self.interface(rest, place),
            "tracked" => self.tracked(rest, place),
            "ran" => self.ran(rest, place),
            "counted" => self.counted(rest, place),
            "read" => self.read(rest, place),
            "screen" => return self.screen(WIDE, rest, place),
            "narrow" => return self.screen(NARROW, rest, place),
            "explain" => return self.explain(rest, place),
            "source" => {
                let (address, state) = rest.split_once(' ').expect(place);
                self.happen(Event::Source {
                    address: address.parse().expect(place),
                    here: state == "here",
                });
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
            "rename" => {
                let (old, new) = rest.split_once(' ').expect(place);
                let mut all = self.model.instances.iter_mut();
                let instance = all.find(|instance| instance.name == old);
                new.clone_into(&mut instance.expect(place).name);
                return;
            }
            "reload" => self.act(|engine, model, now, out| engine.reload(model, now, out)),
            "stats" => return self.stats(),
            "wire" => return self.wire(),
            other => panic!("{place}: no such event: {other}"),
        }
        if !self.recorded {
            self.status();
        }
    }

    /// By its name, or by its number in a recording.
    fn id(&self, name: &str, place: &str) -> Id {
        let engine = self.engine.as_ref().expect("started");
        let named = engine.iter().find(|(_, i)| i.config().name == name);
        named.map_or_else(|| Id(name.parse().expect(place)), |(id, _)| id)
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
        self.watch.note(&actions, self.now);
        let now = seconds(self.now);
        for action in &actions {
            let written = match engine.whose(action).filter(|_| self.names) {
                Some(who) => writeln!(self.text, "< {now} {who}: {action}"),
                None => writeln!(self.text, "< {now} {action}"),
            };
            written.expect("memory");
        }
        engine.forget_removed();
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
}

/// Takes a line of the head of a scenario into a model.
pub(crate) fn configure(model: &mut Model, recorded: &mut bool, line: &str) {
    if line == "recorded" {
        *recorded = true;
    } else if line == "log_unknown_vrids" {
        model.global.log_unknown_vrids = true;
    } else if let Some(delay) = line.strip_prefix("vrrp_startup_delay ") {
        model.global.startup_delay = Duration::from_secs(delay.parse().expect("seconds"));
    } else if made::tracker(model, line)
        || made::group(model, line)
        || made::track_group(model, line)
    {
        // One of the model's, not of an instance.
    } else if let Some(name) = line.strip_prefix("instance ") {
        model.instances.push(made::instance(name));
    } else {
        first_instance(model);
        made::set(model.instances.last_mut().expect("one"), line);
    }
}

fn first_instance(model: &mut Model) {
    if model.instances.is_empty() {
        model.instances.push(made::instance("VI_1"));
    }
}

/// eth0 is 1, eth1 is 2 …; a number is itself.
fn index(name: &str) -> u32 {
    if let Ok(index) = name.parse() {
        return index;
    }
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse::<u32>().unwrap_or(0) + 1
}

fn seconds(at: Instant) -> Seconds {
    Seconds(at.since(Instant(0)))
}

fn instant(text: &str) -> Instant {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<6}");
    Instant(
        whole.parse::<u64>().expect("seconds") * 1_000_000
            + part.parse::<u64>().expect("microseconds"),
    )
}
