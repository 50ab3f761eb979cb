//! How the checkers process moves: wait for exactly one thing, give it to the director, carry everything out, only then wait
//! again.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::io;

use smol::future;

use super::desk;
use super::director::Director;
use super::report;
use crate::error::Exit;
use crate::io::sys;
use crate::model::Model;
use crate::run::control::Inbox;
use crate::run::options::Options;
use crate::run::reactor::sleep_until;
use crate::run::signal::{Orders, Signal};

/// Keeps the virtual servers of a configuration until a signal stops it, and answers what comes into `inbox`. `reload` gives the
/// configuration to go on with, or `None` after having said why not.
pub async fn drive(
    mut model: Box<Model>,
    signals: &mut impl Orders,
    options: &Options,
    inbox: &Inbox,
    mut reload: impl FnMut() -> Option<Box<Model>>,
) -> Exit {
    let mut director = Box::new(Director::start(&mut model));
    drop(model);
    sys::return_memory();
    let exit = loop {
        let done = match happening(&director, inbox, signals.next()).await {
            Ok(Happening::Due) => {
                director.tick();
                Ok(())
            }
            Ok(Happening::News) => {
                director.learn();
                Ok(())
            }
            Ok(Happening::Presence) => director.observe(),
            Ok(Happening::Asked) => {
                if let Some(call) = inbox.take() {
                    let part = desk::answer(&mut director, &call.request, options, &mut reload);
                    call.reply(part);
                }
                Ok(())
            }
            Ok(Happening::Signal(Ok(Signal::Stop))) => break Exit::Ok,
            Ok(Happening::Signal(Ok(Signal::Reload))) => {
                if let Some(mut model) = reload() {
                    director.reload(&mut model);
                    drop(model);
                    sys::return_memory();
                }
                Ok(())
            }
            Ok(Happening::Signal(Ok(Signal::Data))) => {
                report::write(&director);
                Ok(())
            }
            // Statistics and JSON are about virtual routers.
            Ok(Happening::Signal(Ok(_))) => Ok(()),
            Ok(Happening::Signal(Err(error))) | Err(error) => Err(error),
        };
        if let Err(error) = done {
            log::error!("cannot wait for events: {error}");
            break Exit::Internal;
        }
    };
    director.stop(options.dont_release_ipvs);
    // The end of a script is a signal too.
    let deaf = async {
        while signals.next().await.is_ok() {}
        core::future::pending().await
    };
    future::or(director.farewell(), deaf).await;
    exit
}

/// What can happen while nothing is being done.
enum Happening<S> {
    /// A deadline has come.
    Due,
    /// Something has been found out.
    News,
    /// An address came or went.
    Presence,
    /// Somebody asks how it is.
    Asked,
    /// Somebody sent a signal.
    Signal(S),
}

/// Waits for the next thing.
async fn happening<S>(
    director: &Director,
    inbox: &Inbox,
    signal: impl Future<Output = S>,
) -> io::Result<Happening<S>> {
    let mut due = pin!(sleep_until(director.deadline()));
    let thing = poll_fn(|context| {
        if director.poll_news(context).is_ready() {
            return Poll::Ready(Ok(Happening::News));
        }
        if director.poll_presence(context)?.is_ready() {
            return Poll::Ready(Ok(Happening::Presence));
        }
        if due.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(Happening::Due));
        }
        inbox.poll(context).map(|()| Ok(Happening::Asked))
    });
    future::or(async { Ok(Happening::Signal(signal.await)) }, thing).await
}
