//! What ThreadSanitizer watches: plain memory that only phalanx orders.
//!
//! No locks, channels, barriers or scopes of std: it isn't built with the sanitizer, which can't see its locking and
//! would report races. `.ci/run` builds this file alone, and runs the ignored test to check that a race is reported.

#[path = "common/stress.rs"]
mod stress;

use phalanx::{
    Condvar, Mutex, RwMutex, SafeCounter, Store, WaitGroup, WaitGuard, WorkerPool, channel, select,
    thread,
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

/// Channels of all kinds: without room, a ring, blocks.
const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(10), None];

fn open<T>(capacity: Option<usize>) -> (channel::Sender<T>, channel::Receiver<T>) {
    capacity.map_or_else(channel::unbounded, channel::bounded)
}

#[test]
fn a_channel_orders_what_it_passes() {
    for capacity in CAPACITIES {
        let (sender, receiver) = open(capacity);
        let senders = [0, 1].map(|_| {
            let sender = sender.clone();
            thread::spawn(move || {
                for_about(Duration::from_millis(250), |n| {
                    let cell = Plain::new();
                    cell.add(n);
                    sender.send((n, cell)).unwrap();
                });
            })
        });
        drop(sender);
        let receivers = [0, 1].map(|_| {
            let receiver = receiver.clone();
            thread::spawn(move || {
                for (n, cell) in receiver {
                    assert_eq!(cell.get(), n);
                    cell.add(1);
                }
            })
        });
        join(senders);
        join(receivers);
    }
}

/// The n-th receive comes before the return of the send that it makes room for: the n-th of a rendezvous, the n-th after it
/// of a channel with room for n.
#[test]
fn a_receive_is_ordered_before_the_send_that_it_makes_room_for() {
    for capacity in [0, 1, 3] {
        let (sender, receiver) = channel::bounded(capacity);
        // As many as the receiver may be ahead of what the sender reads.
        let cells = Arc::new(Vec::from_iter((0..capacity + 2).map(|_| Plain::new())));
        let theirs = cells.clone();
        let receiving = thread::spawn(move || {
            let receive = |n: usize| {
                theirs[n % theirs.len()].add(1);
                receiver.recv().is_ok()
            };
            (0..).take_while(|n| receive(*n)).count();
        });
        for_about(Duration::from_millis(300), |n| {
            sender.send(()).unwrap();
            if let Some(received) = (n as usize).checked_sub(capacity) {
                assert!(cells[received % cells.len()].get() > 0);
            }
        });
        drop(sender);
        join([receiving]);
    }
}

#[test]
fn a_select_orders_what_it_receives() {
    for capacity in CAPACITIES {
        let [(one, from_one), (other, from_other)] = [(); 2].map(|()| open::<Arc<Plain>>(capacity));
        let senders = [one, other].map(|sender| {
            thread::spawn(move || {
                for_about(Duration::from_millis(250), |_| {
                    let cell = Plain::new();
                    cell.add(7);
                    sender.send(cell).unwrap();
                });
            })
        });
        let (mut one, mut other) = (Some(from_one), Some(from_other));
        while one.is_some() || other.is_some() {
            select! {
                recv(one) -> cell => match cell {
                    Ok(cell) => assert_eq!(cell.get(), 7),
                    Err(_) => one = None,
                },
                recv(other) -> cell => match cell {
                    Ok(cell) => assert_eq!(cell.get(), 7),
                    Err(_) => other = None,
                },
                default(Duration::from_micros(50)) => {}
            }
        }
        join(senders);
    }
}

/// Both sides go at any time, with messages under way.
#[test]
fn the_end_of_a_channel_is_ordered_after_its_uses() {
    for_about_a_second(|round| {
        let (sender, receiver) = open(CAPACITIES[round as usize % CAPACITIES.len()]);
        let cell = Plain::new();
        let (theirs, first) = (sender.clone(), cell.clone());
        let sending = thread::spawn(move || {
            first.add(1);
            while theirs.send(Box::new(1)).is_ok() {}
        });
        let receiving = thread::spawn(move || {
            let received = receiver.recv();
            receiver.close();
            received.is_ok() && cell.get() == 1
        });
        drop(sender);
        assert!(receiving.join().unwrap());
        join([sending]);
    });
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
