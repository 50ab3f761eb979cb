//! Each of `config-examples/` does what it is there for: it is read without a warning, by keepalived too, and runs as a pair, of
//! which the right router serves and the other one takes over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::{Capture, Daemon, Host, Lab, Program, SOON, Seen, Watch, with_namespaces};

/// An example and the pair that runs it.
struct Example {
    /// Below `config-examples/`: the file of the first router, and of the second; of the same name if they share it.
    files: [&'static str; 2],
    /// Interfaces and their networks of 24 bits, in which the routers are .2 and .3.
    links: &'static [(&'static str, &'static str)],
    /// Virtual addresses that the first router serves while both live, and that the second one does.
    served: [&'static [&'static str]; 2],
    /// Does the first one take over again when it comes back?
    preempts: bool,
}

const PAIR: Example = Example {
    files: ["", ""],
    links: &[("eth0", "192.168.1.")],
    served: [&["192.168.1.1"], &[]],
    preempts: true,
};

/// Each example becomes a test of its own, and the list is complete.
macro_rules! examples {
    ($($name:ident: $example:expr;)*) => {
        const ALL: &[Example] = &[$($example),*];
        $(
            #[test]
            fn $name() {
                runs(&$example);
            }
        )*
    };
}

examples! {
    the_least_makes_a_redundant_gateway: Example {
        files: ["minimal.conf"; 2],
        ..PAIR
    };
    a_pair_fails_over: Example {
        files: ["failover/router-a.conf", "failover/router-b.conf"],
        ..PAIR
    };
    a_home_has_two_ways_out: Example {
        files: ["home-gateway/router-a.conf", "home-gateway/router-b.conf"],
        links: &[("br-lan", "192.168.1."), ("wan", "203.0.113.")],
        ..PAIR
    };
    two_routers_share_the_load: Example {
        files: ["load-sharing/router-a.conf", "load-sharing/router-b.conf"],
        served: [&["192.168.1.1"], &["192.168.1.254"]],
        ..PAIR
    };
    a_virtual_mac_serves_both_families: Example {
        files: ["virtual-mac/router-a.conf", "virtual-mac/router-b.conf"],
        served: [&["192.168.1.1", "fe80::1", "2001:db8:1::1"], &[]],
        ..PAIR
    };
    ipv6_has_its_gateway_and_the_other_family_goes_with_it: Example {
        files: ["ipv6/router-a.conf", "ipv6/router-b.conf"],
        served: [&["192.168.1.1", "fe80::1", "2001:db8:1::1"], &[]],
        ..PAIR
    };
    a_cloud_is_told_to_move_the_address: Example {
        files: ["unicast-cloud/router-a.conf", "unicast-cloud/router-b.conf"],
        links: &[("eth0", "10.0.0.")],
        served: [&["10.0.0.100"], &[]],
        ..PAIR
    };
    both_sides_of_a_gateway_go_together: Example {
        files: ["sync-group/router-a.conf", "sync-group/router-b.conf"],
        links: &[("eth0", "203.0.113."), ("eth1", "192.168.1.")],
        served: [&["203.0.113.1", "192.168.1.1"], &[]],
        ..PAIR
    };
    who_serves_goes_on_serving_without_preemption: Example {
        files: ["no-preemption/router-a.conf", "no-preemption/router-b.conf"],
        preempts: false,
        ..PAIR
    };
    adverts_are_authenticated: Example {
        files: ["authentication/router-a.conf", "authentication/router-b.conf"],
        served: [&["192.168.1.1", "192.168.2.1"], &[]],
        ..PAIR
    };
    a_router_gives_way_when_its_service_fails: Example {
        files: ["tracking/service.conf"; 2],
        links: &[("eth0", "10.0.0.")],
        served: [&["10.0.0.1"], &[]],
        ..PAIR
    };
    a_router_is_better_while_a_program_runs: Example {
        files: ["tracking/process.conf"; 2],
        links: &[("eth0", "10.0.0.")],
        served: [&["10.0.0.1"], &[]],
        ..PAIR
    };
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples");
const ROUTERS: [&str; 2] = ["router-a", "router-b"];
/// Bound on an election of a second's interval on a busy machine.
const ELECTION: Duration = Duration::from_secs(15);

/// Files of `config-examples/`, two levels deep.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let each = entries.map(|entry| entry.unwrap().path());
    each.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    })
    .collect()
}

