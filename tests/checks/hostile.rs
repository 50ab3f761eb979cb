//! Servers that misbehave in every way that we could think of: a verdict in time, memory bounded, others undisturbed.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use keepalite::check::conversation::Outcome;
use keepalite::run::check::prober::attempt;
use keepalite::run::reactor::{block_on, sleep, spawn};

use crate::{made, server};

/// A timeout of 0.4 s, so that an attempt may last for 1.6 s; the checks are asked for every tenth of a second.
const TIMEOUT: &str = "connect_timeout 0.4";
const LATEST: Duration = Duration::from_millis(1_600);

/// Writes the same over and over.
fn flood(connection: &mut TcpStream, piece: &[u8]) {
    while connection.write_all(piece).is_ok() {}
}

/// Writes byte by byte, with a pause behind each.
fn trickle(connection: &mut TcpStream, text: &[u8]) {
    for byte in text.iter().cycle() {
        if connection.write_all(&[*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Hangs up with a reset.
fn reset(connection: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO));
}

fn hold(connection: TcpStream) {
    thread::sleep(Duration::from_secs(20));
    drop(connection);
}

/// What TCP servers do to each of the protocols; nobody may pass one of these.
fn misbehaviours() -> Vec<(&'static str, SocketAddr)> {
    const HTTP: &[u8] = b"HTTP/1.0 200 OK\r\n";
    let mut all: Vec<(&'static str, SocketAddr)> = vec![
        ("silence", server::tcp(hold)),
        ("nobody", server::nobody()),
        ("a full queue", server::deaf()),
        ("an end at once", server::tcp(drop)),
        (
            "a reset at once",
            server::tcp(|connection| reset(&connection)),
        ),
        (
            "a flood of zeros",
            server::tcp(|mut c| flood(&mut c, &[0; 65_536])),
        ),
        (
            "a flood of line feeds",
            server::tcp(|mut c| flood(&mut c, &[b'\n'; 65_536])),
        ),
        (
            "a flood of garbage",
            server::tcp(|mut c| {
                let garbage: Vec<u8> = (0..65_521_u32)
                    .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
                    .collect();
                flood(&mut c, &garbage);
            }),
        ),
        (
            "a byte now and then",
            server::tcp(|mut c| trickle(&mut c, HTTP)),
        ),
        (
            "endless headers",
            server::tcp(|mut c| {
                let _ = c.write_all(HTTP);
                flood(&mut c, b"X-Header: and another one\r\n");
            }),
        ),
        (
            "an endless header",
            server::tcp(|mut c| {
                let _ = c.write_all(b"HTTP/1.0 200 OK\r\nX-Header: ");
                flood(&mut c, &[b'x'; 65_536]);
            }),
        ),
        (
            "an endless status line",
            server::tcp(|mut c| {
                let _ = c.write_all(b"HTTP/1.0 ");
                flood(&mut c, &[b'2'; 65_536]);
            }),
        ),
        (
            "a body without end",
            server::tcp(|mut c| {
                let _ = c.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
                flood(&mut c, &[b'x'; 65_536]);
            }),
        ),
        (
            "a body of exabytes",
            server::tcp(|mut c| {
                let _ =
                    c.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
                flood(&mut c, &[b'x'; 65_536]);
            }),
        ),
        (
            "a body that trickles",
            server::tcp(|mut c| {
                let _ = c.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n");
                trickle(&mut c, b"x");
            }),
        ),
        (
            "a body that stops",
            server::tcp(|mut c| {
                let _ = c.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\nx");
                hold(c);
            }),
        ),
        (
            "endless lines of a greeting",
            server::tcp(|mut c| flood(&mut c, b"220-be patient\r\n")),
        ),
        (
            "an endless line of a greeting",
            server::tcp(|mut c| {
                let _ = c.write_all(b"220 ");
                flood(&mut c, &[b'x'; 65_536]);
            }),
        ),
        (
            "a greeting and no more",
            server::tcp(|mut c| {
                let _ = c.write_all(b"220 mx\r\n");
                hold(c);
            }),
        ),
        (
            "a reset after a greeting",
            server::tcp(|mut c| {
                let _ = c.write_all(b"220 mx\r\n");
                let _ = c.read(&mut [0; 64]);
                reset(&c);
            }),
        ),
        (
            "endless records of TLS",
            server::tcp(|mut c| flood(&mut c, &[22, 3, 3, 0x40, 0])),
        ),
        (
            "a handshake that does not end",
            server::tcp(|mut c| {
                flood(&mut c, &[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff]);
            }),
        ),
        (
            "warnings of TLS without end",
            server::tcp(|mut c| flood(&mut c, &[21, 3, 3, 0, 2, 1, 90])),
        ),
        (
            "a handshake that stops half-way",
            server::tcp(|mut c| {
                let _ = c.write_all(&[22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3]);
                hold(c);
            }),
        ),
        (
            "our own words",
            server::tcp(|mut c| {
                let mut heard = [0; 4096];
                while let Ok(length @ 1..) = c.read(&mut heard) {
                    let _ = c.write_all(&heard[..length]);
                }
            }),
        ),
    ];
    // A reset behind each byte of an answer.
    for cut in 0..HTTP.len() + 2 {
        let answer: Vec<u8> = HTTP.iter().chain(b"\r\n").take(cut).copied().collect();
        all.push((
            "a reset in the middle",
            server::tcp(move |mut c| {
                let _ = c.write_all(&answer);
                reset(&c);
            }),
        ));
    }
    all
}

fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn every_misbehaviour_gets_its_verdict_in_time_and_disturbs_nobody() {
    let checks = [
        format!(
            "HTTP_GET {{\n{TIMEOUT}\nurl {{\npath /\ndigest 0123456789abcdef0123456789abcdef\n}}\n}}"
        ),
        format!("SMTP_CHECK {{\n{TIMEOUT}\n}}"),
        format!("SSL_GET {{\n{TIMEOUT}\nurl {{\npath /\n}}\n}}"),
    ];
    let checks = &checks[..if cfg!(feature = "tls") { 3 } else { 2 }];
    let good = server::page(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let good = made::check("HTTP_GET {\nconnect_timeout 9\nurl { path / }\n}", good);
    let servers = misbehaviours();
    let before = resident();
    let mut slowest = Duration::ZERO;
    for check in checks {
        block_on(async {
            // Those who behave go on passing beside them.
            let neighbour = good.clone();
            let neighbour = spawn(async move {
                let mut passed = 0;
                loop {
                    assert_eq!(attempt(&neighbour, 0).await, Outcome::Passed);
                    passed += 1;
                    if passed > 20 {
                        return;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
            let tasks: Vec<_> = servers
                .iter()
                .map(|(what, at)| {
                    let checker = made::check(check, *at);
                    let what = *what;
                    spawn(async move {
                        let start = Instant::now();
                        (what, attempt(&checker, 0).await, start.elapsed())
                    })
                })
                .collect();
            for task in tasks {
                let (what, outcome, spent) = task.await;
                assert!(
                    matches!(outcome, Outcome::Failed(_)),
                    "{check}\n{what}: {outcome:?}"
                );
                slowest = slowest.max(spent);
            }
            neighbour.await;
        })
        .unwrap();
    }
    // The bound is a second more than the limit: this is a busy machine's test, not a measurement.
    assert!(slowest < LATEST + Duration::from_secs(1), "{slowest:?}");
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 64 << 20,
        "grown by {grown} bytes, the servers' threads included"
    );
}

/// One check against a datagram server.
fn datagram(check: &str, at: SocketAddr) -> (Outcome, Duration) {
    let checker = made::check(check, at);
    let start = Instant::now();
    let outcome = block_on(attempt(&checker, 0)).unwrap();
    (outcome, start.elapsed())
}

#[test]
fn datagrams_from_elsewhere_or_of_another_kind_are_not_heard_and_end_nothing() {
    // Whatever comes, from a socket of its own: the check is connected to another one.
    let elsewhere = server::udp_from_elsewhere(|heard| heard.to_vec());
    for check in [
        "DNS_CHECK {\nconnect_timeout 0.4\n}",
        "UDP_CHECK {\nconnect_timeout 0.4\nrequire_reply\n}",
    ] {
        let (outcome, _) = datagram(check, elsewhere);
        assert!(
            matches!(outcome, Outcome::Failed(_)),
            "{check}: {outcome:?}"
        );
    }
    // Ten thousand answers that are none, and never the right one.
    let flooding = server::udp_flood(10_000);
    let (outcome, spent) = datagram("DNS_CHECK {\nconnect_timeout 0.4\n}", flooding);
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    assert!(spent < Duration::from_secs(2), "{spent:?}");
    // Without end, and nobody else is kept waiting.
    let endless = server::udp_flood(usize::MAX);
    let good = server::page(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let flooded = made::check("DNS_CHECK {\nconnect_timeout 1\n}", endless);
    let good = made::check("HTTP_GET {\nconnect_timeout 9\nurl { path / }\n}", good);
    block_on(async {
        let flooded = spawn(async move { attempt(&flooded, 0).await });
        for _ in 0..5 {
            assert_eq!(attempt(&good, 0).await, Outcome::Passed);
        }
        assert!(matches!(flooded.await, Outcome::Failed(_)));
    })
    .unwrap();
    // Datagrams of every length up to the longest.
    for length in [0_usize, 1, 11, 12, 255, 256, 1_472, 9_000, 65_507] {
        let at = server::udp(move |_| Some(vec![0xff; length]));
        let (outcome, _) = datagram("DNS_CHECK {\nconnect_timeout 0.4\n}", at);
        assert!(
            matches!(outcome, Outcome::Failed(_)),
            "{length}: {outcome:?}"
        );
        let check =
            "UDP_CHECK {\nconnect_timeout 0.4\nrequire_reply ffff\nmax_reply_length 65535\n}";
        let (outcome, _) = datagram(check, at);
        assert_eq!(outcome, Outcome::Passed, "{length}");
    }
}

#[test]
fn ten_thousand_icmp_errors_end_one_attempt_at_most() {
    // Each datagram to a closed port brings an ICMP error; all but ours are for somebody else.
    let closed = server::nobody();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = thread::spawn(move || {
        for _ in 0..10_000 {
            let _ = other.send_to(b"x", closed);
        }
    });
    let answering = server::udp(|heard| {
        let mut answer = heard.to_vec();
        *answer.get_mut(2)? |= 0x80;
        Some(answer)
    });
    for _ in 0..20 {
        let (outcome, _) = datagram("DNS_CHECK {\nconnect_timeout 9\n}", answering);
        assert_eq!(outcome, Outcome::Passed);
        let (outcome, _) = datagram("UDP_CHECK {\nconnect_timeout 9\n}", closed);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
    sender.join().unwrap();
}
