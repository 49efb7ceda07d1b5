//! Closing a channel, from either end, by a call or by a drop.
//!
//! Bugs that other channels had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | crossbeam#236, #959 | a receiver can't close and know that nothing was lost | `a_receiver_that_closes_and_drains_has_all_that_was_sent` |
//! | crossbeam#838 | a receiver sees the disconnect before what was sent | `what_was_sent_is_seen_before_the_end` |
//! | flume#44 | a select sleeps on beside a channel that is closed | `a_close_wakes_all_that_wait` |

mod common;

use common::channels::{
    BUFFERED, Capacity, KINDS, open, until, until_a_receiver_waits, until_a_sender_waits,
};
use common::locks::Dice;
use common::stress::{for_about, for_about_a_second};
use common::watchdog;
use phalanx::channel::{self, Receiver, RecvError, Select, SendError, SendTimeoutError, Sender};
use phalanx::select;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn only_the_first_close_is_the_one_that_closes() {
    for capacity in KINDS {
        for by_receiver in [false, true] {
            let (sender, receiver) = open::<u8>(capacity);
            assert!(!sender.is_closed() && !receiver.is_closed());
            assert!(if by_receiver { receiver.close() } else { sender.close() });
            for _ in 0..2 {
                assert!(!receiver.close() && !sender.close());
                assert!(!receiver.clone().close() && !sender.clone().close());
            }
            assert!(sender.is_closed() && receiver.is_closed());
        }
    }
}

#[test]
fn of_many_closes_at_once_one_is_the_first() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = open::<u8>(KINDS[round as usize % KINDS.len()]);
            let (first, start) = (AtomicUsize::new(0), Barrier::new(4));
            let close = |closes: bool| {
                first.fetch_add(usize::from(closes), SeqCst);
                assert!(sender.is_closed() && receiver.is_closed());
            };
            thread::scope(|scope| {
                for at in 0..4 {
                    let (start, sender, receiver) = (&start, &sender, &receiver);
                    scope.spawn(move || {
                        start.wait();
                        close(if at % 2 == 0 { sender.close() } else { receiver.close() });
                    });
                }
            });
            assert_eq!(first.into_inner(), 1);
        });
    });
}

#[test]
fn a_channel_closes_with_the_last_of_a_side() {
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        let other = sender.clone();
        drop(sender);
        other.send(1).unwrap();
        assert!(!receiver.is_closed());
        drop(other);
        assert!(receiver.is_closed());
        assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Err(RecvError)));

        let (sender, receiver) = open(capacity);
        let other = receiver.clone();
        drop(receiver);
        sender.send(1).unwrap();
        assert_eq!(other.recv(), Ok(1));
        drop(other);
        assert!(sender.is_closed());
        assert_eq!(sender.send(2), Err(SendError(2)));
        assert_eq!(sender.len(), 0);
    }
}

#[test]
fn what_is_queued_is_dropped_by_the_last_receiver_and_not_by_the_last_sender() {
    for capacity in BUFFERED {
        let (sender, receiver) = open(capacity);
        let value = std::sync::Arc::new(());
        sender.send(value.clone()).unwrap();
        drop(receiver);
        assert_eq!(std::sync::Arc::strong_count(&value), 1, "though a sender is left");
        assert!(sender.is_empty());
    }
}

/// Half of the threads wait in a plain call, the others in a select beside a channel that stays quiet.
#[test]
fn a_close_wakes_all_that_wait() {
    #[derive(Clone, Copy, Debug)]
    enum By {
        Sender,
        Receiver,
        Drop,
    }
    fn close(by: By, sender: Sender<u32>, receiver: &Receiver<u32>) {
        match by {
            By::Sender => assert!(sender.close()),
            By::Receiver => assert!(receiver.close()),
            By::Drop => drop(sender),
        }
    }
    watchdog(|| {
        for (capacity, by) in KINDS
            .into_iter()
            .flat_map(|capacity| [By::Sender, By::Receiver, By::Drop].map(|by| (capacity, by)))
        {
            let (sender, receiver) = open::<u32>(capacity);
            let quiet = channel::never::<u32>();
            let about_to_wait = AtomicUsize::new(0);
            thread::scope(|scope| {
                for how in 0..8 {
                    let (receiver, quiet, about_to_wait) = (&receiver, &quiet, &about_to_wait);
                    scope.spawn(move || {
                        about_to_wait.fetch_add(1, SeqCst);
                        let received = match how % 4 {
                            0 => receiver.recv().ok(),
                            1 => receiver.recv_timeout(HOUR).ok(),
                            2 => receiver.iter().next(),
                            _ => select! {
                                recv(quiet) -> n => n.ok(),
                                recv(receiver) -> n => n.ok(),
                            },
                        };
                        assert_eq!(received, None);
                    });
                }
                until(|| about_to_wait.load(SeqCst) == 8);
                if capacity == Some(0) {
                    until_a_receiver_waits(&sender, 0);
                }
                close(by, sender, &receiver);
            });
        }
    });
}

