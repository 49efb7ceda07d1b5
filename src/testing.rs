//! What the modules' own models and tests share.

use crate::sys::{Arc, cell::UnsafeCell, thread};
use std::panic::resume_unwind;

/// A plain value that the lock under test, and nothing else, orders: a model checks each access against all
/// others.
#[derive(Debug)]
pub(crate) struct Plain(UnsafeCell<u32>);

// SAFETY: the lock under test has to order all accesses; a model fails if it doesn't.
unsafe impl Sync for Plain {}
// SAFETY: a number.
unsafe impl Send for Plain {}

impl Plain {
    pub(crate) fn new() -> Self {
        Plain(UnsafeCell::new(0))
    }

    /// Adds `n`, for a thread with exclusive access.
    #[track_caller]
    pub(crate) fn add(&self, n: u32) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|value| unsafe { *value += n });
    }

    /// Returns the value, for a thread that shares it with readers only.
    #[track_caller]
    pub(crate) fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.0.with(|value| unsafe { *value })
    }
}

/// Runs `f` on what it shares, in a thread of its own.
pub(crate) fn spawn<T, R>(shared: &Arc<T>, f: impl FnOnce(&T) -> R + Send + 'static) -> Running<R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let shared = shared.clone();
    Running(thread::spawn(move || f(&shared)))
}

/// Waits awake until another thread has made `condition` true.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// A thread that must not panic.
#[derive(Debug)]
pub(crate) struct Running<R>(thread::JoinHandle<R>);

impl<R> Running<R> {
    /// Waits for the thread, and returns its result.
    pub(crate) fn join(self) -> R {
        match self.0.join() {
            Ok(result) => result,
            Err(payload) => resume_unwind(payload),
        }
    }
}
