//! The health of real servers as a pure function of (state, event, now) → actions.
//!
//! - [`Engine`]: every virtual server with its real ones and their checks. The caller waits for exactly one thing, gives it to
//!   [`Engine::handle`], carries out every [`Action`] in order, asks for the next [`deadline`](Engine::deadline), and only then
//!   waits again.
//! - [`conversation`]: what one attempt of a check says and hears.
//!
//! What the caller has to keep to:
//!
//! - An [`Event::File`] for each `track_file` and an [`Event::Address`] for each address before [`Event::Start`], and
//!   whenever they change.
//! - One [`Event::Outcome`] or [`Event::Ended`] for every [`Action::Start`] that is not cancelled.
//! - A reload is [`Engine::depart`], whose actions are about pools and servers that go, then [`Engine::reload`].

pub mod conversation;
mod engine;
mod event;
mod note;
pub mod pages;
mod pool;
mod probe;
mod proto;
mod reload;
mod schedule;

pub use engine::Engine;
pub use event::{Action, Cause, Event, Notice, PoolId, ProbeId, ServerId, Why};
pub use note::{Note, Quorum, kind};
pub use pool::{Member, Pool, Server};
pub use probe::{Effect, Failure, Phase, Probe};
