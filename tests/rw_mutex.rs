//! What the reader-writer mutex promises, on real threads: which guards exclude which, and that
//! they do so in every way to take and to leave them.
//!
//! Bugs that other locks had, and what would find each here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | RUSTSEC-2019-0013 | an unlock publishes nothing | `every_mode_excludes_what_it_should`, under a sanitizer |
//! | RUSTSEC-2020-0070 | a mapped guard goes where its data may not | `guards_go_only_where_their_data_may` |
//!
//! Upgrades and downgrades are in `rw_mutex_upgrade.rs`, waiting in `rw_mutex_waiting.rs` and
//! `rw_mutex_timeouts.rs`, readers by the thousand in `rw_mutex_readers.rs`, and guards released by
//! other threads in `send_guards.rs`.

mod common;

use common::locks::{Dice, Goes, StaysHere, Words, read_together};
use common::stress::{for_about, for_about_a_second};
use common::{Counted, watchdog};
use phalanx::{
    MappedRwMutexReadGuard, MappedRwMutexWriteGuard, RwMutex, RwMutexReadGuard,
    RwMutexUpgradableReadGuard, RwMutexWriteGuard,
};
use std::cell::Cell;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Reads the value twice: nothing changes beside a guard.
fn look(value: &Words, dice: &mut Dice) -> u64 {
    let seen = value.get();
    if dice.roll(8) == 0 {
        thread::yield_now();
    }
    assert_eq!(value.get(), seen);
    seen
}

fn short(dice: &mut Dice) -> Duration {
    Duration::from_micros(dice.roll(40))
}

/// Reads in one of the ways there are.
fn read(lock: &RwMutex<Words>, dice: &mut Dice) {
    let limit = short(dice);
    let taken = match dice.roll(6) {
        0 => lock.try_read(),
        1 => lock.try_read_for(limit),
        2 => lock.try_read_until(Instant::now() + limit),
        _ => Some(lock.read()),
    };
    let Some(mut guard) = taken else { return };
    let seen = look(&guard, dice);
    match dice.roll(6) {
        0 => RwMutexReadGuard::bump(&mut guard),
        1 => RwMutexReadGuard::unlocked(&mut guard, thread::yield_now),
        2 => return RwMutexReadGuard::unlock_fair(guard),
        _ => {}
    }
    assert!(look(&guard, dice) >= seen);
}

/// Writes in one of the ways there are, and tells how often it added.
fn write(lock: &RwMutex<Words>, dice: &mut Dice) -> u64 {
    let limit = short(dice);
    let taken = match dice.roll(6) {
        0 => lock.try_write(),
        1 => lock.try_write_for(limit),
        2 => lock.try_write_until(Instant::now() + limit),
        _ => Some(lock.write()),
    };
    let Some(mut guard) = taken else { return 0 };
    let added = guard.add();
    match dice.roll(6) {
        0 => {
            RwMutexWriteGuard::bump(&mut guard);
            guard.add();
            2
        }
        1 => {
            let guard = RwMutexWriteGuard::downgrade(guard);
            assert_eq!(look(&guard, dice), added);
            1
        }
        2 => {
            let guard = RwMutexWriteGuard::downgrade_to_upgradable(guard);
            assert_eq!(look(&guard, dice), added);
            1 + upgrade(guard, dice)
        }
        3 => {
            RwMutexWriteGuard::unlock_fair(guard);
            1
        }
        _ => 1,
    }
}

/// Takes an upgradable lock in one of the ways there are, and tells how often it added.
fn read_and_upgrade(lock: &RwMutex<Words>, dice: &mut Dice) -> u64 {
    let limit = short(dice);
    let taken = match dice.roll(6) {
        0 => lock.try_upgradable_read(),
        1 => lock.try_upgradable_read_for(limit),
        2 => lock.try_upgradable_read_until(Instant::now() + limit),
        _ => Some(lock.upgradable_read()),
    };
    taken.map_or(0, |guard| upgrade(guard, dice))
}

/// Does one of the things that an upgradable guard is for, and tells how often it added.
fn upgrade(mut guard: RwMutexUpgradableReadGuard<'_, Words>, dice: &mut Dice) -> u64 {
    let (seen, limit) = (look(&guard, dice), short(dice));
    let upgraded = match dice.roll(8) {
        0 => RwMutexUpgradableReadGuard::try_upgrade(guard),
        1 => RwMutexUpgradableReadGuard::try_upgrade_for(guard, limit),
        2 => Ok(RwMutexUpgradableReadGuard::upgrade(guard)),
        3 => {
            assert_eq!(guard.with_upgraded(Words::add), seen + 1);
            assert_eq!(look(&guard, dice), seen + 1);
            return 1;
        }
        4 => {
            let added = guard.try_with_upgraded(Words::add).is_some();
            assert_eq!(look(&guard, dice), seen + u64::from(added));
            return u64::from(added);
        }
        5 => {
            let guard = RwMutexUpgradableReadGuard::downgrade(guard);
            assert_eq!(look(&guard, dice), seen);
            return 0;
        }
        6 => {
            RwMutexUpgradableReadGuard::bump(&mut guard);
            assert!(look(&guard, dice) >= seen);
            return 0;
        }
        _ => {
            RwMutexUpgradableReadGuard::unlock_fair(guard);
            return 0;
        }
    };
    match upgraded {
        Ok(mut guard) => {
            assert_eq!(guard.get(), seen);
            guard.add();
            1
        }
        Err(guard) => {
            assert_eq!(look(&guard, dice), seen);
            0
        }
    }
}

