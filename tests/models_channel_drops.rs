//! Models of what a channel's memory goes through: blocks that are used again, and the end of both sides. In a plain
//! build each runs once, on real threads; with `--cfg phalanx_loom` loom explores its interleavings.
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | rust#107466 | queued messages leak after the last receiver's drop | `a_value_sent_beside_the_last_receiver_s_drop_is_returned_or_dropped` |
//! | RUSTSEC-2025-0024 | both sides' drops free the same block | `both_sides_may_be_dropped_at_once` |

#[path = "common/models.rs"]
mod common;

use common::Counted;
use phalanx::channel::{self, Receiver, Sender};
use phalanx::{model, thread};

fn open<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(channel::unbounded, channel::bounded)
}

const ALL: [Option<usize>; 3] = [Some(0), Some(1), None];

#[test]
fn a_value_sent_beside_the_last_receiver_s_drop_is_returned_or_dropped() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open(capacity);
            let counted = Counted::default();
            let value = counted.clone();
            let sending = thread::spawn(move || {
                let sent = sender.send(value);
                // The error has the value.
                u32::from(sent.is_err())
            });
            drop(receiver);
            sending.join().unwrap();
            assert_eq!(counted.drops(), 1);
        });
    }
}

#[test]
fn both_sides_may_be_dropped_at_once() {
    for capacity in ALL {
        model(move || {
            let (sender, receiver) = open(capacity);
            let counted = Counted::default();
            if capacity != Some(0) {
                sender.send(counted.clone()).unwrap();
            }
            let dropping = thread::spawn(move || drop(sender));
            drop(receiver);
            dropping.join().unwrap();
            assert_eq!(counted.drops(), u32::from(capacity != Some(0)) as usize);
        });
    }
}

/// In a model a block has two slots. The receiver leaves the first block while the sender needs a fourth.
#[test]
fn a_block_that_a_receiver_has_left_is_used_again() {
    model(|| {
        let (sender, receiver) = channel::unbounded();
        sender.send_many([0, 1, 2, 3, 4]).unwrap();
        let receiving = thread::spawn(move || {
            assert_eq!([(); 3].map(|()| receiver.recv().unwrap()), [0, 1, 2]);
            receiver
        });
        sender.send_many([5, 6]).unwrap();
        let receiver = receiving.join().unwrap();
        drop(sender);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
    });
}

#[test]
fn the_last_of_two_senders_or_receivers_ends_its_side() {
    model(|| {
        let (sender, receiver) = channel::bounded::<()>(1);
        let other = sender.clone();
        let dropping = thread::spawn(move || drop(other));
        drop(sender);
        drop(receiver);
        dropping.join().unwrap();
    });
    model(|| {
        let (sender, receiver) = channel::bounded::<()>(1);
        let other = receiver.clone();
        let dropping = thread::spawn(move || drop(other));
        drop(receiver);
        drop(sender);
        dropping.join().unwrap();
    });
}

#[test]
fn a_close_ends_a_receive_from_a_timer() {
    model(|| {
        let receiver = channel::never::<()>();
        let other = receiver.clone();
        let receiving = thread::spawn(move || other.recv().is_err());
        assert!(receiver.close());
        assert!(receiving.join().unwrap());
    });
}
