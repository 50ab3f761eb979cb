//! The same configuration under keepalived and under keepalite, each in a network of its own with the same servers: their
//! tables are held against each other at the start, after every verdict, after a reload, and after the end.

use std::time::Duration;

use crate::twins::Act::{self, Close, Open, Reload, Write};
use crate::twins::{Twins, has_keepalived};
use crate::uml;

/// Checks follow one another quickly, and the first one comes at once.
const QUICK: &str =
    "delay_loop 0.2\n warmup 0\n retry 1\n delay_before_retry 0.1\n connect_timeout 0.5\n";

const WEB: &str = "10.0.0.100 80";

/// A virtual server with address translation and these lines.
fn service(name: &str, lines: &str) -> String {
    format!(
        "virtual_server {name} {{\n lvs_sched wlc\n lvs_method NAT\n protocol TCP\n {QUICK} {lines}\n}}\n"
    )
}

/// A real server with these lines and a check of its port.
fn server(number: u8, lines: &str) -> String {
    format!("real_server 10.1.0.{number} 80 {{\n {lines}\n TCP_CHECK {{\n }}\n }}\n ")
}

fn servers(numbers: &[u8]) -> String {
    numbers.iter().map(|number| server(*number, "")).collect()
}

/// Tells a story to both, and holds their tables against each other after each act. All acts change them but the `idle` ones.
fn alike(configuration: &str, acts: &[Act], idle: &[usize]) {
    uml::inside_for(Duration::from_secs(240), || {
        if !has_keepalived() {
            return;
        }
        let mut twins = Twins::new();
        twins.start(configuration);
        println!("{}", twins.table().join("\n"));
        for (place, act) in acts.iter().enumerate() {
            twins.act(act, !idle.contains(&place));
        }
        twins.stop();
    });
}

#[test]
fn servers_fail_and_come_back() {
    let lines = server(1, "weight 3") + &servers(&[2, 3]);
    let acts = [
        Close(1),
        Close(2),
        Open(1),
        Close(3),
        Close(1),
        Open(2),
        Open(3),
        Open(1),
    ];
    alike(&service(WEB, &lines), &acts, &[]);
}

#[test]
fn a_failed_server_is_inhibited() {
    let one = server(1, "weight 3\n inhibit_on_failure") + &server(2, "");
    let all = format!("inhibit_on_failure\n {}", server(1, "weight 4"));
    let configuration = service(WEB, &one) + &service("10.0.0.101 80", &all);
    alike(&configuration, &[Close(1), Close(2), Open(1), Open(2)], &[]);
}

#[test]
fn a_quorum_has_hysteresis_and_a_sorry_server() {
    let weights = [(1, 4), (2, 3), (3, 2)];
    let all: String = weights
        .iter()
        .map(|(n, w)| server(*n, &format!("weight {w}")))
        .collect();
    let lines = format!("quorum 5\n hysteresis 2\n sorry_server 10.1.0.9 80\n {all}");
    let acts = [
        Close(1),
        Close(2),
        Close(3),
        Open(2),
        Open(3),
        Open(1),
        Close(2),
        Open(2),
        Close(3),
        Close(2),
        Close(1),
        Open(1),
        Open(3),
        Open(2),
    ];
    alike(&service(WEB, &lines), &acts, &[2, 3, 4, 11, 12]);
}

#[test]
fn a_sorry_server_takes_over_from_inhibited_servers() {
    let inhibited = format!(
        "sorry_server 10.1.0.9 80\n sorry_server_inhibit\n inhibit_on_failure\n {}",
        servers(&[1, 2])
    );
    let sorry = format!(
        "sorry_server 10.1.0.9 8080\n sorry_server_lvs_method DR\n {}",
        servers(&[1, 2])
    );
    let configuration = service(WEB, &inhibited) + &service("10.0.0.101 80", &sorry);
    alike(
        &configuration,
        &[Close(1), Close(2), Open(2), Close(2), Open(1), Open(2)],
        &[],
    );
}

#[test]
fn alpha_servers_wait_for_their_first_success() {
    let lines = format!(
        "alpha\n sorry_server 10.1.0.9 80\n quorum 2\n {}",
        servers(&[1, 2, 3])
    );
    alike(
        &service(WEB, &lines),
        &[Close(1), Close(2), Close(3), Open(1), Open(2)],
        &[2, 3],
    );
}

/// A real server whose check is the exit status that file `@a` says.
fn commanded(number: u8, lines: &str) -> String {
    format!(
        "real_server 10.1.0.{number} 80 {{\n weight 10\n delay_loop 0.5\n MISC_CHECK {{\n misc_timeout 10\n misc_path \"/bin/sh -c 'exit $(cat @a)'\"\n \
         {lines}\n }}\n }}\n "
    )
}

