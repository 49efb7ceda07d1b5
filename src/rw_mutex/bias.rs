//! The bias of a reader-writer lock: readers past the word, and the writer that has to see them.
//!
//! The invariants cited here are in `raw.rs`: R2, why nobody is overlooked, R3 and R4, what sets the bias and
//! what clears it, and R7, how the writer sleeps.
//!
//! **Tries.** A try that fails must not be noticed by any other call: no reader may fail, and no other try,
//! because of a writer that never was. So a call that tries to write, or to upgrade, a biased lock doesn't set
//! `WRITER` before it knows that it may keep it. First it scans the slots: if one is marked it fails, and has
//! changed nothing. Otherwise:
//!
//! ```text
//! BIAS      => REVOKING, tries + 1     begins: readers enter by the word, writers become pending past it
//! REVOKING  => WRITER, tries - 1       no slot was marked, and nobody is inside by the word: it is inside
//! REVOKING  => BIAS, tries - 1         fails, as the last one; if a writer is pending, that one restores the bias
//! ```
//!
//! `BIAS` is not set while there are tries. So no reader marks a slot and stays between a try's scan and its
//! last step, however many tries and writers come and go in between; and that step, taken from a word without
//! readers, finds the lock free. (A single bit won't do: another try, that restores and revokes the bias in
//! between, would leave the word as it was.) What a try takes from others is the bias, for some tens of
//! nanoseconds: they go by the word, and none waits or fails. A try fails because of a reader that was inside, or
//! on its way in or out, or because of a writer, or of a waiter that claims the lock.

use super::control::Control;
use super::core::{Core, wake};
use super::readers::{self, Slot};
use super::state::*;
use super::unfenced::{is_fenced, make_marks_visible};
use crate::support::backoff::Backoff;
use crate::sys::atomic::{Ordering, fence};
use crate::sys::{Parked, park, thread};
use std::time::{Duration, Instant};

/// Checks of a pending writer before it sleeps, some 2 µs with the pauses between them. Few: a reader that takes longer
/// than that has most likely been preempted inside, and may need this core to leave.
///
/// `phalanx-peers measure rwlocks --rows "Reading and writing"`
const DRAINING_CHECKS: u32 = 6;
/// The first sleep of a writer that waits for slots, and the longest (R7).
const BACKSTOP: Duration = Duration::from_micros(100);
const LONGEST_BACKSTOP: Duration = Duration::from_millis(10);

/// A core with a way past its word for readers.
#[derive(Debug)]
pub(super) struct BiasedCore<C> {
    pub(super) core: Core,
    pub(super) control: C,
}

/// What came of marking a slot.
#[derive(Debug)]
pub(super) enum Marked {
    Inside(&'static Slot),
    /// This thread has no free one.
    NoSlot,
    /// The bias was gone by then.
    Revoked,
}

impl<C: Control> BiasedCore<C> {
    /// What marks slots for this lock. Only after a load of the word, with Acquire, that found the bias.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.control.id(&self.core)
    }

    /// Whether a reader that has just marked a slot, as `word` told it to, may stay (R2): there is still a
    /// bias, and for an unfenced mark, marks still may be unfenced.
    #[inline]
    pub(super) fn validate(&self, word: u64, _marked: &Slot) -> bool {
        let needed = word & (BIAS | UNFENCED);
        // ORDERING: Acquire: pairs with the Release of the writers that left. After the fence in `Slot::mark`,
        // whose pair is the one in `make_visible`; after an unfenced mark the pair is the heavy fence.
        self.core.word.load(Ordering::Acquire) & needed == needed
    }

    /// Enters by a slot, if there is a free one and still a bias. Only after a load of the word, with Acquire,
    /// that found the bias.
    pub(super) fn mark(&self) -> Marked {
        let Some(slot) = readers::mark(self.id()) else { return Marked::NoSlot };
        if self.validate(BIAS, slot) {
            return Marked::Inside(slot);
        }
        self.unmark(slot);
        Marked::Revoked
    }

