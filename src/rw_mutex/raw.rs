//! The reader-writer lock: one word, and a way past it for readers.
//!
//! The word's bits and their single steps are in `word.rs`; how a thread waits, and whom a step wakes, in
//! `waiting.rs`; how readers pass the word by, and what a writer does about it, in `bias.rs`,
//! `slots.rs` and `light.rs`. What it adds up to:
//!
//! ```text
//!            by the word: readers + 1                    by a slot: mark it, see BIAS still there
//! reader  ───────────────────────────► inside ◄─────────────────────────────────── reader
//!
//! try     ── TRIER + 1 ──► outside ── readers = 0, no slot marked ──► holds; else TRIER - 1 (see `bias.rs`)
//!
//! writer  ── WRITER ──► at the door ── readers = 0, no slot marked ──► holds ── WRITER off ──► out
//!               (BIAS => SUSPENDED)     (DRAINING, to be woken)          (SUSPENDED => BIAS, if it pays)
//! ```
//!
//! Invariants:
//!
//! 1. A writer holds the lock only with `WRITER` set, no readers in the word, and no slot marked. No
//!    reader enters by the word while `WRITER` is set.
//! 2. No reader stays in a slot that it marked after the bias was gone: it marks, then looks at the
//!    word; the writer takes `BIAS` off the word, then looks at the slots; each with a full fence
//!    between, or a heavy one between the writer's (`light.rs`). So a reader that the writer overlooks sees
//!    the bias gone, and leaves.
//! 3. `BIAS` is set only by one inside (a reader, or the writer that leaves), on a word without
//!    `WRITER` or in the step that takes `WRITER` off; or by a trier that goes, on a word without `WRITER`. So
//!    nobody holds the lock as a writer under it. As long as there are triers it isn't set at all: what a trier
//!    has seen of the slots holds until it takes the door.
//! 4. `SUSPENDED` stays until whoever has the door has seen the slots free, or until the door is given up, or the
//!    last trier goes, and `BIAS` is set again. So who takes the door knows whether slots may be marked.
//! 5. A step to a word that readers could enter (`WRITER` off) wakes all readers that sleep; a step
//!    to one that a writer could enter wakes one writer, if one sleeps and none is on its way
//!    (`WOKEN`); a step that takes `WRITER` or `UPGRADABLE` off a claimed word wakes the claimant.
//!    All steps but entering pay this (`step` in `waiting.rs`); entering leaves nothing to pay,
//!    except for a claimant's, whose claim kept others out.
//! 6. Sleepers check the word again under their queue's lock: each sleeps only while what bars it
//!    and its mark are set. Whoever holds `WOKEN` gives it up only as it enters, or on a word
//!    that bars it: there is a step to come that pays.
//! 7. The writer at the door sleeps only after `DRAINING` is set. The last reader to leave the word
//!    sees that bit, in the same step. One that leaves a slot looks for it too, but without a fence:
//!    its look may come before its leave. The writer's sleep on slots is therefore bounded
//!    (`BACKSTOP` in `bias.rs`), and what that look has missed is made up for. Such a look is nanoseconds wide;
//!    the sleeps grow, as one that began after `DRAINING` was there to see hardly misses it.
//!
//! Four queues, at four addresses: writers and upgradable readers at the word, the claimant, readers,
//! and the one that drains, at the next bytes.
//!
//! **Fairness.** A writer takes the door past readers inside, and nobody enters behind it: readers
//! don't starve writers. A waiter that has waited for 1 ms, counted from its first sleep, claims the
//! lock: no writer enters before it does. So writers don't starve readers, nor one another.
//!
//! One exception: an upgradable reader that upgrades again and again never lets go of its place, and
//! may overtake a reader's claim each time.
//!
//! Orderings: steps that enter are Acquire, steps that leave Release, on one word that only
//! read-modify-writes change; slots in `slots.rs`. A reader's entry does not see what other readers
//! did inside, as in any reader-writer lock.

use super::bias::Marked;
use super::light::{Allowed, Light};
use super::slots::{self, First, Slot};
use super::waiting::{Entry, Waiter, wake};
use super::word::*;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Hint, const_fn};
use std::time::Instant;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct RawRwMutex {
    pub(super) word: AtomicU64,
    /// What marks slots for this lock; 0 before the first bias.
    pub(super) id: AtomicU64,
    /// What biases have brought, see `bias.rs`. Written by the writer inside, or who engages one.
    pub(super) balance: Hint,
    /// The reads that rows remembered when a writer looked last. Written by the same.
    pub(super) counted: Hint,
}

