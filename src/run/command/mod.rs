//! Commands beside the daemon: most of them ask one that runs, and print what it answers.

mod ask;
mod explain;
#[cfg(feature = "help")]
pub mod help;
#[cfg(not(feature = "help"))]
#[path = "no_help.rs"]
pub mod help;
#[cfg(feature = "vrrp")]
mod listen;
mod plan;
mod reload;
mod status;
#[cfg(feature = "uci")]
mod uci;
#[cfg(not(feature = "uci"))]
#[path = "no_uci.rs"]
mod uci;

use argh::{ArgsInfo, FromArgs};

use super::options::Options;
use crate::error::Exit;

pub use explain::Explain;
#[cfg(feature = "vrrp")]
pub use listen::Listen;
pub use plan::Plan;
pub use reload::Reload;
pub use status::Status;
pub use uci::Uci;

/// What the first word after the options asks for.
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(subcommand)]
pub enum Command {
    /// How everything is.
    Status(Status),
    /// Why something is so.
    Explain(Explain),
    /// Adverts as they pass.
    #[cfg(feature = "vrrp")]
    Listen(Listen),
    /// What a reload would change.
    Plan(Plan),
    /// Read the configuration anew.
    Reload(Reload),
    /// What a configuration of OpenWrt means.
    Uci(Uci),
}

/// Carries out the command that is among the options.
#[must_use]
pub fn run(options: &Options) -> Exit {
    match &options.command {
        Some(Command::Status(status)) => status.run(options),
        Some(Command::Explain(explain)) => explain.run(options),
        #[cfg(feature = "vrrp")]
        Some(Command::Listen(listen)) => listen.run(options),
        Some(Command::Plan(plan)) => plan.run(options),
        Some(Command::Reload(reload)) => reload.run(options),
        Some(Command::Uci(uci)) => uci.run(),
        None => Exit::Ok,
    }
}
