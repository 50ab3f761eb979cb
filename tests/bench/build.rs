//! The programs that are compared.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo puts what it makes.
pub(crate) fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The release build, as users get it; cargo makes that of a bench with another profile.
pub(crate) fn release(features: &str) -> io::Result<PathBuf> {
    if let Some(named) = std::env::var_os("KEEPALITE") {
        return Ok(named.into());
    }
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--bin",
            "keepalite",
            "--features",
            features,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if !status.success() {
        return Err(io::Error::other("the release build failed"));
    }
    Ok(target().join("release/keepalite"))
}

/// The static binary with the default features, as routers get it, if `cross/build` has left one for this processor.
pub(crate) fn shipped() -> Option<PathBuf> {
    let name = format!("dist/keepalite-{}", std::env::consts::ARCH);
    Some(target().join(name)).filter(|path| path.exists())
}

/// keepalived, or what `KEEPALIVED` names instead.
pub(crate) fn theirs() -> io::Result<PathBuf> {
    let named = std::env::var_os("KEEPALIVED");
    let program = named.map_or_else(|| PathBuf::from("/usr/sbin/keepalived"), PathBuf::from);
    if program.exists() {
        return Ok(program);
    }
    let missing = program.display();
    Err(io::Error::other(format!(
        "there is no {missing}: install keepalived, or name it with KEEPALIVED"
    )))
}
