//! The condition variable's promises, on real threads.
//!
//! Bugs that other condition variables had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | golang#37852, parking_lot#466 | a waiter that times out takes a notification with it | `every_notification_reaches_one_waiter_beside_time_outs` |
//! | rayon#992 | a notification between the check and the sleep is lost | `a_notification_right_after_the_unlock_is_not_lost`, `a_bounded_queue_loses_nothing` |
//! | rust#39364 | a notification at the moment of the time-out upsets the next wait | `a_wait_that_timed_out_does_not_disturb_the_next` |
//!
//! Tests with other mutexes are in `condvar_any_mutex.rs`, those of panics and of the queue's order in
//! `condvar_faults.rs`.

mod common;

use common::locks::Dice;
use common::stress::for_about_a_second;
use common::{ignore, watchdog};
use phalanx::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

/// How many threads have begun to wait, and how many of them have returned.
#[derive(Debug, Default)]
struct Waiters {
    waiting: usize,
    woken: usize,
}

impl Waiters {
    /// Waits once, with no condition to check.
    fn wait_once(waiters: &Mutex<Waiters>, wait: impl Fn(&mut MutexGuard<'_, Waiters>)) {
        let mut guard = waiters.lock();
        guard.waiting += 1;
        wait(&mut guard);
        guard.woken += 1;
    }

    /// Locks, and returns as soon as `ready` is `true`.
    fn when(waiters: &Mutex<Waiters>, ready: impl Fn(&Waiters) -> bool) -> MutexGuard<'_, Waiters> {
        loop {
            let guard = waiters.lock();
            if ready(&guard) {
                return guard;
            }
            drop(guard);
            thread::yield_now();
        }
    }
}

#[test]
fn no_thread_is_notified_when_none_waits() {
    let condvar = Condvar::new();
    assert!(!condvar.notify_one());
    assert_eq!(condvar.notify_all(), 0);
    // The notifications are not kept for a later waiter.
    let lock = Mutex::new(());
    assert!(condvar.wait_for(&mut lock.lock(), Duration::from_micros(10)).timed_out());
}

#[test]
fn notify_one_wakes_exactly_one() {
    const THREADS: usize = 6;
    watchdog(|| {
        for locked in [false, true] {
            let (waiters, condvar) = (Mutex::new(Waiters::default()), Condvar::new());
            thread::scope(|scope| {
                for id in 0..THREADS {
                    let (waiters, condvar) = (&waiters, &condvar);
                    scope.spawn(move || {
                        Waiters::wait_once(waiters, |guard| match id % 3 {
                            0 => assert!(!condvar.wait_for(guard, HOUR).timed_out()),
                            1 => assert!(!condvar.wait_for(guard, Duration::MAX).timed_out()),
                            _ => condvar.wait(guard),
                        });
                    });
                }
                drop(Waiters::when(&waiters, |waiters| waiters.waiting == THREADS));
                for notified in 1..=THREADS {
                    let guard = locked.then(|| waiters.lock());
                    assert!(condvar.notify_one());
                    drop(guard);
                    let guard = Waiters::when(&waiters, |waiters| waiters.woken >= notified);
                    // A second thread would return now, or in a later round.
                    assert_eq!(guard.woken, notified);
                    drop(guard);
                    thread::yield_now();
                    assert_eq!(waiters.lock().woken, notified);
                }
                assert!(!condvar.notify_one());
            });
        }
    });
}

