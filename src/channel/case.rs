//! One case of a select: what it is to send into a channel, or to receive from one, as one of several that a thread
//! waits for.
//!
//! A case knows how to try, how to enter its channel's queue with a waiter, and how to leave with what came of it. It
//! holds its waiter, and a send its value, so that it stays where it is while it is in a queue. The case of a
//! [`fan_in`](super::fan_in) has a part for each of its channels.

use super::core::{Core, Message, Unsent, Wants, try_recv_any};
use super::error::{RecvError, SendError, TryRecvError};
use super::shared::{Handle, Receiving, Sending};
use crate::support::waiters::{Removal, Signal, Waiter};
use crate::sys::Hint;
use std::fmt;
use std::time::Instant;

/// See the [module](self). Everything but `enter` and `leave` is for a case that is in no queue.
pub(crate) trait Case {
    /// Whether the case takes part. One that is off never becomes ready.
    fn is_on(&self) -> bool;

    /// Completes the case if that can be done at once. A case stays complete until its result is fetched.
    fn try_now(&mut self) -> bool;

    /// As [`Core::seems_ready`].
    fn seems_ready(&self) -> bool;

    /// As [`Core::is_ready`].
    fn is_ready(&self) -> bool;

    /// As [`Core::stamp`].
    fn stamp(&self) -> u64;

    /// Enters the queue, or those of its parts. Returns `false` if the case is ready now. Either way the case has to
    /// leave. `only_to_know` is for a thread that wants to know that the case is ready, and not to complete it.
    ///
    /// # Safety
    /// The case leaves before it is moved or dropped, and before the signal is.
    unsafe fn enter(&mut self, signal: &Signal, only_to_know: bool) -> bool;

    /// Leaves the queue. No waiter of the signal can be taken any more, by the signal itself.
    fn leave(&mut self) -> Left;

    /// As [`Core::due`].
    fn due(&self) -> Option<Instant>;

    /// The time has come: tells those channels of which `due` is not after it.
    fn fall_due(&self, time: Instant);

    /// Passes the wake-up on that a case which left as [`Left::Woken`] has not used.
    fn pass_on(&self);

    /// Returns the address of the case's channel, by which its type is known again. 0 if the case is off.
    fn channel(&self) -> usize;
}

/// What came of a case that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Idle,
    /// It was woken, and is to try again.
    Woken,
    /// It is complete: a value was handed over.
    Complete,
}

/// A receive.
pub(super) struct RecvCase<'a, T> {
    /// Nothing, if the case is off; one channel, or all channels of a fan-in.
    parts: Parts<'a, T>,
    wants: Wants,
    /// The part to begin with.
    next: usize,
    /// Where the next case of the same receiver is to begin: after the part that this one has received from.
    turn: Option<&'a Hint>,
    result: Option<Result<T, RecvError>>,
}

enum Parts<'a, T> {
    Off,
    One([Part<'a, T>; 1]),
    Many(Vec<Part<'a, T>>),
}

struct Part<'a, T> {
    channel: &'a Handle<T, Receiving>,
    waiter: Option<Waiter<Message<T>>>,
    /// Whether it is known to be closed and empty, which it stays.
    is_over: bool,
}

impl<T> Part<'_, T> {
    /// Ends the waiter. Returns its message, and whether it was taken.
    fn leave(&mut self, wants: Wants) -> (Message<T>, Removal) {
        let Some(waiter) = &self.waiter else {
            return (None, Removal::Removed);
        };
        let removal = self.channel.leave(wants, waiter);
        (self.waiter.take().and_then(Waiter::into_message), removal)
    }
}

impl<'a, T> RecvCase<'a, T> {
    /// `None` makes a case that is off; a slice of other than one channel, one that receives from any of them.
    pub(super) fn new(channels: Option<&'a [Handle<T, Receiving>]>) -> Self {
        let part = |channel| Part { channel, waiter: None, is_over: false };
        let parts = match channels {
            None => Parts::Off,
            Some([channel]) => Parts::One([part(channel)]),
            Some(channels) => Parts::Many(channels.iter().map(part).collect()),
        };
        RecvCase { parts, wants: Wants::Recv, next: 0, turn: None, result: None }
    }

    /// Has all of a fan-in's channels take their turns.
    pub(super) fn by_turns(mut self, turn: &'a Hint) -> Self {
        self.next = turn.get() as usize % self.parts().len();
        self.turn = Some(turn);
        self
    }

