//! Descriptors that are waited for.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::REACTOR;
use super::kernel::Kernel;
use crate::io::sys::{self, BROKEN, Interest, ON_CHANGE, READ, WRITE};

/// A descriptor that somebody waits for, or has waited for.
pub(super) struct Registration {
    fd: RawFd,
    /// Its slot, and above that its number among all that ever were.
    token: u64,
    /// See [`Source::brief`].
    brief: bool,
    /// What epoll has been asked for.
    pub(super) armed: Interest,
    /// An error or the end of both directions was reported.
    broken: bool,
    reader: Side,
    writer: Side,
}

impl Registration {
    fn new(fd: RawFd, slot: usize, number: u32, brief: bool) -> Self {
        Self {
            fd,
            token: u64::from(number) << 32 | slot as u64,
            brief,
            armed: 0,
            broken: false,
            reader: Side::default(),
            writer: Side::default(),
        }
    }

    /// Where the one with this token is.
    pub(super) fn slot(token: u64) -> Option<usize> {
        usize::try_from(token & 0xffff_ffff).ok()
    }

    pub(super) const fn is(&self, token: u64) -> bool {
        self.token == token
    }

    /// Takes in what epoll tells of it; gives back who waited for that.
    pub(super) fn notice(&mut self, kernel: &Kernel, bits: Interest) -> [Option<Waker>; 2] {
        let mut wakers = [None, None];
        self.broken |= bits & BROKEN != 0;
        if self.brief {
            // Told at each change only: nothing has to be taken back.
            if bits & (READ | BROKEN) != 0 {
                wakers[0] = self.reader.fire();
            }
            if bits & (WRITE | BROKEN) != 0 {
                wakers[1] = self.writer.fire();
            }
            return wakers;
        }
        let mut wanted = self.armed;
        if bits & (READ | BROKEN) != 0 {
            wakers[0] = self.reader.fire();
            if wakers[0].is_none() {
                wanted &= !READ;
            }
        }
        if bits & (WRITE | BROKEN) != 0 {
            // There is nearly always room, so that a standing interest would be reported at every wait.
            wakers[1] = self.writer.fire();
            wanted &= !WRITE;
        }
        // A refusal is met again, and told, where the source is waited for.
        let _ = self.arm(kernel, wanted);
        wakers
    }

    fn arm(&mut self, kernel: &Kernel, wanted: Interest) -> io::Result<()> {
        let epoll = kernel.epoll.as_fd();
        sys::epoll_control(epoll, self.fd, self.token, self.armed, wanted)?;
        self.armed = wanted;
        Ok(())
    }
}

/// One direction of a descriptor.
#[derive(Default)]
struct Side {
    waker: Option<Waker>,
    ready: bool,
}

impl Side {
    fn fire(&mut self) -> Option<Waker> {
        self.ready = true;
        self.waker.take()
    }

    /// Whether it has become ready since it was last asked; if not, `waker` is told when it does.
    fn poll(&mut self, waker: &Waker) -> bool {
        if core::mem::take(&mut self.ready) {
            self.waker = None;
            return true;
        }
        match &mut self.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        false
    }
}

/// Something with a descriptor that can be waited for: a socket, a signalfd, a pipe; not a regular file.
///
/// One waiter for each direction: a second one takes the place of the first. Readiness may be told once too often, so
/// the descriptor must be non-blocking, and `WouldBlock` means to wait again.
pub struct Source<T: AsFd> {
    pub(super) slot: usize,
    inner: T,
}

impl<T: AsFd> Source<T> {
    /// Takes it in; nothing is asked of the kernel before it is waited for.
    pub fn new(inner: T) -> Self {
        Self::register(inner, false)
    }

    /// Takes in a socket that is closed with its source, and lives for a short exchange: one registration serves it for
    /// both directions and to its end. Readiness is told when it changes, so that whoever fills a buffer reads on.
    pub fn brief(inner: T) -> Self {
        Self::register(inner, true)
    }

    fn register(inner: T, brief: bool) -> Self {
        let slot = REACTOR.with(|reactor| {
            let mut sources = reactor.sources.borrow_mut();
            let free = reactor.free.borrow_mut().pop();
            let slot = free.unwrap_or(sources.len());
            let number = reactor.registered.get().wrapping_add(1);
            reactor.registered.set(number);
            let fd = inner.as_fd().as_raw_fd();
            let registration = Some(Registration::new(fd, slot, number, brief));
            match sources.get_mut(slot) {
                Some(place) => *place = registration,
                None => sources.push(registration),
            }
            slot
        });
        Self { slot, inner }
    }

    /// What was taken in.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What was taken in; it must keep its descriptor.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Whether the kernel has reported an error, or the end of both directions. A stream that has become writable without that
    /// is connected.
    pub fn is_broken(&self) -> bool {
        REACTOR.with(|reactor| {
            let sources = reactor.sources.borrow();
            let source = sources.get(self.slot).and_then(Option::as_ref);
            source.is_none_or(|source| source.broken)
        })
    }

    /// Completes when there is something to read, an end of file or an error included.
    ///
    /// # Errors
    /// When the kernel cannot wait for such a descriptor.
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_readable(context)).await
    }

    /// Completes when there is room to write, or an error.
    ///
    /// # Errors
    /// When the kernel cannot wait for such a descriptor.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_writable(context)).await
    }

    /// [`readable`](Self::readable) for a hand-made future, which may so wait for many sources at once.
    ///
    /// # Errors
    /// When the kernel cannot wait for such a descriptor.
    pub fn poll_readable(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, READ, |registration| &mut registration.reader)
    }

    /// [`writable`](Self::writable) for a hand-made future.
    ///
    /// # Errors
    /// When the kernel cannot wait for such a descriptor.
    pub fn poll_writable(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, WRITE, |registration| &mut registration.writer)
    }

    fn poll(
        &self,
        context: &Context<'_>,
        interest: Interest,
        side: fn(&mut Registration) -> &mut Side,
    ) -> Poll<io::Result<()>> {
        REACTOR.with(|reactor| {
            let kernel = reactor.kernel()?;
            let mut sources = reactor.sources.borrow_mut();
            let Some(source) = sources.get_mut(self.slot).and_then(Option::as_mut) else {
                return Poll::Ready(Err(io::ErrorKind::NotFound.into()));
            };
            if side(source).poll(context.waker()) {
                return Poll::Ready(Ok(()));
            }
            let wanted = match source.brief {
                true => READ | WRITE | ON_CHANGE,
                false => source.armed | interest,
            };
            source.arm(kernel, wanted)?;
            Poll::Pending
        })
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        // At the end of the thread the reactor may be gone already, and epoll with it.
        let _ = REACTOR.try_with(|reactor| {
            let mut sources = reactor.sources.borrow_mut();
            let gone = sources.get_mut(self.slot).and_then(Option::take);
            drop(sources);
            reactor.free.borrow_mut().push(self.slot);
            let gone = gone.filter(|gone| !gone.brief);
            if let (Some(mut gone), Some(kernel)) = (gone, reactor.kernel.get()) {
                let _ = gone.arm(kernel, 0);
            }
        });
    }
}
