//! Checks for tests, as a configuration file has them.

use core::net::SocketAddr;
use std::path::Path;

use keepalite::config::files::Memory;
use keepalite::config::{Level, Options, load_from};
use keepalite::model::lvs::Checker;

/// The check that `text` describes, of a server at `at`; asked for every tenth of a second.
pub(crate) fn check(text: &str, at: SocketAddr) -> Checker {
    check_if_built(text, at).expect("this build has that check")
}

/// The same, unless this build lacks what it asks for.
pub(crate) fn check_if_built(text: &str, at: SocketAddr) -> Option<Checker> {
    let (ip, port) = (at.ip(), at.port());
    let file = format!(
        "virtual_server {ip} {port} {{
            delay_loop 0.1\nlvs_sched rr\nlvs_method NAT\nprotocol TCP
            real_server {ip} {port} {{\n{text}\n}}
        }}"
    );
    let mut files = Memory::new();
    files.insert("keepalived.conf", file);
    let loaded = load_from(&files, Path::new("keepalived.conf"), &Options::default()).unwrap();
    for finding in loaded.findings() {
        if finding.to_string().contains("is not in this build") {
            return None;
        }
        assert!(finding.diag.level != Level::Error, "{finding}");
    }
    let mut servers = loaded.model.lvs.servers;
    let mut server = servers.pop().expect("a virtual server").real.remove(0);
    assert_eq!(server.checkers.len(), 1, "{text}");
    Some(server.checkers.remove(0))
}
