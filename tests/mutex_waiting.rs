//! Waiting for the mutex, on real threads: time-outs, hand-offs, hogs and threads that end.
//!
//! Bugs that other mutexes had, and the tests that would fail:
//!
//! | report | the bug | test |
//! | --- | --- | --- |
//! | parking_lot#465, parking_lot#466, golang#37852 | a time-out takes a wake-up with it | `time_outs_beside_unlocks_lose_no_wake_up`, `after_an_unlock_beside_a_time_out_the_other_waiter_gets_the_lock` |
//! | parking_lot#471 | `bump` does nothing | `bump_lets_a_waiter_have_the_lock` |
//! | golang#13086 | a hog starves a short locker | `a_thread_gets_the_lock_beside_hogs`, `a_thread_gets_the_lock_beside_hogs_that_hold_it_long` |
//! | parking_lot#114, parking_lot#203 | locking in a thread-local's destructor fails | `a_thread_locals_destructor_may_lock` |

mod common;

use common::locks::{Dice, Words};
use common::stress::for_about_a_second;
use common::watchdog;
use phalanx::{Mutex, MutexGuard};
use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_timed_lock_of_a_free_mutex_succeeds_whatever_its_limit() {
    let lock = Mutex::new(());
    assert!(lock.try_lock_for(Duration::ZERO).is_some());
    assert!(lock.try_lock_for(Duration::MAX).is_some());
    assert!(lock.try_lock_until(Instant::now()).is_some());
}

#[test]
fn a_timed_lock_of_a_held_mutex_never_fails_early() {
    watchdog(|| {
        let lock = Mutex::new(());
        let guard = lock.lock();
        for limit in [Duration::ZERO, Duration::from_micros(50), Duration::from_millis(3)] {
            let start = Instant::now();
            assert!(lock.try_lock_for(limit).is_none());
            assert!(start.elapsed() >= limit);
            let end = Instant::now() + limit;
            assert!(lock.try_lock_until(end).is_none());
            assert!(Instant::now() >= end);
            // A limit that has passed by now.
            assert!(lock.try_lock_until(start).is_none());
        }
        drop(guard);
        assert!(lock.try_lock_for(Duration::ZERO).is_some());
    });
}

#[test]
fn a_timed_waiter_gets_the_lock_when_it_is_released() {
    watchdog(|| {
        for_about_a_second(|_| {
            let lock = Mutex::new(0);
            let arrived = Barrier::new(3);
            thread::scope(|scope| {
                let mut guard = lock.lock();
                // A limit too long to represent is no limit.
                let for_ever = scope.spawn(|| {
                    arrived.wait();
                    *lock.try_lock_for(Duration::MAX).unwrap()
                });
                let an_hour = scope.spawn(|| {
                    arrived.wait();
                    *lock.try_lock_until(Instant::now() + Duration::from_secs(3_600)).unwrap()
                });
                arrived.wait();
                *guard = 7;
                drop(guard);
                assert_eq!(for_ever.join().unwrap(), 7);
                assert_eq!(an_hour.join().unwrap(), 7);
            });
        });
    });
}

#[test]
fn time_outs_beside_unlocks_lose_no_wake_up() {
    watchdog(|| {
        let lock = Mutex::new(Words::new());
        let (over, added) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for seed in 0..3 {
                let (lock, over, added) = (&lock, &over, &added);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    while !over.load(SeqCst) {
                        let short = Duration::from_micros(dice.roll(60));
                        if let Some(mut guard) = lock.try_lock_for(short) {
                            guard.add();
                            added.fetch_add(1, SeqCst);
                            // The others wait long enough to run out of time.
                            for _ in 0..dice.roll(4_000) {
                                spin_loop();
                            }
                        }
                    }
                });
            }
            // A waiter without a limit must be woken in the end, each time.
            for_about_a_second(|_| {
                lock.lock().add();
                added.fetch_add(1, SeqCst);
            });
            over.store(true, SeqCst);
        });
        assert_eq!(lock.lock().get(), added.load(SeqCst));
    });
}

