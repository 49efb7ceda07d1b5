//! Many senders and receivers at once: each message is received once, whatever the number of threads.
//!
//! Bugs that other channels had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | golang#37852 | a waiter that leaves takes a wake-up with it | `each_message_is_received_once_with_all_kinds_of_calls` |
//! | kanal#29 | a channel for one message hangs | `a_channel_for_one_message_passes_it` |

mod common;

use common::channels::{Capacity, KINDS, open, until};
use common::locks::Dice;
use common::stress::{for_about, for_about_a_second};
use common::watchdog;
use phalanx::channel::{self, Receiver, Sender, TryRecvError, TrySendError};
use phalanx::select;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Sends `count` numbers from `first` on, by `send`, and has them received by `receive` in several threads, each of which
/// returns what it received. Checks that each number came once, and those of one sender in order.
fn pass_numbers(
    capacity: Capacity,
    [senders, receivers]: [u64; 2],
    count: u64,
    send: impl Fn(&Sender<Box<u64>>, u64, u64) + Sync,
    receive: impl Fn(&Receiver<Box<u64>>, u64) -> Vec<u64> + Sync,
) {
    let (sender, receiver) = open(capacity);
    let mut received = thread::scope(|scope| {
        for id in 0..senders {
            let (sender, send) = (sender.clone(), &send);
            scope.spawn(move || send(&sender, id * count, count));
        }
        drop(sender);
        let receiving = Vec::from_iter((0..receivers).map(|id| {
            let (receiver, receive) = (receiver.clone(), &receive);
            scope.spawn(move || receive(&receiver, id))
        }));
        drop(receiver);
        let each = receiving.into_iter().map(|it| it.join().unwrap());
        Vec::from_iter(each.inspect(|numbers| {
            for id in 0..senders {
                let of_one = numbers.iter().filter(|n| **n / count == id);
                assert!(of_one.is_sorted(), "the order of a sender");
            }
        }))
        .concat()
    });
    received.sort_unstable();
    assert!(received.into_iter().eq(0..senders * count), "lost or doubled, {capacity:?}");
}

#[test]
fn each_message_is_received_once() {
    watchdog(|| {
        for capacity in KINDS {
            for threads in [[1, 1], [2, 2], [3, 1], [1, 3], [4, 4]] {
                pass_numbers(
                    capacity,
                    threads,
                    if capacity.is_some_and(|n| n < 10) { 500 } else { 5_000 },
                    |sender, first, count| {
                        (first..first + count).for_each(|n| sender.send(Box::new(n)).unwrap());
                    },
                    |receiver, _| receiver.iter().map(|n| *n).collect(),
                );
            }
        }
    });
}

#[test]
fn more_threads_than_processors_pass_all_messages() {
    watchdog(|| {
        for capacity in KINDS {
            pass_numbers(
                capacity,
                [24, 24],
                100,
                |sender, first, count| {
                    (first..first + count).for_each(|n| sender.send(Box::new(n)).unwrap());
                },
                |receiver, _| receiver.iter().map(|n| *n).collect(),
            );
        }
    });
}

/// Sends a number by a call chosen at random, as often as it takes.
fn send_somehow(sender: &Sender<Box<u64>>, number: u64, dice: &mut Dice) {
    let mut slot = Some(Box::new(number));
    while let Some(value) = slot.take() {
        let tried = match dice.roll(6) {
            0 => sender.try_send(value).map_err(TrySendError::into_inner),
            1 | 2 => sender
                .send_timeout(value, Duration::from_micros(dice.roll(80)))
                .map_err(|error| error.into_inner()),
            3 => {
                slot = Some(value);
                select! {
                    send_from(sender, &mut slot) -> sent => sent.unwrap(),
                    default(Duration::from_micros(dice.roll(80))) => {}
                }
                continue;
            }
            4 => sender.send_many([value]).map(|_| ()).map_err(|_| unreachable!("it is open")),
            _ => sender.send(value).map_err(|error| error.into_inner()),
        };
        slot = tried.err();
    }
}

/// Receives by calls chosen at random until the end.
fn receive_somehow(receiver: &Receiver<Box<u64>>, id: u64) -> Vec<u64> {
    let mut dice = Dice::new(id);
    let mut received: Vec<Box<u64>> = Vec::new();
    loop {
        let time = Duration::from_micros(dice.roll(80));
        let result = match dice.roll(6) {
            0 => receiver.try_recv(),
            1 | 2 => receiver.recv_timeout(time).map_err(|error| {
                if error.is_timeout() { TryRecvError::Empty } else { TryRecvError::Disconnected }
            }),
            3 => select! {
                recv(receiver) -> value => value.map_err(TryRecvError::from),
                default(time) => Err(TryRecvError::Empty),
            },
            4 => {
                let limit = 1 + dice.roll(5) as usize;
                match receiver.recv_many(&mut received, limit) {
                    Ok(_) => continue,
                    Err(error) => Err(error.into()),
                }
            }
            _ => receiver.recv().map_err(TryRecvError::from),
        };
        match result {
            Ok(value) => received.push(value),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return received.into_iter().map(|n| *n).collect(),
        }
    }
}

