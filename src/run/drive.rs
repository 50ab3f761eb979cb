//! How the VRRP process moves: wait for exactly one thing, give it to the router, carry everything out, only then wait again.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::io;

use smol::future;

use super::reactor::sleep_until;
use super::router::Router;

/// What can happen while nothing is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening<S> {
    /// A deadline has come, or there is work left.
    Due,
    /// An advert can be read from the socket in this place.
    Advert(usize),
    /// The kernel announces a change of links or addresses.
    Change,
    /// Somebody sent a signal.
    Signal(S),
}

/// Waits for the next thing. What has come in goes before what is due: one who slept must not take over from a master that
/// spoke meanwhile.
///
/// # Errors
/// The kernel cannot wait for one of the sockets.
pub async fn happening<S>(
    router: &Router,
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
        match due.as_mut().as_pin_mut().map(|due| due.poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Ok(Happening::Due)),
            _ => Poll::Pending,
        }
    });
    future::or(async { Ok(Happening::Signal(signal.await)) }, thing).await
}
