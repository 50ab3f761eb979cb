//! What becomes of an advert that a virtual router hears.

use std::net::IpAddr;
use std::time::Duration;

use keepalite::name::{OWNER, RESIGN, Version};
use keepalite::time::{Centis, Instant};
use keepalite::vrrp::{Id, Instance, State};

use crate::rule::{Breach, Rule, breach};

/// The longest interval that there is (RFC 9568 section 5.2.7).
pub(crate) const LONGEST: Centis = Centis(4095);

/// An advert on its way to a virtual router, and how that one stood before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) id: Id,
    state: State,
    deadline: Option<Instant>,
    accepted: u64,
    ours: u8,
    source: Option<IpAddr>,
    from: IpAddr,
    theirs: u8,
    interval: Centis,
}

impl Heard {
    /// Before the engine gets it.
    pub(crate) fn before(instance: &Instance, from: IpAddr, theirs: u8, interval: Centis) -> Self {
        Self {
            id: instance.id(),
            state: instance.state(),
            deadline: instance.deadline(),
            accepted: instance.stats().advert_rcvd,
            ours: instance.priority(),
            source: instance.source(),
            from,
            theirs,
            interval,
        }
    }

    /// What has become of it: the tables of RFC 9568 sections 6.4.2 and 6.4.3. Until `silent_until` nobody needs an answer.
    pub(crate) fn check(
        self,
        instance: &Instance,
        silent_until: Option<Instant>,
        now: Instant,
    ) -> Result<(), Breach> {
        let accepted = instance.stats().advert_rcvd > self.accepted;
        match self.state {
            State::Master if accepted => self.contended(instance, silent_until, now),
            State::Backup if accepted && instance.state() == State::Backup => {
                self.listened(instance, now)
            }
            _ => Ok(()),
        }
    }

    fn contended(
        self,
        instance: &Instance,
        silent_until: Option<Instant>,
        now: Instant,
    ) -> Result<(), Breach> {
        let (Heard { theirs, ours, .. }, config) = (self, instance.config());
        if (theirs == OWNER && ours == OWNER) || Some(self.from) == self.source {
            return Ok(());
        }
        let better = (theirs, Some(self.from)) > (ours, self.source);
        let stays = instance.state() == State::Master;
        // Its timer ran out long ago: others may have become master while it slept.
        let late = self
            .deadline
            .is_some_and(|due| now > due + config.interval.as_duration());
        let yields = !config.preempt || config.timer_expired_backup.is_some();
        if !stays && late && yields {
            return Ok(());
        }
        if stays == better {
            let text = format!("master of {ours} heard {theirs}, and stays: {stays}");
            return breach(Rule::Contention, text);
        }
        if better {
            return self.learned(instance);
        }
        let recently = silent_until.is_some_and(|until| now <= until);
        if !recently && !config.lower_prio_no_advert {
            let text = format!("master of {ours} heard {theirs}, and does not answer");
            return breach(Rule::Contention, text);
        }
        Ok(())
    }

    fn listened(self, instance: &Instance, now: Instant) -> Result<(), Breach> {
        let (Heard { theirs, ours, .. }, config) = (self, instance.config());
        // An owner that had lowered itself claims again what nobody else does.
        let ours = if config.is_owner() && theirs < OWNER {
            OWNER
        } else {
            ours
        };
        let interval = instance.master_interval();
        let lower = config.preempt && theirs < ours && theirs != RESIGN;
        if lower && !config.preempt_delay.is_zero() {
            return Ok(());
        }
        let right = if theirs == RESIGN {
            Some(now + skew(instance, interval))
        } else if lower {
            self.deadline
        } else {
            self.learned(instance)?;
            Some(now + waits(instance, interval))
        };
        let found = instance.deadline();
        if found != right {
            let text =
                format!("backup of {ours} heard {theirs}, waits until {found:?}, not {right:?}");
            return breach(Rule::Listening, text);
        }
        Ok(())
    }

    /// Version 3 goes by the interval of the master that it follows.
    fn learned(self, instance: &Instance) -> Result<(), Breach> {
        let found = instance.master_interval();
        let right = match instance.config().version {
            Version::V2 => instance.config().interval,
            Version::V3 => self.interval,
        };
        if found != right {
            let text = format!("goes by an interval of {found}, and has heard {right}");
            return breach(Rule::Listening, text);
        }
        Ok(())
    }
}

/// How long it waits for a master with this interval (RFC 3768 and RFC 9568, each section 6.1).
pub(crate) fn waits(instance: &Instance, interval: Centis) -> Duration {
    let adverts = u32::from(instance.config().down_timer_adverts);
    interval.as_duration() * adverts + skew(instance, interval)
}

/// What the lower ones wait longer.
pub(crate) fn skew(instance: &Instance, interval: Centis) -> Duration {
    let of = match instance.config().version {
        Version::V2 => Centis::SECOND,
        Version::V3 => interval,
    };
    let part = 256 - u64::from(instance.priority());
    Duration::from_micros(u64::from(of.0) * 10_000 * part / 256)
}
