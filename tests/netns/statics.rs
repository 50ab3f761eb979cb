//! Static addresses, routes and rules: there from start to stop, put back when somebody takes them away, and tracked.

use std::net::IpAddr;

use crate::lab::{self, Daemon, Host, Lab, Program, SOON, has_keepalived, with_namespaces};

const INSTANCE: &str = "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n version 3\n advert_int 0.05\n \
                        virtual_ipaddress {\n 10.0.0.100/24\n }\n}\n";

const STATICS: &str = "static_ipaddress {\n 192.0.2.1/24 dev eth1\n 192.0.2.2/24 dev eth1 no_track\n}\n\
                       static_routes {\n 198.51.100.0/24 via 192.0.2.9 dev eth1\n}\n\
                       static_rules {\n from 192.0.2.0/24 table 100 preference 10\n}\n";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A lab of one host with a second interface.
fn alone() -> Lab {
    let lab = Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap();
    let host = lab.host("one");
    host.run("ip link add eth1 type veth peer name peer1");
    host.run("ip link set peer1 up");
    host.run("ip link set eth1 up");
    lab
}

fn wait_for(host: &Host, what: &str, so: impl Fn() -> bool) {
    let found = host.wait(SOON, || so().then_some(()));
    assert!(found.is_some(), "{what}: never");
}

fn routes(host: &Host) -> String {
    host.run("ip -4 route show proto keepalived")
}

fn rules(host: &Host) -> String {
    host.run("ip -4 rule show table 100")
}

/// Waits for something of which links and addresses do not tell.
fn poll(what: &str, so: impl Fn() -> bool) {
    let step = |_| std::thread::yield_now();
    let found = lab::wait_until(std::time::Instant::now() + SOON, step, || {
        so().then_some(())
    });
    assert!(found.is_some(), "{what}: never");
}

#[test]
fn they_are_there_from_start_to_stop_and_come_back_when_taken_away_unless_nobody_tracks_them() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mut daemon = host.daemon(Program::Keepalite, &format!("{STATICS}{INSTANCE}"));
        daemon.wait_for_words("Entering BACKUP STATE");
        poll("all are there", || {
            host.has(ip("192.0.2.1"))
                && host.has(ip("192.0.2.2"))
                && !routes(host).is_empty()
                && !rules(host).is_empty()
        });

        host.run("ip addr del 192.0.2.2/24 dev eth1");
        host.run("ip addr del 192.0.2.1/24 dev eth1");
        wait_for(host, "it is put back", || host.has(ip("192.0.2.1")));
        assert!(!host.has(ip("192.0.2.2")), "it is tracked by nobody");
        host.run("ip route del 198.51.100.0/24");
        host.run("ip rule del preference 10");
        poll("the route is put back", || !routes(host).is_empty());
        poll("the rule is put back", || !rules(host).is_empty());

        daemon.terminate();
        assert!(!host.has(ip("192.0.2.1")));
        assert_eq!((routes(host).as_str(), rules(host).as_str()), ("", ""));
    });
}

#[test]
fn a_reload_changes_only_what_is_another_now() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let daemon = host.daemon(Program::Keepalite, &format!("{STATICS}{INSTANCE}"));
        wait_for(host, "it is there", || host.has(ip("192.0.2.1")));
        let before = host.run("ip -o -4 addr show dev eth1 to 192.0.2.1");
        let text = STATICS.replace("192.0.2.2/24 dev eth1 no_track", "192.0.2.3/24 dev eth1");
        daemon.reload(&format!("{text}{INSTANCE}"));
        wait_for(host, "the new one is there", || {
            host.has(ip("192.0.2.3")) && !host.has(ip("192.0.2.2"))
        });
        assert_eq!(host.run("ip -o -4 addr show dev eth1 to 192.0.2.1"), before);
    });
}

/// Its member fails while the address of the group cannot be put back: its interface is down, or gone.
fn story(program: Program) {
    let lab = alone();
    let host = lab.host("one");
    let text = "track_group STATIC {\n group {\n A\n }\n}\n\
                static_ipaddress {\n 192.0.2.1/24 dev eth1 track_group STATIC\n}\n";
    let daemon: Daemon = host.daemon(
        program,
        &format!("global_defs {{\n dynamic_interfaces\n}}\n{text}{INSTANCE}"),
    );
    let master = |wanted: bool| {
        let what = format!("master is {wanted}");
        wait_for(host, &what, || host.has(ip("10.0.0.100")) == wanted);
    };
    master(true);
    assert!(host.has(ip("192.0.2.1")));
    host.run("ip link set eth1 down");
    master(false);
    daemon.wait_for_words("FAULT STATE");
    host.run("ip link set eth1 up");
    master(true);
    host.run("ip link del eth1");
    master(false);
    host.run("ip link add eth1 type veth peer name peer1");
    host.run("ip link set peer1 up");
    host.run("ip link set eth1 up");
    master(true);
    wait_for(host, "the address is back", || host.has(ip("192.0.2.1")));
}

#[test]
fn members_of_a_track_group_fail_while_its_address_cannot_be_put_back() {
    with_namespaces(|| {
        story(Program::Keepalite);
        if has_keepalived() {
            story(Program::Keepalived);
        }
    });
}
