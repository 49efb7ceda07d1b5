//! The mutex's word: barging for speed, and a claim for whoever has waited too long.
//!
//! | bit | name | meaning | set by | cleared by |
//! | --- | --- | --- | --- | --- |
//! | 0 | `LOCKED` | held, or being handed over | whoever takes it | the holder |
//! | 1 | `PARKED` | threads may be asleep in the queue | one about to sleep | an unlock that finds the queue empty |
//! | 2 | `WOKEN` | one that was woken is on its way: wake no other | the unlock that wakes it | that one, as it takes the lock or sleeps again |
//! | 3 | `STARVING` | a waiter claims the lock | the *claimant* | the unlock that hands over, or the claimant that gives up |
//! | 4 | `HANDED` | the lock is the claimant's | the unlock that hands over | the claimant |
//!
//! ```text
//! free               => LOCKED                    lock          (anybody: barging)
//! LOCKED             => free                      unlock        (no one asleep, or one on its way)
//! LOCKED PARKED      => PARKED? WOKEN             unlock        (and one woken, in the same step)
//! LOCKED             => LOCKED PARKED             a waiter, before it sleeps in the queue
//! LOCKED             => LOCKED STARVING           a waiter, for a moment before it sleeps, and for
//!                                                 good when it has waited for a millisecond
//! LOCKED STARVING    => LOCKED HANDED             unlock        (and the claimant woken)
//! LOCKED STARVING    => LOCKED                    the claimant, giving up
//! LOCKED HANDED      => LOCKED                    the claimant, now the holder
//! ```
//!
//! This is Go's mutex (`sync/mutex.go`: normal and starvation mode) with another hand-over. There
//! a starving mutex hands each unlock to the head of its queue, which is asleep, until the queue
//! is young again. Here one waiter at a time, which is awake by then, claims the *next* unlock;
//! everybody else goes on barging. It does so for good after a millisecond; and for a few microseconds
//! whenever it would otherwise go to sleep, which among short sections is cheaper for all.
//!
//! Two queues, at two addresses: the waiters' at the word, the claimant's one byte on.
//!
//! Invariants:
//!
//! 1. `STARVING` and `HANDED` imply `LOCKED`, and never stand together: so barging, which takes
//!    only a word without `LOCKED`, can't take what is claimed or handed over.
//! 2. A waiter sleeps only while `LOCKED` and `PARKED` are set (its `validate`), and `PARKED` is
//!    cleared only when the queue is empty, under its lock. So each sleeper's holder sees the bit.
//! 3. If a waiter is asleep and the word is not `LOCKED`, then `WOKEN` is set and some waiter is
//!    awake that takes it for its own. (Two may, after a fair unlock beside a claim or an
//!    `unlock_to_sleep`: either clears it where it may.) Whoever does gives it up only as it takes the lock, or in a step on a
//!    word that is `LOCKED`: there is an unlock to come, which sees `PARKED`. So a wake-up is passed
//!    on, also by one whose time is over (golang#37852, parking_lot#465).
//! 4. The step that unlocks is the last that the unlocking thread takes on the word; what follows
//!    needs the address alone.
//!
//! **Moved waiters.** A condition variable moves the waiters that it notifies into the queue, asleep as
//! they are, by `admit`: `PARKED` is set under the queue's lock, on a word that is `LOCKED` or has
//! `WOKEN` set. A word that is neither gets `WOKEN` instead, and that waiter is woken. So invariants 2
//! and 3 hold for it as for any other. A moved waiter that is woken takes on `WOKEN`; one whose time
//! is over has no part in the word. A holder that unlocks in order to wait, and leaves its core to another,
//! wakes one although another is on its way (`unlock_to_sleep`): so a crowd of moved waiters that wait anew
//! is not let in over a chain of single wake-ups.
//!
//! **The bound.** Among sections of a few microseconds a waiter is handed the lock at the end of its
//! looks, after some 20 µs. A waiter that has been waiting for 1 ms, counted from its first sleep, claims
//! at its next turn awake; with the claim standing, the next unlock is its own. Turns come with each
//! unlock that finds no one on its way, and whoever uses one in vain goes to the end of the queue.
//! So of n waiters each has the lock within 1 ms and n times a wake-up, the section of one that barged
//! in, and a section of its own; longer only if one that is awake or claims is kept off its core.
//!
//! Orderings: every step that takes the lock is an Acquire and every step that lets it go a Release,
//! on one word that only read-modify-writes change. So everything done under the lock happens
//! before whatever is done under it next.

