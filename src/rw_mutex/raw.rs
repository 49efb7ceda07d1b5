//! The reader-writer lock: one word, and a way past it for readers.
//!
//! The word's bits and their single steps are in `word.rs`. What they add up to:
//!
//! ```text
//!            by the word: readers + 1                    by a slot: mark it, see BIAS still there
//! reader  ───────────────────────────► inside ◄─────────────────────────────────── reader
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
//!    between. So a reader that the writer overlooks sees the bias gone, and leaves.
//! 3. `BIAS` is set only by one inside (a reader, or the writer that leaves), on a word without
//!    `WRITER` or in the step that takes `WRITER` off. So nobody holds the lock as a writer under it.
//! 4. `SUSPENDED` stays until the slots have been seen free, or the door is given up and `BIAS` set
//!    again: whoever has the door knows whether slots may be marked.
//! 5. A step to a word that readers could enter (`WRITER` off) wakes all readers that sleep; a step
//!    to one that a writer could enter wakes one writer, if one sleeps and none is on its way
//!    (`WOKEN`); a step that takes `WRITER` or `UPGRADABLE` off a claimed word wakes the claimant.
//!    All steps but entering pay this ([`RawRwMutex::step`]); entering leaves nothing to pay,
//!    except for a claimant's, whose claim kept others out.
//! 6. Sleepers check the word again under their queue's lock: each sleeps only while what bars it
//!    and its mark are set. Whoever holds `WOKEN` gives it up only as it enters, or on a word
//!    that bars it: there is a step to come that pays.
//! 7. The writer at the door sleeps only after `DRAINING` is set. The last reader to leave the word
//!    sees that bit, in the same step. One that leaves a slot looks for it too, but without a fence:
//!    its look may come before its leave. The writer's sleep on slots is therefore bounded
//!    ([`BACKSTOP`]), and what that look has missed is made up for. Such a look is nanoseconds wide;
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
//! **The bias** is engaged by a reader that had to wait for others, and saw no writer for
//! four looks in a row (half a microsecond). Each writer that has to suspend it counts what was read by slots
//! since the last one did: [`READS_PER_WRITE`] are worth the trouble, fewer wear down a credit,
//! and without credit the bias ends. No clock is in it.
//!
//! **Politeness.** In a lock that is read *and* written much, the readers of one word take its line
//! from one another. Readers that see others come and go stay away for a moment, as if those were
//! writers ([`Backoff`]); one that sees the same ones stay joins them.
//!
//! Orderings: steps that enter are Acquire, steps that leave Release, on one word that only
//! read-modify-writes change; slots in `slots.rs`. A reader's entry does not see what other readers
//! did inside, as in any reader-writer lock.

use super::slots::{self, Slot};
use super::word::*;
use crate::sys::atomic::{AtomicU64, Ordering, fence};
use crate::sys::{
    Backoff, Dequeued, Handing, Hint, Parked, Patience, const_fn, park, unpark_one, unpark_threads,
};
use std::time::{Duration, Instant};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct RawRwMutex {
    word: AtomicU64,
    /// What marks slots for this lock; 0 before the first bias.
    id: AtomicU64,
    /// What the bias has earned, in reads. Written by the writer inside, or the one that engages.
    credit: Hint,
    /// The reads that rows remembered when a writer looked last. Written by the same.
    counted: Hint,
}

