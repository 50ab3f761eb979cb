//! Adverts that went by, in sentences, and what is wrong with them.

use core::fmt::Write;
use core::net::IpAddr;

use crate::model::{self, Model};
use crate::name::{Family, IfName, Ifindex, OWNER, Priority, RESIGN, Version, Vrid};
use crate::time::Instant;
use crate::vrrp::{Datagram, rejection};
use crate::wire::Checksum;
use crate::wire::ah::AuthenticationHeader;
use crate::wire::ip::{AH, Ipv4Packet};
use crate::wire::vrrp::Advert;

/// Where an advert was seen.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The interface.
    pub interface: &'a IfName,
    /// Its index.
    pub ifindex: Ifindex,
    /// Whether this host sent it.
    pub is_ours: bool,
    /// When.
    pub at: Instant,
}

/// Who speaks for a virtual router, to notice when two do.
#[derive(Debug, Default)]
pub struct Speakers(Vec<Speaker>);

#[derive(Debug)]
struct Speaker {
    ifindex: Ifindex,
    vrid: Vrid,
    from: IpAddr,
    priority: Priority,
    until: Instant,
}

/// An advert in a sentence, and what is wrong with it, each on a line of its own. The configuration is ours, if there is one, and
/// tells what is expected.
#[must_use]
pub fn describe(
    packet: &[u8],
    place: Place<'_>,
    ours: Option<&Model>,
    speakers: &mut Speakers,
) -> Vec<String> {
    let Some(datagram) = take_apart(packet, place.ifindex) else {
        return vec![format!(
            "{}: a packet that is no whole IP packet",
            place.interface
        )];
    };
    let (from, to, on) = (datagram.source, datagram.destination, place.interface);
    let family = Family::of(from);
    let authentication = if datagram.header.get(9) == Some(&AH) {
        match AuthenticationHeader::new_checked(datagram.payload) {
            Ok(header) => Some(header),
            Err(why) => {
                return vec![
                    format!("{on}: {from} to {to}: an authentication header and no advert"),
                    format!("nobody takes it: {why}"),
                ];
            }
        }
    } else {
        None
    };
    let message = authentication.map_or(datagram.payload, |header| header.message());
    let advert = match Advert::new_checked(message, family) {
        Ok(advert) => advert,
        Err(why) => {
            return vec![
                format!("{on}: {from} to {to}: no advert that can be read"),
                format!("nobody takes it: {why}"),
            ];
        }
    };
    let mut said = vec![sentence(
        &advert,
        &datagram,
        place,
        authentication.is_some(),
    )];
    if datagram.hops != 255 && to.is_multicast() {
        said.push(format!(
            "its TTL is {} and not 255: it came through a router, and nobody takes it (RFC 9568 section 5.1.1.3)",
            datagram.hops
        ));
    }
    said.extend(checksum(&advert, from, to, message.len()));
    if !place.is_ours {
        said.extend(ours.and_then(|model| against(model, &advert, &datagram, on)));
        if let Some(model) = ours {
            said.extend(addresses(model, &advert, family, on));
        }
    }
    said.extend(speakers.hear(&advert, from, place));
    said
}

fn take_apart(packet: &[u8], ifindex: Ifindex) -> Option<Datagram<'_>> {
    if packet.first()? >> 4 == 4 {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        return Some(Datagram {
            ifindex,
            source: ip.source().into(),
            destination: ip.destination().into(),
            hops: ip.ttl(),
            header: ip.header(),
            payload: ip.payload(),
        });
    }
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(octets.into())
    };
    let len = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
    Some(Datagram {
        ifindex,
        source: address(8)?,
        destination: address(24)?,
        hops: *packet.get(7)?,
        header: &[],
        payload: packet.get(40..40 + len)?,
    })
}

fn sentence(
    advert: &Advert<'_>,
    datagram: &Datagram<'_>,
    place: Place<'_>,
    sealed: bool,
) -> String {
    let mut text = format!("{}: {}", place.interface, datagram.source);
    if place.is_ours {
        text.push_str(" (this host)");
    }
    if !datagram.destination.is_multicast() {
        let _ = write!(text, " tells {}:", datagram.destination);
    }
    let vrid = advert.vrid();
    let _ = match advert.priority() {
        RESIGN => write!(text, " resigns as master of VRID {vrid}"),
        OWNER => write!(text, " is master of VRID {vrid} and owns its addresses"),
        priority => write!(text, " is master of VRID {vrid} with priority {priority}"),
    };
    let mut all = advert.addresses();
    match (all.next(), all.len()) {
        (None, _) => text.push_str(", for no address"),
        (Some(first), 0) => {
            let _ = write!(text, ", for {first}");
        }
        (Some(first), more) => {
            let _ = write!(text, ", for {first} and {more} more");
        }
    }
    let version = match advert.version() {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    let _ = write!(text, ", each {} s (version {version}", advert.interval());
    match (sealed, advert.auth_type()) {
        (true, _) => text.push_str(", authentication header"),
        (false, 1) => text.push_str(", password"),
        _ => {}
    }
    text.push(')');
    text
}

/// What is wrong with its checksum; over IPv4 version 3 has two readings (RFC 9568 section 5.2.8).
fn checksum(advert: &Advert<'_>, from: IpAddr, to: IpAddr, len: usize) -> Option<String> {
    let without = advert.sum(Checksum::new()) == 0;
    if advert.version() == Version::V2 && from.is_ipv4() {
        return (!without).then(|| "its checksum is wrong: nobody takes it".to_owned());
    }
    if advert.sum(Checksum::pseudo_header(from, to, len)) == 0 {
        return None;
    }
    Some(if without && from.is_ipv4() {
        "its checksum leaves the IPv4 pseudo header out: keepalived takes it with v3_checksum_as_v2 only".to_owned()
    } else {
        "its checksum is wrong: nobody takes it".to_owned()
    })
}

fn instance<'a>(
    model: &'a Model,
    advert: &Advert<'_>,
    family: Family,
    on: &IfName,
) -> Option<&'a model::Instance> {
    let mut all = model.instances.iter();
    all.find(|config| {
        config.vrid == advert.vrid() && config.family == family && config.interface == *on
    })
}

