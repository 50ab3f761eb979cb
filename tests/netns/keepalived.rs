//! keepalite beside keepalived on one LAN, as master and as backup: two routers, a client, real packets, the kernel's view.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::lab::{
    Capture, Daemon, Frame, Host, Json, Lab, Program, Seen, has_keepalived, with_namespaces,
};
use crate::tshark;

/// A virtual router as both daemons are told of it.
struct Router {
    vrid: u8,
    interval: Duration,
    version: u8,
    words: &'static str,
    address: &'static str,
}

const SECOND: Duration = Duration::from_secs(1);
const TWENTIETH: Duration = Duration::from_millis(50);

/// Every way of saying the same.
const ROUTERS: [Router; 7] = [
    router(1, 2, SECOND, "", "10.0.0.101"),
    router(
        2,
        2,
        SECOND,
        "authentication { auth_type PASS\n auth_pass secret }",
        "10.0.0.102",
    ),
    router(
        3,
        2,
        SECOND,
        "authentication { auth_type AH\n auth_pass secret }",
        "10.0.0.103",
    ),
    router(4, 3, SECOND, "", "10.0.0.104"),
    router(5, 3, TWENTIETH, "", "10.0.0.105"),
    router(6, 3, SECOND, "", "fd00::106"),
    router(7, 3, TWENTIETH, "", "fd00::107"),
];

const fn router(
    vrid: u8,
    version: u8,
    interval: Duration,
    words: &'static str,
    address: &'static str,
) -> Router {
    Router {
        vrid,
        interval,
        version,
        words,
        address,
    }
}

impl Router {
    fn address(&self) -> IpAddr {
        self.address.parse().unwrap()
    }

    fn name(&self) -> String {
        format!("VI_{}", self.vrid)
    }

    /// RFC 9568 section 6.1; with the default address list for both families.
    fn configuration(&self, priority: u8, more: &str) -> String {
        let Self {
            vrid,
            version,
            words,
            address,
            ..
        } = self;
        let interval = self.interval.as_secs_f64();
        // The first address of IPv6 is to be link-local (RFC 9568 section 5.2.9).
        let first = match self.address() {
            IpAddr::V4(_) => String::new(),
            IpAddr::V6(_) => format!("fe80::{vrid}"),
        };
        format!(
            "vrrp_instance VI_{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n version {version}\n \
             advert_int {interval}\n {words}\n {more}\n virtual_ipaddress {{\n {first}\n {address}\n }}\n}}\n"
        )
    }

    fn skew(&self, priority: u8) -> Duration {
        self.interval * (256 - u32::from(priority)) / 256
    }

    fn master_down(&self, priority: u8) -> Duration {
        self.interval * 3 + self.skew(priority)
    }
}

fn configuration(priority: u8) -> String {
    ROUTERS
        .iter()
        .map(|r| r.configuration(priority, ""))
        .collect()
}

/// Priority of the router that is to be master, and of the other.
const HIGH: u8 = 200;
const LOW: u8 = 100;
/// How much later than in theory something may happen on a busy machine.
const LATE: Duration = Duration::from_millis(250);
/// How much earlier: a timestamp is taken before the packet is handled.
const EARLY: Duration = Duration::from_millis(3);
/// Bound on waiting for an election of a second's interval.
const ELECTION: Duration = Duration::from_secs(8);

/// Two routers, the one with the higher priority being `master`, and a client.
struct Lan {
    lab: Lab,
    capture: Capture,
}

impl Lan {
    fn new() -> Self {
        let lab = Lab::new(&[
            ("master", &["10.0.0.1/24", "fd00::1/64"]),
            ("backup", &["10.0.0.2/24", "fd00::2/64"]),
            ("client", &["10.0.0.9/24", "fd00::9/64"]),
        ])
        .unwrap();
        for host in &lab.hosts {
            host.wait_for_link_local();
        }
        let capture = lab.capture().unwrap();
        Self { lab, capture }
    }

    fn host(&self, name: &str) -> &Host {
        self.lab.host(name)
    }

