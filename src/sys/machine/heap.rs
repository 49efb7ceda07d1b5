//! Memory whose lifetime a model checks; on the machine, plain memory.

use std::ptr::NonNull;

/// Stands for memory whose accesses a model is to check. On the machine it is nothing.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Tracked
    }

    /// Marks a use that other threads may share.
    #[inline(always)]
    pub(crate) fn read(&self) {}

    /// Marks an exclusive use: a write, or the end of the memory's life.
    #[inline(always)]
    pub(crate) fn write(&self) {}
}

/// A heap value that several owners reach by pointer and the last of them frees.
///
/// On the machine a plain `Box`. In a model its memory outlives the execution, so that a use
/// after the free is a failed check rather than a crash.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Heap<T>(T);

impl<T> Heap<T> {
    pub(crate) fn new(value: T) -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(Heap(value))))
    }

    /// [`new`](Self::new), of a value that is on the heap already.
    pub(crate) fn from_box(value: Box<T>) -> NonNull<Self> {
        // The same layout.
        NonNull::from(Box::leak(value)).cast()
    }

    /// Returns the value, for a caller whose reference the compiler vouches for: a borrow of the owner.
    #[inline(always)]
    pub(crate) fn get_borrowed(&self) -> &T {
        &self.0
    }

    /// Returns the value, for a caller that reaches it by pointer. A model checks the use against the free.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        &self.0
    }

    /// Drops the value and frees its memory.
    ///
    /// # Safety
    /// - `this` came from [`Heap::new`] and has not been freed.
    /// - Every other use of it happens before this call, and none comes after.
    pub(crate) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: by the contract `this` is a live box's pointer, and the caller its last user.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }
}
