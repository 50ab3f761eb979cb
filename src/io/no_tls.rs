//! TLS in a build without it: there are no sessions. The configuration lets nobody ask for one.

use core::net::IpAddr;

/// Our end of one connection: none.
pub enum Session {}

/// What came out of a piece of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing yet, or not only that.
    More,
    /// The server has said goodbye.
    Goodbye,
}

impl Session {
    /// # Errors
    /// Always.
    pub fn new(_name: Option<&str>, _ip: IpAddr) -> Result<Self, String> {
        Err("this build has no TLS: it lacks the feature 'tls'".to_owned())
    }

    /// Never called.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub const fn say(&mut self, _text: &[u8]) {
        match *self {}
    }

    /// Never called.
    pub const fn close(&mut self) {
        match *self {}
    }

    /// Never called.
    pub const fn take(&mut self, _out: &mut Vec<u8>) {
        match *self {}
    }

    /// # Errors
    /// Never called.
    pub fn hear(
        &mut self,
        _sealed: &[u8],
        _tell: impl FnMut(&[u8]) -> bool,
    ) -> Result<Heard, String> {
        match *self {}
    }
}