    /// Returns the result of the complete case, and makes it ready to be used again.
    pub(super) fn take_result(&mut self) -> Result<T, RecvError> {
        self.result.take().expect("the case is complete")
    }

    /// Notes that a message came from that part: it is the turn of the next.
    fn took(&mut self, at: usize) {
        self.next = at + 1;
        if let Some(turn) = self.turn {
            turn.set(self.next as u32);
        }
    }

    fn parts(&self) -> &[Part<'a, T>] {
        match &self.parts {
            Parts::Off => &[],
            Parts::One(part) => part,
            Parts::Many(parts) => parts,
        }
    }

    fn parts_mut(&mut self) -> &mut [Part<'a, T>] {
        match &mut self.parts {
            Parts::Off => &mut [],
            Parts::One(part) => part,
            Parts::Many(parts) => parts,
        }
    }

    /// Returns the parts that may still have something.
    fn open(&self) -> impl Iterator<Item = &Part<'a, T>> {
        self.parts().iter().filter(|part| !part.is_over)
    }
}

impl<T> Case for RecvCase<'_, T> {
    fn is_on(&self) -> bool {
        !matches!(self.parts, Parts::Off)
    }

    fn try_now(&mut self) -> bool {
        if self.result.is_some() {
            return true;
        }
        let first = self.next;
        let parts = self.parts_mut();
        let received = try_recv_any(parts.len(), first, |at| {
            let part = &mut parts[at];
            if part.is_over {
                return Err(TryRecvError::Disconnected);
            }
            let received = part.channel.try_recv();
            part.is_over = matches!(received, Err(TryRecvError::Disconnected));
            received
        });
        match received {
            Ok((value, at)) => {
                self.result = Some(Ok(value));
                self.took(at);
            }
            Err(TryRecvError::Disconnected) if self.is_on() => self.result = Some(Err(RecvError)),
            Err(_) => {}
        }
        self.result.is_some()
    }

    fn seems_ready(&self) -> bool {
        self.result.is_some()
            || self.is_on() && {
                let mut open = self.open().peekable();
                open.peek().is_none() || open.any(|part| part.channel.seems_ready(Wants::Recv))
            }
    }

    fn is_ready(&self) -> bool {
        let ready = |part: &Part<'_, T>| part.channel.is_ready(Wants::Recv);
        match &self.parts {
            _ if self.result.is_some() => true,
            Parts::Off => false,
            Parts::One([part]) => ready(part),
            // Ready is what has something, or that nothing will have anything.
            Parts::Many(parts) => {
                let is_over =
                    |part: &Part<'_, T>| part.channel.is_closed() && part.channel.len() == 0;
                parts.iter().any(|part| ready(part) && !is_over(part)) || parts.iter().all(is_over)
            }
        }
    }

    fn stamp(&self) -> u64 {
        // Each of them grows, so the sum is the same only if all are.
        self.parts().iter().fold(0, |sum, part| sum.wrapping_add(part.channel.stamp(Wants::Recv)))
    }

    unsafe fn enter(&mut self, signal: &Signal, only_to_know: bool) -> bool {
        let wants = if only_to_know { Wants::RecvReady } else { Wants::Recv };
        self.wants = wants;
        for part in self.parts_mut().iter_mut().filter(|part| !part.is_over) {
            // SAFETY: the contract of this function: the case leaves first, which ends the waiter.
            let waiter = part.waiter.insert(unsafe { Waiter::new(None, signal) });
            // SAFETY: as above, and the channel is borrowed.
            let is_in = unsafe { part.channel.enter(wants, waiter) };
            if !is_in && only_to_know && part.channel.is_closed() && part.channel.len() == 0 {
                // Of a fan-in, one channel may be over.
                part.is_over = true;
            } else if !is_in {
                return false;
            }
        }
        !self.is_on() || self.open().next().is_some()
    }

    fn leave(&mut self) -> Left {
        let wants = self.wants;
        let mut left = Left::Idle;
        for at in 0..self.parts().len() {
            match self.parts_mut()[at].leave(wants) {
                (Some(value), _) => {
                    self.result = Some(Ok(value));
                    self.took(at);
                    left = Left::Complete;
                }
                (None, Removal::WasTaken) => {
                    // It is the first to be tried again.
                    self.next = at;
                    left = Left::Woken;
                }
                (None, Removal::Removed) => {}
            }
        }
        left
    }

    fn due(&self) -> Option<Instant> {
        self.open().filter_map(|part| part.channel.due()).min()
    }

    fn fall_due(&self, time: Instant) {
        for part in self.open().filter(|part| part.channel.due().is_some_and(|due| due <= time)) {
            part.channel.fall_due();
        }
    }

    fn pass_on(&self) {
        if let Some(part) = self.parts().get(self.next) {
            part.channel.pass_on(self.wants);
        }
    }

    fn channel(&self) -> usize {
        self.parts().first().map_or(0, |part| part.channel.address())
    }
}

