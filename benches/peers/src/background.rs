//! Busy threads beside a row: a machine with other work to do.
//!
//! The threads only compute, and share no memory with others. They belong to this process, also while
//! a round runs in Go, so that every contender has the same background load. They start before a round
//! and stop after it.

use crate::plan::cores;
use crate::work::{Steps, work};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Steps between two checks of the stop flag: some microseconds.
const STEPS: u32 = 2_000;
/// How long to wait for the threads to begin, at most. On a crowded machine a late thread isn't an
/// error.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many busy threads run beside a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Background {
    per_core: usize,
}

impl Background {
    pub const NONE: Self = Self { per_core: 0 };
    pub const ONE: Self = Self { per_core: 1 };
    pub const TWO: Self = Self { per_core: 2 };
    /// The backgrounds that rows are measured with.
    pub const ALL: [Self; 3] = [Self::NONE, Self::ONE, Self::TWO];

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// As in a row's label.
    pub fn label(self) -> String {
        match self.per_core {
            0 => "none".to_owned(),
            1 => "1 busy thread per core".to_owned(),
            n => format!("{n} busy threads per core"),
        }
    }

    /// Starts the threads; they stop when the result is dropped.
    pub fn start(self) -> Busy {
        let shared = Arc::new(Shared::default());
        let count = self.per_core * cores();
        let threads = (0..count).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.keep_busy())
        });
        let busy = Busy { threads: threads.collect(), shared };
        let began = Instant::now();
        // ORDERING: Relaxed: a count and nothing else.
        while busy.shared.begun.load(Ordering::Relaxed) < count && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_micros(100));
        }
        busy
    }
}

#[derive(Default)]
struct Shared {
    begun: AtomicUsize,
    stop: AtomicBool,
}

impl Shared {
    fn keep_busy(&self) {
        // ORDERING: Relaxed: a count and nothing else.
        self.begun.fetch_add(1, Ordering::Relaxed);
        let mut x = 1;
        // ORDERING: Relaxed: a flag and nothing else.
        while !self.stop.load(Ordering::Relaxed) {
            x = black_box(work(Steps::of(STEPS), x));
        }
    }
}

/// Busy threads, until it is dropped.
pub struct Busy {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        // ORDERING: Relaxed: see `keep_busy`.
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a busy thread only computes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_run_until_they_are_dropped() {
        let busy = Background::TWO.start();
        let shared = Arc::clone(&busy.shared);
        assert_eq!(busy.threads.len(), 2 * cores());
        assert_eq!(Arc::strong_count(&shared), 2 * cores() + 2);
        drop(busy);
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn no_background_starts_no_thread() {
        assert!(Background::NONE.start().threads.is_empty());
    }

    #[test]
    fn each_background_has_a_label_of_its_own() {
        let labels = Background::ALL.map(Background::label);
        assert_eq!(labels, ["none", "1 busy thread per core", "2 busy threads per core"]);
    }
}
