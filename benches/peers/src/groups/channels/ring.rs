//! The limit: a ring between one producer and one consumer, which spin.
//!
//! Each side caches the other's index, so that cache lines move only when the ring looks full or empty.
//! With capacity 0 there is one slot, and the producer waits until its message has been received.

use super::Channel;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The capacity in place of "unbounded": more than the processor's caches hold.
const LARGE: usize = 1 << 20;

struct Shared {
    slots: Vec<AtomicUsize>,
    /// Messages received so far; written by the consumer.
    taken: CachePadded<AtomicUsize>,
    /// Messages sent so far; written by the producer.
    put: CachePadded<AtomicUsize>,
    closed: AtomicBool,
    rendezvous: bool,
}

/// One side, with its own index and a cached copy of the other's.
pub struct End {
    shared: Arc<Shared>,
    own: usize,
    other: usize,
}

pub struct Sender(End);

pub struct Ring;

impl Channel for Ring {
    type Sender = Sender;
    type Receiver = End;

    fn open(capacity: Option<usize>, _: usize, _: usize) -> (Vec<Sender>, Vec<End>) {
        let size = capacity.unwrap_or(LARGE).max(1);
        let shared = Arc::new(Shared {
            slots: (0..size.next_power_of_two()).map(|_| AtomicUsize::new(0)).collect(),
            taken: CachePadded::default(),
            put: CachePadded::default(),
            closed: AtomicBool::new(false),
            rendezvous: capacity == Some(0),
        });
        let end = || End { shared: Arc::clone(&shared), own: 0, other: 0 };
        (vec![Sender(end())], vec![end()])
    }

    #[inline]
    fn send(Sender(end): &mut Sender, message: usize) {
        let shared = &*end.shared;
        while end.own - end.other == shared.slots.len() {
            std::hint::spin_loop();
            // ORDERING: Acquire: pairs with the Release in `recv`: the slot has been read.
            end.other = shared.taken.load(Ordering::Acquire);
        }
        let slot = &shared.slots[end.own & (shared.slots.len() - 1)];
        // ORDERING: Relaxed: published by the Release store of `put`.
        slot.store(message, Ordering::Relaxed);
        end.own += 1;
        // ORDERING: Release: pairs with the Acquire in `recv`.
        shared.put.store(end.own, Ordering::Release);
        // ORDERING: Relaxed: the consumer publishes nothing.
        while shared.rendezvous && shared.taken.load(Ordering::Relaxed) != end.own {
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn recv(end: &mut End) -> Option<usize> {
        let shared = &*end.shared;
        while end.own == end.other {
            // ORDERING: Acquire: pairs with the Release in `drop`: if closed, the next load sees all
            // messages.
            let closed = shared.closed.load(Ordering::Acquire);
            // ORDERING: Acquire: pairs with the Release in `send`.
            end.other = shared.put.load(Ordering::Acquire);
            if closed && end.own == end.other {
                return None;
            }
            std::hint::spin_loop();
        }
        let slot = &shared.slots[end.own & (shared.slots.len() - 1)];
        // ORDERING: Relaxed: ordered by the Acquire load of `put`.
        let message = slot.load(Ordering::Relaxed);
        end.own += 1;
        // ORDERING: Release: pairs with the Acquire in `send`.
        shared.taken.store(end.own, Ordering::Release);
        Some(message)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // ORDERING: Release: pairs with the Acquire in `recv`.
        self.0.shared.closed.store(true, Ordering::Release);
    }
}
