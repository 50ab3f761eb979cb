//! TLS 1.2 and 1.3 for `SSL_GET`: bytes in, bytes out, by rustls. Certificates are not verified, as with keepalived: the
//! question is whether the server serves, not who it is.

mod digest;
mod exchange;
mod provider;
mod record;

use core::net::IpAddr;
use std::cell::OnceCell;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme,
};

thread_local! {
    static CONFIG: OnceCell<Arc<ClientConfig>> = const { OnceCell::new() };
}

/// Our end of one connection.
pub struct Session(ClientConnection);

/// What came out of a piece of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing yet, or not only that.
    More,
    /// The server has said goodbye.
    Goodbye,
}

impl Session {
    /// A connection to the server at `ip`, which is told `name` if there is one.
    ///
    /// # Errors
    /// In words, why there can be none.
    pub fn new(name: Option<&str>, ip: IpAddr) -> Result<Self, String> {
        let config = CONFIG.with(|made| {
            if made.get().is_none() {
                let new = configuration().map_err(|error| error.to_string())?;
                let _ = made.set(new);
            }
            made.get().cloned().ok_or_else(String::new)
        })?;
        // A virtualhost may have a port, which is no part of a server's name. rustls tells no server that it is an address (RFC 6066 section 3).
        let name = name
            .map(|name| name.split_once(':').map_or(name, |(name, _)| name))
            .and_then(|name| ServerName::try_from(name.to_owned()).ok())
            .unwrap_or_else(|| ServerName::from(ip));
        let connection = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
        Ok(Self(connection))
    }

    /// Whether the handshake is over, so that something can be said.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// Seals something; [`take`](Self::take) gives what is to be sent.
    pub fn say(&mut self, text: &[u8]) {
        // The buffer of rustls takes 64 KiB, and a request has a few hundred bytes.
        let _ = self.0.writer().write_all(text);
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        self.0.send_close_notify();
    }

    /// Moves what is to be sent into `out`.
    pub fn take(&mut self, out: &mut Vec<u8>) {
        while self.0.wants_write() {
            // Writing to a vector cannot fail.
            let _ = self.0.write_tls(out);
        }
    }

    /// Takes in a piece of the stream, and gives what it says to `tell` as long as that returns true.
    ///
    /// # Errors
    /// In words, why this cannot go on.
    pub fn hear(
        &mut self,
        mut sealed: &[u8],
        mut tell: impl FnMut(&[u8]) -> bool,
    ) -> Result<Heard, String> {
        loop {
            if !sealed.is_empty() {
                self.0
                    .read_tls(&mut sealed)
                    .map_err(|error| error.to_string())?;
            }
            let state = self
                .0
                .process_new_packets()
                .map_err(|error| words(&error))?;
            let (mut left, ended) = (state.plaintext_bytes_to_read(), state.peer_has_closed());
            let mut text = [0; 4096];
            while left > 0 {
                let read = self.0.reader().read(&mut text).unwrap_or(0);
                left = if read == 0 {
                    0
                } else {
                    left.saturating_sub(read)
                };
                if !tell(text.get(..read).unwrap_or_default()) {
                    return Ok(Heard::More);
                }
            }
            if ended {
                return Ok(Heard::Goodbye);
            }
            if sealed.is_empty() {
                return Ok(Heard::More);
            }
        }
    }
}

fn configuration() -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::provider()));
    let mut config = builder
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    // Each check is to see a whole handshake.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider::SIGNATURES.to_vec()
    }
}

/// What went wrong, as whoever runs the server would say it.
fn words(error: &Error) -> String {
    const NOTHING_COMMON: &str = "it speaks none of our cipher suites and curves: ECDHE on X25519, P-256 or P-384 with AES-GCM or \
         ChaCha20-Poly1305, but neither static RSA nor CBC";
    const OTHER_VERSION: &str = "it speaks neither TLS 1.2 nor 1.3";
    let known = match error {
        Error::InvalidMessage(_) => Some("it does not speak TLS"),
        Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        ) => Some(NOTHING_COMMON),
        Error::AlertReceived(AlertDescription::ProtocolVersion) => Some(OTHER_VERSION),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            Some("it does not serve that name")
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate,
        ) => Some("it demands a client certificate"),
        Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ) => Some(OTHER_VERSION),
        Error::PeerIncompatible(_) => Some(NOTHING_COMMON),
        // What rustls says of these is their name in its own source, which the static binaries have not got.
        Error::AlertReceived(alert) => {
            return format!("it refuses with alert {}", u8::from(*alert));
        }
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => Some("it breaks the rules of TLS"),
        _ => None,
    };
    known.map_or_else(|| error.to_string(), str::to_owned)
}
