//! What the daemon may do, and what its scripts may: asked of the kernel, in `/proc/PID/status`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::lab::{Lab, Process, SOON, kill, wait_until, with_namespaces};

const OURS: &str = env!("CARGO_BIN_EXE_keepalite");

/// Numbers of linux/capability.h.
const CHOWN: u64 = 1 << 0;
const DAC_OVERRIDE: u64 = 1 << 1;
const KILL: u64 = 1 << 5;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const IPC_LOCK: u64 = 1 << 14;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_NICE: u64 = 1 << 23;

const ROUTER: u64 = NET_ADMIN | NET_RAW | DAC_OVERRIDE;

/// A host with a place for files.
struct Stage(Lab);

fn on_a_stage(test: impl FnOnce(&Stage)) {
    with_namespaces(|| {
        let lab = Lab::new(&[("a", &["10.0.0.2/24"])]).expect("a LAN");
        // Scripts of another user write there.
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(lab.scratch(), open).expect("chmod");
        test(&Stage(lab));
    });
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.0.scratch().join(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    /// One virtual router, with `lines` in its block, `global` in that of the daemon and `blocks` between. `@` is the place
    /// for files.
    fn configure(&self, global: &str, blocks: &str, lines: &str) {
        let text = format!(
            "global_defs {{\n script_user root\n{global}\n}}\n{blocks}\n\
             vrrp_instance V {{\n interface eth0\n virtual_router_id 7\n version 3\n advert_int 0.1\n\
             virtual_ipaddress {{\n  10.0.0.1/24\n }}\n{lines}\n}}\n"
        );
        let text = text.replace('@', &self.0.scratch().display().to_string());
        fs::write(self.path("conf"), text).expect("a file");
    }

    fn start(&self, before: &[&str], options: &[&str]) -> Process {
        let [conf, pid, vrrp] =
            ["conf", "pid", "vrrp.pid"].map(|name| self.path(name).display().to_string());
        let mut words: Vec<&str> = before.to_vec();
        words.extend([OURS, "-n", "-l", "-D", "-f", &conf, "-p", &pid, "-r", &vrrp]);
        words.extend(options);
        self.0
            .host("a")
            .start(words[0], &words[1..], &[])
            .expect("a daemon")
    }

    /// The process that speaks VRRP.
    fn child(&self) -> u32 {
        let pid = || self.read("vrrp.pid")?.trim().parse().ok();
        until("a pid file", pid)
    }

    fn has(&self, ip: &str) -> bool {
        self.0.host("a").has(ip.parse().unwrap())
    }
}

/// Waits for an answer; nothing tells.
fn until<T>(what: &str, answer: impl FnMut() -> Option<T>) -> T {
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(5)));
    wait_until(Instant::now() + SOON, step, answer).unwrap_or_else(|| panic!("never {what}"))
}

/// A line of `/proc/PID/status`.
fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value
        .unwrap_or_default()
        .trim_matches([':', '\t'])
        .to_owned()
}

fn set(pid: u32, key: &str) -> u64 {
    u64::from_str_radix(&status(pid, key), 16).unwrap_or(0)
}

#[test]
fn each_process_has_what_its_configuration_needs_and_a_reload_adds_to_it() {
    on_a_stage(|stage| {
        stage.configure("", "", "");
        let daemon = stage.start(&[], &[]);
        let (parent, child) = (daemon.id(), stage.child());
        let has = |wanted: u64| {
            until("those rights", || {
                (set(child, "CapEff") == wanted).then_some(())
            });
        };
        has(ROUTER);
        assert_eq!(set(parent, "CapEff"), DAC_OVERRIDE);
        for pid in [parent, child] {
            // What scripts have it from.
            assert_eq!(set(pid, "CapPrm"), set(pid, "CapBnd"));
            assert_eq!((set(pid, "CapInh"), set(pid, "CapAmb")), (0, 0));
            assert_eq!(status(pid, "NoNewPrivs"), "0");
        }
        let track = "vrrp_script chk {\n script \"/bin/true\"\n}\nvrrp_track_process p {\n process none\n weight 1\n}";
        let tracked = " track_script {\n  chk\n }\n track_process {\n  p\n }";
        let global = " vrrp_priority -3\n vrrp_no_swap\n vrrp_notify_fifo @/fifo nobody";
        stage.configure(global, track, tracked);
        kill("HUP", parent);
        let all = ROUTER | KILL | SYS_PTRACE | SYS_NICE | IPC_LOCK | CHOWN;
        has(all);
        until("locked", || {
            (status(child, "VmLck") != "       0 kB").then_some(())
        });
        until("the FIFO of another user", || {
            let owner = fs::metadata(stage.path("fifo")).ok();
            owner.filter(|it| std::os::unix::fs::MetadataExt::uid(it) == 65_534)
        });
        // What was started with them is still to be ended with them.
        stage.configure("", "", "");
        kill("HUP", parent);
        until("gone", || (!stage.path("fifo").exists()).then_some(()));
        has(all);
    });
}

#[test]
fn one_process_has_what_all_parts_need() {
    on_a_stage(|stage| {
        stage.configure("", "", "");
        let daemon = stage.start(&[], &["--single"]);
        until("master", || stage.has("10.0.0.1").then_some(()));
        assert_eq!(set(daemon.id(), "CapEff"), ROUTER);
    });
}

