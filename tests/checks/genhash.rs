//! genhash prints what keepalived's prints.

use std::fs;
use std::process::{Command, Output};

use crate::peers::{certificate, folder, nginx};
use crate::server;

fn ours(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepalite"));
    command.arg("--genhash").args(words).output().unwrap()
}

#[test]
fn the_digest_is_keepaliveds_on_the_same_page_by_http_and_https() {
    let folder = folder("checks-genhash");
    let page: Vec<u8> = (0..300_000_u32).map(|n| ((n * 7919) >> 5) as u8).collect();
    fs::write(folder.join("page.bin"), page).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    let (certificate, key) = certificate(&folder, "rsa");
    let (plain, sealed) = (server::nobody(), server::nobody());
    let servers = format!(
        "server {{ listen {plain}; }}
         server {{ listen {sealed} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; }}"
    );
    let Some(_nginx) = nginx(&folder, &servers, sealed) else {
        return;
    };
    for (at, tls) in [(plain, false), (sealed, true)] {
        for path in ["/page.bin", "/empty", "/absent"] {
            for version in ["1.0", "1.1"] {
                let port = at.port().to_string();
                let mut words = vec!["-s", "127.0.0.1", "-p", &port, "-u", path, "-P", version];
                if tls {
                    words.push("-S");
                }
                let ours = ours(&words);
                let theirs = Command::new("genhash").args(&words).output().unwrap();
                assert_eq!(ours.stdout, theirs.stdout, "{words:?}");
                assert_eq!(ours.stdout.len(), 33, "{words:?} {ours:?}");
            }
        }
    }
    let port = plain.port().to_string();
    let words = ["-v", "-s", "127.0.0.1", "-p", &port, "-u", "/absent"];
    let lines = |output: Output| -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .filter(|line| line.starts_with("---"))
            .map(str::to_owned)
            .collect()
    };
    let theirs = Command::new("genhash").args(words).output().unwrap();
    let theirs = lines(theirs);
    for banner in lines(ours(&words)) {
        assert!(
            theirs.contains(&banner) || banner.contains("final"),
            "{banner}"
        );
    }
}

#[test]
fn what_goes_wrong_is_said_and_there_is_no_digest() {
    let port = server::nobody().port().to_string();
    let refused = ours(&["-s", "127.0.0.1", "-p", &port, "-u", "/"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stderr, b"connection refused\n");
    assert!(refused.stdout.is_empty());
    let port = server::tcp(drop).port().to_string();
    let empty = ours(&["-s", "127.0.0.1", "-p", &port, "-u", "/"]);
    assert_eq!(empty.stderr, b"no data received from remote webserver\n");
}
