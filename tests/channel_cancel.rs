//! Awaited sends and receives that are cancelled while threads and other tasks use the channel: nothing is lost, doubled
//! or forgotten.

mod common;

use common::channels::{Capacity, open};
use common::stress::for_about;
use common::wakers::{Probe, block_on, poll};
use common::watchdog;
use phalanx::channel::{self, Receiver, Sender, TryRecvError};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Channels, with both of their ends.
type Pairs<T, const N: usize> = [(Sender<T>, Receiver<T>); N];

/// Returns channels of these capacities, and a receiver that receives from all of them.
fn fanned_in<T, const N: usize>(capacities: [usize; N]) -> (Pairs<T, N>, Receiver<T>) {
    let channels = capacities.map(channel::bounded);
    let receiver = channel::fan_in(channels.iter().map(|(_, receiver)| receiver.clone()));
    (channels, receiver)
}

/// A value that is counted while it lives, and is never in two places.
struct Unique {
    living: Arc<AtomicUsize>,
    number: Box<usize>,
}

impl Drop for Unique {
    fn drop(&mut self) {
        self.living.fetch_sub(1, SeqCst);
    }
}

/// Polls until the future is ready or has been polled so often.
async fn with_patience<F: Future + Unpin>(mut future: F, polls: usize) -> Option<F::Output> {
    let mut left = polls;
    poll_fn(|context| match Pin::new(&mut future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            // As a timer would.
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// In each round two tasks and a thread send, and two tasks and a thread receive. The tasks cancel a part of what they
/// begin. What was received is what was sent.
fn cancel_and_count(capacity: Capacity) {
    for_about(Duration::from_millis(300), |round| {
        const EACH: usize = 40;
        let (sender, receiver) = open(capacity);
        let living = Arc::new(AtomicUsize::new(0));
        let value = |number: usize| {
            living.fetch_add(1, SeqCst);
            Unique { living: Arc::clone(&living), number: Box::new(number) }
        };
        let (mut sent, mut received) = (0, 0);
        thread::scope(|scope| {
            let patience = move |n: usize| (n + round as usize) % 4;
            let sending_tasks = [0, 1].map(|_| {
                let sender = sender.clone();
                scope.spawn(move || {
                    block_on(async {
                        let mut sent = 0;
                        for n in 1..=EACH {
                            let sending = Box::pin(sender.send_async(value(n)));
                            if let Some(result) = with_patience(sending, patience(n)).await {
                                assert!(result.is_ok());
                                sent += n;
                            }
                        }
                        sent
                    })
                })
            });
            let sending = scope.spawn(move || {
                (1..=EACH).filter(|&n| sender.send(value(n)).is_ok()).sum::<usize>()
            });
            let receiving_tasks = [0, 1].map(|_| {
                let receiver = receiver.clone();
                scope.spawn(move || {
                    block_on(async {
                        let mut received = 0;
                        for n in 0.. {
                            let receiving = Box::pin(receiver.recv_async());
                            match with_patience(receiving, patience(n)).await {
                                Some(Ok(value)) => received += *value.number,
                                Some(Err(_)) => break,
                                None => {}
                            }
                        }
                        received
                    })
                })
            });
            let receiving =
                scope.spawn(move || receiver.iter().map(|value| *value.number).sum::<usize>());
            for task in sending_tasks {
                sent += task.join().unwrap();
            }
            sent += sending.join().unwrap();
            for task in receiving_tasks {
                received += task.join().unwrap();
            }
            received += receiving.join().unwrap();
        });
        // A cancelled send into a rendezvous may have been taken already.
        match capacity {
            Some(0) => assert!(received >= sent, "received {received} of {sent}"),
            _ => assert_eq!(received, sent),
        }
        assert_eq!(living.load(SeqCst), 0);
    });
}

#[test]
fn cancelled_futures_lose_nothing_in_a_rendezvous() {
    watchdog(|| cancel_and_count(Some(0)));
}

#[test]
fn cancelled_futures_lose_nothing_in_a_channel_of_one() {
    watchdog(|| cancel_and_count(Some(1)));
}

#[test]
fn cancelled_futures_lose_nothing_in_an_unbounded_channel() {
    watchdog(|| cancel_and_count(None));
}

#[test]
fn an_awaited_fan_in_is_woken_by_each_channel() {
    let (channels, receiver) = fanned_in([0, 1, 10]);
    let (probe, waker) = Probe::new().waker();
    for (wakes, (sender, _)) in (1..).zip(&channels) {
        let mut receiving = pin!(receiver.recv_async());
        assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
        let mut sending = pin!(sender.send_async(wakes));
        let _ = poll(&mut sending, Waker::noop());
        assert_eq!(probe.wakes(), wakes);
        assert_eq!(poll(&mut receiving, &waker), Poll::Ready(Ok(wakes)));
    }
    assert_eq!(probe.living(), 1);
}

#[test]
fn an_awaited_fan_in_is_over_when_all_channels_are() {
    let (channels, receiver) = fanned_in::<u32, 3>([0, 1, 10]);
    let mut receiving = pin!(receiver.recv_async());
    let (probe, waker) = Probe::new().waker();
    for (wakes, (sender, _)) in (1..).zip(&channels) {
        assert_eq!(poll(&mut receiving, &waker), Poll::Pending);
        sender.close();
        assert_eq!(probe.wakes(), wakes);
    }
    assert!(matches!(poll(&mut receiving, &waker), Poll::Ready(Err(_))));
    let nothing = channel::fan_in::<u32>([]);
    assert!(matches!(poll(&mut pin!(nothing.recv_async()), &waker), Poll::Ready(Err(_))));
}

/// golang#37852, with several queues: the wake-up of one of them is passed on in that one.
#[test]
fn a_cancelled_fan_in_passes_its_wake_up_on() {
    for woken in 0..3 {
        let (channels, receiver) = fanned_in([0, 1, 10]);
        let (sender, own) = &channels[woken];
        let [(first, first_waker), (second, second_waker)] = [(); 2].map(|()| Probe::new().waker());
        let mut head = Box::pin(receiver.recv_async());
        let mut next = pin!(own.recv_async());
        assert_eq!(poll(&mut head.as_mut(), &first_waker), Poll::Pending);
        assert_eq!(poll(&mut next, &second_waker), Poll::Pending);
        let mut sending = pin!(sender.send_async(1));
        let _ = poll(&mut sending, Waker::noop());
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(head);
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        assert_eq!(poll(&mut next, &second_waker), Poll::Ready(Ok(1)));
    }
}

/// It was woken for one channel and another has a message too: the first must be tried, or its wake-up is lost.
#[test]
fn a_fan_in_tries_the_channel_first_that_it_was_woken_for() {
    for woken in 0..2 {
        let (channels, receiver) = fanned_in([1, 1]);
        let mut receiving = pin!(receiver.recv_async());
        assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Pending);
        channels[woken].0.send(woken).unwrap();
        channels[1 - woken].0.send(1 - woken).unwrap();
        assert_eq!(poll(&mut receiving, Waker::noop()), Poll::Ready(Ok(woken)));
    }
}

#[test]
fn an_awaited_fan_in_polled_with_another_waker_wakes_that() {
    let (channels, receiver) = fanned_in([1, 1]);
    let [(old, old_waker), (new, new_waker)] = [(); 2].map(|()| Probe::new().waker());
    let mut receiving = pin!(receiver.recv_async());
    assert_eq!(poll(&mut receiving, &old_waker), Poll::Pending);
    assert_eq!(poll(&mut receiving, &new_waker), Poll::Pending);
    assert_eq!((old.living(), new.living()), (1, 2));
    channels[1].0.send(1).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    assert_eq!(poll(&mut receiving, &old_waker), Poll::Ready(Ok(1)));
    assert_eq!(channels[0].1.try_recv(), Err(TryRecvError::Empty));
}
