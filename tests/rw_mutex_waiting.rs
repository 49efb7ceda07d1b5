//! Waiting for the reader-writer mutex, on real threads: wake-ups, hand-offs, hogs.
//!
//! Bugs that other locks had, and what would find each here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | parking_lot#471 | `bump` does nothing beside several readers and a waiting writer | `bumps_of_several_readers_let_a_waiting_writer_in` |
//! | tinygo#2407, tinygo#5692 | an unlock wakes one of several readers, late ones strand the writer | `an_unlock_lets_all_waiting_readers_in`, `readers_that_come_late_strand_no_writer` |
//! | golang#13086 | a hog starves a short locker | `writers_get_in_beside_readers`, `readers_get_in_beside_writers`, `upgraders_get_in_beside_readers_and_writers`, `readers_and_writers_get_in_beside_upgraders`, `a_writer_that_locks_now_and_then_gets_in_beside_writers` |
//!
//! A read lock taken again by its holder behind a waiting writer (parking_lot#212, golang#15418)
//! may deadlock: the docs tell, and a model finds it (`planted_deadlock_of_a_recursive_read` in
//! `tests/downstream/tests/models.rs`). Time-outs are in
//! `rw_mutex_timeouts.rs`.

mod common;

use common::locks::{Words, read_together};
use common::stress::for_about_a_second;
use common::watchdog;
use phalanx::{RwMutex, RwMutexReadGuard, RwMutexUpgradableReadGuard, RwMutexWriteGuard};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;

#[test]
fn bumps_of_several_readers_let_a_waiting_writer_in() {
    watchdog(|| {
        for round in 0..60 {
            let lock = RwMutex::new(0);
            if round % 2 == 1 {
                read_together(&lock, 3, 200);
            }
            let holding = Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let mut guard = lock.read();
                        holding.wait();
                        // No reader lets go but by way of `bump`.
                        while *guard == 0 {
                            RwMutexReadGuard::bump(&mut guard);
                        }
                        assert_eq!(*guard, 1);
                    });
                }
                holding.wait();
                *lock.write() = 1;
            });
            assert!(!lock.is_locked());
        }
    });
}

/// Holds the lock by way of `hold` until another thread has written, or read, by way of `visit`.
fn pass_on(hold: impl Fn(&RwMutex<u32>, &AtomicBool), visit: impl Fn(&RwMutex<u32>) + Sync) {
    for _ in 0..60 {
        let (lock, visited) = (RwMutex::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                visit(&lock);
                visited.store(true, SeqCst);
            });
            hold(&lock, &visited);
        });
        assert!(!lock.is_locked());
    }
}

#[test]
fn bump_lets_a_waiter_have_the_lock() {
    let bump_write = |lock: &RwMutex<u32>, visited: &AtomicBool| {
        let mut guard = lock.write();
        while !visited.load(SeqCst) {
            RwMutexWriteGuard::bump(&mut guard);
        }
    };
    let bump_upgradable = |lock: &RwMutex<u32>, visited: &AtomicBool| {
        let mut guard = lock.upgradable_read();
        while !visited.load(SeqCst) {
            RwMutexUpgradableReadGuard::bump(&mut guard);
        }
    };
    watchdog(move || {
        pass_on(bump_write, |lock| drop(lock.read()));
        pass_on(bump_write, |lock| drop(lock.write()));
        pass_on(bump_write, |lock| drop(lock.upgradable_read()));
        pass_on(bump_upgradable, |lock| drop(lock.write()));
        pass_on(bump_upgradable, |lock| drop(lock.upgradable_read()));
    });
}

