//! What the health of servers does to their pools, a file per rule in tests/check: what happens, and what follows.
//!
//! A file begins with a configuration. Then come steps: a line with `>` is what happens, at a made-up time in seconds; lines
//! with `<` are what the engine does on its way there and in answer. The engine is woken exactly when it asks to be, and every
//! attempt finds at once how its server is: well, unless told otherwise. `SERVER` is the address of a check's target.
//!
//! ```text
//! > 0 start
//! > 5 well SERVER
//! > 5 ill SERVER [REASON…]
//! > 5 exits SERVER STATUS          (a MISC_CHECK; also: times-out)
//! > 5 untried SERVER               (a fault on our side)
//! > 5 slow SERVER                  (an attempt takes until the next word about it)
//! > 5 file NAME NUMBER
//! > 5 address ADDRESS here|gone
//! > 9 wait                         (nothing happens)
//! > 9 state                        (who is up, and why not)
//! > 9 uses SERVER ACTIVE INACTIVE TOTAL    (what the kernel tells of its connections)
//! > 9 screen [NAME]                (what an operator sees; also: narrow [NAME], on 40 columns, and explain NAME)
//! > 9 reload                       (the lines up to the next step are the new configuration)
//! > 9 stop
//! ```
//!
//! With `# attempts` as a line of its own every attempt is told. `UPDATE=1 cargo test --test check` writes the answers into the
//! files; the review is in the difference.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "check/evenness.rs"]
mod evenness;
#[path = "check/random.rs"]
mod random;
#[path = "check/screen.rs"]
mod screen;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use keepalite::check::conversation::{Outcome, Reason};
use keepalite::check::{Action, Engine, Event, Notice, Pool, PoolId, ProbeId, ServerId, Why, kind};
use keepalite::config::files::Memory;
use keepalite::config::{Options, load_from};
use keepalite::model::Model;
use keepalite::time::Instant;
use keepalite::track;

