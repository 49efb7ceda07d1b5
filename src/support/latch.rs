//! A word of counts on which threads and futures wait until it drains.
//!
//! [`WaitGroup`](crate::WaitGroup) counts tasks in it, a worker pool the helpers inside a batch, a store's flight
//! the one task that computes. The user lays out the upper bits; the lowest two belong to the latch.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0 | `THREADS` | threads may be parked on this word's address | set by a waiter, cleared by a waiter that finds the word drained |
//! | 1 | `TASKS` | futures may be registered for this word's address | the same |
//! | 2.. | the user's | counts and flags; those in the user's `busy` mask keep waiters waiting | the user |
//!
//! *Drained* means that no `busy` bit is set, *marked* that `THREADS` or `TASKS` is. Transitions:
//!
//! ```text
//! any            => busy                 arrive        (the user's read-modify-write)
//! busy           => busy, lower          leave
//! busy           => drained              the last leave; if the word is marked, it wakes all waiters
//! busy           => busy, marked         a waiter, before it sleeps
//! drained        => drained, unmarked    a waiter that finds the word drained
//! ```
//!
//! Invariants:
//!
//! - **L1.** The leave that drains a marked word wakes all that wait at its address, once.
//! - **L2.** A waiter sleeps only if the word is busy and has the waiter's mark when it falls asleep (its
//!   `validate`, which no wake-up can slip past). So for each sleeper the word is busy and marked, or the wake-up
//!   of L1 is still to come.
//! - **L3.** Marks are cleared only on a drained word. By L2 each sleeper has a wake-up to come then. So clearing
//!   the marks forgets no sleeper, whichever waiter clears them, and however late.
//! - **L4.** The leave that drains a word is the last use of it: a waiter that sees the word drained may free it.
//!   The wake-up needs the address alone.
//!
//! A mark that a waiter leaves behind when it times out costs the next drain one wake-up of nobody.
//!
//! Orderings: a leave is a Release, and each later read-modify-write of the word continues its release sequence. A
//! waiter reads the drained word with Acquire. So everything before each leave happens before the return of the
//! wait.

use super::backoff::Spin;
use super::wakers::wake_tasks;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Parked, park, unpark_threads};
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Latch {
    word: AtomicU64,
}

/// Threads may be parked on this word's address.
const THREADS: u64 = 1;

/// Futures may be registered for this word's address.
pub(crate) const TASKS: u64 = 2;

const MARKS: u64 = THREADS | TASKS;

/// The lowest bit that is the user's.
pub(crate) const FIRST_BIT: u32 = 2;

impl Latch {
    #[track_caller]
    pub(crate) fn new(word: u64) -> Self {
        Latch { word: AtomicU64::new(word) }
    }

    /// Returns the word, for the user's own transitions.
    #[inline]
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// Returns what [`Latch::wake`] needs. Call it before a leave, after which the latch may be gone (L4).
    #[inline]
    pub(crate) fn address(&self) -> usize {
        (&raw const self.word).addr()
    }

    /// Wakes the waiters for which `word` is marked (L1). Needs no living latch (L4).
    #[cold]
    fn wake(address: usize, word: u64) {
        if word & THREADS != 0 {
            unpark_threads(address);
        }
        if word & TASKS != 0 {
            wake_tasks(address);
        }
    }

    /// Takes back a leave of `n` that should not have been, and wakes all waiters, which check again.
    ///
    /// It wakes them without asking for marks. While the count was too low an arrival may have drained the word,
    /// which wakes nobody, and a waiter may have cleared the marks after that.
    pub(crate) fn undo_leave(&self, n: u64) {
        // ORDERING: Relaxed: an arrival, which publishes nothing.
        self.word.fetch_add(n, Ordering::Relaxed);
        Latch::wake(self.address(), MARKS);
    }

    /// Subtracts `n` from the word, and wakes the waiters if that drained it. Returns the word as it was before.
    ///
    /// When it returns, the latch may be gone (L4).
    #[inline]
    pub(crate) fn leave(&self, n: u64, busy: u64) -> u64 {
        let address = self.address();
        // ORDERING: Release: pairs with the Acquires in `poll` and `announce`, which read this step or a later
        // one of its release sequence.
        let before = self.word.fetch_sub(n, Ordering::Release);
        if drained(before.wrapping_sub(n), busy) && before & MARKS != 0 {
            Latch::wake(address, before);
        }
        before
    }

