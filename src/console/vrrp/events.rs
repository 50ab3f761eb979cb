//! What has happened lately.

use heapless::HistoryBuf;

use crate::time::Instant;
use crate::vrrp::{Id, Note};

/// So many are kept.
const KEPT: usize = 64;

/// The last things that were said about virtual routers, the oldest overwritten by the newest.
#[derive(Debug, Default)]
pub struct Events(HistoryBuf<Event, KEPT>);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// To whom.
    pub id: Id,
    /// What.
    pub note: Note,
}

impl Events {
    /// Adds one.
    pub fn push(&mut self, at: Instant, id: Id, note: Note) {
        self.0.write(Event { at, id, note });
    }

    /// Those of one virtual router, oldest first.
    pub fn of(&self, id: Id) -> impl Iterator<Item = &Event> {
        self.0.oldest_ordered().filter(move |event| event.id == id)
    }
}
