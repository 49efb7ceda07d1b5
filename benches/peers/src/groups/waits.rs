//! What one thread waits for a lock that others hardly let go.

use crate::entry::{Outcome, TURNS};
use crate::stats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Threads that ask for the lock again as soon as they have let it go.
pub const HOGS: usize = 3;

/// How long the waiting thread stays away from the lock between two waits.
const AWAY: Duration = Duration::from_micros(200);

/// Samples of a kind that a round keeps.
const KEPT: usize = 4096;

/// Acquisitions of a lock so far, counted by those that hold it.
#[derive(Default)]
pub struct Turns(AtomicU64);

impl Turns {
    /// Counts an acquisition of a lock that only one thread holds at a time.
    #[inline]
    pub fn took_alone(&self, count: u64) {
        // ORDERING: Relaxed: a number and nothing else.
        self.0.store(count, Ordering::Relaxed);
    }

    /// Counts an acquisition of a lock that others may hold as well; returns how many
    /// there were before.
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

/// The waits of one thread, and by how many turns of others each was passed.
#[derive(Default)]
pub struct Waits {
    nanos: Vec<u32>,
    turns: Vec<u32>,
}

impl Waits {
    /// Adds a wait of `took`, passed by `turns`, and stays away for a while. Asleep: a
    /// thread that stayed awake would use up its slice of a crowded processor with locks
    /// that nobody else asks for.
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
