//! The barrier: rounds, leaders, broken barriers, tasks as parties.
//!
//! Bugs that other barriers had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | osv#857 | a party that is back before the others have left is counted for the old round | `a_fast_party_waits_for_the_next_round` |
//! | datatable#2521 | a party panics, and the others wait for ever | `a_party_that_panics_breaks_the_barrier` |

mod common;

use common::wakers::{Probe, block_on, panic_silently, poll};
use common::{panic_of, watchdog};
use phalanx::{Barrier, BarrierTimeoutError, BrokenBarrier, CancelToken};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(3_600);

fn until_waiting(barrier: &Barrier, n: usize) {
    while barrier.waiting() < n {
        thread::yield_now();
    }
}

#[test]
fn all_pass_when_the_last_has_come() {
    watchdog(|| {
        for parties in [1, 2, 3, 8] {
            let (barrier, came) = (Barrier::new(parties), AtomicUsize::new(0));
            assert_eq!(barrier.parties(), parties);
            let leaders: usize = thread::scope(|scope| {
                let threads: Vec<_> = (0..parties)
                    .map(|_| {
                        scope.spawn(|| {
                            came.fetch_add(1, Relaxed);
                            let is_leader = barrier.wait().unwrap().is_leader();
                            assert_eq!(came.load(Relaxed), parties);
                            usize::from(is_leader)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((leaders, barrier.waiting()), (1, 0));
        }
    });
}

// A model's barrier can't be made in a const.
#[cfg(not(phalanx_loom))]
#[test]
fn it_may_be_a_static() {
    static BARRIER: Barrier = Barrier::new(1);
    assert!(BARRIER.wait().unwrap().is_leader());
}

#[test]
fn a_barrier_of_no_parties_is_refused() {
    let line = line!() + 1;
    let seen = panic_of(|| Barrier::new(0));
    assert_eq!(seen.message, "Barrier::new: a barrier is for at least one party");
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
}

/// In each round every party sees the count of the round, and each round has one leader.
#[test]
fn a_fast_party_waits_for_the_next_round() {
    const ROUNDS: usize = 2_000;
    watchdog(|| {
        for parties in [2, 3, 5] {
            let barrier = Barrier::new(parties);
            let (came, led) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..parties {
                    scope.spawn(|| {
                        for round in 1..=ROUNDS {
                            came.fetch_add(1, Relaxed);
                            if barrier.wait().unwrap().is_leader() {
                                led.fetch_add(1, Relaxed);
                            }
                            // None has come a second time: the next round isn't over without this thread.
                            let now = came.load(Relaxed);
                            assert!((round * parties..(round + 1) * parties).contains(&now));
                        }
                    });
                }
            });
            assert_eq!(led.into_inner(), ROUNDS);
        }
    });
}

/// More threads than parties: each wait that passes belongs to one round of two, which has one leader.
#[test]
fn more_threads_than_parties_pass_in_groups() {
    watchdog(|| {
        let barrier = Barrier::new(2);
        let (passed, led) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        // A thread that is left alone breaks the barrier.
                        let Ok(result) = barrier.wait_timeout(100 * MOMENT) else { return };
                        passed.fetch_add(1, Relaxed);
                        led.fetch_add(usize::from(result.is_leader()), Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 2 * led.into_inner());
    });
}

#[test]
fn a_wait_that_times_out_breaks_the_barrier() {
    watchdog(|| {
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            let patient = scope.spawn(|| barrier.wait());
            let timed = scope.spawn(|| barrier.wait_timeout(LONG));
            until_waiting(&barrier, 2);
            // The last passes, however little time it has.
            assert!(barrier.wait_timeout(Duration::ZERO).unwrap().is_leader());
            assert!(!patient.join().unwrap().unwrap().is_leader());
            assert!(timed.join().unwrap().is_ok());
        });
        thread::scope(|scope| {
            let patient = scope.spawn(|| barrier.wait());
            let start = Instant::now();
            assert_eq!(barrier.wait_timeout(MOMENT), Err(BarrierTimeoutError::Timeout));
            assert!(start.elapsed() >= MOMENT);
            assert_eq!(patient.join().unwrap(), Err(BrokenBarrier));
        });
        assert!(barrier.is_broken());
        assert_eq!(barrier.waiting(), 0);
        assert_eq!(barrier.wait(), Err(BrokenBarrier));
        let late = barrier.wait_deadline(Instant::now() + LONG);
        assert_eq!(late, Err(BarrierTimeoutError::Broken));
    });
}

#[test]
fn a_timeout_too_long_to_represent_never_ends() {
    watchdog(|| {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait_timeout(Duration::MAX));
            until_waiting(&barrier, 1);
            barrier.wait().unwrap();
            waiter.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_party_that_panics_breaks_the_barrier() {
    watchdog(|| {
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            let waiters = [(); 2].map(|()| {
                scope.spawn(|| {
                    let party = barrier.party();
                    party.wait()
                })
            });
            until_waiting(&barrier, 2);
            let panics = scope.spawn(|| {
                let _party = barrier.party();
                resume_unwind(Box::new("before its wait"));
            });
            assert!(panics.join().is_err());
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Err(BrokenBarrier));
            }
        });
        assert!(barrier.is_broken());
    });
}

