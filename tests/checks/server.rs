//! Small servers on loopback that do as they are told, each in a thread of its own that ends with the test's process.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

/// Listens, and gives every connection to `serve` in a thread of its own.
pub(crate) fn tcp(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    tcp_at("127.0.0.1:0", serve)
}

pub(crate) fn tcp_at(at: &str, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(at).unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(connection.unwrap()));
        }
    });
    at
}

/// Answers every request for a page with these bytes, and hangs up.
pub(crate) fn page(answer: &'static [u8]) -> SocketAddr {
    tcp(move |mut connection| {
        request(&mut connection);
        let _ = std::io::Write::write_all(&mut connection, answer);
    })
}

/// Reads what is asked, up to the empty line.
pub(crate) fn request(connection: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match std::io::Read::read(connection, &mut byte) {
            Ok(1) => heard.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// Answers every datagram with what `answer` makes of it, if anything.
pub(crate) fn udp(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = bound();
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..length]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    at
}

/// A port where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A port whose queue is full: whoever connects there hears nothing, as from a host that is switched off.
pub(crate) fn deaf() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    rustix::net::listen(listener.as_fd(), 0).unwrap();
    let waiting: Vec<_> = (0..3)
        .map_while(|_| TcpStream::connect_timeout(&at, Duration::from_millis(100)).ok())
        .collect();
    assert!(waiting.len() < 3, "the queue of {at} is not full");
    // Open as long as the process.
    core::mem::forget((listener, waiting));
    at
}

/// Answers from another port than the one that was asked.
pub(crate) fn udp_from_elsewhere(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let (socket, other) = (bound(), bound());
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = other.send_to(&answer(&buffer[..length]), from);
        }
    });
    at
}

/// Answers with so many datagrams that answer nothing.
pub(crate) fn udp_flood(count: usize) -> SocketAddr {
    let socket = bound();
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            for number in 0..count {
                let _ = socket.send_to(&number.to_be_bytes(), from);
            }
        }
    });
    at
}

fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}
