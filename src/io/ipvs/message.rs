//! The table in the words of generic netlink (linux/ip_vs.h).
//!
//! A request is a command with two rows of attributes, that of a virtual server and that of a real one; a list comes back in
//! the same words. Ports are in the order of the network, other numbers in that of the CPU.

use core::net::IpAddr;

use super::plan::Step;
use super::table::{
    Checksum, Destination, Endpoint, Forwarding, Key, Name, Protocol, Service, Tunnel, flag,
};
use super::usage::{Counters, Usage};
use crate::io::netlink::Body;
use crate::io::netlink::message::{attributes, text, u16_at, u32_at};
use crate::name::Family;

/// `IPVS_CMD_*`.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Command {
    NewService = 1,
    SetService = 2,
    DelService = 3,
    GetService = 4,
    NewDest = 5,
    SetDest = 6,
    DelDest = 7,
    GetDest = 8,
    NewDaemon = 9,
    DelDaemon = 10,
    GetDaemon = 11,
    SetConfig = 12,
    GetConfig = 13,
    Flush = 17,
}

/// `IPVS_CMD_ATTR_*`.
pub(super) mod top {
    pub(in super::super) const SERVICE: u16 = 1;
    pub(in super::super) const DEST: u16 = 2;
    pub(in super::super) const DAEMON: u16 = 3;
    pub(in super::super) const TIMEOUT_TCP: u16 = 4;
    pub(in super::super) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(in super::super) const TIMEOUT_UDP: u16 = 6;
}

/// `IPVS_SVC_ATTR_*`.
mod svc {
    pub(super) const AF: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const ADDR: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const FWMARK: u16 = 5;
    pub(super) const SCHED_NAME: u16 = 6;
    pub(super) const FLAGS: u16 = 7;
    pub(super) const TIMEOUT: u16 = 8;
    pub(super) const NETMASK: u16 = 9;
    pub(super) const PE_NAME: u16 = 11;
}

/// `IPVS_DEST_ATTR_*`.
mod dest {
    pub(super) const ADDR: u16 = 1;
    pub(super) const PORT: u16 = 2;
    pub(super) const FWD_METHOD: u16 = 3;
    pub(super) const WEIGHT: u16 = 4;
    pub(super) const U_THRESH: u16 = 5;
    pub(super) const L_THRESH: u16 = 6;
    pub(super) const ACTIVE_CONNS: u16 = 7;
    pub(super) const INACT_CONNS: u16 = 8;
    pub(super) const PERSIST_CONNS: u16 = 9;
    pub(super) const STATS: u16 = 10;
    pub(super) const ADDR_FAMILY: u16 = 11;
    pub(super) const STATS64: u16 = 12;
    pub(super) const TUN_TYPE: u16 = 13;
    pub(super) const TUN_PORT: u16 = 14;
    pub(super) const TUN_FLAGS: u16 = 15;
}

/// `IPVS_STATS_ATTR_*`.
mod stats {
    pub(super) const CONNS: u16 = 1;
    pub(super) const INPKTS: u16 = 2;
    pub(super) const OUTPKTS: u16 = 3;
    pub(super) const INBYTES: u16 = 4;
    pub(super) const OUTBYTES: u16 = 5;
}

/// `IP_VS_CONN_F_*`: methods of forwarding.
mod method {
    pub(super) const MASQ: u32 = 0;
    pub(super) const TUNNEL: u32 = 2;
    pub(super) const DROUTE: u32 = 3;
}

const INET: u16 = libc::AF_INET as u16;
const INET6: u16 = libc::AF_INET6 as u16;

/// A request without attributes: `struct genlmsghdr` of linux/genetlink.h.
pub(super) fn request(command: Command) -> Body {
    const VERSION: u8 = 1;
    Body::new(&[command as u8, VERSION, 0, 0])
}

/// The request for a step.
pub(super) fn step(step: &Step<'_>) -> Body {
    match *step {
        Step::AddService(key, settings) => service(Command::NewService, key, Some(settings)),
        Step::EditService(key, settings) => service(Command::SetService, key, Some(settings)),
        Step::RemoveService(key) => service(Command::DelService, key, None),
        Step::AddDestination(key, endpoint, settings) => {
            destination(Command::NewDest, key, endpoint, Some(settings))
        }
        Step::EditDestination(key, endpoint, settings) => {
            destination(Command::SetDest, key, endpoint, Some(settings))
        }
        Step::RemoveDestination(key, endpoint) => {
            destination(Command::DelDest, key, endpoint, None)
        }
    }
}

