//! What the mutex promises, on real threads.
//!
//! Bugs that other mutexes had, and the tests that would fail:
//!
//! | report | the bug | test |
//! | --- | --- | --- |
//! | RUSTSEC-2019-0013 | an unlock publishes nothing | `one_thread_at_a_time_holds_the_lock` |
//! | RUSTSEC-2020-0070 | a mapped guard goes where its data may not | `guards_go_only_where_their_data_may` |
//!
//! `mutex_waiting.rs` tests how threads wait for it, `send_guards.rs` guards that are dropped by another thread.

mod common;

use common::locks::{Dice, Goes, StaysHere, Words};
use common::stress::for_about_a_second;
use common::{Counted, watchdog};
use phalanx::{MappedMutexGuard, Mutex, MutexGuard};
use std::cell::Cell;
use std::mem::{forget, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

/// In `threads` threads, calls `add` for about a second, which adds one to the number under the lock.
fn add_up(threads: u64, add: impl Fn(&Mutex<Words>, &mut Dice) + Sync) {
    let lock = Mutex::new(Words::new());
    let added: u64 = thread::scope(|scope| {
        let spawn = |seed| {
            let (lock, add) = (&lock, &add);
            scope.spawn(move || {
                let mut dice = Dice::new(seed);
                for_about_a_second(|_| add(lock, &mut dice))
            })
        };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(!lock.is_locked());
    assert_eq!(lock.into_inner().get(), added);
}

#[test]
fn one_thread_at_a_time_holds_the_lock() {
    watchdog(|| {
        add_up(4, |lock, _| {
            lock.lock().add();
        });
    });
}

#[test]
fn one_of_many_more_threads_than_cores_holds_the_lock() {
    watchdog(|| {
        add_up(64, |lock, dice| {
            let mut guard = lock.lock();
            guard.add();
            // Now and then another thread runs and finds the lock held.
            if dice.roll(16) == 0 {
                thread::yield_now();
            }
        });
    });
}

#[test]
fn every_way_to_lock_and_unlock_excludes_the_others() {
    watchdog(|| {
        add_up(4, |lock, dice| {
            let short = Duration::from_micros(dice.roll(40));
            let mut guard = loop {
                let taken = match dice.roll(4) {
                    0 => lock.try_lock(),
                    1 => lock.try_lock_for(short),
                    2 => lock.try_lock_until(Instant::now() + short),
                    _ => Some(lock.lock()),
                };
                match taken {
                    Some(guard) => break guard,
                    None => thread::yield_now(),
                }
            };
            guard.add();
            match dice.roll(4) {
                0 => MutexGuard::unlock_fair(guard),
                1 => {
                    let before = guard.get();
                    MutexGuard::bump(&mut guard);
                    assert!(guard.get() >= before);
                }
                2 => MutexGuard::unlocked(&mut guard, thread::yield_now),
                _ => drop(guard),
            }
        });
    });
}

#[test]
fn try_lock_succeeds_exactly_when_the_lock_is_free() {
    let lock = Mutex::new(1);
    let guard = lock.try_lock().expect("the lock is free");
    assert!(lock.is_locked());
    assert!(lock.try_lock().is_none());
    thread::scope(|scope| {
        scope.spawn(|| assert!(lock.try_lock().is_none()));
    });
    drop(guard);
    assert!(!lock.is_locked());
    assert!(lock.try_lock().is_some());
}

#[test]
fn bump_and_unlock_fair_work_without_a_waiter() {
    let lock = Mutex::new(5);
    let mut guard = lock.lock();
    MutexGuard::bump(&mut guard);
    assert!(lock.is_locked());
    assert_eq!(*guard, 5);
    MutexGuard::unlock_fair(guard);
    assert!(!lock.is_locked());
}

#[test]
fn a_panic_releases_the_lock_and_poisons_nothing() {
    let lock = Mutex::new(1);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = lock.lock();
        *guard = 2;
        resume_unwind(Box::new("with the lock held"));
    }));
    assert!(unwound.is_err());
    assert!(!lock.is_locked());
    assert_eq!(*lock.lock(), 2);
    thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let _guard = lock.lock();
            resume_unwind(Box::new("in another thread"));
        });
        assert!(holder.join().is_err());
    });
    assert_eq!(*lock.lock(), 2);
}

