//! Whatever an engine is told, in whatever order: virtual routers of all kinds, alone and in sync groups, get adverts that may be
//! those of others, links, trackers and addresses that come and go, sleep, stops, and one configuration after the other. After
//! everything a witness holds it against its documentation, the same that watches the simulated LAN. In the end time itself
//! leaps, to and fro: nothing panics.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hearing::Heard;
use keepalite::model::{Instance, Model, Peering};
use keepalite::name::{Family, IfName, Version};
use keepalite::time::Instant;
use keepalite::vrrp::{Action, Datagram, Engine, Event, Interface, Reading, Tracked, TrackerKind};
use keepalite::wire::Checksum;
use keepalite::wire::ah::{self, AhRepr};
use keepalite::wire::ip::{self, Ipv4Repr};
use libfuzzer_sys::fuzz_target;
use witness::Witness;

#[path = "../lan/hearing.rs"]
mod hearing;
#[path = "../made/mod.rs"]
mod made;
#[allow(dead_code, reason = "a LAN has more rules than an engine alone")]
#[path = "../lan/rule.rs"]
mod rule;
#[path = "../lan/witness.rs"]
mod witness;
#[path = "../lan/world.rs"]
mod world;

/// What may stand in a virtual router, a bit each.
const LINES: [&str; 24] = [
    "version 3",
    "advert_int 2",
    "priority 255",
    "state MASTER",
    "nopreempt",
    "preempt_delay 3",
    "auth_pass secret",
    "auth_ah secret",
    "interface eth1",
    "track_interface eth0 20",
    "track_interface eth1",
    "track_script s",
    "track_script t -30 reverse",
    "track_file f 2",
    "track_process p 0 reverse",
    "mcast_src_ip 192.0.2.9",
    "track_src_ip",
    "higher_prio_send_advert",
    "lower_prio_no_advert",
    "timer_expired_backup",
    "garp_master_refresh 1",
    "garp_master_delay 0",
    "down_timer_adverts 1",
    "dont_track_primary",
];
const TRACKERS: [(TrackerKind, &str); 4] = [
    (TrackerKind::Script, "s"),
    (TrackerKind::Script, "t"),
    (TrackerKind::File, "f"),
    (TrackerKind::Process, "p"),
];

/// The input, taken from its front.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A virtual router: what it has of the lines, its family and peers, its priority.
    fn router(&mut self, vrid: usize) -> Option<Instance> {
        let mut instance = made::instance(&format!("VI_{vrid}"));
        made::set(&mut instance, &format!("virtual_router_id {vrid}"));
        made::set(&mut instance, &format!("priority {}", self.byte()?.max(1)));
        let kind = self.byte()?;
        let bits = u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, 0]);
        let chosen = LINES
            .iter()
            .enumerate()
            .filter(|(at, _)| bits >> at & 1 == 1);
        for (_, line) in chosen {
            made::set(&mut instance, line);
        }
        match kind % 4 {
            0 if instance.source.is_none() => {
                made::set(&mut instance, "virtual_ipaddress fe80::100");
                made::set(&mut instance, "version 3");
            }
            1 => made::set(&mut instance, "unicast_peer 192.0.2.2,192.0.2.3"),
            2 => made::set(&mut instance, "unicast_peer_unchecked 192.0.2.2"),
            _ => {}
        }
        // The configuration sees to these.
        if instance.is_owner() {
            instance.preempt = true;
        }
        if instance.version == Version::V3 {
            instance.auth = keepalite::model::Auth::None;
        }
        Some(instance)
    }

    /// A configuration of up to four, perhaps in one or two sync groups.
    fn model(&mut self) -> Option<Model> {
        let mut model = made::model(Vec::new());
        for line in ["script s", "script t 5", "file f", "process p"] {
            assert!(made::tracker(&mut model, line));
        }
        let shape = self.byte()?;
        for vrid in 1..=usize::from(shape % 4) + 1 {
            model.instances.push(self.router(vrid)?);
        }
        match shape >> 2 & 3 {
            1 => assert!(made::group(&mut model, "group G VI_1 VI_2 VI_3 VI_4")),
            2 => {
                assert!(made::group(&mut model, "group G VI_1 VI_2"));
                assert!(made::group(&mut model, "group H VI_3 VI_4"));
            }
            _ => {}
        }
        model.global.startup_delay = Duration::from_secs(u64::from(shape >> 6));
        Some(model)
    }
}

struct Run {
    engine: Engine,
    witness: Witness,
    now: Instant,
    actions: Vec<Action>,
    interfaces: [IfName; 2],
}

impl Run {
    fn new(model: &Model) -> Self {
        let now = Instant(1_000_000);
        Self {
            engine: Engine::new(model, now),
            witness: Witness::new(model, now),
            now,
            actions: Vec::new(),
            interfaces: ["eth0", "eth1"].map(made::interface),
        }
    }

    fn hear(&mut self, event: Event<'_>) {
        self.actions.clear();
        self.engine.handle(event, self.now, &mut self.actions);
        let saw = self
            .witness
            .saw(&event, &self.engine, self.now, &self.actions);
        if let Err(breach) = saw {
            panic!("{breach}, by {event}: {:?}", self.actions);
        }
    }

