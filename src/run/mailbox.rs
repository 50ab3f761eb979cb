//! Where tasks leave what they have found out until the loop that drives a process takes it.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

/// Values that wait for the one who takes them; every clone posts to the same.
pub struct Mailbox<T>(Rc<RefCell<Waiting<T>>>);

struct Waiting<T> {
    values: VecDeque<T>,
    waker: Option<Waker>,
}

impl<T> Mailbox<T> {
    /// Leaves a value, and wakes who waits for one.
    pub fn post(&self, value: T) {
        let waker = {
            let mut waiting = self.0.borrow_mut();
            waiting.values.push_back(value);
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a value waits.
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiting = self.0.borrow_mut();
        if !waiting.values.is_empty() {
            return Poll::Ready(());
        }
        match &mut waiting.waker {
            Some(old) => old.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The first value that waits.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().values.pop_front()
    }

    /// Waits for a value.
    pub async fn next(&self) -> T {
        poll_fn(|context| {
            let value = self.take();
            if value.is_none() {
                let _ = self.poll(context);
            }
            value.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Throws away what is not to be kept.
    pub fn retain(&self, keep: impl FnMut(&T) -> bool) {
        self.0.borrow_mut().values.retain(keep);
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        let waiting = Waiting {
            values: VecDeque::new(),
            waker: None,
        };
        Self(Rc::new(RefCell::new(waiting)))
    }
}
