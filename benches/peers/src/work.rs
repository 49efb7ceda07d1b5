//! Calibrated busy work: "100 ns" is a number of steps, found once at the start.
//!
//! Reading a clock costs 20 to 50 ns, so a lock can't be held for 10 ns by the clock. Instead a chain of
//! dependent multiplications is timed once, and a duration becomes a number of steps.

use std::hint::black_box;
use std::time::Instant;

/// Steps of work, from [`Calibration::steps`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps(u32);

impl Steps {
    /// A number of steps, whatever time they take.
    pub const fn of(steps: u32) -> Self {
        Self(steps)
    }
}

/// A dependent chain: each step needs the result of the step before, so that the processor can't overlap
/// steps, and the compiler can't merge them.
///
/// The chain begins with a load, which can't be executed before a lock's instruction: otherwise the
/// processor would begin the work under a lock while it still waits for the lock. The steps are in
/// registers: a chain through memory took 2 ns a step in a long loop and up to 4 in a short one, as store
/// forwarding is predicted better or worse.
#[inline(never)]
pub fn work(steps: Steps, seed: u64) -> u64 {
    let mut x = black_box(seed) | 1;
    for _ in 0..steps.0 {
        x = (x ^ (x >> 7)).wrapping_mul(0x5851_f42d_4c95_7f2d);
    }
    x
}

/// How long one step takes on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    pub ns_per_step: f64,
}

impl Calibration {
    /// Times runs of the chain that are as long as the measured ones, and takes the fastest of many
    /// tries. Each run begins with the result of the run before. Otherwise a processor with a deep
    /// window overlaps two runs, and a step seems to take half as long as it does under a lock.
    pub fn measure() -> Self {
        const STEPS: u32 = 60;
        const RUNS: u32 = 300;
        let fastest = (0..50)
            .map(|seed| {
                let start = Instant::now();
                let mut x = seed;
                for _ in 0..RUNS {
                    x = black_box(work(Steps(STEPS), x));
                }
                start.elapsed().as_nanos() as f64
            })
            .fold(f64::INFINITY, f64::min);
        Self { ns_per_step: fastest / f64::from(STEPS * RUNS) }
    }

    pub fn steps(&self, ns: u64) -> Steps {
        Steps((ns as f64 / self.ns_per_step).round() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_the_calibration() {
        let calibration = Calibration { ns_per_step: 2.0 };
        assert_eq!(calibration.steps(100).0, 50);
        assert_eq!(calibration.steps(0).0, 0);
    }

    #[test]
    fn no_steps_are_no_work() {
        assert_eq!(work(Steps(0), 8), 9);
        assert_ne!(work(Steps(3), 8), 9);
    }
}
