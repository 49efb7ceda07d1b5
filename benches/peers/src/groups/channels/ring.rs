//! The limit: a ring between one producer and one consumer, which spin.
//!
//! Each side caches the other's index, so that cache lines move only when the ring looks full or empty.
//! With capacity 0 there is one slot, and the producer waits until its message has been received.

use super::{Channel, Select};
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
        loop {
            // ORDERING: Acquire: pairs with the Release in `drop`: if closed, the next check sees all
            // messages.
            let closed = end.is_empty() && end.shared.closed.load(Ordering::Acquire);
            if let Some(message) = end.try_recv() {
                return Some(message);
            }
            if closed {
                return None;
            }
            std::hint::spin_loop();
        }
    }
}

impl End {
    /// Whether the cached index says so.
    fn is_empty(&self) -> bool {
        self.own == self.other
    }

    #[inline]
    fn try_recv(&mut self) -> Option<usize> {
        let shared = &*self.shared;
        if self.own == self.other {
            // ORDERING: Acquire: pairs with the Release in `send`.
            self.other = shared.put.load(Ordering::Acquire);
            if self.own == self.other {
                return None;
            }
        }
        let slot = &shared.slots[self.own & (shared.slots.len() - 1)];
        // ORDERING: Relaxed: ordered by the Acquire load of `put`.
        let message = slot.load(Ordering::Relaxed);
        self.own += 1;
        // ORDERING: Release: pairs with the Acquire in `send`.
        shared.taken.store(self.own, Ordering::Release);
        Some(message)
    }
}

impl Select for Ring {
    fn select_each(mut ends: Vec<End>, mut take: impl FnMut(usize) -> bool) {
        let mut at = 0;
        loop {
            match ends[at].try_recv() {
                Some(message) if !take(message) => return,
                Some(_) => {}
                None => std::hint::spin_loop(),
            }
            at = if at + 1 == ends.len() { 0 } else { at + 1 };
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // ORDERING: Release: pairs with the Acquire in `recv`.
        self.0.shared.closed.store(true, Ordering::Release);
    }
}
