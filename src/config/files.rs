//! Where the files of a configuration are: on disk, or in memory for who has texts only.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use crate::sorted::Map;

/// Larger files are refused: no configuration is that large, and memory is small.
const LARGEST: u64 = 64 << 20;

/// What has to be known of files.
pub trait Files {
    /// The one path of what may have several.
    ///
    /// # Errors
    /// There is nothing of that name, or no way to it.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// All of a file, whose path is canonical.
    ///
    /// # Errors
    /// It is not there, not readable, no regular file, or too large.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Whether there is something of that name.
    fn exists(&self, path: &Path) -> bool;

    /// Whether it is a directory.
    fn is_dir(&self, path: &Path) -> bool;

    /// The names in a directory, in any order; of the empty path, in the current one.
    fn list(&self, directory: &Path) -> Vec<String>;
}

/// Those of the file system.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Opening a FIFO would wait for its writer, so ask first.
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        // With room for the end of the file to be seen, and for none of what grows meanwhile.
        let len = metadata.len().min(LARGEST) as usize;
        let mut bytes = Vec::with_capacity(len + 1);
        File::open(path)?
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other("it is larger than 64 MiB"));
        }
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let here = directory.as_os_str().is_empty();
        let entries = fs::read_dir(if here { Path::new(".") } else { directory });
        let names = entries.into_iter().flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }
}

/// Texts by their paths; the current directory is the root.
#[derive(Clone, Debug, Default)]
pub struct Memory(Map<PathBuf, Vec<u8>>);

impl Memory {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl AsRef<Path>, text: impl Into<Vec<u8>>) {
        self.0.insert(plain(path.as_ref()), text.into());
    }
}

impl Files for Memory {
    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let full = plain(path);
        if self.exists(&full) {
            Ok(full)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).cloned();
        text.ok_or_else(|| io::Error::other("it is a directory"))
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(&plain(path)) || self.is_dir(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        !self.list(path).is_empty()
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let directory = plain(directory);
        let below = self
            .0
            .keys()
            .filter_map(|p| p.strip_prefix(&directory).ok());
        let mut names: Vec<String> = below
            .filter_map(|path| path.components().next()?.as_os_str().to_str())
            .map(str::to_owned)
            .collect();
        names.dedup();
        names
    }
}

/// A path from the root without detours.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_memory_have_directories_as_files_on_disk_have() {
        let mut files = Memory::new();
        files.insert("main.conf", "main");
        files.insert("parts/a.conf", "a");
        files.insert("/parts/b.conf", "b");
        assert_eq!(files.list(Path::new("")), ["main.conf", "parts"]);
        assert_eq!(files.list(Path::new("/parts")), ["a.conf", "b.conf"]);
        let found = files.canonical(Path::new("parts/../parts/./b.conf"));
        assert_eq!(found.and_then(|p| files.read(&p)).ok(), Some(b"b".to_vec()));
        assert!(files.is_dir(Path::new("parts")) && !files.is_dir(Path::new("main.conf")));
        assert!(files.canonical(Path::new("elsewhere")).is_err());
    }
}
