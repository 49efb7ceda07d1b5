//! What the models of `tests/models_*.rs` share. They run under loom too, so they take this file alone:
//! `#[path = "common/models.rs"] mod common;`.

#![allow(dead_code, reason = "each test file uses its own part")]

use phalanx::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Calls `f` in a thread of its own, with what the threads share.
pub(crate) fn spawn<T, R>(
    shared: &Arc<T>,
    f: impl FnOnce(&T) -> R + Send + 'static,
) -> thread::JoinHandle<R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let shared = shared.clone();
    thread::spawn(move || f(&shared))
}

/// Counts its drops. The count is std's, so it adds no interleavings to a model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// Returns how many clones have been dropped.
    pub(crate) fn drops(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}
