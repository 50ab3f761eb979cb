//! Reading the configuration on behalf of the command line: for the daemon, and for `-t`; `-d` adds it in canonical form.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::config::{self, Level, Loaded, OneLine};
use crate::error::{Chain, Exit};

use super::control::{Form, Part};
use super::memory;
use super::options::Options;

/// Who reads, and therefore how loudly what is wrong is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The first to read: everything is told.
    First,
    /// A child, whose parent has just told everything.
    Child,
}

/// Reads the configuration to start with. All that is whole in it will run; what is wrong with it goes to the log.
///
/// # Errors
/// The file cannot be read, which has been told.
pub fn load(options: &Options, reader: Reader) -> Result<Loaded, Exit> {
    let loaded =
        config::load(Path::new(&options.use_file), &reading(options)).map_err(|error| {
            log::error!("{}", Chain(&error));
            Exit::Missing
        })?;
    for diag in loaded.diags.iter() {
        let line = OneLine {
            diag,
            sources: &loaded.sources,
        };
        let level = match (reader, diag.level) {
            (Reader::Child, _) => log::Level::Debug,
            (Reader::First, Level::Error) => log::Level::Error,
            (Reader::First, Level::Warning) => log::Level::Warn,
        };
        log::log!(level, "{line}");
    }
    if options.dump_conf && reader == Reader::First {
        // One record: lines of it that are equal are no repetition.
        log::info!("{}", config::dump::dump(&loaded.model));
    }
    memory::give_back_later();
    Ok(loaded)
}

/// Reads the configuration anew. With an error in it, nothing of it is taken: half of a change is worse than none.
///
/// # Errors
/// What is wrong with it, which has been told.
pub fn reload(options: &Options, reader: Reader) -> Result<Loaded, Refused> {
    let whole = load(options, reader)
        .map_err(|_| Refused(format!("cannot read {}\n", options.use_file)))
        .and_then(Refused::unless_whole);
    match &whole {
        Ok(_) => log::info!("Reloading {}", options.use_file),
        Err(_) => log::error!(
            "not reloaded: {} has errors, what runs stays as it is",
            options.use_file
        ),
    }
    whole
}

/// Reads a file as a reload would, without a word to the log.
///
/// # Errors
/// What is wrong with it.
pub fn read(options: &Options, file: &Path) -> Result<Loaded, Refused> {
    config::load(file, &reading(options))
        .map_err(|error| Refused(format!("{}\n", Chain(&error))))
        .and_then(Refused::unless_whole)
}

/// A configuration that is not taken up: its findings, with line and caret.
#[derive(Clone, Debug)]
pub struct Refused(String);

impl Refused {
    fn unless_whole(loaded: Loaded) -> Result<Loaded, Self> {
        if !loaded.diags.has_errors() {
            return Ok(loaded);
        }
        let mut text = String::new();
        for finding in loaded.findings() {
            // Writing to a String cannot fail.
            let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{finding}\n"));
        }
        Err(Self(text))
    }

    /// The same as an answer to whoever asked.
    #[must_use]
    pub fn part(&self, form: Form) -> Part {
        Part::said(Part::ERROR, form, "refused", self.0.trim_end())
    }
}

/// `-t`: tells everything that is wrong, with line and caret, and in one line what would run. Findings go to the standard
/// error, or with the rest to the file that is attached to the option.
pub fn test(options: &Options) -> Exit {
    let log = options.config_test.as_deref().unwrap_or("");
    let file = match log {
        "" => None,
        path => match File::create(path) {
            Ok(file) => Some(file),
            Err(error) => {
                let _ = writeln!(io::stderr(), "keepalite: cannot write {path}: {error}");
                return Exit::Fatal;
            }
        },
    };
    let (mut findings, mut summary): (Box<dyn Write>, Box<dyn Write>) = match &file {
        None => (Box::new(io::stderr()), Box::new(io::stdout())),
        Some(file) => (Box::new(file), Box::new(file)),
    };
    let loaded = match config::load(Path::new(&options.use_file), &reading(options)) {
        Ok(loaded) => loaded,
        Err(error) => {
            let _ = writeln!(findings, "{}", Chain(&error));
            return Exit::Missing;
        }
    };
    // Nobody is left to tell when these cannot be written.
    for finding in loaded.findings() {
        let _ = writeln!(findings, "{finding}");
    }
    if options.dump_conf {
        let _ = write!(summary, "{}", config::dump::dump(&loaded.model));
    }
    let _ = writeln!(summary, "{}", Summary(options, &loaded));
    let exit = verdict(options, &loaded);
    // The process ends: to take a large configuration apart first is work for nobody.
    core::mem::forget(loaded);
    exit
}

fn verdict(options: &Options, loaded: &Loaded) -> Exit {
    let diags = &loaded.diags;
    let insecure = diags.insecure_scripts();
    let errors = diags.errors() > insecure || options.strict_test && diags.warnings() > 0;
    match () {
        () if diags.missing_include() => Exit::Missing,
        () if errors => Exit::Errors,
        () if insecure > 0 => Exit::Insecure,
        () => Exit::Ok,
    }
}

/// What a configuration would run, in one line.
struct Summary<'a>(&'a Options, &'a Loaded);

impl core::fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(options, Loaded { model, diags, .. }) = self;
        let instances = Count(model.instances.len(), "virtual router");
        let addresses = model
            .instances
            .iter()
            .map(|i| i.addresses.len() + i.excluded.len())
            .sum();
        let addresses = Count(addresses, "address");
        write!(f, "{}: {instances} with {addresses}", options.use_file)?;
        let services = &model.lvs.servers;
        if !services.is_empty() {
            let pools = services.iter().flat_map(|service| &service.real);
            let checkers = Count(pools.map(|server| server.checkers.len()).sum(), "checker");
            let services = Count(services.len(), "virtual server");
            write!(f, ", {services} with {checkers}")?;
        }
        let (errors, warnings) = (
            Count(diags.errors(), "error"),
            Count(diags.warnings(), "warning"),
        );
        match (diags.errors(), diags.warnings()) {
            (0, 0) => f.write_str(", no errors"),
            (0, _) => write!(f, ", no errors, {warnings}"),
            (_, 0) => write!(f, ", {errors}"),
            _ => write!(f, ", {errors}, {warnings}"),
        }
    }
}

/// A number of things in English.
struct Count(usize, &'static str);

impl core::fmt::Display for Count {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(number, thing) = self;
        let plural = match number {
            1 => "",
            _ if thing.ends_with('s') => "es",
            _ => "s",
        };
        write!(f, "{number} {thing}{plural}")
    }
}

/// What the options say about reading.
#[must_use]
pub fn reading(options: &Options) -> config::Options {
    config::Options {
        config_id: options.config_id.clone(),
        require_includes: options.all_config,
    }
}
