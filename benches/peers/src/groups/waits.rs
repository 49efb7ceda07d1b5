//! The waits of one thread for a lock that other threads hold most of the time.

use crate::entry::{Outcome, TURNS};
use crate::stats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Threads that lock again as soon as they have unlocked.
pub const HOGS: usize = 3;

/// How long the waiting thread sleeps between two waits.
const AWAY: Duration = Duration::from_micros(200);

/// Samples of one kind that a round keeps.
const KEPT: usize = 4096;

/// Acquisitions of a lock so far, counted by the threads that hold it.
#[derive(Default)]
pub struct Turns(AtomicU64);

impl Turns {
    /// Counts an exclusive acquisition, as the number `count`.
    #[inline]
    pub fn took_alone(&self, count: u64) {
        // ORDERING: Relaxed: only a number.
        self.0.store(count, Ordering::Relaxed);
    }

    /// Counts an acquisition that may be shared; returns how many there were before.
    #[inline]
    pub fn took_shared(&self) -> u64 {
        // ORDERING: Relaxed: as above.
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Acquisitions so far.
    #[inline]
    pub fn so_far(&self) -> u64 {
        // ORDERING: Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}

/// The waits of one thread, and the acquisitions by others during each.
#[derive(Default)]
pub struct Waits {
    nanos: Vec<u32>,
    turns: Vec<u32>,
}

impl Waits {
    /// Adds a wait, and sleeps for a while. A thread that stayed awake on a crowded core would use up
    /// its time slice, locking while no other thread runs.
    pub fn add(&mut self, took: Duration, turns: u64) {
        self.nanos.push(stats::nanos(took));
        self.turns.push(u32::try_from(turns).unwrap_or(u32::MAX));
        std::thread::sleep(AWAY);
    }

    pub fn outcome(self) -> Outcome {
        let thin = |values| stats::thin(values, KEPT);
        Outcome::samples(vec![("wait", thin(self.nanos)), (TURNS, thin(self.turns))])
    }
}
