//! The share of reads among the calls on a store, which decides whether its locks are biased towards readers.
//!
//! A lock on its own could tell that it is mostly read, but one of some hundred shards sees too few calls for that.
//! So the store counts for all of them, reads and writes in the two halves of one [`SafeCounter`]. Calls are short, so
//! a thread samples: it counts about one call in twelve, weighted by the calls skipped. After some hundred counted
//! calls it compares reads with writes. A decision stands for a while, during which only the calls that speak against
//! it are counted: writes while reads are favoured, reads otherwise.
//!
//! Nothing here decides what a call returns, only what it costs.

use crate::safe_counter::SafeCounter;
use crate::sys::{Hint, IS_MODEL, local};
use std::cell::Cell;

/// With this many reads for each write, or more, biased reads save more than biased writes cost.
const READS_PER_WRITE: u32 = 6;
/// How many reads, or writes, a thread counts between two evaluations.
const EVALUATION_INTERVAL: u64 = 256;
/// How many calls an evaluation needs to decide.
const ENOUGH_TO_DECIDE: u32 = 2 * EVALUATION_INTERVAL as u32;
/// How many calls of the kind that is still counted end the trust in a decision.
const ENOUGH_TO_DOUBT: u32 = 8 * EVALUATION_INTERVAL as u32;

/// Reads are favoured.
const FAVOURS_READS: u32 = 1;
/// Both reads and writes are counted.
const MEASURING: u32 = 2;

const READ: u64 = 1;
const WRITE: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct AccessRatio {
    calls: SafeCounter,
    /// The counts at the last decision.
    reads: Hint,
    writes: Hint,
    decision: Hint,
}

/// What is decided at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision(u32);

impl Decision {
    /// Whether the locks are to be biased towards readers.
    #[inline]
    pub(super) fn favours_reads(self) -> bool {
        self.0 & FAVOURS_READS != 0
    }
}

local! {
    /// How many calls of this thread, on any store, are skipped before the next is counted.
    static SKIPS: Cell<u32> = Cell::new(0);
}
local! {
    /// The state of a xorshift32 generator.
    static RANDOM: Cell<u32> = Cell::new(0x9e37_79b9);
}

fn random() -> u32 {
    let next = RANDOM.try_with(|random| {
        let mut x = random.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        random.set(x);
        x
    });
    next.unwrap_or(0)
}

impl AccessRatio {
    pub(super) fn new() -> Self {
        let decision = Hint::new();
        decision.set(MEASURING);
        AccessRatio { calls: SafeCounter::new(), reads: Hint::new(), writes: Hint::new(), decision }
    }

    #[inline]
    pub(super) fn decision(&self) -> Decision {
        Decision(self.decision.get())
    }

    /// Notes a read that was made under `decision`.
    #[inline]
    pub(super) fn note_read(&self, decision: Decision) {
        if decision.0 != FAVOURS_READS {
            self.sample(READ);
        }
    }

    /// Notes a write that was made under `decision`.
    #[inline]
    pub(super) fn note_write(&self, decision: Decision) {
        if decision.0 != 0 {
            self.sample(WRITE);
        }
    }

    #[inline]
    fn sample(&self, one: u64) {
        let left = SKIPS.try_with(Cell::get).unwrap_or(1);
        let _ = SKIPS.try_with(|skips| skips.set(left.wrapping_sub(1)));
        if left == 0 {
            self.count(one);
        }
    }

    /// Counts a call, weighted by the 4 to 19 that are skipped after it. Their number is random, so that a thread
    /// whose calls follow a pattern isn't sampled at the same point of it each time.
    #[cold]
    fn count(&self, one: u64) {
        let skips = 4 + random() % 16;
        let _ = SKIPS.try_with(|left| left.set(skips));
        if IS_MODEL {
            return;
        }
        let n = u64::from(skips + 1) * one;
        let now = self.calls.count(n);
        // This thread's count has passed a multiple of the interval.
        if (now ^ now.wrapping_sub(n)) & (EVALUATION_INTERVAL * one) != 0 {
            self.evaluate();
        }
    }

    #[cold]
    fn evaluate(&self) {
        let calls = self.calls.get() as u64;
        let (all_reads, all_writes) = (calls as u32, (calls / WRITE) as u32);
        let reads = all_reads.wrapping_sub(self.reads.get());
        let writes = all_writes.wrapping_sub(self.writes.get());
        // Another thread has just evaluated, and had seen more than this one.
        if reads.max(writes) > u32::MAX / 2 {
            return;
        }
        let decision = self.decision.get();
        let is_measuring = decision & MEASURING != 0;
        if reads + writes < if is_measuring { ENOUGH_TO_DECIDE } else { ENOUGH_TO_DOUBT } {
            return;
        }
        let next = if !is_measuring {
            decision | MEASURING
        } else if reads / READS_PER_WRITE >= writes {
            FAVOURS_READS
        } else {
            0
        };
        self.reads.set(all_reads);
        self.writes.set(all_writes);
        self.decision.set(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether reads are favoured after many calls.
    fn favours(calls: impl Fn(&AccessRatio, u32)) -> bool {
        let ratio = AccessRatio::new();
        (0..100_000).for_each(|n| calls(&ratio, n));
        ratio.decision().favours_reads()
    }

    fn read(ratio: &AccessRatio) {
        ratio.note_read(ratio.decision());
    }

    fn write(ratio: &AccessRatio) {
        ratio.note_write(ratio.decision());
    }

    #[test]
    fn the_ratio_is_measured_whatever_the_pattern_of_calls() {
        if IS_MODEL {
            return;
        }
        assert!(favours(|ratio, _| read(ratio)));
        assert!(!favours(|ratio, _| write(ratio)));
        for period in 1..40 {
            let in_turn = |ratio: &AccessRatio, n| {
                if n % (period + 1) == 0 { write(ratio) } else { read(ratio) }
            };
            // Near the threshold either decision is right.
            if period * 2 < READS_PER_WRITE || period > 2 * READS_PER_WRITE {
                assert_eq!(
                    favours(in_turn),
                    period > READS_PER_WRITE,
                    "{period} reads for a write"
                );
            }
        }
    }

    #[test]
    fn a_change_of_the_ratio_is_noticed() {
        if IS_MODEL {
            return;
        }
        let ratio = AccessRatio::new();
        for _ in 0..3 {
            (0..20_000).for_each(|_| write(&ratio));
            assert!(!ratio.decision().favours_reads());
            (0..20_000).for_each(|_| read(&ratio));
            assert!(ratio.decision().favours_reads());
        }
    }
}
