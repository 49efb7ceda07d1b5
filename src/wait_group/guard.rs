//! A count of one that ends with a value's life.

use super::shared::Shared;
use crate::sys::Heap;
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

/// Counts one task of a [`WaitGroup`](crate::WaitGroup) until it is dropped.
///
/// Returned by [`WaitGroup::guard`](crate::WaitGroup::guard). Move it into the task that it stands for: its
/// drop decrements the count, also in a panic. A clone counts one more.
///
/// # Examples
/// ```
/// use phalanx::{WaitGroup, thread};
///
/// let group = WaitGroup::new();
/// for _ in 0..2 {
///     let guard = group.guard();
///     thread::spawn(move || drop(guard));
/// }
/// group.wait();
/// ```
///
/// **A guard that is forgotten counts for ever.** One that outlives its group does no harm: it borrows nothing.
///
/// # Memory ordering
/// Everything before a guard's drop happens before the return of a wait that has waited for it.
#[must_use = "a guard that is dropped at once counts nothing"]
pub struct WaitGuard {
    shared: NonNull<Heap<Shared>>,
}

// SAFETY: a guard uses `Shared` by shared reference only, which is an atomic word and a lock around a `Send` value.
// The last of the guards may free it on any thread.
unsafe impl Send for WaitGuard {}
// SAFETY: as above.
unsafe impl Sync for WaitGuard {}

impl UnwindSafe for WaitGuard {}
impl RefUnwindSafe for WaitGuard {}

impl WaitGuard {
    /// Counts one.
    ///
    /// # Safety
    /// - `pointer` came from [`Shared::new`], and points to `shared`.
    ///
    /// # Panics
    /// If there are too many guards.
    #[inline]
    #[track_caller]
    pub(super) unsafe fn enter(pointer: NonNull<Heap<Shared>>, shared: &Shared) -> Self {
        shared.add_guard();
        WaitGuard { shared: pointer }
    }

    /// Keeps the panic of the guarded task for a waiter.
    pub(super) fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        self.shared().keep_panic(payload);
    }

    #[inline]
    fn shared(&self) -> &Shared {
        // SAFETY: alive by W1: this guard is counted.
        unsafe { self.shared.as_ref() }.get()
    }
}

impl Clone for WaitGuard {
    /// Counts one more task.
    ///
    /// # Panics
    /// As [`WaitGroup::guard`](crate::WaitGroup::guard).
    #[inline]
    #[track_caller]
    fn clone(&self) -> Self {
        // SAFETY: this guard's own.
        unsafe { WaitGuard::enter(self.shared, self.shared()) }
    }
}

impl Drop for WaitGuard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: counted by `enter`, and dropped once.
        unsafe { Shared::drop_guard(self.shared) };
    }
}

impl fmt::Debug for WaitGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGuard").finish_non_exhaustive()
    }
}
