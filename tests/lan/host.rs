//! A host of the LAN: an engine on a clock that drifts and leaps, on two interfaces that come and go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepalite::model::{self, Model};
use keepalite::name::IfName;
use keepalite::time::Instant;
use keepalite::vrrp::{
    Action, Datagram, Engine, Event, Id, Instance, Interface, Reading, Tracked, TrackerKind,
};

use crate::SECOND;
use crate::hearing::Heard;
use crate::made;
use crate::network::Frame;
use crate::plan::{LinkState, name};
use crate::rule::{Breach, Rule};
use crate::story::Story;
use crate::witness::Witness;

pub(crate) struct Host {
    pub(crate) number: u8,
    /// What it runs with; also while it is without power.
    pub(crate) model: Model,
    /// What the next reload finds changed, in the words of a scenario.
    changes: Vec<String>,
    /// `None` is without power.
    pub(crate) engine: Option<Engine>,
    pub(crate) witness: Option<Witness>,
    /// By VRID.
    ids: Vec<Option<Id>>,
    links: [(LinkState, u32); 2],
    names: [IfName; 2],
    readings: [Reading; 3],
    source_here: bool,
    /// How fast its clock goes, in millionths of a second per second, and how far it has leapt.
    clock: u64,
    leapt: u64,
    /// The process sleeps until then.
    pub(crate) asleep: u64,
    /// When it is to be woken.
    pub(crate) wakes_at: Option<u64>,
    pub(crate) deadline: Option<Instant>,
    /// What happens to it, where that is to be told.
    pub(crate) story: Option<Story>,
}

const KINDS: [(TrackerKind, &str); 3] = [
    (TrackerKind::Script, "s"),
    (TrackerKind::Process, "p"),
    (TrackerKind::File, "f"),
];
const WELL: [Reading; 3] = [Reading::Up, Reading::Up, Reading::Value(0)];

impl Host {
    pub(crate) fn new(number: u8, model: Model, clock: u64, story: Option<Story>) -> Self {
        Self {
            number,
            model,
            changes: Vec::new(),
            engine: None,
            witness: None,
            ids: Vec::new(),
            links: [(LinkState::Up, 1), (LinkState::Up, 2)],
            names: ["eth0", "eth1"].map(made::interface),
            readings: WELL,
            source_here: true,
            clock,
            leapt: 0,
            asleep: 0,
            wakes_at: None,
            deadline: None,
            story,
        }
    }

    pub(crate) const fn local(&self, at: u64) -> Instant {
        Instant((at as u128 * self.clock as u128 / SECOND as u128) as u64 + self.leapt)
    }

    pub(crate) const fn global(&self, at: Instant) -> u64 {
        let local = at.0.saturating_sub(self.leapt);
        (local as u128 * SECOND as u128).div_ceil(self.clock as u128) as u64
    }

    pub(crate) const fn leap(&mut self, by: u64) {
        self.leapt += by;
    }

    /// Whether it can send and receive on a segment.
    pub(crate) fn is_reachable(&self, segment: usize) -> bool {
        let carries = matches!(self.links[segment].0, LinkState::Up | LinkState::Bare);
        self.engine.is_some() && carries
    }

    /// Its virtual router of a VRID.
    pub(crate) fn instance(&self, vrid: usize) -> Option<&Instance> {
        let id = self.id(vrid)?;
        self.engine.as_ref()?.get(id)
    }

    pub(crate) fn id(&self, vrid: usize) -> Option<Id> {
        self.ids.get(vrid).copied().flatten()
    }

    fn number_them(&mut self) {
        self.ids.clear();
        let engine = self.engine.iter();
        for (id, instance) in engine.flat_map(Engine::iter) {
            let vrid = usize::from(instance.config().vrid.get()) - 1;
            self.ids.resize(self.ids.len().max(vrid + 1), None);
            self.ids[vrid] = Some(id);
        }
    }

    /// Switches it on; the actions of its start follow from what it is then told.
    pub(crate) fn start(&mut self, at: u64) {
        let now = self.local(at);
        self.engine = Some(Engine::new(&self.model, now));
        self.witness = Some(Witness::new(&self.model, now));
        if let Some(story) = &mut self.story {
            story.begin(&self.changes, now);
        }
        self.changes.clear();
        self.number_them();
    }

