//! Sending and receiving for threads: try, wait awake for a little, sleep, try again.

use super::core::{Core, Message, Unsent, Wants};
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::support::backoff::Spin;
use crate::support::waiters::{Ended, wait};
use crate::sys::IS_MODEL;
use std::time::Instant;

/// Receives, and blocks until it can, until the channel is closed and empty, or until the deadline.
#[inline]
#[track_caller]
pub(super) fn recv<T>(
    core: &impl Core<T>,
    deadline: Option<Instant>,
) -> Result<T, RecvTimeoutError> {
    match core.try_recv() {
        Ok(value) => Ok(value),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        Err(TryRecvError::Empty) => recv_later(core, deadline),
    }
}

#[cold]
#[track_caller]
fn recv_later<T>(core: &impl Core<T>, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
    if is_over(deadline) {
        return Err(RecvTimeoutError::Timeout);
    }
    loop {
        if let Some(received) = recv_awake(core) {
            return Ok(received?);
        }
        let due = core.due();
        let until = earlier(deadline, due);
        let (given, ended) = wait(
            None,
            spin_in_queue(core),
            until,
            // SAFETY: `wait` returns once the waiter has left or is settled; the channel is borrowed.
            |waiter| _ = unsafe { core.enter(Wants::Recv, waiter) },
            |waiter| _ = core.leave(Wants::Recv, waiter),
        );
        if let Some(value) = given {
            return Ok(value);
        }
        if ended == Ended::Removed && due.is_some() && until == due {
            core.fall_due();
        }
        // Also after the deadline: what has come by then is received.
        match core.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) if ended == Ended::Removed && until == deadline => {
                return Err(RecvTimeoutError::Timeout);
            }
            Err(TryRecvError::Empty) => {}
        }
    }
}

/// Waits awake for a message. Returns `None` if none came.
fn recv_awake<T>(core: &impl Core<T>) -> Option<Result<T, RecvError>> {
    if core.waits_in_queue() {
        return None;
    }
    core.spin().poll_beside(
        || core.progress(Wants::Recv),
        || {
            if !core.hints_at_ready(Wants::Recv) {
                return None;
            }
            match core.try_recv() {
                Ok(value) => Some(Ok(value)),
                Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
                Err(TryRecvError::Empty) => None,
            }
        },
    )
}

/// Sends, and blocks until it can, until the channel is closed, or until the deadline. A message that isn't sent is left:
/// as full, if it was so until the deadline.
#[inline]
#[track_caller]
pub(super) fn send<T>(
    core: &impl Core<T>,
    message: &mut Message<T>,
    deadline: Option<Instant>,
) -> Result<(), Unsent> {
    match core.try_send(message) {
        Err(Unsent::Full) => send_later(core, message, deadline),
        result => result,
    }
}

#[cold]
#[track_caller]
fn send_later<T>(
    core: &impl Core<T>,
    message: &mut Message<T>,
    deadline: Option<Instant>,
) -> Result<(), Unsent> {
    if is_over(deadline) {
        return Err(Unsent::Full);
    }
    loop {
        match send_awake(core, message) {
            Err(Unsent::Full) => {}
            result => return result,
        }
        let (left, ended) = wait(
            message.take(),
            spin_in_queue(core),
            deadline,
            // SAFETY: `wait` returns once the waiter has left or is settled; the channel is borrowed.
            |waiter| _ = unsafe { core.enter(Wants::Send, waiter) },
            |waiter| _ = core.leave(Wants::Send, waiter),
        );
        *message = left;
        if message.is_none() {
            return Ok(());
        }
        // Also after the deadline: there may be room by then.
        match core.try_send(message) {
            Err(Unsent::Full) if ended != Ended::Removed => {}
            result => return result,
        }
    }
}

/// Waits awake for room. Leaves the message as full if there was none.
fn send_awake<T>(core: &impl Core<T>, message: &mut Message<T>) -> Result<(), Unsent> {
    if core.waits_in_queue() {
        return Err(Unsent::Full);
    }
    let sent = core.spin().poll_beside(
        || core.progress(Wants::Send),
        || {
            if !core.hints_at_ready(Wants::Send) {
                return None;
            }
            match core.try_send(message) {
                Err(Unsent::Full) => None,
                result => Some(result),
            }
        },
    );
    sent.unwrap_or(Err(Unsent::Full))
}

/// How a thread that has entered the queue waits awake.
fn spin_in_queue<T>(core: &impl Core<T>) -> Option<Spin> {
    core.waits_in_queue().then_some(Spin::Yielding)
}

/// Waits awake until `ready` says so, but no longer than a sleep would cost. Returns whether it does.
pub(super) fn wait_awake(ready: impl Fn() -> bool) -> bool {
    Spin::Yielding.poll(|| ready().then_some(())).is_some()
}

/// Whether a deadline has come before a wait for it began. In a model deadlines come while a thread waits.
pub(super) fn is_over(deadline: Option<Instant>) -> bool {
    !IS_MODEL && deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Returns the earlier of two deadlines; `None` is never.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}
