//! Things that are watched, as pure functions of (state, event, now): scripts, files, processes.
//!
//! What they find bears on virtual routers by a rule that is none of theirs; whoever runs them passes it on.

pub mod file;
pub mod process;
pub mod script;

pub use process::Quorum;
pub use script::{Order, Outcome, Run, Script};
