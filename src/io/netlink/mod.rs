//! Talking to the kernel over netlink: batches of changes, and lists.
//!
//! neli writes the messages; its router would start a thread, so that sending and waiting are done here. The kernel does
//! what a send asks for before the send returns, and goes on after a refusal; so do we, and every refusal comes back with
//! the words of its request.

mod batch;
mod body;
pub mod message;

use core::time::Duration;
use std::io::{self, Cursor};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use neli::consts::nl::NlmF;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{netlink, sockopt};

pub use batch::Batch;
pub use body::Body;

use self::batch::Chunk;
use self::message::{Message, attributes, messages, text, u32_at};
use super::error::{Failed, NetError};
use super::sys;

/// How long an answer may take. It is there when the send returns; this is for a kernel that never gives one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Room for the refusals of a chunk; a limit, not an allocation.
const RECEIVE_BUFFER: usize = 512 * 1024;
/// Longer messages than this make the buffer grow.
const BUFFER: usize = 8 * 1024;
/// How often a list is asked for again when it changed meanwhile.
const ATTEMPTS: u32 = 8;

/// Message types and flags of linux/netlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const DUMP_INTERRUPTED: u16 = 0x10;
const ANSWER_CAPPED: u16 = 0x100;
const ANSWER_HAS_ATTRIBUTES: u16 = 0x200;

/// A netlink socket for requests and their answers.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
    next: u32,
}

impl Netlink {
    /// A socket for links, addresses, routes, rules and neighbours.
    ///
    /// # Errors
    /// [`NetError::Socket`].
    pub fn route() -> Result<Self, NetError> {
        let netlink = Self::open("rtnetlink", None)?;
        // Without it (before Linux 4.20) a list is longer than asked for, which does no harm.
        let _ = sys::set_netlink_option(netlink.as_fd(), libc::NETLINK_GET_STRICT_CHK);
        Ok(netlink)
    }

    /// A socket for generic netlink families, such as IPVS.
    ///
    /// # Errors
    /// [`NetError::Socket`].
    pub fn generic() -> Result<Self, NetError> {
        Self::open("generic netlink", Some(netlink::GENERIC))
    }

    /// A socket for the packet filter, nf_tables, for [`Self::transact`].
    ///
    /// # Errors
    /// [`NetError::Socket`].
    pub fn netfilter() -> Result<Self, NetError> {
        Self::open("netfilter", Some(netlink::NETFILTER))
    }

