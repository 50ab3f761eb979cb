//! Waiting: one epoll and one queue of deadlines under smol's `LocalExecutor`, all on one thread.
//!
//! smol's own `Timer` and `Async` start a second thread that steals the events and bounces each of them. Here a tick
//! costs one system call, and so does a readable descriptor (besides its `read`): descriptors are registered once and
//! level-triggered, and the earliest deadline is the timeout of the wait. On kernels before 5.11, which have no
//! `epoll_pwait2`, a timerfd carries the deadline instead, with one more call whenever it changes.
//!
//! The main future of [`block_on`] is polled directly and allocates nothing when it is woken. Tasks of [`spawn`] go
//! through the executor's queue, which takes a block from the heap at every 31st wake-up.

mod kernel;
mod source;
mod timers;

use core::cell::{Cell, OnceCell, RefCell};
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::task::Wake;

use smol::{LocalExecutor, Task};

use crate::io::sys::{self, Interest};
use crate::time::Instant;

use kernel::Kernel;
use source::Registration;
use timers::Timers;

pub use source::Source;
pub use timers::Sleep;

thread_local! {
    static REACTOR: Reactor = const { Reactor::new() };
}

/// The present, by the kernel's monotonic clock.
#[must_use]
pub fn now() -> Instant {
    sys::monotonic()
}

/// Starts a task on this thread; it runs while [`block_on`] does. Dropping the handle cancels it, `detach` lets it go.
///
/// Boxed, so that the executor's own 3 kB of code are there once, not once for every kind of task.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let future: Pin<Box<dyn Future<Output = T>>> = Box::pin(future);
    REACTOR.with(|reactor| reactor.executor.spawn(future))
}

/// Completes at `at`, or at once if that has passed. Dropping it takes its timer away.
#[must_use]
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep::new(at)
}

/// Completes after `duration`.
#[must_use]
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now() + duration)
}

/// The scheduling policy of this process is another one now.
pub fn policy_changed() {
    REACTOR.with(|reactor| {
        if let Some(kernel) = reactor.kernel.get() {
            kernel.realtime.set(sys::is_realtime());
        }
    });
}

/// Has `told` called whenever a wait ends later than its deadline, by more than `tolerated`.
pub fn watch_lateness(tolerated: Duration, told: Option<impl FnMut(Duration) + 'static>) {
    let told = told.map(|told| Lateness {
        tolerated,
        told: Box::new(told),
    });
    REACTOR.with(|reactor| reactor.lateness.replace(told));
}

/// Who wants to know when we run late.
struct Lateness {
    tolerated: Duration,
    told: Box<dyn FnMut(Duration)>,
}

/// Runs `main` to its end, and the spawned tasks beside it; what they have not finished by then is left waiting.
///
/// # Errors
/// When the kernel gives no epoll descriptor, or refuses to wait.
pub fn block_on<T>(main: impl Future<Output = T>) -> io::Result<T> {
    drive(pin!(main))
}

/// The same, compiled once and not for every future.
fn drive<T>(mut main: Pin<&mut dyn Future<Output = T>>) -> io::Result<T> {
    let woken = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    REACTOR.with(|reactor| {
        let kernel = reactor.kernel()?;
        sys::set_timer_slack(Duration::from_nanos(1));
        reactor.woken_at.set(now());
        loop {
            if woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(value) = main.as_mut().poll(&mut context) {
                    // Tasks that went with it end what they have started.
                    let _ = (0..1024).all(|_| reactor.executor.try_tick());
                    return Ok(value);
                }
            }
            // A bounded number, so that tasks which wake each other keep nobody from being heard.
            let idle = (0..64).any(|_| !reactor.executor.try_tick());
            let block = idle && !woken.0.load(Ordering::Relaxed);
            reactor.turn(kernel, block)?;
        }
    })
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Reactor {
    /// Never dropped, as that would drop tasks which ask for this reactor while it goes.
    executor: ManuallyDrop<LocalExecutor<'static>>,
    kernel: OnceCell<Kernel>,
    /// When the last wait ended: what was due then has been woken.
    woken_at: Cell<Instant>,
    timers: RefCell<Timers>,
    sources: RefCell<Vec<Option<Registration>>>,
    /// Places among them that are free.
    free: RefCell<Vec<usize>>,
    /// So many were registered.
    registered: Cell<u32>,
    lateness: RefCell<Option<Lateness>>,
}

impl Reactor {
    const fn new() -> Self {
        Self {
            executor: ManuallyDrop::new(LocalExecutor::new()),
            kernel: OnceCell::new(),
            woken_at: Cell::new(Instant(0)),
            timers: RefCell::new(Timers::new()),
            sources: RefCell::new(Vec::new()),
            free: RefCell::new(Vec::new()),
            registered: Cell::new(0),
            lateness: RefCell::new(None),
        }
    }

    fn kernel(&self) -> io::Result<&Kernel> {
        if let Some(kernel) = self.kernel.get() {
            return Ok(kernel);
        }
        let kernel = Kernel::open()?;
        Ok(self.kernel.get_or_init(|| kernel))
    }

    /// Waits once, and wakes whatever the wait was for.
    fn turn(&self, kernel: &Kernel, block: bool) -> io::Result<()> {
        let mut events = [sys::UNREADY; 32];
        let deadline = self.timers.borrow().earliest();
        let ready = kernel.wait(&mut events, block, deadline)?;
        self.woken_at.set(now());
        if let Some(deadline) = deadline {
            self.judge(self.woken_at.get().since(deadline));
        }
        for event in events.iter().take(ready) {
            let (bits, token) = (event.events, event.u64);
            // Nobody is woken while anything is borrowed: the last owner of a task that ends may be its waker.
            for waker in self.notice(kernel, bits, token).into_iter().flatten() {
                waker.wake();
            }
        }
        loop {
            let due = self.timers.borrow_mut().take_due(self.woken_at.get());
            match due {
                Some(waker) => waker.wake(),
                None => return Ok(()),
            }
        }
    }

    fn judge(&self, late: Duration) {
        if let Some(lateness) = &mut *self.lateness.borrow_mut() {
            if late > lateness.tolerated {
                (lateness.told)(late);
            }
        }
    }

    /// Takes in one event; gives back who waited for it.
    fn notice(&self, kernel: &Kernel, bits: Interest, token: u64) -> [Option<Waker>; 2] {
        let mut sources = self.sources.borrow_mut();
        let source = Registration::slot(token).and_then(|slot| sources.get_mut(slot)?.as_mut());
        // A child that has not called exec yet keeps a closed socket registered: what is told of it is not of the next one.
        let source = source.filter(|source| source.is(token));
        source.map_or([None, None], |source| source.notice(kernel, bits))
    }
}

#[cfg(test)]
mod tests;
