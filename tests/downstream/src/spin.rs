//! Spin locks: test-and-set, test-and-test-and-set, tickets.

use phalanx::atomic::{AtomicBool, AtomicUsize, Ordering};
use phalanx::cell::UnsafeCell;
use phalanx::{hint, thread};

/// A plain number, for a lock to protect.
#[derive(Default)]
pub struct Count(UnsafeCell<u32>);

// SAFETY: used under a lock. A lock that is wrong breaks that promise.
unsafe impl Sync for Count {}

impl Count {
    /// Adds one.
    pub fn increment(&self) {
        // SAFETY: see `Sync`.
        self.0.with_mut(|count| unsafe { *count += 1 });
    }

    /// The count.
    pub fn get(&self) -> u32 {
        // SAFETY: see `Sync`.
        self.0.with(|count| unsafe { *count })
    }
}

/// A lock in one bit.
#[derive(Default)]
pub struct SpinLock {
    locked: AtomicBool,
}

impl SpinLock {
    /// Test and set.
    pub fn lock(&self) {
        // ORDERING: Acquire: pairs with the Release in `unlock`.
        while self.locked.swap(true, Ordering::Acquire) {
            thread::yield_now();
        }
    }

    /// Test, and test and set: loads until it seems free.
    pub fn lock_politely(&self) {
        loop {
            if self.try_lock() {
                return;
            }
            // ORDERING: Relaxed: the exchange decides.
            while self.locked.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        }
    }

    /// Race: two threads may both see it free.
    pub fn lock_in_two_steps(&self) {
        while self.locked.load(Ordering::Acquire) {
            hint::spin_loop();
        }
        self.locked.store(true, Ordering::Relaxed);
    }

    /// Acquires the lock if it is free.
    pub fn try_lock(&self) -> bool {
        // ORDERING: Acquire: pairs with the Release in `unlock`. Relaxed on failure: nothing was acquired.
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Releases the lock.
    pub fn unlock(&self) {
        // ORDERING: Release: pairs with the Acquire in `lock` and `try_lock`.
        self.locked.store(false, Ordering::Release);
    }

    /// Race: doesn't publish what was written under the lock.
    pub fn unlock_weakly(&self) {
        self.locked.store(false, Ordering::Relaxed);
    }
}

/// A lock that threads acquire in the order of their tickets.
#[derive(Default)]
pub struct TicketLock {
    next: AtomicUsize,
    serving: AtomicUsize,
}

impl TicketLock {
    /// Takes a ticket, waits until it is called, and returns it.
    pub fn lock(&self) -> usize {
        // ORDERING: Relaxed: only the number counts.
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        // ORDERING: Acquire: pairs with the Release in `unlock`.
        while self.serving.load(Ordering::Acquire) != ticket {
            thread::yield_now();
        }
        ticket
    }

    /// Race: takes a ticket in two steps, so two threads may have the same.
    pub fn lock_in_two_steps(&self) -> usize {
        let ticket = self.next.load(Ordering::Relaxed);
        self.next.store(ticket + 1, Ordering::Relaxed);
        while self.serving.load(Ordering::Acquire) != ticket {
            thread::yield_now();
        }
        ticket
    }

    /// Calls the next ticket.
    pub fn unlock(&self, ticket: usize) {
        // ORDERING: Release: pairs with the Acquire in `lock`. Only the holder stores.
        self.serving.store(ticket + 1, Ordering::Release);
    }
}
