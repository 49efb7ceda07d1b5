//! Sending and receiving for tasks: try, enter a queue with a waker, try again when woken.
//!
//! ```text
//! Idle    => Waiting   enter      the waiter is in a queue, or was and is settled
//! Waiting => Idle      settled    the waiter was taken and settled; the message is as the taker has left it
//! Waiting => Idle      cancel     the waiter has left the queue
//! Idle    => Done      the future has completed
//! ```
//!
//! - A receiver waits as [`Wants::RecvReady`]: it is never handed a value, so a task that is cancelled after its
//!   wake-up loses none. A sender waits as [`Wants::Send`] with its value in the message: a receiver has taken it,
//!   under the lock, or nobody ever will.
//! - A task that is cancelled when it was woken has not used its wake-up, and passes it on. Otherwise a message would
//!   be left in the channel while others sleep.
//! - By H1 a waiter that isn't in its queue is settled. So neither a poll nor a cancellation ever blocks.
//! - Wakers are user code. They are cloned, dropped and woken without a lock, and only the clone may unwind, at a
//!   moment when nothing has changed. The panic of a drop ends with the panic hook, as that of a wake does: the poll
//!   may have a message to return.

use super::core::{Core, Message, Wants};
use super::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::support::waiters::{AbortOnUnwind, Removal, Signal, Waiter};
use crate::sys::{catch, discard};
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Poll, Waker, ready};

/// The state of a future or a stream. See the [module](self).
///
/// Its owner calls [`cancel`](Task::cancel) when it is dropped.
pub(super) struct Task<T> {
    stage: Stage<T>,
    /// A queue points to the waiter.
    _pinned: PhantomPinned,
}

enum Stage<T> {
    /// It is in no queue. A sender's value is here; `None` if it was taken.
    Idle(Message<T>),
    /// It is in a queue, or was taken from it. Each wait has a signal of its own.
    Waiting(Wait<T>),
    /// It has completed.
    Done,
}

struct Wait<T> {
    /// Always there; it is made when the signal has its address.
    waiter: Option<Waiter<Message<T>>>,
    signal: Signal,
}

impl<T> Wait<T> {
    fn waiter(&self) -> &Waiter<Message<T>> {
        self.waiter.as_ref().expect("made with the wait")
    }

    /// Ends a wait whose waiter is in no queue, or is settled.
    fn end(self) -> (Message<T>, Option<Waker>) {
        let message = self.waiter.and_then(Waiter::into_message);
        (message, self.signal.into_waker())
    }
}

