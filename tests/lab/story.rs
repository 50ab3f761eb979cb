//! The story: who is master, what is sent, what the client notices, and how that compares with theory.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keepalite::name::Version;
use keepalite::time::Centis;

use rustix::process::Signal;

use crate::lab::{Capture, Client, Frame, Host, Lab, Process, Seen};
use crate::screen::{CELLS, Ink, Screen, ms};

/// The address that the example files share.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
/// What a loaded machine may add to a timer; far below any interval's sense.
const SLACK: Duration = Duration::from_millis(100);
/// What starting a program, or noticing a cable, may take besides.
const START: Duration = Duration::from_secs(1);
/// How much earlier than theory a timer may seem, as two clocks are compared.
const EARLY: Duration = Duration::from_millis(2);
/// The part of a scene's picture that lies before its event.
const BEFORE: Duration = Duration::from_millis(200);
/// How long a scene goes on after its takeover: no multiple of an interval, so that the next event comes between two adverts, as
/// events do.
const AFTER: Duration = Duration::from_millis(450);

/// How often, in silence, it is looked whether the daemons still live.
const WATCH: Duration = Duration::from_millis(250);
/// How long a scene waits for its takeover.
const PATIENCE: Duration = Duration::from_secs(10);

/// From when a takeover is reckoned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    /// The old master's last advert: its silence is noticed.
    LastAdvert,
    /// The event itself: a better router appears.
    Event,
}

/// A line of the summary.
struct Takeover {
    what: &'static str,
    master: String,
    theory: Duration,
    since: Since,
    measured: Duration,
    /// `None` while there was nobody to ask.
    outage: Option<Duration>,
    in_time: bool,
}

/// Tells it, and returns whether every takeover happened in time.
pub(crate) fn tell(daemon: &Path, config: &Path) -> io::Result<bool> {
    let screen = Screen::new();
    let lab = Lab::new(&[
        ("router-a", &["192.168.1.2/24"]),
        ("router-b", &["192.168.1.3/24"]),
        ("client", &["192.168.1.100/24"]),
    ])?;
    let name = daemon.file_name().unwrap_or_default().to_string_lossy();
    screen.line(&format!(
        "{}: a LAN with two routers and a client, made of network namespaces.",
        screen.ink(Ink::Title, &name)
    ));
    screen.line(&format!(
        "The client asks {GATEWAY} every millisecond. What if a router breaks?"
    ));
    screen.scale("In the pictures: ▲ an advert, 0 a resignation, █ the client is answered, ░ not");
    let capture = lab.capture()?;
    let client = Client::start(lab.host("client"), GATEWAY)?;
    let mut stage = Stage {
        a: Router::new(&lab, "router-a", config),
        b: Router::new(&lab, "router-b", config),
        daemon,
        capture,
        client,
        screen,
        master: None,
        takeovers: Vec::new(),
    };
    play(&mut stage)?;
    Ok(stage.summary())
}

/// The scenes in their order.
fn play(stage: &mut Stage<'_>) -> io::Result<()> {
    use Since::{Event, LastAdvert};
    let on_a = |what| Scene {
        what,
        from: "router-b",
        to: "router-a",
        since: Event,
    };
    let on_b = |what| Scene {
        what,
        from: "router-a",
        to: "router-b",
        since: LastAdvert,
    };
    stage.scene("Both routers start", on_a("both start"), |s| {
        s.a.start(s.daemon)?;
        s.b.start(s.daemon)
    })?;
    stage.scene(
        "router-a crashes (kill -9)",
        on_b("router-a crashes"),
        |s| {
            s.a.crash();
            Ok(())
        },
    )?;
    stage.remark("Its kernel still had the address, so that the client hardly noticed.");
    stage.scene("router-a comes back", on_a("router-a is back"), |s| {
        s.a.start(s.daemon)
    })?;
    stage.scene("router-a's cable is pulled", on_b("cable pulled"), |s| {
        s.a.host.plug(false)
    })?;
    stage.remark("Nobody held the address until router-b had waited long enough.");
    stage.scene(
        "The cable is plugged in again",
        on_a("cable plugged in"),
        |s| s.a.host.plug(true),
    )?;
    stage.scene(
        "router-a is stopped in order",
        on_b("router-a is stopped"),
        |s| s.a.ask_to_stop(),
    )?;
    stage.remark("It said so with priority 0: router-b need not wait for its silence.");
    stage.a.wait()?;
    stage.b.ask_to_stop()?;
    stage.b.wait()
}

/// What the takeover of a scene is called, from whom, to whom, and from when it is reckoned.
struct Scene {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    since: Since,
}

/// A router and its daemon.
struct Router<'a> {
    host: &'a Host,
    config: PathBuf,
    pid_files: [String; 3],
    process: Option<Process>,
    /// It has been asked to end.
    stopping: bool,
}

