//! Models of the queue of waiters alone. In a plain build each runs once, on real threads.
//!
//! | the bug | model |
//! | --- | --- |
//! | a waiter that times out was taken too, and its wake-up is lost (golang#37852) | `a_waiter_is_removed_or_given_something_and_never_both`, `a_time_out_leaves_the_wake_up_to_the_other` |
//! | the waking thread touches a waiter that has returned (rust#98498) | each of them |
//! | a thread is moved that was to be woken, or sleeps on though it was settled | `a_moved_thread_returns_when_it_is_woken_where_it_was_moved` |

mod signal;

use super::{Ended, Queue, Taken, wait};
use crate::sys::{
    Arc, Dequeued, HandOff, Mutex, Parked, catch, discard, unpark_one, unpark_threads,
};
use crate::testing::{Plain, Running, spawn, until};
use crate::{Model, model};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

/// Waiters that are given numbers.
struct Line {
    state: Mutex<State>,
    /// Where threads are moved.
    elsewhere: Plain,
}

struct State {
    queue: Queue<u32>,
    /// The waiters' numbers in the order in which they came.
    came: Vec<u32>,
}

impl Line {
    fn new() -> Arc<Self> {
        let state = State { queue: Queue::new(), came: Vec::new() };
        Arc::new(Line { state: Mutex::new(state), elsewhere: Plain::new() })
    }

    fn wait(&self, number: u32, limit: Option<Duration>) -> (u32, Ended) {
        wait(
            number,
            None,
            limit.map(|limit| Instant::now() + limit),
            |waiter| {
                let mut state = self.state.lock();
                state.came.push(number);
                // SAFETY: the queue is the line's, which outlives the wait.
                unsafe { state.queue.push(waiter) };
            },
            |waiter| {
                self.state.lock().queue.remove(waiter);
            },
        )
    }

    fn has_waiters(&self, n: usize) -> bool {
        self.state.lock().came.len() == n
    }

    fn take_first(&self) -> Option<Taken<u32>> {
        self.state.lock().queue.take_first()
    }

    /// Gives a waiter ten times its number. Returns the number.
    fn give(&self, mut taken: Taken<u32>) -> u32 {
        let number = taken.message(|message| {
            *message *= 10;
            *message / 10
        });
        taken.settle();
        number
    }

    fn elsewhere(&self) -> usize {
        (&raw const self.elsewhere).addr()
    }
}

/// As long as any in a model; never over outside of one.
const LONG: Option<Duration> = Some(Duration::from_secs(60));
const SHORT: Option<Duration> = Some(Duration::from_millis(1));

fn waiter(line: &Arc<Line>, number: u32, limit: Option<Duration>) -> Running<(u32, Ended)> {
    spawn(line, move |line| line.wait(number, limit))
}

/// What a waiter was given, which must not have timed out.
#[track_caller]
fn given(waiter: Running<(u32, Ended)>) -> u32 {
    let (given, ended) = waiter.join();
    assert!(matches!(ended, Ended::Settled(Parked::Woken | Parked::Invalid)), "{ended:?}");
    given
}

#[test]
fn a_waiter_gets_what_it_is_given() {
    model(|| {
        let line = Line::new();
        let waiter = waiter(&line, 1, None);
        until(|| line.has_waiters(1));
        line.give(line.take_first().expect("one waits"));
        assert_eq!(given(waiter), 10);
    });
}

#[test]
fn a_timed_waiter_is_settled_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let line = Line::new();
        let waiter = waiter(&line, 1, LONG);
        until(|| line.has_waiters(1));
        line.give(line.take_first().expect("one waits"));
        assert_eq!(given(waiter), 10);
    });
}

#[test]
fn two_waiters_are_taken_in_the_order_in_which_they_came() {
    model(|| {
        let line = Line::new();
        let waiters = [1, 2].map(|number| waiter(&line, number, None));
        until(|| line.has_waiters(2));
        let order = [(); 2].map(|()| line.give(line.take_first().expect("two wait")));
        assert_eq!(line.state.lock().came, order);
        assert_eq!(waiters.map(given), [10, 20]);
    });
}

#[test]
fn all_waiters_are_taken_at_once() {
    model(|| {
        let line = Line::new();
        let waiters = [1, 2].map(|number| waiter(&line, number, None));
        until(|| line.has_waiters(2));
        let all = line.state.lock().queue.take_all();
        assert_eq!(all.len(), 2);
        assert!(line.take_first().is_none());
        let order: Vec<u32> = all.map(|taken| line.give(taken)).collect();
        assert_eq!(line.state.lock().came, order);
        assert_eq!(waiters.map(given), [10, 20]);
    });
}

