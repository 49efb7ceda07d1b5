//! The mutex's word: barging for speed, and a hand-over to a thread that others pass for too long.
//! Its bits are in `state.rs`.
//!
//! ```text
//! free                  => LOCKED                        lock      (anybody: barging)
//! LOCKED                => free                          unlock    (no one asleep, or one on its way)
//! LOCKED PARKED         => PARKED? WOKEN                 unlock    (and one woken, in the same step)
//! LOCKED                => LOCKED PARKED                 a waiter, before it sleeps in the queue
//! LOCKED                => LOCKED CLAIMED                a waiter, for a moment before it sleeps
//! LOCKED CLAIMED        => LOCKED HANDED                 unlock
//! LOCKED PARKED CLAIMED => LOCKED PARKED? HANDED WOKEN   unlock    (and one woken, in the same step)
//! LOCKED CLAIMED        => LOCKED                        the claimant, giving up
//! LOCKED HANDED         => LOCKED                        the claimant, now the holder
//! LOCKED WOKEN          => LOCKED WOKEN STARVING         the woken thread, when its patience is over
//! LOCKED WOKEN          => LOCKED WOKEN GIVEN            unlock    (if the woken thread starves, or is late)
//! LOCKED WOKEN STARVING => LOCKED                        the woken thread, giving up
//! LOCKED WOKEN GIVEN    => LOCKED                        the woken thread, now the holder
//! ```
//!
//! This is Go's mutex (`sync/mutex.go`: normal and starvation mode) with another hand-over. There
//! a starving mutex hands each unlock to the head of its queue, until the queue is young again. Here
//! one thread at a time is woken, and is given the lock if it doesn't get it by itself: at the next
//! unlock once it has waited for a millisecond and is awake, and a millisecond after its
//! wake-up even if it has had no core since. A thread with a core takes the lock for the price of a
//! cache line; one without would hold it and do nothing, so it isn't given the lock at once.
//!
//! A thread that is about to sleep claims the lock for a moment before, as long as a wake-up takes. Among
//! sections that are shorter than that this is cheaper for all than to sleep.
//!
//! Two queues, at two addresses: the waiters' at the word, the starving thread's one byte on.
//!
//! Invariants:
//!
//! 1. `CLAIMED`, `HANDED`, `STARVING` and `GIVEN` imply `LOCKED`, so barging, which takes only a word
//!    without `LOCKED`, can't take what is handed over. `HANDED` and `GIVEN` never stand together,
//!    and one thread alone clears either: the step that clears it is the one that takes the lock.
//! 2. A waiter sleeps in the queue only while `LOCKED` and `PARKED` are set (its `validate`), and
//!    `PARKED` is cleared only when the queue is empty, under its lock. So each sleeper's holder sees the bit.
//! 3. If a waiter is asleep in the queue and the word is not `LOCKED`, then `WOKEN` is set and a
//!    waiter is awake that takes it for its own. (Two may, after a spurious wake-up or an `unlock_to_sleep`:
//!    either clears it where it may.) It gives it up only as it takes the lock, or in a
//!    step on a word that is `LOCKED`: there is an unlock to come, which sees `PARKED`. So a wake-up is
//!    passed on, also by one whose time is over (golang#37852, parking_lot#465).
//! 4. A starving thread sleeps only while `STARVING` is set and `GIVEN` is not; the unlock that finds
//!    `STARVING` gives the lock and wakes it. If another has taken what was given, which a
//!    spurious wake-up makes possible, it finds neither bit and asks anew.
//! 5. The step that unlocks is the last that the unlocking thread takes on the word; what follows
//!    needs the address alone.
//!
//! **Moved waiters.** A condition variable moves the waiters that it notifies into the queue, asleep as they
//! are, by `admit`: `PARKED` is set under the queue's lock, on a word that is `LOCKED` or has `WOKEN` set. A word
//! that is neither gets `WOKEN` instead, and that waiter is woken. So invariants 2 and 3 hold for it as for any
//! other. A moved waiter that is woken takes on `WOKEN`; one whose time is over has no part in the word. A
//! holder that unlocks in order to wait, and leaves its core to another, wakes one although another is on its
//! way (`unlock_to_sleep`), so a crowd of moved waiters that wait anew is not let in over a chain of single
//! wake-ups. Two threads are woken then, as after a spurious wake-up (invariant 4), and the bound counts from the
//! later of the two.
//!
//! **The bound.** A claim doesn't delay a wake-up, and a wake-up isn't delayed but by the woken thread
//! before. That one has the lock, or has gone to the end of the queue, at the first unlock that comes a
//! millisecond after it was woken, or the second if that is later; where sections are short, up to
//! 64 unlocks later. It goes to the end of the queue only if it has a core and has waited for less than a
//! millisecond, counted from the end of its first looks. So a waiter that has n others before it has
//! the lock within n + 2 milliseconds, two sections and a wake-up. The
//! clock runs whether the waiter has a core or not: where threads outnumber cores, what is added is
//! the time for which those that hold the lock, or were given it, are kept off theirs.
//!
//! Orderings: every step that takes the lock is an Acquire and every step that lets it go a Release,
//! on one word that only read-modify-writes change. So everything done under the lock happens
//! before whatever is done under it next.

