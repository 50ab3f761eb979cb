//! Every way of running a virtual router together with keepalived, in both roles, over both kinds of end and the way back. README's
//! table is what came of it; `UPDATE=1` writes it anew.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::lab::{
    Capture, Daemon, Frame, Host, Lab, Program, Seen, has_keepalived, with_namespaces,
    with_namespaces_alone,
};
use crate::tshark;
use keepalite::name::{Mac, Version};

/// Where adverts and addresses have their MAC from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Macs {
    Own,
    Virtual,
    /// Of the addresses only.
    VirtualXmitBase,
}

/// A combination of everything that two routers must agree about.
#[derive(Clone, Copy, Debug)]
struct Case {
    vrid: u8,
    version: u8,
    ipv6: bool,
    authentication: &'static str,
    unicast: bool,
    macs: Macs,
}

/// What runs.
fn cases() -> Vec<Case> {
    let kinds = [
        (2, false, "none"),
        (2, false, "PASS"),
        (2, false, "AH"),
        (3, false, "none"),
        (3, true, "none"),
    ];
    let ways = [
        (false, Macs::Own),
        (false, Macs::Virtual),
        (false, Macs::VirtualXmitBase),
        (true, Macs::Own),
        (true, Macs::VirtualXmitBase),
    ];
    let all = kinds.iter().flat_map(|kind| ways.map(|way| (*kind, way)));
    let numbered = (1..).zip(all);
    numbered
        .map(
            |(vrid, ((version, ipv6, authentication), (unicast, macs)))| Case {
                vrid,
                version,
                ipv6,
                authentication,
                unicast,
                macs,
            },
        )
        .collect()
}

/// What does not run together, because one of the two does not have it: it says so with `-t`.
struct Refused {
    by: Program,
    /// As the table has it.
    row: &'static str,
    lines: &'static str,
    /// What is said.
    words: &'static str,
    /// The same for the table.
    why: &'static str,
}

const REFUSED: [Refused; 4] = [
    Refused {
        by: Program::Keepalite,
        row: "2 | IPv6 | any | both | any",
        lines: "version 2",
        words: "version 2 has no IPv6; version 3 is used",
        why: "there is no version 2 of IPv6; keepalite takes version 3",
    },
    Refused {
        by: Program::Keepalived,
        row: "3 | both | PASS | both | any",
        lines: "version 3\n authentication {\n auth_type PASS\n auth_pass secret\n }",
        words: "does not support authentication",
        why: "version 3 has no authentication",
    },
    Refused {
        by: Program::Keepalived,
        row: "3 | both | AH | both | any",
        lines: "version 3\n authentication {\n auth_type AH\n auth_pass secret\n }",
        words: "does not support authentication",
        why: "version 3 has no authentication",
    },
    Refused {
        by: Program::Keepalived,
        row: "both | both | any | unicast | yes",
        lines: "use_vmac\n unicast_src_ip 10.0.0.1\n unicast_peer {\n 10.0.0.2\n }",
        words: "requires vmac_xmit_base",
        why: "it wants `vmac_xmit_base` with unicast",
    },
];

impl Case {
    /// As short as the version allows; in version 3 long enough to tell a skew from a time-out on a busy machine.
    fn interval(&self) -> Duration {
        Duration::from_millis(if self.version == 2 { 1000 } else { 400 })
    }

    fn skew(&self) -> Duration {
        self.interval() * (256 - u32::from(LOW)) / 256
    }

    fn master_down(&self) -> Duration {
        self.interval() * 3 + self.skew()
    }

    fn address(&self) -> IpAddr {
        let text = if self.ipv6 {
            format!("fd00::1:{}", self.vrid)
        } else {
            format!("10.0.0.{}", 100 + self.vrid)
        };
        text.parse().unwrap()
    }

