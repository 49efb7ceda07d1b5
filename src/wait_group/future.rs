//! Awaiting a group, on any executor.

use super::group::WaitGroup;
use super::word::BUSY;
use crate::support::latch::TASKS;
use crate::support::wakers::{Ticket, cancel_task, park_task};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for a [`WaitGroup`]'s count to be zero: the future behind `(&group).await`.
///
/// It needs no particular runtime. Dropping it ends the wait; forgetting it leaks its waker. If its waker panics,
/// the panic hook runs, and the other waiters are still woken.
///
/// # Panics
/// A poll resumes a panic as [`WaitGroup::wait`] does.
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct WaitFuture<'a> {
    group: &'a WaitGroup,
    ticket: Option<Ticket>,
}

impl WaitFuture<'_> {
    fn cancel(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            cancel_task(ticket);
        }
    }
}

impl Future for WaitFuture<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // The waker may have changed since the last poll.
        self.cancel();
        let latch = self.group.latch();
        loop {
            match latch.announce(BUSY, TASKS) {
                Err(word) => {
                    self.group.shared().finish(word);
                    return Poll::Ready(());
                }
                Ok(_) => {
                    let validate = || latch.must_wait(BUSY, TASKS);
                    if let Some(ticket) = park_task(latch.address(), validate, context.waker()) {
                        self.ticket = Some(ticket);
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drop for WaitFuture<'_> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<'a> IntoFuture for &'a WaitGroup {
    type Output = ();
    type IntoFuture = WaitFuture<'a>;

    /// Returns a future that waits for the group without blocking the thread.
    ///
    /// # Examples
    /// ```
    /// # use std::task::{Context, Poll, Waker};
    /// # use std::future::Future;
    /// use phalanx::WaitGroup;
    ///
    /// async fn all_done(group: &WaitGroup) {
    ///     group.await;
    /// }
    /// # let group = WaitGroup::new();
    /// # let mut future = std::pin::pin!(all_done(&group));
    /// # assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    /// ```
    fn into_future(self) -> WaitFuture<'a> {
        WaitFuture { group: self, ticket: None }
    }
}
