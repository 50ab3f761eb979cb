//! Virtual servers and their real ones as an operator sees them.

pub mod explain;
pub mod machine;
pub mod metrics;
pub mod overview;

use core::fmt;

use super::clock::Clock;
use super::events::Events;
use super::paint::Colour;
use crate::check::{Engine, Note, Pool, Probe, Server, kind};
use crate::model::lvs::Forwarding;
use crate::time::Span;

/// What there is to look at, and when.
pub struct View<'a> {
    /// The virtual servers.
    pub engine: &'a Engine,
    /// How the kernel uses the real servers of each of them, in their order; none where it does not tell.
    pub connections: &'a [Vec<Option<Connections>>],
    /// What has happened to them lately, by their names.
    pub events: &'a Events<String, String>,
    /// Whether the kernel has IPVS.
    pub is_balancing: bool,
    /// The time of looking.
    pub clock: Clock,
}

/// Connections to a real server, by all that its virtual server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Established ones.
    pub active: u32,
    /// Those that are about to begin or have ended.
    pub inactive: u32,
    /// Those that have been scheduled since it was added.
    pub total: u64,
}

impl View<'_> {
    fn pools(&self, name: &str) -> impl Iterator<Item = (usize, &Pool)> {
        let all = self.engine.pools().iter().enumerate();
        all.filter(move |(_, pool)| is_called(pool, name))
    }

    fn connections(&self, pool: usize, server: usize) -> Option<Connections> {
        *self.connections.get(pool)?.get(server)?
    }

    fn probes<'a>(&'a self, server: &'a Server) -> impl Iterator<Item = &'a Probe> {
        let ids = server.probes().iter();
        ids.filter_map(|id| self.engine.probe(*id))
    }

    /// Everything that has a name, one on a line.
    #[must_use]
    pub fn names(&self) -> String {
        let names = self.engine.pools().iter().map(name);
        names.map(|name| name + "\n").collect()
    }
}

/// Its name for people: address and port, mark, or group.
fn name(pool: &Pool) -> String {
    use crate::model::lvs::Service;
    match &pool.config().service {
        Service::Address(ip, port) => core::net::SocketAddr::new(*ip, *port).to_string(),
        Service::Mark(mark) => format!("fwmark {mark}"),
        Service::Group(group) => group.clone(),
    }
}

/// What is kept of a note: whom it is about, and what the log says but for the virtual server's name.
#[must_use]
pub fn event(engine: &Engine, note: Note) -> Option<(String, String)> {
    let pool = engine.pool(note.pool())?;
    let mut text = engine.say(note).to_string();
    for word in ["of", "from", "to", "for"] {
        text = text.replace(&format!(" {word} VS {}", pool.name()), "");
    }
    Some((name(pool), text))
}

/// By the name that is shown, by its address alone, or as keepalived writes it.
fn is_called(pool: &Pool, wanted: &str) -> bool {
    let shown = name(pool);
    let bare = shown.rsplit_once(':').map_or(shown.as_str(), |(ip, _)| ip);
    wanted.is_empty() || shown == wanted || bare == wanted || pool.name().to_string() == wanted
}

const fn forwarding(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "NAT",
        Forwarding::Direct => "DR",
        Forwarding::Tunnel(..) => "TUN",
    }
}

/// The weight that the kernel has for a server.
const fn weight(pool: &Pool, server: &Server) -> u32 {
    if server.is_up() && !pool.is_sorry() {
        server.weight()
    } else {
        0
    }
}

fn state(pool: &Pool) -> (&'static str, Colour) {
    if pool.is_suspended() {
        ("resting", Colour::Blue)
    } else if pool.is_sorry() {
        ("sorry", Colour::Yellow)
    } else if !pool.has_quorum() {
        ("down", Colour::Red)
    } else if pool.servers().iter().all(Server::is_up) {
        ("up", Colour::Green)
    } else {
        ("up", Colour::Yellow)
    }
}

/// What is wrong with a server, or was last: `HTTP_GET fails since …: …`.
struct Health<'a>(&'a View<'a>, &'a Server);

impl fmt::Display for Health<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(view, server) = self;
        let mut between = "";
        for probe in view.probes(server) {
            let kind = kind(probe.checker());
            match (probe.is_known(), probe.failure()) {
                (false, None) => write!(f, "{between}{kind} has no result yet")?,
                (_, Some(failure)) if !probe.is_up() || probe.borne() > 0 => {
                    let ago = Span(view.clock.ago(failure.at));
                    write!(f, "{between}{kind}: {}, {ago} ago", failure.cause)?;
                }
                _ => continue,
            }
            between = "; ";
        }
        Ok(())
    }
}