    fn open(what: &'static str, protocol: Option<Protocol>) -> Result<Self, NetError> {
        let open = || -> io::Result<OwnedFd> {
            let socket = socket(protocol, 0, RECEIVE_BUFFER)?;
            // Words with refusals (since Linux 4.12), without the request repeated behind them (since 4.3): comforts.
            let _ = sys::set_netlink_option(socket.as_fd(), libc::NETLINK_EXT_ACK);
            let _ = sys::set_netlink_option(socket.as_fd(), libc::NETLINK_CAP_ACK);
            Ok(socket)
        };
        let socket = open().map_err(|source| NetError::Socket {
            what,
            ifname: None,
            source,
        })?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            next: 1,
        })
    }

    /// Sends all requests and returns those that the kernel refused. The others are done.
    ///
    /// # Errors
    /// [`NetError::Unanswered`] if an answer is lost: everything has been sent, and what was done of it can only be found by
    /// reading again.
    pub fn commit(&mut self, mut batch: Batch) -> Result<Vec<Failed>, NetError> {
        let mut failed = core::mem::take(&mut batch.unwritten);
        let mut lost = None;
        for mut chunk in batch.chunks() {
            if let Err(source) = self.exchange(&mut chunk, &mut failed) {
                let op = chunk.words(0).to_owned();
                lost.get_or_insert(NetError::Unanswered { op, source });
            }
        }
        lost.map_or(Ok(failed), Err)
    }

    /// Sends requests to nf_tables, which does all of them or none, and returns those that it refused. A long batch is cut into
    /// several of which that is true.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn transact(&mut self, mut batch: Batch) -> Result<Vec<Failed>, NetError> {
        let mut failed = core::mem::take(&mut batch.unwritten);
        for mut chunk in batch.chunks() {
            if let Err(source) = self.transaction(&mut chunk, &mut failed) {
                let op = chunk.words(0).to_owned();
                return Err(NetError::Unanswered { op, source });
            }
        }
        Ok(failed)
    }

    fn transaction(&mut self, chunk: &mut Chunk<'_>, failed: &mut Vec<Failed>) -> io::Result<()> {
        let begin = self.next;
        let first = begin.wrapping_add(1);
        let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let end = first.wrapping_add(count);
        self.next = end.wrapping_add(1).max(1);
        let last = chunk.len().saturating_sub(1);
        let begin_mark = batch::transaction_mark(batch::BEGIN, begin);
        let end_mark = batch::transaction_mark(batch::END, end);
        let whole = [&begin_mark[..], chunk.stamp(first), &end_mark].concat();
        net::send(&self.socket, &whole, SendFlags::empty())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let datagram = receive(&self.socket, &mut self.buffer, deadline)?;
            for message in messages(datagram).filter(|m| m.kind == NLMSG_ERROR) {
                let index = usize::try_from(message.seq.wrapping_sub(first)).unwrap_or(usize::MAX);
                // What is wrong with the whole is said of its beginning; of the kernels, some have nothing more to say then.
                let of_all = message.seq == begin;
                if !of_all && index > last {
                    continue;
                }
                let refused = refusal(message);
                let is_refused = refused.is_some();
                if let Some((source, kernel_says)) = refused {
                    failed.push(Failed {
                        place: chunk.place(if of_all { 0 } else { index }),
                        op: chunk.words(if of_all { 0 } else { index }).to_owned(),
                        source,
                        kernel_says,
                    });
                }
                if index == last || of_all && is_refused {
                    return Ok(());
                }
            }
        }
    }

    fn exchange(&mut self, chunk: &mut Chunk<'_>, failed: &mut Vec<Failed>) -> io::Result<()> {
        let first = self.next;
        let last = chunk.len().saturating_sub(1);
        self.next = first
            .wrapping_add(u32::try_from(chunk.len()).unwrap_or(u32::MAX))
            .max(1);
        net::send(&self.socket, chunk.stamp(first), SendFlags::empty())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let datagram = receive(&self.socket, &mut self.buffer, deadline)?;
            for message in messages(datagram) {
                let index = usize::try_from(message.seq.wrapping_sub(first)).unwrap_or(usize::MAX);
                let (NLMSG_ERROR, true) = (message.kind, index <= last) else {
                    continue; // an answer to an earlier batch that was given up
                };
                if let Some((source, kernel_says)) = refusal(message) {
                    failed.push(Failed {
                        place: chunk.place(index),
                        op: chunk.words(index).to_owned(),
                        source,
                        kernel_says,
                    });
                }
                if index == last {
                    return Ok(());
                }
            }
        }
    }

    /// The number of a generic netlink family; `None` if the kernel knows none of that name.
    ///
    /// # Errors
    /// [`NetError::Kernel`] or [`NetError::Unanswered`].
    pub fn generic_family(&mut self, name: &str) -> Result<Option<u16>, NetError> {
        /// Of linux/genetlink.h: `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, and attributes of the answer.
        const CONTROL: u16 = 0x10;
        const GETFAMILY: u8 = 3;
        const FAMILY_ID: u16 = 1;
        const FAMILY_NAME: u16 = 2;
        let mut body = Body::new(&[GETFAMILY, 1, 0, 0]);
        body.put_text(FAMILY_NAME, name);
        let op = format!("find the generic netlink family {name}");
        let found = self.ask(&op, CONTROL, body, |message| {
            let mut all = attributes(message.payload.get(4..)?);
            let (_, id) = all.find(|(kind, _)| *kind == FAMILY_ID)?;
            message::u16_at(id, 0)
        });
        match found {
            Err(NetError::Kernel(failed)) if failed.already_gone() => Ok(None),
            found => found,
        }
    }

    /// Asks for one thing, `op` in words as in "read the timeouts", and returns what `read` makes of the answer.
    ///
    /// # Errors
    /// [`NetError::Kernel`] or [`NetError::Unanswered`].
    pub fn ask<T>(
        &mut self,
        op: &str,
        kind: impl Into<u16>,
        body: Body,
        read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<Option<T>, NetError> {
        let mut answers = self.query(op, kind.into(), NlmF::ACK, body, read)?;
        Ok(answers.pop())
    }

    /// Asks for a list, `op` in words as in "list the addresses", and collects what `read` makes of its messages. Asks again when
    /// the kernel says that the list changed while it was read.
    ///
    /// # Errors
    /// [`NetError::Kernel`] or [`NetError::Unanswered`].
    pub fn dump<T>(
        &mut self,
        op: &str,
        kind: impl Into<u16>,
        body: Body,
        read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, NetError> {
        self.query(op, kind.into(), NlmF::DUMP, body, read)
    }

    fn query<T>(
        &mut self,
        op: &str,
        kind: u16,
        flags: NlmF,
        body: Body,
        mut read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, NetError> {
        let mut list = Vec::new();
        self.each(op, kind, flags, body, &mut |answer| match answer {
            Answer::Again => list.clear(),
            Answer::Message(message) => list.extend(read(message)),
        })?;
        Ok(list)
    }

    /// The part of it that is compiled once.
    fn each(
        &mut self,
        op: &str,
        kind: u16,
        flags: NlmF,
        body: Body,
        take: &mut dyn FnMut(Answer<'_>),
    ) -> Result<(), NetError> {
        let refused = |source, kernel_says| {
            NetError::Kernel(Failed {
                place: 0,
                op: op.to_owned(),
                source,
                kernel_says,
            })
        };
        let lost = |source| NetError::Unanswered {
            op: op.to_owned(),
            source,
        };
        let mut request = Cursor::new(Vec::new());
        batch::encode(&mut request, kind, flags, body).map_err(|e| refused(e, None))?;
        let mut request = request.into_inner();
        for _ in 0..ATTEMPTS {
            take(Answer::Again);
            let seq = self.next;
            self.next = seq.wrapping_add(1).max(1);
            if let Some(slot) = request.get_mut(8..12) {
                slot.copy_from_slice(&seq.to_ne_bytes());
            }
            net::send(&self.socket, &request, SendFlags::empty()).map_err(|e| lost(e.into()))?;
            match self.collect(seq, take) {
                Ok(End::Done) => return Ok(()),
                Ok(End::Refused(source, words)) => return Err(refused(source, words)),
                Ok(End::Interrupted) => {}
                Err(e) => return Err(lost(e)),
            }
        }
        // It changes quicker than it can be read; the monitor tells what is missing.
        Ok(())
    }

    fn collect(&mut self, seq: u32, take: &mut dyn FnMut(Answer<'_>)) -> io::Result<End> {
        let deadline = Instant::now() + PATIENCE;
        let mut interrupted = false;
        loop {
            let datagram = match receive(&self.socket, &mut self.buffer, deadline) {
                Ok(datagram) => datagram,
                // The buffer has grown meanwhile, or a part is lost: the rest is read to its end, before which the kernel begins no
                // other list.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EMSGSIZE | libc::ENOBUFS)) => {
                    interrupted = true;
                    continue;
                }
                Err(e) => return Err(e),
            };
            for message in messages(datagram).filter(|m| m.seq == seq) {
                interrupted |= message.flags & DUMP_INTERRUPTED != 0;
                match (message.kind, refusal(message)) {
                    (NLMSG_ERROR | NLMSG_DONE, Some((source, words))) => {
                        return Ok(End::Refused(source, words));
                    }
                    (NLMSG_DONE, None) if interrupted => return Ok(End::Interrupted),
                    (NLMSG_ERROR | NLMSG_DONE, None) => return Ok(End::Done),
                    (NLMSG_OVERRUN, _) => return Ok(End::Interrupted),
                    _ => take(Answer::Message(message)),
                }
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What comes back on a question.
enum Answer<'a> {
    /// It is asked anew: nothing of what came before counts.
    Again,
    /// A part of it.
    Message(Message<'a>),
}

/// How a list ended.
enum End {
    Done,
    Interrupted,
    Refused(io::Error, Option<String>),
}

/// A netlink socket bound to an address that the kernel chooses, and to `groups` as a bit mask.
pub(super) fn socket(
    protocol: Option<Protocol>,
    groups: u32,
    receive_buffer: usize,
) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN.
    if sockopt::set_socket_recv_buffer_size_force(&socket, receive_buffer).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, receive_buffer)?;
    }
    net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// Reads one datagram from the kernel without waiting and tells its length; `None` if there is none. `EMSGSIZE` if it was
/// longer than the buffer, which has grown meanwhile; `ENOBUFS` if some were lost.
pub(super) fn receive_now(socket: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        match net::recvfrom(socket, buffer.as_mut_slice(), RecvFlags::TRUNC) {
            Ok((_, len, _)) if len > buffer.len() => {
                buffer.resize(len.next_power_of_two(), 0);
                return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
            }
            Ok((_, len, from)) => {
                // Only the kernel is believed; another process would need CAP_NET_ADMIN to send here.
                let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                if from.is_none_or(|from| from.pid() == 0) {
                    return Ok(Some(len));
                }
            }
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The same with waiting, until `deadline`.
fn receive<'b>(
    socket: &OwnedFd,
    buffer: &'b mut Vec<u8>,
    deadline: Instant,
) -> io::Result<&'b [u8]> {
    loop {
        if let Some(len) = receive_now(socket, buffer)? {
            return Ok(buffer.get(..len).unwrap_or_default());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sys::wait_readable(socket.as_fd(), left)?;
    }
}

/// The reason of a refusal, if the message is one: `NLMSG_ERROR` and `NLMSG_DONE` begin with a negative error number, zero is
/// success.
fn refusal(message: Message<'_>) -> Option<(io::Error, Option<String>)> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let (NLMSG_ERROR | NLMSG_DONE) = message.kind else {
        return None;
    };
    let code = u32_at(message.payload, 0)?.cast_signed();
    if code >= 0 {
        return None;
    }
    let mut said = None;
    if message.flags & ANSWER_HAS_ATTRIBUTES != 0 {
        // Behind the number stands the request: its header only, or all of it.
        let echo = match (message.kind, message.flags & ANSWER_CAPPED) {
            (NLMSG_DONE, _) => 0,
            (_, 0) => usize::try_from(u32_at(message.payload, 4)?).ok()?,
            _ => 16,
        };
        said = message
            .payload
            .get(4..)
            .and_then(|b| b.get(echo.checked_next_multiple_of(4)?..))
            .and_then(|row| attributes(row).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG))
            .and_then(|(_, words)| text(words))
            .map(str::to_owned);
    }
    Some((io::Error::from_raw_os_error(code.wrapping_neg()), said))
}