#[test]
fn a_forgotten_guard_keeps_the_lock_locked() {
    watchdog(|| {
        let mut lock = Mutex::new(3);
        forget(lock.lock());
        assert!(lock.is_locked());
        assert!(lock.try_lock().is_none());
        assert!(lock.try_lock_for(Duration::from_micros(10)).is_none());
        // The owner of the lock needs no guard.
        *lock.get_mut() += 1;
        assert_eq!(lock.into_inner(), 4);
    });
}

#[test]
fn a_mapped_guard_holds_the_lock_until_it_is_dropped() {
    let lock = Mutex::new((1, 2));
    let mut second = MutexGuard::map(lock.lock(), |pair| &mut pair.1);
    assert!(lock.try_lock().is_none());
    *second = 3;
    let second = MappedMutexGuard::map(second, |second| second);
    assert!(lock.try_lock().is_none());
    drop(second);
    let Err(guard) = MutexGuard::try_map(lock.lock(), |_| None::<&mut i32>) else {
        panic!("nothing to map to");
    };
    assert!(lock.is_locked());
    assert_eq!(*guard, (1, 3));
    drop(guard);
    assert!(!lock.is_locked());
}

#[test]
fn a_static_lock_needs_no_initialization() {
    static LOCK: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    watchdog(|| {
        let threads: Vec<_> =
            (0..4).map(|id| thread::spawn(move || LOCK.lock().push(id))).collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let mut all = LOCK.lock();
        all.sort_unstable();
        assert_eq!(*all, [0, 1, 2, 3]);
    });
}

#[test]
fn debug_shows_the_value_or_that_the_lock_is_locked() {
    let lock = Mutex::new(5);
    assert_eq!(format!("{lock:?}"), "Mutex { data: 5 }");
    let guard = lock.lock();
    assert_eq!(format!("{lock:?}"), "Mutex { data: <locked> }");
    assert_eq!(format!("{guard:?} {guard}"), "5 5");
}

#[test]
fn a_lock_and_its_guard_are_small() {
    assert!(size_of::<Mutex<()>>() <= 8);
    assert!(size_of::<Mutex<u64>>() <= 16);
    assert!(size_of::<MutexGuard<'static, ()>>() <= 2 * size_of::<usize>());
}

#[test]
fn a_lock_drops_its_value_once() {
    let (counted, drops) = Counted::new();
    let lock = Mutex::new(Some(counted));
    drop(lock.lock());
    assert_eq!(drops.load(SeqCst), 0);
    drop(lock.lock().take());
    assert_eq!(drops.load(SeqCst), 1);
    drop(lock);
    assert_eq!(drops.load(SeqCst), 1);
    let (counted, drops) = Counted::new();
    let lock = Mutex::new(counted);
    forget(lock.lock());
    drop(lock);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn guards_go_only_where_their_data_may() {
    const {
        assert!(Goes::<Mutex<Cell<u8>>>::SEND && Goes::<Mutex<Cell<u8>>>::SYNC);
        assert!(!Goes::<Mutex<Rc<u8>>>::SEND && !Goes::<Mutex<Rc<u8>>>::SYNC);
        assert!(Goes::<MutexGuard<'static, u8>>::SYNC);
        assert!(!Goes::<MutexGuard<'static, Cell<u8>>>::SYNC);
        assert!(!Goes::<MutexGuard<'static, Rc<u8>>>::SEND);
        assert!(Goes::<MappedMutexGuard<'static, u8>>::SYNC);
        assert!(!Goes::<MappedMutexGuard<'static, Cell<u8>>>::SYNC);
        assert!(!Goes::<MappedMutexGuard<'static, Rc<u8>>>::SEND);
    }
}
