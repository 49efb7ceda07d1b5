//! What each kind of channel can do: the steps that sending, receiving, selecting and awaiting are made of.
//!
//! No step blocks. A thread or a task that can't go on enters with a waiter, sleeps until that is settled, and tries
//! again: *woken means try again*. Only a rendezvous also hands a value over by the waiter's message.
//!
//! Invariants:
//!
//! - **H1.** A waiter is taken and settled under one hold of its queue's lock. So whoever leaves, under that lock,
//!   finds its waiter queued or settled, and a task never blocks to leave.
//! - **H2.** A waiter that enters is not ready, or it is woken: what makes it ready later takes it from the queue.
//!   One wake-up is one chance to go on. A waiter that was woken tries again, or calls
//!   [`pass_on`](Core::pass_on) if it leaves without.
//! - **H3.** A value is in one place at a time: with the sender, in its waiter's message, in the channel, or with the
//!   receiver. Only under a lock is it moved from one to the next.

use super::error::TryRecvError;
use crate::support::backoff::Spin;
use crate::support::waiters::{Removal, Signal, Taken, Waiter};
use crate::sys::Mutex;
use std::time::Instant;

/// What a waiter carries: for a sender its value, for a receiver what it was given.
pub(super) type Message<T> = Option<T>;

/// What a waiter waits to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// To send its message.
    Send,
    /// To receive. A rendezvous may put a value into its message: it is received then, and can't be refused.
    Recv,
    /// To know that a send is possible.
    SendReady,
    /// To know that there is something to receive; nothing is handed over to it. So wait tasks, since they may be
    /// cancelled when they have been woken.
    RecvReady,
}

impl Wants {
    /// Whether it waits on the sending side.
    #[inline]
    pub(super) fn is_send(self) -> bool {
        matches!(self, Wants::Send | Wants::SendReady)
    }
}

/// Why a message was not sent. It is still where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    Full,
    Closed,
}

pub(super) trait Core<T> {
    /// Sends the message at once, or leaves it. Large messages aren't moved more often than they must: a build without
    /// optimization keeps each copy on the stack.
    ///
    /// # Panics
    /// If there is no message.
    fn try_send(&self, message: &mut Message<T>) -> Result<(), Unsent>;

    /// Receives at once.
    fn try_recv(&self) -> Result<T, TryRecvError>;

    /// Whether a try may succeed, or find the channel closed. Takes no lock and writes nothing. `false` is the truth, if
    /// the caller has executed a sequentially consistent fence since what it did in other channels. `true` is a hint,
    /// and the answer of a channel that can't tell without its lock.
    fn seems_ready(&self, wants: Wants) -> bool;

    /// Whether it is worth while to try again, for a thread that waits awake. A hint, as cheap as can be.
    #[inline]
    fn hints_at_ready(&self, wants: Wants) -> bool {
        self.seems_ready(wants)
    }

    /// Whether a try would find the channel neither full nor empty at the moment, or closed.
    fn is_ready(&self, wants: Wants) -> bool;

    /// A number that grows whenever the channel may have become ready. While it stays the same, a channel that a try has
    /// found full, or empty, is so.
    fn stamp(&self, wants: Wants) -> u64;

    /// Enters the queue, unless the channel is ready. Returns whether the waiter is in.
    ///
    /// # Safety
    /// The waiter leaves, or is settled, before it or the channel is moved or dropped.
    unsafe fn enter(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> bool;

    /// Leaves the queue. If the waiter was taken, it is settled by now.
    fn leave(&self, wants: Wants, waiter: &Waiter<Message<T>>) -> Removal;

    /// Calls `f` with the signal of a waiter that has entered, under its queue's lock, if it is still queued. If it
    /// isn't, it is settled by now. A task has its waker replaced so.
    fn if_queued<R>(
        &self,
        wants: Wants,
        waiter: &Waiter<Message<T>>,
        f: impl FnOnce(&Signal) -> R,
    ) -> Option<R>;

    /// Wakes the next waiter in place of one that was woken and has not tried again.
    fn pass_on(&self, wants: Wants);

    /// How a thread waits awake.
    fn spin(&self) -> Spin {
        Spin::Yielding
    }

    /// A number that grows with what other threads of this thread's side get done.
    fn progress(&self, _: Wants) -> u64 {
        0
    }

    /// Whether only a thread in the queue gets anywhere. It waits awake there, and otherwise before it enters.
    fn waits_in_queue(&self) -> bool {
        false
    }

    /// When a waiter is to try again, though nobody wakes it. `None` is never.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Called by a waiter for which the time of [`due`](Core::due) has come.
    fn fall_due(&self) {}

    /// Closes the channel and wakes all waiters. Returns `false` if it was closed.
    fn close(&self) -> bool;

    fn is_closed(&self) -> bool;

    fn len(&self) -> usize;

    fn capacity(&self) -> Option<usize>;
}

/// Receives from the first of several channels that has a message, and returns its index, too. Begins with `first`, and
/// then takes the others in turn. `try_recv` is called with the index of a channel.
pub(super) fn try_recv_any<T>(
    count: usize,
    first: usize,
    mut try_recv: impl FnMut(usize) -> Result<T, TryRecvError>,
) -> Result<(T, usize), TryRecvError> {
    let mut error = TryRecvError::Disconnected;
    for at in (first..count).chain(0..first.min(count)) {
        match try_recv(at) {
            Ok(value) => return Ok((value, at)),
            Err(TryRecvError::Disconnected) => {}
            Err(TryRecvError::Empty) => error = TryRecvError::Empty,
        }
    }
    Err(error)
}

/// Wakes all waiters of a channel that is closed, and that none enters any more. One at a time, so that each is settled
/// under the lock and none is woken under it.
pub(super) fn wake_each<S, T>(
    state: &Mutex<S>,
    mut next: impl FnMut(&mut S) -> Option<Taken<Message<T>>>,
) {
    let mut release = || next(&mut state.lock()).map(Taken::release);
    while let Some(wake_up) = release() {
        wake_up.wake();
    }
}
