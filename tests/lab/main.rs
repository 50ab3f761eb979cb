//! Two routers share an address; one breaks, the other steps in. Real daemons, real packets, on one machine:
//!
//! ```text
//! cargo run --release --example lab
//! ```
//!
//! As root, or in a user namespace without. The exit status is zero if every takeover happened in time.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a laboratory may fail loudly"
)]

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use keepalite::io::sys;

#[path = "mod.rs"]
mod lab;
mod screen;
mod story;

/// Shows how two routers share an address, and how long a client notices when one of them breaks.
#[derive(argh::FromArgs)]
struct Words {
    /// the daemon to show; keepalite itself unless given, built first
    #[argh(option)]
    daemon: Option<PathBuf>,

    /// directory with router-a.conf and router-b.conf; config-examples/failover unless given
    #[argh(option)]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Words = argh::from_env();
    match show(words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(words: Words) -> io::Result<ExitCode> {
    let signals = sys::signals(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP])?;
    let daemon = match words.daemon {
        Some(path) => std::fs::canonicalize(&path).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot find {}: {e}", path.display()))
        })?,
        None => build()?,
    };
    let config = words.config.unwrap_or_else(|| {
        [env!("CARGO_MANIFEST_DIR"), "config-examples", "failover"]
            .iter()
            .collect()
    });
    if !lab::permitted() {
        return without_root(&daemon, &config);
    }
    lab::end_on_signal(signals);
    let in_time = story::tell(&daemon, &config)?;
    Ok(if in_time {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The same once more, as root of a user namespace.
fn without_root(daemon: &std::path::Path, config: &std::path::Path) -> io::Result<ExitCode> {
    let arguments = [
        "--daemon".to_owned(),
        daemon.display().to_string(),
        "--config".to_owned(),
        config.display().to_string(),
    ];
    let status = lab::as_root(arguments).ok_or_else(|| {
        io::Error::other(
            "no permission for network namespaces: run it as root, or allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)",
        )
    })?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the real binary as this example was built, and tells where it is: target/release/keepalite beside
/// target/release/examples/lab.
fn build() -> io::Result<PathBuf> {
    let binary = std::env::current_exe()?
        .parent()
        .and_then(|examples| examples.parent())
        .map(|profile| profile.join("keepalite"))
        .ok_or_else(|| io::Error::other("this program is not where cargo puts examples"))?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--bin", "keepalite"]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        if !build.status()?.success() {
            return Err(io::Error::other("keepalite does not build"));
        }
    }
    if !binary.exists() {
        let hint = "build it with: cargo build --release --bin keepalite";
        return Err(io::Error::other(format!(
            "there is no {}; {hint}",
            binary.display()
        )));
    }
    Ok(binary)
}
