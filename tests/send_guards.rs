//! Guards that are dropped on another thread.
//!
//! Bugs that other locks had, and the tests that would fail:
//!
//! | report | the bug | test |
//! | --- | --- | --- |
//! | RUSTSEC-2020-0070 | a guard goes where its data may not; its twin, one that stays though it might go | `guards_go_where_their_data_may` |
//! | rust#123458 | a new thread is mistaken for an ended one at the same address | `a_read_guard_outlives_its_thread_and_its_successors` |

mod common;

use common::locks::{Dice, Goes, StaysHere, Words, read_together};
use common::stress::for_about_a_second;
use common::watchdog;
use phalanx::{
    MappedMutexGuard, MappedRwMutexReadGuard, MappedRwMutexWriteGuard, Mutex, MutexGuard, RwMutex,
    RwMutexReadGuard, RwMutexUpgradableReadGuard, RwMutexWriteGuard,
};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::Duration;

#[test]
fn guards_go_where_their_data_may() {
    const fn go<T: Send + Sync>() {}
    const {
        go::<MutexGuard<'static, u8>>();
        go::<MappedMutexGuard<'static, u8>>();
        go::<RwMutexReadGuard<'static, u8>>();
        go::<RwMutexWriteGuard<'static, u8>>();
        go::<RwMutexUpgradableReadGuard<'static, u8>>();
        go::<MappedRwMutexReadGuard<'static, u8>>();
        go::<MappedRwMutexWriteGuard<'static, u8>>();
        // Exclusive access may move to another thread, but not be shared there.
        assert!(Goes::<MutexGuard<'static, Cell<u8>>>::SEND);
        assert!(!Goes::<MutexGuard<'static, Cell<u8>>>::SYNC);
        assert!(!Goes::<RwMutexWriteGuard<'static, Cell<u8>>>::SYNC);
        assert!(!Goes::<RwMutexReadGuard<'static, Cell<u8>>>::SEND);
    }
}

/// Runs `f` in a thread of its own, to its end.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

#[test]
fn a_mutex_is_unlocked_by_another_thread() {
    watchdog(|| {
        let lock = Mutex::new((0, 0));
        for _ in 0..100 {
            let mut guard = lock.lock();
            elsewhere(move || {
                guard.0 += 1;
                drop(guard);
            });
            assert!(!lock.is_locked());
            let mut guard = elsewhere(|| lock.lock());
            assert!(lock.is_locked());
            MutexGuard::bump(&mut guard);
            let mapped = MutexGuard::map(guard, |pair| &mut pair.1);
            elsewhere(move || {
                let mut mapped = mapped;
                *mapped += 1;
                MappedMutexGuard::unlock_fair(mapped);
            });
            assert!(!lock.is_locked());
        }
        assert_eq!(lock.into_inner(), (100, 100));
    });
}

#[test]
fn a_mutex_is_unlocked_by_another_thread_while_a_third_waits() {
    watchdog(|| {
        for_about_a_second(|_| {
            let lock = Mutex::new(0);
            thread::scope(|scope| {
                let guard = lock.lock();
                let waiter = scope.spawn(|| *lock.lock() += 1);
                scope.spawn(move || drop(guard));
                waiter.join().unwrap();
            });
            assert_eq!(lock.into_inner(), 1);
        });
    });
}

#[test]
fn an_rw_mutex_is_unlocked_by_another_thread_in_every_mode() {
    watchdog(|| {
        let lock = RwMutex::new((0, 0));
        for round in 0..100 {
            if round % 2 == 1 {
                read_together(&lock, 3, 100);
            }
            let read = lock.read();
            elsewhere(move || drop(read));
            assert!(!lock.is_locked());
            let read = elsewhere(|| RwMutexReadGuard::map(lock.read(), |pair| &pair.0));
            assert!(lock.try_write().is_none());
            elsewhere(move || MappedRwMutexReadGuard::unlock_fair(read));
            assert!(!lock.is_locked());
            let mut write = lock.write();
            let read = elsewhere(move || {
                write.0 += 1;
                RwMutexWriteGuard::downgrade(write)
            });
            assert!(lock.try_read().is_some() && lock.try_write().is_none());
            drop(read);
            assert!(!lock.is_locked());
            let upgradable = lock.upgradable_read();
            let write = elsewhere(move || RwMutexUpgradableReadGuard::upgrade(upgradable));
            let mut second = RwMutexWriteGuard::map(write, |pair| &mut pair.1);
            elsewhere(move || {
                *second += 1;
                drop(second);
            });
            assert!(!lock.is_locked());
            let read = elsewhere(|| RwMutexUpgradableReadGuard::downgrade(lock.upgradable_read()));
            let mut others = lock.read();
            RwMutexReadGuard::bump(&mut others);
            drop(elsewhere(move || (read, others)));
            assert!(!lock.is_locked());
        }
        assert_eq!(lock.into_inner(), (100, 100));
    });
}

#[test]
fn a_read_guard_is_released_elsewhere_while_a_writer_waits() {
    watchdog(|| {
        for_about_a_second(|round| {
            let lock = RwMutex::new(0);
            if round % 2 == 1 {
                read_together(&lock, 3, 200);
            }
            thread::scope(|scope| {
                let (guard, second) = (lock.read(), lock.read());
                let theirs = elsewhere(|| lock.read());
                let writer = scope.spawn(|| *lock.write() += 1);
                while lock.try_read().is_some() {
                    thread::yield_now();
                }
                scope.spawn(move || drop(guard));
                drop(theirs);
                scope.spawn(move || RwMutexReadGuard::unlock_fair(second));
                writer.join().unwrap();
            });
            assert_eq!(lock.into_inner(), 1);
        });
    });
}

#[test]
fn a_read_guard_outlives_its_thread_and_its_successors() {
    watchdog(|| {
        let lock = RwMutex::new(0);
        for kept in [1, 3, 12] {
            read_together(&lock, 3, 500);
            let mut guards = elsewhere(|| (0..kept).map(|_| lock.read()).collect::<Vec<_>>());
            while let Some(guard) = guards.pop() {
                // Each may have the memory of the thread that took the guards.
                for _ in 0..20 {
                    elsewhere(|| drop([lock.read(), lock.read()]));
                    read_together(&lock, 2, 5);
                    assert!(elsewhere(|| lock.try_write().is_none()));
                }
                elsewhere(move || drop(guard));
            }
            assert!(!lock.is_locked());
            *lock.try_write().expect("all guards are dropped") += 1;
        }
        assert_eq!(lock.into_inner(), 3);
    });
}

#[test]
fn read_guards_sent_to_other_threads_keep_writers_out() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        read_together(&lock, 3, 500);
        thread::scope(|scope| {
            let lock = &lock;
            let mut senders = Vec::new();
            for _ in 0..2 {
                let (sender, receiver) = sync_channel::<(u64, RwMutexReadGuard<'_, Words>)>(4);
                senders.push(sender);
                scope.spawn(move || {
                    for (seen, guard) in receiver {
                        assert_eq!(guard.get(), seen);
                    }
                });
            }
            for seed in 0..3 {
                let senders = senders.clone();
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    for_about_a_second(|_| {
                        let guard = lock.read();
                        let there = dice.roll(senders.len() as u64) as usize;
                        senders[there].send((guard.get(), guard)).unwrap();
                    });
                });
            }
            drop(senders);
            scope.spawn(|| {
                let mut timed = 0;
                let writes = for_about_a_second(|_| {
                    lock.write().add();
                    if let Some(mut guard) = lock.try_write_for(Duration::from_micros(50)) {
                        timed += 1;
                        guard.add();
                    }
                });
                assert_eq!(lock.read().get(), writes + timed);
            });
        });
        assert!(!lock.is_locked());
    });
}

#[test]
fn exclusive_guards_are_sent_to_another_thread() {
    watchdog(|| {
        let (mutex, rw_mutex) = (Mutex::new(Words::new()), RwMutex::new(Words::new()));
        let sent = AtomicU64::new(0);
        thread::scope(|scope| {
            let (sender, receiver) =
                channel::<(MutexGuard<'_, Words>, RwMutexWriteGuard<'_, Words>)>();
            scope.spawn(move || {
                for (mut one, mut other) in receiver {
                    one.add();
                    other.add();
                }
            });
            for _ in 0..2 {
                let (mutex, rw_mutex, sender) = (&mutex, &rw_mutex, sender.clone());
                let sent = &sent;
                scope.spawn(move || {
                    let rounds = for_about_a_second(|_| {
                        let one = mutex.lock();
                        sender.send((one, rw_mutex.write())).unwrap();
                        rw_mutex.read().get();
                    });
                    sent.fetch_add(rounds, SeqCst);
                });
            }
            drop(sender);
        });
        let sent = sent.into_inner();
        assert_eq!((mutex.into_inner().get(), rw_mutex.into_inner().get()), (sent, sent));
    });
}
