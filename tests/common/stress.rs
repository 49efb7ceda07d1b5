//! Stress tests run for a time, not a number of rounds: on a fast machine a count is over before threads have met.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::{Duration, Instant};

const STRESS_TIME: Duration = Duration::from_secs(1);

/// Calls `round` with 0, 1, 2… for about a second, at least once. Returns how many rounds there were.
///
/// Several threads may do this side by side:
///
/// ```text
/// thread::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| for_about_a_second(|_| assert_eq!(*lock.read() % 2, 0)));
///     }
///     for_about_a_second(|_| *lock.write() += 2);
/// });
/// ```
pub(crate) fn for_about_a_second(round: impl FnMut(u64)) -> u64 {
    for_about(STRESS_TIME, round)
}

/// As [`for_about_a_second`], for a test of several parts that share the second.
pub(crate) fn for_about(time: Duration, mut round: impl FnMut(u64)) -> u64 {
    let start = Instant::now();
    let mut rounds = 0;
    loop {
        round(rounds);
        rounds += 1;
        if start.elapsed() >= time {
            return rounds;
        }
    }
}
