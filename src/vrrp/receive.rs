//! Whether an advert is legal for us, in keepalived's order (`vrrp_check_packet` of its vrrp/vrrp.c), which decides what a
//! datagram with several faults is counted as.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use super::{Datagram, Stats};
use crate::model::vrrp::OldChecksum;
use crate::model::{Auth, Instance as Config, Peering};
use crate::name::{Family, Version};
use crate::time::Centis;
use crate::wire::Checksum;
use crate::wire::ah::Key;
use crate::wire::vrrp::{Advert, Malformed};

/// TTL that proves a datagram came from this link (RFC 9568 section 5.1.1.3).
const FROM_THIS_LINK: u8 = 255;

/// The group that the old unicast checksum of version 3 names (RFC 9568 section 5.1.1.2).
pub(super) const OLD_CHECKSUM_GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

/// Why an advert is not listened to; its text goes on from "ignored an advert from …: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Too long or too short for what it counts.
    Length(Malformed),
    /// TTL or hop limit not 255: it came through a router.
    Hops(u8),
    /// Another version than ours.
    Version {
        /// Theirs.
        theirs: Version,
        /// Ours.
        ours: Version,
    },
    /// An authentication type that no version of the protocol has.
    NoAuthType(u8),
    /// Another authentication type than ours.
    AuthType {
        /// Theirs.
        theirs: u8,
        /// Ours.
        ours: u8,
    },
    /// Wrong password.
    Password,
    /// No authentication header where one is configured, or the reverse.
    AuthHeader {
        /// Whether it has one.
        theirs: bool,
    },
    /// An authentication header made with another key, or over another message.
    Forged,
    /// An authentication header that names another sender than the IP header.
    Spi(Ipv4Addr),
    /// A sequence number that is not greater than the last one, that is: sent again by somebody.
    Replayed {
        /// Its number.
        theirs: u32,
        /// The last one that was seen or sent.
        last: u32,
    },
    /// Version 2 with another interval than ours; version 3 with none.
    Interval {
        /// Theirs.
        theirs: Centis,
        /// Ours.
        ours: Centis,
    },
    /// No advertisement of a version that we know.
    Form(Malformed),
    /// Wrong in each reading.
    Checksum,
    /// Sent to a group where we use unicast.
    Multicast,
    /// Sent to us alone where we use a group.
    Unicast,
    /// We own the addresses and do not listen.
    Owner,
    /// Unicast, and not from a configured peer.
    UnknownPeer,
    /// Unicast, and its TTL is outside the range of that peer.
    PeerHops(u8),
}

/// How the checksum was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// As we write it ourselves.
    AsOurs,
    /// Version 3 over IPv4, the other way about the pseudo header.
    OtherReading,
    /// Unicast version 3 with the multicast group in the pseudo header, as keepalived before 2.0 wrote it.
    OldUnicast,
}

/// Whether the authentication header, if one is wanted, is genuine and new; with its sequence number.
///
/// The last number is new as well where it has only been said by us, so that another one may be the `first` to say it: two that
/// became master at the same moment count in step, and would stay master for ever if neither heard the other.
pub(super) fn check_authentication(
    key: Option<&Key>,
    last: u32,
    first: bool,
    datagram: &Datagram<'_>,
) -> Result<Option<u32>, Rejection> {
    let (key, header) = match (key, datagram.authentication()) {
        (None, None) => return Ok(None),
        (Some(key), Some(header)) => (key, header),
        (_, header) => {
            return Err(Rejection::AuthHeader {
                theirs: header.is_some(),
            });
        }
    };
    if !header.is_genuine(datagram.header, key) {
        return Err(Rejection::Forged);
    }
    if IpAddr::V4(header.spi()) != datagram.source {
        return Err(Rejection::Spi(header.spi()));
    }
    let theirs = header.sequence();
    if theirs < last || (theirs == last && !first) {
        return Err(Rejection::Replayed { theirs, last });
    }
    Ok(Some(theirs))
}

