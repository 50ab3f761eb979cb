//! Where both are measured: one host with IPVS, whose servers are its own addresses.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keepalite::error::Chain;
use keepalite::io::ipvs::{Destination, Endpoint, Ipvs, Key, Protocol};

use crate::Side;
use crate::lab::{Host, Lab, Process};

/// Nothing that is waited for takes as long.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// Between two looks at the table.
const LOOK: Duration = Duration::from_micros(500);

/// The host, and the way to its table.
pub(crate) struct Ground {
    pub(crate) lab: Lab,
    pub(crate) ipvs: RefCell<Ipvs>,
}

impl Ground {
    pub(crate) fn new() -> io::Result<Self> {
        // Who logs to nobody gets an error with each line, and says it on the console instead.
        let log = UnixDatagram::bind("/dev/log")?;
        std::thread::spawn(move || while log.recv(&mut [0; 64]).is_ok() {});
        let lab = Lab::new(&[("director", &["10.0.0.1/8"])])?;
        let host = lab.host("director");
        // Every address of these is the host's own.
        host.run("ip addr add 10.1.0.0/16 dev lo");
        let ipvs = host.namespace.enter(Ipvs::open).map_err(told)?;
        Ok(Self {
            lab,
            ipvs: ipvs.into(),
        })
    }

    pub(crate) fn host(&self) -> &Host {
        self.lab.host("director")
    }

    /// Writes a configuration where it goes with the lab.
    pub(crate) fn write(&self, configuration: &str) -> io::Result<PathBuf> {
        let path = self.lab.scratch().join("balance.conf");
        fs::write(&path, configuration)?;
        Ok(path)
    }

    /// Starts a side, checkers only, with an empty table.
    pub(crate) fn start(&self, side: &Side, configuration: &str) -> io::Result<Process> {
        self.ipvs.borrow_mut().flush().map_err(told)?;
        let config = self.write(configuration)?.display().to_string();
        let file = |name: &str| self.lab.scratch().join(name).display().to_string();
        let (parent, child) = (file("parent.pid"), file("checkers.pid"));
        for old in [&parent, &child] {
            let _ = fs::remove_file(old);
        }
        let words = ["-n", "-C", "-f", &config, "-p", &parent, "-c", &child];
        self.host().start(&side.program, &words, &[])
    }

    /// Waits until the real servers of a virtual one are as asked for; how long that took.
    pub(crate) fn wait(
        &self,
        key: Key,
        begin: Instant,
        enough: impl Fn(&Members) -> bool,
    ) -> io::Result<Duration> {
        let mut ipvs = self.ipvs.borrow_mut();
        while begin.elapsed() < LONG {
            if ipvs.real_servers(key).is_ok_and(|members| enough(&members)) {
                return Ok(begin.elapsed());
            }
            std::thread::sleep(LOOK);
        }
        Err(io::Error::other(format!(
            "the table of {key} never came to that"
        )))
    }
}

pub(crate) type Members = keepalite::sorted::Map<Endpoint, Destination>;

pub(crate) fn told(error: keepalite::io::error::NetError) -> io::Error {
    io::Error::other(Chain(&error).to_string())
}

/// The virtual server of this number, from zero.
pub(crate) fn key(number: u16) -> Key {
    let [high, low] = number.to_be_bytes();
    Key::Address {
        protocol: Protocol::Tcp,
        ip: IpAddr::V4(Ipv4Addr::new(10, 2, high, low)),
        port: 80,
    }
}

/// The real server of this number, from zero, on the host itself.
pub(crate) fn endpoint(number: u16) -> Endpoint {
    let [high, low] = (number + 1).to_be_bytes();
    Endpoint {
        ip: IpAddr::V4(Ipv4Addr::new(10, 1, high, low)),
        port: 80,
    }
}

/// A virtual server with these lines and these real servers, each with its own.
pub(crate) fn service(number: u16, lines: &str, servers: &[(u16, &str)]) -> String {
    use std::fmt::Write as _;
    let Key::Address { ip, .. } = key(number) else {
        unreachable!()
    };
    let mut text = format!(
        "virtual_server {ip} 80 {{\n lvs_sched wlc\n lvs_method NAT\n protocol TCP\n {lines}\n"
    );
    for (server, lines) in servers {
        let ip = endpoint(*server).ip;
        let _ = writeln!(text, " real_server {ip} 80 {{\n {lines}\n }}");
    }
    text.push_str("}\n");
    text
}
