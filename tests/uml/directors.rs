//! Two directors: the threads that copy connections follow the virtual router, and connections outlive the director that
//! they went through.

use std::fs;

use crate::lab::{Host, Lab, Program, SOON};
use crate::serving::{Call, Echo, Method, eventually};
use crate::uml;

/// The sync daemons of a host as `ipvsadm` tells them.
fn daemons(host: &Host) -> Vec<String> {
    let said = host.run("ipvsadm -L --daemon");
    said.lines().map(|line| line.trim().to_owned()).collect()
}

fn wait_for_daemons(host: &Host, wanted: &[&str]) {
    eventually(&format!("{wanted:?} on {}", host.name), || {
        let there = daemons(host);
        (there.len() == wanted.len()
            && there
                .iter()
                .zip(wanted)
                .all(|(line, start)| line.starts_with(start)))
        .then_some(())
    });
}

/// A director: a virtual router with both addresses, its sync daemon behind it.
fn director(priority: u8, sync: &str, addresses: &[&str]) -> String {
    format!(
        "global_defs {{\n lvs_sync_daemon {sync}\n}}\n\
         vrrp_instance A {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n version 3\n advert_int 0.1\n \
         virtual_ipaddress {{\n {}\n }}\n}}\n",
        addresses.join("\n ")
    )
}

const VIP: &str = "192.168.0.100";

/// What both programs make of the sync daemon of a director.
fn as_with_keepalived(story: impl Fn(Program) -> Vec<Vec<String>>) {
    uml::inside(|| {
        let (theirs, ours) = (story(Program::Keepalived), story(Program::Keepalite));
        assert_eq!(theirs, ours);
        println!("{ours:#?}");
    });
}

#[test]
fn a_sync_daemon_listens_until_its_virtual_router_is_master_as_keepalived_has_it() {
    as_with_keepalived(|program| {
        let lab = Lab::new(&[("one", &["192.168.0.1/24"])]).unwrap();
        let one = lab.host("one");
        // Slow enough for its beginning to be seen.
        let configuration =
            director(200, "eth0 A", &[VIP]).replace("advert_int 0.1", "advert_int 1");
        let mut daemon = one.daemon(program, &configuration);
        let mut seen = Vec::new();
        wait_for_daemons(one, &["backup sync daemon (mcast=eth0, syncid=51"]);
        seen.push(daemons(one));
        wait_for_daemons(one, &["master sync daemon (mcast=eth0, syncid=51"]);
        seen.push(daemons(one));
        one.plug(false).unwrap();
        wait_for_daemons(one, &["backup sync daemon (mcast=eth0, syncid=51"]);
        seen.push(daemons(one));
        daemon.terminate();
        seen.push(daemons(one));
        seen
    });
}

#[test]
fn a_sync_daemon_of_an_earlier_run_ends() {
    uml::inside(|| {
        let lab = Lab::new(&[("one", &["192.168.0.1/24"])]).unwrap();
        let one = lab.host("one");
        for role in ["master", "backup"] {
            one.run(&format!(
                "ipvsadm --start-daemon {role} --mcast-interface eth0 --syncid 9"
            ));
        }
        let _daemon = one.daemon(Program::Keepalite, &director(200, "eth0 A", &[VIP]));
        wait_for_daemons(one, &["backup sync daemon (mcast=eth0, syncid=51"]);
        wait_for_daemons(one, &["master sync daemon (mcast=eth0, syncid=51"]);
    });
}

#[test]
fn every_option_of_a_sync_daemon_reaches_the_kernel_as_keepalived_has_it() {
    as_with_keepalived(|program| {
        let lab = Lab::new(&[("one", &["192.168.0.1/24"])]).unwrap();
        let one = lab.host("one");
        let sync = "eth0 A id 7 maxlen 1400 port 9000 ttl 3 group 224.0.0.99";
        let _daemon = one.daemon(program, &director(200, sync, &[VIP]));
        wait_for_daemons(
            one,
            &["master sync daemon (mcast=eth0, syncid=7, maxlen=1400"],
        );
        vec![daemons(one)]
    });
}

