//! Links, addresses and their changes, against the kernel's own view as `ip -j` tells it.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{self, Namespace, with_namespaces};
use keepalite::io::address::{self, Assignment};
use keepalite::io::link::{self, Kind, Link, Setting};
use keepalite::io::monitor::{Change, Monitor};
use keepalite::io::netlink::{Batch, Body, Netlink};
use keepalite::io::sys;
use keepalite::name::{Family, IfName, Mac, Vrid};

fn name(text: &str) -> IfName {
    IfName::new(text).expect("legal")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// What `ip` says inside, without white space.
fn ip_says(inside: &Namespace, arguments: &str) -> String {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace());
    sys::confine(&mut command, inside.as_fd()).expect("confined");
    let output = command
        .output()
        .expect("this test needs the program ip (package iproute2)");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("JSON");
    text.split_whitespace().collect()
}

/// A namespace with a dummy interface or, where the kernel has none, one end of a veth; a socket in it, and the interface.
fn with_interface(test: impl FnOnce(&Namespace, &mut Netlink, Link)) {
    with_namespaces(|| {
        let inside = Namespace::new().expect("a namespace");
        let mut netlink = inside.enter(Netlink::route).expect("a socket");
        let (eth0, peer) = (name("eth0"), name("peer0"));
        let mut batch = Batch::new();
        let kind = Kind::Veth {
            peer: &peer,
            namespace: None,
        };
        link::create(&mut batch, &eth0, kind);
        lab::commit(&mut netlink, batch).expect("a veth");
        let mut batch = Batch::new();
        for end in [&eth0, &peer] {
            link::set(
                &mut batch,
                find(&mut netlink, end.as_str()).index,
                end,
                Setting::Up,
            );
        }
        lab::commit(&mut netlink, batch).expect("up");
        let eth0 = find(&mut netlink, "eth0");
        test(&inside, &mut netlink, eth0);
    });
}

fn find(netlink: &mut Netlink, wanted: &str) -> Link {
    let all = link::list(netlink).expect("a list");
    all.into_iter()
        .find(|l| l.name.as_str() == wanted)
        .unwrap_or_else(|| panic!("no {wanted}"))
}

fn addresses_of(netlink: &mut Netlink, link: &Link) -> Vec<Assignment> {
    let mut all = address::list(netlink).expect("a list");
    all.retain(|a| a.ifindex == link.index);
    all
}

#[test]
fn a_link_is_what_ip_says_it_is() {
    with_interface(|inside, netlink, _| {
        let mut batch = Batch::new();
        let mac = Mac::of_virtual_router(Family::V4, Vrid::new(51).expect("not zero"));
        link::create(&mut batch, &name("br0"), Kind::Bridge);
        let parent = find(netlink, "eth0").index;
        link::create(&mut batch, &name("vrrp.51"), Kind::Macvlan { parent, mac });
        lab::commit(netlink, batch).expect("made");
        let (peer, bridge) = (find(netlink, "peer0"), find(netlink, "br0"));
        let mut batch = Batch::new();
        link::set(
            &mut batch,
            peer.index,
            &peer.name,
            Setting::Master(bridge.index),
        );
        link::set(&mut batch, peer.index, &peer.name, Setting::Mtu(1400));
        lab::commit(netlink, batch).expect("changed");

        let all = link::list(netlink).expect("a list");
        assert_eq!(all.len(), 5, "{all:#?}");
        for found in &all {
            let said = ip_says(inside, &format!("-d -j link show dev {}", found.name));
            assert!(
                said.contains(&format!("\"ifindex\":{},", found.index)),
                "{said}"
            );
            assert!(said.contains(&format!("\"mtu\":{},", found.mtu)), "{said}");
            let mac = found.mac.expect("Ethernet or loopback");
            assert!(said.contains(&format!("\"address\":\"{mac}\"")), "{said}");
            assert_eq!(said.contains("\"UP\""), found.is_up(), "{said}");
            assert_eq!(said.contains("\"LOWER_UP\""), found.has_carrier(), "{said}");
            assert_eq!(said.contains("\"LOOPBACK\""), found.is_loopback(), "{said}");
            assert_eq!(
                said.contains("\"MULTICAST\""),
                found.is_multicast(),
                "{said}"
            );
            let kind = format!("\"info_kind\":\"{}\"", found.kind);
            assert!(found.kind.is_empty() || said.contains(&kind), "{said}");
        }
        let macvlan = find(netlink, "vrrp.51");
        assert_eq!((macvlan.mac, macvlan.parent), (Some(mac), Some(parent)));
        assert!(ip_says(inside, "-d -j link show dev vrrp.51").contains("\"mode\":\"private\""));
        assert_eq!(find(netlink, "peer0").master, Some(bridge.index));
    });
}

