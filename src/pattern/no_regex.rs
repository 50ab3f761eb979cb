//! Regular expressions in a build without them: none is understood. The configuration lets nobody ask for one.

use crate::model::lvs;

/// A search that cannot be.
#[derive(Debug)]
pub enum Search {}

impl Search {
    /// # Errors
    /// Always.
    pub fn new(_wanted: &lvs::Regex) -> Result<Self, String> {
        Err("this build lacks the feature 'regex'".to_owned())
    }

    /// Never called.
    pub const fn feed(&mut self, _piece: &[u8]) {
        match *self {}
    }

    /// Never called.
    pub const fn finish(&mut self) -> bool {
        match *self {}
    }
}
