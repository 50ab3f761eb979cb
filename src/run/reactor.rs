//! Waiting: one epoll and one queue of deadlines under smol's `LocalExecutor`, all on one thread.
//!
//! smol's own `Timer` and `Async` start a second thread that steals the events and bounces each of them. Here a tick
//! costs one system call, and so does a readable descriptor (besides its `read`): descriptors are registered once and
//! level-triggered, and the earliest deadline is the timeout of the wait. On kernels before 5.11, which have no
//! `epoll_pwait2`, a timerfd carries the deadline instead, with one more call whenever it changes.
//!
//! The main future of [`block_on`] is polled directly and allocates nothing when it is woken. Tasks of [`spawn`] go
//! through the executor's queue, which takes a block from the heap at every 31st wake-up.

use core::cell::{Cell, OnceCell, RefCell};
use core::future::{Future, poll_fn};
use core::mem::ManuallyDrop;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Wake;

use smol::{LocalExecutor, Task};

use crate::io::sys::{self, BROKEN, Interest, ON_CHANGE, READ, WRITE};
use crate::time::Instant;

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
    Sleep { at, timer: None }
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
            timers: RefCell::new(Timers {
                queue: VecDeque::new(),
                last: 0,
            }),
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
        let slot = usize::try_from(token & SLOT).ok();
        let source = slot.and_then(|slot| sources.get_mut(slot)?.as_mut());
        // A child that has not called exec yet keeps a closed socket registered: what is told of it is not of the next one.
        let source = source.filter(|source| source.token == token);
        let Some(source) = source else {
            return [None, None];
        };
        let mut wakers = [None, None];
        source.broken |= bits & BROKEN != 0;
        if source.brief {
            // Told at each change only: nothing has to be taken back.
            if bits & (READ | BROKEN) != 0 {
                wakers[0] = source.reader.fire();
            }
            if bits & (WRITE | BROKEN) != 0 {
                wakers[1] = source.writer.fire();
            }
            return wakers;
        }
        let mut wanted = source.armed;
        if bits & (READ | BROKEN) != 0 {
            wakers[0] = source.reader.fire();
            if wakers[0].is_none() {
                wanted &= !READ;
            }
        }
        if bits & (WRITE | BROKEN) != 0 {
            // There is nearly always room, so that a standing interest would be reported at every wait.
            wakers[1] = source.writer.fire();
            wanted &= !WRITE;
        }
        // A refusal is met again, and told, where the source is waited for.
        let _ = source.arm(kernel, wanted);
        wakers
    }
}

/// The part of a token that is a slot.
const SLOT: u64 = 0xffff_ffff;

/// The number under which the timerfd is registered; no slot of a source is that high.
const TIMER: u64 = u64::MAX;

struct Kernel {
    epoll: OwnedFd,
    /// There once `epoll_pwait2` has been refused.
    timer: OnceCell<Timer>,
    /// No slack under a real-time policy.
    realtime: Cell<bool>,
}

struct Timer {
    fd: OwnedFd,
    armed: Cell<Option<Instant>>,
}

impl Kernel {
    fn open() -> io::Result<Self> {
        Ok(Self {
            epoll: sys::epoll()?,
            timer: OnceCell::new(),
            realtime: Cell::new(sys::is_realtime()),
        })
    }

    fn wait(
        &self,
        events: &mut [sys::Readiness],
        block: bool,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let ready = match self.timer.get() {
            None => {
                match sys::epoll_pwait2(self.epoll.as_fd(), events, self.timeout(block, deadline)) {
                    // Sandboxes answer EPERM to calls that they do not know.
                    Err(error)
                        if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) =>
                    {
                        let timer = self.fall_back()?;
                        self.wait_with(timer, events, block, deadline)
                    }
                    result => result,
                }
            }
            Some(timer) => self.wait_with(timer, events, block, deadline),
        };
        match ready {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            ready => ready,
        }
    }

    /// The kernel may fire a wait with a timeout a thousandth of it late, up to 100 ms, whatever the timer slack
    /// (`select_estimate_accuracy` in fs/select.c), and does so when no other interrupt comes first. Asking that much
    /// earlier makes the latest moment the right one; woken before it, we wait again for the little that is left.
    fn timeout(&self, block: bool, deadline: Option<Instant>) -> Option<Duration> {
        if !block {
            return Some(Duration::ZERO);
        }
        let left = deadline?.since(now());
        if self.realtime.get() {
            return Some(left);
        }
        let slack = (left / 1001).min(Duration::from_millis(100));
        Some(left.saturating_sub(slack))
    }

    fn fall_back(&self) -> io::Result<&Timer> {
        let fd = sys::timer()?;
        sys::epoll_control(self.epoll.as_fd(), fd.as_raw_fd(), TIMER, 0, READ)?;
        let armed = Cell::new(None);
        Ok(self.timer.get_or_init(|| Timer { fd, armed }))
    }

    fn wait_with(
        &self,
        timer: &Timer,
        events: &mut [sys::Readiness],
        block: bool,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        // Setting it also takes its readiness away, so that it never needs to be read.
        if block && timer.armed.get() != deadline {
            sys::set_timer(timer.fd.as_fd(), deadline)?;
            timer.armed.set(deadline);
        }
        sys::epoll_wait(self.epoll.as_fd(), events, block)
    }
}

