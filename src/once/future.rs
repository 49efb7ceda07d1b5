//! Awaiting a once, and making its value by a future.

use super::lock::OnceLock;
use super::word::{Begun, Goal, Once, Running};
use crate::support::wakers::{Ticket, cancel_task};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// The type's name, in messages.
const NAME: &str = "OnceLock";

/// A task's place among those that wait for a word; it is left by the drop.
#[derive(Debug)]
struct Waiting(Option<Ticket>);

impl Waiting {
    fn leave(&mut self) {
        if let Some(ticket) = self.0.take() {
            cancel_task(ticket);
        }
    }

    /// Registers the task's waker, in place of the last poll's. Returns `Ready` if the goal is reached.
    fn poll(&mut self, once: &Once, goal: Goal, context: &mut Context<'_>) -> Poll<()> {
        self.leave();
        self.0 = once.wait_as_task(goal, context.waker(), NAME);
        if self.0.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Waits until an [`OnceLock`] has a value: the future of [`OnceLock::wait_async`].
///
/// It needs no particular runtime. Dropping it ends the wait; forgetting it leaks its waker.
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct OnceWait<'a, T> {
    lock: &'a OnceLock<T>,
    waiting: Waiting,
}

impl<'a, T> Future for OnceWait<'a, T> {
    type Output = &'a T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'a T> {
        let lock = self.lock;
        loop {
            if let Some(value) = lock.get() {
                self.waiting.leave();
                return Poll::Ready(value);
            }
            if self.waiting.poll(&lock.once, Goal::Made, context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Waits until the caller may make the value, or needn't.
async fn begin(once: &Once) -> Option<Running<'_>> {
    let mut waiting = Waiting(None);
    poll_fn(|context| {
        loop {
            match once.begin() {
                Begun::Running(running) => return Poll::Ready(Some(running)),
                Begun::Made => return Poll::Ready(None),
                Begun::Poisoned => unreachable!("an `OnceLock` is never poisoned"),
                Begun::Busy => {}
            }
            if waiting.poll(once, Goal::Ended, context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

impl<T> OnceLock<T> {
    /// Returns a future that waits until the lock has a value: [`wait`](OnceLock::wait) for async code, on any
    /// executor.
    ///
    /// # Panics
    /// A poll panics inside an initialiser of this lock.
    pub fn wait_async(&self) -> OnceWait<'_, T> {
        OnceWait { lock: self, waiting: Waiting(None) }
    }

    /// Returns the value, and awaits `future` to make it if there is none: [`get_or_init`](OnceLock::get_or_init) for
    /// async code, on any executor.
    ///
    /// One task awaits its future. The others wait for it, and drop theirs without polling them.
    ///
    /// # Cancel safety
    /// It may be dropped at any time. If it is dropped while it awaits its future, the lock is empty again, and another
    /// task or thread that waits makes the value.
    ///
    /// # Panics
    /// As the future. A poll panics inside an initialiser of this lock.
    ///
    /// # Examples
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Poll, Waker};
    /// use phalanx::OnceLock;
    ///
    /// static ADDRESS: OnceLock<String> = OnceLock::new();
    ///
    /// async fn look_up() -> String {
    ///     "::1".to_owned()
    /// }
    ///
    /// async fn address() -> &'static str {
    ///     ADDRESS.get_or_init_async(look_up()).await
    /// }
    /// # let mut future = pin!(address());
    /// # assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready("::1"));
    /// ```
    pub async fn get_or_init_async(&self, future: impl Future<Output = T>) -> &T {
        let Ok(value) =
            self.get_or_try_init_async(async { Ok::<T, Infallible>(future.await) }).await;
        value
    }

    /// Returns the value, and awaits `future` to make it if there is none. An error leaves the lock empty.
    ///
    /// # Cancel safety
    /// As [`get_or_init_async`](OnceLock::get_or_init_async).
    ///
    /// # Errors
    /// That of the future. The next call tries again, or one that waits meanwhile.
    ///
    /// # Panics
    /// As [`get_or_init_async`](OnceLock::get_or_init_async).
    pub async fn get_or_try_init_async<E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let Some(running) = begin(&self.once).await else {
            // SAFETY: made, as `begin` has read with Acquire.
            return Ok(unsafe { self.get_made() });
        };
        let mut future = pin!(future);
        let polling = |context: &mut Context<'_>| running.inside(|| future.as_mut().poll(context));
        let value = poll_fn(polling).await?;
        Ok(self.fill(running, value))
    }
}
