//! The sockets against a real kernel, in network namespaces that live as long as a test.
//!
//! What leaves is looked at by tshark, what it does by `ip -j`. Without the rights, a test says SKIPPED and passes; with
//! `NETNS=require` it fails.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keepalite::io::advert::{AdvertSocket, BUFFER, Options};
use keepalite::io::frame::{FrameSocket, is_full};
use keepalite::name::{Family, IfName, Mac, Version, Vrid};
use keepalite::time::Centis;
use keepalite::wire::vrrp::{Advert, AdvertRepr};
use keepalite::wire::{Checksum, ah, ip};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, Protocol, RawProtocol, RecvFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const GROUP4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
const LEFT4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const LEFT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
const RIGHT4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const RIGHT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2));
const VIRTUAL4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));
const VIRTUAL6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100));

/// The indices of the two ends: different, so that one cannot pass for the other.
const LEFT_INDEX: u32 = 71;
const RIGHT_INDEX: u32 = 72;

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// A namespace lives exactly as long as this value.
struct Netns(Child);

impl Netns {
    fn new() -> Self {
        let script = "ip link set lo up; echo ready; exec sleep 600";
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut ready = [0; 6];
        let out = child.stdout.as_mut().unwrap();
        out.read_exact(&mut ready)
            .expect("namespace did not come up");
        Self(child)
    }

    fn sh(&self, script: &str) -> String {
        let pid = self.0.id().to_string();
        let done = Command::new("nsenter")
            .args(["-t", &pid, "-n", "sh", "-ec", script])
            .output()
            .expect("nsenter");
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script}\n{complaint}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Runs on a thread that has moved into the namespace; what it opens stays there.
    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let door = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            worker.join().unwrap()
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two hosts with a wire between them.
struct Link {
    left: Netns,
    right: Netns,
}

impl Link {
    /// `None`, loudly, where that is not permitted.
    fn new() -> Option<Self> {
        let permitted = Command::new("unshare").args(["-n", "true"]).status();
        if !permitted.is_ok_and(|status| status.success()) {
            let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
            assert!(!required, "namespaces are required but not permitted");
            // Past the harness, which would swallow it.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED: no permission for network namespaces"
            );
            return None;
        }
        let (left, right) = (Netns::new(), Netns::new());
        left.sh(&format!(
            "ip link add left index {LEFT_INDEX} address 02:00:00:00:00:01 type veth \
                peer name right index {RIGHT_INDEX} address 02:00:00:00:00:02 netns {}
             ip link set left addrgenmode none up
             ip address add 192.0.2.1/24 dev left
             ip address add fe80::1/64 dev left nodad",
            right.0.id()
        ));
        right.sh("ip link set right addrgenmode none up
             ip address add 192.0.2.2/24 dev right
             ip address add fe80::2/64 dev right nodad
             echo 0 > /proc/sys/net/ipv4/neigh/right/locktime");
        // The kernel drops what is sent before it has taken notice of the carrier (net/core/link_watch.c).
        let running = |name: &str| {
            format!(
                "timeout 5 sh -c 'until ip link show {name} | grep -q \"state UP\"; do sleep 0.01; done'"
            )
        };
        left.sh(&running("left"));
        right.sh(&running("right"));
        Some(Self { left, right })
    }