impl<'a> Router<'a> {
    fn new(lab: &'a Lab, name: &str, config: &Path) -> Self {
        let pid_file = |kind| {
            let file = lab.scratch().join(format!("{name}{kind}.pid"));
            file.display().to_string()
        };
        Self {
            host: lab.host(name),
            config: config.join(format!("{name}.conf")),
            pid_files: ["", "-vrrp", "-checkers"].map(pid_file),
            process: None,
            stopping: false,
        }
    }

    fn start(&mut self, daemon: &Path) -> io::Result<()> {
        let config = self.config.display().to_string();
        let [own, vrrp, checkers] = &self.pid_files;
        let arguments = [
            "-n", "-l", "-D", "-f", &config, "-p", own, "-r", vrrp, "-c", checkers,
        ];
        self.process = Some(self.host.start(daemon, &arguments, &[])?);
        Ok(())
    }

    fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_tree();
        }
    }

    /// Asks it to end, and does not wait.
    fn ask_to_stop(&mut self) -> io::Result<()> {
        self.stopping = true;
        let process = self.process.as_ref();
        process.map_or(Ok(()), |p| p.signal(Signal::TERM))
    }

    /// Waits until it has ended.
    fn wait(&mut self) -> io::Result<()> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let how = match process.wait(Duration::from_secs(5)) {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("does not stop: {error}"),
        };
        let (name, words) = (&self.host.name, self.last_words());
        Err(io::Error::other(format!(
            "the daemon of {name} {how}; its last words:{words}"
        )))
    }

    /// Has it ended without having been asked to?
    fn has_failed(&mut self) -> bool {
        !self.stopping && self.process.as_mut().is_some_and(Process::has_ended)
    }

    /// The end of what it has said, indented.
    fn last_words(&self) -> String {
        const LINES: usize = 12;
        let output = self.process.as_ref().map(Process::output);
        let output = output.unwrap_or_default();
        let skipped = output.lines().count().saturating_sub(LINES);
        let lines = output.lines().skip(skipped);
        lines.map(|line| format!("\n    {line}")).collect()
    }
}

struct Stage<'a> {
    a: Router<'a>,
    b: Router<'a>,
    daemon: &'a Path,
    capture: Capture,
    client: Client,
    screen: Screen,
    /// Who sent the last advert that was no resignation.
    master: Option<String>,
    takeovers: Vec<Takeover>,
}

