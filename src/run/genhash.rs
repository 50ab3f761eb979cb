//! genhash: one page is fetched as `HTTP_GET` and `SSL_GET` would, and its MD5 printed.

use core::cell::RefCell;
use core::fmt::{self, Write as _};
use core::net::IpAddr;
use core::time::Duration;
use std::io::{self, Write as _};

use crate::check::conversation::{Outcome, Reason};
use crate::error::Exit;
use crate::model::lvs::{Check, Checker, Http, HttpProtocol, Pace, Settings, Url, Way};

use super::check::prober::attempt_aloud;
use super::reactor::{block_on, now};

/// What is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where.
    pub server: IpAddr,
    /// Where.
    pub port: u16,
    /// The page.
    pub path: String,
    /// Name of the server in the request.
    pub host: Option<String>,
    /// By TLS.
    pub tls: bool,
    /// The name is told also in the handshake.
    pub sni: bool,
    /// Version of HTTP.
    pub protocol: HttpProtocol,
    /// Firewall mark of what is sent.
    pub mark: Option<u32>,
    /// Most for the connection and for each silence.
    pub timeout: Duration,
    /// Print also what the server says.
    pub verbose: bool,
}

/// Fetches it, and prints 32 hexadecimal digits, or why there are none.
#[must_use]
pub fn run(order: &Order) -> Exit {
    let checker = checker(order);
    let heard = RefCell::new(Vec::new());
    let start = now();
    let aloud = order.verbose.then_some(&heard);
    let digest = match block_on(attempt_aloud(&checker, 0, aloud)) {
        Ok(Outcome::Failed(Reason::Digest(digest))) => Ok(digest),
        // The page has the one digest that it was not expected to have.
        Ok(Outcome::Passed) => Ok(NONE),
        Ok(Outcome::Failed(Reason::Closed)) => {
            Err("no data received from remote webserver".to_owned())
        }
        Ok(Outcome::Failed(reason) | Outcome::Untried(reason)) => Err(reason.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let spent = now().since(start);
    let text = match (&digest, order.verbose) {
        (Ok(digest), true) => Report(&heard.borrow(), digest, &order.path, spent).to_string(),
        (Ok(digest), false) => Hex(digest).to_string() + "\n",
        (Err(_), _) => String::new(),
    };
    // Whoever closes the pipe has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    match digest {
        Ok(_) => Exit::Ok,
        Err(why) => {
            let _ = writeln!(io::stderr(), "{why}");
            Exit::Fatal
        }
    }
}

/// A digest that no page is expected to have.
const NONE: [u8; 16] = [0; 16];

/// A check of any status that fails with the digest of the page.
fn checker(order: &Order) -> Checker {
    let url = Url {
        path: order.path.clone(),
        digest: Some(NONE),
        status: vec![(0, 999)],
        ..Url::default()
    };
    let settings = Settings {
        way: Way {
            bind_ip: None,
            bind_port: None,
            bind_interface: None,
            mark: order.mark,
            timeout: order.timeout,
        },
        pace: Pace {
            interval: order.timeout.saturating_mul(4),
            retry: 0,
            retry_delay: Duration::ZERO,
            warmup: Duration::ZERO,
        },
        alpha: false,
        log_all_failures: false,
        check: Check::Http(Http {
            tls: order.tls,
            protocol: order.protocol,
            sni: order.sni,
            fast_recovery: false,
            tls_compliant: false,
            virtual_host: order.host.clone(),
            urls: vec![url],
        }),
    };
    Checker {
        ip: order.server,
        port: order.port,
        settings: settings.into(),
    }
}

/// Headers, page and digest as keepalived's genhash shows them.
struct Report<'a>(&'a [u8], &'a [u8; 16], &'a str, Duration);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(heard, digest, path, spent) = self;
        let end = heard.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, page) = heard.split_at(end.map_or(heard.len(), |end| end + 4));
        write!(f, "{}{}", Banner("    HTTP Header Buffer    "), Dump(head))?;
        let text = String::from_utf8_lossy(head);
        writeln!(f, "{}{text}", Banner(" HTTP Header Ascii Buffer "))?;
        write!(f, "{}{}", Banner("        HTML Buffer        "), Dump(page))?;
        write!(
            f,
            "\n{}{}",
            Banner("    HTML hash resulting    "),
            Dump(*digest)
        )?;
        writeln!(
            f,
            "{}{}",
            Banner(" HTML hash final resulting "),
            Hex(*digest)
        )?;
        let spent = spent.as_micros();
        writeln!(f, "\nGlobal response time for [{path}] = {spent} usecs")
    }
}

struct Banner(&'static str);

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINE: &str = "-----------------------";
        writeln!(f, "{LINE}[{}]{LINE}", self.0)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Sixteen bytes a line: their place, their digits, themselves.
struct Dump<'a>(&'a [u8]);

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.0.chunks(16).enumerate() {
            write!(f, "{:04} ", (number * 16) & 0xffff)?;
            for place in 0..16 {
                match line.get(place) {
                    Some(byte) => write!(f, " {byte:02x}")?,
                    None => f.write_str("   ")?,
                }
                if place == 7 {
                    f.write_str(" -")?;
                }
            }
            f.write_str("   ")?;
            for place in 0..16 {
                f.write_char(match line.get(place) {
                    Some(byte @ 0x20..=0x7e) => char::from(*byte),
                    Some(_) => '.',
                    None => ' ',
                })?;
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}
