//! What a check by HTTP, by TLS and by UDP costs, with two hundred servers that are checked every second by real servers'
//! measure; and what is saved where services check the same servers the same way.

use std::io;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::check::{is_traced, total};
use crate::figure::{Aim, Question};
use crate::ground::{Ground, LONG, service};
use crate::lab::Process;
use crate::usage;
use crate::{Bench, Side};

const SERVERS: u16 = 200;
/// To each virtual server.
const EACH: u16 = 4;

const HTTP: &str = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n }";
const TLS: &str = "SSL_GET {\n connect_port 443\n url {\n path /\n status_code 200\n }\n }";
const UDP: &str = "UDP_CHECK {\n connect_port 53\n }";

pub(crate) fn http(bench: &mut Bench) -> io::Result<()> {
    compare(bench, "nginx 200 x 1 s", HTTP, 0.5)
}

pub(crate) fn tls(bench: &mut Bench) -> io::Result<()> {
    compare(bench, "TLS 200 x 1 s", TLS, 1.0)
}

pub(crate) fn udp(bench: &mut Bench) -> io::Result<()> {
    compare(bench, "UDP 200 x 1 s", UDP, 1.0)
}

/// Fifty services with the same four servers.
pub(crate) fn shared(bench: &mut Bench) -> io::Result<()> {
    let servers: Vec<_> = (0..EACH).map(|number| (number, HTTP)).collect();
    let services = (0..SERVERS / EACH).map(|number| service(number, LINES, &servers));
    let configuration: String = services.collect();
    let questions = [
        ("CPU in a second", "ms", Aim::Ratio(0.5)),
        ("checks in a second", "", Aim::None),
    ]
    .map(|(what, unit, aim)| Question { what, unit, aim });
    let time = Duration::from_secs(bench.effort(4, 10));
    let reps = bench.effort(1, 3);
    bench.compare("shared 50 x 4", questions, reps, |ground, side| {
        let servers = Servers::start(ground)?;
        let daemon = play(ground, side, &servers, &configuration, usize::from(EACH))?;
        let (used, checks) = cost(&daemon, &servers, time)?;
        let seconds = time.as_secs_f64();
        Ok([used.as_secs_f64() * 1e3 / seconds, checks / seconds])
    });
    Ok(())
}

const LINES: &str = "delay_loop 1\n connect_timeout 2";

fn compare(bench: &mut Bench, case: &str, check: &str, aim: f64) -> io::Result<()> {
    let services = (0..SERVERS / EACH).map(|number| {
        let servers: Vec<_> = (0..EACH).map(|n| (number * EACH + n, check)).collect();
        service(number, LINES, &servers)
    });
    let configuration: String = services.collect();
    let questions = [
        ("CPU per check", "us", Aim::Ratio(aim)),
        ("checks in a second", "", Aim::None),
    ]
    .map(|(what, unit, aim)| Question { what, unit, aim });
    let time = Duration::from_secs(bench.effort(4, 10));
    let all = usize::from(SERVERS);
    let reps = bench.effort(1, 3);
    bench.compare(case, questions, reps, |ground, side| {
        let servers = Servers::start(ground)?;
        let daemon = play(ground, side, &servers, &configuration, all)?;
        let (used, checks) = cost(&daemon, &servers, time)?;
        Ok([
            used.as_secs_f64() * 1e6 / checks,
            checks / time.as_secs_f64(),
        ])
    });
    let calls = Question {
        what: "system calls per check",
        unit: "",
        aim: Aim::Ratio(aim),
    };
    let reps = bench.effort(1, 2);
    bench.compare(case, [calls], reps, |ground, side| {
        let servers = Servers::start(ground)?;
        let daemon = play(ground, side, &servers, &configuration, all)?;
        Ok([calls_of(ground, &daemon, &servers, time)?])
    });
    Ok(())
}

/// nginx for HTTP and TLS, and what answers datagrams; all of them at every address of the host.
struct Servers<'a> {
    ground: &'a Ground,
    datagrams: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    echo: Option<JoinHandle<()>>,
    _nginx: Process,
}

