//! What an engine has been told of its host, and what that means for a virtual router: reckoned here anew from keepalived's
//! documentation, so that the engine's own reckoning has something to be held against.

use std::net::IpAddr;

use keepalite::model::{Instance, Model, Peering, Tracking, Weight};
use keepalite::name::{Family, IfName, OWNER};
use keepalite::time::Instant;
use keepalite::vrrp::{Event, Interface, Reading, TrackerKind};

#[derive(Debug)]
pub(crate) struct World {
    links: Vec<Link>,
    trackers: Vec<Tracker>,
    gone: Vec<IpAddr>,
    /// When `vrrp_startup_delay` ends, while it lasts.
    starts_at: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    name: IfName,
    exists: bool,
    up: bool,
    v4: bool,
    v6: bool,
}

#[derive(Debug)]
struct Tracker {
    kind: TrackerKind,
    name: String,
    weight: Weight,
    reading: Option<Reading>,
}

/// What the world means for a virtual router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Everything that may be a fault has been told of.
    pub(crate) known: bool,
    /// It cannot run.
    pub(crate) faulty: bool,
    weights: i64,
}

impl World {
    pub(crate) fn new(model: &Model, now: Instant) -> Self {
        let delay = model.global.startup_delay;
        let mut world = Self {
            links: Vec::new(),
            trackers: Vec::new(),
            gone: Vec::new(),
            starts_at: (!delay.is_zero()).then(|| now + delay),
        };
        world.reload(model);
        world
    }

    /// Another configuration: what was read under a name that is still there counts on.
    pub(crate) fn reload(&mut self, model: &Model) {
        let old = std::mem::take(&mut self.trackers);
        let scripts = model.scripts.iter();
        let scripts = scripts.map(|t| (TrackerKind::Script, &t.name, t.weight));
        let files = model.files.iter();
        let files = files.map(|t| (TrackerKind::File, &t.name, t.weight));
        let processes = model.processes.iter();
        let processes = processes.map(|t| (TrackerKind::Process, &t.name, t.weight));
        for (kind, name, weight) in scripts.chain(files).chain(processes) {
            let before = old.iter().find(|t| t.kind == kind && t.name == *name);
            self.trackers.push(Tracker {
                kind,
                name: name.clone(),
                weight,
                reading: before.and_then(|t| t.reading),
            });
        }
    }

    /// Whether nobody may start yet.
    pub(crate) const fn is_starting(&self) -> bool {
        self.starts_at.is_some()
    }

    pub(crate) fn learn(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Deadline => {
                self.starts_at.take_if(|at| *at <= now);
            }
            Event::Interface(interface) => self.see(interface),
            Event::Tracked(tracked) => {
                let mut all = self.trackers.iter_mut();
                let known = all.find(|t| t.kind == tracked.kind && t.name == tracked.name);
                if let Some(tracker) = known {
                    tracker.reading = Some(tracked.reading);
                }
            }
            Event::Source { address, here } => {
                self.gone.retain(|gone| gone != address);
                if !here {
                    self.gone.push(*address);
                }
            }
            Event::Datagram(_) | Event::Stop => {}
        }
    }

    fn see(&mut self, interface: &Interface<'_>) {
        let exists = interface.index.is_some();
        self.links.retain(|link| link.name != *interface.name);
        self.links.push(Link {
            name: interface.name.clone(),
            exists,
            up: exists && interface.up,
            v4: exists && interface.v4.is_some(),
            v6: exists && interface.v6.is_some(),
        });
    }

    fn link(&self, name: &IfName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    /// What is known means this for a virtual router that also tracks what its group does; `None` before its own interface has
    /// been told of.
    pub(crate) fn verdict(&self, config: &Instance, group: Option<&Tracking>) -> Option<Verdict> {
        let own = self.link(&config.interface)?;
        let addressed = match config.family {
            Family::V4 => own.v4,
            Family::V6 => own.v6,
        };
        let lonely = matches!(
            &config.peering,
            Peering::Unicast { peers, fault_without_peer: true, .. } if peers.is_empty()
        );
        let sourceless = match config.source {
            Some(source) => config.track_source && self.gone.contains(&source),
            None => !addressed,
        };
        let mut verdict = Verdict {
            known: !self.is_starting(),
            faulty: !own.exists || (config.track_primary && !own.up) || sourceless || lonely,
            weights: 0,
        };
        for tracking in [Some(&config.tracking), group].into_iter().flatten() {
            for (name, weight) in &tracking.interfaces {
                match self.link(name) {
                    Some(link) => verdict.add(*weight, link.up),
                    None => verdict.known = false,
                }
            }
            let lists = [
                (TrackerKind::Script, &tracking.scripts),
                (TrackerKind::File, &tracking.files),
                (TrackerKind::Process, &tracking.processes),
            ];
            for (kind, list) in lists {
                for (name, weight) in list {
                    let mut all = self.trackers.iter();
                    if let Some(tracker) = all.find(|t| t.kind == kind && t.name == *name) {
                        let weight = weight.unwrap_or(tracker.weight);
                        verdict.track(weight, tracker.reading);
                    }
                }
            }
        }
        Some(verdict)
    }
}

impl Verdict {
    fn track(&mut self, weight: Weight, reading: Option<Reading>) {
        match reading {
            None => self.known &= weight.value != 0,
            Some(Reading::Up) => self.add(weight, true),
            Some(Reading::Down) => self.add(weight, false),
            Some(Reading::Value(value)) => self.add_value(weight, value),
        }
    }

    /// Weight zero: a fault while down. A positive one counts while up, a negative one while down. `reverse` takes the other
    /// sign, or of a fault the other state.
    fn add(&mut self, weight: Weight, up: bool) {
        let value = i64::from(weight.value);
        if value == 0 {
            self.faulty |= up == weight.reverse;
        } else if (value > 0) == up {
            self.weights += if weight.reverse { -value } else { value };
        }
    }

    /// A file: its number times the weight, a fault from -254 downwards; with weight zero any number but zero is one.
    fn add_value(&mut self, weight: Weight, value: i64) {
        if weight.value == 0 {
            self.faulty |= (value != 0) != weight.reverse;
            return;
        }
        let sign = if weight.reverse { -1 } else { 1 };
        let product = i128::from(value) * i128::from(weight.value) * sign;
        match product {
            ..=-254 => self.faulty = true,
            254.. => self.weights += 253,
            _ => self.weights += product as i64,
        }
    }

    /// The priority that this makes of the configured one.
    pub(crate) fn priority(&self, config: &Instance) -> u8 {
        match config.priority {
            OWNER => OWNER,
            base => (i64::from(base) + self.weights).clamp(1, 254) as u8,
        }
    }
}
