//! In the steady state the engine allocates nothing: receiving an advert, sending one, a timer that fires.
//!
//! This binary counts allocations, so it holds one test only: another one on another thread would be counted too.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "counting.rs"]
mod counting;
mod made;

use core::net::IpAddr;

use keepalite::time::Instant;
use keepalite::vrrp::{Action, Datagram, Engine, Event, Interface, State};
use keepalite::wire::Checksum;
use keepalite::wire::ah::{self, AhRepr};
use keepalite::wire::ip::{self, Ipv4Repr};

/// Three routers beside each other on one host: one stays master, one stays backup, one too with authentication.
#[test]
fn a_minute_of_the_steady_state_allocates_nothing() {
    let mut master = made::instance("VI_1");
    made::set(&mut master, "virtual_router_id 1");
    made::set(&mut master, "garp_master_refresh 7");
    let mut backup = made::instance("VI_2");
    made::set(&mut backup, "virtual_router_id 2");
    let mut authentic = made::instance("VI_3");
    made::set(&mut authentic, "virtual_router_id 3");
    made::set(&mut authentic, "auth_ah secret");
    let model = made::model(vec![master, backup, authentic]);
    let mut engine = Engine::new(&model, Instant(0));
    let mut out = Vec::with_capacity(64);
    let eth0 = made::interface("eth0");
    let up = Interface {
        name: &eth0,
        index: Some(1),
        up: true,
        v4: Some([10, 0, 0, 1].into()),
        v6: None,
    };
    engine.handle(Event::Interface(up), Instant(0), &mut out);
    let group = IpAddr::from([224, 0, 0, 18]);
    let mut theirs = [0; 20];
    let (_, instance) = engine.iter().nth(1).expect("two of them");
    let len = instance
        .advert(200)
        .emit(&mut theirs, instance.pseudo_header(group, 20))
        .expect("fits")
        .len();
    let key = ah::Key::new(made::password("secret"));
    let mut sealed = [0; ip::HEADER + ah::LEN + 20];
    let (_, instance) = engine.iter().nth(2).expect("three of them");
    let message = &mut sealed[ip::HEADER + ah::LEN..];
    assert!(
        instance
            .advert(200)
            .emit(message, Checksum::new())
            .is_some()
    );
    // What they do in the first seconds is no steady state: one becomes master.
    let mut sent = 0;
    let mut before = 0;
    for tenth in 0..700_u64 {
        if tenth == 100 {
            (sent, before) = (0, counting::allocations());
        }
        let now = Instant(tenth * 100_000);
        if tenth % 10 == 0 {
            let datagram = Datagram {
                ifindex: 1,
                source: IpAddr::from([10, 0, 0, 2]),
                destination: group,
                header: &[],
                hops: 255,
                payload: &theirs[..len],
            };
            engine.handle(Event::Datagram(datagram), now, &mut out);
            seal(&mut sealed, &key, tenth as u32 + 1);
            let (header, payload) = sealed.split_at(ip::HEADER);
            let datagram = Datagram {
                header,
                payload,
                ..datagram
            };
            engine.handle(Event::Datagram(datagram), now, &mut out);
        }
        if engine.deadline().is_some_and(|at| at <= now) {
            engine.handle(Event::Deadline, now, &mut out);
        }
        for action in out.drain(..) {
            if let Action::Advertise { id, priority } = action {
                let instance = engine.get(id).expect("its own");
                let mut buffer = [0; 64];
                let advert = instance.advert(priority);
                let pseudo = instance.pseudo_header(group, advert.len());
                assert!(advert.emit(&mut buffer, pseudo).is_some());
                sent += 1;
            }
        }
    }
    let allocations = counting::allocations() - before;
    let states: Vec<State> = engine
        .iter()
        .map(|(_, instance)| instance.state())
        .collect();
    assert_eq!(states, [State::Master, State::Backup, State::Backup]);
    assert_eq!(sent, 60, "a minute of adverts");
    let received: u64 = engine.iter().map(|(_, i)| i.stats().advert_rcvd).sum();
    assert_eq!(received, 140);
    assert_eq!(allocations, 0);
}

fn seal(packet: &mut [u8], key: &ah::Key, sequence: u32) {
    let source = [10, 0, 0, 2].into();
    let header = Ipv4Repr {
        source,
        destination: [224, 0, 0, 18].into(),
        ttl: 255,
        protocol: ip::AH,
        identification: 1,
        payload_len: packet.len() - ip::HEADER,
    };
    assert!(header.emit(packet).is_some());
    let spi = source;
    assert!(AhRepr { spi, sequence }.seal(packet, key).is_some());
}
