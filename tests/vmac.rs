//! Virtual MAC interfaces on paper: the names they get, and what is to be done to the interfaces that are there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::path::Path;

use keepalite::config;
use keepalite::io::link::Link;
use keepalite::io::monitor::Change;
use keepalite::model::Model;
use keepalite::name::{IfName, Mac};
use keepalite::run::vrrp::vmac::{Source, Step, Wanted, forgo, plan, settle};
use keepalite::run::vrrp::world::World;
use keepalite::sorted::Set;

const V4: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);
const V6: Mac = Mac([0, 0, 0x5e, 0, 2, 51]);

fn name(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

/// An interface that is up.
fn link(index: u32, called: &str) -> Link {
    Link {
        index,
        name: name(called),
        flags: 0x1_1043,
        hardware: 1,
        mac: Some(Mac([2, 0, 0, 0, 0, u8::try_from(index).unwrap()])),
        mtu: 1500,
        operstate: 6,
        parent: None,
        master: None,
        kind: heapless::String::new(),
        group: 0,
        alias: None,
        private: false,
        table: None,
    }
}

fn macvlan(index: u32, called: &str, parent: u32, mac: Mac) -> Link {
    Link {
        parent: Some(parent),
        mac: Some(mac),
        kind: "macvlan".try_into().unwrap(),
        private: true,
        table: None,
        ..link(index, called)
    }
}

fn world(links: &[Link]) -> World {
    let mut world = World::default();
    for link in links {
        world.learn(Change::Link(link.clone()));
    }
    world
}

/// What a file says. The text is read from a file of its own, as every configuration is.
fn model(text: &str) -> Model {
    let directory = std::env::temp_dir().join(format!(
        "keepalite-vmac-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("keepalived.conf");
    std::fs::write(&file, text).unwrap();
    let loaded = config::load(Path::new(&file), &config::Options::default()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(!loaded.diags.has_errors());
    loaded.model
}

fn instance(called: &str, address: &str, lines: &str) -> String {
    format!(
        "vrrp_instance {called} {{
            interface eth0
            virtual_router_id 51
            {lines}
            virtual_ipaddress {{
                {address}
            }}
        }}
        "
    )
}

fn both_families() -> String {
    instance("A", "10.0.0.1/24", "use_vmac") + &instance("B", "fe80::1", "use_vmac")
}

fn names(wanted: &[Wanted]) -> Vec<(&str, Mac)> {
    let mut names: Vec<_> = wanted.iter().map(|w| (w.name.as_str(), w.mac)).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_name_is_that_of_keepalived_with_a_six_where_the_first_is_taken() {
    let mut model = model(&both_families());
    let wanted = settle(&mut model, &World::default(), &[]);
    assert_eq!(names(&wanted), [("vrrp.51", V4), ("vrrp6.51", V6)]);
    let links: Vec<_> = model
        .instances
        .iter()
        .map(|i| i.advert_interface().as_str())
        .collect();
    assert_eq!(links, ["vrrp.51", "vrrp6.51"]);
    assert_eq!(wanted[1].source, Some(Source::Parents));
}

#[test]
fn a_name_that_something_else_has_is_passed_over_and_one_that_fits_is_taken() {
    let eth0 = link(2, "eth0");
    for (there, expected) in [
        (link(3, "vrrp.51"), "vrrp1.51"),
        (macvlan(3, "vrrp.51", 2, V6), "vrrp1.51"),
        (macvlan(3, "vrrp.51", 9, V4), "vrrp1.51"),
        (macvlan(3, "vrrp.51", 2, V4), "vrrp.51"),
    ] {
        let mut model = model(&instance("A", "10.0.0.1/24", "use_vmac"));
        let wanted = settle(&mut model, &world(&[eth0.clone(), there]), &[]);
        assert_eq!(names(&wanted), [(expected, V4)]);
    }
}

#[test]
fn names_stay_over_a_reload_whatever_has_become_of_the_interfaces() {
    let mut first = model(&instance("A", "10.0.0.1/24", "use_vmac"));
    let there = world(&[link(2, "eth0"), link(3, "vrrp.51")]);
    let before = settle(&mut first, &there, &[]);
    let mut second = model(&instance("A", "10.0.0.1/24", "use_vmac"));
    let after = settle(&mut second, &World::default(), &before);
    assert_eq!(names(&after), [("vrrp1.51", V4)]);
    assert_eq!(first, second);
}

#[test]
fn a_given_name_and_mac_and_prefix_are_taken_as_they_are() {
    let mine = Mac([2, 1, 2, 3, 4, 51]);
    let given = instance("A", "10.0.0.1/24", "use_vmac lan0 02:01:02:03:04");
    let wanted = settle(&mut model(&given), &World::default(), &[]);
    assert_eq!(names(&wanted), [("lan0", mine)]);
    let prefixed = "global_defs {\n vmac_prefix gw\n}\n".to_owned() + &both_families();
    let wanted = settle(&mut model(&prefixed), &World::default(), &[]);
    assert_eq!(names(&wanted), [("gw.51", V4), ("gw6.51", V6)]);
}

#[test]
fn adverts_stay_on_the_base_interface_with_xmit_base_and_addresses_do_not() {
    let mut model = model(&instance("A", "10.0.0.1/24", "use_vmac\nvmac_xmit_base"));
    let wanted = settle(&mut model, &World::default(), &[]);
    let [instance] = &model.instances[..] else {
        panic!("one instance");
    };
    assert_eq!(names(&wanted), [("vrrp.51", V4)]);
    assert_eq!(instance.advert_interface().as_str(), "eth0");
    assert_eq!(instance.address_interface().as_str(), "vrrp.51");
}

#[test]
fn an_address_on_another_device_gets_a_virtual_mac_where_it_is_asked_for() {
    for (lines, address, expected) in [
        ("use_vmac", "10.0.0.1/24 dev eth0", None),
        ("use_vmac", "10.0.0.1/24 dev eth1", Some("eth1")),
        (
            "use_vmac",
            "10.0.0.1/24 dev eth1 use_vmac",
            Some("vrrp1.51"),
        ),
        (
            "use_vmac\nuse_vmac_addr",
            "10.0.0.1/24 dev eth1",
            Some("vrrp1.51"),
        ),
        ("", "10.0.0.1/24 use_vmac", Some("vrrp.51")),
        ("", "10.0.0.1/24 dev eth1", Some("eth1")),
    ] {
        let mut model = model(&instance("A", address, lines));
        let _ = settle(&mut model, &World::default(), &[]);
        let dev = model.instances[0].addresses[0].dev.as_ref();
        assert_eq!(dev.map(IfName::as_str), expected, "{lines} {address}");
    }
}

#[test]
fn a_kernel_without_macvlan_leaves_plain_virtual_routers() {
    let mut with = model(&both_families());
    assert!(forgo(&mut with));
    assert!(settle(&mut with, &World::default(), &[]).is_empty());
    assert!(!forgo(&mut with));
}

/// What is to be done, in words.
fn steps(wanted: &[Wanted], links: &[Link], ours: &[u32], ready: &[u32]) -> Vec<String> {
    let set = |all: &[u32]| all.iter().copied().collect::<Set<_>>();
    let world = world(links);
    let steps = plan(wanted, &world, &set(ours), &set(ready));
    let words = |step: Step<'_>| match step {
        Step::Create(one, parent) => format!("create {} over {parent}", one.name),
        Step::Remove(link) => format!("remove {}", link.index),
        Step::Prepare(_, link) => format!("prepare {}", link.index),
        Step::Join(link, vrf) => format!("join {} to {vrf}", link.index),
        Step::Up(link) => format!("up {}", link.index),
        Step::Blocked(one) => format!("blocked {}", one.name),
    };
    steps.into_iter().map(words).collect()
}

fn wanted() -> Vec<Wanted> {
    let text = instance("A", "10.0.0.1/24", "use_vmac vrrp.51");
    settle(&mut model(&text), &World::default(), &[])
}

#[test]
fn a_virtual_mac_follows_the_interface_under_it() {
    let wanted = wanted();
    let eth0 = link(2, "eth0");
    assert_eq!(steps(&wanted, &[], &[], &[]), [""; 0]);
    assert_eq!(
        steps(&wanted, std::slice::from_ref(&eth0), &[], &[]),
        ["create vrrp.51 over 2"]
    );
    let mut made = macvlan(3, "vrrp.51", 2, V4);
    made.flags = 0;
    let there = [eth0, made.clone()];
    assert_eq!(steps(&wanted, &there, &[], &[]), ["prepare 3", "up 3"]);
    let done = [there[0].clone(), macvlan(3, "vrrp.51", 2, V4)];
    assert_eq!(steps(&wanted, &done, &[3], &[3]), [""; 0]);
    let renamed = [link(2, "wan"), done[1].clone()];
    assert_eq!(steps(&wanted, &renamed, &[3], &[3]), ["remove 3"]);
}

#[test]
fn one_that_does_not_match_is_replaced_and_what_is_no_macvlan_left_alone() {
    let wanted = wanted();
    let eth0 = link(2, "eth0");
    let mut bridged = macvlan(3, "vrrp.51", 2, V4);
    bridged.private = false;
    for wrong in [
        macvlan(3, "vrrp.51", 2, V6),
        macvlan(3, "vrrp.51", 7, V4),
        bridged,
    ] {
        assert_eq!(
            steps(&wanted, &[eth0.clone(), wrong], &[], &[]),
            ["remove 3"]
        );
    }
    let other = link(3, "vrrp.51");
    assert_eq!(
        steps(&wanted, &[eth0, other], &[], &[]),
        ["blocked vrrp.51"]
    );
}

#[test]
fn what_is_ours_and_no_longer_wanted_goes_and_what_is_not_ours_stays() {
    let there = [
        link(2, "eth0"),
        macvlan(3, "vrrp.51", 2, V4),
        macvlan(4, "container", 2, Mac([2; 6])),
    ];
    assert_eq!(steps(&[], &there, &[3], &[3]), ["remove 3"]);
}

#[test]
fn it_belongs_to_the_vrf_of_the_interface_under_it() {
    let wanted = wanted();
    let vrf = Link {
        kind: "vrf".try_into().unwrap(),
        ..link(8, "blue")
    };
    let bridge = Link {
        kind: "bridge".try_into().unwrap(),
        ..link(9, "br0")
    };
    let made = macvlan(3, "vrrp.51", 2, V4);
    let member = |master| Link {
        master: Some(master),
        ..link(2, "eth0")
    };
    let all = |master| [member(master), made.clone(), vrf.clone(), bridge.clone()];
    assert_eq!(steps(&wanted, &all(8), &[3], &[3]), ["join 3 to 8"]);
    assert_eq!(steps(&wanted, &all(9), &[3], &[3]), [""; 0]);
}
