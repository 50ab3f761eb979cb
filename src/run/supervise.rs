//! The watchdog: a parent that starts a process for each role, passes signals on, and starts again what has died.

use core::fmt;
use core::future::poll_fn;
use core::str::FromStr;
use core::task::Poll;
use core::time::Duration;
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

use smol::future;

use crate::error::Exit;
use crate::io::sys::{Ended, Program};
use crate::time::Instant;

use super::child::Child;
use super::configuration::Refused;
use super::control::{Call, Desk, Line, Part};
use super::reactor::{now, sleep_until};
use super::signal::{Signal, Signals};

/// What a child process is there for; in the order in which they are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Health checks.
    Checkers,
    /// Virtual routers.
    Vrrp,
}

impl Role {
    /// The name of its process and of its log lines: never that of the parent, so that `pidof` finds only that. At most
    /// 15 bytes.
    #[must_use]
    pub const fn process(self) -> &'static core::ffi::CStr {
        match self {
            Self::Checkers => c"keepalite_check",
            Self::Vrrp => c"keepalite_vrrp",
        }
    }

    /// Whether this build can do it.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Checkers => cfg!(feature = "lvs"),
            Self::Vrrp => cfg!(feature = "vrrp"),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Checkers => "checkers",
            Self::Vrrp => "vrrp",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkers => "Checkers",
            Self::Vrrp => "VRRP",
        })
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = [Self::Checkers, Self::Vrrp];
        let found = known.into_iter().find(|role| role.word() == word);
        found.ok_or("vrrp or checkers is wanted")
    }
}

/// How long to wait before something that has ended is started again: at once if it ran for longer than a minute,
/// else 1, 2, 4 … 60 seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// How often it has died young.
    young: u32,
}

impl Patience {
    const MINUTE: Duration = Duration::from_secs(60);

    /// The wait after a run of this length.
    pub fn after(&mut self, run: Duration) -> Duration {
        if run > Self::MINUTE {
            self.young = 0;
            return Duration::ZERO;
        }
        let seconds = 1_u64.checked_shl(self.young).unwrap_or(u64::MAX);
        self.young = (self.young + 1).min(6);
        Duration::from_secs(seconds).min(Self::MINUTE)
    }
}

/// When to start a child again; one for each.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    respawn: bool,
    started: Instant,
    patience: Patience,
}

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again then.
    Restart(Instant),
    /// It would die again: stop everything, with this status.
    Stop(Exit),
}

impl Watch {
    /// `respawn` is false with `-R`: any death is the end of everything.
    #[must_use]
    pub const fn new(respawn: bool, now: Instant) -> Self {
        Self {
            respawn,
            started: now,
            patience: Patience { young: 0 },
        }
    }

    /// It has been started.
    pub const fn started(&mut self, now: Instant) {
        self.started = now;
    }

    /// It has died. As with keepalived, what it calls a permanent error is final.
    pub fn died(&mut self, how: Ended, now: Instant) -> Verdict {
        let permanent = match how {
            Ended::Status(status) => Exit::from_status(status),
            Ended::Signal(_) => None,
        };
        match permanent {
            Some(exit @ (Exit::Fatal | Exit::Config | Exit::Missing)) => {
                return Verdict::Stop(exit);
            }
            _ if !self.respawn => return Verdict::Stop(Exit::Internal),
            _ => {}
        }
        let run = now.since(self.started);
        Verdict::Restart(now + self.patience.after(run))
    }
}

/// What the parent reads anew when it is to reload; the children read the file by themselves.
#[derive(Debug)]
pub struct Wanted {
    /// Who is to run.
    pub roles: Vec<Role>,
    /// How long a child may take to stop.
    pub child_wait: Duration,
}

