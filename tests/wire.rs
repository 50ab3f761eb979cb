//! What goes over the wire, against what keepalived 2.2.7 sends, against RFC text, and against noise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepalite::name::{Family, Mac, Version, Vrid};
use keepalite::time::Centis;
use keepalite::wire::ah::{self, AhRepr, AuthenticationHeader};
use keepalite::wire::arp::{self, GratuitousArp};
use keepalite::wire::ip::{self, Ipv4Packet, Ipv4Repr};
use keepalite::wire::ndisc::{self, NeighbourAdvert};
use keepalite::wire::vrrp::{self, Advert, AdvertRepr};
use keepalite::wire::{Checksum, ip::HEADER};

const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const SOURCE6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
const VIRTUAL: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 101)),
];
const VIRTUAL6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 5, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100),
];
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ETHERNET: usize = 14;
const IPV6: usize = 40;

// Frames of keepalived 2.2.7 on an interface with MAC 02:00:00:00:00:01, addresses 192.0.2.1/24 and fe80::1/64.

/// `virtual_router_id 51; priority 100; advert_int 1; virtual_ipaddress { 192.0.2.100/24 }`
const V2_NONE: &str = "01005e00001202000000000108004\
    5c0002800010000ff701891c0000201e0000012\
    213364010001b865c00002640000000000000000";

/// `virtual_router_id 51; priority 200; advert_int 1; authentication { auth_type PASS; auth_pass s3cret };
/// virtual_ipaddress { 192.0.2.100/24; 192.0.2.101/24 }`
const V2_PASS: &str = "01005e0000120200000000010800\
    45c0002c00010000ff70188dc0000201e0000012\
    2133c802010154e4c0000264c00002657333637265740000";

/// `virtual_router_id 51; priority 100; advert_int 1; authentication { auth_type AH; auth_pass s3cret };
/// virtual_ipaddress { 192.0.2.100/24 }`; the second of its adverts
const V2_AH: &str = "01005e0000120200000000010800\
    45c0004000020000ff3318b5c0000201e0000012\
    70040000c000020100000002e1124e63629a806c5902a2a9\
    213364010201b665c00002640000000000000000";

/// The same with `unicast_src_ip 192.0.2.1; unicast_peer { 192.0.2.2 }`; the second of its adverts
const V2_AH_UNICAST: &str = "0200000000020200000000010800\
    45c0004000020000ff3336c5c0000201c0000202\
    70040000c000020100000002f78552658d54769ff35dc5a1\
    213364010201b665c00002640000000000000000";

/// `version 3; virtual_router_id 51; priority 100; advert_int 0.5; virtual_ipaddress { 192.0.2.100/24; 192.0.2.101/24 }`
const V3_IPV4: &str = "01005e0000120200000000010800\
    45c0002400010000ff701895c0000201e0000012\
    3133640200324339c0000264c0000265";

/// `version 3; virtual_router_id 52; priority 150; advert_int 1; virtual_ipaddress { fe80::5:1; 2001:db8::100/64 }`
const V3_IPV6: &str = "33330000001202000000000186dd\
    6c043a1c002870fffe800000000000000000000000000001ff020000000000000000000000000012\
    3134960200640cf6fe80000000000000000000000005000120010db8000000000000000000000100";

/// Gratuitous ARP of the first IPv4 instances.
const GARP: &str = "ffffffffffff0200000000010806\
    0001080006040001020000000001c0000264ffffffffffffc0000264";

/// Neighbour advertisements of the IPv6 instance.
const NA: [&str; 2] = [
    "33330000000102000000000186dd\
     6000000000203afffe800000000000000000000000050001ff020000000000000000000000000001\
     8800579120000000fe8000000000000000000000000500010201020000000001",
    "33330000000102000000000186dd\
     6000000000203aff20010db8000000000000000000000100ff020000000000000000000000000001\
     8800f72c2000000020010db80000000000000000000001000201020000000001",
];

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The IPv4 packet of a captured frame.
fn packet(frame: &str) -> Vec<u8> {
    hex(frame).split_off(ETHERNET)
}

