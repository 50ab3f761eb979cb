//! What an operator sees in the middle of a story.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use keepalite::check::{Engine, Note};
use keepalite::console::clock::Clock;
use keepalite::console::events::Events;
use keepalite::console::lvs::{
    Connections, View, event, explain::explain, overview::overview, overview::whole,
};
use keepalite::console::paint::{Paint, wrap};
use keepalite::time::Instant;

use super::Story;

/// Nov 27 19:04:20: what the clock on the wall shows at second 0.
const BEGIN: Duration = Duration::from_secs(1_795_806_260);

/// What is kept for whoever asks.
#[derive(Default)]
pub(super) struct Operator {
    lately: Events<String, String>,
    connections: BTreeMap<IpAddr, Connections>,
}

impl Operator {
    pub(super) fn note(&mut self, engine: &Engine, note: Note, now: Instant) {
        let (pool, text) = event(engine, note).expect("it is there");
        self.lately.push(now, pool, text);
    }

    pub(super) fn uses(&mut self, server: &str, counts: &[&str]) {
        let ip = server.parse().expect("an address");
        let count = |at: usize| counts[at].parse().expect("a number");
        let connections = Connections {
            active: count(0),
            inactive: count(1),
            total: count(2).into(),
        };
        self.connections.insert(ip, connections);
    }
}

impl Story {
    pub(super) fn screen(&mut self, width: usize, name: &str) {
        let paint = Paint {
            width,
            colour: false,
        };
        self.show(width, |view| match name {
            "" => overview(view, paint),
            name => whole(view, name, paint).expect("it has this name"),
        });
    }

    pub(super) fn explain(&mut self, name: &str) {
        self.show(80, |view| {
            let said = explain(view, name).expect("it has this name");
            let lines = said.iter().flat_map(|text| wrap(text, 80));
            lines.flat_map(|line| [line, "\n"]).collect()
        });
    }

    fn show(&mut self, width: usize, show: impl FnOnce(&View<'_>) -> String) {
        let engine = self.engine.as_ref().expect("started");
        let known = &self.operator.connections;
        let servers = engine.pools().iter().map(|pool| pool.servers());
        let connections: Vec<Vec<_>> = servers
            .map(|all| {
                all.iter()
                    .map(|s| known.get(&s.config().ip).copied())
                    .collect()
            })
            .collect();
        let screen = show(&View {
            engine,
            connections: &connections,
            events: &self.operator.lately,
            is_balancing: true,
            clock: Clock {
                now: self.now,
                wall: BEGIN + self.now.since(Instant(0)),
                ahead: 0,
            },
        });
        for line in screen.lines() {
            let wide = line.chars().count();
            assert!(wide <= width, "{wide} columns: {line}");
            self.text.push_str(format!("< {line}").trim_end());
            self.text.push('\n');
        }
    }
}
