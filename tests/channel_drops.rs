//! Values and ends that are dropped: each value once, by whoever has it.
//!
//! Bugs that other channels had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | RUSTSEC-2025-0024 | the last receiver's drop and the channel's both free a block | `what_is_queued_is_dropped_once_while_senders_go_on` |
//! | rust#107466 | what is sent after the last receiver's drop is leaked | `what_is_queued_is_dropped_once_while_senders_go_on` |
//! | crossbeam#971, #972 | the first message meets the receiver's drop | `the_first_send_may_meet_the_last_receivers_drop` |
//! | crossbeam#1146 | a large value overflows the stack | `values_of_all_sizes_pass_through_all_kinds_of_channel` |
//! | parking_lot#114, thread_local-rs#74 | a call from a thread-local's destructor panics | `channels_work_in_destructors_of_thread_locals` |

mod common;

use common::channels::{BUFFERED, KINDS, open};
use common::stress::{for_about, for_about_a_second};
use common::{Counted, watchdog};
use phalanx::channel::{self, Receiver, Sender};
use phalanx::select;
use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Weak};
use std::thread;
use std::time::Duration;

/// Numbers of messages around the size of a block of the memory.
const LENGTHS: [usize; 9] = [0, 1, 31, 32, 33, 63, 64, 65, 100];

#[test]
fn what_is_queued_is_dropped_once_with_the_last_receiver() {
    for capacity in BUFFERED {
        for length in LENGTHS {
            let (value, drops) = Counted::new();
            let length = length.min(capacity.unwrap_or(length));
            let (sender, receiver) = open(capacity);
            (0..length).for_each(|_| sender.send(value.clone()).unwrap());
            drop(receiver);
            assert_eq!(drops.load(SeqCst), length, "though a sender is left, {capacity:?}");
            drop(sender);
            assert_eq!(drops.load(SeqCst), length);
        }
    }
}

/// Some of the messages are received before, so that those that are dropped begin anywhere.
#[test]
fn what_is_left_is_dropped_once_whichever_side_goes_last() {
    for capacity in BUFFERED {
        for (received, length) in [(1, 40), (32, 33), (33, 70), (64, 64), (70, 100)] {
            for sender_goes_first in [false, true] {
                let (value, drops) = Counted::new();
                let room = capacity.unwrap_or(length);
                let (sender, receiver) = open(capacity);
                for n in 0..length {
                    if n >= room {
                        receiver.recv().unwrap();
                    }
                    sender.send(value.clone()).unwrap();
                }
                let kept = Vec::from_iter(receiver.try_iter().take(received.min(room)));
                let dropped = length.saturating_sub(room);
                assert_eq!(drops.load(SeqCst), dropped);
                if sender_goes_first {
                    drop(sender);
                    assert_eq!(drops.load(SeqCst), dropped, "a receiver is left");
                    drop(receiver);
                } else {
                    drop(receiver);
                    drop(sender);
                }
                assert_eq!(drops.load(SeqCst), length - kept.len());
            }
        }
    }
}

#[test]
fn a_value_that_comes_back_is_the_callers_to_drop() {
    for capacity in BUFFERED {
        let (value, drops) = Counted::new();
        let (sender, receiver) = open(capacity);
        receiver.close();
        let errors = (
            sender.send(value.clone()),
            sender.try_send(value.clone()),
            sender.send_timeout(value.clone(), Duration::MAX),
            sender.send_many([value.clone(), value.clone()]),
        );
        assert_eq!(drops.load(SeqCst), 0);
        drop(errors);
        assert_eq!(drops.load(SeqCst), 5);
    }
    let (value, drops) = Counted::new();
    let (sender, _receiver) = channel::bounded(0);
    drop(sender.try_send(value.clone()).unwrap_err());
    drop(sender.send_timeout(value.clone(), Duration::ZERO).unwrap_err().into_inner());
    select! {
        send(sender, value.clone()) -> _ => unreachable!("nobody receives"),
        default => assert_eq!(drops.load(SeqCst), 3, "the value of a case that isn't chosen is dropped"),
    }
}

