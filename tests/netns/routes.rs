//! Routes and rules of the configuration in the kernel: what `ip` says of them, beside keepalived and alone.

use crate::lab::{
    self, Daemon, Host, Lab, Program, SOON, has_keepalived, wait_until, with_namespaces,
};
use keepalite::io::netlink::{Batch, Netlink};
use keepalite::io::route::{self, Route};
use keepalite::io::rule::{self, Rule};
use keepalite::io::sys;
use keepalite::name::{Family, IfName};
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Lines of every form that keepalived takes, too.
const ROUTES: &str = "
    src 10.0.0.100 to 198.51.100.0/24 via 10.0.0.254 dev eth0
    198.51.101.0/24 via 10.0.0.253 dev eth0 no_track
    blackhole 198.51.102.0/24
    unreachable 198.51.103.0/24 metric 7
    prohibit 198.51.104.0/24
    throw 198.51.105.0/24 table 100
    0.0.0.0/0 via 10.0.0.254 dev eth0 table 100
    198.51.106.0/24 table 6909 nexthop via 10.0.0.3 dev eth0 weight 1 nexthop via 10.0.0.4 dev eth0 weight 2
    198.51.107.0/24 via 203.0.113.9 dev eth0 onlink
    198.51.108.0/24 dev eth0 scope link realms 3/4 tos 0x10
    198.51.109.0/24 dev eth0 advmss 1300 hoplimit 9 initcwnd 5 initrwnd 6 rto_min 300ms features ecn congctl cubic quickack 1
    198.51.110.0/24 dev eth0 mtu lock 1400 window 5000 reordering 4 ssthresh 9 cwnd 8
    198.51.111.5 via 10.0.0.200 dev eth0
    10.9.0.0/16 dev eth0
    2001:db8:1::/64 dev eth0
    2001:db8:2::/64 via 2001:db8::9 dev eth0 metric 5 pref high
    2001:db8:3::/64 nexthop via 2001:db8::3 dev eth0 weight 1 nexthop via 2001:db8::4 dev eth0 weight 2
    blackhole 2001:db8:4::/64
    default via inet6 2001:db8::ff dev eth0 metric 12 mtu lock 1400
";

const RULES: &str = "
    from 10.0.0.0/24 table main preference 10
    not to 2001:db8::/32 lookup 7 fwmark 0x18/0xff iif eth0 priority 11
    table 3 preference 12 uidrange 10-20 ipproto udp sport 1-2
    to 10.0.0.0/8 preference 13 blackhole
    from 10.0.0.0/8 preference 14 goto 20
    from 10.1.0.0/16 table 9 preference 15 suppress_prefixlength 0 suppress_ifgroup 5
    from 10.2.0.0/16 table 9 tos 0x10 realms 3/4 preference 16
    from 10.3.0.0/16 table 9
    from 10.4.0.0/16 table 9
    from 10.3.0.0/16 type prohibit preference 18
    from 10.5.0.0/16 table 9 preference 22 dport 80-81 ipproto tcp
";

fn configuration(priority: u8, routes: &str, rules: &str) -> String {
    format!(
        "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n priority {priority}\n version 3\n advert_int 0.05\n \
         virtual_ipaddress {{\n 10.0.0.100/24\n }}\n virtual_ipaddress_excluded {{\n 2001:db8::100/64\n }}\n \
         virtual_routes {{\n {routes}\n }}\n virtual_rules {{\n {rules}\n }}\n}}\n"
    )
}

/// A lab of one host.
fn alone() -> Lab {
    Lab::new(&[("one", &["10.0.0.1/24"])]).unwrap()
}

/// Routes and rules of both families as `ip` tells them, less what the kernel makes of addresses itself, and sorted.
fn tables(host: &Host) -> Vec<String> {
    let asked = [
        "ip -d -j -4 route show table all",
        "ip -d -j -6 route show table all",
        "ip -d -j -4 rule",
        "ip -d -j -6 rule",
    ];
    let mut all = Vec::new();
    for command in asked {
        let answer = host.ask(command);
        all.extend(answer.elements().iter().map(|one| format!("{one:?}")));
    }
    all.retain(|one| !one.contains("\"kernel\""));
    all.sort();
    all
}

/// A socket that wakes when a route or a rule of the host changes.
fn listen(host: &Host) -> OwnedFd {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    const GROUPS: u32 = 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18;
    host.namespace.enter(|| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).unwrap();
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).unwrap();
        socket
    })
}

