//! Waiting for another thread's step: for the slot that it has claimed, or for the lock that it holds.
//!
//! Such a step takes a few nanoseconds, unless the other thread loses its core in the middle. So a thread waits awake
//! first, and then sleeps. The thread that has taken its step looks for sleepers with a plain load, since it has no
//! read-modify-write to spare: on the machine it may miss one that is about to sleep, so a sleep is short. In a model a
//! fence orders the two, and sleeps have no limit.
//!
//! ```text
//! the step, (a fence,) is anyone asleep?        count myself asleep, fence, has the step been taken? sleep
//! ```

use crate::support::backoff::Backoff;
use crate::sys::atomic::{AtomicUsize, Ordering, fence};
use crate::sys::{IS_MODEL, park, unpark_threads};
use std::ptr;
use std::time::{Duration, Instant};

/// How long a thread sleeps that no wake-up reaches.
const BACKSTOP: Duration = Duration::from_micros(100);

/// The threads that sleep until another has taken its step.
pub(super) struct Stalled {
    sleepers: AtomicUsize,
}

impl Stalled {
    #[track_caller]
    pub(super) fn new() -> Self {
        Stalled { sleepers: AtomicUsize::new(0) }
    }

    /// Called after a step for which others may wait.
    #[inline]
    pub(super) fn stepped(&self) {
        if IS_MODEL {
            // ORDERING: SeqCst: pairs with the fence in `sleep_while`: this thread sees the sleeper, or the sleeper
            // sees the step. On the machine `BACKSTOP` makes up for the fence.
            fence(Ordering::SeqCst);
        }
        // ORDERING: Relaxed: the fence orders it.
        if self.sleepers.load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        unpark_threads(self.address());
    }

    /// Returns once `is_pending` returns `false`.
    #[cold]
    pub(super) fn wait_while(&self, is_pending: impl Fn() -> bool) {
        let mut backoff = Backoff::new();
        while !backoff.is_over() {
            backoff.pause_or_yield();
            if !is_pending() {
                return;
            }
        }
        self.sleep_while(is_pending);
    }

    fn sleep_while(&self, is_pending: impl Fn() -> bool) {
        // ORDERING: Relaxed: the fence orders it.
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        // ORDERING: SeqCst: pairs with the fence in `stepped`.
        fence(Ordering::SeqCst);
        while is_pending() {
            let until = (!IS_MODEL).then(|| Instant::now() + BACKSTOP);
            park(self.address(), &is_pending, until);
        }
        // ORDERING: Relaxed: a step that still sees this thread wakes nobody.
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    fn address(&self) -> usize {
        ptr::from_ref(&self.sleepers).addr()
    }
}
