//! keepalite or keepalived on a host, each with files of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Host, Json, Process, Watch, skip};

/// Nothing that a daemon is asked for takes as long.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Which daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Keepalite,
    Keepalived,
}

impl Program {
    /// The path of the program; that of keepalite can be given in the environment, to hold another build, or keepalived itself, to
    /// the same tests.
    pub(crate) fn path(self) -> PathBuf {
        match self {
            Self::Keepalite => match std::env::var_os("KEEPALITE") {
                Some(path) => path.into(),
                None => match option_env!("CARGO_BIN_EXE_keepalite") {
                    Some(path) => path.into(),
                    None => panic!("cargo tells where the binary is to tests and benches only"),
                },
            },
            Self::Keepalived => "/usr/sbin/keepalived".into(),
        }
    }

    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Keepalite => Self::Keepalived,
            Self::Keepalived => Self::Keepalite,
        }
    }
}

/// Is there a keepalived to compare with? If not, that is said loudly.
pub(crate) fn has_keepalived() -> bool {
    let installed = Program::Keepalived.path().exists();
    if !installed {
        skip("keepalived is not installed, nothing to compare with");
    }
    installed
}

/// A question to a running daemon: a signal, and the file that answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dump {
    Data,
    Stats,
    Json,
}

impl Dump {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Data => ("USR1", "keepalived.data"),
            Self::Stats => ("USR2", "keepalived.stats"),
            // The real-time signals of glibc begin at 34.
            Self::Json => ("36", "keepalived.json"),
        }
    }
}

/// A daemon; it ends with all its processes when dropped.
pub(crate) struct Daemon {
    /// Its parent process.
    pub(crate) process: Process,
    /// Where its files are: configuration, pid files, dumps.
    pub(crate) directory: PathBuf,
}

impl Daemon {
    pub(super) fn start(
        host: &Host,
        scratch: &Path,
        program: Program,
        configuration: &str,
    ) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = scratch.join(format!("daemon-{number}"));
        std::fs::create_dir(&directory)?;
        Self::start_in(host, directory, program, configuration)
    }

    /// As [`Host::daemon`], in the directory of one that is no more: what a restart after a crash finds.
    pub(crate) fn start_in(
        host: &Host,
        directory: PathBuf,
        program: Program,
        configuration: &str,
    ) -> io::Result<Self> {
        let file = |name: &str| directory.join(name).to_string_lossy().into_owned();
        std::fs::write(file("keepalived.conf"), configuration)?;
        let files = [
            ("-f", file("keepalived.conf")),
            ("-p", file("parent.pid")),
            ("-r", file("vrrp.pid")),
            ("-c", file("checkers.pid")),
        ];
        let mut arguments = vec!["-n", "-l", "-D"];
        arguments.extend(files.iter().flat_map(|(o, f)| [*o, f.as_str()]));
        let temporary = file("");
        let process = host.start(program.path(), &arguments, &[("TMPDIR", &temporary)])?;
        Ok(Self { process, directory })
    }

    /// The process that speaks VRRP, by its pid file.
    pub(crate) fn child(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.directory.join("vrrp.pid")).ok()?;
        text.trim().parse().ok()
    }

    /// Writes another configuration, without a word to the daemon.
    pub(crate) fn configure(&self, configuration: &str) {
        // Never half of it.
        let [new, file] =
            ["keepalived.conf.new", "keepalived.conf"].map(|name| self.directory.join(name));
        let moved = std::fs::write(&new, configuration).and_then(|()| std::fs::rename(new, file));
        moved.expect("a file of our own");
    }

    /// Sends a signal, by its name or number, to the parent.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.process.id());
    }

    /// Writes another configuration and has it read.
    pub(crate) fn reload(&self, configuration: &str) {
        self.configure(configuration);
        self.signal("HUP");
    }

    /// Asks for a dump and waits for the file.
    pub(crate) fn dump(&self, dump: Dump) -> String {
        let (signal, file) = dump.words();
        let _ = std::fs::remove_file(self.directory.join(file));
        let watch = Watch::new(&self.directory).expect("a watch on our own directory");
        self.signal(signal);
        // keepalived opens it, renames it and only then fills it.
        let complete = |text: &str| match dump {
            Dump::Json => Json::parse(text).is_some(),
            Dump::Data | Dump::Stats => !text.is_empty(),
        };
        watch
            .written(file, SOON, complete)
            .unwrap_or_else(|| panic!("no {file} came; it said:\n{}", self.process.output()))
    }

    /// Asks for the JSON dump: one element per instance.
    pub(crate) fn json(&self) -> Vec<Json> {
        let text = self.dump(Dump::Json);
        let json = Json::parse(&text).unwrap_or_else(|| panic!("this is not JSON: {text}"));
        json.elements().to_vec()
    }

    /// One instance of the JSON dump: its `data` and `stats`.
    pub(crate) fn instance(&self, name: &str) -> (Json, Json) {
        let all = self.json();
        let found = all.iter().find_map(|one| {
            let data = one.get("data")?;
            (data.get("iname")?.as_str() == name)
                .then_some((data.clone(), one.get("stats")?.clone()))
        });
        found.unwrap_or_else(|| panic!("no instance {name} in {all:?}"))
    }

    /// Waits until it has said this.
    pub(crate) fn wait_for_words(&self, words: &str) {
        let scratch = self.process.output_directory();
        let watch = Watch::new(scratch).expect("a watch on our own directory");
        let said = || self.process.output().contains(words).then_some(());
        watch
            .wait(SOON, said)
            .unwrap_or_else(|| panic!("it never said {words:?}, but:\n{}", self.process.output()));
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.process
            .terminate(SOON)
            .unwrap_or_else(|e| panic!("it did not end: {e}; it said:\n{}", self.process.output()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.directory.display(), self.process.output());
        }
    }
}

/// Sends a signal, by its name or number, to a process.
pub(crate) fn kill(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), process.to_string()])
        .status();
    assert!(
        status.is_ok_and(|s| s.success()),
        "cannot send {signal} to {process}"
    );
}