    /// Frees the slot by which a reader is inside.
    #[inline]
    pub(super) fn unmark(&self, slot: &Slot) {
        let drainer = self.core.drainer();
        readers::unmark(slot);
        // ORDERING: Relaxed: may come too early, see R7.
        if self.core.word.load(Ordering::Relaxed) & DRAINING != 0 {
            wake(drainer);
        }
    }

    /// Whether any slot is seen to be marked for this lock. Only where [`id`](Self::id) may be called.
    pub(super) fn is_marked(&self) -> bool {
        readers::any_marked(self.id())
    }

    /// Lets readers enter by slots from now on. Only for a reader inside.
    #[cold]
    pub(super) fn engage(&self) {
        self.control.prepare();
        // ORDERING: Relaxed: the exchange decides.
        let word = self.core.word.load(Ordering::Relaxed);
        if word & (WRITER | BIAS | REVOKING | TRIES) == 0 {
            // R3. If somebody came or went meanwhile, the next reader that waits will try.
            // ORDERING: Release: publishes the id. What writers did before is published with it:
            // this thread's entry acquired that.
            let _ = self.core.change(word, word | BIAS, Ordering::Release);
        }
    }

    /// Lets readers enter by the word once the writer has left. Only for the writer inside.
    #[cold]
    pub(super) fn end(&self) {
        // All slots are free (R4).
        // ORDERING: Relaxed: publishes nothing.
        self.core.word.fetch_and(!REVOKING, Ordering::Relaxed);
    }

    /// Waits until everybody inside has left. Returns `false` if the deadline came first. Only for the pending
    /// writer.
    pub(super) fn drain(&self, deadline: Option<Instant>) -> bool {
        match self.drain_word(deadline) {
            Some(word) if word & REVOKING != 0 => self.drain_slots(word, deadline),
            Some(_) => true,
            None => false,
        }
    }

    /// Returns the word once no reader is counted in it.
    fn drain_word(&self, deadline: Option<Instant>) -> Option<u64> {
        let core = &self.core;
        let (mut backoff, mut checks) = (Backoff::new(), 0);
        let mut timed_out = false;
        loop {
            // ORDERING: Acquire: pairs with the Release of every reader that left.
            let word = core.word.load(Ordering::Acquire);
            if word & READERS == 0 {
                return Some(word);
            }
            if timed_out {
                return None;
            }
            if checks < DRAINING_CHECKS && !backoff.is_over() {
                checks += 1;
                backoff.pause();
                continue;
            }
            // ORDERING: Relaxed: publishes nothing; the last reader's step finds the bit.
            core.word.fetch_or(DRAINING, Ordering::Relaxed);
            let occupied = || {
                // ORDERING: Relaxed: the queue's lock orders this with the wake-up.
                core.word.load(Ordering::Relaxed) & READERS != 0
            };
            timed_out = park(core.drainer(), occupied, deadline) == Parked::TimedOut;
        }
    }

    /// Scans all slots, waits for those marked, and decides on the bias. Only for the pending writer, once no reader is
    /// counted in the word.
    pub(super) fn drain_slots(&self, word: u64, deadline: Option<Instant>) -> bool {
        self.make_visible(word);
        let id = self.id();
        let remembered = readers::scan(id, |slot| self.wait_for_slot(slot, id, deadline));
        let Some(reads) = remembered else { return false };
        self.charge(word, reads);
        true
    }

    /// Between the step that cleared the bias, or found it cleared, and the scan.
    fn make_visible(&self, word: u64) {
        // ORDERING: SeqCst: between clearing the bias in the word and scanning the slots; the pair
        // is in `Slot::mark` (R2).
        fence(Ordering::SeqCst);
        make_marks_visible(&self.core, word);
    }

    /// Charges the bias for this write, and ends it if it doesn't pay. Only for the writer inside.
    fn charge(&self, word: u64, reads: u32) {
        if !self.control.charge(reads, is_fenced(word)) {
            self.end();
        }
    }