#[test]
fn a_party_that_ends_well_breaks_nothing() {
    let barrier = Barrier::new(2);
    drop(barrier.party());
    assert!(!barrier.is_broken());

    // Made and dropped while its thread unwinds, for another reason.
    struct Cleanup<'a>(&'a Barrier);
    impl Drop for Cleanup<'_> {
        fn drop(&mut self) {
            drop(self.0.party());
        }
    }
    let unwinds = catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = Cleanup(&barrier);
        resume_unwind(Box::new("for another reason"));
    }));
    assert!(unwinds.is_err());
    assert!(!barrier.is_broken());
}

#[test]
fn a_barrier_is_broken_by_a_call() {
    watchdog(|| {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait());
            until_waiting(&barrier, 1);
            assert!(barrier.break_barrier());
            assert!(!barrier.break_barrier());
            assert_eq!(waiter.join().unwrap(), Err(BrokenBarrier));
        });
    });
}

#[test]
fn a_reset_ends_the_waits_and_makes_the_barrier_as_new() {
    watchdog(|| {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait());
            until_waiting(&barrier, 1);
            barrier.reset();
            assert_eq!(waiter.join().unwrap(), Err(BrokenBarrier));
        });
        assert!(!barrier.is_broken());
        barrier.break_barrier();
        barrier.reset();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait());
            barrier.wait().unwrap();
            waiter.join().unwrap().unwrap();
        });
    });
}

#[test]
fn threads_and_tasks_pass_together() {
    watchdog(|| {
        let barrier = Barrier::new(3);
        let leaders: usize = thread::scope(|scope| {
            let thread = scope.spawn(|| barrier.wait());
            let tasks = [(); 2].map(|()| scope.spawn(|| block_on(barrier.wait_async())));
            let results = [thread].into_iter().chain(tasks).map(|party| party.join().unwrap());
            results.map(|result| usize::from(result.unwrap().is_leader())).sum()
        });
        assert_eq!(leaders, 1);
    });
}

#[test]
fn a_task_comes_in_its_first_poll_and_is_woken_by_the_last() {
    let barrier = Barrier::new(2);
    let (probe, waker) = Probe::new().waker();
    let mut future = pin!(barrier.wait_async());
    assert_eq!(barrier.waiting(), 0);
    assert!(poll(&mut future, &waker).is_pending());
    assert!(poll(&mut future, &waker).is_pending());
    assert_eq!((barrier.waiting(), probe.wakes()), (1, 0));
    assert!(barrier.wait().unwrap().is_leader());
    assert_eq!(probe.wakes(), 1);
    let Poll::Ready(Ok(result)) = poll(&mut future, &waker) else { panic!("passed") };
    assert!(!result.is_leader());
    assert_eq!(probe.living(), 1);
    let seen = panic_of(|| poll(&mut future, &waker).is_ready());
    assert_eq!(seen.message, "a `BarrierFuture` must not be polled after it has completed");
}

#[test]
fn a_task_that_is_cancelled_breaks_the_barrier() {
    let barrier = Barrier::new(3);
    drop(barrier.wait_async());
    assert!(!barrier.is_broken(), "it hasn't come");
    let (probe, waker) = Probe::new().waker();
    let mut other = pin!(barrier.wait_async());
    assert!(poll(&mut other, &waker).is_pending());
    let mut cancelled = Box::pin(barrier.wait_async());
    assert!(poll(&mut cancelled.as_mut(), Waker::noop()).is_pending());
    drop(cancelled);
    assert_eq!((barrier.is_broken(), probe.wakes()), (true, 1));
    assert_eq!(poll(&mut other, &waker), Poll::Ready(Err(BrokenBarrier)));
}