fn plain(addresses: &[IpAddr]) -> AdvertRepr<'_> {
    AdvertRepr {
        version: Version::V2,
        vrid: Vrid::new(51).unwrap(),
        priority: 100,
        auth_type: 0,
        auth_data: [0; 8],
        interval: Centis::SECOND,
        family: Family::V4,
        addresses,
    }
}

fn pass() -> AdvertRepr<'static> {
    AdvertRepr {
        priority: 200,
        auth_type: 1,
        auth_data: *b"s3cret\0\0",
        ..plain(&VIRTUAL)
    }
}

fn version_3() -> AdvertRepr<'static> {
    AdvertRepr {
        version: Version::V3,
        interval: Centis(50),
        ..plain(&VIRTUAL)
    }
}

fn version_3_ipv6(addresses: &[IpAddr]) -> AdvertRepr<'_> {
    AdvertRepr {
        version: Version::V3,
        vrid: Vrid::new(52).unwrap(),
        priority: 150,
        family: Family::V6,
        ..plain(addresses)
    }
}

fn header(destination: Ipv4Addr, protocol: u8, identification: u16, len: usize) -> Ipv4Repr {
    Ipv4Repr {
        source: SOURCE,
        destination,
        ttl: 255,
        protocol,
        identification,
        payload_len: len,
    }
}

/// Message and packet together, as a socket sends them.
fn whole(repr: &AdvertRepr<'_>, pseudo: Checksum) -> Vec<u8> {
    let mut buffer = vec![0xee; 1500];
    let len = repr.emit(&mut buffer[HEADER..], pseudo).unwrap().len();
    header(GROUP, ip::VRRP, 1, len)
        .emit(&mut buffer)
        .unwrap()
        .to_vec()
}

fn pseudo(len: usize) -> Checksum {
    Checksum::pseudo_header(SOURCE.into(), GROUP.into(), len)
}

fn pseudo6(len: usize) -> Checksum {
    Checksum::pseudo_header(SOURCE6.into(), GROUP6.into(), len)
}

/// Message, family and pseudo header of every kind of captured advert without an authentication header.
fn captured() -> [(Vec<u8>, Family, Checksum); 4] {
    let v4 = |frame| packet(frame).split_off(HEADER);
    let v6 = packet(V3_IPV6).split_off(IPV6);
    let (v3, len6) = (v4(V3_IPV4), v6.len());
    let len = v3.len();
    [
        (v4(V2_NONE), Family::V4, Checksum::new()),
        (v4(V2_PASS), Family::V4, Checksum::new()),
        (v3, Family::V4, pseudo(len)),
        (v6, Family::V6, pseudo6(len6)),
    ]
}

/// Every copy of `bytes` with one bit turned over.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit, flipped)
    })
}

/// Marsaglia's xorshift: noise that is the same in every run.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

mod keepalived {
    use super::*;

    #[test]
    fn version_2_without_authentication_is_written_byte_for_byte_as_it_does() {
        assert_eq!(
            whole(&plain(&VIRTUAL[..1]), Checksum::new()),
            packet(V2_NONE)
        );
    }

    #[test]
    fn version_2_with_a_password_is_written_byte_for_byte_as_it_does() {
        assert_eq!(whole(&pass(), Checksum::new()), packet(V2_PASS));
    }

    #[test]
    fn version_3_over_ipv4_is_written_byte_for_byte_as_it_does() {
        let repr = version_3();
        assert_eq!(whole(&repr, pseudo(repr.len())), packet(V3_IPV4));
    }