impl Drop for Servers<'_> {
    /// The next ones want the same port.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.echo.take().map(JoinHandle::join);
    }
}

impl<'a> Servers<'a> {
    fn start(ground: &'a Ground) -> io::Result<Self> {
        let host = ground.host();
        let place = ground.lab.scratch().display().to_string();
        if !ground.lab.scratch().join("key").exists() {
            host.run(&format!(
                "openssl req -x509 -nodes -days 2 -subj /CN=bench -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
                 -keyout {place}/key -out {place}/crt"
            ));
        }
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/{name};"))
            .concat();
        let file = format!(
            "daemon off; master_process off; pid {place}/nginx.pid; error_log stderr crit;
             events {{ worker_connections 4096; }}
             http {{ access_log off; {paths}
             server {{ listen 80; listen 443 ssl; ssl_certificate {place}/crt; ssl_certificate_key {place}/key;
             location / {{ return 200 hello; }} }} }}"
        );
        let path = ground.lab.scratch().join("nginx.conf");
        std::fs::write(&path, file)?;
        let path = path.display().to_string();
        let nginx = host.start("nginx", &["-c", &path], &[])?;
        let datagrams = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let (counted, is_over) = (Arc::clone(&datagrams), Arc::clone(&over));
        let socket = host.namespace.enter(|| UdpSocket::bind("0.0.0.0:53"))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let echo = std::thread::spawn(move || {
            let mut heard = [0; 512];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut heard) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let _ = socket.send_to(&heard[..length], from);
                }
            }
        });
        Ok(Self {
            ground,
            datagrams,
            over,
            echo: Some(echo),
            _nginx: nginx,
        })
    }

    /// Connections that were let in, and datagrams, so far.
    fn count(&self) -> usize {
        let table = self.ground.host().run("cat /proc/net/snmp");
        let mut tcp = table.lines().filter(|line| line.starts_with("Tcp:"));
        let names = tcp.next().unwrap_or_default().split(' ');
        let values = tcp.next().unwrap_or_default().split(' ');
        let opens = names.zip(values).find(|(name, _)| *name == "PassiveOpens");
        let opens: usize = opens.map_or(0, |(_, value)| value.parse().unwrap_or(0));
        opens + self.datagrams.load(Ordering::Relaxed)
    }
}

/// Starts who checks them, waits until it goes evenly.
fn play(
    ground: &Ground,
    side: &Side,
    servers: &Servers<'_>,
    configuration: &str,
    all: usize,
) -> io::Result<Process> {
    let (begin, before) = (Instant::now(), servers.count());
    let daemon = ground.start(side, configuration)?;
    while servers.count() < before + 3 * all {
        if begin.elapsed() > LONG {
            let output = daemon.output();
            return Err(io::Error::other(format!("too few checks\n{output}")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(daemon)
}

fn cost(daemon: &Process, servers: &Servers<'_>, time: Duration) -> io::Result<(Duration, f64)> {
    let processes = daemon.tree();
    let (before, first) = (usage::cpu(&processes)?, servers.count());
    std::thread::sleep(time);
    let used = usage::cpu(&processes)?.saturating_sub(before);
    let checks = servers.count() - first;
    Ok((used, u32::try_from(checks).map_or(f64::NAN, f64::from)))
}

fn calls_of(
    ground: &Ground,
    daemon: &Process,
    servers: &Servers<'_>,
    time: Duration,
) -> io::Result<f64> {
    let summary = ground.lab.scratch().join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&summary);
    let processes = daemon.tree();
    for id in &processes {
        strace.args(["-p", &id.to_string()]);
    }
    let mut strace = strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begin = Instant::now();
    while !processes.iter().all(|id| is_traced(*id)) && begin.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
    let first = servers.count();
    std::thread::sleep(time);
    let checks = servers.count() - first;
    if let Some(id) = Pid::from_raw(strace.id().cast_signed()) {
        kill_process(id, Signal::INT)?;
    }
    strace.wait()?;
    Ok(total(&summary)? / u32::try_from(checks).map_or(f64::NAN, f64::from))
}