/// Passes values through each kind of channel, and leaves some in it.
fn pass<T: PartialEq + Debug + Send + 'static>(value: fn(usize) -> T) {
    for capacity in KINDS {
        let (sender, receiver) = open(capacity);
        let sending = thread::spawn(move || (0..70).try_for_each(|n| sender.send(value(n))));
        for n in 0..50 {
            assert!(receiver.recv() == Ok(value(n)), "message {n}, {capacity:?}");
        }
        drop(receiver);
        _ = sending.join().unwrap();
    }
}

#[repr(align(128))]
#[derive(Debug, PartialEq)]
struct Aligned(u8);

#[test]
fn values_of_all_sizes_pass_through_all_kinds_of_channel() {
    watchdog(|| {
        pass(|_| ());
        pass(|n| n as u8);
        pass(|n| (n as u64, n as u8, n as u16));
        pass(|n| Aligned(n as u8));
        pass(|n| [n; 1_000]);
        pass(Box::new);
        pass(|n| n.to_string());
        pass(|n| vec![n; n]);
        // Some of them fit on a thread's stack, a block of them doesn't.
        pass(|n| [n as u8; 1 << 15]);
    });
}

#[test]
fn values_of_no_size_are_counted_and_dropped() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.fetch_add(1, SeqCst);
        }
    }
    for capacity in BUFFERED {
        let length = capacity.unwrap_or(100).min(100);
        let (sender, receiver) = open(capacity);
        (0..length).for_each(|_| assert!(sender.send(Nothing).is_ok()));
        assert_eq!(receiver.len(), length);
        drop(receiver.recv());
        assert_eq!(DROPS.swap(0, SeqCst), 1);
        drop(receiver);
        assert_eq!(DROPS.swap(0, SeqCst), length - 1);
    }
}

/// Receives some messages, and then goes away while senders are in their calls.
#[test]
fn what_is_queued_is_dropped_once_while_senders_go_on() {
    watchdog(|| {
        for capacity in KINDS {
            for_about(Duration::from_millis(200), |round| {
                let (value, drops) = Counted::new();
                let (sender, receiver) = open(capacity);
                let made: usize = thread::scope(|scope| {
                    let senders = [(); 3].map(|()| {
                        let (sender, value) = (sender.clone(), value.clone());
                        scope.spawn(move || {
                            1 + (1..).find(|_| sender.send(value.clone()).is_err()).unwrap_or(0)
                        })
                    });
                    for message in receiver.iter().take(round as usize % 100) {
                        drop(message);
                    }
                    drop(receiver);
                    senders.into_iter().map(|sender| sender.join().unwrap()).sum()
                });
                assert_eq!(drops.load(SeqCst), made, "{capacity:?}");
                assert_eq!(sender.len(), 0);
            });
        }
    });
}

#[test]
fn the_first_send_may_meet_the_last_receivers_drop() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (sender, receiver) = open(KINDS[round as usize % KINDS.len()]);
            let (value, drops) = Counted::new();
            let start = Barrier::new(2);
            thread::scope(|scope| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    drop(receiver);
                });
                start.wait();
                drop(sender.send(value));
                drop(sender);
            });
            assert_eq!(drops.load(SeqCst), 1);
        });
    });
}

#[test]
fn both_sides_may_go_at_once() {
    watchdog(|| {
        for_about_a_second(|round| {
            let (value, drops) = Counted::new();
            let (sender, receiver) = open(BUFFERED[round as usize % BUFFERED.len()]);
            sender.send(value.clone()).unwrap();
            let ends = [(); 2].map(|()| (Some(sender.clone()), Some(receiver.clone())));
            drop((sender, receiver));
            let start = Barrier::new(4);
            thread::scope(|scope| {
                for (sender, receiver) in ends {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        drop(sender);
                    });
                    scope.spawn(move || {
                        start.wait();
                        drop(receiver);
                    });
                }
            });
            assert_eq!(drops.load(SeqCst), 1);
        });
    });
}

/// Calls the channel's other ends from its drop.
struct Talks(Option<Parts>);

type Parts = (Sender<Talks>, Weak<Receiver<Talks>>, Arc<AtomicUsize>);

impl Talks {
    fn quiet() -> Self {
        Talks(None)
    }
}