    fn reload(&mut self, model: &Model) {
        self.actions.clear();
        self.engine.reload(model, self.now, &mut self.actions);
        let saw = self
            .witness
            .saw_reload(model, &self.engine, self.now, &self.actions);
        if let Err(breach) = saw {
            panic!("{breach}, by a reload: {:?}", self.actions);
        }
        self.engine.forget_removed();
    }

    fn interface(&mut self, which: u8) {
        let at = usize::from(which & 1);
        let name = self.interfaces[at].clone();
        self.hear(Event::Interface(Interface {
            name: &name,
            index: (which & 6 != 6).then_some(at as u32 + 2 + u32::from(which >> 6)),
            up: which & 8 == 0,
            v4: (which & 16 == 0).then_some(Ipv4Addr::new(192, 0, 2, 1)),
            v6: (which & 32 == 0).then_some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        }));
    }

    /// An advert as another router of the same kind would send it.
    fn advert(&mut self, which: u8, from: u8, priority: u8, ahead: u8) -> Option<()> {
        let (_, instance) = self.engine.iter().nth(usize::from(which % 4))?;
        let config = instance.config();
        let (source, to): (IpAddr, IpAddr) = match (config.family, &config.peering) {
            (Family::V6, _) => {
                let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, from.into());
                (
                    source.into(),
                    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12).into(),
                )
            }
            (Family::V4, Peering::Multicast(group)) => ([192, 0, 2, from].into(), *group),
            (Family::V4, _) => ([192, 0, 2, from].into(), [192, 0, 2, 1].into()),
        };
        let mut advert = instance.advert(priority);
        if which & 0x40 != 0 && config.version == Version::V3 {
            advert.interval.0 = u16::from(ahead).max(1);
        }
        let pseudo = match config.version {
            Version::V2 => Checksum::new(),
            Version::V3 => Checksum::pseudo_header(source, to, advert.len()),
        };
        let mut packet = [0; 128];
        let between = instance.key().map_or(0, |_| ah::LEN);
        let at = ip::HEADER + between;
        let end = at + advert.emit(packet.get_mut(at..)?, pseudo)?.len();
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, to) {
            let header = Ipv4Repr {
                source,
                destination,
                ttl: 255,
                protocol: if between == 0 { ip::VRRP } else { ip::AH },
                identification: 1,
                payload_len: end - ip::HEADER,
            };
            header.emit(&mut packet)?;
            if let Some(key) = instance.key() {
                let sequence = instance.sequence().saturating_add(u32::from(ahead % 8));
                let seal = AhRepr {
                    spi: source,
                    sequence,
                };
                seal.seal(&mut packet[..end], key)?;
            }
        }
        let header = if source.is_ipv4() { ip::HEADER } else { 0 };
        let before = Heard::before(instance, source, priority, advert.interval);
        let datagram = Datagram {
            ifindex: instance.ifindex().unwrap_or(9),
            source,
            destination: to,
            hops: 255,
            header: &packet[..header],
            payload: &packet[ip::HEADER..end],
        };
        self.hear(Event::Datagram(datagram));
        if let Err(breach) = self.witness.heard(before, &self.engine, self.now) {
            panic!("{breach}: {:?}", self.actions);
        }
        Some(())
    }

    /// Time passes, and the engine is woken whenever it asks to be.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..200 {
            let Some(at) = self.engine.deadline().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.hear(Event::Deadline);
        }
        self.now = self.now.max(end);
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 9 {
            0 | 1 => {
                let (which, from) = (input.byte()?, input.byte()?);
                let (priority, ahead) = (input.byte()?, input.byte()?);
                self.advert(which, from, priority, ahead);
            }
            2 | 3 => self.pass(Duration::from_millis(u64::from(input.byte()?) * 50)),
            4 => {
                // Asleep: the deadline is long over.
                self.now = self.now + Duration::from_millis(u64::from(input.byte()?) * 100);
                self.hear(Event::Deadline);
            }
            5 => self.interface(input.byte()?),
            6 => {
                let (kind, name) = TRACKERS[usize::from(input.byte()? % 4)];
                let reading = match input.byte()? {
                    0 => Reading::Up,
                    1 => Reading::Down,
                    n => Reading::Value((i64::from(n) - 128) * 3),
                };
                self.hear(Event::Tracked(Tracked {
                    kind,
                    name,
                    reading,
                }));
            }
            7 => {
                let address = Ipv4Addr::new(192, 0, 2, 9).into();
                let here = input.byte()? & 2 == 0;
                self.hear(Event::Source { address, here });
            }
            _ => {
                let model = input.model()?;
                self.reload(&model);
            }
        }
        Some(())
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let Some(model) = input.model() else {
        return;
    };
    let mut run = Run::new(&model);
    run.interface(0);
    run.interface(1);
    while !input.0.is_empty() {
        run.step(&mut input);
    }
    run.pass(Duration::from_secs(10));
    // No clock does this. No rule holds then, but nothing breaks.
    for now in [0, u64::MAX, 1, u64::MAX - 1] {
        run.engine
            .handle(Event::Deadline, Instant(now), &mut run.actions);
        run.engine.reload(&model, Instant(now), &mut run.actions);
    }
    run.actions.clear();
    run.engine.handle(Event::Stop, run.now, &mut run.actions);
    assert_eq!(run.engine.deadline(), None);
    assert!(
        run.engine
            .iter()
            .all(|(_, instance)| !instance.owns_addresses())
    );
});
