//! Changing the mode of a reader-writer mutex while holding it, on real threads.
//!
//! Bugs that other locks had, and the test that would find each here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | parking_lot#101 | a queued upgradable blocks plain reads | `a_queued_upgradable_read_holds_up_no_plain_read` |
//! | parking_lot#392, parking_lot#406, parking_lot#430 | a second `with_upgraded` hangs or underflows | `with_upgraded_may_be_repeated`, `with_upgraded_may_be_repeated_beside_readers` |
//! | shuttle#351 | an upgrade releases before it reacquires, and a writer slips between | `no_writer_slips_between_reading_and_upgrading` |
//! | tokio#2957, dashmap#328 | a downgrade also runs the write guard's drop | `a_change_of_mode_releases_once` |
//! | rust#128219 | `downgrade` underflows under stress | `downgrades_keep_the_value_and_the_count` |

mod common;

use common::locks::{Dice, Words, read_together};
use common::stress::for_about_a_second;
use common::{panic_of, watchdog};
use phalanx::{RwMutex, RwMutexReadGuard, RwMutexUpgradableReadGuard, RwMutexWriteGuard};
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_change_of_mode_releases_once() {
    fn check<'a, G>(lock: &'a RwMutex<u32>, change: impl FnOnce(&'a RwMutex<u32>) -> G) {
        let changed = change(lock);
        // Were the old guard released too, this reader would stand alone after the next line.
        let reader = lock.try_read();
        let readers = reader.is_some();
        assert!(lock.is_locked());
        assert!(lock.try_write().is_none());
        drop(changed);
        assert_eq!(lock.is_locked(), readers);
        assert_eq!(lock.try_write().is_none(), readers);
        drop(reader);
        assert!(!lock.is_locked());
        assert!(lock.try_write().is_some());
    }
    let lock = RwMutex::new(0);
    for round in 0..3 {
        if round == 1 {
            read_together(&lock, 3, 1_000);
        }
        check(&lock, |lock| RwMutexWriteGuard::downgrade(lock.write()));
        check(&lock, |lock| RwMutexWriteGuard::downgrade_to_upgradable(lock.write()));
        check(&lock, |lock| RwMutexUpgradableReadGuard::downgrade(lock.upgradable_read()));
        check(&lock, |lock| RwMutexUpgradableReadGuard::upgrade(lock.upgradable_read()));
        check(&lock, |lock| RwMutexUpgradableReadGuard::try_upgrade(lock.upgradable_read()));
        check(&lock, |lock| {
            RwMutexUpgradableReadGuard::try_upgrade_for(lock.upgradable_read(), Duration::ZERO)
        });
        check(&lock, |lock| {
            RwMutexUpgradableReadGuard::try_upgrade_for(lock.upgradable_read(), Duration::MAX)
        });
        check(&lock, |lock| {
            RwMutexUpgradableReadGuard::try_upgrade_until(lock.upgradable_read(), Instant::now())
        });
        check(&lock, |lock| {
            let upgraded = RwMutexUpgradableReadGuard::upgrade(lock.upgradable_read());
            let upgradable = RwMutexWriteGuard::downgrade_to_upgradable(upgraded);
            RwMutexWriteGuard::downgrade(RwMutexUpgradableReadGuard::upgrade(upgradable))
        });
        // Refused changes leave the guard as it was.
        let reader = lock.read();
        let upgradable = lock.upgradable_read();
        let Err(upgradable) = RwMutexUpgradableReadGuard::try_upgrade(upgradable) else {
            panic!("upgraded beside a reader");
        };
        let limit = Duration::from_micros(100);
        let start = Instant::now();
        let Err(upgradable) = RwMutexUpgradableReadGuard::try_upgrade_for(upgradable, limit) else {
            panic!("upgraded beside a reader");
        };
        assert!(start.elapsed() >= limit);
        drop(reader);
        assert!(lock.try_upgradable_read().is_none());
        drop(RwMutexUpgradableReadGuard::try_upgrade(upgradable).expect("alone now"));
        assert!(!lock.is_locked());
    }
}

