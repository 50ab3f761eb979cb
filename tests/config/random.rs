//! What nobody wrote: mutations of right files, and bytes by chance. Nothing may stop the parser, and whatever model
//! comes out must survive its dump.

use std::fs;
use std::path::PathBuf;

use super::{files, read, scratch};
use keepalite::config::dump::dump;

/// A small generator with a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }
}

/// Pieces that make trouble where they are put.
const PIECES: &[&str] = &[
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    "#",
    "!",
    "$",
    "${",
    "$A=",
    "$A= \\\n",
    "${A}",
    "@main ",
    "@^main ",
    "~SEQ(A,1,3) ",
    "~LST({A,B},{1,2}) ",
    "include ",
    "\0",
    "-1",
    "0",
    "255",
    "256",
    "99999999999999999999",
    "0x10",
    "weight",
    "reverse",
    "\u{fffd}",
    "é",
    "eth0",
    "192.0.2.7",
    "::1",
    "/0",
    "on",
    "off",
    " ",
    "\t",
    "virtual_ipaddress",
    "state",
    "real_server",
    "script \"",
];

fn survive(name: &str, text: &[u8], seed: u64) {
    let directory = scratch(name);
    let (path, again) = (directory.join("main.conf"), directory.join("again.conf"));
    fs::write(&path, text).unwrap();
    let first = read(&path);
    // Rendering must bear whatever the file holds.
    let said: usize = first.findings().map(|f| f.to_string().len()).sum();
    assert!(first.diags.errors() == 0 || said > 0);
    fs::write(&again, dump(&first.model)).unwrap();
    let second = read(&again);
    let (text, dumped) = (String::from_utf8_lossy(text), dump(&first.model));
    assert!(
        first.model == second.model,
        "seed {seed}\n{text}\n{dumped}\n{}",
        dump(&second.model)
    );
}

#[test]
fn mutated_files_never_stop_the_parser_and_their_models_survive_a_dump() {
    // Those that go to the limits are slow on purpose.
    let quick = |path: &PathBuf| {
        !path.to_string_lossy().contains("itself") && !path.to_string_lossy().contains("end.conf")
    };
    let texts: Vec<Vec<u8>> = files("ok")
        .into_iter()
        .chain(files("bad"))
        .filter(quick)
        .map(|p| fs::read(p).unwrap())
        .collect();
    for seed in 1..=1500 {
        let mut random = Random(seed * 0x9e37_79b9);
        let mut text = texts[random.below(texts.len())].clone();
        for _ in 0..=random.below(6) {
            let at = random.below(text.len() + 1);
            let end = (at + random.below(20)).min(text.len());
            match random.below(4) {
                0 => drop(text.drain(at..end)),
                1 => {
                    let piece = PIECES[random.below(PIECES.len())];
                    drop(text.splice(at..at, piece.bytes()));
                }
                2 => {
                    let other = &texts[random.below(texts.len())];
                    let from = random.below(other.len());
                    let part = other[from..(from + 60).min(other.len())].to_vec();
                    drop(text.splice(at..end, part));
                }
                _ if at < text.len() => text[at] = random.below(256) as u8,
                _ => {}
            }
        }
        survive("mutated", &text, seed);
    }
}

#[test]
fn bytes_by_chance_never_stop_the_parser() {
    for seed in 1..=500 {
        let mut random = Random(seed * 0x1234_5677);
        let mut text = Vec::new();
        for _ in 0..random.below(200) {
            if random.below(2) == 0 {
                text.extend(PIECES[random.below(PIECES.len())].bytes());
            } else {
                text.push(random.below(256) as u8);
            }
        }
        survive("chance", &text, seed);
    }
}

