//! A waiting thread's own side: its node, and the wait.

use super::signal::Signal;
use crate::support::backoff::Spin;
use crate::sys::Parked;
use crate::sys::cell::UnsafeCell;
use std::cell::Cell;
use std::time::Instant;
use std::{mem, process, ptr};

/// A thread that waits in a queue, or is about to. Made by [`wait`], or by a thread that waits in several queues.
pub(crate) struct Waiter<T> {
    /// The queue that it is in, or null.
    pub(super) place: UnsafeCell<*const ()>,
    links: UnsafeCell<Links<T>>,
    pub(super) message: UnsafeCell<T>,
    /// How the thread is told. Several waiters of one thread share it, and one of them is taken.
    pub(super) signal: *const Signal,
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
    /// It hasn't begun: `enter` pushed nothing.
    NotEntered,
    /// The deadline came, and the thread has removed its waiter.
    Removed,
    /// Another thread has settled it. What ended the last sleep matters to a thread that may have been
    /// moved: [`Parked::Handed`] if it was handed what it was moved for, [`Parked::Woken`] if it was
    /// woken there or here, [`Parked::Invalid`] if it didn't sleep.
    Settled(Parked),
}

/// Waits until another thread settles this thread's waiter, or until the deadline.
///
/// `enter` pushes the waiter into a queue, under its lock, and then unlocks. If it doesn't push, the wait is
/// over, as [`Ended::NotEntered`]. `leave` is called at the deadline: it removes the waiter from its queue, under the lock, if it is
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
    let signal = Signal::new();
    // SAFETY: the signal outlives the waiter.
    let waiter = unsafe { Waiter::new(message, &signal) };
    let complete = AbortOnUnwind;
    enter(&waiter);
    if waiter.is_idle.get() {
        mem::forget(complete);
        return (waiter.into_message(), Ended::NotEntered);
    }
    spin.and_then(|spin| spin.poll(|| signal.seems_settled().then_some(())));
    let mut parked = signal.sleep(deadline);
    if parked == Parked::TimedOut {
        leave(&waiter);
        if !waiter.is_idle.get() {
            // Q1 and Q2: about to be settled, if it isn't yet.
            parked = signal.sleep(None);
        }
    }
    let ended = if waiter.is_idle.get() { Ended::Removed } else { Ended::Settled(parked) };
    mem::forget(complete);
    (waiter.into_message(), ended)
}

impl<T> Waiter<T> {
    /// # Safety
    /// The signal outlives the waiter.
    pub(crate) unsafe fn new(message: T, signal: &Signal) -> Self {
        Waiter {
            place: UnsafeCell::new(ptr::null()),
            links: UnsafeCell::new(Links { before: ptr::null(), after: ptr::null() }),
            message: UnsafeCell::new(message),
            signal,
            is_idle: Cell::new(true),
        }
    }

    pub(crate) fn signal(&self) -> &Signal {
        // SAFETY: it outlives the waiter, by the contract of `new`.
        unsafe { &*self.signal }
    }

    /// Ends the life of a waiter that is idle or settled.
    pub(crate) fn into_message(self) -> T {
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
