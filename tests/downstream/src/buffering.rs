//! Each of two threads sets its flag, then loads the other's. Without a SeqCst fence or SeqCst accesses both may miss
//! the other's flag, which a processor's store buffer holds back.

use phalanx::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use phalanx::thread;

/// A room that one of two threads may enter: each sets its flag, and enters unless the other's is set.
#[derive(Default)]
pub struct Room {
    wants: [AtomicBool; 2],
}

impl Room {
    /// Whether `me` may enter. If both want to, it may be that neither may.
    pub fn enter(&self, me: usize) -> bool {
        // ORDERING: Relaxed: the fences of the two order them.
        self.wants[me].store(true, Ordering::Relaxed);
        // ORDERING: SeqCst: one of the two fences comes first, and the other thread sees its flag.
        fence(Ordering::SeqCst);
        !self.wants[1 - me].load(Ordering::Relaxed)
    }

    /// As `enter`, with SeqCst accesses.
    pub fn enter_in_one_order(&self, me: usize) -> bool {
        // ORDERING: SeqCst: one of the two stores comes first, and is seen after the other.
        self.wants[me].store(true, Ordering::SeqCst);
        !self.wants[1 - me].load(Ordering::SeqCst)
    }

    /// As `enter_in_one_order`, with a swap.
    pub fn enter_with_a_swap(&self, me: usize) -> bool {
        // ORDERING: SeqCst: as above.
        self.wants[me].swap(true, Ordering::SeqCst);
        !self.wants[1 - me].load(Ordering::SeqCst)
    }

    /// Wrong result: both may enter.
    pub fn enter_without_a_fence(&self, me: usize) -> bool {
        self.wants[me].store(true, Ordering::Release);
        !self.wants[1 - me].load(Ordering::Acquire)
    }

    /// Wrong result: both may enter, since the store isn't in the order of SeqCst accesses.
    pub fn enter_with_a_weak_store(&self, me: usize) -> bool {
        self.wants[me].store(true, Ordering::Release);
        !self.wants[1 - me].load(Ordering::SeqCst)
    }

    /// Wrong result: both may enter, since the load isn't in the order of SeqCst accesses.
    pub fn enter_with_a_weak_load(&self, me: usize) -> bool {
        self.wants[me].store(true, Ordering::SeqCst);
        !self.wants[1 - me].load(Ordering::Acquire)
    }
}

/// Peterson's lock for two threads.
#[derive(Default)]
pub struct Peterson {
    wants: [AtomicBool; 2],
    turn: AtomicUsize,
}

impl Peterson {
    /// Acquires the lock.
    pub fn lock(&self, me: usize) {
        self.lock_with(me, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Race: without one order of all accesses, both threads get the lock.
    pub fn lock_weakly(&self, me: usize) {
        self.lock_with(me, Ordering::Release, Ordering::Acquire);
    }

    fn lock_with(&self, me: usize, store: Ordering, load: Ordering) {
        self.wants[me].store(true, store);
        self.turn.store(1 - me, store);
        while self.wants[1 - me].load(load) && self.turn.load(load) != me {
            thread::yield_now();
        }
    }

    /// Releases the lock.
    pub fn unlock(&self, me: usize) {
        // ORDERING: Release at least: pairs with the loads of `wants` in `lock`.
        self.wants[me].store(false, Ordering::SeqCst);
    }
}
