//! Which write a load returns, and where a step ends.

use super::super::guard::Call;
use super::super::locals::local;
use std::cell::Cell;

std::thread_local! {
    /// Whether loads return the newest write on this OS thread, which runs the whole model.
    static RMW_LOADS: Cell<bool> = const { Cell::new(false) };
}

local! {
    /// Whether loads of this thread of the model return the newest write for the moment.
    static NEWEST: Cell<bool> = Cell::new(false);
}

/// Runs `f` with loads that are explored as read-modify-writes are, or with plain ones.
pub(crate) fn with_rmw_loads<R>(rmw: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            RMW_LOADS.set(self.0);
        }
    }
    let _restore = Restore(RMW_LOADS.replace(rmw));
    f()
}

/// Runs `f`, in which the calling thread's loads return the newest write, as under a lock that the
/// writers' wake-ups take too.
pub(crate) fn with_newest<R>(f: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            // The thread-local is gone if the thread is ending.
            let _ = NEWEST.try_with(|newest| newest.set(false));
        }
    }
    NEWEST.with(|newest| newest.set(true));
    let _restore = Restore;
    f()
}

/// Whether all loads of this run of the model are explored as read-modify-writes.
#[cfg(test)]
pub(crate) fn all_loads_are_rmw() -> bool {
    RMW_LOADS.get()
}

/// Whether the calling thread's next load returns the newest write.
pub(super) fn rmw_load() -> bool {
    RMW_LOADS.get() || NEWEST.try_with(Cell::get).unwrap_or(false)
}

/// While it lives no other thread runs: what the calling thread does is part of its last step.
pub(super) struct SameStep;

impl SameStep {
    #[track_caller]
    pub(super) fn begin() -> Self {
        let call = Call::begin();
        loom::stop_exploring();
        call.end();
        SameStep
    }
}

impl Drop for SameStep {
    fn drop(&mut self) {
        let call = Call::begin();
        loom::explore();
        call.end();
    }
}
