//! Addresses of interfaces: what there are, and how they are added and taken away.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use neli::consts::nl::NlmF;
use neli::consts::rtnl::{Ifa, Rtm};

use super::error::NetError;
use super::netlink::message::{attributes, ip, text, u32_at};
use super::netlink::{Batch, Body, Netlink};
use crate::name::{IfName, Ifindex};

/// Length of `struct ifaddrmsg` of linux/if_addr.h.
const HEADER: usize = 8;
/// `IFA_PROTO` of linux/if_addr.h, since Linux 5.18. Older kernels skip attributes that they do not know in a request to add.
const IFA_PROTO: u16 = 11;

/// Who put an address or a route where it is: keepalived's number in linux/rtnetlink.h, `RTPROT_KEEPALIVED`.
pub const KEEPALIVED: u8 = 18;

/// A lifetime without an end.
pub const FOR_EVER: u32 = u32::MAX;

/// Flags of linux/if_addr.h.
pub mod flag {
    /// IPv4: not the first address of its subnet.
    pub const SECONDARY: u32 = 0x01;
    /// IPv6: usable at once, without duplicate address detection.
    pub const NODAD: u32 = 0x02;
    /// IPv6: duplicate address detection found another owner.
    pub const DADFAILED: u32 = 0x08;
    /// Not to be chosen as a source address.
    pub const DEPRECATED: u32 = 0x20;
    /// IPv6: duplicate address detection is not finished.
    pub const TENTATIVE: u32 = 0x40;
    /// It has no end of its valid lifetime.
    pub const PERMANENT: u32 = 0x80;
    /// No route to its subnet comes with it.
    pub const NOPREFIXROUTE: u32 = 0x200;
    /// What a request can ask for: `NODAD`, `OPTIMISTIC`, `HOMEADDRESS`, `MANAGETEMPADDR`, `NOPREFIXROUTE`, `MCAUTOJOIN`.
    pub(super) const REQUESTABLE: u32 = 0x02 | 0x04 | 0x10 | 0x100 | 0x200 | 0x400;
}

/// An address on an interface, as it is asked for and as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// Where it is.
    pub ifindex: Ifindex,
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix, or of its peer's.
    pub prefix: u8,
    /// IPv4: the broadcast address of its subnet.
    pub broadcast: Option<Ipv4Addr>,
    /// `RT_SCOPE_*` of linux/rtnetlink.h: 0 global, 253 link, 254 host. The kernel finds that of IPv6 itself.
    pub scope: u8,
    /// IPv4: its label; the kernel takes the interface's name where there is none.
    pub label: Option<heapless::String<15>>,
    /// The other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// `IFA_F_*`, see [`flag`]; of what the kernel sets itself nothing can be asked for.
    pub flags: u32,
    /// Preferred lifetime in seconds, [`FOR_EVER`] or less. The valid lifetime is always without an end.
    pub preferred: u32,
    /// Who put it there; 0 where nobody said, or the kernel is older than 5.18.
    pub protocol: u8,
}

impl Assignment {
    /// An address with all else at its default.
    #[must_use]
    pub fn new(ifindex: Ifindex, ip: IpAddr, prefix: u8) -> Self {
        Self {
            ifindex,
            ip,
            prefix,
            broadcast: None,
            scope: 0,
            label: None,
            peer: None,
            flags: if ip.is_ipv6() { flag::NODAD } else { 0 },
            preferred: FOR_EVER,
            protocol: KEEPALIVED,
        }
    }

    /// What makes it the same address to the kernel: for IPv4 interface, address, prefix length and peer, for IPv6 interface and
    /// address only.
    #[must_use]
    pub const fn key(&self) -> Key {
        match self.ip {
            IpAddr::V4(_) => (self.ifindex, self.ip, Some((self.prefix, self.peer))),
            IpAddr::V6(_) => (self.ifindex, self.ip, None),
        }
    }

    /// An IPv6 address that cannot be used yet, or never because another host has it.
    #[must_use]
    pub const fn is_tentative(&self) -> bool {
        self.flags & (flag::TENTATIVE | flag::DADFAILED) != 0
    }
}

/// See [`Assignment::key`].
pub type Key = (Ifindex, IpAddr, Option<(u8, Option<IpAddr>)>);

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            None => write!(f, "{}/{}", self.ip, self.prefix),
            Some(peer) => write!(f, "{} peer {peer}/{}", self.ip, self.prefix),
        }
    }
}

/// All addresses of the namespace, of both families, in the kernel's order: the first IPv4 address of an interface that is not
/// secondary is its primary one.
///
/// # Errors
/// If the kernel does not give the list.
pub fn list(netlink: &mut Netlink) -> Result<Vec<Assignment>, NetError> {
    let body = Body::new(&[0; HEADER]);
    netlink.dump("list the addresses", Rtm::Getaddr, body, |message| {
        read(message.payload)
    })
}

