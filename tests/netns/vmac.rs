//! Virtual MACs on a real LAN: two routers, a client, the kernel's view; keepalived beside us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::lab::{self, Capture, Client, Frame, Host, Lab, Process, Seen, with_namespaces};
use keepalite::name::Mac;

/// No election among these intervals takes as long.
const SOON: Duration = Duration::from_secs(10);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VIRTUAL6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const MAC: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);
const MAC6: Mac = Mac([0, 0, 0x5e, 0, 2, 51]);

const V4: &str = "virtual_ipaddress {\n 10.0.0.1/24\n }";
const V6: &str = "virtual_ipaddress {\n fe80::5e:1\n 2001:db8::1/64\n }";

fn instance(priority: u8, addresses: &str, more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.1\n \
         priority {priority}\n {more}\n {addresses}\n}}\n"
    )
}

/// A daemon with a configuration of its own.
struct Daemon<'a> {
    host: &'a Host,
    file: std::path::PathBuf,
    process: Process,
}

impl<'a> Daemon<'a> {
    fn start(lab: &Lab, host: &'a Host, text: &str) -> Self {
        Self::start_as(lab, host, env!("CARGO_BIN_EXE_keepalite"), text)
    }

    fn start_as(lab: &Lab, host: &'a Host, program: &str, text: &str) -> Self {
        let file = lab.scratch().join(format!("{}.conf", host.name));
        std::fs::write(&file, text).expect("a configuration");
        Self {
            process: start(host, program, &file),
            file,
            host,
        }
    }

    /// The same again, after it has ended.
    fn again(&mut self) {
        self.process = start(self.host, env!("CARGO_BIN_EXE_keepalite"), &self.file);
    }

    fn stop(&mut self) {
        let ended = self.process.terminate(SOON).expect("it ends");
        assert!(ended.success(), "{}", self.process.output());
    }
}

fn start(host: &Host, program: &str, file: &std::path::Path) -> Process {
    let path = |suffix: &str| file.with_extension(suffix).display().to_string();
    let (pid, vrrp) = (path("pid"), path("vrrp-pid"));
    let file = file.display().to_string();
    let mut arguments = vec!["-n", "-l", "-D", "-P", "-f", &file, "-p", &pid, "-r", &vrrp];
    if program != KEEPALIVED {
        arguments.push("--single");
    }
    host.start(program, &arguments, &[]).expect("a daemon")
}

const KEEPALIVED: &str = "keepalived";

/// What a shell on the host says.
fn shell(host: &Host, script: &str) -> String {
    let mut process = host
        .start("/bin/sh", &["-ec", script], &[])
        .expect("a shell");
    let ended = process.wait(SOON).expect("it ends");
    assert!(ended.success(), "{script}: {}", process.output());
    process.output()
}

/// All settings of interfaces.
fn settings(host: &Host) -> Vec<String> {
    let script = "cd /proc/sys/net; grep -s . ipv4/conf/*/* ipv6/conf/*/* | sort";
    // Of the kernel's own making, or telling the time.
    let moves = |line: &&str| !line.contains("stable_secret");
    let all = shell(host, script);
    all.lines().filter(moves).map(str::to_owned).collect()
}

/// All links and addresses, without what tells the time.
fn links(host: &Host) -> Vec<String> {
    let all = shell(host, "ip -o -d link; ip -o addr");
    all.lines().map(str::to_owned).collect()
}

fn with_lab(test: impl FnOnce(&Lab)) {
    with_namespaces(|| {
        let lab = Lab::new(&[
            ("a", &["10.0.0.2/24"]),
            ("b", &["10.0.0.3/24"]),
            ("client", &["10.0.0.100/24", "2001:db8::100/64"]),
        ]);
        test(&lab.expect("a LAN"));
    });
}

/// The next advert that says its sender is master.
fn master(capture: &Capture, from: usize, host: &str) -> Frame {
    let wanted =
        |f: &Frame| f.from == host && f.seen.priority().is_some_and(|priority| priority > 0);
    let found = capture.wait_for(from, SOON, wanted);
    found.unwrap_or_else(|| panic!("{host} is never master"))
}

