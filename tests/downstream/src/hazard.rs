//! A pointer that readers announce before they use it, so that its owner doesn't free it.

use phalanx::atomic::{AtomicPtr, Ordering, fence};
use phalanx::cell::UnsafeCell;
use phalanx::thread;
use std::ptr;

/// A value that is out of reach after `retire`, and a place for one reader's announcement.
#[derive(Default)]
pub struct Guarded {
    current: AtomicPtr<UnsafeCell<u32>>,
    announced: AtomicPtr<UnsafeCell<u32>>,
}

impl Guarded {
    /// Publishes a value, on the heap until `retire`.
    pub fn new(value: u32) -> Self {
        let current = Box::into_raw(Box::new(UnsafeCell::new(value)));
        Guarded { current: AtomicPtr::new(current), announced: AtomicPtr::default() }
    }

    /// The value unless it is retired. For one reader.
    pub fn read(&self) -> Option<u32> {
        self.read_after(|| fence(Ordering::SeqCst))
    }

    /// Race: the announcement may be seen after the second look.
    pub fn read_without_a_fence(&self) -> Option<u32> {
        self.read_after(|| ())
    }

    fn read_after(&self, between: impl Fn()) -> Option<u32> {
        // ORDERING: Relaxed: the second look decides.
        let seen = self.current.load(Ordering::Relaxed);
        self.announced.store(seen, Ordering::Release);
        // ORDERING: SeqCst: with the fence in `retire`: either that sees the announcement, or the
        // second look sees that the pointer is gone.
        between();
        // ORDERING: Acquire: pairs with whoever published the pointer.
        let value = if self.current.load(Ordering::Acquire) == seen && !seen.is_null() {
            // SAFETY: announced, and not retired by then.
            Some(unsafe { &*seen }.with(|value| unsafe { *value }))
        } else {
            None
        };
        // ORDERING: Release: pairs with the Acquire in `retire`.
        self.announced.store(ptr::null_mut(), Ordering::Release);
        value
    }

    /// Takes the value out, and frees it when the reader is done with it; what was there.
    pub fn retire(&self) -> u32 {
        // ORDERING: Relaxed: the fence orders it. The value is this thread's own.
        let current = self.current.swap(ptr::null_mut(), Ordering::Relaxed);
        // ORDERING: SeqCst: see `read`.
        fence(Ordering::SeqCst);
        // ORDERING: Acquire: pairs with the Release at the end of `read`.
        while self.announced.load(Ordering::Acquire) == current {
            thread::yield_now();
        }
        // SAFETY: from `new`, out of reach, and nobody reads it.
        let value = unsafe { &*current }.with_mut(|value| unsafe { std::mem::take(&mut *value) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(current) });
        value
    }
}
