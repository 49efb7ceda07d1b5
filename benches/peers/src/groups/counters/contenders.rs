//! The counters that are compared, and their adapters.

use super::{Counter, Task, entry, in_go, ours, peer};
use crate::entry::{Entry, Role};
use crate::groups::locked::Lock;
use contatori::counters::unsigned::Unsigned;
use contatori::counters::{CounterValue, Observable};
use crossbeam_utils::CachePadded;
use fast_counter::ConcurrentCounter;
use std::sync::atomic::{AtomicU64, Ordering};

pub fn all() -> Vec<Entry<Task>> {
    vec![
        ours::<phalanx::SafeCounter>("phalanx"),
        peer::<AtomicU64>("AtomicU64"),
        peer::<std::sync::Mutex<u64>>("std Mutex"),
        peer::<parking_lot::Mutex<u64>>("parking_lot Mutex"),
        peer::<ConcurrentCounter>("fast-counter"),
        peer::<Unsigned>("contatori"),
        in_go(),
        entry::<Private>("limit", Role::Limit).only(|task| !task.read),
    ]
}

impl Counter for AtomicU64 {
    fn new(_: usize) -> Self {
        AtomicU64::new(0)
    }

    #[inline]
    fn add(&self, _: usize) {
        // ORDERING: Relaxed: only a count, as a user would write it.
        self.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> u64 {
        // ORDERING: Relaxed: as above.
        self.load(Ordering::Relaxed)
    }
}

impl<L: Lock<u64>> Counter for L {
    fn new(_: usize) -> Self {
        L::of(0)
    }

    #[inline]
    fn add(&self, _: usize) {
        self.write(|count| *count += 1);
    }

    #[inline]
    fn get(&self) -> u64 {
        self.read(|count| *count)
    }
}

impl Counter for ConcurrentCounter {
    /// One cell per core, as its documentation advises.
    fn new(_: usize) -> Self {
        ConcurrentCounter::new(crate::plan::cores())
    }

    #[inline]
    fn add(&self, _: usize) {
        ConcurrentCounter::add(self, 1);
    }

    #[inline]
    fn get(&self) -> u64 {
        self.sum() as u64
    }
}

impl Counter for Unsigned {
    fn new(_: usize) -> Self {
        Unsigned::new()
    }

    #[inline]
    fn add(&self, _: usize) {
        Unsigned::add(self, 1);
    }

    #[inline]
    fn get(&self) -> u64 {
        match self.value() {
            CounterValue::Unsigned(count) => count,
            other => unreachable!("an unsigned counter holds {other:?}"),
        }
    }
}

/// A cell per thread, written by a load and a store.
struct Private(Vec<CachePadded<AtomicU64>>);

impl Counter for Private {
    fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| CachePadded::default()).collect())
    }

    #[inline]
    fn add(&self, thread: usize) {
        let cell = &self.0[thread];
        // ORDERING: Relaxed: each cell has one writer; join publishes the last values.
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> u64 {
        // ORDERING: Relaxed: as above.
        self.0.iter().map(|cell| cell.load(Ordering::Relaxed)).sum()
    }
}
