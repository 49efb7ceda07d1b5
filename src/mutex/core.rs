//! The word of a mutex, and how threads wait for it. `state.rs` has its bits.
//!
//! ```text
//! free                  => LOCKED                        lock      (any thread: barging)
//! LOCKED                => free                          unlock    (nobody asleep, or a woken thread on its way)
//! LOCKED PARKED         => PARKED? WOKEN                 unlock    (wakes one thread in the same step)
//! LOCKED                => LOCKED PARKED                 a waiter, before it sleeps in the queue
//! LOCKED                => LOCKED CLAIMED                a waiter, before that, for as long as a wake-up takes
//! LOCKED CLAIMED        => LOCKED HANDED                 unlock
//! LOCKED PARKED CLAIMED => LOCKED PARKED? HANDED WOKEN   unlock    (wakes one thread in the same step)
//! LOCKED CLAIMED        => LOCKED                        the claimant stops waiting awake
//! LOCKED HANDED         => LOCKED                        the claimant, now the holder
//! LOCKED WOKEN          => LOCKED WOKEN STARVING         the woken thread, after waiting for a millisecond
//! LOCKED WOKEN          => LOCKED WOKEN GRANTED          unlock    (if the woken thread starves, or is late)
//! LOCKED WOKEN STARVING => LOCKED                        the woken thread times out
//! LOCKED WOKEN GRANTED  => LOCKED                        the woken thread, now the holder
//! ```
//!
//! The modes are those of Go's mutex (`sync/mutex.go`: normal and starvation), with a different hand-off. Go's
//! mutex, once it starves, hands every unlock to the head of its queue until that queue is short-lived again. Here one
//! thread is awake at a time, and it is handed the lock if it can't take it by itself: by the next unlock, if it is
//! awake and has waited for a millisecond; or by an unlock one millisecond after its wake-up, even if it has had no
//! core since. The lock isn't handed over earlier, because a thread without a core would hold it and do nothing.
//!
//! A waiter claims the lock for a moment before it sleeps. Where sections are shorter than a wake-up, that is cheaper
//! for all threads than sleeping.
//!
//! There are two queues: waiters sleep at the word's address, a starving thread one byte further on.
//!
//! # Invariants
//!
//! - **M1.** `CLAIMED`, `HANDED`, `STARVING` and `GRANTED` imply `LOCKED`. So barging, which needs a word without
//!   `LOCKED`, can't take a lock that was handed over. `HANDED` and `GRANTED` are never set together, each is cleared
//!   by one thread alone, and the step that clears it acquires the lock.
//! - **M2.** A waiter sleeps in the queue only while `LOCKED` and `PARKED` are set (its `validate`). `PARKED` is
//!   cleared only when the queue is empty, under the queue's lock. So the holder sees the bit while a thread sleeps.
//! - **M3.** If a waiter is asleep in the queue and the word is not `LOCKED`, then `WOKEN` is set, and an awake waiter
//!   takes that bit for its own. (Two waiters may, after a spurious wake-up or an `unlock_to_sleep`; either may clear
//!   it.) A waiter clears `WOKEN` only as it acquires the lock, or in a step on a word that is `LOCKED`: then an
//!   unlock follows, which sees `PARKED`. So a wake-up is passed on even by a waiter that has timed out
//!   (golang#37852, parking_lot#465).
//! - **M4.** A starving thread sleeps only while `STARVING` is set and `GRANTED` is not. The unlock that finds
//!   `STARVING` grants the lock and wakes it. If another waiter has taken the grant, which a spurious wake-up makes
//!   possible, the starving thread finds neither bit and starts again.
//! - **M5.** The unlocking step is the last access of the unlocking thread to the word. What follows it uses the
//!   address alone.
//!
//! # Moved waiters
//!
//! A condition variable moves the waiters that it notifies to this queue, asleep as they are, by [`Word::admit`]. It
//! sets `PARKED` under the queue's lock, on a word that has `LOCKED` or `WOKEN` set. On any other word it sets `WOKEN`,
//! and the waiter is woken instead. So M2 and M3 hold for moved waiters too. A moved waiter that is woken takes
//! `WOKEN` for its own; a moved waiter that times out leaves the word alone.
//!
//! A holder that unlocks in order to wait leaves its core to another thread. It wakes a waiter even if one is already
//! on its way ([`Word::unlock_to_sleep`]), so that a crowd of moved waiters isn't admitted through a chain of single
//! wake-ups. Then two threads are woken, as after a spurious wake-up (M4), and the bound counts from the later
//! wake-up.
//!
//! # The bound
//!
//! A claim delays no wake-up; only a thread that was woken earlier does. That thread acquires the lock or goes to the
//! end of the queue at the first unlock that comes a millisecond after its wake-up, or at the second one if that is
//! later; where sections are short, up to 64 unlocks later. It goes to the end of the queue only if it has a core and
//! has waited for less than a millisecond, counted from the end of its first polls. So a waiter behind n others has
//! the lock within n + 2 milliseconds, two sections and a wake-up. The clock runs whether the waiter has a core or
//! not. Where threads outnumber cores, add the time that holders, and threads that were granted the lock, spend off
//! their cores.
//!
//! # Orderings
//!
//! Every step that acquires the lock is an Acquire, every step that releases it a Release, and only read-modify-writes
//! change the word. So everything done under the lock happens before everything done under it later.