#[test]
fn a_command_gives_the_weight() {
    let lines = commanded(1, "misc_dynamic") + &commanded(2, "") + &server(3, "");
    let acts = [
        Write("a", 2),
        Write("a", 50),
        Write("a", 255),
        Write("a", 1),
        Write("a", 12),
        Write("a", 0),
        Write("a", 12),
    ];
    alike(&service(WEB, &lines), &acts, &[]);
}

#[test]
fn a_file_gives_the_weight() {
    let files = "track_file F {\n file @a\n weight 1\n}\n";
    let filed = |number: u8, line: &str| {
        format!(
            "real_server 10.1.0.{number} 80 {{\n weight 10\n FILE_CHECK {{\n track_file F\n {line}\n }}\n }}\n "
        )
    };
    let lines =
        filed(1, "weight 2") + &filed(2, "") + &filed(3, "weight 1 reverse") + &server(4, "");
    let acts = [
        Write("a", 5),
        Write("a", -3),
        Write("a", -300),
        Write("a", 300),
        Write("a", 0),
    ];
    alike(&(files.to_owned() + &service(WEB, &lines)), &acts, &[]);
}

#[test]
fn every_way_to_name_a_virtual_server() {
    let group = |name: &str, lines: &str| format!("virtual_server_group {name} {{\n {lines}\n}}\n");
    let of_mark = format!(
        "virtual_server fwmark 7 {{\n lvs_sched rr\n lvs_method DR\n {QUICK} {}\n}}\n",
        servers(&[1])
    );
    let v6 = "virtual_server fd00::1 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n real_server fd01::1 8080 {\n \
              weight 2\n }\n}\n";
    let configuration = [
        group("LIST", "10.0.1.1 80\n 10.0.1.5-7 8080\n 10.0.2.0/30 80\n fwmark 9"),
        group("SIX", "fd00::5 80\n fd00::10-12 80"),
        service("group LIST", &servers(&[1, 2])),
        "virtual_server group SIX {\n lvs_sched rr\n lvs_method NAT\n protocol UDP\n real_server fd01::1 80 {\n }\n}\n"
            .to_owned(),
        of_mark,
        v6.to_owned(),
    ];
    alike(&configuration.concat(), &[Close(1), Open(1)], &[]);
}

#[test]
fn every_setting_of_the_kernel() {
    let with = |number: u8, lines: &str| {
        format!(
            "virtual_server 10.0.0.{number} 80 {{\n {lines}\n real_server 10.1.0.1 8080 {{\n weight 7\n uthreshold 100\n \
             lthreshold 50\n }}\n}}\n"
        )
    };
    let settings = [
        "protocol TCP\n lvs_sched sh\n sh-port\n sh-fallback\n lvs_method NAT",
        "protocol TCP\n lvs_sched mh\n mh-port\n mh-fallback\n lvs_method DR",
        "protocol UDP\n lvs_sched rr\n ops\n lvs_method NAT",
        "protocol TCP\n lvs_sched wrr\n lvs_method TUN\n persistence_timeout 50",
        "protocol TCP\n lvs_sched wrr\n lvs_method NAT\n persistence_timeout\n persistence_granularity 255.255.255.0",
        "protocol TCP\n lvs_sched lblc\n lvs_method TUN type gue port 6080 csum",
        "protocol TCP\n lvs_sched lblcr\n lvs_method TUN type gre",
        "protocol TCP\n lvs_sched dh\n lvs_method TUN type gue port 6080 remcsum",
        "protocol TCP\n lvs_sched sed\n flag-1\n flag-3\n lvs_method NAT",
        "protocol TCP\n lvs_sched nq\n hashed\n lvs_method NAT",
        "protocol UDP\n lvs_sched fo\n lvs_method NAT\n persistence_engine sip\n persistence_timeout 30",
        "protocol TCP\n lvs_sched ovf\n lvs_method NAT\n weight 3",
        "protocol SCTP\n lvs_sched lc\n lvs_method NAT",
    ];
    let configuration: String = (1..)
        .zip(settings)
        .map(|(n, lines)| with(n, lines))
        .collect();
    alike(
        &configuration,
        &[Reload(with(1, settings[1]) + &with(2, settings[0]))],
        &[],
    );
}