    #[test]
    fn version_3_over_ipv6_is_written_byte_for_byte_as_it_does() {
        let addresses = VIRTUAL6.map(IpAddr::V6);
        let repr = version_3_ipv6(&addresses);
        let mut buffer = [0xee; 100];
        let message = repr.emit(&mut buffer, pseudo6(repr.len())).unwrap();
        assert_eq!(message, packet(V3_IPV6).split_off(IPV6));
    }

    #[test]
    fn an_authentication_header_is_written_byte_for_byte_as_it_does() {
        for (frame, destination) in [(V2_AH, GROUP), (V2_AH_UNICAST, PEER)] {
            let repr = AdvertRepr {
                auth_type: 2,
                ..plain(&VIRTUAL[..1])
            };
            let mut buffer = [0xee; 100];
            let message = &mut buffer[HEADER + ah::LEN..];
            let len = repr.emit(message, Checksum::new()).unwrap().len();
            let sealed = header(destination, ip::AH, 2, ah::LEN + len)
                .emit(&mut buffer)
                .unwrap();
            let authentication = AhRepr {
                spi: SOURCE,
                sequence: 2,
            };
            let key = ah::Key::new(*b"s3cret\0\0");
            authentication.seal(sealed, &key).unwrap();
            assert_eq!(sealed, packet(frame));
        }
    }

    #[test]
    fn gratuitous_arp_is_written_byte_for_byte_as_it_does() {
        let ip = Ipv4Addr::new(192, 0, 2, 100);
        let mut buffer = [0xee; 60];
        let frame = GratuitousArp { mac: MAC, ip }.emit(&mut buffer).unwrap();
        assert_eq!(frame, hex(GARP));
    }

    #[test]
    fn a_neighbour_advertisement_is_written_byte_for_byte_as_it_does() {
        for (captured, ip) in NA.iter().zip(VIRTUAL6) {
            let (mac, router) = (MAC, false);
            let mut buffer = [0xee; 100];
            let frame = NeighbourAdvert { mac, ip, router }.emit(&mut buffer);
            assert_eq!(frame.unwrap(), hex(captured));
        }
    }

    #[test]
    fn its_adverts_are_read_with_every_field() {
        let bytes = packet(V2_PASS);
        let packet = Ipv4Packet::new_checked(&bytes).unwrap();
        assert_eq!((packet.source(), packet.destination()), (SOURCE, GROUP));
        assert_eq!((packet.ttl(), packet.protocol()), (255, ip::VRRP));
        assert_eq!(packet.sum(), 0);
        let advert = Advert::new_checked(packet.payload(), Family::V4).unwrap();
        assert_eq!(advert.version(), Version::V2);
        assert_eq!(advert.vrid().get(), 51);
        assert_eq!(advert.priority(), 200);
        assert_eq!(advert.interval(), Centis::SECOND);
        assert_eq!(advert.auth_type(), 1);
        assert_eq!(advert.auth_data(), Some(*b"s3cret\0\0"));
        assert!(advert.addresses().eq(VIRTUAL));

        let [.., (v3, _, _), (v6, _, _)] = captured();
        let advert = Advert::new_checked(&v3, Family::V4).unwrap();
        assert_eq!(advert.version(), Version::V3);
        assert_eq!(advert.interval(), Centis(50));
        assert_eq!((advert.auth_type(), advert.auth_data()), (0, None));
        assert!(advert.addresses().eq(VIRTUAL));
        let advert = Advert::new_checked(&v6, Family::V6).unwrap();
        assert_eq!((advert.vrid().get(), advert.priority()), (52, 150));
        assert!(advert.addresses().eq(VIRTUAL6.map(IpAddr::V6)));
    }

