//! One end of a buffered channel: its position, its lock, and the threads that wait for it to move on.
//!
//! Senders move the channel's *tail*, receivers its *head*. Each end has a word on a cache line of its own:
//!
//! | bits | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `LOCKED` | a thread works at this end | that thread | that thread |
//! | 1 | `CONTENDED` | threads may be parked on the word, for the lock | they | the thread that wakes the last of them |
//! | 2 | `AWAITED` | threads may wait for this end to move | a waiter, under the queue's lock | the thread that takes the last waiter, under it |
//! | 3 | `CLOSED` | nothing is sent any more; in the tail alone | `close`, with the lock | – |
//! | 4 to 63 | position | how many messages have passed this end | the lock's holder | – |
//!
//! ```text
//! unlocked          => LOCKED             lock
//! LOCKED, position  => position           unlock: it has not moved
//! LOCKED, position  => position + n       publish: unlocks and moves in one step
//! LOCKED            => CLOSED             close
//! ```
//!
//! A publication is one read-modify-write, and its result says whether anyone waits. A thread that has to wait enters
//! the queue, sets `AWAITED` by a read-modify-write, and decides by *that* result whether it still has to. Of the two
//! steps one comes first: either the waiter sees the new position, or the publication sees the waiter. So neither side
//! needs a fence, and no wake-up is lost.
//!
//! Positions don't wrap: at a message a nanosecond 60 bits last for 36 years.

use crate::support::backoff::Backoff;
use crate::support::waiters::{Queue, Removal, Taken, Waiter};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::cell::UnsafeCell;
use crate::sys::{HandOff, Mutex, park, unpark_one};
use crossbeam_utils::CachePadded;
use std::ptr;

const LOCKED: u64 = 1;
const CONTENDED: u64 = 2;
const AWAITED: u64 = 4;
const CLOSED: u64 = 8;
const POSITION_SHIFT: u32 = 4;
const ONE: u64 = 1 << POSITION_SHIFT;

/// What the word of an end said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u64);

impl Seen {
    #[inline]
    pub(super) fn position(self) -> u64 {
        self.0 >> POSITION_SHIFT
    }

    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// The position and `CLOSED`, as a number that grows whenever one of them changes.
    #[inline]
    pub(super) fn stamp(self) -> u64 {
        self.0 & !(LOCKED | CONTENDED | AWAITED)
    }
}

/// See the [module](self). `S` is what the lock protects, and `M` is a waiter's message.
pub(super) struct End<S, M> {
    line: CachePadded<Line<S>>,
    /// The threads that wait for this end to move. Also protects `AWAITED`.
    waiting: Mutex<Queue<M>>,
}

struct Line<S> {
    word: AtomicU64,
    /// Protected by `LOCKED`.
    state: UnsafeCell<S>,
}

// SAFETY: the lock protects the state, which is passed between threads with it; the word and the queue are shared.
unsafe impl<S: Send, M: Send> Sync for End<S, M> {}

impl<S, M> End<S, M> {
    #[track_caller]
    pub(super) fn new(state: S) -> Self {
        let line = Line { word: AtomicU64::new(0), state: UnsafeCell::new(state) };
        End { line: CachePadded::new(line), waiting: Mutex::new(Queue::new()) }
    }

    /// Returns the state, for the channel's end.
    pub(super) fn get_mut(&mut self) -> &mut S {
        // SAFETY: exclusive by `&mut`.
        self.line.state.with_mut(|state| unsafe { &mut *state })
    }

    /// Returns the word, ordered after what its last publication or close published.
    #[inline]
    pub(super) fn load(&self) -> Seen {
        // ORDERING: Acquire: pairs with the Release in `publish` and in `close`: the other end's thread reads what
        // was written before this position, or overwrites what was read before it.
        Seen(self.line.word.load(Ordering::Acquire))
    }

    /// Returns the word. A hint.
    #[inline]
    pub(super) fn peek(&self) -> Seen {
        // ORDERING: Relaxed: a hint.
        Seen(self.line.word.load(Ordering::Relaxed))
    }