/// A file of sensible lines with values by chance, so that models differ in everything at once.
fn written(random: &mut Random) -> String {
    let mut text = String::from("global_defs {\n");
    let numbers = [
        "vrrp_garp_master_delay",
        "vrrp_garp_master_repeat",
        "vrrp_garp_master_refresh",
        "vrrp_garp_lower_prio_repeat",
        "vrrp_startup_delay",
    ];
    let switches = [
        "vrrp_strict",
        "vrrp_skip_check_adv_addr",
        "vrrp_min_garp",
        "vrrp_lower_prio_no_advert",
        "vrrp_higher_prio_send_advert",
    ];
    let line = |random: &mut Random,
                text: &mut String,
                names: &[&str],
                values: &dyn Fn(&mut Random) -> String| {
        for name in names {
            if random.below(3) == 0 {
                let value = values(random);
                text.push_str(&format!("{name} {value}\n"));
            }
        }
    };
    line(random, &mut text, &numbers, &|r| r.below(9).to_string());
    line(random, &mut text, &switches, &|r| {
        ["on", "off"][r.below(2)].to_owned()
    });
    line(random, &mut text, &["vrrp_version"], &|r| {
        (2 + r.below(2)).to_string()
    });
    text.push_str("}\n");
    for name in 0..random.below(4) {
        text.push_str(&format!(
            "vrrp_instance I{name} {{\ninterface eth{}\nvirtual_router_id {}\n",
            random.below(2),
            1 + random.below(3)
        ));
        line(random, &mut text, &["state"], &|r| {
            ["MASTER", "BACKUP"][r.below(2)].to_owned()
        });
        line(random, &mut text, &["priority"], &|r| {
            [1, 100, 254, 255][r.below(4)].to_string()
        });
        line(random, &mut text, &["advert_int"], &|r| {
            ["0.01", "0.5", "1", "2.5", "41", "255"][r.below(6)].to_owned()
        });
        line(random, &mut text, &["version"], &|r| {
            (2 + r.below(2)).to_string()
        });
        line(random, &mut text, &["preempt_delay"], &|r| {
            ["0", "1.5", "1000"][r.below(3)].to_owned()
        });
        line(
            random,
            &mut text,
            &[
                "nopreempt",
                "accept",
                "no_accept",
                "dont_track_primary",
                "use_vmac",
                "vmac_xmit_base",
                "track_src_ip",
            ],
            &|_| String::new(),
        );
        line(
            random,
            &mut text,
            &[
                "garp_master_delay",
                "garp_master_repeat",
                "garp_lower_prio_delay",
                "garp_lower_prio_repeat",
                "garp_extra_if",
            ],
            &|r| r.below(9).to_string(),
        );
        line(
            random,
            &mut text,
            &[
                "strict_mode",
                "owner_ignore_adverts",
                "v3_checksum_as_v2",
                "lower_prio_no_advert",
            ],
            &|r| ["on", "off"][r.below(2)].to_owned(),
        );
        line(
            random,
            &mut text,
            &["mcast_src_ip", "unicast_src_ip"],
            &|r| ["192.0.2.9", "2001:db8::9"][r.below(2)].to_owned(),
        );
        line(
            random,
            &mut text,
            &[
                "unicast_peer { 192.0.2.8 }",
                "unicast_fault_no_peer",
                "check_unicast_src",
            ],
            &|_| String::new(),
        );
        line(
            random,
            &mut text,
            &["authentication { auth_type PASS"],
            &|_| "\nauth_pass secret\n}".to_owned(),
        );
        line(random, &mut text, &["notify_master", "notify"], &|r| {
            [
                "\"/bin/true a b\"",
                "'/bin/true \"a#b\"'",
                "\"it's \"'\"'",
                "/bin/true root",
            ][r.below(4)]
            .to_owned()
        });
        let family = random.below(3);
        for (block, chance) in [("virtual_ipaddress", 5), ("virtual_ipaddress_excluded", 2)] {
            text.push_str(&format!("{block} {{\n"));
            for _ in 0..random.below(chance) {
                let n = random.below(250) + 1;
                let six = family == 1 || (family == 2 && random.below(4) == 0);
                text.push_str(&if six {
                    format!("2001:db8::{n:x}/{}", [64, 128][n % 2])
                } else {
                    format!("192.0.2.{n}/{}", [24, 32][n % 2])
                });
                line(random, &mut text, &[" dev"], &|r| {
                    format!("eth{}", r.below(3))
                });
                text = text.trim_end().to_owned() + "\n";
            }
            text.push_str("}\n");
        }
        text.push_str("}\n");
    }
    text
}

#[test]
fn sensible_files_by_chance_survive_a_dump() {
    for seed in 1..=1000 {
        let mut random = Random(seed * 0x7654_3211);
        let text = written(&mut random);
        survive("written", text.as_bytes(), seed);
    }
}
