//! Waiters in the order of their arrival.

use super::node::{Links, Waiter};
use super::signal::Signal;
use super::taken::{Taken, TakenList};
use std::{fmt, mem, ptr};

/// The `place` of a waiter that was taken.
const TAKEN: *const () = ptr::without_provenance(1);

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The waiter is in no queue now. Or it was in none: one that can't be taken any more may have been removed by
    /// another thread.
    Removed,
    /// Another thread has taken it, and settles it.
    WasTaken,
}

/// The waiters of one kind, in the order of their arrival. See the [module](super).
pub(crate) struct Queue<T> {
    first: *const Waiter<T>,
    last: *const Waiter<T>,
}

// SAFETY: a queue is used by the holder of its lock, and its waiters' messages are passed between threads.
// What else it reaches of a waiter is the lock holder's too, as the module's table says.
unsafe impl<T: Send> Send for Queue<T> {}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Queue { first: ptr::null(), last: ptr::null() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Accesses the message of the waiter that has been in the queue the longest.
    pub(crate) fn first<R>(&mut self, access: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: queued, so it is alive by Q3.
        let waiter = unsafe { &*self.first };
        // SAFETY: the message is the lock holder's, which has `self`.
        Some(waiter.message.with_mut(|message| access(unsafe { &mut *message })))
    }

    /// Adds a waiter at the end.
    ///
    /// # Safety
    /// - Until the waiter has been removed or taken, the queue stays alive and isn't moved.
    /// - The waiter is removed from this queue, or from none.
    ///
    /// # Panics
    /// If the waiter isn't idle.
    pub(crate) unsafe fn push(&mut self, waiter: &Waiter<T>) {
        assert!(waiter.is_idle.replace(false), "a waiter is in one queue at a time");
        // SAFETY: the waiter is idle, and so its own thread's, which is this one: it isn't `Sync`.
        waiter.place.with_mut(|place| unsafe { *place = ptr::from_mut(self).cast() });
        let last = mem::replace(&mut self.last, waiter);
        // SAFETY: as above.
        unsafe { Waiter::links(waiter, |links| links.before = last) };
        if last.is_null() {
            self.first = waiter;
        } else {
            // SAFETY: queued, so it is alive by Q3, and the lock's holder, which has `self`, owns its links.
            unsafe { Waiter::links(last, |links| links.after = waiter) };
        }
    }

    /// Removes the calling thread's own waiter from wherever it is in the queue, if it is still in.
    ///
    /// # Panics
    /// If the waiter is in another queue.
    pub(crate) fn remove(&mut self, waiter: &Waiter<T>) -> Removal {
        // SAFETY: by the contract of `push` this is the queue that it was pushed into, whose lock is held.
        let place = waiter.place.with(|place| unsafe { *place });
        if ptr::eq(place, TAKEN) {
            return Removal::WasTaken;
        }
        if !place.is_null() {
            assert!(ptr::addr_eq(place, self), "a waiter is removed from the queue that it is in");
            // SAFETY: it is in this queue.
            unsafe { self.unlink(waiter, ptr::null()) };
        }
        waiter.is_idle.set(true);
        Removal::Removed
    }

    /// Calls `f` with the signal of the calling thread's own waiter, if that is still in the queue.
    pub(crate) fn if_queued<R>(
        &mut self,
        waiter: &Waiter<T>,
        f: impl FnOnce(&Signal) -> R,
    ) -> Option<R> {
        // SAFETY: as in `remove`.
        let place = waiter.place.with(|place| unsafe { *place });
        ptr::addr_eq(place, self).then(|| f(waiter.signal()))
    }

    /// Takes out the waiter that has been in the queue the longest. Waiters of threads that another queue's waiter
    /// was taken for, or that have given up, are removed on the way.
    pub(crate) fn take_first(&mut self) -> Option<Taken<T>> {
        while !self.first.is_null() {
            let first = self.first;
            // SAFETY: queued, so it and its signal are alive by Q3 until it is unlinked and the lock released.
            let is_taken = unsafe { (*first).signal() }.take();
            // SAFETY: it is in this queue.
            unsafe { self.unlink(first, if is_taken { TAKEN } else { ptr::null() }) };
            if is_taken {
                return Some(Taken { waiter: first });
            }
        }
        None
    }

    /// Whether a waiter is in the queue that can still be taken.
    pub(crate) fn has_any(&mut self) -> bool {
        self.has_other(ptr::null())
    }

    /// Whether a waiter is in the queue that can still be taken, other than those that share `signal`.
    pub(crate) fn has_other(&mut self, signal: *const Signal) -> bool {
        let mut next = self.first;
        while !next.is_null() {
            // SAFETY: queued, so it is alive by Q3.
            let waiter = unsafe { &*next };
            if !ptr::eq(waiter.signal, signal) && !waiter.signal().seems_taken() {
                return true;
            }
            // SAFETY: queued, and the lock's holder, which has `self`, owns its links.
            next = unsafe { Waiter::links(waiter, |links| links.after) };
        }
        false
    }

    /// Takes out all waiters.
    pub(crate) fn take_all(&mut self) -> TakenList<T> {
        let mut list = TakenList::new();
        while let Some(taken) = self.take_first() {
            list.push(taken);
        }
        list
    }

    /// Unlinks a waiter; its `place` is `now` then.
    ///
    /// # Safety
    /// The waiter is in this queue.
    unsafe fn unlink(&mut self, waiter: *const Waiter<T>, now: *const ()) {
        let take = |links: &mut Links<T>| {
            (
                mem::replace(&mut links.before, ptr::null()),
                mem::replace(&mut links.after, ptr::null()),
            )
        };
        // SAFETY: queued, so it is alive by Q3, and the lock's holder, which has `self`, owns its links.
        let (before, after) = unsafe { Waiter::links(waiter, take) };
        // SAFETY: as above.
        let place = unsafe { &(*waiter).place };
        // SAFETY: as above.
        place.with_mut(|place| unsafe { *place = now });
        if before.is_null() {
            self.first = after;
        } else {
            // SAFETY: in this queue too.
            unsafe { Waiter::links(before, |links| links.after = after) };
        }
        if after.is_null() {
            self.last = before;
        } else {
            // SAFETY: in this queue too.
            unsafe { Waiter::links(after, |links| links.before = before) };
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}
