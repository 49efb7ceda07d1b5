//! A queue of waiters whose nodes live on the waiting threads' stacks.
//!
//! A [`Queue`] is plain state. It stands behind a lock of its user's, beside what the threads wait for. A
//! thread that has to wait calls [`wait`], which puts a [`Waiter`] on its stack; the thread pushes it under
//! the lock. Another thread takes the waiter out under the lock, and *settles* it afterwards: the waiter's
//! thread goes on then. So the queue never allocates, a removal from the middle takes constant time, and
//! nobody is woken under the user's lock.
//!
//! Each waiter carries a *message*, by which the two threads tell each other what they have to: what the
//! waiter wants, and what it gets.
//!
//! ```text
//! idle   => queued     push        its own thread, under the queue's lock
//! queued => idle       remove      its own thread, under the lock: a time-out
//! queued => taken      take        any thread, under the lock
//! taken  => settled    settle      the thread that took it, with or without the lock
//! ```
//!
//! | field | idle | queued | taken | settled |
//! | --- | --- | --- | --- | --- |
//! | `place` | null | the queue | null | null |
//! | `is_settled` | `false` | `false` | `false` | `true` |
//! | `place` belongs to | its thread | the lock's holder | the lock's holder | its thread |
//! | `links` and `message` belong to | its thread | the lock's holder | the `Taken` | its thread |
//!
//! Its own thread may read `is_settled` in each state.
//!
//! Invariants:
//!
//! - **Q1.** A waiter is in a queue if and only if `place` says so, and both change in one step under the
//!   lock. So a waiter is either taken or removed: a time-out that comes too late to remove its waiter
//!   knows that it is about to be settled.
//! - **Q2.** A taken waiter is settled exactly once: a [`Taken`] can't be copied, and one that is dropped,
//!   by a panic too, settles its waiter. So a thread whose waiter is taken may wait without a deadline.
//! - **Q3.** [`wait`] returns, or unwinds, only while its waiter is idle or settled; otherwise it aborts.
//!   So every pointer in a queue or a `Taken` leads to a living waiter.
//! - **Q4.** The store that settles a waiter is the last use of it by another thread. The wake-up that
//!   follows needs the address alone.
//! - **Q5.** Waiters are taken in the order in which they were pushed. A removal leaves the others in
//!   theirs.
//! - **Q6.** A thread sleeps at its waiter's address only while the waiter isn't settled (its `validate`,
//!   which no wake-up can slip past), and each settling is followed by a wake-up of that address, or has
//!   moved the sleeping thread elsewhere in the same step. So no thread sleeps here that was settled, and
//!   no thread is moved that wasn't.
//!
//! Orderings: a waiter is settled with Release and its thread reads that with Acquire. So the taker's use of
//! the message happens before the return of the wait. Everything else is ordered by the user's lock.

use super::backoff::Spin;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::{Parked, park, requeue_one, unpark_threads};
use std::cell::Cell;
use std::time::Instant;
use std::{fmt, mem, process, ptr};

/// The waiters of one kind, in the order of their arrival. See the [module](self).
pub(crate) struct Queue<T> {
    first: *const Waiter<T>,
    last: *const Waiter<T>,
}

// SAFETY: a queue is used by the holder of its lock, and its waiters' messages are passed between threads.
// What else it reaches of a waiter is the lock holder's too, as the module's table says.
unsafe impl<T: Send> Send for Queue<T> {}

/// A thread that waits, or is about to. Made by [`wait`].
pub(crate) struct Waiter<T> {
    /// The queue that it is in, or null.
    place: UnsafeCell<*const Queue<T>>,
    links: UnsafeCell<Links<T>>,
    message: UnsafeCell<T>,
    is_settled: AtomicBool,
    /// Whether it is idle; its own thread's to read and write.
    is_idle: Cell<bool>,
}

