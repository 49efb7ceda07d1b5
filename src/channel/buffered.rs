//! Channels that keep messages: with a bound or without.
//!
//! Two [ends](super::end), one for the senders and one for the receivers, over a [storage](super::storage). Senders and
//! receivers touch one another's end only when the channel seems full, or empty.
//!
//! - **B1.** A claimed slot is used by the thread that has claimed it alone, until it sets the stamp. In between it runs
//!   no user code and allocates nothing, so others may wait for it.
//! - **B2.** A message is in the channel from its claim on. A thread that comes to a claimed slot waits for the stamp.
//! - **B3.** A closed tail is claimed no more. So a channel that is closed and empty stays empty, and nothing that was sent
//!   is lost.
//! - **B4.** The channel is empty, or full, at a moment during each call that says so.

use super::core::{Core, Message, Unsent, Wants};
use super::end::{End, Seen};
use super::error::TryRecvError;
use super::stalled::Stalled;
use super::storage::{Ends, Storage};
use crate::support::backoff::Spin;
use crate::support::waiters::{Removal, Signal, Waiter};
use crate::sys::atomic::{Ordering, fence};
use std::vec;

/// A capacity at which senders and receivers wait for one another after few messages.
const FEW: u64 = 16;

/// See the [module](self).
pub(super) struct Buffered<T, S: Storage<T>> {
    ends: Ends<T, S::Near>,
    storage: S,
    /// As `bound`; the largest number stands for none, or for one that can't be reached.
    capacity: u64,
    bound: Option<usize>,
}

impl<T, S: Storage<T>> Buffered<T, S> {
    #[track_caller]
    pub(super) fn new(storage: S, bound: Option<usize>) -> Self {
        let [tail, head] = storage.near().map(End::new);
        let ends = Ends { tail, head, stalled: Stalled::new() };
        Buffered { ends, storage, capacity: bound.map_or(u64::MAX, |n| n as u64), bound }
    }

    /// Sends as many of the values as there is room for, and leaves the others. Returns whether the channel is closed.
    pub(super) fn try_send_many(&self, values: &mut vec::IntoIter<T>) -> bool {
        while values.len() > 0 {
            match self.storage.try_send_many(&self.ends, values) {
                Ok(()) => {}
                Err(Unsent::Full) => return false,
                Err(Unsent::Closed) => return true,
            }
        }
        false
    }

    /// Receives up to `limit` messages and passes each to `take`, which must not panic. Returns how many.
    pub(super) fn try_recv_many(
        &self,
        limit: usize,
        take: impl FnMut(T),
    ) -> Result<usize, TryRecvError> {
        self.storage.try_recv_many(&self.ends, limit, take)
    }

    /// Returns how many messages are sent and not received. It was so if no end has moved meanwhile.
    #[inline]
    fn kept(&self, tail: Seen, head: Seen) -> u64 {
        let [tail, head] = [tail, head].map(|end| self.storage.count(end.position()));
        tail.saturating_sub(head)
    }

    /// Whether a sender that has seen the head there must wait.
    fn is_full_at(&self, head: Seen) -> bool {
        let tail = self.ends.tail.peek();
        !tail.is_closed() && self.kept(tail, head) >= self.capacity
    }

    /// Whether a receiver that has seen the tail there must wait.
    fn is_empty_at(&self, tail: Seen) -> bool {
        !tail.is_closed() && self.kept(tail, self.ends.head.peek()) == 0
    }

    /// The end that a waiter waits for.
    fn awaited(&self, wants: Wants) -> &End<S::Near, Message<T>> {
        if wants.is_send() { &self.ends.head } else { &self.ends.tail }
    }
}

impl<T, S: Storage<T>> Core<T> for Buffered<T, S> {
    #[inline]
    fn try_send(&self, message: &mut Message<T>) -> Result<(), Unsent> {
        self.storage.try_send(&self.ends, message)
    }

    #[inline]
    fn try_recv(&self) -> Result<T, TryRecvError> {
        self.storage.try_recv(&self.ends)
    }

    /// The order of the loads makes `false` true at one moment: that of the second load. The end that is loaded first
    /// may have moved since, but only away from being full, or empty.
    #[inline]
    fn seems_ready(&self, wants: Wants) -> bool {
        if wants.is_send() {
            let tail = self.ends.tail.load();
            tail.is_closed() || self.kept(tail, self.ends.head.load()) < self.capacity
        } else {
            let head = self.ends.head.load();
            let tail = self.ends.tail.load();
            tail.is_closed() || self.kept(tail, head) > 0
        }
    }

    #[inline]
    fn hints_at_ready(&self, wants: Wants) -> bool {
        if wants.is_send() {
            self.storage.hints_at_room(&self.ends)
        } else {
            self.storage.hints_at_message(&self.ends)
        }
    }

    fn spin(&self) -> Spin {
        if self.capacity <= FEW { Spin::TakingTurns } else { Spin::Yielding }
    }

    fn progress(&self, wants: Wants) -> u64 {
        let own = if wants.is_send() { &self.ends.tail } else { &self.ends.head };
        own.peek().position()
    }

    fn is_ready(&self, wants: Wants) -> bool {
        // ORDERING: SeqCst: orders what this thread did before, in other channels too, before the loads, as every
        // other thread's such fence does.
        fence(Ordering::SeqCst);
        self.seems_ready(wants)
    }

    fn stamp(&self, wants: Wants) -> u64 {
        if wants.is_send() {
            self.ends.head.load().stamp() + u64::from(self.ends.tail.load().is_closed())
        } else {
            self.ends.tail.load().stamp()
        }
    }

    unsafe fn enter(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> bool {
        // A close wakes all waiters in the queue, under its lock. A waiter that enters later sees `CLOSED`.
        if wants.is_send() {
            // SAFETY: the contract of this function.
            unsafe { self.ends.head.enter(waiter, |head| !self.is_full_at(head)) }
        } else {
            // SAFETY: the contract of this function.
            unsafe { self.ends.tail.enter(waiter, |tail| !self.is_empty_at(tail)) }
        }
    }

    fn leave(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> Removal {
        self.awaited(wants).leave(waiter)
    }

    fn if_queued<R>(
        &self,
        wants: Wants,
        waiter: &Waiter<Message<T>>,
        f: impl FnOnce(&Signal) -> R,
    ) -> Option<R> {
        self.awaited(wants).with_queue(|queue| queue.if_queued(waiter, f))
    }

    fn pass_on(&self, wants: Wants) {
        if self.seems_ready(wants) {
            self.awaited(wants).wake(1);
        }
    }

    fn close(&self) -> bool {
        let is_first = self.ends.tail.close();
        if is_first {
            self.ends.tail.wake_all();
            self.ends.head.wake_all();
        }
        is_first
    }

    fn is_closed(&self) -> bool {
        self.ends.tail.load().is_closed()
    }

    fn len(&self) -> usize {
        loop {
            let tail = self.ends.tail.load();
            let head = self.ends.head.load();
            if self.ends.tail.load().position() == tail.position() {
                return self.kept(tail, head) as usize;
            }
        }
    }

    fn capacity(&self) -> Option<usize> {
        self.bound
    }
}

impl<T, S: Storage<T>> Drop for Buffered<T, S> {
    /// Drops what is queued. If that panics, the rest is leaked, as in a `Vec`; the last receiver's drop empties the
    /// channel with more care.
    fn drop(&mut self) {
        while self.try_recv().is_ok() {}
        self.storage.free(&mut self.ends);
    }
}
