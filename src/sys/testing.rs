//! What the rooms' own models share.

use super::{Arc, cell::UnsafeCell, thread};

/// A plain value that the lock under test, and nothing else, is to order: in a model each access is
/// checked against all others.
#[derive(Debug)]
pub(crate) struct Plain(UnsafeCell<u32>);

// SAFETY: every access is meant to be ordered by the lock under test; a model fails one that isn't.
unsafe impl Sync for Plain {}
// SAFETY: a number.
unsafe impl Send for Plain {}

impl Plain {
    pub(crate) fn new() -> Self {
        Plain(UnsafeCell::new(0))
    }

    /// Only for one who has it alone.
    #[track_caller]
    pub(crate) fn add(&self, n: u32) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|place| unsafe { *place += n });
    }

    /// Only for one who shares it with none but readers.
    #[track_caller]
    pub(crate) fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.0.with(|place| unsafe { *place })
    }
}

/// Runs `f` in a thread, with what it shares.
pub(crate) fn spawn<T, R>(shared: &Arc<T>, f: impl FnOnce(&T) -> R + Send + 'static) -> Running<R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let shared = shared.clone();
    Running(thread::spawn(move || f(&shared)))
}

/// Waits awake; in a model, until another thread has made it true.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// A thread that must end well.
#[derive(Debug)]
pub(crate) struct Running<R>(thread::JoinHandle<R>);

impl<R> Running<R> {
    pub(crate) fn join(self) -> R {
        match self.0.join() {
            Ok(result) => result,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }
}