/// Threads use one lock in all ways; of 16 uses, `reads` only read.
fn use_in_all_ways(lock: &RwMutex<Words>, threads: u64, time: Duration, reads: u64) {
    let (before, added) = (lock.read().get(), AtomicU64::new(0));
    thread::scope(|scope| {
        for seed in 0..threads {
            let added = &added;
            scope.spawn(move || {
                let mut dice = Dice::new(seed);
                for_about(time, |_| {
                    let more = match dice.roll(16) {
                        side if side < reads => {
                            read(lock, &mut dice);
                            0
                        }
                        side if side % 2 == 0 => write(lock, &mut dice),
                        _ => read_and_upgrade(lock, &mut dice),
                    };
                    added.fetch_add(more, SeqCst);
                });
            });
        }
    });
    assert!(!lock.is_locked());
    assert_eq!(lock.try_write().expect("nobody is left").get(), before + added.load(SeqCst));
}

#[test]
fn every_mode_excludes_what_it_should() {
    watchdog(|| use_in_all_ways(&RwMutex::new(Words::new()), 4, Duration::from_secs(1), 8));
}

#[test]
fn every_mode_excludes_what_it_should_among_many_threads() {
    watchdog(|| use_in_all_ways(&RwMutex::new(Words::new()), 40, Duration::from_secs(1), 10));
}

#[test]
fn every_mode_excludes_what_it_should_where_most_read() {
    watchdog(|| {
        let lock = RwMutex::new(Words::new());
        for_about_a_second(|_| {
            // Readers in company, then a rare writer among them.
            read_together(&lock, 3, 200);
            use_in_all_ways(&lock, 4, Duration::from_millis(20), 15);
        });
    });
}

#[test]
fn every_mode_lets_in_exactly_what_goes_with_it() {
    let lock = RwMutex::new(());
    let check = |locked: [bool; 2], open: [bool; 3]| {
        assert_eq!([lock.is_locked(), lock.is_locked_exclusive()], locked);
        let tried = || {
            let read = lock.try_read().is_some();
            let upgradable = lock.try_upgradable_read().is_some();
            [read, upgradable, lock.try_write().is_some()]
        };
        assert_eq!(tried(), open);
        // The same for another thread, and with a limit that is over at once.
        assert_eq!(thread::scope(|scope| scope.spawn(tried).join().unwrap()), open);
        let read = lock.try_read_for(Duration::ZERO).is_some();
        let upgradable = lock.try_upgradable_read_for(Duration::ZERO).is_some();
        assert_eq!([read, upgradable, lock.try_write_for(Duration::ZERO).is_some()], open);
        let now = Instant::now();
        let read = lock.try_read_until(now).is_some();
        let upgradable = lock.try_upgradable_read_until(now).is_some();
        assert_eq!([read, upgradable, lock.try_write_until(now).is_some()], open);
    };
    for round in 0..3 {
        if round == 1 {
            read_together(&lock, 3, 1_000);
        }
        check([false, false], [true, true, true]);
        let read = lock.read();
        check([true, false], [true, true, false]);
        let second = lock.read();
        drop(read);
        check([true, false], [true, true, false]);
        let upgradable = lock.upgradable_read();
        check([true, false], [true, false, false]);
        drop(second);
        check([true, false], [true, false, false]);
        drop(upgradable);
        check([false, false], [true, true, true]);
        let write = lock.write();
        check([true, true], [false, false, false]);
        drop(write);
    }
    check([false, false], [true, true, true]);
}

#[test]
fn readers_hold_the_lock_at_once() {
    watchdog(|| {
        let lock = RwMutex::new(7);
        // Returns only when all have held it together.
        read_together(&lock, 6, 0);
        let _upgradable = lock.upgradable_read();
        read_together(&lock, 6, 0);
    });
}

#[test]
fn a_panic_releases_the_lock_in_every_mode() {
    let lock = RwMutex::new(0);
    let with_it_held: [&dyn Fn(); 5] = [
        &|| {
            let _guard = lock.read();
            resume_unwind(Box::new("reading"));
        },
        &|| {
            *lock.write() = 1;
            let _guard = lock.write();
            resume_unwind(Box::new("writing"));
        },
        &|| {
            let _guard = lock.upgradable_read();
            resume_unwind(Box::new("about to upgrade"));
        },
        &|| {
            lock.upgradable_read().with_upgraded(|_| resume_unwind(Box::new("upgraded")));
        },
        &|| {
            let _guard = RwMutexWriteGuard::map::<i32, _>(lock.write(), |_| {
                resume_unwind(Box::new("mapping"))
            });
        },
    ];
    for panics in with_it_held {
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(!lock.is_locked());
    }
    assert_eq!(*lock.try_write().unwrap(), 1);
}