/// Checks everything else about a datagram that leads to its rejection, and how its checksum was to be read.
pub(super) fn check<'a>(
    config: &Config,
    datagram: &Datagram<'a>,
) -> Result<(Advert<'a>, Checked), Rejection> {
    let form = Advert::new_checked(datagram.message(), config.family);
    if let Err(why @ (Malformed::Truncated { .. } | Malformed::Trailing(_))) = form {
        return Err(Rejection::Length(why));
    }
    let multicast = matches!(config.peering, Peering::Multicast(_));
    if multicast && datagram.hops != FROM_THIS_LINK {
        return Err(Rejection::Hops(datagram.hops));
    }
    let advert = form.map_err(Rejection::Form)?;
    let (theirs, ours) = (advert.version(), config.version);
    if theirs != ours {
        return Err(Rejection::Version { theirs, ours });
    }
    if ours == Version::V2 {
        authentic(config, &advert)?;
    }
    let (theirs, ours) = (advert.interval(), config.interval);
    if theirs.0 == 0 || (advert.version() == Version::V2 && theirs != ours) {
        return Err(Rejection::Interval { theirs, ours });
    }
    let reading = read_checksum(config, datagram, &advert).ok_or(Rejection::Checksum)?;
    match (datagram.destination.is_multicast(), multicast) {
        (true, false) => return Err(Rejection::Multicast),
        (false, true) => return Err(Rejection::Unicast),
        _ => {}
    }
    if config.owner_ignore_adverts && config.is_owner() {
        return Err(Rejection::Owner);
    }
    from_peer(config, datagram)?;
    Ok((advert, reading))
}

fn authentic(config: &Config, advert: &Advert<'_>) -> Result<(), Rejection> {
    let (theirs, ours) = (advert.auth_type(), auth_type(config.auth));
    if theirs > 2 {
        return Err(Rejection::NoAuthType(theirs));
    }
    if theirs != ours {
        return Err(Rejection::AuthType { theirs, ours });
    }
    match config.auth {
        Auth::Pass(password) if !same(&advert.auth_data().unwrap_or_default(), &password) => {
            Err(Rejection::Password)
        }
        _ => Ok(()),
    }
}

/// The authentication type on the wire (RFC 2338 section 5.3.6).
pub(super) const fn auth_type(auth: Auth) -> u8 {
    match auth {
        Auth::None => 0,
        Auth::Pass(_) => 1,
        Auth::Ah(_) => 2,
    }
}

/// Compares in a time that does not tell how much was right.
fn same(a: &[u8; 8], b: &[u8; 8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b));
    core::hint::black_box(differing) == 0
}

/// RFC 5798 was read in two ways, and routers of both kinds stand side by side: IPv4 version 3 is accepted with and
/// without the pseudo header. `v3_checksum_as_v2` accepts anything, as it does in keepalived.
fn read_checksum(config: &Config, datagram: &Datagram<'_>, advert: &Advert<'_>) -> Option<Checked> {
    let right = |pseudo| advert.sum(pseudo) == 0;
    let to = |destination| Checksum::pseudo_header(datagram.source, destination, advert.len());
    match (config.version, config.family) {
        (Version::V2, _) => right(Checksum::new()).then_some(Checked::AsOurs),
        (Version::V3, Family::V6) => right(to(datagram.destination)).then_some(Checked::AsOurs),
        (Version::V3, Family::V4) if config.v3_checksum_as_v2 => Some(Checked::AsOurs),
        (Version::V3, Family::V4) => {
            let old = match &config.peering {
                Peering::Multicast(_) => OldChecksum::Never,
                Peering::Unicast { old_checksum, .. } => *old_checksum,
            };
            if old != OldChecksum::Always && right(to(datagram.destination)) {
                Some(Checked::AsOurs)
            } else if old != OldChecksum::Never && right(to(OLD_CHECKSUM_GROUP)) {
                Some(Checked::OldUnicast)
            } else {
                right(Checksum::new()).then_some(Checked::OtherReading)
            }
        }
    }
}

fn from_peer(config: &Config, datagram: &Datagram<'_>) -> Result<(), Rejection> {
    let Peering::Unicast {
        peers,
        check_source,
        ..
    } = &config.peering
    else {
        return Ok(());
    };
    match peers.iter().find(|peer| peer.ip == datagram.source) {
        Some(peer) if !(peer.min_ttl..=peer.max_ttl).contains(&datagram.hops) => {
            Err(Rejection::PeerHops(datagram.hops))
        }
        None if *check_source => Err(Rejection::UnknownPeer),
        _ => Ok(()),
    }
}