/// What our own configuration says to it.
fn against(
    model: &Model,
    advert: &Advert<'_>,
    datagram: &Datagram<'_>,
    on: &IfName,
) -> Option<String> {
    let config = instance(model, advert, Family::of(datagram.source), on)?;
    let why = rejection(config, datagram)?;
    Some(format!("our {} ignores it: {why}", config.name))
}

/// Whether it speaks for the addresses that ours does.
fn addresses(model: &Model, advert: &Advert<'_>, family: Family, on: &IfName) -> Option<String> {
    let config = instance(model, advert, family, on)?;
    let ours = || config.addresses.iter().map(|address| address.ip);
    let theirs = || advert.addresses();
    let list = |all: Vec<IpAddr>| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        all.join(" ")
    };
    let only_theirs: Vec<IpAddr> = theirs()
        .filter(|ip| !ours().any(|own| own == *ip))
        .collect();
    let only_ours: Vec<IpAddr> = ours()
        .filter(|ip| !theirs().any(|other| other == *ip))
        .collect();
    match (only_theirs.is_empty(), only_ours.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("our {} lacks {}", config.name, list(only_theirs))),
        (true, false) => Some(format!(
            "it lacks {} of our {}",
            list(only_ours),
            config.name
        )),
        (false, false) => Some(format!(
            "it has {} where our {} has {}",
            list(only_theirs),
            config.name,
            list(only_ours)
        )),
    }
}

impl Speakers {
    /// Takes note of who speaks; tells if somebody else does so too.
    fn hear(&mut self, advert: &Advert<'_>, from: IpAddr, place: Place<'_>) -> Option<String> {
        let vrid = advert.vrid();
        self.0.retain(|speaker| speaker.until > place.at);
        let same = |speaker: &Speaker| {
            speaker.ifindex == place.ifindex
                && speaker.vrid == vrid
                && Family::of(speaker.from) == Family::of(from)
        };
        self.0
            .retain(|speaker| !(same(speaker) && speaker.from == from));
        let other = self.0.iter().find(|speaker| same(speaker));
        let said = other.map(|other| {
            format!(
                "two masters of VRID {vrid}: {} with priority {} speaks too",
                other.from, other.priority
            )
        });
        if advert.priority() == RESIGN {
            return None;
        }
        self.0.push(Speaker {
            ifindex: place.ifindex,
            vrid,
            from,
            priority: advert.priority(),
            until: place.at + advert.interval().as_duration() * 2,
        });
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An advert of version 2 from 10.0.0.2: VRID 51, priority 150, for 10.0.0.100.
    fn packet(ttl: u8, priority: u8) -> Vec<u8> {
        let mut message = vec![0x21, 51, priority, 1, 0, 1, 0, 0, 10, 0, 0, 100];
        message.extend([0; 8]);
        let sum = Checksum::new().bytes(&message).finish().to_be_bytes();
        message.splice(6..8, sum);
        let len = 20 + message.len() as u8;
        let mut packet = vec![
            0x45, 0xc0, 0, len, 0, 0, 0, 0, ttl, 112, 0, 0, 10, 0, 0, 2, 224, 0, 0, 18,
        ];
        packet.extend(message);
        packet
    }

    fn told(packet: &[u8], speakers: &mut Speakers) -> Vec<String> {
        let interface = IfName::new("eth0").unwrap();
        let place = Place {
            interface: &interface,
            ifindex: 2,
            is_ours: false,
            at: Instant(0),
        };
        describe(packet, place, None, speakers)
    }

    #[test]
    fn an_advert_is_told_in_a_sentence() {
        let said = told(&packet(255, 150), &mut Speakers::default());
        let expected = "eth0: 10.0.0.2 is master of VRID 51 with priority 150, for 10.0.0.100, each 1 s (version 2)";
        assert_eq!(said, [expected]);
        let said = told(&packet(255, 0), &mut Speakers::default());
        assert!(
            said[0].contains("10.0.0.2 resigns as master of VRID 51"),
            "{said:?}"
        );
    }

    #[test]
    fn what_is_wrong_with_it_follows() {
        let said = told(&packet(64, 150), &mut Speakers::default());
        assert!(said[1].contains("TTL is 64 and not 255"), "{said:?}");
        let mut broken = packet(255, 150);
        broken[26] ^= 1;
        let said = told(&broken, &mut Speakers::default());
        assert_eq!(said[1], "its checksum is wrong: nobody takes it");
        let short = &packet(255, 150)[..25];
        assert!(told(short, &mut Speakers::default())[0].contains("no whole IP packet"));
    }

    #[test]
    fn two_masters_are_noticed() {
        let mut speakers = Speakers::default();
        told(&packet(255, 150), &mut speakers);
        let mut other = packet(255, 100);
        other[15] = 3;
        let said = told(&other, &mut speakers);
        assert_eq!(
            said[1],
            "two masters of VRID 51: 10.0.0.2 with priority 150 speaks too"
        );
    }

    #[test]
    fn no_bytes_do_any_harm() {
        let whole = packet(255, 150);
        for end in 0..whole.len() {
            told(&whole[..end], &mut Speakers::default());
            let mut flipped = whole.clone();
            flipped[end] ^= 0xff;
            told(&flipped, &mut Speakers::default());
        }
        told(&[0x60; 60], &mut Speakers::default());
    }
}
