//! Sending and receiving for tasks: try, enter the queues with a waker, try again when woken.
//!
//! ```text
//! Idle    => Waiting   enter      the task's waiters are in their queues, until one of them is taken
//! Waiting => Idle      end_wait   the waiters have left; the message is as a taker has left it
//! Idle    => Done      finish     the future has completed
//! ```
//!
//! - A receiver waits as [`Wants::RecvReady`]: it is never handed a value, so a task that is cancelled after its
//!   wake-up loses none. A sender waits as [`Wants::Send`] with its value in the message: either a receiver takes it
//!   from there, under the lock, or it comes back.
//! - A task that is cancelled when it has been woken hasn't used its wake-up, and passes it on. Otherwise a message
//!   would stay in the channel while other receivers sleep. A receiver of several channels tries the one first that it
//!   was woken for.
//! - A task that waits for a timer channel has an alarm set, which wakes it when the next message is due. Each poll ends
//!   such a wait, and enters again with another alarm if it is too early.
//! - By H1 a waiter that isn't in its queue is settled. So neither a poll nor a cancellation blocks.
//! - Wakers are user code: they are cloned, dropped and woken without a lock. Only a clone may unwind, at a moment when
//!   nothing has changed. The panic of a drop ends with the panic hook, as that of a wake-up does, since the poll may
//!   have a message to return.

#![allow(clippy::large_enum_variant, reason = "large in a model alone")]

use super::core::{Core, Message, Unsent, Wants, try_recv_any};
use super::error::{RecvError, SendError, TryRecvError};
use super::shared::{Handle, Side};
use crate::support::alarm::{Alarm, wake_at};
use crate::support::waiters::{AbortOnUnwind, Removal, Signal, Waiter};
use crate::sys::{catch, discard};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Poll, Waker, ready};
use std::time::Instant;
use std::{mem, slice};

/// The state of a future or a stream. See the [module](self).
///
/// Its owner passes the same channels to each call, and calls [`cancel`](Task::cancel) when it is dropped.
pub(super) struct Task<T> {
    stage: Stage<T>,
    /// The queues point to the waiters.
    _pinned: PhantomPinned,
}

enum Stage<T> {
    /// It is in no queue. A sender's value is here; `None` if it was taken.
    Idle(Message<T>),
    /// It is in its queues, or was taken from one of them. Each wait has a signal of its own.
    Waiting(Wait<T>),
    Done,
}

struct Wait<T> {
    waiters: Waiters<T>,
    signal: Signal,
    /// Set for when the first message of a timer channel is due.
    alarm: Option<(Instant, Alarm)>,
}

/// A waiter for each channel, once the signal has its address. `None` for a channel that is over.
enum Waiters<T> {
    One(Option<Waiter<Message<T>>>),
    Many(Box<[Option<Waiter<Message<T>>>]>),
}

