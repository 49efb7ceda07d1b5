//! A word of counts that threads and futures wait on until it drains.
//!
//! The one waiting protocol of the crate's counting types: [`WaitGroup`](crate::WaitGroup) counts
//! tasks in it, a worker pool the helpers inside a batch, a sleeping worker the wake-ups owed to
//! it. Its users lay out the upper bits as they need; the lowest two belong to the protocol.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0 | `THREADS` | threads may be parked on this word's address | set by waiters, cleared by one that finds the word drained |
//! | 1 | `TASKS` | futures may be registered for it | the same |
//! | 2.. | the user's | counts and flags; those in a user's `busy` mask keep waiters waiting | the user |
//!
//! *Drained* means that no `busy` bit is set, *marked* that `THREADS` or `TASKS` is. Transitions:
//!
//! ```text
//! any            => busy                 arrive        (the user's read-modify-write)
//! busy           => busy, lower          leave         (the same)
//! busy           => drained              last leave    (the same); if marked: wakes all
//! busy           => busy, marked         a waiter, before it sleeps
//! drained        => drained, unmarked    a waiter that found it drained, on its way out
//! ```
//!
//! Invariants:
//!
//! 1. Whoever drains a marked word owes one wake-up of all who wait at its address.
//! 2. A waiter sleeps only while the word is busy and has its mark (its `validate`, which no
//!    unpark can slip past). So for each sleeper either the word is busy and has the mark, or a
//!    wake-up is owed (by 1) that has yet to come.
//! 3. Marks are cleared only on a drained word. By 2 nobody can be asleep then without a wake-up
//!    owed, so nothing is forgotten, whoever clears them and however late.
//! 4. The one who drains a word touches it no more: its memory may belong to a waiter, who
//!    leaves as soon as it sees the word drained. The wake-up needs the address alone.
//!
//! A stale mark, left by a waiter that timed out, costs the next drain one empty wake-up.
//!
//! Orderings: a leave is a Release, and each later read-modify-write of the word continues its
//! release sequence; a waiter reads the drained word with Acquire. So everything before each
//! leave happens before the return of the wait.

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

    /// The word, for the user's own transitions.
    #[inline]
    pub(crate) fn word(&self) -> &AtomicU64 {
        &self.word
    }

    /// What [`Latch::wake`] needs. To be read before the leave that may end the latch's life.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        (&raw const self.word).addr()
    }

    /// Pays the wake-up that invariant 1 asks for, of those that `word` is marked for. Needs no
    /// living latch (invariant 4).
    #[cold]
    fn wake(address: usize, word: u64) {
        if word & THREADS != 0 {
            unpark_threads(address);
        }
        if word & TASKS != 0 {
            wake_tasks(address);
        }
    }

    /// Takes a false leave of `n` back, and has everybody look again.
    ///
    /// Unconditionally: while the count was below what it should be, an arrival may have drained
    /// the word, which owes no wake-up, and a waiter have cleared the marks on that.
    pub(crate) fn unleave(&self, n: u64) {
        // ORDERING: Relaxed: an arrival, which publishes nothing.
        self.word.fetch_add(n, Ordering::Relaxed);
        Latch::wake(self.address(), MARKS);
    }

    /// Takes `n` off the word, and wakes the waiters if that drained it.
    ///
    /// Gives back the word as it was. The latch may be gone by then (invariant 4).
    #[inline]
    pub(crate) fn leave(&self, n: u64, busy: u64) -> u64 {
        let address = self.address();
        // ORDERING: Release: what this thread did before it left happens before the waiter's
        // Acquire in `wait`, which reads this or a later read-modify-write of the word.
        let before = self.word.fetch_sub(n, Ordering::Release);
        if drained(before.wrapping_sub(n), busy) && before & MARKS != 0 {
            Latch::wake(address, before);
        }
        before
    }

    /// Blocks until the word is drained or the deadline passes.
    ///
    /// `Ok` is the word as it was seen drained, and everything before each leave has happened;
    /// `Err` the word as it was seen busy, after the deadline.
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

    /// [`wait`](Latch::wait) without a deadline: the word as it was seen drained.
    #[inline]
    #[track_caller]
    pub(crate) fn wait_drained(&self, busy: u64, spin: Spin) -> u64 {
        match self.wait(busy, spin, None) {
            Ok(word) => word,
            Err(_) => unreachable!("a wait without deadline doesn't time out"),
        }
    }

    /// The word, if it is drained.
    #[inline]
    pub(crate) fn poll(&self, busy: u64) -> Option<u64> {
        // ORDERING: Acquire: pairs with the Release of every leave, see `leave`.
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
            // A spurious or late wake-up looks again, and so does a time-out: drained wins.
            let parked = park(self.address(), || self.must_wait(busy, THREADS), deadline);
            timed_out = parked == Parked::TimedOut;
        }
    }

    /// Sets a mark on a busy word: busy => busy, marked. `Err` is the word, drained, and then the
    /// marks have been cleared if they could be.
    pub(crate) fn announce(&self, busy: u64, mark: u64) -> Result<u64, u64> {
        // ORDERING: Acquire, here and where the exchange fails: may be the read that sees the word
        // drained, see `poll`. Relaxed on success: setting the bit publishes nothing, and as a
        // read-modify-write it keeps the leaves' release sequences going.
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
            // ORDERING: Relaxed and Acquire, see above.
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

    /// Whether a waiter may sleep (invariant 2). Only for `validate`, under the address's queue.
    pub(crate) fn must_wait(&self, busy: u64, mark: u64) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the unpark that matters, and what
        // it returns is only a reason to look again.
        let word = self.word.load(Ordering::Relaxed);
        !drained(word, busy) && word & mark != 0
    }

    /// drained => drained, unmarked, if the word is still `seen` (invariant 3).
    fn clear_marks(&self, seen: u64) {
        if seen & MARKS != 0 {
            // ORDERING: Relaxed: publishes nothing, and keeps the release sequences going. If the
            // word has moved on, the marks may be needed: leave them.
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