/// Whether the advertised addresses are ours, in any order.
pub(super) fn same_addresses(advert: &Advert<'_>, ours: &[IpAddr]) -> bool {
    let theirs = advert.addresses();
    theirs.len() == ours.len()
        && (theirs.clone().eq(ours.iter().copied())
            || theirs.clone().all(|address| ours.contains(&address)))
}

impl Rejection {
    /// The counter that it belongs to.
    pub(super) const fn counter(self, stats: &mut Stats) -> &mut u64 {
        match self {
            Self::Length(_) => &mut stats.packet_len_err,
            Self::Hops(_) | Self::PeerHops(_) => &mut stats.ip_ttl_err,
            Self::Form(Malformed::Version(_)) | Self::Version { .. } => &mut stats.version_err,
            Self::NoAuthType(_) => &mut stats.invalid_authtype,
            Self::AuthType { .. } | Self::AuthHeader { .. } => &mut stats.authtype_mismatch,
            Self::Password | Self::Forged | Self::Spi(_) | Self::Replayed { .. } => {
                &mut stats.auth_failure
            }
            Self::Interval { .. } => &mut stats.advert_interval_err,
            Self::Form(_) => &mut stats.invalid_type_rcvd,
            Self::Checksum => &mut stats.checksum_err,
            Self::Multicast | Self::Unicast => &mut stats.destination_err,
            Self::Owner => &mut stats.owner_ignored,
            Self::UnknownPeer => &mut stats.unknown_peer,
        }
    }

    /// Its place among the kinds that are said once.
    pub(super) const fn kind(self) -> u8 {
        match self {
            Self::Length(_) => 0,
            Self::Hops(_) => 1,
            Self::Version { .. } => 2,
            Self::NoAuthType(_) => 3,
            Self::AuthType { .. } => 4,
            Self::Password => 5,
            Self::Interval { .. } => 6,
            Self::Form(_) => 7,
            Self::Checksum => 8,
            Self::Multicast => 9,
            Self::Unicast => 10,
            Self::Owner => 11,
            Self::UnknownPeer => 12,
            Self::PeerHops(_) => 13,
            Self::AuthHeader { .. } => 14,
            Self::Forged => 15,
            Self::Spi(_) => 16,
            Self::Replayed { .. } => 17,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(why) | Self::Form(why) => why.fmt(f),
            Self::Hops(hops) => write!(f, "its TTL is {hops} where it must be 255"),
            Self::Version { theirs, ours } => {
                write!(f, "its version is {theirs}, ours is {ours}")
            }
            Self::NoAuthType(kind) => write!(f, "there is no authentication type {kind}"),
            Self::AuthType { theirs, ours } => {
                let name = |kind: &u8| match kind {
                    0 => "none",
                    1 => "PASS",
                    _ => "AH",
                };
                let (theirs, ours) = (name(theirs), name(ours));
                write!(f, "its authentication type is {theirs}, ours is {ours}")
            }
            Self::Password => f.write_str("authentication failed, its password is not ours"),
            Self::AuthHeader { theirs: true } => {
                f.write_str("it has an authentication header, but auth_type is not AH")
            }
            Self::AuthHeader { theirs: false } => {
                f.write_str("it has no authentication header, but auth_type is AH")
            }
            Self::Forged => f.write_str(
                "authentication failed, its authentication header is made with another password",
            ),
            Self::Spi(spi) => write!(
                f,
                "authentication failed, its authentication header is that of {spi}"
            ),
            Self::Replayed { theirs, last } => write!(
                f,
                "authentication failed, its sequence number {theirs} is not greater than the last one, {last}"
            ),
            Self::Interval { theirs, ours } => {
                write!(f, "its interval is {theirs} s, ours is {ours} s")
            }
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Multicast => f.write_str("it was sent to a group, but unicast is configured"),
            Self::Unicast => f.write_str("it was sent to us alone, but multicast is configured"),
            Self::Owner => f.write_str("we own the addresses and owner_ignore_adverts is set"),
            Self::UnknownPeer => f.write_str("it is not from a configured unicast_peer"),
            Self::PeerHops(hops) => {
                write!(f, "its TTL is {hops}, outside the range of that peer")
            }
        }
    }
}
