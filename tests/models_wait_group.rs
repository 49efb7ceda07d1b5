//! Models of the wait group. In a plain build each runs once, on real threads; with
//! `--cfg phalanx_loom` loom explores its interleavings.
//!
//! Bugs that other wait groups and latches had, and the models that would show them here:
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | rust#98498, rayon#929, stdexec#1765 | the last leave uses what the waiter has freed already | `a_waiter_may_drop_the_group_while_the_last_guard_is_leaving`, `the_last_guard_and_the_group_agree_on_who_frees` |
//! | golang#76126, golang#74702 | `wait` returns before the panic is visible | `a_panic_of_go_arrives_in_exactly_one_wait`, `of_two_waves_that_panic_both_are_heard` |
//! | golang#39013 | the group is used again while a waiter still returns | `a_group_is_reused_while_a_waiter_is_leaving`, `a_waiter_that_returns_late_forgets_no_waiter_of_the_next_wave` |
//! | raven#563 | a count below zero lets a waiter return too early, or never | `a_done_below_zero_holds_up_no_waiter`, `a_done_below_zero_puts_no_innocent_waiter_to_sleep` |
//! | parking_lot#466, llvm#201937 | a waiter that times out takes another's wake-up with it | `a_time_out_and_the_last_done_leave_no_one_asleep`, `a_timed_waiter_is_woken_before_its_deadline` |

use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::cell::UnsafeCell;
use phalanx::{Model, WaitGroup, model, thread};
use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

/// A plain value whose accesses only the group under test orders.
struct Plain(UnsafeCell<u32>);

// SAFETY: every access should be ordered by the group under test. loom fails the model otherwise.
unsafe impl Sync for Plain {}
// SAFETY: a number.
unsafe impl Send for Plain {}

impl Plain {
    fn new() -> Arc<Self> {
        Arc::new(Plain(UnsafeCell::new(0)))
    }

    fn set(&self, value: u32) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.0.with(|place| unsafe { *place })
    }
}

/// Starts a thread that sets the value, then calls `done`.
fn set_then_done(group: &Arc<WaitGroup>, value: &Arc<Plain>) -> thread::JoinHandle<()> {
    let (group, value) = (group.clone(), value.clone());
    thread::spawn(move || {
        value.set(1);
        group.done();
    })
}

