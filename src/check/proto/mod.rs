//! The protocols of the checks, one file each.

mod dns;
mod http;
mod ping;
mod smtp;
mod tcp;
mod udp;

use super::conversation::{Speaker, Transport};
use crate::model::lvs::{Check, Checker};

/// What speaks in an attempt.
#[derive(Debug)]
pub(super) enum Engine<'a> {
    Tcp(tcp::Tcp),
    Http(http::Http<'a>),
    Smtp(smtp::Smtp<'a>),
    Dns(dns::Dns<'a>),
    Udp(udp::Udp<'a>),
    Ping(ping::Ping),
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        checker: &'a Checker,
        page: usize,
        nonce: u32,
    ) -> Option<(Transport<'a>, Self)> {
        let target = &checker.target;
        Some(match &checker.check {
            Check::Tcp => (Transport::Stream, Self::Tcp(tcp::Tcp)),
            Check::Http(check) => {
                let http = http::Http::new(check, page, target)?;
                (http.transport(), Self::Http(http))
            }
            Check::Smtp(helo) => {
                let smtp = smtp::Smtp::new(helo.as_deref());
                (Transport::Stream, Self::Smtp(smtp))
            }
            Check::Dns { record, name } => {
                let dns = dns::Dns::new(*record, name, nonce);
                (Transport::Datagram, Self::Dns(dns))
            }
            Check::Udp(check) => (Transport::Datagram, Self::Udp(udp::Udp::new(check))),
            Check::Ping => {
                let ping = ping::Ping::new(target.ip, nonce);
                (Transport::Echo, Self::Ping(ping))
            }
            Check::Misc { .. } | Check::File(..) | Check::Bfd(_) => return None,
        })
    }

    pub(super) fn speaker(&mut self) -> &mut dyn Speaker {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Http(http) => http,
            Self::Smtp(smtp) => smtp,
            Self::Dns(dns) => dns,
            Self::Udp(udp) => udp,
            Self::Ping(ping) => ping,
        }
    }
}
