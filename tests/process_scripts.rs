//! Scripts that misbehave, a thousand of them, and what is left of them.

#![allow(clippy::panic, clippy::unwrap_used)]

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keepalite::io::sys::Ended;
use keepalite::model::{Command, User};
use keepalite::run::fifo::{self, Fifo};
use keepalite::run::reactor::{block_on, now, sleep, spawn};
use keepalite::run::scripts::{self, Job, Runner};
use keepalite::run::signal::Signals;
use smol::future;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scripts-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        // A test's script may run as somebody else.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn script(&self, name: &str, text: &str) -> String {
        let path = self.file(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn job(text: &str, arguments: &[&str]) -> Job {
    Job {
        label: "test".to_owned(),
        command: Command {
            text: text.to_owned(),
            words: text.split_whitespace().map(str::to_owned).collect(),
            user: None,
        },
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
    }
}

/// Runs `main` beside a reader of signals, for twenty seconds at most. One test at a time: a signal goes to any thread
/// that has not blocked it.
fn run<T>(main: impl Future<Output = T>) -> T {
    block_on(async {
        let mut signals = Signals::new(true).unwrap();
        let reader = spawn(async move { while signals.next().await.is_ok() {} });
        // SIGCHLD goes to the process: where the harness has more threads, another one may swallow it.
        let ticker = spawn(async {
            loop {
                sleep(Duration::from_millis(1)).await;
                keepalite::run::child::reap();
            }
        });
        let limit = async {
            sleep(Duration::from_secs(20)).await;
            panic!("still running after twenty seconds")
        };
        let result = future::or(main, limit).await;
        reader.cancel().await;
        ticker.cancel().await;
        result
    })
    .unwrap()
}

const LONG: Duration = Duration::from_secs(15);

#[test]
fn commands_of_one_queue_run_in_order_and_other_queues_do_not_wait() {
    let place = Place::new("order");
    let slow = place.script("slow", "#!/bin/sh\nsleep 0.2; echo slow $* >> $0.out\n");
    run(async {
        let runner = Runner::new(None);
        runner.run(
            1,
            job(
                &format!("{slow} own"),
                &["INSTANCE", "VI 1", "MASTER", "100"],
            ),
        );
        runner.run(1, job(&format!("echo second >> {slow}.out ;"), &[]));
        runner.run(2, job(&format!("echo other >> {slow}.out ;"), &[]));
        assert!(runner.settle(LONG).await);
    });
    assert_eq!(
        place.read("slow.out"),
        "other\nslow own INSTANCE VI 1 MASTER 100\nsecond\n"
    );
}

#[test]
fn a_text_without_an_interpreter_is_run_by_the_shell_with_its_arguments() {
    let place = Place::new("text");
    let plain = place.script("plain", "echo \"$1|$2\" > $0.out\n");
    run(async {
        let runner = Runner::new(None);
        runner.run(1, job(&plain, &["a b", "c"]));
        assert!(runner.settle(LONG).await);
    });
    assert_eq!(place.read("plain.out"), "a b|c\n");
}

#[test]
fn the_script_of_a_fifo_is_started_again_when_it_ends_and_ended_when_nobody_wants_it() {
    let place = Place::new("reader");
    // The first one reads one line and goes; the second one reads to the end and tells of its own.
    let reader = place.script(
        "reader",
        "#!/bin/sh\ntrap 'echo ended >> $0.out; exit' TERM\necho started >> $0.out\n\
         while read line; do echo \"$line\" >> $0.out; test -e $0.once || { : > $0.once; exit; }; done < $1\n",
    );
    run(async {
        let path = place.0.join("fifo");
        let mut fifo = Fifo::open(&path, None).unwrap();
        let command = job(&reader, &[]).command;
        let task = fifo::keep_reader(command, &path, None);
        let until = async |text: &str| {
            while !place.read("reader.out").ends_with(text) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        fifo.write("INSTANCE \"a\" MASTER 100\n");
        until("started\nINSTANCE \"a\" MASTER 100\nstarted\n").await;
        fifo.write("INSTANCE \"a\" BACKUP 100\n");
        until("BACKUP 100\n").await;
        drop(task);
        until("ended\n").await;
    });
}

#[test]
fn a_thousand_scripts_leave_no_zombie() {
    let place = Place::new("thousand");
    let script = place.script("thousandth", "#!/bin/sh\n");
    run(async {
        let runner = Runner::new(None);
        for key in 0..1000 {
            runner.run(key, job(&script, &[]));
            if key % 50 == 0 {
                assert!(runner.settle(LONG).await);
            }
        }
        assert!(runner.settle(LONG).await);
    });
    let zombies = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        stat.contains("(thousandth)")
    });
    assert_eq!(zombies.count(), 0);
}