#[test]
fn no_example_is_left_out() {
    for path in files(Path::new(EXAMPLES)) {
        let name = path.strip_prefix(EXAMPLES).unwrap();
        // Uplinks of one router, not a pair: the tests of routes run it. Virtual servers need a kernel with IPVS.
        let first = name.iter().next().unwrap().to_string_lossy();
        let elsewhere = first == "routes" || first.starts_with("lvs-");
        let elsewhere = elsewhere || name.extension() != Some("conf".as_ref());
        let known = ALL
            .iter()
            .any(|e| e.files.iter().any(|f| name == Path::new(f)));
        assert!(known || elsewhere, "{} is tested by nobody", name.display());
    }
}

/// The pair in its namespaces.
struct Pair<'a> {
    example: &'a Example,
    lab: Lab,
    capture: Capture,
}

impl<'a> Pair<'a> {
    fn new(example: &'a Example) -> Self {
        let own = |host: u8| -> Vec<String> {
            let on_eth0 = example.links.iter().filter(|(name, _)| *name == "eth0");
            on_eth0.map(|(_, net)| format!("{net}{host}/24")).collect()
        };
        let addresses = [own(2), own(3)];
        let [a, b] = addresses
            .each_ref()
            .map(|own| -> Vec<&str> { own.iter().map(String::as_str).collect() });
        let lab = Lab::new(&[(ROUTERS[0], &a), (ROUTERS[1], &b)]).unwrap();
        for (number, router) in (2..).zip(&lab.hosts) {
            router.wait_for_link_local();
            // The others share its cable.
            for (name, net) in example.links {
                if *name != "eth0" {
                    router.run(&format!(
                        "ip link add link eth0 name {name} type macvlan mode bridge"
                    ));
                    router.run(&format!("ip link set {name} up"));
                    router.run(&format!("ip addr add {net}{number}/24 dev {name}"));
                }
            }
        }
        let capture = lab.capture().unwrap();
        Self {
            example,
            lab,
            capture,
        }
    }

    fn host(&self, router: usize) -> &Host {
        self.lab.host(ROUTERS[router])
    }

    /// The text for a router. What it names of the machine is here in the directory of the lab; where both share a file, the second
    /// one has a priority that is less by 50, as the comments say.
    fn text(&self, router: usize) -> String {
        let files = self.example.files;
        let mut text = fs::read_to_string(Path::new(EXAMPLES).join(files[router])).unwrap();
        if router == 1 && files[0] == files[1] {
            text = text
                .replace("priority 150", "priority 100")
                .replace("priority 100", "priority 50");
        }
        let here = self.lab.scratch().display().to_string();
        text.replace("/run/", &format!("{here}/"))
            .replace("/etc/keepalived/", &format!("{here}/{router}-"))
    }

