//! Text of a configuration file → [`Model`], with diagnostics. Touches nothing but files.
//!
//! The stages, in the order in which a line goes through them: `reader` and `expand` make lines of files, `words` and
//! `tree` make blocks of lines, the tables of `keys` (filled by `root`, `global`, `vrrp`, `track`, `address`, `route`,
//! `lvs`, `checks`) give words their meaning, `resolve` fills in defaults, `validate` looks at the whole.

mod address;
mod checks;
pub mod diag;
pub mod dump;
mod encapsulation;
mod expand;
pub mod files;
mod glob;
mod global;
pub mod keys;
mod lvs;
mod names;
mod pool;
mod reader;
mod resolve;
mod root;
mod route;
mod script;
pub mod source;
mod track;
mod tree;
mod validate;
mod value;
mod vrrp;
mod words;

use core::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use diag::{Diag, Diags, Level, OneLine, Render, Span};
pub use source::Sources;

use crate::model::Model;
use files::{Disk, Files};
use keys::Context;
use reader::{Reader, Strictness};
use root::{ROOT, Root};
use tree::Tree;

/// How a configuration is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-i`: what `@id` lines are compared with; the host's name up to its first dot unless given.
    pub config_id: Option<String>,
    /// `-e`: every include must match and be readable.
    pub require_includes: bool,
}

/// A configuration that was read, whatever is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// All that is whole.
    pub model: Model,
    /// What is not.
    pub diags: Diags,
    /// The texts, to show what is not.
    pub sources: Sources,
}

impl Loaded {
    /// What is to be carried out, without the texts and all else that only its reader needs.
    #[must_use]
    pub fn into_model(self) -> Box<Model> {
        Box::new(self.model)
    }

    /// Every finding with its line and a caret.
    pub fn findings(&self) -> impl Iterator<Item = Render<'_>> {
        self.diags.iter().map(|diag| Render {
            diag,
            sources: &self.sources,
        })
    }
}

/// The main file cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read configuration file {}", self.path.display())
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads a configuration with all that it includes.
///
/// # Errors
///
/// Only when the main file itself cannot be read; everything else is told in the diagnostics.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Unreadable> {
    load_from(&Disk, path, options)
}

/// The same for files that are somewhere else.
///
/// # Errors
///
/// As [`load`].
pub fn load_from(files: &dyn Files, path: &Path, options: &Options) -> Result<Loaded, Unreadable> {
    let strictness = if options.require_includes {
        Strictness::ALL
    } else {
        Strictness::default()
    };
    let config_id = options.config_id.clone().unwrap_or_else(host_name);
    let mut diags = Diags::default();
    let mut reader = Reader::new(files, config_id, strictness, &mut diags);
    let file = reader
        .sources
        .read(files, path)
        .map_err(|source| Unreadable {
            path: path.to_owned(),
            source,
        })?;
    reader.file(file);
    let (sources, lines) = (reader.sources, reader.lines);
    let mut context = Context::new(diags);
    let mut root = Root::default();
    let mut tree = Tree::new(&sources, &lines);
    while let Some(block) = tree.next(&mut context.diags) {
        ROOT.read_one(&block, &mut root, &mut context);
    }
    let (model, diags) = validate::finish(root, context);
    Ok(Loaded {
        model,
        diags,
        sources,
    })
}

/// The first part of the host's name.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().split('.').next().unwrap_or("").to_owned()
}