use super::state::{
    CLAIMED, GIVEN, HANDED, LOCKED, PARKED, STARVING, WOKEN, admitted, gives, owes_wake_up,
    unlocked, unlocked_waking,
};
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::{
    Backoff, Dequeued, Grace, Handing, Parked, Patience, Spin, const_fn, park, unpark_one,
    unpark_threads,
};
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

/// Looks before a waiter gets polite: about a microsecond. Where the lock is free half the time,
/// the first looks succeed; where they don't, somebody is hammering it.
const EAGER_LOOKS: u32 = 5;
/// How long one must have left the lock alone before a polite waiter takes it, in pauses.
const POLITE_PAUSES: u32 = 6;

impl Word {
    const_fn! {
        pub(super) fn new() -> Self {
            Word(AtomicU32::new(0))
        }
    }

    #[inline]
    pub(super) fn lock(&self) {
        // ORDERING: Acquire: pairs with the Release of the unlock before. On a word that is
        // LOCKED already it changes nothing.
        if self.0.fetch_or(LOCKED, Ordering::Acquire) & LOCKED != 0 {
            self.lock_contended(0, None);
        }
    }

    /// [`lock`](Self::lock), for a thread that holds `WOKEN`: see "Moved waiters".
    pub(crate) fn lock_woken(&self) {
        self.lock_contended(WOKEN, None);
    }

    /// [`unlock`](Self::unlock), for a holder that is about to sleep, and leaves its core to another.
    pub(crate) fn unlock_to_sleep(&self) {
        // ORDERING: Relaxed: a hint.
        let word = self.0.load(Ordering::Relaxed);
        if word & PARKED != 0 && !gives(word, false) {
            self.unlock_waking(false);
        } else {
            self.unlock();
        }
    }

