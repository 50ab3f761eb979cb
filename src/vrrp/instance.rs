//! One virtual router: its state machine.
//!
//! ```text
//!            interfaces known          silence for master_down          another is better
//!   ┌──────┐ ───────────────▶ ┌────────┐ ────────────────────▶ ┌────────┐
//!   │ Init │                  │ Backup │                       │ Master │
//!   └──────┘ ─┐          ┌──▶ └────────┘ ◀──────────────────── └────────┘
//!             │ fault    │ all is well │ fault                      │ fault
//!             └────────▶ ┌───────┐ ◀───┴────────────────────────────┘
//!                        │ Fault │
//!                        └───────┘
//! ```
//!
//! Each state owns exactly its timers, so that one that belongs to no state cannot be left running. RFC 9568 section 6.4
//! and keepalived's vrrp/vrrp.c and vrrp/vrrp_scheduler.c.

use core::net::IpAddr;
use core::time::Duration;

use super::announce::Schedule;
use super::receive::{self, Reading};
use super::track::{self, Faults};
use super::{Action, Datagram, Id, Note, State, Stats, Told};
use crate::model::vrrp::OldChecksum;
use crate::model::{self, Peering};
use crate::name::{Family, IfName, Ifindex, OWNER, Priority, RESIGN, Version};
use crate::time::{Centis, Instant};
use crate::wire::Checksum;
use crate::wire::vrrp::{Advert, AdvertRepr};

/// A virtual router that runs.
#[derive(Debug)]
pub struct Instance {
    id: Id,
    config: model::Instance,
    /// The advertised addresses as the wire wants them.
    advertised: Vec<IpAddr>,
    phase: Phase,
    since: Instant,
    pub(super) faults: Faults,
    /// Sum of the weights of what it tracks.
    pub(super) weights: i16,
    /// An owner that gave up claiming so, because another one insists.
    lowered: bool,
    pub(super) ifindex: Option<Ifindex>,
    /// The address that its interface offers as a source.
    pub(super) local: Option<IpAddr>,
    heard: Option<Heard>,
    said: Said,
    old_checksum: bool,
    stats: Stats,
}

/// A state and what means something in it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Init,
    Fault,
    Backup(Backup),
    Master(Master),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backup {
    /// When the master counts as down.
    down_at: Instant,
    /// The master's interval; ours until it is heard.
    interval: Centis,
    /// Until when a lower master is tolerated; absent while there is none.
    preempt_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Master {
    /// When the next advert is due.
    advert_at: Instant,
    announce: Schedule,
    /// Another one that claims to own the addresses.
    rival: Option<Rival>,
}

/// A conflict between two owners, from the side of the one with the higher address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rival {
    /// Until when the other may take to notice us.
    patience: Instant,
    /// After which silence it is another conflict.
    forget: Instant,
}

/// The last master that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its address.
    pub from: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// Its interval.
    pub interval: Centis,
    /// When its last advert came.
    pub at: Instant,
}

/// What can happen to a virtual router.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// All that it needs is there.
    Ready,
    /// Something that it needs is missing.
    Fault,
    /// Time has passed.
    Tick,
    /// A legal advert.
    Advert(Heard),
    /// The daemon stops, or a reload removed it.
    Stop(Told),
}

/// Which kinds of complaint have been made since state or master changed.
#[derive(Clone, Copy, Debug, Default)]
struct Said(u32);

impl Said {
    const INTERVAL: u8 = 16;
    const ADDRESSES: u8 = 17;
    const OTHER_CHECKSUM: u8 = 18;
    const OUR_ADDRESS: u8 = 19;
    const DISCARDING: u8 = 20;

