//! A task's wait in one queue. The waiter and its signal are in the task's memory, which is pinned.
//!
//! ```text
//! idle    => waiting   enter          the waiter is in the queue, until it is taken or removed
//! waiting => idle      poll, leave    it was taken and settled, or its own task has removed it
//! ```
//!
//! The thread that takes the waiter settles it under the same hold of the queue's lock. So a waiter that isn't in its
//! queue is settled, and neither a poll nor a cancellation blocks.
//!
//! Wakers are user code: they are cloned and dropped without a lock. Only a clone may unwind, at a moment when nothing
//! has changed. The panic of a drop ends with the panic hook.

use super::node::{AbortOnUnwind, Waiter};
use super::queue::{Queue, Removal};
use super::signal::Signal;
use crate::sys::{Mutex, catch, discard};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::{fmt, mem};

/// See the [module](self).
///
/// Its owner calls [`leave`](TaskWait::leave) before it drops it.
pub(crate) struct TaskWait<T> {
    wait: Option<Wait<T>>,
    /// The queue points to the waiter, and the waiter to the signal.
    _pinned: PhantomPinned,
}

struct Wait<T> {
    /// Filled in once the signal has its address.
    waiter: Option<Waiter<T>>,
    signal: Signal,
}

// SAFETY: the waiter is used through its queue's lock and its signal, by whichever thread polls the task. Its message
// may be sent to another thread.
unsafe impl<T: Send> Send for TaskWait<T> {}
// SAFETY: a shared one tells no more than whether it waits.
unsafe impl<T: Send> Sync for TaskWait<T> {}

impl<T> TaskWait<T> {
    pub(crate) const fn new() -> Self {
        TaskWait { wait: None, _pinned: PhantomPinned }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    /// Idle => waiting, if `enter` pushes the waiter into its queue. Otherwise returns the message.
    ///
    /// # Aborts
    /// If `enter` panics.
    pub(crate) fn enter(
        self: Pin<&mut Self>,
        message: T,
        waker: &Waker,
        enter: impl FnOnce(&Waiter<T>),
    ) -> Option<T> {
        debug_assert!(!self.is_waiting(), "a task waits in one queue");
        let waker = waker.clone();
        let place = self.wait();
        let wait = place.insert(Wait { waiter: None, signal: Signal::new() });
        // SAFETY: no waiter has the signal yet.
        unsafe { wait.signal.set_waker(waker) };
        // SAFETY: the signal is dropped together with the waiter, and neither is moved or dropped while the waiter is
        // queued or taken: the owner calls `leave` first.
        let waiter = wait.waiter.insert(unsafe { Waiter::new(message, &wait.signal) });
        let complete = AbortOnUnwind;
        enter(waiter);
        let is_in = !waiter.is_idle.get();
        mem::forget(complete);
        if is_in { None } else { place.take().map(Wait::end) }
    }

    /// Waiting => idle if the waiter was taken: returns the message as the taker has left it. Otherwise `waker` will
    /// wake the task.
    ///
    /// `lock` protects the queue that the waiter was pushed into.
    pub(crate) fn poll<S>(
        self: Pin<&mut Self>,
        lock: &Mutex<S>,
        queue: fn(&mut S) -> &mut Queue<T>,
        waker: &Waker,
    ) -> Poll<T> {
        let place = self.wait();
        let wait = place.as_ref().expect("it waits");
        if !wait.signal.is_settled() && wait.keeps_waiting(lock, queue, waker) {
            return Poll::Pending;
        }
        Poll::Ready(place.take().map(Wait::end).expect("it waited"))
    }

    /// Waiting => idle: `remove` removes the waiter from its queue, under the lock, if it is still in. Returns the
    /// message, and whether the waiter was removed or had been taken. `None` if it is idle.
    ///
    /// # Aborts
    /// If `remove` panics.
    pub(crate) fn leave(
        self: Pin<&mut Self>,
        remove: impl FnOnce(&Waiter<T>) -> Removal,
    ) -> Option<(T, Removal)> {
        let place = self.wait();
        let waiter = place.as_ref()?.waiter.as_ref()?;
        let complete = AbortOnUnwind;
        let removal = remove(waiter);
        mem::forget(complete);
        place.take().map(|wait| (wait.end(), removal))
    }

    /// The wait. It isn't moved or dropped while the waiter is queued or taken.
    fn wait(self: Pin<&mut Self>) -> &mut Option<Wait<T>> {
        // SAFETY: by the rule above nothing is moved that a queue points to.
        unsafe { &mut self.get_unchecked_mut().wait }
    }
}

impl<T> Wait<T> {
    /// Has `waker` wake the task. Returns `false` if the waiter is settled.
    fn keeps_waiting<S>(
        &self,
        lock: &Mutex<S>,
        queue: fn(&mut S) -> &mut Queue<T>,
        waker: &Waker,
    ) -> bool {
        let Some(waiter) = &self.waiter else { return false };
        // SAFETY: the only waiter of its signal is queued, and its queue's lock is held.
        let will_wake = |signal: &Signal| unsafe { signal.will_wake(waker) };
        match queue(&mut lock.lock()).if_queued(waiter, will_wake) {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        let mut waker = Some(waker.clone());
        let replace = |signal: &Signal| {
            // SAFETY: as above.
            waker = waker.take().and_then(|waker| unsafe { signal.set_waker(waker) });
        };
        let is_queued = queue(&mut lock.lock()).if_queued(waiter, replace).is_some();
        // The one before; the new one if the waiter was settled meanwhile.
        drop_waker(waker);
        is_queued
    }

    /// Ends a wait whose waiter is idle or settled.
    fn end(self) -> T {
        let message = self.waiter.map(Waiter::into_message).expect("made with the wait");
        drop_waker(self.signal.into_waker());
        message
    }
}

/// Drops a waker. Its panic ends with the panic hook.
fn drop_waker(waker: Option<Waker>) {
    if let Err(payload) = catch(|| drop(waker)) {
        discard(payload);
    }
}

impl<T> fmt::Debug for TaskWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWait").field("is_waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}