    /// Blocks until the word is drained or the deadline passes.
    ///
    /// Returns `Ok` with the drained word, after everything that happened before each leave, or `Err` with the busy
    /// word that it read after the deadline.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(
        &self,
        busy: u64,
        spin: Spin,
        deadline: Option<Instant>,
    ) -> Result<u64, u64> {
        match self.poll(busy) {
            Some(word) => Ok(word),
            None => self.wait_contended(busy, spin, deadline),
        }
    }

    /// [`wait`](Latch::wait) without a deadline. Returns the drained word.
    #[inline]
    #[track_caller]
    pub(crate) fn wait_drained(&self, busy: u64, spin: Spin) -> u64 {
        match self.wait(busy, spin, None) {
            Ok(word) => word,
            Err(_) => unreachable!("a wait without deadline doesn't time out"),
        }
    }

    /// Returns the word if it is drained.
    #[inline]
    pub(crate) fn poll(&self, busy: u64) -> Option<u64> {
        // ORDERING: Acquire: pairs with the Release in `leave`, of every leave so far.
        let word = self.word.load(Ordering::Acquire);
        drained(word, busy).then_some(word)
    }

    #[cold]
    #[track_caller]
    fn wait_contended(&self, busy: u64, spin: Spin, deadline: Option<Instant>) -> Result<u64, u64> {
        if let Some(word) = spin.poll(|| self.poll(busy)) {
            return Ok(word);
        }
        let mut timed_out = false;
        loop {
            match self.announce(busy, THREADS) {
                Err(drained) => return Ok(drained),
                Ok(word) if timed_out => return Err(word),
                Ok(_) => {}
            }
            // After a time-out too the word is read again: a drained word is no time-out.
            let parked = park(self.address(), || self.must_wait(busy, THREADS), deadline);
            timed_out = parked == Parked::TimedOut;
        }
    }

    /// Marks a busy word: busy => busy, marked. Returns `Err` with the word if it is drained, and clears its marks.
    pub(crate) fn announce(&self, busy: u64, mark: u64) -> Result<u64, u64> {
        // ORDERING: Acquire: pairs with the Release in `leave`: this may be the read that finds the word drained.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if drained(word, busy) {
                self.clear_marks(word);
                return Err(word);
            }
            if word & mark != 0 {
                return Ok(word);
            }
            let marked = word | mark;
            // ORDERING: Relaxed on success: a mark publishes nothing, and continues the release sequences of the
            // leaves. Acquire on failure: pairs with the Release in `leave`, as above.
            match self.word.compare_exchange_weak(
                word,
                marked,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(marked),
                Err(now) => word = now,
            }
        }
    }

    /// Whether a waiter may sleep (L2). Only for a `validate`, under the lock of the address's queue.
    pub(crate) fn must_wait(&self, busy: u64, mark: u64) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the wake-up that follows the last leave, and the
        // waiter reads the word again before it returns.
        let word = self.word.load(Ordering::Relaxed);
        !drained(word, busy) && word & mark != 0
    }

    /// drained => drained, unmarked, if the word is still `seen` (L3).
    fn clear_marks(&self, seen: u64) {
        if seen & MARKS != 0 {
            // ORDERING: Relaxed: publishes nothing, and continues the release sequences of the leaves. If the word
            // has changed, the marks may be needed, and stay.
            let _ = self.word.compare_exchange(
                seen,
                seen & !MARKS,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

#[inline]
fn drained(word: u64, busy: u64) -> bool {
    word & busy == 0
}

#[cfg(test)]
mod models;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Arc, thread};
    use std::time::Duration;

    const ONE: u64 = 1 << FIRST_BIT;
    const BUSY: u64 = !MARKS;

    #[test]
    fn a_spurious_wake_up_is_no_time_out() {
        let latch = Arc::new(Latch::new(ONE));
        let theirs = latch.clone();
        let waiter = thread::spawn(move || {
            theirs.wait(BUSY, Spin::Brief, Some(Instant::now() + Duration::from_secs(600)))
        });
        for _ in 0..2_000 {
            unpark_threads(latch.address());
            thread::yield_now();
        }
        latch.leave(ONE, BUSY);
        assert!(waiter.join().is_ok_and(|waited| waited.is_ok()));
    }

    #[test]
    fn a_waiter_that_finds_the_word_drained_clears_its_marks() {
        let latch = Latch::new(ONE);
        assert_eq!(latch.announce(BUSY, THREADS), Ok(ONE | THREADS));
        assert_eq!(latch.announce(BUSY, TASKS), Ok(ONE | MARKS));
        assert!(latch.must_wait(BUSY, THREADS) && latch.must_wait(BUSY, TASKS));
        latch.leave(ONE, BUSY);
        assert_eq!(latch.announce(BUSY, THREADS), Err(MARKS));
        assert_eq!(latch.poll(BUSY), Some(0));
    }

    #[test]
    fn marks_on_a_busy_word_are_kept() {
        let latch = Latch::new(ONE);
        let _ = latch.announce(BUSY, THREADS);
        latch.clear_marks(THREADS);
        assert!(latch.must_wait(BUSY, THREADS));
    }
}
