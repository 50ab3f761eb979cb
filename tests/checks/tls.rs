//! `SSL_GET` against nginx, openssl and GnuTLS: versions, certificates, curves, ciphers, names, and why a handshake fails.

use std::net::SocketAddr;

use crate::peers::{Server, certificate, folder, nginx};
use crate::prober::outcome;
use crate::server;

const TLS: &str = "SSL_GET { url { path / } }";

/// `openssl s_server` with a certificate of this kind; it answers with a page of its own.
fn openssl(folder: &std::path::Path, kind: &str, words: &str) -> Option<(Server, SocketAddr)> {
    let (certificate, key) = certificate(folder, kind);
    let at = server::nobody();
    let port = at.port().to_string();
    let mut all = vec![
        "s_server",
        "-quiet",
        "-www",
        "-accept",
        &port,
        "-cert",
        &certificate,
        "-key",
        &key,
    ];
    all.extend(words.split_whitespace());
    Server::start("openssl", &all, at).map(|server| (server, at))
}

#[test]
fn nginx_serves_tls_of_both_versions_with_both_kinds_of_certificates() {
    let folder = folder("checks-tls-nginx");
    std::fs::write(folder.join("index.html"), "hello").unwrap();
    let mut servers = String::new();
    let mut places = Vec::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        for kind in ["rsa", "p256", "p384"] {
            let (certificate, key) = certificate(&folder, kind);
            let at = server::nobody();
            servers += &format!(
                "server {{ listen {at} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
                 ssl_protocols {version}; }}\n"
            );
            places.push((version, kind, at));
        }
    }
    let (_, _, last) = *places.last().unwrap();
    let Some(_nginx) = nginx(&folder, &servers, last) else {
        return;
    };
    let check = "SSL_GET {\nurl {\npath /\ndigest 5d41402abc4b2a76b9719d911017c592\n}\n}";
    for (version, kind, at) in places {
        assert_eq!(outcome(check, at), "passed", "{version} {kind}");
        let compliant = "SSL_GET {\ntls_compliant\nurl { path /absent }\n}";
        assert_eq!(
            outcome(compliant, at),
            "status 404, not 200-299",
            "{version} {kind}"
        );
    }
}

#[test]
fn enable_sni_tells_the_server_its_name_and_nothing_else_does() {
    let folder = folder("checks-tls-sni");
    std::fs::write(folder.join("index.html"), "hello").unwrap();
    let (certificate, key) = certificate(&folder, "p256");
    let at = server::nobody();
    let servers = format!(
        "ssl_certificate {certificate}; ssl_certificate_key {key};
         server {{ listen {at} ssl default_server; ssl_reject_handshake on; }}
         server {{ listen {at} ssl; server_name www.example; }}"
    );
    let Some(_nginx) = nginx(&folder, &servers, at) else {
        return;
    };
    let check = |rest: &str| format!("SSL_GET {{\n{rest}\nurl {{ path / }}\n}}");
    assert_eq!(
        outcome(&check("enable_sni\nvirtualhost www.example"), at),
        "passed"
    );
    assert_eq!(
        outcome(&check("enable_sni\nvirtualhost www.example:443"), at),
        "passed"
    );
    let unknown = "TLS: it does not serve that name";
    assert_eq!(
        outcome(&check("enable_sni\nvirtualhost other.example"), at),
        unknown
    );
    assert_eq!(outcome(&check("virtualhost www.example"), at), unknown);
    assert_eq!(outcome(&check("enable_sni"), at), unknown);
}

#[test]
fn openssl_serves_each_curve_and_each_cipher_that_we_speak() {
    let folder = folder("checks-tls-openssl");
    for (kind, words) in [
        (
            "rsa",
            "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -curves X25519",
        ),
        (
            "rsa",
            "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384 -curves P-256",
        ),
        (
            "rsa",
            "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305 -curves P-384",
        ),
        ("p256", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("p256", "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("p256", "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"),
        (
            "rsa",
            "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -curves P-384",
        ),
        (
            "p256",
            "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384 -curves P-256",
        ),
        (
            "p384",
            "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256 -curves X25519",
        ),
    ] {
        let Some((_openssl, at)) = openssl(&folder, kind, words) else {
            return;
        };
        assert_eq!(outcome(TLS, at), "passed", "{kind} {words}");
    }
}

#[test]
fn a_handshake_that_fails_says_why() {
    let nothing_common = "TLS: it speaks none of our cipher suites and curves: ECDHE on X25519, P-256 or P-384 with AES-GCM or \
         ChaCha20-Poly1305, but neither static RSA nor CBC";
    let folder = folder("checks-tls-failing");
    for (words, why) in [
        ("-tls1_2 -cipher AES128-SHA", nothing_common),
        ("-tls1_2 -cipher ECDHE-RSA-AES128-SHA", nothing_common),
        ("-tls1_3 -curves P-521", nothing_common),
        (
            "-tls1_1 -cipher DEFAULT:@SECLEVEL=0",
            "TLS: it speaks neither TLS 1.2 nor 1.3",
        ),
    ] {
        let Some((_openssl, at)) = openssl(&folder, "rsa", words) else {
            return;
        };
        assert_eq!(outcome(TLS, at), why, "{words}");
    }
    let Some((_openssl, at)) = openssl(&folder, "rsa", "-tls1_2 -Verify 1") else {
        return;
    };
    let demanding = outcome(TLS, at);
    assert_eq!(demanding, nothing_common, "openssl tells TLS 1.2 no more");
    let Some((_openssl, at)) = openssl(&folder, "rsa", "-tls1_3 -Verify 1") else {
        return;
    };
    assert_eq!(outcome(TLS, at), "TLS: it demands a client certificate");
    let plain = server::page(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let deaf = "SSL_GET {\nconnect_timeout 0.5\nurl { path / }\n}";
    assert_eq!(
        outcome(deaf, plain),
        "TLS: it did not finish the handshake within connect_timeout"
    );
    let talks = server::tcp(|mut connection| {
        let _ = std::io::Write::write_all(&mut connection, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        std::thread::sleep(std::time::Duration::from_secs(2));
    });
    assert_eq!(outcome(TLS, talks), "TLS: it does not speak TLS");
    let reading = server::tcp(|mut connection| {
        let _ = std::io::Read::read(&mut connection, &mut [0; 4096]);
    });
    assert_eq!(
        outcome(TLS, reading),
        "TLS: it hung up during the handshake"
    );
}

#[test]
fn gnutls_serves_us_too() {
    let folder = folder("checks-tls-gnutls");
    let (certificate, key) = certificate(&folder, "rsa");
    let at = server::nobody();
    let port = at.port().to_string();
    let words = [
        "--http",
        "--port",
        &port,
        "--x509certfile",
        &certificate,
        "--x509keyfile",
        &key,
    ];
    for priority in [
        "NORMAL",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2",
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP256R1",
    ] {
        let mut words = words.to_vec();
        words.extend(["--priority", priority]);
        let Some(_gnutls) = Server::start("gnutls-serv", &words, at) else {
            return;
        };
        assert_eq!(outcome(TLS, at), "passed", "{priority}");
    }
}
