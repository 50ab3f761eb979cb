//! Settings of the system about interfaces: files below /proc/sys/net, those of this network namespace.

use core::fmt;
use std::fs;
use std::io;

use crate::name::{Family, IfName};

/// Who a setting is about: a directory of `conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One interface.
    Link(&'a IfName),
    /// All of them, beside what each has for itself.
    All,
    /// Those that are still to come.
    Default,
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => name.fmt(f),
            Self::All => f.write_str("all"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting that each interface has for itself (Documentation/networking/ip-sysctl.rst of Linux).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// IPv4: let packets in that come from an address of this host.
    AcceptLocal,
    /// IPv4: 2 asks by ARP in the name of an address of the interface that asks, not in that of the packet to be sent.
    ArpAnnounce,
    /// IPv4: answer ARP by the interface that a packet to the asker would leave by.
    ArpFilter,
    /// IPv4: 1 answers ARP for addresses of the interface that is asked, not for those of others.
    ArpIgnore,
    /// IPv4: an address whose primary goes takes its place instead of going with it.
    PromoteSecondaries,
    /// IPv4: whether what comes in would leave by the same interface: 0 need not, 1 must, 2 by any. The greater of `all`'s
    /// and the interface's counts.
    ReversePath,
    /// IPv6: believe router advertisements, and ask for them.
    AcceptRouterAdverts,
    /// IPv6: do without.
    DisableIpv6,
    /// IPv6: pass packets on, as a router.
    Forwarding,
}

impl Setting {
    const ALL: [(Self, Family, &str); 9] = [
        (Self::AcceptLocal, Family::V4, "accept_local"),
        (Self::ArpAnnounce, Family::V4, "arp_announce"),
        (Self::ArpFilter, Family::V4, "arp_filter"),
        (Self::ArpIgnore, Family::V4, "arp_ignore"),
        (Self::PromoteSecondaries, Family::V4, "promote_secondaries"),
        (Self::ReversePath, Family::V4, "rp_filter"),
        (Self::AcceptRouterAdverts, Family::V6, "accept_ra"),
        (Self::DisableIpv6, Family::V6, "disable_ipv6"),
        (Self::Forwarding, Family::V6, "forwarding"),
    ];

    /// The setting of this name in the kernel.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, _, known)| *known == name);
        found.map(|(setting, ..)| *setting)
    }

    /// Its name in the kernel.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (Family, &'static str) {
        let found = Self::ALL.iter().find(|(setting, ..)| *setting == self);
        found.map_or((Family::V4, ""), |(_, family, name)| (*family, *name))
    }

    fn path(self, scope: Scope<'_>) -> String {
        let (family, name) = self.row();
        format!("{}/{scope}/{name}", directory(family))
    }
}

const fn directory(family: Family) -> &'static str {
    match family {
        Family::V4 => "/proc/sys/net/ipv4/conf",
        Family::V6 => "/proc/sys/net/ipv6/conf",
    }
}

/// Whether reports of membership are sent for groups of the link, 224.0.0.0/24, which switches pass on without being asked
/// (RFC 4541 section 2.1.2). Since Linux 4.3.
const LOCAL_REPORTS: &str = "/proc/sys/net/ipv4/igmp_link_local_mcast_reports";

/// What a setting is.
///
/// # Errors
/// There is no such interface, or the kernel does without the family.
pub fn get(scope: Scope<'_>, setting: Setting) -> io::Result<i32> {
    read(&setting.path(scope))
}

/// Makes it another one.
///
/// # Errors
/// As [`get`], or the file system of settings cannot be written.
pub fn set(scope: Scope<'_>, setting: Setting, value: i32) -> io::Result<()> {
    fs::write(setting.path(scope), value.to_string())
}

/// Sends reports of membership for groups of the link, or no longer; tells what was done before.
///
/// # Errors
/// As [`set`].
pub fn report_local_groups(report: bool) -> io::Result<bool> {
    let before = read(LOCAL_REPORTS)? != 0;
    if before != report {
        fs::write(LOCAL_REPORTS, u8::from(report).to_string())?;
    }
    Ok(before)
}

fn read(path: &str) -> io::Result<i32> {
    let text = fs::read_to_string(path)?;
    text.trim()
        .parse()
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_found_by_its_name() {
        for (setting, family, name) in Setting::ALL {
            assert_eq!(Setting::named(name), Some(setting));
            assert_eq!(setting.row(), (family, name));
        }
        assert_eq!(Setting::named("forward"), None);
    }

    #[test]
    fn a_setting_is_a_file_of_its_interface_whatever_dots_its_name_has() {
        let vlan = IfName::new("eth0.5").expect("short");
        assert_eq!(
            Setting::ArpIgnore.path(Scope::Link(&vlan)),
            "/proc/sys/net/ipv4/conf/eth0.5/arp_ignore"
        );
        assert_eq!(
            Setting::AcceptRouterAdverts.path(Scope::All),
            "/proc/sys/net/ipv6/conf/all/accept_ra"
        );
    }
}