use super::state::{
    CLAIMED, GRANTED, HANDED, LOCKED, PARKED, STARVING, WOKEN, admitted, must_grant, owes_wake_up,
    unlocked, unlocked_waking,
};
use crate::support::backoff::{Backoff, Spin};
use crate::support::tuning::{Grace, StarvationTimer};
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::{Dequeued, HandOff, Parked, const_fn, park, unpark_one, unpark_threads};
use std::time::Instant;

/// The state of a mutex. See the [module](self).
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

/// Polls before a waiter gets polite, about a microsecond. If the lock is free half of the time, one of the first polls
/// succeeds; if none does, another thread locks it without pause.
const EAGER_POLLS: u32 = 5;
/// For how long a polite waiter must see the lock free before it takes it, in pauses of the processor.
const POLITE_PAUSES: u32 = 6;

impl Word {
    const_fn! {
        pub(super) fn new() -> Self {
            Word(AtomicU32::new(0))
        }
    }

    #[inline]
    pub(super) fn lock(&self) {
        // ORDERING: Acquire: pairs with the Release of the last unlock. A word that is LOCKED stays as it is.
        if self.0.fetch_or(LOCKED, Ordering::Acquire) & LOCKED != 0 {
            self.lock_contended(0, None);
        }
    }

    /// [`lock`](Self::lock), for a thread that owns `WOKEN`: see "Moved waiters".
    pub(crate) fn lock_woken(&self) {
        self.lock_contended(WOKEN, None);
    }

    /// [`unlock`](Self::unlock), for a holder that is about to sleep and leaves its core to another thread.
    pub(crate) fn unlock_to_sleep(&self) {
        // ORDERING: Relaxed: a hint.
        let word = self.0.load(Ordering::Relaxed);
        if word & PARKED != 0 && !must_grant(word, false) {
            self.unlock_waking(false);
        } else {
            self.unlock();
        }
    }

    /// Admits a sleeping thread to the queue. Returns `false` if it must be woken instead, and then owns `WOKEN`.
    ///
    /// Must be called under the queue's lock, which the caller keeps until the thread is in the queue.
    pub(crate) fn admit(&self) -> bool {
        let now = Grace::now();
        // ORDERING: Relaxed, and for the step: it decides, and publishes nothing.
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
        // ORDERING: Relaxed: only spares the cache line of a held lock. Acquire: pairs with the Release in `unlock`.
        self.0.load(Ordering::Relaxed) & LOCKED == 0
            && self.0.fetch_or(LOCKED, Ordering::Acquire) & LOCKED == 0
    }

    /// Locks; returns `false` if the deadline passed first.
    #[inline]
    pub(super) fn lock_until(&self, deadline: Option<Instant>) -> bool {
        self.try_lock() || self.lock_contended(0, deadline)
    }

