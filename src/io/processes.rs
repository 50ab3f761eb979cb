//! Processes: which there are, and what becomes of them.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{SendFlags, netlink, send};

use super::netlink::message::{messages, u32_at};
use super::netlink::{receive_now, socket};

/// Of linux/cn_proc.h and linux/connector.h: `CN_IDX_PROC`, which is the multicast group as well, and `CN_VAL_PROC`.
const INDEX: u32 = 1;
const VALUE: u32 = 1;
/// `PROC_CN_MCAST_LISTEN` and `PROC_CN_MCAST_IGNORE`.
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
/// A boot of services is a few hundred messages of 76 bytes, each of which costs about 1 kB here.
const RECEIVE_BUFFER: usize = 512 * 1024;

/// What happened to a process; what happens to threads is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// The kernel answers whether it tells us at all: an error number, or zero.
    Answer(u32),
    /// It is new, or another program, or has another name.
    Changed(u32),
    /// It has ended.
    Ended(u32),
    /// Events were lost: look at all of them again.
    Overrun,
}

/// The process events of the kernel (`CONFIG_PROC_EVENTS`), which few routers have.
#[derive(Debug)]
pub struct ProcessEvents {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl ProcessEvents {
    /// Asks for them. Whether they come is not known before [`ProcessEvent::Answer`]: where the kernel tells nobody, as in
    /// a container, it does not tell that either.
    ///
    /// # Errors
    /// When it is known at once that there are none, as in a network namespace other than the first one.
    pub fn open() -> io::Result<Self> {
        let socket = socket(Some(netlink::CONNECTOR), INDEX, RECEIVE_BUFFER)?;
        let events = Self {
            socket,
            buffer: vec![0; 1024],
        };
        events.ask(LISTEN)?;
        Ok(events)
    }

    fn ask(&self, what: u32) -> io::Result<()> {
        const LEN: u32 = 40;
        let done = u16::try_from(libc::NLMSG_DONE).unwrap_or_default();
        // struct nlmsghdr, struct cn_msg with the length of what follows, and what is asked for, in our own byte order.
        let mut request = Vec::with_capacity(40);
        request.extend_from_slice(&LEN.to_ne_bytes());
        request.extend_from_slice(&done.to_ne_bytes());
        request.extend_from_slice(&[0; 10]);
        for word in [INDEX, VALUE, 0, 0] {
            request.extend_from_slice(&word.to_ne_bytes());
        }
        request.extend_from_slice(&4_u16.to_ne_bytes());
        request.extend_from_slice(&[0; 2]);
        request.extend_from_slice(&what.to_ne_bytes());
        send(&self.socket, &request, SendFlags::empty())?;
        Ok(())
    }