    /// Without a word.
    pub(crate) fn cut(&mut self) {
        self.engine = None;
        self.witness = None;
        self.ids.clear();
        self.asleep = 0;
        self.wakes_at = None;
        self.deadline = None;
    }

    /// Gives an event to the engine, under the eyes of the witness.
    pub(crate) fn hear(
        &mut self,
        event: Event<'_>,
        at: u64,
        out: &mut Vec<Action>,
    ) -> Result<(), Breach> {
        let now = self.local(at);
        let (Some(engine), Some(witness)) = (&mut self.engine, &mut self.witness) else {
            return Ok(());
        };
        if let Some(story) = &mut self.story {
            story.event(&event, engine, now);
        }
        let first = out.len();
        engine.handle(event, now, out);
        if let Some(story) = &mut self.story {
            story.answer(engine, &self.model, &out[first..], now);
        }
        witness.saw(&event, engine, now, &out[first..])
    }

    /// The same for a frame.
    pub(crate) fn receive(
        &mut self,
        frame: &Frame,
        segment: usize,
        at: u64,
        out: &mut Vec<Action>,
    ) -> Result<(), Breach> {
        let now = self.local(at);
        let id = self.id(frame.vrid);
        let ifindex = self.links[segment].1;
        let (Some(engine), Some(witness)) = (&mut self.engine, &mut self.witness) else {
            return Ok(());
        };
        let datagram = Datagram {
            ifindex,
            source: frame.source,
            destination: frame.destination,
            hops: 255,
            header: frame.header(),
            payload: frame.payload(),
        };
        let event = Event::Datagram(datagram);
        let addressee = id.and_then(|id| engine.get(id));
        if let Some(story) = &mut self.story {
            story.datagram(&datagram, addressee, engine, now);
        }
        let before =
            addressee.map(|i| Heard::before(i, frame.source, frame.priority, frame.interval));
        let first = out.len();
        engine.handle(event, now, out);
        if let Some(story) = &mut self.story {
            story.answer(engine, &self.model, &out[first..], now);
        }
        witness.saw(&event, engine, now, &out[first..])?;
        before.map_or(Ok(()), |before| witness.heard(before, engine, now))
    }

    /// Wakes it a little too early, which does nothing, and then in time.
    pub(crate) fn wake(&mut self, at: u64, out: &mut Vec<Action>) -> Result<(), Breach> {
        const EARLY: u64 = 2_500;
        let now = self.local(at);
        if let (Some(engine), None) = (&mut self.engine, &self.story) {
            let early = Instant(now.0.saturating_sub(EARLY));
            if engine.deadline().is_some_and(|due| early < due) {
                engine.handle(Event::Deadline, early, out);
                if !out.is_empty() {
                    let text = format!("woken too early it did {out:?}");
                    let rule = Rule::Rest;
                    return Err(Breach { rule, text });
                }
            }
        }
        self.hear(Event::Deadline, at, out)
    }

    /// Sets how an interface is, without telling.
    pub(crate) fn set_link(&mut self, segment: usize, state: LinkState) -> bool {
        std::mem::replace(&mut self.links[segment].0, state) != state
    }

    pub(crate) const fn renew_link(&mut self, segment: usize) {
        self.links[segment].1 += 10;
    }

    pub(crate) fn tell_link(
        &mut self,
        segment: usize,
        at: u64,
        out: &mut Vec<Action>,
    ) -> Result<(), Breach> {
        let (state, index) = self.links[segment];
        let name = self.names[segment].clone();
        let addressed = matches!(state, LinkState::Up | LinkState::Down);
        let v4 = Ipv4Addr::new(10, segment as u8, 0, self.number);
        let v6 = Ipv6Addr::new(
            0xfe80,
            0,
            0,
            0,
            0,
            0,
            segment as u16,
            u16::from(self.number),
        );
        let interface = Interface {
            name: &name,
            index: (state != LinkState::Gone).then_some(index),
            up: matches!(state, LinkState::Up | LinkState::Bare),
            v4: addressed.then_some(v4),
            v6: addressed.then_some(v6),
        };
        self.hear(Event::Interface(interface), at, out)
    }

