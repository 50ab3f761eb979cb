//! The control socket and the commands that ask there: real daemons, real clients, good and bad ones.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::lab::{Daemon, Host, Json, Lab, Program, SOON, kill, with_namespaces};

/// A virtual router of version 3, its interval short enough for quick elections.
fn conf(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance LAN {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n version 3\n advert_int 0.1\n \
         virtual_ipaddress {{\n 10.0.0.100\n }}\n {more}\n}}\n"
    )
}

fn pair() -> Lab {
    Lab::new(&[("one", &["10.0.0.1/24"]), ("two", &["10.0.0.2/24"])]).unwrap()
}

fn socket(daemon: &Daemon) -> PathBuf {
    daemon.directory.join("parent.sock")
}

/// Runs a command of keepalite's for a daemon.
fn keepalite(daemon: &Daemon, words: &[&str]) -> Output {
    Command::new(Program::Keepalite.path())
        .arg("-f")
        .arg(daemon.directory.join("keepalived.conf"))
        .arg("-p")
        .arg(daemon.directory.join("parent.pid"))
        .args(words)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asks again and again; nobody tells when an answer becomes another one.
fn until<T>(mut answer: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = answer() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the answer to a command has these words.
fn wait_for_answer(daemon: &Daemon, words: &[&str], part: &str) -> String {
    let mut last = String::new();
    let answered = until(|| {
        last = text(&keepalite(daemon, words));
        last.contains(part).then_some(())
    });
    answered.unwrap_or_else(|| panic!("{words:?} never said {part:?}, but\n{last}"));
    last
}

fn started(host: &Host, configuration: &str) -> Daemon {
    let daemon = host.daemon(Program::Keepalite, configuration);
    wait_for_answer(&daemon, &["status"], "LAN");
    daemon
}

/// One question as any program asks it.
fn ask(daemon: &Daemon, line: &str) -> String {
    let mut stream = UnixStream::connect(socket(daemon)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    writeln!(stream, "{line}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_socket_is_for_its_owner_only_and_goes_with_the_daemon() {
    with_namespaces(|| {
        let lab = pair();
        let mut daemon = started(lab.host("one"), &conf(100, ""));
        let there = std::fs::symlink_metadata(socket(&daemon)).unwrap();
        assert_eq!(there.permissions().mode() & 0o7777, 0o600);
        assert_eq!(there.uid(), rustix::process::geteuid().as_raw());
        daemon.terminate();
        assert!(!socket(&daemon).exists());
        let silent = keepalite(&daemon, &["status"]);
        assert_eq!(silent.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&silent.stderr).contains("nobody listens"));
    });
}

#[test]
fn silence_garbage_and_impatience_keep_nobody_out() {
    with_namespaces(|| {
        let lab = pair();
        let daemon = started(lab.host("one"), &conf(100, ""));
        let connect = || UnixStream::connect(socket(&daemon));
        let silent: Vec<_> = (0..30).filter_map(|_| connect().ok()).collect();
        for garbage in [
            "",
            "\0\0\0",
            "GET / HTTP/1.1",
            "text 99999999 status",
            "status \u{fffd}",
        ] {
            let mut stream = connect().unwrap();
            let _ = stream.write_all(garbage.as_bytes());
            let _ = stream.write_all(b"\n");
        }
        let mut endless = connect().unwrap();
        endless.set_write_timeout(Some(SOON)).unwrap();
        // More than any question: it is hung up on.
        while endless.write_all(&[b'x'; 4096]).is_ok() {}
        for _ in 0..20 {
            for _ in 0..20 {
                let mut rude = connect().unwrap();
                let _ = rude.write_all(b"status\n");
            }
            // It waits until they have had their answers.
            assert!(ask(&daemon, "status").contains("LAN"));
        }
        let begun = Instant::now();
        assert!(text(&keepalite(&daemon, &["status"])).contains("LAN"));
        assert!(begun.elapsed() < Duration::from_secs(3));
        drop(silent);
        assert!(ask(&daemon, "hello").contains("\"error\":\"ask one of status explain"));
    });
}

#[test]
fn a_stale_socket_is_taken_over_and_one_in_use_is_not() {
    with_namespaces(|| {
        let lab = pair();
        let host = lab.host("one");
        let mut daemon = started(host, &conf(100, ""));
        daemon.process.kill_tree();
        assert!(socket(&daemon).exists());
        let again = Daemon::start_in(
            host,
            daemon.directory.clone(),
            Program::Keepalite,
            &conf(100, ""),
        )
        .unwrap();
        wait_for_answer(&again, &["status"], "LAN");
        let path = socket(&again);
        let other = host.daemon(
            Program::Keepalite,
            &format!(
                "global_defs {{\n control_socket {}\n}}\n{}",
                path.display(),
                conf(100, "")
            ),
        );
        other.wait_for_words("cannot open the control socket");
        assert!(text(&keepalite(&again, &["status"])).contains("LAN"));
    });
}

#[test]
fn a_child_that_died_is_asked_again_once_it_is_back() {
    with_namespaces(|| {
        let lab = pair();
        let daemon = started(lab.host("one"), &conf(100, ""));
        let child = daemon.child().unwrap();
        kill("KILL", child);
        let back = until(|| daemon.child().filter(|now| *now != child));
        assert!(back.is_some());
        wait_for_answer(&daemon, &["status"], "LAN");
    });
}

#[test]
fn a_backup_explains_who_is_master_and_what_would_have_to_change() {
    with_namespaces(|| {
        let lab = pair();
        let _master = started(lab.host("one"), &conf(150, ""));
        let script = "vrrp_script down {\n script /bin/false\n interval 1\n weight -60\n}\n";
        let tracking = "track_script {\n down\n }";
        let backup = started(lab.host("two"), &format!("{script}{}", conf(200, tracking)));
        let said = wait_for_answer(
            &backup,
            &["explain", "LAN"],
            "10.0.0.1 advertises priority 150",
        );
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "LAN is BACKUP because 10.0.0.1 advertises priority 150 and ours is 140",
            "Its priority is 140 = 200 - 60 (script down).",
            "exited with status 1",
            "If all that it tracks were well its priority would be 200, and it would take over.",
        ] {
            assert!(said.contains(part), "{part:?} is not in\n{said}");
        }
        assert!(text(&keepalite(&backup, &["status", "LAN"])).contains("LATELY"));
        let unknown = keepalite(&backup, &["explain", "WAN"]);
        assert_eq!(unknown.status.code(), Some(1));
        assert!(text(&unknown).contains("nothing is called WAN: there are LAN, down"));
    });
}

#[test]
fn a_plan_says_what_a_reload_then_does_and_changes_nothing_itself() {
    with_namespaces(|| {
        let lab = pair();
        let daemon = started(lab.host("one"), &conf(100, ""));
        wait_for_answer(&daemon, &["status"], "MASTER");
        let same = keepalite(&daemon, &["plan"]);
        assert_eq!(
            (same.status.code(), text(&same).as_str()),
            (Some(0), "a reload would change nothing\n")
        );
        daemon.configure(&conf(120, ""));
        let planned = keepalite(&daemon, &["plan"]);
        let expected =
            "~ vrrp_instance LAN: goes on as MASTER\n    - priority 100\n    + priority 120\n";
        assert_eq!(
            (planned.status.code(), text(&planned).as_str()),
            (Some(2), expected)
        );
        assert!(ask(&daemon, "status").contains("\"base_priority\":100"));
        let done = keepalite(&daemon, &["reload"]);
        assert_eq!(
            (done.status.code(), text(&done).as_str()),
            (Some(0), expected)
        );
        assert!(ask(&daemon, "status").contains("\"base_priority\":120"));
        daemon.configure(&conf(120, "priorty 1"));
        for command in ["plan", "reload"] {
            let refused = keepalite(&daemon, &[command]);
            assert_eq!(refused.status.code(), Some(1));
            assert!(
                text(&refused).contains("did you mean 'priority'?"),
                "{}",
                text(&refused)
            );
        }
        assert!(ask(&daemon, "status").contains("\"state\":\"MASTER\""));
    });
}

/// README.md has this plan, word for word.
#[test]
fn a_plan_tells_of_other_names_of_what_cannot_go_on_and_of_what_needs_a_restart() {
    with_namespaces(|| {
        let lab = pair();
        let another = |name: &str| {
            conf(100, "")
                .replace("LAN", name)
                .replace("51", "52")
                .replace("eth0", "eth7")
        };
        let before = format!(
            "global_defs {{\n router_id one\n}}\n{}{}",
            conf(100, ""),
            another("WAN")
        );
        let daemon = started(lab.host("one"), &before);
        wait_for_answer(&daemon, &["status"], "MASTER");
        let after = before
            .replacen("priority 100", "priority 120", 1)
            .replacen("10.0.0.100", "10.0.0.109/24", 1)
            .replace("WAN", "DMZ")
            .replace("router_id one", "router_id one\n control_socket off");
        let new = lab.scratch().join("new.conf");
        std::fs::write(&new, after).unwrap();
        let planned = text(&keepalite(&daemon, &["plan", "-f", new.to_str().unwrap()]));
        let readme = include_str!("../../README.md");
        let shown: String = planned
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect();
        let block = format!("    $ keepalite plan -f new.conf\n{shown}");
        assert!(readme.contains(&block), "README.md lacks\n{block}");
    });
}

#[test]
#[cfg(feature = "check-tcp")]
fn a_plan_tells_what_holds_for_all_virtual_servers() {
    with_namespaces(|| {
        let lab = pair();
        let with = |more: &str, block: &str| {
            format!(
                "global_defs {{\n router_id one\n lvs_timeouts tcp 60\n {more}\n}}\n{block}\n{}\
                 virtual_server 10.0.0.200 80 {{\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                 real_server 10.0.0.9 80 {{\n TCP_CHECK {{\n}}\n}}\n}}\n",
                conf(100, "")
            )
        };
        let daemon = started(lab.host("one"), &with("", ""));
        wait_for_answer(&daemon, &["status"], "10.0.0.200:80");
        let tls = "SSL {\n ca /etc/ssl/authorities\n}";
        for (more, block, part) in [
            (
                "checker_log_all_failures",
                "",
                "    + checker_log_all_failures\n",
            ),
            ("no_checker_emails", "", "    + no_checker_emails\n"),
            (
                "lvs_sync_daemon eth0 LAN",
                "",
                "    + lvs_sync_daemon eth0 inst LAN",
            ),
            ("", tls, "+ SSL\n"),
        ] {
            daemon.configure(&with(more, block));
            let planned = text(&keepalite(&daemon, &["plan"]));
            assert!(planned.contains(part), "{part:?} is not in\n{planned}");
            // It also says that this kernel has no IPVS.
            assert!(text(&keepalite(&daemon, &["reload"])).contains(part));
            assert_eq!(
                text(&keepalite(&daemon, &["plan"])),
                "a reload would change nothing\n"
            );
        }
    });
}

#[test]
fn one_process_alone_answers_as_several_do() {
    with_namespaces(|| {
        let lab = pair();
        let directory = lab.scratch().join("single");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("keepalived.conf"), conf(100, "")).unwrap();
        let [file, pid] = ["keepalived.conf", "parent.pid"].map(|name| directory.join(name));
        let words = [
            "--single",
            "-nl",
            "-f",
            file.to_str().unwrap(),
            "-p",
            pid.to_str().unwrap(),
        ];
        let process = lab
            .host("one")
            .start(Program::Keepalite.path(), &words, &[])
            .unwrap();
        let mut daemon = Daemon { process, directory };
        wait_for_answer(&daemon, &["status"], "MASTER");
        for (words, part) in [
            (&["status", "LAN"][..], "LATELY"),
            (&["explain", "LAN"], "It became MASTER at"),
            (&["status", "--json"], "\"state\":\"MASTER\""),
            (&["status", "--prometheus"], "keepalived_vrrp_state{"),
            (&["plan"], "a reload would change nothing"),
        ] {
            let said = text(&keepalite(&daemon, words));
            assert!(said.contains(part), "{words:?}: {said}");
        }
        daemon.configure(&conf(120, ""));
        let changes =
            "~ vrrp_instance LAN: goes on as MASTER\n    - priority 100\n    + priority 120\n";
        assert_eq!(text(&keepalite(&daemon, &["plan"])), changes);
        assert_eq!(text(&keepalite(&daemon, &["reload"])), changes);
        assert!(ask(&daemon, "status").contains("\"base_priority\":120"));
        daemon.terminate();
        assert!(!socket(&daemon).exists());
    });
}

#[test]
fn what_has_happened_to_a_tracker_is_told_as_long_as_it_is_kept() {
    with_namespaces(|| {
        let lab = pair();
        let file = lab.scratch().join("fine");
        std::fs::write(&file, "").unwrap();
        let script = format!(
            "vrrp_script fine {{\n script \"/usr/bin/test -e {}\"\n interval 0.1\n weight -10\n}}\n",
            file.display()
        );
        let daemon = started(
            lab.host("one"),
            &format!("{script}{}", conf(100, "track_script {\n fine\n }")),
        );
        wait_for_answer(&daemon, &["status", "fine"], "up: exited with status 0");
        std::fs::remove_file(&file).unwrap();
        wait_for_answer(&daemon, &["status", "fine"], "down: exited with status 1");
        let json = ask(&daemon, "status fine");
        assert!(
            json.contains("\"what\":\"up: exited with status 0\""),
            "{json}"
        );
    });
}

#[test]
fn a_reload_says_what_the_kernel_refused_of_it_and_fails() {
    with_namespaces(|| {
        let lab = pair();
        let daemon = started(lab.host("one"), &conf(100, ""));
        wait_for_answer(&daemon, &["status"], "MASTER");
        let nowhere = "virtual_routes {\n 198.51.100.0/24 via 203.0.113.1\n }";
        daemon.configure(&conf(110, nowhere));
        let done = keepalite(&daemon, &["reload"]);
        let said = text(&done);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("    + priority 110\n"), "{said}");
        assert!(said.contains("198.51.100.0/24"), "{said}");
        assert!(said.contains("invalid gateway"), "{said}");
        assert!(ask(&daemon, "status").contains("\"base_priority\":110"));
        daemon.configure(&conf(120, nowhere).replace("203.0.113.1", "203.0.113.2"));
        let answer = ask(&daemon, "reload");
        let json = Json::parse(answer.trim()).unwrap_or_else(|| panic!("{answer}"));
        assert!(json.get("vrrp_errors").is_some(), "{answer}");
        assert!(answer.contains("invalid gateway"), "{answer}");
        daemon.configure(&conf(120, ""));
        assert_eq!(keepalite(&daemon, &["reload"]).status.code(), Some(0));
    });
}

