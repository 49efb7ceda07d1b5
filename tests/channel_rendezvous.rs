//! Channels that keep nothing: a send and a receive meet.
//!
//! Bugs that other channels had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | kanal#8, kanal#35, flume#172 | a send returns before the value is taken | `a_send_returns_after_a_receive_has_begun`, `a_value_whose_send_returned_is_not_dropped_by_the_channel` |
//! | crossbeam#971, RUSTSEC-2025-0024 | a message meets the end of the receiver | `a_value_is_received_or_returned_when_the_receiver_goes` |

mod common;

use common::channels::{until, until_a_receiver_waits, until_a_sender_waits};
use common::stress::for_about_a_second;
use common::{Counted, watchdog};
use phalanx::channel::{self, SendTimeoutError, TryRecvError, TrySendError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// The flag is Relaxed: the channel alone orders it.
#[test]
fn a_send_returns_after_a_receive_has_begun() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = channel::bounded(0);
            let begun = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    begun.store(true, Relaxed);
                    let received = match round % 3 {
                        0 => receiver.recv().ok(),
                        1 => receiver.recv_timeout(Duration::MAX).ok(),
                        _ => loop {
                            match receiver.try_recv() {
                                Err(TryRecvError::Empty) => thread::yield_now(),
                                received => break received.ok(),
                            }
                        },
                    };
                    assert_eq!(received, Some("value"));
                });
                sender.send("value").unwrap();
                assert!(begun.load(Relaxed), "the send returned before the receive began");
            });
        });
    });
}

/// The page that this crate started from: "Finished sending" comes after the receive.
#[test]
fn a_send_stays_blocked_until_its_value_is_taken() {
    watchdog(|| {
        let (sender, receiver) = channel::bounded(0);
        let returned = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                sender.send("value").unwrap();
                returned.store(true, SeqCst);
            });
            until_a_sender_waits(&receiver);
            for _ in 0..1_000 {
                thread::yield_now();
                assert!(!returned.load(SeqCst));
            }
            assert_eq!(receiver.recv(), Ok("value"));
            until(|| returned.load(SeqCst));
        });
    });
}

#[test]
fn a_value_whose_send_returned_is_not_dropped_by_the_channel() {
    watchdog(|| {
        for_about_a_second(|_| {
            let (sender, receiver) = channel::bounded(0);
            let (value, drops) = Counted::new();
            let receiving = thread::spawn(move || receiver.recv());
            sender.send(value).unwrap();
            drop(sender);
            // The other thread has it, and keeps it until it is joined.
            assert_eq!(drops.load(SeqCst), 0);
            drop(receiving.join().unwrap().unwrap());
            assert_eq!(drops.load(SeqCst), 1);
        });
    });
}

#[test]
fn a_value_is_received_or_returned_when_the_receiver_goes() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = channel::bounded(0);
            let (value, drops) = Counted::new();
            let (returned, received) = thread::scope(|scope| {
                let receiving = scope.spawn(move || match round % 3 {
                    0 => receiver.try_recv().ok(),
                    1 => receiver.recv_timeout(Duration::from_nanos(round % 5_000)).ok(),
                    _ => None,
                });
                let returned = sender.send(value).err();
                (returned, receiving.join().unwrap())
            });
            assert_ne!(returned.is_some(), received.is_some());
            assert_eq!(drops.load(SeqCst), 0);
            drop((returned, received));
            assert_eq!(drops.load(SeqCst), 1);
        });
    });
}

#[test]
fn a_try_is_successful_only_when_another_thread_waits() {
    watchdog(|| {
        let (sender, receiver) = channel::bounded(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(receiver.recv(), Ok(2)));
            until_a_receiver_waits(&sender, 0);
            assert_eq!(sender.try_send(2), Ok(()));
            assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)), "one waited");
        });
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(sender.send(4), Ok(())));
            until_a_sender_waits(&receiver);
            assert_eq!(receiver.try_recv(), Ok(4));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "one waited");
        });
    });
}

#[test]
fn a_value_in_a_waiting_send_is_not_in_the_channel() {
    watchdog(|| {
        let (sender, receiver) = channel::bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| sender.send("value"));
            until_a_sender_waits(&receiver);
            assert_eq!((sender.len(), receiver.len()), (0, 0));
            assert!(receiver.is_empty() && receiver.is_full());
            receiver.close();
            assert_eq!(receiver.recv().ok(), None, "the close has handed it back");
        });
    });
}

/// A send that can't wait leaves its value with the caller, whatever receivers do beside it.
#[test]
fn a_send_that_times_out_has_handed_nothing_over() {
    watchdog(|| {
        let (sender, receiver) = channel::bounded(0);
        let (mut sent, mut returned) = (0_u64, 0);
        let received = AtomicU64::new(0);
        thread::scope(|scope| {
            let receiver = &receiver;
            let received = &received;
            scope.spawn(move || {
                loop {
                    match receiver.recv_timeout(Duration::from_micros(20)) {
                        Ok(value) => _ = received.fetch_add(value, SeqCst),
                        Err(error) if error.is_disconnected() => break,
                        Err(_) => {}
                    }
                }
            });
            for_about_a_second(|round| {
                let timeout = Duration::from_micros(round % 40);
                match sender.send_timeout(1, timeout) {
                    Ok(()) => sent += 1,
                    Err(SendTimeoutError::Timeout(value)) => returned += value,
                    Err(SendTimeoutError::Disconnected(_)) => unreachable!("it is open"),
                }
            });
            sender.close();
        });
        assert_eq!(received.into_inner(), sent);
        assert!(sent > 0 || returned > 0);
    });
}
