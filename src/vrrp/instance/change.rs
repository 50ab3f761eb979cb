//! What changes while it runs: its priority, its configuration. State, timers and counters stay.

use super::Instance;
use super::hear::Said;
use super::machine::Phase;
use crate::model;
use crate::time::Instant;
use crate::vrrp::{Action, Note, Told};

impl Instance {
    /// Changes what the effective priority is made of; a running timer follows by the difference, as in keepalived.
    pub(in crate::vrrp) fn weigh(&mut self, weights: i16, now: Instant, out: &mut Vec<Action>) {
        let (old, skew) = (self.priority(), self.skew(self.master_interval()));
        self.weights = weights;
        let new = self.priority();
        if old == new {
            return;
        }
        match self.phase {
            Phase::Init | Phase::Fault => return,
            Phase::Backup(mut backup) => {
                backup.down_at = (backup.down_at - skew + self.skew(backup.interval)).max(now);
                self.phase = Phase::Backup(backup);
            }
            Phase::Master(_) => {}
        }
        out.push(self.say(Note::Priority { old, new }));
        out.push(self.tell(Told::PriorityChanged));
    }

    /// A reload changed its configuration; state, timers and counters stay.
    pub(in crate::vrrp) fn reconfigure(
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
        self.said = Said::default();
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
        if let Phase::Backup(backup) = &mut self.phase {
            if old.preempt_delay != new.preempt_delay {
                backup.preempt_at = None;
            }
        }
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
                    master.advert_at = now;
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