#[test]
fn with_upgraded_may_be_repeated() {
    let lock = RwMutex::new(Words::new());
    let mut guard = lock.upgradable_read();
    for round in 1..=1_000 {
        assert_eq!(guard.with_upgraded(Words::add), 2 * round - 1);
        assert_eq!(guard.try_with_upgraded(Words::add), Some(2 * round));
        assert_eq!(guard.get(), 2 * round);
        assert!(lock.try_upgradable_read().is_none());
        assert_eq!(lock.try_read().expect("not upgraded any more").get(), 2 * round);
    }
    // A closure that panics leaves the guard upgradable, too.
    let panics = AssertUnwindSafe(|| {
        guard.with_upgraded(|_| -> () { resume_unwind(Box::new("upgraded")) });
    });
    assert!(catch_unwind(panics).is_err());
    assert!(lock.try_read().is_some() && lock.try_upgradable_read().is_none());
    assert_eq!(guard.with_upgraded(Words::add), 2_001);
    drop(guard);
    assert!(!lock.is_locked());
}

#[test]
fn with_upgraded_may_be_repeated_beside_readers() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        let over = AtomicBool::new(false);
        let rounds = thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        lock.read().get();
                    }
                });
            }
            let mut dice = Dice::new(0);
            let rounds = for_about_a_second(|_| {
                let mut guard = lock.upgradable_read();
                let before = guard.get();
                for added in 1..=20 {
                    let limit = Duration::from_micros(dice.roll(50));
                    if guard.try_with_upgraded_for(limit, Words::add).is_none() {
                        assert_eq!(guard.get(), before + added - 1);
                        guard.with_upgraded(Words::add);
                    }
                    assert_eq!(guard.get(), before + added);
                }
            });
            over.store(true, SeqCst);
            rounds
        });
        assert!(!lock.is_locked());
        assert_eq!(lock.into_inner().get(), 20 * rounds);
    });
}

#[test]
fn a_queued_upgradable_read_holds_up_no_plain_read() {
    watchdog(|| {
        for_about_a_second(|_| {
            let lock = RwMutex::new(());
            let held = lock.upgradable_read();
            let (arrived, arrival) = channel();
            thread::scope(|scope| {
                let queued = scope.spawn(|| {
                    arrived.send(()).unwrap();
                    drop(lock.upgradable_read());
                });
                arrival.recv().unwrap();
                // Nobody but readers is here: each read gets in, while the other one queues up.
                for _ in 0..50 {
                    drop(lock.read());
                    assert!(lock.try_read().is_some());
                    thread::yield_now();
                }
                let reader = scope.spawn(|| drop(lock.read()));
                reader.join().unwrap();
                drop(held);
                queued.join().unwrap();
            });
        });
    });
}

#[test]
fn no_writer_slips_between_reading_and_upgrading() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        read_together(&lock, 3, 1_000);
        let added = AtomicU64::new(0);
        thread::scope(|scope| {
            for seed in 0..2 {
                let (lock, added) = (&lock, &added);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    for_about_a_second(|_| {
                        let mut guard = lock.upgradable_read();
                        let seen = guard.get();
                        // Most time-outs of the upgrade fall into the readers' time.
                        let mut upgraded = loop {
                            let limit = Duration::from_micros(dice.roll(20));
                            match RwMutexUpgradableReadGuard::try_upgrade_for(guard, limit) {
                                Ok(upgraded) => break upgraded,
                                Err(refused) if dice.roll(2) == 0 => guard = refused,
                                Err(refused) => {
                                    assert_eq!(refused.get(), seen);
                                    break RwMutexUpgradableReadGuard::upgrade(refused);
                                }
                            }
                        };
                        assert_eq!(upgraded.get(), seen);
                        upgraded.add();
                        added.fetch_add(1, SeqCst);
                    });
                });
                scope.spawn(move || {
                    let writes = for_about_a_second(|_| {
                        lock.write().add();
                        lock.read().get();
                    });
                    added.fetch_add(writes, SeqCst);
                });
            }
        });
        assert_eq!(lock.into_inner().get(), added.into_inner());
    });
}

#[test]
fn downgrades_keep_the_value_and_the_count() {
    watchdog(|| {
        let (lock, writes) = (RwMutex::new(Words::new()), AtomicU64::new(0));
        thread::scope(|scope| {
            for seed in 0..4 {
                let (lock, writes) = (&lock, &writes);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    let rounds = for_about_a_second(|_| {
                        let mut guard = lock.write();
                        let added = guard.add();
                        let guard = match dice.roll(2) {
                            0 => RwMutexWriteGuard::downgrade(guard),
                            _ => RwMutexUpgradableReadGuard::downgrade(
                                RwMutexWriteGuard::downgrade_to_upgradable(guard),
                            ),
                        };
                        if dice.roll(4) == 0 {
                            thread::yield_now();
                        }
                        // Readers came in, but no writer.
                        assert_eq!(guard.get(), added);
                    });
                    writes.fetch_add(rounds, SeqCst);
                });
            }
        });
        assert!(!lock.is_locked());
        assert_eq!(lock.try_write().expect("nobody is left").get(), writes.into_inner());
    });
}

