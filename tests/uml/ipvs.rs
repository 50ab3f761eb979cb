//! The kernel's table of virtual servers against what `ipvsadm` says of it.

use std::process::Command;

use crate::uml;
use keepalite::error::Chain;
use keepalite::io::ipvs::{
    Checksum, Destination, Endpoint, Forwarding, Ipvs, Key, Protocol, Row, Service, Step, Table,
    Tunnel, flag, plan,
};
use keepalite::name::Family;

/// What `ipvsadm` says, one line each.
fn ipvsadm(arguments: &str) -> Vec<String> {
    let output = Command::new("ipvsadm")
        .args(arguments.split_whitespace())
        .output()
        .expect("this test needs the program ipvsadm");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ipvsadm {arguments}: {said}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn key(protocol: Protocol, ip: &str, port: u16) -> Key {
    let ip = ip.parse().expect("an address");
    Key::Address { protocol, ip, port }
}

fn endpoint(ip: &str, port: u16) -> Endpoint {
    let ip = ip.parse().expect("an address");
    Endpoint { ip, port }
}

fn service(scheduler: &str, family: Family) -> Service {
    Service::new(scheduler.try_into().expect("short"), family)
}

fn row(service: Service, destinations: &[(Endpoint, Destination)]) -> Row {
    let destinations = destinations.iter().copied().collect();
    Row {
        service,
        destinations,
    }
}

/// Makes the kernel's table what is desired, all of it; nothing may be refused.
fn establish(ipvs: &mut Ipvs, desired: &Table) {
    let observed = ipvs.read().expect("a table");
    let refused = ipvs
        .apply(&plan(desired, &observed, |_| true))
        .expect("answers");
    let refused: Vec<_> = refused.iter().map(|r| Chain(r).to_string()).collect();
    assert_eq!(refused, [""; 0]);
    assert_eq!(ipvs.read().expect("a table"), *desired);
    assert_eq!(plan(desired, desired, |_| true), []);
}

#[test]
fn the_module_is_loaded_when_it_is_missing() {
    uml::inside(|| {
        let modules = std::fs::read_to_string("/proc/modules").expect("modules");
        assert!(!modules.contains("ip_vs"), "{modules}");
        let mut ipvs = Ipvs::open().unwrap_or_else(|e| panic!("{}", Chain(&e)));
        assert_eq!(ipvs.read().expect("a table"), Table::new());
    });
}

#[test]
fn a_kernel_without_the_module_is_a_clear_message() {
    uml::inside(|| {
        std::fs::write("/proc/sys/kernel/modprobe", "/bin/false").expect("a setting");
        let error = Ipvs::open().expect_err("no module");
        assert_eq!(
            Chain(&error).to_string(),
            "the kernel lacks the module ip_vs (kmod-ipvs on OpenWrt) and could not load it: /bin/false ended with 1"
        );
    });
}

#[test]
fn ipvsadm_sees_every_kind_of_virtual_server_as_it_was_asked_for() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        let (v4, v6) = (Family::V4, Family::V6);
        let mut persistent = service("wlc", v4);
        (persistent.flags, persistent.timeout, persistent.prefix) = (flag::PERSISTENT, 360, 24);
        let mut persistent6 = service("rr", v6);
        (persistent6.flags, persistent6.timeout) = (flag::PERSISTENT, 100);
        persistent6.prefix = 64;
        let mut sip = service("rr", v4);
        (sip.flags, sip.timeout) = (flag::PERSISTENT | flag::ONE_PACKET, 60);
        sip.engine = "sip".try_into().ok();
        let mut sh = service("sh", v4);
        sh.flags = flag::SCHEDULER_1 | flag::SCHEDULER_2;
        let mut limited = Destination::new(Forwarding::Direct, 7);
        (limited.upper, limited.lower) = (1000, 500);
        let nat = Destination::new(Forwarding::Nat, 1);
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        let mark = |mark, family| Key::Mark { mark, family };
        let desired = Table::from([
            (
                key(tcp, "10.0.0.1", 80),
                row(
                    persistent,
                    &[
                        (endpoint("10.0.1.1", 8080), nat),
                        (endpoint("10.0.1.2", 80), limited),
                    ],
                ),
            ),
            (key(udp, "10.0.0.1", 5060), row(sip, &[])),
            (
                key(tcp, "10.0.0.2", 443),
                row(sh, &[(endpoint("10.0.1.1", 443), nat)]),
            ),
            (
                key(tcp, "2001:db8::1", 80),
                row(persistent6, &[(endpoint("2001:db8::2", 80), nat)]),
            ),
            (
                mark(1, v4),
                row(service("wrr", v4), &[(endpoint("10.0.1.1", 0), limited)]),
            ),
            (
                mark(1, v6),
                row(service("wrr", v6), &[(endpoint("2001:db8::2", 0), limited)]),
            ),
        ]);
        establish(&mut ipvs, &desired);
        let mut said = ipvsadm("-Sn");
        said.sort();
        assert_eq!(
            said,
            [
                "-A -f 1 -6 -s wrr",
                "-A -f 1 -s wrr",
                "-A -t 10.0.0.1:80 -s wlc -p 360 -M 255.255.255.0",
                "-A -t 10.0.0.2:443 -s sh -b sh-fallback,sh-port",
                "-A -t [2001:db8::1]:80 -s rr -p 100 -M 64",
                "-A -u 10.0.0.1:5060 -s rr -p 60 --pe sip -o",
                "-a -f 1 -6 -r [2001:db8::2]:0 -g -w 7",
                "-a -f 1 -r 10.0.1.1:0 -g -w 7",
                "-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m -w 1",
                "-a -t 10.0.0.1:80 -r 10.0.1.2:80 -g -w 7",
                "-a -t 10.0.0.2:443 -r 10.0.1.1:443 -m -w 1",
                "-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -m -w 1",
            ]
        );
        let said = ipvsadm("-Ln --thresholds");
        let line = said.iter().find(|line| line.contains("10.0.1.2:80"));
        let words: Vec<_> = line.expect("a line").split_whitespace().collect();
        assert_eq!(words, ["->", "10.0.1.2:80", "1000", "500", "0", "0"]);
        establish(&mut ipvs, &Table::new());
        assert_eq!(ipvsadm("-Sn"), [""; 0]);
    });
}