#[test]
fn a_fair_unlock_lets_a_waiter_have_the_lock() {
    let write = |lock: &RwMutex<u32>, visited: &AtomicBool| {
        while !visited.load(SeqCst) {
            RwMutexWriteGuard::unlock_fair(lock.write());
        }
    };
    let upgradable = |lock: &RwMutex<u32>, visited: &AtomicBool| {
        while !visited.load(SeqCst) {
            RwMutexUpgradableReadGuard::unlock_fair(lock.upgradable_read());
        }
    };
    let read = |lock: &RwMutex<u32>, visited: &AtomicBool| {
        while !visited.load(SeqCst) {
            RwMutexReadGuard::unlock_fair(lock.read());
        }
    };
    watchdog(move || {
        pass_on(write, |lock| drop(lock.read()));
        pass_on(write, |lock| drop(lock.write()));
        pass_on(upgradable, |lock| drop(lock.write()));
        pass_on(upgradable, |lock| drop(lock.upgradable_read()));
        pass_on(read, |lock| drop(lock.write()));
    });
}

#[test]
fn an_unlock_lets_all_waiting_readers_in() {
    watchdog(|| {
        for round in 0..60 {
            let (lock, together) = (RwMutex::new(0), Barrier::new(6));
            let (arrived, arrivals) = channel();
            thread::scope(|scope| {
                let guard = lock.write();
                for _ in 0..6 {
                    let (lock, together, arrived) = (&lock, &together, arrived.clone());
                    scope.spawn(move || {
                        arrived.send(()).unwrap();
                        let _guard = lock.read();
                        // Opens when all of them hold the lock.
                        together.wait();
                    });
                }
                for _ in 0..6 {
                    arrivals.recv().unwrap();
                }
                match round % 2 {
                    0 => drop(guard),
                    _ => RwMutexWriteGuard::unlock_fair(guard),
                }
            });
        }
    });
}

#[test]
fn readers_that_come_late_strand_no_writer() {
    watchdog(|| {
        for_about_a_second(|round| {
            let lock = RwMutex::new(0);
            thread::scope(|scope| {
                let guard = lock.write();
                let readers = [(); 2].map(|()| scope.spawn(|| drop(lock.read())));
                let writer = scope.spawn(|| *lock.write() += 1);
                if round % 2 == 0 {
                    thread::yield_now();
                }
                drop(guard);
                // As it unlocks, others come.
                for _ in 0..5 {
                    drop(lock.read());
                }
                let late = scope.spawn(|| drop(lock.read()));
                writer.join().unwrap();
                for reader in readers.into_iter().chain([late]) {
                    reader.join().unwrap();
                }
            });
            assert_eq!(lock.into_inner(), 1);
        });
    });
}

/// Three threads `hog` without a pause until another one has had its `turns`.
fn beside_hogs(hog: fn(&RwMutex<Words>), turns: u32, turn: fn(&RwMutex<Words>)) {
    let lock = RwMutex::new(Words::new());
    let (over, hogging) = (AtomicBool::new(false), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                hogging.wait();
                while !over.load(SeqCst) {
                    hog(&lock);
                }
            });
        }
        hogging.wait();
        for _ in 0..turns {
            turn(&lock);
        }
        over.store(true, SeqCst);
    });
}

fn read(lock: &RwMutex<Words>) {
    lock.read().get();
}

fn write(lock: &RwMutex<Words>) {
    lock.write().add();
}

fn upgrade(lock: &RwMutex<Words>) {
    lock.upgradable_read().with_upgraded(Words::add);
}

#[test]
fn writers_get_in_beside_readers() {
    watchdog(|| beside_hogs(read, 100, write));
}

#[test]
fn readers_get_in_beside_writers() {
    watchdog(|| beside_hogs(write, 100, read));
}

#[test]
fn upgraders_get_in_beside_readers_and_writers() {
    watchdog(|| {
        beside_hogs(read, 50, upgrade);
        beside_hogs(write, 50, upgrade);
    });
}

#[test]
fn readers_and_writers_get_in_beside_upgraders() {
    watchdog(|| {
        beside_hogs(upgrade, 50, read);
        beside_hogs(upgrade, 50, write);
    });
}

#[test]
fn a_writer_that_locks_now_and_then_gets_in_beside_writers() {
    watchdog(|| beside_hogs(write, 50, write));
}