    fn left(&self, family: Family, group: Option<IpAddr>, options: Options) -> AdvertSocket {
        let name = IfName::new("left").unwrap();
        self.left
            .within(|| AdvertSocket::open(&name, LEFT_INDEX, family, group, options))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn right(&self, family: Family, group: Option<IpAddr>, options: Options) -> AdvertSocket {
        let name = IfName::new("right").unwrap();
        self.right
            .within(|| AdvertSocket::open(&name, RIGHT_INDEX, family, group, options))
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What differs between the families, for tests of both.
struct Case {
    family: Family,
    source: IpAddr,
    group: IpAddr,
    peer: IpAddr,
    virtual_ip: IpAddr,
}

const CASES: [Case; 2] = [
    Case {
        family: Family::V4,
        source: LEFT4,
        group: GROUP4,
        peer: RIGHT4,
        virtual_ip: VIRTUAL4,
    },
    Case {
        family: Family::V6,
        source: LEFT6,
        group: GROUP6,
        peer: RIGHT6,
        virtual_ip: VIRTUAL6,
    },
];

/// Sees every frame that comes in at the right.
struct Sniffer(OwnedFd);

impl Sniffer {
    fn new(link: &Link) -> Self {
        const ETH_P_ALL: u16 = 3;
        let all = RawProtocol::new(u32::from(ETH_P_ALL.to_be())).map(Protocol::from_raw);
        let (family, kind, flags) = (AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC);
        let open = || rustix::net::socket_with(family, kind, flags, all).unwrap();
        Self(link.right.within(open))
    }

    /// The next frame of which `wanted` is true.
    fn next(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        loop {
            wait(&self.0);
            let mut frame = vec![0; 2048];
            let received = rustix::net::recv(&self.0, frame.as_mut_slice(), RecvFlags::empty());
            frame.truncate(received.unwrap().0);
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

/// Waits until there is something to read.
fn wait(fd: &impl AsFd) {
    let patience = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&patience)).unwrap();
    assert_eq!(ready, 1, "nothing came within {patience:?}");
}

fn is_vrrp(frame: &[u8]) -> bool {
    let v4 = frame.get(12..14) == Some(&[0x08, 0x00]) && matches!(frame.get(23), Some(112 | 51));
    let v6 = frame.get(12..14) == Some(&[0x86, 0xdd]) && frame.get(20) == Some(&112);
    v4 || v6
}

/// What tshark says: any fault that it finds (two fields, to be empty), then the fields asked for.
fn dissect(frame: &[u8], fields: &[&str]) -> Vec<String> {
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1, 0, 0] {
        pcap.extend(word.to_be_bytes());
    }
    let len = u32::try_from(frame.len()).unwrap().to_be_bytes();
    pcap.extend(len);
    pcap.extend(len);
    pcap.extend(frame);
    let mut tshark = Command::new("tshark")
        .args(["-r", "-", "-T", "fields", "-E", "separator=|"])
        .args(["-o", "ip.check_checksum:TRUE"])
        .args(["-e", "_ws.malformed", "-e", "_ws.expert.message"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tshark");
    tshark.stdin.take().unwrap().write_all(&pcap).unwrap();
    let said = tshark.wait_with_output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let line = said.lines().next().expect("tshark said nothing");
    line.split('|').map(str::to_owned).collect()
}

fn advert(version: Version, addresses: &[IpAddr]) -> AdvertRepr<'_> {
    AdvertRepr {
        version,
        vrid: Vrid::new(51).unwrap(),
        priority: 100,
        auth_type: u8::from(version == Version::V2),
        auth_data: *b"s3cret\0\0",
        interval: Centis::SECOND,
        family: Family::of(addresses[0]),
        addresses,
    }
}

fn pseudo(repr: &AdvertRepr<'_>, source: IpAddr, destination: IpAddr) -> Checksum {
    match repr.version {
        Version::V2 => Checksum::new(),
        Version::V3 => Checksum::pseudo_header(source, destination, repr.len()),
    }
}

fn send(socket: &mut AdvertSocket, source: IpAddr, to: IpAddr, hops: u8, repr: &AdvertRepr<'_>) {
    let sum = pseudo(repr, source, to);
    let write = |out: &mut [u8]| repr.emit(out, sum).map(<[u8]>::len);
    socket.send(source, to, hops, write).unwrap();
}

#[test]
fn an_advert_of_version_2_has_no_fault_in_tsharks_eyes() {
    let Some(link) = Link::new() else { return };
    let sniffer = Sniffer::new(&link);
    let mut left = link.left(Family::V4, Some(GROUP4), Options::default());
    let repr = advert(Version::V2, &[VIRTUAL4]);
    send(&mut left, LEFT4, GROUP4, 255, &repr);
    send(&mut left, LEFT4, GROUP4, 255, &repr);
    for identification in ["0x0001", "0x0002"] {
        let fields = [
            ("eth.dst", "01:00:5e:00:00:12"),
            ("ip.checksum.status", "1"),
            ("vrrp.checksum.status", "1"),
            ("ip.dsfield", "0xc0"),
            ("ip.ttl", "255"),
            ("ip.id", identification),
            ("ip.src", "192.0.2.1"),
            ("vrrp.virt_rtr_id", "51"),
            ("vrrp.ip_addr", "192.0.2.100"),
            ("vrrp.auth_string", "s3cret"),
        ];
        assert_dissected(&sniffer.next(is_vrrp), &fields);
    }
}

fn assert_dissected(frame: &[u8], fields: &[(&str, &str)]) {
    let names: Vec<_> = fields.iter().map(|field| field.0).collect();
    let mut expected = vec!["", ""];
    expected.extend(fields.iter().map(|field| field.1));
    assert_eq!(dissect(frame, &names), expected, "{names:?}");
}

#[test]
fn an_advert_of_version_3_over_ipv4_has_no_fault_in_tsharks_eyes() {
    let Some(link) = Link::new() else { return };
    let sniffer = Sniffer::new(&link);
    let mut left = link.left(Family::V4, Some(GROUP4), Options::default());
    send(
        &mut left,
        LEFT4,
        GROUP4,
        255,
        &advert(Version::V3, &[VIRTUAL4]),
    );
    let fields = [
        ("eth.dst", "01:00:5e:00:00:12"),
        ("ip.checksum.status", "1"),
        ("vrrp.checksum.status", "1"),
        ("ip.dsfield", "0xc0"),
        ("ip.ttl", "255"),
        ("vrrp.short_adver_int", "100"),
        ("vrrp.ip_addr", "192.0.2.100"),
    ];
    assert_dissected(&sniffer.next(is_vrrp), &fields);
}

#[test]
fn an_advert_of_version_3_over_ipv6_has_no_fault_in_tsharks_eyes() {
    let Some(link) = Link::new() else { return };
    let sniffer = Sniffer::new(&link);
    let mut left = link.left(Family::V6, Some(GROUP6), Options::default());
    send(
        &mut left,
        LEFT6,
        GROUP6,
        255,
        &advert(Version::V3, &[VIRTUAL6]),
    );
    let fields = [
        ("eth.dst", "33:33:00:00:00:12"),
        ("vrrp.checksum.status", "1"),
        ("ipv6.tclass", "0x000000c0"),
        ("ipv6.hlim", "255"),
        ("ipv6.src", "fe80::1"),
        ("ipv6.dst", "ff02::12"),
        ("vrrp.ipv6_addr", "fe80::100"),
    ];
    assert_dissected(&sniffer.next(is_vrrp), &fields);
}

#[test]
fn an_authenticated_advert_arrives_genuine_and_with_its_sequence() {
    let Some(link) = Link::new() else { return };
    let sniffer = Sniffer::new(&link);
    let options = Options {
        authenticated: true,
        ..Options::default()
    };
    let right = link.right(Family::V4, Some(GROUP4), options);
    let mut left = link.left(Family::V4, Some(GROUP4), options);
    let repr = AdvertRepr {
        auth_type: 2,
        auth_data: [0; 8],
        ..advert(Version::V2, &[VIRTUAL4])
    };
    let key = ah::Key::new(*b"s3cret\0\0");
    let (IpAddr::V4(source), IpAddr::V4(group)) = (LEFT4, GROUP4) else {
        unreachable!()
    };
    let write = |out: &mut [u8]| repr.emit(out, Checksum::new()).map(<[u8]>::len);
    left.send_authenticated(source, group, 255, &key, 7, write)
        .unwrap();
    let fields = [
        ("ip.checksum.status", "1"),
        ("ah.sequence", "7"),
        ("ah.spi", "0xc0000201"),
        ("vrrp.checksum.status", "1"),
    ];
    assert_dissected(&sniffer.next(is_vrrp), &fields);
    wait(&right);
    let mut buffer = [0; BUFFER];
    let received = right.receive(&mut buffer).unwrap().unwrap();
    let header = ah::AuthenticationHeader::new_checked(received.payload).unwrap();
    assert!(header.is_genuine(received.header, &key));
    assert!(!header.is_genuine(received.header, &ah::Key::new(*b"wrong\0\0\0")));
    assert_eq!((header.spi(), header.sequence()), (source, 7));
    let advert = Advert::new_checked(header.message(), Family::V4).unwrap();
    assert_eq!(advert.sum(Checksum::new()), 0);
}

#[test]
fn what_comes_in_tells_its_sender_its_destination_its_hops_and_its_interface() {
    let Some(link) = Link::new() else { return };
    for case in CASES {
        let right = link.right(case.family, Some(case.group), Options::default());
        let mut left = link.left(case.family, None, Options::default());
        let addresses = [case.virtual_ip];
        let repr = advert(Version::V3, &addresses);
        for (destination, hops) in [(case.group, 255), (case.peer, 254), (case.peer, 64)] {
            send(&mut left, case.source, destination, hops, &repr);
            wait(&right);
            let mut buffer = [0; BUFFER];
            let received = right.receive(&mut buffer).unwrap().unwrap();
            assert_eq!(received.ifindex, RIGHT_INDEX);
            assert_eq!(received.source, case.source);
            assert_eq!(received.destination, destination);
            assert_eq!(received.hops, hops);
            let advert = Advert::new_checked(received.payload, case.family).unwrap();
            assert_eq!(advert.sum(pseudo(&repr, case.source, destination)), 0);
            assert!(advert.addresses().eq(addresses));
        }
    }
}

#[test]
fn the_longest_advert_goes_through() {
    let Some(link) = Link::new() else { return };
    link.left.sh("ip link set left mtu 9000");
    link.right.sh("ip link set right mtu 9000");
    for (case, version) in CASES.iter().zip([Version::V2, Version::V3]) {
        let right = link.right(case.family, Some(case.group), Options::default());
        let mut left = link.left(case.family, None, Options::default());
        let addresses = [case.virtual_ip; 255];
        let repr = advert(version, &addresses);
        send(&mut left, case.source, case.group, 255, &repr);
        wait(&right);
        let mut buffer = [0; BUFFER];
        let received = right.receive(&mut buffer).unwrap().unwrap();
        let advert = Advert::new_checked(received.payload, case.family).unwrap();
        assert_eq!(advert.count(), 255);
    }
}

#[test]
fn over_ipv4_a_socket_hears_no_group_that_it_has_not_joined_itself() {
    let Some(link) = Link::new() else { return };
    let joined = link.right(Family::V4, Some(GROUP4), Options::default());
    let unicast = link.right(Family::V4, None, Options::default());
    let mut left = link.left(Family::V4, None, Options::default());
    let repr = advert(Version::V3, &[VIRTUAL4]);
    send(&mut left, LEFT4, GROUP4, 255, &repr);
    send(&mut left, LEFT4, RIGHT4, 255, &repr);
    let mut buffer = [0; BUFFER];
    for (socket, first) in [(&joined, GROUP4), (&unicast, RIGHT4)] {
        wait(socket);
        let received = socket.receive(&mut buffer).unwrap().unwrap();
        assert_eq!(received.destination, first);
    }
}

#[test]
fn a_sender_does_not_hear_itself_and_an_empty_socket_says_none() {
    let Some(link) = Link::new() else { return };
    for case in CASES {
        let right = link.right(case.family, Some(case.group), Options::default());
        let mut left = link.left(case.family, Some(case.group), Options::default());
        let addresses = [case.virtual_ip];
        let repr = advert(Version::V3, &addresses);
        send(&mut left, case.source, case.group, 255, &repr);
        wait(&right);
        let mut buffer = [0; BUFFER];
        assert!(right.receive(&mut buffer).unwrap().is_some());
        assert!(right.receive(&mut buffer).unwrap().is_none());
        assert!(left.receive(&mut buffer).unwrap().is_none());
    }
}

#[test]
fn a_datagram_longer_than_the_buffer_is_an_error_and_not_a_shorter_one() {
    let Some(link) = Link::new() else { return };
    for (case, whole) in CASES.iter().zip([ip::HEADER + 12, 24]) {
        let right = link.right(case.family, Some(case.group), Options::default());
        let mut left = link.left(case.family, None, Options::default());
        let addresses = [case.virtual_ip];
        let repr = advert(Version::V3, &addresses);
        send(&mut left, case.source, case.group, 255, &repr);
        send(&mut left, case.source, case.group, 255, &repr);
        wait(&right);
        let error = right.receive(&mut vec![0; whole - 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        wait(&right);
        assert!(right.receive(&mut vec![0; whole]).unwrap().is_some());
    }
}

#[test]
fn the_wrong_family_and_a_message_that_does_not_fit_are_refused() {
    let Some(link) = Link::new() else { return };
    let mut left = link.left(Family::V4, None, Options::default());
    let refused = [
        left.send(LEFT6, GROUP6, 255, |_| Some(8)),
        left.send(LEFT4, GROUP4, 255, |_| None),
        left.send(LEFT4, GROUP4, 255, |_| Some(usize::MAX)),
    ];
    for outcome in refused {
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_receive_buffer_is_as_large_as_asked_for() {
    let Some(link) = Link::new() else { return };
    let options = Options {
        receive_buffer: Some(50_000),
        ..Options::default()
    };
    let left = link.left(Family::V4, None, options);
    // The kernel doubles it, for its own records (socket(7)).
    let size = rustix::net::sockopt::socket_recv_buffer_size(&left).unwrap();
    assert_eq!(size, 100_000);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let Some(link) = Link::new() else { return };
    let name = IfName::new("nowhere0").unwrap();
    let open = || AdvertSocket::open(&name, 9999, Family::V4, Some(GROUP4), Options::default());
    let error = link.left.within(open).unwrap_err().to_string();
    assert!(error.contains("on nowhere0: No such device"), "{error}");
    assert!(error.ends_with("is the interface there?"), "{error}");
}

/// What the neighbour table at the right says about an address: MAC, and whether it is a router.
fn neighbour(link: &Link, ip: IpAddr) -> (String, bool) {
    let table = link.right.sh(&format!("ip -j neigh show {ip} dev right"));
    let mac = table.split("\"lladdr\":\"").nth(1);
    let mac = mac.and_then(|rest| rest.get(..17)).unwrap_or_default();
    (mac.to_owned(), table.contains("\"router\""))
}

#[test]
fn gratuitous_arp_and_neighbour_advertisement_move_an_address_to_a_new_mac() {
    let Some(link) = Link::new() else { return };
    let mac = Mac::of_virtual_router(Family::V4, Vrid::new(51).unwrap());
    let old = "02:00:00:00:00:99";
    let mut frames = link.left.within(FrameSocket::open).unwrap();
    for ip in [VIRTUAL4, VIRTUAL6] {
        let known = format!("ip neigh replace {ip} lladdr {old} nud stale dev right");
        link.right.sh(&known);
        assert_eq!(neighbour(&link, ip), (old.to_owned(), false));
    }
    let ips = [VIRTUAL4, VIRTUAL6].into_iter();
    let gone = frames.announce(LEFT_INDEX, mac, true, ips).unwrap();
    assert_eq!(gone, 2);
    for (ip, router) in [(VIRTUAL4, false), (VIRTUAL6, true)] {
        let start = Instant::now();
        while neighbour(&link, ip) != (mac.to_string(), router) {
            let so_far = neighbour(&link, ip);
            assert!(start.elapsed() < PATIENCE, "{ip}: {so_far:?}");
        }
    }
}

#[test]
fn a_hundred_addresses_are_announced_each_once_and_in_order() {
    let Some(link) = Link::new() else { return };
    let sniffer = Sniffer::new(&link);
    let mut frames = link.left.within(FrameSocket::open).unwrap();
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let ips = (1..=100).map(|host| Ipv4Addr::new(198, 51, 100, host));
    let addresses = ips.clone().map(IpAddr::V4);
    let gone = frames.announce(LEFT_INDEX, mac, false, addresses).unwrap();
    assert_eq!(gone, 100);
    for ip in ips {
        let frame = sniffer.next(|frame| frame.get(12..14) == Some(&[0x08, 0x06]));
        assert_eq!(frame.get(28..32), Some(&ip.octets()[..]));
    }
}

#[test]
fn an_interface_that_is_down_or_gone_is_an_error_that_is_not_worth_a_retry() {
    let Some(link) = Link::new() else { return };
    let mut frames = link.left.within(FrameSocket::open).unwrap();
    link.left.sh("ip link set left down");
    for (ifindex, errno) in [(LEFT_INDEX, libc::ENETDOWN), (9999, libc::ENXIO)] {
        let ips = [VIRTUAL4].into_iter();
        let error = frames
            .announce(ifindex, Mac::default(), false, ips)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(errno));
        assert!(!is_full(&error));
    }
}

#[test]
fn a_full_queue_is_told_apart_and_what_went_is_counted() {
    let Some(link) = Link::new() else { return };
    let mut frames = link.left.within(FrameSocket::open).unwrap();
    // Until the interface has room again the queue keeps what it has, and that is five frames.
    link.left
        .sh("tc qdisc replace dev left root tbf rate 8bit burst 42 limit 210");
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let mut burst = || {
        let ips = [VIRTUAL4; 100].into_iter();
        frames.announce(LEFT_INDEX, mac, false, ips)
    };
    let gone = burst().unwrap();
    assert!((1..100).contains(&gone), "{gone}");
    assert!(is_full(&burst().unwrap_err()));
}