#[test]
fn every_scheduler_of_the_kernel_can_be_asked_for() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        const ALL: [&str; 13] = [
            "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq",
        ];
        let desired: Table = (1..)
            .zip(ALL)
            .map(|(port, name)| {
                let key = key(Protocol::Tcp, "10.0.0.1", port);
                (key, row(service(name, Family::V4), &[]))
            })
            .collect();
        establish(&mut ipvs, &desired);
        let said = ipvsadm("-Sn").join("\n");
        for name in ALL {
            assert!(said.contains(&format!(" -s {name}")), "{name}: {said}");
        }
        let mut no_such = desired.clone();
        let key = key(Protocol::Tcp, "10.0.0.1", 1);
        no_such.get_mut(&key).expect("rr").service.scheduler = "best".try_into().expect("short");
        let refused = ipvs
            .apply(&plan(&no_such, &desired, |_| true))
            .expect("answers");
        let refused: Vec<_> = refused.iter().map(|r| Chain(r).to_string()).collect();
        assert_eq!(
            refused,
            [
                "kernel refused to change virtual server [10.0.0.1]:tcp:1 (no scheduler best: it needs the module \
              ip_vs_best): No such file or directory (os error 2)"
            ]
        );
    });
}

#[test]
fn every_tunnel_and_both_families_reach_a_real_server() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        let through = |tunnel, checksum| Destination::new(Forwarding::Tunnel(tunnel, checksum), 1);
        let destinations = [
            (
                endpoint("10.0.1.1", 80),
                through(Tunnel::IpIp, Checksum::None),
            ),
            (
                endpoint("10.0.1.2", 80),
                through(Tunnel::Gue(6080), Checksum::None),
            ),
            (
                endpoint("10.0.1.3", 80),
                through(Tunnel::Gue(6080), Checksum::Full),
            ),
            (
                endpoint("10.0.1.4", 80),
                through(Tunnel::Gue(6080), Checksum::Remote),
            ),
            (
                endpoint("10.0.1.5", 80),
                through(Tunnel::Gre, Checksum::Full),
            ),
            (
                endpoint("2001:db8::2", 80),
                through(Tunnel::IpIp, Checksum::None),
            ),
        ];
        let web = key(Protocol::Tcp, "10.0.0.1", 80);
        let desired = Table::from([(web, row(service("rr", Family::V4), &destinations))]);
        establish(&mut ipvs, &desired);
        let mut said = ipvsadm("-Sn");
        said.sort();
        assert_eq!(
            said,
            [
                "-A -t 10.0.0.1:80 -s rr",
                "-a -t 10.0.0.1:80 -r 10.0.1.1:80 -i -w 1 --tun-type ipip",
                "-a -t 10.0.0.1:80 -r 10.0.1.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
                "-a -t 10.0.0.1:80 -r 10.0.1.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
                "-a -t 10.0.0.1:80 -r 10.0.1.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
                "-a -t 10.0.0.1:80 -r 10.0.1.5:80 -i -w 1 --tun-type gre --tun-csum",
                "-a -t 10.0.0.1:80 -r [2001:db8::2]:80 -i -w 1 --tun-type ipip",
            ]
        );
        // The kernel wants a tunnel from one family to the other.
        let steps = [Step::AddDestination(
            web,
            endpoint("2001:db8::3", 80),
            Destination::new(Forwarding::Nat, 1),
        )];
        let refused = ipvs.apply(&steps).expect("answers");
        assert!(
            refused[0]
                .kernel_says
                .as_ref()
                .is_some_and(|says| says.contains("tunnel"))
        );
    });
}

