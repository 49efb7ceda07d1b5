//! Tries of the reader-writer mutex: no other call notices a failed try, and a try that is alone succeeds.
//!
//! The same is modelled in `src/rw_mutex/models/mod.rs` (`nobody_notices_a_try_to_write_that_fails`), over all
//! orders; here, for as long as a second.

mod common;

use common::locks::read_together;
use common::watchdog;
use phalanx::{RwMutex, RwMutexUpgradableReadGuard as Upgradable};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// How long the tries go on.
const TIME: Duration = Duration::from_millis(700);

/// Locks whose readers have met, and one whose readers have not: the first is likely to be biased.
fn locks() -> [RwMutex<u32>; 2] {
    let locks = [RwMutex::new(0), RwMutex::new(0)];
    read_together(&locks[0], 3, 5_000);
    locks
}

/// A read lock is held while one thread tries `fails`, and others read.
fn beside_readers(fails: fn(&RwMutex<u32>) -> bool) {
    const READERS: usize = 3;
    watchdog(move || {
        for lock in locks() {
            let (over, start) = (AtomicBool::new(false), Barrier::new(READERS + 2));
            let (failed, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..READERS {
                    scope.spawn(|| {
                        start.wait();
                        while !over.load(SeqCst) {
                            failed.fetch_add(usize::from(lock.try_read().is_none()), SeqCst);
                            let in_time = lock.try_read_for(Duration::ZERO).is_none();
                            failed.fetch_add(usize::from(in_time), SeqCst);
                        }
                    });
                }
                scope.spawn(|| {
                    let held = lock.read();
                    start.wait();
                    while !over.load(SeqCst) {
                        assert!(!fails(&lock), "it writes beside a reader");
                        tried.fetch_add(1, SeqCst);
                    }
                    drop(held);
                });
                start.wait();
                let begun = Instant::now();
                while begun.elapsed() < TIME || tried.load(SeqCst) < 1_000 {
                    thread::yield_now();
                }
                over.store(true, SeqCst);
            });
            assert_eq!(failed.into_inner(), 0, "reads that failed, and nobody wrote");
        }
    });
}

#[test]
fn no_reader_notices_a_try_to_write_that_fails() {
    beside_readers(|lock| lock.try_write().is_some());
}

#[test]
fn no_reader_notices_a_write_with_no_time_that_fails() {
    beside_readers(|lock| lock.try_write_for(Duration::ZERO).is_some());
    beside_readers(|lock| lock.try_write_until(Instant::now()).is_some());
}

#[test]
fn no_reader_notices_a_try_to_upgrade_that_fails() {
    beside_readers(|lock| Upgradable::try_upgrade(lock.upgradable_read()).is_ok());
    beside_readers(|lock| {
        Upgradable::try_upgrade_for(lock.upgradable_read(), Duration::ZERO).is_ok()
    });
}

#[test]
fn a_try_alone_succeeds_whatever_failed_before() {
    for lock in locks() {
        for round in 0..200 {
            let held = lock.read();
            assert!(lock.try_write().is_none() && lock.try_write_for(Duration::ZERO).is_none());
            let upgradable = lock.try_upgradable_read().expect("only a reader is inside");
            let upgradable = Upgradable::try_upgrade(upgradable).expect_err("a reader is inside");
            assert!(lock.try_upgradable_read().is_none() && lock.try_read().is_some());
            drop((held, upgradable));
            *lock.try_write().expect("nobody is inside") += 1;
            *lock.try_write_for(Duration::ZERO).expect("nobody is inside") += 1;
            let upgradable = lock.try_upgradable_read().expect("nobody is inside");
            *Upgradable::try_upgrade(upgradable).expect("nobody else is inside") += 1;
            assert_eq!(*lock.read(), 3 * (round + 1));
            assert!(!lock.is_locked());
        }
    }
}

/// Of threads that only try, one succeeds in each round: a failed try is explained by one that succeeds.
#[test]
fn tries_to_write_don_t_fail_by_one_another_alone() {
    const TRIERS: usize = 4;
    watchdog(|| {
        for lock in locks() {
            let (start, done) = (Barrier::new(TRIERS), Barrier::new(TRIERS));
            let (succeeded, over) = (AtomicUsize::new(0), AtomicBool::new(false));
            let end = Instant::now() + Duration::from_millis(500);
            thread::scope(|scope| {
                for _ in 0..TRIERS {
                    scope.spawn(|| {
                        while !over.load(SeqCst) {
                            let rounds = succeeded.load(SeqCst);
                            start.wait();
                            if let Some(mut guard) = lock.try_write() {
                                *guard += 1;
                                succeeded.fetch_add(1, SeqCst);
                            }
                            // One of the threads decides for all of them whether another round follows.
                            if done.wait().is_leader() {
                                over.store(Instant::now() >= end, SeqCst);
                            }
                            assert!(succeeded.load(SeqCst) > rounds, "all of them failed");
                            done.wait();
                        }
                    });
                }
            });
            assert_eq!(*lock.read() as usize, succeeded.into_inner());
        }
    });
}
