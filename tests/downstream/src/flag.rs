//! A value that a flag publishes, and a value that a second thread passes on.

use phalanx::atomic::{AtomicBool, AtomicUsize, Ordering};
use phalanx::cell::UnsafeCell;

/// A value that is set once, and read by threads that see its flag.
#[derive(Default)]
pub struct Flagged {
    ready: AtomicBool,
    value: UnsafeCell<u64>,
}

// SAFETY: set once, before the flag; read after it. The weak versions break that promise.
unsafe impl Sync for Flagged {}

impl Flagged {
    fn put(&self, value: u64) {
        // SAFETY: no thread reads before the flag is set.
        self.value.with_mut(|place| unsafe { *place = value });
    }

    /// Sets the value. Call it once.
    pub fn set(&self, value: u64) {
        self.put(value);
        // ORDERING: Release: pairs with the Acquire in `get`.
        self.ready.store(true, Ordering::Release);
    }

    /// Race: the flag orders nothing.
    pub fn set_weakly(&self, value: u64) {
        self.put(value);
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Race: sets the flag first.
    pub fn set_too_early(&self, value: u64) {
        self.ready.store(true, Ordering::Release);
        self.put(value);
    }

    /// Sets the value unless it is set. For one thread.
    pub fn set_if_unset(&self, value: u64) {
        self.set_if_unset_with(value, Ordering::Release);
    }

    /// Race: the exchange orders nothing.
    pub fn set_if_unset_weakly(&self, value: u64) {
        self.set_if_unset_with(value, Ordering::Relaxed);
    }

    fn set_if_unset_with(&self, value: u64, publish: Ordering) {
        // ORDERING: Relaxed: no other thread sets it.
        if !self.ready.load(Ordering::Relaxed) {
            self.put(value);
            // ORDERING: Release in `set_if_unset`: pairs with the Acquire in `get`.
            let _ = self.ready.compare_exchange(false, true, publish, Ordering::Relaxed);
        }
    }

    /// Returns the value, if it is set.
    pub fn get(&self) -> Option<u64> {
        // ORDERING: Acquire: pairs with the Release in `set`.
        self.get_if(self.ready.load(Ordering::Acquire))
    }

    /// Race: the load orders nothing.
    pub fn get_weakly(&self) -> Option<u64> {
        self.get_if(self.ready.load(Ordering::Relaxed))
    }

    fn get_if(&self, ready: bool) -> Option<u64> {
        // SAFETY: set, and never written again.
        ready.then(|| self.value.with(|value| unsafe { *value }))
    }
}

/// A value that one thread writes, a second checks, and a third reads.
#[derive(Default)]
pub struct Checked {
    /// 0: nothing. 1: written. 2: checked.
    stage: AtomicUsize,
    value: UnsafeCell<u64>,
}

// SAFETY: written at stage 0, read at stage 2.
unsafe impl Sync for Checked {}

impl Checked {
    /// Writes the value. Call it once.
    pub fn write(&self, value: u64) {
        // SAFETY: stage 0, and no other thread writes.
        self.value.with_mut(|place| unsafe { *place = value });
        // ORDERING: Release: pairs with the Acquire in `read`.
        self.stage.store(1, Ordering::Release);
    }

    /// Marks a written value as checked.
    pub fn check(&self) {
        // ORDERING: Relaxed: a read-modify-write is part of the release sequence that `write`
        // began, so a thread that reads the 2 is ordered after `write`.
        let _ = self.stage.compare_exchange(1, 2, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Race: a plain store ends the release sequence, though no other thread writes at this stage.
    pub fn check_with_a_store(&self) {
        if self.stage.load(Ordering::Relaxed) == 1 {
            self.stage.store(2, Ordering::Relaxed);
        }
    }

    /// Returns the value, if it is checked.
    pub fn read(&self) -> Option<u64> {
        // ORDERING: Acquire: pairs with the Release in `write`.
        let checked = self.stage.load(Ordering::Acquire) == 2;
        // SAFETY: stage 2, after which no thread writes.
        checked.then(|| self.value.with(|value| unsafe { *value }))
    }
}