#[test]
fn what_others_made_is_adopted_where_it_is_desired_and_left_alone_elsewhere() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        for line in [
            "-A -t 10.0.0.1:80 -s sh",
            "-a -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 9",
            "-a -t 10.0.0.1:80 -r 10.0.1.9:80 -g -w 1",
            "-A -t 10.0.0.9:80 -s rr",
            "-a -t 10.0.0.9:80 -r 10.0.1.9:80 -m -w 1",
        ] {
            ipvsadm(line);
        }
        let destinations = [(
            endpoint("10.0.1.1", 80),
            Destination::new(Forwarding::Nat, 1),
        )];
        let row = row(service("wlc", Family::V4), &destinations);
        let desired = Table::from([(key(Protocol::Tcp, "10.0.0.1", 80), row)]);
        let observed = ipvs.read().expect("a table");
        let refused = ipvs
            .apply(&plan(&desired, &observed, |_| false))
            .expect("answers");
        assert_eq!(refused.len(), 0);
        let mut said = ipvsadm("-Sn");
        said.sort();
        assert_eq!(
            said,
            [
                "-A -t 10.0.0.1:80 -s wlc",
                "-A -t 10.0.0.9:80 -s rr",
                "-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -w 1",
                "-a -t 10.0.0.9:80 -r 10.0.1.9:80 -m -w 1",
            ]
        );
    });
}

#[test]
fn a_refusal_stops_nothing_else_and_says_what_was_refused() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        let settings = service("rr", Family::V4);
        let nat = Destination::new(Forwarding::Nat, 1);
        let web = key(Protocol::Tcp, "10.0.0.1", 80);
        // More than one portion, with a refusal in each.
        let mut steps = vec![Step::AddService(web, &settings)];
        let server = |number: u32| Endpoint {
            ip: std::net::Ipv4Addr::from_bits(0x0a01_0000 + number).into(),
            port: 80,
        };
        steps.extend((1..=150).map(|number| Step::AddDestination(web, server(number), nat)));
        steps.extend([
            Step::AddDestination(web, server(1), nat),
            Step::RemoveDestination(web, server(151)),
            Step::AddDestination(web, server(152), nat),
        ]);
        let refused = ipvs.apply(&steps).expect("answers");
        let said: Vec<_> = refused
            .iter()
            .map(|r| (r.place, Chain(r).to_string()))
            .collect();
        assert_eq!(
            said,
            [
                (
                    151,
                    "kernel refused to add real server 10.1.0.1:80 to [10.0.0.1]:tcp:80: File exists (os error 17)"
                        .to_owned()
                ),
                (
                    152,
                    "kernel refused to remove real server 10.1.0.151:80 from [10.0.0.1]:tcp:80: No such file or \
                     directory (os error 2)"
                        .to_owned()
                ),
            ]
        );
        assert!(refused[0].already_there() && refused[1].already_gone());
        assert_eq!(ipvsadm("-Sn").len(), 1 + 151);
    });
}

#[test]
fn a_thousand_virtual_servers_with_four_real_ones_each_are_made_in_one_go() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        let destinations: Vec<_> = (1..=4)
            .map(|last| {
                (
                    endpoint(&format!("10.0.1.{last}"), 80),
                    Destination::new(Forwarding::Nat, 1),
                )
            })
            .collect();
        let desired: Table = (1..=1000)
            .map(|port| {
                let row = row(service("wlc", Family::V4), &destinations);
                (key(Protocol::Tcp, "10.0.0.1", port), row)
            })
            .collect();
        establish(&mut ipvs, &desired);
        assert_eq!(ipvsadm("-Sn").len(), 5000);
        ipvs.flush().expect("flushed");
        assert_eq!(ipvsadm("-Sn"), [""; 0]);
    });
}

#[test]
fn timeouts_are_set_one_by_one() {
    uml::inside(|| {
        let mut ipvs = Ipvs::open().expect("IPVS");
        let mut timeouts = ipvs.timeouts().expect("timeouts");
        assert_eq!(
            ipvsadm("-L --timeout"),
            ["Timeout (tcp tcpfin udp): 900 120 300"]
        );
        assert_eq!(
            (timeouts.tcp, timeouts.tcp_fin, timeouts.udp),
            (Some(900), Some(120), Some(300))
        );
        (timeouts.tcp, timeouts.tcp_fin, timeouts.udp) = (None, Some(60), None);
        ipvs.set_timeouts(timeouts).expect("set");
        assert_eq!(
            ipvsadm("-L --timeout"),
            ["Timeout (tcp tcpfin udp): 900 60 300"]
        );
    });
}