/// Waits for something about a host's links and addresses.
fn wait_for(host: &Host, what: &str, mut is_so: impl FnMut() -> bool) {
    let found = host.wait(SOON, || is_so().then_some(()));
    assert!(
        found.is_some(),
        "{}: never {what}\n{:#?}",
        host.name,
        links(host)
    );
}

fn neighbour(host: &Host, ip: impl Into<IpAddr>) -> Option<Mac> {
    host.neighbour(ip.into())
}

/// Sends something to the IPv6 address, and finds that it lives at the virtual MAC.
fn ask(client: &Host) {
    let send = || {
        let socket = std::net::UdpSocket::bind("[::]:0").expect("a socket");
        socket
            .send_to(b"who is there?", (VIRTUAL6, 9))
            .expect("sent");
    };
    client.namespace.enter(send);
    // The neighbour table tells of no event.
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(1)));
    let known = lab::wait_until(Instant::now() + SOON, step, || neighbour(client, VIRTUAL6));
    assert_eq!(known, Some(MAC6));
}

#[test]
fn the_clients_neighbour_table_keeps_the_virtual_mac_over_every_takeover() {
    with_lab(|lab| {
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
        let capture = lab.capture().expect("a listener");
        let mut first = Daemon::start(lab, a, &instance(200, V4, "use_vmac"));
        master(&capture, 0, "a");
        let _second = Daemon::start(lab, b, &instance(100, V4, "use_vmac"));
        let asking = Client::start(client, VIRTUAL).expect("a client");
        assert!(asking.wait_until_served(SOON));
        assert_eq!(neighbour(client, VIRTUAL), Some(MAC));
        for end in ["kill", "unplug", "TERM"] {
            let seen = capture.len();
            match end {
                "kill" => first.process.kill_tree(),
                "unplug" => a.plug(false).expect("pulled"),
                _ => first.stop(),
            }
            if end == "kill" {
                // The crashed one still has the address: its machine is cut off as it would be by a power cut.
                a.isolate(true).expect("isolated");
            }
            let taken = master(&capture, seen, "b");
            assert_eq!(taken.mac, MAC);
            assert!(asking.wait_until_served(SOON), "after {end}");
            assert_eq!(neighbour(client, VIRTUAL), Some(MAC), "after {end}");
            let back = capture.len();
            match end {
                "kill" => {
                    first.again();
                    a.isolate(false).expect("back");
                }
                "unplug" => a.plug(true).expect("plugged in"),
                _ => first.again(),
            }
            master(&capture, back, "a");
            assert!(asking.wait_until_served(SOON), "back after {end}");
            assert_eq!(neighbour(client, VIRTUAL), Some(MAC), "back after {end}");
        }
        // Whoever was asked for the virtual address answered with the virtual MAC, and nobody else has it.
        for frame in capture.frames(0) {
            if let Seen::Arp {
                sender, sender_mac, ..
            } = frame.seen
            {
                assert_eq!(sender == VIRTUAL, sender_mac == MAC, "{frame:?}");
                assert_eq!(sender_mac, frame.mac);
            }
        }
    });
}

#[test]
fn an_ipv6_virtual_router_lives_at_its_mac_and_sends_from_the_address_of_its_parent() {
    with_lab(|lab| {
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
        let capture = lab.capture().expect("a listener");
        let mut first = Daemon::start(lab, a, &instance(200, V6, "use_vmac"));
        let advert = master(&capture, 0, "a");
        assert_eq!(advert.mac, MAC6);
        let Seen::Advert {
            source: IpAddr::V6(source),
            ..
        } = advert.seen
        else {
            panic!("{advert:?}");
        };
        let [.., y, z] = source.octets();
        assert!(
            source.is_unicast_link_local() && (y, z) == (0, 1),
            "{source}"
        );
        let _second = Daemon::start(lab, b, &instance(100, V6, "use_vmac"));
        ask(client);
        let seen = capture.len();
        first.stop();
        assert_eq!(master(&capture, seen, "b").mac, MAC6);
        ask(client);
    });
}

