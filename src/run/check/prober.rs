//! One attempt of a check that talks to a server.

use core::net::SocketAddr;

use smol::future;

use crate::check::conversation::{Outcome, Reason};
use crate::io::connect;
use crate::model::lvs::Checker;
use crate::run::reactor::{Source, sleep};

/// Makes an attempt at a page of a check.
pub async fn attempt(checker: &Checker, _page: usize) -> Outcome {
    let connected = async {
        let socket = connect::start(SocketAddr::new(checker.target.ip, checker.target.port))?;
        let socket = Source::new(socket);
        socket.writable().await?;
        connect::finish(socket.get_ref())
    };
    let late = async {
        sleep(checker.target.timeout).await;
        Err(std::io::ErrorKind::TimedOut.into())
    };
    match future::or(connected, late).await {
        Ok(()) => Outcome::Passed,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Outcome::Failed(Reason::Refused)
        }
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Outcome::Failed(Reason::Silent)
        }
        Err(error) => Outcome::Failed(Reason::Broken(error.to_string())),
    }
}
