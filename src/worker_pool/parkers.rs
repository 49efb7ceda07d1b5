//! What a pool's workers and waiting callers sleep on.

use crate::support::backoff::Spin;
use crate::support::latch::{FIRST_BIT, Latch};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{Arc, Tracked, thread};
use crossbeam_utils::CachePadded;

const EMPTY: u64 = 0;
const NOTIFIED: u64 = 1;

/// What a worker sleeps on. It uses `thread::park` and not the crate's own queues: a process forked while the worker
/// sleeps inherits no queue with a lost thread in it.
///
/// A task may park its thread too, and use up a wake-up's token or leave one here. So the word decides, and the token
/// only says when to read it again.
#[derive(Debug)]
pub(super) struct WorkerParker {
    word: CachePadded<AtomicU64>,
    thread: thread::Thread,
}

impl WorkerParker {
    /// The calling worker's parker.
    pub(super) fn new() -> Arc<Self> {
        let word = CachePadded::new(AtomicU64::new(EMPTY));
        Arc::new(WorkerParker { word, thread: thread::current() })
    }

    /// Blocks until the worker is unparked. The scheduler must have listed it as parked, under the pool's lock.
    pub(super) fn park(&self, spin: Spin) {
        // ORDERING: Relaxed: what a worker is unparked for it reads under the pool's lock, which the unparking thread
        // held before.
        let notified = || (self.word.load(Ordering::Relaxed) == NOTIFIED).then_some(());
        let _ = spin.poll(notified);
        // ORDERING: Relaxed: as for the load above.
        while self.word.swap(EMPTY, Ordering::Relaxed) == EMPTY {
            thread::park();
        }
    }

    /// Unparks the worker. Called once each time the scheduler has removed it from its parked workers.
    pub(super) fn unpark(&self) {
        // ORDERING: Relaxed: pairs with the swap in `park`. An unpark happens before the return of the park, so the
        // next swap there reads this.
        self.word.swap(NOTIFIED, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// A latch that waits for one wake-up.
const ONE: u64 = 1 << FIRST_BIT;

/// A caller that waits for its seats, in its own frame.
///
/// It isn't a waiter of [`support::waiters`](crate::support::waiters). The scheduler reads the request of the first
/// waiting call by a shared reference, and its tests hold waiting calls without a thread for each; a queue of waiters
/// lends messages by a mutable reference alone, and its nodes exist within a wait.
#[derive(Debug)]
pub(super) struct CallerWaiter {
    latch: Latch,
    /// Read by the granting thread, written when the frame ends: a model checks the hand-over with it.
    life: Tracked,
}

impl CallerWaiter {
    pub(super) fn new() -> Self {
        CallerWaiter { latch: Latch::new(ONE), life: Tracked::new() }
    }

    /// Blocks until the seats are granted.
    pub(super) fn wait(&self) {
        self.latch.wait_drained(ONE, Spin::Brief);
        self.life.write();
    }

    /// Whether the seats are granted.
    #[cfg(test)]
    pub(super) fn is_granted(&self) -> bool {
        self.latch.poll(ONE).is_some()
    }

    /// Wakes the caller, which has its seats. Its frame may be gone afterwards.
    pub(super) fn grant(&self) {
        self.life.read();
        self.latch.leave(ONE, ONE);
    }
}