impl Stage<'_> {
    /// Lets something happen, and tells what follows from it.
    fn scene(
        &mut self,
        title: &str,
        scene: Scene,
        happen: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.screen.title(title);
        let begin = self.capture.len();
        let event = Instant::now();
        happen(self)?;
        let first = self.follow(begin, event, scene.to)?;
        let frames = self.capture.frames(0);
        let Seen::Advert {
            version,
            priority,
            interval,
            ..
        } = first.seen
        else {
            return Err(io::Error::other("a master sends adverts"));
        };
        let last = frames
            .iter()
            .rev()
            .find(|f| f.at < first.at && f.from == scene.from && f.seen.priority().is_some());
        let resigned = last.is_some_and(|f| f.seen.priority() == Some(0));
        let skew = match version {
            Version::V2 => Centis::SECOND.skew(priority),
            Version::V3 => interval.skew(priority),
        };
        let theory = if resigned {
            skew
        } else {
            interval.as_duration() * 3 + skew
        };
        let (start, slack) = match (scene.since, last) {
            (Since::LastAdvert, Some(last)) => (last.at, SLACK),
            _ => (event, SLACK + START),
        };
        let measured = first.at.saturating_duration_since(start);
        let in_time = measured + EARLY >= theory && measured <= theory + slack;
        // At first nobody was master, and the client had nobody to ask.
        let served_before = !self.takeovers.is_empty();
        let outage = served_before.then(|| self.client.longest_outage(event).lasted);
        self.picture(scene.what, event, first.at + AFTER, &frames);
        self.takeovers.push(Takeover {
            what: scene.what,
            master: first.from,
            theory,
            since: scene.since,
            measured,
            outage,
            in_time,
        });
        Ok(())
    }

    /// Tells what is sent until some time after `to` has become master, and returns its first advert.
    fn follow(&mut self, begin: usize, event: Instant, to: &str) -> io::Result<Frame> {
        let mut first: Option<Frame> = None;
        let mut announced = 0;
        let mut next = begin;
        let mut deadline = event + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(frame) = self.capture.wait_for(next, left.min(WATCH), |_| true) else {
                if left.is_zero() || self.a.has_failed() || self.b.has_failed() {
                    break;
                }
                continue;
            };
            next += 1;
            let after = frame.at.saturating_duration_since(event);
            match (frame.seen.priority(), frame.seen.announced()) {
                (Some(0), _) => {
                    let text = format!("{} resigns: advert with priority 0", frame.from);
                    self.screen.event(after, Ink::Plain, &text);
                }
                (Some(priority), _) if self.master.as_ref() != Some(&frame.from) => {
                    // What was on its way when the event came is no news.
                    if frame.at < event {
                        continue;
                    }
                    let text = format!("{} is master: advert with priority {priority}", frame.from);
                    self.screen.event(after, Ink::Good, &text);
                    self.master = Some(frame.from.clone());
                    if frame.from == to && first.is_none() {
                        first = Some(frame);
                        deadline = Instant::now() + AFTER;
                    }
                }
                (_, Some(ip)) if first.is_some() && frame.from == to => {
                    announced += 1;
                    if announced == 1 {
                        let text = format!("{} announces {ip} (gratuitous ARP)", frame.from);
                        self.screen.event(after, Ink::Plain, &text);
                    }
                }
                _ => {}
            }
        }
        first.ok_or_else(|| self.failure(to))
    }

    /// Why nobody became master, as far as it can be told.
    fn failure(&mut self, to: &str) -> io::Error {
        let mut text = format!("{to} did not become master in time");
        for router in [&mut self.a, &mut self.b] {
            let ended = if router.has_failed() {
                " ended by itself"
            } else {
                ""
            };
            let words = router.last_words();
            text += &format!(
                "\n  the daemon of {}{ended}; its last words:{words}",
                router.host.name
            );
        }
        io::Error::other(text)
    }

    /// A picture of the time from shortly before an event until `end`: whose adverts were seen when, and when the client was
    /// answered.
    fn picture(&self, title: &str, event: Instant, end: Instant, frames: &[Frame]) {
        let Some(begin) = event.checked_sub(BEFORE) else {
            return;
        };
        // A round length for a cell.
        let span = end.saturating_duration_since(begin);
        let cell = [10, 20, 25, 50, 100, 200, 500]
            .map(Duration::from_millis)
            .into_iter()
            .find(|c| *c * u32::try_from(CELLS).unwrap_or(u32::MAX) >= span)
            .unwrap_or(Duration::from_secs(1));
        let cell_of = |at: Instant| {
            let since = at.checked_duration_since(begin)?;
            let index = usize::try_from(since.as_micros() / cell.as_micros()).ok()?;
            (index < CELLS).then_some(index)
        };
        let used = cell_of(end).unwrap_or(CELLS);
        for router in [&self.a, &self.b] {
            let mut cells = vec![('·', Ink::Dim); used];
            let adverts = frames.iter().filter(|f| f.from == router.host.name);
            for (index, priority) in
                adverts.filter_map(|f| Some((cell_of(f.at)?, f.seen.priority()?)))
            {
                let mark = if priority == 0 {
                    ('0', Ink::Bad)
                } else {
                    ('▲', Ink::Good)
                };
                if let Some(slot) = cells.get_mut(index) {
                    *slot = mark;
                }
            }
            self.screen.row(&router.host.name, &cells);
        }
        let mut cells = vec![('░', Ink::Bad); used];
        for index in self
            .client
            .answers_since(begin)
            .into_iter()
            .filter_map(cell_of)
        {
            if let Some(slot) = cells.get_mut(index) {
                *slot = ('█', Ink::Good);
            }
        }
        self.screen.row("client", &cells);
        let column = 12 + cell_of(event).unwrap_or(0);
        self.screen.scale(&format!(
            "{:column$}│ {title}, {} ms a cell",
            "",
            cell.as_millis()
        ));
    }

    fn remark(&self, text: &str) {
        self.screen.line(&format!("  {text}"));
    }

    /// Theory and measurement side by side; true if all was in time.
    fn summary(&self) -> bool {
        let screen = &self.screen;
        screen.title("Theory and practice");
        let head = format!(
            "  {:<20} {:<10} {:>12} {:>12} {:>14}",
            "what happened", "new master", "theory", "measured", "client without"
        );
        screen.line(&screen.ink(Ink::Dim, &head));
        for t in &self.takeovers {
            let theory = match t.since {
                Since::LastAdvert => ms(t.theory),
                Since::Event => format!("{} +", ms(t.theory)),
            };
            let (verdict, ink) = if t.in_time {
                ("ok", Ink::Good)
            } else {
                ("LATE", Ink::Bad)
            };
            screen.line(&format!(
                "  {:<20} {:<10} {:>12} {:>12} {:>14}  {}",
                t.what,
                t.master,
                theory,
                ms(t.measured),
                t.outage.map_or("-".to_owned(), ms),
                screen.ink(ink, verdict)
            ));
        }
        let note = "  Theory: three intervals and the skew of the priority, or the skew alone after\n  \
                    a resignation (RFC 9568 section 6.1). Measured from the old master's last\n  \
                    advert; with + from the event, as starting takes its time.";
        screen.line(&screen.ink(Ink::Dim, note));
        let all = self.takeovers.iter().all(|t| t.in_time);
        let verdict = if all {
            screen.ink(Ink::Good, "Every takeover happened in time.")
        } else {
            screen.ink(Ink::Bad, "Not every takeover happened in time.")
        };
        screen.line(&format!("\n{verdict}"));
        all
    }
}
