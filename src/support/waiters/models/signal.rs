//! Models of a signal: a thread that waits in two queues, and a task that waits with a waker. Waiters are settled under
//! their queue's lock, as those of channels are.
//!
//! | the bug | model |
//! | --- | --- |
//! | a thread in two queues is taken from both, or from neither | `a_thread_in_two_queues_is_taken_from_one` |
//! | a thread gives up and is given something | `a_thread_gives_up_or_is_given_something` |
//! | a taken waiter isn't settled when its thread leaves under the lock | each of them |
//! | a wake-up goes to a waker that was replaced | `a_task_is_woken_by_the_waker_it_has_last` |

use super::super::{Queue, Removal, Signal, Waiter, WakeUp};
use crate::model;
use crate::sys::{Arc, Mutex, atomic};
use crate::testing::{spawn, until};
use atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

struct Line(Mutex<Queue<u32>>);

/// Two queues, each with a lock of its own.
fn lines() -> Arc<[Line; 2]> {
    Arc::new([0, 1].map(|_| Line(Mutex::new(Queue::new()))))
}

impl Line {
    fn enter(&self, waiter: &Waiter<u32>) {
        // SAFETY: each model removes its waiters from the line, which outlives them.
        unsafe { self.0.lock().push(waiter) };
    }

    fn leave(&self, waiter: &Waiter<u32>) -> Removal {
        let removal = self.0.lock().remove(waiter);
        if removal == Removal::WasTaken {
            assert!(waiter.signal().is_settled(), "it was settled under the lock");
        }
        removal
    }

    /// Gives `n` to the first waiter. Returns whether there was one.
    fn give(&self, n: u32) -> bool {
        let mut queue = self.0.lock();
        let wake_up = queue.take_first().map(|mut taken| {
            taken.message(|message| *message = n);
            taken.release()
        });
        drop(queue);
        let found = wake_up.is_some();
        wake_up.into_iter().for_each(WakeUp::wake);
        found
    }
}

/// Waits in both lines. Returns what it was given by each.
fn wait_in_both(lines: &[Line; 2], gives_up: bool) -> ([u32; 2], [Removal; 2]) {
    let signal = Signal::new();
    // SAFETY: the signal is made first, so it is dropped last.
    let waiters = [0, 1].map(|_| unsafe { Waiter::new(0, &signal) });
    lines.iter().zip(&waiters).for_each(|(line, waiter)| line.enter(waiter));
    if gives_up {
        signal.give_up();
    } else {
        signal.sleep(None);
    }
    let mut at = 0;
    let removals = [(); 2].map(|()| {
        at += 1;
        lines[at - 1].leave(&waiters[at - 1])
    });
    let given = waiters.map(Waiter::into_message);
    signal.into_waker();
    (given, removals)
}

/// Whichever line has taken the thread, the other finds nobody.
fn agree(found: [bool; 2], (given, removals): ([u32; 2], [Removal; 2])) {
    for at in 0..2 {
        assert_eq!(given[at], if found[at] { at as u32 + 1 } else { 0 });
        assert_eq!(removals[at] == Removal::WasTaken, found[at]);
    }
}

#[test]
fn a_thread_in_two_queues_is_taken_from_one() {
    model(|| {
        let lines = lines();
        let waiting = spawn(&lines, |lines| wait_in_both(lines, false));
        let second = spawn(&lines, |lines| lines[1].give(2));
        let mut found = [lines[0].give(1), second.join()];
        if found == [false; 2] {
            // It came later.
            until(|| lines[0].give(1));
            found[0] = true;
        }
        assert_ne!(found[0], found[1]);
        agree(found, waiting.join());
    });
}

#[test]
fn a_thread_gives_up_or_is_given_something() {
    model(|| {
        let lines = lines();
        let waiting = spawn(&lines, |lines| wait_in_both(lines, true));
        let found = [lines[0].give(1), lines[1].give(2)];
        assert!(!(found[0] && found[1]), "one wait is ended once");
        agree(found, waiting.join());
    });
}

/// A waiter that can't be taken any more, and hasn't left yet, keeps nobody behind it from being taken.
#[test]
fn a_queue_passes_over_a_thread_that_has_given_up() {
    model(|| {
        let lines = lines();
        let signal = Signal::new();
        // SAFETY: the signal is made first, so it is dropped last.
        let waiter = unsafe { Waiter::new(0, &signal) };
        lines[0].enter(&waiter);
        let patient = spawn(&lines, |lines| {
            let signal = Signal::new();
            // SAFETY: as above.
            let waiter = unsafe { Waiter::new(0, &signal) };
            lines[0].enter(&waiter);
            signal.sleep(None);
            assert_eq!(lines[0].leave(&waiter), Removal::WasTaken);
            waiter.into_message()
        });
        assert!(signal.give_up());
        let giving = spawn(&lines, |lines| until(|| lines[0].give(1)));
        assert_eq!(lines[0].leave(&waiter), Removal::Removed);
        assert_eq!(waiter.into_message(), 0);
        giving.join();
        assert_eq!(patient.join(), 1);
    });
}

/// Counts its wake-ups.
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_task_is_woken_by_the_waker_it_has_last() {
    model(|| {
        let lines = lines();
        let wakers = [(); 2].map(|()| Arc::new(Woken(AtomicUsize::new(0))));
        let [before, after] = wakers.clone().map(Waker::from);
        let entered = Arc::new(AtomicUsize::new(0));
        let is_in = entered.clone();
        let giving = spawn(&lines, move |lines| {
            until(|| is_in.load(Relaxed) == 1);
            assert!(lines[0].give(1));
        });
        let signal = Signal::new();
        // SAFETY: no waiter has the signal yet.
        assert!(unsafe { signal.set_waker(before) }.is_none());
        // SAFETY: the signal is made first, so it is dropped last.
        let waiter = unsafe { Waiter::new(0, &signal) };
        lines[0].enter(&waiter);
        entered.store(1, Relaxed);
        let replaced = lines[0].0.lock().if_queued(&waiter, |signal| {
            // SAFETY: the only waiter is queued, and its queue's lock is held.
            unsafe { signal.set_waker(after) }
        });
        giving.join();
        assert_eq!(lines[0].leave(&waiter), Removal::WasTaken);
        assert_eq!(waiter.into_message(), 1);
        let count = |woken: &Arc<Woken>| woken.0.load(Relaxed);
        let expected = if replaced.is_some() { [0, 1] } else { [1, 0] };
        assert_eq!(wakers.each_ref().map(count), expected);
        drop(replaced);
        assert!(signal.into_waker().is_none());
    });
}
