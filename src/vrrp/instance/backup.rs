//! A backup listens, and takes over from silence (RFC 9568 section 6.4.2).

use super::hear::Said;
use super::machine::Phase;
use super::{Heard, Instance};
use crate::name::{OWNER, RESIGN, Version};
use crate::time::{Centis, Instant};
use crate::vrrp::{Action, Note, Why};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backup {
    /// When the master counts as down.
    pub(super) down_at: Instant,
    /// The master's interval; ours until it is heard.
    pub(super) interval: Centis,
    /// Until when a lower master is tolerated; absent while there is none.
    pub(super) preempt_at: Option<Instant>,
    /// Its timer ran out, and it waits for the other members of its sync group.
    pub(super) wants: bool,
    /// Why it will take over if not from silence: whoever it would take over from still speaks, to resign or with a lower
    /// priority.
    pub(super) reason: Option<Why>,
}

impl Instance {
    /// Alone it takes over; in a sync group it wants to, and asks again if the others are not ready until its next time.
    pub(super) fn expire(
        &mut self,
        mut backup: Backup,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Phase {
        if self.membership.is_none() {
            return self.succeed(backup, now, out);
        }
        backup.wants = true;
        backup.down_at = now + self.master_down(backup.interval);
        Phase::Backup(backup)
    }

    /// Why it takes over now.
    pub(super) fn reason(&self, backup: Backup, now: Instant) -> Why {
        let silence = || match self.heard {
            Some(heard) => Why::Silent {
                from: heard.from,
                since: now.since(heard.at),
            },
            None => Why::Unheard(now.since(self.since)),
        };
        match backup.reason {
            Some(why) => why,
            None if self.membership.is_some() && !backup.wants => Why::Group,
            None => silence(),
        }
    }

    /// A backup's timer starts again with every advert of whoever may stay master.
    pub(super) fn listen(
        &mut self,
        mut backup: Backup,
        heard: Heard,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Backup {
        if heard.priority == RESIGN {
            self.stats.pri_zero_rcvd += 1;
            if self.said.first(Said::RESIGNED) {
                out.push(self.say(Note::Resigned(heard.from)));
            }
            backup.reason = Some(Why::Resigned(heard.from));
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
                backup.reason = Some(Why::Lower { from, theirs, ours });
                if self.said.first(Said::DISCARDING) {
                    out.push(self.say(Note::Discarding { from, theirs, ours }));
                }
                return backup;
            }
        } else if backup.preempt_at.take().is_some() {
            out.push(self.say(Note::PreemptDelayStops));
        }
        if self.heard.is_some_and(|old| old.from != from) {
            self.said = Said::default();
        }
        self.heard = Some(heard);
        backup.wants = false;
        backup.reason = None;
        backup.interval = self.interval_of(heard);
        backup.down_at = now + self.master_down(backup.interval);
        backup
    }

    /// Version 3 takes the master's interval for its own timer (RFC 9568 section 6.4.2).
    pub(super) const fn interval_of(&self, heard: Heard) -> Centis {
        match self.config.version {
            Version::V2 => self.config.interval,
            Version::V3 => heard.interval,
        }
    }
}
