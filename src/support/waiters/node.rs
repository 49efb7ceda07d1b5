//! A waiting thread's own side: its node, and the wait.

use crate::support::backoff::Spin;
use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::{Parked, park};
use std::cell::Cell;
use std::time::Instant;
use std::{mem, process, ptr};

/// A thread that waits, or is about to. Made by [`wait`].
pub(crate) struct Waiter<T> {
    /// The queue that it is in, or null.
    pub(super) place: UnsafeCell<*const ()>,
    links: UnsafeCell<Links<T>>,
    pub(super) message: UnsafeCell<T>,
    pub(super) is_settled: AtomicBool,
    /// Whether it is idle; its own thread's to read and write.
    pub(super) is_idle: Cell<bool>,
}

/// A waiter's neighbours, in a queue or in a list of taken ones; null at the ends.
pub(super) struct Links<T> {
    pub(super) before: *const Waiter<T>,
    pub(super) after: *const Waiter<T>,
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
    pub(super) fn new(message: T) -> Self {
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

    pub(super) fn is_settled(&self) -> bool {
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
    /// - Its links belong to the caller, by the table in the [module](super).
    pub(super) unsafe fn links<R>(this: *const Self, access: impl FnOnce(&mut Links<T>) -> R) -> R {
        // SAFETY: by the contract.
        let waiter = unsafe { &*this };
        // SAFETY: by the contract no other thread accesses the links meanwhile, and neither does `access`.
        waiter.links.with_mut(|links| access(unsafe { &mut *links }))
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
