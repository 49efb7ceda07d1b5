//! Busy threads beside a row: a machine that has something else to do.
//!
//! The threads compute and touch no memory that others use. They belong to this
//! process, also while a round runs in Go, so that every contender has the same
//! company. They start before a round and stop with it.

use crate::plan::cores;
use crate::work::{Steps, work};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Steps between two readings of the stop flag: some microseconds.
const STEPS: u32 = 2_000;
/// How long to wait for the threads to begin, at most. On a crowded machine a late
/// thread is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many busy threads run beside a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Company {
    per_core: usize,
    /// Any other thread that wants their processor gets it at once.
    yields: bool,
}

impl Company {
    pub const NONE: Self = Self { per_core: 0, yields: false };
    /// Takes no time from other threads, but keeps processors from going to sleep. To wake one
    /// of a virtual machine takes 5 to 50 µs, by what its host does.
    pub const AWAKE: Self = Self { per_core: 1, yields: true };
    pub const ONE: Self = Self { per_core: 1, yields: false };
    pub const TWO: Self = Self { per_core: 2, yields: false };
    /// Those that rows are measured with.
    pub const ALL: [Self; 3] = [Self::NONE, Self::ONE, Self::TWO];
    /// Those of rows that measure how threads are woken.
    pub const OF_WAKING: [Self; 4] = [Self::NONE, Self::AWAKE, Self::ONE, Self::TWO];

    /// Whether other threads have to share the processors with it.
    pub fn crowds(self) -> bool {
        self.per_core > 0 && !self.yields
    }

    /// What a row's label says of it.
    pub fn label(self) -> String {
        match self.per_core {
            _ if self.yields => "none, cores kept awake".to_owned(),
            0 => "none".to_owned(),
            1 => "1 busy thread a core".to_owned(),
            n => format!("{n} busy threads a core"),
        }
    }

    /// Starts the threads; they stop when the result is dropped.
    pub fn start(self) -> Busy {
        let shared = Arc::new(Shared::default());
        let count = self.per_core * cores();
        let threads = (0..count).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.keep_busy(self.yields))
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
    fn keep_busy(&self, yields: bool) {
        let busy = !yields || yield_to_all();
        // ORDERING: Relaxed: a count and nothing else.
        self.begun.fetch_add(1, Ordering::Relaxed);
        if !busy {
            return;
        }
        let mut x = 1;
        // ORDERING: Relaxed: a flag and nothing else.
        while !self.stop.load(Ordering::Relaxed) {
            x = black_box(work(Steps::of(STEPS), x));
        }
    }
}

/// Puts the calling thread into the class that runs only where nothing else wants to;
/// returns whether there is one.
#[cfg(target_os = "linux")]
fn yield_to_all() -> bool {
    // SAFETY: a structure of integers, for which zero is a value.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is the calling thread; `parameters` outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn yield_to_all() -> bool {
    false
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
    fn company_is_there_until_it_is_dropped() {
        let busy = Company::TWO.start();
        let shared = Arc::clone(&busy.shared);
        assert_eq!(busy.threads.len(), 2 * cores());
        assert_eq!(Arc::strong_count(&shared), 2 * cores() + 2);
        drop(busy);
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn no_company_starts_no_thread() {
        assert!(Company::NONE.start().threads.is_empty());
    }

    #[test]
    fn each_company_has_a_label_of_its_own() {
        let labels = Company::OF_WAKING.map(Company::label);
        let busy = ["1 busy thread a core", "2 busy threads a core"];
        assert_eq!(labels[..2], ["none", "none, cores kept awake"]);
        assert_eq!(labels[2..], busy);
    }

    #[test]
    fn only_threads_that_insist_on_a_processor_crowd_it() {
        assert_eq!(Company::OF_WAKING.map(Company::crowds), [false, false, true, true]);
    }
}