    fn configuration(&self, priority: u8, from: &str, to: &str) -> String {
        let Self { vrid, version, .. } = self;
        let net = if self.ipv6 { "fd00::" } else { "10.0.0." };
        let mut lines = Vec::new();
        if self.authentication != "none" {
            let kind = self.authentication;
            lines.push(format!(
                "authentication {{\n auth_type {kind}\n auth_pass secret\n }}"
            ));
        }
        if self.unicast {
            lines.push(format!(
                "unicast_src_ip {net}{from}\n unicast_peer {{\n {net}{to}\n }}"
            ));
        }
        if self.macs != Macs::Own {
            lines.push("use_vmac".to_owned());
        }
        if self.macs == Macs::VirtualXmitBase {
            lines.push("vmac_xmit_base".to_owned());
        }
        // The first address of IPv6 is to be link-local (RFC 9568 section 5.2.9).
        let first = if self.ipv6 {
            format!("fe80::1:{vrid}")
        } else {
            String::new()
        };
        format!(
            "vrrp_instance VI_{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n version {version}\n \
             advert_int {}\n {}\n virtual_ipaddress {{\n {first}\n {}\n }}\n}}\n",
            self.interval().as_secs_f64(),
            lines.join("\n "),
            self.address()
        )
    }

    /// The MAC at which the address is to be found while this host is master (RFC 9568 section 7.3).
    fn mac(&self, host: &Host) -> Mac {
        match self.macs {
            Macs::Own => host.mac,
            _ => Mac([0, 0, 0x5e, 0, if self.ipv6 { 2 } else { 1 }, self.vrid]),
        }
    }

    /// The MAC from which this host, as master, advertises.
    fn advertising_mac(&self, host: &Host) -> Mac {
        match self.macs {
            Macs::Virtual => self.mac(host),
            _ => host.mac,
        }
    }

    fn row(&self) -> String {
        format!(
            "{} | {} | {} | {} | {}",
            self.version,
            if self.ipv6 { "IPv6" } else { "IPv4" },
            self.authentication,
            if self.unicast { "unicast" } else { "multicast" },
            match self.macs {
                Macs::Own => "no",
                Macs::Virtual => "yes",
                Macs::VirtualXmitBase => "yes, `vmac_xmit_base`",
            }
        )
    }
}

/// Priority of the router that is to be master, and of the other.
const HIGH: u8 = 200;
const LOW: u8 = 100;
/// Bound on waiting for an election of a second's interval on a busy machine.
const ELECTION: Duration = Duration::from_secs(10);

/// What was found of a case: nothing bad, or what.
type Finding = Result<(), String>;

/// What happens to the master, in this order: [`Role::story`].
const EVENTS: [&str; 3] = ["ended", "killed", "given back"];

/// A LAN on which `master` runs one program and `backup` the other, with all cases at once.
struct Role {
    lab: Lab,
    capture: Capture,
    master: Program,
}

impl Role {
    fn new(master: Program) -> Self {
        let lab = Lab::new(&[
            ("master", &["10.0.0.1/24", "fd00::1/64"]),
            ("backup", &["10.0.0.2/24", "fd00::2/64"]),
            ("client", &["10.0.0.9/24", "fd00::9/64"]),
        ])
        .unwrap();
        for host in &lab.hosts {
            host.wait_for_link_local();
        }
        // keepalived 2.2.7 leaves it to the administrator that a host with virtual MACs asks for others in no name but its own, and
        // answers ARP at none of its IPv6 ones.
        let theirs = match master {
            Program::Keepalived => "master",
            Program::Keepalite => "backup",
        };
        for setting in ["arp_announce=2", "arp_ignore=1"] {
            let host = lab.host(theirs);
            host.run(&format!("sysctl -qw net.ipv4.conf.all.{setting}"));
        }
        let capture = lab.capture().unwrap();
        Self {
            lab,
            capture,
            master,
        }
    }

    fn host(&self, name: &str) -> &Host {
        self.lab.host(name)
    }

