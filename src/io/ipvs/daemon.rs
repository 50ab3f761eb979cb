//! The kernel's threads that copy connections from one director to another.

use core::net::IpAddr;

use super::message::{Command, request, row, top};
use crate::io::netlink::Body;
use crate::io::netlink::message::{attributes, ip, text, u16_at, u32_at};
use crate::name::IfName;

/// `IPVS_DAEMON_ATTR_*` of linux/ip_vs.h.
mod attribute {
    pub(super) const STATE: u16 = 1;
    pub(super) const MCAST_IFN: u16 = 2;
    pub(super) const SYNC_ID: u16 = 3;
    pub(super) const SYNC_MAXLEN: u16 = 4;
    pub(super) const MCAST_GROUP: u16 = 5;
    pub(super) const MCAST_GROUP6: u16 = 6;
    pub(super) const MCAST_PORT: u16 = 7;
    pub(super) const MCAST_TTL: u16 = 8;
}

/// What a thread does, `IP_VS_STATE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SyncRole {
    /// It tells of its connections.
    Master = 1,
    /// It listens to a master.
    Backup = 2,
}

impl core::fmt::Display for SyncRole {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// How the threads talk to each other. What is `None` is the kernel's to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// The interface that they send and listen on; the master needs an address of the group's family on it.
    pub interface: IfName,
    /// Who belongs together, 0 to 255; 0 is everybody.
    pub id: u8,
    /// Bytes in a datagram at most.
    pub max_len: Option<u16>,
    /// The group that they talk in; 224.0.0.81 of itself.
    pub group: Option<IpAddr>,
    /// The port, 8848 of itself.
    pub port: Option<u16>,
    /// Time to live, 1 of itself.
    pub ttl: Option<u8>,
}

pub(super) fn start(role: SyncRole, settings: &SyncSettings) -> Body {
    let mut body = request(Command::NewDaemon);
    body.nest(top::DAEMON, |row| {
        row.put_u32(attribute::STATE, u32::from(role as u8));
        row.put_text(attribute::MCAST_IFN, settings.interface.as_str());
        row.put_u32(attribute::SYNC_ID, settings.id.into());
        if let Some(max_len) = settings.max_len {
            row.put(attribute::SYNC_MAXLEN, &max_len.to_ne_bytes());
        }
        match settings.group {
            Some(group @ IpAddr::V4(_)) => row.put_ip(attribute::MCAST_GROUP, group),
            Some(group @ IpAddr::V6(_)) => row.put_ip(attribute::MCAST_GROUP6, group),
            None => {}
        }
        if let Some(port) = settings.port {
            row.put(attribute::MCAST_PORT, &port.to_ne_bytes());
        }
        if let Some(ttl) = settings.ttl {
            row.put(attribute::MCAST_TTL, &[ttl]);
        }
    });
    body
}

pub(super) fn stop(role: SyncRole) -> Body {
    let mut body = request(Command::DelDaemon);
    body.nest(top::DAEMON, |row| {
        row.put_u32(attribute::STATE, u32::from(role as u8));
    });
    body
}

/// A thread as the kernel lists it; `None` if malformed.
pub(super) fn read(payload: &[u8]) -> Option<(SyncRole, SyncSettings)> {
    let row = row(payload, top::DAEMON)?;
    let value = |kind| attributes(row).find_map(|(k, value)| (k == kind).then_some(value));
    let role = match u32_at(value(attribute::STATE)?, 0)? {
        1 => SyncRole::Master,
        2 => SyncRole::Backup,
        _ => return None,
    };
    let group = value(attribute::MCAST_GROUP).or_else(|| value(attribute::MCAST_GROUP6));
    let settings = SyncSettings {
        interface: IfName::new(text(value(attribute::MCAST_IFN)?)?)?,
        id: u8::try_from(u32_at(value(attribute::SYNC_ID)?, 0)?).ok()?,
        max_len: value(attribute::SYNC_MAXLEN).and_then(|value| u16_at(value, 0)),
        group: group.and_then(ip),
        port: value(attribute::MCAST_PORT).and_then(|value| u16_at(value, 0)),
        ttl: value(attribute::MCAST_TTL).and_then(|value| value.first().copied()),
    };
    Some((role, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_reads_back_as_it_was() {
        let plain = SyncSettings {
            interface: IfName::new("eth0").unwrap(),
            id: 51,
            max_len: None,
            group: None,
            port: None,
            ttl: None,
        };
        let full = SyncSettings {
            max_len: Some(1400),
            group: "ff02::51".parse().ok(),
            port: Some(9000),
            ttl: Some(3),
            ..plain.clone()
        };
        for settings in [plain, full] {
            let said = start(SyncRole::Backup, &settings).into_bytes();
            assert_eq!(read(&said), Some((SyncRole::Backup, settings)));
            for end in 0..said.len() {
                let _ = read(&said[..end]);
            }
        }
    }
}