/// Asks again after each change until the tables are as wanted.
fn wait_for_tables(host: &Host, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
    let socket = listen(host);
    let step = |left| {
        let _ = sys::wait_readable(socket.as_fd(), left);
        let mut buffer = [0; 8192];
        while rustix::net::recv(&socket, &mut buffer[..], rustix::net::RecvFlags::empty()).is_ok() {
        }
    };
    let answer = || Some(tables(host)).filter(|tables| wanted(tables));
    wait_until(Instant::now() + SOON, step, answer)
        .unwrap_or_else(|| panic!("the tables are never {what}: {:#?}", tables(host)))
}

fn count(tables: &[String], words: &str) -> usize {
    tables.iter().filter(|line| line.contains(words)).count()
}

fn has(words: &str) -> impl Fn(&[String]) -> bool {
    move |tables| count(tables, words) == 1
}

fn ours(tables: &[String]) -> usize {
    count(tables, "keepalived")
}

/// A daemon that has become master, with all of its routes and rules.
fn master(host: &Host, program: Program, configuration: &str, entries: usize) -> Daemon {
    let daemon = host.daemon(program, configuration);
    daemon.wait_for_words("Entering MASTER STATE");
    wait_for_tables(host, "complete", |tables| ours(tables) == entries);
    daemon
}

fn lines(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

#[test]
fn the_kernel_gets_the_same_routes_and_rules_as_from_keepalived_and_loses_all_of_them() {
    with_namespaces(|| {
        if !has_keepalived() {
            return;
        }
        let entries = lines(ROUTES) + lines(RULES);
        let file = configuration(200, ROUTES, RULES);
        let [theirs, mine] = [Program::Keepalived, Program::Keepalite].map(|program| {
            let lab = alone();
            let host = lab.host("one");
            let before = tables(host);
            let mut daemon = master(host, program, &file, entries);
            let as_master = tables(host);
            daemon.terminate();
            assert_eq!(tables(host), before, "{program:?} leaves something behind");
            as_master
        });
        assert_eq!(mine, theirs);
    });
}

#[test]
fn a_master_at_rest_leaves_the_tables_alone() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let entries = lines(ROUTES) + lines(RULES);
        let daemon = master(
            host,
            Program::Keepalite,
            &configuration(200, ROUTES, RULES),
            entries,
        );
        let socket = listen(host);
        // Somebody else's change makes it look at all of them again.
        host.run("ip addr add 10.7.0.1/32 dev lo");
        let said = daemon.process.output();
        let mut buffer = [0; 8192];
        let mut changes = 0;
        while sys::wait_readable(socket.as_fd(), std::time::Duration::from_millis(500)).unwrap() {
            let flags = rustix::net::RecvFlags::empty();
            let (len, _) = rustix::net::recv(&socket, &mut buffer[..], flags).unwrap();
            // Behind the header: the protocol of a route.
            changes += usize::from(buffer[..len].get(16 + 5) == Some(&18));
        }
        assert_eq!(changes, 0, "{said}");
        assert!(!said.contains("refused"), "{said}");
    });
}

#[test]
fn a_backup_has_none_of_them_and_a_master_that_resigns_none_any_more() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"]), ("two", &["10.0.0.2/24"])]).unwrap();
        let (one, two) = (lab.host("one"), lab.host("two"));
        let routes = "198.51.100.0/24 via 10.0.0.254 dev eth0\n blackhole 198.51.102.0/24";
        let rules = "from 10.1.0.0/16 table 9 preference 15";
        let _first = master(
            one,
            Program::Keepalite,
            &configuration(100, routes, rules),
            3,
        );
        let _second = master(
            two,
            Program::Keepalite,
            &configuration(200, routes, rules),
            3,
        );
        wait_for_tables(one, "empty", |tables| ours(tables) == 0);
    });
}

#[test]
fn a_restart_after_a_crash_leaves_no_stray() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24"]), ("two", &["10.0.0.2/24"])]).unwrap();
        let (one, two) = (lab.host("one"), lab.host("two"));
        let routes = "198.51.100.0/24 via 10.0.0.254 dev eth0\n blackhole 198.51.102.0/24\n \
                      198.51.103.0/24 dev eth0 protocol static no_track\n \
                      2001:db8:3::/64 nexthop via 2001:db8::3 dev eth0 nexthop via 2001:db8::4 dev eth0";
        let rules = "from 10.1.0.0/16 table 9 preference 15";
        let before = tables(one);
        let mut first = master(
            one,
            Program::Keepalite,
            &configuration(100, routes, rules),
            4,
        );
        first.process.kill_tree();
        assert_eq!(ours(&tables(one)), 4);
        // Somebody is master meanwhile, so that the first one has nothing to do when it comes back.
        let _second = master(
            two,
            Program::Keepalite,
            &configuration(200, routes, rules),
            4,
        );
        let _again = one.daemon(Program::Keepalite, &configuration(100, routes, rules));
        wait_for_tables(one, "as before", |tables| tables == before);
    });
}

