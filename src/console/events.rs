//! What has happened lately.

use core::fmt::{self, Display};

use heapless::HistoryBuf;

use super::clock::Clock;
use super::json::Json;
use super::paint::{Paint, Table};
use crate::time::{Instant, Seconds};

/// So many are kept.
const KEPT: usize = 64;

/// The last things that happened, each about an `A`; the oldest is overwritten by the newest.
#[derive(Debug)]
pub struct Events<A, W>(HistoryBuf<Event<A, W>, KEPT>);

#[derive(Debug)]
struct Event<A, W> {
    at: Instant,
    about: A,
    what: W,
}

impl<A, W> Default for Events<A, W> {
    fn default() -> Self {
        Self(HistoryBuf::new())
    }
}

impl<A: PartialEq, W: Display> Events<A, W> {
    /// Adds one.
    pub fn push(&mut self, at: Instant, about: A, what: W) {
        self.0.write(Event { at, about, what });
    }

    /// What has happened to one, oldest first.
    fn of(&self, about: &A) -> impl Iterator<Item = &Event<A, W>> {
        let events = self.0.oldest_ordered();
        events.filter(move |event| event.about == *about)
    }

    /// The same for programs.
    pub(super) fn write_json(&self, about: &A, clock: Clock, json: &mut Json<'_>) -> fmt::Result {
        json.array_of("events", |list| {
            self.of(about).try_for_each(|event| {
                list.object(|o| {
                    o.number("at", Seconds(clock.at(event.at)))?;
                    o.text("what", &event.what.to_string())
                })
            })
        })
    }

    /// Writes it below what else there is to see of it.
    pub(super) fn write(&self, about: &A, clock: Clock, paint: Paint, out: &mut String) {
        let mut table = Table::with_heads(&["LATELY", ""]);
        for event in self.of(about) {
            let date = clock.date(event.at).to_string();
            table.row([date.into(), event.what.to_string().into()]);
        }
        if !table.is_empty() {
            out.push('\n');
            table.write(paint, out);
        }
    }
}
