//! Waiting for another thread's step: for the slot that it has claimed, or for the lock that it holds.
//!
//! Such a step takes a few nanoseconds, unless the other thread loses its core in the middle. So a thread waits awake
//! first, and then sleeps. The thread that has taken its step looks for sleepers by a plain load, since it has no
//! read-modify-write to spare: it may miss one that is about to sleep, so a sleep is short. In a model it misses none, and
//! a sleep has no limit.

use crate::support::backoff::Backoff;
use crate::sys::atomic::{AtomicUsize, Ordering};
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
        if self.has_sleepers() {
            self.wake();
        }
    }

    #[inline]
    fn has_sleepers(&self) -> bool {
        let sleepers = if IS_MODEL {
            // ORDERING: Relaxed: of this step and the sleeper's one comes first. Either this thread sees the sleeper, or
            // the sleeper's last check, in `park`, comes later and reads the newest value, as all checks there do.
            self.sleepers.fetch_add(0, Ordering::Relaxed)
        } else {
            // ORDERING: Relaxed: a hint.
            self.sleepers.load(Ordering::Relaxed)
        };
        sleepers != 0
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
        // ORDERING: Relaxed: see `has_sleepers`.
        self.sleepers.fetch_add(1, Ordering::Relaxed);
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