#[test]
fn what_somebody_takes_away_comes_back_and_the_culprit_is_named() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let routes = "198.51.100.0/24 via 10.0.0.254 dev eth0\n 198.51.101.0/24 dev eth0 no_track";
        let rules = "from 10.1.0.0/16 table 9 preference 15";
        let daemon = master(
            host,
            Program::Keepalite,
            &configuration(200, routes, rules),
            3,
        );
        let before = tables(host);
        host.run("ip route del 198.51.100.0/24");
        wait_for_tables(host, "as before", |tables| tables == before);
        host.run("ip rule del preference 15");
        wait_for_tables(host, "as before", |tables| tables == before);
        // A program that goes on living can still be asked for its name.
        let mut ip = host.namespace.enter(|| {
            let mut command = Command::new("ip");
            command.args(["-batch", "-"]).stdin(Stdio::piped());
            command.spawn().unwrap()
        });
        let mut orders = ip.stdin.take().unwrap();
        orders
            .write_all(b"addr del 10.0.0.100/24 dev eth0\n")
            .unwrap();
        daemon.wait_for_words(&format!(
            "ip (process {}) has taken away the address 10.0.0.100/24: putting it back",
            ip.id()
        ));
        drop(orders);
        ip.wait().unwrap();
        let vip = "10.0.0.100".parse().unwrap();
        host.wait(SOON, || host.has(vip).then_some(()))
            .expect("the address is back");
        host.run("ip route del 198.51.101.0/24");
        host.run("ip route del 198.51.100.0/24");
        let after = wait_for_tables(host, "as before", has("198.51.100.0"));
        assert_eq!(count(&after, "198.51.101.0"), 0, "nobody tracks it");
    });
}

#[test]
fn an_interface_that_goes_and_comes_gets_its_routes_back() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        // Statics only: a virtual router would fall with the interface.
        let file =
            "static_routes {\n 198.51.100.0/24 dev x0\n 198.51.101.0/24 via 10.8.0.2 dev x0\n}\n"
                .to_owned()
                + &configuration(200, "", "");
        let daemon = host.daemon(Program::Keepalite, &file);
        daemon.wait_for_words("Entering MASTER STATE");
        assert_eq!(ours(&tables(host)), 0, "waits for its interface");
        host.run("ip link add x0 type veth peer name x1");
        host.run("ip link set x1 up");
        host.run("ip link set x0 up");
        wait_for_tables(host, "begun", has("198.51.100.0"));
        host.run("ip addr add 10.8.0.1/24 dev x0");
        wait_for_tables(host, "complete", |tables| ours(tables) == 2);
        host.run("ip link set x0 down");
        assert_eq!(ours(&tables(host)), 0, "the kernel takes them away");
        host.run("ip link set x0 up");
        wait_for_tables(host, "complete", |tables| ours(tables) == 2);
    });
}

#[test]
fn a_reload_changes_only_what_is_another_now() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let stays = "198.51.100.0/24 via 10.0.0.254 dev eth0";
        let rules = "from 10.1.0.0/16 table 9 preference 15";
        let old = format!(
            "{stays}\n 198.51.101.0/24 via 10.0.0.254 dev eth0\n blackhole 198.51.102.0/24"
        );
        let new = format!(
            "{stays}\n 198.51.101.0/24 via 10.0.0.253 dev eth0\n blackhole 198.51.103.0/24"
        );
        let daemon = master(
            host,
            Program::Keepalite,
            &configuration(200, &old, rules),
            4,
        );
        let changes = listen(host);
        daemon.reload(&configuration(200, &new, rules));
        let after = wait_for_tables(host, "as reloaded", |tables| {
            count(tables, "198.51.103.0") == 1 && count(tables, "198.51.102.0") == 0
        });
        assert_eq!(
            (ours(&after), count(&after, "10.0.0.253")),
            (4, 1),
            "{after:#?}"
        );
        let mut told = 0;
        let mut buffer = [0; 8192];
        while rustix::net::recv(&changes, &mut buffer[..], rustix::net::RecvFlags::empty()).is_ok()
        {
            told += 1;
        }
        assert_eq!(told, 4, "two come, two go, the others do not notice");
        daemon.reload(&configuration(200, "", ""));
        wait_for_tables(host, "empty", |tables| ours(tables) == 0);
    });
}