#[test]
fn notify_all_wakes_all_waiters() {
    const THREADS: usize = 6;
    watchdog(|| {
        let (waiters, condvar) = (Mutex::new(Waiters::default()), Condvar::new());
        for_about_a_second(|round| {
            let round = round as usize + 1;
            thread::scope(|scope| {
                for id in 0..THREADS {
                    let (waiters, condvar) = (&waiters, &condvar);
                    scope.spawn(move || {
                        Waiters::wait_once(waiters, |guard| match id % 2 {
                            0 => assert!(!condvar.wait_for(guard, HOUR).timed_out()),
                            _ => condvar.wait(guard),
                        });
                    });
                }
                let all = |waiters: &Waiters| waiters.waiting == round * THREADS;
                let guard = Waiters::when(&waiters, all);
                assert_eq!(guard.woken, (round - 1) * THREADS);
                let unlocked = round.is_multiple_of(2).then_some(guard);
                assert_eq!(condvar.notify_all(), THREADS);
                assert_eq!(condvar.notify_all(), 0);
                drop(unlocked);
            });
            assert_eq!(waiters.lock().woken, round * THREADS);
        });
    });
}

#[test]
fn a_notification_right_after_the_unlock_is_not_lost() {
    watchdog(|| {
        // The number of turns so far, and whether there are no more.
        let (turns, condvar) = (Mutex::new((0, false)), Condvar::new());
        // Each of the two threads is woken by the other's notification alone.
        let take_turn = |guard: &mut MutexGuard<'_, (u64, bool)>, id| {
            while guard.0 % 2 != id && !guard.1 {
                condvar.wait(guard);
            }
            let is_mine = guard.0 % 2 == id;
            guard.0 += u64::from(is_mine);
            if guard.0.is_multiple_of(3) {
                MutexGuard::unlocked(guard, || condvar.notify_one());
            } else {
                condvar.notify_one();
            }
            is_mine
        };
        let rounds = thread::scope(|scope| {
            scope.spawn(|| {
                let mut guard = turns.lock();
                while take_turn(&mut guard, 1) {}
            });
            let mut guard = turns.lock();
            let rounds = for_about_a_second(|_| assert!(take_turn(&mut guard, 0)));
            guard.1 = true;
            condvar.notify_one();
            rounds
        });
        assert_eq!(turns.into_inner(), (2 * rounds, true));
    });
}

#[test]
fn a_bounded_queue_loses_nothing() {
    watchdog(|| {
        // The items, and whether no more come.
        let queue = Mutex::new((VecDeque::new(), false));
        let (filled, emptied) = (Condvar::new(), Condvar::new());
        let (added, taken) = (AtomicU64::new(0), AtomicU64::new(0));
        let add = |item| {
            let mut guard = queue.lock();
            emptied.wait_while(&mut guard, |(items, _)| items.len() >= 2);
            guard.0.push_back(item);
            drop(guard);
            filled.notify_one();
            added.fetch_add(item, SeqCst);
        };
        let take = || {
            let mut guard = queue.lock();
            filled.wait_while(&mut guard, |(items, is_over)| items.is_empty() && !*is_over);
            let item = guard.0.pop_front();
            drop(guard);
            emptied.notify_one();
            item.inspect(|&item| ignore(taken.fetch_add(item, SeqCst)))
        };
        thread::scope(|scope| {
            let producers = [(); 3].map(|()| scope.spawn(|| for_about_a_second(add)));
            for _ in 0..3 {
                scope.spawn(|| while take().is_some() {});
            }
            producers.into_iter().for_each(|producer| ignore(producer.join().unwrap()));
            queue.lock().1 = true;
            filled.notify_all();
        });
        assert!(queue.into_inner().0.is_empty());
        assert_eq!(taken.into_inner(), added.into_inner());
    });
}

