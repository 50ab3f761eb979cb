//! What processes use, as /proc tells it.

use std::fs;
use std::io;
use std::time::Duration;

/// Memory of all given processes together, in kB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    /// Shared pages divided by those who share them.
    pub(crate) proportional: f64,
    /// Pages that nobody else has.
    pub(crate) private: f64,
    /// Of the proportional part: heap, stacks, written data.
    pub(crate) anonymous: f64,
}

impl Memory {
    pub(crate) fn of(processes: &[u32]) -> io::Result<Self> {
        let mut sum = Self::default();
        for id in processes {
            let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
            let field = |name: &str| {
                text.lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                    .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
                    .unwrap_or(f64::NAN)
            };
            sum.resident += field("Rss");
            sum.proportional += field("Pss");
            sum.private += field("Private_Clean") + field("Private_Dirty");
            sum.anonymous += field("Pss_Anon");
        }
        Ok(sum)
    }
}

/// Threads of all given processes.
pub(crate) fn threads(processes: &[u32]) -> io::Result<usize> {
    processes
        .iter()
        .map(|id| Ok(fs::read_dir(format!("/proc/{id}/task"))?.count()))
        .sum()
}

/// Time on a processor so far, of all threads of the given processes, to the nanosecond; also of one that has ended but is
/// not yet reaped.
pub(crate) fn cpu(processes: &[u32]) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for id in processes {
        for task in fs::read_dir(format!("/proc/{id}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok());
            sum += Duration::from_nanos(nanos.ok_or(io::ErrorKind::InvalidData)?);
        }
    }
    Ok(sum)
}