/// The payload of an `RTM_NEWADDR` or `RTM_DELADDR`; `None` if malformed or of another family.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Assignment> {
    let &[_, prefix, flags, scope, ..] = payload.first_chunk::<HEADER>()?;
    let mut found = Assignment {
        prefix,
        scope,
        flags: u32::from(flags),
        protocol: 0,
        ..Assignment::new(u32_at(payload, 4)?, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    };
    let (mut local, mut address) = (None, None);
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match Ifa::from(kind) {
            Ifa::Local => local = Some(ip(value)?),
            Ifa::Address => address = Some(ip(value)?),
            Ifa::Broadcast => {
                if let Some(IpAddr::V4(broadcast)) = ip(value) {
                    found.broadcast = Some(broadcast);
                }
            }
            Ifa::Label => found.label = text(value).and_then(|l| l.try_into().ok()),
            Ifa::Flags => found.flags = u32_at(value, 0)?,
            Ifa::Cacheinfo => found.preferred = u32_at(value, 0)?,
            _ if kind == IFA_PROTO => found.protocol = *value.first()?,
            _ => {}
        }
    }
    // IFA_ADDRESS is the other end where there is one; IPv6 leaves IFA_LOCAL away where there is none.
    found.ip = local.or(address)?;
    found.peer = address.filter(|a| *a != found.ip);
    Some(found)
}

/// Asks for an address; `dev`, its interface's name, is for the words of a refusal. The kernel refuses one that is there with
/// `EEXIST`, and changes nothing about it.
pub fn add(batch: &mut Batch, wanted: &Assignment, dev: &IfName) {
    batch.push(
        format_args!("add {wanted} to {dev}"),
        Rtm::Newaddr,
        NlmF::CREATE | NlmF::EXCL,
        addition(wanted),
    );
}

/// Asks for new lifetimes, flags and mark of an address, which is added if it is not there.
pub fn replace(batch: &mut Batch, wanted: &Assignment, dev: &IfName) {
    batch.push(
        format_args!("change {wanted} on {dev}"),
        Rtm::Newaddr,
        NlmF::CREATE | NlmF::REPLACE,
        addition(wanted),
    );
}

/// Asks for an address to be taken away. The kernel refuses with `EADDRNOTAVAIL` if it is not there.
pub fn remove(batch: &mut Batch, unwanted: &Assignment, dev: &IfName) {
    batch.push(
        format_args!("remove {unwanted} from {dev}"),
        Rtm::Deladdr,
        NlmF::empty(),
        places(unwanted),
    );
}

/// What finds the address.
fn places(a: &Assignment) -> Body {
    const INET: u8 = libc::AF_INET as u8;
    const INET6: u8 = libc::AF_INET6 as u8;
    let family = if a.ip.is_ipv4() { INET } else { INET6 };
    let mut body = Body::new(&[family, a.prefix, 0, a.scope]);
    body.append(&a.ifindex.to_ne_bytes());
    body.put_ip(Ifa::Local.into(), a.ip);
    body.put_ip(Ifa::Address.into(), a.peer.unwrap_or(a.ip));
    body
}

fn addition(a: &Assignment) -> Body {
    let mut body = places(a);
    if let Some(broadcast) = a.broadcast {
        body.put_ip(Ifa::Broadcast.into(), broadcast.into());
    }
    if let Some(label) = &a.label {
        body.put_text(Ifa::Label.into(), label.as_str());
    }
    if a.flags & flag::REQUESTABLE != 0 {
        body.put_u32(Ifa::Flags.into(), a.flags & flag::REQUESTABLE);
    }
    if a.preferred != FOR_EVER {
        // struct ifa_cacheinfo: preferred, valid, and two times that the kernel fills in.
        let mut info = [0; 16];
        info[..4].copy_from_slice(&a.preferred.to_ne_bytes());
        info[4..8].copy_from_slice(&FOR_EVER.to_ne_bytes());
        body.put(Ifa::Cacheinfo.into(), &info);
    }
    if a.protocol != 0 {
        body.put(IFA_PROTO, &[a.protocol]);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(wanted: &Assignment) -> Vec<u8> {
        addition(wanted).into_bytes()
    }

    #[test]
    fn what_is_asked_for_reads_back_as_it_was() {
        let eth0 = 3;
        let mut v4 = Assignment::new(eth0, "10.0.0.1".parse().expect("v4"), 24);
        v4.broadcast = Some(Ipv4Addr::new(10, 0, 0, 255));
        v4.label = "eth0:vip".try_into().ok();
        v4.flags = flag::NOPREFIXROUTE;
        v4.scope = 253;
        let mut peer = Assignment::new(eth0, "10.0.0.1".parse().expect("v4"), 32);
        peer.peer = "10.0.0.2".parse().ok();
        let mut v6 = Assignment::new(eth0, "2001:db8::1".parse().expect("v6"), 128);
        v6.preferred = 0;
        for wanted in [v4, peer, v6] {
            assert_eq!(read(&said(&wanted)).as_ref(), Some(&wanted));
        }
    }

    #[test]
    fn flags_that_only_the_kernel_sets_are_not_asked_for() {
        let mut seen = Assignment::new(3, "10.0.0.1".parse().expect("v4"), 24);
        seen.flags = flag::PERMANENT | flag::SECONDARY;
        assert_eq!(read(&said(&seen)).map(|a| a.flags), Some(0));
    }

    #[test]
    fn an_ipv6_address_is_the_same_whatever_its_prefix() {
        let ip = "2001:db8::1".parse().expect("v6");
        assert_eq!(
            Assignment::new(3, ip, 64).key(),
            Assignment::new(3, ip, 128).key()
        );
        let ip = "10.0.0.1".parse().expect("v4");
        assert_ne!(
            Assignment::new(3, ip, 24).key(),
            Assignment::new(3, ip, 32).key()
        );
    }

    #[test]
    fn every_prefix_of_a_message_is_read_or_refused_quietly() {
        let mut wanted = Assignment::new(3, "2001:db8::1".parse().expect("v6"), 64);
        wanted.preferred = 5;
        let bytes = said(&wanted);
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
    }
}
