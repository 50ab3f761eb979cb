//! A master speaks, and contends with other masters (RFC 9568 section 6.4.3).

use core::time::Duration;

use super::hear::Said;
use super::machine::{LAST_SEQUENCE, Phase};
use super::{Heard, Instance};
use crate::name::{OWNER, RESIGN};
use crate::time::Instant;
use crate::vrrp::announce::Schedule;
use crate::vrrp::{Action, Faults, Note, Told, Why};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Master {
    /// When the next advert is due.
    pub(super) advert_at: Instant,
    pub(super) announce: Schedule,
    /// Until when nobody is answered again.
    pub(super) answered_until: Instant,
    /// Another one that claims to own the addresses.
    pub(super) rival: Option<Rival>,
}

/// A conflict between two owners, from the side of the one with the higher address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    /// Until when the other may take to notice us.
    patience: Instant,
    /// After which silence it is another conflict.
    forget: Instant,
}

impl Instance {
    /// A master hears another one (RFC 9568 section 6.4.3).
    pub(super) fn contend(
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
            if now >= master.answered_until {
                out.push(self.say(Note::Resigned(from)));
                self.insist(&mut master, true, now, out);
            }
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
            let why = match (two_owners, theirs == ours) {
                (true, _) => Why::OtherOwner(from),
                (false, true) => Why::HigherAddress {
                    from,
                    priority: ours,
                },
                (false, false) => Why::Higher { from, theirs, ours },
            };
            if two_owners {
                out.push(self.say(Note::TwoOwners {
                    other: from,
                    yielding: true,
                }));
            }
            return self.give_way(why, heard, now, out);
        }
        if two_owners {
            return self.dispute(master, heard, now, out);
        }
        if now < master.answered_until {
            return Phase::Master(master);
        }
        if let Some(by) = self.overslept(&master, now) {
            if self.yields_late() {
                self.heard = Some(heard);
                return self.back_up(Why::Late(by), self.interval_of(heard), now, out);
            }
            out.push(self.say(Note::Late(by)));
        }
        out.push(self.say(Note::LowerPriority { from, theirs, ours }));
        self.insist(&mut master, !self.config.lower_prio_no_advert, now, out);
        out.push(self.tell(Told::LowerPriority));
        Phase::Master(master)
    }

    fn give_way(&mut self, why: Why, heard: Heard, now: Instant, out: &mut Vec<Action>) -> Phase {
        if self.config.higher_prio_send_advert {
            self.advertise(self.priority(), out);
        }
        self.heard = Some(heard);
        self.back_up(why, self.interval_of(heard), now, out)
    }

    /// Tells the other master, and the hosts that may have learned its address. The next advert is an interval later. Nobody
    /// is answered again for an eighth of it: the answer reaches all, and a flood of adverts must not become a greater flood
    /// of answers, announcements, scripts and lines in the log.
    fn insist(&mut self, master: &mut Master, advert: bool, now: Instant, out: &mut Vec<Action>) {
        if advert {
            self.advertise(self.priority(), out);
            master.advert_at = now + self.config.interval.as_duration();
        }
        master.answered_until = now + self.config.interval.as_duration() / 8;
        self.remind(master, now, out);
        self.insisted = true;
    }

    /// Tells the hosts again where the addresses are, now and a while later.
    pub(super) fn remind(&self, master: &mut Master, now: Instant, out: &mut Vec<Action>) {
        let plan = &self.config.announcing;
        let repeat = master.announce.lower_priority(plan, now);
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
                self.give_way(Why::OtherOwner(heard.from), heard, now, out)
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
    pub(super) fn tick(
        &mut self,
        mut master: Master,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Phase {
        let plan = &self.config.announcing;
        let mut repeat = master.announce.due(plan, now);
        if master.announce.due_elsewhere(plan, now) {
            out.push(Action::AnnounceElsewhere(self.id));
        }
        if now >= master.advert_at {
            if self.key.is_some() && self.sequence > LAST_SEQUENCE {
                return self.back_up(Why::WornOut, self.config.interval, now, out);
            }
            let interval = self.config.interval.as_duration();
            if let Some(by) = self.overslept(&master, now) {
                if self.yields_late() {
                    return self.back_up(Why::Late(by), self.config.interval, now, out);
                }
                out.push(self.say(Note::Late(by)));
                repeat = repeat.max(master.announce.again(plan, now));
            }
            let next = master.advert_at + interval;
            master.advert_at = if next > now { next } else { now + interval };
            self.advertise(self.priority(), out);
        }
        self.announce(repeat, out);
        Phase::Master(master)
    }

    /// One that slept for longer than others wait may no longer be the only master. With `nopreempt` or
    /// `timer_expired_backup` it gives way and listens first. Otherwise it would take its place back anyway, so it stays
    /// master, advertises at once, and tells the hosts again where the addresses are, for another one may have told them
    /// something else meanwhile.
    fn overslept(&self, master: &Master, now: Instant) -> Option<Duration> {
        let interval = self.config.interval.as_duration();
        // Others count from our last advert, an interval before this one was due.
        let theirs = self.config.timer_expired_backup.flatten();
        let skew = theirs.map_or(Duration::ZERO, |priority| {
            self.skew_of(self.config.interval, priority)
        });
        let by = now.since(master.advert_at);
        let patience = interval * u32::from(self.config.down_timer_adverts.max(2) - 1) + skew;
        (now >= master.advert_at && by > patience).then_some(by)
    }

    /// Whether it gives way when it has overslept.
    const fn yields_late(&self) -> bool {
        self.config.timer_expired_backup.is_some() || !self.config.preempt
    }

    /// Nobody hears it where the interface itself is gone.
    pub(super) fn resign(&mut self, out: &mut Vec<Action>) {
        let mute = Faults::MISSING | Faults::DOWN | Faults::NO_SOURCE | Faults::SOURCE_GONE;
        if !self.faults.intersects(mute) {
            self.advertise(RESIGN, out);
            out.push(self.say(Note::Resigning));
        }
    }
}