#[test]
fn adverts_leave_by_the_base_interface_with_xmit_base_and_the_addresses_stay_on_the_virtual_mac() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let capture = lab.capture().expect("a listener");
        let lines = "use_vmac gw0\n vmac_xmit_base";
        let _router = Daemon::start(lab, a, &instance(200, V4, lines));
        assert_eq!(master(&capture, 0, "a").mac, a.mac);
        let asking = Client::start(client, VIRTUAL).expect("a client");
        assert!(asking.wait_until_served(SOON));
        assert_eq!(neighbour(client, VIRTUAL), Some(MAC));
        assert!(shell(a, "ip -o addr show dev gw0").contains("10.0.0.1/24"));
    });
}

#[test]
fn nothing_is_left_behind_after_the_end_not_even_by_a_run_that_was_killed() {
    with_lab(|lab| {
        let a = lab.host("a");
        shell(
            a,
            "echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter",
        );
        wait_for(a, "settled", || {
            a.addresses().iter().all(|there| !there.is_tentative())
        });
        let (links_before, settings_before) = (links(a), settings(a));
        let both = instance(200, V4, "use_vmac\n promote_secondaries")
            + &instance(200, V6, "use_vmac").replace("VI ", "VI6 ");
        let capture = lab.capture().expect("a listener");
        let mut router = Daemon::start(lab, a, &both);
        master(&capture, 0, "a");
        wait_for(a, "holding", || {
            a.has(VIRTUAL.into()) && a.has(VIRTUAL6.into())
        });
        assert_ne!(settings(a), settings_before);
        router.stop();
        assert_eq!(links(a), links_before);
        assert_eq!(settings(a), settings_before);

        let plain = |text: String| text.replace("promote_secondaries", "");
        std::fs::write(&router.file, plain(both)).expect("written");
        router.again();
        wait_for(a, "holding", || {
            a.has(VIRTUAL.into()) && a.has(VIRTUAL6.into())
        });
        router.process.kill_tree();
        assert!(a.has(VIRTUAL.into()), "a crash takes nothing away");
        // Another configuration, which wants none of it.
        std::fs::write(
            &router.file,
            instance(200, "virtual_ipaddress {\n 10.0.0.9/24\n }", ""),
        )
        .expect("written");
        router.again();
        wait_for(a, "rid of it", || {
            !a.has(VIRTUAL.into()) && !a.has(VIRTUAL6.into())
        });
        wait_for(a, "holding another", || a.has("10.0.0.9".parse().unwrap()));
        router.stop();
        assert_eq!(links(a), links_before);
        let restored = settings(a);
        let effective = |line: &&String| !line.contains("/rp_filter");
        let unlike: Vec<_> = settings_before
            .iter()
            .filter(effective)
            .filter(|line| !restored.contains(line))
            .collect();
        assert!(unlike.is_empty(), "{unlike:?}");
        assert!(restored.contains(&"ipv4/conf/all/rp_filter:2".to_owned()));
    });
}

#[test]
fn a_run_that_was_killed_leaves_what_the_next_one_goes_on_with() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let before = settings(a);
        let capture = lab.capture().expect("a listener");
        let mut router = Daemon::start(lab, a, &instance(200, V4, "use_vmac"));
        master(&capture, 0, "a");
        let asking = Client::start(client, VIRTUAL).expect("a client");
        assert!(asking.wait_until_served(SOON));
        let index = shell(
            a,
            "cat /sys/class/net/vrrp.51/ifindex || ip -o link show vrrp.51 | cut -d: -f1",
        );
        router.process.kill_tree();
        let seen = capture.len();
        router.again();
        master(&capture, seen, "a");
        assert!(asking.wait_until_served(SOON));
        let after = shell(
            a,
            "cat /sys/class/net/vrrp.51/ifindex || ip -o link show vrrp.51 | cut -d: -f1",
        );
        assert_eq!(index, after, "taken over, not made anew");
        router.stop();
        assert_eq!(
            settings(a),
            before,
            "the values of before the crash are the original ones"
        );
    });
}