#[test]
fn a_route_that_the_kernel_refuses_is_told_once_and_tried_again_when_the_world_changes() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let routes = "198.51.100.0/24 via 10.8.0.2";
        let daemon = host.daemon(Program::Keepalite, &configuration(200, routes, ""));
        daemon.wait_for_words("kernel refused to add the route 198.51.100.0/24 via 10.8.0.2");
        host.run("ip addr add 10.7.0.1/24 dev eth0");
        host.run("ip addr add 10.8.0.1/24 dev eth0");
        wait_for_tables(host, "complete", has("198.51.100.0"));
        assert_eq!(daemon.process.output().matches("refused").count(), 1);
    });
}

#[test]
fn an_example_is_obeyed_to_the_letter() {
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["192.0.2.2/24"])]).unwrap();
        let host = lab.host("one");
        let file = include_str!("../../config-examples/routes/uplinks.conf");
        let mut daemon = master(host, Program::Keepalite, file, 10);
        let tables = tables(host);
        assert_eq!(count(&tables, "192.0.2.253"), 2, "{tables:#?}");
        daemon.terminate();
        wait_for_tables(host, "empty", |tables| ours(tables) == 0);
    });
}

#[test]
fn what_is_added_is_listed_as_it_was_asked_for() {
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let mut netlink = host.namespace.enter(Netlink::route).unwrap();
        let mut wanted = Route::new(Family::V4, Some(("198.51.100.0".parse().unwrap(), 24)));
        wanted.hops = vec![route::Hop {
            gateway: "10.0.0.254".parse().ok(),
            ifindex: host.eth0,
            weight: 1,
            onlink: true,
            realms: 0,
            encapsulation: None,
        }];
        wanted.table = 6909;
        wanted.metrics = vec![(2, 1400)];
        wanted.locked = 1 << 2;
        let mut policy = Rule::new(Family::V6, 7, 6909);
        policy.input = IfName::new("eth0");
        let mut batch = Batch::new();
        route::add(&mut batch, &wanted);
        rule::add(&mut batch, &policy);
        lab::commit(&mut netlink, batch).unwrap();
        assert_eq!(route::list(&mut netlink).unwrap(), [wanted.clone()]);
        assert_eq!(rule::list(&mut netlink).unwrap(), [policy.clone()]);
        let mut batch = Batch::new();
        rule::remove(&mut batch, &policy);
        route::remove(&mut batch, &wanted);
        lab::commit(&mut netlink, batch).unwrap();
        assert!(route::list(&mut netlink).unwrap().is_empty());
        assert!(rule::list(&mut netlink).unwrap().is_empty());
    });
}

#[test]
fn packets_of_a_route_are_wrapped_as_keepalived_has_them_wrapped() {
    let routes = "198.51.100.0/24 encap ip id 7 dst 10.0.0.7 ttl 9 tos 4 dev eth0
        198.51.101.0/24 nexthop via 10.0.0.3 dev eth0 encap ip dst 10.0.0.8 nexthop via 10.0.0.4 dev eth0 weight 2
        2001:db8:1::/64 encap ip6 id 3 dst 2001:db8::7 src 2001:db8::1 hoplimit 5 tc 8 dev eth0";
    with_namespaces(|| {
        let lab = alone();
        let host = lab.host("one");
        let text = configuration(100, routes, "");
        let mut ours = master(host, Program::Keepalite, &text, lines(routes));
        let found = tables(host);
        assert_eq!(count(&found, "10.0.0.8"), 1, "{found:#?}");
        // What we do not recognise would be put right over and over.
        let socket = listen(host);
        ours.signal("HUP");
        ours.wait_for_words("Reloading");
        ours.json();
        let mut buffer = [0; 8192];
        let told = rustix::net::recv(&socket, &mut buffer[..], rustix::net::RecvFlags::empty());
        assert!(told.is_err(), "a reload of the same changes nothing");
        ours.terminate();
        if has_keepalived() {
            let _theirs = master(host, Program::Keepalived, &text, lines(routes));
            // keepalived 2.2.7 loses the one of a nexthop.
            let others = |tables: &[String]| -> Vec<String> {
                let others = tables.iter().filter(|line| !line.contains("nexthops"));
                others.cloned().collect()
            };
            assert_eq!(others(&tables(host)), others(&found));
        }
    });
}