/// The request for the real servers of a virtual one.
pub(super) fn destinations_of(key: Key) -> Body {
    service(Command::GetDest, key, None)
}

fn service(command: Command, key: Key, settings: Option<&Service>) -> Body {
    let mut body = request(command);
    body.nest(top::SERVICE, |row| {
        put_key(row, key);
        if let Some(settings) = settings {
            put_settings(row, key.family(), settings);
        }
    });
    body
}

fn destination(
    command: Command,
    key: Key,
    endpoint: Endpoint,
    settings: Option<Destination>,
) -> Body {
    let mut body = service(command, key, None);
    body.nest(top::DEST, |row| {
        row.put(dest::ADDR, &union(endpoint.ip));
        row.put(dest::PORT, &endpoint.port.to_be_bytes());
        let family = number(Family::of(endpoint.ip));
        // A kernel before 3.18 knows real servers of its virtual server's family only, and not this attribute.
        row.put(dest::ADDR_FAMILY, &family.to_ne_bytes());
        if let Some(settings) = settings {
            put_destination(row, &settings);
        }
    });
    body
}

fn put_key(row: &mut Body, key: Key) {
    row.put(svc::AF, &number(key.family()).to_ne_bytes());
    match key {
        Key::Mark { mark, .. } => row.put_u32(svc::FWMARK, mark),
        Key::Address { protocol, ip, port } => {
            row.put(svc::PROTOCOL, &u16::from(protocol as u8).to_ne_bytes());
            row.put(svc::ADDR, &union(ip));
            row.put(svc::PORT, &port.to_be_bytes());
        }
    }
}

fn put_settings(row: &mut Body, family: Family, settings: &Service) {
    row.put_text(svc::SCHED_NAME, &settings.scheduler);
    if let Some(engine) = &settings.engine {
        row.put_text(svc::PE_NAME, engine);
    }
    // struct ip_vs_flags: the flags, and which of them count.
    let [a, b, c, d] = settings.flags.to_ne_bytes();
    row.put(svc::FLAGS, &[a, b, c, d, 0xff, 0xff, 0xff, 0xff]);
    row.put_u32(svc::TIMEOUT, settings.timeout);
    let mask = match family {
        Family::V4 => mask(settings.prefix).to_be_bytes(),
        Family::V6 => u32::from(settings.prefix).to_ne_bytes(),
    };
    row.put(svc::NETMASK, &mask);
}

fn put_destination(row: &mut Body, settings: &Destination) {
    let (forwarding, tunnel) = match settings.forwarding {
        Forwarding::Nat => (method::MASQ, None),
        Forwarding::Direct => (method::DROUTE, None),
        Forwarding::Tunnel(tunnel, checksum) => (method::TUNNEL, Some((tunnel, checksum))),
        Forwarding::Other(number) => (number, None),
    };
    row.put_u32(dest::FWD_METHOD, forwarding);
    row.put_u32(dest::WEIGHT, settings.weight);
    row.put_u32(dest::U_THRESH, settings.upper);
    row.put_u32(dest::L_THRESH, settings.lower);
    if let Some((tunnel, checksum)) = tunnel {
        let (kind, port) = match tunnel {
            Tunnel::IpIp => (0u8, 0),
            Tunnel::Gue(port) => (1, port),
            Tunnel::Gre => (2, 0),
        };
        let flags: u16 = match checksum {
            Checksum::None => 0,
            Checksum::Full => 1,
            Checksum::Remote => 2,
        };
        row.put(dest::TUN_TYPE, &[kind]);
        row.put(dest::TUN_PORT, &port.to_be_bytes());
        row.put(dest::TUN_FLAGS, &flags.to_ne_bytes());
    }
}

const fn number(family: Family) -> u16 {
    match family {
        Family::V4 => INET,
        Family::V6 => INET6,
    }
}

/// `union nf_inet_addr`: 16 bytes for either family.
fn union(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

fn address(family: Family, value: &[u8]) -> Option<IpAddr> {
    Some(match family {
        Family::V4 => IpAddr::from(*value.first_chunk::<4>()?),
        Family::V6 => IpAddr::from(*value.first_chunk::<16>()?),
    })
}

fn mask(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0)
}

