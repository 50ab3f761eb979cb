//! What connects the engines to the kernel and to the people: processes, waiting, signals, files.

use core::time::Duration;
use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use log::LevelFilter;
use rustix::process::umask;
use smol::Task;

use crate::config::Loaded;
use crate::error::Exit;
use crate::io::sys;
use crate::model::{Command, Global, Model, Statics};

#[cfg(feature = "lvs")]
pub mod check;
pub mod child;
pub mod clock;
pub mod command;
pub mod complaint;
pub mod configuration;
pub mod control;
pub mod daemonize;
pub mod errand;
pub mod fifo;
#[cfg(any(feature = "vrrp", feature = "lvs"))]
pub mod files;
#[cfg(feature = "genhash")]
pub mod genhash;
pub mod levels;
pub mod logger;
pub mod lookup;
pub mod mailbox;
pub mod mailer;
pub mod memory;
pub mod options;
pub mod pidfile;
pub mod reactor;
pub mod reload;
pub mod repetition;
pub mod replace;
pub mod rights;
pub mod scheduling;
pub mod scripts;
pub mod signal;
pub mod single;
pub mod supervise;
#[cfg(feature = "vrrp")]
pub mod vrrp;

use configuration::Reader;
use control::{Desk, Door, Inbox};
use daemonize::{Launch, Side};
use options::Options;
use pidfile::{PidFile, Running};
use reload::Mark;
use rights::{Part, Rights};
use signal::{Orders, Signals};
use supervise::{Role, Wanted};

const NAME: &str = concat!("keepalite v", env!("CARGO_PKG_VERSION"));

/// Does what the options ask for; `notes` about the command line go to the log.
#[must_use]
pub fn start(options: &Options, notes: &[String]) -> Exit {
    if let Some(mask) = options.umask {
        umask(mask.0.into());
    }
    if options.config_test.is_some() {
        return configuration::test(options);
    }
    let launch = if options.dont_fork || options.role.is_some() {
        None
    } else {
        match daemonize::daemonize() {
            Ok(Side::Launcher(exit)) => return exit,
            Ok(Side::Daemon(launch)) => Some(launch),
            Err(error) => {
                let _ = writeln!(
                    io::stderr(),
                    "keepalite: cannot go to the background: {error}"
                );
                return Exit::Fatal;
            }
        }
    };
    start_log(options);
    for note in notes {
        log::warn!("{note}");
    }
    if let Err(error) = allow_core_dumps(options) {
        log::error!("{error}");
        return Exit::Fatal;
    }
    // A child is stopped by its parent: an interrupt from the keyboard reaches both.
    let interruptible = options.role.is_none() && !options.ignore_sigint;
    let mut signals = match Signals::new(interruptible) {
        Ok(signals) => signals,
        Err(error) => {
            log::error!("cannot receive signals: {error}");
            return Exit::Fatal;
        }
    };
    let done = match options.role {
        Some(role) => child(role, options, &mut signals),
        None => parent(options, launch, &mut signals),
    };
    log::logger().flush();
    done.unwrap_or_else(|exit| exit)
}

/// The parent, or with `--single` the only process.
fn parent(options: &Options, launch: Option<Launch>, signals: &mut Signals) -> Result<Exit, Exit> {
    log::info!("Starting {NAME}");
    log::info!("Configuration file {}", options.use_file);
    let loaded = configuration::load(options, Reader::First)?;
    let global = &loaded.model.global;
    let path = pidfile::path(None, options, global);
    let _pid_file = PidFile::take(&path).map_err(|other| already_running(other, &path))?;
    let wanted = wanted(&loaded.model, options);
    if wanted.roles.is_empty() {
        log::warn!("the configuration asks for nothing that can run");
    }
    if let Some(launch) = launch {
        launch.succeed();
    }
    settle_console(options);
    let (_door, desk) = open_door(options, global);
    let user = global.script_user;
    let mut standing = Standing::of(options, global);
    name(None, global);
    let mut stopped = false;
    if let Some(hook) = &global.startup {
        let errand = errand::run("startup_script", hook, user, signals);
        stopped = reactor::block_on(errand).unwrap_or(false);
    }
    let mut rights = Rights::default();
    let exit = if stopped {
        Exit::Ok
    } else if options.single {
        enter_namespace(options, global)?;
        let parts = |wanted: Wanted| -> Vec<Part> {
            let roles = wanted.roles.into_iter().map(Some);
            roles.chain([None]).collect()
        };
        rights.settle(&parts(wanted), &loaded.model);
        let read = || {
            standing.mark.set();
            let loaded = configuration::reload(options, Reader::First);
            standing.mark.clear();
            let loaded = loaded?;
            rights.settle(&parts(self::wanted(&loaded.model, options)), &loaded.model);
            standing = Standing::of(options, &loaded.model.global);
            name(None, &loaded.model.global);
            Ok(loaded)
        };
        wait(single::run(
            options,
            loaded.into_model(),
            signals,
            &desk,
            read,
        ))
    } else {
        rights.settle(&[None], &loaded.model);
        drop(loaded);
        sys::return_memory();
        let reload = || {
            standing.mark.set();
            let loaded = configuration::reload(options, Reader::First).inspect_err(|_| {
                standing.mark.clear();
            })?;
            standing = Standing::of(options, &loaded.model.global);
            name(None, &loaded.model.global);
            let wanted = self::wanted(&loaded.model, options);
            rights.settle(&[None], &loaded.model);
            drop(loaded);
            sys::return_memory();
            Ok(wanted)
        };
        let respawn = !options.dont_respawn;
        wait(supervise::supervise(
            signals, wanted, respawn, &desk, reload,
        ))
    };
    if let Some(hook) = &standing.farewell {
        let errand = errand::run("shutdown_script", hook, user, signals);
        let _ = reactor::block_on(errand);
    }
    log::info!("Stopped {NAME}");
    Ok(exit)
}

