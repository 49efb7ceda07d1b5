//! A sequence lock: readers take no lock, and check before and after whether a writer was there.
//!
//! The data are atomics: a reader may read them beside a writer, and then discards what it read. In cells that would
//! be a data race, on the machine as in a model.

use phalanx::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// Two numbers that are written together.
#[derive(Default)]
pub struct Pair {
    /// Odd while the numbers are written.
    sequence: AtomicUsize,
    first: AtomicU64,
    second: AtomicU64,
}

impl Pair {
    /// Writes both numbers. For one thread.
    pub fn write(&self, value: u64) {
        self.write_after(value, || fence(Ordering::Release));
    }

    /// Wrong result: the data may be seen before the odd sequence number.
    pub fn write_without_a_fence(&self, value: u64) {
        self.write_after(value, || ());
    }

    fn write_after(&self, value: u64, between: impl Fn()) {
        // ORDERING: Relaxed: this thread's own.
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        // ORDERING: Release: pairs with the Acquire fence in `read`: a thread that reads the data sees the odd sequence
        // number afterwards.
        between();
        self.first.store(value, Ordering::Relaxed);
        self.second.store(value, Ordering::Relaxed);
        // ORDERING: Release: pairs with the Acquire in `read`.
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// Returns both numbers, unless a writer was there.
    pub fn read(&self) -> Option<(u64, u64)> {
        self.read_before(|| fence(Ordering::Acquire))
    }

    /// Wrong result: the second load may be older than the data.
    pub fn read_without_a_fence(&self) -> Option<(u64, u64)> {
        self.read_before(|| ())
    }

    fn read_before(&self, between: impl Fn()) -> Option<(u64, u64)> {
        // ORDERING: Acquire: pairs with the Release in `write`.
        let before = self.sequence.load(Ordering::Acquire);
        let pair = (self.first.load(Ordering::Relaxed), self.second.load(Ordering::Relaxed));
        // ORDERING: Acquire: pairs with the Release fence in `write`.
        between();
        let after = self.sequence.load(Ordering::Relaxed);
        (before % 2 == 0 && before == after).then_some(pair)
    }
}
