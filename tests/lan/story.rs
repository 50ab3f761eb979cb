//! What happened to one host, in the words of a scenario file.

use std::fmt::Write as _;

use keepalite::model::Model;
use keepalite::name::Version;
use keepalite::time::{Instant, Seconds};
use keepalite::vrrp::{Action, Datagram, Engine, Event, Instance};
use keepalite::wire::Checksum;
use keepalite::wire::ah::AuthenticationHeader;
use keepalite::wire::vrrp::Advert;

use crate::play;

#[derive(Clone, Debug)]
struct Step {
    line: String,
    /// It is woken, exactly when it asked to be.
    in_time: bool,
}

/// A scenario that is being written, of one life of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// The configuration that this life began with, and the one with all reloads since.
    head: Vec<String>,
    latest: Vec<String>,
    steps: Vec<Step>,
    /// Whether it was always woken in time, so that nobody has to be told when.
    punctual: bool,
    answers: String,
    /// Whether answers tell whom they are about, as the player has it.
    names: bool,
    began: Instant,
}

impl Story {
    pub(crate) fn new(head: Vec<String>) -> Self {
        Self {
            latest: head.clone(),
            head,
            steps: Vec::new(),
            punctual: true,
            answers: String::new(),
            names: false,
            began: Instant(0),
        }
    }

    /// An engine starts anew, with what was changed while there was none.
    pub(crate) fn begin(&mut self, changes: &[String], now: Instant) {
        changes
            .iter()
            .for_each(|line| change(&mut self.latest, line));
        self.head.clone_from(&self.latest);
        self.began = now;
        self.steps.clear();
        self.punctual = true;
        self.names = false;
        self.answers.clear();
    }

    fn step(&mut self, now: Instant, what: impl std::fmt::Display, engine: &Engine) {
        self.punctual &= engine.deadline().is_none_or(|due| due >= now);
        self.push(now, what, false);
    }

    fn push(&mut self, now: Instant, what: impl std::fmt::Display, in_time: bool) {
        let since = Seconds(now.since(self.began));
        let line = format!("> {since} {what}");
        self.steps.push(Step { line, in_time });
    }

    /// What it is told.
    pub(crate) fn event(&mut self, event: &Event<'_>, engine: &Engine, now: Instant) {
        match event {
            Event::Deadline => {
                let in_time = engine.deadline() == Some(now);
                self.punctual &= in_time;
                self.push(now, event, in_time);
            }
            _ => self.step(now, event, engine),
        }
    }

    pub(crate) fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        to: Option<&Instance>,
        engine: &Engine,
        now: Instant,
    ) {
        let words = to.and_then(|instance| words(datagram, instance));
        match words {
            Some(words) => self.step(now, words, engine),
            None => self.event(&Event::Datagram(*datagram), engine, now),
        }
    }

    pub(crate) fn reload(&mut self, changes: &[String], engine: &Engine, now: Instant) {
        for line in changes {
            self.step(now, line, engine);
            change(&mut self.latest, line);
        }
        self.step(now, "reload", engine);
    }

    /// What the engine has done.
    pub(crate) fn answer(
        &mut self,
        engine: &Engine,
        model: &Model,
        actions: &[Action],
        now: Instant,
    ) {
        self.names |= model.instances.len() > 1;
        let since = Seconds(now.since(self.began));
        for action in actions {
            let who = engine.whose(action).filter(|_| self.names);
            let who = who.map_or_else(String::new, |who| format!("{who}: "));
            writeln!(self.answers, "< {since} {who}{action}").expect("memory");
        }
    }

    pub(crate) fn answers(&self) -> &str {
        &self.answers
    }

    /// The file, with what an engine answers.
    pub(crate) fn told(&self, title: &str) -> String {
        let mut text = String::new();
        for line in title.lines() {
            let _ = writeln!(text, "# {line}");
        }
        if !self.punctual {
            text.push_str("recorded\n");
        }
        for line in &self.head {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        for step in &self.steps {
            if !(self.punctual && step.in_time) {
                let _ = writeln!(text, "{}", step.line);
            }
        }
        play::play(&text, "story")
    }
}

/// Makes a change that a scenario has as a step in the head of one.
fn change(head: &mut Vec<String>, step: &str) {
    let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
    let (name, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let title = format!("instance {name}");
    let end = head
        .iter()
        .position(|line| line.starts_with("group "))
        .unwrap_or(head.len());
    let begin = head.iter().position(|line| *line == title).unwrap_or(end);
    let next = head
        .iter()
        .skip(begin + 1)
        .position(|line| line.starts_with("instance "));
    let next = next.map_or(end, |at| begin + 1 + at);
    match word {
        "configure" => head.insert(next, more.to_owned()),
        "add" => head.insert(end, title),
        "remove" => drop(head.drain(begin..next)),
        _ => head[begin] = format!("instance {more}"),
    }
}

/// An advert that a router of the same VRID has sent, if these words say it all.
fn words(datagram: &Datagram<'_>, to: &Instance) -> Option<String> {
    let config = to.config();
    let sealed = datagram.header.get(9) == Some(&51);
    let seal = sealed.then(|| AuthenticationHeader::new_checked(datagram.payload));
    let seal = seal.transpose().ok()?;
    let message = seal
        .as_ref()
        .map_or(datagram.payload, |seal| seal.message());
    let advert = Advert::new_checked(message, config.family).ok()?;
    if advert.version() != config.version || sealed != to.key().is_some() {
        return None;
    }
    let mut words = format!("advert from {}", datagram.source);
    let _ = write!(words, " for {} priority {}", config.name, advert.priority());
    if advert.interval() != config.interval {
        let _ = write!(words, " advert_int {}", advert.interval());
    }
    if let Some(seal) = seal {
        let _ = write!(words, " sequence {}", seal.sequence());
    }
    let (source, destination) = (datagram.source, datagram.destination);
    if !destination.is_multicast() && to.source() != Some(destination) {
        let _ = write!(words, " to {destination}");
    }
    let proper = Checksum::pseudo_header(source, destination, message.len());
    if config.version == Version::V3 && advert.sum(proper) != 0 {
        words.push_str(" checksum plain");
    }
    let usual = config.interface.as_str().trim_start_matches("eth");
    if usual.parse() != Ok(datagram.ifindex - 1) {
        let _ = write!(words, " on {}", datagram.ifindex);
    }
    Some(words)
}
