//! What a pool's workers and waiting callers sleep on.

use crate::support::backoff::Spin;
use crate::support::latch::{FIRST_BIT, Latch};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Arc, Tracked, thread};
use crossbeam_utils::CachePadded;

/// A latch that waits for one wake-up.
const ONE: u64 = 1 << FIRST_BIT;

const NOT_CALLED: u64 = 0;
const CALLED: u64 = 1;

/// What a worker sleeps on, by `thread::park` and not in the crate's own queues: a process forked
/// while the worker sleeps inherits no queue that a lost thread stands in.
///
/// A task may park its thread too, and use up the token of a wake-up or leave one here. So the word
/// decides, and the token only says when to read it again.
#[derive(Debug)]
pub(super) struct WorkerParker {
    word: CachePadded<AtomicU64>,
    thread: thread::Thread,
}

impl WorkerParker {
    /// The calling worker's.
    pub(super) fn new() -> Arc<Self> {
        let word = CachePadded::new(AtomicU64::new(NOT_CALLED));
        Arc::new(WorkerParker { word, thread: thread::current() })
    }

    /// Blocks until the worker is called. It must have parked itself before, under the pool's lock.
    pub(super) fn wait(&self, spin: Spin) {
        // ORDERING: Relaxed, here and below: what a called worker is to see it reads under the
        // pool's lock, which the caller held before it called.
        let called = || (self.word.load(Ordering::Relaxed) == CALLED).then_some(());
        let _ = spin.poll(called);
        // ORDERING: the same.
        while self.word.swap(NOT_CALLED, Ordering::Relaxed) == NOT_CALLED {
            thread::park();
        }
    }

    /// Calls the worker. Once for each time that it was taken out of the parked ones.
    pub(super) fn wake(&self) {
        // ORDERING: Relaxed: see `wait`. The token of the thread carries the word to its next read:
        // an unpark happens before the return of the park.
        self.word.swap(CALLED, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// A caller that waits for its seats, in its own frame.
#[derive(Debug)]
pub(super) struct CallerWaiter {
    latch: Latch,
    /// Read by the granter, written when the frame ends: what a model checks the hand-over with.
    life: Tracked,
}

impl CallerWaiter {
    pub(super) fn new() -> Self {
        CallerWaiter { latch: Latch::new(ONE), life: Tracked::new() }
    }

    /// Blocks until the seats have been granted.
    pub(super) fn wait(&self) {
        self.latch.wait_drained(ONE, Spin::Brief);
        self.life.write();
    }

    /// Whether the seats have been granted.
    #[cfg(test)]
    pub(super) fn is_granted(&self) -> bool {
        self.latch.poll(ONE).is_some()
    }

    /// Lets the caller go on. Its frame may be gone afterwards.
    pub(super) fn grant(&self) {
        self.life.read();
        self.latch.leave(ONE, ONE);
    }
}