    /// The first advert of a router from this host after the first `from` frames.
    fn advert(&self, from: usize, host: &str, vrid: u8) -> Frame {
        self.capture
            .wait_for(from, ELECTION, |f| {
                f.from == host && is_advert(f, vrid) && f.seen.priority() != Some(0)
            })
            .unwrap_or_else(|| panic!("{host} never advertises router {vrid}"))
    }

    /// Waits until this host is the master of these routers, and until its adverts have done their work.
    fn wait_for_master(&self, host: &str, routers: &[Router]) {
        for router in routers {
            self.advert(0, host, router.vrid);
        }
        for router in routers {
            self.advert(self.capture.len(), host, router.vrid);
        }
    }

    /// After the first `from` frames the host announces each address; the client asks it, is answered, and knows the host's MAC
    /// as that of the address.
    fn is_served_by(&self, from: usize, host: &str) {
        let client = self.host("client");
        let mac = self.host(host).mac;
        for router in &ROUTERS {
            let announced =
                |f: &Frame| f.from == host && f.seen.announced() == Some(router.address());
            self.capture
                .wait_for(from, ELECTION, announced)
                .unwrap_or_else(|| panic!("{host} never announces {}", router.address));
            assert!(
                client.is_answered_by(router.address()),
                "router {}",
                router.vrid
            );
            let known = client.neighbour(router.address());
            assert_eq!(known, Some(mac), "router {} is at {host}", router.vrid);
        }
    }

    /// Waits until the host has this address, or has it no more.
    fn wait_for_address(&self, host: &str, router: &Router, wanted: bool) {
        let host = self.host(host);
        let answer = || (host.has(router.address()) == wanted).then_some(());
        let verb = if wanted { "gets" } else { "loses" };
        host.wait(ELECTION, answer)
            .unwrap_or_else(|| panic!("{} never {verb} {}", host.name, router.address));
    }

    /// From the last word of the master to the first of the backup, for each router; `theory` says how long that is to take.
    fn holds_the_time(&self, from: usize, last: Option<u8>, theory: impl Fn(&Router) -> Duration) {
        for router in &ROUTERS {
            let first = self.advert(from, "backup", router.vrid);
            let before = self.capture.frames(0);
            let said = |f: &&Frame| {
                f.from == "master" && is_advert(f, router.vrid) && f.seen.priority() == last
            };
            let last = before
                .iter()
                .rfind(said)
                .expect("a last word of the master");
            let waited = first.at.saturating_duration_since(last.at);
            let theory = theory(router);
            assert!(
                waited + EARLY >= theory && waited <= theory + LATE,
                "router {}: {waited:?} instead of {theory:?}",
                router.vrid
            );
        }
    }

    /// What was on the wire is in order, by tshark's judgement too.
    fn wire_is_clean(&self) {
        let frames = self.capture.frames(0);
        for frame in &frames {
            if let Seen::Advert {
                source,
                destination,
                ..
            } = frame.seen
            {
                let link_local =
                    matches!(source, IpAddr::V6(source) if source.is_unicast_link_local());
                assert_eq!(link_local, source.is_ipv6(), "{frame:?}");
                let (mac, ttl): (&[u8], _) = match destination {
                    IpAddr::V4(_) => (&[0x01, 0x00, 0x5e, 0, 0, 0x12], 22),
                    IpAddr::V6(_) => (&[0x33, 0x33, 0, 0, 0, 0x12], 21),
                };
                assert_eq!(frame.bytes.get(..6), Some(mac), "{frame:?}");
                assert_eq!(frame.bytes.get(ttl), Some(&255), "{frame:?}");
            }
        }
        tshark::finds_nothing(&self.lab, &frames);
    }
}

fn is_advert(frame: &Frame, wanted: u8) -> bool {
    matches!(&frame.seen, Seen::Advert { vrid, .. } if *vrid == wanted)
}

/// Runs a test that needs namespaces and keepalived.
fn with_keepalived(test: impl FnOnce()) {
    if !has_keepalived() {
        return;
    }
    with_namespaces(test);
}

