//! Channels that keep messages: with a bound or without.
//!
//! Two [ends](super::end), one for the senders and one for the receivers, over a [storage](super::storage). Each has a
//! lock of its own, so senders and receivers don't wait for one another, and its lock protects a copy of the other
//! end's position, so that they seldom touch the other's cache line either: the copy is renewed when by it the channel
//! is full, or empty.
//!
//! - A sender holds the tail's lock, under which nobody closes. So a channel that is closed and empty stays empty, and
//!   nothing that was sent is lost.
//! - A receiver that finds nothing reads the tail with Acquire: position and `CLOSED` in one word. If that says closed
//!   at the head's position, the end is reached.

use super::core::{Core, Message, Wants};
use super::end::{End, Seen};
use super::error::{TryRecvError, TrySendError};
use super::storage::Storage;
use crate::support::waiters::{Removal, Signal, Waiter};
use crate::sys::atomic::{Ordering, fence};
use std::vec;

/// See the [module](self).
pub(super) struct Buffered<T, S: Storage<T>> {
    tail: End<Near<S::Cursor>, Message<T>>,
    head: End<Near<S::Cursor>, Message<T>>,
    storage: S,
    /// As `bound`; the largest number stands for none, or for one that can't be reached.
    capacity: u64,
    bound: Option<usize>,
}

/// What an end's lock protects.
struct Near<C> {
    /// The other end's position, or an earlier one of it.
    other: u64,
    cursor: C,
}

/// The most messages that move under one hold of a lock.
pub(super) const MOST_AT_ONCE: u64 = 64;

impl<T, S: Storage<T>> Buffered<T, S> {
    #[track_caller]
    pub(super) fn new(storage: S, bound: Option<usize>) -> Self {
        let [tail, head] = storage.cursors().map(|cursor| End::new(Near { other: 0, cursor }));
        Buffered { tail, head, storage, capacity: bound.map_or(u64::MAX, |n| n as u64), bound }
    }

    /// Sends as many of the values as there is room for, and leaves the others. Returns whether the channel is closed.
    /// A vector's iterator runs no user code, which it must not under the lock.
    pub(super) fn try_send_many(&self, values: &mut vec::IntoIter<T>) -> bool {
        let mut tail = self.tail.lock();
        if tail.seen().is_closed() {
            return true;
        }
        let (from, wanted) = (tail.seen().position(), values.len() as u64);
        let mut room = self.capacity - (from - tail.state().other);
        if room < wanted {
            tail.state().other = self.head.load().position();
            room = self.capacity - (from - tail.state().other);
        }
        let sent = room.min(wanted);
        for (position, value) in (from..from + sent).zip(values) {
            // SAFETY: the lock is held, each position is written in turn, and there is room by a head that was read
            // with Acquire.
            unsafe { self.storage.write(&mut tail.state().cursor, position, value) };
        }
        if sent > 0 {
            tail.publish(sent);
        }
        false
    }

    /// Receives up to `limit` messages and passes each to `take`, which must not panic. Returns how many.
    pub(super) fn try_recv_many(
        &self,
        limit: usize,
        mut take: impl FnMut(T),
    ) -> Result<usize, TryRecvError> {
        let mut head = self.head.lock();
        let from = head.seen().position();
        if head.state().other == from {
            let tail = self.tail_after(from);
            if tail.position() == from {
                return Err(nothing(tail));
            }
            head.state().other = tail.position();
        }
        let received = (head.state().other - from).min(limit as u64).min(MOST_AT_ONCE);
        for position in from..from + received {
            // SAFETY: the lock is held, each position is read in turn, and is before a tail read with Acquire.
            take(unsafe { self.storage.read(&mut head.state().cursor, position) });
        }
        head.publish(received);
        Ok(received as usize)
    }

    /// Returns the tail, for a receiver to which `position` is the next. If nothing is there, that is so at a moment
    /// during this call.
    #[inline]
    fn tail_after(&self, position: u64) -> Seen {
        let tail = self.tail.load();
        if tail.position() != position {
            return tail;
        }
        // ORDERING: SeqCst: two threads that each send into one channel and then find the other's empty would both be
        // too early. What a thread did before this fence is seen by the thread whose fence comes later.
        fence(Ordering::SeqCst);
        self.tail.load()
    }

    /// Returns the head's position, for a sender to which the channel is full while that is `full_at`. If it is, that
    /// is so at a moment during this call.
    #[inline]
    fn head_after(&self, full_at: u64) -> u64 {
        let head = self.head.load().position();
        if head != full_at {
            return head;
        }
        // ORDERING: SeqCst: as in `tail_after`.
        fence(Ordering::SeqCst);
        self.head.load().position()
    }

