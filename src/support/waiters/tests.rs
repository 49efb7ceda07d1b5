//! What the queue of waiters does on one thread, step by step.

use super::signal::Signal;
use super::{Ended, Queue, Removal, Waiter, wait};
use crate::model;
use crate::sys::Parked;
use std::collections::VecDeque;

/// Numbers of waiters, from the first to the last.
fn order(queue: &mut Queue<u32>) -> Vec<u32> {
    queue.take_all().map(|mut taken| taken.message(|number| *number)).collect()
}

fn signals<const N: usize>() -> [Signal; N] {
    std::array::from_fn(|_| Signal::new())
}

/// Waiters that are numbered from 0, each with a signal of its own.
fn waiters<const N: usize>(signals: &[Signal; N]) -> [Waiter<u32>; N] {
    // SAFETY: each test makes the signals first, so they are dropped last.
    std::array::from_fn(|n| unsafe { Waiter::new(n as u32, &signals[n]) })
}

fn push(queue: &mut Queue<u32>, waiter: &Waiter<u32>) {
    // SAFETY: each test empties its queue before it ends.
    unsafe { queue.push(waiter) };
}

#[test]
fn a_removal_from_anywhere_leaves_the_others_in_their_order() {
    model(|| {
        for removed in 0..4 {
            let signals = signals::<4>();
            let waiters = waiters(&signals);
            let mut queue = Queue::new();
            waiters.iter().for_each(|waiter| push(&mut queue, waiter));
            assert_eq!(queue.remove(&waiters[removed]), Removal::Removed);
            assert_eq!(queue.remove(&waiters[removed]), Removal::Removed, "it isn't in any more");
            let left: Vec<u32> = (0..4).filter(|&number| number as usize != removed).collect();
            assert_eq!(order(&mut queue), left);
            assert!(queue.is_empty());
        }
    });
}

#[test]
fn a_waiter_that_was_taken_cannot_be_removed() {
    model(|| {
        let signals = signals::<2>();
        let waiters = waiters(&signals);
        let mut queue = Queue::new();
        waiters.iter().for_each(|waiter| push(&mut queue, waiter));
        let taken = queue.take_first();
        assert_eq!(queue.remove(&waiters[0]), Removal::WasTaken);
        assert!(!signals[0].is_settled());
        drop(taken);
        assert!(signals[0].is_settled() && !signals[1].is_settled());
        assert_eq!(queue.remove(&waiters[1]), Removal::Removed);
        // A waiter that was removed may wait again.
        push(&mut queue, &waiters[1]);
        assert_eq!(order(&mut queue), [1]);
    });
}

#[test]
fn a_list_settles_its_waiters_as_they_are_taken_from_it_or_when_it_is_dropped() {
    model(|| {
        let signals = signals::<3>();
        let waiters = waiters(&signals);
        let mut queue = Queue::new();
        waiters.iter().for_each(|waiter| push(&mut queue, waiter));
        let settled = || signals.each_ref().map(Signal::is_settled);
        let mut all = queue.take_all();
        assert_eq!((all.len(), settled()), (3, [false; 3]));
        drop(all.next());
        assert_eq!((all.len(), settled()), (2, [true, false, false]));
        drop(all);
        assert_eq!(settled(), [true; 3]);
    });
}

/// Steps of a queue and of a plain one beside it.
#[test]
fn a_queue_is_a_queue_whatever_comes_and_goes() {
    model(|| {
        let signals = signals::<6>();
        let waiters = waiters(&signals);
        let (mut queue, mut expected) = (Queue::new(), VecDeque::new());
        let mut random = 1_u32;
        for _ in 0..400 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (random >> 16) % 6;
            let waiter = &waiters[number as usize];
            if let Some(at) = expected.iter().position(|&other| other == number) {
                assert_eq!(queue.remove(waiter), Removal::Removed);
                expected.remove(at);
            } else {
                push(&mut queue, waiter);
                expected.push_back(number);
            }
            assert_eq!(queue.first(|number| *number), expected.front().copied());
        }
        assert_eq!(order(&mut queue), Vec::from(expected));
    });
}

#[test]
fn a_wait_that_enters_no_queue_is_over() {
    model(|| {
        let ended = wait("kept", None, None, |_| (), |_| unreachable!("it has no deadline"));
        assert_eq!(ended, ("kept", Ended::NotEntered));
    });
}

#[test]
fn a_wait_that_was_settled_before_it_slept_does_not_sleep() {
    model(|| {
        let mut queue = Queue::new();
        let enter = |waiter: &Waiter<u32>| {
            push(&mut queue, waiter);
            queue.take_first().expect("just pushed").message(|number| *number += 1);
        };
        let ended = wait(1, None, None, enter, |_| unreachable!("it has no deadline"));
        assert_eq!(ended, (2, Ended::Settled(Parked::Invalid)));
    });
}

/// A thread that waits in two queues, as a select does.
#[test]
fn of_two_waiters_with_one_signal_only_one_is_taken() {
    model(|| {
        let signals = signals::<2>();
        // SAFETY: the signals are dropped last.
        let [first, second] = [0, 1].map(|n| unsafe { Waiter::new(n, &signals[0]) });
        // SAFETY: as above.
        let other = unsafe { Waiter::new(2, &signals[1]) };
        let (mut one, mut two) = (Queue::new(), Queue::new());
        push(&mut one, &first);
        push(&mut two, &second);
        push(&mut two, &other);
        assert!(one.has_other(&signals[1]) && !one.has_other(&signals[0]));
        let taken = one.take_first().expect("none was taken before");
        // The second is passed over, and removed.
        assert_eq!(order(&mut two), [2]);
        assert_eq!(
            (one.remove(&first), two.remove(&second)),
            (Removal::WasTaken, Removal::Removed)
        );
        assert!(!signals[0].give_up());
        drop(taken);
        assert!(signals[0].is_settled());
    });
}

#[test]
fn a_thread_that_has_given_up_is_passed_over() {
    model(|| {
        let signals = signals::<2>();
        let waiters = waiters(&signals);
        let mut queue = Queue::new();
        waiters.iter().for_each(|waiter| push(&mut queue, waiter));
        assert!(signals[0].give_up());
        assert!(queue.has_other(&signals[0]) && !queue.has_other(&signals[1]));
        assert_eq!(order(&mut queue), [1]);
    });
}
