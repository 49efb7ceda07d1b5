//! The reader-writer lock: one word, and a way past it for readers.
//!
//! ```text
//!            by the word: readers + 1                    by a slot: mark it, see BIAS still there
//! reader  ───────────────────────────► inside ◄─────────────────────────────────── reader
//!
//! try     ── tries + 1 ──► outside ── readers = 0, no slot marked ──► holds; else tries - 1 (see `bias.rs`)
//!
//! writer  ── WRITER ──► pending ── readers = 0, no slot marked ──► holds ── WRITER off ──► out
//!               (BIAS => REVOKING)     (DRAINING, to be woken)        (REVOKING => BIAS, if it pays)
//! ```
//!
//! Invariants:
//!
//! - R1. A writer holds the lock only with `WRITER` set, no readers in the word, and no slot marked. No
//!   reader enters by the word while `WRITER` is set.
//! - R2. No reader stays in a slot that it marked after the bias was gone: it marks, then loads the word; the
//!   writer clears `BIAS` in the word, then scans the slots; each with a full fence between, or a heavy one
//!   between the writer's (`unfenced.rs`). So a reader that the writer overlooks finds the bias gone, and leaves.
//! - R3. `BIAS` is set only by a thread inside (a reader, or the writer that leaves), on a word without
//!   `WRITER` or in the step that clears `WRITER`; or by a try that fails, on a word without `WRITER`. So
//!   nobody holds the lock as a writer under it. While there are tries it isn't set at all: what a try
//!   has seen of the slots holds until it takes the lock.
//! - R4. `REVOKING` stays until the pending writer has seen the slots free; or until it times out, or the last
//!   try fails, and `BIAS` is set again. So a thread that sets `WRITER` knows whether slots may be marked.
//! - R5. A step to a word that readers could enter (`WRITER` off) wakes all readers asleep; a step to one that a
//!   writer could enter wakes one writer, if one is asleep and none is on its way (`WOKEN`); a step that clears
//!   `WRITER` or `UPGRADABLE` in a claimed word wakes the claimant. All steps but entering do so (`step` in
//!   `core.rs`); entering leaves nobody to wake, except for a claimant's, whose claim kept others out.
//! - R6. Waiters check the word again under their queue's lock: each sleeps only while what bars it
//!   and its mark are set. A thread that owns `WOKEN` clears it only as it enters, or on a word
//!   that bars it: there is a step to come that wakes.
//! - R7. The pending writer sleeps only after `DRAINING` is set. The last reader to leave the word sees that bit,
//!   in the same step. A reader that leaves a slot loads it too, but without a fence: its load may come before
//!   it leaves. The writer's sleep on slots is therefore bounded (`BACKSTOP` in `bias.rs`), which makes up for what
//!   that load has missed. It is a matter of nanoseconds; the sleeps grow, as one that began after `DRAINING` was
//!   visible is hardly ever missed.
//!
//! **Fairness.** A writer becomes pending past readers inside, and nobody enters behind it: readers
//! don't starve writers. A waiter that has waited for 1 ms, counted from its first sleep, claims the
//! lock: no writer enters before it does. So writers don't starve readers, nor one another.
//!
//! One exception: an upgradable reader that upgrades again and again without ever leaving may overtake a
//! reader's claim each time.
//!
//! Orderings: steps that enter are Acquire, steps that leave Release, on one word that only
//! read-modify-writes change; slots in `readers.rs`. A reader's entry does not see what other readers
//! did inside, as in any reader-writer lock.

use super::bias::{BiasedCore, Marked};
use super::control::{Automatic, Control};
use super::core::{Core, wake};
use super::readers::{First, Slot, mark_first};
use super::slow::{Entry, Waiter, too_many_readers};
use super::state::*;
use super::unfenced;
use crate::sys::atomic::Ordering;
use crate::sys::const_fn;
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct RawRwMutex<C = Automatic>(pub(super) BiasedCore<C>);

