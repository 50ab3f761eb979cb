//! A laboratory: a LAN of hosts in network namespaces, real processes on them, a client that never stops asking, a listener
//! that sees every frame. Used by the tests, the benches and the `lab` example alike.
//!
//! ```text
//!    router-a        router-b         client         one namespace each
//!      eth0            eth0            eth0
//!       |               |               |            veth pairs, the cables
//!     port1           port2           port3
//!       +------------- br0 -------------+            in a namespace of its own
//! ```
//!
//! Everything is made by our own netlink code, with no other program; as root, or without root in a user namespace.
//! Nothing has a name outside but a scratch directory, and no process or namespace survives us, however we end.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a laboratory offers more than each of its users needs, and may fail loudly"
)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use keepalite::error::Chain;
use keepalite::io::link::{self, Kind, Setting};
use keepalite::io::netlink::{Batch, Netlink};
use keepalite::io::sys;
use keepalite::name::IfName;

mod capture;
mod client;
mod daemon;
mod host;
mod json;
mod namespace;
mod process;
mod watch;

pub(crate) use capture::{Capture, Frame, Seen, pcap};
pub(crate) use client::{Client, Outage};
pub(crate) use daemon::{Daemon, Dump, Program, SOON, has_keepalived, kill};
pub(crate) use host::Host;
pub(crate) use json::Json;
pub(crate) use namespace::{
    Namespace, as_root, permitted, skip, with_namespaces, with_namespaces_alone,
};
pub(crate) use process::Process;
pub(crate) use watch::Watch;

/// What is asked of a new host: its name, and its addresses as "10.0.0.2/24".
pub(crate) type Wish<'a> = (&'a str, &'a [&'a str]);

/// A LAN: hosts whose interfaces `eth0` are plugged into one switch.
pub(crate) struct Lab {
    /// In the order in which they were asked for.
    pub(crate) hosts: Vec<Host>,
    switch: Rc<Switch>,
    scratch: Scratch,
}

/// The bridge in its namespace.
struct Switch {
    namespace: Namespace,
    netlink: std::cell::RefCell<Netlink>,
    bridge: u32,
}

/// A directory that goes with this value.
struct Scratch(PathBuf);

/// The directories that there are, for [`end_on_signal`].
static SCRATCHES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ends the process when one of the signals of this descriptor comes, with nothing left behind.
pub(crate) fn end_on_signal(signals: OwnedFd) {
    std::thread::spawn(move || {
        const FOR_EVER: Duration = Duration::from_secs(1 << 20);
        while !sys::wait_readable(signals.as_fd(), FOR_EVER).unwrap_or(true) {}
        process::kill_descendants();
        for scratch in SCRATCHES.lock().iter().flat_map(|all| all.iter()) {
            let _ = std::fs::remove_dir_all(scratch);
        }
        std::process::exit(130);
    });
}

impl Lab {
    /// Builds the LAN and waits until every cable carries.
    pub(crate) fn new(wishes: &[Wish<'_>]) -> io::Result<Self> {
        let scratch = Scratch(scratch()?);
        let namespace = Namespace::new()?;
        let mut netlink = open(&namespace)?;
        let mut batch = Batch::new();
        let br0 = name("br0")?;
        link::create(&mut batch, &br0, Kind::Bridge);
        commit(&mut netlink, batch)?;
        let bridge = index(&mut netlink, "br0")?;
        let mut batch = Batch::new();
        link::set(&mut batch, bridge, &br0, Setting::Up);
        commit(&mut netlink, batch)?;
        let switch = Rc::new(Switch {
            namespace,
            netlink: netlink.into(),
            bridge,
        });
        let mut hosts = Vec::new();
        for (number, (name, addresses)) in (1..).zip(wishes) {
            hosts.push(Host::new(
                Rc::clone(&switch),
                number,
                name,
                addresses,
                &scratch.0,
            )?);
        }
        for host in &hosts {
            host.wait_for_carrier(true)?;
        }
        Ok(Self {
            hosts,
            switch,
            scratch,
        })
    }

    /// The host of that name.
    pub(crate) fn host(&self, name: &str) -> &Host {
        self.hosts
            .iter()
            .find(|h| h.name == name)
            .unwrap_or_else(|| panic!("the lab has no host {name}"))
    }

    /// Listens on every port of the switch, from now on.
    pub(crate) fn capture(&self) -> io::Result<Capture> {
        let ports = self
            .hosts
            .iter()
            .map(|h| (h.port, h.name.clone()))
            .collect();
        Capture::start(&self.switch.namespace, ports)
    }

    /// A directory for files, gone with the lab.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch.0
    }
}

fn scratch() -> io::Result<PathBuf> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let unique = format!("keepalite-lab-{}-{:x}", std::process::id(), now.as_nanos());
    let path = std::env::temp_dir().join(unique);
    std::fs::create_dir(&path)?;
    if let Ok(mut all) = SCRATCHES.lock() {
        all.push(path.clone());
    }
    Ok(path)
}

/// Asks again and again until the answer is there, at most until `deadline`; `step` waits for the next event that may
/// change the answer, no longer than it is told.
pub(crate) fn wait_until<T>(
    deadline: Instant,
    mut step: impl FnMut(Duration),
    mut answer: impl FnMut() -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(found) = answer() {
            return Some(found);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        step(left);
    }
}

/// Carries a batch out; the first refusal is an error.
pub(crate) fn commit(netlink: &mut Netlink, batch: Batch) -> io::Result<()> {
    let failed = netlink
        .commit(batch)
        .map_err(|e| io::Error::other(Chain(&e).to_string()))?;
    match failed.first() {
        Some(first) => Err(io::Error::other(Chain(first).to_string())),
        None => Ok(()),
    }
}

fn open(namespace: &Namespace) -> io::Result<Netlink> {
    namespace.enter(Netlink::route).map_err(io::Error::other)
}

fn name(text: &str) -> io::Result<IfName> {
    IfName::new(text).ok_or_else(|| io::Error::other(format!("{text} is no interface name")))
}

fn index(netlink: &mut Netlink, name: &str) -> io::Result<u32> {
    let all = link::list(netlink).map_err(io::Error::other)?;
    all.iter()
        .find(|l| l.name.as_str() == name)
        .map(|l| l.index)
        .ok_or_else(|| io::Error::other(format!("there is no {name}")))
}
