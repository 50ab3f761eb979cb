//! `HTTP_GET` and `SSL_GET`: one page is asked for, and its status, its digest and its text have to be right.
//!
//! As with keepalived the headers have to fit in 4095 bytes, and the body is taken as it comes: chunks and compression are
//! not undone. Nothing of the body is kept. Unlike keepalived we do not wait for the end of the stream once
//! `Content-Length` says that the page is whole, nor for the body of a page with the wrong status.

use core::fmt::{self, Write};
use core::net::SocketAddr;

use md5::{Digest, Md5};

use crate::check::conversation::{Outcome, Reason, Speaker, Step, Transport};
use crate::model::lvs::{self, HttpProtocol, Url};
use crate::pattern::Search;

/// Most bytes of the status line and the headers.
const HEAD: usize = 4095;

/// What is good unless the configuration says otherwise.
const GOOD: &[(u16, u16)] = &[(200, 299)];

/// One page.
pub(in crate::check) struct Http<'a> {
    check: &'a lvs::Http,
    url: &'a Url,
    server: SocketAddr,
    part: Part,
    digest: Option<Md5>,
    search: Option<Box<Search>>,
}

/// Where we are in the answer.
#[derive(Debug)]
enum Part {
    /// The status line and the headers so far.
    Head(Vec<u8>),
    /// The body; so many bytes of it are to come, if the headers said how many.
    Body(Option<u64>),
}

impl<'a> Http<'a> {
    /// `None` for a page that there is not.
    pub(super) fn new(check: &'a lvs::Http, page: usize, server: SocketAddr) -> Option<Self> {
        let url = check.urls.get(page)?;
        Some(Self {
            check,
            url,
            server,
            part: Part::Head(Vec::new()),
            digest: url.digest.map(|_| Md5::new()),
            search: None,
        })
    }

    pub(super) fn transport(&self) -> Transport<'a> {
        if !self.check.tls {
            return Transport::Stream;
        }
        Transport::Tls {
            name: self.host().filter(|_| self.check.sni),
            goodbye: self.url.tls_compliant.unwrap_or(self.check.tls_compliant),
        }
    }

    /// The name that the server goes by: that of the page before that of the check.
    fn host(&self) -> Option<&'a str> {
        let of_page = self.url.virtual_host.as_deref();
        of_page.or(self.check.virtual_host.as_deref())
    }

    fn head(&mut self, mut head: Vec<u8>, bytes: &[u8]) -> Step {
        let known = head.len();
        let room = HEAD.saturating_sub(known);
        let (taken, later) = bytes.split_at(bytes.len().min(room));
        head.extend_from_slice(taken);
        // Its end may have begun in what was known already.
        let Some(end) = end_of_headers(&head, known.saturating_sub(3)) else {
            self.part = Part::Head(head);
            return match later {
                [] => Step::Listen,
                _ => Reason::TooLong("headers are").into(),
            };
        };
        let (head, body) = head.split_at(end);
        let Some(heard) = status(head) else {
            return Reason::Foreign("HTTP").into();
        };
        let wanted = match self.url.status.as_slice() {
            [] => GOOD,
            some => some,
        };
        if !wanted
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&heard))
        {
            let wanted = wanted.to_vec();
            return Reason::Status { heard, wanted }.into();
        }
        let length = content_length(head);
        match (self.body(length, body), &self.part) {
            (Step::Listen, Part::Body(left)) => {
                let left = *left;
                self.body(left, later)
            }
            (over, _) => over,
        }
    }

    fn body(&mut self, left: Option<u64>, bytes: &[u8]) -> Step {
        let most = left.and_then(|left| usize::try_from(left).ok());
        let length = most.map_or(bytes.len(), |most| most.min(bytes.len()));
        let bytes = bytes.get(..length).unwrap_or_default();
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        if let Some(search) = &mut self.search {
            search.feed(bytes);
        }
        let left = left.map(|left| left.saturating_sub(length as u64));
        self.part = Part::Body(left);
        match left {
            Some(0) => self.finish(),
            _ => Step::Listen,
        }
    }

    /// The page is there, as much of it as the server has sent: a page that ends before its announced length counts, as
    /// with keepalived; its digest will tell.
    fn finish(&mut self) -> Step {
        let digest = self.digest.take().map(|digest| digest.finalize().into());
        if let Some(heard) = digest.filter(|_| self.url.digest != digest) {
            return Reason::Digest(heard).into();
        }
        if let (Some(search), Some(regex)) = (&mut self.search, &self.url.regex) {
            let matched = search.finish();
            if matched == regex.negate {
                return Reason::Regex { matched }.into();
            }
        }
        Step::Done(Outcome::Passed)
    }
}