    /// Lets a sleeping thread into the queue; `false` if it must be woken instead, and holds `WOKEN`.
    /// Only under the queue's lock, which is kept until the thread is in.
    pub(crate) fn admit(&self) -> bool {
        let now = Grace::now();
        // ORDERING: Relaxed: the step decides, and publishes nothing.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (next, moves) = admitted(word, now);
            match self.step(word, next, Ordering::Relaxed) {
                Ok(_) => return moves,
                Err(changed) => word = changed,
            }
        }
    }

    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        // ORDERING: Relaxed: only spares a held lock's line. Acquire: see `lock`.
        self.0.load(Ordering::Relaxed) & LOCKED == 0
            && self.0.fetch_or(LOCKED, Ordering::Acquire) & LOCKED == 0
    }

    /// Whether it got the lock before the deadline.
    #[inline]
    pub(super) fn lock_until(&self, deadline: Option<Instant>) -> bool {
        self.try_lock() || self.lock_contended(0, deadline)
    }

    /// Only for whoever holds the lock.
    #[inline]
    pub(crate) fn unlock(&self) {
        // ORDERING: Release: what was done under the lock happens before the next Acquire.
        if let Err(word) = self.0.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed)
        {
            self.unlock_contended(word, false);
        }
    }

    /// Only for whoever holds the lock. Hands it to the woken thread, or to one that is asleep.
    pub(super) fn unlock_fair(&self) {
        // ORDERING: Relaxed: a hint. A waiter that is not in the queue yet can't be handed to.
        let word = self.0.load(Ordering::Relaxed);
        if word & (PARKED | WOKEN) == 0 {
            self.unlock();
        } else {
            self.unlock_contended(word, true);
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        // ORDERING: Relaxed: says nothing about the data.
        self.0.load(Ordering::Relaxed) & LOCKED != 0
    }

    #[cfg(test)]
    pub(super) fn has_sleeper(&self) -> bool {
        // ORDERING: Relaxed, here and below: for a model that waits for the bit.
        self.0.load(Ordering::Relaxed) & PARKED != 0
    }

    /// For whoever holds the lock: as if the woken thread's patience were over.
    #[cfg(test)]
    pub(crate) fn mark_starving(&self) {
        self.0.fetch_or(WOKEN | STARVING, Ordering::Relaxed);
    }

    /// For whoever holds the lock: as if a thread were woken and on its way.
    #[cfg(test)]
    pub(super) fn mark_woken(&self) {
        self.0.fetch_or(WOKEN, Ordering::Relaxed);
    }

    /// As the starving thread.
    #[cfg(test)]
    pub(crate) fn lock_starving(&self, deadline: Instant) -> bool {
        self.wait_to_be_given(Some(deadline)) == Parked::Handed
    }

    /// As one whose wake-up was spurious.
    #[cfg(test)]
    pub(super) fn lock_as_woken(&self) {
        assert!(self.lock_contended(WOKEN, None), "a wait without deadline doesn't time out");
    }

    #[cfg(test)]
    pub(super) fn is_starving(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STARVING != 0
    }

    #[cfg(test)]
    pub(super) fn has_woken(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WOKEN != 0
    }

    /// The waiters' queue.
    pub(crate) fn queue(&self) -> usize {
        (&raw const self.0).addr()
    }

    /// Where a starving thread sleeps.
    fn starving(&self) -> usize {
        self.queue() + 1
    }

    fn step(&self, from: u32, to: u32, success: Ordering) -> Result<u32, u32> {
        // ORDERING: Relaxed on failure: the caller decides anew.
        self.0.compare_exchange_weak(from, to, success, Ordering::Relaxed)
    }

    /// Waits for the lock; whether it got it before the deadline. `woken` is `WOKEN` if this thread
    /// has that bit, because an unlock took it out of the queue (invariant 3), else nothing.
    #[cold]
    fn lock_contended(&self, mut woken: u32, deadline: Option<Instant>) -> bool {
        let mut backoff = if woken == 0 { Backoff::new() } else { Backoff::rested() };
        let mut patience = Patience::new();
        let mut has_claimed = false;
        loop {
            let Some(word) = self.look(woken, &mut backoff) else { return true };
            patience.begin();
            // Held, and no use in looking on.
            if woken != 0 && patience.is_over() {
                // LOCKED WOKEN => LOCKED WOKEN STARVING.
                // ORDERING: Relaxed, here and below: publishes nothing.
                if self.step(word, word | WOKEN | STARVING, Ordering::Relaxed).is_err() {
                    continue;
                }
                match self.wait_to_be_given(deadline) {
                    Parked::Handed => return true,
                    Parked::TimedOut => return false,
                    Parked::Woken | Parked::Invalid => continue,
                }
            }
            // LOCKED => LOCKED CLAIMED, once before each sleep; or LOCKED PARKED. Gives up WOKEN, as
            // invariant 3 has it.
            let claims = !has_claimed && word & (CLAIMED | HANDED) == 0;
            let mark = if claims { CLAIMED } else { PARKED };
            // ORDERING: Relaxed: publishes nothing.
            if self.step(word, word & !woken | mark, Ordering::Relaxed).is_err() {
                continue;
            }
            (woken, has_claimed) = (0, true);
            if claims {
                if self.claim_for_a_moment() {
                    return true;
                }
                continue;
            }
            match park(self.queue(), || self.must_wait(), deadline) {
                Parked::Handed => return true,
                Parked::Woken => (woken, has_claimed) = (WOKEN, false),
                Parked::Invalid => {}
                Parked::TimedOut => return false,
            }
            backoff = Backoff::rested();
        }
    }

    /// Takes the lock, or gives the word as it was held when there was no more use in looking.
    fn look(&self, woken: u32, backoff: &mut Backoff) -> Option<u32> {
        loop {
            // ORDERING: Relaxed: the step below decides.
            let word = self.0.load(Ordering::Relaxed);
            if word & LOCKED == 0 {
                // ORDERING: Acquire: see `lock`.
                if backoff.grants(EAGER_LOOKS, POLITE_PAUSES, || !self.is_locked())
                    && self.step(word, word & !woken | LOCKED, Ordering::Acquire).is_ok()
                {
                    return None;
                }
                if backoff.is_over() {
                    continue;
                }
            } else if woken != 0 && word & GIVEN != 0 {
                if self.take_given() {
                    return None;
                }
                continue;
            } else if backoff.is_over() {
                return Some(word);
            }
            backoff.pause();
        }
    }

    /// Invariant 2. Only for `validate`.
    fn must_wait(&self) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the unlock that matters.
        self.0.load(Ordering::Relaxed) & (LOCKED | PARKED) == LOCKED | PARKED
    }

    /// LOCKED HANDED => LOCKED, or LOCKED CLAIMED => LOCKED: whether the lock is the claimant's.
    fn take_handed(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release of the unlock that handed over.
        self.0.fetch_and(!(HANDED | CLAIMED), Ordering::Acquire) & HANDED != 0
    }

    /// LOCKED WOKEN GIVEN => LOCKED, or LOCKED WOKEN STARVING => LOCKED: whether the lock is the woken
    /// thread's.
    fn take_given(&self) -> bool {
        // ORDERING: Acquire: as in `take_handed`.
        let before = self.0.fetch_and(!(GIVEN | WOKEN | STARVING), Ordering::Acquire);
        if before & (GIVEN | STARVING) == STARVING {
            // Another may starve too, after a spurious wake-up (invariant 4).
            unpark_threads(self.starving());
        }
        before & GIVEN != 0
    }

    fn has(&self, bit: u32) -> bool {
        // ORDERING: Relaxed: a look; the taking step decides.
        self.0.load(Ordering::Relaxed) & bit != 0
    }

    /// As long as a wake-up takes. A thread that is awake is handed the lock for the price of a
    /// cache line; to sleep and be woken would cost the holder more than that.
    fn claim_for_a_moment(&self) -> bool {
        Spin::WakeUp.poll(|| self.has(HANDED).then_some(()));
        self.take_handed()
    }

    /// Until the lock is given to the woken thread, which starves (invariant 4): `Handed` then;
    /// `TimedOut` if the deadline came first; else it has to ask anew.
    fn wait_to_be_given(&self, deadline: Option<Instant>) -> Parked {
        Spin::WakeUp.poll(|| self.has(GIVEN).then_some(()));
        loop {
            // ORDERING: Relaxed: a look; the taking step decides.
            let word = self.0.load(Ordering::Relaxed);
            if word & GIVEN != 0 {
                return if self.take_given() { Parked::Handed } else { Parked::Woken };
            }
            if word & STARVING == 0 {
                return Parked::Woken;
            }
            let not_yet = || {
                // ORDERING: Relaxed: as in `must_wait`.
                self.0.load(Ordering::Relaxed) & (STARVING | GIVEN) == STARVING
            };
            if park(self.starving(), not_yet, deadline) == Parked::TimedOut {
                // LOCKED WOKEN STARVING => LOCKED, unless it is given in time.
                let given = self.take_given();
                return if given { Parked::Handed } else { Parked::TimedOut };
            }
        }
    }

    /// Only for whoever holds the lock. Hands it to a thread that waits, if there is one and `fair`.
    #[cold]
    fn unlock_contended(&self, mut word: u32, fair: bool) {
        loop {
            if owes_wake_up(word) {
                return self.unlock_waking(fair);
            }
            let starving = self.starving();
            let next = unlocked(word, fair);
            // ORDERING: Release: see `unlock`.
            match self.step(word, next, Ordering::Release) {
                // Invariant 4.
                Ok(_) if next & (GIVEN | STARVING) == GIVEN | STARVING => {
                    return unpark_threads(starving);
                }
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Unlocks and wakes the one that has been asleep the longest, in one step with respect to
    /// the queue; hands it the lock if `fair`. No other is on its way, but in `unlock_to_sleep`.
    fn unlock_waking(&self, fair: bool) {
        let (now, starving) = (Grace::now(), self.starving());
        let mut given = false;
        unpark_one(self.queue(), |Dequeued { found, more }| {
            // ORDERING: Relaxed: the step below decides.
            let mut word = self.0.load(Ordering::Relaxed);
            loop {
                let hands = fair && found;
                // Only if two are woken (invariant 4).
                given = !hands && word & STARVING != 0;
                let next = unlocked_waking(word, found, hands, more, now);
                // ORDERING: Release: see `unlock`. A hand-over is ordered by the unpark.
                match self.step(word, next, Ordering::Release) {
                    Ok(_) if hands => return Handing::Over,
                    Ok(_) => return Handing::Nothing,
                    Err(now) => word = now,
                }
            }
        });
        if given {
            unpark_threads(starving);
        }
    }
}
