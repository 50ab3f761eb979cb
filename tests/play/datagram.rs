//! Datagrams in the words of a scenario.

use core::net::IpAddr;

use keepalite::model::{Auth, Peering};
use keepalite::name::{Version, Vrid};
use keepalite::time::Centis;
use keepalite::vrrp::{Datagram, Event, Instance};
use keepalite::wire::Checksum;
use keepalite::wire::ah::{self, AhRepr};
use keepalite::wire::ip::{self, Ipv4Repr};
use keepalite::wire::vrrp::AdvertRepr;

use super::{Player, index};
use crate::made;

/// Where adverts of IPv4 go to.
const GROUP: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(224, 0, 0, 18));

/// Words in pairs, each key of those that are known.
struct Pairs<'a> {
    words: Vec<&'a str>,
    place: &'a str,
}

impl<'a> Pairs<'a> {
    fn of(text: &'a str, known: &[&str], place: &'a str) -> Self {
        let words: Vec<_> = text.split_whitespace().collect();
        for pair in words.chunks(2) {
            let key = pair[0];
            assert!(known.contains(&key), "{place}: no such word: {key}");
        }
        Self { words, place }
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        let pairs = self.words.chunks(2).find(|pair| pair[0] == key)?;
        // Only the last one, a payload, may be empty.
        Some(pairs.get(1).copied().unwrap_or(""))
    }

    fn parsed<T: core::str::FromStr>(&self, key: &str) -> Option<T>
    where
        T::Err: core::fmt::Debug,
    {
        Some(self.value(key)?.parse().expect(self.place))
    }

    fn hex(&self, key: &str) -> Vec<u8> {
        let hex = self.value(key).unwrap_or("");
        let bytes = (0..hex.len()).step_by(2);
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect(self.place);
        bytes.map(byte).collect()
    }
}

impl Player {
    pub(super) fn advert(&mut self, rest: &str, place: &str) {
        let known = [
            "for",
            "from",
            "priority",
            "version",
            "vrid",
            "advert_int",
            "pass",
            "auth",
            "addresses",
            "ttl",
            "to",
            "checksum",
            "sequence",
            "key",
            "spi",
            "on",
        ];
        let pairs = Pairs::of(rest, &known, place);
        let value = |key: &str| pairs.value(key);
        let (config, to, sequence) = {
            let engine = self.engine.as_ref().expect("started");
            let wanted = |i: &&Instance| value("for").is_none_or(|name| i.config().name == name);
            let instance = engine.iter().map(|(_, i)| i).find(wanted).expect(place);
            let sequence = instance.sequence() + 1;
            let to = pairs.parsed("to");
            let to = to.unwrap_or_else(|| destination(instance));
            (instance.config().clone(), to, sequence)
        };
        let source: IpAddr = pairs.parsed("from").expect(place);
        let version = match value("version") {
            Some("2") => Version::V2,
            Some(_) => Version::V3,
            None => config.version,
        };
        let interval = value("advert_int").map_or(config.interval, |s| {
            let seconds: f64 = s.parse().expect(place);
            Centis((seconds * 100.0).round() as u16)
        });
        let addresses: Vec<IpAddr> = match value("addresses") {
            Some(list) => list.split(',').map(|a| a.parse().expect(place)).collect(),
            None => config.addresses.iter().map(|a| a.ip).collect(),
        };
        let auth = match (version, config.auth, value("pass")) {
            (Version::V2, _, Some(pass)) => Some(made::password(pass)),
            (Version::V2, Auth::Pass(pass), None) => Some(pass),
            _ => None,
        };
        let kind = match (auth, config.auth) {
            (Some(_), _) => 1,
            (None, Auth::Ah(_)) => 2,
            (None, _) => 0,
        };
        let advert = AdvertRepr {
            version,
            vrid: pairs
                .parsed("vrid")
                .map_or(config.vrid, |vrid| Vrid::new(vrid).expect(place)),
            priority: pairs.parsed("priority").expect(place),
            auth_type: pairs.parsed("auth").unwrap_or(kind),
            auth_data: auth.unwrap_or_default(),
            interval,
            family: config.family,
            addresses: &addresses,
        };
        let len = advert.len();
        let pseudo = match (value("checksum"), version) {
            (Some("plain"), _) | (None, Version::V2) => Checksum::new(),
            (Some("old"), _) => Checksum::pseudo_header(source, GROUP, len),
            (Some("wrong"), _) => Checksum::new().bytes(&[0x12, 0x34]),
            _ => Checksum::pseudo_header(source, to, len),
        };
        let hops = pairs.parsed("ttl").unwrap_or(255);
        let mut packet = [0; 4096];
        let key = match (config.auth, value("key")) {
            (_, Some(key)) => Some(made::password(key)),
            (Auth::Ah(key), None) if value("auth").is_none() => Some(key),
            _ => None,
        };
        let between = if key.is_some() { ah::LEN } else { 0 };
        let at = ip::HEADER + between;
        let message = advert.emit(&mut packet[at..], pseudo).expect("fits").len();
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, to) {
            let header = Ipv4Repr {
                source,
                destination,
                ttl: hops,
                protocol: if key.is_some() { ip::AH } else { ip::VRRP },
                identification: 7,
                payload_len: between + message,
            };
            header.emit(&mut packet).expect("fits");
            if let Some(key) = key {
                let seal = AhRepr {
                    spi: pairs.parsed("spi").unwrap_or(source),
                    sequence: pairs.parsed("sequence").unwrap_or(sequence),
                };
                let packet = &mut packet[..at + message];
                seal.seal(packet, &ah::Key::new(key)).expect("fits");
            }
        }
        let header = if source.is_ipv4() { ip::HEADER } else { 0 };
        let datagram = Datagram {
            ifindex: index(value("on").unwrap_or(config.interface.as_str())),
            source,
            destination: to,
            hops,
            header: &packet[..header],
            payload: &packet[ip::HEADER..at + message],
        };
        self.happen(Event::Datagram(datagram));
    }

    pub(super) fn bytes(&mut self, rest: &str, place: &str) {
        let known = ["from", "to", "ttl", "on", "header", "payload"];
        let pairs = Pairs::of(rest, &known, place);
        let header = pairs.hex("header");
        let payload = pairs.hex("payload");
        self.happen(Event::Datagram(Datagram {
            ifindex: index(pairs.value("on").unwrap_or("eth0")),
            source: pairs.parsed("from").expect(place),
            destination: pairs.parsed("to").unwrap_or(GROUP),
            hops: pairs.parsed("ttl").unwrap_or(255),
            header: &header,
            payload: &payload,
        }));
    }
}

/// Where a peer's advert goes to.
pub(super) fn destination(instance: &Instance) -> IpAddr {
    match &instance.config().peering {
        Peering::Multicast(group) => *group,
        Peering::Unicast { .. } => instance.source().expect("an address"),
    }
}
