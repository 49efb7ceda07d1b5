//! The kinds of channel behind one type.

#![allow(clippy::large_enum_variant, reason = "large in a model alone")]

use super::blocking;
use super::blocks::Blocks;
use super::buffered::Buffered;
use super::core::{Core, Message, Unsent, Wants};
use super::error::{RecvTimeoutError, TryRecvError};
use super::rendezvous::Rendezvous;
use super::ring::Ring;
use super::timer::Timer;
use crate::support::backoff::Spin;
use crate::support::waiters::{Removal, Signal, Waiter};
use std::time::Instant;
use std::vec;

/// A channel of any kind.
pub(super) enum Flavor<T> {
    Ring(Buffered<T, Ring<T>>),
    Blocks(Buffered<T, Blocks<T>>),
    Rendezvous(Rendezvous<T>),
    Timer(Timer<T>),
}

/// Bounds up to this are a ring, allocated at once. Larger ones allocate as they fill.
const LARGEST_RING: usize = 1 << 14;

/// Calls a method of whatever kind of channel it is.
macro_rules! each {
    ($flavor:expr, $channel:ident => $call:expr) => {
        match $flavor {
            Flavor::Ring($channel) => $call,
            Flavor::Blocks($channel) => $call,
            Flavor::Rendezvous($channel) => $call,
            Flavor::Timer($channel) => $call,
        }
    };
}

impl<T> Flavor<T> {
    /// `None` is for no bound.
    #[track_caller]
    pub(super) fn new(capacity: Option<usize>) -> Self {
        match capacity {
            Some(0) => Flavor::Rendezvous(Rendezvous::new()),
            Some(n) if n <= LARGEST_RING => Flavor::Ring(Buffered::new(Ring::new(n), capacity)),
            _ => Flavor::Blocks(Buffered::new(Blocks::new(capacity), capacity)),
        }
    }

    /// Sends the message, or leaves it: as full, if it was so until the deadline.
    #[inline]
    #[track_caller]
    pub(super) fn send(
        &self,
        message: &mut Message<T>,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent> {
        each!(self, channel => blocking::send(channel, message, deadline))
    }

    /// Sends those of the values for which there is room, and leaves the others. Returns whether the channel is closed.
    pub(super) fn try_send_many(&self, values: &mut vec::IntoIter<T>) -> bool {
        match self {
            Flavor::Ring(channel) => channel.try_send_many(values),
            Flavor::Blocks(channel) => channel.try_send_many(values),
            // One by one, by the caller.
            Flavor::Rendezvous(_) | Flavor::Timer(_) => self.is_closed(),
        }
    }

    /// Receives up to `limit` messages, at least one, and passes each to `take`, which must not panic. Returns how many.
    pub(super) fn try_recv_many(
        &self,
        limit: usize,
        mut take: impl FnMut(T),
    ) -> Result<usize, TryRecvError> {
        match self {
            Flavor::Ring(channel) => channel.try_recv_many(limit, take),
            Flavor::Blocks(channel) => channel.try_recv_many(limit, take),
            Flavor::Rendezvous(_) | Flavor::Timer(_) => {
                take(self.try_recv()?);
                Ok(1)
            }
        }
    }

    #[inline]
    #[track_caller]
    pub(super) fn recv(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        each!(self, channel => blocking::recv(channel, deadline))
    }
}

impl<T> Core<T> for Flavor<T> {
    #[inline]
    fn try_send(&self, message: &mut Message<T>) -> Result<(), Unsent> {
        each!(self, channel => channel.try_send(message))
    }

    #[inline]
    fn try_recv(&self) -> Result<T, TryRecvError> {
        each!(self, channel => channel.try_recv())
    }

    fn seems_ready(&self, wants: Wants) -> bool {
        each!(self, channel => channel.seems_ready(wants))
    }

    #[inline]
    fn hints_at_ready(&self, wants: Wants) -> bool {
        each!(self, channel => channel.hints_at_ready(wants))
    }

    fn is_ready(&self, wants: Wants) -> bool {
        each!(self, channel => channel.is_ready(wants))
    }

    fn stamp(&self, wants: Wants) -> u64 {
        each!(self, channel => channel.stamp(wants))
    }

    unsafe fn enter(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> bool {
        // SAFETY: the contract of this function.
        each!(self, channel => unsafe { channel.enter(wants, waiter) })
    }

    fn leave(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> Removal {
        each!(self, channel => channel.leave(wants, waiter))
    }

    fn if_queued<R>(
        &self,
        wants: Wants,
        waiter: &Waiter<Message<T>>,
        f: impl FnOnce(&Signal) -> R,
    ) -> Option<R> {
        each!(self, channel => channel.if_queued(wants, waiter, f))
    }

    fn pass_on(&self, wants: Wants) {
        each!(self, channel => channel.pass_on(wants));
    }

    fn spin(&self) -> Spin {
        each!(self, channel => channel.spin())
    }

    fn progress(&self, wants: Wants) -> u64 {
        each!(self, channel => channel.progress(wants))
    }

    fn waits_in_queue(&self) -> bool {
        each!(self, channel => channel.waits_in_queue())
    }

    fn due(&self) -> Option<Instant> {
        each!(self, channel => channel.due())
    }

    fn fall_due(&self) {
        each!(self, channel => channel.fall_due());
    }

    fn close(&self) -> bool {
        each!(self, channel => channel.close())
    }

    fn is_closed(&self) -> bool {
        each!(self, channel => channel.is_closed())
    }

    fn len(&self) -> usize {
        each!(self, channel => channel.len())
    }

    fn capacity(&self) -> Option<usize> {
        each!(self, channel => channel.capacity())
    }
}