impl<T> Task<T> {
    /// A sender's message is its value, and a receiver's is `None`.
    pub(super) fn new(message: Message<T>) -> Self {
        Task { stage: Stage::Idle(message), _pinned: PhantomPinned }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Sends the message. The task is done if this returns `Ready`.
    pub(super) fn poll_send<S: Side>(
        mut self: Pin<&mut Self>,
        channel: &Handle<T, S>,
        waker: &Waker,
    ) -> Poll<Result<(), SendError<T>>> {
        let channels = slice::from_ref(channel);
        ready!(self.as_mut().poll_wait(channels, Wants::Send, waker));
        loop {
            let Stage::Idle(message) = self.as_mut().stage() else {
                unreachable!("a future that doesn't wait is idle")
            };
            // Without a message, a receiver has taken it.
            let sent = if message.is_some() { channel.try_send(message) } else { Ok(()) };
            if sent != Err(Unsent::Full) {
                let unsent = self.finish();
                return Poll::Ready(unsent.map_or(Ok(()), |value| Err(SendError(value))));
            }
            if self.as_mut().enter(channels, Wants::Send, waker.clone()).is_ok() {
                return Poll::Pending;
            }
        }
    }

    /// Receives a message from one of the channels; which is tried first is the caller's choice, unless the task was
    /// woken for one. `took` is told which it was. The task is idle if this returns `Ready`.
    pub(super) fn poll_recv<S: Side>(
        mut self: Pin<&mut Self>,
        channels: &[Handle<T, S>],
        first: impl FnOnce() -> usize,
        took: impl FnOnce(usize),
        waker: &Waker,
    ) -> Poll<Result<T, RecvError>> {
        let woken = ready!(self.as_mut().poll_wait(channels, Wants::RecvReady, waker));
        let mut first = woken.unwrap_or_else(first);
        loop {
            match try_recv_any(channels.len(), first, |at| channels[at].try_recv()) {
                Ok((value, from)) => {
                    took(from);
                    return Poll::Ready(Ok(value));
                }
                Err(TryRecvError::Disconnected) => return Poll::Ready(Err(RecvError)),
                Err(TryRecvError::Empty) => {}
            }
            match self.as_mut().enter(channels, Wants::RecvReady, waker.clone()) {
                Ok(()) => return Poll::Pending,
                Err(ready) => first = ready,
            }
        }
    }

    /// Idle => Done. Returns the message.
    pub(super) fn finish(self: Pin<&mut Self>) -> Message<T> {
        match self.set_stage(Stage::Done) {
            Stage::Idle(message) => message,
            Stage::Waiting(_) | Stage::Done => unreachable!("a future completes when it is idle"),
        }
    }

    /// Idle => Waiting, unless a channel is ready or all are over: that returns the channel to try first.
    fn enter<S: Side>(
        mut self: Pin<&mut Self>,
        channels: &[Handle<T, S>],
        wants: Wants,
        waker: Waker,
    ) -> Result<(), usize> {
        let due = channels.iter().filter_map(|channel| channel.due()).min();
        let alarm = due.map(|due| (due, set_alarm(due, &waker)));
        let mut message = self.as_mut().finish();
        let stage = self.as_mut().stage();
        *stage = Stage::Waiting(Wait {
            waiters: match channels {
                [_] => Waiters::One(None),
                _ => Waiters::Many(channels.iter().map(|_| None).collect()),
            },
            signal: Signal::new(),
            alarm,
        });
        let Stage::Waiting(wait) = stage else { unreachable!("set above") };
        // SAFETY: no waiter has the signal yet.
        unsafe { wait.signal.set_waker(waker) };
        let mut is_in = false;
        let mut ready = None;
        for (at, (channel, place)) in channels.iter().zip(wait.waiters.as_mut()).enumerate() {
            // SAFETY: the signal is dropped together with the waiter, and neither is moved while it is in use: see
            // below.
            let waiter = place.insert(unsafe { Waiter::new(message.take(), &wait.signal) });
            // SAFETY: the wait is pinned. Only `end_wait` moves or drops it, after the waiter has left or was settled,
            // and `cancel` does that before the owner drops it. The owner keeps the channel alive till then. If the
            // owner is leaked the channel may go, but so is the waiter's memory, and nobody else uses it.
            if unsafe { channel.enter(wants, waiter) } {
                is_in = true;
            } else if channels.len() > 1 && channel.is_closed() && channel.len() == 0 {
                *place = None;
            } else {
                ready = Some(at);
                break;
            }
        }
        if is_in && ready.is_none() {
            return Ok(());
        }
        let woken = self.end_wait(channels, wants);
        Err(woken.or(ready).unwrap_or(0))
    }

    /// Waiting => Idle if a waiter was taken, which returns its channel. Otherwise `waker` will wake the task.
    ///
    /// A receiver of several channels always ends its wait, and enters again if there is nothing: its waker may be
    /// replaced only under the one lock of all queues that lead to it.
    fn poll_wait<S: Side>(
        self: Pin<&mut Self>,
        channels: &[Handle<T, S>],
        wants: Wants,
        waker: &Waker,
    ) -> Poll<Option<usize>> {
        let Stage::Waiting(wait) = &self.stage else { return Poll::Ready(None) };
        if let ([channel], Waiters::One(Some(waiter))) = (channels, &wait.waiters)
            && wait.alarm.is_none()
            && !wait.signal.is_settled()
            && keeps_waiting(channel, wants, waiter, waker)
        {
            return Poll::Pending;
        }
        Poll::Ready(self.end_wait(channels, wants))
    }

    /// Waiting => Idle. Returns the channel whose waiter was taken.
    fn end_wait<S: Side>(
        mut self: Pin<&mut Self>,
        channels: &[Handle<T, S>],
        wants: Wants,
    ) -> Option<usize> {
        let Stage::Waiting(wait) = &self.stage else { unreachable!("only a wait ends") };
        let woken = wait.leave(channels, wants);
        let Stage::Waiting(wait) = self.as_mut().set_stage(Stage::Done) else {
            unreachable!("as above");
        };
        let Wait { mut waiters, signal, alarm } = wait;
        if let Some((due, alarm)) = alarm
            && !alarm.cancel()
        {
            has_come(channels, due);
        }
        let message =
            waiters.as_mut().iter_mut().filter_map(Option::take).find_map(Waiter::into_message);
        self.set_stage(Stage::Idle(message));
        drop_waker(signal.into_waker());
        woken
    }

    /// Ends the wait, if there is one, and passes an unused wake-up on.
    pub(super) fn cancel<S: Side>(self: Pin<&mut Self>, channels: &[Handle<T, S>], wants: Wants) {
        if let Stage::Waiting(_) = self.stage
            && let Some(woken) = self.end_wait(channels, wants)
        {
            channels[woken].pass_on(wants);
        }
    }

    /// The stage. It isn't moved or overwritten while a waiter of it is in use.
    fn stage(self: Pin<&mut Self>) -> &mut Stage<T> {
        // SAFETY: by the rule above nothing is moved that a queue points to.
        unsafe { &mut self.get_unchecked_mut().stage }
    }

    fn set_stage(self: Pin<&mut Self>, stage: Stage<T>) -> Stage<T> {
        mem::replace(self.stage(), stage)
    }
}

impl<T> Wait<T> {
    /// Removes the waiters from their queues. Returns the channel whose waiter was taken; it is settled.
    fn leave<S: Side>(&self, channels: &[Handle<T, S>], wants: Wants) -> Option<usize> {
        if channels.len() == 1 && self.signal.is_settled() {
            return Some(0);
        }
        // Until the last has left, one may be taken, and one only.
        let complete = AbortOnUnwind;
        let mut woken = None;
        for (at, (channel, waiter)) in channels.iter().zip(self.waiters.as_ref()).enumerate() {
            if let Some(waiter) = waiter
                && channel.leave(wants, waiter) == Removal::WasTaken
            {
                woken = Some(at);
            }
        }
        mem::forget(complete);
        woken
    }
}

impl<T> Waiters<T> {
    fn as_ref(&self) -> &[Option<Waiter<Message<T>>>] {
        match self {
            Waiters::One(waiter) => slice::from_ref(waiter),
            Waiters::Many(waiters) => waiters,
        }
    }