/// A descriptor that somebody waits for, or has waited for.
struct Registration {
    fd: RawFd,
    /// Its slot, and above that its number among all that ever were.
    token: u64,
    /// See [`Source::brief`].
    brief: bool,
    /// What epoll has been asked for.
    armed: Interest,
    /// An error or the end of both directions was reported.
    broken: bool,
    reader: Side,
    writer: Side,
}

impl Registration {
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
    slot: usize,
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
            let registration = Some(Registration {
                fd: inner.as_fd().as_raw_fd(),
                token: u64::from(number) << 32 | slot as u64,
                brief,
                armed: 0,
                broken: false,
                reader: Side::default(),
                writer: Side::default(),
            });
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

/// Deadlines, the earliest first. That is taken from one end, and nearly all come and go near the other: each attempt of a check
/// brings one that is later than those of the attempts before it, and mostly takes it away at once.
struct Timers {
    queue: VecDeque<Deadline>,
    last: u32,
}

struct Deadline {
    at: Instant,
    /// Tells those of the same instant apart; the first asked is the first woken.
    number: u32,
    waker: Waker,
}

impl Timers {
    fn earliest(&self) -> Option<Instant> {
        self.queue.front().map(|deadline| deadline.at)
    }

    fn find(&self, at: Instant, number: u32) -> Result<usize, usize> {
        self.queue
            .binary_search_by_key(&(at, number), |other| (other.at, other.number))
    }

    fn insert(&mut self, at: Instant, waker: Waker) -> u32 {
        self.last = self.last.wrapping_add(1);
        let number = self.last;
        let (Ok(place) | Err(place)) = self.find(at, number);
        self.queue.insert(place, Deadline { at, number, waker });
        number
    }

