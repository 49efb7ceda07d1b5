//! Models of the condition variable with phalanx's real mutex, into whose queue it moves its waiters.
//! (`tests/models_condvar.rs` has the models with the mutex that users' models run on, which it wakes
//! as it would those of a foreign one.) In a plain build each runs once, on real threads.
//!
//! | told in | the bug | model |
//! | --- | --- | --- |
//! | – | a waiter is moved into the queue of a mutex that no thread will unlock | `a_waiter_is_moved_or_woken_and_never_left_asleep` |
//! | parking_lot#466 | a moved waiter that times out takes the wake-up of the next with it | `a_moved_waiter_that_times_out_was_notified_and_leaves_no_thread_asleep` |

use super::Condvar;
use crate::mutex::models::real;
use crate::mutex::{RealMutex, Word};
use crate::sys::Arc;
use crate::testing::{Plain, Running, spawn};
use crate::{Model, model};
use lock_api::MutexGuard;
use std::mem;
use std::time::{Duration, Instant};

/// As long as any in a model; never over outside of one.
const LONG: Duration = Duration::from_secs(60);

struct Stock {
    /// How many there are to take.
    count: RealMutex<u32>,
    came: Condvar,
    /// How many were taken; changed under the mutex.
    taken: Plain,
}

impl Stock {
    fn new() -> Arc<Self> {
        Arc::new(Stock { count: real(0), came: Condvar::new(), taken: Plain::new() })
    }

    fn put(&self, n: u32) {
        *self.count.lock() += n;
    }

    fn take(&self) {
        let mut count = self.count.lock();
        self.came.wait_while(&mut count, |count| *count == 0);
        *count -= 1;
        self.taken.add(1);
    }

    /// Returns 1 if it has taken one, 0 if it has timed out.
    fn take_in_time(&self) -> u32 {
        let mut count = self.count.lock();
        if self.came.wait_while_for(&mut count, |count| *count == 0, LONG).timed_out() {
            return 0;
        }
        *count -= 1;
        self.taken.add(1);
        1
    }

    /// Locks as any other thread may.
    fn barge(&self) {
        drop(self.count.lock());
    }

    fn word(&self) -> &Word {
        // SAFETY: the models unlock what they have locked.
        unsafe { self.count.raw() }.word()
    }

    /// Checks what is left and what was taken, at the end.
    fn is(&self, left: u32, taken: u32) {
        let count = self.count.try_lock().expect("left locked");
        assert_eq!((*count, self.taken.get()), (left, taken));
    }
}

fn join_all<const N: usize>(threads: [Running<()>; N]) {
    threads.into_iter().for_each(Running::join);
}

/// The notification comes while the mutex is locked, or free, or while the waiter is about to lock it.
#[test]
fn a_waiter_is_moved_or_woken_and_never_left_asleep() {
    for locked in [true, false] {
        model(move || {
            let stock = Stock::new();
            let taker = spawn(&stock, Stock::take);
            let mut count = stock.count.lock();
            *count += 1;
            if locked {
                stock.came.notify_one();
                drop(count);
            } else {
                drop(count);
                stock.came.notify_one();
            }
            taker.join();
            stock.is(0, 1);
        });
    }
}

/// The first is woken by the notification or an unlock, the other by the first one's unlock.
#[test]
fn each_moved_waiter_wakes_the_next_by_its_unlock() {
    for locked in [true, false] {
        model(move || {
            let stock = Stock::new();
            let takers = [(); 2].map(|()| spawn(&stock, Stock::take));
            let mut count = stock.count.lock();
            *count += 2;
            if locked {
                stock.came.notify_all();
                drop(count);
            } else {
                drop(count);
                stock.came.notify_all();
            }
            join_all(takers);
            stock.is(0, 2);
        });
    }
}

/// A third thread takes the mutex whenever it can: before a moved waiter, or a woken one.
#[test]
fn a_moved_waiter_beside_a_barging_thread_gets_the_lock() {
    model(|| {
        let stock = Stock::new();
        let taker = spawn(&stock, Stock::take);
        let barges = spawn(&stock, |stock| {
            stock.barge();
            stock.barge();
        });
        stock.put(1);
        stock.came.notify_all();
        join_all([taker, barges]);
        stock.is(0, 1);
    });
}

#[test]
fn a_moved_waiter_that_times_out_was_notified_and_leaves_no_thread_asleep() {
    model(|| {
        let stock = Stock::new();
        let hasty = spawn(&stock, Stock::take_in_time);
        let patient = spawn(&stock, Stock::take);
        let mut count = stock.count.lock();
        *count += 2;
        stock.came.notify_all();
        drop(count);
        patient.join();
        let taken = hasty.join();
        stock.is(1 - taken, 1 + taken);
    });
}

