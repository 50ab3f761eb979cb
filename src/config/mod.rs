//! From the text of a configuration file to a [`Model`].

use core::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::Model;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// What the file asks for.
    pub model: Model,
}

/// A file that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}", self.path.display())
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read.
pub fn load(path: &Path, _options: &Options) -> Result<Loaded, Unreadable> {
    match fs::read(path) {
        Ok(_) => Ok(Loaded {
            model: Model::default(),
        }),
        Err(source) => Err(Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}