#[test]
fn a_link_is_renamed_moved_and_removed() {
    with_interface(|inside, netlink, eth0| {
        let elsewhere = Namespace::new().expect("a namespace");
        let mut batch = Batch::new();
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        link::set(&mut batch, eth0.index, &eth0.name, Setting::Down);
        link::set(&mut batch, eth0.index, &eth0.name, Setting::Mac(mac));
        link::set(
            &mut batch,
            eth0.index,
            &eth0.name,
            Setting::Name(&name("wan")),
        );
        lab::commit(netlink, batch).expect("renamed");
        assert_eq!(find(netlink, "wan").mac, Some(mac));
        let mut batch = Batch::new();
        link::set(
            &mut batch,
            eth0.index,
            &name("wan"),
            Setting::Namespace(elsewhere.as_fd()),
        );
        lab::commit(netlink, batch).expect("moved");
        assert!(!ip_says(inside, "-j link").contains("\"wan\""));
        let mut there = elsewhere.enter(Netlink::route).expect("a socket");
        let moved = find(&mut there, "wan");
        let mut batch = Batch::new();
        link::delete(&mut batch, moved.index, &moved.name);
        lab::commit(&mut there, batch).expect("removed");
        assert!(!ip_says(&elsewhere, "-j link").contains("\"wan\""));
    });
}