/// What the parent keeps of the configuration that is in force.
struct Standing {
    /// `shutdown_script`.
    farewell: Option<(Command, Duration)>,
    mark: Mark,
    /// Watches for the time of the next reload.
    _timetable: Option<Task<()>>,
}

impl Standing {
    fn of(options: &Options, global: &Global) -> Self {
        Self {
            farewell: global.shutdown.clone(),
            mark: Mark::of(options, global),
            _timetable: reload::timetable(global),
        }
    }
}

/// Calls this process by the name that a configuration gives it.
fn name(role: Option<Role>, global: &Global) {
    let given = match role {
        None => &global.names.parent,
        Some(Role::Vrrp) => &global.names.vrrp,
        Some(Role::Checkers) => &global.names.checkers,
    };
    if let Some(given) = given
        .as_ref()
        .and_then(|name| CString::new(name.as_str()).ok())
    {
        sys::name_process(&given);
    }
}

/// A child of the parent's.
fn child(role: Role, options: &Options, signals: &mut Signals) -> Result<Exit, Exit> {
    sys::name_process(role.process());
    if !sys::die_with(std::os::unix::process::parent_id()) {
        return Err(Exit::Ok);
    }
    settle_console(options);
    let loaded = configuration::load(options, Reader::Child)?;
    let path = pidfile::path(Some(role), options, &loaded.model.global);
    let _pid_file = PidFile::take_over(&path).map_err(|other| already_running(other, &path))?;
    enter_namespace(options, &loaded.model.global)?;
    let mut rights = Rights::default();
    let mut read = |loaded: &Loaded, mark: &mut Mark| {
        rights.settle(&[Some(role)], &loaded.model);
        let roles = wanted(&loaded.model, options).roles;
        if roles.contains(&role) {
            mark.has_read(roles.len());
        }
        *mark = Mark::of(options, &loaded.model.global);
        name(Some(role), &loaded.model.global);
    };
    let mut mark = Mark::of(options, &loaded.model.global);
    read(&loaded, &mut mark);
    let part = |loaded: Loaded| {
        let mut model = loaded.into_model();
        if role == Role::Checkers {
            model.global.fifo.script = fifo_script(&model, options);
        }
        model
    };
    let again = || {
        let loaded = configuration::reload(options, Reader::Child).ok()?;
        read(&loaded, &mut mark);
        Some(part(loaded))
    };
    let inbox = Inbox::default();
    control::line::listen_to_parent(inbox.clone());
    let model = part(loaded);
    Ok(wait(serve(role, options, model, signals, &inbox, again)))
}

/// Opens the control socket, and the desk behind it. Without the socket all else goes on.
fn open_door(options: &Options, global: &Global) -> (Option<Door>, Desk) {
    let inbox = Inbox::default();
    let door = control::path(options, global).and_then(|path| {
        let door = Door::open(&path, inbox.clone());
        door.map_err(|error| {
            log::warn!(
                "cannot open the control socket {}: {error}; going on without it",
                path.display()
            );
        })
        .ok()
    });
    (door, Desk::open(inbox, options))
}

/// Does what a role is there for until a signal stops it, and answers what comes into `inbox`. `read` gives the configuration to go
/// on with at a reload, or `None` after having said why not.
async fn serve(
    role: Role,
    options: &Options,
    model: Box<Model>,
    signals: &mut impl Orders,
    inbox: &Inbox,
    mut read: impl FnMut() -> Option<Box<Model>>,
) -> Exit {
    let schedule = |model: &Model| {
        // One process is scheduled as its virtual routers need it.
        if role == Role::Vrrp || !options.single {
            scheduling::apply(role, &model.global);
        }
    };
    schedule(&model);
    let again = || {
        let model = read()?;
        schedule(&model);
        Some(model)
    };
    match role {
        #[cfg(feature = "vrrp")]
        Role::Vrrp => vrrp::drive(model, signals, options, inbox, again).await,
        #[cfg(feature = "lvs")]
        Role::Checkers => check::drive(model, signals, options, inbox, again).await,
        #[cfg(not(all(feature = "vrrp", feature = "lvs")))]
        _ => {
            let _ = (options, model, signals, inbox, again);
            log::error!("{role} is not in this build");
            Exit::Fatal
        }
    }
}