    pub(crate) fn set_reading(&mut self, kind: TrackerKind, reading: Reading) {
        let mut all = KINDS.iter().zip(&mut self.readings);
        if let Some((_, slot)) = all.find(|((known, _), _)| *known == kind) {
            *slot = reading;
        }
    }

    pub(crate) fn mend(&mut self) {
        self.readings = WELL;
    }

    pub(crate) fn tell_readings(&mut self, at: u64, out: &mut Vec<Action>) -> Result<(), Breach> {
        for ((kind, name), reading) in KINDS.into_iter().zip(self.readings) {
            let tracked = Tracked {
                kind,
                name,
                reading,
            };
            self.hear(Event::Tracked(tracked), at, out)?;
        }
        Ok(())
    }

    pub(crate) const fn set_source(&mut self, here: bool) {
        self.source_here = here;
    }

    /// Tells whether it has the addresses that adverts were asked to come from.
    pub(crate) fn tell_sources(&mut self, at: u64, out: &mut Vec<Action>) -> Result<(), Breach> {
        let configs = self.model.instances.iter().filter(|i| i.track_source);
        let sources: Vec<IpAddr> = configs.filter_map(|i| i.source).collect();
        let here = self.source_here;
        for address in sources {
            self.hear(Event::Source { address, here }, at, out)?;
        }
        Ok(())
    }

    /// Changes a line of a VRID in its configuration, or in all of its sync group.
    pub(crate) fn configure(&mut self, vrid: usize, line: &str) {
        let all = !self.model.groups.is_empty()
            && (line.starts_with("priority") || line.starts_with("preempt"));
        for instance in self
            .model
            .instances
            .iter_mut()
            .filter(|i| all || is(i, vrid))
        {
            made::set(instance, line);
            self.changes
                .push(format!("configure {} {line}", instance.name));
        }
    }

    pub(crate) fn remove(&mut self, vrid: usize) {
        let instances = &mut self.model.instances;
        let found = instances.iter().position(|i| is(i, vrid));
        if let Some(at) = found.filter(|_| instances.len() > 1) {
            let removed = instances.remove(at);
            self.changes.push(format!("remove {}", removed.name));
        }
    }

    /// Puts a virtual router back that was removed, with these lines.
    pub(crate) fn restore(&mut self, vrid: usize, lines: &[String]) {
        if lines.is_empty() || self.model.instances.iter().any(|i| is(i, vrid)) {
            return;
        }
        let name = name(vrid);
        let mut instance = made::instance(&name);
        self.changes.push(format!("add {name}"));
        for line in lines {
            made::set(&mut instance, line);
            self.changes.push(format!("configure {name} {line}"));
        }
        self.model.instances.push(instance);
    }

    pub(crate) fn rename(&mut self, vrid: usize) {
        if let Some(instance) = self.model.instances.iter_mut().find(|i| is(i, vrid)) {
            let old = instance.name.clone();
            instance.name.push('_');
            self.changes.push(format!("rename {old} {}", instance.name));
        }
    }

    pub(crate) fn reload(&mut self, at: u64, out: &mut Vec<Action>) -> Result<(), Breach> {
        let now = self.local(at);
        let (Some(engine), Some(witness)) = (&mut self.engine, &mut self.witness) else {
            return Ok(());
        };
        if let Some(story) = &mut self.story {
            story.reload(&self.changes, engine, now);
        }
        self.changes.clear();
        let first = out.len();
        engine.reload(&self.model, now, out);
        if let Some(story) = &mut self.story {
            story.answer(engine, &self.model, &out[first..], now);
        }
        witness.saw_reload(&self.model, engine, now, &out[first..])
    }

    /// After the actions of a reload have been carried out.
    pub(crate) fn reloaded(&mut self) {
        self.engine.iter_mut().for_each(Engine::forget_removed);
        self.number_them();
    }
}

fn is(instance: &model::Instance, vrid: usize) -> bool {
    usize::from(instance.vrid.get()) == vrid + 1
}