#[test]
fn the_virtual_mac_follows_its_parent_down_up_renamed_gone_and_back() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let capture = lab.capture().expect("a listener");
        let _router = Daemon::start(lab, a, &instance(200, V4, "use_vmac"));
        master(&capture, 0, "a");
        let asking = Client::start(client, VIRTUAL).expect("a client");
        assert!(asking.wait_until_served(SOON));
        let there = |name: &str| {
            !shell(a, &format!("ip -o link show {name} 2>/dev/null || true")).is_empty()
        };
        let add = "ip addr add 10.0.0.2/24 dev eth0";
        for (away, back, survives) in [
            ("ip link set eth0 down", "ip link set eth0 up", true),
            (
                "ip link set eth0 down; ip link set eth0 name wan0; ip link set wan0 up",
                "ip link set wan0 down; ip link set wan0 name eth0; ip link set eth0 up",
                false,
            ),
            (
                "ip link add stand type veth peer name in; ip link del eth0 && ip link del stand",
                "",
                false,
            ),
        ] {
            shell(a, away);
            wait_for(a, "without the address", || !a.has(VIRTUAL.into()));
            wait_for(a, "as its parent", || there("vrrp.51") == survives);
            let seen = capture.len();
            if back.is_empty() {
                let remake = format!(
                    "ip link add eth0 type veth peer name other; ip link set eth0 up; ip link set other up; {add}"
                );
                shell(a, &remake);
                wait_for(a, "back", || a.has(VIRTUAL.into()) && there("vrrp.51"));
            } else {
                shell(a, back);
                assert_eq!(master(&capture, seen, "a").mac, MAC);
                assert!(asking.wait_until_served(SOON));
                assert_eq!(neighbour(client, VIRTUAL), Some(MAC));
            }
        }
    });
}

#[test]
fn one_that_is_taken_away_or_switched_off_comes_back() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let capture = lab.capture().expect("a listener");
        let _router = Daemon::start(lab, a, &instance(200, V4, "use_vmac"));
        master(&capture, 0, "a");
        let asking = Client::start(client, VIRTUAL).expect("a client");
        assert!(asking.wait_until_served(SOON));
        for harm in ["ip link del vrrp.51", "ip link set vrrp.51 down"] {
            let seen = capture.len();
            shell(a, harm);
            assert_eq!(master(&capture, seen, "a").mac, MAC, "after {harm}");
            assert!(asking.wait_until_served(SOON), "after {harm}");
        }
    });
}

#[test]
fn keepalived_and_we_take_over_from_each_other_at_the_same_mac() {
    with_lab(|lab| {
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
        let ours = env!("CARGO_BIN_EXE_keepalite");
        for (high, low) in [(ours, KEEPALIVED), (KEEPALIVED, ours)] {
            let capture = lab.capture().expect("a listener");
            let mut first = Daemon::start_as(lab, a, high, &instance(200, V4, "use_vmac"));
            assert_eq!(master(&capture, 0, "a").mac, MAC);
            let mut second = Daemon::start_as(lab, b, low, &instance(100, V4, "use_vmac"));
            let asking = Client::start(client, VIRTUAL).expect("a client");
            assert!(asking.wait_until_served(SOON));
            wait_for(b, "a backup", || {
                shell(b, "ip -o link show vrrp.51 2>/dev/null || true").contains("UP")
            });
            // It has heard the master for as long as it would have waited for one.
            std::thread::sleep(Duration::from_millis(700));
            assert!(!b.has(VIRTUAL.into()), "{low}: a second master");
            let seen = capture.len();
            first.stop();
            assert_eq!(master(&capture, seen, "b").mac, MAC);
            assert!(asking.wait_until_served(SOON));
            // keepalived 2.2.7 as master asks for hosts in the name of the virtual address from its own MAC, which they believe.
            if low == ours {
                assert_eq!(neighbour(client, VIRTUAL), Some(MAC));
            }
            second.stop();
        }
    });
}

