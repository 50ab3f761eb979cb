//! How the VRRP process moves: wait for exactly one thing, give it to the router, carry everything out, only then wait again.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::io;
use std::path::Path;

use smol::future;

use super::desk;
use super::report::Report;
use super::router::Router;
use crate::error::Exit;
use crate::io::advert;
use crate::model::Model;
use crate::run::clock::clock;
use crate::run::control::{Call, Inbox, Part, Verb};
use crate::run::options::Options;
use crate::run::reactor::{now, sleep_until};
use crate::run::signal::{Orders, Signal};

/// Runs the virtual routers of a configuration until a signal stops it, and answers what comes into `inbox`. `reload` gives the
/// configuration to go on with, or `None` after having said why not.
pub async fn drive(
    mut model: Box<Model>,
    signals: &mut impl Orders,
    options: &Options,
    inbox: &Inbox,
    mut reload: impl FnMut() -> Option<Box<Model>>,
) -> Exit {
    let started = Router::start(&mut model, options.record.as_deref().map(Path::new));
    drop(model);
    // On the heap, as the model was: a future is copied from frame to frame before it stays anywhere, and no page of a stack
    // is ever given back.
    let mut router = match started {
        Ok(router) => Box::new(router),
        Err(error) => {
            log::error!("cannot start: {error}");
            return Exit::Fatal;
        }
    };
    let mut buffer = [0; advert::BUFFER];
    let mut reloading: Option<(Call, Part)> = None;
    let exit = loop {
        if let Some((call, changes)) = reloading.take_if(|_| !router.is_busy()) {
            let part = desk::settled(changes, &call.request);
            call.reply(part);
        }
        let observed = match happening(&router, inbox, signals.next()).await {
            Ok(Happening::Due) => {
                router.tick(&mut buffer);
                Ok(())
            }
            Ok(Happening::Advert(place)) => {
                router.receive(place, &mut buffer);
                Ok(())
            }
            Ok(Happening::Change) => router.observe(),
            Ok(Happening::Finding) => {
                router.learn();
                Ok(())
            }
            Ok(Happening::Asked) => {
                if let Some(call) = inbox.take() {
                    let part = desk::answer(&mut router, &call.request, options, &mut reload);
                    match call.request.verb {
                        Verb::Reload => reloading = Some((call, part)),
                        _ => call.reply(part),
                    }
                }
                Ok(())
            }
            Ok(Happening::Signal(Ok(Signal::Stop))) => break Exit::Ok,
            Ok(Happening::Signal(Ok(Signal::Reload))) => {
                if let Some(mut model) = reload() {
                    router.reload(&mut model);
                }
                Ok(())
            }
            Ok(Happening::Signal(Ok(signal))) => {
                report(&mut router, signal);
                Ok(())
            }
            Ok(Happening::Signal(Err(error))) | Err(error) => Err(error),
        };
        if let Err(error) = observed {
            log::error!("cannot wait for events: {error}");
            break Exit::Internal;
        }
    };
    router.stop(options.dont_release_vrrp);
    // The end of a script is a signal too.
    let deaf = async {
        while signals.next().await.is_ok() {}
        core::future::pending().await
    };
    future::or(router.farewell(), deaf).await;
    exit
}

/// Writes the file that a signal asks for.
fn report(router: &mut Router, signal: Signal) {
    let report = match signal {
        Signal::Data => Report::Data,
        Signal::Json => Report::Json,
        Signal::Stats | Signal::StatsClear => Report::Stats,
        Signal::Stop | Signal::Reload => return,
    };
    if let Err(error) = report.write(router.engine(), router.global(), clock(now())) {
        let path = report.path(router.global());
        log::error!("cannot write {}: {error}", path.display());
    }
    if signal == Signal::StatsClear {
        router.engine_mut().clear_stats();
    }
}

/// What can happen while nothing is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening<S> {
    /// A deadline has come, or there is work left.
    Due,
    /// An advert can be read from the socket in this place.
    Advert(usize),
    /// The kernel announces a change of links or addresses.
    Change,
    /// Something that is tracked has changed.
    Finding,
    /// Somebody asks how it is.
    Asked,
    /// Somebody sent a signal.
    Signal(S),
}

/// Waits for the next thing. What has come in goes before what is due: one who slept must not take over from a master that
/// spoke meanwhile.
async fn happening<S>(
    router: &Router,
    inbox: &Inbox,
    signal: impl Future<Output = S>,
) -> io::Result<Happening<S>> {
    if router.is_busy() {
        // Between two portions of work everybody else gets his turn.
        future::yield_now().await;
    }
    let mut due = pin!(router.deadline().map(sleep_until));
    let thing = poll_fn(|context| {
        if let Poll::Ready(place) = router.sockets().poll_readable(context)? {
            return Poll::Ready(Ok(Happening::Advert(place)));
        }
        if router.monitor().poll_readable(context)?.is_ready() {
            return Poll::Ready(Ok(Happening::Change));
        }
        if router.trackers().poll_news(context).is_ready() {
            return Poll::Ready(Ok(Happening::Finding));
        }
        if let Some(Poll::Ready(())) = due.as_mut().as_pin_mut().map(|due| due.poll(context)) {
            return Poll::Ready(Ok(Happening::Due));
        }
        inbox.poll(context).map(|()| Ok(Happening::Asked))
    });
    future::or(async { Ok(Happening::Signal(signal.await)) }, thing).await
}
