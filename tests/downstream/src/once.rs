//! A value that is made once, by the first thread that needs it.

use phalanx::atomic::{AtomicBool, AtomicU8, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::{Mutex, thread};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const MADE: u8 = 2;

/// A once with a word of state.
#[derive(Default)]
pub struct Once {
    state: AtomicU8,
    value: UnsafeCell<u64>,
}

// SAFETY: written while busy by the thread that made it busy, read once made.
unsafe impl Sync for Once {}

impl Once {
    /// Returns the value, made if need be.
    pub fn get(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_with(make, Ordering::Acquire, Ordering::Release)
    }

    /// Race: a fast path that orders nothing.
    pub fn get_by_a_weak_load(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_with(make, Ordering::Relaxed, Ordering::Release)
    }

    /// Race: the value isn't published.
    pub fn get_and_publish_weakly(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_with(make, Ordering::Acquire, Ordering::Relaxed)
    }

    fn get_with(&self, make: impl FnOnce() -> u64, load: Ordering, publish: Ordering) -> u64 {
        // ORDERING: Acquire in `get`: pairs with the Release below.
        if self.state.load(load) != MADE {
            self.make_or_wait(make, load, publish);
        }
        // SAFETY: made, and never written again.
        self.value.with(|value| unsafe { *value })
    }

    fn make_or_wait(&self, make: impl FnOnce() -> u64, load: Ordering, publish: Ordering) {
        // ORDERING: Relaxed: decides which thread makes it, and publishes nothing.
        match self.state.compare_exchange(EMPTY, BUSY, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                // SAFETY: this thread made it busy.
                self.value.with_mut(|value| unsafe { *value = make() });
                // ORDERING: Release in `get`: pairs with the Acquire above and below.
                self.state.store(MADE, publish);
            }
            Err(_) => {
                while self.state.load(load) != MADE {
                    thread::yield_now();
                }
            }
        }
    }
}

/// A check without the lock, and a second one under it.
#[derive(Default)]
pub struct DoubleChecked {
    made: AtomicBool,
    making: Mutex<()>,
    value: UnsafeCell<u64>,
}

// SAFETY: written under the lock before `made`, read after it.
unsafe impl Sync for DoubleChecked {}

impl DoubleChecked {
    /// Returns the value, made if need be.
    pub fn get(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_by(make, Ordering::Acquire, |cell| cell.made.load(Ordering::Relaxed))
    }

    /// Race: the check without the lock orders nothing.
    pub fn get_by_a_weak_load(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_by(make, Ordering::Relaxed, |cell| cell.made.load(Ordering::Relaxed))
    }

    /// Race: no second check, so it may be made twice.
    pub fn get_by_one_check(&self, make: impl FnOnce() -> u64) -> u64 {
        self.get_by(make, Ordering::Acquire, |_| false)
    }

    fn get_by(
        &self,
        make: impl FnOnce() -> u64,
        load: Ordering,
        made_under_lock: impl Fn(&Self) -> bool,
    ) -> u64 {
        // ORDERING: Acquire in `get`: pairs with the Release below.
        if !self.made.load(load) {
            let _making = self.making.lock();
            // ORDERING: Relaxed: under the lock that every writer holds.
            if !made_under_lock(self) {
                // SAFETY: under the lock, and not made.
                self.value.with_mut(|value| unsafe { *value = make() });
                // ORDERING: Release: pairs with the Acquire above.
                self.made.store(true, Ordering::Release);
            }
        }
        // SAFETY: made, and never written again.
        self.value.with(|value| unsafe { *value })
    }
}