/// A pair that has come to rest: `master` runs on the host of that name with the higher priority, the other program on `backup`.
fn settled(lan: &Lan, master: Program) -> (Daemon, Daemon) {
    let high = lan.host("master").daemon(master, &configuration(HIGH));
    let low = lan
        .host("backup")
        .daemon(master.other(), &configuration(LOW));
    lan.wait_for_master("master", &ROUTERS);
    lan.is_served_by(0, "master");
    (high, low)
}

fn takes_over_after_a_crash(master: Program) {
    with_keepalived(|| {
        let lan = Lan::new();
        let (mut high, _low) = settled(&lan, master);
        let from = lan.capture.len();
        high.process.kill_tree();
        lan.holds_the_time(from, Some(HIGH), |r| r.master_down(LOW));
        for router in &ROUTERS {
            lan.wait_for_address("backup", router, true);
        }
        lan.is_served_by(from, "backup");
        lan.wire_is_clean();
    });
}

#[test]
fn keepalite_takes_over_from_a_killed_keepalived_in_time() {
    takes_over_after_a_crash(Program::Keepalived);
}

#[test]
fn keepalived_takes_over_from_a_killed_keepalite_in_time() {
    takes_over_after_a_crash(Program::Keepalite);
}

fn takes_over_when_the_cable_is_cut(master: Program) {
    with_keepalived(|| {
        let lan = Lan::new();
        let (high, low) = settled(&lan, master);
        let from = lan.capture.len();
        lan.host("master").plug(false).unwrap();
        for router in &ROUTERS {
            lan.wait_for_address("master", router, false);
        }
        lan.holds_the_time(from, Some(HIGH), |r| r.master_down(LOW));
        for router in &ROUTERS {
            lan.wait_for_address("backup", router, true);
        }
        lan.is_served_by(from, "backup");

        let from = lan.capture.len();
        lan.host("master").plug(true).unwrap();
        gives_back(&lan, from);
        for router in &ROUTERS {
            // From these counters LuCI knows who is master.
            for (daemon, state, masterships) in [(&high, 2.0, 1.0), (&low, 1.0, 0.0)] {
                let (data, stats) = daemon.instance(&router.name());
                assert_eq!(data.number("state"), state);
                let begun = stats.number("become_master");
                assert_eq!(begun - stats.number("release_master"), masterships);
            }
        }
        lan.wire_is_clean();
    });
}

/// The higher priority has come back after the first `from` frames: the other one goes at its first word.
fn gives_back(lan: &Lan, from: usize) {
    for router in &ROUTERS {
        let first = lan.advert(from, "master", router.vrid);
        lan.wait_for_address("backup", router, false);
        lan.wait_for_address("master", router, true);
        let last = lan.capture.frames(from);
        let last = last
            .iter()
            .rfind(|f| f.from == "backup" && is_advert(f, router.vrid));
        let both = last.map(|f| f.at.saturating_duration_since(first.at));
        assert!(
            both.is_none_or(|both| both <= LATE),
            "router {}: both spoke for {both:?}",
            router.vrid
        );
    }
    lan.is_served_by(from, "master");
}

#[test]
fn keepalite_takes_over_from_keepalived_cut_off_and_gives_back() {
    takes_over_when_the_cable_is_cut(Program::Keepalived);
}

#[test]
fn keepalived_takes_over_from_keepalite_cut_off_and_gets_it_back() {
    takes_over_when_the_cable_is_cut(Program::Keepalite);
}

fn takes_over_when_told_to_end(master: Program) {
    with_keepalived(|| {
        let lan = Lan::new();
        let (mut high, low) = settled(&lan, master);
        let from = lan.capture.len();
        high.signal("TERM");
        lan.holds_the_time(from, Some(0), |r| r.skew(LOW));
        for router in &ROUTERS {
            lan.wait_for_address("master", router, false);
            lan.wait_for_address("backup", router, true);
            let (_, stats) = low.instance(&router.name());
            assert_eq!(stats.number("pri_zero_rcvd"), 1.0, "router {}", router.vrid);
        }
        lan.is_served_by(from, "backup");
        assert!(high.process.wait(ELECTION).unwrap().success());

        let from = lan.capture.len();
        let _high = lan.host("master").daemon(master, &configuration(HIGH));
        gives_back(&lan, from);
        lan.wire_is_clean();
    });
}

