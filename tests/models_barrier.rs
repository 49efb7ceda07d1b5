//! Models of the barrier. In a plain build each runs once, on real threads; with `--cfg phalanx_loom` loom explores its
//! interleavings.
//!
//! Bugs that other barriers had, and the models that would show them here:
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | osv#857 | a party that is back before the others have left is counted for the old round | `a_fast_party_waits_for_the_next_round` |
//! | datatable#2521 | a party panics, and the others wait for ever | `a_party_that_panics_leaves_none_waiting` |

#[path = "common/models.rs"]
mod common;

use common::spawn;
use phalanx::cell::UnsafeCell;
use phalanx::{Barrier, BarrierTimeoutError, BrokenBarrier, Model, model, thread};
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

/// A barrier, and plain values that only its rounds order.
struct Shared {
    barrier: Barrier,
    values: [UnsafeCell<u32>; 3],
}

// SAFETY: every access should be ordered by the barrier under test. loom fails the model otherwise.
unsafe impl Sync for Shared {}
// SAFETY: numbers.
unsafe impl Send for Shared {}

impl Shared {
    #[track_caller]
    fn new(parties: usize) -> Arc<Self> {
        let values = [(); 3].map(|()| UnsafeCell::new(0));
        Arc::new(Shared { barrier: Barrier::new(parties), values })
    }

    fn set(&self, at: usize, value: u32) {
        // SAFETY: as for `Sync`.
        self.values[at].with_mut(|place| unsafe { *place = value });
    }

    fn get(&self, at: usize) -> u32 {
        // SAFETY: as for `Sync`.
        self.values[at].with(|place| unsafe { *place })
    }
}

/// Wakes a thread of the model.
struct Flag(AtomicUsize, thread::Thread);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(1, SeqCst);
        self.1.unpark();
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let flag = Arc::new(Flag(AtomicUsize::new(0), thread::current()));
    let waker = flag.clone().into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(future.as_mut(), &waker) {
            return output;
        }
        while flag.0.swap(0, SeqCst) == 0 {
            thread::park();
        }
    }
}

#[test]
fn each_of_two_parties_sees_what_came_before_the_others_wait() {
    model(|| {
        let shared = Shared::new(2);
        let meet = |shared: &Shared, own: usize| {
            shared.set(own, 1);
            let is_leader = shared.barrier.wait().unwrap().is_leader();
            assert_eq!(shared.get(1 - own), 1);
            is_leader
        };
        let other = spawn(&shared, move |shared| meet(shared, 1));
        let leads = meet(&shared, 0);
        assert_ne!(leads, other.join().unwrap());
    });
}

#[test]
fn each_of_three_parties_sees_what_came_before_the_others_wait() {
    model(|| {
        let shared = Shared::new(3);
        let meet = |shared: &Shared, own: usize| {
            shared.set(own, 1);
            let is_leader = shared.barrier.wait().unwrap().is_leader();
            assert_eq!([0, 1, 2].map(|at| shared.get(at)), [1; 3]);
            usize::from(is_leader)
        };
        let others = [1, 2].map(|own| spawn(&shared, move |shared| meet(shared, own)));
        let leaders = meet(&shared, 0);
        assert_eq!(
            others.into_iter().map(|other| other.join().unwrap()).sum::<usize>() + leaders,
            1
        );
    });
}

/// In the second round each writes what the other has read in the first.
#[test]
fn a_fast_party_waits_for_the_next_round() {
    model(|| {
        let shared = Shared::new(2);
        let rounds = |shared: &Shared, own: usize| {
            for round in 1..=2 {
                shared.set(own, round);
                shared.barrier.wait().unwrap();
                assert_eq!(shared.get(1 - own), round);
                shared.barrier.wait().unwrap();
            }
        };
        let other = spawn(&shared, move |shared| rounds(shared, 1));
        rounds(&shared, 0);
        other.join().unwrap();
    });
}

