//! Plans out of dice.

use keepalite::vrrp::{Reading, TrackerKind};

use crate::SECOND;
use crate::network::DELAY;
use crate::plan::{Change, DRIFT, Happening, HostPlan, LATENESS, LinkState, Plan, Round, Shared};
use crate::random::Random;

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let hall = random.chance(1);
        let (hosts, vrids) = match (hall, random.chance(50)) {
            (false, _) => (random.range(2, 6), random.range(1, 4)),
            (true, true) => (random.range(40, 64), random.range(10, 20)),
            (true, false) => (random.range(4, 8), random.range(200, 250)),
        };
        let grouped = !hall && vrids > 1 && random.chance(35);
        let mut plan = Self {
            seed,
            vrids: Vec::new(),
            hosts: (1..=hosts)
                .map(|n| HostPlan::new(n as u8, &mut random))
                .collect(),
            rounds: Vec::new(),
            lateness: LATENESS,
        };
        for vrid in 0..vrids {
            plan.add_vrid(vrid as usize, grouped, &mut random);
        }
        for host in &mut plan.hosts {
            host.grouped = grouped;
            if grouped {
                // They can only agree if they wish for the same.
                let first = host.own[0].clone();
                host.own.fill(first);
            }
        }
        for _ in 0..if hall { 1 } else { 3 } {
            let round = Round::new(&plan, &mut random);
            plan.rounds.push(round);
        }
        plan
    }

    fn add_vrid(&mut self, vrid: usize, grouped: bool, random: &mut Random) {
        let shared = Shared::new(vrid, random);
        let spread = random.chance(50);
        let all_preempt = random.chance(70);
        let count = self.hosts.len() as u64;
        let owners = match random.range(0, 19) {
            0..=13 => 0,
            14..=17 => 1,
            _ => 2,
        };
        let first = random.range(0, count - 1);
        for (at, host) in self.hosts.iter_mut().enumerate() {
            let owner = (0..owners).any(|n| (first + n) % count == at as u64);
            let idle = host.own.iter().flatten().next().is_none();
            let partakes = grouped || owner || idle || random.chance(90);
            let mut own = own_lines(owner, owners, spread, all_preempt, &shared, random);
            if !grouped && shared.is_multicast_v4() && random.chance(10) {
                let (segment, number) = (shared.segment, host.number);
                own.push(format!("mcast_src_ip 10.{segment}.0.{}", 100 + number));
                own.push("track_src_ip".to_owned());
            }
            host.own.push(partakes.then_some(own));
        }
        self.vrids.push(shared);
    }
}

impl HostPlan {
    fn new(number: u8, random: &mut Random) -> Self {
        let mut head = vec!["script s".to_owned(), "file f".to_owned()];
        head.push("process p".to_owned());
        if random.chance(15) {
            head.push(format!("vrrp_startup_delay {}", random.range(1, 5)));
        }
        Self {
            number,
            clock: SECOND - DRIFT + random.range(0, 2 * DRIFT),
            head,
            own: Vec::new(),
            grouped: false,
        }
    }
}

impl Shared {
    fn new(vrid: usize, random: &mut Random) -> Self {
        let segment = random.range(0, 1) as usize;
        let v6 = random.chance(15);
        let third = v6 || random.chance(45);
        let unicast = !v6 && random.chance(20);
        let mut lines = Vec::new();
        if v6 {
            lines.push(format!("virtual_ipaddress fe80::{:x}", 0x1000 + vrid));
        }
        if third {
            lines.push("version 3".to_owned());
            lines.push(format!(
                "advert_int {:.2}",
                random.range(10, 300) as f64 / 100.0
            ));
        } else {
            if random.chance(30) {
                lines.push(format!("advert_int {}", random.range(2, 3)));
            }
            match random.range(0, 3) {
                0 => lines.push("auth_pass secret".to_owned()),
                1 => lines.push("auth_ah secret".to_owned()),
                _ => {}
            }
        }
        if random.chance(10) {
            lines.push(format!("down_timer_adverts {}", random.range(2, 5)));
        }
        Self {
            segment,
            unicast,
            lines,
        }
    }
}

