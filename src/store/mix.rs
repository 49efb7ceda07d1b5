//! What share of the calls on a store are reads, and so whether its shards' readers should pass the
//! locks by.
//!
//! A lock can tell by itself whether it is mostly read, but one of 64 shards sees a call in 64, and its
//! readers hardly ever meet. So the store counts for all of them, with a [`SafeCounter`]: each thread in its
//! own cell, reads in the lower half and writes in the upper. Calls are short, so a thread counts only one in
//! a dozen, for as many as it let pass. Once in a while a thread looks what came since the last look.
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

const READ: u64 = 1;
const WRITE: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Mix {
    calls: SafeCounter,
    /// What there was at the last look.
    reads: Hint,
    writes: Hint,
    /// 1 if reads are what matters.
    favours_reads: Hint,
}

local! {
    /// Calls of this thread, on any store, that go uncounted before the next that counts.
    static UNCOUNTED: Cell<u32> = Cell::new(0);
}

impl Mix {
    pub(super) fn new() -> Self {
        Mix {
            calls: SafeCounter::new(),
            reads: Hint::new(),
            writes: Hint::new(),
            favours_reads: Hint::new(),
        }
    }

    #[inline]
    pub(super) fn favours_reads(&self) -> bool {
        self.favours_reads.get() != 0
    }

    /// After a read of a key with this hash.
    #[inline]
    pub(super) fn read(&self, hash: u64) {
        self.called(hash, READ);
    }

    /// After a write of a key with this hash.
    #[inline]
    pub(super) fn write(&self, hash: u64) {
        self.called(hash, WRITE);
    }

    #[inline]
    fn called(&self, hash: u64, one: u64) {
        let left = UNCOUNTED.try_with(Cell::get).unwrap_or(1);
        let _ = UNCOUNTED.try_with(|uncounted| uncounted.set(left.wrapping_sub(1)));
        if left == 0 {
            self.count(hash, one);
        }
    }

    /// One call in 5 to 20, now so and now so, for a thread may go from call to call in a pattern: it
    /// stands for as many of its kind. And a look whenever this thread's count passes a multiple.
    #[cold]
    fn count(&self, hash: u64, one: u64) {
        let passed = 4 + (hash >> 24) % 16;
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
        if reads.max(writes) > u32::MAX / 2 || reads + writes < ENOUGH {
            return;
        }
        self.reads.set(all_reads);
        self.writes.set(all_writes);
        let favours = u32::from(reads / READS_PER_WRITE >= writes);
        if favours != self.favours_reads.get() {
            self.favours_reads.set(favours);
        }
    }
}