#[test]
fn a_waiter_is_removed_or_given_something_and_never_both() {
    model(|| {
        let line = Line::new();
        let waiter = waiter(&line, 1, SHORT);
        let taken = line.take_first();
        let is_taken = taken.is_some();
        if let Some(taken) = taken {
            line.give(taken);
        }
        let (given, ended) = waiter.join();
        assert_eq!(
            (given, ended == Ended::Removed),
            if is_taken { (10, false) } else { (1, true) }
        );
        assert!(line.take_first().is_none());
    });
}

/// The first has a deadline. One is given something; the other has timed out, or comes next.
#[test]
fn a_time_out_leaves_the_wake_up_to_the_other() {
    model(|| {
        let line = Line::new();
        let hasty = waiter(&line, 1, SHORT);
        until(|| line.has_waiters(1));
        let patient = waiter(&line, 2, None);
        until(|| line.has_waiters(2));
        let first = line.give(line.take_first().expect("the patient one waits"));
        let next = line.take_first().map(|taken| line.give(taken));
        assert_eq!((first, next), if first == 1 { (1, Some(2)) } else { (2, None) });
        assert_eq!(given(patient), 20);
        assert_eq!(hasty.join().1 == Ended::Removed, first == 2);
    });
}

/// The second has a deadline.
#[test]
fn a_time_out_in_the_middle_leaves_the_others_in_their_order() {
    model(|| {
        let line = Line::new();
        let waiters = [(1, None), (2, SHORT), (3, None)].map(|(number, limit)| {
            let waiter = waiter(&line, number, limit);
            until(|| line.has_waiters(number as usize));
            waiter
        });
        let mut order = Vec::new();
        while let Some(taken) = line.take_first() {
            order.push(line.give(taken));
        }
        let [first, hasty, last] = waiters;
        let expected = if hasty.join().1 == Ended::Removed { vec![1, 3] } else { vec![1, 2, 3] };
        assert_eq!(order, expected);
        assert_eq!((given(first), given(last)), (10, 30));
    });
}

#[test]
fn a_moved_thread_returns_when_it_is_woken_where_it_was_moved() {
    for limit in [None, LONG] {
        model(move || {
            let line = Line::new();
            let waiter = waiter(&line, 1, limit);
            until(|| line.has_waiters(1));
            let Some(taken) = line.take_first() else {
                assert_eq!(waiter.join(), (1, Ended::Removed));
                return;
            };
            taken.settle_moving(line.elsewhere(), |message| {
                *message = 10;
                true
            });
            unpark_threads(line.elsewhere());
            let (given, ended) = waiter.join();
            assert!((given, ended != Ended::Removed) == (10, true), "{given} {ended:?}");
        });
    }
}

#[test]
fn a_thread_that_is_not_to_be_moved_is_woken() {
    model(|| {
        let line = Line::new();
        let waiter = waiter(&line, 1, None);
        until(|| line.has_waiters(1));
        line.take_first().expect("one waits").settle_moving(line.elsewhere(), |message| {
            *message = 10;
            false
        });
        assert_eq!(given(waiter), 10);
    });
}

#[test]
fn a_moved_thread_knows_that_it_was_handed_what_it_was_moved_for() {
    model(|| {
        let line = Line::new();
        let waiter = waiter(&line, 1, None);
        until(|| line.has_waiters(1));
        line.take_first().expect("one waits").settle_moving(line.elsewhere(), |_| true);
        let mut was_moved = false;
        unpark_one(line.elsewhere(), |Dequeued { found, .. }| {
            was_moved = found;
            HandOff::Yes
        });
        let handed = waiter.join().1 == Ended::Settled(Parked::Handed);
        assert_eq!(handed, was_moved);
    });
}

#[test]
fn a_waiter_taken_by_a_thread_that_panics_is_settled() {
    model(|| {
        let line = Line::new();
        let waiter = waiter(&line, 1, None);
        until(|| line.has_waiters(1));
        let panics: Result<(), _> = catch(|| {
            let _taken = line.state.lock().queue.take_all();
            resume_unwind(Box::new("in between"));
        });
        panics.map_or_else(discard, |()| unreachable!("it has panicked"));
        assert_eq!(given(waiter), 1);
    });
}
