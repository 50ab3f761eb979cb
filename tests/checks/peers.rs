//! Real servers of Debian on loopback, started by the test and stopped with it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::prober::outcome;
use crate::server;

/// A server that ends with this value.
pub(crate) struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Runs a program that is to listen at a port of TCP; `None`, said loudly, where it is not installed.
    pub(crate) fn start(program: &str, words: &[&str], at: SocketAddr) -> Option<Self> {
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            assert!(
                std::env::var_os("NETNS").is_none_or(|v| v != "require"),
                "{program} is not installed"
            );
            eprintln!("SKIPPED: {program} is not installed");
            return None;
        };
        let mut server = Self { child };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(at).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{program} {words:?} ended: {ended:?}");
            assert!(Instant::now() < end, "{program} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }
}

/// A folder of this test's own, with a certificate for each kind of key.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Paths of a certificate and its key, made anew.
pub(crate) fn certificate(folder: &Path, kind: &str) -> (String, String) {
    let place = |end: &str| folder.join(format!("{kind}.{end}")).display().to_string();
    let (certificate, key) = (place("crt"), place("key"));
    let (algorithm, option) = match kind {
        "rsa" => ("rsa:2048", None),
        "p384" => ("ec", Some("ec_paramgen_curve:P-384")),
        _ => ("ec", Some("ec_paramgen_curve:P-256")),
    };
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=www.example",
    ]);
    openssl.args(["-newkey", algorithm, "-keyout", &key, "-out", &certificate]);
    if let Some(option) = option {
        openssl.args(["-pkeyopt", option]);
    }
    let made = openssl.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    (certificate, key)
}

/// nginx with these `server` blocks, and pages in a folder of its own.
pub(crate) fn nginx(folder: &Path, servers: &str, at: SocketAddr) -> Option<Server> {
    let place = folder.display();
    let file = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;
        events {{ }}
        http {{
            access_log off;
            client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
            fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
            root {place};
            {servers}
        }}"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, file).unwrap();
    Server::start(
        "nginx",
        &[
            "-p",
            &folder.display().to_string(),
            "-c",
            &path.display().to_string(),
        ],
        at,
    )
}

#[test]
fn nginx_serves_pages_and_statuses_for_each_version_of_http() {
    let folder = folder("checks-nginx");
    fs::write(folder.join("page.html"), "hello").unwrap();
    let at = server::nobody();
    let servers = format!(
        "server {{ listen {at}; server_name www.example; location /teapot {{ return 418; }} }}
         server {{ listen {at} default_server; return 404; }}"
    );
    let Some(_nginx) = nginx(&folder, &servers, at) else {
        return;
    };
    let check = |rest: &str, url: &str| {
        format!("HTTP_GET {{\n{rest}\nvirtualhost www.example\nurl {{\n{url}\n}}\n}}")
    };
    let digest = "digest 5d41402abc4b2a76b9719d911017c592";
    for version in ["1.0", "1.0c", "1.1"] {
        let version = format!("http_protocol {version}");
        let right = check(&version, &format!("path /page.html\n{digest}"));
        assert_eq!(outcome(&right, at), "passed", "{version}");
        let absent = check(&version, "path /absent");
        assert_eq!(outcome(&absent, at), "status 404, not 200-299", "{version}");
        let teapot = check(&version, "path /teapot\nstatus_code 200 418");
        assert_eq!(outcome(&teapot, at), "passed", "{version}");
    }
    let unnamed = "HTTP_GET { url { path /page.html } }";
    assert_eq!(outcome(unnamed, at), "status 404, not 200-299");
}

#[test]
fn dnsmasq_answers_dns_checks_of_every_type() {
    let at = server::nobody();
    let port = format!("--port={}", at.port());
    let words = [
        "--no-daemon",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--user=root",
        "--pid-file=",
        "--local=/example/",
        "--host-record=www.example,192.0.2.1",
        port.as_str(),
    ];
    let Some(_dnsmasq) = Server::start("dnsmasq", &words, at) else {
        return;
    };
    for kind in [
        "A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY",
    ] {
        let check = format!("DNS_CHECK {{\ntype {kind}\nname www.example\n}}");
        assert_eq!(outcome(&check, at), "passed", "{kind}");
    }
    let absent = outcome("DNS_CHECK {\ntype A\nname absent.example\n}", at);
    assert_eq!(absent, "it answered NXDOMAIN");
    let question = "abcd 0100 0001 0000 0000 0000 03777777 07 6578616d706c65 00 0001 0001";
    let check = format!("UDP_CHECK {{\npayload {question}\nrequire_reply abcd 8xxx 0001\n}}");
    assert_eq!(outcome(&check, at), "passed");
    let check = format!("UDP_CHECK {{\npayload {question}\nrequire_reply abce\n}}");
    assert_eq!(outcome(&check, at), "its reply is not the required one");
}

#[test]
fn msmtpd_answers_smtp_checks() {
    let at = server::nobody();
    let port = format!("--port={}", at.port());
    let Some(_msmtpd) = Server::start("msmtpd", &["--interface=127.0.0.1", &port], at) else {
        return;
    };
    assert_eq!(outcome("SMTP_CHECK { helo_name lb.example }", at), "passed");
    let other = server::page(b"HTTP/1.0 400 Bad Request\r\n\r\n");
    let outcome = outcome("SMTP_CHECK { connect_timeout 0.5 }", other);
    assert_eq!(outcome, "no answer within connect_timeout");
}