    /// What runs on a router.
    fn program(&self, name: &str) -> Program {
        match name {
            "master" => self.master,
            _ => self.master.other(),
        }
    }

    /// Everything that happens to the two; per case, what came of each of [`EVENTS`].
    fn story(&self) -> Vec<[Finding; 3]> {
        let cases = cases();
        let text = |priority, from, to| -> String {
            let all = cases.iter().map(|c| c.configuration(priority, from, to));
            all.collect()
        };
        let (high, low) = (text(HIGH, "1", "2"), text(LOW, "2", "1"));
        let mut first = self.host("master").daemon(self.master, &high);
        let _second = self.host("backup").daemon(self.master.other(), &low);
        let begun = self.served(0, "master", Some("backup"));

        let from = self.capture.len();
        first.signal("TERM");
        let ended = self.served(from, "backup", Some("master"));
        let ended = both(
            ended,
            self.in_time(from, Some(0), |case| case.skew() + case.interval()),
        );
        let status = first.process.wait(ELECTION).unwrap();
        assert!(status.success(), "{}", first.process.output());

        let from = self.capture.len();
        let mut first = self.host("master").daemon(self.master, &high);
        let back = self.served(from, "master", Some("backup"));

        // The host of the crashed one lives on: to a unicast peer that is not there nothing could be sent.
        let from = self.capture.len();
        first.process.kill_tree();
        let killed = self.served(from, "backup", None);
        let late = |case: &Case| case.master_down() + case.interval();
        let killed = both(killed, self.in_time(from, Some(HIGH), late));

        let from = self.capture.len();
        let directory = first.directory.clone();
        let _first = Daemon::start_in(self.host("master"), directory, self.master, &high).unwrap();
        let back = both(back, self.served(from, "master", Some("backup")));
        self.wire_is_clean();

        let findings = both(begun, ended).into_iter().zip(killed).zip(back);
        findings
            .map(|((ended, killed), back)| [ended, killed, back])
            .collect()
    }

    /// Of each case: is the host its master, after the first `from` frames, and the other one, if it lives, not any more?
    fn served(&self, from: usize, host: &str, other: Option<&str>) -> Vec<Finding> {
        let each = cases();
        each.iter()
            .map(|case| self.is_served(from, host, other, case))
            .collect()
    }

    fn is_served(&self, from: usize, host: &str, other: Option<&str>, case: &Case) -> Finding {
        let (on, client, address) = (self.host(host), self.host("client"), case.address());
        let speaks =
            |f: &Frame| f.from == host && is_advert(f, case) && f.seen.priority() != Some(0);
        let advert = self.capture.wait_for(from, ELECTION, speaks);
        let advert = advert.ok_or_else(|| format!("{host} never advertises"))?;
        is_as_configured(
            &advert,
            case,
            on,
            self.host(if host == "master" { "backup" } else { "master" }),
        )?;

        let announces = |f: &Frame| f.from == host && f.seen.announced() == Some(address);
        let announced = self.capture.wait_for(from, ELECTION, announces);
        let announced = announced.ok_or_else(|| format!("{host} never announces {address}"))?;
        let mac = case.mac(on);
        same("the MAC of the announcement", announced.mac, mac)?;

        for (name, wanted) in [(Some(host), true), (other, false)] {
            let Some(name) = name else { continue };
            let there = || (self.host(name).has(address) == wanted).then_some(());
            let changed = self.host(name).wait(ELECTION, there);
            changed.ok_or_else(|| format!("{name}: having {address} is never {wanted}"))?;
        }
        // Keepalived as the one that gives way answers the first announcement, which draws the traffic to itself where no advert
        // follows from the virtual MAC. Keepalite announces once more at once, before a client gives up; keepalived after
        // `garp_master_delay`.
        let tries = match self.program(host) {
            Program::Keepalite => 1,
            Program::Keepalived => 12,
        };
        if !(0..tries).any(|_| client.is_answered_by(address)) {
            let after = self.capture.frames(from).into_iter().rev();
            let mut others = after.filter(|f| f.from != host && f.mac == mac);
            let last = others.find(|f| f.at > advert.at).map(|f| f.at - advert.at);
            return Err(format!(
                "{host} does not answer at {address}; another one spoke from its MAC for {last:?} more"
            ));
        }
        same(
            "the MAC that the client knows",
            client.neighbour(address),
            Some(mac),
        )?;
        // As a master that gives way would, in the name of an address that it is about to lose.
        let runs_ours = |name: &&str| self.program(name) == Program::Keepalite;
        let ours = ["master", "backup"].into_iter().find(runs_ours).unwrap();
        let answers_its_successor = |f: &&Frame| match f.seen {
            Seen::Arp {
                request: false,
                sender,
                target,
                ..
            } => f.from == ours && sender == target && IpAddr::V4(sender) == address,
            _ => false,
        };
        if let Some(frame) = self.capture.frames(from).iter().find(answers_its_successor) {
            return Err(format!("keepalite answers its successor: {:?}", frame.seen));
        }
        let muddles = |f: &&Frame| match f.seen {
            Seen::Arp {
                sender, sender_mac, ..
            } => f.from == host && IpAddr::V4(sender) == address && sender_mac != mac,
            _ => false,
        };
        match self.capture.frames(from).iter().find(muddles) {
            Some(frame) => Err(format!("{host} gives another MAC: {:?}", frame.seen)),
            None => Ok(()),
        }
    }

