//! The protocols of the checks, one file each, and which of them this build has. The configuration lets nobody ask for the
//! others.

#[cfg(feature = "check-dns")]
mod dns;
#[cfg(feature = "check-http")]
mod http;
#[cfg(feature = "check-ping")]
mod ping;
#[cfg(feature = "check-smtp")]
mod smtp;
#[cfg(feature = "check-tcp")]
mod tcp;
#[cfg(feature = "check-udp")]
mod udp;

use core::marker::PhantomData;

use super::conversation::{Speaker, Transport};
use crate::model::lvs::{Check, Checker};

/// What speaks in an attempt.
#[derive(Debug)]
pub(super) enum Engine<'a> {
    #[cfg(feature = "check-tcp")]
    Tcp(tcp::Tcp),
    #[cfg(feature = "check-http")]
    Http(http::Http<'a>),
    #[cfg(feature = "check-smtp")]
    Smtp(smtp::Smtp<'a>),
    #[cfg(feature = "check-dns")]
    Dns(dns::Dns<'a>),
    #[cfg(feature = "check-udp")]
    Udp(udp::Udp<'a>),
    #[cfg(feature = "check-ping")]
    Ping(ping::Ping),
    /// Never: for builds with none of the above.
    #[expect(dead_code, reason = "it cannot be made")]
    Never(core::convert::Infallible, PhantomData<&'a ()>),
}

impl<'a> Engine<'a> {
    /// `nonce` is random.
    #[cfg_attr(
        not(all(
            feature = "check-http",
            any(feature = "check-dns", feature = "check-ping")
        )),
        expect(
            unused_variables,
            reason = "not every check has pages, or needs anything random"
        )
    )]
    pub(super) fn new(
        checker: &'a Checker,
        page: usize,
        nonce: u32,
    ) -> Option<(Transport<'a>, Self)> {
        match &checker.check {
            #[cfg(feature = "check-tcp")]
            Check::Tcp => Some((Transport::Stream, Self::Tcp(tcp::Tcp))),
            #[cfg(feature = "check-http")]
            Check::Http(check) => {
                let http = http::Http::new(check, page, (checker.ip, checker.port).into())?;
                Some((http.transport(), Self::Http(http)))
            }
            #[cfg(feature = "check-smtp")]
            Check::Smtp(helo) => {
                let smtp = smtp::Smtp::new(helo.as_deref());
                Some((Transport::Stream, Self::Smtp(smtp)))
            }
            #[cfg(feature = "check-dns")]
            Check::Dns { record, name } => {
                let dns = dns::Dns::new(*record, name, nonce);
                Some((Transport::Datagram, Self::Dns(dns)))
            }
            #[cfg(feature = "check-udp")]
            Check::Udp(check) => Some((Transport::Datagram, Self::Udp(udp::Udp::new(check)))),
            #[cfg(feature = "check-ping")]
            Check::Ping => {
                let ping = ping::Ping::new(checker.ip, nonce);
                Some((Transport::Echo, Self::Ping(ping)))
            }
            Check::Misc { .. } => None,
            _ => None,
        }
    }

    pub(super) fn speaker(&mut self) -> &mut dyn Speaker {
        match self {
            #[cfg(feature = "check-tcp")]
            Self::Tcp(tcp) => tcp,
            #[cfg(feature = "check-http")]
            Self::Http(http) => http,
            #[cfg(feature = "check-smtp")]
            Self::Smtp(smtp) => smtp,
            #[cfg(feature = "check-dns")]
            Self::Dns(dns) => dns,
            #[cfg(feature = "check-udp")]
            Self::Udp(udp) => udp,
            #[cfg(feature = "check-ping")]
            Self::Ping(ping) => ping,
            Self::Never(never, _) => match *never {},
        }
    }
}