#[test]
fn a_script_of_root_may_do_all_that_root_may_and_ends_with_the_daemon() {
    on_a_stage(|stage| {
        stage.script(
            "master",
            "grep CapEff /proc/self/status > $0.may\nip address add 10.0.0.77/24 dev eth0\n\
             trap 'echo ended > $0.end; exit' TERM\nwhile :; do sleep 0.05; done",
        );
        stage.configure("", "", " notify_master @/master");
        let daemon = stage.start(&[], &[]);
        until("an address of the script", || {
            stage.has("10.0.0.77").then_some(())
        });
        let may = stage.read("master.may").expect("a file");
        let all = format!("CapEff:\t{:016x}\n", set(daemon.id(), "CapBnd"));
        assert_eq!(may, all);
        kill("KILL", stage.child());
        until("the end of the script", || stage.read("master.end"));
    });
}

#[test]
fn a_script_of_another_user_has_no_rights_and_is_ended_when_it_takes_too_long() {
    on_a_stage(|stage| {
        stage.script(
            "check",
            "trap '' TERM\ngrep -E 'Cap(Eff|Prm)|^Uid' /proc/self/status > $0.may\necho $$ > $0.pid\n\
             while :; do sleep 0.05; done",
        );
        let track =
            "vrrp_script chk {\n script \"@/check\"\n interval 60\n timeout 1\n user nobody\n}";
        stage.configure("", track, " track_script {\n  chk weight 1\n }");
        let _daemon = stage.start(&[], &[]);
        let text = until("a pid", || {
            stage.read("check.pid").filter(|text| text.ends_with('\n'))
        });
        let may = stage.read("check.may").expect("a file");
        assert!(
            may.starts_with("Uid:\t65534\t65534\t65534\t65534\n"),
            "{may}"
        );
        assert_eq!(may.matches("0000000000000000").count(), 2, "{may}");
        let pid: u32 = text.trim().parse().expect("a number");
        until("its end", || status(pid, "State").is_empty().then_some(()));
    });
}

#[test]
fn what_is_missing_in_a_container_is_named_and_the_rest_goes_on() {
    on_a_stage(|stage| {
        let address = "static_ipaddress {\n 10.0.0.9/24 dev eth0\n}";
        stage.configure(" vrrp_no_swap", address, "");
        let container = ["setpriv", "--bounding-set", "-net_raw,-ipc_lock"];
        let daemon = stage.start(&container, &[]);
        let says = |what: &str| {
            until(what, || daemon.output().contains(what).then_some(()));
        };
        says("CAP_NET_RAW is missing: adverts can neither be sent nor heard");
        says("CAP_IPC_LOCK is missing: ");
        until("the static address", || stage.has("10.0.0.9").then_some(()));
        assert_eq!(set(stage.child(), "CapEff"), NET_ADMIN | DAC_OVERRIDE);
        assert!(!stage.has("10.0.0.1"));
    });
}

#[test]
fn two_rights_are_enough_in_a_container() {
    on_a_stage(|stage| {
        stage.script("master", "grep CapEff /proc/self/status > $0.may");
        let track = "vrrp_script chk {\n script \"/bin/true\"\n interval 1\n user nobody\n}";
        let lines = " use_vmac\n notify_master @/master\n track_script {\n  chk weight 1\n }";
        stage.configure("", track, lines);
        // What docker does to a container, as far as it concerns us.
        let [fence, dash] = [
            "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && \
             exec setpriv --bounding-set -all,+net_admin,+net_raw -- \"$@\"",
            "sh",
        ];
        let daemon = stage.start(&["unshare", "-m", "sh", "-c", fence, dash], &[]);
        let may = until("what a script may", || {
            stage.read("master.may").filter(|text| text.ends_with('\n'))
        });
        assert_eq!(may, format!("CapEff:\t{:016x}\n", NET_ADMIN | NET_RAW));
        for what in [
            "VRRP_Script(chk) failed (exited with status 126, cannot be executed): \
             not permitted to become its user: CAP_SETUID or CAP_SETGID is missing",
            "cannot write the system setting",
        ] {
            until(what, || daemon.output().contains(what).then_some(()));
        }
    });
}

#[test]
fn who_is_not_root_does_with_ambient_rights_and_so_do_its_scripts() {
    on_a_stage(|stage| {
        stage.script("master", "grep CapEff /proc/self/status > $0.may");
        stage.configure("", "", " notify_master @/master");
        let conf = stage
            .read("conf")
            .expect("a file")
            .replace(" script_user root", "");
        fs::write(stage.path("conf"), conf).expect("a file");
        let two = "+net_admin,+net_raw";
        let daemon = stage.start(
            &[
                "setpriv",
                "--reuid=nobody",
                "--clear-groups",
                "--inh-caps",
                two,
                "--ambient-caps",
                two,
            ],
            &[],
        );
        let may = until("what a script may", || {
            stage.read("master.may").filter(|text| text.ends_with('\n'))
        });
        assert_eq!(may, format!("CapEff:\t{:016x}\n", NET_ADMIN | NET_RAW));
        assert!(stage.has("10.0.0.1"), "{}", daemon.output());
        assert_eq!(set(stage.child(), "CapEff"), NET_ADMIN | NET_RAW);
        assert!(status(stage.child(), "Uid").starts_with("65534"));
    });
}

#[test]
fn no_new_privileges_of_a_supervisor_are_lived_with() {
    on_a_stage(|stage| {
        stage.script("master", "grep CapEff /proc/self/status > $0.may");
        stage.configure("", "", " notify_master @/master");
        let daemon = stage.start(&["setpriv", "--no-new-privs"], &[]);
        let may = until("what it may", || {
            stage.read("master.may").filter(|text| text.ends_with('\n'))
        });
        assert_eq!(status(stage.child(), "NoNewPrivs"), "1");
        assert_eq!(
            may,
            format!("CapEff:\t{:016x}\n", set(daemon.id(), "CapBnd"))
        );
    });
}
