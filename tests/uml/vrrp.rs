//! Virtual routers on kernels that lack something, or have what the running one has not: VRF, MPLS, a clock that a test may set.

use crate::uml;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No election takes as long, even in a kernel that is a process among others.
const SOON: Duration = Duration::from_secs(20);

/// What a program says; it has to succeed.
fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.unwrap_or_else(|e| panic!("{line}: {e}"));
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {failed}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A cable whose one end is `eth0`.
fn cable() {
    run("ip link add eth0 type veth peer name far");
    run("ip link set far up");
    run("ip link set eth0 up");
    run("ip addr add 10.0.0.1/24 dev eth0");
}

/// From now on the kernel gets no more modules: what is not there stays away.
fn without_more_modules() {
    fs::write("/proc/sys/kernel/modprobe", "/bin/false").expect("a setting");
}

fn has_module(name: &str) -> bool {
    Path::new("/sys/module").join(name).exists()
}

/// A daemon in the kernel's first namespace, which is all its own.
struct Router {
    process: Child,
    said: PathBuf,
}

impl Router {
    fn start(configuration: &str) -> Self {
        Self::start_as("router", configuration)
    }

    /// One of several at the same time.
    fn start_as(name: &str, configuration: &str) -> Self {
        let [file, said, pid, vrrp_pid] = ["conf", "said", "pid", "vrrp"]
            .map(|what| std::env::temp_dir().join(format!("{name}.{what}")));
        fs::write(&file, configuration).unwrap();
        let log = File::create(&said).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_keepalite"))
            .args(["-n", "-l", "-D", "-G", "-P"])
            .args([Path::new("-p"), &pid, Path::new("-r"), &vrrp_pid])
            .args([Path::new("-f"), &file])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Asks again and again until it is so.
    fn wait(&self, what: &str, mut so: impl FnMut() -> bool) {
        let end = Instant::now() + SOON;
        while !so() {
            assert!(
                Instant::now() < end,
                "never {what}; it said:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for_words(&self, words: &str) {
        self.wait(&format!("{words:?}"), || self.said().contains(words));
    }

    /// Asks it to end, and waits until it has.
    fn stop(mut self) -> String {
        run(&format!("kill -TERM {}", self.process.id()));
        assert!(self.process.wait().unwrap().success());
        self.said()
    }
}

fn instance(name: &str, vrid: u8, address: &str, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n version 3\n advert_int 0.2\n {more}\n \
         virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}

/// The interface that an address is on.
fn place(address: &str) -> Option<String> {
    let all = run(&format!("ip -o addr show to {address}"));
    all.split_whitespace().nth(1).map(str::to_owned)
}

#[test]
fn without_macvlan_and_nf_tables_the_reason_is_said_and_the_addresses_fail_over() {
    uml::inside(|| {
        cable();
        run("ip -6 addr show");
        without_more_modules();
        let text = instance("MAC", 1, "10.0.0.100/24", "use_vmac")
            + &instance("FILTER", 2, "10.0.0.101/24", "no_accept");
        let router = Router::start(&text);
        for address in ["10.0.0.100", "10.0.0.101"] {
            router.wait("master", || place(address).as_deref() == Some("eth0"));
        }
        router.wait_for_words("the kernel has no macvlan");
        router.wait_for_words("nf_tables");
        let said = router.stop();
        assert_eq!(said.matches("has no macvlan").count(), 1, "{said}");
        assert_eq!(said.matches("kmod-nft").count(), 1, "{said}");
        for address in ["10.0.0.100", "10.0.0.101"] {
            assert_eq!(place(address), None);
        }
    });
}

#[test]
fn without_ipv6_an_ipv4_router_has_its_virtual_mac() {
    uml::inside(|| {
        cable();
        run("ip link add try link eth0 type macvlan");
        run("ip link del try");
        without_more_modules();
        assert!(!has_module("ipv6"), "it is there already");
        let router = Router::start(&instance("A", 1, "10.0.0.100/24", "use_vmac\n no_accept"));
        router.wait("master", || {
            place("10.0.0.100").as_deref() == Some("vrrp.1")
        });
        assert!(run("ip link show vrrp.1").contains("00:00:5e:00:01:01"));
        assert!(!has_module("ipv6"), "somebody has loaded it");
        router.stop();
        assert_eq!(place("10.0.0.100"), None);
    });
}

#[test]
fn in_a_vrf_a_router_runs_with_and_without_a_virtual_mac_and_its_routes_are_in_the_table_of_the_vrf()
 {
    uml::inside(|| {
        run("ip link add blue type vrf table 10");
        run("ip link set blue up");
        run("ip link add eth0 type veth peer name far");
        run("ip link set eth0 master blue");
        run("ip link set far up");
        run("ip link set eth0 up");
        run("ip addr add 10.0.0.1/24 dev eth0");
        let routes = "virtual_routes {\n 198.51.100.0/24 via 10.0.0.9 vrf blue\n }";
        let text = instance("A", 1, "10.0.0.100/24", routes)
            + &instance("B", 2, "10.0.0.101/24", "use_vmac");
        let router = Router::start(&text);
        router.wait("master", || place("10.0.0.100").as_deref() == Some("eth0"));
        router.wait("master", || {
            place("10.0.0.101").as_deref() == Some("vrrp.2")
        });
        assert!(run("ip link show vrrp.2").contains("master blue"));
        router.wait("routed", || {
            run("ip route show table 10").contains("198.51.100.0/24 via 10.0.0.9")
        });
        let said = router.stop();
        assert!(
            !run("ip route show table 10").contains("198.51.100.0"),
            "{said}"
        );
        assert!(!said.contains("cannot"), "{said}");
    });
}

#[test]
fn a_clock_that_is_set_to_and_fro_moves_no_timer() {
    const DAY: u64 = 86_400;
    uml::inside(|| {
        cable();
        run("ip netns add other");
        run("ip link set far netns other");
        run("ip -n other link set far up");
        run("ip -n other addr add 10.0.0.2/24 dev far");
        let script = "vrrp_script alive {\n script /bin/true\n interval 1\n}\n";
        let tracks = "priority 150\n track_script {\n alive\n }";
        let master = instance("A", 1, "10.0.0.100/24", tracks);
        let master = Router::start_as("master", &format!("{script}{master}"));
        master.wait("master", || place("10.0.0.100").is_some());
        // Patient: a kernel that stands still for a while is not what is tested.
        let patient = instance("A", 1, "10.0.0.100/24", "down_timer_adverts 10");
        let backup = patient.replace("eth0", "far");
        let backup = Router::start_as("backup", &format!("net_namespace other\n{backup}"));
        backup.wait_for_words("Entering BACKUP STATE");
        let states = || [&master, &backup].map(|router| router.said().matches("Entering").count());
        let before = states();
        for at in [3000 * DAY, 30_000 * DAY, DAY, 20_000 * DAY] {
            let sent = packets_sent();
            run(&format!("date -s @{at}"));
            // More than the backup waits for.
            master.wait("adverts", || packets_sent() >= sent + 13);
        }
        assert_eq!(states(), before, "{}\n{}", master.said(), backup.said());
        backup.stop();
        master.stop();
    });
}

/// What has left `eth0`.
fn packets_sent() -> u64 {
    let counted = fs::read_to_string("/sys/class/net/eth0/statistics/tx_packets").unwrap();
    counted.trim().parse().unwrap()
}

#[test]
fn packets_of_a_route_get_the_labels_of_mpls() {
    uml::inside(|| {
        cable();
        run("modprobe -d /run/modules mpls_iptunnel");
        let routes = "virtual_routes {\n 198.51.100.0/24 encap mpls 100/200 via 10.0.0.9\n }";
        let router = Router::start(&instance("A", 1, "10.0.0.100/24", routes));
        let shown = "198.51.100.0/24  encap mpls  100/200 via 10.0.0.9";
        router.wait("routed", || run("ip route show").contains(shown));
        router.stop();
        assert!(!run("ip route show").contains("198.51.100.0"));
    });
}

#[test]
fn the_virtual_routers_live_in_the_namespace_that_the_configuration_names() {
    uml::inside(|| {
        run("ip netns add lan");
        run("ip -n lan link add eth0 type veth peer name far");
        run("ip -n lan link set far up");
        run("ip -n lan link set eth0 up");
        run("ip -n lan addr add 10.0.0.1/24 dev eth0");
        let router = Router::start(&format!(
            "net_namespace lan\n{}",
            instance("A", 1, "10.0.0.100/24", "")
        ));
        let there = || run("ip -n lan -o addr show to 10.0.0.100").contains("eth0");
        router.wait("master", there);
        router.stop();
        assert!(!there());
    });
}