    /// Of each case: how long after the last word of the master, which had the priority `last`, did the backup speak?
    fn in_time(
        &self,
        from: usize,
        last: Option<u8>,
        bound: impl Fn(&Case) -> Duration,
    ) -> Vec<Finding> {
        let frames = self.capture.frames(0);
        let word = |case: &Case| {
            let mut after = frames.iter().skip(from);
            // A unicast advert waits for the neighbour to be found, a second longer if a question for it is lost; an announcement
            // is for all and leaves at once.
            let announces = |f: &Frame| f.seen.announced() == Some(case.address());
            let takes_over = |f: &Frame| is_advert(f, case) || (case.unicast && announces(f));
            let first = after.find(|f| f.from == "backup" && takes_over(f));
            let first = first.ok_or("the backup says nothing")?;
            let before = frames.iter().rev().skip_while(|f| f.at > first.at);
            let mut said = before.filter(|f| f.from == "master" && is_advert(f, case));
            let spoken = said.find(|f| f.seen.priority() == last);
            let spoken = spoken.ok_or_else(|| format!("the master never says {last:?}"))?;
            let waited = first.at.saturating_duration_since(spoken.at);
            if waited > bound(case) {
                return Err(format!("it took {waited:?}"));
            }
            Ok(())
        };
        cases().iter().map(word).collect()
    }

    /// tshark finds nothing wrong with anything.
    fn wire_is_clean(&self) {
        tshark::finds_nothing(&self.lab, &self.capture.frames(0));
    }
}

fn is_advert(frame: &Frame, case: &Case) -> bool {
    matches!(&frame.seen, Seen::Advert { vrid, .. } if *vrid == case.vrid)
}