    fn take_due(&mut self, now: Instant) -> Option<Waker> {
        self.earliest().filter(|at| *at <= now)?;
        self.queue.pop_front().map(|due| due.waker)
    }
}

/// A wait for an instant; see [`sleep_until`].
pub struct Sleep {
    at: Instant,
    timer: Option<u32>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        REACTOR.with(|reactor| {
            let mut timers = reactor.timers.borrow_mut();
            let Some(number) = self.timer else {
                if self.at <= reactor.woken_at.get() {
                    return Poll::Ready(());
                }
                self.timer = Some(timers.insert(self.at, context.waker().clone()));
                return Poll::Pending;
            };
            let place = timers.find(self.at, number).ok();
            match place.and_then(|place| timers.queue.get_mut(place)) {
                Some(deadline) => {
                    deadline.waker.clone_from(context.waker());
                    Poll::Pending
                }
                // Only a deadline that has come leaves the queue while its sleep lives.
                None => Poll::Ready(()),
            }
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.timer else { return };
        let _ = REACTOR.try_with(|reactor| {
            let mut timers = reactor.timers.borrow_mut();
            let waker = timers
                .find(self.at, number)
                .map(|place| timers.queue.remove(place));
            drop(timers);
            drop(waker);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;

    use smol::future;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Gives up after five seconds, so that no test hangs.
    fn run<T>(main: impl Future<Output = T>) -> T {
        let limit = async {
            sleep(Duration::from_secs(5)).await;
            panic!("still waiting after five seconds")
        };
        block_on(future::or(main, limit)).unwrap()
    }

    fn pair() -> (Source<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Source::new(ours), theirs)
    }

    #[test]
    fn sleeps_end_in_the_order_of_their_instants_and_those_of_one_instant_in_the_order_asked() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = now();
        run(async {
            let tasks = [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')].map(|(ms, name)| {
                let order = Rc::clone(&order);
                spawn(async move {
                    sleep_until(start + 10 * ms * MS).await;
                    order.borrow_mut().push(name);
                })
            });
            for task in tasks {
                task.await;
            }
        });
        assert_eq!(*order.borrow(), ['a', 'b', 'c', 'd']);
        assert!(now() >= start + 30 * MS);
    }

    #[test]
    fn a_sleep_never_ends_early_and_one_that_has_passed_ends_at_once() {
        run(async {
            for _ in 0..50 {
                let at = now() + MS;
                sleep_until(at).await;
                assert!(now() >= at);
            }
            sleep_until(Instant(0)).await;
        });
    }

    #[test]
    fn a_dropped_sleep_leaves_no_timer_behind() {
        run(async {
            let never = sleep(Duration::from_secs(3600));
            future::or(never, sleep(MS)).await;
        });
        REACTOR.with(|reactor| assert_eq!(reactor.timers.borrow().queue.len(), 0));
    }

    #[test]
    fn a_timerfd_does_the_same_where_epoll_pwait2_is_missing() {
        REACTOR.with(|reactor| {
            reactor
                .kernel()
                .unwrap()
                .fall_back()
                .unwrap()
                .fd
                .as_raw_fd()
        });
        run(async {
            for _ in 0..20 {
                let at = now() + MS;
                future::or(sleep_until(at), sleep(Duration::from_secs(9))).await;
                assert!(now() >= at);
            }
        });
    }

    #[test]
    fn what_arrives_wakes_its_reader_as_often_as_it_arrives() {
        let (ours, mut theirs) = pair();
        run(async {
            for byte in 0..100_u8 {
                let waited = spawn(async move {
                    sleep_until(Instant(0)).await;
                    theirs.write_all(&[byte]).unwrap();
                    theirs
                });
                ours.readable().await.unwrap();
                let mut read = [0];
                ours.get_ref().read_exact(&mut read).unwrap();
                assert_eq!(read, [byte]);
                theirs = waited.await;
            }
        });
    }

    #[test]
    fn what_nobody_waits_for_does_not_keep_the_loop_awake() {
        let (ours, mut theirs) = pair();
        run(async {
            theirs.write_all(b"twice").unwrap();
            ours.readable().await.unwrap();
            // Left unread, and no longer waited for.
            sleep(2 * MS).await;
            REACTOR.with(|reactor| {
                let sources = reactor.sources.borrow();
                assert_eq!(sources[ours.slot].as_ref().unwrap().armed, 0);
            });
            ours.readable().await.unwrap();
            let mut read = [0; 5];
            ours.get_ref().read_exact(&mut read).unwrap();
        });
    }

    #[test]
    fn a_hang_up_wakes_reader_and_writer() {
        let (ours, theirs) = pair();
        run(async {
            drop(theirs);
            ours.writable().await.unwrap();
            ours.readable().await.unwrap();
            assert_eq!(ours.get_ref().read(&mut [0]).unwrap(), 0);
        });
    }

    #[test]
    fn a_writer_waits_until_there_is_room() {
        let (ours, mut theirs) = pair();
        run(async {
            let block = [0; 4096];
            let mut sent = 0;
            while let Ok(n) = ours.get_ref().write(&block) {
                sent += n;
            }
            let reader = spawn(async move {
                sleep(MS).await;
                theirs.read_exact(&mut vec![0; sent]).unwrap();
                theirs
            });
            ours.writable().await.unwrap();
            assert!(ours.get_ref().write(&block).is_ok());
            reader.await;
        });
    }

    #[test]
    fn a_source_gives_its_place_back() {
        let (first, _peer) = pair();
        let slot = first.slot;
        drop(first);
        let (second, _peer) = pair();
        assert_eq!(second.slot, slot);
    }

    #[test]
    fn a_regular_file_is_refused_with_an_error() {
        let file = Source::new(std::fs::File::open("/proc/self/exe").unwrap());
        let error = run(file.readable()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn tasks_that_wake_each_other_do_not_starve_the_clock() {
        run(async {
            let busy = spawn(async {
                loop {
                    future::yield_now().await;
                }
            });
            sleep(2 * MS).await;
            busy.cancel().await;
        });
    }

    #[test]
    fn a_cancelled_task_drops_what_it_held() {
        let held = Rc::new(());
        let copy = Rc::clone(&held);
        run(async {
            let task = spawn(async move {
                let _copy = copy;
                future::pending::<()>().await;
            });
            future::yield_now().await;
            task.cancel().await;
        });
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
