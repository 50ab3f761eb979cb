//! A daemon on one side of the comparison: its program, its configuration, its start.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lab::{Host, Lab, Process};

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
}

impl Side {
    /// Starts its VRRP part on a host, in the foreground, its log going to syslog as it does in earnest.
    pub(crate) fn start(&self, lab: &Lab, host: &str, config: &Path) -> io::Result<Process> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| format!("{}/{what}-{number}.pid", lab.scratch().display());
        let config = config.display().to_string();
        let (parent, child) = (file("parent"), file("vrrp"));
        let mut words = vec!["-n", "-P", "-f", &config, "-p", &parent, "-r", &child];
        if std::env::var_os("VERSUS_LOG").is_some() {
            words.extend(["-l", "-D"]);
        }
        lab.host(host).start(&self.program, &words, &[])
    }
}

/// Routers to be configured, all alike but for number and address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routers {
    pub(crate) count: u8,
    pub(crate) version: u8,
    /// In seconds, as the configuration has it.
    pub(crate) interval: &'static str,
    pub(crate) priority: u8,
    /// Addresses of each beyond the first, not in the adverts.
    pub(crate) excluded: u16,
}

/// One, as most have it.
pub(crate) const ONE: Routers = Routers {
    count: 1,
    version: 3,
    interval: "0.1",
    priority: 255,
    excluded: 0,
};

/// As many as one interface takes, nearly.
pub(crate) const MANY: Routers = Routers {
    count: 250,
    version: 2,
    interval: "1",
    priority: 255,
    excluded: 0,
};

impl Routers {
    /// Its text, for keepalived and for us. The owner of the addresses is master at once. No second burst of gratuitous ARP
    /// falls into what is measured.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("global_defs {\n    router_id versus\n}\n");
        for number in 1..=self.count {
            let state = if self.priority == 255 {
                "MASTER"
            } else {
                "BACKUP"
            };
            let _ = write!(
                text,
                "vrrp_instance router_{number} {{\n    state {state}\n    interface eth0\n    virtual_router_id {number}\n    \
                 priority {}\n    version {}\n    advert_int {}\n    garp_master_delay 0\n    \
                 virtual_ipaddress {{\n        10.1.0.{number}/32\n    }}\n",
                self.priority, self.version, self.interval,
            );
            if self.excluded > 0 {
                text.push_str("    virtual_ipaddress_excluded {\n");
                for address in 0..self.excluded {
                    // In no order, as people have them.
                    let scattered = u32::from(address) * 1597 % u32::from(self.excluded);
                    let [_, _, high, low] = scattered.to_be_bytes();
                    let _ = writeln!(text, "        10.{}.{number}.{low}/32", u16::from(high) + 2);
                }
                text.push_str("    }\n");
            }
            text.push_str("}\n");
        }
        text
    }

    /// Writes it where it goes with the lab.
    pub(crate) fn write(&self, lab: &Lab) -> io::Result<PathBuf> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = lab.scratch().join(format!("versus-{number}.conf"));
        std::fs::write(&path, self.text())?;
        Ok(path)
    }
}

/// Takes away what a killed daemon has left, so that the next one finds the host as the first did.
pub(crate) fn sweep(host: &Host) -> io::Result<()> {
    let left: Vec<String> = host
        .addresses()
        .iter()
        .filter(|a| a.prefix == 32)
        .map(|a| format!("{}/32", a.ip))
        .collect();
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    host.remove(&left)
}
