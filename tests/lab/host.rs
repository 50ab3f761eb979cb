//! A host of the LAN: a namespace with `lo` and `eth0`, and a cable to the switch.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use keepalite::io::address::{self, Assignment};
use keepalite::io::link::{self, Kind, Link, Setting};
use keepalite::io::monitor::Monitor;
use keepalite::io::netlink::message::{attributes, ip, u16_at, u32_at};
use keepalite::io::netlink::{Batch, Body, Netlink};
use keepalite::io::sys;
use keepalite::name::Mac;
use neli::consts::rtnl::{Nda, Rtm};

use super::{
    Daemon, Json, Namespace, Process, Program, Switch, commit, index, name, open, wait_until,
};

/// No change of a link or an address takes as long.
const SOON: Duration = Duration::from_secs(5);

/// A host; its processes and its interfaces end with it.
pub(crate) struct Host {
    /// As it was asked for.
    pub(crate) name: String,
    /// Its network.
    pub(crate) namespace: Namespace,
    /// Index of `eth0` in it.
    pub(crate) eth0: u32,
    /// MAC of `eth0`: 02:00:00:00:00 and the number of the host.
    pub(crate) mac: Mac,
    /// Index of the other end of the cable, in the namespace of the switch.
    pub(crate) port: u32,
    netlink: RefCell<Netlink>,
    monitor: RefCell<Monitor>,
    switch: Rc<Switch>,
    scratch: PathBuf,
}

impl Host {
    pub(super) fn new(
        switch: Rc<Switch>,
        number: u8,
        host: &str,
        addresses: &[&str],
        scratch: &Path,
    ) -> io::Result<Self> {
        let namespace = Namespace::new()?;
        let mut netlink = open(&namespace)?;
        let monitor = namespace.enter(Monitor::open).map_err(io::Error::other)?;
        let mac = Mac([2, 0, 0, 0, 0, number]);
        let (eth0, port) = (name("eth0")?, name(&format!("port{number}"))?);
        let index_of_port = {
            let mut theirs = switch.netlink.borrow_mut();
            let mut batch = Batch::new();
            let cable = Kind::Veth {
                peer: &eth0,
                namespace: Some(namespace.as_fd()),
            };
            link::create(&mut batch, &port, cable);
            commit(&mut theirs, batch)?;
            let index = index(&mut theirs, port.as_str())?;
            let mut batch = Batch::new();
            link::set(&mut batch, index, &port, Setting::Master(switch.bridge));
            link::set(&mut batch, index, &port, Setting::NoLinkLocal);
            link::set(&mut batch, index, &port, Setting::Up);
            commit(&mut theirs, batch)?;
            index
        };
        let index = index(&mut netlink, "eth0")?;
        let mut batch = Batch::new();
        link::set(&mut batch, index, &eth0, Setting::Mac(mac));
        link::set(&mut batch, index, &eth0, Setting::Up);
        for text in addresses {
            address::add(&mut batch, &assignment(index, text)?, &eth0);
        }
        commit(&mut netlink, batch)?;
        Ok(Self {
            name: host.to_owned(),
            namespace,
            eth0: index,
            mac,
            port: index_of_port,
            netlink: netlink.into(),
            monitor: monitor.into(),
            switch,
            scratch: scratch.to_owned(),
        })
    }

