//! What share of the calls on a store are reads, and so whether its shards' readers should pass the
//! locks by.
//!
//! A lock can tell by itself whether it is mostly read, but one of 64 shards sees a call in 64, and its
//! readers hardly ever meet. So the store counts for all of them, with a [`SafeCounter`]: each thread in its
//! own cell, reads in the lower half and writes in the upper. Once in a while a thread looks what came
//! since the last look. Nothing here decides what a call gives, only what it costs.

use crate::safe_counter::SafeCounter;
use crate::sys::{Hint, IS_MODEL};

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

    #[inline]
    pub(super) fn read(&self) {
        if !IS_MODEL && self.calls.count(READ).is_multiple_of(CALLS_PER_LOOK) {
            self.look();
        }
    }

    #[inline]
    pub(super) fn write(&self) {
        if !IS_MODEL && (self.calls.count(WRITE) / WRITE).is_multiple_of(CALLS_PER_LOOK) {
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