/// A waiter's neighbours, in a queue or in a list of taken ones; null at the ends.
struct Links<T> {
    before: *const Waiter<T>,
    after: *const Waiter<T>,
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The thread has removed its waiter.
    Removed,
    /// Another thread has settled it. What ended the last sleep matters to a thread that may have been
    /// moved: [`Parked::Handed`] if it was handed what it was moved for, [`Parked::Woken`] if it was
    /// woken there or here, [`Parked::Invalid`] if it didn't sleep.
    Settled(Parked),
}

/// Waits until another thread settles this thread's waiter, or until the deadline.
///
/// `enter` pushes the waiter into a queue, under its lock, and then unlocks. If it doesn't push, the wait is
/// over. `leave` is called at the deadline: it removes the waiter from its queue, under the lock, if it is
/// still in. If it isn't, the wait ends as settled.
///
/// Returns the message as the other thread has left it.
///
/// # Aborts
/// If `enter` or `leave` panics: other threads could use the waiter after its end.
#[inline]
#[track_caller]
pub(crate) fn wait<T>(
    message: T,
    spin: Option<Spin>,
    deadline: Option<Instant>,
    enter: impl FnOnce(&Waiter<T>),
    leave: impl FnOnce(&Waiter<T>),
) -> (T, Ended) {
    let waiter = Waiter::new(message);
    let complete = AbortOnUnwind;
    enter(&waiter);
    let mut parked = if waiter.is_idle.get() {
        Parked::Invalid
    } else {
        spin.and_then(|spin| spin.poll(|| waiter.seems_settled().then_some(())));
        waiter.sleep(deadline)
    };
    if parked == Parked::TimedOut {
        leave(&waiter);
        if !waiter.is_idle.get() {
            // Q1 and Q2: about to be settled, if it isn't yet.
            parked = waiter.sleep(None);
        }
    }
    let ended = if waiter.is_idle.get() { Ended::Removed } else { Ended::Settled(parked) };
    mem::forget(complete);
    (waiter.into_message(), ended)
}

