//! Small values that name things: virtual routers, priorities, interfaces, address families.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU8;

/// Virtual router identifier, 1 to 255 (RFC 9568 section 5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(pub NonZeroU8);

impl Vrid {
    /// `None` for zero, which the protocol reserves.
    #[must_use]
    pub const fn new(id: u8) -> Option<Self> {
        match NonZeroU8::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A priority on the wire: 0 says "I stop being master", 255 is the address owner (RFC 9568 section 5.2.4).
pub type Priority = u8;

/// Priority of the router that owns the virtual addresses.
pub const OWNER: Priority = 255;

/// Sent by a master that resigns.
pub const RESIGN: Priority = 0;

/// Version of the protocol: RFC 3768 or RFC 5798 with its successor RFC 9568.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, authentication.
    V2 = 2,
    /// RFC 5798 and 9568: IPv4 and IPv6, centiseconds.
    V3 = 3,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u8)
    }
}

/// Address family of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bytes of an address: 4 or 16.
    #[must_use]
    pub const fn address_len(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Index that the kernel gives to an interface; never zero for one that exists.
pub type Ifindex = u32;

/// Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The MAC of a virtual router (RFC 9568 section 7.3).
    #[must_use]
    pub const fn of_virtual_router(family: Family, vrid: Vrid) -> Self {
        let kind = match family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        Self([0, 0, 0x5e, 0, kind, vrid.get()])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Name of a network interface: 1 to 15 bytes (`IFNAMSIZ` of linux/if.h less its NUL).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName(heapless::String<15, u8>);

impl IfName {
    /// `None` if empty, longer than 15 bytes, or with a `/`, white space or NUL, which the kernel refuses
    /// (`dev_valid_name` in net/core/dev.c).
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let legal = !name.is_empty() && name != "." && name != "..";
        let legal = legal
            && !name
                .bytes()
                .any(|b| b == b'/' || b == b':' || b == 0 || b.is_ascii_whitespace());
        if !legal {
            return None;
        }
        heapless::String::try_from(name).ok().map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_is_what_the_kernel_accepts() {
        assert_eq!(
            IfName::new("br-lan.100").as_ref().map(IfName::as_str),
            Some("br-lan.100")
        );
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "eth0:1",
            "two words",
            "sixteen-letters-",
        ] {
            assert_eq!(IfName::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_virtual_mac_tells_family_and_vrid() {
        let vrid = Vrid::new(51).expect("not zero");
        assert_eq!(
            Mac::of_virtual_router(Family::V4, vrid).to_string(),
            "00:00:5e:00:01:33"
        );
        assert_eq!(
            Mac::of_virtual_router(Family::V6, vrid).to_string(),
            "00:00:5e:00:02:33"
        );
    }
}
