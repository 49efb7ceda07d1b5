//! Two threads that compute in rounds: each sums up what both have written.

use phalanx::Barrier;
use phalanx::cell::UnsafeCell;

/// What both threads have written in this round.
pub struct Rounds {
    barrier: Barrier,
    parts: [UnsafeCell<u32>; 2],
}

// SAFETY: the barrier orders the writes of a round before its reads, and its reads before the next round's writes.
unsafe impl Sync for Rounds {}

impl Default for Rounds {
    fn default() -> Self {
        let parts = [UnsafeCell::new(0), UnsafeCell::new(0)];
        Rounds { barrier: Barrier::new(2), parts }
    }
}

impl Rounds {
    /// Computes two rounds: writes, waits, reads, and waits again. Returns the last sum.
    pub fn compute(&self, own: usize) -> u32 {
        let mut sum = 0;
        for round in 1..=2 {
            sum = self.write_and_sum(own, round);
            self.barrier.wait().expect("whole");
        }
        sum
    }

    /// Race: begins the next round while the other thread still reads.
    pub fn compute_without_the_second_wait(&self, own: usize) -> u32 {
        (1..=2).fold(0, |_, round| self.write_and_sum(own, round))
    }

    /// Deadlock: one thread has fewer rounds than the other.
    pub fn compute_once_too_seldom(&self, own: usize) -> u32 {
        if own == 0 { self.write_and_sum(own, 1) } else { self.compute(own) }
    }

    fn write_and_sum(&self, own: usize, round: u32) -> u32 {
        // SAFETY: as for `Sync`.
        self.parts[own].with_mut(|part| unsafe { *part = round });
        self.barrier.wait().expect("whole");
        // SAFETY: as for `Sync`.
        self.parts.each_ref().map(|part| part.with(|part| unsafe { *part })).into_iter().sum()
    }
}