/// What there is about links, addresses and settings, without what is another number each time.
fn view(host: &Host) -> Vec<String> {
    let script = "for i in vrrp.51 vrrp6.51; do ip -o -d link show $i; ip -o -6 addr show dev $i; ip -o -4 addr show dev $i; done; \
        cd /proc/sys/net; grep -s . ipv4/conf/*/* ipv6/conf/*/* | sort";
    let line = |line: &str| {
        let text = line.split_once(": ").map_or(line, |(_, rest)| rest);
        // A note tells who made it.
        let mut words = text.split_whitespace().collect::<Vec<_>>();
        if let Some(at) = words.iter().position(|word| *word == "alias") {
            words.truncate(at);
        }
        words.retain(|word| *word != "\\");
        words.join(" ")
    };
    let mut all: Vec<_> = shell(host, script).lines().map(line).collect();
    all.sort_unstable();
    all
}

#[test]
fn links_addresses_and_settings_are_those_that_keepalived_makes_of_the_same_file() {
    with_lab(|lab| {
        let a = lab.host("a");
        let both =
            instance(200, V4, "use_vmac") + &instance(200, V6, "use_vmac").replace("VI ", "VI6 ");
        let views = [KEEPALIVED, env!("CARGO_BIN_EXE_keepalite")].map(|program| {
            let mut router = Daemon::start_as(lab, a, program, &both);
            wait_for(a, "holding", || a.has(VIRTUAL.into()) && a.has(VIRTUAL6.into()));
            let view = view(a);
            router.stop();
            // keepalived 2.2.7 forgets to.
            shell(a, "echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_ignore; echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_filter");
            view
        });
        let [theirs, ours] = views;
        let without = |all: &[String], other: &[String]| -> Vec<String> {
            let missing = all.iter().filter(|line| !other.contains(line));
            missing.cloned().collect()
        };
        // We listen to no router advertisement there, ask for hosts in no other name than the parent's own, and answer no ARP at
        // the MAC of IPv6, nor the gratuitous ARP of a successor.
        assert_eq!(
            without(&ours, &theirs),
            [
                "ipv4/conf/eth0/arp_announce:2",
                "ipv4/conf/vrrp.51/accept_local:0",
                "ipv4/conf/vrrp6.51/arp_ignore:1",
                "ipv6/conf/vrrp6.51/accept_ra:0"
            ]
        );
        assert_eq!(
            without(&theirs, &ours),
            [
                "ipv4/conf/eth0/arp_announce:0",
                "ipv4/conf/vrrp.51/accept_local:1",
                "ipv4/conf/vrrp6.51/arp_ignore:0",
                "ipv6/conf/vrrp6.51/accept_ra:1"
            ]
        );
    });
}

/// Whether a datagram to a port that nobody listens at is answered with that.
fn is_accepted(client: &Host, target: IpAddr) -> bool {
    let ask = || {
        let any = if target.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = std::net::UdpSocket::bind(any).expect("a socket");
        socket.connect((target, 9)).expect("a target");
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .expect("a bound");
        socket.send(b"who is there?").expect("sent");
        let answer = socket.recv(&mut [0; 1]);
        answer.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    client.namespace.enter(ask)
}

fn tables(host: &Host) -> String {
    shell(host, "nft list tables")
}

#[test]
fn a_master_that_does_not_accept_is_found_and_not_answered_by_and_accepts_after_a_reload() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        for vmac in ["", "use_vmac"] {
            let text = |accept: &str| {
                let lines = format!("{vmac}\n {accept}");
                instance(200, V4, &lines)
                    + &instance(
                        200,
                        "virtual_ipaddress {\n fe80::5e:1\n 2001:db8::1/64\n }",
                        &lines,
                    )
                    .replace("VI ", "VI6 ")
            };
            let mut router = Daemon::start(lab, a, &text("no_accept"));
            wait_for(a, "holding", || {
                a.has(VIRTUAL.into()) && a.has(VIRTUAL6.into())
            });
            assert!(
                is_accepted(client, "10.0.0.2".parse().unwrap()),
                "its own address"
            );
            for ip in [IpAddr::V4(VIRTUAL), IpAddr::V6(VIRTUAL6)] {
                assert!(!is_accepted(client, ip), "{ip} {vmac}");
                assert!(neighbour(client, ip).is_some(), "{ip} {vmac} is not found");
            }
            std::fs::write(&router.file, text("accept")).expect("written");
            router
                .process
                .signal(rustix::process::Signal::HUP)
                .expect("told");
            let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(10)));
            for ip in [IpAddr::V4(VIRTUAL), IpAddr::V6(VIRTUAL6)] {
                let answer = || is_accepted(client, ip).then_some(());
                let accepted = lab::wait_until(Instant::now() + SOON, step, answer);
                assert!(
                    accepted.is_some(),
                    "{ip} {vmac}: {}",
                    router.process.output()
                );
            }
            router.stop();
            assert_eq!(tables(a), "");
        }
    });
}

