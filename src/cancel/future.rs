//! Awaiting a token, on any executor.

use super::reason::CancelReason;
use super::token::CancelToken;
use crate::support::waiters::{TaskWait, Waiter};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits until a [`CancelToken`] is cancelled: the future behind `(&token).await`.
///
/// It needs no particular executor, and may be dropped at any time. Leaking it after a poll, with
/// [`mem::forget`](std::mem::forget), leaks its waker.
///
/// If its waker panics when it is woken or dropped, the panic hook runs and nothing else happens. A panic of the
/// waker's clone unwinds from the poll, which has then done nothing.
#[must_use = "a future does nothing unless it is polled"]
pub struct CancelFuture<'a> {
    token: &'a CancelToken,
    wait: TaskWait<()>,
}

impl std::panic::UnwindSafe for CancelFuture<'_> {}
impl std::panic::RefUnwindSafe for CancelFuture<'_> {}

impl CancelFuture<'_> {
    /// The parts, of which the wait is pinned: it isn't moved out of the future, and the drop treats it as pinned.
    fn parts(self: Pin<&mut Self>) -> (&CancelToken, Pin<&mut TaskWait<()>>) {
        // SAFETY: as said above.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        (this.token, unsafe { Pin::new_unchecked(&mut this.wait) })
    }
}

impl Future for CancelFuture<'_> {
    type Output = CancelReason;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CancelReason> {
        let (token, mut wait) = self.parts();
        let waker = context.waker();
        if wait.is_waiting() {
            let lock = &token.node.inner;
            if wait.as_mut().poll(lock, |inner| &mut inner.waiters, waker).is_pending() {
                return Poll::Pending;
            }
        }
        loop {
            if let Some(reason) = token.reason() {
                return Poll::Ready(reason);
            }
            // SAFETY: the future leaves the queue before it is dropped; the token is borrowed until then. If the future
            // is leaked the token may go, but the waiter's memory stays, and nothing else uses it.
            let enter = |waiter: &Waiter<()>| _ = unsafe { token.enter(waiter) };
            if wait.as_mut().enter((), waker, enter).is_none() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for CancelFuture<'_> {
    fn drop(&mut self) {
        // SAFETY: the future isn't moved any more.
        let (token, wait) = unsafe { Pin::new_unchecked(self) }.parts();
        wait.leave(|waiter| token.leave(waiter));
    }
}

impl<'a> IntoFuture for &'a CancelToken {
    type Output = CancelReason;
    type IntoFuture = CancelFuture<'a>;

    /// Returns a future that waits until the token is cancelled, without blocking the thread. It returns the reason.
    ///
    /// # Examples
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Poll, Waker};
    /// use phalanx::{CancelReason, CancelToken};
    ///
    /// async fn until_cancelled(token: &CancelToken) -> CancelReason {
    ///     token.await
    /// }
    /// # let token = CancelToken::new();
    /// # let mut future = pin!(until_cancelled(&token));
    /// # let mut context = Context::from_waker(Waker::noop());
    /// # assert!(future.as_mut().poll(&mut context).is_pending());
    /// # token.cancel();
    /// # assert!(future.as_mut().poll(&mut context).is_ready());
    /// ```
    fn into_future(self) -> CancelFuture<'a> {
        CancelFuture { token: self, wait: TaskWait::new() }
    }
}

impl fmt::Debug for CancelFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFuture").field("token", self.token).finish_non_exhaustive()
    }
}
