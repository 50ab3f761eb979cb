//! Signals as values, read from a descriptor: no handler interrupts anything, and a storm of them is one wake-up.

use core::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;

use crate::io::sys;

use super::child;
use super::mailbox::Mailbox;
use super::reactor::Source;

/// What somebody wants of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// TERM, or INT from the keyboard: stop in order.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: write the state to a file.
    Data,
    /// USR2: write the statistics to a file.
    Stats,
    /// SIGRTMAX - 1: write the statistics, and count from nought again.
    StatsClear,
    /// SIGRTMIN + 2: write the state as JSON.
    Json,
}

impl Signal {
    /// In the order in which they are told when several have come.
    const ALL: [Self; 6] = [
        Self::Stop,
        Self::Reload,
        Self::Data,
        Self::Stats,
        Self::StatsClear,
        Self::Json,
    ];

    /// Its number with this libc: musl keeps one real-time signal more for itself than glibc, and MIPS has 127 of them.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Stop => libc::SIGTERM,
            Self::Reload => libc::SIGHUP,
            Self::Data => libc::SIGUSR1,
            Self::Stats => libc::SIGUSR2,
            Self::StatsClear => libc::SIGRTMAX() - 1,
            Self::Json => libc::SIGRTMIN() + 2,
        }
    }
}

/// The number behind a name of `--signum`.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    let signal = match name {
        "STOP" => Signal::Stop,
        "RELOAD" => Signal::Reload,
        "DATA" => Signal::Data,
        "STATS" => Signal::Stats,
        "STATS_CLEAR" => Signal::StatsClear,
        "JSON" => Signal::Json,
        _ => return None,
    };
    Some(signal.number())
}

/// What a signal's number means, for messages: empty if nothing that ends processes by itself.
#[must_use]
pub fn meaning(number: i32) -> &'static str {
    match number {
        libc::SIGABRT => "aborted",
        libc::SIGALRM => "alarm",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "arithmetic fault",
        libc::SIGHUP => "hung up",
        libc::SIGILL => "illegal instruction",
        libc::SIGINT => "interrupted",
        libc::SIGKILL => "killed, perhaps for want of memory",
        libc::SIGPIPE => "broken pipe",
        libc::SIGQUIT => "quit",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGSYS => "forbidden system call",
        libc::SIGTERM => "terminated",
        libc::SIGTRAP => "trap",
        libc::SIGXCPU => "out of CPU time",
        _ => "",
    }
}

/// The signals of this process as a stream. Only one of it may be there.
pub struct Signals {
    source: Source<OwnedFd>,
    /// One bit for each of [`Signal::ALL`] that has come and has not been told yet.
    pending: u8,
    interruptible: bool,
}

impl Signals {
    /// Blocks them from now on, so that none is lost or does its worst; to be done before any child is started. Unless
    /// `interruptible`, an interrupt from the keyboard does nothing.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn new(interruptible: bool) -> io::Result<Self> {
        let mut numbers = vec![libc::SIGCHLD, libc::SIGINT];
        numbers.extend(Signal::ALL.map(Signal::number));
        Ok(Self {
            source: Source::new(sys::signals(&numbers)?),
            pending: 0,
            interruptible,
        })
    }

    /// Tells it once more: for whoever could not do what it asks for.
    pub fn put_back(&mut self, signal: Signal) {
        if let Some(bit) = Signal::ALL.iter().position(|other| *other == signal) {
            self.pending |= 1 << bit;
        }
    }

    /// The next one; however often it came before it is asked for, it is told once. Children that ended are seen to by
    /// the way. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When signals cannot be read.
    pub async fn next(&mut self) -> io::Result<Signal> {
        loop {
            if let Some(signal) = self.take() {
                return Ok(signal);
            }
            self.source.readable().await?;
            self.read()?;
        }
    }

    fn take(&mut self) -> Option<Signal> {
        let index = self.pending.trailing_zeros();
        let signal = Signal::ALL.get(usize::try_from(index).ok()?)?;
        self.pending &= self.pending.wrapping_sub(1);
        Some(*signal)
    }

    /// Takes in what has come: at most one bufferful, for real-time signals queue up by the thousand.
    fn read(&mut self) -> io::Result<()> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0; 16 * SIZE];
        let read = match rustix::io::read(self.source.get_ref(), &mut buffer) {
            Ok(read) => read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for info in buffer.chunks_exact(SIZE).take(read / SIZE) {
            let Some(number) = info.first_chunk() else {
                continue;
            };
            // ssi_signo is the first word of it.
            self.note(i32::from_ne_bytes(*number));
        }
        Ok(())
    }

    fn note(&mut self, number: i32) {
        let signal = match number {
            libc::SIGCHLD => return child::reap(),
            libc::SIGINT if !self.interruptible => return,
            libc::SIGINT => libc::SIGTERM,
            other => other,
        };
        let which = Signal::ALL.iter().position(|s| s.number() == signal);
        self.pending |= which.map_or(0, |index| 1 << index);
    }
}

/// Where one part of this process gets its signals from.
pub trait Orders {
    /// The next one.
    ///
    /// # Errors
    /// When signals cannot be read.
    fn next(&mut self) -> impl Future<Output = io::Result<Signal>>;
}

impl Orders for Signals {
    fn next(&mut self) -> impl Future<Output = io::Result<Signal>> {
        Self::next(self)
    }
}

/// Signals that somebody else has read: for several that share a process.
impl Orders for Mailbox<Signal> {
    async fn next(&mut self) -> io::Result<Signal> {
        loop {
            if let Some(signal) = self.take() {
                return Ok(signal);
            }
            poll_fn(|context| self.poll(context)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_a_number_of_its_own() {
        let mut numbers = Signal::ALL.map(Signal::number).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Signal::ALL.len());
    }
}