/// The script of `notify_fifo`, for the checkers: where there are virtual routers too, their process runs it.
fn fifo_script(model: &Model, options: &Options) -> Option<Command> {
    let shared = !model.instances.is_empty() && is_asked(Role::Vrrp, options);
    model.global.fifo.script.clone().filter(|_| !shared)
}

/// Whether the options ask for a role, or for none in particular.
const fn is_asked(role: Role, options: &Options) -> bool {
    let only = match role {
        Role::Vrrp => options.vrrp,
        Role::Checkers => options.check,
    };
    only || options.vrrp == options.check
}

fn wait(main: impl Future<Output = Exit>) -> Exit {
    reactor::block_on(main).unwrap_or_else(|error| {
        log::error!("cannot wait for events: {error}");
        Exit::Internal
    })
}

/// Who is to run for a configuration.
fn wanted(model: &Model, options: &Options) -> Wanted {
    let vrrp = !model.instances.is_empty()
        || model.statics != Statics::default()
        || model.lvs.sync_daemon.is_some();
    let checkers = !model.lvs.servers.is_empty();
    let needed = [(Role::Vrrp, vrrp), (Role::Checkers, checkers)];
    let asked = needed
        .into_iter()
        .filter(|(role, needed)| (*needed || options.all) && is_asked(*role, options));
    let asked = asked.map(|(role, _)| role);
    let mut roles = Vec::new();
    for role in asked {
        if role.is_built() {
            roles.push(role);
        } else {
            log::warn!("{role} is not in this build: not run");
        }
    }
    Wanted {
        roles,
        child_wait: model.global.child_wait,
    }
}

fn already_running(Running(pid): Running, path: &Path) -> Exit {
    let pid = pid.map_or_else(String::new, |pid| format!(", as process {pid}"));
    log::error!("daemon is already running{pid} ({})", path.display());
    // As keepalived has it, so that a second start by an init script is no failure.
    Exit::Ok
}

fn start_log(options: &Options) {
    let role = options.role.and_then(|role| role.process().to_str().ok());
    let default = format!("{}/keepalived.log", directory());
    let file = options.log_file.as_deref().map(|given| match given {
        "" => default.as_str(),
        given => given,
    });
    let file = file.map(|file| match options.role {
        Some(role) => with_suffix(file, &role.to_string().to_lowercase()),
        None => file.to_owned(),
    });
    let started = logger::start(&logger::Setup {
        ident: role.unwrap_or("keepalite"),
        facility: (!options.no_syslog).then_some(options.log_facility),
        // Until the start has succeeded, who has typed the command is to see what is wrong.
        console: if options.log_console {
            LevelFilter::Trace
        } else {
            LevelFilter::Warn
        },
        levels: options.log_level,
        detail: options.log_detail,
        file: file.as_deref(),
    });
    if let Err(error) = started {
        log::warn!("{error}");
    }
}

/// From here on the standard error shows nothing that was not asked for.
fn settle_console(options: &Options) {
    if !options.log_console {
        logger::set_console(LevelFilter::Off);
    }
}

/// `keepalived.log` becomes `keepalived_vrrp.log`: each process has its own.
fn with_suffix(path: &str, suffix: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => {
            format!("{stem}_{suffix}.{extension}")
        }
        _ => format!("{path}_{suffix}"),
    }
}

/// Where files go that have no place of their own.
fn directory() -> String {
    std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned())
}

fn allow_core_dumps(options: &Options) -> io::Result<()> {
    if options.core_dump || options.core_dump_pattern.is_some() {
        sys::allow_core_dump()?;
    }
    let Some(pattern) = options.core_dump_pattern.as_deref() else {
        return Ok(());
    };
    let pattern = if pattern.is_empty() { "core" } else { pattern };
    let told = fs::write("/proc/sys/kernel/core_pattern", pattern);
    told.map_err(|e| io::Error::new(e.kind(), format!("cannot set the core pattern: {e}")))
}

/// Goes into the network namespace of `-s NAME` or `net_namespace`, as `ip netns` names them. Who has the sockets goes; the
/// parent stays.
fn enter_namespace(options: &Options, global: &Global) -> Result<(), Exit> {
    let Some(name) = options.namespace.as_ref().or(global.net_namespace.as_ref()) else {
        return Ok(());
    };
    let entered = fs::File::open(Path::new("/run/netns").join(name))
        .and_then(|namespace| sys::enter_network(namespace.as_fd()));
    entered.map_err(|error| {
        log::error!("cannot enter the network namespace {name}: {error}");
        Exit::Fatal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_a_log_file_of_its_own() {
        assert_eq!(
            with_suffix("/tmp/keepalived.log", "vrrp"),
            "/tmp/keepalived_vrrp.log"
        );
        assert_eq!(with_suffix("/var/log.d/all", "vrrp"), "/var/log.d/all_vrrp");
    }
}