#[test]
fn the_table_goes_with_the_daemon_however_it_ends() {
    with_lab(|lab| {
        let a = lab.host("a");
        let lines = "no_accept";
        let more = "global_defs {\n nftables gate\n nftables_priority -7\n nftables_counters\n}\n";
        let mut router = Daemon::start(lab, a, &(more.to_owned() + &instance(200, V4, lines)));
        wait_for(a, "holding", || a.has(VIRTUAL.into()));
        let rules = shell(a, "nft list table inet gate");
        for part in [
            "priority filter - 7",
            "elements = { 10.0.0.1 }",
            "counter packets",
        ] {
            assert!(rules.contains(part), "{part}: {rules}");
        }
        router.process.kill_tree();
        assert_eq!(tables(a), "");
        router.again();
        let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(10)));
        let back = || (tables(a) == "table inet gate\n").then_some(());
        assert!(lab::wait_until(Instant::now() + SOON, step, back).is_some());
        router.stop();
        assert_eq!(tables(a), "");
    });
}

#[test]
fn a_backup_says_nothing_from_the_virtual_mac_and_reports_its_group_from_its_own() {
    with_lab(|lab| {
        let (a, b) = (lab.host("a"), lab.host("b"));
        let both = |priority| {
            instance(priority, V4, "use_vmac")
                + &instance(priority, V6, "use_vmac").replace("VI ", "VI6 ")
        };
        let capture = lab.capture().expect("a listener");
        let mut master = Daemon::start(lab, a, &both(200));
        wait_for(a, "holding", || {
            a.has(VIRTUAL.into()) && a.has(VIRTUAL6.into())
        });
        let from = capture.len();
        let _backup = Daemon::start(lab, b, &both(100));
        let reports = |frame: &Frame| frame.from == "b" && frame.seen == Seen::Membership;
        let reported = capture.wait_for(from, SOON, reports).expect("a report");
        assert_eq!(reported.mac, b.mac);
        // The kernel repeats its reports within a second.
        std::thread::sleep(Duration::from_secs(2));
        let told: Vec<_> = capture.frames(from);
        let told: Vec<_> = told
            .iter()
            .filter(|f| f.from == "b" && f.mac != b.mac)
            .collect();
        assert!(told.is_empty(), "{told:?}");
        let seen = capture.len();
        master.stop();
        let of_both =
            |mac| move |f: &Frame| f.from == "b" && f.mac == mac && f.seen.priority().is_some();
        for mac in [MAC, MAC6] {
            assert!(capture.wait_for(seen, SOON, of_both(mac)).is_some());
        }
    });
}

#[test]
fn addresses_of_another_family_or_device_live_at_a_virtual_mac_of_their_own_where_asked_for() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let excluded = "virtual_ipaddress_excluded {\n 2001:db8::1/64\n }";
        let addresses = format!("{V4}\n {excluded}");
        let _router = Daemon::start(
            lab,
            a,
            &instance(200, &addresses, "use_vmac\n use_vmac_addr"),
        );
        wait_for(a, "holding", || {
            a.has(VIRTUAL.into()) && a.has(VIRTUAL6.into())
        });
        ask(client);
        assert!(is_accepted(client, VIRTUAL.into()));
        assert_eq!(neighbour(client, VIRTUAL), Some(MAC));
    });
}

