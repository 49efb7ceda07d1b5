//! A value with several owners, freed by the last.

use phalanx::atomic::{AtomicUsize, Ordering, fence};
use phalanx::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

struct Inner<T> {
    owners: AtomicUsize,
    value: UnsafeCell<ManuallyDrop<T>>,
}

/// An owner. Wrong unless `CAREFUL`: the last owner then frees a value that others may still read.
pub struct Counted<T, const CAREFUL: bool>(NonNull<Inner<T>>);

// SAFETY: as std's `Arc`.
unsafe impl<T: Send + Sync, const CAREFUL: bool> Send for Counted<T, CAREFUL> {}
// SAFETY: as std's `Arc`.
unsafe impl<T: Send + Sync, const CAREFUL: bool> Sync for Counted<T, CAREFUL> {}

impl<T, const CAREFUL: bool> Counted<T, CAREFUL> {
    /// Creates the first owner.
    pub fn new(value: T) -> Self {
        let value = UnsafeCell::new(ManuallyDrop::new(value));
        let inner = Box::new(Inner { owners: AtomicUsize::new(1), value });
        Counted(NonNull::from(Box::leak(inner)))
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: this owner keeps it alive.
        unsafe { self.0.as_ref() }
    }

    /// Reads the value.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        // SAFETY: written only by `get_mut` and by the last owner's drop.
        self.inner().value.with(|value| f(unsafe { &*value }))
    }

    /// Writes the value if there is no other owner.
    pub fn with_mut<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        // ORDERING: Acquire: pairs with the Release in the drop of former owners.
        if self.inner().owners.load(Ordering::Acquire) != 1 {
            return None;
        }
        // SAFETY: the only owner, borrowed for writing.
        Some(self.inner().value.with_mut(|value| f(unsafe { &mut *value })))
    }
}

impl<T, const CAREFUL: bool> Clone for Counted<T, CAREFUL> {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed: made from an owner, which keeps it alive.
        self.inner().owners.fetch_add(1, Ordering::Relaxed);
        Counted(self.0)
    }
}

impl<T, const CAREFUL: bool> Drop for Counted<T, CAREFUL> {
    fn drop(&mut self) {
        // ORDERING: Release if careful: pairs with the Acquire fence of the last owner.
        let order = if CAREFUL { Ordering::Release } else { Ordering::Relaxed };
        if self.inner().owners.fetch_sub(1, order) != 1 {
            return;
        }
        // ORDERING: Acquire: the other owners' uses happen before the end of the value.
        fence(Ordering::Acquire);
        // SAFETY: the last owner, after all others.
        self.inner().value.with_mut(|value| unsafe { ManuallyDrop::drop(&mut *value) });
        // SAFETY: from `Box::leak`, and this was the last pointer to it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
