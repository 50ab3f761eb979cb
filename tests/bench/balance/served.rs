//! The servers that are checked: whatever connects is let in, or answered, and counted.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, bind, listen, shutdown, socket_with, sockopt,
};

use crate::lab::Host;

/// A server; it ends with this value.
pub(crate) struct Served {
    /// When connections came.
    times: Arc<Mutex<Vec<Instant>>>,
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

const PAGE: &[u8] =
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";

impl Served {
    /// Listens at an address of the host, which may be all of them, and answers with a page if it is to.
    pub(crate) fn start(host: &Host, ip: IpAddr, answering: bool) -> io::Result<Self> {
        let listener = host.namespace.enter(|| {
            let (stream, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
            let socket = socket_with(AddressFamily::INET, stream, flags, None)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddr::new(ip, 80))?;
            // A thousand checks may come at once.
            listen(&socket, 4096)?;
            io::Result::Ok(TcpListener::from(socket))
        })?;
        let listener = Arc::new(listener);
        let times = Arc::new(Mutex::new(Vec::with_capacity(1 << 16)));
        let (theirs, listening) = (Arc::clone(&times), Arc::clone(&listener));
        let thread = std::thread::spawn(move || {
            while let Ok((connection, _)) = listening.accept() {
                if let Ok(mut times) = theirs.lock() {
                    times.push(Instant::now());
                }
                if answering {
                    let _ = answer(connection);
                }
            }
        });
        Ok(Self {
            times,
            listener,
            thread: Some(thread),
        })
    }

    /// When connections came, since `begin`.
    pub(crate) fn since(&self, begin: Instant) -> Vec<Instant> {
        let times = self.times.lock().expect("the server lives");
        let first = times.partition_point(|at| *at < begin);
        times.get(first..).unwrap_or_default().to_vec()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Who waits for a connection hears of it too.
        let _ = shutdown(&self.listener, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut connection: TcpStream) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match connection.read(&mut part)? {
            0 => return Ok(()),
            len => request.extend_from_slice(&part[..len]),
        }
    }
    connection.write_all(PAGE)
}
