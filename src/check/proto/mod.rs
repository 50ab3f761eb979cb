//! The protocols of the checks, one file each.

mod tcp;

use super::conversation::{Speaker, Transport};
use crate::model::lvs::{Check, Checker};

/// What speaks in an attempt.
#[derive(Debug)]
pub(super) enum Engine {
    Tcp(tcp::Tcp),
}

impl Engine {
    pub(super) const fn new(
        checker: &Checker,
        _page: usize,
        _nonce: u32,
    ) -> Option<(Transport<'_>, Self)> {
        Some(match &checker.check {
            Check::Tcp => (Transport::Stream, Self::Tcp(tcp::Tcp)),
            _ => return None,
        })
    }

    pub(super) fn speaker(&mut self) -> &mut dyn Speaker {
        match self {
            Self::Tcp(tcp) => tcp,
        }
    }
}
