//! A client that never stops asking: an echo request to the virtual address every millisecond, and when the answers came.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keepalite::io::sys;
use keepalite::wire::Checksum;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto,
    socket_with,
};

use super::Host;

/// How often it asks.
const EVERY: Duration = Duration::from_millis(1);

/// A time without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The last answer before it.
    pub(crate) from: Instant,
    /// Until the first answer after it, or until now.
    pub(crate) lasted: Duration,
}

/// The client; it stops with this value.
pub(crate) struct Client {
    answers: Arc<Mutex<Vec<Instant>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Asks from `host`, from now on.
    pub(crate) fn start(host: &Host, target: Ipv4Addr) -> io::Result<Self> {
        let socket = host.namespace.enter(|| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            socket_with(
                AddressFamily::INET,
                SocketType::RAW,
                flags,
                Some(ipproto::ICMP),
            )
        })?;
        let answers = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, end) = (Arc::clone(&answers), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                ask(&socket, target);
                listen(&socket, target, &theirs);
            }
        });
        Ok(Self {
            answers,
            over,
            thread: Some(thread),
        })
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.answers.lock().expect("the client lives")
    }

    /// Number of answers so far.
    pub(crate) fn answered(&self) -> usize {
        self.answers().len()
    }

    /// When it was answered, since `begin`.
    pub(crate) fn answers_since(&self, begin: Instant) -> Vec<Instant> {
        let answers = self.answers();
        let first = answers.partition_point(|at| *at < begin);
        answers.get(first..).unwrap_or_default().to_vec()
    }

    /// Is it being answered?
    pub(crate) fn is_served(&self) -> bool {
        self.answers()
            .last()
            .is_some_and(|last| last.elapsed() < EVERY * 20)
    }

    /// The longest time without an answer since `begin`, one that is still going on included.
    pub(crate) fn longest_outage(&self, begin: Instant) -> Outage {
        let answers = self.answers();
        // The last answer before the beginning is the start of a gap that reaches into it.
        let first = answers.partition_point(|at| *at < begin).saturating_sub(1);
        let mut times = answers.get(first..).unwrap_or_default().to_vec();
        times.push(Instant::now());
        times
            .windows(2)
            .filter_map(|pair| match pair {
                [a, b] => Some(Outage {
                    from: *a,
                    lasted: b.saturating_duration_since(*a),
                }),
                _ => None,
            })
            .max_by_key(|outage| outage.lasted)
            .unwrap_or(Outage {
                from: begin,
                lasted: begin.elapsed(),
            })
    }

    /// Waits until it is answered, at most so long.
    pub(crate) fn wait_until_served(&self, at_most: Duration) -> bool {
        let answer = || self.is_served().then_some(());
        // Its own answers are the event, one a millisecond.
        super::wait_until(
            Instant::now() + at_most,
            |left| std::thread::sleep(left.min(EVERY)),
            answer,
        )
        .is_some()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One echo request (RFC 792); that there is no route or no neighbour now is a part of the story.
fn ask(socket: &OwnedFd, target: Ipv4Addr) {
    let mut request = [8, 0, 0, 0, 0x6b, 0x6c, 0, 1];
    let [high, low] = Checksum::new().bytes(&request).finish().to_be_bytes();
    (request[2], request[3]) = (high, low);
    let _ = sendto(
        socket,
        &request,
        SendFlags::empty(),
        &SocketAddrV4::new(target, 0),
    );
}

/// Takes answers until it is time to ask again.
fn listen(socket: &OwnedFd, target: Ipv4Addr, answers: &Mutex<Vec<Instant>>) {
    let next = Instant::now() + EVERY;
    let mut buffer = [0; 256];
    loop {
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() || !sys::wait_readable(socket.as_fd(), left).unwrap_or(false) {
            return;
        }
        let Ok((len, _)) = recv(socket, &mut buffer, RecvFlags::empty()) else {
            continue;
        };
        let packet = buffer.get(..len).unwrap_or_default();
        let source = packet.get(12..16).and_then(|b| b.first_chunk::<4>());
        // Behind the IP header: an echo reply.
        if source == Some(&target.octets()) && packet.get(20) == Some(&0) {
            let mut answers = answers.lock().expect("the client lives");
            answers.push(Instant::now());
        }
    }
}
