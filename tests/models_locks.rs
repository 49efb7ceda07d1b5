//! What a user's model explores of the locks it uses: the specifications, in a model build.
//!
//! That they are as strict as the real locks is checked in `src/*/models`, by the same text for
//! both; here, that they are no stricter, and that no way a lock can take is left unexplored.

use phalanx::cell::UnsafeCell;
use phalanx::{Mutex, RwMutex, RwMutexUpgradableReadGuard, model, thread};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

/// All that `f` gave over the executions; natively it runs once, and any one of them will do.
#[track_caller]
fn explores<R>(expected: &[R], f: impl Fn() -> R + Send + Sync + 'static)
where
    R: Ord + Copy + std::fmt::Debug + Send + 'static,
{
    let seen = Arc::new(StdMutex::new(BTreeSet::new()));
    let found = seen.clone();
    model(move || {
        let result = f();
        found.lock().unwrap().insert(result);
    });
    let (seen, expected) = (seen.lock().unwrap(), BTreeSet::from_iter(expected.iter().copied()));
    if cfg!(phalanx_loom) {
        assert_eq!(*seen, expected);
    } else {
        assert!(seen.is_subset(&expected), "{seen:?}");
    }
}

/// Found in a review: the time-out before the unlock was never tried.
#[test]
fn a_timed_lock_ends_both_ways() {
    explores(&[false, true], || {
        let lock = Arc::new(Mutex::new(()));
        let guard = lock.lock();
        let theirs = lock.clone();
        let other = thread::spawn(move || theirs.try_lock_for(Duration::from_secs(1)).is_some());
        drop(guard);
        other.join().unwrap()
    });
}

#[test]
fn a_timed_write_beside_a_reader_ends_both_ways() {
    explores(&[false, true], || {
        let lock = Arc::new(RwMutex::new(()));
        let guard = lock.read();
        let theirs = lock.clone();
        let other = thread::spawn(move || theirs.try_write_for(Duration::from_secs(1)).is_some());
        drop(guard);
        other.join().unwrap()
    });
}

/// Found in a review: without a switch before it, only one answer was seen.
#[test]
fn is_locked_is_asked_before_beside_and_after_a_section() {
    explores(&[false, true], || {
        let lock = Arc::new(Mutex::new(()));
        let theirs = lock.clone();
        let other = thread::spawn(move || drop(theirs.lock()));
        let locked = lock.is_locked();
        other.join().unwrap();
        locked
    });
}

#[test]
fn try_lock_fails_and_succeeds_beside_a_section() {
    explores(&[false, true], || {
        let lock = Arc::new(Mutex::new(()));
        let theirs = lock.clone();
        let other = thread::spawn(move || drop(theirs.lock()));
        let locked = lock.try_lock().is_some();
        other.join().unwrap();
        locked
    });
}

struct Plain(UnsafeCell<u32>);
// SAFETY: the lock under test has to order all accesses; a model fails if it doesn't.
unsafe impl Sync for Plain {}

#[test]
fn an_upgradable_read_happens_before_the_next_write() {
    explores(&[0, 1], || {
        let shared = Arc::new((RwMutex::new(()), Plain(UnsafeCell::new(0))));
        let theirs = shared.clone();
        let reader = thread::spawn(move || {
            let _held = theirs.0.upgradable_read();
            // SAFETY: see `Sync`.
            theirs.1.0.with(|value| unsafe { *value })
        });
        let held = shared.0.write();
        // SAFETY: see `Sync`.
        shared.1.0.with_mut(|value| unsafe { *value += 1 });
        drop(held);
        reader.join().unwrap()
    });
}

#[test]
fn an_upgrade_that_times_out_keeps_other_upgradable_readers_out() {
    explores(&[()], || {
        let lock = RwMutex::new(());
        let (first, seen) = (lock.read(), lock.upgradable_read());
        let upgrade = RwMutexUpgradableReadGuard::try_upgrade_for(seen, Duration::from_millis(1));
        let seen = upgrade.expect_err("a reader is inside");
        assert!(lock.try_upgradable_read().is_none() && lock.try_write().is_none());
        drop((first, seen));
        assert!(lock.try_upgradable_read().is_some());
    });
}

#[test]
fn readers_and_a_writer_come_in_either_order() {
    explores(&[(0, 0), (0, 1), (1, 0), (1, 1)], || {
        let lock = Arc::new(RwMutex::new(0));
        let [a, b] = [(); 2].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || *lock.read())
        });
        *lock.write() += 1;
        (a.join().unwrap(), b.join().unwrap())
    });
}

#[test]
fn a_waiter_is_overtaken_by_one_that_comes_again() {
    explores(&[1, 2, 3], || {
        let lock = Arc::new(Mutex::new(0));
        let mut guard = lock.lock();
        *guard += 1;
        let theirs = lock.clone();
        let other = thread::spawn(move || *theirs.lock());
        drop(guard);
        for _ in 0..2 {
            *lock.lock() += 1;
        }
        other.join().unwrap()
    });
}