/// A wait returns as notified if and only if a notification has found it.
#[test]
fn a_wait_times_out_or_is_notified_and_moved() {
    model(|| {
        let stock = Stock::new();
        let waiter = spawn(&stock, |stock| {
            let mut count = stock.count.lock();
            *count = 1;
            stock.came.wait_for(&mut count, Duration::from_millis(1)).timed_out()
        });
        let count = stock.count.lock();
        let notified = *count == 1 && stock.came.notify_one();
        drop(count);
        assert_eq!(waiter.join(), !notified);
    });
}

#[test]
fn a_moved_waiter_is_woken_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let stock = Stock::new();
        let taker = spawn(&stock, Stock::take_in_time);
        let mut count = stock.count.lock();
        *count += 1;
        stock.came.notify_all();
        drop(count);
        assert_eq!(taker.join(), 1);
        stock.is(0, 1);
    });
}

/// A waiter that `notify_all` has moved isn't notified again: `notify_one` finds a waiter that came later.
#[test]
fn a_notify_one_after_a_notify_all_wakes_a_waiter_that_came_since() {
    model(|| {
        let stock = Stock::new();
        let takers = [(); 2].map(|()| spawn(&stock, Stock::take));
        stock.put(1);
        stock.came.notify_all();
        stock.put(1);
        stock.came.notify_one();
        join_all(takers);
        stock.is(0, 2);
    });
}

/// A fair unlock hands the mutex to a moved waiter, which must not lock it again.
#[test]
fn a_moved_waiter_that_is_handed_the_mutex_has_it() {
    model(|| {
        let stock = Stock::new();
        let taker = spawn(&stock, Stock::take);
        let mut count = stock.count.lock();
        *count += 1;
        stock.came.notify_all();
        MutexGuard::unlock_fair(count);
        taker.join();
        stock.is(0, 1);
    });
}

/// The starving thread gets the lock before a moved waiter, unless it times out.
#[test]
fn a_moved_waiter_beside_a_starving_thread_gets_the_lock() {
    model(|| {
        let stock = Stock::new();
        let taker = spawn(&stock, Stock::take);
        let mut count = stock.count.lock();
        stock.word().mark_starving();
        let starving = spawn(&stock, |stock| {
            if stock.word().lock_starving(Instant::now() + LONG) {
                stock.word().unlock();
            }
        });
        *count += 1;
        stock.came.notify_all();
        drop(count);
        join_all([taker, starving]);
        stock.is(0, 1);
    });
}

/// A moved waiter that has timed out takes the lock that is handed to it, and the other thread isn't left asleep.
#[test]
fn a_moved_waiter_that_times_out_beside_a_fair_unlock_takes_what_it_is_handed() {
    model(|| {
        let stock = Stock::new();
        let hasty = spawn(&stock, Stock::take_in_time);
        let mut count = stock.count.lock();
        let barges = spawn(&stock, Stock::barge);
        *count += 1;
        stock.came.notify_all();
        MutexGuard::unlock_fair(count);
        let taken = hasty.join();
        barges.join();
        stock.is(1 - taken, taken);
    });
}

#[test]
fn two_notified_waiters_beside_a_barging_thread_get_the_lock() {
    model(|| {
        let stock = Stock::new();
        let takers = [(); 2].map(|()| spawn(&stock, Stock::take));
        stock.put(2);
        stock.came.notify_all();
        stock.barge();
        join_all(takers);
        stock.is(0, 2);
    });
}

/// It wakes a second thread, and the first may starve just then: neither loses the lock to the other for good.
#[test]
fn a_holder_that_goes_to_sleep_leaves_no_one_asleep_beside_a_woken_thread() {
    model(|| {
        let stock = Stock::new();
        mem::forget(stock.count.lock());
        let asleep = spawn(&stock, |stock| {
            let count = stock.count.lock();
            stock.taken.add(1);
            drop(count);
        });
        let woken = spawn(&stock, |stock| {
            stock.word().lock_woken();
            stock.taken.add(1);
            stock.word().unlock();
        });
        stock.taken.add(1);
        stock.word().unlock_to_sleep();
        join_all([asleep, woken]);
        stock.is(0, 3);
    });
}

/// Two mutexes at once, of which one is held for as long as the other's waiter needs.
#[test]
fn waiters_of_different_mutexes_don_t_wait_for_one_another() {
    model(|| {
        let shared = Arc::new((real(0), real(0), Condvar::new()));
        let first = spawn(&shared, |(first, _, condvar)| {
            let mut guard = first.lock();
            condvar.wait_while(&mut guard, |value| *value == 0);
        });
        let second = spawn(&shared, |(_, second, condvar)| {
            let mut guard = second.lock();
            condvar.wait_while(&mut guard, |value| *value == 0);
        });
        let (one, other, condvar) = &*shared;
        *other.lock() = 1;
        let mut held = one.lock();
        *held = 1;
        condvar.notify_all();
        second.join();
        drop(held);
        first.join();
    });
}