#[test]
fn a_sync_daemon_without_a_virtual_router_has_both_roles_as_keepalived_has_it() {
    as_with_keepalived(|program| {
        let lab = Lab::new(&[("one", &["192.168.0.1/24"])]).unwrap();
        let one = lab.host("one");
        // keepalived leaves this to the process of the virtual servers.
        let servers = "virtual_server 192.168.0.1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                       real_server 192.168.0.2 80 {\n }\n}\n";
        let configuration = director(200, "eth0", &[VIP]) + servers;
        let mut daemon = one.daemon(program, &configuration);
        wait_for_daemons(one, &["master sync daemon", "backup sync daemon"]);
        let seen = daemons(one);
        daemon.terminate();
        vec![seen, daemons(one)]
    });
}

#[test]
fn a_sync_daemon_waits_for_its_interface() {
    uml::inside(|| {
        let lab = Lab::new(&[("one", &["192.168.0.1/24"])]).unwrap();
        let one = lab.host("one");
        let daemon = one.daemon(Program::Keepalite, &director(200, "sync0 A", &[VIP]));
        daemon.wait_for_words("kernel refused to start the sync daemon as backup on sync0");
        one.run("ip link add sync0 type dummy");
        one.run("ip addr add 192.168.9.1/24 dev sync0");
        one.run("ip link set sync0 up");
        wait_for_daemons(one, &["master sync daemon (mcast=sync0, syncid=51"]);
        daemon.reload(&director(200, "eth0 A id 9", &[VIP]));
        wait_for_daemons(one, &["master sync daemon (mcast=eth0, syncid=9"]);
        let without = director(200, "eth0 A", &[VIP]).replace("lvs_sync_daemon", "# ");
        daemon.reload(&without);
        wait_for_daemons(one, &[]);
    });
}

#[test]
fn a_kernel_without_ipvs_is_told_and_the_virtual_router_runs() {
    uml::inside(|| {
        fs::write("/proc/sys/kernel/modprobe", "/run/some").unwrap();
        fs::write(
            "/run/some",
            "#!/bin/sh\ncase \"$*\" in *ip_vs*|*IPVS*) exit 1;; esac\nexec /run/modprobe \"$@\"\n",
        )
        .unwrap();
        std::process::Command::new("chmod")
            .args(["+x", "/run/some"])
            .status()
            .unwrap();
        let lab = Lab::new(&[("one", &["192.168.0.1/24"])]).unwrap();
        let one = lab.host("one");
        let daemon = one.daemon(Program::Keepalite, &director(200, "eth0 A", &[VIP]));
        daemon.wait_for_words(
            "no sync daemon: the kernel lacks the module ip_vs (kmod-ipvs on OpenWrt) and could not load it: \
             /run/some ended with 1",
        );
        let vip = VIP.parse().unwrap();
        one.wait(SOON, || one.has(vip).then_some(()))
            .expect("master");
    });
}

/// Two directors with the same virtual server, two real servers and a client. The story begins when the first director is master
/// and both have both servers in their tables.
fn with_two_directors(method: Method, story: impl FnOnce(&Lab, [Echo; 2])) {
    let servers = [1, 2].map(|number| method.address(number));
    let lab = Lab::new(&[
        ("director-1", &["192.168.0.1/24", "10.0.0.2/24"]),
        ("director-2", &["192.168.0.2/24", "10.0.0.3/24"]),
        ("client", &["192.168.0.9/24"]),
        ("server-1", &[&format!("{}/24", servers[0])]),
        ("server-2", &[&format!("{}/24", servers[1])]),
    ])
    .unwrap();
    let real = |ip: &String| format!("real_server {ip} 80 {{\n TCP_CHECK {{\n }}\n }}\n ");
    let balanced = format!(
        "virtual_server {VIP} 80 {{\n lvs_sched rr\n lvs_method {}\n protocol TCP\n delay_loop 0.5\n warmup 0\n {}\n}}\n",
        method.word(),
        servers.each_ref().map(real).concat(),
    );
    let echoes = ["server-1", "server-2"].map(|name| {
        let host = lab.host(name);
        method.prepare_server(host, VIP);
        Echo::start(host, 80)
    });
    let addresses = method.virtual_addresses(VIP);
    let directors = ["director-1", "director-2"].map(|name| lab.host(name));
    let _daemons = [(directors[0], 200), (directors[1], 100)].map(|(host, priority)| {
        method.prepare_director(host);
        let router = director(priority, "eth0 A", &[&addresses]);
        host.daemon(Program::Keepalite, &(router + &balanced))
    });
    let [first, second] = directors;
    wait_for_daemons(first, &["master"]);
    wait_for_daemons(second, &["backup"]);
    wait_for_master(first);
    for host in directors {
        wait_for_servers(host, 2);
    }
    story(&lab, echoes);
}