#[test]
fn keepalite_takes_over_from_keepalived_ended_within_the_skew_and_gives_back() {
    takes_over_when_told_to_end(Program::Keepalived);
}

#[test]
fn keepalived_takes_over_from_keepalite_ended_within_the_skew_and_gets_it_back() {
    takes_over_when_told_to_end(Program::Keepalite);
}

/// Names of the error counters that have counted.
fn errors(stats: &Json) -> Vec<&str> {
    let rest = stats
        .names()
        .into_iter()
        .skip_while(|n| *n != "packet_len_err");
    rest.filter(|n| stats.number(n) > 0.0).collect()
}

/// Runs two routers that do not understand each other, until both are master and have heard the other; gives the errors that they
/// have counted.
fn both_are_masters(ours: &str, theirs: &str, expected: &[&str]) {
    with_keepalived(|| {
        let lan = Lan::new();
        let one = lan.host("master").daemon(Program::Keepalite, ours);
        let other = lan.host("backup").daemon(Program::Keepalived, theirs);
        for host in ["master", "backup"] {
            lan.advert(0, host, 1);
            lan.wait_for_address(host, &ROUTERS[0], true);
        }
        // As master keepalived starts its interval anew at each advert that it drops, and may fall silent over it; not so we.
        let from = lan.capture.len();
        lan.advert(from, "master", 1);
        lan.advert(lan.capture.len(), "master", 1);
        let (data, ours) = one.instance("VI_1");
        assert_eq!(data.number("state"), 2.0);
        let (data, theirs) = other.instance("VI_1");
        assert_eq!(data.number("state"), 2.0);
        assert_eq!(errors(&ours), expected, "keepalite's");
        // keepalived 2.2.7 logs another interval, but does not count it.
        let counted = expected.iter().filter(|e| **e != "advert_interval_err");
        assert_eq!(errors(&theirs), counted.copied().collect::<Vec<_>>());
        assert_eq!(
            ours.number("advert_rcvd") > 0.0,
            theirs.number("advert_rcvd") > 0.0,
            "{ours:?} {theirs:?}"
        );
        lan.wire_is_clean();
    });
}

#[test]
fn a_wrong_password_is_ignored_and_counted() {
    let with = |password: &str| {
        let words = format!("authentication {{ auth_type PASS\n auth_pass {password} }}");
        ROUTERS[0].configuration(100, &words)
    };
    both_are_masters(&with("one"), &with("other"), &["auth_failure"]);
}

#[test]
fn a_wrong_authentication_header_is_ignored_and_counted() {
    let with = |password: &str| {
        let words = format!("authentication {{ auth_type AH\n auth_pass {password} }}");
        ROUTERS[0].configuration(100, &words)
    };
    both_are_masters(&with("one"), &with("other"), &["auth_failure"]);
}

#[test]
fn another_type_of_authentication_is_ignored_and_counted() {
    let ours = ROUTERS[0].configuration(100, "");
    let theirs = ROUTERS[0].configuration(100, "authentication { auth_type PASS\n auth_pass one }");
    both_are_masters(&ours, &theirs, &["authtype_mismatch"]);
}

#[test]
fn another_interval_in_version_2_is_ignored_and_counted() {
    let ours = ROUTERS[0].configuration(100, "");
    let theirs = ROUTERS[0].configuration(200, "advert_int 2");
    both_are_masters(&ours, &theirs, &["advert_interval_err"]);
}

