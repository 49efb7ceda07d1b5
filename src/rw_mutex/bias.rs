//! The bias of a reader-writer lock: readers past the word, and the writer that has to see them.
//!
//! The invariants that this cites are those of `raw.rs`: 2, why nobody is overlooked, 3 and 4, who may
//! set the bias and what takes it off, and 7, how the writer sleeps.
//!
//! The bias is engaged by a reader that had to wait for others, and saw no writer for a few
//! looks in a row, half a microsecond. Each writer that has to suspend it counts what was read by slots since
//! the last one did: [`READS_PER_WRITE`] are worth the trouble, fewer wear down a credit, and without
//! credit the bias ends. Each bias that ended so makes readers more *reluctant* to engage the next, by
//! a look that is twice as long, until one has paid: else a lock with a tenth of writes would be
//! slowed down by biases until it looked like one that is mostly read. No clock is in it, and a
//! wrong count does no harm.
//!
//! **Trying.** A try that fails must not be noticed by anyone: no reader may fail, and no other try, because of
//! a writer that never was. So one that tries to write, or to upgrade, a biased lock doesn't take the door before
//! it knows that it may keep it. First it looks at the slots: if one is marked it fails, and has touched nothing.
//! Else it becomes a *trier*:
//!
//! ```text
//! BIAS      => SUSPENDED, TRIER + 1     starts: readers enter by the word, writers take the door past it
//! SUSPENDED => WRITER, TRIER - 1        no slot was marked, and nobody is inside by the word: it has the door
//! SUSPENDED => BIAS, TRIER - 1          goes without, the last one; if a writer has the door, that one resumes the bias
//! ```
//!
//! `BIAS` is not set as long as there are triers. So no reader marks a slot and stays between a trier's look at the
//! slots and its step to the door, however many triers and writers come and go meanwhile; and that step, taken from
//! a word without readers, finds the lock free. What a trier keeps from others is the bias, for some tens of
//! nanoseconds: they go by the word, and none waits or fails. A trier fails because of a reader that was inside,
//! or on its way in or out, or because of a writer, or of a waiter that claims the lock.
//!
//! A lock may be *steered* instead, by somebody who knows more: one of many shards is read too rarely to tell
//! by itself. Then a reader inside says when to engage the bias, and a writer inside when to end it; and
//! since the users of such a lock hardly ever meet, those who do are not polite.

use super::light::Light;
use super::raw::{Pass, RawRwMutex};
use super::slots::{self, Slot};
use super::waiting::wake;
use super::word::*;
use crate::sys::atomic::{Ordering, fence};
use crate::support::backoff::Backoff;
use crate::sys::{Parked, park, thread};
use std::time::{Duration, Instant};

/// Reads by slots that make up for what a writer pays for the bias.
const READS_PER_WRITE: u32 = 40;
/// The most that a bias can have saved up.
const MAX_CREDIT: u32 = 4 * READS_PER_WRITE;
/// The most looks that reluctance adds.
const MAX_RELUCTANCE: u32 = 4;
/// The balance of a steered lock, which stays: a reluctance that no reader overcomes.
const STEERED: u32 = u32::MAX;
/// The first sleep of a writer that waits for slots, and the longest (invariant 7).
const BACKSTOP: Duration = Duration::from_micros(100);
const LONGEST_BACKSTOP: Duration = Duration::from_millis(10);

/// What a lock's biases have brought so far, as one number of its `balance`.
#[derive(Clone, Copy, Debug)]
struct Balance {
    /// What this bias has earned, in reads.
    credit: u32,
    /// How many have ended without paying since the last that paid.
    reluctance: u32,
    /// Whether the last who waited saw a section that lasted: see `waiting.rs`.
    is_long: bool,
}

/// Where `is_long` is in the number.
const LONG: u32 = 1 << 31;

impl Balance {
    fn from(number: u32) -> Self {
        let reluctance = (number & !LONG) >> 16;
        Balance { credit: number & 0xffff, reluctance, is_long: number & LONG != 0 }
    }

    fn number(self) -> u32 {
        (if self.is_long { LONG } else { 0 }) | self.reluctance << 16 | self.credit
    }