#[test]
fn a_downgrade_lets_waiting_readers_in() {
    fn check<G>(downgrade: impl Fn(RwMutexWriteGuard<'static, u32>) -> G) {
        static LOCK: RwMutex<u32> = RwMutex::new(0);
        for_about_a_second(|_| {
            let mut guard = LOCK.write();
            let (arrived, arrivals) = channel();
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let arrived = arrived.clone();
                    thread::spawn(move || {
                        arrived.send(()).unwrap();
                        *LOCK.read()
                    })
                })
                .collect();
            for _ in 0..3 {
                arrivals.recv().unwrap();
            }
            *guard += 1;
            let guard = (*guard, downgrade(guard));
            // They need not wait for the rest of it.
            for reader in readers {
                assert_eq!(reader.join().unwrap(), guard.0);
            }
        });
        assert!(!LOCK.is_locked());
    }
    watchdog(|| {
        check(RwMutexWriteGuard::downgrade);
        check(RwMutexWriteGuard::downgrade_to_upgradable);
    });
}

#[test]
fn a_downgrade_lets_a_waiting_upgradable_read_in() {
    watchdog(|| {
        for_about_a_second(|round| {
            let lock = RwMutex::new(());
            let (arrived, arrival) = channel();
            thread::scope(|scope| {
                let take = || match round % 2 {
                    0 => Err(lock.upgradable_read()),
                    _ => Ok(lock.write()),
                };
                let guard = take();
                let waiter = scope.spawn(|| {
                    arrived.send(()).unwrap();
                    drop(lock.upgradable_read());
                });
                arrival.recv().unwrap();
                let guard: RwMutexReadGuard<'_, ()> = match guard {
                    Ok(write) => RwMutexWriteGuard::downgrade(write),
                    Err(upgradable) => RwMutexUpgradableReadGuard::downgrade(upgradable),
                };
                waiter.join().unwrap();
                drop(guard);
            });
            assert!(!lock.is_locked());
        });
    });
}

#[test]
fn an_upgrade_waits_for_the_readers_and_for_nobody_else() {
    watchdog(|| {
        for_about_a_second(|round| {
            let lock = RwMutex::new(0);
            if round % 2 == 1 {
                read_together(&lock, 3, 200);
            }
            let (arrived, arrival) = channel();
            thread::scope(|scope| {
                let reader = lock.read();
                let upgrader = scope.spawn(|| {
                    let guard = lock.upgradable_read();
                    arrived.send(()).unwrap();
                    *RwMutexUpgradableReadGuard::upgrade(guard) = 1;
                });
                arrival.recv().unwrap();
                // Comes after the upgrader, which holds the lock already.
                let writer = scope.spawn(|| {
                    let mut guard = lock.write();
                    assert_eq!(*guard, 1);
                    *guard = 2;
                });
                assert_eq!(*reader, 0);
                thread::yield_now();
                assert_eq!(*reader, 0);
                drop(reader);
                upgrader.join().unwrap();
                writer.join().unwrap();
            });
            assert_eq!(lock.into_inner(), 2);
        });
    });
}

/// Each of these guards was upgradable once, so none of them came in as a reader and was counted
/// as one too many. Found in a review of the first version: the count overflowed into nothing, and
/// a writer came in beside them.
#[test]
fn downgraded_guards_forgotten_by_the_million_are_refused_before_the_count_overflows() {
    watchdog(|| {
        let lock = RwMutex::new(7);
        let refused = panic_of(|| {
            loop {
                forget(RwMutexUpgradableReadGuard::downgrade(lock.upgradable_read()));
            }
        });
        assert!(refused.message.starts_with("RwMutex: too many readers"), "{refused:?}");
        assert!(lock.try_write().is_none());
        assert!(
            lock.try_upgradable_read().is_some(),
            "the guard that was refused is not locked for ever"
        );
        assert_eq!(panic_of(|| lock.read()).message, refused.message);
    });
}
