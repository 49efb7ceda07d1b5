//! The limit: a ring between one producer and one consumer who never sleep.
//!
//! Each side keeps what it last saw of the other, so that the shared lines move
//! only when one of them runs out. With capacity 0 it is one slot, and the
//! producer waits until its message has been taken.

use super::Channel;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Stands for "unbounded": more than fits into the caches.
const LARGE: usize = 1 << 20;

struct Shared {
    slots: Vec<AtomicUsize>,
    /// Messages ever taken; written by the consumer.
    taken: CachePadded<AtomicUsize>,
    /// Messages ever put in; written by the producer.
    put: CachePadded<AtomicUsize>,
    closed: AtomicBool,
    rendezvous: bool,
}

/// One side, with its own place and what it last saw of the other's.
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
            // ORDERING: Acquire: the slot we are about to write has been read.
            end.other = shared.taken.load(Ordering::Acquire);
        }
        let slot = &shared.slots[end.own & (shared.slots.len() - 1)];
        // ORDERING: Relaxed, published by the Release below.
        slot.store(message, Ordering::Relaxed);
        end.own += 1;
        // ORDERING: Release: pairs with the Acquire in `recv`.
        shared.put.store(end.own, Ordering::Release);
        // ORDERING: Relaxed: a rendezvous hands nothing back.
        while shared.rendezvous && shared.taken.load(Ordering::Relaxed) != end.own {
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn recv(end: &mut End) -> Option<usize> {
        let shared = &*end.shared;
        while end.own == end.other {
            // ORDERING: Acquire: if closed, then all that was put in is seen next.
            let closed = shared.closed.load(Ordering::Acquire);
            // ORDERING: Acquire: pairs with the Release in `send`.
            end.other = shared.put.load(Ordering::Acquire);
            if closed && end.own == end.other {
                return None;
            }
            std::hint::spin_loop();
        }
        let slot = &shared.slots[end.own & (shared.slots.len() - 1)];
        // ORDERING: Relaxed: after the Acquire of `put`.
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
