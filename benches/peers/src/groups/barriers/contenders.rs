//! The barriers that are compared, and their adapters.

use super::{Barrier, Task, entry, in_go};
use crate::entry::{Entry, Role};
use crate::plan::cores;
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn all() -> Vec<Entry<Task>> {
    vec![
        entry::<phalanx::Barrier>("phalanx", Role::Ours),
        entry::<std::sync::Barrier>("std", Role::Peer),
        in_go(),
        entry::<Spinning>("limit", Role::Limit).only(|task| task.threads <= cores()),
    ]
}

impl Barrier for phalanx::Barrier {
    fn of(parties: usize) -> Self {
        Self::new(parties)
    }

    #[inline]
    fn wait(&self) {
        self.wait().expect("not broken");
    }
}

impl Barrier for std::sync::Barrier {
    fn of(parties: usize) -> Self {
        Self::new(parties)
    }

    #[inline]
    fn wait(&self) {
        self.wait();
    }
}

/// A count, and waiters that spin: each has a core of its own.
struct Spinning {
    parties: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
}

impl Barrier for Spinning {
    fn of(parties: usize) -> Self {
        Spinning { parties, arrived: AtomicUsize::new(0), round: AtomicUsize::new(0) }
    }

    fn wait(&self) {
        // ORDERING: Relaxed: this thread is of the current round, which doesn't end without it.
        let round = self.round.load(Ordering::Relaxed);
        // ORDERING: AcqRel: each arrival happens before the last.
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.parties {
            // ORDERING: Relaxed: published by the store below.
            self.arrived.store(0, Ordering::Relaxed);
            // ORDERING: Release: pairs with the Acquire below.
            self.round.store(round + 1, Ordering::Release);
            return;
        }
        // ORDERING: Acquire: pairs with the Release above.
        while self.round.load(Ordering::Acquire) == round {
            std::hint::spin_loop();
        }
    }
}
