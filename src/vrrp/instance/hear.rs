//! What is done with a datagram before the state machine hears of it.

use core::net::IpAddr;

use super::machine::{Input, Phase};
use super::{Heard, Instance};
use crate::time::Instant;
use crate::vrrp::receive::{self, Checked, Rejection};
use crate::vrrp::{Action, Datagram, Note};
use crate::wire::vrrp::Advert;

/// Which kinds of complaint have been made since state or master changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said(u32);

impl Said {
    const INTERVAL: u8 = 24;
    const ADDRESSES: u8 = 25;
    const OTHER_CHECKSUM: u8 = 26;
    pub(super) const OUR_ADDRESS: u8 = 27;
    pub(super) const DISCARDING: u8 = 28;
    pub(super) const RESIGNED: u8 = 29;

    /// Whether this is the first time.
    pub(super) const fn first(&mut self, kind: u8) -> bool {
        let bit = 1 << (kind & 31);
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

impl Instance {
    /// A datagram for its virtual router id came in on its interface.
    pub(in crate::vrrp) fn receive(
        &mut self,
        datagram: &Datagram<'_>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if matches!(self.phase, Phase::Init | Phase::Fault) {
            return;
        }
        let from = datagram.source;
        let (advert, reading) = match self.check(datagram) {
            Ok(legal) => legal,
            Err(why) => {
                let counter = why.counter(&mut self.stats);
                *counter = counter.saturating_add(1);
                if why != Rejection::Owner && self.said.first(why.kind()) {
                    out.push(self.say(Note::Rejected { from, why }));
                }
                return;
            }
        };
        self.stats.advert_rcvd += 1;
        match reading {
            Checked::AsOurs => {}
            Checked::OtherReading => {
                if self.said.first(Said::OTHER_CHECKSUM) {
                    out.push(self.say(Note::OtherChecksum(from)));
                }
            }
            Checked::OldUnicast => {
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

    /// Whoever has made a genuine authentication header is followed in its counting, whatever else is wrong: one counter
    /// serves both directions, so that a backup that takes over goes on from where its master was.
    fn check<'a>(&mut self, datagram: &Datagram<'a>) -> Result<(Advert<'a>, Checked), Rejection> {
        let key = self.key.as_deref();
        let first = self.said_sequence && Some(datagram.source) != self.source();
        if let Some(theirs) = receive::check_authentication(key, self.sequence, first, datagram)? {
            self.sequence = theirs;
            self.said_sequence = false;
        }
        receive::check(&self.config, datagram)
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
}