    /// Whether this is the first time.
    const fn first(&mut self, kind: u8) -> bool {
        let bit = 1 << (kind & 31);
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

impl Instance {
    pub(super) fn new(id: Id, config: &model::Instance, now: Instant) -> Self {
        let mut instance = Self {
            id,
            config: config.clone(),
            advertised: Vec::new(),
            phase: Phase::Init,
            since: now,
            faults: Faults::default(),
            weights: 0,
            lowered: false,
            ifindex: None,
            local: None,
            heard: None,
            said: Said::default(),
            old_checksum: false,
            stats: Stats::default(),
        };
        instance.derive();
        instance
    }

    /// What is kept in another shape than the configuration has it.
    fn derive(&mut self) {
        self.advertised.clear();
        let addresses = self.config.addresses.iter().map(|address| address.ip);
        self.advertised.extend(addresses);
        self.old_checksum = matches!(
            self.config.peering,
            Peering::Unicast {
                old_checksum: OldChecksum::Always,
                ..
            }
        );
    }

    /// Its name among all of the engine.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// What was asked for.
    #[must_use]
    pub const fn config(&self) -> &model::Instance {
        &self.config
    }

    /// What it is.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Init => State::Init,
            Phase::Fault => State::Fault,
            Phase::Backup(_) => State::Backup,
            Phase::Master(_) => State::Master,
        }
    }