/// Runs and watches the children until a signal or a permanent error ends it. `reload` gives what is wanted from now on,
/// or why not. The children are asked at the `desk`.
pub async fn supervise(
    signals: &mut Signals,
    mut wanted: Wanted,
    respawn: bool,
    desk: &Desk,
    mut reload: impl FnMut() -> Result<Wanted, Refused>,
) -> Exit {
    let mut posts: Vec<Post> = Vec::new();
    loop {
        fill(&mut posts, &wanted.roles, respawn);
        *desk.lines.borrow_mut() = posts.iter().filter_map(Post::line).collect();
        let exit = match next(signals, &posts, desk).await {
            Ok(Event::Signal(Signal::Stop)) => Exit::Ok,
            Ok(Event::Signal(Signal::Reload)) => {
                if let Ok(new) = reload() {
                    wanted = new;
                    // What waits to be started again may have been waiting for just this.
                    posts.retain(|post| post.child.is_some());
                    pass_on(&posts, Signal::Reload);
                }
                continue;
            }
            Ok(Event::Asked(call)) => {
                // The same, but whoever asked has the children reload, and hears what becomes of it.
                let part = match reload() {
                    Ok(new) => {
                        wanted = new;
                        posts.retain(|post| post.child.is_some());
                        Part::default()
                    }
                    Err(refused) => refused.part(call.request.form),
                };
                call.reply(part);
                continue;
            }
            Ok(Event::Signal(signal)) => {
                pass_on(&posts, signal);
                continue;
            }
            Ok(Event::Due) => continue,
            Ok(Event::Died(index, how)) => match bury(&mut posts, index, how, &wanted.roles) {
                None => continue,
                Some(exit) => exit,
            },
            Err(error) => {
                log::error!("cannot wait for signals: {error}");
                Exit::Internal
            }
        };
        stop(signals, posts, wanted.child_wait).await;
        return exit;
    }
}

/// One role, and who fills it.
struct Post {
    role: Role,
    watch: Watch,
    child: Option<Child>,
    /// Where the child can be asked.
    line: Option<Rc<Line>>,
    /// Without a child: when to start it again.
    due: Instant,
}

enum Event {
    Signal(Signal),
    Asked(Call),
    Died(usize, Ended),
    Due,
}

/// Starts whoever is wanted and due, and asks those to leave who are not wanted any more.
fn fill(posts: &mut Vec<Post>, roles: &[Role], respawn: bool) {
    let now = now();
    for &role in roles {
        if posts.iter().all(|post| post.role != role) {
            posts.push(Post {
                role,
                watch: Watch::new(respawn, now),
                child: None,
                line: None,
                due: now,
            });
        }
    }
    posts.sort_by_key(|post| post.role);
    for post in posts {
        match &post.child {
            Some(child) if !roles.contains(&post.role) => child.signal(libc::SIGTERM),
            None if post.due <= now => post.start(now),
            _ => {}
        }
    }
}

impl Post {
    fn start(&mut self, now: Instant) {
        self.watch.started(now);
        match start(self.role) {
            Ok((child, line)) => {
                log::info!("Starting {} child process, pid={}", self.role, child.pid());
                self.child = Some(child);
                self.line = Some(Rc::new(line));
            }
            Err(error) => {
                log::error!("cannot start the {} process: {error}", self.role);
                // Not its own fault, and perhaps better in a while, even with -R.
                self.due = now + Duration::from_secs(5);
            }
        }
    }

    fn line(&self) -> Option<(Role, Rc<Line>)> {
        self.child.as_ref()?;
        Some((self.role, Rc::clone(self.line.as_ref()?)))
    }
}

/// The same binary with our own words, after one that tells it what it is. Only the kernel's link to it still finds it
/// when an upgrade has put another in its place.
fn start(role: Role) -> io::Result<(Child, Line)> {
    let (line, input) = Line::to_child()?;
    let mut words = vec![
        role.process().to_owned(),
        CString::new(format!("--role={}", role.word()))?,
    ];
    for word in std::env::args_os().skip(1) {
        words.push(CString::new(word.into_vec())?);
    }
    let child = Child::start(&Program {
        path: c"/proc/self/exe",
        words: &words,
        shell: None,
        user: None,
        apart: false,
        input: Some(input.as_fd()),
        errors: None,
    })?;
    Ok((child, line))
}

async fn next(signals: &mut Signals, posts: &[Post], desk: &Desk) -> io::Result<Event> {
    let waiting = posts.iter().filter(|post| post.child.is_none());
    let due = waiting.map(|post| post.due).min();
    let death = poll_fn(|context| {
        for (index, post) in posts.iter().enumerate() {
            if let Some(Poll::Ready(how)) = post.child.as_ref().map(|c| c.poll_ended(context)) {
                return Poll::Ready(Ok(Event::Died(index, how)));
            }
        }
        Poll::Pending
    });
    let timer = async {
        match due {
            Some(due) => sleep_until(due).await,
            None => future::pending().await,
        }
        Ok(Event::Due)
    };
    let signal = async { signals.next().await.map(Event::Signal) };
    let asked = async { Ok(Event::Asked(desk.reloads.next().await)) };
    future::or(signal, future::or(death, future::or(asked, timer))).await
}