    /// Appends all that has happened to `out`, and does not wait.
    ///
    /// # Errors
    /// If the socket is of no use any more.
    pub fn read(&mut self, out: &mut Vec<ProcessEvent>) -> io::Result<()> {
        loop {
            match receive_now(&self.socket, &mut self.buffer) {
                Ok(Some(len)) => {
                    let datagram = self.buffer.get(..len).unwrap_or_default();
                    out.extend(messages(datagram).filter_map(|m| event(m.payload)));
                }
                Ok(None) => return Ok(()),
                Err(e) if matches!(e.raw_os_error(), Some(libc::ENOBUFS | libc::EMSGSIZE)) => {
                    out.push(ProcessEvent::Overrun);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for ProcessEvents {
    fn drop(&mut self) {
        // Kernels before 6.6 go on telling although nobody listens any more.
        let _ = self.ask(IGNORE);
    }
}

impl AsFd for ProcessEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes a `struct cn_msg` with a `struct proc_event` apart.
fn event(payload: &[u8]) -> Option<ProcessEvent> {
    const HEADER: usize = 20;
    const NONE: u32 = 0;
    const FORK: u32 = 1;
    const EXEC: u32 = 2;
    const COMM: u32 = 0x200;
    const EXIT: u32 = 0x8000_0000;
    if (u32_at(payload, 0)?, u32_at(payload, 4)?) != (INDEX, VALUE) {
        return None;
    }
    let event = payload.get(HEADER..)?;
    // Behind the kind of the event stand the processor and a time of eight bytes.
    let data = event.get(16..)?;
    // Each process is named by the numbers of its thread and of itself.
    let process = |at: usize| {
        let (thread, process) = (u32_at(data, at)?, u32_at(data, at + 4)?);
        (thread == process).then_some(process)
    };
    match u32_at(event, 0)? {
        NONE => Some(ProcessEvent::Answer(u32_at(data, 0)?)),
        FORK => process(8).map(ProcessEvent::Changed),
        EXEC | COMM => process(0).map(ProcessEvent::Changed),
        EXIT => process(0).map(ProcessEvent::Ended),
        _ => None,
    }
}

/// The numbers of all processes.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The short name of a process, or nothing when it is gone. `buffer` is the caller's to reuse.
pub fn name(process: u32, buffer: &mut Vec<u8>) -> &[u8] {
    read(process, "comm", buffer);
    buffer.strip_suffix(b"\n").unwrap_or(buffer)
}

/// The words that a process was started with, each ending with a NUL; nothing when it is gone, dead, or the kernel's.
pub fn command_line(process: u32, buffer: &mut Vec<u8>) -> &[u8] {
    read(process, "cmdline", buffer);
    buffer
}

fn read(process: u32, what: &str, buffer: &mut Vec<u8>) {
    /// Longer command lines are cut.
    const LONGEST: u64 = 64 * 1024;
    buffer.clear();
    if let Ok(file) = fs::File::open(format!("/proc/{process}/{what}")) {
        // A process may go while it is being read.
        let _ = file.take(LONGEST).read_to_end(buffer);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::sys;
    use super::*;

    fn told(kind: u32, data: &[u32]) -> Vec<u8> {
        let head = [INDEX, VALUE, 0, 0, 0, kind, 0, 0, 0];
        let words = head.iter().chain(data);
        words.flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn events_of_processes_are_told_and_those_of_threads_are_not() {
        let cases = [
            (told(0, &[0]), Some(ProcessEvent::Answer(0))),
            (told(1, &[1, 1, 7, 7]), Some(ProcessEvent::Changed(7))),
            (told(1, &[1, 1, 8, 7]), None),
            (told(2, &[7, 7]), Some(ProcessEvent::Changed(7))),
            (told(0x200, &[7, 7]), Some(ProcessEvent::Changed(7))),
            (
                told(0x8000_0000, &[7, 7, 0, 17]),
                Some(ProcessEvent::Ended(7)),
            ),
            (told(0x8000_0000, &[8, 7, 0, 17]), None),
            (told(4, &[7, 7, 0, 0]), None),
        ];
        for (payload, expected) in cases {
            assert_eq!(event(&payload), expected);
            for len in 0..36 {
                assert_eq!(event(&payload[..len]), None);
            }
        }
    }

    #[test]
    fn the_kernel_tells_of_a_process_that_comes_and_goes_where_it_tells_at_all() {
        let Ok(mut events) = ProcessEvents::open() else {
            eprintln!("SKIPPED: this kernel tells of no processes, or not here");
            return;
        };
        let mut told = Vec::new();
        let mut until = |wanted: ProcessEvent| {
            let second = Duration::from_secs(1);
            while !told.contains(&wanted) {
                if !sys::wait_readable(events.as_fd(), second).unwrap() {
                    return false;
                }
                events.read(&mut told).unwrap();
            }
            true
        };
        if !until(ProcessEvent::Answer(0)) {
            eprintln!("SKIPPED: this kernel tells of no processes here");
            return;
        }
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(until(ProcessEvent::Changed(child.id())));
        assert!(until(ProcessEvent::Ended(child.id())));
    }

    #[test]
    fn this_process_is_among_all_with_its_name_and_its_words() {
        let own = std::process::id();
        let mut buffer = Vec::new();
        assert!(all().any(|process| process == own));
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(name(own, &mut buffer), comm.trim_end().as_bytes());
        let first = std::env::args().next().unwrap();
        assert!(command_line(own, &mut buffer).starts_with(first.as_bytes()));
        assert!(name(u32::MAX, &mut buffer).is_empty());
    }
}
