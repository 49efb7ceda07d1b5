//! Storage with a bound: as many slots as messages may be kept.
//!
//! A position has the slot's index in its lower bits and the lap in its upper ones. A lap's positions are more than
//! there are slots, the least power of two for which that is so, and those behind the last slot are left out.

use super::core::{Message, Unsent};
use super::end::Seen;
use super::error::TryRecvError;
use super::storage::{Ends, MOST_AT_ONCE, Slot, Storage, nothing};
use crate::support::backoff::Backoff;
use crate::sys::atomic::{Ordering, fence};
use std::vec;

/// See the [module](self).
pub(super) struct Ring<T> {
    slots: Box<[Slot<T>]>,
    /// The bits of a position that are the slot's index.
    index_bits: u32,
}

impl<T> Ring<T> {
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Self {
        let index_bits = (capacity + 1).next_power_of_two().trailing_zeros();
        Ring { slots: Slot::many(capacity, |index| index as u64), index_bits }
    }

    #[inline]
    fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    #[inline]
    fn index(&self, position: u64) -> u64 {
        position & (self.lap() - 1)
    }

    #[inline]
    fn lap(&self) -> u64 {
        1 << self.index_bits
    }

    #[inline]
    fn slot(&self, position: u64) -> &Slot<T> {
        &self.slots[self.index(position) as usize]
    }

    /// Returns the position `n` slots behind this one. `n` is at most the capacity.
    #[inline]
    fn after(&self, position: u64, n: u64) -> u64 {
        let index = self.index(position) + n;
        if index < self.capacity() {
            position + n
        } else {
            position - self.index(position) + self.lap() + (index - self.capacity())
        }
    }

    /// Whether the ring is full with the tail at `tail`. Otherwise returns once the slot there may be empty.
    #[cold]
    fn is_full(&self, ends: &Ends<T, ()>, tail: u64) -> bool {
        // ORDERING: SeqCst: two threads that each receive from one channel and then find the other full would both be
        // too early. What a thread did before this fence is seen by the thread whose fence comes later.
        fence(Ordering::SeqCst);
        if ends.head.load().position() + self.lap() == tail {
            return true;
        }
        // A receiver has claimed the slot, and moves the message out.
        let slot = self.slot(tail);
        let is_pending = || slot.peek() + self.lap() == tail + 1;
        if is_pending() {
            ends.stalled.wait_while(is_pending);
        }
        false
    }

    /// If the ring is empty with the head at `head`, returns the tail. Otherwise returns once a message may be there.
    #[cold]
    fn empty_at(&self, ends: &Ends<T, ()>, head: u64) -> Option<Seen> {
        // ORDERING: SeqCst: as in `is_full`, for two threads that each send into one channel and find the other empty.
        fence(Ordering::SeqCst);
        let tail = ends.tail.load();
        if tail.position() == head {
            return Some(tail);
        }
        // A sender has claimed the slot, and writes the message.
        let slot = self.slot(head);
        let is_pending = || slot.peek() == head;
        if is_pending() {
            ends.stalled.wait_while(is_pending);
        }
        None
    }
}

impl<T> Storage<T> for Ring<T> {
    type Near = ();

    fn near(&self) -> [(); 2] {
        [(), ()]
    }

    #[inline]
    fn count(&self, position: u64) -> u64 {
        (position >> self.index_bits) * self.capacity() + self.index(position)
    }

    #[inline]
    fn try_send(&self, ends: &Ends<T, ()>, message: &mut Message<T>) -> Result<(), Unsent> {
        let mut tail = ends.tail.load();
        let mut contention = Backoff::new();
        loop {
            if tail.is_closed() {
                return Err(Unsent::Closed);
            }
            let position = tail.position();
            let slot = self.slot(position);
            if slot.stamp() == position {
                if let Err(now) = ends.tail.claim(tail, self.after(position, 1)) {
                    contention.pause_if_useful();
                    tail = now;
                    continue;
                }
                // SAFETY: claimed, and its stamp said that it is empty.
                unsafe { slot.fill(message, position + 1) };
                ends.stalled.stepped();
                ends.tail.published(tail, 1);
                return Ok(());
            }
            if self.is_full(ends, position) {
                return Err(Unsent::Full);
            }
            tail = ends.tail.load();
        }
    }

