//! A director between a client and its real servers: the client's requests go to those that are well, by every method, while
//! servers slow down, answer with errors, die, and come back; and a connection that lasts is left alone by all of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::lab::{Daemon, Host, Lab, Program};
use crate::serving::{Call, Echo, Manner, Method, Web, eventually, fetch};
use crate::uml;

const VIP: &str = "192.168.0.100";

/// A client, a director, and two real servers that are ready for a method.
struct Stage {
    lab: Lab,
    method: Method,
}

impl Stage {
    fn new(method: Method) -> Self {
        let servers = [1, 2].map(|number| format!("{}/24", method.address(number)));
        let lab = Lab::new(&[
            ("director", &["192.168.0.1/24", "10.0.0.2/24"]),
            ("client", &["192.168.0.9/24"]),
            ("server-1", &[&servers[0]]),
            ("server-2", &[&servers[1]]),
        ])
        .unwrap();
        let stage = Self { lab, method };
        method.prepare_director(stage.lab.host("director"));
        for name in ["server-1", "server-2"] {
            method.prepare_server(stage.host(name), VIP);
        }
        stage
    }

    fn host(&self, name: &str) -> &Host {
        self.lab.host(name)
    }

    /// Both real servers with these lines, and a page that is asked for.
    fn configuration(&self, port: u16, lines: &str) -> String {
        let real = |number| {
            format!(
                "real_server {} {port} {{\n {lines}\n HTTP_GET {{\n connect_port 80\n url {{\n path /\n status_code 200\n }}\n }}\n }}\n",
                self.method.address(number)
            )
        };
        format!(
            "virtual_server {VIP} {port} {{\n lvs_sched rr\n lvs_method {}\n protocol TCP\n delay_loop 0.2\n warmup 0\n retry 1\n \
             delay_before_retry 0.1\n connect_timeout 0.4\n {}{}}}\n",
            self.method.word(),
            real(1),
            real(2)
        )
    }

    fn direct(&self, configuration: &str) -> Daemon {
        let router = format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 51\n priority 200\n version 3\n advert_int 0.1\n \
             virtual_ipaddress {{\n {}\n }}\n}}\n",
            self.method.virtual_addresses(VIP)
        );
        self.host("director")
            .daemon(Program::Keepalite, &(router + configuration))
    }

    /// Waits until the client's requests go to these servers and to no other, all of them answered well.
    fn served_by(&self, names: &[&str]) {
        let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        eventually(&format!("served by {names:?}"), || {
            let answers: Option<BTreeSet<String>> = (0..6)
                .map(|_| match fetch(self.host("client"), VIP) {
                    Ok((200, name)) => Some(name),
                    _ => None,
                })
                .collect();
            (answers? == wanted).then_some(())
        });
    }
}

/// Servers slow down, answer with errors, die and come back, one after the other.
fn requests_go_to_those_who_are_well(method: Method) {
    uml::inside(|| {
        let stage = Stage::new(method);
        let mut webs = ["server-1", "server-2"].map(|name| Some(Web::start(stage.host(name))));
        let _echoes = ["server-1", "server-2"].map(|name| Echo::start(stage.host(name), 7));
        let both = stage.configuration(80, "") + &stage.configuration(7, "");
        let _daemon = stage.direct(&both);
        stage.served_by(&["server-1", "server-2"]);
        let mut call = Call::new(stage.host("client"), VIP, 7).expect("a call");
        let partner = call.say("hello").expect("an answer");
        for (place, (ill, well)) in [("server-1", "server-2"), ("server-2", "server-1")]
            .into_iter()
            .enumerate()
        {
            let web = webs[place].as_ref().expect("it serves");
            web.answer(Manner::Slow(Duration::from_secs(1)));
            stage.served_by(&[well]);
            web.answer(Manner::Status(200));
            stage.served_by(&["server-1", "server-2"]);
            web.answer(Manner::Status(500));
            stage.served_by(&[well]);
            web.answer(Manner::Status(200));
            stage.served_by(&["server-1", "server-2"]);
            webs[place] = None;
            stage.served_by(&[well]);
            webs[place] = Some(Web::start(stage.host(ill)));
            stage.served_by(&["server-1", "server-2"]);
        }
        assert_eq!(call.say("still there?").expect("an answer"), partner);
    });
}

#[test]
fn by_address_translation_requests_go_to_those_who_are_well() {
    requests_go_to_those_who_are_well(Method::Nat);
}

#[test]
fn by_direct_routing_requests_go_to_those_who_are_well() {
    requests_go_to_those_who_are_well(Method::Direct);
}

#[test]
fn by_tunnel_requests_go_to_those_who_are_well() {
    requests_go_to_those_who_are_well(Method::Tunnel);
}

