//! Real servers and their clients, on hosts of a laboratory.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "it offers more than each of its users needs, and may fail loudly"
)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::lab::Host;

/// No answer in a laboratory takes as long.
const SOON: Duration = Duration::from_secs(5);

/// A server that says its name on each line that it hears; it ends with this value.
pub(crate) struct Echo(Arc<AtomicBool>);

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Echo {
    /// Serves at an address of the host, from now on.
    pub(crate) fn start(host: &Host, ip: &str, port: u16) -> Self {
        let ip: IpAddr = ip.parse().expect("an address");
        let address = SocketAddr::new(ip, port);
        let listener = host.namespace.enter(|| TcpListener::bind(address));
        let listener = listener.unwrap_or_else(|e| panic!("{}: {address}: {e}", host.name));
        let over = Arc::new(AtomicBool::new(false));
        let (name, end) = (host.name.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let name = name.clone();
                std::thread::spawn(move || echo(&connection, &name));
            }
        });
        Self(over)
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