#[test]
fn a_script_that_hangs_delays_only_its_own_queue_and_the_stop_by_no_more_than_the_limit() {
    let place = Place::new("hang");
    let out = place.file("out");
    run(async {
        let runner = Runner::new(None);
        runner.run(1, job("sleep 60", &[]));
        for _ in 0..100 {
            runner.run(1, job("true", &[]));
        }
        runner.run(2, job(&format!("echo done > {out} ;"), &[]));
        let started = now();
        assert!(!runner.settle(Duration::from_secs(1)).await);
        assert!(now().since(started) < Duration::from_secs(2));
    });
    assert_eq!(place.read("out"), "done\n");
}

#[test]
fn a_script_runs_as_its_user_in_a_group_of_its_own_and_only_its_errors_are_heard() {
    let place = Place::new("user");
    let who = place.script(
        "who",
        "#!/bin/sh\nd=${0%/*}\n(id -u; id -g; id -G; cd /proc/$$/fd; readlink 0 1; readlink 2 | cut -d: -f1) > $d/out\n\
         [ \"$(ps -o pgid= $$ | tr -d ' ')\" = $$ ] && echo leader >> $d/out\n",
    );
    run(async {
        let runner = Runner::new(Some(User {
            uid: 65534,
            gid: 65533,
        }));
        runner.run(1, job(&who, &[]));
        assert!(runner.settle(LONG).await);
    });
    assert_eq!(
        place.read("out"),
        "65534\n65533\n65533\n/dev/null\n/dev/null\npipe\nleader\n"
    );
}

#[test]
fn what_cannot_be_run_ends_and_hurts_nobody() {
    let place = Place::new("cannot");
    let out = place.file("out");
    run(async {
        let runner = Runner::new(None);
        for text in [
            "/nonexistent/script",
            "/etc/passwd",
            "/",
            "",
            "exit 3",
            "kill -9 $$ ;",
        ] {
            runner.run(1, job(text, &["x"]));
        }
        runner.run(1, job(&format!("echo alive > {out} ;"), &[]));
        assert!(runner.settle(LONG).await);
    });
    assert_eq!(place.read("out"), "alive\n");
}

/// What a script complains of until it ends, and how it ends.
fn complaint(text: &str, user: Option<User>) -> (Ended, String) {
    let command = job(text, &[]).command;
    run(async {
        let child = scripts::start("test", &command, &[], user).unwrap();
        let how = child.ended().await;
        (how, child.complaint().to_string())
    })
}

#[test]
fn what_a_script_says_on_its_standard_error_is_heard_however_it_gets_there() {
    let place = Place::new("says");
    let script = place.script(
        "says",
        "#!/bin/sh\necho nothing\ncat /nonexistent\necho again > /dev/stderr || exit 9\nexit 3\n",
    );
    for user in [
        None,
        Some(User {
            uid: 65534,
            gid: 65534,
        }),
    ] {
        let (how, said) = complaint(&script, user);
        assert_eq!(how, Ended::Status(3));
        assert_eq!(
            said,
            ": cat: /nonexistent: No such file or directory | again"
        );
    }
}

#[test]
fn a_script_that_floods_is_neither_stopped_nor_kept() {
    let place = Place::new("flood");
    let script = place.script(
        "flood",
        "#!/bin/sh\nset -e\nyes flood | head -c 3000000 >&2\nexit 4\n",
    );
    let (how, said) = complaint(&script, None);
    assert_eq!(how, Ended::Status(4));
    assert_eq!(said, ": flood | flood | flood");
}

#[test]
fn what_a_script_leaves_running_may_go_on_talking() {
    let place = Place::new("leaves");
    let script = place.script(
        "leaves",
        "#!/bin/sh\n(while test ! -e $0.go; do sleep 0.01; done\n\
         yes more | head -c 300000 >&2; echo lives > $0.out) &\necho first >&2\nexit 5\n",
    );
    assert_eq!(
        complaint(&script, None),
        (Ended::Status(5), ": first".to_owned())
    );
    // By now nobody listens.
    fs::write(format!("{script}.go"), "").unwrap();
    run(async {
        while place.read("leaves.out") != "lives\n" {
            sleep(Duration::from_millis(5)).await;
        }
    });
}
