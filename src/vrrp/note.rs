//! What there is to say about a virtual router, as data; formatted by whoever writes it, if it is written at all.
//!
//! The text follows the name of the instance in parentheses. State words are keepalived's, because people and their log
//! filters look for them.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use log::Level;

use super::receive::Rejection;
use super::transition::Transition;
use crate::name::Priority;
use crate::time::{Centis, Seconds};

/// One line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Its state has changed.
    Became(Transition),
    /// As master: another one thinks it is master, and is worse.
    LowerPriority {
        /// Who.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// Another host sends with our priority and our address.
    OurAddress(IpAddr),
    /// As backup: not listened to any more, so that our timer runs out.
    Discarding {
        /// Who.
        from: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// A master resigned.
    Resigned(IpAddr),
    /// We resigned.
    Resigning,
    /// A lower master is tolerated for so long.
    PreemptDelayStarts(Duration),
    /// A master as good as we are has come meanwhile.
    PreemptDelayStops,
    /// Two routers claim to own the addresses.
    TwoOwners {
        /// The other.
        other: IpAddr,
        /// Whether we give way.
        yielding: bool,
    },
    /// The other owner went on, so we stop being owner.
    OwnerLowered(IpAddr),
    /// The other owner is gone.
    OwnerRestored,
    /// As backup: the master's interval is now ours.
    Interval {
        /// That of the master.
        theirs: Centis,
        /// Ours as configured.
        ours: Centis,
    },
    /// Accepted, but its addresses are not ours.
    Addresses {
        /// Who.
        from: IpAddr,
        /// How many it advertises.
        theirs: usize,
        /// How many we do.
        ours: usize,
    },
    /// Accepted, with the other reading of the version 3 checksum over IPv4.
    OtherChecksum(IpAddr),
    /// Accepted with the unicast checksum of keepalived before 2.0, which we send from now on.
    OldChecksum(IpAddr),
    /// Not accepted.
    Rejected {
        /// Who.
        from: IpAddr,
        /// Why.
        why: Rejection,
    },
    /// As master: our own timer ran so late that others may have taken over.
    Late(Duration),
    /// The effective priority changed.
    Priority {
        /// From.
        old: Priority,
        /// To.
        new: Priority,
    },
    /// A reload removed it.
    Removed,
}

impl Note {
    /// How important it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::TwoOwners { .. } | Self::OwnerLowered(_) => Level::Error,
            Self::Became(transition) => transition.level(),
            Self::OurAddress(_)
            | Self::Addresses { .. }
            | Self::OtherChecksum(_)
            | Self::OldChecksum(_)
            | Self::Rejected { .. }
            | Self::Late(_)
            | Self::Interval { .. } => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Became(transition) => transition.fmt(f),
            Self::LowerPriority { from, theirs, ours } if theirs == ours => write!(
                f,
                "received advert from {from} with our priority {ours} and a lower address, forcing new election"
            ),
            Self::LowerPriority { from, theirs, ours } => write!(
                f,
                "received advert from {from} with lower priority {theirs}, ours {ours}, forcing new election"
            ),
            Self::OurAddress(from) => write!(
                f,
                "received advert with our priority from our own address {from}: give each router an address of its own"
            ),
            Self::Discarding { from, theirs, ours } => write!(
                f,
                "received advert from {from} with lower priority {theirs}, ours {ours}, discarding"
            ),
            Self::Resigned(from) => write!(f, "master {from} resigned"),
            Self::Resigning => f.write_str("sent 0 priority"),
            Self::PreemptDelayStarts(delay) => {
                write!(f, "start preempt delay ({} s)", Seconds(*delay))
            }
            Self::PreemptDelayStops => f.write_str("stop preempt delay"),
            Self::TwoOwners { other, yielding } => {
                let what = if *yielding {
                    "its address is higher, giving way"
                } else {
                    "its address is lower, insisting"
                };
                write!(
                    f,
                    "CONFIGURATION ERROR: {other} claims to own the addresses (priority 255) as we do; {what}"
                )
            }
            Self::OwnerLowered(other) => {
                write!(f, "{other} goes on as owner, lowering our priority to 254")
            }
            Self::OwnerRestored => {
                f.write_str("no other owner is heard any more, restoring our priority to 255")
            }
            Self::Interval { theirs, ours } => write!(
                f,
                "advertisement interval changed: mine {ours} s, received {theirs} s"
            ),
            Self::Addresses { from, theirs, ours } => write!(
                f,
                "received advert from {from} for other addresses than ours (it has {theirs}, we have {ours}): \
                 make virtual_ipaddress the same on both"
            ),
            Self::OtherChecksum(from) => write!(
                f,
                "adverts from {from} have a checksum without the IPv4 pseudo header: accepted; \
                 should it not accept ours, set v3_checksum_as_v2"
            ),
            Self::OldChecksum(from) => write!(
                f,
                "adverts from {from} have the unicast checksum of an old keepalived, using it too"
            ),
            Self::Rejected { from, why } => write!(f, "ignored an advert from {from}: {why}"),
            Self::Late(by) => write!(
                f,
                "woke up {} s late, others may have become master: announcing the addresses again",
                Seconds(*by)
            ),
            Self::Priority { old, new } => {
                write!(f, "Changing effective priority from {old} to {new}")
            }
            Self::Removed => f.write_str("removed from the configuration"),
        }
    }
}