    /// Whether a sender that has seen the head there must wait.
    fn is_full_at(&self, head: Seen) -> bool {
        let tail = self.tail.peek();
        !tail.is_closed() && tail.position().saturating_sub(head.position()) >= self.capacity
    }

    /// Whether a receiver that has seen the tail there must wait.
    fn is_empty_at(&self, tail: Seen) -> bool {
        !tail.is_closed() && tail.position() <= self.head.peek().position()
    }
}

/// What a receiver that has read the tail at the head's position returns.
fn nothing(tail: Seen) -> TryRecvError {
    if tail.is_closed() { TryRecvError::Disconnected } else { TryRecvError::Empty }
}

impl<T, S: Storage<T>> Core<T> for Buffered<T, S> {
    #[inline]
    fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut tail = self.tail.lock();
        if tail.seen().is_closed() {
            return Err(TrySendError::Disconnected(value));
        }
        let position = tail.seen().position();
        if position - tail.state().other >= self.capacity {
            tail.state().other = self.head_after(position - self.capacity);
            if position - tail.state().other >= self.capacity {
                return Err(TrySendError::Full(value));
            }
        }
        // SAFETY: the lock is held, each position is written in turn, and there is room by a head that was read with
        // Acquire.
        unsafe { self.storage.write(&mut tail.state().cursor, position, value) };
        tail.publish(1);
        Ok(())
    }

    #[inline]
    fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut head = self.head.lock();
        let position = head.seen().position();
        if head.state().other == position {
            let tail = self.tail_after(position);
            if tail.position() == position {
                return Err(nothing(tail));
            }
            head.state().other = tail.position();
        }
        // SAFETY: the lock is held, each position is read in turn, and is before a tail that was read with Acquire.
        let value = unsafe { self.storage.read(&mut head.state().cursor, position) };
        head.publish(1);
        Ok(value)
    }

    /// The order of the loads makes `false` true at one moment: that of the second load. The end that is loaded first
    /// may have moved since, but only away from being full, or empty.
    #[inline]
    fn seems_ready(&self, wants: Wants) -> bool {
        match wants {
            Wants::Send | Wants::SendReady => {
                let tail = self.tail.load();
                tail.is_closed()
                    || tail.position().saturating_sub(self.head.load().position()) < self.capacity
            }
            Wants::Recv | Wants::RecvReady => {
                let head = self.head.load();
                let tail = self.tail.load();
                tail.is_closed() || tail.position() != head.position()
            }
        }
    }

    fn is_ready(&self, wants: Wants) -> bool {
        // ORDERING: SeqCst: orders what this thread did before, in other channels too, before the loads, as every
        // other thread's such fence does.
        fence(Ordering::SeqCst);
        self.seems_ready(wants)
    }

    fn stamp(&self, wants: Wants) -> u64 {
        match wants {
            Wants::Send | Wants::SendReady => {
                self.head.load().stamp() + u64::from(self.tail.load().is_closed())
            }
            Wants::Recv | Wants::RecvReady => self.tail.load().stamp(),
        }
    }

    unsafe fn enter(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> bool {
        match wants {
            // A close wakes those that are in the queue, under its lock. Who enters later sees `CLOSED`.
            Wants::Send | Wants::SendReady => {
                // SAFETY: the contract of this function.
                unsafe { self.head.enter(waiter, |head| !self.is_full_at(head)) }
            }
            Wants::Recv | Wants::RecvReady => {
                // SAFETY: the contract of this function.
                unsafe { self.tail.enter(waiter, |tail| !self.is_empty_at(tail)) }
            }
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
        let is_first = self.tail.lock().close();
        if is_first {
            self.tail.wake_all();
            self.head.wake_all();
        }
        is_first
    }

    fn is_closed(&self) -> bool {
        self.tail.load().is_closed()
    }

    fn len(&self) -> usize {
        loop {
            let before = self.tail.load().position();
            let head = self.head.load().position();
            if self.tail.load().position() == before {
                return (before - head) as usize;
            }
        }
    }

    fn capacity(&self) -> Option<usize> {
        self.bound
    }
}

impl<T, S: Storage<T>> Buffered<T, S> {
    /// The end that a waiter waits for.
    fn awaited(&self, wants: Wants) -> &End<Near<S::Cursor>, Message<T>> {
        match wants {
            Wants::Send | Wants::SendReady => &self.head,
            Wants::Recv | Wants::RecvReady => &self.tail,
        }
    }
}

impl<T, S: Storage<T>> Drop for Buffered<T, S> {
    /// Drops what is queued. If that panics, the rest is leaked, as in a `Vec`; the last receiver's drop empties the
    /// channel with more care.
    fn drop(&mut self) {
        while self.try_recv().is_ok() {}
        self.storage.free(&mut self.head.get_mut().cursor);
    }
}