#[test]
fn every_notification_reaches_one_waiter_beside_time_outs() {
    watchdog(|| {
        let (lock, condvar) = (Mutex::new(()), Condvar::new());
        let (over, woken) = (AtomicBool::new(false), AtomicUsize::new(0));
        let mut notified = 0;
        thread::scope(|scope| {
            let (lock, condvar, over, woken) = (&lock, &condvar, &over, &woken);
            for seed in 0..2 {
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    let mut guard = lock.lock();
                    while !over.load(SeqCst) {
                        let limit = Duration::from_micros(dice.roll(80));
                        if !condvar.wait_for(&mut guard, limit).timed_out() {
                            woken.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
            let patient = scope.spawn(|| {
                let mut guard = lock.lock();
                for_about_a_second(|_| {
                    condvar.wait(&mut guard);
                    woken.fetch_add(1, SeqCst);
                });
            });
            // Each notification that found a waiter must be seen by that waiter.
            while !patient.is_finished() {
                if condvar.notify_one() {
                    notified += 1;
                } else {
                    thread::yield_now();
                }
            }
            over.store(true, SeqCst);
            notified += condvar.notify_all();
        });
        assert_eq!(woken.into_inner(), notified);
    });
}

#[test]
fn a_wait_times_out_not_before_its_limit_and_with_the_lock_held() {
    watchdog(|| {
        let (lock, condvar) = (Mutex::new(0), Condvar::new());
        let mut guard = lock.lock();
        for limit in [Duration::ZERO, Duration::from_micros(50), Duration::from_millis(3)] {
            let start = Instant::now();
            assert!(condvar.wait_for(&mut guard, limit).timed_out());
            assert!(start.elapsed() >= limit);
            assert!(lock.is_locked());
            let end = Instant::now() + limit;
            assert!(condvar.wait_until(&mut guard, end).timed_out());
            assert!(Instant::now() >= end);
            // A deadline that has passed already.
            assert!(condvar.wait_until(&mut guard, start).timed_out());
            assert!(condvar.wait_while_until(&mut guard, |_| true, start).timed_out());
            assert!(lock.is_locked());
            *guard += 1;
        }
        drop(guard);
        assert_eq!(*lock.try_lock().unwrap(), 3);
    });
}

#[test]
fn a_wait_that_times_out_has_unlocked_the_mutex_meanwhile() {
    watchdog(|| {
        let (lock, condvar) = (Mutex::new(0), Condvar::new());
        thread::scope(|scope| {
            let mut guard = lock.lock();
            scope.spawn(|| *lock.lock() = 1);
            while *guard == 0 {
                assert!(condvar.wait_for(&mut guard, Duration::from_micros(50)).timed_out());
            }
        });
        assert!(!lock.is_locked());
    });
}

#[test]
fn a_wait_that_timed_out_does_not_disturb_the_next() {
    watchdog(|| {
        // The turns to take, and whether no more come.
        let (turns, condvar) = (Mutex::new((0, false)), Condvar::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                for_about_a_second(|_| {
                    turns.lock().0 += 1;
                    condvar.notify_one();
                    condvar.wait_while(&mut turns.lock(), |(turns, _)| *turns > 0);
                });
                turns.lock().1 = true;
                condvar.notify_one();
            });
            let mut dice = Dice::new(0);
            loop {
                let mut guard = turns.lock();
                while *guard == (0, false) {
                    // Waits with and without a limit alternate.
                    let limit = Duration::from_micros(dice.roll(60));
                    if condvar.wait_for(&mut guard, limit).timed_out() && *guard == (0, false) {
                        condvar.wait(&mut guard);
                    }
                }
                if guard.0 == 0 {
                    break;
                }
                guard.0 -= 1;
                drop(guard);
                condvar.notify_one();
            }
        });
        assert_eq!(turns.into_inner(), (0, true));
    });
}

