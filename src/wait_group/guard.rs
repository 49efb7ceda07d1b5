//! A count of one that ends with a value's life.

use super::word::{BUSY, MAX, ONE_GUARD, OWNED, guards};
use super::{Inner, free};
use crate::sys::Heap;
use crate::sys::atomic::Ordering;
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

/// Counts one task of a [`WaitGroup`](crate::WaitGroup) until it is dropped.
///
/// Made by [`WaitGroup::guard`](crate::WaitGroup::guard). It borrows nothing, can be sent to the
/// task it stands for, and counts off when it is dropped, also while unwinding. A clone counts one
/// more. It outlives the group without harm; a forgotten guard counts for ever.
///
/// Everything before the drop happens before the return of the wait that it lets go.
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
#[must_use = "a guard that is dropped at once counts nothing"]
pub struct WaitGuard {
    inner: NonNull<Heap<Inner>>,
}

// SAFETY: a guard reaches `Inner` only by shared reference, and that is an atomic word and a lock
// around a `Send` value; the last owner may free it from any thread.
unsafe impl Send for WaitGuard {}
// SAFETY: as above.
unsafe impl Sync for WaitGuard {}

impl UnwindSafe for WaitGuard {}
impl RefUnwindSafe for WaitGuard {}

impl WaitGuard {
    /// Counts one. `inner` is what `pointer` points to, alive by the caller's borrow.
    ///
    /// # Panics
    /// If there are too many.
    #[inline]
    #[track_caller]
    pub(super) fn enter(pointer: NonNull<Heap<Inner>>, inner: &Inner) -> Self {
        // ORDERING: Relaxed: counting up publishes nothing; the caller's own borrow or guard keeps
        // the group alive.
        let before = inner.latch.word().fetch_add(ONE_GUARD, Ordering::Relaxed);
        if guards(before) >= MAX {
            inner.latch.leave(ONE_GUARD, BUSY);
            guard_overflow();
        }
        WaitGuard { inner: pointer }
    }

    /// Keeps the panic of the guarded task for a waiter.
    pub(super) fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        self.inner().keep_panic(payload);
    }

    #[inline]
    fn inner(&self) -> &Inner {
        // SAFETY: by invariant 5 the allocation lives as long as this guard's count.
        unsafe { self.inner.as_ref() }.get()
    }
}

impl Clone for WaitGuard {
    /// Counts one task more.
    ///
    /// # Panics
    /// As [`WaitGroup::guard`](crate::WaitGroup::guard).
    #[inline]
    #[track_caller]
    fn clone(&self) -> Self {
        WaitGuard::enter(self.inner, self.inner())
    }
}

impl Drop for WaitGuard {
    #[inline]
    fn drop(&mut self) {
        let before = self.inner().latch.leave(ONE_GUARD, BUSY);
        if guards(before) == 1 && before & OWNED == 0 {
            self.free_group();
        }
    }
}

impl WaitGuard {
    /// The last one out, of a group whose owner has gone (invariant 5).
    #[cold]
    fn free_group(&self) {
        // ORDERING: Acquire: pairs with the Release in each earlier guard's leave and in the
        // group's drop, whose release sequences our own leave continued: their uses come first.
        self.inner().latch.word().load(Ordering::Acquire);
        // SAFETY: our leave took the last count off a word without `OWNED`, and the load above
        // is the Acquire.
        unsafe { free(self.inner) };
    }
}

impl fmt::Debug for WaitGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGuard").finish_non_exhaustive()
    }
}

#[cold]
#[track_caller]
fn guard_overflow() -> ! {
    panic!("WaitGroup: counter overflow: at most {MAX} guards can be alive")
}
