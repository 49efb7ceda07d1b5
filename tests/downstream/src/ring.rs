//! From one producer to one consumer: a mailbox for one value, and a ring for two.

use phalanx::atomic::{AtomicBool, AtomicUsize, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::thread;

/// A box for one value.
#[derive(Default)]
pub struct Mailbox {
    full: AtomicBool,
    value: UnsafeCell<Option<u32>>,
}

// SAFETY: the producer uses the value while it is not full, the consumer while it is.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    /// Waits until it is empty, and puts a value in.
    pub fn put(&self, value: u32) {
        // ORDERING: Acquire: pairs with the Release in `take`.
        while self.full.load(Ordering::Acquire) {
            thread::yield_now();
        }
        // SAFETY: empty, so it is the producer's.
        self.value.with_mut(|place| unsafe { *place = Some(value) });
        // ORDERING: Release: pairs with the Acquire in `take`.
        self.full.store(true, Ordering::Release);
    }

    /// Race: doesn't wait until it is empty.
    pub fn put_at_once(&self, value: u32) {
        // SAFETY: none.
        self.value.with_mut(|place| unsafe { *place = Some(value) });
        self.full.store(true, Ordering::Release);
    }

    /// Waits for a value, and takes it out.
    pub fn take(&self) -> Option<u32> {
        self.take_and_free(Ordering::Release)
    }

    /// Race: marks it empty without ordering its own use before.
    pub fn take_weakly(&self) -> Option<u32> {
        self.take_and_free(Ordering::Relaxed)
    }

    fn take_and_free(&self, freed: Ordering) -> Option<u32> {
        // ORDERING: Acquire: pairs with the Release in `put`.
        while !self.full.load(Ordering::Acquire) {
            thread::yield_now();
        }
        // SAFETY: full, so it is the consumer's.
        let value = self.value.with_mut(|place| unsafe { (*place).take() });
        // ORDERING: Release in `take`: pairs with the Acquire in `put`.
        self.full.store(false, freed);
        value
    }
}

const PLACES: usize = 2;

/// A queue of at most two values.
#[derive(Default)]
pub struct Ring {
    /// The number of values taken. Written by the consumer.
    taken: AtomicUsize,
    /// The number of values put. Written by the producer.
    put: AtomicUsize,
    places: [UnsafeCell<u32>; PLACES],
}

// SAFETY: the cells from `taken` to `put` are the consumer's, the others the producer's.
unsafe impl Sync for Ring {}

impl Ring {
    /// Puts a value in. Returns `false` if the ring is full. For one thread.
    pub fn put(&self, value: u32) -> bool {
        self.put_unless(value, |put, taken| put - taken == PLACES, Ordering::Release)
    }

    /// Race: doesn't publish the value.
    pub fn put_weakly(&self, value: u32) -> bool {
        self.put_unless(value, |put, taken| put - taken == PLACES, Ordering::Relaxed)
    }

    /// Race: overwrites a value of a full ring.
    pub fn put_one_too_many(&self, value: u32) -> bool {
        self.put_unless(value, |put, taken| put - taken > PLACES, Ordering::Release)
    }

    fn put_unless(
        &self,
        value: u32,
        is_full: impl Fn(usize, usize) -> bool,
        publish: Ordering,
    ) -> bool {
        // ORDERING: Relaxed: this thread's own.
        let put = self.put.load(Ordering::Relaxed);
        // ORDERING: Acquire: pairs with the Release in `take`.
        if is_full(put, self.taken.load(Ordering::Acquire)) {
            return false;
        }
        // SAFETY: not between `taken` and `put`, so it is the producer's.
        self.places[put % PLACES].with_mut(|place| unsafe { *place = value });
        // ORDERING: Release in `put`: pairs with the Acquire in `take`.
        self.put.store(put + 1, publish);
        true
    }

    /// Takes the oldest value. For one thread.
    pub fn take(&self) -> Option<u32> {
        // ORDERING: Relaxed: this thread's own.
        let taken = self.taken.load(Ordering::Relaxed);
        // ORDERING: Acquire: pairs with the Release in `put`.
        if taken == self.put.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: between `taken` and `put`, so it is the consumer's.
        let value = self.places[taken % PLACES].with(|place| unsafe { *place });
        // ORDERING: Release: pairs with the Acquire in `put`.
        self.taken.store(taken + 1, Ordering::Release);
        Some(value)
    }
}