fn family(number: u16) -> Option<Family> {
    match number {
        INET => Some(Family::V4),
        INET6 => Some(Family::V6),
        _ => None,
    }
}

/// A big-endian number of two bytes.
fn port(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|b| u16::from_be_bytes(*b))
}

fn name(value: &[u8]) -> Option<Name> {
    text(value)?.try_into().ok()
}

/// The row of attributes of this kind behind the header of a message.
pub(super) fn row(payload: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = attributes(payload.get(4..)?);
    all.find_map(|(found, value)| (found == kind).then_some(value))
}

/// A virtual server as the kernel lists it; `None` if malformed, or of a kind that we know nothing of.
pub(super) fn read_service(payload: &[u8]) -> Option<(Key, Service)> {
    let row = row(payload, top::SERVICE)?;
    let value = |kind| attributes(row).find_map(|(k, value)| (k == kind).then_some(value));
    let family = family(u16_at(value(svc::AF)?, 0)?)?;
    let key = match value(svc::FWMARK).and_then(|value| u32_at(value, 0)) {
        Some(mark) => Key::Mark { mark, family },
        None => Key::Address {
            protocol: Protocol::from_number(u8::try_from(u16_at(value(svc::PROTOCOL)?, 0)?).ok()?)?,
            ip: address(family, value(svc::ADDR)?)?,
            port: port(value(svc::PORT)?)?,
        },
    };
    let netmask = value(svc::NETMASK)?;
    let settings = Service {
        scheduler: name(value(svc::SCHED_NAME)?)?,
        flags: u32_at(value(svc::FLAGS)?, 0)? & !flag::HASHED,
        timeout: u32_at(value(svc::TIMEOUT)?, 0)?,
        prefix: match family {
            Family::V4 => u8::try_from(u32_at(netmask, 0)?.count_ones()).ok()?,
            Family::V6 => u8::try_from(u32_at(netmask, 0)?).ok()?,
        },
        engine: value(svc::PE_NAME).and_then(name),
    };
    Some((key, settings))
}

/// A real server as the kernel lists it among those of a virtual one; `None` if malformed.
pub(super) fn read_destination(
    payload: &[u8],
    of: Family,
) -> Option<(Endpoint, Destination, Usage)> {
    let row = row(payload, top::DEST)?;
    let value = |kind| attributes(row).find_map(|(k, value)| (k == kind).then_some(value));
    let number = |kind| value(kind).and_then(|value| u32_at(value, 0));
    let family = match value(dest::ADDR_FAMILY).and_then(|value| u16_at(value, 0)) {
        Some(number) => family(number)?,
        None => of,
    };
    let endpoint = Endpoint {
        ip: address(family, value(dest::ADDR)?)?,
        port: port(value(dest::PORT)?)?,
    };
    let tunnel = match value(dest::TUN_TYPE).and_then(|value| value.first()) {
        Some(1) => Tunnel::Gue(value(dest::TUN_PORT).and_then(port).unwrap_or(0)),
        Some(2) => Tunnel::Gre,
        // The only one before Linux 5.3.
        _ => Tunnel::IpIp,
    };
    let checksum = match value(dest::TUN_FLAGS).and_then(|value| u16_at(value, 0)) {
        Some(1) => Checksum::Full,
        Some(2) => Checksum::Remote,
        _ => Checksum::None,
    };
    let settings = Destination {
        forwarding: match number(dest::FWD_METHOD)? {
            method::MASQ => Forwarding::Nat,
            method::DROUTE => Forwarding::Direct,
            method::TUNNEL => Forwarding::Tunnel(tunnel, checksum),
            number => Forwarding::Other(number),
        },
        weight: number(dest::WEIGHT)?,
        upper: number(dest::U_THRESH)?,
        lower: number(dest::L_THRESH)?,
    };
    let counters = value(dest::STATS64).or_else(|| value(dest::STATS));
    let usage = Usage {
        active: number(dest::ACTIVE_CONNS).unwrap_or(0),
        inactive: number(dest::INACT_CONNS).unwrap_or(0),
        persistent: number(dest::PERSIST_CONNS).unwrap_or(0),
        counters: counters.map(read_counters).unwrap_or_default(),
    };
    Some((endpoint, settings, usage))
}

