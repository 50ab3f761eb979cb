//! What is counted of one virtual router.

use crate::time::Instant;

/// Counters since start; those with a keepalived name keep its meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// `advert_rcvd`: adverts that passed all checks but those that only remark.
    pub advert_rcvd: u64,
    /// `advert_sent`.
    pub advert_sent: u64,
    /// `become_master`.
    pub become_master: u64,
    /// `release_master`.
    pub release_master: u64,
    /// `packet_len_err`: length does not fit the number of addresses.
    pub packet_len_err: u64,
    /// `ip_ttl_err`: TTL or hop limit not 255, or outside the range of a unicast peer.
    pub ip_ttl_err: u64,
    /// `invalid_type_rcvd`: no advertisement.
    pub invalid_type_rcvd: u64,
    /// `advert_interval_err`: version 2, another interval than ours.
    pub advert_interval_err: u64,
    /// `addr_list_err`: accepted, though its addresses are not ours.
    pub addr_list_err: u64,
    /// `invalid_authtype`: an authentication type that does not exist.
    pub invalid_authtype: u64,
    /// `authtype_mismatch`.
    pub authtype_mismatch: u64,
    /// `auth_failure`: wrong password, or an authentication header that is forged or sent again.
    pub auth_failure: u64,
    /// `pri_zero_rcvd`: a master resigned.
    pub pri_zero_rcvd: u64,
    /// `pri_zero_sent`.
    pub pri_zero_sent: u64,
    /// Another version of the protocol than ours.
    pub version_err: u64,
    /// Checksum right in none of its readings.
    pub checksum_err: u64,
    /// Multicast where unicast is configured, or the reverse.
    pub destination_err: u64,
    /// Unicast from nobody who is configured.
    pub unknown_peer: u64,
    /// Ignored because we own the addresses and `owner_ignore_adverts` is on.
    pub owner_ignored: u64,
    /// As backup: lower than ours, therefore not listened to.
    pub lower_priority_ignored: u64,
    /// When we last became master.
    pub last_master: Option<Instant>,
}

impl Stats {
    /// All counters by their names; those of keepalived by its names.
    #[must_use]
    pub const fn all(&self) -> [(&'static str, u64); 20] {
        [
            ("advert_rcvd", self.advert_rcvd),
            ("advert_sent", self.advert_sent),
            ("become_master", self.become_master),
            ("release_master", self.release_master),
            ("packet_len_err", self.packet_len_err),
            ("advert_interval_err", self.advert_interval_err),
            ("ip_ttl_err", self.ip_ttl_err),
            ("invalid_type_rcvd", self.invalid_type_rcvd),
            ("addr_list_err", self.addr_list_err),
            ("invalid_authtype", self.invalid_authtype),
            ("authtype_mismatch", self.authtype_mismatch),
            ("auth_failure", self.auth_failure),
            ("pri_zero_rcvd", self.pri_zero_rcvd),
            ("pri_zero_sent", self.pri_zero_sent),
            ("version_err", self.version_err),
            ("checksum_err", self.checksum_err),
            ("destination_err", self.destination_err),
            ("unknown_peer", self.unknown_peer),
            ("owner_ignored", self.owner_ignored),
            ("lower_priority_ignored", self.lower_priority_ignored),
        ]
    }

    /// Adverts that were not accepted, by what was wrong with them, as people say it.
    #[must_use]
    pub const fn refused(&self) -> [(&'static str, u64); 11] {
        [
            ("of another length than they say", self.packet_len_err),
            ("with another interval", self.advert_interval_err),
            ("that crossed a router (TTL)", self.ip_ttl_err),
            ("of another type", self.invalid_type_rcvd),
            ("with an unknown authentication", self.invalid_authtype),
            ("with another authentication", self.authtype_mismatch),
            ("with a wrong password", self.auth_failure),
            ("of another version", self.version_err),
            ("with a wrong checksum", self.checksum_err),
            ("to another destination", self.destination_err),
            ("from nobody who is a peer", self.unknown_peer),
        ]
    }
}
