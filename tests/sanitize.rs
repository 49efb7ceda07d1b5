//! What ThreadSanitizer watches: plain memory that only phalanx orders.
//!
//! std's own locks, channels, barriers and scopes stay out: std isn't built with the sanitizer,
//! which sees races where it can't see the locking. `.ci/run` builds this file alone with it, and
//! checks with the ignored test that a race would be seen.

use phalanx::{
    Condvar, Mutex, RwMutex, SafeCounter, Store, WaitGroup, WaitGuard, WorkerPool, thread,
};
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
fn a_counter_that_counts_an_addition_orders_it() {
    for _ in 0..200 {
        let counter = Arc::new(SafeCounter::new());
        let cells = [Plain::new(), Plain::new(), Plain::new()];
        let threads = cells.each_ref().map(|cell| {
            let (counter, cell) = (counter.clone(), cell.clone());
            thread::spawn(move || {
                (0..100).for_each(|_| counter.add(0));
                cell.add(1);
                counter.increment();
            })
        });
        while counter.get() < 3 {
            thread::yield_now();
        }
        assert!(cells.iter().all(|cell| cell.get() == 1));
        join(threads);
        assert_eq!(counter.take(), 3);
    }
}

#[test]
fn a_store_orders_what_it_keeps() {
    // Mostly read, so that readers go past the locks; then written.
    for (reads, writes) in [(4000, 40), (500, 500)] {
        let store: Arc<Store<u32, Vec<u32>>> = Arc::new(Store::with_shards(2));
        (0..8).for_each(|key| drop(store.insert(key, vec![key])));
        let threads = [0, 1, 2].map(|thread: u32| {
            let store = store.clone();
            thread::spawn(move || {
                for n in 0..reads {
                    store.with(&(n % 8), |it| assert!(it.iter().all(|value| value % 8 == n % 8)));
                    if n * writes / reads != (n + 1) * writes / reads {
                        store.update(&(thread + n % 4), |it| it.push(it[0]));
                        store.insert(8 + n + 1000 * thread, vec![n % 8]);
                        store.remove(&(8 + n + 1000 * thread));
                    }
                }
            })
        });
        join(threads);
        let pushed: usize = store.values().iter().map(|it| it.len() - 1).sum();
        assert_eq!(pushed, 3 * writes as usize);
    }
}

#[test]
fn a_value_computed_once_is_ordered_for_all() {
    for key in 0..200_u32 {
        let store: Arc<Store<u32, Arc<Plain>>> = Arc::new(Store::new());
        let threads = [0, 1, 2].map(|_| {
            let store = store.clone();
            thread::spawn(move || {
                let value = store.get_or_compute(key, |_| {
                    let value = Plain::new();
                    value.add(7);
                    value
                });
                assert_eq!(value.get(), 7);
            })
        });
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

/// What `f` does in each of three threads, so often.
fn in_three_threads<T: Send + Sync + 'static>(shared: &Arc<T>, f: fn(&T, usize), times: usize) {
    join([0, 1, 2].map(|thread| {
        let shared = shared.clone();
        thread::spawn(move || (0..times).for_each(|n| f(&shared, n + thread)))
    }));
}

#[test]
fn a_mutex_orders_what_it_protects() {
    let shared = Arc::new(Mutex::new(Vec::new()));
    in_three_threads(&shared, |list, n| list.lock().push(Box::new(n)), 3_000);
    assert_eq!(shared.lock().len(), 9_000);
}

/// Reads enough to be biased, and writes enough to revoke it again and again.
#[test]
fn an_rw_mutex_orders_what_it_protects_in_all_its_modes() {
    for every in [2, 10, 1_000] {
        let shared = Arc::new((RwMutex::new(vec![0_u64; 4]), Plain::new(), every));
        let step = |(lock, writes, every): &(RwMutex<Vec<u64>>, Arc<Plain>, usize), n: usize| {
            if n.is_multiple_of(*every) {
                let mut words = lock.write();
                words.iter_mut().for_each(|word| *word += 1);
                writes.add(1);
            } else {
                let words = lock.read();
                assert!(words.iter().all(|word| *word == words[0]));
            }
        };
        in_three_threads(&shared, step, 6_000);
        assert_eq!(shared.0.read()[0], shared.1.get());
    }
}

#[test]
fn a_condvar_leaves_the_mutex_to_order_things() {
    let shared = Arc::new((Mutex::new(None::<Box<usize>>), Condvar::new()));
    let (taker, giver) = (shared.clone(), shared);
    let taker = thread::spawn(move || {
        for n in 0..500 {
            let mut place = taker.0.lock();
            taker.1.wait_while(&mut place, |place| place.is_none());
            assert_eq!(place.take(), Some(Box::new(n)));
            taker.1.notify_all();
        }
    });
    let giver = thread::spawn(move || {
        for n in 0..500 {
            let mut place = giver.0.lock();
            giver.1.wait_while(&mut place, |place| place.is_some());
            *place = Some(Box::new(n));
            giver.1.notify_one();
        }
    });
    join([taker, giver]);
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