/// A reader's way out: its slot, or nothing if it is counted in the word.
#[derive(Debug)]
pub(super) struct Pass(Option<&'static Slot>);

/// Where the queues are, from the word's address on.
const CLAIMS: usize = 1;
const READERS_QUEUE: usize = 2;
const DRAINER: usize = 3;

/// Reads by slots that make up for what a writer pays for the bias.
const READS_PER_WRITE: u32 = 40;
/// The most that a bias can have saved up.
const MAX_CREDIT: u32 = 4 * READS_PER_WRITE;
/// Looks before a waiter gets polite.
const EAGER_LOOKS: u32 = 1;
/// Looks without a write in between, half a microsecond at least, after which a reader that still has
/// to wait for others takes the lock for one that is mostly read.
const CALM_LOOKS: u32 = 4;
/// How long one must have left a free lock alone before a polite waiter takes it, in pauses.
const POLITE_PAUSES: u32 = 2;
/// The first sleep of a writer that waits for slots, and the longest (invariant 7).
const BACKSTOP: Duration = Duration::from_micros(100);
const LONGEST_BACKSTOP: Duration = Duration::from_millis(10);

/// One that waits, from when it found that it must.
struct Waiter {
    kind: Kind,
    deadline: Option<Instant>,
    backoff: Backoff,
    patience: Patience,
    /// `WOKEN` if this thread holds that bit (invariant 6), else nothing.
    woken: u64,
    /// For a reader: whether to tell of a bias, or enter by the word.
    may_mark: bool,
}

impl Waiter {
    fn new(kind: Kind, deadline: Option<Instant>) -> Self {
        Waiter {
            kind,
            deadline,
            backoff: Backoff::new(),
            patience: Patience::new(),
            woken: 0,
            may_mark: true,
        }
    }
}

/// How waiting ended.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// Inside by the word; a writer at the door.
    Entered,
    /// There is a bias: a reader may mark a slot.
    Biased,
    TimedOut,
}

/// What came of marking a slot.
#[derive(Debug)]
enum Marked {
    Inside(Pass),
    /// This thread has no free one.
    NoSlot,
    /// The bias was gone by then.
    Revoked,
}

