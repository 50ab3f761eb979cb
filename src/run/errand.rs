//! `startup_script` and `shutdown_script`: one command before anything starts, one after everything has stopped.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use smol::future;

use super::reactor::{now, sleep_until};
use super::scripts;
use super::signal::{Signal, Signals};
use crate::io::sys::{self, Ended};
use crate::model::{Command, User};

/// From asking it to end until killing it.
const GRACE: Duration = Duration::from_secs(2);

/// Runs it to its end, or until its time is up or we are asked to stop, which is true. What else is asked of us meanwhile is
/// put off.
pub async fn run(
    label: &str,
    (command, limit): &(Command, Duration),
    default: Option<User>,
    signals: &mut Signals,
) -> bool {
    let Some(child) = scripts::start(label, command, &[], default) else {
        return false;
    };
    log::info!("{label}: running {}", command.text);
    let mut put_off = Vec::new();
    let mut stopped = false;
    let mut ended = pin!(child.ended());
    let mut until = now() + *limit;
    let mut number = libc::SIGTERM;
    let how = loop {
        let end = async { Ok(Some(ended.as_mut().await)) };
        let late = async {
            sleep_until(until).await;
            Ok(None)
        };
        // Reading signals is what makes deaths known.
        let stop = async {
            loop {
                match signals.next().await {
                    Ok(Signal::Stop) => return Err(()),
                    Ok(signal) => put_off.push(signal),
                    Err(_) => future::pending().await,
                }
            }
        };
        match soonest(end, late, stop).await {
            Ok(Some(how)) => break how,
            Ok(None) if number == libc::SIGTERM => {
                log::error!("{label}: not done after {} s, ending it", limit.as_secs());
            }
            Ok(None) => {}
            Err(()) => stopped = true,
        }
        child.signal_group(number);
        (number, until) = (libc::SIGKILL, now() + GRACE);
    };
    if number == libc::SIGKILL {
        // What it has started goes as well; no other process can have its number as long as one of its group lives.
        let _ = sys::kill(-child.pid(), libc::SIGKILL);
    } else if how != Ended::Status(0) {
        log::error!("{label}: {} {how}{}", command.text, child.complaint());
    }
    put_off
        .into_iter()
        .for_each(|signal| signals.put_back(signal));
    stopped
}

async fn soonest<T>(
    first: impl Future<Output = T>,
    second: impl Future<Output = T>,
    third: impl Future<Output = T>,
) -> T {
    future::or(first, future::or(second, third)).await
}