/// A reader's way out: its slot, or nothing if it is counted in the word.
#[derive(Debug)]
pub(super) struct Pass(pub(super) Option<&'static Slot>);

impl RawRwMutex {
    const_fn! {
        pub(super) fn new() -> Self {
            RawRwMutex(BiasedCore { core: Core::new(), control: Automatic::new() })
        }
    }
}

impl<C: Control> RawRwMutex<C> {
    #[cfg(test)]
    pub(super) fn parts(&self) -> &BiasedCore<C> {
        &self.0
    }

    #[inline]
    pub(super) fn core(&self) -> &Core {
        &self.0.core
    }

    #[inline]
    #[track_caller]
    pub(super) fn read(&self) -> Pass {
        // ORDERING: Acquire: if this loads the bias, it sees what writers did before it was set
        // (by a thread inside, whose entry acquired it).
        let word = self.core().word.load(Ordering::Acquire);
        if word & BIAS != 0 {
            if let Some(First { slot, is_round }) =
                mark_first(self.0.id(), unfenced::is_fenced(word))
            {
                if is_round || !self.0.validate(word, slot) {
                    return self.read_again(slot, is_round);
                }
                return Pass(Some(slot));
            }
        } else if word & (WRITER | READERS) == 0
            // ORDERING: Acquire: pairs with the Release of the writers that left.
            // WEAKEN: survives, because the load above has read the same value with Acquire: it could only be
            // another write's after 2^16 entries of writers in between.
            && self.core().change(word, add_reader(word), Ordering::Acquire).is_ok()
        {
            return Pass(None);
        }
        self.read_slowly()
    }

    /// `None` if the deadline came first.
    #[track_caller]
    pub(super) fn read_until(&self, deadline: Option<Instant>) -> Option<Pass> {
        let waits = || if is_over(deadline) { None } else { self.read_contended(deadline) };
        self.try_read().or_else(waits)
    }

    #[track_caller]
    pub(super) fn try_read(&self) -> Option<Pass> {
        let mut may_mark = true;
        loop {
            // ORDERING: Acquire: see `read`.
            let word = self.core().word.load(Ordering::Acquire);
            if word & WRITER != 0 {
                return None;
            }
            if word & BIAS != 0 && may_mark {
                match self.0.mark() {
                    Marked::Inside(slot) => return Some(Pass(Some(slot))),
                    Marked::NoSlot | Marked::Revoked => may_mark = false,
                }
                continue;
            }
            let Some(inside) = Kind::Reader.enter(word) else { too_many_readers() };
            // ORDERING: Acquire: pairs with the Release of the writers that left.
            // WEAKEN: survives, because the load above has read the same value with Acquire, as in `read`.
            if self.core().change(word, inside, Ordering::Acquire).is_ok() {
                return Some(Pass(None));
            }
        }
    }

    /// Only with the pass of a `read` of this lock.
    #[inline]
    pub(super) fn unlock_shared(&self, pass: Pass) {
        if let Some(slot) = pass.0 {
            return self.0.unmark(slot);
        }
        let drainer = self.core().drainer();
        // ORDERING: Release: what was read happens before the writer's Acquire in `drain_word`.
        let word = self.core().word.fetch_sub(READER, Ordering::Release);
        if word & (READERS | DRAINING) == READER | DRAINING {
            wake(drainer);
        }
    }

    #[inline]
    pub(super) fn write(&self) {
        if !self.try_write_fast() {
            self.write_contended(None);
        }
    }

    /// Acquires an unbiased, uncontended lock.
    #[inline]
    fn try_write_fast(&self) -> bool {
        // ORDERING: Relaxed: the exchange decides. Acquire: pairs with the Release of every reader and writer that left.
        let word = self.core().word.load(Ordering::Relaxed);
        word & (BARS_WRITER | BIAS) == 0
            && self.core().change(word, set_writer_unbiased(word), Ordering::Acquire).is_ok()
    }

    /// Returns whether it got the lock before the deadline.
    pub(super) fn write_until(&self, deadline: Option<Instant>) -> bool {
        self.try_write() || !is_over(deadline) && self.write_contended(deadline)
    }

    pub(super) fn try_write(&self) -> bool {
        self.0.try_write(TAKEN | STARVING, 0)
    }

    /// Only for the writer inside.
    #[inline]
    pub(super) fn unlock_exclusive(&self) {
        // ORDERING: Relaxed: the exchange decides. Release: what was written happens before the next
        // Acquire of the word.
        let word = self.core().word.load(Ordering::Relaxed);
        if word & !QUIET != 0
            || self.core().change(word, word & !WRITER, Ordering::Release).is_err()
        {
            self.core().step(clear_writer);
        }
    }

    /// Only for the writer inside. Hands the lock to a reader if one is asleep, else to a writer.
    pub(super) fn unlock_exclusive_fair(&self) {
        // ORDERING: Relaxed: a hint: a waiter that isn't in the queue yet can't be handed the lock.
        let word = self.core().word.load(Ordering::Relaxed);
        let to_reader = |word| add_reader(clear_writer(word));
        if word & READERS_PARKED != 0 && self.core().hand_over(Kind::Reader, &to_reader) {
            // Only one of the readers was handed it, and a writer may have to be woken (R5).
            self.core().step(|word| word);
        } else if word & WRITERS_PARKED == 0 || !self.core().hand_over(Kind::Writer, &|word| word) {
            self.unlock_exclusive();
        }
    }

    /// WRITER => reader. Only for the writer inside.
    pub(super) fn downgrade(&self) -> Pass {
        self.core().step(|word| add_reader(clear_writer(word)));
        Pass(None)
    }

    /// WRITER => UPGRADABLE. Only for the writer inside.
    pub(super) fn downgrade_to_upgradable(&self) {
        self.core().downgrade_to_upgradable();
    }

    #[inline]
    pub(super) fn upgradable(&self, deadline: Option<Instant>) -> bool {
        self.try_upgradable() || !is_over(deadline) && self.upgradable_contended(deadline)
    }

    pub(super) fn try_upgradable(&self) -> bool {
        // ORDERING: Relaxed: the exchange decides. Acquire: pairs with the Release of a writer.
        let mut word = self.core().word.load(Ordering::Relaxed);
        while word & Kind::Upgradable.bars() == 0 {
            match self.core().change(word, word | UPGRADABLE, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Only for the upgradable reader inside.
    pub(super) fn unlock_upgradable(&self) {
        self.core().step(|word| word & !UPGRADABLE);
    }

    /// Only for the upgradable reader inside. Hands its role to a thread asleep in the writers' queue. A
    /// writer becomes pending when it wakes; until then readers enter.
    pub(super) fn unlock_upgradable_fair(&self) {
        // ORDERING: Relaxed: a hint, as in `unlock_exclusive_fair`.
        let word = self.core().word.load(Ordering::Relaxed);
        if word & WRITERS_PARKED == 0 || !self.core().hand_over(Kind::Writer, &|word| word) {
            self.unlock_upgradable();
        }
    }

    /// UPGRADABLE => reader. Only for the upgradable reader inside.
    ///
    /// # Panics
    /// If there is no room for another reader. The upgradable one has left then, as `lock_api` asks of a
    /// guard that is used up by a panic.
    #[track_caller]
    pub(super) fn downgrade_upgradable(&self) -> Pass {
        // ORDERING: Relaxed: no older than this thread's own entry. Since then readers have only come
        // by `Kind::enter`, which leaves room for one more.
        if self.core().word.load(Ordering::Relaxed) & READERS == READERS {
            self.unlock_upgradable();
            too_many_readers();
        }
        self.core().step(|word| add_reader(word & !UPGRADABLE));
        Pass(None)
    }

    /// UPGRADABLE => WRITER, with nobody in between: no writer is pending while an upgradable reader is inside.
    /// Returns `false`, and is upgradable as before, if the deadline came first.
    pub(super) fn upgrade(&self, deadline: Option<Instant>) -> bool {
        if is_over(deadline) {
            return self.try_upgrade();
        }
        self.core().upgrade();
        let inside = self.0.drain(deadline);
        if !inside {
            self.core().downgrade_to_upgradable();
        }
        inside
    }

    pub(super) fn try_upgrade(&self) -> bool {
        self.0.try_write(READERS, UPGRADABLE)
    }

    pub(super) fn is_locked(&self) -> bool {
        // ORDERING: Acquire: says nothing about the data, but the id must be the bias's.
        // WEAKEN: survives, because with an older id this returns what it would have returned a moment before.
        let word = self.core().word.load(Ordering::Acquire);
        word & TAKEN != 0 || word & (BIAS | REVOKING) != 0 && self.0.is_marked()
    }

    pub(super) fn is_locked_exclusive(&self) -> bool {
        // ORDERING: Relaxed: says nothing about the data.
        self.core().word.load(Ordering::Relaxed) & WRITER != 0
    }

    /// A slot that was marked is no way in, or it is time to ask whether the fences of this lock's readers are
    /// needed.
    #[cold]
    #[track_caller]
    fn read_again(&self, slot: &Slot, is_round: bool) -> Pass {
        let id = self.0.id();
        self.0.unmark(slot);
        if is_round && unfenced::is_worth_it(self.core(), id) {
            unfenced::engage(self.core());
        }
        self.read_slowly()
    }

    #[cold]
    #[track_caller]
    fn read_slowly(&self) -> Pass {
        match self.read_contended(None) {
            Some(pass) => pass,
            None => unreachable!("a wait without deadline doesn't time out"),
        }
    }

    #[track_caller]
    fn read_contended(&self, deadline: Option<Instant>) -> Option<Pass> {
        let mut waiter = self.waiter(Kind::Reader, deadline);
        loop {
            match waiter.enter() {
                Entry::Entered { calm } => {
                    if calm {
                        self.0.engage();
                    }
                    return Some(Pass(None));
                }
                Entry::TimedOut => return None,
                Entry::Biased => match self.0.mark() {
                    Marked::Inside(slot) => return Some(Pass(Some(slot))),
                    Marked::NoSlot => waiter.has_no_slot(false),
                    Marked::Revoked => waiter.has_no_slot(true),
                },
            }
        }
    }

    #[cold]
    pub(super) fn write_contended(&self, deadline: Option<Instant>) -> bool {
        if self.waiter(Kind::Writer, deadline).enter() == Entry::TimedOut {
            return false;
        }
        let inside = self.0.drain(deadline);
        if !inside {
            self.core().step(clear_writer);
        }
        inside
    }

    #[cold]
    fn upgradable_contended(&self, deadline: Option<Instant>) -> bool {
        self.waiter(Kind::Upgradable, deadline).enter() != Entry::TimedOut
    }

    fn waiter(&self, kind: Kind, deadline: Option<Instant>) -> Waiter<'_, C> {
        Waiter::new(self.core(), &self.0.control, kind, deadline)
    }
}

/// Whether there is no time left to wait: then a wait is a try, and nobody may notice it.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Arc, IS_MODEL, can_spin};
    use crate::testing::spawn;

    #[test]
    fn a_reader_that_meets_another_engages_the_bias_and_writers_alone_end_it() {
        if IS_MODEL || !can_spin() {
            // One core: every reader is alone.
            return;
        }
        let lock = Arc::new(RawRwMutex::new());
        // ORDERING: Relaxed: a hint.
        let is_biased = || lock.core().word.load(Ordering::Relaxed) & BIAS != 0;
        let stays = lock.read();
        spawn(&lock, |lock| lock.unlock_shared(lock.read())).join();
        assert!(is_biased());
        lock.unlock_shared(stays);
        // The first is forgiven.
        for _ in 0..2 {
            lock.write();
            lock.unlock_exclusive();
        }
        assert!(!is_biased());
        lock.unlock_shared(lock.read());
        assert!(!is_biased(), "a reader that is alone needs none");
    }
}
