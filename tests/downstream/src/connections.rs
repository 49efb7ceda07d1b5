//! A pool of connections: a thread that has a permit may use one.

use phalanx::cell::UnsafeCell;
use phalanx::{Mutex, Semaphore};

/// Two connections, of which each is used by one thread at a time.
pub struct Connections {
    permits: Semaphore,
    /// The numbers of those that are free.
    free: Mutex<Vec<usize>>,
    queries: [UnsafeCell<u32>; 2],
}

// SAFETY: a connection is used by the thread that has taken its number.
unsafe impl Sync for Connections {}

impl Default for Connections {
    fn default() -> Self {
        Connections {
            permits: Semaphore::new(2),
            free: Mutex::new(vec![0, 1]),
            queries: [UnsafeCell::new(0), UnsafeCell::new(0)],
        }
    }
}

impl Connections {
    /// Queries on one connection.
    pub fn query(&self) {
        let permit = self.permits.acquire(1).expect("open");
        let at = self.take();
        self.query_on(at);
        self.free.lock().push(at);
        drop(permit);
    }

    /// Queries on both connections, to compare.
    pub fn query_on_both(&self) {
        let permits = self.permits.acquire(2).expect("open");
        let both = [self.take(), self.take()];
        both.iter().for_each(|&at| self.query_on(at));
        self.free.lock().extend(both);
        drop(permits);
    }

    /// Wrong result: releases the permit before the connection is free.
    pub fn query_in_a_hurry(&self) {
        let permit = self.permits.acquire(1).expect("open");
        let at = self.take();
        self.query_on(at);
        drop(permit);
        self.free.lock().push(at);
    }

    /// Deadlock: acquires the permits one by one.
    pub fn query_on_one_after_the_other(&self) {
        let first = self.permits.acquire(1).expect("open");
        let second = self.permits.acquire(1).expect("open");
        let both = [self.take(), self.take()];
        both.iter().for_each(|&at| self.query_on(at));
        self.free.lock().extend(both);
        drop((first, second));
    }

    /// Race: chooses the connection by the number of permits that are left.
    pub fn query_by_count(&self) {
        let permit = self.permits.acquire(1).expect("open");
        self.query_on(self.permits.available().min(1));
        drop(permit);
    }

    /// Returns how many queries there were.
    pub fn queries(&self) -> u32 {
        let permits = self.permits.acquire(2).expect("open");
        // SAFETY: no other thread has a permit.
        let queries = self.queries.each_ref().map(|cell| cell.with(|n| unsafe { *n }));
        drop(permits);
        queries.into_iter().sum()
    }

    fn take(&self) -> usize {
        self.free.lock().pop().expect("wrong result: a permit without a connection")
    }

    fn query_on(&self, at: usize) {
        // SAFETY: as for `Sync`.
        self.queries[at].with_mut(|queries| unsafe { *queries += 1 });
    }
}
