//! Real servers and their clients, on hosts of a laboratory.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use crate::lab::{Host, wait_until};

/// No answer in a laboratory takes as long.
const SOON: Duration = Duration::from_secs(30);

/// Asks again and again, for what nobody announces.
pub(crate) fn eventually<T>(what: &str, answer: impl FnMut() -> Option<T>) -> T {
    let step = |left: Duration| std::thread::sleep(left.min(Duration::from_millis(20)));
    wait_until(Instant::now() + SOON, step, answer).unwrap_or_else(|| panic!("never {what}"))
}

/// Writes a setting below `/proc/sys/net` of a host.
pub(crate) fn set(host: &Host, setting: &str, value: &str) {
    let path = format!("/proc/sys/net/{setting}");
    let written = host.namespace.enter(|| std::fs::write(&path, value));
    written.unwrap_or_else(|e| panic!("{}: {path}: {e}", host.name));
}

/// How packets get to real servers, and what those need for it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    Nat,
    Direct,
    Tunnel,
}

impl Method {
    /// As keepalived's configuration has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::Direct => "DR",
            Self::Tunnel => "TUN",
        }
    }

    /// The address of a real server: behind the director, or beside it.
    pub(crate) fn address(self, number: u8) -> String {
        match self {
            Self::Nat => format!("10.0.0.1{number}"),
            Self::Direct | Self::Tunnel => format!("192.168.0.1{number}"),
        }
    }

    /// The addresses of a virtual router: of the service, and for translation that of the way back.
    pub(crate) fn virtual_addresses(self, vip: &str) -> String {
        match self {
            Self::Nat => format!("{vip}/24\n 10.0.0.1/24"),
            Self::Direct | Self::Tunnel => format!("{vip}/24"),
        }
    }

    /// Makes a host a director.
    pub(crate) fn prepare_director(self, host: &Host) {
        set(host, "ipv4/ip_forward", "1");
        set(host, "ipv4/conf/all/send_redirects", "0");
        set(host, "ipv4/conf/eth0/send_redirects", "0");
    }

    /// Makes a host a real server: one that answers by itself has the address of the service, and keeps quiet about it.
    pub(crate) fn prepare_server(self, host: &Host, vip: &str) {
        match self {
            Self::Nat => drop(host.run("ip route add default via 10.0.0.1")),
            Self::Direct | Self::Tunnel => {
                set(host, "ipv4/conf/all/arp_ignore", "1");
                set(host, "ipv4/conf/all/arp_announce", "2");
                host.run(&format!("ip addr add {vip}/32 dev lo"));
            }
        }
        if matches!(self, Self::Tunnel) {
            // Making any loads the module, which makes the one that takes packets from everybody.
            host.run("ip link add some type ipip remote 192.0.2.1");
            host.run("ip link set tunl0 up");
            for interface in ["all", "tunl0"] {
                set(host, &format!("ipv4/conf/{interface}/rp_filter"), "0");
            }
        }
    }
}

/// A server that says its name on each line that it hears; it ends with this value, its connections with their clients.
pub(crate) struct Echo(Arc<TcpListener>);

impl Echo {
    /// Serves at a port of all addresses of the host, from now on.
    pub(crate) fn start(host: &Host, port: u16) -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        let listener = host.namespace.enter(bind);
        let listener = Arc::new(listener.unwrap_or_else(|e| panic!("{}: {e}", host.name)));
        let (listening, name) = (Arc::clone(&listener), host.name.clone());
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listening.accept() {
                let name = name.clone();
                std::thread::spawn(move || echo(&connection, &name));
            }
        });
        Self(listener)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = shutdown(&self.0, Shutdown::Both);
    }
}

fn echo(connection: &TcpStream, name: &str) {
    let mut hearing = BufReader::new(connection);
    let mut line = String::new();
    while hearing.read_line(&mut line).is_ok_and(|len| len > 0) {
        let mut writing = connection;
        if write!(writing, "{name} heard {line}").is_err() {
            return;
        }
        line.clear();
    }
}

/// How a [`Web`] server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once, with this status.
    Status(u16),
    /// After this time.
    Slow(Duration),
}

/// A server that answers requests of HTTP with the name of its host; it ends with this value.
pub(crate) struct Web {
    listener: Arc<TcpListener>,
    manner: Arc<Mutex<Manner>>,
}

impl Web {
    /// Serves at port 80 of all addresses of the host, from now on.
    pub(crate) fn start(host: &Host) -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80));
        let listener = host.namespace.enter(bind);
        let listener = Arc::new(listener.unwrap_or_else(|e| panic!("{}: {e}", host.name)));
        let manner = Arc::new(Mutex::new(Manner::Status(200)));
        let (listening, theirs) = (Arc::clone(&listener), Arc::clone(&manner));
        let name = host.name.clone();
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listening.accept() {
                let (name, manner) = (name.clone(), Arc::clone(&theirs));
                std::thread::spawn(move || answer(&connection, &name, &manner));
            }
        });
        Self { listener, manner }
    }

    /// Answers in another way from now on.
    pub(crate) fn answer(&self, manner: Manner) {
        *self.manner.lock().expect("no panic") = manner;
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // Who waits for a connection hears of it too.
        let _ = shutdown(&self.listener, Shutdown::Both);
    }
}

/// Answers one request after the other until the client goes.
fn answer(connection: &TcpStream, name: &str, manner: &Mutex<Manner>) -> io::Result<()> {
    let mut hearing = BufReader::new(connection);
    let mut line = String::new();
    while hearing.read_line(&mut line)? > 0 {
        if line != "\r\n" {
            line.clear();
            continue;
        }
        let status = match *manner.lock().expect("no panic") {
            Manner::Status(status) => status,
            Manner::Slow(time) => {
                std::thread::sleep(time);
                200
            }
        };
        let mut writing = connection;
        let length = name.len();
        write!(
            writing,
            "HTTP/1.1 {status} As Told\r\nContent-Length: {length}\r\n\r\n{name}"
        )?;
        return Ok(());
    }
    Ok(())
}

/// Asks for the page of a server: the status, and its text.
pub(crate) fn fetch(from: &Host, to: &str) -> io::Result<(u16, String)> {
    // The kernel drops without a word what still goes to a server that has been taken away: who asks again gets another.
    const PATIENCE: Duration = Duration::from_secs(3);
    let ip: IpAddr = to.parse().expect("an address");
    let connect = || TcpStream::connect_timeout(&(ip, 80).into(), PATIENCE);
    let mut connection = from.namespace.enter(connect)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    let text = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok((
        status.ok_or(io::ErrorKind::InvalidData)?,
        text.trim().to_owned(),
    ))
}

/// A connection of a client.
pub(crate) struct Call(TcpStream);

impl Call {
    /// Connects from a host.
    pub(crate) fn new(from: &Host, to: &str, port: u16) -> io::Result<Self> {
        let ip: IpAddr = to.parse().expect("an address");
        let connect = || TcpStream::connect_timeout(&(ip, port).into(), SOON);
        let connection = from.namespace.enter(connect)?;
        connection.set_read_timeout(Some(SOON))?;
        Ok(Self(connection))
    }

    /// Says a line and hears one; the name of who answered.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<String> {
        writeln!(self.0, "{line}")?;
        let mut answer = String::new();
        let mut byte = [0];
        while !answer.ends_with('\n') {
            if self.0.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend(byte.map(char::from));
        }
        let name = answer.strip_suffix(&format!(" heard {line}\n"));
        Ok(name
            .unwrap_or_else(|| panic!("an answer to {line}: {answer}"))
            .to_owned())
    }
}
