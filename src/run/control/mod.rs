//! The control socket: one question, one answer.
//!
//! A client connects, writes one line and reads the answer to its end. `status`, `status NAME`, `explain NAME`, `plan FILE` and
//! `reload` are answered in JSON with a version; `text WIDTH` in front of them asks for what the commands print instead, after
//! a line with the exit status, and `colour WIDTH` for the same in colours. `metrics` is answered in the text format of Prometheus.
//!
//! ```text
//!   client ─── door ─── desk ─┬─ line ─── inbox of the VRRP process
//!            (socket)  (parent) └─ line ─── inbox of the checkers' process
//! ```
//!
//! The door belongs to the parent, so that it stays while children come and go; each child has a line to the parent, made when
//! it was started. With `--single` the line ends in the same process. Nothing of this wakes up by itself.

pub mod answers;
pub mod desk;
pub mod door;
pub mod inbox;
pub mod line;
pub mod request;

use std::path::PathBuf;

use super::options::Options;
use super::pidfile;
use crate::model::Global;
use crate::model::global::ControlSocket;

pub use desk::Desk;
pub use door::Door;
pub use inbox::{Call, Inbox};
pub use line::Line;
pub use request::{Form, Part, Request, Verb};

/// Where the socket is: as the options have it, else as the configuration has it, else beside the pid file of the parent, by
/// its name; `None` if there is to be none.
#[must_use]
pub fn path(options: &Options, global: &Global) -> Option<PathBuf> {
    if let Some(given) = &options.control_socket {
        return (given != "off").then(|| PathBuf::from(given));
    }
    match &global.control_socket {
        ControlSocket::BesidePidFile => {
            Some(pidfile::path(None, options, global).with_extension("sock"))
        }
        ControlSocket::At(path) => Some(PathBuf::from(path)),
        ControlSocket::Off => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_socket_stands_beside_the_pid_file_unless_it_is_given_a_place() {
        let mut options = Options::default();
        let mut global = Global::default();
        let at = |options: &Options, global: &Global| path(options, global).unwrap();
        assert_eq!(at(&options, &global), Path::new("/run/keepalived.sock"));
        global.instance = Some("edge".to_owned());
        let edge = Path::new("/run/keepalived/keepalived_edge.sock");
        assert_eq!(at(&options, &global), edge);
        options.pid = Some("/tmp/a.pid".to_owned());
        assert_eq!(at(&options, &global), Path::new("/tmp/a.sock"));
        global.control_socket = ControlSocket::At("/tmp/b".to_owned());
        assert_eq!(at(&options, &global), Path::new("/tmp/b"));
        options.control_socket = Some("/tmp/c".to_owned());
        assert_eq!(at(&options, &global), Path::new("/tmp/c"));
        options.control_socket = Some("off".to_owned());
        assert_eq!(path(&options, &global), None);
    }
}