#[test]
fn a_reload_changes_what_has_changed() {
    let web = |lines: &str| service(WEB, lines);
    let two = servers(&[1, 2]);
    let acts = [
        // A weight, another server, one less, another method, another scheduler, another service, a failed server meanwhile.
        Reload(web(&(server(1, "weight 5") + &server(2, "")))),
        Reload(web(&(server(1, "weight 5") + &servers(&[2, 3])))),
        Reload(web(&servers(&[2, 3]))),
        Reload(web(&(servers(&[2]) + &server(3, "lvs_method DR")))),
        Reload(web(&two).replace("wlc", "rr")),
        Close(1),
        Reload(web(&servers(&[1, 2, 3])).replace("wlc", "rr")),
        Reload(web(&two) + &service("10.0.0.101 80", &two)),
        Open(1),
        Reload(service("10.0.0.101 80", &two)),
        Close(2),
        Reload(service(
            "10.0.0.101 80",
            &format!("inhibit_on_failure\n {two}"),
        )),
        Open(2),
    ];
    alike(&web(&two), &acts, &[]);
}

/// Numbers that look thrown and are the same each time.
struct Dice(u64);

impl Dice {
    /// 0 to below `sides`.
    fn throw(&mut self, sides: u64) -> u64 {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.throw(sides) == 0
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.throw(all.len() as u64)).unwrap()]
    }

    fn number(&mut self, sides: u64) -> u8 {
        u8::try_from(self.throw(sides)).unwrap()
    }

    /// A virtual server that keepalived takes without a complaint, with whatever lines.
    fn service(&mut self, number: u8) -> String {
        let mut lines = String::new();
        let mut line = |text: String| lines += &format!(" {text}\n");
        line(format!(
            "lvs_sched {}",
            self.of(&["rr", "wrr", "wlc", "sh", "sed"])
        ));
        line(format!(
            "lvs_method {}",
            self.of(&["NAT", "NAT", "DR", "TUN"])
        ));
        line("protocol TCP".to_owned());
        line(QUICK.to_owned());
        for flag in ["inhibit_on_failure", "alpha", "persistence_timeout 60"] {
            if self.one_in(3) {
                line(flag.to_owned());
            }
        }
        if self.one_in(2) {
            line("sorry_server 10.1.0.9 80".to_owned());
            if self.one_in(3) {
                line("sorry_server_inhibit".to_owned());
            }
        }
        let quorum = 1 + self.throw(4);
        line(format!("quorum {quorum}"));
        if quorum > 1 && self.one_in(2) {
            line("hysteresis 1".to_owned());
        }
        let count = 2 + self.number(2);
        for real in 1..=count {
            let weight = self.throw(4);
            let inhibit = if self.one_in(4) {
                "inhibit_on_failure"
            } else {
                ""
            };
            line(server(real, &format!("weight {weight}\n {inhibit}")));
        }
        format!("virtual_server 10.0.0.{number} 80 {{\n{lines}}}\n")
    }

    /// Some servers come and go, or another configuration comes: once all are there, since keepalived leaves those in its table
    /// that were down and are in services with new settings.
    fn acts(&mut self, services: &mut [String], open: &mut [bool; 4]) -> Vec<Act> {
        if self.one_in(4) {
            let which = usize::from(self.number(services.len() as u64));
            services[which] = self.service(u8::try_from(which).unwrap());
            let closed =
                (1..4).filter(|real| !core::mem::replace(&mut open[usize::from(*real)], true));
            let mut acts: Vec<_> = closed.map(Open).collect();
            acts.push(Reload(services.concat()));
            return acts;
        }
        let real = 1 + self.number(3);
        let is_open = &mut open[usize::from(real)];
        *is_open = !*is_open;
        vec![if *is_open { Open(real) } else { Close(real) }]
    }
}

fn whatever(seeds: std::ops::Range<u64>) {
    uml::inside_for(Duration::from_secs(400), || {
        if !has_keepalived() {
            return;
        }
        for seed in seeds {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed << 32 | seed));
            // The first ones are much alike.
            (0..8).for_each(|_| {
                dice.throw(2);
            });
            let mut services: Vec<_> = (0..3).map(|number| dice.service(number)).collect();
            println!("seed {seed}\n{}", services.concat());
            let mut twins = Twins::new();
            twins.start(&services.concat());
            let mut open = [true; 4];
            for _ in 0..10 {
                for act in dice.acts(&mut services, &mut open) {
                    println!("{act:?}");
                    twins.act(&act, false);
                }
            }
            assert!(twins.changes > 0, "nothing ever happened");
            twins.stop();
        }
    });
}

#[test]
fn whatever_the_configuration_and_whatever_happens() {
    whatever(0..3);
}

#[test]
fn whatever_else_the_configuration_and_whatever_happens() {
    whatever(3..6);
}