#[test]
fn a_timed_waiter_is_woken_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let shared = Shared::new(2);
        let other = spawn(&shared, |shared| shared.barrier.wait());
        shared.barrier.wait_timeout(SHORT).unwrap();
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_time_out_and_the_last_party_agree() {
    model(|| {
        let shared = Shared::new(2);
        let hasty = spawn(&shared, |shared| {
            shared.set(1, 1);
            shared.barrier.wait_timeout(SHORT)
        });
        let patient = shared.barrier.wait();
        if patient.is_ok() {
            assert_eq!(shared.get(1), 1);
        }
        match (patient, hasty.join().unwrap()) {
            (Ok(mine), Ok(theirs)) => assert_ne!(mine.is_leader(), theirs.is_leader()),
            (mine, theirs) => {
                assert_eq!(mine, Err(BrokenBarrier));
                assert_eq!(theirs, Err(BarrierTimeoutError::Timeout));
                assert!(shared.barrier.is_broken());
            }
        }
    });
}

#[test]
fn of_three_parties_those_that_did_not_time_out_agree() {
    model(|| {
        let shared = Shared::new(3);
        let hasty = spawn(&shared, |shared| shared.barrier.wait_timeout(SHORT));
        let patient = spawn(&shared, |shared| shared.barrier.wait());
        let (mine, theirs) = (shared.barrier.wait(), patient.join().unwrap());
        let hasty = hasty.join().unwrap();
        assert_eq!((mine.is_ok(), theirs.is_ok()), (hasty.is_ok(), hasty.is_ok()));
    });
}

#[test]
fn a_task_passes_with_a_thread() {
    model(|| {
        let shared = Shared::new(2);
        let other = spawn(&shared, |shared| {
            shared.set(1, 1);
            shared.barrier.wait().unwrap().is_leader()
        });
        let is_leader = block_on(shared.barrier.wait_async()).unwrap().is_leader();
        assert_eq!(shared.get(1), 1);
        assert_ne!(is_leader, other.join().unwrap());
    });
}

#[test]
fn a_task_that_is_cancelled_leaves_none_waiting() {
    model(|| {
        let shared = Shared::new(2);
        let mut future = Box::pin(shared.barrier.wait_async());
        assert!(poll(future.as_mut(), Waker::noop()).is_pending());
        let other = spawn(&shared, |shared| shared.barrier.wait());
        drop(future);
        // It came before the drop, or the barrier is broken.
        assert_eq!(other.join().unwrap().is_ok(), !shared.barrier.is_broken());
    });
}

#[test]
fn a_party_that_panics_leaves_none_waiting() {
    model(|| {
        let shared = Shared::new(2);
        let panics = spawn(&shared, |shared| {
            let _party = shared.barrier.party();
            resume_unwind(Box::new("before its wait"));
        });
        assert_eq!(shared.barrier.wait(), Err(BrokenBarrier));
        assert!(panics.join().is_err());
    });
}

#[test]
fn a_break_leaves_none_waiting() {
    model(|| {
        let shared = Shared::new(3);
        let waiters = [(); 2].map(|()| spawn(&shared, |shared| shared.barrier.wait()));
        shared.barrier.break_barrier();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(BrokenBarrier));
        }
    });
}

/// The waiter comes before the reset, and is told; or after it, and passes with the last.
#[test]
fn a_reset_beside_a_wait_ends_it_or_lets_it_pass() {
    model(|| {
        let shared = Shared::new(2);
        let waiter = spawn(&shared, |shared| shared.barrier.wait());
        shared.barrier.reset();
        // Comes for the waiter, if that came after the reset.
        let mine = shared.barrier.wait_timeout(SHORT);
        let theirs = waiter.join().unwrap();
        if mine.is_ok() {
            assert!(theirs.is_ok());
        } else {
            assert_eq!(theirs, Err(BrokenBarrier));
        }
    });
}

#[test]
fn a_reset_leaves_none_waiting() {
    model(|| {
        let shared = Shared::new(2);
        let waiter = spawn(&shared, |shared| shared.barrier.wait());
        while shared.barrier.waiting() == 0 {
            thread::yield_now();
        }
        shared.barrier.reset();
        assert_eq!(waiter.join().unwrap(), Err(BrokenBarrier));
        assert!(!shared.barrier.is_broken());
    });
}
