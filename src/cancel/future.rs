//! Awaiting a token, on any executor.

use super::reason::CancelReason;
use super::token::CancelToken;
use crate::support::waiters::{AbortOnUnwind, Signal, Waiter};
use crate::sys::{catch, discard};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

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
    /// Not moved while its waiter is in the token's queue.
    wait: Option<Wait>,
    _pinned: PhantomPinned,
}

struct Wait {
    /// `None` until the signal has its address.
    waiter: Option<Waiter<()>>,
    signal: Signal,
}

// SAFETY: the waiter is used through its queue's lock and its signal, by whichever thread has the future.
unsafe impl Send for CancelFuture<'_> {}
// SAFETY: nothing can be done with a shared future but to format it, which asks for the token alone.
unsafe impl Sync for CancelFuture<'_> {}

impl std::panic::UnwindSafe for CancelFuture<'_> {}
impl std::panic::RefUnwindSafe for CancelFuture<'_> {}

impl CancelFuture<'_> {
    fn wait(self: Pin<&mut Self>) -> &mut Option<Wait> {
        // SAFETY: what a queue points to is not moved: `enter` makes it in place, and `end_wait` takes it out after it
        // has left.
        unsafe { &mut self.get_unchecked_mut().wait }
    }

    /// Enters the queue, unless the token is cancelled.
    fn enter(mut self: Pin<&mut Self>, waker: Waker) -> bool {
        let token = self.token;
        let wait = self.as_mut().wait().insert(Wait { waiter: None, signal: Signal::new() });
        // SAFETY: no waiter has the signal yet.
        unsafe { wait.signal.set_waker(waker) };
        // SAFETY: the signal is dropped together with the waiter, and neither is moved while it is in use.
        let waiter = wait.waiter.insert(unsafe { Waiter::new((), &wait.signal) });
        // SAFETY: the wait is pinned, and leaves before it is dropped; the token is borrowed until then. If the future is
        // leaked the token may go, but the waiter's memory stays, and nothing else uses it.
        let is_in = unsafe { token.enter(waiter) };
        if !is_in {
            self.end_wait();
        }
        is_in
    }

    /// Has `waker` wake the task. Returns `false` if the waiter is settled: the token is cancelled.
    fn keeps_waiting(&self, waker: &Waker) -> bool {
        let Some(Wait { waiter: Some(waiter), .. }) = &self.wait else {
            return false;
        };
        // SAFETY: the only waiter of its signal is queued, and its queue's lock is held.
        let will_wake = |signal: &Signal| unsafe { signal.will_wake(waker) };
        match self.token.node.inner.lock().waiters.if_queued(waiter, will_wake) {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        let mut waker = Some(waker.clone());
        let replace = |signal: &Signal| {
            // SAFETY: as above.
            waker = waker.take().and_then(|waker| unsafe { signal.set_waker(waker) });
        };
        let is_queued = self.token.node.inner.lock().waiters.if_queued(waiter, replace).is_some();
        // The one before, or if the waiter was settled meanwhile, the new one.
        drop_waker(waker);
        is_queued
    }

    /// Leaves the queue.
    fn end_wait(mut self: Pin<&mut Self>) {
        let Some(Wait { waiter: Some(waiter), .. }) = &self.wait else {
            return;
        };
        let complete = AbortOnUnwind;
        self.token.leave(waiter);
        mem::forget(complete);
        if let Some(Wait { waiter, signal }) = self.as_mut().wait().take() {
            waiter.map(Waiter::into_message);
            drop_waker(signal.into_waker());
        }
    }
}

/// Drops a waker. Its panic ends with the panic hook.
fn drop_waker(waker: Option<Waker>) {
    if let Err(payload) = catch(|| drop(waker)) {
        discard(payload);
    }
}

impl Future for CancelFuture<'_> {
    type Output = CancelReason;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CancelReason> {
        if self.keeps_waiting(context.waker()) {
            return Poll::Pending;
        }
        self.as_mut().end_wait();
        loop {
            if let Some(reason) = self.token.reason() {
                return Poll::Ready(reason);
            }
            if self.as_mut().enter(context.waker().clone()) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for CancelFuture<'_> {
    fn drop(&mut self) {
        // SAFETY: the future isn't moved any more.
        unsafe { Pin::new_unchecked(self) }.end_wait();
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
        CancelFuture { token: self, wait: None, _pinned: PhantomPinned }
    }
}

impl fmt::Debug for CancelFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFuture").field("token", self.token).finish_non_exhaustive()
    }
}