    /// Since when it is that.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Its effective priority.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match track::effective(self.config.priority, self.weights) {
            OWNER if self.lowered => OWNER - 1,
            priority => priority,
        }
    }

    /// The address that its adverts come from.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.config.source.or(self.local)
    }

    /// Its interface, while that exists.
    #[must_use]
    pub const fn ifindex(&self) -> Option<Ifindex> {
        self.ifindex
    }

    /// Why it cannot run.
    #[must_use]
    pub const fn faults(&self) -> Faults {
        self.faults
    }

    /// The last master that was heard; ourselves do not count.
    #[must_use]
    pub const fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// Interval of the master: as a backup the one it has learned, otherwise its own.
    #[must_use]
    pub const fn master_interval(&self) -> Centis {
        match self.phase {
            Phase::Backup(backup) => backup.interval,
            _ => self.config.interval,
        }
    }

    /// What has been counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Starts counting anew.
    pub fn clear_stats(&mut self) {
        self.stats = Stats::default();
    }

    /// Whether its addresses, routes and rules are to be on this host now.
    #[must_use]
    pub const fn owns_addresses(&self) -> bool {
        matches!(self.phase, Phase::Master(_))
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Init | Phase::Fault => None,
            Phase::Backup(backup) => Some(backup.down_at),
            Phase::Master(master) => Some(
                master
                    .announce
                    .next()
                    .map_or(master.advert_at, |at| at.min(master.advert_at)),
            ),
        }
    }

    /// The advert to be sent now.
    #[must_use]
    pub fn advert(&self, priority: Priority) -> AdvertRepr<'_> {
        let auth = match self.config.version {
            Version::V2 => self.config.auth,
            Version::V3 => model::Auth::None,
        };
        AdvertRepr {
            version: self.config.version,
            vrid: self.config.vrid,
            priority,
            auth_type: receive::auth_type(auth),
            auth_data: match auth {
                model::Auth::Pass(password) => password,
                model::Auth::None | model::Auth::Ah(_) => [0; 8],
            },
            interval: self.config.interval,
            family: self.config.family,
            addresses: &self.advertised,
        }
    }

    /// What the checksum of an advert of `len` bytes to `destination` begins with.
    #[must_use]
    pub fn pseudo_header(&self, destination: IpAddr, len: usize) -> Checksum {
        let Some(source) = self.source() else {
            return Checksum::new();
        };
        match (self.config.version, self.config.family) {
            (Version::V2, _) => Checksum::new(),
            (Version::V3, Family::V4) if self.config.v3_checksum_as_v2 => Checksum::new(),
            (Version::V3, Family::V4) if self.old_checksum => {
                Checksum::pseudo_header(source, receive::OLD_CHECKSUM_GROUP, len)
            }
            (Version::V3, _) => Checksum::pseudo_header(source, destination, len),
        }
    }

    /// How long it waits for a master with this interval (RFC 9568 section 6.1, with `down_timer_adverts` for the 3).
    #[must_use]
    pub fn master_down(&self, interval: Centis) -> Duration {
        interval.as_duration() * u32::from(self.config.down_timer_adverts) + self.skew(interval)
    }

    fn skew(&self, interval: Centis) -> Duration {
        let interval = match self.config.version {
            Version::V2 => Centis::SECOND,
            Version::V3 => interval,
        };
        interval.skew(self.priority())
    }

    /// The interfaces that must be up besides its own: those that its addresses go on.
    pub(super) fn devices(&self) -> impl Iterator<Item = &IfName> {
        let addresses = self.config.addresses.iter().chain(&self.config.excluded);
        addresses
            .filter(|address| address.tracked)
            .filter_map(|address| address.dev.as_ref())
            .filter(|dev| **dev != self.config.interface)
    }

    pub(super) const fn say(&self, note: Note) -> Action {
        Action::Say { id: self.id, note }
    }

    fn tell(&self, state: Told) -> Action {
        Action::Notify {
            id: self.id,
            state,
            priority: self.priority(),
        }
    }

    /// Changes what the effective priority is made of; a running timer follows by the difference, as in keepalived.
    pub(super) fn weigh(&mut self, weights: i16, now: Instant, out: &mut Vec<Action>) {
        let (old, skew) = (self.priority(), self.skew(self.master_interval()));
        self.weights = weights;
        let new = self.priority();
        if old == new {
            return;
        }
        if let Phase::Backup(mut backup) = self.phase {
            backup.down_at = (backup.down_at - skew + self.skew(backup.interval)).max(now);
            self.phase = Phase::Backup(backup);
        }
        if self.phase != Phase::Init {
            out.push(self.say(Note::Priority { old, new }));
            out.push(self.tell(Told::PriorityChanged));
        }
    }

    /// A datagram for its virtual router id came in on its interface.
    pub(super) fn receive(&mut self, datagram: &Datagram<'_>, now: Instant, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Init | Phase::Fault) {
            return;
        }
        let from = datagram.source;
        let (advert, reading) = match receive::check(&self.config, datagram) {
            Ok(legal) => legal,
            Err(why) => {
                let counter = why.counter(&mut self.stats);
                *counter = counter.saturating_add(1);
                if why != receive::Rejection::Owner && self.said.first(why.kind()) {
                    out.push(self.say(Note::Rejected { from, why }));
                }
                return;
            }
        };
        self.stats.advert_rcvd += 1;
        match reading {
            Reading::Ours => {}
            Reading::Other => {
                if self.said.first(Said::OTHER_CHECKSUM) {
                    out.push(self.say(Note::OtherChecksum(from)));
                }
            }
            Reading::OldUnicast => {
                if !core::mem::replace(&mut self.old_checksum, true) {
                    out.push(self.say(Note::OldChecksum(from)));
                }
            }
        }
        let known = self.heard.is_some_and(|heard| heard.from == from);
        let heard = Heard {
            from,
            priority: advert.priority(),
            interval: advert.interval(),
            at: now,
        };
        self.step(Input::Advert(heard), now, out);
        self.remark(&advert, from, known, out);
    }

    /// What is said about an advert that is accepted all the same; after the step, since a new state or master has it said
    /// anew.
    fn remark(&mut self, advert: &Advert<'_>, from: IpAddr, known: bool, out: &mut Vec<Action>) {
        let trusted = known && self.config.skip_check_adv_addr;
        if !trusted && !receive::same_addresses(advert, &self.advertised) {
            self.stats.addr_list_err += 1;
            if self.said.first(Said::ADDRESSES) {
                let (theirs, ours) = (usize::from(advert.count()), self.advertised.len());
                out.push(self.say(Note::Addresses { from, theirs, ours }));
            }
        }
        let (theirs, ours) = (advert.interval(), self.config.interval);
        if theirs != ours && self.said.first(Said::INTERVAL) {
            out.push(self.say(Note::Interval { theirs, ours }));
        }
    }

    /// The state machine; every pair of state and input has its arm.
    pub(super) fn step(&mut self, input: Input, now: Instant, out: &mut Vec<Action>) {
        self.phase = match (self.phase, input) {
            (Phase::Init, Input::Ready) => self.start(now, out),
            (Phase::Init, Input::Fault) => self.fail(now, out),
            (Phase::Init, Input::Stop(told)) => self.end(told, now, out),
            (Phase::Init, Input::Tick | Input::Advert(_)) => Phase::Init,

            (Phase::Fault, Input::Ready) => self.recover(now, out),
            (Phase::Fault, Input::Stop(told)) => self.end(told, now, out),
            (Phase::Fault, Input::Fault | Input::Tick | Input::Advert(_)) => Phase::Fault,

            (Phase::Backup(backup), Input::Tick) if now >= backup.down_at => {
                self.take_over(now, out)
            }
            (Phase::Backup(backup), Input::Advert(heard)) => {
                Phase::Backup(self.listen(backup, heard, now, out))
            }
            (Phase::Backup(_), Input::Fault) => self.fail(now, out),
            (Phase::Backup(_), Input::Stop(told)) => self.end(told, now, out),
            (Phase::Backup(_), Input::Tick | Input::Ready) => self.phase,

            (Phase::Master(master), Input::Tick) => self.tick(master, now, out),
            (Phase::Master(master), Input::Advert(heard)) => self.contend(master, heard, now, out),
            (Phase::Master(_), Input::Fault) => {
                self.resign(out);
                self.fail(now, out)
            }
            (Phase::Master(_), Input::Stop(told)) => {
                self.resign(out);
                self.end(told, now, out)
            }
            (Phase::Master(_), Input::Ready) => self.phase,
        };
    }

    /// Whoever owns the addresses and wishes to be master is so at once; anyone else listens first.
    fn start(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        if self.config.is_owner() && self.config.wish == model::Wish::Master {
            return self.take_over(now, out);
        }
        self.back_up(Note::BackupAtStart, self.config.interval, now, out)
    }

    /// After a fault nobody is master at once: an owner waits for one interval and its skew, time enough for a bridge or a
    /// switch to forward again.
    fn recover(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        let interval = self.config.interval;
        match self.back_up(Note::Backup, interval, now, out) {
            Phase::Backup(backup)
                if self.config.is_owner() && self.config.wish == model::Wish::Master =>
            {
                Phase::Backup(Backup {
                    down_at: now + interval.as_duration() + self.skew(interval),
                    ..backup
                })
            }
            phase => phase,
        }
    }

    fn back_up(
        &mut self,
        note: Note,
        interval: Centis,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Phase {
        self.enter(now);
        out.push(self.say(note));
        self.leave_master(out);
        out.push(self.tell(Told::Backup));
        Phase::Backup(Backup {
            down_at: now + self.master_down(interval),
            interval,
            preempt_at: None,
        })
    }

    fn fail(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        self.enter(now);
        self.heard = None;
        out.push(self.say(Note::Fault(self.faults)));
        self.leave_master(out);
        out.push(self.tell(Told::Fault));
        Phase::Fault
    }

    fn end(&mut self, told: Told, now: Instant, out: &mut Vec<Action>) -> Phase {
        self.enter(now);
        self.leave_master(out);
        out.push(self.tell(told));
        Phase::Init
    }

    /// Complaints are made anew in every state.
    const fn enter(&mut self, now: Instant) {
        self.since = now;
        self.said = Said(0);
    }

    fn leave_master(&mut self, out: &mut Vec<Action>) {
        if self.owns_addresses() {
            self.stats.release_master += 1;
            out.push(Action::Release(self.id));
        }
    }

    /// The advert comes first, so that no other one starts; then the addresses, then the announcement of where they are.
    fn take_over(&mut self, now: Instant, out: &mut Vec<Action>) -> Phase {
        self.enter(now);
        if core::mem::take(&mut self.lowered) {
            out.push(self.say(Note::OwnerRestored));
        }
        self.stats.become_master += 1;
        self.stats.last_master = Some(now);
        out.push(self.say(Note::Master));
        self.advertise(self.priority(), out);
        out.push(Action::Acquire(self.id));
        let plan = &self.config.announcing;
        let announce = Schedule::of_new_master(plan, now);
        self.announce(Some(plan.repeat), out);
        out.push(self.tell(Told::Master));
        Phase::Master(Master {
            advert_at: now + self.config.interval.as_duration(),
            announce,
            rival: None,
        })
    }

    fn advertise(&mut self, priority: Priority, out: &mut Vec<Action>) {
        if priority == RESIGN {
            self.stats.pri_zero_sent += 1;
        } else {
            self.stats.advert_sent += 1;
        }
        out.push(Action::Advertise {
            id: self.id,
            priority,
        });
    }

    fn announce(&self, repeat: Option<u32>, out: &mut Vec<Action>) {
        if let Some(repeat @ 1..) = repeat {
            out.push(Action::Announce {
                id: self.id,
                repeat,
            });
        }
    }

    /// Nobody hears it where the interface itself is gone.
    fn resign(&mut self, out: &mut Vec<Action>) {
        let mute = Faults::MISSING | Faults::DOWN | Faults::NO_SOURCE;
        if !self.faults.intersects(mute) {
            self.advertise(RESIGN, out);
            out.push(self.say(Note::Resigning));
        }
    }

    /// A backup's timer starts again with every advert of whoever may stay master.
    fn listen(
        &mut self,
        mut backup: Backup,
        heard: Heard,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Backup {
        if heard.priority == RESIGN {
            self.stats.pri_zero_rcvd += 1;
            out.push(self.say(Note::Resigned(heard.from)));
            backup.down_at = now + self.skew(backup.interval);
            return backup;
        }
        if self.lowered && heard.priority < OWNER {
            self.lowered = false;
            out.push(self.say(Note::OwnerRestored));
        }
        let (from, theirs, ours) = (heard.from, heard.priority, self.priority());
        if self.config.preempt && theirs < ours {
            let delay = self.config.preempt_delay;
            if backup.preempt_at.is_none() && !delay.is_zero() {
                out.push(self.say(Note::PreemptDelayStarts(delay)));
                backup.preempt_at = Some(now + delay);
            }
            if backup.preempt_at.is_none_or(|at| now >= at) {
                self.stats.lower_priority_ignored += 1;
                if self.said.first(Said::DISCARDING) {
                    out.push(self.say(Note::Discarding { from, theirs, ours }));
                }
                return backup;
            }
        } else if backup.preempt_at.take().is_some() {
            out.push(self.say(Note::PreemptDelayStops));
        }
        if self.heard.is_some_and(|old| old.from != from) {
            self.said = Said(0);
        }
        self.heard = Some(heard);
        backup.interval = self.interval_of(heard);
        backup.down_at = now + self.master_down(backup.interval);
        backup
    }

    /// Version 3 takes the master's interval for its own timer (RFC 9568 section 6.4.2).
    const fn interval_of(&self, heard: Heard) -> Centis {
        match self.config.version {
            Version::V2 => self.config.interval,
            Version::V3 => heard.interval,
        }
    }

    /// A master hears another one (RFC 9568 section 6.4.3).
    fn contend(
        &mut self,
        mut master: Master,
        heard: Heard,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Phase {
        let (from, theirs, ours) = (heard.from, heard.priority, self.priority());
        if theirs == RESIGN {
            // One that resigns was master beside us, so hosts may have learned its address.
            self.stats.pri_zero_rcvd += 1;
            out.push(self.say(Note::Resigned(from)));
            self.insist(&mut master, true, now, out);
            return Phase::Master(master);
        }
        let two_owners = theirs == OWNER && ours == OWNER;
        let source = self.source();
        if theirs == ours && Some(from) == source {
            if self.said.first(Said::OUR_ADDRESS) {
                out.push(self.say(Note::OurAddress(from)));
            }
            return Phase::Master(master);
        }
        if (theirs, Some(from)) > (ours, source) {
            out.push(self.say(match (two_owners, theirs == ours) {
                (true, _) => Note::TwoOwners {
                    other: from,
                    yielding: true,
                },
                (false, true) => Note::HigherAddress {
                    from,
                    priority: ours,
                },
                (false, false) => Note::HigherPriority { from, theirs, ours },
            }));
            return self.give_way(heard, now, out);
        }
        if two_owners {
            return self.dispute(master, heard, now, out);
        }
        out.push(self.say(Note::LowerPriority { from, theirs, ours }));
        self.insist(&mut master, !self.config.lower_prio_no_advert, now, out);
        out.push(self.tell(Told::LowerPriority));
        Phase::Master(master)
    }

    fn give_way(&mut self, heard: Heard, now: Instant, out: &mut Vec<Action>) -> Phase {
        if self.config.higher_prio_send_advert {
            self.advertise(self.priority(), out);
        }
        self.heard = Some(heard);
        self.back_up(Note::Backup, self.interval_of(heard), now, out)
    }

    /// Tells the other master, and the hosts that may have learned its address. The next advert is an interval later.
    fn insist(&mut self, master: &mut Master, advert: bool, now: Instant, out: &mut Vec<Action>) {
        if advert {
            self.advertise(self.priority(), out);
            master.advert_at = now + self.config.interval.as_duration();
        }
        let repeat = master.announce.lower_priority(&self.config.announcing, now);
        self.announce(repeat, out);
    }

    /// Two owners, and our address is the higher one. The other has the time of two adverts and one more interval to give
    /// way; if it does not, we stop being owner, so that there is one master rather than two.
    fn dispute(
        &mut self,
        mut master: Master,
        heard: Heard,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Phase {
        match master.rival.filter(|rival| now <= rival.forget) {
            Some(rival) if now < rival.patience => Phase::Master(master),
            Some(_) => {
                self.lowered = true;
                out.push(self.say(Note::OwnerLowered(heard.from)));
                self.give_way(heard, now, out)
            }
            None => {
                let ours = self.config.interval.as_duration();
                let longer = ours.max(heard.interval.as_duration());
                let patience = now + ours + longer + longer / 8;
                master.rival = Some(Rival {
                    patience,
                    forget: patience + longer * 3,
                });
                out.push(self.say(Note::TwoOwners {
                    other: heard.from,
                    yielding: false,
                }));
                self.insist(&mut master, true, now, out);
                Phase::Master(master)
            }
        }
    }

    /// What a master does in time: its advert on an absolute deadline, so that the interval never drifts, then what is
    /// still to be announced.
    fn tick(&mut self, mut master: Master, now: Instant, out: &mut Vec<Action>) -> Phase {
        let interval = self.config.interval.as_duration();
        if now >= master.advert_at {
            let by = now.since(master.advert_at);
            // Others count from our last advert, an interval before this one was due.
            let patience = interval * u32::from(self.config.down_timer_adverts.max(2) - 1);
            if by > patience {
                let yielding = self.config.timer_expired_backup.is_some() || !self.config.preempt;
                out.push(self.say(Note::Late { by, yielding }));
                if yielding {
                    return self.back_up(Note::Backup, self.config.interval, now, out);
                }
            }
            self.advertise(self.priority(), out);
            let next = master.advert_at + interval;
            master.advert_at = if next > now { next } else { now + interval };
            if by > patience {
                let repeat = master.announce.again(&self.config.announcing, now);
                self.announce(repeat, out);
            }
        }
        let repeat = master.announce.due(&self.config.announcing, now);
        self.announce(repeat, out);
        Phase::Master(master)
    }

    /// A reload changed its configuration; state, timers and counters stay.
    pub(super) fn reconfigure(
        &mut self,
        config: &model::Instance,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.config == *config {
            return;
        }
        let skew = self.skew(self.master_interval());
        let old_checksum = self.old_checksum;
        let old = core::mem::replace(&mut self.config, config.clone());
        let new = config;
        self.derive();
        self.old_checksum |= old_checksum && old.peering == new.peering;
        self.said = Said(0);
        let timing = old.interval != new.interval
            || old.version != new.version
            || old.down_timer_adverts != new.down_timer_adverts;
        let holdings = old.addresses != new.addresses
            || old.excluded != new.excluded
            || old.routes != new.routes
            || old.rules != new.rules
            || old.accept != new.accept
            || old.vmac != new.vmac
            || old.promote_secondaries != new.promote_secondaries;
        self.phase = match self.phase {
            Phase::Backup(mut backup) if timing => {
                backup.interval = new.interval;
                backup.down_at = now + self.master_down(new.interval);
                Phase::Backup(backup)
            }
            Phase::Backup(mut backup) => {
                backup.down_at = (backup.down_at - skew + self.skew(backup.interval)).max(now);
                Phase::Backup(backup)
            }
            Phase::Master(mut master) => {
                if timing || old.priority != new.priority || old.addresses != new.addresses {
                    // At once: to a backup that counts by the old interval the new one may be too long.
                    self.advertise(self.priority(), out);
                    master.advert_at = now + new.interval.as_duration();
                }
                if old.announcing != new.announcing {
                    master.announce.replan(&new.announcing, now);
                }
                if holdings {
                    out.push(Action::Acquire(self.id));
                    let repeat = master.announce.again(&new.announcing, now);
                    self.announce(repeat, out);
                }
                Phase::Master(master)
            }
            phase @ (Phase::Init | Phase::Fault) => phase,
        };
    }
}