    /// Puts the scripts that come with an example where its text has them.
    fn place_scripts(&self) {
        let directory = Path::new(EXAMPLES).join(self.example.files[0]);
        let scripts = files(directory.parent().unwrap());
        for script in scripts
            .iter()
            .filter(|path| path.extension() == Some("sh".as_ref()))
        {
            for router in 0..2 {
                let name = script.file_name().unwrap().to_string_lossy();
                let place = self.lab.scratch().join(format!("{router}-{name}"));
                let told = self.told(router).display().to_string();
                let text = fs::read_to_string(script)
                    .unwrap()
                    .replace("/tmp/move-address", &told);
                fs::write(&place, text).unwrap();
                fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    /// What the script of a router has told.
    fn told(&self, router: usize) -> PathBuf {
        self.lab.scratch().join(format!("told-{router}"))
    }

    /// A program reads the text of a router and has nothing to say against it.
    fn is_accepted_by(&self, program: Program, router: usize) {
        let file = self.lab.scratch().join(format!("{router}.conf"));
        fs::write(&file, self.text(router)).unwrap();
        let arguments = ["-t", "-l", "-f", &file.to_string_lossy()];
        let mut checked = self
            .host(router)
            .start(program.path(), &arguments, &[])
            .unwrap();
        let status = checked.wait(SOON).unwrap();
        let said = checked.output();
        assert!(
            status.success(),
            "{program:?}, {}: {said}",
            self.example.files[router]
        );
        assert!(
            !said.contains("warning"),
            "{program:?}, {}: {said}",
            self.example.files[router]
        );
    }

    fn start(&self, router: usize) -> Daemon {
        self.host(router)
            .daemon(Program::Keepalite, &self.text(router))
    }

    /// Waits until the router has these addresses and the other one, if it lives, has not.
    fn serves(&self, router: usize, served: &[&str], other: bool) {
        for address in served {
            let ip: IpAddr = address.parse().unwrap();
            for (router, wanted) in [(router, true), (1 - router, false)] {
                if !wanted && !other {
                    continue;
                }
                let host = self.host(router);
                let there = || (host.has(ip) == wanted).then_some(());
                host.wait(ELECTION, there)
                    .unwrap_or_else(|| panic!("{}: having {address} is never {wanted}", host.name));
            }
        }
    }
}

fn runs(example: &Example) {
    with_namespaces(|| {
        let pair = Pair::new(example);
        pair.place_scripts();
        let is_installed = Program::Keepalived.path().exists();
        if !is_installed {
            let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
            assert!(!required, "keepalived is not installed, but NETNS=require");
            // Not through the harness, which would swallow it.
            let words = "SKIPPED: keepalived is not installed and reads no example";
            let _ = writeln!(std::io::stderr(), "{words}");
        }
        for router in 0..2 {
            pair.is_accepted_by(Program::Keepalite, router);
            if is_installed {
                pair.is_accepted_by(Program::Keepalived, router);
            }
        }
        let [first, second] = example.served;
        let mut a = pair.start(0);
        pair.serves(0, first, false);
        let b = pair.start(1);
        pair.serves(0, first, true);
        pair.serves(1, second, true);

        // Its addresses go with it: a crashed machine answers nobody.
        a.process.kill_tree();
        pair.host(0).isolate(true).unwrap();
        pair.serves(1, first, false);
        pair.serves(1, second, false);

        let directory = a.directory.clone();
        let text = pair.text(0);
        let from = pair.capture.len();
        let a = Daemon::start_in(pair.host(0), directory, Program::Keepalite, &text).unwrap();
        pair.host(0).isolate(false).unwrap();
        if example.preempts {
            pair.serves(0, first, true);
            pair.serves(1, second, true);
        } else {
            pair.serves(1, first, true);
            let again =
                |f: &lab::Frame| f.from == ROUTERS[1] && matches!(f.seen, Seen::Advert { .. });
            for _ in 0..2 {
                let from = pair.capture.len().max(from);
                assert!(pair.capture.wait_for(from, ELECTION, again).is_some());
            }
        }
        let calls = example.files[0].contains("cloud");
        let watch = Watch::new(pair.lab.scratch()).unwrap();
        for (router, daemon) in [a, b].iter().enumerate() {
            // The script of who has just become master may still be starting.
            let told = || (!calls || pair.told(router).exists()).then_some(());
            let told = watch.wait(SOON, told);
            let said = daemon.process.output();
            assert!(!said.contains("conf:"), "{said}");
            assert!(told.is_some(), "{said}");
        }
    });
}