    /// Locks the end.
    #[inline]
    pub(super) fn lock(&self) -> Locked<'_, S, M> {
        let word = &self.line.word;
        // ORDERING: Relaxed: a guess, which the exchange checks.
        let seen = word.load(Ordering::Relaxed);
        // ORDERING: Acquire: pairs with the Release of the last holder's `unlock`, `publish` or `close`: its changes
        // of the state come before. Relaxed if it fails: nothing is concluded from that.
        let exchange =
            |seen| word.compare_exchange(seen, seen | LOCKED, Ordering::Acquire, Ordering::Relaxed);
        if seen & LOCKED == 0 && exchange(seen).is_ok() {
            return Locked { end: self, seen: Seen(seen) };
        }
        self.lock_contended();
        // ORDERING: Relaxed: the position changes under the lock alone, and a load that follows the step that locked
        // reads no older word.
        Locked { end: self, seen: Seen(word.load(Ordering::Relaxed)) }
    }

    #[cold]
    fn lock_contended(&self) {
        let word = &self.line.word;
        // The exchange fails also if another bit has changed.
        // ORDERING: Acquire: as in `lock`.
        if word.fetch_or(LOCKED, Ordering::Acquire) & LOCKED == 0 {
            return;
        }
        let mut backoff = Backoff::new();
        while !backoff.is_over() {
            backoff.pause_or_yield();
            // ORDERING: Relaxed: a hint.
            if word.load(Ordering::Relaxed) & LOCKED == 0
                // ORDERING: Acquire: as in `lock`.
                // WEAKEN: survives, because a model doesn't wait awake.
                && word.fetch_or(LOCKED, Ordering::Acquire) & LOCKED == 0
            {
                return;
            }
        }
        // ORDERING: Acquire: as in `lock`.
        while word.fetch_or(LOCKED | CONTENDED, Ordering::Acquire) & LOCKED != 0 {
            // ORDERING: Relaxed: the step that unlocks is followed by a wake-up if it sees `CONTENDED`, which is
            // cleared under the lock that this check runs under. The lock is taken by the step above alone.
            let validate = || {
                let both = LOCKED | CONTENDED;
                word.fetch_or(0, Ordering::Relaxed) & both == both
            };
            park(ptr::from_ref(word).addr(), validate, None);
        }
    }

    #[cold]
    fn wake_contender(&self) {
        unpark_one(ptr::from_ref(&self.line.word).addr(), |dequeued| {
            if !dequeued.more {
                // ORDERING: Relaxed: under the lock that `validate` runs under.
                self.line.word.fetch_and(!CONTENDED, Ordering::Relaxed);
            }
            HandOff::No
        });
    }

    /// Enters the queue of those that wait for this end to move, unless `is_ready` says by the word, once `AWAITED`
    /// is set, that there is nothing to wait for. Returns whether the waiter is in.
    ///
    /// # Safety
    /// The waiter leaves, or is taken and settled, before it or the end is moved or dropped.
    pub(super) unsafe fn enter(
        &self,
        waiter: &Waiter<M>,
        is_ready: impl FnOnce(Seen) -> bool,
    ) -> bool {
        let mut queue = self.waiting.lock();
        // SAFETY: the contract of this function.
        unsafe { queue.push(waiter) };
        // ORDERING: Relaxed: the two steps on this word, this one and a publication, come one after the other. A
        // publication that sees `AWAITED` takes the queue's lock next, after this thread has released it.
        let before = self.line.word.fetch_or(AWAITED, Ordering::Relaxed);
        let waits = !is_ready(Seen(before));
        if !waits {
            queue.remove(waiter);
        }
        waits
    }

    /// Removes a waiter, if it is still in the queue.
    pub(super) fn leave(&self, waiter: &Waiter<M>) -> Removal {
        self.waiting.lock().remove(waiter)
    }

    /// Calls `f` under the queue's lock.
    pub(super) fn with_queue<R>(&self, f: impl FnOnce(&mut Queue<M>) -> R) -> R {
        f(&mut self.waiting.lock())
    }

    /// Wakes up to `n` of the threads that wait for this end to move.
    #[cold]
    pub(super) fn wake(&self, n: u64) {
        for _ in 0..n {
            let mut queue = self.waiting.lock();
            // Settled under the lock: a waiter that has left, also under it, is settled or idle.
            let wake_up = queue.take_first().map(Taken::release);
            let is_last = queue.is_empty();
            if is_last {
                // ORDERING: Relaxed: under the queue's lock, as is each setting of the bit.
                self.line.word.fetch_and(!AWAITED, Ordering::Relaxed);
            }
            drop(queue);
            if let Some(wake_up) = wake_up {
                wake_up.wake();
            }
            if is_last {
                return;
            }
        }
    }

    /// Wakes all threads that wait for this end to move. None enters any more.
    pub(super) fn wake_all(&self) {
        self.wake(u64::MAX);
    }
}

/// The right to work at an end. Dropping it unlocks the end where it was.
pub(super) struct Locked<'a, S, M> {
    end: &'a End<S, M>,
    seen: Seen,
}

impl<S, M> Locked<'_, S, M> {
    #[inline]
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    #[inline]
    pub(super) fn state(&mut self) -> &mut S {
        // SAFETY: protected by the lock, which this value stands for.
        self.end.line.state.with_mut(|state| unsafe { &mut *state })
    }

    /// Moves the end by `n`, unlocks it, and wakes up to `n` of the threads that wait for that.
    #[inline]
    pub(super) fn publish(self, n: u64) {
        let end = self.end;
        std::mem::forget(self);
        // ORDERING: Release: pairs with the Acquire in `load`: what was written to the slots, or read from them,
        // comes before the position. And with that in `lock`, for the state.
        let before = end.line.word.fetch_add(n * ONE - LOCKED, Ordering::Release);
        if before & (CONTENDED | AWAITED) != 0 {
            end.after_publication(before, n);
        }
    }

    /// Sets `CLOSED` and unlocks. Returns whether it wasn't set before.
    pub(super) fn close(self) -> bool {
        if self.seen.is_closed() {
            return false;
        }
        let end = self.end;
        std::mem::forget(self);
        // ORDERING: Release: pairs with the Acquire in `load`: all that was sent comes before.
        let before = end.line.word.fetch_add(CLOSED - LOCKED, Ordering::Release);
        if before & CONTENDED != 0 {
            end.wake_contender();
        }
        true
    }
}

impl<S, M> End<S, M> {
    #[cold]
    fn after_publication(&self, before: u64, n: u64) {
        if before & CONTENDED != 0 {
            self.wake_contender();
        }
        if before & AWAITED != 0 {
            self.wake(n);
        }
    }
}

impl<S, M> Drop for Locked<'_, S, M> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release: pairs with the Acquire in `lock`: this thread's changes of the state come before.
        if self.end.line.word.fetch_sub(LOCKED, Ordering::Release) & CONTENDED != 0 {
            self.end.wake_contender();
        }
    }
}
