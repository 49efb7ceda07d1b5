//! A word of counts that threads wait on until it drains.
//!
//! The one waiting protocol of the crate's counting types: [`WaitGroup`](crate::WaitGroup) counts
//! tasks in it, a worker pool the helpers inside a batch, a sleeping worker the wake-ups owed to
//! it. Its users lay out the upper bits as they need; bit 0 belongs to the protocol.
//!
//! | bits | name | meaning | written by |
//! | --- | --- | --- | --- |
//! | 0 | `WAITERS` | somebody may be parked on this word's address | set by waiters, cleared by leavers |
//! | 1.. | the user's | counts and flags; those in a user's `busy` mask keep waiters waiting | the user |
//!
//! *Drained* means that no `busy` bit is set. Transitions:
//!
//! ```text
//! busy           => busy + n             arrive        (the user's read-modify-write)
//! busy           => busy - n, not zero   leave         (the same)
//! busy           => drained              last leave    (the same); with WAITERS: wakes all
//! busy           => busy | WAITERS       a waiter, before it parks
//! drained        => drained - WAITERS    a waiter that found it drained, on its way out
//! ```
//!
//! Invariants:
//!
//! 1. Whoever drains a word that has `WAITERS` owes one wake-up of all who wait at its address.
//! 2. A thread parks only while the word is busy and has `WAITERS` (its `validate`, which no
//!    unpark can slip past). So for each parked thread either the word is busy and has `WAITERS`,
//!    or a wake-up is owed (by 1) that has yet to come.
//! 3. `WAITERS` is cleared only on a drained word. By 2 nobody can be parked then without a
//!    wake-up owed, so nothing is forgotten, whoever clears it and however late.
//! 4. The one who drains a word touches it no more: its memory may belong to a waiter, who
//!    leaves as soon as it sees the word drained. The wake-up needs the address alone.
//!
//! A stale `WAITERS`, left by a waiter that timed out, costs the next drain one empty wake-up.
//!
//! Orderings: a leave is a Release, and each later read-modify-write of the word continues its
//! release sequence; a waiter reads the drained word with Acquire. So everything before each
//! leave happens before the return of the wait.

use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Parked, Spin, park, unpark_all};
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Latch {
    word: AtomicU64,
}

/// Somebody may be parked on this word's address.
pub(crate) const WAITERS: u64 = 1;

/// The lowest bit that is the user's.
pub(crate) const FIRST_BIT: u32 = 1;

impl Latch {
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

    /// Pays the wake-up that invariant 1 asks for. Needs no living latch (invariant 4).
    #[cold]
    pub(crate) fn wake(address: usize) {
        unpark_all(address);
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
        if drained(before.wrapping_sub(n), busy) && before & WAITERS != 0 {
            Latch::wake(address);
        }
        before
    }

    /// Blocks until the word is drained or the deadline passes.
    ///
    /// `Ok` is the word as it was seen drained, and everything before each leave has happened;
    /// `Err` the word as it was seen busy, after the deadline.
    #[inline]
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

    /// The word, if it is drained.
    #[inline]
    pub(crate) fn poll(&self, busy: u64) -> Option<u64> {
        // ORDERING: Acquire: pairs with the Release of every leave, see `leave`.
        let word = self.word.load(Ordering::Acquire);
        drained(word, busy).then_some(word)
    }

    #[cold]
    fn wait_contended(&self, busy: u64, spin: Spin, deadline: Option<Instant>) -> Result<u64, u64> {
        if let Some(word) = spin.poll(|| self.poll(busy)) {
            return Ok(word);
        }
        let mut timed_out = false;
        loop {
            match self.announce(busy) {
                Err(drained) => return Ok(drained),
                Ok(word) if timed_out => return Err(word),
                Ok(_) => {}
            }
            // A spurious or late wake-up looks again, and so does a time-out: drained wins.
            let parked = park(self.address(), || self.must_wait(busy), deadline);
            timed_out = parked == Parked::TimedOut;
        }
    }

    /// Sets `WAITERS` on a busy word: busy => busy | WAITERS. `Err` is the word, drained, and then
    /// `WAITERS` has been cleared if it could be.
    pub(crate) fn announce(&self, busy: u64) -> Result<u64, u64> {
        // ORDERING: Acquire, here and where the exchange fails: may be the read that sees the word
        // drained, see `poll`. Relaxed on success: setting the bit publishes nothing, and as a
        // read-modify-write it keeps the leaves' release sequences going.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if drained(word, busy) {
                self.clear_waiters(word);
                return Err(word);
            }
            if word & WAITERS != 0 {
                return Ok(word);
            }
            let marked = word | WAITERS;
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
    pub(crate) fn must_wait(&self, busy: u64) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the unpark that matters, and what
        // it returns is only a reason to look again.
        let word = self.word.load(Ordering::Relaxed);
        !drained(word, busy) && word & WAITERS != 0
    }

    /// drained => drained - WAITERS, if the word is still `seen` (invariant 3).
    fn clear_waiters(&self, seen: u64) {
        if seen & WAITERS != 0 {
            // ORDERING: Relaxed: publishes nothing, and keeps the release sequences going. If the
            // word has moved on, the bit may be needed: leave it.
            let _ = self.word.compare_exchange(
                seen,
                seen & !WAITERS,
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