#[test]
fn every_story_goes_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let entries = fs::read_dir(&folder).expect("tests/check is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).expect("readable");
        let replayed = Story::of(&text, path);
        if replayed == text {
            continue;
        }
        if env::var_os("UPDATE").is_some() {
            fs::write(path, &replayed).expect("writable");
        } else {
            wrong.push(difference(path, &text, &replayed));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} of {} stories differ; UPDATE=1 rewrites them",
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

/// How a server is.
#[derive(Clone, Debug)]
enum Being {
    Found(Outcome),
    Ends(track::Outcome),
    Slow,
}

struct Story {
    engine: Option<Engine>,
    now: Instant,
    beings: BTreeMap<IpAddr, Being>,
    operator: screen::Operator,
    /// Attempts that take long.
    hanging: Vec<ProbeId>,
    attempts: bool,
    text: String,
}

impl Story {
    /// The file again, with what the engine really did.
    fn of(text: &str, path: &Path) -> String {
        let mut story = Self {
            engine: None,
            now: Instant(0),
            beings: BTreeMap::new(),
            operator: screen::Operator::default(),
            hanging: Vec::new(),
            attempts: false,
            text: String::new(),
        };
        let mut config = String::new();
        let mut pending: Option<(String, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), number + 1);
            if line.starts_with('<') {
                continue;
            }
            if let Some(step) = line.strip_prefix("> ") {
                story.carry_out(pending.take(), &config);
                let (_, word) = step.split_once(' ').expect(&place);
                if word == "reload" {
                    config.clear();
                }
                pending = Some((step.to_owned(), place));
                writeln!(story.text, "{line}").expect("memory");
                continue;
            }
            let is_reload = pending
                .as_ref()
                .is_some_and(|(step, _)| step.ends_with(" reload"));
            if !is_reload {
                story.carry_out(pending.take(), &config);
            }
            story.attempts |= line == "# attempts";
            writeln!(config, "{line}").expect("memory");
            writeln!(story.text, "{line}").expect("memory");
        }
        story.carry_out(pending.take(), &config);
        story.text
    }

    fn carry_out(&mut self, pending: Option<(String, String)>, config: &str) {
        let Some((step, place)) = pending else { return };
        let (time, what) = step.split_once(' ').expect(&place);
        let at = instant(time);
        assert!(at >= self.now, "{place}: time goes forward");
        self.run_until(at);
        self.now = at;
        let words: Vec<&str> = what.split(' ').collect();
        match *words.as_slice() {
            ["start"] => {
                let model = read(config, &place);
                self.engine = Some(Engine::new(model.lvs, &model.files, at));
                self.happen(Event::Start);
            }
            ["well", server] => self.is(server, Being::Found(Outcome::Passed)),
            ["ill", server] => self.is(server, Being::Found(Outcome::Failed(Reason::Refused))),
            ["ill", server, ref why @ ..] => {
                let why = Reason::Broken(why.join(" "));
                self.is(server, Being::Found(Outcome::Failed(why)));
            }
            ["untried", server] => {
                let why = Reason::Local("no socket".to_owned());
                self.is(server, Being::Found(Outcome::Untried(why)));
            }
            ["exits", server, status] => {
                let outcome = match status.parse().expect(&place) {
                    0 => track::Outcome::Passed,
                    status => track::Outcome::Status(status),
                };
                self.is(server, Being::Ends(outcome));
            }
            ["times-out", server] => self.is(server, Being::Ends(track::Outcome::TimedOut)),
            ["slow", server] => self.is(server, Being::Slow),
            ["file", name, value] => {
                let value = value.parse().expect(&place);
                self.happen(Event::File { name, value });
            }
            ["address", ip, how] => {
                let ip = ip.parse().expect(&place);
                let here = how == "here";
                self.happen(Event::Address { ip, here });
            }
            ["wait"] => {}
            ["state"] => self.state(),
            ["uses", server, ref counts @ ..] => self.operator.uses(server, counts),
            ["screen", ref name @ ..] => self.screen(80, &name.join(" ")),
            ["narrow", ref name @ ..] => self.screen(40, &name.join(" ")),
            ["explain", ref name @ ..] => self.explain(&name.join(" ")),
            ["reload"] => self.reload(read(config, &place)),
            ["stop"] => self.happen(Event::Stop),
            _ => panic!("{place}: no such step: {what}"),
        }
    }

    fn is(&mut self, server: &str, being: Being) {
        let ip: IpAddr = server.parse().expect("an address");
        self.beings.insert(ip, being);
        let engine = self.engine.as_ref().expect("started");
        let target = |id: &ProbeId| engine.probe(*id).map(|probe| probe.checker().ip);
        let (answered, hanging) = self.hanging.iter().partition(|id| target(id) == Some(ip));
        self.hanging = hanging;
        for id in answered {
            self.attempt(id);
        }
    }

    /// Wakes the engine whenever it asks for it.
    fn run_until(&mut self, end: Instant) {
        for _ in 0..100_000 {
            match self.engine.as_ref().and_then(Engine::deadline) {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.happen(Event::Deadline);
                }
                _ => return,
            }
        }
        panic!("the engine does not come to rest before {end}");
    }

    fn happen(&mut self, event: Event<'_>) {
        let mut actions = Vec::new();
        let engine = self.engine.as_mut().expect("started");
        engine.handle(event, self.now, &mut actions);
        self.act(actions);
    }

    fn reload(&mut self, model: Model) {
        let mut actions = Vec::new();
        let engine = self.engine.as_mut().expect("started");
        engine.depart(&model.lvs, &mut actions);
        self.act(actions);
        let mut actions = Vec::new();
        let engine = self.engine.as_mut().expect("started");
        engine.reload(model.lvs, &model.files, self.now, &mut actions);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        let mut started = Vec::new();
        for action in actions {
            let engine = self.engine.as_ref().expect("started");
            let told = match action {
                Action::Start(id) => {
                    started.push(id);
                    continue;
                }
                Action::Cancel(id) => {
                    self.hanging.retain(|hanging| *hanging != id);
                    format!("cancel attempt {}", id.0)
                }
                Action::Table(pool) => table(engine, pool),
                Action::Notify(notice) => told(engine, notice),
                Action::Say(note) => {
                    self.operator.note(engine, note, self.now);
                    let level = note.level().as_str().to_lowercase();
                    format!("{level}: {}", engine.say(note))
                }
            };
            writeln!(self.text, "< {} {told}", seconds(self.now)).expect("memory");
        }
        for id in started {
            self.attempt(id);
        }
    }

    /// What an attempt finds.
    fn attempt(&mut self, id: ProbeId) {
        let engine = self.engine.as_ref().expect("started");
        let Some(probe) = engine.probe(id) else {
            return;
        };
        let checker = probe.checker();
        let misc = kind(checker) == "MISC_CHECK";
        if self.attempts {
            let (at, kind) = (seconds(self.now), kind(checker));
            let (ip, page) = (checker.ip, probe.page());
            let page = if page > 0 {
                format!(" page {page}")
            } else {
                String::new()
            };
            writeln!(self.text, "< {at} attempt {kind} {ip}{page}").expect("memory");
        }
        let well = Being::Found(Outcome::Passed);
        let being = self.beings.get(&checker.ip).unwrap_or(&well).clone();
        match (being, misc) {
            (Being::Slow, _) => self.hanging.push(id),
            (Being::Found(Outcome::Passed), true) => {
                self.happen(Event::Ended(id, track::Outcome::Passed, Box::default()));
            }
            (Being::Found(_), true) => {
                self.happen(Event::Ended(id, track::Outcome::Status(1), Box::default()));
            }
            (Being::Found(outcome), false) => self.happen(Event::Outcome(id, outcome)),
            (Being::Ends(outcome), true) => self.happen(Event::Ended(id, outcome, Box::default())),
            (Being::Ends(_), false) => self.happen(Event::Outcome(id, Outcome::Passed)),
        }
    }

    fn state(&mut self) {
        let engine = self.engine.as_ref().expect("started");
        for pool in engine.pools() {
            let quorum = if pool.has_quorum() { "up" } else { "down" };
            writeln!(
                self.text,
                "<   {} {quorum}, weight {}",
                pool.name(),
                pool.weight()
            )
            .expect("memory");
            for server in pool.servers() {
                let up = if server.is_up() { "up" } else { "down" };
                let since = seconds(server.since());
                let name = pool.server_name(server);
                write!(self.text, "<     {name} {up} since {since}").expect("memory");
                let probes = server.probes().iter().filter_map(|id| engine.probe(*id));
                for failure in probes.filter_map(|probe| probe.failure()) {
                    let at = seconds(failure.at);
                    write!(self.text, "; at {at} {}", failure.cause).expect("memory");
                }
                writeln!(self.text).expect("memory");
            }
        }
    }
}

