//! Attempts carried out against small servers on loopback: what each way of failing is called, and how connections are made.

use core::net::{IpAddr, SocketAddr};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use keepalite::check::conversation::Outcome;
use keepalite::io::sys;
use keepalite::model::lvs::Checker;
use keepalite::run::check::prober::attempt;
use keepalite::run::reactor::{block_on, spawn};
use smol::future;

use crate::{made, server};

/// The outcome of one attempt, in words; no test waits for longer than ten seconds.
pub(crate) fn outcome(text: &str, at: SocketAddr) -> String {
    outcome_of(made::check(text, at))
}

fn outcome_of(checker: Checker) -> String {
    let late = async {
        keepalite::run::reactor::sleep(Duration::from_secs(10)).await;
        panic!("no verdict within ten seconds")
    };
    words(&block_on(future::or(attempt(&checker, 0), late)).unwrap())
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed(reason) => reason.to_string(),
        Outcome::Untried(reason) => format!("untried: {reason}"),
    }
}

const TCP: &str = "TCP_CHECK { connect_timeout 0.3 }";
const HTTP: &str = "HTTP_GET { connect_timeout 0.3\nurl { path / } }";
const UDP: &str = "UDP_CHECK { connect_timeout 0.3 }";

/// Runs on a thread that sees a network of its own, with loopback up and a route to nowhere.
fn in_a_network_of_its_own(work: impl FnOnce() + Send + 'static) {
    let done = thread::spawn(|| {
        if let Err(error) = sys::unshare_network() {
            assert!(
                std::env::var_os("NETNS").is_none_or(|v| v != "require"),
                "{error}"
            );
            eprintln!("SKIPPED: no permission for network namespaces");
            return;
        }
        ip("link set lo up");
        work();
    });
    done.join().unwrap();
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(done.success(), "ip {words}");
}

#[test]
fn a_server_that_accepts_passes() {
    let accepts = server::tcp(drop);
    assert_eq!(outcome(TCP, accepts), "passed");
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    for check in [
        TCP,
        HTTP,
        "SMTP_CHECK { }",
        "SMTP_CHECK { helo_name x }",
        UDP,
        "DNS_CHECK { }",
    ] {
        assert_eq!(
            outcome(check, server::nobody()),
            "connection refused",
            "{check}"
        );
    }
}

#[test]
fn a_host_that_does_not_answer_is_given_up_after_connect_timeout() {
    let start = Instant::now();
    for check in [TCP, HTTP] {
        let outcome = outcome(check, server::deaf());
        assert_eq!(outcome, "no connection within connect_timeout", "{check}");
    }
    assert!(start.elapsed() >= Duration::from_millis(600));
}

#[test]
fn a_server_that_accepts_and_is_silent_fails_after_connect_timeout() {
    let silent = server::tcp(|connection| {
        thread::sleep(Duration::from_secs(5));
        drop(connection);
    });
    for check in [HTTP, "SMTP_CHECK { connect_timeout 0.3 }"] {
        assert_eq!(
            outcome(check, silent),
            "no answer within connect_timeout",
            "{check}"
        );
    }
    let deaf = server::udp(|_| None);
    assert_eq!(outcome(UDP, deaf), "passed");
    for check in [
        "UDP_CHECK { connect_timeout 0.3\nrequire_reply }",
        "DNS_CHECK { connect_timeout 0.3 }",
    ] {
        assert_eq!(
            outcome(check, deaf),
            "no answer within connect_timeout",
            "{check}"
        );
    }
}

#[test]
fn a_silence_ends_with_the_next_piece_but_not_for_ever() {
    let slow = server::tcp(|mut connection| {
        server::request(&mut connection);
        for piece in ["HTTP/1.0 200 OK\r\n", "Content-Length: 2\r\n\r\n", "o", "k"] {
            let _ = connection.write_all(piece.as_bytes());
            thread::sleep(Duration::from_millis(150));
        }
    });
    assert_eq!(outcome(HTTP, slow), "passed");
    let endless = server::tcp(|mut connection| {
        server::request(&mut connection);
        while connection.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(outcome(HTTP, endless), "the answer takes too long");
}

#[test]
fn a_connection_that_is_reset_is_told_from_one_that_ends() {
    let resets = server::tcp(|connection| {
        rustix::net::sockopt::set_socket_linger(&connection, Some(Duration::ZERO)).unwrap();
    });
    let hung_up = "it hung up in the middle of its answer";
    assert_eq!(outcome(HTTP, resets), hung_up);
    assert_eq!(outcome(HTTP, server::tcp(drop)), hung_up);
}

#[test]
fn a_long_page_is_read_to_its_end_and_digested() {
    const PAGE: usize = 3_000_000;
    let long = server::tcp(|mut connection| {
        server::request(&mut connection);
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {PAGE}\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        let _ = connection.write_all(&vec![b'a'; PAGE]);
    });
    let digest = Command::new("sh")
        .args([
            "-c",
            &format!("head -c {PAGE} /dev/zero | tr '\\0' a | md5sum"),
        ])
        .output()
        .unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let digest = digest.split(' ').next().unwrap();
    let check = |digest: &str| format!("HTTP_GET {{\nurl {{\npath /\ndigest {digest}\n}}\n}}");
    assert_eq!(outcome(&check(digest), long), "passed");
    let wrong = "0123456789abcdef0123456789abcdef";
    assert_eq!(
        outcome(&check(wrong), long),
        format!("the digest of the page is {digest}")
    );
}

/// A server that tells where each connection came from, also of one that is reset at once.
fn witness() -> (SocketAddr, mpsc::Receiver<SocketAddr>) {
    let (tell, told) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((_, from)) = listener.accept() {
            let _ = tell.send(from);
        }
    });
    (at, told)
}

