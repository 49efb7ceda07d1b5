//! How a thread or a task that waits is told that one of its waiters was taken.
//!
//! It has one signal for a wait, and a waiter in each queue in which it waits: one as a rule, several in a select.
//! The signal says which of the takers was first. A task that waits leaves its waker in the signal, and is woken by
//! that instead of by the signal's address.
//!
//! | bit | name | meaning | set by |
//! | --- | --- | --- | --- |
//! | 0 | `TAKEN` | a waiter was taken, or the thread has given up: no other waiter can be taken | the taker, under its queue's lock; the thread itself |
//! | 1 | `SETTLED` | the taker is done with the thread's memory | the taker |
//! | 2 | `ASLEEP` | the thread sleeps at the signal's address, or is about to | the thread itself |
//!
//! ```text
//! 0        => TAKEN            take        a taker, under its queue's lock
//! 0        => TAKEN            give_up     its own thread, which then removes its waiters
//! TAKEN    => SETTLED, TAKEN   settle      the taker; its last use of the signal and the waiter
//! unsettled => ASLEEP          sleep       its own thread
//! ```
//!
//! Bits are never cleared: a signal serves one wait. The waker belongs to the signal's own task while no waiter of it
//! is queued, to the holder of the queue's lock while one is, and to the taker from `take` to `settle`. A task has
//! one queued waiter at most, so that there is one such lock.

use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::{HandOff, Parked, catch, discard, park, unpark_one};
use std::ptr;
use std::task::Waker;
use std::time::Instant;

/// See the [module](self).
pub(crate) struct Signal {
    word: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
}

const TAKEN: u32 = 1;
const SETTLED: u32 = 2;
const ASLEEP: u32 = 4;

impl Signal {
    #[track_caller]
    pub(crate) fn new() -> Self {
        Signal { word: AtomicU32::new(0), waker: UnsafeCell::new(None) }
    }

    /// Replaces the waker of a task. Returns the one before, to be dropped without the lock: its drop is user code.
    ///
    /// # Safety
    /// No waiter of the signal is queued or taken, or the only one is queued and the caller holds its queue's lock.
    pub(crate) unsafe fn set_waker(&self, waker: Waker) -> Option<Waker> {
        // SAFETY: by the contract the waker is the caller's.
        self.waker.with_mut(|place| unsafe { (*place).replace(waker) })
    }

    /// Whether the waker of a task wakes the same task as `waker`.
    ///
    /// # Safety
    /// As for [`set_waker`](Self::set_waker).
    pub(crate) unsafe fn will_wake(&self, waker: &Waker) -> bool {
        // SAFETY: by the contract the waker is the caller's.
        let own = self.waker.with(|own| unsafe { &*own });
        own.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Ends the life of a signal none of whose waiters is queued or taken and not settled. Returns its waker.
    pub(crate) fn into_waker(self) -> Option<Waker> {
        // In a model this is an access that races with any other thread's that isn't over.
        self.waker.with_mut(|_| ());
        self.waker.into_inner()
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Returns whether the caller is the first.
    pub(super) fn take(&self) -> bool {
        // ORDERING: Relaxed: it decides who is first, and publishes nothing. What the taker reads of the waiter is
        // ordered by the queue's lock.
        self.word.fetch_or(TAKEN, Ordering::Relaxed) & TAKEN == 0
    }

    /// Whether no waiter of it can be taken any more. A hint.
    pub(super) fn seems_taken(&self) -> bool {
        // ORDERING: Relaxed: a hint.
        self.word.load(Ordering::Relaxed) & TAKEN != 0
    }

    /// Called by its own thread. Returns `true` if none of its waiters was taken; none will be. If it returns
    /// `false`, the thread must wait until it is settled.
    pub(crate) fn give_up(&self) -> bool {
        self.take()
    }

    /// TAKEN => SETTLED, TAKEN. Returns what wakes the thread.
    ///
    /// # Safety
    /// `this` is the signal of a taken waiter. After the call it may be gone, with the waiter.
    pub(super) unsafe fn settle(this: *const Self) -> WakeUp {
        let address = this.addr();
        // SAFETY: by the contract it is alive until it is settled.
        let Signal { word, waker } = unsafe { &*this };
        // SAFETY: the taker's until it is settled.
        let waker = waker.with_mut(|waker| unsafe { (*waker).take() });
        // ORDERING: Release: pairs with the Acquire in `is_settled`.
        let before = word.fetch_or(SETTLED, Ordering::Release);
        WakeUp(match waker {
            Some(waker) => Asleep::Task(waker),
            None if before & ASLEEP != 0 => Asleep::Thread(address),
            None => Asleep::Nobody,
        })
    }

    pub(crate) fn is_settled(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release in `settle`. A read-modify-write, which reads the newest value:
        // an unlock may wake a waiter that has just been moved, and the seam doesn't order the two.
        self.word.fetch_or(0, Ordering::Acquire) & SETTLED != 0
    }

    /// Whether it is worth while to spin no longer.
    pub(crate) fn seems_settled(&self) -> bool {
        // ORDERING: Relaxed: a hint; `sleep` asks again.
        self.word.load(Ordering::Relaxed) & SETTLED != 0
    }

    /// Sleeps until the signal is settled or the deadline has come. A moved thread is settled.
    #[track_caller]
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Parked {
        let mut parked = Parked::Invalid;
        // ORDERING: Acquire: pairs with the Release in `settle`, if it was before this step. If it comes after, it
        // sees `ASLEEP`, and wakes this thread.
        let mut is_settled = self.word.fetch_or(ASLEEP, Ordering::Acquire) & SETTLED != 0;
        while !is_settled {
            // Q6.
            parked = park(self.address(), || !self.is_settled(), deadline);
            if parked == Parked::TimedOut {
                break;
            }
            is_settled = self.is_settled();
        }
        parked
    }
}

/// Wakes the thread or the task of a settled waiter, if it sleeps. It needs no living waiter (Q4).
#[must_use = "a thread that sleeps is woken by `wake`"]
pub(crate) struct WakeUp(Asleep);

enum Asleep {
    /// A thread that is awake sees for itself that its waiter is settled.
    Nobody,
    /// The thread that sleeps at the address.
    Thread(usize),
    Task(Waker),
}

impl WakeUp {
    /// Whether there is anything to wake: a thread that is awake sees for itself that its waiter is settled.
    pub(crate) fn is_needed(&self) -> bool {
        !matches!(self.0, Asleep::Nobody)
    }

    /// Must be called without a lock: a waker is user code. Its panic ends with the panic hook, as the calling
    /// thread isn't to blame.
    pub(crate) fn wake(self) {
        match self.0 {
            Asleep::Nobody => {}
            Asleep::Thread(address) => unpark_one(address, |_| HandOff::No),
            Asleep::Task(waker) => {
                if let Err(payload) = catch(|| waker.wake()) {
                    discard(payload);
                }
            }
        }
    }
}
