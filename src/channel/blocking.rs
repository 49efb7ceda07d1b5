//! Sending and receiving for threads: try, wait awake for a little, sleep, try again.

use super::core::{Core, Wants};
use super::error::{RecvError, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use crate::support::backoff::Spin;
use crate::support::waiters::{Ended, wait};
use crate::sys::IS_MODEL;
use std::mem;
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

/// Sends, and blocks until it can, until the channel is closed, or until the deadline.
#[inline]
#[track_caller]
pub(super) fn send<T>(
    core: &impl Core<T>,
    value: T,
    deadline: Option<Instant>,
) -> Result<(), SendTimeoutError<T>> {
    match core.try_send(value) {
        Ok(()) => Ok(()),
        Err(TrySendError::Disconnected(value)) => Err(SendTimeoutError::Disconnected(value)),
        Err(TrySendError::Full(value)) => send_later(core, value, deadline),
    }
}

#[cold]
#[track_caller]
fn send_later<T>(
    core: &impl Core<T>,
    mut value: T,
    deadline: Option<Instant>,
) -> Result<(), SendTimeoutError<T>> {
    if is_over(deadline) {
        return Err(SendTimeoutError::Timeout(value));
    }
    loop {
        value = match send_awake(core, value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(value)) => {
                return Err(SendTimeoutError::Disconnected(value));
            }
            Err(TrySendError::Full(value)) => value,
        };
        let (left, ended) = wait(
            Some(value),
            spin_in_queue(core),
            deadline,
            // SAFETY: `wait` returns once the waiter has left or is settled; the channel is borrowed.
            |waiter| _ = unsafe { core.enter(Wants::Send, waiter) },
            |waiter| _ = core.leave(Wants::Send, waiter),
        );
        let Some(kept) = left else {
            return Ok(());
        };
        // Also after the deadline: there may be room by then.
        value = match core.try_send(kept) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(value)) => {
                return Err(SendTimeoutError::Disconnected(value));
            }
            Err(TrySendError::Full(value)) if ended == Ended::Removed => {
                return Err(SendTimeoutError::Timeout(value));
            }
            Err(TrySendError::Full(value)) => value,
        };
    }
}

/// Waits awake for room. Returns the value as full if there was none.
fn send_awake<T>(core: &impl Core<T>, value: T) -> Result<(), TrySendError<T>> {
    if core.waits_in_queue() {
        return Err(TrySendError::Full(value));
    }
    let mut result = Err(TrySendError::Full(value));
    core.spin().poll_beside(
        || core.progress(Wants::Send),
        || {
            if !core.hints_at_ready(Wants::Send) {
                return None;
            }
            let Err(TrySendError::Full(value)) = mem::replace(&mut result, Ok(())) else {
                unreachable!("the poll ends when it isn't full")
            };
            result = core.try_send(value);
            (!matches!(result, Err(TrySendError::Full(_)))).then_some(())
        },
    );
    result
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
