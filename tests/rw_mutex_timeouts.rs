//! Time-outs of the reader-writer mutex, on real threads.
//!
//! Bugs that other locks had, and what would find each here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | parking_lot#465, parking_lot#466, golang#37852 | a timed-out waiter takes the mark that others wait | `time_outs_of_all_kinds_leave_no_one_asleep`, `of_one_unlock_and_one_time_out_the_patient_waiter_gets_the_lock` |
//! | parking_lot 249cb2a | a writer's time-out leaves parked upgraders asleep | `a_writer_that_gives_up_lets_waiting_upgradable_reads_in` |
//! | llvm#201937 | a writer's time-out swallows the wake-up of readers | `a_writer_that_gives_up_lets_waiting_readers_in`, `an_upgrade_that_gives_up_lets_waiting_readers_in` |

mod common;

use common::locks::{Dice, Words, read_together};
use common::stress::for_about_a_second;
use common::watchdog;
use phalanx::{RwMutex, RwMutexUpgradableReadGuard};
use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Returns when a writer waits for the reader that the caller is, or when `gone`.
fn until_a_writer_waits<T>(lock: &RwMutex<T>, gone: impl Fn() -> bool) {
    while !gone() && lock.try_read().is_some() {
        thread::yield_now();
    }
}

/// Beside a reader, a writer times out; then every thread that may enter beside a reader does.
fn beside_a_writer_that_gives_up(wait: impl Fn(&RwMutex<u32>) + Sync) {
    for round in 0..60 {
        let lock = RwMutex::new(0);
        if round % 2 == 1 {
            read_together(&lock, 3, 200);
        }
        let reader = lock.read();
        thread::scope(|scope| {
            let (lock, limit) = (&lock, Duration::from_millis(1 + round % 3));
            let writer = scope.spawn(move || lock.try_write_for(limit).is_some());
            until_a_writer_waits(lock, || writer.is_finished());
            // They find the writer waiting, and must go on when it times out.
            let waiters = [(); 3].map(|()| scope.spawn(|| wait(lock)));
            for waiter in waiters {
                waiter.join().unwrap();
            }
            assert!(!writer.join().unwrap());
        });
        drop(reader);
        assert!(!lock.is_locked());
    }
}

#[test]
fn a_writer_that_gives_up_lets_waiting_readers_in() {
    watchdog(|| {
        beside_a_writer_that_gives_up(|lock| drop(lock.read()));
        beside_a_writer_that_gives_up(|lock| drop(lock.try_read_for(Duration::MAX).unwrap()));
    });
}

#[test]
fn a_writer_that_gives_up_lets_waiting_upgradable_reads_in() {
    watchdog(|| {
        beside_a_writer_that_gives_up(|lock| drop(lock.upgradable_read()));
        beside_a_writer_that_gives_up(|lock| {
            drop(lock.read());
            drop(lock.try_upgradable_read_for(Duration::MAX).unwrap());
        });
    });
}

#[test]
fn a_writer_that_gives_up_leaves_the_next_one_its_turn() {
    watchdog(|| {
        for round in 0..60 {
            let lock = RwMutex::new(0);
            if round % 2 == 1 {
                read_together(&lock, 3, 200);
            }
            let reader = lock.read();
            thread::scope(|scope| {
                let (lock, limit) = (&lock, Duration::from_micros(500));
                let hasty = scope.spawn(move || lock.try_write_for(limit).is_some());
                until_a_writer_waits(lock, || hasty.is_finished());
                let patient = scope.spawn(|| *lock.write() += 1);
                assert!(!hasty.join().unwrap());
                until_a_writer_waits(lock, || false);
                drop(reader);
                patient.join().unwrap();
            });
            assert_eq!(lock.into_inner(), 1);
        }
    });
}

#[test]
fn an_upgrade_that_gives_up_lets_waiting_readers_in() {
    watchdog(|| {
        for round in 0..60 {
            let lock = RwMutex::new(0);
            if round % 2 == 1 {
                read_together(&lock, 3, 200);
            }
            let reader = lock.read();
            let (gave_up, (release, released)) = (AtomicBool::new(false), channel::<()>());
            thread::scope(|scope| {
                let (lock, gave_up) = (&lock, &gave_up);
                scope.spawn(move || {
                    let limit = Duration::from_millis(1 + round % 3);
                    let guard = lock.upgradable_read();
                    let refused = RwMutexUpgradableReadGuard::try_upgrade_for(guard, limit);
                    gave_up.store(true, SeqCst);
                    assert!(refused.is_err());
                    // Keeps its upgradable read lock until the others are through.
                    let _ = released.recv();
                });
                until_a_writer_waits(lock, || gave_up.load(SeqCst));
                let readers = [(); 3].map(|()| scope.spawn(|| drop(lock.read())));
                let next = scope.spawn(|| drop(lock.upgradable_read()));
                for reader in readers {
                    reader.join().unwrap();
                }
                drop(release);
                next.join().unwrap();
            });
            drop(reader);
            assert!(!lock.is_locked());
        }
    });
}

