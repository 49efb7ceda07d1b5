//! The condition variable with mutexes that aren't this crate's: it asks for a `lock_api::RawMutex`
//! and nothing else.

mod common;

use common::watchdog;
use phalanx::Condvar;
use phalanx::lock_api::{GuardNoSend, Mutex, RawMutex};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::thread;
use std::time::Duration;

/// The least that a mutex can be; its guards stay in their thread.
struct Spin(AtomicBool);

// SAFETY: of all who swap `true` in, one finds `false`, until that one stores `false` again; the
// Acquire of its successor pairs with that Release.
unsafe impl RawMutex for Spin {
    const INIT: Self = Spin(AtomicBool::new(false));

    type Guard = GuardNoSend;

    fn lock(&self) -> GuardNoSend {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            thread::yield_now();
        }
    }

    fn try_lock(&self) -> Option<GuardNoSend> {
        (!self.0.swap(true, Acquire)).then(GuardNoSend::new)
    }

    unsafe fn unlock(&self, _guard: GuardNoSend) {
        self.0.store(false, Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Acquire)
    }
}

/// Threads take turns under a mutex of kind `R`, with no wake-up but each other's.
fn take_turns<R: RawMutex + Sync>() {
    let (turn, condvar) = (Mutex::<R, usize>::new(0), Condvar::new());
    let timed_out = AtomicUsize::new(0);
    thread::scope(|scope| {
        for id in 0..3 {
            let (turn, condvar, timed_out) = (&turn, &condvar, &timed_out);
            scope.spawn(move || {
                for round in 0..500 {
                    let mut guard = turn.lock();
                    match round % 3 {
                        0 => condvar.wait_while(&mut guard, |turn| *turn % 3 != id),
                        1 => {
                            while *guard % 3 != id {
                                condvar.wait(&mut guard);
                            }
                        }
                        _ => {
                            while *guard % 3 != id {
                                let short = Duration::from_micros(50);
                                if condvar.wait_for(&mut guard, short).timed_out() {
                                    timed_out.fetch_add(1, Release);
                                }
                            }
                        }
                    }
                    *guard += 1;
                    drop(guard);
                    condvar.notify_all();
                }
            });
        }
    });
    assert!(!turn.is_locked());
    assert_eq!(turn.into_inner(), 1_500);
    assert_eq!(condvar.notify_all(), 0);
}

#[test]
fn a_condvar_goes_with_any_mutex_of_lock_apis() {
    watchdog(|| {
        take_turns::<phalanx::RawMutex>();
        take_turns::<parking_lot::RawMutex>();
        take_turns::<Spin>();
    });
}

#[test]
fn a_time_out_takes_a_foreign_mutex_again() {
    let (lock, condvar) = (Mutex::<Spin, _>::new(1), Condvar::new());
    let mut guard = lock.lock();
    assert!(condvar.wait_for(&mut guard, Duration::from_millis(1)).timed_out());
    assert!(lock.try_lock().is_none());
    *guard += 1;
    drop(guard);
    assert_eq!(*lock.try_lock().unwrap(), 2);
}