#[test]
fn a_reload_that_changes_one_server_leaves_the_connections_of_all_alone() {
    uml::inside(|| {
        let stage = Stage::new(Method::Nat);
        let _webs = ["server-1", "server-2"].map(|name| Web::start(stage.host(name)));
        let _echoes = ["server-1", "server-2"].map(|name| Echo::start(stage.host(name), 7));
        let before = stage.configuration(7, "");
        let daemon = stage.direct(&before);
        let client = stage.host("client");
        let mut calls: Vec<_> = eventually("two calls", || {
            (0..2).map(|_| Call::new(client, VIP, 7).ok()).collect()
        });
        let mut say = |line: &str| -> Vec<String> {
            calls
                .iter_mut()
                .map(|call| call.say(line).expect("an answer"))
                .collect()
        };
        let partners = say("hello");
        let director = stage.host("director");
        let whole = std::fs::read_to_string(daemon.directory.join("keepalived.conf")).unwrap();
        let after = whole.replacen(" 7 {\n \n", " 7 {\n weight 5\n", 1);
        assert_ne!(whole, after);
        daemon.reload(&after);
        eventually("another weight", || {
            director.run("ipvsadm -Sn").contains("-w 5").then_some(())
        });
        assert_eq!(say("still there?"), partners);
    });
}

/// Established connections to a real server, as `ipvsadm -Ln` has them.
fn established(director: &Host, server: &str) -> String {
    let table = director.run("ipvsadm -Ln");
    let words = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = words.filter(|words| words.get(1).is_some_and(|at| *at == format!("{server}:7")));
    let mut active = row.filter_map(|words| Some((*words.get(4)?).to_owned()));
    active
        .next()
        .unwrap_or_else(|| panic!("{server} is not in\n{table}"))
}

#[test]
fn an_operator_sees_the_connections_that_the_kernel_has() {
    uml::inside(|| {
        let stage = Stage::new(Method::Nat);
        let _webs = ["server-1", "server-2"].map(|name| Web::start(stage.host(name)));
        let _echoes = ["server-1", "server-2"].map(|name| Echo::start(stage.host(name), 7));
        let daemon = stage.direct(&stage.configuration(7, ""));
        let director = stage.host("director");
        let file = |name: &str| daemon.directory.join(name).display().to_string();
        let asked = format!(
            "{} -f {} -p {} status {VIP}:7",
            Program::Keepalite.path().display(),
            file("keepalived.conf"),
            file("parent.pid")
        );
        let servers = [1, 2].map(|number| stage.method.address(number));
        let seen = |counts: [&str; 2]| {
            servers.iter().zip(counts).for_each(|(server, count)| {
                assert_eq!(established(director, server), count, "{server}");
            });
            let screen = director.run(&asked);
            let json = director.run(&format!("{asked} --json"));
            for (server, count) in servers.iter().zip(counts) {
                let row = screen
                    .lines()
                    .find(|line| line.contains(&format!("{server}:7")));
                let active = row.and_then(|row| row.split_whitespace().nth(5));
                assert_eq!(active, Some(count), "{server} in\n{screen}");
                let number = format!("\"active_connections\":{count},");
                assert!(json.contains(&number), "{number} is not in\n{json}");
            }
        };
        let client = stage.host("client");
        let mut calls = vec![eventually("a call", || Call::new(client, VIP, 7).ok())];
        calls.extend((0..2).map(|_| Call::new(client, VIP, 7).expect("another call")));
        let partners: Vec<_> = calls
            .iter_mut()
            .map(|call| call.say("hello").expect("an answer"))
            .collect();
        let of = |name: &str| {
            partners
                .iter()
                .filter(|partner| *partner == name)
                .count()
                .to_string()
        };
        let (first, second) = (of("server-1"), of("server-2"));
        assert_ne!(first, second, "three calls to two servers");
        seen([&first, &second]);
        drop(calls);
        eventually("the end of all calls", || {
            let over = |server: &String| established(director, server) == "0";
            servers.iter().all(over).then_some(())
        });
        seen(["0", "0"]);
    });
}

#[test]
fn nginx_is_checked_and_served_from() {
    uml::inside(|| {
        if !Path::new("/usr/sbin/nginx").exists() {
            let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
            assert!(!required, "nginx is not installed, but NETNS=require");
            println!("SKIPPED nginx_is_checked_and_served_from: nginx is not installed");
            return;
        }
        let stage = Stage::new(Method::Nat);
        let start = |name: &str| {
            let directory = stage.lab.scratch().join(name);
            std::fs::create_dir_all(&directory).unwrap();
            let configuration = format!(
                "daemon off; master_process off; pid {0}/pid; error_log {0}/error;\nevents {{ }}\nhttp {{ access_log off; \
                 client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0}; \
                 scgi_temp_path {0}; server {{ listen 80; location / {{ return 200 {name}; }} }} }}\n",
                directory.display()
            );
            let file = directory.join("nginx.conf");
            std::fs::write(&file, configuration).unwrap();
            let file = file.display().to_string();
            let error = format!("{}/error", directory.display());
            stage
                .host(name)
                .start("/usr/sbin/nginx", &["-c", &file, "-e", &error], &[])
                .expect("nginx")
        };
        let mut first = start("server-1");
        let _second = start("server-2");
        let _daemon = stage.direct(&stage.configuration(80, ""));
        stage.served_by(&["server-1", "server-2"]);
        first.kill_tree();
        stage.served_by(&["server-2"]);
        let _first = start("server-1");
        stage.served_by(&["server-1", "server-2"]);
    });
}