    fn as_mut(&mut self) -> &mut [Option<Waiter<Message<T>>>] {
        match self {
            Waiters::One(waiter) => slice::from_mut(waiter),
            Waiters::Many(waiters) => waiters,
        }
    }
}

/// Has a task woken when a message is due.
#[track_caller]
fn set_alarm(due: Instant, waker: &Waker) -> Alarm {
    wake_at(due, waker.clone()).unwrap_or_else(|error| {
        panic!("awaiting a timer channel needs the timer's thread, which can't be started: {error}")
    })
}

/// Tells the channels that have a message due that its time has come.
fn has_come<T, S: Side>(channels: &[Handle<T, S>], due: Instant) {
    for channel in channels.iter().filter(|channel| channel.due().is_some_and(|at| at <= due)) {
        channel.fall_due();
    }
}

/// Has `waker` wake the task whose only waiter this is. Returns `false` if the waiter is settled.
fn keeps_waiting<T, S: Side>(
    channel: &Handle<T, S>,
    wants: Wants,
    waiter: &Waiter<Message<T>>,
    waker: &Waker,
) -> bool {
    // SAFETY: the only waiter of its signal is queued, and its queue's lock is held.
    let will_wake = |signal: &Signal| unsafe { signal.will_wake(waker) };
    match channel.if_queued(wants, waiter, will_wake) {
        None => return false,
        Some(true) => return true,
        Some(false) => {}
    }
    let mut waker = Some(waker.clone());
    let replace = |signal: &Signal| {
        // SAFETY: as above.
        waker = waker.take().and_then(|waker| unsafe { signal.set_waker(waker) });
    };
    let is_queued = channel.if_queued(wants, waiter, replace).is_some();
    // The one before, or if the waiter was settled meanwhile, the new one.
    drop_waker(waker);
    is_queued
}

/// Drops a waker. Its panic ends with the panic hook.
fn drop_waker(waker: Option<Waker>) {
    if let Err(payload) = catch(|| drop(waker)) {
        discard(payload);
    }
}