#[test]
fn bindto_and_bind_port_say_where_a_connection_comes_from_every_time() {
    let (at, told) = witness();
    let port = server::nobody().port();
    let check = format!("TCP_CHECK {{\nbindto 127.0.0.9\nbind_port {port}\n}}");
    for _ in 0..3 {
        assert_eq!(outcome(&check, at), "passed");
        let from = told.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(
            (from.ip(), from.port()),
            (IpAddr::from([127, 0, 0, 9]), port)
        );
    }
    assert_eq!(
        outcome(&format!("TCP_CHECK {{ bind_port {port} }}"), at),
        "passed"
    );
    assert_eq!(
        told.recv_timeout(Duration::from_secs(5)).unwrap().port(),
        port
    );
}

#[test]
fn what_this_host_lacks_is_not_the_servers_fault() {
    let accepts = server::tcp(drop);
    let outcome = |check| outcome(check, accepts);
    assert_eq!(
        outcome("TCP_CHECK { bindto 192.0.2.1 }"),
        "untried: cannot bind to the bindto: Cannot assign requested address (os error 99)"
    );
    let lacking = outcome("TCP_CHECK { bind_if none0 }");
    assert!(
        lacking.starts_with("untried: cannot bind to the bind_if: "),
        "{lacking}"
    );
}

#[test]
fn a_host_without_a_way_to_it_is_unreachable() {
    in_a_network_of_its_own(|| {
        let nowhere = "192.0.2.1:80".parse().unwrap();
        for check in [TCP, HTTP, UDP, "PING_CHECK { }", "DNS_CHECK { }"] {
            assert_eq!(outcome(check, nowhere), "unreachable", "{check}");
        }
        ip("-6 route add unreachable 2001:db8::/32");
        let nowhere = "[2001:db8::1]:80".parse().unwrap();
        for check in [TCP, UDP, "PING_CHECK { }"] {
            assert_eq!(outcome(check, nowhere), "unreachable", "{check}");
        }
    });
}

#[test]
fn fwmark_marks_what_is_sent_and_bind_if_says_by_which_interface() {
    in_a_network_of_its_own(|| {
        ip("rule add fwmark 7 unreachable pref 1");
        ip("rule del table local");
        ip("rule add table local pref 2");
        let accepts = server::tcp(drop);
        assert_eq!(outcome("TCP_CHECK { fwmark 8 }", accepts), "passed");
        for check in [
            "TCP_CHECK { fwmark 7 }",
            "UDP_CHECK { fwmark 7 }",
            "PING_CHECK { fwmark 7 }",
        ] {
            assert_eq!(outcome(check, accepts), "unreachable", "{check}");
        }
        ip("link add d0 type veth peer name d1");
        ip("link set d0 up");
        assert_eq!(outcome("TCP_CHECK { bind_if lo }", accepts), "passed");
        let elsewhere = outcome("TCP_CHECK {\nbind_if d0\nconnect_timeout 0.3\n}", accepts);
        assert_ne!(elsewhere, "passed");
    });
}

#[test]
fn every_protocol_passes_against_its_server_over_ipv6_too() {
    let smtp = server::tcp_at("[::1]:0", |mut connection| {
        for reply in ["220 mx\r\n", "250 mx\r\n", "221 bye\r\n"] {
            connection.write_all(reply.as_bytes()).unwrap();
            let _ = connection.read(&mut [0; 512]);
        }
    });
    assert_eq!(outcome("SMTP_CHECK { }", smtp), "passed");
    let dns = server::udp(|question| {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        Some(answer)
    });
    assert_eq!(
        outcome("DNS_CHECK {\ntype A\nname example.net\n}", dns),
        "passed"
    );
    let echo = server::udp(|heard| Some(heard.to_vec()));
    let check = "UDP_CHECK {\npayload 00 ff\nrequire_reply 00 ff\n}";
    assert_eq!(outcome(check, echo), "passed");
}

#[test]
fn a_host_that_is_up_answers_to_ping() {
    for host in ["127.0.0.1:1", "[::1]:1"] {
        let at = host.parse().unwrap();
        let outcome = outcome("PING_CHECK { connect_timeout 2 }", at);
        if outcome.contains("Permission denied") || outcome.contains("Operation not permitted") {
            eprintln!("SKIPPED: no permission for ICMP sockets");
            continue;
        }
        assert_eq!(outcome, "passed", "{host}");
    }
}

#[test]
fn ping_needs_no_wider_group_range() {
    const RANGE: &str = "/proc/sys/net/ipv4/ping_group_range";
    in_a_network_of_its_own(|| {
        // A fresh network has the kernel's default: nobody may.
        assert_eq!(fs::read_to_string(RANGE).unwrap().trim(), "1\t0");
        for host in ["127.0.0.1:1", "[::1]:1"] {
            assert_eq!(
                outcome("PING_CHECK { }", host.parse().unwrap()),
                "passed",
                "{host}"
            );
        }
        assert_eq!(fs::read_to_string(RANGE).unwrap().trim(), "1\t0");
    });
}

#[test]
fn hundreds_of_attempts_go_on_at_once_and_disturb_nobody() {
    let good = server::page(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let bad = server::tcp(|mut connection| {
        server::request(&mut connection);
        while connection.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let check = "HTTP_GET {\nconnect_timeout 20\nurl { path / }\n}";
    let outcomes = block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|place| {
                let at = if place % 2 == 0 { good } else { bad };
                let checker = made::check(check, at);
                spawn(async move { words(&attempt(&checker, 0).await) })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await);
        }
        outcomes
    })
    .unwrap();
    for (place, outcome) in outcomes.iter().enumerate() {
        let expected = ["passed", "its headers are too long"][place % 2];
        assert_eq!(outcome, expected, "attempt {place}");
    }
}
