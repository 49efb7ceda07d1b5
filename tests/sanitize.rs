//! What ThreadSanitizer watches: plain memory that only phalanx orders.
//!
//! No locks, channels, barriers or scopes of std: it isn't built with the sanitizer, which can't see its locking and
//! would report races. `.ci/run` builds this file alone, and runs the ignored test to check that a race is reported.

#[path = "common/stress.rs"]
mod stress;

use phalanx::{
    Condvar, Mutex, RwMutex, SafeCounter, Store, WaitGroup, WaitGuard, WorkerPool, thread,
};
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::time::Duration;
use stress::{for_about, for_about_a_second};

/// Shared memory without any synchronization.
struct Plain(UnsafeCell<u64>);

// SAFETY: what is under test must order all uses; the sanitizer reports the uses that it doesn't order.
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
    for_about_a_second(|_| {
        let group = WaitGroup::new();
        let cells = [Plain::new(), Plain::new(), Plain::new()];
        let threads = cells.each_ref().map(|cell| in_thread(cell, group.guard()));
        group.wait();
        assert!(cells.iter().all(|cell| cell.get() == 1));
        drop(group);
        join(threads);
    });
}

#[test]
fn a_guard_may_be_the_last_to_leave() {
    for_about_a_second(|_| {
        let group = WaitGroup::new();
        let threads = [group.guard(), group.guard()].map(|guard| in_thread(&Plain::new(), guard));
        drop(group);
        join(threads);
    });
}

#[test]
fn what_came_before_an_addition_happens_before_the_get_that_counts_it() {
    for_about_a_second(|_| {
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
    });
}

#[test]
fn a_store_orders_what_it_keeps() {
    // Mostly read, so that readers bypass the locks; then written as often.
    for_about_a_second(|round| {
        let (reads, writes) = [(4000, 40), (500, 500)][round as usize % 2];
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
    });
}

#[test]
fn a_value_computed_once_is_ordered_for_all() {
    for_about_a_second(|key| {
        let store: Arc<Store<u64, Arc<Plain>>> = Arc::new(Store::new());
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
    });
}

#[test]
fn a_batch_orders_items_and_results() {
    let pool = WorkerPool::new(3);
    for_about_a_second(|round| {
        let items: Vec<Box<u64>> = (0..64).map(|n| Box::new(n + round)).collect();
        let results = pool.run(items.into_iter().map(|n| move || Box::new(*n * 2)));
        assert!(results.iter().zip(0..).all(|(result, n)| **result == (n + round) * 2));
        let strings = pool.map(results, |n| n.to_string());
        assert_eq!(strings.len(), 64);
    });
}

#[test]
fn callers_and_nested_calls_share_a_pool() {
    let pool = Arc::new(WorkerPool::new(2));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || {
                for_about_a_second(|_| {
                    let inner = |n: u64| pool.map(0..8, move |m| n * m).iter().sum::<u64>();
                    let sums = pool.run((0..4).map(|n| {
                        let inner = &inner;
                        move || inner(n)
                    }));
                    assert_eq!(sums, [0, 28, 56, 84]);
                });
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
}

/// Calls `f` in three threads for so long; returns how often.
fn in_three_threads<T: Send + Sync + 'static>(
    shared: &Arc<T>,
    time: Duration,
    f: fn(&T, u64),
) -> u64 {
    let threads = [0, 1, 2].map(|thread| {
        let shared = shared.clone();
        thread::spawn(move || for_about(time, |n| f(&shared, n + thread)))
    });
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

#[test]
fn a_mutex_orders_what_it_protects() {
    // The last thousand numbers, and how many there were.
    let shared = Arc::new(Mutex::new((Vec::new(), 0)));
    let pushed = in_three_threads(&shared, Duration::from_secs(1), |shared, n| {
        let mut guard = shared.lock();
        if guard.0.len() == 1_000 {
            guard.0.clear();
        }
        guard.0.push(Box::new(n));
        guard.1 += 1;
    });
    assert_eq!(shared.lock().1, pushed);
}

/// Reads often enough for the lock to be biased, and writes often enough to revoke that again and again.
#[test]
fn an_rw_mutex_orders_what_it_protects_in_all_its_modes() {
    for every in [2, 10, 1_000] {
        let shared = Arc::new((RwMutex::new(vec![0_u64; 4]), Plain::new(), every));
        let step = |(lock, writes, every): &(RwMutex<Vec<u64>>, Arc<Plain>, u64), n: u64| {
            if n.is_multiple_of(*every) {
                let mut words = lock.write();
                words.iter_mut().for_each(|word| *word += 1);
                writes.add(1);
            } else {
                let words = lock.read();
                assert!(words.iter().all(|word| *word == words[0]));
            }
        };
        in_three_threads(&shared, Duration::from_millis(333), step);
        assert_eq!(shared.0.read()[0], shared.1.get());
    }
}

#[test]
fn a_condvars_waits_are_ordered_by_the_mutex() {
    const LAST: u64 = u64::MAX;
    let shared = Arc::new((Mutex::new(None::<Box<u64>>), Condvar::new()));
    let (taker, giver) = (shared.clone(), shared);
    let taker = thread::spawn(move || {
        for n in 0.. {
            let mut guard = taker.0.lock();
            taker.1.wait_while(&mut guard, |value| value.is_none());
            let value = guard.take().unwrap();
            taker.1.notify_all();
            if *value == LAST {
                break;
            }
            assert_eq!(*value, n);
        }
    });
    let giver = thread::spawn(move || {
        let give = |n| {
            let mut guard = giver.0.lock();
            giver.1.wait_while(&mut guard, |value| value.is_some());
            *guard = Some(Box::new(n));
            giver.1.notify_one();
        };
        for_about_a_second(give);
        give(LAST);
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
