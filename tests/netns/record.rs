//! `--record`: what the engine of a real daemon hears on a real network is written down, and an engine on a made-up clock
//! answers it in the same way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::lab::{Host, Lab, Process, Program, SOON, Watch, kill, with_namespaces};
use crate::play;

/// A router that writes down what happens to it.
struct Recorded<'a> {
    host: &'a Host,
    process: Process,
    directory: PathBuf,
}

impl<'a> Recorded<'a> {
    fn start(lab: &'a Lab, name: &str, priority: u8) -> Self {
        let directory = lab.scratch().join(name);
        fs::create_dir_all(&directory).unwrap();
        let host = lab.host(name);
        Self::start_in(host, directory, priority)
    }

    fn start_in(host: &'a Host, directory: PathBuf, priority: u8) -> Self {
        fs::write(directory.join("conf"), configuration(priority)).unwrap();
        let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let words = ["-f", "-p", "-r", "-c", "--record"].into_iter();
        let files = ["conf", "parent.pid", "vrrp.pid", "checkers.pid", "story"].map(file);
        let words = words.zip(&files).flat_map(|(word, file)| [word, file]);
        let words: Vec<&str> = ["-n", "-l", "-D"].into_iter().chain(words).collect();
        let process = host
            .start(Program::Keepalite.path(), &words, &[])
            .expect("it starts");
        Self {
            host,
            process,
            directory,
        }
    }

    fn story(&self) -> String {
        fs::read_to_string(self.directory.join("story")).unwrap_or_default()
    }

    /// Waits until so many lines of its recording end in these words.
    fn wait_for(&self, count: usize, words: &str) {
        let watch = Watch::new(&self.directory).expect("a watch on our own directory");
        let written = || {
            let story = self.story();
            let lines = story.lines().filter(|line| line.ends_with(words));
            (lines.count() >= count).then_some(())
        };
        watch.wait(SOON, written).unwrap_or_else(|| {
            panic!(
                "never {words} in:\n{}\n{}",
                self.story(),
                self.process.output()
            )
        });
    }

    /// The recording, after it has been replayed.
    fn replayed(&self, name: &str) -> String {
        let story = self.story();
        let played = play::play(&story, name);
        assert!(
            played == story,
            "{}",
            play::difference(name, &story, &played)
        );
        story
    }
}

/// A sync group of two virtual routers, one of them with an authentication header, and a file that counts.
fn configuration(priority: u8) -> String {
    format!(
        "track_file count {{ file /dev/null\n weight 1\n }}
         vrrp_sync_group G {{ group {{ fast\n sealed\n }} }}
         vrrp_instance fast {{ interface eth0\n virtual_router_id 1\n version 3\n advert_int 0.05\n priority {priority}
             virtual_ipaddress {{ 10.0.0.100/24\n }} }}
         vrrp_instance sealed {{ interface eth0\n virtual_router_id 2\n advert_int 1\n priority {priority}
             authentication {{ auth_type AH\n auth_pass secret\n }}
             track_file {{ count\n }}
             virtual_ipaddress {{ 10.0.0.101/24\n }} }}"
    )
}

#[test]
fn a_failover_that_was_recorded_is_replayed_with_the_same_actions() {
    with_namespaces(|| {
        let lab = Lab::new(&[("a", &["10.0.0.2/24"]), ("b", &["10.0.0.3/24"])]).expect("a LAN");
        let a = Recorded::start(&lab, "a", 150);
        a.wait_for(1, "notify group Master");
        let mut b = Recorded::start(&lab, "b", 100);
        b.wait_for(1, "notify group Backup");
        let mut crashed = a;
        crashed.process.kill_tree();
        b.wait_for(1, "notify group Master");
        // What the crashed one has recorded is not lost to the next one.
        let mut a = Recorded::start_in(crashed.host, crashed.directory.clone(), 150);
        b.wait_for(2, "notify group Backup");
        a.wait_for(1, "notify group Master");
        let old = fs::read_to_string(a.directory.join("story.old")).unwrap();
        assert_eq!(old, play::play(&old, "the crashed one"));
        assert!(old.contains("notify group Master"), "{old}");
        // A reload in the middle, a cable that is pulled, an orderly stop.
        fs::write(b.directory.join("conf"), configuration(200)).unwrap();
        kill("HUP", b.process.id());
        b.wait_for(2, "notify group Master");
        b.host.plug(false).unwrap();
        b.wait_for(1, "notify group Fault");
        b.host.plug(true).unwrap();
        b.wait_for(3, "notify group Backup");
        a.process.terminate(SOON).expect("it ends");
        b.wait_for(3, "notify group Master");
        b.process.terminate(SOON).expect("it ends");
        let (a, b) = (a.replayed("a"), b.replayed("b"));
        for (story, words) in [
            (&a, "> "),
            (&a, "notify group Stop"),
            (&b, " reload"),
            (&b, " header 45"),
            (&b, "fast: advertise priority 200"),
            (&b, "notify group Stop"),
        ] {
            assert!(story.contains(words), "no {words:?} in:\n{story}");
        }
    });
}

#[test]
fn a_recording_is_nobody_else_s_to_read_and_without_the_option_there_is_none() {
    with_namespaces(|| {
        let lab = Lab::new(&[("a", &["10.0.0.2/24"])]).expect("a LAN");
        let a = Recorded::start(&lab, "a", 150);
        a.wait_for(1, "notify group Master");
        let file = fs::metadata(a.directory.join("story")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert!(a.story().contains("auth_pass secret"), "{}", a.story());
        drop(a);
        let daemon = lab
            .host("a")
            .daemon(Program::Keepalite, &configuration(150));
        daemon.wait_for_words("Entering MASTER STATE");
        let fds = fs::read_dir(format!("/proc/{}/fd", daemon.child().unwrap())).unwrap();
        let files = fds.flatten().flat_map(|fd| fs::read_link(fd.path()));
        assert_eq!(files.filter(|file| file.ends_with("story")).count(), 0);
    });
}