impl Speaker for Http<'_> {
    fn opened(&mut self, out: &mut Vec<u8>) -> Step {
        // Writing to a vector cannot fail.
        let _ = write!(Bytes(out), "{}", Request(self));
        Step::Listen
    }

    fn heard(&mut self, bytes: &[u8], _out: &mut Vec<u8>) -> Step {
        match &mut self.part {
            Part::Head(head) => {
                let head = core::mem::take(head);
                self.head(head, bytes)
            }
            Part::Body(left) => {
                let left = *left;
                self.body(left, bytes)
            }
        }
    }

    fn closed(&mut self) -> Step {
        match self.part {
            Part::Head(_) => Reason::Closed.into(),
            Part::Body(_) => self.finish(),
        }
    }
}

impl fmt::Debug for Http<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http")
            .field(&self.url.path)
            .field(&self.part)
            .finish()
    }
}

/// What is asked, in keepalived's words: servers may know them.
struct Request<'a>(&'a Http<'a>);

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(http) = self;
        let (version, close) = match http.check.protocol {
            HttpProtocol::V1_0 => ("1.0", ""),
            HttpProtocol::V1_0Close => ("1.0", "Connection: close\r\n"),
            HttpProtocol::V1_1 => ("1.1", "Connection: close\r\n"),
        };
        let path = &http.url.path;
        write!(
            f,
            "GET {path} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: "
        )?;
        match http.host() {
            Some(host) => write!(f, "{host}\r\n\r\n"),
            None => write!(f, "{}\r\n\r\n", http.server),
        }
    }
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Where the body begins: behind the first empty line. What stands before `from` has been looked at.
fn end_of_headers(head: &[u8], from: usize) -> Option<usize> {
    let place = head
        .get(from..)?
        .windows(4)
        .position(|four| four == b"\r\n\r\n")?;
    Some(from + place + 4)
}

/// The code of a status line (RFC 9112 section 4): three digits between blanks.
fn status(head: &[u8]) -> Option<u16> {
    let (line, _) = line(head);
    let mut words = line.split(|byte| *byte == b' ');
    words
        .next()
        .filter(|version| version.starts_with(b"HTTP/"))?;
    let code = words.next().filter(|code| code.len() == 3)?;
    // The blank behind it has to be there, even before nothing.
    words.next()?;
    number(code).and_then(|code| u16::try_from(code).ok())
}

/// `Content-Length`, unless its value is no number.
fn content_length(mut head: &[u8]) -> Option<u64> {
    while !head.is_empty() {
        let (field, rest) = line(head);
        head = rest;
        let colon = field.iter().position(|byte| *byte == b':');
        let (name, value) = field.split_at_checked(colon.unwrap_or(field.len()))?;
        if name.eq_ignore_ascii_case(b"content-length") {
            return number(value.get(1..)?.trim_ascii());
        }
    }
    None
}

/// The first line without its end, and what follows.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = end.map_or((text, &[][..]), |end| {
        let (line, rest) = text.split_at(end);
        (line, rest.get(1..).unwrap_or_default())
    });
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn number(digits: &[u8]) -> Option<u64> {
    // Unlike `from_str`, no sign.
    let whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(digits)
        .ok()
        .filter(|_| whole)?
        .parse()
        .ok()
}