#[test]
fn a_timed_lock_of_a_free_mutex_succeeds_whatever_its_limit() {
    let lock = RwMutex::new(());
    for limit in [Duration::ZERO, Duration::MAX] {
        assert!(lock.try_read_for(limit).is_some());
        assert!(lock.try_write_for(limit).is_some());
        assert!(lock.try_upgradable_read_for(limit).is_some());
    }
    let now = Instant::now();
    assert!(lock.try_read_until(now).is_some());
    assert!(lock.try_write_until(now).is_some());
    assert!(lock.try_upgradable_read_until(now).is_some());
}

#[test]
fn a_timed_lock_of_a_held_mutex_fails_not_before_its_limit() {
    watchdog(|| {
        let lock = RwMutex::new(());
        for writing in [true, false] {
            let read = (!writing).then(|| lock.read());
            let write = writing.then(|| lock.write());
            for limit in [Duration::ZERO, Duration::from_micros(50), Duration::from_millis(2)] {
                let start = Instant::now();
                assert!(lock.try_write_for(limit).is_none());
                assert!(start.elapsed() >= limit);
                let end = Instant::now() + limit;
                assert!(lock.try_write_until(end).is_none());
                assert!(Instant::now() >= end);
                assert_eq!(lock.try_read_for(limit).is_none(), writing);
                assert_eq!(lock.try_upgradable_read_for(limit).is_none(), writing);
                assert_eq!(lock.try_read_until(start).is_none(), writing);
            }
            drop((read, write));
            assert!(!lock.is_locked());
        }
    });
}

#[test]
fn time_outs_of_all_kinds_leave_no_one_asleep() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        let (over, added, patient) = (AtomicBool::new(false), AtomicU64::new(0), Barrier::new(4));
        thread::scope(|scope| {
            let (lock, over, added, patient) = (&lock, &over, &added, &patient);
            for seed in 0..4 {
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    while !over.load(SeqCst) {
                        let limit = Duration::from_micros(dice.roll(60));
                        let more = match dice.roll(4) {
                            0 => lock.try_read_for(limit).map(|guard| guard.get()).map(|_| 0),
                            1 => lock.try_write_for(limit).map(|mut guard| guard.add()).map(|_| 1),
                            2 => lock.try_upgradable_read_for(limit).map(|_| 0),
                            _ => {
                                let mut guard = lock.upgradable_read();
                                guard.try_with_upgraded_for(limit, Words::add).map(|_| 1)
                            }
                        };
                        added.fetch_add(more.unwrap_or(0), SeqCst);
                    }
                });
            }
            // Those without a limit must all be woken in the end, each time.
            let waits: [fn(&RwMutex<Words>) -> u64; 3] = [
                |lock| {
                    let guard = lock.read();
                    for _ in 0..500 {
                        spin_loop();
                    }
                    guard.get();
                    0
                },
                |lock| {
                    lock.write().add();
                    1
                },
                |lock| {
                    RwMutexUpgradableReadGuard::upgrade(lock.upgradable_read()).add();
                    1
                },
            ];
            for wait in waits {
                scope.spawn(move || {
                    for_about_a_second(|_| {
                        added.fetch_add(wait(lock), SeqCst);
                    });
                    patient.wait();
                });
            }
            patient.wait();
            over.store(true, SeqCst);
        });
        assert_eq!(lock.try_write().expect("nobody is left").get(), added.load(SeqCst));
    });
}

#[test]
fn of_one_unlock_and_one_time_out_the_patient_waiter_gets_the_lock() {
    watchdog(|| {
        for_about_a_second(|round| {
            let lock = RwMutex::new(0);
            let pause = Duration::from_micros(round % 70);
            thread::scope(|scope| {
                let read = (round % 2 == 0).then(|| lock.read());
                let write = (round % 2 == 1).then(|| lock.write());
                scope.spawn(|| drop(lock.try_write_for(pause)));
                let patient = scope.spawn(|| match round % 3 {
                    0 => *lock.write() += 1,
                    1 => *RwMutexUpgradableReadGuard::upgrade(lock.upgradable_read()) += 1,
                    _ => {
                        drop(lock.read());
                        *lock.write() += 1;
                    }
                });
                let end = Instant::now() + pause;
                while Instant::now() < end {
                    thread::yield_now();
                }
                drop((read, write));
                patient.join().unwrap();
            });
            assert_eq!(lock.into_inner(), 1);
        });
    });
}