fn pass_on(posts: &[Post], signal: Signal) {
    for child in posts.iter().filter_map(|post| post.child.as_ref()) {
        child.signal(signal.number());
    }
}

/// Takes note of a death; gives the status to end with when it is final.
fn bury(posts: &mut Vec<Post>, index: usize, how: Ended, roles: &[Role]) -> Option<Exit> {
    let now = now();
    let post = posts.get_mut(index)?;
    let pid = post.child.take().map_or(0, |child| child.pid());
    post.line = None;
    let role = post.role;
    if !roles.contains(&role) {
        log::info!("{role} child process {pid} {how}; it is not needed any more");
        posts.remove(index);
        return None;
    }
    match post.watch.died(how, now) {
        Verdict::Restart(at) => {
            post.due = at;
            match at.since(now).as_secs() {
                0 => log::error!("{role} child process {pid} {how}; starting it again"),
                wait => {
                    log::error!("{role} child process {pid} {how}; starting it again in {wait} s");
                }
            }
            None
        }
        Verdict::Stop(exit) => {
            log::error!("{role} child process {pid} {how}; stopping");
            Some(exit)
        }
    }
}

/// Asks the children to stop, in order, and kills those that have not by the end of `patience`.
async fn stop(signals: &mut Signals, posts: Vec<Post>, patience: Duration) {
    pass_on(&posts, Signal::Stop);
    let all = async {
        for child in posts.iter().filter_map(|post| post.child.as_ref()) {
            child.ended().await;
        }
    };
    // Reading signals is what makes deaths known.
    let deaf = async { while signals.next().await.is_ok() {} };
    let mut all = core::pin::pin!(future::or(all, deaf));
    let late = async {
        sleep_until(now() + patience).await;
        true
    };
    let in_time = async {
        all.as_mut().await;
        false
    };
    if future::or(in_time, late).await {
        for post in &posts {
            if let Some(child) = &post.child {
                let seconds = patience.as_secs();
                log::error!(
                    "{} has not stopped after {seconds} s; killing it",
                    post.role
                );
                child.signal(libc::SIGKILL);
            }
        }
        all.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CRASH: Ended = Ended::Signal(libc::SIGSEGV);

    #[test]
    fn who_dies_young_again_and_again_waits_ever_longer_up_to_a_minute() {
        let mut now = Instant(0);
        let mut watch = Watch::new(true, now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let Verdict::Restart(at) = watch.died(CRASH, now) else {
                panic!("given up");
            };
            waits.push(at.since(now).as_secs());
            now = at;
            watch.started(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn who_has_run_for_more_than_a_minute_is_started_again_at_once_and_begins_anew() {
        let mut watch = Watch::new(true, Instant(0));
        watch.died(CRASH, Instant(0));
        watch.started(Instant(0));
        let later = Instant(0) + 61 * SECOND;
        assert_eq!(watch.died(CRASH, later), Verdict::Restart(later));
        watch.started(later);
        assert_eq!(watch.died(CRASH, later), Verdict::Restart(later + SECOND));
    }

    #[test]
    fn a_permanent_error_stops_everything_with_its_status() {
        for exit in [Exit::Fatal, Exit::Config, Exit::Missing] {
            let mut watch = Watch::new(true, Instant(0));
            let how = Ended::Status(i32::from(exit as u8));
            assert_eq!(watch.died(how, Instant(0)), Verdict::Stop(exit));
        }
    }

    #[test]
    fn any_other_end_is_no_reason_to_give_up() {
        for how in [
            Ended::Status(0),
            Ended::Status(70),
            Ended::Status(127),
            Ended::Signal(9),
        ] {
            let mut watch = Watch::new(true, Instant(0));
            assert!(matches!(watch.died(how, Instant(0)), Verdict::Restart(_)));
        }
    }

    #[test]
    fn without_respawn_the_first_death_is_the_end() {
        let mut watch = Watch::new(false, Instant(0));
        assert_eq!(watch.died(CRASH, Instant(0)), Verdict::Stop(Exit::Internal));
    }

    #[test]
    fn names_of_processes_fit_into_what_the_kernel_keeps() {
        for role in [Role::Checkers, Role::Vrrp] {
            assert!(role.process().count_bytes() <= 15);
            assert_eq!(role.word().parse(), Ok(role));
        }
    }
}