use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::{
    Backoff, Dequeued, Handing, Parked, Patience, Spin, const_fn, park, unpark_one,
    unpark_threads,
};
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

const LOCKED: u32 = 1;
const PARKED: u32 = 1 << 1;
const WOKEN: u32 = 1 << 2;
const STARVING: u32 = 1 << 3;
const HANDED: u32 = 1 << 4;

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
            self.lock_contended(None, 0);
        }
    }

    /// [`lock`](Self::lock), for a thread that holds `WOKEN`: see "Moved waiters".
    pub(crate) fn lock_woken(&self) {
        self.lock_contended(None, WOKEN);
    }

    /// [`unlock`](Self::unlock), for a holder that is about to sleep, and leaves its core to another.
    pub(crate) fn unlock_to_sleep(&self) {
        // ORDERING: Relaxed: a hint.
        if self.0.load(Ordering::Relaxed) & (PARKED | STARVING) == PARKED {
            self.unlock_waking(false);
        } else {
            self.unlock();
        }
    }

    /// Lets a sleeping thread into the queue; `false` if it must be woken instead, and holds `WOKEN`.
    /// Only under the queue's lock, which is kept until the thread is in.
    pub(crate) fn admit(&self) -> bool {
        // ORDERING: Relaxed: the step decides, and publishes nothing.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let moves = word & (LOCKED | WOKEN) != 0;
            let mark = if moves { PARKED } else { WOKEN };
            match self.step(word, word | mark, Ordering::Relaxed) {
                Ok(_) => return moves,
                Err(now) => word = now,
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
        self.try_lock() || self.lock_contended(deadline, 0)
    }

    /// Only for whoever holds the lock.
    #[inline]
    pub(super) fn unlock(&self) {
        // ORDERING: Release: what was done under the lock happens before the next Acquire.
        if self.0.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.unlock_contended();
        }
    }

    /// Only for whoever holds the lock. Hands it to a waiter, if one is asleep.
    pub(super) fn unlock_fair(&self) {
        // ORDERING: Relaxed: a hint. A waiter that is not in the queue yet can't be handed to.
        if self.0.load(Ordering::Relaxed) & (PARKED | STARVING) == PARKED {
            self.unlock_waking(true);
        } else {
            self.unlock();
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

    #[cfg(test)]
    pub(super) fn has_claim(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STARVING != 0
    }

    /// The waiters' queue.
    pub(crate) fn queue(&self) -> usize {
        (&raw const self.0).addr()
    }

    /// Where the claimant sleeps.
    fn claims(&self) -> usize {
        self.queue() + 1
    }

    fn step(&self, from: u32, to: u32, success: Ordering) -> Result<u32, u32> {
        // ORDERING: Relaxed on failure: the caller decides anew.
        self.0.compare_exchange_weak(from, to, success, Ordering::Relaxed)
    }

    #[cold]
    fn lock_contended(&self, deadline: Option<Instant>, mut woken: u32) -> bool {
        // `woken` is WOKEN if this thread holds that bit (invariant 3), else nothing.
        let mut backoff = Backoff::new();
        let mut patience = Patience::new();
        let mut has_claimed = false;
        loop {
            let Some(word) = self.look(woken, &mut backoff) else { return true };
            // Held, and no use in looking on: LOCKED => LOCKED STARVING, for a moment before each
            // sleep, and for good after a millisecond; or LOCKED PARKED. Gives up WOKEN, as invariant
            // 3 has it.
            let starves = has_claimed && patience.is_over();
            let claims = word & (STARVING | HANDED) == 0 && (starves || !has_claimed);
            let mark = if claims { STARVING } else { PARKED };
            // ORDERING: Relaxed: publishes nothing.
            if self.step(word, word & !woken | mark, Ordering::Relaxed).is_err() {
                continue;
            }
            woken = 0;
            if claims && starves {
                return self.wait_as_claimant(deadline);
            }
            has_claimed = true;
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
            } else if backoff.is_over() {
                return Some(word);
            }
            backoff.pause_or_yield();
        }
    }

    /// Invariant 2. Only for `validate`.
    fn must_wait(&self) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the unlock that matters.
        self.0.load(Ordering::Relaxed) & (LOCKED | PARKED) == LOCKED | PARKED
    }

    /// LOCKED HANDED => LOCKED, if the lock has been handed over.
    fn take_handed(&self) -> bool {
        // ORDERING: Relaxed: a look. Acquire: pairs with the Release of the unlock that handed over.
        self.0.load(Ordering::Relaxed) & HANDED != 0 && {
            self.0.fetch_and(!HANDED, Ordering::Acquire);
            true
        }
    }

    /// LOCKED STARVING => LOCKED, unless the hand-over comes first: whether it did.
    fn withdraw(&self) -> bool {
        // ORDERING: Relaxed: publishes nothing. What is handed over is taken by the next step.
        self.0.fetch_and(!STARVING, Ordering::Relaxed) & HANDED != 0 && self.take_handed()
    }

    /// As long as a short section takes. A thread that is awake is handed the lock for the price of a
    /// cache line; to sleep and be woken would cost the holder more than that.
    fn claim_for_a_moment(&self) -> bool {
        Spin::Brief.poll(|| self.take_handed().then_some(())).is_some() || self.withdraw()
    }

    /// Until the hand-over, late as it may be; `false` if the deadline came first.
    fn wait_as_claimant(&self, deadline: Option<Instant>) -> bool {
        loop {
            if Spin::Brief.poll(|| self.take_handed().then_some(())).is_some() || self.take_handed() {
                return true;
            }
            let not_yet = || {
                // ORDERING: Relaxed: as in `must_wait`.
                self.0.load(Ordering::Relaxed) & HANDED == 0
            };
            if park(self.claims(), not_yet, deadline) == Parked::TimedOut {
                return self.withdraw();
            }
        }
    }

    #[cold]
    fn unlock_contended(&self) {
        // ORDERING: Relaxed: the steps below decide.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & STARVING == 0 && word & (PARKED | WOKEN) == PARKED {
                return self.unlock_waking(false);
            }
            let claims = self.claims();
            // ORDERING: Release: see `unlock`.
            match self.step(word, let_go(word), Ordering::Release) {
                Ok(_) if word & STARVING != 0 => {
                    unpark_threads(claims);
                    return;
                }
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Unlocks and wakes the one that has been asleep the longest, in one step with respect to
    /// the queue; hands it the lock if `fair`.
    fn unlock_waking(&self, fair: bool) {
        let claims = self.claims();
        let mut claimed = false;
        unpark_one(self.queue(), |Dequeued { found, more }| {
            // ORDERING: Relaxed: the step below decides.
            let mut word = self.0.load(Ordering::Relaxed);
            loop {
                claimed = word & STARVING != 0;
                let hands = fair && found && !claimed;
                let mut next = if hands { word } else { let_go(word) };
                if found && !hands {
                    next |= WOKEN;
                }
                if !more {
                    next &= !PARKED;
                }
                // ORDERING: Release: see `unlock`. A hand-over is ordered by the unpark.
                match self.step(word, next, Ordering::Release) {
                    Ok(_) if hands => return Handing::Over,
                    Ok(_) => return Handing::Nothing,
                    Err(now) => word = now,
                }
            }
        });
        if claimed {
            unpark_threads(claims);
        }
    }
}

/// LOCKED => free, or LOCKED STARVING => LOCKED HANDED.
fn let_go(word: u32) -> u32 {
    if word & STARVING != 0 { word & !STARVING | HANDED } else { word & !LOCKED }
}