    /// Starts a program on the host. What it says goes to a file; it ends with the lab.
    pub(crate) fn start(
        &self,
        program: impl AsRef<Path>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> io::Result<Process> {
        Process::start(
            &self.namespace,
            program.as_ref(),
            arguments,
            environment,
            &self.scratch,
        )
    }

    /// Starts a daemon on the host, with this configuration.
    pub(crate) fn daemon(&self, program: Program, configuration: &str) -> Daemon {
        Daemon::start(self, &self.scratch, program, configuration)
            .unwrap_or_else(|e| panic!("{program:?} does not start: {e}"))
    }

    /// Runs a command on the host, words between blanks, and gives what it says; it has to succeed.
    pub(crate) fn run(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let program = words.next().unwrap_or_default();
        // A child is in the namespace of the thread that starts it.
        let output = self
            .namespace
            .enter(|| Command::new(program).args(words).output())
            .unwrap_or_else(|e| panic!("cannot run {command}: {e}"));
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {failed}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As [`Self::run`], for commands that answer with JSON.
    pub(crate) fn ask(&self, command: &str) -> Json {
        let text = self.run(command);
        Json::parse(&text).unwrap_or_else(|| panic!("{command} gave no JSON: {text}"))
    }

    /// Is it answered from this address? A refused connection is an answer, and one that no kernel limits.
    pub(crate) fn is_answered_by(&self, ip: IpAddr) -> bool {
        const DISCARD: u16 = 9;
        let connect = || TcpStream::connect_timeout(&(ip, DISCARD).into(), SOON);
        match self.namespace.enter(connect) {
            Ok(_) => true,
            Err(e) => e.kind() == io::ErrorKind::ConnectionRefused,
        }
    }

    /// Waits until `eth0` has a link-local address that can be used.
    pub(crate) fn wait_for_link_local(&self) {
        let usable = |a: &Assignment| {
            let link_local = matches!(a.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
            link_local && a.ifindex == self.eth0 && !a.is_tentative()
        };
        self.wait(SOON, || self.addresses().iter().any(usable).then_some(()))
            .unwrap_or_else(|| panic!("{} never gets its link-local address", self.name));
    }

    /// Pulls the plug, or puts it back: the host sees the carrier go and come.
    pub(crate) fn plug(&self, plugged: bool) -> io::Result<()> {
        let setting = if plugged { Setting::Up } else { Setting::Down };
        self.set_port(setting)?;
        self.wait_for_carrier(plugged)
    }

    /// Loses all traffic, or lets it through again, without the host's seeing anything.
    pub(crate) fn isolate(&self, isolated: bool) -> io::Result<()> {
        self.set_port(if isolated {
            Setting::NoMaster
        } else {
            Setting::Master(self.switch.bridge)
        })
    }

    fn set_port(&self, setting: Setting<'_>) -> io::Result<()> {
        let mut batch = Batch::new();
        link::set(&mut batch, self.port, &name("port")?, setting);
        commit(&mut self.switch.netlink.borrow_mut(), batch)
    }

    /// Waits until `eth0` has a carrier, or none.
    pub(crate) fn wait_for_carrier(&self, wanted: bool) -> io::Result<()> {
        self.wait(SOON, || {
            (self.link().ok()?.is_running() == wanted).then_some(())
        })
        .ok_or_else(|| {
            let verb = if wanted { "gets" } else { "loses" };
            io::Error::other(format!("{} never {verb} its carrier", self.name))
        })
    }

    /// Asks about the host's links and addresses whenever they change, until the answer is there.
    pub(crate) fn wait<T>(
        &self,
        at_most: Duration,
        answer: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let step = |left: Duration| {
            let mut monitor = self.monitor.borrow_mut();
            // A time-out is noticed by the caller.
            let _ = sys::wait_readable(monitor.as_fd(), left);
            let _ = monitor.read(&mut Vec::new());
        };
        wait_until(Instant::now() + at_most, step, answer)
    }

    /// Its interface as the kernel sees it.
    pub(crate) fn link(&self) -> io::Result<Link> {
        let all = link::list(&mut self.netlink.borrow_mut()).map_err(io::Error::other)?;
        all.into_iter()
            .find(|l| l.index == self.eth0)
            .ok_or_else(|| io::Error::other("eth0 is gone"))
    }

    /// Its addresses as the kernel sees them.
    pub(crate) fn addresses(&self) -> Vec<Assignment> {
        address::list(&mut self.netlink.borrow_mut()).expect("a list of addresses")
    }

    /// Does it have this address?
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses().iter().any(|a| a.ip == ip)
    }

    /// Puts addresses as "10.0.0.1/24" on `eth0`.
    pub(crate) fn add(&self, addresses: &[&str]) -> io::Result<()> {
        self.change(addresses, address::add)
    }

    /// Takes addresses as "10.0.0.1/24" from `eth0`.
    pub(crate) fn remove(&self, addresses: &[&str]) -> io::Result<()> {
        self.change(addresses, address::remove)
    }

    fn change(
        &self,
        addresses: &[&str],
        how: fn(&mut Batch, &Assignment, &keepalite::name::IfName),
    ) -> io::Result<()> {
        let mut batch = Batch::new();
        for text in addresses {
            how(&mut batch, &assignment(self.eth0, text)?, &name("eth0")?);
        }
        commit(&mut self.netlink.borrow_mut(), batch)
    }

    /// The MAC to which it sends what is for this address of the LAN, if it knows one.
    pub(crate) fn neighbour(&self, wanted: IpAddr) -> Option<Mac> {
        let all = neighbours(&mut self.netlink.borrow_mut()).expect("a list of neighbours");
        all.into_iter()
            .find(|(ifindex, ip, _)| (*ifindex, *ip) == (self.eth0, wanted))
            .map(|(_, _, mac)| mac)
    }
}

/// "10.0.0.2/24" on an interface; IPv6 without duplicate address detection.
fn assignment(ifindex: u32, text: &str) -> io::Result<Assignment> {
    let parsed = text
        .split_once('/')
        .and_then(|(ip, prefix)| ip.parse().ok().zip(prefix.parse().ok()));
    let (ip, prefix) =
        parsed.ok_or_else(|| io::Error::other(format!("{text} is no address with a prefix")))?;
    let mut assignment = Assignment::new(ifindex, ip, prefix);
    // Nobody's: what carries keepalived's mark would be cleaned up by a daemon.
    assignment.protocol = 0;
    Ok(assignment)
}

/// The neighbour table: interface, address, MAC.
fn neighbours(netlink: &mut Netlink) -> io::Result<Vec<(u32, IpAddr, Mac)>> {
    /// Length of `struct ndmsg` of linux/neighbour.h.
    const HEADER: usize = 12;
    const INCOMPLETE_OR_FAILED: u16 = 0x01 | 0x20;

    let body = Body::new(&[0; HEADER]);
    netlink
        .dump("list the neighbours", Rtm::Getneigh, body, |message| {
            let ifindex = u32_at(message.payload, 4)?;
            let (mut address, mut mac) = (None, None);
            for (kind, value) in attributes(message.payload.get(HEADER..)?) {
                match Nda::from(kind) {
                    Nda::Dst => address = ip(value),
                    Nda::Lladdr => mac = value.try_into().ok().map(Mac),
                    _ => {}
                }
            }
            (u16_at(message.payload, 8)? & INCOMPLETE_OR_FAILED == 0)
                .then_some((ifindex, address?, mac?))
        })
        .map_err(io::Error::other)
}