#[test]
fn a_forgotten_guard_keeps_the_lock_locked() {
    let lock = RwMutex::new(0);
    forget(lock.write());
    assert!(lock.is_locked_exclusive());
    assert!(lock.try_read().is_none());
    assert!(lock.try_read_for(Duration::from_micros(10)).is_none());
    let lock = RwMutex::new(0);
    forget(lock.upgradable_read());
    assert!(lock.try_upgradable_read().is_none());
    assert!(lock.try_write_for(Duration::from_micros(10)).is_none());
    assert!(lock.try_read().is_some());
    // The owner of the lock needs no guard.
    let mut lock = lock;
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 1);
}

#[test]
fn a_mapped_guard_holds_the_lock_until_it_is_dropped() {
    let lock = RwMutex::new((1, 2));
    let second = RwMutexReadGuard::map(lock.read(), |pair| &pair.1);
    assert!(lock.try_write().is_none());
    assert_eq!(*lock.read(), (1, 2));
    let second = MappedRwMutexReadGuard::map(second, |second| second);
    assert!(lock.try_write().is_none());
    MappedRwMutexReadGuard::unlock_fair(second);
    let mut second = RwMutexWriteGuard::map(lock.write(), |pair| &mut pair.1);
    assert!(lock.try_read().is_none());
    *second = 3;
    let Err(second) = MappedRwMutexWriteGuard::try_map(second, |_| None::<&mut i32>) else {
        panic!("nothing to map to");
    };
    assert!(lock.is_locked_exclusive());
    drop(second);
    let Err(guard) = RwMutexReadGuard::try_map(lock.read(), |_| None::<&i32>) else {
        panic!("nothing to map to");
    };
    assert_eq!(*guard, (1, 3));
    drop(guard);
    assert!(!lock.is_locked());
}

#[test]
fn a_static_lock_needs_no_start() {
    static LOCK: RwMutex<Vec<u32>> = RwMutex::new(Vec::new());
    watchdog(|| {
        let threads: Vec<_> =
            (0..4).map(|id| thread::spawn(move || LOCK.write().push(id))).collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(LOCK.read().len(), 4);
    });
}

#[test]
fn a_lock_tells_its_value_or_that_it_is_locked() {
    let lock = RwMutex::new(5);
    let read = lock.read();
    assert_eq!(format!("{lock:?}"), "RwLock { data: 5 }");
    assert_eq!(format!("{read:?} {read}"), "5 5");
    drop(read);
    let _write = lock.write();
    assert_eq!(format!("{lock:?}"), "RwLock { data: <locked> }");
}

#[test]
fn a_lock_drops_its_value_once() {
    let (counted, drops) = Counted::new();
    let lock = RwMutex::new(counted);
    drop(lock.read());
    drop(RwMutexWriteGuard::downgrade(lock.write()));
    forget(lock.read());
    assert_eq!(drops.load(SeqCst), 0);
    drop(lock);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn guards_go_only_where_their_data_may() {
    type Read<T> = RwMutexReadGuard<'static, T>;
    type Write<T> = RwMutexWriteGuard<'static, T>;
    type Upgradable<T> = RwMutexUpgradableReadGuard<'static, T>;
    type MappedRead<T> = MappedRwMutexReadGuard<'static, T>;
    type MappedWrite<T> = MappedRwMutexWriteGuard<'static, T>;
    const {
        assert!(Goes::<RwMutex<u8>>::SEND && Goes::<RwMutex<u8>>::SYNC);
        // Two readers would share the cell.
        assert!(Goes::<RwMutex<Cell<u8>>>::SEND && !Goes::<RwMutex<Cell<u8>>>::SYNC);
        assert!(!Goes::<RwMutex<Rc<u8>>>::SEND && !Goes::<RwMutex<Rc<u8>>>::SYNC);
        assert!(Goes::<Read<u8>>::SYNC && Goes::<MappedRead<u8>>::SYNC);
        assert!(Goes::<Write<u8>>::SYNC && Goes::<MappedWrite<u8>>::SYNC);
        assert!(Goes::<Upgradable<u8>>::SYNC);
        assert!(!Goes::<Read<Cell<u8>>>::SYNC && !Goes::<Read<Cell<u8>>>::SEND);
        assert!(!Goes::<MappedRead<Cell<u8>>>::SYNC && !Goes::<MappedRead<Cell<u8>>>::SEND);
        assert!(!Goes::<Upgradable<Cell<u8>>>::SYNC && !Goes::<Upgradable<Cell<u8>>>::SEND);
        assert!(!Goes::<Write<Cell<u8>>>::SYNC && !Goes::<Write<Rc<u8>>>::SEND);
        assert!(!Goes::<MappedWrite<Cell<u8>>>::SYNC && !Goes::<MappedWrite<Rc<u8>>>::SEND);
    }
}

#[test]
fn a_lock_is_as_small_as_its_docs_say() {
    assert_eq!(size_of::<RwMutex<()>>(), 24);
    assert_eq!(size_of::<phalanx::Mutex<()>>(), 4);
}