fn own_lines(
    owner: bool,
    owners: u64,
    spread: bool,
    all_preempt: bool,
    shared: &Shared,
    random: &mut Random,
) -> Vec<String> {
    let mut lines = Vec::new();
    if owner {
        lines.push("priority 255".to_owned());
        lines.push("state MASTER".to_owned());
        if owners == 1 && random.chance(20) {
            lines.push("owner_ignore_adverts".to_owned());
        }
    } else {
        // Few values, so that there are equals and neighbours; or many.
        let priority = if spread {
            random.range(1, 254)
        } else {
            random.range(98, 102)
        };
        lines.push(format!("priority {priority}"));
        if !all_preempt && random.chance(50) {
            lines.push("nopreempt".to_owned());
        } else if random.chance(15) {
            lines.push(format!("preempt_delay {}", random.range(1, 10)));
        }
    }
    let may = [
        (15, "higher_prio_send_advert", true),
        (15, "lower_prio_no_advert", true),
        (15, "skip_check_adv_addr", true),
        (
            15,
            "v3_checksum_as_v2",
            shared.is_version_3() && !shared.is_v6(),
        ),
        (10, "timer_expired_backup", true),
        (5, "dont_track_primary", true),
        (10, "garp_master_refresh 2", true),
        (5, "garp_master_delay 0", true),
        (10, "garp_lower_prio_repeat 0", true),
        (10, "track_script s", true),
        (10, "track_script s 30", true),
        (5, "track_script s -30 reverse", true),
        (10, "track_file f 1", true),
        (5, "track_file f 0", true),
        (10, "track_process p -20", true),
        (5, "track_process p 0 reverse", true),
        (5, "track_interface eth0 -40", true),
        (5, "track_interface eth1", true),
    ];
    for (percent, line, possible) in may {
        if random.chance(percent) && possible {
            lines.push(line.to_owned());
        }
    }
    lines
}

impl Round {
    fn new(plan: &Plan, random: &mut Random) -> Self {
        let mut happenings = Vec::new();
        let mut left = 30 * SECOND;
        loop {
            let pause = random.range(0, 3 * SECOND);
            let Some(rest) = left.checked_sub(pause) else {
                break;
            };
            left = rest;
            happenings.push((pause, Happening::new(plan, random)));
        }
        Self {
            loss: random.range(0, 40),
            duplicates: random.range(0, 20),
            delay: DELAY * random.range(1, 300),
            happenings,
            mended: random.chance(50),
            cut: true,
            stop: true,
        }
    }
}

impl Happening {
    fn new(plan: &Plan, random: &mut Random) -> Self {
        let host = random.range(0, plan.hosts.len() as u64 - 1) as usize;
        let vrid = random.range(0, plan.vrids.len() as u64 - 1) as usize;
        let segment = random.range(0, 1) as usize;
        match random.range(0, 16) {
            0 => Self::Power(host, false),
            1 | 2 => Self::Power(host, true),
            3 => Self::Link(host, segment, LinkState::Down),
            4 => Self::Link(host, segment, LinkState::Gone),
            5 => Self::Link(host, segment, LinkState::Bare),
            6 | 7 => Self::Link(host, segment, LinkState::Up),
            8 => Self::Renew(host, segment),
            9 => Self::Source(host, random.chance(50)),
            10 => {
                let (kind, reading) = match random.range(0, 4) {
                    0 => (TrackerKind::Script, Reading::Up),
                    1 => (TrackerKind::Script, Reading::Down),
                    2 => (TrackerKind::Process, Reading::Up),
                    3 => (TrackerKind::Process, Reading::Down),
                    _ => {
                        let value = random.range(0, 600) as i64 - 300;
                        (TrackerKind::File, Reading::Value(value))
                    }
                };
                Self::Track(host, kind, reading)
            }
            11 => Self::Sleep(host, random.range(0, 10 * SECOND)),
            12 => Self::Leap(host, random.range(0, 10 * SECOND)),
            13 => Self::Split(segment, random.next()),
            14 => Self::Split(segment, 0),
            _ => Self::Reload(host, Change::new(plan, host, vrid, random)),
        }
    }
}

impl Change {
    fn new(plan: &Plan, host: usize, vrid: usize, random: &mut Random) -> Self {
        let grouped = plan.hosts[host].grouped;
        match random.range(0, 9) {
            0 => Self::Nothing,
            1 | 2 if !owns(plan, host, vrid) => {
                Self::Line(vrid, format!("priority {}", random.range(90, 110)))
            }
            3 if plan.vrids[vrid].is_version_3() => {
                let interval = random.range(10, 300) as f64 / 100.0;
                Self::Interval(vrid, format!("advert_int {interval:.2}"))
            }
            4 => Self::Line(
                vrid,
                format!("virtual_ipaddress_excluded 10.9.0.{}", random.range(1, 9)),
            ),
            5 => Self::Line(vrid, "garp_master_refresh 3".to_owned()),
            6 if !grouped => Self::Remove(vrid),
            7 if !grouped => Self::Restore(vrid),
            8 if !grouped => Self::Rename(vrid),
            _ => Self::Line(vrid, "preempt".to_owned()),
        }
    }
}

/// Whether the host owns the addresses of a VRID, or of any where all are one group.
fn owns(plan: &Plan, host: usize, vrid: usize) -> bool {
    let host = &plan.hosts[host];
    let owner = |own: &Vec<String>| own.iter().any(|line| line == "priority 255");
    if host.grouped {
        host.own.iter().flatten().any(owner)
    } else {
        host.own[vrid].as_ref().is_some_and(owner)
    }
}
