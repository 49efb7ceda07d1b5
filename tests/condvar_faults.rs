//! The condition variable when its mutex panics, and when a waiter times out beside others.

mod common;

use common::watchdog;
use phalanx::{Condvar, Mutex, lock_api};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use std::{env, thread};

/// A mutex for one thread. Its second `lock` panics, or its `unlock`.
struct Faulty {
    was_locked: AtomicBool,
    unlocks: bool,
}

// SAFETY: used by one thread.
unsafe impl lock_api::RawMutex for Faulty {
    const INIT: Self = Faulty { was_locked: AtomicBool::new(false), unlocks: true };
    type Guard = lock_api::GuardSend;

    fn lock(&self) -> Self::Guard {
        assert!(!self.was_locked.swap(true, SeqCst), "locked again");
        lock_api::GuardSend::new()
    }

    fn try_lock(&self) -> Option<Self::Guard> {
        None
    }

    unsafe fn unlock(&self, _: Self::Guard) {
        assert!(self.unlocks, "unlocked");
    }

    fn is_locked(&self) -> bool {
        false
    }
}

/// The environment variable of the process that is to abort.
const CHILD: &str = "PHALANX_TEST_ABORTS";

/// The exit code of a process whose wait has unwound.
const UNWOUND: i32 = 7;

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_mutex_that_panics_during_a_wait_aborts_the_process() {
    if let Some(which) = env::var_os(CHILD) {
        let faulty = Faulty { was_locked: AtomicBool::new(false), unlocks: which == "lock" };
        let mutex = lock_api::Mutex::from_raw(faulty, ());
        let condvar = Condvar::new();
        let mut guard = mutex.lock();
        let wait = || condvar.wait_for(&mut guard, Duration::from_millis(1)).timed_out();
        let _ = catch_unwind(AssertUnwindSafe(wait));
        exit(UNWOUND);
    }
    for which in ["lock", "unlock"] {
        let output = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "a_mutex_that_panics_during_a_wait_aborts_the_process",
                "--nocapture",
            ])
            .env(CHILD, which)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("locked"), "the {which} didn't panic: {told}");
        assert_ne!(output.status.code(), Some(UNWOUND), "the wait unwound from its {which}");
        assert!(!output.status.success());
        #[cfg(unix)]
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(6));
    }
}

#[derive(Default)]
struct Line {
    waiting: usize,
    woken: Vec<usize>,
    /// How many threads had begun to wait when the second one timed out.
    left_behind: usize,
}

impl Line {
    fn until(line: &Mutex<Line>, ready: impl Fn(&Line) -> bool) {
        while !ready(&line.lock()) {
            thread::yield_now();
        }
    }
}

/// Four threads wait in order, the second of them for `limit`. When it has timed out, the others are notified one by
/// one. Returns how many threads had begun to wait when it timed out.
fn second_leaves(limit: Duration) -> usize {
    const FOR_EVER: Duration = Duration::MAX;
    let shared = Arc::new((Mutex::new(Line::default()), Condvar::new()));
    let (line, condvar) = &*shared;
    let waiters = [FOR_EVER, limit, FOR_EVER, FOR_EVER].map(|limit| {
        let id = line.lock().waiting;
        let shared = Arc::clone(&shared);
        let waiter = thread::spawn(move || {
            let mut line = shared.0.lock();
            line.waiting += 1;
            if shared.1.wait_for(&mut line, limit).timed_out() {
                line.left_behind = line.waiting;
            } else {
                line.woken.push(id);
            }
        });
        // It is in the queue as soon as it has unlocked.
        Line::until(line, |line| line.waiting == id + 1);
        waiter
    });
    Line::until(line, |line| line.left_behind > 0);
    for notified in 1..=3 {
        assert!(condvar.notify_one());
        Line::until(line, |line| line.woken.len() == notified);
    }
    assert!(!condvar.notify_one(), "the second had left");
    for waiter in waiters {
        waiter.join().unwrap();
    }
    assert_eq!(line.lock().woken, [0, 2, 3]);
    line.lock().left_behind
}

#[test]
fn a_wait_that_times_out_leaves_the_others_in_their_order() {
    watchdog(|| {
        let mut limit = Duration::from_millis(5);
        // Until the second times out with others on both sides in the queue.
        while second_leaves(limit) < 4 {
            limit *= 2;
        }
    });
}