fn wait_for_master(host: &Host) {
    let vip = VIP.parse().unwrap();
    host.wait(SOON, || host.has(vip).then_some(()))
        .expect("a master");
}

/// Waits until so many real servers are in the table of a director.
fn wait_for_servers(host: &Host, count: usize) {
    eventually(&format!("{count} real servers on {}", host.name), || {
        (host.run("ipvsadm -Sn").matches("-a ").count() == count).then_some(())
    });
}

/// Two calls, one to each server, which the second director has heard of from the first.
fn two_calls(lab: &Lab) -> Vec<Call> {
    let (client, second) = (lab.host("client"), lab.host("director-2"));
    let mut calls: Vec<_> = (0..2)
        .map(|_| Call::new(client, VIP, 80).expect("a call"))
        .collect();
    let before = say(&mut calls, "one");
    assert!(before.contains(&"server-1".to_owned()) && before.contains(&"server-2".to_owned()));
    (0..3).for_each(|_| drop(say(&mut calls, "more")));
    eventually("two connections on the second director", || {
        let known = second.run("cat /proc/net/ip_vs_conn");
        (known.matches("ESTABLISHED").count() == 2).then_some(())
    });
    calls
}

/// Who answers.
fn say(calls: &mut [Call], line: &str) -> Vec<String> {
    let calls = calls.iter_mut();
    calls
        .map(|call| call.say(line).expect("an answer"))
        .collect()
}

/// A call that goes through the first director is still understood after the second one has taken over.
fn a_call_outlives_its_director(method: Method) {
    uml::inside(|| {
        with_two_directors(method, |lab, _echoes| {
            let [first, second] = ["director-1", "director-2"].map(|name| lab.host(name));
            let mut calls = two_calls(lab);
            let before = say(&mut calls, "one");
            first.plug(false).unwrap();
            wait_for_master(second);
            wait_for_daemons(second, &["master"]);
            assert_eq!(say(&mut calls, "two"), before);
        });
    });
}

#[test]
fn a_server_that_dies_with_its_director_gets_no_calls_from_the_next_one_nor_from_the_one_that_returns()
 {
    uml::inside(|| {
        with_two_directors(Method::Nat, |lab, [dying, _living]| {
            let [first, second] = ["director-1", "director-2"].map(|name| lab.host(name));
            let client = lab.host("client");
            let mut calls = two_calls(lab);
            let mut who = say(&mut calls, "one").into_iter();
            calls.retain(|_| who.next().as_deref() == Some("server-2"));
            let new_call = || {
                let mut call = Call::new(client, VIP, 80).expect("a call");
                call.say("new").expect("an answer")
            };
            drop(dying);
            first.plug(false).unwrap();
            wait_for_master(second);
            wait_for_servers(second, 1);
            assert_eq!(say(&mut calls, "two"), ["server-2"]);
            assert_eq!([(); 4].map(|()| new_call()), ["server-2"; 4]);
            // Without its cable it found nobody alive.
            wait_for_servers(first, 0);
            first.plug(true).unwrap();
            wait_for_master(first);
            wait_for_servers(first, 1);
            assert_eq!([(); 4].map(|()| new_call()), ["server-2"; 4]);
            assert_eq!(say(&mut calls, "three"), ["server-2"]);
        });
    });
}

#[test]
fn a_connection_by_address_translation_outlives_its_director() {
    a_call_outlives_its_director(Method::Nat);
}

#[test]
fn a_connection_by_direct_routing_outlives_its_director() {
    a_call_outlives_its_director(Method::Direct);
}

#[test]
fn a_connection_by_tunnel_outlives_its_director() {
    a_call_outlives_its_director(Method::Tunnel);
}