fn read(config: &str, place: &str) -> Model {
    let mut files = Memory::new();
    files.insert("pool.conf", config);
    let loaded = load_from(&files, Path::new("pool.conf"), &Options::default()).expect(place);
    assert!(
        !loaded.diags.has_errors(),
        "{place}: {}",
        loaded.findings().map(|f| f.to_string()).collect::<String>()
    );
    loaded.model
}

/// The members that the kernel's table gets.
fn table(engine: &Engine, id: PoolId) -> String {
    let pool = engine.pool(id).expect("a pool");
    let members: Vec<String> = pool
        .members()
        .map(|member| format!("{}:{} weight {}", member.ip, member.port, member.weight))
        .collect();
    let members = if members.is_empty() {
        "empty".to_owned()
    } else {
        members.join(", ")
    };
    format!("table {} = {members}", pool.name())
}

fn told(engine: &Engine, notice: Notice) -> String {
    let up = |up| if up { "UP" } else { "DOWN" };
    let server = |id: ServerId| {
        let pool: &Pool = engine.pool(id.pool).expect("a pool");
        let server = engine.server(id).expect("a server");
        format!("{} of {}", pool.server_name(server), pool.name())
    };
    match notice {
        Notice::Server(id, is) => format!("tell server {} {}", server(id), up(is)),
        Notice::Check {
            server: id,
            up: is,
            turned,
            ..
        } => {
            let turned = if turned { "" } else { ", the server stays" };
            let result = if is { "passes" } else { "fails" };
            format!("mail about {}: check {result}{turned}", server(id))
        }
        Notice::Quorum { pool, up: is, why } => {
            let why = match why {
                Why::Starting => " (starting)",
                Why::Changed => "",
                Why::Stopping => " (stopping)",
            };
            let pool = engine.pool(pool).expect("a pool");
            format!("tell quorum of {} {}{why}", pool.name(), up(is))
        }
        Notice::Removed {
            server: id,
            stopping,
        } => {
            let why = if stopping { " (stopping)" } else { "" };
            format!("tell server {} removed{why}", server(id))
        }
    }
}

fn instant(text: &str) -> Instant {
    let seconds: f64 = text.parse().expect("seconds");
    Instant((seconds * 1_000_000.0).round() as u64)
}

fn seconds(at: Instant) -> String {
    let text = Duration::from_micros(at.0).as_secs_f64();
    format!("{}", (text * 1000.0).round() / 1000.0)
}
