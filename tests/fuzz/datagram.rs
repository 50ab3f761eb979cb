//! What comes by the network, up to the verdict of the engine: virtual routers of all kinds hear whatever the input says, in
//! whatever order, while time passes and links fall. Nothing panics, an event is answered with a bounded number of actions,
//! and a deadline that has been kept is over.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use keepalite::config::files::Memory;
use keepalite::config::{Options, load_from};
use keepalite::model::Model;
use keepalite::name::{IfName, Version};
use keepalite::time::Instant;
use keepalite::vrrp::{Action, Datagram, Engine, Event, Interface, Reading, Tracked, TrackerKind};
use keepalite::wire::ah::{self, AhRepr, Key};
use keepalite::wire::ip::{self, Ipv4Packet, Ipv4Repr};
use keepalite::wire::{Checksum, vrrp};
use libfuzzer_sys::fuzz_target;

fn read() -> Model {
    let mut files = Memory::new();
    files.insert("main.conf", include_str!("datagram.conf"));
    let loaded = load_from(&files, Path::new("main.conf"), &Options::default());
    let loaded = loaded.expect("it is there");
    let said: String = loaded
        .findings()
        .map(|finding| finding.to_string())
        .collect();
    assert!(!loaded.diags.has_errors(), "{said}");
    loaded.model
}

thread_local! {
    static MODEL: &'static Model = Box::leak(Box::new(read()));
}

fn model() -> &'static Model {
    MODEL.with(|model| *model)
}

/// Actions per virtual router and event: resign, release, notify and say so, become another thing, and the same for a group.
const MOST_ACTIONS: usize = 16;

/// The input, taken from its front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A length and as many bytes, or as many as there are.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.u16()?) % 2048;
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Some(bytes)
    }
}

struct Network {
    engine: Engine,
    now: Instant,
    actions: Vec<Action>,
    packet: Vec<u8>,
    interfaces: [IfName; 2],
}

impl Network {
    fn new() -> Self {
        let interfaces = ["eth0", "eth1"].map(|name| IfName::new(name).expect("a legal name"));
        let now = Instant(1_000_000);
        let mut network = Self {
            engine: Engine::new(model(), now),
            now,
            actions: Vec::new(),
            packet: vec![0; 4096],
            interfaces,
        };
        network.interface(0, true);
        network.interface(1, true);
        network.track(Reading::Value(0));
        network
    }

    fn hear(&mut self, event: Event<'_>) {
        self.actions.clear();
        self.engine.handle(event, self.now, &mut self.actions);
        let most = MOST_ACTIONS * model().instances.len();
        assert!(self.actions.len() <= most, "{event:?}: {:?}", self.actions);
        for action in &self.actions {
            if let Action::Say { id, note } = action {
                assert!(self.engine.get(*id).is_some(), "{note:?}");
            }
        }
        self.speak();
    }

    /// Every advert that is asked for can be written, and is one that a router of the same kind understands.
    fn speak(&mut self) {
        for action in &self.actions {
            let Action::Advertise { id, priority } = action else {
                continue;
            };
            let instance = self.engine.get(*id).expect("it spoke");
            let advert = instance.advert(*priority);
            let destination = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
            let pseudo = instance.pseudo_header(destination, advert.len());
            let out = self.packet.get_mut(..advert.len()).expect("room");
            advert.emit(out, pseudo).expect("room");
            let read =
                vrrp::Advert::new_checked(out, instance.config().family).expect("well formed");
            assert_eq!(read.priority(), *priority);
        }
    }

    fn interface(&mut self, which: u8, up: bool) {
        let at = usize::from(which % 2);
        let name = self.interfaces[at].clone();
        self.hear(Event::Interface(Interface {
            name: &name,
            index: (which < 0xf0).then_some(at as u32 + 2),
            up,
            v4: (which & 4 == 0).then_some(Ipv4Addr::new(192, 0, 2, 1)),
            v6: (which & 8 == 0).then_some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        }));
    }

    fn track(&mut self, reading: Reading) {
        self.hear(Event::Tracked(Tracked {
            kind: TrackerKind::File,
            name: "f",
            reading,
        }));
    }

    /// As a raw IPv4 socket gives it.
    fn packet(&mut self, bytes: &[u8]) {
        let Ok(packet) = Ipv4Packet::new_checked(bytes) else {
            return;
        };
        assert!(packet.header().len() + packet.payload().len() <= bytes.len());
        self.hear(Event::Datagram(Datagram {
            ifindex: 2,
            source: packet.source().into(),
            destination: packet.destination().into(),
            hops: packet.ttl(),
            header: packet.header(),
            payload: packet.payload(),
        }));
    }