/// A send.
pub(super) struct SendCase<'a, T> {
    channel: Option<&'a Handle<T, Sending>>,
    value: Value<'a, T>,
    /// Holds the value while it waits.
    waiter: Option<Waiter<Message<T>>>,
    wants: Wants,
    result: Option<Result<(), SendError<T>>>,
}

/// Where the value of a send is while it doesn't wait. Without a value the case is off.
pub(super) enum Value<'a, T> {
    Own(Option<T>),
    /// The caller's, who has it back if the case isn't chosen.
    Borrowed(&'a mut Option<T>),
}

impl<T> Value<'_, T> {
    fn get(&mut self) -> &mut Option<T> {
        match self {
            Value::Own(value) => value,
            Value::Borrowed(value) => value,
        }
    }

    fn is_some(&self) -> bool {
        match self {
            Value::Own(value) => value.is_some(),
            Value::Borrowed(value) => value.is_some(),
        }
    }
}

impl<'a, T> SendCase<'a, T> {
    /// Without a channel, or without a value, the case is off.
    pub(super) fn new(channel: Option<&'a Handle<T, Sending>>, value: Value<'a, T>) -> Self {
        SendCase { channel, value, waiter: None, wants: Wants::Send, result: None }
    }

    /// Returns the result of the complete case.
    pub(super) fn take_result(&mut self) -> Result<(), SendError<T>> {
        self.result.take().expect("the case is complete")
    }

    /// The channel of a case that is on.
    fn on(&self) -> Option<&'a Handle<T, Sending>> {
        self.channel.filter(|_| self.value.is_some())
    }
}

impl<T> Case for SendCase<'_, T> {
    fn is_on(&self) -> bool {
        self.on().is_some()
    }

    fn try_now(&mut self) -> bool {
        if self.result.is_some() {
            return true;
        }
        let Some(channel) = self.on() else {
            return false;
        };
        let message = self.value.get();
        self.result = match channel.try_send(message) {
            Ok(()) => Some(Ok(())),
            Err(Unsent::Closed) => message.take().map(|value| Err(SendError(value))),
            Err(Unsent::Full) => None,
        };
        self.result.is_some()
    }

    fn seems_ready(&self) -> bool {
        self.result.is_some() || self.on().is_some_and(|channel| channel.seems_ready(Wants::Send))
    }

    fn is_ready(&self) -> bool {
        self.result.is_some() || self.on().is_some_and(|channel| channel.is_ready(Wants::Send))
    }

    fn stamp(&self) -> u64 {
        self.on().map_or(0, |channel| channel.stamp(Wants::Send))
    }

    unsafe fn enter(&mut self, signal: &Signal, only_to_know: bool) -> bool {
        let Some(channel) = self.on() else {
            return true;
        };
        self.wants = if only_to_know { Wants::SendReady } else { Wants::Send };
        let message = if only_to_know { None } else { self.value.get().take() };
        // SAFETY: the contract of this function: the case leaves first, which ends the waiter.
        let waiter = self.waiter.insert(unsafe { Waiter::new(message, signal) });
        // SAFETY: as above, and the channel is borrowed.
        unsafe { channel.enter(self.wants, waiter) }
    }

    fn leave(&mut self) -> Left {
        let (Some(channel), Some(waiter)) = (self.channel, &self.waiter) else {
            return Left::Idle;
        };
        let removal = channel.leave(self.wants, waiter);
        let message = self.waiter.take().and_then(Waiter::into_message);
        if self.wants == Wants::Send {
            if message.is_none() {
                self.result = Some(Ok(()));
                return Left::Complete;
            }
            *self.value.get() = message;
        }
        if removal == Removal::WasTaken { Left::Woken } else { Left::Idle }
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn fall_due(&self, _: Instant) {}

    fn pass_on(&self) {
        if let Some(channel) = self.channel {
            channel.pass_on(self.wants);
        }
    }

    fn channel(&self) -> usize {
        self.channel.map_or(0, Handle::address)
    }
}

impl<T> fmt::Debug for RecvCase<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvCase").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendCase<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendCase").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}
