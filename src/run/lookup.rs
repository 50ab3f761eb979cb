//! Addresses of hosts that are given by name, found without ever blocking.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::io;
use std::net::ToSocketAddrs;

use rustix::pipe::{PipeFlags, pipe_with};
use smol::future;

use super::child::Child;
use super::reactor::{Source, sleep};

/// More than this many addresses of a host are not tried.
const MOST: usize = 8;

/// Finds the addresses of a host: it is an address itself, or `/etc/hosts` has it, or a process of its own asks the name
/// servers, because the C library blocks for as long as they are silent.
///
/// # Errors
/// When there are none within `limit`.
pub async fn addresses(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    let mut found = vec![];
    if let Ok(ip) = host.parse::<IpAddr>() {
        found.push(ip);
    } else {
        let hosts = fs::read("/etc/hosts").unwrap_or_default();
        found = listed(&String::from_utf8_lossy(&hosts), host);
        if found.is_empty() {
            let late = async {
                sleep(limit).await;
                Err(io::ErrorKind::TimedOut.into())
            };
            found = future::or(ask(host), late).await?;
        }
    }
    if found.is_empty() {
        return Err(io::Error::other("no name server knows it"));
    }
    Ok(found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

/// What a file such as `/etc/hosts` says of a host, hosts(5).
fn listed(hosts: &str, wanted: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next());
    let found = lines.filter_map(|line| {
        let mut words = line?.split_ascii_whitespace();
        let ip = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(wanted))
            .then_some(ip)
    });
    found.take(MOST).collect()
}

/// Has a process of its own ask; dropped, it ends that process.
async fn ask(host: &str) -> io::Result<Vec<IpAddr>> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    let child = Child::apart(|| {
        let found = (host, 0).to_socket_addrs().into_iter().flatten();
        let text: String = found
            .take(MOST)
            .map(|address| format!("{}\n", address.ip()))
            .collect();
        // Far less than a pipe holds.
        let _ = rustix::io::write(&writer, text.as_bytes());
    })?;
    drop(writer);
    let _end = Ended(&child);
    let reader = Source::new(reader);
    let mut text = Vec::new();
    let mut buffer = [0; 512];
    loop {
        match rustix::io::read(reader.get_ref(), &mut buffer) {
            Ok(0) => break,
            Ok(length) => text.extend(buffer.iter().take(length)),
            Err(rustix::io::Errno::AGAIN) => reader.readable().await?,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Ends a process when it goes.
struct Ended<'a>(&'a Child);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.signal(libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_hosts_is_read_as_the_c_library_does() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.9 mail\n10.0.0.1\tgate  Mail # mail2\n::5 mail\nx mail\n";
        let found: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "::5".parse().unwrap()];
        assert_eq!(listed(hosts, "mail"), found);
        assert_eq!(listed(hosts, "mail2"), [] as [IpAddr; 0]);
    }
}
