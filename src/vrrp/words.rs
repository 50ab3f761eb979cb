//! Events and actions in words, a line each: the language of recordings and of the scenario files in `tests/scenario`.

use core::fmt;
use core::net::IpAddr;

use super::{Action, Engine, Event, Reading, TrackerKind};

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("wake"),
            Self::Datagram(datagram) => {
                let (from, to) = (datagram.source, datagram.destination);
                let (on, ttl) = (datagram.ifindex, datagram.hops);
                write!(f, "bytes on {on} from {from} to {to} ttl {ttl}")?;
                if !datagram.header.is_empty() {
                    write!(f, " header {}", Hex(datagram.header))?;
                }
                write!(f, " payload {}", Hex(datagram.payload))
            }
            Self::Interface(interface) => {
                let name = interface.name;
                let Some(index) = interface.index else {
                    return write!(f, "interface {name} gone");
                };
                let state = if interface.up { "up" } else { "down" };
                write!(f, "interface {name} {state} index {index}")?;
                let addresses = [interface.v4.map(IpAddr::V4), interface.v6.map(IpAddr::V6)];
                let mut addresses = addresses.iter().flatten();
                addresses.try_for_each(|address| write!(f, " {address}"))
            }
            Self::Tracked(tracked) => {
                let kind = match tracked.kind {
                    TrackerKind::Script => "script",
                    TrackerKind::File => "file",
                    TrackerKind::Process => "process",
                    TrackerKind::Statics => "statics",
                };
                write!(f, "tracked {kind} {} ", tracked.name)?;
                match tracked.reading {
                    Reading::Up => f.write_str("up"),
                    Reading::Down => f.write_str("down"),
                    Reading::Value(value) => write!(f, "{value}"),
                }
            }
            Self::Source { address, here } => {
                let state = if *here { "here" } else { "gone" };
                write!(f, "source {address} {state}")
            }
            Self::Stop => f.write_str("stop"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advertise { priority, .. } => write!(f, "advertise priority {priority}"),
            Self::Acquire(_) => f.write_str("acquire"),
            Self::Release(_) => f.write_str("release"),
            Self::Announce { repeat, .. } => write!(f, "announce {repeat} times"),
            Self::AnnounceElsewhere(_) => f.write_str("announce elsewhere"),
            Self::AnnounceSource(_) => f.write_str("announce its source"),
            Self::Notify {
                state, priority, ..
            } => write!(f, "notify {state} {priority}"),
            Self::NotifyGroup { state, .. } => write!(f, "notify group {state}"),
            Self::Say { note, .. } => {
                let level = match note.level() {
                    log::Level::Error => "error",
                    log::Level::Warn => "warn",
                    _ => "info",
                };
                write!(f, "{level}: {note}")
            }
            Self::SayStranger(stranger) => write!(f, "info: {stranger}"),
        }
    }
}

impl Engine {
    /// The virtual router or the sync group that an action of this engine is about.
    #[must_use]
    pub fn whose(&self, action: &Action) -> Option<&str> {
        match *action {
            Action::Advertise { id, .. }
            | Action::Acquire(id)
            | Action::Release(id)
            | Action::Announce { id, .. }
            | Action::AnnounceElsewhere(id)
            | Action::AnnounceSource(id)
            | Action::Notify { id, .. }
            | Action::Say { id, .. } => self.get(id).map(|instance| &*instance.config().name),
            Action::NotifyGroup { group, .. } => self.group(group).map(|g| &*g.config().name),
            Action::SayStranger(_) => None,
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