    fn wait_for_slot(&self, slot: &Slot, id: u64, deadline: Option<Instant>) -> bool {
        let (mut backoff, mut checks) = (Backoff::new(), 0);
        let mut sleep = BACKSTOP;
        while readers::is_marked(slot, id) {
            if checks < DRAINING_CHECKS && !backoff.is_over() {
                checks += 1;
                backoff.pause();
                continue;
            }
            // ORDERING: Relaxed: publishes nothing (R7).
            self.core.word.fetch_or(DRAINING, Ordering::Relaxed);
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return !readers::is_marked(slot, id);
            }
            let backstop = now + sleep;
            sleep = (sleep * 2).min(LONGEST_BACKSTOP);
            let until = deadline.map_or(backstop, |deadline| deadline.min(backstop));
            park(self.core.drainer(), || readers::is_marked(slot, id), Some(until));
        }
        true
    }

    /// Becomes the writer of a lock that nobody but this thread is inside of: the word without `bars`. What this
    /// thread has in the word itself, `own`, is given up with that step. Returns whether it did; if not, no other
    /// call can tell that it tried.
    pub(super) fn try_write(&self, bars: u64, own: u64) -> bool {
        // ORDERING: Acquire: pairs with the Release in `engage`: with a bias comes the id that the scan asks for.
        // Without one the exchange decides.
        let mut word = self.core.word.load(Ordering::Acquire);
        while word & bars == 0 {
            if word & (BIAS | REVOKING) != 0 {
                return self.try_write_biased(bars, own);
            }
            // ORDERING: Acquire, and on failure: pairs with the Release of every reader and writer that left; see above.
            let (next, acquire) = (set_writer_unbiased(word & !own), Ordering::Acquire);
            match self.core.word.compare_exchange_weak(word, next, acquire, acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// [`try_write`](Self::try_write) where the word had a bias, at a load with Acquire. It may have ended since.
    #[cold]
    pub(super) fn try_write_biased(&self, bars: u64, own: u64) -> bool {
        if self.is_marked() {
            return false;
        }
        let Some(word) = self.begin_try(bars) else { return false };
        self.make_visible(word);
        let Some(reads) = readers::scan(self.id(), |_| false) else { return self.abandon_try() };
        // ORDERING: Relaxed: the exchange decides.
        let mut now = self.core.word.load(Ordering::Relaxed);
        while now & bars == 0 {
            // ORDERING: Acquire: pairs with the Release of every reader and writer that left.
            match self.core.change(now, complete_try(now & !own), Ordering::Acquire) {
                Ok(_) => {
                    if now & REVOKING != 0 {
                        self.charge(word, reads);
                    }
                    return true;
                }
                Err(other) => now = other,
            }
        }
        self.abandon_try()
    }

    /// Returns the word with which this try began; `None` if it is barred.
    fn begin_try(&self, bars: u64) -> Option<u64> {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.core.word.load(Ordering::Relaxed);
        while word & bars == 0 {
            let Some(next) = begin_try(word) else {
                // 63 are under way, each for a moment.
                thread::yield_now();
                word = self.core.word.load(Ordering::Relaxed);
                continue;
            };
            // ORDERING: Relaxed: the caller's next step is the fence in `make_visible`, which acquires what this
            // step has read: what another try or writer published as it cleared `UNFENCED` (U1 in `unfenced.rs`).
            match self.core.change(word, next, Ordering::Relaxed) {
                Ok(_) => return Some(next),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Fails, which leaves nobody to be woken: a try keeps nobody waiting. Always returns `false`.
    fn abandon_try(&self) -> bool {
        // ORDERING: Relaxed: the exchange decides.
        let mut word = self.core.word.load(Ordering::Relaxed);
        // ORDERING: Relaxed: this try has written nothing. A reader that sees the bias restored acquires what came
        // with it: read-modify-writes alone change the word, and continue the release sequences of `engage`
        // and of the writers that left.
        while let Err(now) = self.core.change(word, abandon_try(word), Ordering::Relaxed) {
            word = now;
        }
        false
    }
}