    /// Must be called by the holder.
    #[inline]
    pub(crate) fn unlock(&self) {
        // ORDERING: Release: pairs with the Acquire of the next lock. Relaxed on failure: `unlock_contended` decides.
        if let Err(word) = self.0.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed)
        {
            self.unlock_contended(word, false);
        }
    }

    /// Hands the lock to the woken thread, or to the first thread in the queue, if there is one. Must be called by the
    /// holder.
    pub(super) fn unlock_fair(&self) {
        // ORDERING: Relaxed: a hint. A waiter that isn't in the queue yet can't be handed the lock.
        let word = self.0.load(Ordering::Relaxed);
        if word & (PARKED | WOKEN) == 0 {
            self.unlock();
        } else {
            self.unlock_contended(word, true);
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        // ORDERING: Relaxed: the caller learns nothing about the data.
        self.0.load(Ordering::Relaxed) & LOCKED != 0
    }

    /// The address of the waiters' queue.
    pub(crate) fn queue(&self) -> usize {
        (&raw const self.0).addr()
    }

    /// The address at which a starving thread sleeps.
    fn starving(&self) -> usize {
        self.queue() + 1
    }

    fn step(&self, from: u32, to: u32, success: Ordering) -> Result<u32, u32> {
        // ORDERING: Relaxed on failure: the caller starts again with the word found.
        self.0.compare_exchange_weak(from, to, success, Ordering::Relaxed)
    }

    /// Waits for the lock; returns `false` if the deadline passed first. `woken` is `WOKEN` if this thread owns that
    /// bit because an unlock took it out of the queue (M3), else 0.
    #[cold]
    fn lock_contended(&self, mut woken: u32, deadline: Option<Instant>) -> bool {
        let mut backoff = if woken == 0 { Backoff::new() } else { Backoff::rested() };
        let mut starvation = StarvationTimer::new();
        let mut has_claimed = false;
        loop {
            let Some(word) = self.poll(woken, &mut backoff) else { return true };
            starvation.begin();
            if woken != 0 && starvation.is_over() {
                // LOCKED WOKEN => LOCKED WOKEN STARVING.
                // ORDERING: Relaxed: publishes nothing.
                if self.step(word, word | WOKEN | STARVING, Ordering::Relaxed).is_err() {
                    continue;
                }
                match self.wait_for_grant(deadline) {
                    Parked::Handed => return true,
                    Parked::TimedOut => return false,
                    Parked::Woken | Parked::Invalid => continue,
                }
            }
            // LOCKED => LOCKED CLAIMED, once before each sleep; or LOCKED => LOCKED PARKED. Clears WOKEN, as M3
            // allows.
            let claims = !has_claimed && word & (CLAIMED | HANDED) == 0;
            let mark = if claims { CLAIMED } else { PARKED };
            // ORDERING: Relaxed: publishes nothing.
            if self.step(word, word & !woken | mark, Ordering::Relaxed).is_err() {
                continue;
            }
            (woken, has_claimed) = (0, true);
            if claims {
                if self.wait_as_claimant() {
                    return true;
                }
                continue;
            }
            match park(self.queue(), || self.must_sleep(), deadline) {
                Parked::Handed => return true,
                Parked::Woken => (woken, has_claimed) = (WOKEN, false),
                Parked::Invalid => {}
                Parked::TimedOut => return false,
            }
            backoff = Backoff::rested();
        }
    }

    /// Polls the word until this thread has acquired the lock, and returns `None`; or until the backoff is over, and
    /// returns the word, which is LOCKED.
    fn poll(&self, woken: u32, backoff: &mut Backoff) -> Option<u32> {
        loop {
            // ORDERING: Relaxed: the acquiring step decides.
            let word = self.0.load(Ordering::Relaxed);
            if word & LOCKED == 0 {
                // ORDERING: Acquire: pairs with the Release in `unlock`.
                if backoff.may_acquire(EAGER_POLLS, POLITE_PAUSES, || !self.is_locked())
                    && self.step(word, word & !woken | LOCKED, Ordering::Acquire).is_ok()
                {
                    return None;
                }
                if backoff.is_over() {
                    continue;
                }
            } else if woken != 0 && word & GRANTED != 0 {
                if self.take_grant() {
                    return None;
                }
                continue;
            } else if backoff.is_over() {
                return Some(word);
            }
            backoff.pause();
        }
    }

    /// Whether a waiter may sleep (M2). Only for `validate`.
    fn must_sleep(&self) -> bool {
        // ORDERING: Relaxed: the queue's lock orders this with the unlock that wakes.
        self.0.load(Ordering::Relaxed) & (LOCKED | PARKED) == LOCKED | PARKED
    }

    /// LOCKED HANDED => LOCKED, or LOCKED CLAIMED => LOCKED. Returns whether the claimant holds the lock.
    fn take_hand_off(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release of the unlock that handed over.
        self.0.fetch_and(!(HANDED | CLAIMED), Ordering::Acquire) & HANDED != 0
    }

    /// LOCKED WOKEN GRANTED => LOCKED, or LOCKED WOKEN STARVING => LOCKED. Returns whether the woken thread holds the
    /// lock.
    fn take_grant(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release of the unlock that granted the lock.
        let before = self.0.fetch_and(!(GRANTED | WOKEN | STARVING), Ordering::Acquire);
        if before & (GRANTED | STARVING) == STARVING {
            // A second thread may starve too, after a spurious wake-up (M4).
            // WEAKEN: wake-one survives, because it would take a third thread that starves.
            unpark_threads(self.starving());
        }
        before & GRANTED != 0
    }

    fn has(&self, bit: u32) -> bool {
        // ORDERING: Relaxed: a hint; the step that takes the lock decides.
        self.0.load(Ordering::Relaxed) & bit != 0
    }

    /// Polls as the claimant for as long as a wake-up takes, and returns whether the lock was handed over.
    ///
    /// An awake thread is handed the lock for the price of a cache line. Putting it to sleep and waking it would cost
    /// the holder more.
    fn wait_as_claimant(&self) -> bool {
        Spin::WakeUp.poll(|| self.has(HANDED).then_some(()));
        self.take_hand_off()
    }

    /// Waits as the starving thread until the lock is granted (M4). Returns `Handed` then, `TimedOut` if the deadline
    /// passed first, and anything else if the thread must start again.
    fn wait_for_grant(&self, deadline: Option<Instant>) -> Parked {
        Spin::WakeUp.poll(|| self.has(GRANTED).then_some(()));
        loop {
            // ORDERING: Relaxed: a hint; the step that takes the lock decides.
            let word = self.0.load(Ordering::Relaxed);
            if word & GRANTED != 0 {
                return if self.take_grant() { Parked::Handed } else { Parked::Woken };
            }
            if word & STARVING == 0 {
                return Parked::Woken;
            }
            let must_sleep = || {
                // ORDERING: Relaxed: the queue's lock orders this with the unlock that wakes.
                self.0.load(Ordering::Relaxed) & (STARVING | GRANTED) == STARVING
            };
            if park(self.starving(), must_sleep, deadline) == Parked::TimedOut {
                // LOCKED WOKEN STARVING => LOCKED, unless the lock has just been granted.
                return if self.take_grant() { Parked::Handed } else { Parked::TimedOut };
            }
        }
    }

    /// Unlocks where there are waiters, or were. A `fair` unlock hands the lock to one of them.
    #[cold]
    fn unlock_contended(&self, mut word: u32, fair: bool) {
        loop {
            if owes_wake_up(word) {
                return self.unlock_waking(fair);
            }
            let starving = self.starving();
            let next = unlocked(word, fair);
            // ORDERING: Release: pairs with the Acquire of the next lock.
            match self.step(word, next, Ordering::Release) {
                // M4.
                Ok(_) if next & (GRANTED | STARVING) == GRANTED | STARVING => {
                    return unpark_threads(starving);
                }
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Unlocks and wakes the thread that has been asleep the longest, in one step with respect to the queue. Hands it
    /// the lock if `fair`. No other thread is on its way, unless `unlock_to_sleep` is the caller.
    fn unlock_waking(&self, fair: bool) {
        let (now, starving) = (Grace::now(), self.starving());
        let mut granted = false;
        unpark_one(self.queue(), |Dequeued { found, more }| {
            // ORDERING: Relaxed: the step decides.
            let mut word = self.0.load(Ordering::Relaxed);
            loop {
                let hands = fair && found;
                // Only where two threads are woken (M4).
                granted = !hands && word & STARVING != 0;
                let next = unlocked_waking(word, found, hands, more, now);
                // ORDERING: Release: pairs with the Acquire of the next lock. The unpark orders a hand-off.
                match self.step(word, next, Ordering::Release) {
                    Ok(_) if hands => return HandOff::Yes,
                    Ok(_) => return HandOff::No,
                    Err(now) => word = now,
                }
            }
        });
        if granted {
            // WEAKEN: wake-one survives, because it would take a second thread that starves beside a woken one.
            unpark_threads(starving);
        }
    }
}

/// Ways into states that a model can't reach by itself in few steps.
#[cfg(test)]
impl Word {
    pub(super) fn has_sleeper(&self) -> bool {
        self.has(PARKED)
    }

    pub(super) fn has_woken(&self) -> bool {
        self.has(WOKEN)
    }

    pub(super) fn is_starving(&self) -> bool {
        self.has(STARVING)
    }

    /// Makes the woken thread starve. Must be called by the holder.
    pub(crate) fn mark_starving(&self) {
        // ORDERING: Relaxed: publishes nothing.
        self.0.fetch_or(WOKEN | STARVING, Ordering::Relaxed);
    }

    /// Pretends that a thread was woken and is on its way. Must be called by the holder.
    pub(super) fn mark_woken(&self) {
        // ORDERING: Relaxed: publishes nothing.
        self.0.fetch_or(WOKEN, Ordering::Relaxed);
    }

    /// Pretends that a waiter has claimed the lock. Must be called by the holder.
    pub(super) fn mark_claimed(&self) {
        // ORDERING: Relaxed: publishes nothing.
        self.0.fetch_or(CLAIMED, Ordering::Relaxed);
    }

    /// Stops waiting as the claimant; returns whether the lock was handed over.
    pub(super) fn stop_claiming(&self) -> bool {
        self.take_hand_off()
    }

    /// Locks as the starving thread; returns `false` if it must start again.
    pub(crate) fn lock_starving(&self, deadline: Instant) -> bool {
        self.wait_for_grant(Some(deadline)) == Parked::Handed
    }

    /// Locks as the starving thread, without a deadline.
    pub(super) fn lock_as_starving(&self) {
        if self.wait_for_grant(None) != Parked::Handed {
            self.lock();
        }
    }

    /// Locks as a thread whose wake-up was spurious.
    pub(super) fn lock_as_woken(&self) {
        assert!(self.lock_contended(WOKEN, None), "a wait without a deadline timed out");
    }
}