impl RawRwMutex {
    const_fn! {
        pub(super) fn new() -> Self {
            RawRwMutex {
                word: AtomicU64::new(0),
                id: AtomicU64::new(0),
                credit: Hint::new(),
                counted: Hint::new(),
            }
        }
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
            if let Some(slot) = slots::mark_first(self.id.load(Ordering::Relaxed)) {
                if self.keeps(slot) {
                    return Pass(Some(slot));
                }
                return self.read_revoked(slot);
            }
        } else if word & (WRITER | READERS) == 0
            && self.change(word, enter_to_read(word), Ordering::Acquire).is_ok()
        {
            return Pass(None);
        }
        self.read_slowly()
    }

    /// `None` if the deadline came first.
    #[track_caller]
    pub(super) fn read_until(&self, deadline: Option<Instant>) -> Option<Pass> {
        self.try_read().or_else(|| self.read_contended(deadline))
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

    #[inline]
    pub(super) fn write(&self) {
        // ORDERING: Relaxed: the exchange decides. Acquire: pairs with the Release of those that left.
        let word = self.word.load(Ordering::Relaxed);
        if word & (TAKEN | STARVING | BIAS) != 0
            || self.change(word, take_unbiased_door(word), Ordering::Acquire).is_err()
        {
            self.write_contended(None);
        }
    }

    /// Whether it got the lock before the deadline.
    pub(super) fn write_until(&self, deadline: Option<Instant>) -> bool {
        self.try_write() || self.write_contended(deadline)
    }

    pub(super) fn try_write(&self) -> bool {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (TAKEN | STARVING) == 0 {
            // ORDERING: Relaxed: `drained_now` reads the word with Acquire.
            match self.change(word, take_door(word), Ordering::Relaxed) {
                Ok(_) => return self.drained_now() || self.retreat(leave_door),
                Err(now) => word = now,
            }
        }
        false
    }

    /// Only for the writer inside.
    #[inline]
    pub(super) fn unwrite(&self) {
        // ORDERING: Relaxed: the exchange decides. Release: what was written happens before the next
        // Acquire of the word.
        let word = self.word.load(Ordering::Relaxed);
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
            self.unwrite();
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
        self.try_upgradable() || self.upgradable_contended(deadline)
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

    /// Only for the upgradable reader inside. Hands its place to one that sleeps, who gets it as the
    /// door: a writer drains, an upgradable reader steps back.
    pub(super) fn leave_upgradable_fair(&self) {
        // ORDERING: Relaxed: a hint, as in `unwrite_fair`.
        let word = self.word.load(Ordering::Relaxed);
        let to_door = |word| take_door(word & !UPGRADABLE);
        if word & WRITERS_PARKED == 0 || !self.hand_over(Kind::Writer, &to_door) {
            self.leave_upgradable();
        }
    }

    /// UPGRADABLE => reader. Only for the upgradable reader inside.
    ///
    /// # Panics
    /// If there is no room for another reader; nothing has happened then.
    #[track_caller]
    pub(super) fn downgrade_upgradable(&self) -> Pass {
        // ORDERING: Relaxed: no older than this thread's own entry. Since then readers have only come
        // by `Kind::enter`, which leaves room for one more.
        if self.word.load(Ordering::Relaxed) & READERS == READERS {
            too_many_readers();
        }
        self.step(|word| enter_to_read(word & !UPGRADABLE));
        Pass(None)
    }

    /// UPGRADABLE => WRITER, with nobody in between: the door is free as long as an upgradable
    /// reader is inside. `false`, and upgradable as before, if the deadline came first.
    pub(super) fn upgrade(&self, deadline: Option<Instant>) -> bool {
        self.take_door_from_upgradable();
        self.drain(deadline) || self.retreat(|word| leave_door(word) | UPGRADABLE)
    }

    pub(super) fn try_upgrade(&self) -> bool {
        // ORDERING: Relaxed: only spares the way to the door. The drain looks again.
        if self.word.load(Ordering::Relaxed) & READERS != 0 {
            return false;
        }
        self.take_door_from_upgradable();
        self.drained_now() || self.retreat(|word| leave_door(word) | UPGRADABLE)
    }

    pub(super) fn is_locked(&self) -> bool {
        // ORDERING: Acquire: says nothing about the data, but the id must be the bias's. So Relaxed.
        let word = self.word.load(Ordering::Acquire);
        word & TAKEN != 0
            || word & BIAS != 0 && slots::any_marked(self.id.load(Ordering::Relaxed))
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
    fn writers(&self) -> usize {
        (&raw const self.word).addr()
    }

    /// Where the claimant sleeps.
    fn claims(&self) -> usize {
        self.writers() + CLAIMS
    }

    fn readers(&self) -> usize {
        self.writers() + READERS_QUEUE
    }

    /// Where the writer at the door sleeps.
    fn drainer(&self) -> usize {
        self.writers() + DRAINER
    }

    fn queue(&self, kind: Kind) -> usize {
        match kind {
            Kind::Reader => self.readers(),
            Kind::Writer | Kind::Upgradable => self.writers(),
        }
    }

    #[inline]
    fn change(&self, from: u64, to: u64, success: Ordering) -> Result<u64, u64> {
        // ORDERING: Relaxed on failure: the caller decides anew.
        self.word.compare_exchange_weak(from, to, success, Ordering::Relaxed)
    }

    /// Whether one that has just marked a slot may stay (invariant 2).
    #[inline]
    fn keeps(&self, _marked: &Slot) -> bool {
        // ORDERING: Acquire: see `read`. After the fence in `slots::mark`: the pair is the one in
        // `drain_slots`.
        self.word.load(Ordering::Acquire) & BIAS != 0
    }

    /// Enters by a slot, if there is a free one and still a bias. Only after a look at the word, with
    /// Acquire, that found the bias.
    fn mark(&self) -> Marked {
        // ORDERING: Relaxed: as in `read`.
        let Some(slot) = slots::mark(self.id.load(Ordering::Relaxed)) else { return Marked::NoSlot };
        if self.keeps(slot) {
            return Marked::Inside(Pass(Some(slot)));
        }
        self.unmark(slot);
        Marked::Revoked
    }

    #[inline]
    fn unmark(&self, slot: &Slot) {
        let drainer = self.drainer();
        slots::unmark(slot);
        // ORDERING: Relaxed: may come too early, see invariant 7.
        if self.word.load(Ordering::Relaxed) & DRAINING != 0 {
            wake(drainer);
        }
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
    fn write_contended(&self, deadline: Option<Instant>) -> bool {
        self.enter(&mut Waiter::new(Kind::Writer, deadline)) == Entry::Entered
            && (self.drain(deadline) || self.retreat(leave_door))
    }

    #[cold]
    fn upgradable_contended(&self, deadline: Option<Instant>) -> bool {
        self.enter(&mut Waiter::new(Kind::Upgradable, deadline)) == Entry::Entered
    }

    /// Waits until inside by the word, or at the door.
    #[track_caller]
    fn enter(&self, waiter: &mut Waiter) -> Entry {
        let kind = waiter.kind;
        loop {
            let word = match self.look(waiter) {
                Ok(entry) => return entry,
                Err(word) => word,
            };
            // Barred, and as good to sleep: with a mark, or a claim. Gives up WOKEN, as invariant 6
            // has it.
            let claims = waiter.patience.is_over() && word & STARVING == 0;
            let mark = if claims { STARVING } else { kind.parked() };
            // ORDERING: Relaxed: publishes nothing.
            if self.change(word, word & !waiter.woken | mark, Ordering::Relaxed).is_err() {
                continue;
            }
            waiter.woken = 0;
            if claims {
                return self.enter_as_claimant(kind, waiter.deadline);
            }
            let must_wait = || {
                // ORDERING: Relaxed: the queue's lock orders this with the step that matters.
                let word = self.word.load(Ordering::Relaxed);
                word & kind.bars() != 0 && word & kind.parked() != 0
            };
            match park(self.queue(kind), must_wait, waiter.deadline) {
                Parked::Handed => {
                    if kind == Kind::Upgradable {
                        // What is handed over there is the door.
                        self.downgrade_to_upgradable();
                    }
                    return Entry::Entered;
                }
                Parked::Woken if kind != Kind::Reader => waiter.woken = WOKEN,
                Parked::Woken | Parked::Invalid => {}
                Parked::TimedOut => return Entry::TimedOut,
            }
            waiter.backoff = Backoff::rested();
        }
    }

    /// Enters, or gives the word that barred it when there was no more use in looking.
    #[track_caller]
    fn look(&self, waiter: &mut Waiter) -> Result<Entry, u64> {
        let Waiter { kind, woken, may_mark, ref mut backoff, .. } = *waiter;
        let reads = kind == Kind::Reader;
        let (mut first_look, mut before) = (None, None);
        for looks in 0_u32.. {
            // ORDERING: Acquire: if this reads the bias, `mark` must read the id that it came with.
            // For all else the steps below decide.
            let word = self.word.load(Ordering::Acquire);
            let first = *first_look.get_or_insert(word);
            if word & kind.bars() == 0 {
                let biased = word & BIAS != 0;
                if biased && reads && may_mark {
                    return Ok(Entry::Biased);
                }
                // Nobody has written since the first look: readers may have the lock to themselves.
                let calm = reads && looks >= CALM_LOOKS && no_writes_between(first, word);
                let polite = || {
                    if word & TAKEN != 0 {
                        // Those inside don't come and go: join them.
                        backoff.is_over() || backoff.is_late() && before == Some(word)
                    } else {
                        backoff.grants(EAGER_LOOKS, POLITE_PAUSES, || {
                            // ORDERING: Relaxed: a look.
                            self.word.load(Ordering::Relaxed) == word
                        })
                    }
                };
                let Some(inside) = kind.enter(word & !woken) else { too_many_readers() };
                // ORDERING: Acquire: see `read` and `write`.
                if (biased || calm || polite())
                    && self.change(word, inside, Ordering::Acquire).is_ok()
                {
                    if calm {
                        self.engage_bias();
                    }
                    return Ok(Entry::Entered);
                }
                if backoff.is_over() {
                    continue;
                }
            } else if backoff.is_over() {
                return Err(word);
            }
            before = Some(word);
            backoff.pause();
        }
        unreachable!("the pauses are over long before 2^32 looks")
    }

    /// Waits for what bars the claimant, with the claim standing; takes it back at the end.
    #[track_caller]
    fn enter_as_claimant(&self, kind: Kind, deadline: Option<Instant>) -> Entry {
        let mut backoff = Backoff::new();
        let mut timed_out = false;
        loop {
            // ORDERING: Relaxed: the step decides.
            let word = self.word.load(Ordering::Relaxed);
            if word & kind.claimant_bars() == 0 {
                let Some(inside) = kind.enter(word & !STARVING) else {
                    self.step(|word| word & !STARVING);
                    too_many_readers()
                };
                // ORDERING: Acquire: see `read` and `write`.
                if self.change(word, inside, Ordering::Acquire).is_ok() {
                    if kind != Kind::Writer {
                        // The claim kept others out who may follow now (invariant 5).
                        self.step(|word| word);
                    }
                    return Entry::Entered;
                }
                continue;
            }
            if timed_out {
                self.step(|word| word & !STARVING);
                return Entry::TimedOut;
            }
            if !backoff.is_over() {
                backoff.pause();
                continue;
            }
            let barred = || {
                // ORDERING: Relaxed: the queue's lock orders this with the step that matters.
                self.word.load(Ordering::Relaxed) & kind.claimant_bars() != 0
            };
            timed_out = park(self.claims(), barred, deadline) == Parked::TimedOut;
            backoff = Backoff::rested();
        }
    }

    /// Has readers enter by slots from now on. Only for a reader inside.
    #[cold]
    pub(super) fn engage_bias(&self) {
        // ORDERING: Relaxed, twice: published by the exchange below.
        if self.id.load(Ordering::Relaxed) == 0 {
            let id = slots::new_id();
            let _ = self.id.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.credit.set(READS_PER_WRITE);
        // ORDERING: Relaxed: the exchange decides.
        let word = self.word.load(Ordering::Relaxed);
        if word & (WRITER | BIAS) == 0 {
            // Invariant 3. If somebody came or went meanwhile, the next one to wait will try.
            // ORDERING: Release: publishes the id. What writers did before is published with it:
            // this thread's entry acquired that.
            let _ = self.change(word, word | BIAS, Ordering::Release);
        }
    }

    fn take_door_from_upgradable(&self) {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        // ORDERING: Acquire: pairs with the Release of readers that left.
        while let Err(now) = self.change(word, take_door(word & !UPGRADABLE), Ordering::Acquire) {
            word = now;
        }
    }

    /// Gives up the door. Always `false`.
    fn retreat(&self, step: impl Fn(u64) -> u64) -> bool {
        self.step(step);
        false
    }

    /// Waits at the door until everyone inside has left. `false` if the deadline came first.
    fn drain(&self, deadline: Option<Instant>) -> bool {
        match self.drain_word(deadline) {
            Some(word) if word & SUSPENDED != 0 => {
                self.drain_slots(|slot, id| self.wait_for_slot(slot, id, deadline))
            }
            Some(_) => true,
            None => false,
        }
    }

    /// [`drain`](Self::drain) without waiting.
    fn drained_now(&self) -> bool {
        // ORDERING: Acquire: see `drain_word`.
        let word = self.word.load(Ordering::Acquire);
        word & READERS == 0 && (word & SUSPENDED == 0 || self.drain_slots(|_, _| false))
    }

    fn drain_word(&self, deadline: Option<Instant>) -> Option<u64> {
        let mut backoff = Backoff::new();
        let mut timed_out = false;
        loop {
            // ORDERING: Acquire: pairs with the Release of every reader that left.
            let word = self.word.load(Ordering::Acquire);
            if word & READERS == 0 {
                return Some(word);
            }
            if timed_out {
                return None;
            }
            if !backoff.is_over() {
                backoff.pause();
                continue;
            }
            // ORDERING: Relaxed: publishes nothing; the last reader's step finds the bit.
            self.word.fetch_or(DRAINING, Ordering::Relaxed);
            let occupied = || {
                // ORDERING: Relaxed: the queue's lock orders this with the wake-up.
                self.word.load(Ordering::Relaxed) & READERS != 0
            };
            timed_out = park(self.drainer(), occupied, deadline) == Parked::TimedOut;
        }
    }

    /// Looks at all slots, waits by `wait` for those marked, and decides on the bias.
    fn drain_slots(&self, wait: impl Fn(&Slot, u64) -> bool) -> bool {
        // ORDERING: SeqCst: between taking the bias off the word and looking at the slots; the pair
        // is in `slots::mark` (invariant 2).
        fence(Ordering::SeqCst);
        // ORDERING: Relaxed: the word that had the bias was read with Acquire.
        let id = self.id.load(Ordering::Relaxed);
        let Some(counted) = slots::scan(id, |slot| wait(slot, id)) else { return false };
        let reads = counted.wrapping_sub(self.counted.get());
        self.counted.set(counted);
        // Rows that have been at other locks since remember less than before.
        let reads = if reads > MAX_CREDIT * 1000 { 0 } else { reads };
        match (self.credit.get() + reads).checked_sub(READS_PER_WRITE) {
            Some(credit) => self.credit.set(credit.min(MAX_CREDIT)),
            // The bias doesn't pay: all slots are free (invariant 4).
            // ORDERING: Relaxed: publishes nothing.
            None => drop(self.word.fetch_and(!SUSPENDED, Ordering::Relaxed)),
        }
        true
    }

    fn wait_for_slot(&self, slot: &Slot, id: u64, deadline: Option<Instant>) -> bool {
        let mut backoff = Backoff::new();
        let mut sleep = BACKSTOP;
        while slots::is_marked(slot, id) {
            if !backoff.is_over() {
                backoff.pause();
                continue;
            }
            // ORDERING: Relaxed: publishes nothing (invariant 7).
            self.word.fetch_or(DRAINING, Ordering::Relaxed);
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return !slots::is_marked(slot, id);
            }
            let backstop = now + sleep;
            sleep = (sleep * 2).min(LONGEST_BACKSTOP);
            let until = deadline.map_or(backstop, |deadline| deadline.min(backstop));
            park(self.drainer(), || slots::is_marked(slot, id), Some(until));
        }
        true
    }

    /// Takes a step that lets others in, and pays the wake-ups that it owes (invariant 5).
    #[cold]
    fn step(&self, change: impl Fn(u64) -> u64) {
        // ORDERING: Relaxed: the step decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if owes_writer(change(word)) {
                self.step_with_sleeper(Kind::Writer, None, &change);
                return;
            }
            let (next, wakes) = Wakes::of(change(word));
            let place = self.writers();
            // ORDERING: Release: what was done inside happens before the Acquire of who comes next.
            match self.change(word, next, Ordering::Release) {
                Ok(_) => return wakes.pay(place),
                Err(now) => word = now,
            }
        }
    }

    /// Hands what this thread has inside to the longest asleep of a kind, by the step `hand`. `false`,
    /// and still inside, if nobody is asleep or somebody claims the lock.
    fn hand_over(&self, kind: Kind, hand: &dyn Fn(u64) -> u64) -> bool {
        self.step_with_sleeper(kind, Some(hand), &|word| word)
    }

    /// Wakes the longest asleep of a kind, in one step with `hand`, which gives it the lock, or if
    /// that isn't to be had, or nobody is asleep, or somebody claims the lock, with `change`. Whether
    /// it was handed over.
    fn step_with_sleeper(
        &self,
        kind: Kind,
        hand: Option<&dyn Fn(u64) -> u64>,
        change: &dyn Fn(u64) -> u64,
    ) -> bool {
        let mut handed = false;
        let place = self.writers();
        let mut wakes = Wakes::default();
        unpark_one(self.queue(kind), |Dequeued { found, more }| {
            // ORDERING: Relaxed: the step decides.
            let mut word = self.word.load(Ordering::Relaxed);
            loop {
                let hand = hand.filter(|_| found && word & STARVING == 0);
                let mut next = hand.unwrap_or(change)(word);
                if found && hand.is_none() && kind != Kind::Reader {
                    next |= WOKEN;
                }
                if !more {
                    next &= !kind.parked();
                }
                (next, wakes) = Wakes::of(next);
                // ORDERING: Release: see `step`. A hand-over is ordered by the unpark.
                match self.change(word, next, Ordering::Release) {
                    Ok(_) => {
                        handed = hand.is_some();
                        return if handed { Handing::Over } else { Handing::Nothing };
                    }
                    Err(now) => word = now,
                }
            }
        });
        wakes.pay(place);
        handed
    }
}

/// Who is to be woken after a step, by address alone.
#[derive(Clone, Copy, Debug, Default)]
struct Wakes {
    readers: bool,
    claimant: bool,
}

impl Wakes {
    /// What a step to `word` owes, and the word without the mark of those to be woken.
    fn of(word: u64) -> (u64, Wakes) {
        if word & WRITER != 0 {
            return (word, Wakes::default());
        }
        let wakes =
            Wakes { readers: word & READERS_PARKED != 0, claimant: word & STARVING != 0 };
        (word & !READERS_PARKED, wakes)
    }

    /// `place` is the lock's first address.
    fn pay(self, place: usize) {
        if self.claimant {
            wake(place + CLAIMS);
        }
        if self.readers {
            wake(place + READERS_QUEUE);
        }
    }
}

#[cold]
fn wake(place: usize) {
    unpark_threads(place);
}

#[cold]
#[track_caller]
fn too_many_readers() -> ! {
    panic!("RwMutex: too many readers: 2^23 are inside, or forgot their guards")
}