    #[inline]
    fn try_recv(&self, ends: &Ends<T, ()>) -> Result<T, TryRecvError> {
        let mut head = ends.head.load();
        let mut contention = Backoff::new();
        loop {
            let position = head.position();
            let slot = self.slot(position);
            if slot.stamp() == position + 1 {
                if let Err(now) = ends.head.claim(head, self.after(position, 1)) {
                    contention.pause_if_useful();
                    head = now;
                    continue;
                }
                // SAFETY: claimed, and its stamp said that the message is there.
                let message = unsafe { slot.empty(position + self.lap()) };
                ends.stalled.stepped();
                ends.head.published(head, 1);
                return Ok(message);
            }
            if let Some(tail) = self.empty_at(ends, position) {
                return Err(nothing(tail));
            }
            head = ends.head.load();
        }
    }

    fn try_send_many(
        &self,
        ends: &Ends<T, ()>,
        messages: &mut vec::IntoIter<T>,
    ) -> Result<(), Unsent> {
        let wanted = (messages.len() as u64).min(MOST_AT_ONCE).min(self.capacity());
        loop {
            let tail = ends.tail.load();
            if tail.is_closed() {
                return Err(Unsent::Closed);
            }
            let at = |n| self.after(tail.position(), n);
            let room =
                (0..wanted).take_while(|&n| self.slot(at(n)).stamp() == at(n)).count() as u64;
            if room == 0 {
                if self.is_full(ends, tail.position()) {
                    return Err(Unsent::Full);
                }
            } else if ends.tail.claim(tail, at(room)).is_ok() {
                for (n, message) in (0..room).zip(messages) {
                    let mut message = Some(message);
                    // SAFETY: claimed, and its stamp said that it is empty.
                    unsafe { self.slot(at(n)).fill(&mut message, at(n) + 1) };
                }
                ends.stalled.stepped();
                ends.tail.published(tail, room);
                return Ok(());
            }
        }
    }

    fn try_recv_many(
        &self,
        ends: &Ends<T, ()>,
        limit: usize,
        mut take: impl FnMut(T),
    ) -> Result<usize, TryRecvError> {
        let wanted = (limit as u64).min(MOST_AT_ONCE).min(self.capacity());
        loop {
            let head = ends.head.load();
            let at = |n| self.after(head.position(), n);
            let filled =
                (0..wanted).take_while(|&n| self.slot(at(n)).stamp() == at(n) + 1).count() as u64;
            if filled == 0 {
                if let Some(tail) = self.empty_at(ends, head.position()) {
                    return Err(nothing(tail));
                }
            } else if ends.head.claim(head, at(filled)).is_ok() {
                for n in 0..filled {
                    // SAFETY: claimed, and its stamp said that the message is there.
                    take(unsafe { self.slot(at(n)).empty(at(n) + self.lap()) });
                }
                ends.stalled.stepped();
                ends.head.published(head, filled);
                return Ok(filled as usize);
            }
        }
    }

    fn hints_at_room(&self, ends: &Ends<T, ()>) -> bool {
        let position = ends.tail.peek().position();
        // A quarter of the slots, so that senders and receivers don't take turns after each message.
        let position = self.after(position, self.capacity() / 4);
        self.slot(position).peek() == position
    }

    fn hints_at_message(&self, ends: &Ends<T, ()>) -> bool {
        let position = ends.head.peek().position();
        self.slot(position).peek() == position + 1
    }

    fn free(&mut self, _: &mut Ends<T, ()>) {}
}