impl Drop for Talks {
    fn drop(&mut self) {
        let Some((sender, receiver, drops)) = self.0.take() else { return };
        drops.fetch_add(1, SeqCst);
        // A value that comes back is dropped in this drop.
        drop(sender.try_send(Talks::quiet()));
        drop(sender.send_timeout(Talks::quiet(), Duration::ZERO));
        if let Some(receiver) = receiver.upgrade() {
            drop(receiver.try_recv());
            drop(receiver.recv_timeout(Duration::ZERO));
            select! {
                recv(receiver) -> value => drop(value),
                default => {}
            }
        }
        assert!(sender.len() <= 40);
        drop(sender.clone());
        sender.close();
    }
}

#[test]
fn a_value_may_use_the_channel_when_it_is_dropped() {
    watchdog(|| {
        for capacity in BUFFERED {
            for received in 0..3 {
                let drops = Arc::new(AtomicUsize::new(0));
                let (sender, receiver) = open(capacity);
                let receiver = Arc::new(receiver);
                let length = capacity.unwrap_or(10).min(10);
                for _ in 0..length {
                    let parts = (sender.clone(), Arc::downgrade(&receiver), Arc::clone(&drops));
                    assert!(sender.send(Talks(Some(parts))).is_ok());
                }
                (0..received).for_each(|_| drop(receiver.recv()));
                drop(receiver);
                assert_eq!(drops.load(SeqCst), length);
                assert!(sender.is_closed() && sender.is_empty());
            }
        }
    });
}

/// The senders in the channel keep it open, until the last receiver drops them.
#[test]
fn a_channel_may_hold_its_own_senders() {
    struct Holds {
        _sender: Sender<Holds>,
        _value: Counted,
    }
    for capacity in BUFFERED {
        let (value, drops) = Counted::new();
        let (sender, receiver) = open(capacity);
        assert!(sender.send(Holds { _sender: sender.clone(), _value: value }).is_ok());
        drop(sender);
        assert!(!receiver.is_closed());
        drop(receiver);
        assert_eq!(drops.load(SeqCst), 1);
    }
}

/// A value in a channel that is in a channel.
#[test]
fn channels_in_channels_are_dropped() {
    let (value, drops) = Counted::new();
    let (outer, receiver) = channel::unbounded();
    for capacity in BUFFERED {
        let (sender, inner) = open(capacity);
        sender.send(value.clone()).unwrap();
        outer.send((sender, inner)).unwrap();
    }
    drop(receiver);
    assert_eq!(drops.load(SeqCst), BUFFERED.len());
}

/// Both directions, and a wait, when the thread's own thread-locals may be gone.
struct Last {
    requests: Sender<u32>,
    answers: Receiver<u32>,
    heard: Sender<u32>,
}

impl Drop for Last {
    fn drop(&mut self) {
        self.requests.send(1).unwrap();
        let first = self.answers.recv().unwrap();
        self.requests.send(2).unwrap();
        let second = select! {
            recv(self.answers) -> answer => answer.unwrap(),
            recv(channel::never::<u32>()) -> _ => unreachable!("never"),
        };
        let nothing = self.answers.recv_timeout(Duration::from_millis(1));
        assert!(nothing.is_err());
        self.heard.send(first * 100 + second).unwrap();
    }
}

#[test]
fn channels_work_in_destructors_of_thread_locals() {
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    watchdog(|| {
        for capacity in KINDS {
            // Whether the thread has used a channel before: it makes thread-locals of the crate's and of others.
            for before in [false, true] {
                let (requests, incoming) = open(capacity);
                let (answer, answers) = open(capacity);
                let (heard, hearing) = channel::bounded(1);
                thread::scope(|scope| {
                    scope.spawn(move || {
                        LAST.set(Some(Last { requests, answers, heard }));
                        if before {
                            _ = channel::never::<u32>().recv_timeout(Duration::from_micros(1));
                        }
                    });
                    let answered = incoming.iter().try_for_each(|n| answer.send(n + 10));
                    assert!(answered.is_ok() || capacity == Some(0));
                    assert_eq!(hearing.recv(), Ok(1_112), "{capacity:?}");
                });
            }
        }
    });
}
