//! Modules of the kernel, asked for by name.

use std::ffi::CString;
use std::fs;
use std::io;

use super::sys::{self, Ended, Program};

/// Asks for a module as the kernel itself would, by the program that `/proc/sys/kernel/modprobe` names, and waits until it has
/// ended.
///
/// # Errors
/// In words: why there is no such module now.
pub fn load(name: &str) -> io::Result<()> {
    let path = fs::read_to_string("/proc/sys/kernel/modprobe")
        .map_err(|e| io::Error::new(e.kind(), "this kernel loads no modules"))?;
    let path = path.trim_end();
    if path.is_empty() {
        return Err(io::Error::other(
            "/proc/sys/kernel/modprobe names no program",
        ));
    }
    let words = [path, "-q", "--", name].map(CString::new);
    let words = words.into_iter().collect::<Result<Vec<_>, _>>()?;
    let Some(program) = words.first() else {
        return Ok(());
    };
    let child = sys::spawn(&Program {
        path: program,
        words: &words,
        shell: None,
        user: None,
        apart: true,
        input: None,
        errors: None,
    })?;
    match sys::wait_for_end(child)? {
        Ended::Status(0) => Ok(()),
        Ended::Status(status) => Err(io::Error::other(format!("{path} ended with {status}"))),
        Ended::Signal(signal) => Err(io::Error::other(format!("{path} got signal {signal}"))),
    }
}
