//! The other side: waiters that were taken out of their queue, and are to be settled.

use super::node::Waiter;
use super::signal::{Signal, WakeUp};
use crate::sys::requeue_one;
use std::{mem, ptr};

/// A waiter that was taken out of its queue, and whose thread waits to be settled.
///
/// Dropping it settles the waiter. Do so when the queue's lock is released: a thread that is woken under it
/// could run in place of the lock's holder, and want it.
#[must_use = "a waiter is settled when this is dropped"]
pub(crate) struct Taken<T> {
    pub(super) waiter: *const Waiter<T>,
}

impl<T> Taken<T> {
    /// Accesses the message.
    pub(crate) fn message<R>(&mut self, access: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: taken, so it is alive by Q3.
        let waiter = unsafe { &*self.waiter };
        // SAFETY: the message of a taken waiter is the `Taken`'s, which is borrowed mutably.
        waiter.message.with_mut(|message| access(unsafe { &mut *message }))
    }

    /// Lets the waiter's thread go on.
    pub(crate) fn settle(self) {
        drop(self);
    }

    /// Settles the waiter, and leaves its thread's wake-up to the caller. This may be done under the queue's lock:
    /// a thread that waits awake goes on at once, and one that sleeps is woken when the lock is released.
    pub(crate) fn release(self) -> WakeUp {
        let signal = self.signal();
        mem::forget(self);
        // SAFETY: taken, so the waiter and its signal are alive by Q3.
        unsafe { Signal::settle(signal) }
    }

    /// Lets the waiter's thread go on once a wake-up at the address `to` comes: if `decide` returns `true`
    /// and the thread is asleep, it is moved there. If `decide` returns `false`, it is woken.
    ///
    /// What `decide` does, the settling and the move are one step to all other users of both addresses. It
    /// must not unwind, block, park or unpark.
    pub(crate) fn settle_moving(mut self, to: usize, decide: impl FnOnce(&mut T) -> bool) {
        let signal = self.signal();
        let mut moves = false;
        let mut wake_up = None;
        requeue_one(signal.addr(), to, || {
            moves = self.message(decide);
            // SAFETY: taken, so the waiter and its signal are alive by Q3.
            wake_up = Some(unsafe { Signal::settle(signal) });
            moves
        });
        mem::forget(self);
        if !moves {
            wake_up.into_iter().for_each(WakeUp::wake);
        }
    }

    fn signal(&self) -> *const Signal {
        // SAFETY: taken, so it is alive by Q3.
        unsafe { (*self.waiter).signal }
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        // SAFETY: taken, so the waiter and its signal are alive by Q3.
        unsafe { Signal::settle(self.signal()) }.wake();
    }
}

/// Taken waiters, in the order in which they were added. Dropping it settles them in that order.
pub(crate) struct TakenList<T> {
    /// Linked by `after` alone.
    first: *const Waiter<T>,
    last: *const Waiter<T>,
    len: usize,
}

impl<T> TakenList<T> {
    pub(crate) const fn new() -> Self {
        TakenList { first: ptr::null(), last: ptr::null(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, taken: Taken<T>) {
        let waiter = taken.waiter;
        mem::forget(taken);
        let last = mem::replace(&mut self.last, waiter);
        if last.is_null() {
            self.first = waiter;
        } else {
            // SAFETY: taken, so it is alive by Q3; its links are this list's.
            unsafe { Waiter::links(last, |links| links.after = waiter) };
        }
        self.len += 1;
    }
}

impl<T> Iterator for TakenList<T> {
    type Item = Taken<T>;

    fn next(&mut self) -> Option<Taken<T>> {
        let waiter = self.first;
        if waiter.is_null() {
            return None;
        }
        // SAFETY: taken, so it is alive by Q3; its links are this list's.
        self.first = unsafe { Waiter::links(waiter, |links| links.after) };
        if self.first.is_null() {
            self.last = ptr::null();
        }
        self.len -= 1;
        Some(Taken { waiter })
    }
}

impl<T> Drop for TakenList<T> {
    fn drop(&mut self) {
        self.for_each(Taken::settle);
    }
}