#[test]
fn a_task_that_is_cancelled_after_all_have_come_breaks_nothing() {
    let barrier = Barrier::new(2);
    let mut future = Box::pin(barrier.wait_async());
    assert!(poll(&mut future.as_mut(), Waker::noop()).is_pending());
    assert!(barrier.wait().unwrap().is_leader());
    drop(future);
    assert!(!barrier.is_broken());
}

#[test]
fn a_round_that_was_passed_stays_passed() {
    let barrier = Barrier::new(2);
    let mut future = pin!(barrier.wait_async());
    assert!(poll(&mut future, Waker::noop()).is_pending());
    assert!(barrier.wait().unwrap().is_leader());
    barrier.break_barrier();
    assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Ok(_))));
    // And one that was broken stays broken.
    barrier.reset();
    let mut future = pin!(barrier.wait_async());
    assert!(poll(&mut future, Waker::noop()).is_pending());
    barrier.reset();
    assert_eq!(poll(&mut future, Waker::noop()), Poll::Ready(Err(BrokenBarrier)));
}

#[test]
fn a_waker_that_panics_harms_neither_the_leader_nor_the_others() {
    let barrier = Barrier::new(3);
    let (probe, waker) = Probe::new().on_wake(panic_silently).waker();
    let mut futures = [(); 2].map(|()| Box::pin(barrier.wait_async()));
    for future in &mut futures {
        assert!(poll(&mut future.as_mut(), &waker).is_pending());
    }
    assert!(barrier.wait().unwrap().is_leader());
    assert_eq!(probe.wakes(), 2);
    for future in &mut futures {
        assert!(poll(&mut future.as_mut(), &waker).is_ready());
    }
}

#[test]
fn a_waker_may_call_back() {
    watchdog(|| {
        let barrier = Arc::new(Barrier::new(2));
        let theirs = barrier.clone();
        let hook = move || {
            theirs.reset();
            assert_eq!(theirs.waiting(), 0);
        };
        let (probe, waker) = Probe::new().on_wake(hook).waker();
        let mut future = pin!(barrier.wait_async());
        assert!(poll(&mut future, &waker).is_pending());
        assert!(barrier.wait().unwrap().is_leader());
        assert_eq!(probe.wakes(), 1);
        assert!(poll(&mut future, &waker).is_ready());
    });
}

/// Threads wait, time out, break and reset at random: no wait hangs, and in each passed round there is one leader.
#[test]
fn time_outs_and_resets_leave_no_party_waiting() {
    watchdog(|| {
        let barrier = Barrier::new(3);
        let (passed, led) = (AtomicUsize::new(0), AtomicUsize::new(0));
        common::stress::for_about_a_second(|_| {
            thread::scope(|scope| {
                for party in 0..3 {
                    let (barrier, passed, led) = (&barrier, &passed, &led);
                    scope.spawn(move || {
                        let mut dice = common::locks::Dice::new(party);
                        for _ in 0..100 {
                            let result = match dice.roll(8) {
                                0 => barrier.wait_timeout(Duration::from_micros(dice.roll(30))),
                                1 => {
                                    barrier.reset();
                                    continue;
                                }
                                _ => barrier.wait_timeout(MOMENT),
                            };
                            match result {
                                Ok(result) => {
                                    passed.fetch_add(1, SeqCst);
                                    led.fetch_add(usize::from(result.is_leader()), SeqCst);
                                }
                                Err(_) => barrier.reset(),
                            }
                        }
                    });
                }
            });
        });
        assert_eq!(passed.load(SeqCst), 3 * led.load(SeqCst));
    });
}

#[test]
fn what_they_show_is_short() {
    let barrier = Barrier::new(3);
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 3, waiting: 0, is_broken: false }");
    assert_eq!(format!("{:?}", barrier.wait_async()), "BarrierFuture { is_done: false, .. }");
    assert!(format!("{:?}", barrier.party()).starts_with("BarrierParty"));
    assert_eq!(
        BrokenBarrier.to_string(),
        "the barrier is broken: a party has left it before the others came"
    );
    assert_eq!(
        BarrierTimeoutError::Timeout.to_string(),
        "timed out while waiting for a barrier's other parties"
    );
}

/// The thread that cancels would wait for parties that may be waiting for the cancel.
#[test]
fn a_wait_in_a_callback_of_a_token_is_refused() {
    let (token, barrier) = (CancelToken::new(), Arc::new(Barrier::new(1)));
    let inner = barrier.clone();
    token.on_cancel(move || _ = inner.wait()).detach();
    let seen = panic_of(|| token.cancel());
    assert!(seen.message.starts_with("Barrier::wait in a callback of `CancelToken::on_cancel`"));
    assert!(barrier.wait().is_ok());
}