fn adopts_the_interval(backup: Program) {
    with_keepalived(|| {
        let lan = Lan::new();
        let router = &ROUTERS[3];
        let _high = lan.host("master").daemon(
            backup.other(),
            &router.configuration(HIGH, "advert_int 0.2"),
        );
        let low = lan
            .host("backup")
            .daemon(backup, &router.configuration(LOW, ""));
        lan.wait_for_master("master", std::slice::from_ref(router));
        let (data, _) = low.instance("VI_4");
        assert_eq!(data.number("state"), 1.0);
        assert_eq!(data.number("adver_int"), 1.0);
        assert_eq!(data.number("master_adver_int"), 0.2);
        assert_eq!(data.number("master_priority"), f64::from(HIGH));
        let from = lan.capture.len();
        drop(_high);
        let first = lan.advert(from, "backup", router.vrid);
        let frames = lan.capture.frames(0);
        let last = frames
            .iter()
            .rfind(|f| f.from == "master" && f.seen.priority() == Some(HIGH))
            .unwrap();
        let waited = first.at.saturating_duration_since(last.at);
        let theory = Duration::from_millis(200) * 3 + Duration::from_millis(200) * 156 / 256;
        assert!(
            waited + EARLY >= theory && waited <= theory + LATE,
            "{waited:?} instead of {theory:?}"
        );
    });
}

#[test]
fn keepalite_adopts_the_interval_of_a_version_3_master() {
    adopts_the_interval(Program::Keepalite);
}

#[test]
fn keepalived_adopts_the_interval_of_a_version_3_master() {
    adopts_the_interval(Program::Keepalived);
}

fn higher_address_wins(lower: Program) {
    with_keepalived(|| {
        let lan = Lan::new();
        // The quick routers of both families; `backup` has the higher addresses.
        let routers = [&ROUTERS[4], &ROUTERS[6]];
        let text: String = routers.iter().map(|r| r.configuration(150, "")).collect();
        lan.host("backup").isolate(true).unwrap();
        let one = lan.host("master").daemon(lower, &text);
        let other = lan.host("backup").daemon(lower.other(), &text);
        for router in routers {
            lan.wait_for_address("master", router, true);
            lan.wait_for_address("backup", router, true);
        }
        lan.host("backup").isolate(false).unwrap();
        for router in routers {
            lan.wait_for_address("master", router, false);
            assert!(lan.host("backup").has(router.address()));
            let (data, stats) = one.instance(&router.name());
            assert_eq!(data.number("state"), 1.0);
            assert_eq!(stats.number("release_master"), 1.0);
            let (data, stats) = other.instance(&router.name());
            assert_eq!(data.number("state"), 2.0);
            assert_eq!(stats.number("release_master"), 0.0);
        }
        lan.wire_is_clean();
    });
}

#[test]
fn keepalite_yields_to_an_equal_priority_at_a_higher_address() {
    higher_address_wins(Program::Keepalite);
}

#[test]
fn keepalite_prevails_over_an_equal_priority_at_a_lower_address() {
    higher_address_wins(Program::Keepalived);
}

fn owner_takes_over_at_once(owner: Program) {
    with_keepalived(|| {
        let lan = Lan::new();
        // Intervals of a second, where "at once" is something else than an election.
        let routers = [&ROUTERS[0], &ROUTERS[3], &ROUTERS[5]];
        let all = |priority, more| -> String {
            let each = routers.iter().map(|r| r.configuration(priority, more));
            each.collect()
        };
        let other = lan.host("backup").daemon(owner.other(), &all(254, ""));
        for router in routers {
            lan.advert(0, "backup", router.vrid);
        }
        let begin = Instant::now();
        let _owner = lan.host("master").daemon(owner, &all(255, "state MASTER"));
        for router in routers {
            let first = lan.advert(0, "master", router.vrid);
            assert_eq!(first.seen.priority(), Some(255));
            let waited = first.at.saturating_duration_since(begin);
            assert!(waited < SECOND, "router {}: {waited:?}", router.vrid);
            lan.wait_for_address("backup", router, false);
            let (data, _) = other.instance(&router.name());
            assert_eq!(data.number("state"), 1.0);
            assert_eq!(data.number("master_priority"), 255.0);
        }
        lan.wire_is_clean();
    });
}

#[test]
fn keepalite_as_owner_takes_over_at_once() {
    owner_takes_over_at_once(Program::Keepalite);
}

#[test]
fn keepalite_yields_at_once_to_an_owner() {
    owner_takes_over_at_once(Program::Keepalived);
}