#[test]
fn wait_sees_what_came_before_done() {
    model(|| {
        let (group, value) = (Arc::new(WaitGroup::new()), Plain::new());
        group.add(1);
        let worker = set_then_done(&group, &value);
        group.wait();
        assert_eq!(value.get(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn wait_sees_what_came_before_each_of_two_dones() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        let values = [Plain::new(), Plain::new()];
        group.add(2);
        for value in &values {
            set_then_done(&group, value);
        }
        group.wait();
        assert_eq!(values.map(|value| value.get()), [1, 1]);
    });
}

#[test]
fn a_count_of_zero_says_as_much_as_a_wait() {
    model(|| {
        let (group, value) = (WaitGroup::new(), Plain::new());
        let (guard, cell) = (group.guard(), value.clone());
        let worker = thread::spawn(move || {
            cell.set(1);
            drop(guard);
        });
        while group.count() > 0 {
            thread::yield_now();
        }
        assert_eq!(value.get(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_group_dropped_with_undone_adds_is_freed() {
    model(|| {
        let group = WaitGroup::new();
        let guard = group.guard();
        group.add(2);
        let worker = thread::spawn(move || drop(guard));
        drop(group);
        worker.join().unwrap();
    });
}

#[test]
fn a_done_below_zero_holds_up_no_waiter() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        let theirs = group.clone();
        let misuse = thread::spawn(move || {
            // The waiter may read the wrong count, and park.
            catch_unwind(AssertUnwindSafe(|| theirs.done())).is_err()
        });
        group.wait();
        assert!(misuse.join().unwrap());
        assert_eq!(group.count(), 0);
        group.wait();
    });
}

#[test]
fn a_done_below_zero_puts_no_innocent_waiter_to_sleep() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        let theirs = group.clone();
        let misuse =
            thread::spawn(move || catch_unwind(AssertUnwindSafe(|| theirs.done())).is_err());
        let theirs = group.clone();
        let waiter = thread::spawn(move || theirs.wait());
        // Drains the wrong count below zero. The poll clears the marks then.
        group.add(1);
        let mut noop = Context::from_waker(std::task::Waker::noop());
        let _ = pin!((&*group).into_future()).poll(&mut noop);
        let matched = catch_unwind(AssertUnwindSafe(|| group.done())).is_ok();
        // At least one of the two calls has panicked. If both have, one count is left.
        if misuse.join().unwrap() && !matched {
            group.done();
        } else if !matched {
            // The surplus call has taken this thread's count.
            assert_eq!(group.count(), 0);
        }
        waiter.join().unwrap();
    });
}

#[test]
fn a_timed_waiter_is_woken_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let (group, value) = (Arc::new(WaitGroup::new()), Plain::new());
        group.add(1);
        let worker = set_then_done(&group, &value);
        group.wait_timeout(Duration::from_secs(600)).unwrap();
        assert_eq!(value.get(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_spawned_thread_can_park_and_be_unparked() {
    model(|| {
        let parked = thread::spawn(thread::park);
        parked.thread().unpark();
        parked.join().unwrap();
    });
}

#[test]
fn both_of_two_waiters_return() {
    model(|| {
        let (group, value) = (Arc::new(WaitGroup::new()), Plain::new());
        group.add(1);
        set_then_done(&group, &value);
        let (other, cell) = (group.clone(), value.clone());
        let waiter = thread::spawn(move || {
            other.wait();
            cell.get()
        });
        group.wait();
        assert_eq!(value.get(), 1);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

#[test]
fn a_group_is_reused_while_a_waiter_is_leaving() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        group.add(1);
        let theirs = group.clone();
        let waiter = thread::spawn(move || theirs.wait());
        let theirs = group.clone();
        let worker = thread::spawn(move || {
            theirs.done();
            // The next wave begins while the waiter may not have read the word yet.
            theirs.add(1);
            theirs.done();
        });
        group.wait();
        waiter.join().unwrap();
        worker.join().unwrap();
        assert_eq!(group.count(), 0);
    });
}

#[test]
fn a_waiter_that_returns_late_forgets_no_waiter_of_the_next_wave() {
    model(|| {
        let (group, value) = (Arc::new(WaitGroup::new()), Plain::new());
        group.add(1);
        let theirs = group.clone();
        let first = thread::spawn(move || theirs.wait());
        group.done();
        group.add(1);
        let worker = set_then_done(&group, &value);
        group.wait();
        assert_eq!(value.get(), 1);
        worker.join().unwrap();
        first.join().unwrap();
    });
}

#[test]
fn a_guard_counts_down_while_unwinding() {
    model(|| {
        let group = WaitGroup::new();
        let guard = group.guard();
        let worker = thread::spawn(move || {
            let _guard = guard;
            // Quieter than `panic!`: no hook runs.
            resume_unwind(Box::new("unwinding"));
        });
        group.wait();
        assert_eq!(group.count(), 0);
        assert!(worker.join().is_err());
    });
}

#[test]
fn the_last_guard_and_the_group_agree_on_who_frees() {
    model(|| {
        let group = WaitGroup::new();
        let guard = group.guard();
        let second = guard.clone();
        let worker = thread::spawn(move || drop(guard));
        let other = thread::spawn(move || drop(second));
        drop(group);
        worker.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_waiter_may_drop_the_group_while_the_last_guard_is_leaving() {
    model(|| {
        let group = WaitGroup::new();
        let guard = group.guard();
        let worker = thread::spawn(move || drop(guard));
        group.wait();
        drop(group);
        worker.join().unwrap();
    });
}

#[test]
fn a_time_out_and_the_last_done_leave_no_one_asleep() {
    model(|| {
        let (group, value) = (Arc::new(WaitGroup::new()), Plain::new());
        group.add(1);
        let worker = set_then_done(&group, &value);
        let theirs = group.clone();
        let patient = thread::spawn(move || theirs.wait());
        match group.wait_timeout(Duration::ZERO) {
            Ok(()) => assert_eq!(value.get(), 1),
            Err(timeout) => assert_eq!(timeout.remaining, 1),
        }
        patient.join().unwrap();
        worker.join().unwrap();
    });
}

/// Returns the number that `wait` panicked with, if it did.
fn caught(group: &WaitGroup) -> Option<u32> {
    let payload = catch_unwind(AssertUnwindSafe(|| group.wait())).err()?;
    Some(*payload.downcast().expect("a panic of the test's, not loom's verdict"))
}

#[test]
fn a_panic_of_go_arrives_in_exactly_one_wait() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        group.go(|| resume_unwind(Box::new(7_u32)));
        let theirs = group.clone();
        let other = thread::spawn(move || caught(&theirs));
        let mine = caught(&group);
        assert!(mine.xor(other.join().unwrap()).is_some());
        group.wait();
    });
}

#[test]
fn of_two_waves_that_panic_both_are_heard() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        group.go(|| resume_unwind(Box::new(1_u32)));
        let theirs = group.clone();
        let other = thread::spawn(move || caught(&theirs));
        let first = caught(&group);
        group.go(|| resume_unwind(Box::new(2_u32)));
        let second = caught(&group);
        let heard = [first, second, other.join().unwrap(), caught(&group)];
        assert_eq!(heard.into_iter().flatten().sum::<u32>(), 3);
    });
}

