//! Marks without a fence, while nobody writes: a reader's price is two stores to its own line.
//!
//! The invariant that this rests on is 2 of `raw.rs`, why no reader is overlooked: mark, fence, look at the
//! word; take the door, fence, look at the slots. Of the reader's time under a bias most is that fence. So in a
//! lock that has not been written for a long time readers mark *lightly*, with no fence, and the
//! first writer makes a heavy one for all ([`Slot`](crate::sys::Slot) tells what it promises). That costs it 10
//! to 30 µs and interrupts the readers, which some thousands of reads make up for: [`ROUND`](super::slots) is
//! that long. Then readers use fences again, for as long.
//!
//! Who may mark lightly is told by one bit of a lock's word, or for steered locks, of which there are many, by
//! one [`Light`] for all of them: else each would cost its first writer a heavy fence.
//!
//! **A lock's own bit.**
//!
//! ```text
//! BIAS           => BIAS|LIGHT       a reader                    the door: BIAS|LIGHT => WRITER|SUSPENDED|LIGHT
//! WRITER|SUSPENDED|LIGHT => WRITER|SUSPENDED           the writer, after a heavy fence
//! ```
//!
//! 1. A reader stays with a light mark only if it has seen `BIAS` and `LIGHT` after it. While `LIGHT` is set, or
//!    before the writer that saw it has made its heavy fence, such marks may be unseen. So `LIGHT` stays, with
//!    the door and when a writer gives the door up, until a heavy fence has come after the door was taken. The same
//!    goes for a trier (`bias.rs`): as long as there is one, `BIAS` is off, and so no light mark is new.
//!
//! **A [`Light`] for many.** A number that only grows; what it is modulo 4 is its phase:
//!
//! ```text
//! FENCED ──► ENGAGING ──► LIGHT ──► ENDING ──► FENCED     one more each time,
//!                 └──────────────────►┘                   two where LIGHT is passed over
//! ```
//!
//! 2. A reader stays with a light mark only if it has seen its lock's `BIAS`, and the same `LIGHT` as before, after
//!    it. A writer looks at the phase after it has taken its door, with a fence between.
//! 3. A writer that sees `FENCED` relies on the one that brought that about: it made a heavy fence after `ENDING`,
//!    so all that had stayed before are seen.
//! 4. `FENCED` comes only from the heavy fence of the same `ENDING`: a number, not a phase, is what is exchanged. A
//!    slow writer of an earlier one must not vouch for this one's marks.
//! 5. Who engages makes a fence between `ENGAGING` and `LIGHT`. So if a writer at its door saw an earlier `FENCED`,
//!    whoever sees this `LIGHT` sees that door: the two fences are in one order.

use super::raw::RawRwMutex;
use super::slots;
use super::word::*;
use crate::sys::atomic::{AtomicU64, Ordering, fence};
use crate::sys::{Hint, const_fn, has_heavy_fence, heavy_fence};

const FENCED: u64 = 0;
const LIGHT_PHASE: u64 = 2;
const ENDING: u64 = 3;
const PHASES: u64 = 4;

/// The number by which a reader may mark lightly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed(u64);

/// The number that a writer's heavy fence is for.
#[derive(Debug)]
pub(super) struct Ending(u64);

/// Whether the readers of some steered locks mark lightly.
#[derive(Debug)]
pub(crate) struct Light {
    number: AtomicU64,
    /// Whether a writer has had to look at the slots since a reader asked last.
    written: Hint,
}

impl Light {
    const_fn! {
        pub(crate) fn new() -> Self {
            Light { number: AtomicU64::new(FENCED), written: Hint::new() }
        }
    }

    /// Whether a reader may mark lightly, and then ask whether it [still may](Light::still_allows).
    #[inline]
    pub(crate) fn look(&self) -> Option<Allowed> {
        // ORDERING: Acquire: pairs with the Release in `engage`: what follows sees the doors that its
        // fence has put in order (invariant 5).
        let number = self.number.load(Ordering::Acquire);
        (number % PHASES == LIGHT_PHASE).then_some(Allowed(number))
    }

    /// Whether one that has marked lightly, after it saw this number, may stay (invariant 2).
    #[inline]
    pub(super) fn still_allows(&self, Allowed(number): Allowed) -> bool {
        // ORDERING: Relaxed: after the light fence; the pair is the heavy fence in `end`.
        self.number.load(Ordering::Relaxed) == number
    }

    /// After a round number of a thread's reads: engages, if nothing was written since the last time.
    #[cold]
    pub(super) fn consider(&self) {
        if self.written.get() != 0 {
            self.written.set(0);
        } else {
            self.engage();
        }
    }

