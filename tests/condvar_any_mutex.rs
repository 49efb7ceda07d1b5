//! The condition variable with mutexes of other crates: it works with any `lock_api::RawMutex`.

mod common;

use common::stress::for_about;
use common::{ignore, watchdog};
use phalanx::Condvar;
use phalanx::lock_api::{GuardNoSend, Mutex, RawMutex};
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::thread;
use std::time::Duration;

/// The smallest mutex possible. Its guards aren't `Send`.
struct Spin(AtomicBool);

// SAFETY: of all threads that swap `true` in, one finds `false`, until it stores `false` again. The Acquire of the
// next one pairs with that Release.
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

/// parking_lot's mutex, with an unlock that also locks another mutex, and sleeps if that is locked.
struct Logged(parking_lot::RawMutex);

static LOG: parking_lot::Mutex<u64> = parking_lot::Mutex::new(0);

// SAFETY: parking_lot's. What an unlock does besides doesn't touch the lock.
unsafe impl RawMutex for Logged {
    const INIT: Self = Logged(<parking_lot::RawMutex as RawMutex>::INIT);

    type Guard = <parking_lot::RawMutex as RawMutex>::Guard;

    fn lock(&self) -> Self::Guard {
        self.0.lock()
    }

    fn try_lock(&self) -> Option<Self::Guard> {
        self.0.try_lock()
    }

    unsafe fn unlock(&self, guard: Self::Guard) {
        // SAFETY: the caller's promise.
        unsafe { self.0.unlock(guard) };
        *LOG.lock() += 1;
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

/// A wait once unlocked the mutex in a callback of parking_lot_core's, where nothing may sleep. That corrupted its
/// queues.
#[test]
fn a_mutex_may_sleep_as_it_is_unlocked_by_a_wait() {
    watchdog(|| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Acquire) {
                        let mut log = LOG.lock();
                        // Long enough for others that want the log to fall asleep.
                        for _ in 0..20_000 {
                            *log = std::hint::black_box(*log + 1);
                        }
                        // Otherwise these two threads would keep the log between them.
                        parking_lot::MutexGuard::unlock_fair(log);
                    }
                });
            }
            take_turns::<Logged>(Duration::from_secs(1));
            done.store(true, Release);
        });
    });
}

/// For a time, threads take turns under a mutex of kind `R`, woken by each other alone.
fn take_turns<R: RawMutex + Sync>(time: Duration) {
    // The number of turns so far, and whether there are no more.
    let (turns, condvar) = (Mutex::<R, (u64, bool)>::new((0, false)), Condvar::new());
    let take_turn = |id, round| {
        let mut guard = turns.lock();
        let waits = |state: &mut (u64, bool)| state.0 % 3 != id && !state.1;
        match round % 3 {
            0 => condvar.wait_while(&mut guard, waits),
            1 => {
                while waits(&mut guard) {
                    condvar.wait(&mut guard);
                }
            }
            _ => {
                while waits(&mut guard) {
                    ignore(condvar.wait_for(&mut guard, Duration::from_micros(50)));
                }
            }
        }
        let is_mine = guard.0 % 3 == id;
        guard.0 += u64::from(is_mine);
        drop(guard);
        condvar.notify_all();
        is_mine
    };
    let taken: u64 = thread::scope(|scope| {
        let take_turn = &take_turn;
        let others = [1, 2].map(|id| {
            scope.spawn(move || (0..).take_while(|&round| take_turn(id, round)).count() as u64)
        });
        let own = for_about(time, |round| assert!(take_turn(0, round)));
        turns.lock().1 = true;
        condvar.notify_all();
        own + others.map(|other| other.join().unwrap()).iter().sum::<u64>()
    });
    assert!(!turns.is_locked());
    assert_eq!(turns.into_inner(), (taken, true));
    assert_eq!(condvar.notify_all(), 0);
}

#[test]
fn a_condvar_works_with_any_mutex_of_lock_api() {
    watchdog(|| {
        let time = Duration::from_millis(400);
        take_turns::<phalanx::RawMutex>(time);
        take_turns::<parking_lot::RawMutex>(time);
        take_turns::<Spin>(time);
    });
}

#[test]
fn a_time_out_locks_a_foreign_mutex_again() {
    let (lock, condvar) = (Mutex::<Spin, _>::new(1), Condvar::new());
    let mut guard = lock.lock();
    assert!(condvar.wait_for(&mut guard, Duration::from_millis(1)).timed_out());
    assert!(lock.try_lock().is_none());
    *guard += 1;
    drop(guard);
    assert_eq!(*lock.try_lock().unwrap(), 2);
}
