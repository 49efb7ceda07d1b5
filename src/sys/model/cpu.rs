//! The processor and the clock of a model: waiting awake never helps, and every wait has been long.

use std::cell::Cell;
use std::thread::available_parallelism;
use std::time::Duration;

/// Returns how many cores this process may use. `1` where the system doesn't say.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Whether waiting awake can help. In a model another thread's step is a switch away.
pub(crate) fn can_spin() -> bool {
    false
}

/// Returns the time since the first call. In a model none passes.
pub(crate) fn uptime() -> Duration {
    Duration::ZERO
}

/// Measures how much time has passed. In a model always a second: long enough for every decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch
    }

    pub(crate) fn nanos(self) -> u128 {
        1_000_000_000
    }
}

/// A moment of which it can be told that it was just now. In a model it never was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment;

impl Moment {
    pub(crate) fn now() -> Self {
        Moment
    }

    pub(crate) fn is_recent(self) -> bool {
        false
    }
}

/// A number that steers and never decides: nothing for loom to see.
#[derive(Debug)]
pub(crate) struct Hint(Cell<u32>);

// SAFETY: a model runs one thread at a time, all on one OS thread.
unsafe impl Sync for Hint {}

impl Hint {
    pub(crate) const fn new() -> Self {
        Hint(Cell::new(0))
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.get()
    }

    pub(crate) fn set(&self, value: u32) {
        self.0.set(value);
    }

    pub(crate) fn add(&self, n: u32) {
        self.set(self.get().wrapping_add(n));
    }
}

/// A hint to the machine.
pub(crate) fn prefetch(_address: usize) {}

/// As [`prefetch`].
pub(crate) fn prefetch_to_write(_address: usize) {}