impl<T> Waiter<T> {
    #[track_caller]
    fn new(message: T) -> Self {
        Waiter {
            place: UnsafeCell::new(ptr::null()),
            links: UnsafeCell::new(Links { before: ptr::null(), after: ptr::null() }),
            message: UnsafeCell::new(message),
            is_settled: AtomicBool::new(false),
            is_idle: Cell::new(true),
        }
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    fn is_settled(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release in `Taken::settle_only`. A read-modify-write, which
        // reads the newest value: an unlock may wake a waiter that has just been moved, and the seam
        // doesn't order the two.
        self.is_settled.fetch_or(false, Ordering::Acquire)
    }

    /// Whether it is worth while to spin no longer.
    fn seems_settled(&self) -> bool {
        // ORDERING: Relaxed: a hint; `sleep` asks again.
        self.is_settled.load(Ordering::Relaxed)
    }

    /// Sleeps until the waiter is settled or the deadline has come. A moved thread is settled.
    #[track_caller]
    fn sleep(&self, deadline: Option<Instant>) -> Parked {
        let mut parked = Parked::Invalid;
        while !self.is_settled() {
            // Q6.
            parked = park(self.address(), || !self.is_settled(), deadline);
            if parked == Parked::TimedOut {
                break;
            }
        }
        parked
    }

    /// Ends the life of a waiter that is idle or settled.
    fn into_message(self) -> T {
        // In a model these are accesses that race with any other thread's that isn't over (Q4).
        self.place.with_mut(|_| ());
        self.links.with_mut(|_| ());
        self.message.with_mut(|_| ());
        self.message.into_inner()
    }

    /// Accesses the links.
    ///
    /// # Safety
    /// - The waiter is alive.
    /// - Its links belong to the caller, by the table in the [module](self).
    unsafe fn links<R>(this: *const Self, access: impl FnOnce(&mut Links<T>) -> R) -> R {
        // SAFETY: by the contract.
        let waiter = unsafe { &*this };
        // SAFETY: by the contract nobody else accesses the links meanwhile, and neither does `access`.
        waiter.links.with_mut(|links| access(unsafe { &mut *links }))
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Queue { first: ptr::null(), last: ptr::null() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds a waiter at the end.
    ///
    /// # Safety
    /// - Until the waiter has been removed or taken, the queue stays alive and in its place.
    ///
    /// # Panics
    /// If the waiter isn't idle.
    pub(crate) unsafe fn push(&mut self, waiter: &Waiter<T>) {
        assert!(waiter.is_idle.replace(false), "a waiter is in one queue at a time");
        // SAFETY: the waiter is idle, and so its own thread's, which is this one: it isn't `Sync`.
        waiter.place.with_mut(|place| unsafe { *place = self });
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

    /// Removes the calling thread's own waiter from wherever it is in the queue. Returns `false` if it isn't
    /// in: another thread has taken it.
    ///
    /// # Panics
    /// If the waiter is in another queue.
    pub(crate) fn remove(&mut self, waiter: &Waiter<T>) -> bool {
        // SAFETY: under the lock of the waiter's queue its place changes for nobody else. (A caller with
        // another queue's lock breaks the contract of `push`, under which it was handed the waiter.)
        let place = waiter.place.with(|place| unsafe { *place });
        if place.is_null() {
            return false;
        }
        assert!(ptr::eq(place, self), "a waiter is removed from the queue that it is in");
        // SAFETY: it is in this queue.
        unsafe { self.unlink(waiter) };
        waiter.is_idle.set(true);
        true
    }

    /// Takes out the waiter that has been in the queue the longest.
    pub(crate) fn take_first(&mut self) -> Option<Taken<T>> {
        let first = self.first;
        if first.is_null() {
            return None;
        }
        // SAFETY: it is in this queue.
        unsafe { self.unlink(first) };
        Some(Taken { waiter: first })
    }

    /// Takes out all waiters.
    pub(crate) fn take_all(&mut self) -> TakenList<T> {
        let mut list = TakenList::new();
        while let Some(taken) = self.take_first() {
            list.push(taken);
        }
        list
    }

    /// # Safety
    /// The waiter is in this queue.
    unsafe fn unlink(&mut self, waiter: *const Waiter<T>) {
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
        place.with_mut(|place| unsafe { *place = ptr::null() });
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

/// A waiter that was taken out of its queue, and whose thread waits to be settled.
///
/// Dropping it settles the waiter. Do so when the queue's lock is released: a thread that is woken under it
/// could run in place of the lock's holder, and want it.
#[must_use = "a waiter is settled when this is dropped"]
pub(crate) struct Taken<T> {
    waiter: *const Waiter<T>,
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

    /// Lets the waiter's thread go on once a wake-up at the address `to` comes: if `decide` returns `true`
    /// and the thread is asleep, it is moved there. If `decide` returns `false`, it is woken.
    ///
    /// What `decide` does, the settling and the move are one step to all other users of both addresses. It
    /// must not unwind, block, park or unpark.
    pub(crate) fn settle_moving(mut self, to: usize, decide: impl FnOnce(&mut T) -> bool) {
        let address = self.address();
        let mut moves = false;
        requeue_one(address, to, || {
            moves = self.message(decide);
            self.settle_only();
            moves
        });
        mem::forget(self);
        if !moves {
            unpark_threads(address);
        }
    }

    fn address(&self) -> usize {
        self.waiter.addr()
    }

    /// taken => settled. The last use of the waiter (Q4).
    fn settle_only(&self) {
        // SAFETY: taken, so it is alive by Q3 up to the store.
        let is_settled = unsafe { &(*self.waiter).is_settled };
        // ORDERING: Release: pairs with the Acquire in `Waiter::is_settled`.
        is_settled.store(true, Ordering::Release);
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        let address = self.address();
        self.settle_only();
        unpark_threads(address);
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

/// Ends the process if it is dropped: in a place where an unwinding thread would leave behind what others
/// still use.
pub(crate) struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        process::abort();
    }
}

#[cfg(test)]
mod models;

#[cfg(test)]
mod tests;
