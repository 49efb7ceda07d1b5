//! Counters that tell when all threads have arrived.

use phalanx::atomic::{AtomicUsize, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::thread;

/// Parts of a sum, one for each worker; the last worker to finish adds them up.
pub struct Parts<const N: usize> {
    left: AtomicUsize,
    parts: [UnsafeCell<u64>; N],
}

// SAFETY: each part is its worker's until that has finished, and the last worker's after that.
unsafe impl<const N: usize> Sync for Parts<N> {}

impl<const N: usize> Default for Parts<N> {
    fn default() -> Self {
        let parts = std::array::from_fn(|_| UnsafeCell::new(0));
        Parts { left: AtomicUsize::new(N), parts }
    }
}

impl<const N: usize> Parts<N> {
    /// Writes a part. Returns the sum if it was the last.
    pub fn finish(&self, part: usize, value: u64) -> Option<u64> {
        // ORDERING: AcqRel: the last worker is ordered after all others.
        self.finish_with(part, value, Ordering::AcqRel)
    }

    /// Race: the last worker acquires nothing.
    pub fn finish_without_acquire(&self, part: usize, value: u64) -> Option<u64> {
        self.finish_with(part, value, Ordering::Release)
    }

    fn finish_with(&self, part: usize, value: u64, order: Ordering) -> Option<u64> {
        // SAFETY: this worker's own part.
        self.parts[part].with_mut(|place| unsafe { *place = value });
        if self.left.fetch_sub(1, order) != 1 {
            return None;
        }
        // SAFETY: all workers have finished.
        Some(self.parts.iter().map(|part| part.with(|part| unsafe { *part })).sum())
    }
}

/// A barrier that can be reused.
pub struct Barrier {
    threads: usize,
    came: AtomicUsize,
    round: AtomicUsize,
}

impl Barrier {
    /// Creates a barrier for that many threads.
    pub fn new(threads: usize) -> Self {
        Barrier { threads, came: AtomicUsize::new(0), round: AtomicUsize::new(0) }
    }

    /// Waits until all threads have arrived.
    pub fn wait(&self) {
        self.wait_with(Ordering::AcqRel);
    }

    /// Race: arriving orders nothing.
    pub fn wait_weakly(&self) {
        self.wait_with(Ordering::Relaxed);
    }

    fn wait_with(&self, come: Ordering) {
        // ORDERING: Relaxed: it can't change before this thread has arrived.
        let round = self.round.load(Ordering::Relaxed);
        // ORDERING: AcqRel in `wait`: the last thread is ordered after all others.
        if self.came.fetch_add(1, come) + 1 == self.threads {
            // ORDERING: Relaxed: published by the round.
            self.came.store(0, Ordering::Relaxed);
            // ORDERING: Release: pairs with the Acquire below.
            self.round.store(round + 1, Ordering::Release);
        } else {
            while self.round.load(Ordering::Acquire) == round {
                thread::yield_now();
            }
        }
    }
}
