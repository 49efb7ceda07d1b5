//! What ThreadSanitizer watches: plain memory that only phalanx orders.
//!
//! std's own locks, channels, barriers and scopes stay out: std isn't built with the sanitizer,
//! which sees races where it can't see the locking. `.ci/run` builds this file alone with it, and
//! checks with the ignored test that a race would be seen.

use phalanx::{WaitGroup, WaitGuard, WorkerPool, thread};
use std::cell::UnsafeCell;
use std::sync::Arc;

/// Plain memory, shared.
struct Plain(UnsafeCell<u64>);

// SAFETY: each use is to be ordered by what is under test.
unsafe impl Sync for Plain {}
// SAFETY: a number.
unsafe impl Send for Plain {}

impl Plain {
    fn new() -> Arc<Self> {
        Arc::new(Plain(UnsafeCell::new(0)))
    }

    fn add(&self, n: u64) {
        // SAFETY: as for `Sync`.
        unsafe { *self.0.get() += n };
    }

    fn get(&self) -> u64 {
        // SAFETY: as for `Sync`.
        unsafe { *self.0.get() }
    }
}

fn in_thread(cell: &Arc<Plain>, guard: WaitGuard) -> thread::JoinHandle<()> {
    let cell = cell.clone();
    thread::spawn(move || {
        cell.add(1);
        drop(guard);
    })
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_wait_orders_what_the_guards_covered() {
    for _ in 0..300 {
        let group = WaitGroup::new();
        let cells = [Plain::new(), Plain::new(), Plain::new()];
        let threads = cells.each_ref().map(|cell| in_thread(cell, group.guard()));
        group.wait();
        assert!(cells.iter().all(|cell| cell.get() == 1));
        drop(group);
        join(threads);
    }
}

#[test]
fn a_guard_may_be_the_last_to_leave() {
    for _ in 0..300 {
        let group = WaitGroup::new();
        let threads = [group.guard(), group.guard()].map(|guard| in_thread(&Plain::new(), guard));
        drop(group);
        join(threads);
    }
}

#[test]
fn a_batch_orders_items_and_results() {
    let pool = WorkerPool::new(3);
    for round in 0..200_u64 {
        let items: Vec<Box<u64>> = (0..64).map(|n| Box::new(n + round)).collect();
        let results = pool.run(items.into_iter().map(|n| move || Box::new(*n * 2)));
        assert!(results.iter().zip(0..).all(|(result, n)| **result == (n + round) * 2));
        let strings = pool.map(results, |n| n.to_string());
        assert_eq!(strings.len(), 64);
    }
}

#[test]
fn callers_and_nested_calls_share_a_pool() {
    let pool = Arc::new(WorkerPool::new(2));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || {
                for _ in 0..50 {
                    let inner = |n: u64| pool.map(0..8, move |m| n * m).iter().sum::<u64>();
                    let sums = pool.run((0..4).map(|n| {
                        let inner = &inner;
                        move || inner(n)
                    }));
                    assert_eq!(sums, [0, 28, 56, 84]);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
}

#[test]
#[ignore = "a planted race: the sanitizer must report it"]
fn planted_race() {
    for _ in 0..300 {
        let (group, cell) = (WaitGroup::new(), Plain::new());
        let threads = [group.guard(), group.guard()].map(|guard| in_thread(&cell, guard));
        group.wait();
        join(threads);
    }
}