#[test]
fn wait_while_checks_before_it_waits_and_after() {
    watchdog(|| {
        let (lock, condvar) = (Mutex::new(5), Condvar::new());
        let mut guard = lock.lock();
        // No thread notifies: the condition is `false` at once.
        condvar.wait_while(&mut guard, |value| *value != 5);
        let nothing = Duration::ZERO;
        assert!(!condvar.wait_while_for(&mut guard, |value| *value != 5, nothing).timed_out());
        assert!(condvar.wait_while_for(&mut guard, |value| *value == 5, nothing).timed_out());
        let soon = Instant::now() + Duration::from_millis(1);
        assert!(condvar.wait_while_until(&mut guard, |value| *value == 5, soon).timed_out());
        assert!(Instant::now() >= soon);
        drop(guard);
        let waits: [fn(&Condvar, &mut MutexGuard<'_, i32>); 3] = [
            |condvar, guard| condvar.wait_while(guard, |value| *value > 0),
            |condvar, guard| {
                let limit = Duration::MAX;
                assert!(!condvar.wait_while_for(guard, |value| *value > 0, limit).timed_out());
            },
            |condvar, guard| {
                let end = Instant::now() + HOUR;
                assert!(!condvar.wait_while_until(guard, |value| *value > 0, end).timed_out());
            },
        ];
        for wait in waits {
            *lock.lock() = 5;
            thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let mut guard = lock.lock();
                    wait(&condvar, &mut guard);
                    *guard
                });
                for left in (0..5).rev() {
                    *lock.lock() = left;
                    condvar.notify_all();
                }
                assert_eq!(waiter.join().unwrap(), 0);
            });
        }
    });
}

#[test]
fn a_condition_that_panics_leaves_the_guard_locked() {
    watchdog(|| {
        let (lock, condvar) = (Mutex::new(0), Condvar::new());
        let mut guard = lock.lock();
        let panics = AssertUnwindSafe(|| {
            condvar.wait_while(&mut guard, |_| resume_unwind(Box::new("at once")));
        });
        assert!(catch_unwind(panics).is_err());
        assert!(lock.is_locked());
        *guard += 1;
        // With a wait before the panic, which unlocks the mutex and locks it again.
        let mut checks = 0;
        let panics = AssertUnwindSafe(|| {
            let condition = |value: &mut i32| {
                checks += 1;
                *value += 1;
                checks < 2 || resume_unwind(Box::new("after a wait"))
            };
            let _ = condvar.wait_while_for(&mut guard, condition, Duration::from_millis(1));
        });
        assert!(catch_unwind(panics).is_err());
        assert!(lock.is_locked());
        assert_eq!((*guard, checks), (3, 2));
        drop(guard);
        assert!(!lock.is_locked());
        // No waiter is left behind, and the next wait works.
        assert!(!condvar.notify_one());
        thread::scope(|scope| {
            scope.spawn(|| condvar.wait_while(&mut lock.lock(), |value| *value < 10));
            *lock.lock() = 10;
            condvar.notify_all();
        });
    });
}

#[test]
fn a_condvar_serves_one_mutex_after_another() {
    watchdog(|| {
        let condvar = Condvar::new();
        for_about_a_second(|_| {
            let ready = Mutex::new(false);
            thread::scope(|scope| {
                scope.spawn(|| condvar.wait_while(&mut ready.lock(), |ready| !*ready));
                *ready.lock() = true;
                condvar.notify_one();
            });
        });
    });
}

#[test]
fn a_waiter_may_free_the_condvar_once_it_is_woken() {
    watchdog(|| {
        for_about_a_second(|_| {
            let shared = Arc::new((Mutex::new(false), Condvar::new()));
            let theirs = shared.clone();
            let notifier = thread::spawn(move || {
                let (ready, condvar) = &*theirs;
                let mut guard = ready.lock();
                *guard = true;
                condvar.notify_all();
                drop(guard);
            });
            let (ready, condvar) = &*shared;
            condvar.wait_while(&mut ready.lock(), |ready| !*ready);
            drop(shared);
            notifier.join().unwrap();
        });
    });
}

/// In a model build nothing with an atomic can be made in a `static`.
#[cfg(not(phalanx_loom))]
#[test]
fn a_condvar_may_be_static() {
    static READY: Mutex<bool> = Mutex::new(false);
    static CONDVAR: Condvar = Condvar::new();
    watchdog(|| {
        let waiter = thread::spawn(|| CONDVAR.wait_while(&mut READY.lock(), |ready| !*ready));
        *READY.lock() = true;
        CONDVAR.notify_one();
        waiter.join().unwrap();
        assert!(format!("{CONDVAR:?}").starts_with("Condvar"));
    });
}
