//! What an operator sees in the middle of a scenario, and the trackers that screens tell of.

use core::time::Duration;

use keepalite::console::clock::Clock;
use keepalite::console::events::Events;
use keepalite::console::paint::{Paint, wrap};
use keepalite::console::vrrp::{
    Happening, Subject, Tracker, View, explain::explain, overview::overview, whole::whole,
};
use keepalite::model::{Model, ProcessTracker, ScriptTracker};
use keepalite::time::{Instant, micros_of};
use keepalite::track::{Order, Outcome, Quorum, Script};
use keepalite::vrrp::{Action, Engine, Event, Reading, Tracked, TrackerKind};

use super::Player;

/// Nov 27 19:04:20: what the clock on the wall shows at second 0.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_795_806_260);

/// The two sizes that every screen is looked at in.
pub(crate) const WIDE: usize = 80;
pub(crate) const NARROW: usize = 40;

/// The clock of a scenario.
pub(crate) fn clock(now: Instant) -> Clock {
    Clock {
        now,
        wall: BEGIN + now.since(Instant(0)),
        ahead: 0,
    }
}

/// What is watched, and what has happened.
#[derive(Default)]
pub(super) struct Watch {
    scripts: Vec<(ScriptTracker, Script)>,
    files: Vec<(String, String, Option<i64>, Option<Instant>)>,
    processes: Vec<(ProcessTracker, Quorum)>,
    lately: Events<Subject, Happening>,
}

impl Watch {
    pub(super) fn start(model: &Model) -> Self {
        let scripts = model.scripts.iter();
        let files = model.files.iter();
        let processes = model.processes.iter();
        Self {
            scripts: scripts
                .map(|config| (config.clone(), Script::new(config, Instant(0))))
                .collect(),
            files: files
                .map(|file| (file.name.clone(), file.path.clone(), None, None))
                .collect(),
            processes: processes
                .map(|config| (config.clone(), Quorum::new(config)))
                .collect(),
            lately: Events::default(),
        }
    }

    pub(super) fn note(&mut self, actions: &[Action], now: Instant) {
        for action in actions {
            if let Action::Say { id, note } = *action {
                self.lately
                    .push(now, Subject::Router(id), Happening::Note(note));
            }
        }
    }

    fn show(
        &self,
        engine: &Engine,
        now: Instant,
        show: impl FnOnce(&View<'_>) -> String,
    ) -> String {
        let scripts = self.scripts.iter().map(|(config, script)| Tracker::Script {
            config,
            script: script.clone(),
        });
        let files = self.files.iter();
        let files = files.map(|(name, path, value, changed)| Tracker::File {
            name,
            path: path.as_ref(),
            value: *value,
            changed: *changed,
        });
        let processes = self.processes.iter();
        let processes = processes.map(|(config, quorum)| Tracker::Process { config, quorum });
        let trackers: Vec<_> = scripts.chain(files).chain(processes).collect();
        show(&View {
            engine,
            trackers: &trackers,
            events: &self.lately,
            clock: clock(now),
        })
    }
}

impl Player {
    /// A screen of this width: everything, or what has a name.
    pub(super) fn screen(&mut self, width: usize, name: &str, place: &str) {
        let paint = Paint {
            width,
            colour: false,
        };
        self.show(width, |view| match name {
            "" => overview(view, paint),
            name => whole(view, name, paint).expect(place),
        });
    }

    pub(super) fn explain(&mut self, name: &str, place: &str) {
        self.show(WIDE, |view| {
            let said = explain(view, name).expect(place);
            let lines = said.iter().flat_map(|text| wrap(text, WIDE));
            lines.flat_map(|line| [line, "\n"]).collect()
        });
    }

    fn show(&mut self, width: usize, show: impl FnOnce(&View<'_>) -> String) {
        let engine = self.engine.as_ref().expect("started");
        let screen = self.watch.show(engine, self.now, show);
        self.text.push_str(&quoted(&screen, width));
    }

    /// A script has run: `NAME passed|timeout|STATUS SECONDS`.
    pub(super) fn ran(&mut self, rest: &str, place: &str) {
        let [name, outcome, took] = words(rest, place);
        let (now, took) = (
            self.now,
            Duration::from_micros(micros_of(took).expect(place)),
        );
        let outcome = match outcome {
            "passed" => Outcome::Passed,
            "timeout" => Outcome::TimedOut,
            status => Outcome::Status(status.parse().expect(place)),
        };
        let mut scripts = self.watch.scripts.iter_mut();
        let (_, script) = scripts.find(|(c, _)| c.name == name).expect(place);
        let before = script.verdict();
        assert_eq!(script.tick(now - took), Some(Order::Start), "{place}");
        script.ended(outcome, now);
        let after = script.verdict();
        if let Some(up) = after.filter(|_| before != after) {
            self.found(TrackerKind::Script, name, verdict(up), Some(outcome));
        }
    }

    /// So many processes are there: `NAME NUMBER`.
    pub(super) fn counted(&mut self, rest: &str, place: &str) {
        let [name, count] = words(rest, place);
        let mut processes = self.watch.processes.iter_mut();
        let (_, quorum) = processes.find(|(c, _)| c.name == name).expect(place);
        let before = quorum.verdict();
        quorum.count(count.parse().expect(place), self.now);
        let after = quorum.verdict();
        if let Some(up) = after.filter(|_| before != after) {
            self.found(TrackerKind::Process, name, verdict(up), None);
        }
    }

    /// A file holds a number: `NAME NUMBER`.
    pub(super) fn read(&mut self, rest: &str, place: &str) {
        let [name, number] = words(rest, place);
        let number = number.parse().expect(place);
        let mut files = self.watch.files.iter_mut();
        let file = files.find(|file| file.0 == name).expect(place);
        (file.2, file.3) = (Some(number), Some(self.now));
        self.found(TrackerKind::File, name, Reading::Value(number), None);
    }

    fn found(&mut self, kind: TrackerKind, name: &str, reading: Reading, outcome: Option<Outcome>) {
        self.watch.lately.push(
            self.now,
            Subject::Tracker(kind, name.into()),
            Happening::Reads(reading, outcome),
        );
        self.happen(Event::Tracked(Tracked {
            kind,
            name,
            reading,
        }));
    }
}

const fn verdict(up: bool) -> Reading {
    if up { Reading::Up } else { Reading::Down }
}

fn words<'a, const N: usize>(rest: &'a str, place: &str) -> [&'a str; N] {
    let words: Vec<_> = rest.split(' ').collect();
    words.try_into().expect(place)
}

/// A screen as a file of tests has it.
pub(crate) fn quoted(screen: &str, width: usize) -> String {
    let widest = screen.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(width), "wider than {width}:\n{screen}");
    let lines = screen.lines().map(|line| format!("< {line}"));
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}
