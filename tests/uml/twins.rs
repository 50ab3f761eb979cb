//! keepalived and keepalite with the same configuration, each in a network of its own, with servers that come and go alike.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::lab::{Daemon, Host, Lab, Program};

/// Real servers are 10.1.0.1 to this; each has port 80.
const SERVERS: u8 = 9;
/// The table counts once it has not changed for so long: several times what a check and its retries take.
const QUIET: Duration = Duration::from_millis(1200);
/// Nothing that the two have to agree on takes as long.
const LONG: Duration = Duration::from_secs(40);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Something that happens to both.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A real server refuses connections.
    Close(u8),
    /// It takes them again.
    Open(u8),
    /// A number is written to a file of this name, which checks read.
    Write(&'static str, i32),
    /// Another configuration.
    Reload(String),
}

/// The two.
pub(crate) struct Twins {
    // They end before the lab does, where they say what they say.
    daemons: Vec<Daemon>,
    lab: Lab,
    open: BTreeMap<(usize, u8), TcpListener>,
    last: Vec<String>,
    /// After how many acts the table was another one.
    pub(crate) changes: usize,
}

const NAMES: [&str; 2] = ["keepalived", "keepalite"];

impl Twins {
    /// Two networks, with every server taking connections.
    pub(crate) fn new() -> Self {
        let lab = Lab::new(&[(NAMES[0], &[]), (NAMES[1], &[])]).expect("a lab");
        for host in &lab.hosts {
            for server in 1..=SERVERS {
                host.run(&format!("ip addr add {}/32 dev lo", ip(server)));
                host.run(&format!("ip addr add fd01::{server}/128 dev lo"));
            }
        }
        let mut twins = Self {
            lab,
            open: BTreeMap::new(),
            daemons: Vec::new(),
            last: Vec::new(),
            changes: 0,
        };
        (1..=SERVERS).for_each(|server| twins.open(server));
        for file in ["a", "b"] {
            twins.write(file, 0);
        }
        twins
    }

    /// Starts both, and waits until their tables are alike.
    pub(crate) fn start(&mut self, configuration: &str) {
        let configuration = self.expand(configuration);
        for (host, program) in self
            .lab
            .hosts
            .iter()
            .zip([Program::Keepalived, Program::Keepalite])
        {
            self.daemons.push(host.daemon(program, &configuration));
        }
        let before = self.last.clone();
        self.agree("the start", |table| *table != before && !table.is_empty());
    }

    /// Lets something happen, and waits until the tables are alike, and others than before if it `must` change them.
    pub(crate) fn act(&mut self, act: &Act, must: bool) {
        match act {
            Act::Close(server) => self.open.retain(|(_, open), _| open != server),
            Act::Open(server) => self.open(*server),
            Act::Write(file, number) => self.write(file, *number),
            Act::Reload(configuration) => {
                let configuration = self.expand(configuration);
                self.daemons
                    .iter()
                    .for_each(|daemon| daemon.reload(&configuration));
            }
        }
        let before = self.last.clone();
        self.agree(&format!("{act:?}"), |table| !must || *table != before);
        let before = &before;
        self.changes += usize::from(*before != self.last);
    }

    /// Ends both, after which nothing of theirs may be left.
    pub(crate) fn stop(&mut self) {
        for mut daemon in self.daemons.drain(..) {
            // keepalived takes a second, and more on a busy machine.
            daemon.process.terminate(LONG).expect("it ends");
        }
        self.agree("the end", |_| true);
    }

    /// What the table is now.
    pub(crate) fn table(&self) -> &[String] {
        &self.last
    }

    fn open(&mut self, server: u8) {
        for (place, host) in self.lab.hosts.iter().enumerate() {
            let bind = || TcpListener::bind((ip(server), 80));
            let listener = host.namespace.enter(bind).expect("an address of its own");
            listener.set_nonblocking(true).expect("a socket");
            self.open.insert((place, server), listener);
        }
    }

    fn write(&self, file: &str, number: i32) {
        let path = self.lab.scratch().join(file);
        std::fs::write(path, format!("{number}\n")).expect("a file of our own");
    }

    /// `@a` and `@b` are the files.
    fn expand(&self, configuration: &str) -> String {
        let file = |name| self.lab.scratch().join(name).display().to_string();
        configuration
            .replace("@a", &file("a"))
            .replace("@b", &file("b"))
    }

    /// Waits until both tables are alike and have not changed for a while; tells where they differ if they never are.
    fn agree(&mut self, when: &str, enough: impl Fn(&Vec<String>) -> bool) {
        let end = Instant::now() + LONG;
        let mut tables = [Vec::new(), Vec::new()];
        let mut since = Instant::now();
        loop {
            // Whoever has connected is served; the checks only want to be let in.
            for listener in self.open.values() {
                while listener.accept().is_ok() {}
            }
            let now = [0, 1].map(|place| table(&self.lab.hosts[place]));
            if now != tables {
                tables = now;
                since = Instant::now();
            }
            let [theirs, ours] = &tables;
            if theirs == ours && since.elapsed() >= QUIET && enough(ours) {
                self.last.clone_from(ours);
                return;
            }
            assert!(
                Instant::now() < end,
                "after {when}\nkeepalived has\n{}\nkeepalite has\n{}\nbefore it was\n{}",
                theirs.join("\n"),
                ours.join("\n"),
                self.last.join("\n")
            );
            std::thread::sleep(LOOK);
        }
    }
}

/// The kernel's table as `ipvsadm` tells it, thresholds included.
fn table(host: &Host) -> Vec<String> {
    let mut lines: Vec<String> = host
        .run("ipvsadm -Sn")
        .lines()
        .map(|l| l.trim().to_owned())
        .collect();
    let thresholds = host.run("ipvsadm -Ln --thresholds");
    let limited = thresholds.lines().filter_map(|line| {
        let words: Vec<_> = line.strip_prefix("  -> ")?.split_whitespace().collect();
        let [server, upper, lower, ..] = words[..] else {
            return None;
        };
        (upper != "0" && upper != "Uthreshold").then(|| format!("{server} {upper} {lower}"))
    });
    lines.extend(limited.collect::<Vec<_>>());
    lines.sort();
    lines
}

fn ip(server: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 0, server)
}

/// Whether keepalived is there to be compared with; a missing one is told loudly, or fails where it is required.
pub(crate) fn has_keepalived() -> bool {
    if Program::Keepalived.path().exists() {
        return true;
    }
    let required = std::env::var_os("NETNS").is_some_and(|v| v == "require");
    assert!(!required, "keepalived is not installed, but NETNS=require");
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("main");
    let _ = io::Write::write_fmt(
        &mut io::stderr(),
        format_args!("SKIPPED {name}: keepalived is not installed, nothing to compare with\n"),
    );
    false
}