impl<T> Task<T> {
    /// A sender's message is its value, and a receiver's is `None`.
    pub(super) fn new(message: Message<T>) -> Self {
        Task { stage: Stage::Idle(message), _pinned: PhantomPinned }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Sends the message, for a future that hasn't completed.
    pub(super) fn poll_send(
        mut self: Pin<&mut Self>,
        core: &impl Core<T>,
        waker: &Waker,
    ) -> Poll<Result<(), SendError<T>>> {
        ready!(self.as_mut().poll_wait(core, Wants::Send, waker));
        let mut own = None;
        let sent = loop {
            match self.as_mut().finish().map(|value| core.try_send(value)) {
                // A receiver has taken it.
                None | Some(Ok(())) => break Ok(()),
                Some(Err(TrySendError::Disconnected(value))) => break Err(SendError(value)),
                Some(Err(TrySendError::Full(value))) => {
                    self.as_mut().set_stage(Stage::Idle(Some(value)));
                }
            }
            let waker = own.take().unwrap_or_else(|| waker.clone());
            match self.as_mut().enter(core, Wants::Send, waker) {
                Ok(()) => return Poll::Pending,
                Err(waker) => own = waker,
            }
        };
        forget_waker(own);
        Poll::Ready(sent)
    }

    /// Receives a message, for a future or a stream that hasn't completed. The stage is [`Idle`](Stage::Idle) after.
    pub(super) fn poll_recv(
        mut self: Pin<&mut Self>,
        core: &impl Core<T>,
        waker: &Waker,
    ) -> Poll<Result<T, RecvError>> {
        ready!(self.as_mut().poll_wait(core, Wants::RecvReady, waker));
        let mut own = None;
        let received = loop {
            match core.try_recv() {
                Ok(value) => break Ok(value),
                Err(TryRecvError::Disconnected) => break Err(RecvError),
                Err(TryRecvError::Empty) => {}
            }
            let waker = own.take().unwrap_or_else(|| waker.clone());
            match self.as_mut().enter(core, Wants::RecvReady, waker) {
                Ok(()) => return Poll::Pending,
                Err(waker) => own = waker,
            }
        };
        forget_waker(own);
        Poll::Ready(received)
    }

    /// Idle => Done. Returns the message.
    pub(super) fn finish(self: Pin<&mut Self>) -> Message<T> {
        match self.set_stage(Stage::Done) {
            Stage::Idle(message) => message,
            Stage::Waiting(_) | Stage::Done => unreachable!("a future completes when it is idle"),
        }
    }

    /// Idle => Waiting, unless the channel is ready, which returns the waker.
    fn enter(
        mut self: Pin<&mut Self>,
        core: &impl Core<T>,
        wants: Wants,
        waker: Waker,
    ) -> Result<(), Option<Waker>> {
        let message = self.as_mut().finish();
        let stage = self.as_mut().stage();
        *stage = Stage::Waiting(Wait { waiter: None, signal: Signal::new() });
        let Stage::Waiting(wait) = stage else { unreachable!("set above") };
        // SAFETY: no waiter has the signal yet.
        unsafe { wait.signal.set_waker(waker) };
        // SAFETY: the signal is dropped together with the waiter, and neither is moved while it is used: see below.
        let waiter = wait.waiter.insert(unsafe { Waiter::new(message, &wait.signal) });
        // SAFETY: the wait is pinned. It is moved or dropped by `settled`, when the waiter is settled, and by
        // `cancel`, which the owner's drop calls and which has the waiter leave. The channel lives by the owner's
        // handle, which is dropped after that; if the owner is leaked, so is the waiter's memory, and the channel
        // may go: nobody uses the waiter any more.
        if unsafe { core.enter(wants, waiter) } {
            return Ok(());
        }
        Err(self.settled())
    }

    /// Waiting => Idle, for a waiter that is in no queue, or is settled. Returns the waker, if it was not used.
    fn settled(mut self: Pin<&mut Self>) -> Option<Waker> {
        let Stage::Waiting(wait) = self.as_mut().set_stage(Stage::Done) else {
            unreachable!("only a wait ends");
        };
        let (message, waker) = wait.end();
        self.set_stage(Stage::Idle(message));
        waker
    }

    /// Waiting => Idle if the waiter is settled. Otherwise the task will be woken by `waker`.
    fn poll_wait(
        mut self: Pin<&mut Self>,
        core: &impl Core<T>,
        wants: Wants,
        waker: &Waker,
    ) -> Poll<()> {
        if let Stage::Waiting(wait) = &self.stage
            && !wait.signal.is_settled()
            && wait.keeps_waiting(core, wants, waker)
        {
            return Poll::Pending;
        }
        if matches!(self.stage, Stage::Waiting(_)) {
            forget_waker(self.as_mut().settled());
        }
        Poll::Ready(())
    }

    /// Ends the wait, if there is one.
    pub(super) fn cancel(mut self: Pin<&mut Self>, core: &impl Core<T>, wants: Wants) {
        let Stage::Waiting(wait) = &self.stage else { return };
        let complete = AbortOnUnwind;
        let removal = core.leave(wants, wait.waiter());
        mem::forget(complete);
        let waker = self.as_mut().settled();
        if removal == Removal::WasTaken {
            core.pass_on(wants);
        }
        forget_waker(waker);
    }

    /// The stage, which is moved or overwritten only while it isn't `Waiting` or its waiter is out of use.
    fn stage(self: Pin<&mut Self>) -> &mut Stage<T> {
        // SAFETY: by the rule above nothing is moved that a queue points to.
        unsafe { &mut self.get_unchecked_mut().stage }
    }

    fn set_stage(self: Pin<&mut Self>, stage: Stage<T>) -> Stage<T> {
        mem::replace(self.stage(), stage)
    }
}

impl<T> Wait<T> {
    /// Has `waker` wake the task. Returns `false` if the waiter is settled.
    fn keeps_waiting(&self, core: &impl Core<T>, wants: Wants, waker: &Waker) -> bool {
        // SAFETY: it is the only waiter of its signal, and is queued, and its queue's lock is held.
        let will_wake = |signal: &Signal| unsafe { signal.will_wake(waker) };
        match core.if_queued(wants, self.waiter(), will_wake) {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        let mut new = Some(waker.clone());
        let old = core.if_queued(wants, self.waiter(), |signal| {
            // SAFETY: as above.
            new.take().and_then(|waker| unsafe { signal.set_waker(waker) })
        });
        let is_queued = old.is_some();
        forget_waker(old.flatten());
        forget_waker(new);
        is_queued
    }
}

/// Drops a waker. Its panic ends with the panic hook.
fn forget_waker(waker: Option<Waker>) {
    if let Err(payload) = catch(|| drop(waker)) {
        discard(payload);
    }
}