#[test]
fn addresses_are_added_as_asked_listed_as_they_are_and_taken_away() {
    with_interface(|inside, netlink, eth0| {
        let mut plain = Assignment::new(eth0.index, ip("10.0.0.1"), 24);
        plain.broadcast = Some(Ipv4Addr::new(10, 0, 0, 255));
        plain.label = "eth0:vip".try_into().ok();
        plain.scope = 253;
        let mut peer = Assignment::new(eth0.index, ip("10.1.0.1"), 32);
        peer.peer = Some(ip("10.1.0.2"));
        let mut quiet = Assignment::new(eth0.index, ip("10.2.0.1"), 24);
        quiet.flags = address::flag::NOPREFIXROUTE;
        let mut v6 = Assignment::new(eth0.index, ip("2001:db8::1"), 128);
        v6.preferred = 0;
        let all = [plain, peer, quiet, v6];
        let mut batch = Batch::new();
        for wanted in &all {
            address::add(&mut batch, wanted, &eth0.name);
        }
        lab::commit(netlink, batch).expect("added");

        let said = ip_says(inside, "-d -j address show dev eth0");
        for expected in [
            r#""local":"10.0.0.1","prefixlen":24,"broadcast":"10.0.0.255","scope":"link","protocol":"keepalived","label":"eth0:vip""#,
            r#""local":"10.1.0.1","address":"10.1.0.2","prefixlen":32"#,
            r#""noprefixroute":true"#,
            r#""local":"2001:db8::1","prefixlen":128"#,
            r#""deprecated":true"#,
        ] {
            // Older versions of ip do not tell the protocol, or as a number.
            let without = expected.replace(r#""protocol":"keepalived","#, "");
            let number = expected.replace(r#""keepalived""#, r#""18""#);
            assert!(
                [expected, &without, &number]
                    .iter()
                    .any(|e| said.contains(*e)),
                "no {expected} in {said}"
            );
        }
        let seen = addresses_of(netlink, &eth0);
        for wanted in &all {
            let found = seen.iter().find(|s| s.key() == wanted.key());
            let found = found.unwrap_or_else(|| panic!("no {wanted} in {seen:#?}"));
            assert_eq!(
                (found.prefix, found.broadcast, found.peer),
                (wanted.prefix, wanted.broadcast, wanted.peer)
            );
            assert_eq!(found.preferred, wanted.preferred);
            assert_eq!(found.flags & wanted.flags, wanted.flags);
            assert!(!found.is_tentative());
            assert_eq!(found.protocol, address::KEEPALIVED);
        }

        let mut batch = Batch::new();
        for unwanted in &all {
            address::remove(&mut batch, unwanted, &eth0.name);
        }
        lab::commit(netlink, batch).expect("removed");
        let left = addresses_of(netlink, &eth0);
        assert!(
            left.iter().all(|a| a.protocol != address::KEEPALIVED),
            "{left:#?}"
        );
        assert!(!ip_says(inside, "-j address show dev eth0").contains("10.0.0.1"));
    });
}

/// Words with this refusal came with Linux 6.6.
fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux");
    let mut numbers = release.split('.').map_while(|n| n.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

#[test]
fn a_refusal_in_the_middle_of_a_batch_stops_nothing_and_says_what_it_was() {
    with_interface(|inside, netlink, eth0| {
        let one = Assignment::new(eth0.index, ip("10.0.0.1"), 24);
        let nowhere = Assignment::new(999, ip("10.0.0.2"), 24);
        let other = Assignment::new(eth0.index, ip("10.0.0.3"), 24);
        let missing = Assignment::new(eth0.index, ip("10.9.9.9"), 24);
        let mut batch = Batch::new();
        address::add(&mut batch, &one, &eth0.name);
        address::add(&mut batch, &one, &eth0.name);
        address::add(&mut batch, &nowhere, &name("eth9"));
        address::remove(&mut batch, &missing, &eth0.name);
        address::add(&mut batch, &other, &eth0.name);
        let failed = netlink.commit(batch).expect("answers");
        let ops: Vec<_> = failed.iter().map(|f| f.op.as_str()).collect();
        assert_eq!(
            ops,
            [
                "add 10.0.0.1/24 to eth0",
                "add 10.0.0.2/24 to eth9",
                "remove 10.9.9.9/24 from eth0"
            ]
        );
        assert!(failed[0].already_there(), "{:?}", failed[0]);
        assert!(failed[1].already_gone(), "{:?}", failed[1]);
        assert!(failed[2].already_gone(), "{:?}", failed[2]);
        if kernel_is_at_least(6, 6) {
            let words = failed[0].kernel_says.as_deref();
            assert!(
                words.is_some_and(|w| w.contains("already assigned")),
                "{words:?}"
            );
        }
        let said = ip_says(inside, "-j address show dev eth0");
        assert!(
            said.contains("10.0.0.1") && said.contains("10.0.0.3"),
            "{said}"
        );
    });
}

#[test]
fn a_refusal_at_the_end_of_a_batch_comes_back_too() {
    with_interface(|_, netlink, eth0| {
        let missing = Assignment::new(eth0.index, ip("10.9.9.9"), 24);
        let mut batch = Batch::new();
        address::remove(&mut batch, &missing, &eth0.name);
        let failed = netlink.commit(batch).expect("answers");
        assert_eq!(failed.len(), 1);
        assert!(
            netlink
                .commit(Batch::new())
                .expect("nothing asked")
                .is_empty()
        );
    });
}

#[test]
fn an_attribute_that_the_kernel_does_not_know_does_not_hinder_an_address() {
    use neli::consts::nl::NlmF;
    use neli::consts::rtnl::{Ifa, Rtm};

    with_interface(|inside, netlink, eth0| {
        // As the mark, attribute 11, looks to a kernel before 5.18: unknown.
        let mut body = Body::new(&[libc::AF_INET as u8, 24, 0, 0]);
        body.append(&eth0.index.to_ne_bytes());
        body.put_ip(Ifa::Local.into(), Ipv4Addr::new(10, 0, 0, 1).into());
        body.put(200, &[18]);
        let mut batch = Batch::new();
        batch.push(format_args!("add it"), Rtm::Newaddr, NlmF::CREATE, body);
        lab::commit(netlink, batch).expect("added");
        assert!(ip_says(inside, "-j address show dev eth0").contains("10.0.0.1"));
    });
}

fn thousand(eth0: &Link) -> Vec<Assignment> {
    (0..1000u16)
        .map(|i| {
            let [high, low] = i.to_be_bytes();
            Assignment::new(eth0.index, IpAddr::V4(Ipv4Addr::new(10, 1, high, low)), 32)
        })
        .collect()
}

#[test]
fn a_thousand_addresses_come_and_go_in_one_batch_each() {
    with_interface(|_, netlink, eth0| {
        let all = thousand(&eth0);
        let mut batch = Batch::new();
        all.iter()
            .for_each(|a| address::add(&mut batch, a, &eth0.name));
        let begin = Instant::now();
        lab::commit(netlink, batch).expect("added");
        let added = begin.elapsed();
        let marked = |netlink: &mut Netlink| {
            let seen = addresses_of(netlink, &eth0);
            seen.iter()
                .filter(|a| a.protocol == address::KEEPALIVED)
                .count()
        };
        assert_eq!(marked(netlink), 1000);

        // Again: every single one is refused, none of the answers is lost.
        let mut batch = Batch::new();
        all.iter()
            .for_each(|a| address::add(&mut batch, a, &eth0.name));
        let failed = netlink.commit(batch).expect("answers");
        assert_eq!(failed.len(), 1000);
        assert!(failed.iter().all(|f| f.already_there()));
        assert_eq!(failed[999].op, "add 10.1.3.231/32 to eth0");

        let mut batch = Batch::new();
        all.iter()
            .for_each(|a| address::remove(&mut batch, a, &eth0.name));
        let begin = Instant::now();
        lab::commit(netlink, batch).expect("removed");
        println!(
            "1,000 addresses added in {added:?}, removed in {:?}",
            begin.elapsed()
        );
        assert_eq!(marked(netlink), 0);
    });
}

/// Reads changes until one is as wanted; the others before it are thrown away.
fn wait_for(monitor: &mut Monitor, what: &str, wanted: impl Fn(&Change) -> bool) -> Change {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut seen = Vec::new();
    loop {
        monitor.read(&mut seen).expect("readable");
        if let Some(found) = seen.iter().find(|c| wanted(c)) {
            return found.clone();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no word of {what} in {seen:#?}");
        sys::wait_readable(monitor.as_fd(), left).expect("poll");
    }
}

#[test]
fn the_monitor_tells_of_addresses_and_carriers_as_they_come_and_go() {
    with_interface(|inside, netlink, eth0| {
        let mut monitor = inside.enter(Monitor::open).expect("a monitor");
        ip_says(inside, "address add 10.0.0.1/24 dev eth0");
        let added = wait_for(
            &mut monitor,
            "the address",
            |c| matches!(c, Change::Address(a) if a.ip == ip("10.0.0.1")),
        );
        ip_says(inside, "address del 10.0.0.1/24 dev eth0");
        let gone = wait_for(&mut monitor, "its end", |c| {
            matches!(c, Change::AddressGone(_))
        });
        let (Change::Address(added), Change::AddressGone(gone)) = (added, gone) else {
            panic!("asked for others");
        };
        assert_eq!(added.key(), gone.key());

        let mut batch = Batch::new();
        let peer = find(netlink, "peer0");
        link::set(&mut batch, peer.index, &peer.name, Setting::Down);
        lab::commit(netlink, batch).expect("down");
        wait_for(
            &mut monitor,
            "the loss of the carrier",
            |c| matches!(c, Change::Link(l) if l.index == eth0.index && l.is_up() && !l.is_running()),
        );
        let mut batch = Batch::new();
        link::delete(&mut batch, eth0.index, &eth0.name);
        lab::commit(netlink, batch).expect("removed");
        wait_for(
            &mut monitor,
            "the end of eth0",
            |c| matches!(c, Change::LinkGone(l) if l.index == eth0.index),
        );
    });
}

#[test]
fn an_interface_that_leaves_its_bridge_is_not_gone() {
    with_interface(|inside, netlink, eth0| {
        let mut batch = Batch::new();
        link::create(&mut batch, &name("br0"), Kind::Bridge);
        lab::commit(netlink, batch).expect("a bridge");
        let bridge = find(netlink, "br0");
        let mut monitor = inside.enter(Monitor::open).expect("a monitor");
        let mut batch = Batch::new();
        link::set(
            &mut batch,
            eth0.index,
            &eth0.name,
            Setting::Master(bridge.index),
        );
        link::set(&mut batch, eth0.index, &eth0.name, Setting::NoMaster);
        link::delete(&mut batch, bridge.index, &bridge.name);
        lab::commit(netlink, batch).expect("joined, left, and the bridge removed");
        let first = wait_for(&mut monitor, "the end of the bridge", |c| {
            matches!(c, Change::LinkGone(_))
        });
        assert!(
            matches!(&first, Change::LinkGone(l) if l.index == bridge.index),
            "{first:?}"
        );
    });
}

#[test]
fn a_monitor_that_does_not_keep_up_says_so_and_goes_on() {
    with_interface(|inside, netlink, eth0| {
        let mut monitor = inside.enter(Monitor::open).expect("a monitor");
        rustix::net::sockopt::set_socket_recv_buffer_size(monitor.as_fd(), 8192).expect("smaller");
        let all = thousand(&eth0);
        let mut batch = Batch::new();
        all.iter()
            .for_each(|a| address::add(&mut batch, a, &eth0.name));
        lab::commit(netlink, batch).expect("added");
        wait_for(&mut monitor, "the overrun", |c| *c == Change::Overrun);
        let mut batch = Batch::new();
        address::remove(&mut batch, &all[0], &eth0.name);
        lab::commit(netlink, batch).expect("removed");
        wait_for(
            &mut monitor,
            "what came after",
            |c| matches!(c, Change::AddressGone(a) if a.ip == all[0].ip),
        );
    });
}