#[test]
fn a_close_hands_blocked_senders_their_values_back() {
    watchdog(|| {
        for capacity in [Some(0), Some(1), Some(3)] {
            for by_drop in [false, true] {
                let (sender, receiver) = open(capacity);
                (0..capacity.unwrap()).for_each(|_| sender.send(Box::new(100)).unwrap());
                let about_to_wait = AtomicUsize::new(0);
                thread::scope(|scope| {
                    for id in 0..6 {
                        let (sender, about_to_wait) = (sender.clone(), &about_to_wait);
                        let quiet = channel::never::<u32>();
                        scope.spawn(move || {
                            about_to_wait.fetch_add(1, SeqCst);
                            let value = Box::new(id);
                            let returned = match id % 3 {
                                0 => sender.send(value).unwrap_err().into_inner(),
                                1 => match sender.send_timeout(value, HOUR) {
                                    Err(SendTimeoutError::Disconnected(value)) => value,
                                    sent => panic!("{sent:?}"),
                                },
                                _ => select! {
                                    recv(quiet) -> _ => unreachable!("nothing was sent"),
                                    send(sender, value) -> sent => sent.unwrap_err().into_inner(),
                                },
                            };
                            assert_eq!(*returned, id);
                        });
                    }
                    until(|| about_to_wait.load(SeqCst) == 6);
                    if capacity == Some(0) {
                        until_a_sender_waits(&receiver);
                    }
                    if by_drop {
                        drop(receiver);
                    } else {
                        receiver.close();
                        assert_eq!(receiver.iter().count(), capacity.unwrap());
                    }
                });
            }
        }
    });
}

/// Sends numbers that no other sender sends, by all kinds of call, until the channel is closed. Returns those whose send
/// was successful.
fn send_until_closed(sender: &Sender<Box<u64>>, id: u64) -> Vec<u64> {
    let mut sent = Vec::new();
    let quiet = channel::never::<u64>();
    let mut dice = Dice::new(id);
    for n in 0.. {
        let number = id << 32 | n;
        let value = Box::new(number);
        let tried = match dice.roll(8) {
            0 => sender.try_send(value).map_err(|error| error.into_inner()),
            1 => {
                let time = Duration::from_micros(dice.roll(50));
                sender.send_timeout(value, time).map_err(|error| error.into_inner())
            }
            2 => select! {
                recv(quiet) -> _ => unreachable!("nothing was sent"),
                send(sender, value) -> sent => sent.map_err(|error| error.into_inner()),
            },
            3 => match sender.send_many([value]) {
                Ok(_) => Ok(()),
                Err(mut error) => Err(error.unsent.next().expect("it wasn't sent")),
            },
            _ => sender.send(value).map_err(|error| error.into_inner()),
        };
        match tried {
            Ok(()) => sent.push(number),
            Err(value) => {
                assert_eq!(*value, number, "another value came back");
                if sender.is_closed() {
                    break;
                }
            }
        }
    }
    sent
}