#[test]
fn programs_get_json_with_a_version_and_prometheus_its_text() {
    with_namespaces(|| {
        let lab = pair();
        let daemon = started(lab.host("one"), &conf(100, ""));
        wait_for_answer(&daemon, &["status"], "MASTER");
        for line in [
            "status",
            "status LAN",
            "explain LAN",
            "reload",
            "status nobody",
            "plan /nonexistent",
        ] {
            let answer = ask(&daemon, line);
            let json = Json::parse(answer.trim()).unwrap_or_else(|| panic!("{line}: {answer}"));
            assert_eq!(json.get("version").map(Json::as_str), Some("1"), "{answer}");
        }
        let metrics = text(&keepalite(&daemon, &["status", "--prometheus"]));
        let labels = "iname=\"LAN\",intf=\"eth0\",vrid=\"51\"";
        assert!(metrics.contains(&format!(
            "keepalived_vrrp_state{{{labels},ip_address=\"10.0.0.100/32\"}} 2\n"
        )));
        assert!(metrics.contains(&format!("keepalived_become_master_total{{{labels}}} 1\n")));
        let mut typed = std::collections::BTreeSet::new();
        for line in metrics.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(family) => assert!(
                    typed.insert(family.split(' ').next().unwrap()),
                    "twice: {line}"
                ),
                None if line.starts_with('#') => {}
                None => {
                    let name = line.split(['{', ' ']).next().unwrap();
                    assert!(typed.contains(name), "{line} has no type");
                    let value = line.rsplit(' ').next().unwrap();
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                }
            }
        }
    });
}

#[test]
fn who_listens_hears_adverts_in_sentences_without_a_daemon() {
    with_namespaces(|| {
        let lab = pair();
        let _master = started(lab.host("one"), &conf(150, ""));
        let ours = lab.scratch().join("ours.conf");
        std::fs::write(&ours, conf(100, "").replace("10.0.0.100", "10.0.0.111")).unwrap();
        let (ours, path) = (ours.display(), Program::Keepalite.path());
        let said = lab
            .host("two")
            .run(&format!("{} -f {ours} listen -c 1 eth0", path.display()));
        assert!(
            said.contains("10.0.0.1 is master of VRID 51 with priority 150, for 10.0.0.100"),
            "{said}"
        );
        assert!(
            said.contains("it has 10.0.0.100 where our LAN has 10.0.0.111"),
            "{said}"
        );
    });
}