#[test]
fn the_example_pair_keeps_both_macs_over_a_takeover() {
    with_namespaces(|| {
        let lab = Lab::new(&[
            ("router-a", &["192.168.1.2/24"]),
            ("router-b", &["192.168.1.3/24"]),
            ("host", &["192.168.1.100/24", "2001:db8:1::100/64"]),
        ])
        .expect("a LAN");
        let host = lab.host("host");
        let capture = lab.capture().expect("a listener");
        let start = |name: &str| {
            let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples/virtual-mac");
            let text = std::fs::read_to_string(format!("{directory}/{name}.conf"));
            Daemon::start(&lab, lab.host(name), &text.expect("the example"))
        };
        let mut a = start("router-a");
        let _b = start("router-b");
        let gateway = Ipv4Addr::new(192, 168, 1, 1);
        let gateway6: Ipv6Addr = "2001:db8:1::1".parse().unwrap();
        let asking = Client::start(host, gateway).expect("a client");
        let begin = Instant::now();
        for router in ["router-a", "router-b"] {
            let from = if router == "router-a" {
                0
            } else {
                capture.len()
            };
            if router == "router-b" {
                a.stop();
            }
            for mac in [MAC, MAC6] {
                let wanted = |f: &Frame| {
                    let is_master = f.seen.priority().is_some_and(|priority| priority > 0);
                    f.from == router && f.mac == mac && is_master
                };
                assert!(
                    capture.wait_for(from, SOON, wanted).is_some(),
                    "{router} {mac}"
                );
            }
            assert!(asking.wait_until_served(SOON));
            let on = lab.host(router);
            wait_for(on, "holding", || on.has(gateway6.into()));
            // A solicitation that is lost is sent again after a second (RFC 4861 section 10), later than one try waits.
            assert!(
                (0..10).any(|_| is_accepted(host, gateway6.into())),
                "{router}"
            );
            assert_eq!(neighbour(host, gateway), Some(MAC));
            assert_eq!(neighbour(host, gateway6), Some(MAC6));
        }
        assert!(begin.elapsed() < SOON * 2);
    });
}

#[test]
fn a_virtual_mac_that_does_not_track_its_parent_stays_master_without_carrier_and_is_back_with_it() {
    with_lab(|lab| {
        let (a, client) = (lab.host("a"), lab.host("client"));
        let capture = lab.capture().expect("a listener");
        let lines = "use_vmac\n dont_track_primary";
        let router = Daemon::start(lab, a, &instance(200, V4, lines));
        master(&capture, 0, "a");
        let asking = Client::start(client, VIRTUAL).expect("a client");
        assert!(asking.wait_until_served(SOON));
        a.plug(false).expect("pulled");
        assert!(a.has(VIRTUAL.into()));
        let seen = capture.len();
        a.plug(true).expect("plugged in");
        assert_eq!(master(&capture, seen, "a").mac, MAC);
        assert!(asking.wait_until_served(SOON));
        assert!(
            !router.process.output().contains("FAULT"),
            "{}",
            router.process.output()
        );
    });
}

#[test]
fn garp_extra_if_keeps_the_virtual_mac_known_where_no_advert_leaves_by_it() {
    with_lab(|lab| {
        let capture = lab.capture().expect("a capture");
        let more = "use_vmac\n vmac_xmit_base\n garp_extra_if 1\n garp_master_delay 0\n garp_master_repeat 1";
        let two = "virtual_ipaddress {\n 10.0.0.1/24\n 10.0.0.11/24\n }";
        let _daemon = Daemon::start(lab, lab.host("a"), &instance(150, two, more));
        let announces = |f: &Frame| {
            let Some(IpAddr::V4(ip)) = f.seen.announced() else {
                return false;
            };
            f.from == "a" && f.mac == MAC && ip == VIRTUAL
        };
        let mut at = Vec::new();
        let mut from = 0;
        for _ in 0..3 {
            let frame = capture
                .wait_for(from, SOON, announces)
                .expect("an announcement");
            from = capture
                .frames(0)
                .iter()
                .position(|f| f.at == frame.at)
                .expect("it")
                + 1;
            at.push(frame.at);
        }
        for pair in at.windows(2) {
            assert!(pair[1] - pair[0] >= Duration::from_millis(900), "{at:?}");
        }
        // One address of each interface is enough for a switch.
        let other = IpAddr::from([10, 0, 0, 11]);
        let said = capture
            .frames(0)
            .iter()
            .filter(|f| f.seen.announced() == Some(other))
            .count();
        assert_eq!(said, 1);
    });
}
