//! Bytes from anyone.

use std::net::IpAddr;

use keepalite::time::Instant;
use keepalite::vrrp::{Action, Datagram, Engine, Event, Interface};

use crate::made;
use crate::random::Random;

/// Whatever bytes come in, from whomever, an engine neither panics nor misses an advert of its own.
#[test]
fn no_datagram_stops_an_engine() {
    let mut random = Random(7);
    let mut model = made::model(Vec::new());
    let lines = [
        "version 2",
        "version 3",
        "auth_pass secret",
        "auth_ah secret",
        "v3_checksum_as_v2",
        "unicast_peer 10.0.0.2",
    ];
    for (at, line) in lines.into_iter().enumerate() {
        let mut instance = made::instance(line);
        made::set(&mut instance, &format!("virtual_router_id {}", at + 1));
        made::set(&mut instance, "priority 255");
        made::set(&mut instance, "state MASTER");
        made::set(&mut instance, "owner_ignore_adverts");
        made::set(&mut instance, line);
        model.instances.push(instance);
    }
    let mut engine = Engine::new(&model, Instant(0));
    let mut out = Vec::new();
    let eth0 = made::interface("eth0");
    let up = Interface {
        name: &eth0,
        index: Some(1),
        up: true,
        v4: Some([10, 0, 0, 1].into()),
        v6: None,
    };
    engine.handle(Event::Interface(up), Instant(0), &mut out);
    for round in 0..200_000_u64 {
        let at = random.range(0, lines.len() as u64 - 1) as usize;
        let mut packet = [0; 100];
        let (_, instance) = engine.iter().nth(at).expect("one of them");
        let advert = instance.advert(random.next() as u8);
        let group = IpAddr::from([224, 0, 0, 18]);
        let pseudo = instance.pseudo_header(group, advert.len());
        let front = if random.chance(50) { 20 } else { 44 };
        let len = advert
            .emit(&mut packet[front..], pseudo)
            .expect("fits")
            .len();
        packet[9] = if front == 20 { 112 } else { 51 };
        if front == 44 {
            packet[20..22].copy_from_slice(&[112, 4]);
        }
        for _ in 0..random.range(0, 4) {
            let bit = random.range(0, 799) as usize;
            packet[bit / 8] ^= 1 << (bit % 8);
        }
        let end = if random.chance(80) {
            front + len
        } else {
            random.range(20, 100) as usize
        };
        let datagram = Datagram {
            ifindex: 1,
            source: IpAddr::from([10, 0, 0, random.range(1, 3) as u8]),
            destination: if random.chance(80) {
                group
            } else {
                IpAddr::from([10, 0, 0, 1])
            },
            hops: if random.chance(90) { 255 } else { 1 },
            header: if random.chance(95) {
                &packet[..20]
            } else {
                &[]
            },
            payload: &packet[20..end],
        };
        let now = Instant(round * 1_000);
        engine.handle(Event::Datagram(datagram), now, &mut out);
        engine.handle(Event::Deadline, now, &mut out);
        for action in out.drain(..) {
            if let Action::Say { note, .. } = action {
                assert!(!note.to_string().is_empty());
            }
        }
    }
    for (_, instance) in engine.iter() {
        assert!(instance.owns_addresses());
        assert_eq!(instance.stats().advert_sent, 200, "{:?}", instance.stats());
    }
}
