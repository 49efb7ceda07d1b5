//! Models of the condition variable, with phalanx's mutex. In a plain build each runs once, on real
//! threads; with `--cfg phalanx_loom` loom explores its interleavings.
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | golang#37852, rust#39364 | a waiter that times out takes a notification with it | `a_condvar_s_notification_goes_to_a_waiter_that_has_not_timed_out`, `a_condvar_s_wait_times_out_or_is_notified` |
//! | – | a notification between unlocking and sleeping is lost | `a_condvar_loses_no_notification` |

#[path = "common/models.rs"]
mod common;

use common::spawn;
use phalanx::{Condvar, Model, Mutex, model, thread};
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
struct Stock {
    count: Mutex<u32>,
    came: Condvar,
}

impl Stock {
    fn put(&self, n: u32) {
        *self.count.lock() += n;
    }

    fn take(&self) {
        let mut count = self.count.lock();
        self.came.wait_while(&mut count, |count| *count == 0);
        *count -= 1;
    }

    /// Returns 1 if it has taken one, 0 if it has timed out.
    fn take_in_time(&self) -> u32 {
        let mut count = self.count.lock();
        let limit = Duration::from_secs(60);
        if self.came.wait_while_for(&mut count, |count| *count == 0, limit).timed_out() {
            return 0;
        }
        *count -= 1;
        1
    }
}

#[test]
fn a_condvar_loses_no_notification() {
    model(|| {
        let stock = Arc::new(Stock::default());
        let taker = spawn(&stock, Stock::take);
        stock.put(1);
        stock.came.notify_one();
        taker.join().unwrap();
    });
}

#[test]
fn a_condvar_s_notify_one_twice_wakes_two() {
    model(|| {
        let stock = Arc::new(Stock::default());
        let takers = [(); 2].map(|()| spawn(&stock, Stock::take));
        for _ in 0..2 {
            stock.put(1);
            stock.came.notify_one();
        }
        for taker in takers {
            taker.join().unwrap();
        }
    });
}

/// Two threads wait for any notification. The condition variable counts those it notifies.
#[test]
fn a_condvar_s_notify_one_notifies_one_and_notify_all_the_others() {
    model(|| {
        let stock = Arc::new(Stock::default());
        let waiters = [(); 2].map(|()| {
            spawn(&stock, |stock| {
                let mut waiting = stock.count.lock();
                *waiting += 1;
                stock.came.wait(&mut waiting);
            })
        });
        while *stock.count.lock() < 2 {
            thread::yield_now();
        }
        assert!(stock.came.notify_one());
        assert_eq!(stock.came.notify_all(), 1);
        assert!(!stock.came.notify_one());
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_condvar_s_notify_all_wakes_all() {
    model(|| {
        let stock = Arc::new(Stock::default());
        let takers = [(); 2].map(|()| spawn(&stock, Stock::take));
        stock.put(2);
        stock.came.notify_all();
        for taker in takers {
            taker.join().unwrap();
        }
    });
}

/// The hasty taker may time out while it is notified. Then it has taken one, or the second notification goes to the
/// patient taker.
#[test]
fn a_condvar_s_notification_goes_to_a_waiter_that_has_not_timed_out() {
    model(|| {
        let stock = Arc::new(Stock::default());
        let hasty = spawn(&stock, Stock::take_in_time);
        let patient = spawn(&stock, Stock::take);
        for _ in 0..2 {
            stock.put(1);
            stock.came.notify_one();
        }
        patient.join().unwrap();
        let taken = hasty.join().unwrap();
        assert_eq!(*stock.count.lock(), 1 - taken);
    });
}

#[test]
fn a_condvar_s_wait_times_out_or_is_notified() {
    model(|| {
        let stock = Arc::new(Stock::default());
        let waiter = spawn(&stock, |stock| {
            let mut count = stock.count.lock();
            *count = 1;
            // In a model a deadline may pass at any moment. Outside of one there may be no notification.
            stock.came.wait_for(&mut count, Duration::from_millis(1)).timed_out()
        });
        // Only if the waiter is in the queue already.
        let notified = *stock.count.lock() == 1 && stock.came.notify_one();
        assert_eq!(waiter.join().unwrap(), !notified);
    });
}

#[test]
fn a_condvar_wakes_a_timed_waiter_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let stock = Arc::new(Stock::default());
        let taker = spawn(&stock, Stock::take_in_time);
        stock.put(1);
        stock.came.notify_all();
        assert_eq!(taker.join().unwrap(), 1);
    });
}