    #[test]
    fn its_authentication_header_is_genuine_with_the_right_key_only() {
        for frame in [V2_AH, V2_AH_UNICAST] {
            let bytes = packet(frame);
            let packet = Ipv4Packet::new_checked(&bytes).unwrap();
            assert_eq!(packet.protocol(), ip::AH);
            let header = AuthenticationHeader::new_checked(packet.payload()).unwrap();
            assert_eq!((header.spi(), header.sequence()), (SOURCE, 2));
            assert!(header.is_genuine(packet.header(), &ah::Key::new(*b"s3cret\0\0")));
            assert!(!header.is_genuine(packet.header(), &ah::Key::new(*b"s3creT\0\0")));
            let advert = Advert::new_checked(header.message(), Family::V4).unwrap();
            assert_eq!((advert.auth_type(), advert.sum(Checksum::new())), (2, 0));
        }
    }
}

mod rfc {
    use super::*;

    /// RFC 1071 section 3.
    #[test]
    fn the_checksum_of_its_example_is_the_complement_of_ddf2() {
        let example = hex("0001f203f4f5f6f7");
        assert_eq!(Checksum::new().bytes(&example).finish(), !0xddf2);
    }

    /// RFC 9568 section 5.1, summed by hand: 3133 + 6401 + 0064 + c000 + 0264 = 1 57fc, carried round 57fd.
    #[test]
    fn a_version_3_advert_without_pseudo_header_is_as_reckoned_by_hand() {
        let repr = AdvertRepr {
            interval: Centis::SECOND,
            addresses: &VIRTUAL[..1],
            ..version_3()
        };
        let mut buffer = [0; 20];
        let message = repr.emit(&mut buffer, Checksum::new()).unwrap();
        assert_eq!(message, hex("313364010064a802c0000264"));
    }

    /// RFC 9568 section 5.2.6: the four bits are to be ignored.
    #[test]
    fn reserved_bits_in_front_of_a_version_3_interval_mean_nothing() {
        let bytes = hex("31336401f064b801c0000264");
        let advert = Advert::new_checked(&bytes, Family::V4).unwrap();
        assert_eq!(advert.interval(), Centis::SECOND);
        assert_eq!(advert.sum(Checksum::new()), 0);
    }

    /// RFC 791 section 3.1, with the router alert option of RFC 2113.
    #[test]
    fn options_of_an_ipv4_header_are_skipped_and_summed() {
        let bytes = hex("46c0001c000100000170 0000 c0000201 e0000012 94040000 21336400");
        let packet = Ipv4Packet::new_checked(&bytes).unwrap();
        assert_eq!(packet.header().len(), 24);
        assert_eq!(packet.payload(), hex("21336400"));
        let sum = Checksum::new().bytes(packet.header()).finish();
        assert_eq!(packet.sum(), sum);
        assert_ne!(sum, 0);
    }

    /// RFC 4861 section 4.4: R is the first bit, S must not be set in what nobody asked for, O is the third.
    #[test]
    fn a_router_says_so_in_its_neighbour_advertisement() {
        let (mac, ip, router) = (MAC, VIRTUAL6[0], true);
        let mut buffer = [0; ndisc::LEN];
        let frame = NeighbourAdvert { mac, ip, router }
            .emit(&mut buffer)
            .unwrap();
        let message = &frame[ETHERNET + IPV6..];
        assert_eq!(message[4], 0xa0);
        let all_nodes = "ff02::1".parse().unwrap();
        let pseudo = Checksum::pseudo_header_of(ip.into(), all_nodes, 58, message.len());
        assert_eq!(pseudo.bytes(message).finish(), 0);
    }

    #[test]
    fn an_interval_that_the_version_cannot_say_goes_out_as_the_next_that_it_can() {
        let said = |version, interval| {
            let repr = AdvertRepr {
                version,
                interval: Centis(interval),
                ..plain(&VIRTUAL)
            };
            let mut buffer = [0; 40];
            let message = repr.emit(&mut buffer, Checksum::new()).unwrap();
            let advert = Advert::new_checked(message, Family::V4).unwrap();
            advert.interval().0
        };
        let v2 = [0, 1, 100, 150, 25_500, 25_501, u16::MAX].map(|i| said(Version::V2, i));
        assert_eq!(v2, [0, 100, 100, 200, 25_500, 25_500, 25_500]);
        let v3 = [0, 1, 4095, 4096, u16::MAX].map(|i| said(Version::V3, i));
        assert_eq!(v3, [0, 1, 4095, 4095, 4095]);
    }
}

