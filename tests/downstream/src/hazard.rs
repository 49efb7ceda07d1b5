//! A pointer that readers announce before they use it, so that its owner doesn't free it.

use phalanx::atomic::{AtomicPtr, Ordering, fence};
use phalanx::cell::UnsafeCell;
use phalanx::thread;
use std::ptr;

/// A value that is out of reach after `retire`, and one reader's announcement.
///
/// `retire` takes the value. Its memory is kept until the end, so that a reader that comes too late is a race for a
/// model to see, not a read of freed memory.
pub struct Guarded {
    memory: Box<UnsafeCell<u32>>,
    current: AtomicPtr<UnsafeCell<u32>>,
    announced: AtomicPtr<UnsafeCell<u32>>,
}

// SAFETY: the value is read while it is announced, and taken when it isn't.
unsafe impl Sync for Guarded {}

impl Guarded {
    /// Publishes a value.
    pub fn new(value: u32) -> Self {
        let memory = Box::new(UnsafeCell::new(value));
        let current = AtomicPtr::new((&raw const *memory).cast_mut());
        Guarded { memory, current, announced: AtomicPtr::default() }
    }

    /// Returns the value unless it is retired. For one reader.
    pub fn read(&self) -> Option<u32> {
        self.read_after(|| fence(Ordering::SeqCst))
    }

    /// Race: the announcement may become visible after the second load.
    pub fn read_without_a_fence(&self) -> Option<u32> {
        self.read_after(|| ())
    }

    fn read_after(&self, between: impl Fn()) -> Option<u32> {
        // ORDERING: Relaxed: the second load decides.
        let seen = self.current.load(Ordering::Relaxed);
        self.announced.store(seen, Ordering::Release);
        // ORDERING: SeqCst: pairs with the fence in `retire`. Either `retire` sees the announcement, or the
        // second load sees that the pointer is gone.
        between();
        // ORDERING: Acquire: pairs with the publication of the pointer.
        let value = if self.current.load(Ordering::Acquire) == seen && !seen.is_null() {
            // SAFETY: announced, and not retired by then.
            Some(self.memory.with(|value| unsafe { *value }))
        } else {
            None
        };
        // ORDERING: Release: pairs with the Acquire in `retire`.
        self.announced.store(ptr::null_mut(), Ordering::Release);
        value
    }

    /// Puts the value out of reach, waits until the reader is done with it, and returns it.
    pub fn retire(&self) -> u32 {
        // ORDERING: Relaxed: the fence orders it. The value is this thread's own.
        let current = self.current.swap(ptr::null_mut(), Ordering::Relaxed);
        // ORDERING: SeqCst: see `read`.
        fence(Ordering::SeqCst);
        // ORDERING: Acquire: pairs with the Release at the end of `read`.
        while self.announced.load(Ordering::Acquire) == current {
            thread::yield_now();
        }
        // SAFETY: out of reach, and no thread reads it.
        self.memory.with_mut(|value| unsafe { std::mem::take(&mut *value) })
    }
}