/// A reader's way out: its slot, or nothing if it is counted in the word.
#[derive(Debug)]
pub(super) struct Pass(pub(super) Option<&'static Slot>);

/// The word with which a writer entered, if it is known: nobody may have changed it when the writer leaves,
/// and then it need not be read again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entered(u64);

impl Entered {
    /// No word of a writer is 0.
    pub(super) const UNKNOWN: Entered = Entered(0);

    fn is_unknown(self) -> bool {
        self.0 == 0
    }
}

/// Where the queues are, from the word's address on.
pub(super) const CLAIMS: usize = 1;
pub(super) const READERS_QUEUE: usize = 2;
pub(super) const DRAINER: usize = 3;

impl RawRwMutex {
    const_fn! {
        pub(super) fn new() -> Self {
            RawRwMutex {
                word: AtomicU64::new(0),
                id: AtomicU64::new(0),
                balance: Hint::new(),
                counted: Hint::new(),
            }
        }
    }

    /// A lock whose user says when it is to be biased, with an id of its own: see `bias.rs`.
    pub(super) fn steered(id: u64) -> Self {
        let lock = RawRwMutex { id: AtomicU64::new(id), ..RawRwMutex::new() };
        lock.steer();
        lock
    }

    #[inline]
    #[track_caller]
    pub(super) fn read(&self) -> Pass {
        // ORDERING: Acquire: if this reads the bias, it sees what writers did before it was set
        // (by one inside, whose entry acquired it). The exchange below: pairs with the Release of
        // the writers that left.
        let word = self.word.load(Ordering::Acquire);
        if word & BIAS != 0 {
            // ORDERING: Relaxed: the word that had the bias was read with Acquire, and the id is
            // older.
            let id = self.id.load(Ordering::Relaxed);
            if let Some(First { slot, is_round }) = slots::mark_first(id, word & LIGHT != 0) {
                if !self.keeps(word, slot) {
                    return self.read_revoked(slot);
                }
                if is_round {
                    self.consider_light();
                }
                return Pass(Some(slot));
            }
        } else if word & (WRITER | READERS) == 0
            && self.change(word, enter_to_read(word), Ordering::Acquire).is_ok()
        {
            return Pass(None);
        }
        self.read_slowly()
    }

    /// Reads a steered lock by this thread's first slot, if that takes no more than a look.
    #[inline]
    pub(super) fn read_at_once(&self, light: &Light) -> Option<Pass> {
        let First { slot, is_round } = self.mark_at_once(false)?;
        if !self.keeps(BIAS, slot) {
            return self.leave_at_once(slot);
        }
        if is_round {
            light.consider();
        }
        Some(Pass(Some(slot)))
    }

    /// The same by a light mark, which the readers' [`Light`] has just allowed.
    #[inline]
    pub(super) fn read_lightly(&self, light: &Light, allowed: Allowed) -> Option<Pass> {
        let First { slot, .. } = self.mark_at_once(true)?;
        if !self.keeps(BIAS, slot) || !light.still_allows(allowed) {
            return self.leave_at_once(slot);
        }
        Some(Pass(Some(slot)))
    }

    #[inline]
    fn mark_at_once(&self, lightly: bool) -> Option<First> {
        // ORDERING: Relaxed, twice: a steered lock's id is as old as the lock; `keeps` reads the word again.
        if self.word.load(Ordering::Relaxed) & BIAS == 0 {
            return None;
        }
        slots::mark_first(self.id.load(Ordering::Relaxed), lightly)
    }

    #[cold]
    fn leave_at_once(&self, slot: &Slot) -> Option<Pass> {
        self.unmark(slot);
        None
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
            let word = self.word.load(Ordering::Acquire);
            if word & WRITER != 0 {
                return None;
            }
            if word & BIAS != 0 && may_mark {
                match self.mark() {
                    Marked::Inside(pass) => return Some(pass),
                    Marked::NoSlot | Marked::Revoked => may_mark = false,
                }
                continue;
            }
            let Some(inside) = Kind::Reader.enter(word) else { too_many_readers() };
            // ORDERING: Acquire: see `read`.
            if self.change(word, inside, Ordering::Acquire).is_ok() {
                return Some(Pass(None));
            }
        }
    }

    /// Only with the pass of a `read` of this lock.
    #[inline]
    pub(super) fn leave(&self, pass: Pass) {
        if let Some(slot) = pass.0 {
            return self.unmark(slot);
        }
        let drainer = self.drainer();
        // ORDERING: Release: what was read happens before the writer's Acquire in `drain_word`.
        let word = self.word.fetch_sub(READER, Ordering::Release);
        if word & (READERS | DRAINING) == READER | DRAINING {
            wake(drainer);
        }
    }

    /// The word with which it entered, for [`unwrite`](Self::unwrite).
    #[inline]
    pub(super) fn write(&self) -> Entered {
        let entered = self.write_at_once();
        if entered.is_unknown() {
            self.write_contended(None, None);
        }
        entered
    }

    /// [`write`](Self::write) for a steered lock: by what its readers go, and whether they go on to pass the
    /// word by.
    #[inline]
    pub(super) fn write_steered(&self, light: &Light, keeps_bias: bool) -> Entered {
        let entered = self.write_at_once();
        if entered.is_unknown() {
            self.write_contended(None, Some(light));
            if !keeps_bias && self.suspends_bias() {
                self.end_bias();
            }
        }
        entered
    }

    /// Enters if there is nothing in the way, neither a bias.
    #[inline]
    fn write_at_once(&self) -> Entered {
        // ORDERING: Relaxed: the exchange decides. Acquire: pairs with the Release of those that left.
        let word = self.word.load(Ordering::Relaxed);
        let inside = take_unbiased_door(word);
        if word & (TAKEN | STARVING | BIAS | SUSPENDED) == 0
            && self.change(word, inside, Ordering::Acquire).is_ok()
        {
            Entered(inside)
        } else {
            Entered::UNKNOWN
        }
    }

    /// Whether it got the lock before the deadline.
    pub(super) fn write_until(&self, deadline: Option<Instant>) -> bool {
        self.try_write() || !is_over(deadline) && self.write_contended(deadline, None)
    }

    pub(super) fn try_write(&self) -> bool {
        self.try_door(TAKEN | STARVING, 0)
    }

    /// Only for the writer inside.
    #[inline]
    pub(super) fn unwrite(&self, entered: Entered) {
        // ORDERING: Relaxed: the exchange decides. Release: what was written happens before the next
        // Acquire of the word.
        let word = if entered.is_unknown() { self.word.load(Ordering::Relaxed) } else { entered.0 };
        if word & !QUIET != 0 || self.change(word, word & !WRITER, Ordering::Release).is_err() {
            self.step(leave_door);
        }
    }

    /// Only for the writer inside. Hands the lock to a reader if one is asleep, else to a writer.
    pub(super) fn unwrite_fair(&self) {
        // ORDERING: Relaxed: a hint: those not in the queue yet can't be handed to.
        let word = self.word.load(Ordering::Relaxed);
        let to_reader = |word| enter_to_read(leave_door(word));
        if word & READERS_PARKED != 0 && self.hand_over(Kind::Reader, &to_reader) {
            // Only one of the readers was handed it, and a writer may be due (invariant 5).
            self.step(|word| word);
        } else if word & WRITERS_PARKED == 0 || !self.hand_over(Kind::Writer, &|word| word) {
            self.unwrite(Entered::UNKNOWN);
        }
    }

    /// WRITER => reader. Only for the writer inside.
    pub(super) fn downgrade(&self) -> Pass {
        self.step(|word| enter_to_read(leave_door(word)));
        Pass(None)
    }

    /// WRITER => UPGRADABLE. Only for the writer inside.
    pub(super) fn downgrade_to_upgradable(&self) {
        self.step(|word| leave_door(word) | UPGRADABLE);
    }

    #[inline]
    pub(super) fn upgradable(&self, deadline: Option<Instant>) -> bool {
        self.try_upgradable() || !is_over(deadline) && self.upgradable_contended(deadline)
    }

    pub(super) fn try_upgradable(&self) -> bool {
        // ORDERING: Relaxed: the exchange decides. Acquire: pairs with the Release of a writer.
        let mut word = self.word.load(Ordering::Relaxed);
        while word & Kind::Upgradable.bars() == 0 {
            match self.change(word, word | UPGRADABLE, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Only for the upgradable reader inside.
    pub(super) fn leave_upgradable(&self) {
        self.step(|word| word & !UPGRADABLE);
    }

    /// Only for the upgradable reader inside. Hands its place to one that sleeps. A writer takes the door from it
    /// when it wakes; until then readers enter.
    pub(super) fn leave_upgradable_fair(&self) {
        // ORDERING: Relaxed: a hint, as in `unwrite_fair`.
        let word = self.word.load(Ordering::Relaxed);
        if word & WRITERS_PARKED == 0 || !self.hand_over(Kind::Writer, &|word| word) {
            self.leave_upgradable();
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
        if self.word.load(Ordering::Relaxed) & READERS == READERS {
            self.leave_upgradable();
            too_many_readers();
        }
        self.step(|word| enter_to_read(word & !UPGRADABLE));
        Pass(None)
    }

    /// UPGRADABLE => WRITER, with nobody in between: the door is free as long as an upgradable
    /// reader is inside. `false`, and upgradable as before, if the deadline came first.
    pub(super) fn upgrade(&self, deadline: Option<Instant>) -> bool {
        if is_over(deadline) {
            return self.try_upgrade();
        }
        self.take_door_from_upgradable();
        self.drain(deadline, None) || self.retreat(|word| leave_door(word) | UPGRADABLE)
    }

    pub(super) fn try_upgrade(&self) -> bool {
        self.try_door(READERS, UPGRADABLE)
    }

    pub(super) fn is_locked(&self) -> bool {
        // ORDERING: Acquire: says nothing about the data, but the id must be the bias's.
        let word = self.word.load(Ordering::Acquire);
        word & TAKEN != 0 || word & (BIAS | SUSPENDED) != 0 && self.is_marked()
    }

    pub(super) fn is_locked_exclusive(&self) -> bool {
        // ORDERING: Relaxed: says nothing about the data.
        self.word.load(Ordering::Relaxed) & WRITER != 0
    }

    /// Whether a writer at the door may be asleep.
    #[cfg(test)]
    pub(super) fn is_draining(&self) -> bool {
        // ORDERING: Relaxed: asks again and again.
        self.word.load(Ordering::Relaxed) & DRAINING != 0
    }

    /// The queue of writers and upgradable readers.
    pub(super) fn writers(&self) -> usize {
        (&raw const self.word).addr()
    }

    /// Where the claimant sleeps.
    pub(super) fn claims(&self) -> usize {
        self.writers() + CLAIMS
    }

    pub(super) fn readers(&self) -> usize {
        self.writers() + READERS_QUEUE
    }

    /// Where the writer at the door sleeps.
    pub(super) fn drainer(&self) -> usize {
        self.writers() + DRAINER
    }

    pub(super) fn queue(&self, kind: Kind) -> usize {
        match kind {
            Kind::Reader => self.readers(),
            Kind::Writer | Kind::Upgradable => self.writers(),
        }
    }

    #[inline]
    pub(super) fn change(&self, from: u64, to: u64, success: Ordering) -> Result<u64, u64> {
        // ORDERING: Relaxed on failure: the caller decides anew.
        self.word.compare_exchange_weak(from, to, success, Ordering::Relaxed)
    }

    #[cold]
    #[track_caller]
    fn read_revoked(&self, slot: &Slot) -> Pass {
        self.unmark(slot);
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
        let mut waiter = Waiter::new(Kind::Reader, deadline);
        loop {
            match self.enter(&mut waiter) {
                Entry::Entered => return Some(Pass(None)),
                Entry::TimedOut => return None,
                Entry::Biased => match self.mark() {
                    Marked::Inside(pass) => return Some(pass),
                    Marked::NoSlot => waiter.may_mark = false,
                    // A writer was faster. Not to be tried for ever.
                    Marked::Revoked => {
                        let backoff = &waiter.backoff;
                        waiter.may_mark = !backoff.is_late() && !backoff.is_over();
                    }
                },
            }
            if !waiter.backoff.is_over() {
                waiter.backoff.pause();
            }
        }
    }

    #[cold]
    fn write_contended(&self, deadline: Option<Instant>, light: Option<&Light>) -> bool {
        self.enter(&mut Waiter::new(Kind::Writer, deadline)) == Entry::Entered
            && (self.drain(deadline, light) || self.retreat(leave_door))
    }

    #[cold]
    fn upgradable_contended(&self, deadline: Option<Instant>) -> bool {
        self.enter(&mut Waiter::new(Kind::Upgradable, deadline)) == Entry::Entered
    }

    pub(super) fn take_door_from_upgradable(&self) {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        // ORDERING: Relaxed: the drain reads the word with Acquire.
        while let Err(now) = self.change(word, take_door(word & !UPGRADABLE), Ordering::Relaxed) {
            word = now;
        }
    }

    /// Gives up the door. Always `false`.
    fn retreat(&self, step: impl Fn(u64) -> u64) -> bool {
        self.step(step);
        false
    }
}

/// Whether there is no time left to wait: then a wait is a try, and nobody may notice it.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

#[cold]
#[track_caller]
pub(super) fn too_many_readers() -> ! {
    panic!("RwMutex: too many readers: 2^22 are inside, or forgot their guards")
}