#[test]
fn after_an_unlock_beside_a_time_out_the_other_waiter_gets_the_lock() {
    watchdog(|| {
        for_about_a_second(|round| {
            let lock = Mutex::new(0);
            thread::scope(|scope| {
                let guard = lock.lock();
                let hasty = scope.spawn(|| {
                    let short = Duration::from_micros(round % 100);
                    lock.try_lock_for(short).map(|mut guard| *guard += 1)
                });
                let patient = scope.spawn(|| *lock.lock() += 1);
                let end = Instant::now() + Duration::from_micros(round % 100);
                while Instant::now() < end {
                    thread::yield_now();
                }
                drop(guard);
                patient.join().unwrap();
                let got = i32::from(hasty.join().unwrap().is_some());
                assert_eq!(*lock.lock(), 1 + got);
            });
        });
    });
}

/// Holds the lock and calls `pass`, which unlocks it until another thread has locked it.
fn pass_on(pass: impl for<'a> Fn(&'a Mutex<bool>, MutexGuard<'a, bool>)) {
    for_about_a_second(|_| {
        let lock = Mutex::new(false);
        thread::scope(|scope| {
            let guard = lock.lock();
            scope.spawn(|| *lock.lock() = true);
            pass(&lock, guard);
            assert!(*lock.lock());
        });
    });
}

#[test]
fn bump_lets_a_waiter_have_the_lock() {
    watchdog(|| {
        pass_on(|_, mut guard| {
            while !*guard {
                MutexGuard::bump(&mut guard);
            }
        });
    });
}

#[test]
fn a_fair_unlock_lets_a_waiter_have_the_lock() {
    watchdog(|| {
        pass_on(|lock, mut guard| {
            while !*guard {
                MutexGuard::unlock_fair(guard);
                guard = lock.lock();
            }
        });
    });
}

/// A lock to take, and where to report that its turn has come.
type Errand = (Arc<Mutex<u32>>, Sender<()>);

/// Locks when its thread ends.
struct LocksAtTheEnd(Cell<Option<Errand>>);

impl Drop for LocksAtTheEnd {
    fn drop(&mut self) {
        let (lock, arrived) = self.0.take().expect("set by the thread");
        arrived.send(()).unwrap();
        *lock.lock() += 1;
        *lock.try_lock_for(Duration::MAX).unwrap() += 1;
    }
}

thread_local! {
    // One is made before the thread's first lock and one after: the lock's own thread-locals, if
    // it has any, are gone when one of them is dropped.
    static EARLY: LocksAtTheEnd = const { LocksAtTheEnd(Cell::new(None)) };
    static LATE: LocksAtTheEnd = const { LocksAtTheEnd(Cell::new(None)) };
}

#[test]
fn a_thread_locals_destructor_may_lock() {
    watchdog(|| {
        for_about_a_second(|_| {
            let lock = Arc::new(Mutex::new(0));
            let warm = Arc::new(Mutex::new(0));
            let (arrived, arrivals) = channel();
            let guard = lock.lock();
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (lock, warm, arrived) = (lock.clone(), warm.clone(), arrived.clone());
                    thread::spawn(move || {
                        EARLY.with(|at_end| at_end.0.set(Some((lock.clone(), arrived.clone()))));
                        for _ in 0..20 {
                            let _guard = warm.lock();
                            thread::yield_now();
                        }
                        LATE.with(|at_end| at_end.0.set(Some((lock, arrived))));
                    })
                })
                .collect();
            for _ in 0..4 {
                arrivals.recv().unwrap();
            }
            // Each thread is in its first destructor now, and finds the lock taken.
            drop(guard);
            for thread in threads {
                // Joining waits for the destructors too.
                thread.join().unwrap();
            }
            assert_eq!(*lock.lock(), 4 * 2 * 2);
        });
    });
}

/// Three threads lock and unlock without a pause until another has had the lock 50 times.
fn lock_beside_hogs(held: u32) {
    let lock = Mutex::new(Words::new());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    let mut guard = lock.lock();
                    guard.add();
                    for _ in 0..held {
                        spin_loop();
                    }
                }
            });
        }
        for _ in 0..50 {
            lock.lock().add();
            thread::yield_now();
        }
        over.store(true, SeqCst);
    });
}

#[test]
fn a_thread_gets_the_lock_beside_hogs() {
    watchdog(|| lock_beside_hogs(0));
}

#[test]
fn a_thread_gets_the_lock_beside_hogs_that_hold_it_long() {
    watchdog(|| lock_beside_hogs(2_000));
}