    /// Has readers mark lightly from now on.
    pub(super) fn engage(&self) {
        if !has_heavy_fence() {
            return;
        }
        // ORDERING: Relaxed: the exchange decides. It carries on the release sequence of whoever brought
        // FENCED about, as every step of the number does (invariant 3).
        let number = self.number.load(Ordering::Relaxed);
        let (relaxed, release) = (Ordering::Relaxed, Ordering::Release);
        if number % PHASES == FENCED
            // ORDERING: Relaxed: nothing to publish before the fence.
            && self.number.compare_exchange(number, number + 1, relaxed, relaxed).is_ok()
        {
            // ORDERING: SeqCst: invariant 5; the pair is in `drain_slots`.
            fence(Ordering::SeqCst);
            // ORDERING: Release: pairs with `look`. If it fails, a writer has ended it at once.
            let _ = self.number.compare_exchange(number + 1, number + 2, release, relaxed);
        }
    }

    /// Has the marks be seen of all readers that stay. For a writer at the door, after its fence.
    fn end(&self) {
        if self.written.get() == 0 {
            self.written.set(1);
        }
        if let Some(ending) = self.start_ending() {
            heavy_fence(slots::all_first());
            self.finish(ending);
        }
    }

    /// No reader that sees the number from now on stays with a light mark; `None` if that is so, and those
    /// that had stayed are seen.
    pub(super) fn start_ending(&self) -> Option<Ending> {
        // ORDERING: Acquire, here and on failure: pairs with the Release of whoever brought FENCED about
        // (invariant 3).
        let mut number = self.number.load(Ordering::Acquire);
        while number % PHASES != FENCED {
            let ending = number - number % PHASES + ENDING;
            // ORDERING: Relaxed: the heavy fence is what has readers see it.
            let (relaxed, acquire) = (Ordering::Relaxed, Ordering::Acquire);
            // Another writer may be at it, and not done: then this one makes a fence of its own too.
            if number == ending {
                return Some(Ending(ending));
            }
            match self.number.compare_exchange(number, ending, relaxed, acquire) {
                Ok(_) => return Some(Ending(ending)),
                Err(now) => number = now,
            }
        }
        None
    }

    /// After a heavy fence (invariant 4).
    pub(super) fn finish(&self, Ending(ending): Ending) {
        // ORDERING: Release: pairs with the Acquire of writers that see FENCED. If it fails, another has
        // done so.
        let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
        let _ = self.number.compare_exchange(ending, ending.wrapping_add(1), release, relaxed);
    }
}

impl RawRwMutex {
    /// After a round number of a thread's reads: has readers mark lightly, if no writer came since the last
    /// time.
    #[cold]
    pub(super) fn consider_light(&self) {
        // ORDERING: Relaxed: steers only.
        let turns = write_turns(self.word.load(Ordering::Relaxed));
        if !self.is_steered() && slots::remember_turns(turns) {
            self.engage_light();
        }
    }

    /// Has readers mark lightly from now on.
    pub(super) fn engage_light(&self) {
        // ORDERING: Relaxed, twice: the exchange decides, and publishes nothing.
        let word = self.word.load(Ordering::Relaxed);
        if has_heavy_fence() && word & (BIAS | LIGHT) == BIAS {
            let _ = self.change(word, word | LIGHT, Ordering::Relaxed);
        }
    }

    /// Has the marks be seen of all readers that stay. For a writer at the door, after its fence; `word` is
    /// what the door was taken with, `light` what readers of a steered lock go by.
    pub(super) fn make_marks_seen(&self, word: u64, light: Option<&Light>) {
        if word & LIGHT != 0 {
            heavy_fence(slots::all_first());
            // ORDERING: Release: another at the door, or a trier, that finds the bit gone relies on this fence
            // (invariant 1). It reads the word with Acquire.
            self.word.fetch_and(!LIGHT, Ordering::Release);
        } else if let Some(light) = light {
            light.end();
        } else if self.is_steered() && has_heavy_fence() {
            // The caller doesn't know whether there are light marks: this makes them seen.
            heavy_fence(slots::all_first());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_slow_to_finish_ends_nothing_later() {
        let light = Light::new();
        light.number.store(LIGHT_PHASE, Ordering::Relaxed);
        let slow = light.start_ending().expect("marks may be light");
        let quick = light.start_ending().expect("they are not known to be seen");
        light.finish(quick);
        assert!(light.start_ending().is_none());
        light.number.store(PHASES + LIGHT_PHASE, Ordering::Relaxed);
        let later = light.start_ending().expect("marks may be light again");
        light.finish(slow);
        assert!(light.start_ending().is_some(), "a fence from before counts for this one");
        light.finish(later);
        assert!(light.start_ending().is_none());
    }
}