/// Is it an advert of the version, from the MAC and to whom it is to be?
fn is_as_configured(advert: &Frame, case: &Case, host: &Host, peer: &Host) -> Finding {
    let Seen::Advert {
        version,
        source,
        destination,
        ..
    } = &advert.seen
    else {
        return Err(format!("{advert:?} is no advert"));
    };
    let wanted = if case.version == 2 {
        Version::V2
    } else {
        Version::V3
    };
    same("the version", *version, wanted)?;
    same(
        "the MAC of the advert",
        advert.mac,
        case.advertising_mac(host),
    )?;
    let group = if case.ipv6 { "ff02::12" } else { "224.0.0.18" };
    let group: IpAddr = group.parse().unwrap();
    if case.unicast {
        same("own source", host.has(*source), true)?;
        same("the peer as destination", peer.has(*destination), true)
    } else {
        same("the destination", *destination, group)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Finding {
    if is == wanted {
        return Ok(());
    }
    Err(format!("{what} is {is:?} instead of {wanted:?}"))
}

/// The first of two findings that is bad, for each case.
fn both(one: Vec<Finding>, other: Vec<Finding>) -> Vec<Finding> {
    let pairs = one.into_iter().zip(other);
    pairs.map(|(one, other)| one.and(other)).collect()
}

#[test]
fn keepalite_and_keepalived_take_over_and_give_back_in_every_combination_and_readme_says_so() {
    if !has_keepalived() {
        return;
    }
    with_namespaces_alone(|| {
        let roles = [Program::Keepalived, Program::Keepalite];
        let told = std::thread::scope(|scope| {
            let stories = roles.map(|master| scope.spawn(move || Role::new(master).story()));
            stories.map(|story| story.join().unwrap())
        });
        let mut table =
            String::from("| version | family | authentication | adverts | virtual MAC |");
        for name in ["keepalived", "keepalite"] {
            for event in EVENTS {
                write!(table, " {name} {event} |").unwrap();
            }
        }
        table.push_str("\n|---|---|---|---|---|---|---|---|---|---|---|\n");
        let mut bad = Vec::new();
        for (number, case) in cases().iter().enumerate() {
            write!(table, "| {} |", case.row()).unwrap();
            for (master, story) in roles.iter().zip(&told) {
                for (event, finding) in EVENTS.iter().zip(&story[number]) {
                    table.push_str(if finding.is_ok() { " yes |" } else { " no |" });
                    if let Err(why) = finding {
                        bad.push(format!("{}: {master:?} {event}: {why}", case.row()));
                    }
                }
            }
            table.push('\n');
        }
        for Refused { row, why, .. } in REFUSED {
            writeln!(table, "| {row} | – {why} | – | – | – | – | – |").unwrap();
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
        readme_says(&table);
    });
}

const BEGIN: &str = "<!-- interop -->\n";
const END: &str = "<!-- /interop -->";

fn readme_says(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let fresh = format!("{head}{BEGIN}{table}{END}{tail}");
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        std::fs::write(&path, &fresh).unwrap();
    }
    assert!(
        fresh == readme || update,
        "README.md is stale: UPDATE=1 cargo test --test netns matrix"
    );
}

#[test]
fn what_the_table_leaves_out_is_refused_by_one_of_the_two() {
    if !has_keepalived() {
        return;
    }
    with_namespaces(|| {
        let lab = Lab::new(&[("one", &["10.0.0.1/24", "fd00::1/64"])]).unwrap();
        let file = lab.scratch().join("refused.conf");
        for Refused {
            by,
            row,
            lines,
            words,
            ..
        } in REFUSED
        {
            let of_row = match row {
                _ if row.contains("IPv6") => &["fe80::100"][..],
                _ if lines.contains("10.0.0") => &["10.0.0.100"],
                _ => &["10.0.0.100", "fe80::100"],
            };
            for address in of_row {
                let text = format!(
                    "vrrp_instance VI {{\n interface eth0\n virtual_router_id 1\n {lines}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
                );
                std::fs::write(&file, text).unwrap();
                let file = file.to_string_lossy();
                let arguments = ["-t", "-l", "-f", &file];
                let mut checked = lab.host("one").start(by.path(), &arguments, &[]).unwrap();
                let status = checked.wait(ELECTION).unwrap();
                // Ours is a warning.
                assert_eq!(status.success(), by == Program::Keepalite, "{row}");
                let said = checked.output();
                assert!(said.contains(words), "{row}: {said}");
            }
        }
    });
}