/// Before Linux 4.1 all but the bytes had 32 bits.
fn read_counters(row: &[u8]) -> Counters {
    let value = |kind| {
        let value = attributes(row).find_map(|(k, value)| (k == kind).then_some(value))?;
        match value.first_chunk::<8>() {
            Some(bytes) => Some(u64::from_ne_bytes(*bytes)),
            None => u32_at(value, 0).map(u64::from),
        }
    };
    let number = |kind| value(kind).unwrap_or(0);
    Counters {
        connections: number(stats::CONNS),
        packets_in: number(stats::INPKTS),
        packets_out: number(stats::OUTPKTS),
        bytes_in: number(stats::INBYTES),
        bytes_out: number(stats::OUTBYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addressed(ip: &str) -> Key {
        Key::Address {
            protocol: Protocol::Tcp,
            ip: ip.parse().unwrap(),
            port: 8080,
        }
    }

    fn endpoint(ip: &str) -> Endpoint {
        let ip = ip.parse().unwrap();
        Endpoint { ip, port: 80 }
    }

    #[test]
    fn a_virtual_server_reads_back_as_it_was_asked_for() {
        let plain = |family| Service::new("wlc".try_into().unwrap(), family);
        let mut persistent = plain(Family::V4);
        persistent.flags = flag::PERSISTENT | flag::SCHEDULER_2;
        (persistent.timeout, persistent.prefix) = (360, 24);
        persistent.engine = "sip".try_into().ok();
        let mark = |family| Key::Mark { mark: 7, family };
        let all = [
            (addressed("10.0.0.1"), persistent),
            (addressed("2001:db8::1"), plain(Family::V6)),
            (mark(Family::V4), plain(Family::V4)),
            (mark(Family::V6), plain(Family::V6)),
        ];
        for (key, settings) in all {
            let said = step(&Step::AddService(key, &settings)).into_bytes();
            assert_eq!(read_service(&said), Some((key, settings)));
        }
    }

    #[test]
    fn a_real_server_reads_back_as_it_was_asked_for() {
        let methods = [
            Forwarding::Nat,
            Forwarding::Direct,
            Forwarding::Tunnel(Tunnel::IpIp, Checksum::None),
            Forwarding::Tunnel(Tunnel::Gue(6080), Checksum::Remote),
            Forwarding::Tunnel(Tunnel::Gre, Checksum::Full),
        ];
        for forwarding in methods {
            for (key, endpoint) in [
                (addressed("10.0.0.1"), endpoint("10.0.1.1")),
                (addressed("10.0.0.1"), endpoint("2001:db8::2")),
                (addressed("2001:db8::1"), endpoint("2001:db8::2")),
            ] {
                let mut settings = Destination::new(forwarding, 100);
                (settings.upper, settings.lower) = (1000, 500);
                let said = step(&Step::AddDestination(key, endpoint, settings)).into_bytes();
                let read = read_destination(&said, key.family());
                let read = read.map(|(endpoint, settings, _)| (endpoint, settings));
                assert_eq!(read, Some((endpoint, settings)));
            }
        }
    }

    #[test]
    fn a_prefix_is_a_mask_of_as_many_ones() {
        let masks = [0, 1, 24, 32].map(mask);
        assert_eq!(masks, [0, 0x8000_0000, 0xffff_ff00, 0xffff_ffff]);
    }

    #[test]
    fn counters_are_read_in_either_width() {
        let mut body = Body::new(&[]);
        body.put_u32(stats::CONNS, 7);
        body.put(stats::INBYTES, &(1u64 << 40).to_ne_bytes());
        let counters = read_counters(&body.into_bytes());
        assert_eq!((counters.connections, counters.bytes_in), (7, 1 << 40));
    }

    #[test]
    fn every_prefix_of_a_message_is_read_or_refused_quietly() {
        let settings = Destination::new(Forwarding::Nat, 1);
        let add = Step::AddDestination(addressed("10.0.0.1"), endpoint("10.0.1.1"), settings);
        let said = step(&add).into_bytes();
        for end in 0..said.len() {
            let _ = read_service(&said[..end]);
            let _ = read_destination(&said[..end], Family::V4);
        }
    }
}