/// Three senders race one receiver that closes, drains, and must have exactly what was sent.
fn race_a_close(capacity: Capacity, round: u64, closes: impl FnOnce(&Receiver<Box<u64>>) + Send) {
    let (sender, receiver) = open(capacity);
    let mut received: Vec<u64> = Vec::new();
    let mut sent = thread::scope(|scope| {
        let senders = [1, 2, 3].map(|id| {
            let sender = sender.clone();
            scope.spawn(move || send_until_closed(&sender, id))
        });
        drop(sender);
        received.extend(receiver.iter().take(Dice::new(round).roll(300) as usize).map(|n| *n));
        closes(&receiver);
        received.extend(receiver.iter().map(|n| *n));
        Vec::from_iter(senders.into_iter().flat_map(|sender| sender.join().unwrap()))
    });
    for id in 1..=3 {
        let of_one = received.iter().filter(|n| **n >> 32 == id);
        assert!(of_one.is_sorted(), "the order of a sender");
    }
    received.sort_unstable();
    sent.sort_unstable();
    assert_eq!(received, sent, "{capacity:?}");
}

#[test]
fn a_receiver_that_closes_and_drains_has_all_that_was_sent() {
    watchdog(|| {
        for capacity in [Some(0), Some(1), Some(10), Some(16_385), None] {
            for_about(Duration::from_millis(300), |round| {
                race_a_close(capacity, round, |receiver| assert!(receiver.close()));
            });
        }
    });
}

/// The same when another receiver closes at the same time: whose close comes second may return before the first is done.
#[test]
fn nothing_is_lost_when_two_receivers_close_at_once() {
    watchdog(|| {
        for capacity in [Some(0), Some(1), None] {
            for_about(Duration::from_millis(300), |round| {
                race_a_close(capacity, round, |receiver| {
                    thread::scope(|scope| {
                        scope.spawn(|| receiver.clone().close());
                        receiver.close();
                    });
                });
            });
        }
    });
}

/// One end closes while the other goes.
#[test]
fn a_value_that_nobody_received_comes_back_when_both_ends_close() {
    watchdog(|| {
        for_about_a_second(|_| {
            let (sender, receiver) = channel::bounded(0);
            thread::scope(|scope| {
                let senders = [0, 1, 2].map(|n| {
                    let sender = sender.clone();
                    scope.spawn(move || sender.send(n))
                });
                until_a_sender_waits(&receiver);
                scope.spawn(move || drop(receiver));
                sender.close();
                for (n, sender) in (0..).zip(senders) {
                    assert_eq!(sender.join().unwrap(), Err(SendError(n)), "nobody received");
                }
            });
        });
    });
}

#[test]
fn what_was_sent_is_seen_before_the_end() {
    watchdog(|| {
        for capacity in BUFFERED {
            for_about(Duration::from_millis(100), |_| {
                let (sender, receiver) = open(capacity);
                thread::scope(|scope| {
                    scope.spawn(move || sender.send(vec![1, 2, 3]).unwrap());
                    // The thread sees the sender gone, or its message.
                    let mut all = Vec::new();
                    while let Ok(value) | Err(Some(value)) = receiver
                        .try_recv()
                        .map_err(|error| (!error.is_disconnected()).then(Vec::new))
                    {
                        all.extend(value);
                    }
                    assert_eq!(all, [1, 2, 3]);
                });
            });
        }
    });
}

/// A thread that was told that the channel is closed finds it closed, by all calls.
#[test]
fn a_close_is_seen_by_whoever_hears_of_it() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = open::<u64>(KINDS[round as usize % KINDS.len()]);
            let (told, news) = channel::bounded(1);
            thread::scope(|scope| {
                scope.spawn(|| {
                    receiver.close();
                    told.send(()).unwrap();
                });
                news.recv().unwrap();
                assert!(sender.is_closed() && !sender.close());
                assert!(sender.try_send(1).unwrap_err().is_disconnected());
                assert!(receiver.try_recv().unwrap_err().is_disconnected());
            });
        });
    });
}

#[test]
fn a_closed_channel_is_a_ready_case_each_time() {
    for capacity in KINDS {
        let (sender, receiver) = open::<u8>(capacity);
        receiver.close();
        let mut select = Select::new();
        let case = select.recv(&receiver);
        for _ in 0..3 {
            assert_eq!(select.ready(), case);
            assert_eq!(select.select().recv(&receiver), Err(RecvError));
        }
        let mut value = Some(1);
        let mut select = Select::new();
        let case = select.send_from(&sender, &mut value);
        assert_eq!(select.ready_deadline(Instant::now()), Ok(case));
        assert_eq!(select.select().send(&sender), Err(SendError(1)));
    }
}
