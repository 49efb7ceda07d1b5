//! Each type but the pool in a forked child. A single test, so that no other thread is in a call at the fork.

#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use common::forks::in_child;
use common::watchdog;
use phalanx::{CancelToken, Condvar, Mutex, RwMutex, SafeCounter, Store, WaitGroup, channel};
use std::thread;
use std::time::Duration;

/// Reads in two threads at once, often enough for the lock to become biased.
fn read_often(lock: &RwMutex<u32>) {
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..200_000).for_each(|_| assert_eq!(*lock.read(), 1)));
        }
    });
}

#[test]
fn the_types_in_a_forked_child() {
    watchdog(|| {
        types_not_in_use_at_the_fork_work_in_the_child();
        locks_held_by_other_threads_stay_held_in_the_child();
        a_channel_in_the_child_holds_a_copy_of_what_is_queued();
        a_deadline_set_in_the_child_comes_there();
    });
}

fn types_not_in_use_at_the_fork_work_in_the_child() {
    let (mutex, changed) = (Mutex::new(1), Condvar::new());
    let lock = RwMutex::new(1);
    let (group, counter) = (WaitGroup::new(), SafeCounter::new());
    let store = Store::from([("key", 1)]);
    read_often(&lock);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..1_000).for_each(|_| counter.increment()));
        }
    });
    (0..100_000).for_each(|_| assert_eq!(store.get("key"), Some(1)));
    group.add(1);
    let uses_all = || {
        *mutex.lock() += 1;
        thread::scope(|scope| {
            scope.spawn(|| {
                *mutex.lock() += 1;
                changed.notify_one();
            });
            let mut guard = mutex.lock();
            changed.wait_while(&mut guard, |value| *value < 3);
        });
        assert!(changed.wait_for(&mut mutex.lock(), Duration::ZERO).timed_out());
        // The marks of threads that had ended don't block a writer.
        *lock.write() += 1;
        assert_eq!((*lock.read(), *lock.upgradable_read()), (2, 2));
        assert!(lock.try_write().is_some());
        assert_eq!(group.count(), 1);
        group.go(|| ());
        group.done();
        group.wait();
        counter.increment();
        assert_eq!(counter.get(), 2_001);
        assert_eq!(store.get_or_compute("other", |_| 2), 2);
        assert_eq!((store.remove("key"), store.len()), (Some(1), 1));
    };
    in_child(uses_all);
    // The parent's are as they were.
    assert_eq!((*mutex.lock(), *lock.read(), counter.get()), (1, 1, 2_000));
    uses_all();
}

fn locks_held_by_other_threads_stay_held_in_the_child() {
    let (mutex, lock) = (Mutex::new(()), RwMutex::new(()));
    let (held, forked) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _guards = (mutex.lock(), lock.read());
            held.wait();
            forked.wait();
        });
        held.wait();
        in_child(|| {
            assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
            assert!(lock.try_write_for(Duration::from_millis(1)).is_none());
            drop(lock.read());
        });
        forked.wait();
    });
}

/// A thread that was blocked in a call is gone, but its place in the queue of those that wait is copied: a wake-up may go
/// to it. So nobody waits at the fork here.
fn a_channel_in_the_child_holds_a_copy_of_what_is_queued() {
    let (sender, receiver) = channel::bounded(3);
    let (request, requests) = channel::bounded(0);
    sender.send_many([1, 2]).unwrap();
    let uses_all = || {
        sender.send(3).unwrap();
        assert!(sender.try_send(4).is_err());
        thread::scope(|scope| {
            scope.spawn(|| (4..100).for_each(|n| sender.send(n).unwrap()));
            scope.spawn(|| request.send("over").unwrap());
            assert!(receiver.iter().take(99).eq(1..100));
            assert_eq!(requests.recv(), Ok("over"));
        });
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
    };
    in_child(uses_all);
    // The child's messages, and its close, are not the parent's.
    in_child(|| {
        receiver.close();
        assert_eq!(receiver.iter().sum::<i32>(), 3);
    });
    assert_eq!((receiver.len(), receiver.is_closed()), (2, false));
    uses_all();
}

/// The timer's thread is the parent's: the child starts one of its own.
fn a_deadline_set_in_the_child_comes_there() {
    let root = CancelToken::new();
    let soon = Duration::from_millis(1);
    root.with_timeout(soon).wait();
    let inherited = root.with_timeout(Duration::from_secs(3_600));
    in_child(|| {
        root.with_timeout(soon).wait();
        let child = inherited.with_timeout(soon);
        child.wait();
        assert!(!inherited.is_cancelled());
        assert!(inherited.cancel());
    });
    assert!(!inherited.is_cancelled());
    root.with_timeout(soon).wait();
}
