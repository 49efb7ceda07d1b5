//! Calibrated busy work: "100 ns" is a loop count, found once, not a clock read.
//!
//! A clock costs 20 to 50 ns to read, so a lock held "for 10 ns" cannot be timed
//! inside. Instead a chain of dependent multiplications is timed once at the
//! start, and each `ns` becomes a number of steps.

use std::hint::black_box;
use std::time::Instant;

/// Steps of work, from [`Calibration::steps`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Steps(u32);

/// One dependent chain: each step needs the last one's result, so that the
/// processor cannot overlap them.
#[inline]
pub fn work(steps: Steps, seed: u64) -> u64 {
    let mut x = seed | 1;
    for _ in 0..steps.0 {
        // The barrier keeps the compiler from folding the chain into a power.
        x = black_box(x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
    }
    x
}

/// How long one step takes on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    pub ns_per_step: f64,
}

impl Calibration {
    /// Times the chain; the fastest of many tries is the one nobody disturbed.
    pub fn measure() -> Self {
        const STEPS: u32 = 20_000;
        let fastest = (0..50)
            .map(|seed| {
                let start = Instant::now();
                black_box(work(Steps(STEPS), black_box(seed)));
                start.elapsed().as_nanos() as f64
            })
            .fold(f64::INFINITY, f64::min);
        Self { ns_per_step: fastest / f64::from(STEPS) }
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
