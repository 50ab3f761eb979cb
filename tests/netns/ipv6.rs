//! What is special about IPv6: addresses that are not usable yet, or that another host has, and those of one link only.

use std::net::IpAddr;

use crate::lab::{Capture, Frame, Host, Lab, Program, SOON, with_namespaces};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn instance(name: &str, interface: &str, more: &str, addresses: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface {interface}\n virtual_router_id 1\n version 3\n advert_int 0.05\n {more}\n \
         virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
    )
}

fn wait_for(host: &Host, what: &str, so: impl Fn() -> bool) {
    let found = host.wait(SOON, || so().then_some(()));
    assert!(found.is_some(), "{what}: never");
}

#[test]
fn it_starts_by_itself_when_its_address_has_proved_to_be_no_duplicate() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap();
        let host = lab.host("one");
        // The link-local address is made anew, and looks for duplicates of itself for three seconds.
        host.run("sysctl -qw net.ipv6.conf.eth0.dad_transmits=3");
        host.run("ip link set eth0 down");
        host.run("ip link set eth0 up");
        let daemon = host.daemon(Program::Keepalite, &instance("A", "eth0", "", "fe80::100"));
        daemon.wait_for_words("FAULT STATE (its interface has no address to send from)");
        daemon.wait_for_words("Entering BACKUP STATE");
        wait_for(host, "master", || host.has(ip("fe80::100")));
    });
}

#[test]
fn an_address_that_another_host_has_is_told() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["fd00::1/64"]), ("other", &["fd00::100/64"])]).unwrap();
        let [host, other] = ["one", "other"].map(|name| lab.host(name));
        for host in [host, other] {
            host.wait_for_link_local();
        }
        let addresses = "fe80::100\n fd00::100/64 -nodad";
        let daemon = host.daemon(Program::Keepalite, &instance("A", "eth0", "", addresses));
        daemon.wait_for_words("another host has the address fd00::100/64");
        assert!(host.has(ip("fe80::100")), "it goes on");
    });
}

#[test]
fn one_link_local_address_is_virtual_on_two_interfaces() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["fd00::1/64"])]).unwrap();
        let host = lab.host("one");
        host.run("ip link add eth1 type veth peer name peer1");
        host.run("ip link set peer1 up");
        host.run("ip link set eth1 up");
        let text = instance("A", "eth0", "", "fe80::100") + &instance("B", "eth1", "", "fe80::100");
        let mut daemon = host.daemon(Program::Keepalite, &text);
        let places = || {
            let all = host.addresses();
            all.iter()
                .filter(|there| there.ip == ip("fe80::100"))
                .count()
        };
        wait_for(host, "both", || places() == 2);
        daemon.terminate();
        assert_eq!(places(), 0);
    });
}

fn advert(capture: &Capture, host: &str) -> Frame {
    let wanted = |f: &Frame| f.from == host && f.seen.priority().is_some_and(|p| p > 0);
    let found = capture.wait_for(0, SOON, wanted);
    found.unwrap_or_else(|| panic!("{host} never advertises"))
}

#[test]
fn peers_may_be_link_local_addresses() {
    with_namespaces(|| {
        let lab = Lab::new(&[("a", &["fe80::a/64"]), ("b", &["fe80::b/64"])]).unwrap();
        let capture = lab.capture().unwrap();
        let hosts = ["a", "b"].map(|name| lab.host(name));
        for host in hosts {
            host.wait_for_link_local();
        }
        let text = |own: &str, other: &str, priority: u8| {
            let more = format!(
                "priority {priority}\n unicast_src_ip fe80::{own}\n unicast_peer {{\n fe80::{other}\n }}"
            );
            instance("A", "eth0", &more, "fe80::100")
        };
        let mut a = hosts[0].daemon(Program::Keepalite, &text("a", "b", 150));
        advert(&capture, "a");
        let b = hosts[1].daemon(Program::Keepalite, &text("b", "a", 100));
        b.wait_for_words("Entering BACKUP STATE");
        a.terminate();
        wait_for(hosts[1], "master", || hosts[1].has(ip("fe80::100")));
        assert!(
            b.process.output().contains("master fe80::a resigned"),
            "{}",
            b.process.output()
        );
    });
}

#[test]
fn an_interface_that_appears_later_gets_its_virtual_mac() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["fd00::1/64"])]).unwrap();
        let host = lab.host("one");
        let text = instance("A", "late0", "use_vmac", "fe80::100\n fd00:1::100/64");
        let daemon = host.daemon(Program::Keepalite, &text);
        daemon.wait_for_words("FAULT STATE (its interface does not exist)");
        for _ in 0..2 {
            host.run("ip link add late0 type veth peer name peer1");
            host.run("ip link set peer1 up");
            host.run("ip link set late0 up");
            wait_for(host, "master", || host.has(ip("fd00:1::100")));
            let link = host.run("ip -o link show vrrp.1");
            assert!(
                link.contains("00:00:5e:00:02:01") && link.contains("@late0"),
                "{link}"
            );
            // It comes back as it came.
            host.run("ip link del late0");
            wait_for(host, "gone", || !host.has(ip("fd00:1::100")));
        }
    });
}

#[test]
fn a_virtual_mac_that_was_refused_is_made_at_once_over_a_new_interface() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["fd00::1/64"])]).unwrap();
        let host = lab.host("one");
        let appear = || {
            host.run("ip link add late0 type veth peer name peer1");
            host.run("ip link set peer1 up");
            host.run("ip link set late0 up");
        };
        // A port of a bridge can't have one.
        host.run("ip link add br0 type bridge");
        appear();
        host.run("ip link set late0 master br0");
        let text = instance("A", "late0", "use_vmac", "fe80::100\n fd00:1::100/64");
        let daemon = host.daemon(Program::Keepalite, &text);
        daemon.wait_for_words("kernel refused to create macvlan vrrp.1");
        host.run("ip link del late0");
        appear();
        // Before what was refused is tried again anyway.
        let master = || host.has(ip("fd00:1::100")).then_some(());
        assert!(
            host.wait(SOON / 2, master).is_some(),
            "{}",
            daemon.process.output()
        );
    });
}