    /// A message that is right in all that chance would not find: checksum, IP header, and the seal of somebody who knows the
    /// key.
    fn sealed(&mut self, kind: u8, from: u8, sequence: u32, message: &[u8]) {
        let source = Ipv4Addr::new(192, 0, 2, from);
        let destination = match kind & 1 {
            0 => Ipv4Addr::new(224, 0, 0, 18),
            _ => Ipv4Addr::new(192, 0, 2, 1),
        };
        let between = if kind & 2 == 0 { 0 } else { ah::LEN };
        let mut bytes = vec![0; ip::HEADER + between];
        bytes.extend(message);
        summed(
            &mut bytes[ip::HEADER + between..],
            source.into(),
            destination.into(),
        );
        let header = Ipv4Repr {
            source,
            destination,
            ttl: 255,
            protocol: if between == 0 { ip::VRRP } else { ip::AH },
            identification: 1,
            payload_len: between + message.len(),
        };
        header.emit(&mut bytes).expect("room");
        if between > 0 {
            let seal = AhRepr {
                spi: source,
                sequence,
            };
            seal.seal(&mut bytes, &Key::new(*b"secret\0\0"))
                .expect("room");
        }
        self.packet(&bytes);
    }

    fn datagram_v6(&mut self, from: u8, hops: u8, message: &[u8]) {
        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, from.into()).into();
        let destination = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into();
        let mut payload = message.to_vec();
        summed(&mut payload, source, destination);
        self.hear(Event::Datagram(Datagram {
            ifindex: 2,
            source,
            destination,
            hops,
            header: &[],
            payload: &payload,
        }));
    }

    /// Time passes, and the engine is woken whenever it asks to be.
    fn pass(&mut self, micros: u64) {
        let end = self.now + Duration::from_micros(micros);
        for _ in 0..64 {
            let Some(at) = self.engine.deadline().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.hear(Event::Deadline);
            assert!(
                self.engine.deadline().is_none_or(|next| next > self.now),
                "a deadline stands still"
            );
        }
        self.now = self.now.max(end);
    }
}

/// Puts the right checksum into a message that has room for one.
fn summed(message: &mut [u8], source: IpAddr, destination: IpAddr) {
    let len = message.len();
    let Some([first, _, _, _, _, _, sum @ ..]) = message.first_chunk_mut::<8>() else {
        return;
    };
    *sum = [0, 0];
    let pseudo = match *first >> 4 {
        3 => Checksum::pseudo_header(source, destination, len),
        _ => Checksum::new(),
    };
    let right = pseudo.bytes(message).finish().to_be_bytes();
    message[6..8].copy_from_slice(&right);
}

fn step(network: &mut Network, input: &mut Input<'_>) -> Option<()> {
    match input.byte()? % 10 {
        0 => network.packet(input.bytes()?),
        1 => {
            let (kind, from) = (input.byte()?, input.byte()?);
            let sequence = u32::from(input.u16()?) << (kind >> 4);
            network.sealed(kind, from, sequence, input.bytes()?);
        }
        2 => {
            let (from, hops) = (input.byte()?, input.byte()?);
            network.datagram_v6(from, hops, input.bytes()?);
        }
        3 => network.pass(u64::from(input.u16()?) * 1000),
        4 => {
            // Asleep: the deadline is long over.
            network.now = network.now + Duration::from_millis(input.u16()?.into());
            network.hear(Event::Deadline);
        }
        5 => {
            let which = input.byte()?;
            network.interface(which, which & 2 != 0);
        }
        6 => network.track(match input.byte()? {
            0 => Reading::Up,
            1 => Reading::Down,
            n => Reading::Value(i64::from(n) - 128),
        }),
        7 => network.hear(Event::Source {
            address: Ipv4Addr::new(192, 0, 2, 1).into(),
            here: input.byte()? & 1 == 0,
        }),
        _ => {
            // Another configuration with some of its virtual routers changed or gone.
            let (gone, changed) = (input.u16()?, input.byte()?);
            let mut model = model().clone();
            let mut at = 0;
            model.instances.retain(|_| {
                at += 1;
                gone >> (at - 1) & 1 == 0
            });
            for instance in &mut model.instances {
                instance.priority = changed.max(1);
                if instance.version == Version::V3 {
                    instance.interval.0 = u16::from(changed).max(1);
                }
            }
            network.actions.clear();
            network
                .engine
                .reload(&model, network.now, &mut network.actions);
            network.engine.forget_removed();
            for (at, name) in network.interfaces.clone().iter().enumerate() {
                assert!(network.engine.interfaces().count() <= 64, "{name}");
                network.interface(at as u8 | 2, true);
            }
        }
    }
    Some(())
}

fuzz_target!(|input: &[u8]| {
    let mut network = Network::new();
    let mut input = Input(input);
    while step(&mut network, &mut input).is_some() {}
    network.pass(10_000_000);
    network.hear(Event::Stop);
    assert_eq!(network.engine.deadline(), None);
    assert!(
        network
            .engine
            .iter()
            .all(|(_, instance)| !instance.owns_addresses())
    );
});