#[test]
fn the_first_of_two_panics_is_the_one_that_is_kept() {
    model(|| {
        let group = WaitGroup::new();
        group.go(|| resume_unwind(Box::new(1_u32)));
        while group.count() > 0 {
            thread::yield_now();
        }
        group.go(|| resume_unwind(Box::new(2_u32)));
        assert_eq!(caught(&group), Some(1));
    });
}

#[test]
fn a_panic_that_no_wait_resumes_is_dropped_with_the_group() {
    model(|| {
        let payload = Arc::new(());
        let kept = Arc::downgrade(&payload);
        let group = WaitGroup::new();
        group.go(move || resume_unwind(Box::new(payload)));
        drop(group);
        // The thread or the group drops it, whichever ends last.
        while kept.strong_count() > 0 {
            thread::yield_now();
        }
    });
}

struct Flag(AtomicUsize, thread::Thread);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.swap(1, Relaxed);
        self.1.unpark();
    }
}

#[test]
fn a_future_is_woken_by_the_last_done() {
    model(|| {
        let (group, value) = (Arc::new(WaitGroup::new()), Plain::new());
        group.add(1);
        let worker = set_then_done(&group, &value);
        let flag = Arc::new(Flag(AtomicUsize::new(0), thread::current()));
        let waker = flag.clone().into();
        let mut future = pin!((&*group).into_future());
        while future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            while flag.0.swap(0, Relaxed) == 0 {
                thread::park();
            }
        }
        assert_eq!(value.get(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_dropped_future_takes_no_wake_up_from_a_thread() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        group.add(1);
        let theirs = group.clone();
        let worker = thread::spawn(move || theirs.done());
        {
            let waker = std::task::Waker::noop();
            let mut future = pin!((&*group).into_future());
            let _ = future.as_mut().poll(&mut Context::from_waker(waker));
        }
        group.wait();
        worker.join().unwrap();
    });
}

#[test]
fn a_future_that_is_given_up_takes_no_other_with_it() {
    model(|| {
        let group = Arc::new(WaitGroup::new());
        group.add(1);
        let theirs = group.clone();
        let worker = thread::spawn(move || theirs.done());
        let flag = Arc::new(Flag(AtomicUsize::new(0), thread::current()));
        let waker = flag.clone().into();
        let mut given_up = Box::pin((&*group).into_future());
        let mut future = pin!((&*group).into_future());
        let noop = &mut Context::from_waker(std::task::Waker::noop());
        let mine = &mut Context::from_waker(&waker);
        let _ = given_up.as_mut().poll(noop);
        if future.as_mut().poll(mine).is_pending() {
            // Registered again, behind the other.
            let _ = given_up.as_mut().poll(noop);
            drop(given_up);
            loop {
                while flag.0.swap(0, Relaxed) == 0 {
                    thread::park();
                }
                if future.as_mut().poll(mine).is_ready() {
                    break;
                }
            }
        }
        worker.join().unwrap();
    });
}