    /// After a writer that came after so many reads; `true` if the bias is to stay.
    fn charge(&mut self, reads: u32) -> bool {
        match (self.credit + reads).checked_sub(READS_PER_WRITE) {
            Some(credit) => {
                self.credit = credit.min(MAX_CREDIT);
                if self.credit == MAX_CREDIT {
                    self.reluctance = 0;
                }
                true
            }
            None => {
                self.credit = 0;
                // Those who wait find it out anew, and whether a bias pays now with it.
                self.is_long = false;
                self.reluctance = (self.reluctance + 1).min(MAX_RELUCTANCE);
                false
            }
        }
    }
}

/// What came of marking a slot.
#[derive(Debug)]
pub(super) enum Marked {
    Inside(Pass),
    /// This thread has no free one.
    NoSlot,
    /// The bias was gone by then.
    Revoked,
}

impl RawRwMutex {
    /// Whether one that has just marked a slot, as `word` told it to, may stay (invariant 2): there is still
    /// a bias, and for a light mark still one of light marks.
    #[inline]
    pub(super) fn keeps(&self, word: u64, _marked: &Slot) -> bool {
        let needed = word & (BIAS | LIGHT);
        // ORDERING: Acquire: see `read`. After the fence in `Slot::mark`, whose pair is the one in
        // `drain_slots`; after a light mark the pair is the heavy fence in `make_marks_seen`.
        self.word.load(Ordering::Acquire) & needed == needed
    }

    /// Enters by a slot, if there is a free one and still a bias. Only after a look at the word, with
    /// Acquire, that found the bias.
    pub(super) fn mark(&self) -> Marked {
        // ORDERING: Relaxed: as in `read`.
        let Some(slot) = slots::mark(self.id.load(Ordering::Relaxed)) else {
            return Marked::NoSlot;
        };
        if self.keeps(BIAS, slot) {
            return Marked::Inside(Pass(Some(slot)));
        }
        self.unmark(slot);
        Marked::Revoked
    }

    #[inline]
    pub(super) fn unmark(&self, slot: &Slot) {
        let drainer = self.drainer();
        slots::unmark(slot);
        // ORDERING: Relaxed: may come too early, see invariant 7.
        if self.word.load(Ordering::Relaxed) & DRAINING != 0 {
            wake(drainer);
        }
    }

    /// Whether any slot is seen to be marked for this lock. Only where the id is known to be the bias's.
    pub(super) fn is_marked(&self) -> bool {
        // ORDERING: Relaxed: the word that had the bias was read with Acquire.
        slots::any_marked(self.id.load(Ordering::Relaxed))
    }

    /// How many looks more than usual a reader takes before it engages the bias.
    pub(super) fn reluctance(&self) -> u32 {
        Balance::from(self.balance.get()).reluctance
    }

    /// Whether sections last, as far as those who waited could tell.
    pub(super) fn is_long(&self) -> bool {
        !self.is_steered() && Balance::from(self.balance.get()).is_long
    }

    #[cold]
    pub(super) fn set_long(&self, is_long: bool) {
        if !self.is_steered() {
            let balance = Balance::from(self.balance.get());
            self.balance.set(Balance { is_long, ..balance }.number());
        }
    }

    pub(super) fn steer(&self) {
        self.balance.set(STEERED);
    }

    pub(super) fn is_steered(&self) -> bool {
        self.balance.get() == STEERED
    }

    /// Whether readers enter by slots. A look: another thread may change it at once.
    #[inline]
    pub(super) fn is_biased(&self) -> bool {
        // ORDERING: Relaxed: steers only.
        self.word.load(Ordering::Relaxed) & BIAS != 0
    }

    /// Whether they did before the writer came. Only for the writer inside.
    #[inline]
    pub(super) fn suspends_bias(&self) -> bool {
        // ORDERING: Relaxed: changed by the writer alone.
        self.word.load(Ordering::Relaxed) & SUSPENDED != 0
    }

    /// Has readers enter by the word when the writer has left. Only for the writer inside.
    #[cold]
    pub(super) fn end_bias(&self) {
        // All slots are free (invariant 4).
        // ORDERING: Relaxed: publishes nothing.
        self.word.fetch_and(!SUSPENDED, Ordering::Relaxed);
    }