mod form {
    use super::*;

    #[test]
    fn every_prefix_of_an_advert_is_refused() {
        for (message, family, _) in captured() {
            for len in 0..message.len() {
                let need = if len < 8 { 8 } else { message.len() };
                assert_eq!(
                    Advert::new_checked(&message[..len], family).unwrap_err(),
                    vrrp::Malformed::Truncated { need, have: len }
                );
            }
        }
    }

    #[test]
    fn every_longer_advert_is_refused() {
        for (mut message, family, _) in captured() {
            for extra in 1..=46 {
                message.push(0);
                assert_eq!(
                    Advert::new_checked(&message, family).unwrap_err(),
                    vrrp::Malformed::Trailing(extra)
                );
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_an_advert_is_refused_or_fails_the_checksum() {
        for (message, family, pseudo) in captured() {
            assert_eq!(
                Advert::new_checked(&message, family).unwrap().sum(pseudo),
                0
            );
            for (bit, flipped) in flips(&message) {
                if let Ok(advert) = Advert::new_checked(&flipped, family) {
                    assert_ne!(advert.sum(pseudo), 0, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn what_an_advert_must_not_be_is_named() {
        let of = |text: &str| Advert::new_checked(&hex(text), Family::V4).unwrap_err();
        let cases = [
            ("41 33 64 00 00 64 0000", vrrp::Malformed::Version(4)),
            ("32 33 64 00 00 64 0000", vrrp::Malformed::Type(2)),
            ("31 00 64 00 00 64 0000", vrrp::Malformed::Vrid),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected);
        }
    }

    #[test]
    fn every_prefix_of_an_ipv4_packet_is_refused() {
        let bytes = packet(V2_PASS);
        for have in 0..bytes.len() {
            let need = if have < HEADER { HEADER } else { bytes.len() };
            assert_eq!(
                Ipv4Packet::new_checked(&bytes[..have]).unwrap_err(),
                ip::Malformed::Truncated { need, have }
            );
        }
    }

    #[test]
    fn every_flipped_bit_of_an_ipv4_header_is_refused_or_fails_the_checksum() {
        let bytes = packet(V2_PASS);
        for (bit, flipped) in flips(&bytes).take(HEADER * 8) {
            if let Ok(packet) = Ipv4Packet::new_checked(&flipped) {
                assert_ne!(packet.sum(), 0, "bit {bit}");
            }
        }
    }

    #[test]
    fn padding_of_the_link_is_no_part_of_an_ipv4_packet() {
        let mut bytes = packet(V2_NONE);
        let payload = Ipv4Packet::new_checked(&bytes).unwrap().payload().to_vec();
        for _ in 0..46 {
            bytes.push(0xa5);
            let packet = Ipv4Packet::new_checked(&bytes).unwrap();
            assert_eq!(packet.payload(), payload);
            assert_eq!(packet.sum(), 0);
        }
    }

    #[test]
    fn what_an_ipv4_packet_must_not_be_is_named() {
        let with = |at: usize, byte: u8| {
            let mut bytes = packet(V2_NONE);
            bytes[at] = byte;
            Ipv4Packet::new_checked(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 0x65), ip::Malformed::Version(6));
        assert_eq!(with(0, 0x44), ip::Malformed::HeaderLength(16));
        assert_eq!(with(3, 19), ip::Malformed::HeaderLength(20));
        assert_eq!(with(0, 0x4f), ip::Malformed::HeaderLength(60));
        assert_eq!(with(6, 0x20), ip::Malformed::Fragment);
        assert_eq!(with(7, 1), ip::Malformed::Fragment);
    }

    #[test]
    fn do_not_fragment_makes_no_fragment() {
        let mut bytes = packet(V2_NONE);
        bytes[6] = 0x40;
        assert!(Ipv4Packet::new_checked(&bytes).is_ok());
    }

    #[test]
    fn every_prefix_of_an_authentication_header_is_refused_and_of_its_message_not_genuine() {
        let bytes = packet(V2_AH);
        let (header, payload) = bytes.split_at(HEADER);
        let key = ah::Key::new(*b"s3cret\0\0");
        for have in 0..payload.len() {
            match AuthenticationHeader::new_checked(&payload[..have]) {
                Ok(view) => assert!(have >= ah::LEN && !view.is_genuine(header, &key)),
                Err(error) => assert_eq!(error, ah::Malformed::Truncated(have)),
            }
        }
    }

    /// Type of service, fragment field, header checksum, and the TTL of unicast change on the way, and may.
    #[test]
    fn every_flipped_bit_of_an_authenticated_packet_is_found_but_for_what_changes_on_the_way() {
        let key = ah::Key::new(*b"s3cret\0\0");
        for (frame, mutable) in [
            (V2_AH, &[1, 6, 7, 10, 11][..]),
            (V2_AH_UNICAST, &[1, 6, 7, 8, 10, 11][..]),
        ] {
            for (bit, flipped) in flips(&packet(frame)) {
                let (header, payload) = flipped.split_at(HEADER);
                let genuine = AuthenticationHeader::new_checked(payload)
                    .is_ok_and(|view| view.is_genuine(header, &key));
                assert_eq!(genuine, mutable.contains(&(bit / 8)), "bit {bit}");
            }
        }
    }

    #[test]
    fn what_an_authentication_header_must_not_be_is_named() {
        let with = |at: usize, byte: u8| {
            let mut bytes = packet(V2_AH).split_off(HEADER);
            bytes[at] = byte;
            AuthenticationHeader::new_checked(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 50), ah::Malformed::NextHeader(50));
        assert_eq!(with(1, 5), ah::Malformed::Length(5));
        assert_eq!(with(2, 1), ah::Malformed::Reserved);
        assert_eq!(with(3, 1), ah::Malformed::Reserved);
    }

    #[test]
    fn an_ip_header_that_cannot_be_one_makes_nothing_genuine() {
        let bytes = packet(V2_AH);
        let view = AuthenticationHeader::new_checked(&bytes[HEADER..]).unwrap();
        let key = ah::Key::new(*b"s3cret\0\0");
        for len in (0..HEADER).chain([61, 100]) {
            assert!(!view.is_genuine(&vec![0; len], &key));
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", ah::Key::new(*b"s3cret\0\0")), "Key(…)");
    }

    #[test]
    fn noise_never_panics() {
        let mut noise = Noise(0x5eed);
        for _ in 0..200_000 {
            let len = noise.next() as usize % 80;
            let mut bytes = noise.bytes(len);
            // Half of it gets a first byte that leads further in.
            if let (Some(first), true) = (bytes.first_mut(), noise.next() & 1 == 0) {
                *first = [0x21, 0x31, 0x45, 0x46, ip::VRRP][noise.next() as usize % 5];
            }
            for family in [Family::V4, Family::V6] {
                if let Ok(advert) = Advert::new_checked(&bytes, family) {
                    assert_eq!(advert.addresses().count(), usize::from(advert.count()));
                    let _ = (advert.interval(), advert.priority(), advert.auth_type());
                    let _ = (advert.auth_data(), advert.sum(Checksum::new()));
                }
            }
            if let Ok(packet) = Ipv4Packet::new_checked(&bytes) {
                let _ = (packet.source(), packet.destination(), packet.ttl());
                let _ = (packet.protocol(), packet.sum());
                assert!(packet.header().len() + packet.payload().len() <= bytes.len());
            }
            if let Ok(view) = AuthenticationHeader::new_checked(&bytes) {
                assert_eq!(view.message().len() + ah::LEN, bytes.len());
                let _ = (view.spi(), view.sequence());
            }
        }
    }
}

mod round_trip {
    use super::*;

    #[test]
    fn whatever_is_said_is_understood() {
        let mut noise = Noise(0xbeef);
        for count in [0, 1, 2, 3, 20, 254, 255] {
            for (version, family) in [
                (Version::V2, Family::V4),
                (Version::V2, Family::V6),
                (Version::V3, Family::V4),
                (Version::V3, Family::V6),
            ] {
                let mut address = |family| match family {
                    Family::V4 => IpAddr::V4(Ipv4Addr::from(noise.next())),
                    Family::V6 => {
                        let octets: [u8; 16] = noise.bytes(16).try_into().unwrap();
                        IpAddr::V6(Ipv6Addr::from(octets))
                    }
                };
                let addresses: Vec<_> = (0..count).map(|_| address(family)).collect();
                let [vrid, priority, auth_type, secs] = noise.next().to_be_bytes();
                let repr = AdvertRepr {
                    version,
                    vrid: Vrid::new(vrid.max(1)).unwrap(),
                    priority,
                    auth_type,
                    auth_data: noise.bytes(8).try_into().unwrap(),
                    interval: match version {
                        Version::V2 => Centis::from_secs(secs),
                        Version::V3 => Centis(noise.next() as u16 & 0x0fff),
                    },
                    family,
                    addresses: &addresses,
                };
                let sum = match family {
                    Family::V4 => pseudo(repr.len()),
                    Family::V6 => pseudo6(repr.len()),
                };
                let mut buffer = noise.bytes(vrrp::MAX_LEN);
                let message = repr.emit(&mut buffer, sum).unwrap();
                assert_eq!(message.len(), repr.len());
                let advert = Advert::new_checked(message, family).unwrap();
                assert_eq!(advert.sum(sum), 0);
                assert_eq!((advert.version(), advert.vrid()), (version, repr.vrid));
                assert_eq!(advert.priority(), priority);
                assert_eq!(advert.interval(), repr.interval);
                assert!(advert.addresses().eq(addresses.iter().copied()));
                let v2 = version == Version::V2;
                assert_eq!(advert.auth_type(), if v2 { auth_type } else { 0 });
                let trailer = (v2 && family == Family::V4).then_some(repr.auth_data);
                assert_eq!(advert.auth_data(), trailer);
            }
        }
    }

    #[test]
    fn an_ipv4_header_with_any_fields_is_understood() {
        let mut noise = Noise(0xcafe);
        for payload_len in [0, 1, 2, 39, 40, 1480, 65_515] {
            let repr = Ipv4Repr {
                source: Ipv4Addr::from(noise.next()),
                destination: Ipv4Addr::from(noise.next()),
                ttl: noise.bytes(1)[0],
                protocol: noise.bytes(1)[0],
                identification: noise.next() as u16,
                payload_len,
            };
            let mut buffer = noise.bytes(65_535);
            let bytes = repr.emit(&mut buffer).unwrap();
            let packet = Ipv4Packet::new_checked(bytes).unwrap();
            assert_eq!(packet.sum(), 0);
            assert_eq!(packet.source(), repr.source);
            assert_eq!(packet.destination(), repr.destination);
            assert_eq!(packet.ttl(), repr.ttl);
            assert_eq!(packet.protocol(), repr.protocol);
            assert_eq!(packet.payload().len(), payload_len);
        }
    }

    #[test]
    fn addresses_of_the_other_family_and_beyond_the_255th_are_not_said() {
        let mixed = [VIRTUAL[0], IpAddr::V6(SOURCE6), VIRTUAL[1]];
        let many = [VIRTUAL[0]; 300];
        for (addresses, said) in [(&mixed[..], 2), (&many[..], 255)] {
            let mut buffer = [0; vrrp::MAX_LEN];
            let repr = plain(addresses);
            let message = repr.emit(&mut buffer, Checksum::new()).unwrap();
            let advert = Advert::new_checked(message, Family::V4).unwrap();
            assert_eq!(advert.count(), said);
            assert!(advert.addresses().all(|ip| ip.is_ipv4()));
        }
    }

    #[test]
    fn the_longest_messages_have_the_lengths_that_buffers_are_made_for() {
        let v4 = [VIRTUAL[0]; 255];
        let v6 = [IpAddr::V6(SOURCE6); 255];
        assert_eq!(plain(&v4).len(), vrrp::MAX_LEN_V4);
        assert_eq!(version_3_ipv6(&v6).len(), vrrp::MAX_LEN);
    }

    #[test]
    fn a_buffer_that_is_too_short_is_left_alone() {
        let (mac, router) = (MAC, false);
        let advert = pass();
        let packet = header(GROUP, ip::VRRP, 1, 12);
        let arp = GratuitousArp { mac, ip: SOURCE };
        let ip = SOURCE6;
        let na = NeighbourAdvert { mac, ip, router };
        for len in 0..ndisc::LEN {
            let mut short = vec![0xee; len];
            assert!(na.emit(&mut short).is_none());
            if len < arp::LEN {
                assert!(arp.emit(&mut short).is_none());
            }
            if len < advert.len() {
                assert!(advert.emit(&mut short, Checksum::new()).is_none());
            }
            if len < HEADER + 12 {
                assert!(packet.emit(&mut short).is_none());
            }
            if len < HEADER + ah::LEN {
                let key = ah::Key::new([0; 8]);
                let (spi, sequence) = (SOURCE, 1);
                let sealed = AhRepr { spi, sequence }.seal(&mut short, &key);
                assert!(sealed.is_none());
            }
            assert!(short.iter().all(|byte| *byte == 0xee));
        }
    }

    #[test]
    fn a_payload_too_long_for_ipv4_is_refused() {
        let mut buffer = vec![0; 70_000];
        for len in [65_516, 70_000, usize::MAX] {
            assert!(header(GROUP, ip::VRRP, 1, len).emit(&mut buffer).is_none());
        }
    }
}

mod checksum {
    use super::*;

    /// RFC 1071 section 1, in the plainest words.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u64;
        for word in bytes.chunks(2) {
            sum += u64::from(word[0]) * 256 + u64::from(word.get(1).copied().unwrap_or(0));
        }
        while sum > 0xffff {
            sum = sum % 0x1_0000 + sum / 0x1_0000;
        }
        !(sum as u16)
    }

    #[test]
    fn odd_and_even_lengths_are_summed_alike_whole_or_in_pieces() {
        let mut noise = Noise(1);
        for len in (0..300).chain([1499, 65_534, 65_535]) {
            let bytes = noise.bytes(len);
            let expected = reference(&bytes);
            assert_eq!(Checksum::new().bytes(&bytes).finish(), expected);
            let cut = (noise.next() as usize % (len + 1)) & !1;
            let (head, tail) = bytes.split_at(cut);
            let pieces = Checksum::new().bytes(head).bytes(tail);
            assert_eq!(pieces.finish(), expected, "{len} cut at {cut}");
        }
    }

    #[test]
    fn the_largest_sum_is_carried_round() {
        let ones = vec![0xff; 65_536];
        let twice = Checksum::new().bytes(&ones).bytes(&ones);
        assert_eq!(twice.finish(), 0);
    }

    #[test]
    fn a_pseudo_header_is_as_the_rfcs_lay_it_out() {
        let v4 = hex("c0000201 e0000012 00 70 0010");
        assert_eq!(pseudo(16).finish(), reference(&v4));
        let v6 = hex(
            "fe800000000000000000000000000001 ff020000000000000000000000000012 00000028 00000070",
        );
        assert_eq!(pseudo6(40).finish(), reference(&v6));
    }
}
