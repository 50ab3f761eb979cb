//! What one task leaves for another on the same thread.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

/// Values in the order in which they were left. Clones share them; one task at a time waits.
pub struct Mailbox<T>(Rc<RefCell<Inner<T>>>);

struct Inner<T> {
    waiting: VecDeque<T>,
    waker: Option<Waker>,
}

impl<T> Mailbox<T> {
    /// Leaves a value, and wakes who waits for it.
    pub fn put(&self, value: T) {
        let waker = {
            let mut inner = self.0.borrow_mut();
            inner.waiting.push_back(value);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the oldest value.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().waiting.pop_front()
    }

    /// Whether there is a value to take.
    pub fn poll_filled(&self, context: &Context<'_>) -> Poll<()> {
        let mut inner = self.0.borrow_mut();
        if !inner.waiting.is_empty() {
            return Poll::Ready(());
        }
        match &mut inner.waker {
            Some(old) => old.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits for a value.
    pub async fn next(&self) -> T {
        poll_fn(|context| {
            let value = self.take();
            if value.is_none() {
                let _ = self.poll_filled(context);
            }
            value.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Inner {
            waiting: VecDeque::new(),
            waker: None,
        })))
    }
}
