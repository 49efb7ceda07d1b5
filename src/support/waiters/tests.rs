//! What the queue of waiters does on one thread, step by step.

use super::{Ended, Queue, Waiter, wait};
use crate::model;
use crate::sys::Parked;
use std::collections::VecDeque;

/// Numbers of waiters, from the first to the last.
fn order(queue: &mut Queue<u32>) -> Vec<u32> {
    queue.take_all().map(|mut taken| taken.message(|number| *number)).collect()
}

fn push(queue: &mut Queue<u32>, waiter: &Waiter<u32>) {
    // SAFETY: each test empties its queue before it ends.
    unsafe { queue.push(waiter) };
}

#[test]
fn a_removal_from_anywhere_leaves_the_others_in_their_order() {
    model(|| {
        for removed in 0..4 {
            let waiters = [0, 1, 2, 3].map(Waiter::new);
            let mut queue = Queue::new();
            waiters.iter().for_each(|waiter| push(&mut queue, waiter));
            assert!(queue.remove(&waiters[removed]));
            assert!(!queue.remove(&waiters[removed]), "it isn't in any more");
            let left: Vec<u32> = (0..4).filter(|&number| number as usize != removed).collect();
            assert_eq!(order(&mut queue), left);
            assert!(queue.is_empty());
        }
    });
}

#[test]
fn a_waiter_that_was_taken_cannot_be_removed() {
    model(|| {
        let waiters = [0, 1].map(Waiter::new);
        let mut queue = Queue::new();
        waiters.iter().for_each(|waiter| push(&mut queue, waiter));
        let taken = queue.take_first();
        assert!(!queue.remove(&waiters[0]) && !waiters[0].is_settled());
        drop(taken);
        assert!(waiters[0].is_settled() && !waiters[1].is_settled());
        assert!(queue.remove(&waiters[1]));
        // A waiter that was removed may wait again.
        push(&mut queue, &waiters[1]);
        assert_eq!(order(&mut queue), [1]);
    });
}

#[test]
fn a_list_settles_its_waiters_as_they_are_taken_from_it_or_when_it_is_dropped() {
    model(|| {
        let waiters = [0, 1, 2].map(Waiter::new);
        let mut queue = Queue::new();
        waiters.iter().for_each(|waiter| push(&mut queue, waiter));
        let settled = || waiters.each_ref().map(Waiter::is_settled);
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
        let waiters = [0, 1, 2, 3, 4, 5].map(Waiter::new);
        let (mut queue, mut expected) = (Queue::new(), VecDeque::new());
        let mut random = 1_u32;
        for _ in 0..400 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (random >> 16) % 6;
            let waiter = &waiters[number as usize];
            if let Some(at) = expected.iter().position(|&other| other == number) {
                assert!(queue.remove(waiter));
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
        assert_eq!(ended, ("kept", Ended::Removed));
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