    /// Has readers enter by slots from now on. Only for a reader inside.
    #[cold]
    pub(super) fn engage_bias(&self) {
        // ORDERING: Relaxed, twice: published by the exchange below.
        if self.id.load(Ordering::Relaxed) == 0 {
            let id = slots::new_id();
            let _ = self.id.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed);
        }
        if !self.is_steered() {
            let balance = Balance::from(self.balance.get());
            self.balance.set(Balance { credit: READS_PER_WRITE, ..balance }.number());
        }
        // ORDERING: Relaxed: the exchange decides.
        let word = self.word.load(Ordering::Relaxed);
        if word & (WRITER | BIAS | SUSPENDED | TRIERS) == 0 {
            // Invariant 3. If somebody came or went meanwhile, the next one to wait will try.
            // ORDERING: Release: publishes the id. What writers did before is published with it:
            // this thread's entry acquired that.
            let _ = self.change(word, word | BIAS, Ordering::Release);
        }
    }

    /// Waits at the door until everyone inside has left. `false` if the deadline came first.
    ///
    /// `light` is what the readers of a steered lock go by, if the caller knows.
    pub(super) fn drain(&self, deadline: Option<Instant>, light: Option<&Light>) -> bool {
        match self.drain_word(deadline) {
            Some(word) if word & SUSPENDED != 0 => {
                let wait = |slot: &Slot, id| self.wait_for_slot(slot, id, deadline);
                self.drain_slots(word, light, wait)
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Takes the door of a lock that nobody but this thread is inside of: the word without `bars`. What it
    /// has in the word itself, `own`, is given up with that. Whether it did; if not, nobody can tell that
    /// it tried.
    pub(super) fn try_door(&self, bars: u64, own: u64) -> bool {
        // ORDERING: Acquire: if this reads the bias, the id is as new. Else the exchange decides.
        let mut word = self.word.load(Ordering::Acquire);
        while word & bars == 0 {
            if word & (BIAS | SUSPENDED) != 0 {
                return self.try_biased_door(bars, own);
            }
            // ORDERING: Acquire, and on failure: pairs with the Release of those that left; see above.
            let (next, acquire) = (take_unbiased_door(word & !own), Ordering::Acquire);
            match self.word.compare_exchange_weak(word, next, acquire, acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// [`try_door`](Self::try_door) where the word had a bias, at a look with Acquire. It may have ended since.
    #[cold]
    pub(super) fn try_biased_door(&self, bars: u64, own: u64) -> bool {
        if self.is_marked() {
            return false;
        }
        let Some(word) = self.start_trying(bars) else { return false };
        self.see_marks(word, None);
        // ORDERING: Relaxed: the word that had the bias was read with Acquire.
        let counted = slots::scan(self.id.load(Ordering::Relaxed), |_| false);
        let Some(counted) = counted else { return self.stop_trying() };
        // ORDERING: Relaxed: the exchange decides.
        let mut now = self.word.load(Ordering::Relaxed);
        while now & bars == 0 {
            // ORDERING: Acquire: pairs with the Release of those that left.
            match self.change(now, take_tried_door(now & !own), Ordering::Acquire) {
                Ok(_) => {
                    if now & SUSPENDED != 0 {
                        self.charge_bias(word, counted);
                    }
                    return true;
                }
                Err(other) => now = other,
            }
        }
        self.stop_trying()
    }

    /// The word with which this thread became a trier; `None` if it is barred.
    pub(super) fn start_trying(&self, bars: u64) -> Option<u64> {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        while word & bars == 0 {
            let Some(next) = start_trying(word) else {
                // 63 are at it, each for a moment.
                thread::yield_now();
                word = self.word.load(Ordering::Relaxed);
                continue;
            };
            // ORDERING: Acquire: what came with the bias, and what a trier or writer that took `LIGHT` off saw
            // made visible by its heavy fence (invariant 1 of `light.rs`).
            match self.change(word, next, Ordering::Acquire) {
                Ok(_) => return Some(next),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Goes without the door, which leaves nobody to be woken: triers keep nobody waiting. Always `false`.
    pub(super) fn stop_trying(&self) -> bool {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        // ORDERING: Release: publishes the bias, as in `engage_bias`.
        while let Err(now) = self.change(word, stop_trying(word), Ordering::Release) {
            word = now;
        }
        false
    }

    pub(super) fn drain_word(&self, deadline: Option<Instant>) -> Option<u64> {
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
    pub(super) fn drain_slots(
        &self,
        word: u64,
        light: Option<&Light>,
        wait: impl Fn(&Slot, u64) -> bool,
    ) -> bool {
        self.see_marks(word, light);
        // ORDERING: Relaxed: the word that had the bias was read with Acquire.
        let id = self.id.load(Ordering::Relaxed);
        let Some(counted) = slots::scan(id, |slot| wait(slot, id)) else { return false };
        self.charge_bias(word, counted);
        true
    }

    /// Before the look at the slots, after the step that took the bias off or found it off.
    fn see_marks(&self, word: u64, light: Option<&Light>) {
        // ORDERING: SeqCst: between taking the bias off the word and looking at the slots; the pair
        // is in `Slot::mark` (invariant 2), and in `Light::engage`: before the look at what readers go by.
        fence(Ordering::SeqCst);
        self.make_marks_seen(word, light);
    }

    /// Charges the bias for this write, and ends it if it doesn't pay. Only for the writer inside.
    fn charge_bias(&self, word: u64, counted: u32) {
        if self.is_steered() {
            return;
        }
        let reads = counted.wrapping_sub(self.counted.get());
        self.counted.set(counted);
        // Rows that have been at other locks since remember less than before.
        let reads = if reads > MAX_CREDIT * 1000 { 0 } else { reads };
        // Light marks are not counted: there were many reads for each write.
        let reads = if word & LIGHT != 0 { MAX_CREDIT } else { reads };
        let mut balance = Balance::from(self.balance.get());
        if !balance.charge(reads) {
            self.end_bias();
        }
        self.balance.set(balance.number());
    }

    pub(super) fn wait_for_slot(&self, slot: &Slot, id: u64, deadline: Option<Instant>) -> bool {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spawn;
    use crate::sys::{Arc, IS_MODEL};

    #[test]
    fn a_bias_ends_without_enough_reads_and_makes_reluctant() {
        let mut balance = Balance { credit: READS_PER_WRITE, reluctance: 0, is_long: false };
        assert!(balance.charge(0), "one write is forgiven");
        assert!(!balance.charge(READS_PER_WRITE - 1));
        assert_eq!((balance.credit, balance.reluctance), (0, 1));
        for _ in 0..10 {
            assert!(!balance.charge(9));
        }
        assert_eq!(balance.reluctance, MAX_RELUCTANCE);
        assert_eq!(Balance::from(balance.number()).reluctance, MAX_RELUCTANCE);
    }

    #[test]
    fn a_reader_that_meets_another_engages_the_bias_and_writers_alone_end_it() {
        if IS_MODEL || Backoff::new().is_over() {
            // One core: whoever reads is alone.
            return;
        }
        let lock = Arc::new(RawRwMutex::new());
        let stays = lock.read();
        spawn(&lock, |lock| lock.leave(lock.read())).join();
        assert!(lock.is_biased());
        lock.leave(stays);
        // The first is forgiven.
        for _ in 0..2 {
            lock.unwrite(lock.write());
        }
        assert!(!lock.is_biased());
        lock.leave(lock.read());
        assert!(!lock.is_biased(), "one that reads alone needs none");
    }

    #[test]
    fn a_bias_that_pays_stays_and_takes_the_reluctance_away() {
        let mut balance = Balance { credit: READS_PER_WRITE, reluctance: 3, is_long: true };
        for _ in 0..3 {
            assert!(balance.charge(99));
        }
        assert_eq!((balance.credit, balance.reluctance), (MAX_CREDIT, 0));
        assert!(Balance::from(balance.number()).is_long);
        // One that comes early is made up for by the others.
        assert!(balance.charge(1));
    }
}