/// Those that time out leave the queue of waiting threads from anywhere, and must not take another's wake-up with them.
#[test]
fn each_message_is_received_once_with_all_kinds_of_calls() {
    watchdog(|| {
        for capacity in KINDS {
            for threads in [[1, 1], [3, 3], [1, 4], [4, 1]] {
                for_about(Duration::from_millis(100), |round| {
                    pass_numbers(
                        capacity,
                        threads,
                        200,
                        |sender, first, count| {
                            let mut dice = Dice::new(first + round);
                            for n in first..first + count {
                                send_somehow(sender, n, &mut dice);
                            }
                        },
                        |receiver, id| receive_somehow(receiver, id + 100 * round),
                    );
                });
            }
        }
    });
}

#[test]
fn many_at_once_and_one_by_one_mix() {
    watchdog(|| {
        for capacity in KINDS {
            pass_numbers(
                capacity,
                [3, 3],
                2_000,
                |sender, first, count| {
                    let mut values = (first..first + count).map(Box::new).peekable();
                    while values.peek().is_some() {
                        let some = first as usize % 7 + 90;
                        sender.send_many(values.by_ref().take(some)).unwrap();
                        if let Some(value) = values.next() {
                            sender.send(value).unwrap();
                        }
                    }
                },
                |receiver, id| {
                    let mut received = Vec::new();
                    let limit = [1, 10, 500][id as usize % 3];
                    while receiver.recv_many(&mut received, limit).is_ok() {}
                    received.into_iter().map(|n| *n).collect()
                },
            );
        }
    });
}

#[test]
fn a_channel_for_one_message_passes_it() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = open(KINDS[round as usize % KINDS.len()]);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    sender.send(round).unwrap();
                    drop(sender);
                });
                start.wait();
                assert_eq!(receiver.recv(), Ok(round));
                assert!(receiver.recv().is_err());
            });
        });
    });
}

/// Two threads pass one value to and fro: each is woken by the other's send alone.
#[test]
fn no_wake_up_is_lost_between_two_threads_that_take_turns() {
    watchdog(|| {
        for capacity in KINDS {
            let (to, there) = open(capacity);
            let (fro, here) = open(capacity);
            thread::scope(|scope| {
                scope.spawn(move || there.iter().try_for_each(|n: u64| fro.send(n + 1)));
                let mut next = 0;
                for_about(Duration::from_millis(200), |_| {
                    to.send(next).unwrap();
                    next = here.recv().unwrap();
                });
                drop(to);
            });
        }
    });
}

type Ends = (Sender<u8>, Receiver<u8>);

/// Two threads that each send into one channel and then try the other's: the later of them finds a message.
#[test]
fn of_two_threads_that_send_and_then_try_to_receive_one_is_successful() {
    const STEPS: usize = 100;
    watchdog(|| {
        for capacity in [Some(1), Some(10), None] {
            for_about(Duration::from_millis(300), |_| {
                let channels = [(); STEPS].map(|()| [open(capacity), open(capacity)]);
                let arrived = AtomicUsize::new(0);
                let run = |mine: usize| {
                    let step = |(step, ends): (usize, &[Ends; 2])| {
                        arrived.fetch_add(1, SeqCst);
                        until(|| arrived.load(SeqCst) >= 2 * (step + 1));
                        ends[mine].0.send(1).unwrap();
                        ends[1 - mine].1.try_recv().is_ok()
                    };
                    Vec::from_iter(channels.iter().enumerate().map(step))
                };
                let (one, other) = thread::scope(|scope| {
                    let other = scope.spawn(|| run(1));
                    (run(0), other.join().unwrap())
                });
                assert!(one.iter().zip(other).all(|(one, other)| *one || other), "{capacity:?}");
            });
        }
    });
}

#[test]
fn lengths_are_never_more_than_the_capacity() {
    watchdog(|| {
        for capacity in [1, 3, 10] {
            let (sender, receiver) = channel::bounded(capacity);
            thread::scope(|scope| {
                let (counted, counting) = (sender.clone(), receiver.clone());
                scope.spawn(move || (0..).try_for_each(|n: u64| counted.send(n)));
                scope.spawn(move || counting.iter().count());
                for_about(Duration::from_millis(200), |_| {
                    let (seen, seen_too) = (sender.len(), receiver.len());
                    assert!(seen <= capacity && seen_too <= capacity, "{seen} {seen_too}");
                });
                receiver.close();
            });
        }
    });
}
