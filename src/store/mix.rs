//! What share of the calls on a store are reads, and so whether its shards' readers should pass the
//! locks by.
//!
//! A lock can tell by itself whether it is mostly read, but one of 256 shards sees one call in 256, and
//! its readers hardly ever meet. So the store counts for all of them, with a [`SafeCounter`]: each thread in its
//! own cell, reads in the lower half and writes in the upper. Calls are short, so a thread counts only one in
//! a dozen, for as many as it let pass, and once in a while looks what came since the last look. When the mix
//! is known, it is taken to stay as it is for some time, and only calls of the kind that would not pay are
//! counted meanwhile: writes while reads are favoured, and else reads.
//! Nothing here decides what a call gives, only what it costs.

use crate::safe_counter::SafeCounter;
use crate::sys::{Hint, IS_MODEL, local};
use std::cell::Cell;

/// Reads for each write from which on a biased read saves more than biased writes cost.
const READS_PER_WRITE: u32 = 6;
/// Calls of one kind, by one thread, between two looks.
const CALLS_PER_LOOK: u64 = 256;
/// Calls that a look must find to draw a conclusion.
const ENOUGH: u32 = 2 * CALLS_PER_LOOK as u32;
/// Calls of the kind that is still counted, until all are counted again.
const TRUSTED: u32 = 8 * CALLS_PER_LOOK as u32;

/// Reads are what matters.
const FAVOURS_READS: u32 = 1;
/// All calls are counted.
const MEASURES: u32 = 2;

const READ: u64 = 1;
const WRITE: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Mix {
    calls: SafeCounter,
    /// What there was when the state changed last.
    reads: Hint,
    writes: Hint,
    state: Hint,
}

/// What is thought of the mix.
#[derive(Clone, Copy, Debug)]
pub(super) struct State(u32);

impl State {
    /// Whether reads are what matters.
    #[inline]
    pub(super) fn favours_reads(self) -> bool {
        self.0 & FAVOURS_READS != 0
    }
}

local! {
    /// Calls of this thread, on any store, that go uncounted before the next that counts.
    static UNCOUNTED: Cell<u32> = Cell::new(0);
}
local! {
    /// Numbers that look like chance (xorshift32): how many are passed over next.
    static CHANCE: Cell<u32> = Cell::new(0x9e37_79b9);
}

fn chance() -> u32 {
    let next = CHANCE.try_with(|chance| {
        let mut x = chance.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        chance.set(x);
        x
    });
    next.unwrap_or(0)
}

impl Mix {
    pub(super) fn new() -> Self {
        let state = Hint::new();
        state.set(MEASURES);
        Mix { calls: SafeCounter::new(), reads: Hint::new(), writes: Hint::new(), state }
    }

    /// What a call is to go by.
    #[inline]
    pub(super) fn state(&self) -> State {
        State(self.state.get())
    }

    /// After a read that went by the state.
    #[inline]
    pub(super) fn read(&self, state: State) {
        if state.0 != FAVOURS_READS {
            self.called(READ);
        }
    }

    /// After a write.
    #[inline]
    pub(super) fn write(&self, state: State) {
        if state.0 != 0 {
            self.called(WRITE);
        }
    }

    #[inline]
    fn called(&self, one: u64) {
        let left = UNCOUNTED.try_with(Cell::get).unwrap_or(1);
        let _ = UNCOUNTED.try_with(|uncounted| uncounted.set(left.wrapping_sub(1)));
        if left == 0 {
            self.count(one);
        }
    }

    /// One call in 5 to 20, by chance, for a thread may go from call to call in a pattern: it stands for as
    /// many of its kind. And a look whenever this thread's count passes a multiple.
    #[cold]
    fn count(&self, one: u64) {
        let passed = u64::from(4 + chance() % 16);
        let _ = UNCOUNTED.try_with(|uncounted| uncounted.set(passed as u32));
        if IS_MODEL {
            return;
        }
        let n = (passed + 1) * one;
        let now = self.calls.count(n);
        if (now ^ now.wrapping_sub(n)) & (CALLS_PER_LOOK * one) != 0 {
            self.look();
        }
    }

    #[cold]
    fn look(&self) {
        let calls = self.calls.get() as u64;
        let (all_reads, all_writes) = (calls as u32, (calls / WRITE) as u32);
        let reads = all_reads.wrapping_sub(self.reads.get());
        let writes = all_writes.wrapping_sub(self.writes.get());
        // Another thread's look, just now, may have seen more than this one.
        if reads.max(writes) > u32::MAX / 2 {
            return;
        }
        let state = self.state.get();
        let next = if state & MEASURES == 0 {
            state | MEASURES
        } else if reads / READS_PER_WRITE >= writes {
            FAVOURS_READS
        } else {
            0
        };
        if reads + writes >= if state & MEASURES == 0 { TRUSTED } else { ENOUGH } {
            self.reads.set(all_reads);
            self.writes.set(all_writes);
            self.state.set(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread makes of a mix, after a while.
    fn favours(calls: impl Fn(&Mix, u32)) -> bool {
        let mix = Mix::new();
        (0..100_000).for_each(|n| calls(&mix, n));
        mix.state().favours_reads()
    }

    #[test]
    fn a_mix_is_seen_whatever_its_pattern() {
        if IS_MODEL {
            return;
        }
        assert!(favours(|mix, _| mix.read(mix.state())));
        assert!(!favours(|mix, _| mix.write(mix.state())));
        for period in 1..40 {
            let in_turn = |mix: &Mix, n| {
                if n % (period + 1) == 0 { mix.write(mix.state()) } else { mix.read(mix.state()) }
            };
            // Near the border it may be seen so or so.
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
    fn a_mix_that_changes_is_seen() {
        if IS_MODEL {
            return;
        }
        let mix = Mix::new();
        for _ in 0..3 {
            (0..20_000).for_each(|_| mix.write(mix.state()));
            assert!(!mix.state().favours_reads());
            (0..20_000).for_each(|_| mix.read(mix.state()));
            assert!(mix.state().favours_reads());
        }
    }
}
