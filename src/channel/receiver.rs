//! The receiving side.

use super::case::RecvCase;
use super::choose::{Patience, choose};
use super::core::Core;
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::shared::{Handle, Receiving};
use crate::support::deadline;
use crate::support::first_panic::FirstPanic;
use crate::sys::{Arc, Hint, catch};
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::time::{Duration, Instant};
use std::{fmt, slice};

/// The receiving side of a channel. Clones receive from the same channel: each message goes to one of them. When the
/// last of them is dropped, the channel closes, and what is queued is dropped.
///
/// See the [module](super) for how channels behave, and for examples.
pub struct Receiver<T> {
    source: Source<T>,
}

/// What a receiver receives from.
enum Source<T> {
    Channel(Handle<T, Receiving>),
    /// Any of several channels: a [`fan_in`](super::fan_in).
    FanIn(Arc<FanIn<T>>),
}

/// The channels of a fan-in; one at least.
pub(super) struct FanIn<T> {
    channels: Vec<Handle<T, Receiving>>,
    /// The channel that the next receive begins with, so that all have their turn.
    turn: Hint,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    pub(super) fn new(channel: Handle<T, Receiving>) -> Self {
        Receiver { source: Source::Channel(channel) }
    }

    /// Returns a receiver that receives from any of the channels.
    pub(super) fn of_all(channels: Vec<Handle<T, Receiving>>) -> Self {
        Receiver { source: Source::FanIn(Arc::new(FanIn { channels, turn: Hint::new() })) }
    }

    /// Returns the channels that it receives from: one, or those of a fan-in.
    pub(super) fn channels(&self) -> &[Handle<T, Receiving>] {
        match &self.source {
            Source::Channel(channel) => slice::from_ref(channel),
            Source::FanIn(fan_in) => &fan_in.channels,
        }
    }

    /// As [`channels`](Receiver::channels), beginning with another one each time.
    pub(super) fn channels_by_turns(&self) -> impl Iterator<Item = &Handle<T, Receiving>> {
        let first = self.turn();
        self.took(first);
        let (before, after) = self.channels().split_at(first);
        after.iter().chain(before)
    }

    /// Returns the index of the channel whose turn it is.
    pub(super) fn turn(&self) -> usize {
        match &self.source {
            Source::Channel(_) => 0,
            Source::FanIn(fan_in) => fan_in.turn.get() as usize % fan_in.channels.len(),
        }
    }

    /// Notes that a message came from the channel with that index: it is the turn of the next.
    pub(super) fn took(&self, index: usize) {
        if let Source::FanIn(fan_in) = &self.source {
            fan_in.turn.set(index as u32 + 1);
        }
    }

    /// Returns the case of a select that receives from it.
    pub(super) fn case(&self) -> RecvCase<'_, T> {
        let case = RecvCase::new(Some(self.channels()));
        match &self.source {
            Source::Channel(_) => case,
            Source::FanIn(fan_in) => case.by_turns(&fan_in.turn),
        }
    }

    /// Receives a message. Blocks until there is one, or until the channel is closed and empty.
    ///
    /// What the sender did before its send happens before this call returns.
    ///
    /// # Errors
    /// If the channel is closed and empty: nothing will come any more.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel::{self, RecvError};
    /// use std::thread;
    ///
    /// let (sender, receiver) = channel::bounded(0);
    /// thread::spawn(move || sender.send("hello"));
    /// assert_eq!(receiver.recv(), Ok("hello"));
    /// assert_eq!(receiver.recv(), Err(RecvError));
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(None).map_err(|_| RecvError)
    }

    /// Receives a message if there is one. Never blocks.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if there is none, [`Disconnected`](TryRecvError::Disconnected) if none will come
    /// any more.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel::{self, TryRecvError};
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match &self.source {
            Source::Channel(channel) => channel.try_recv(),
            Source::FanIn(_) => self.try_recv_from_any(),
        }
    }

    /// Receives a message, and blocks for at most `timeout`. A timeout too long to represent is none.
    ///
    /// # Errors
    /// [`Timeout`](RecvTimeoutError::Timeout) if no message came,
    /// [`Disconnected`](RecvTimeoutError::Disconnected) if none will come any more.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel::{self, RecvTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = channel::bounded::<i32>(1);
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(deadline::after(timeout))
    }

    /// Receives a message, and blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    #[inline]
    #[track_caller]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        match &self.source {
            Source::Channel(channel) => channel.recv(deadline),
            Source::FanIn(_) => self.recv_from_any(deadline),
        }
    }

    #[cold]
    fn try_recv_from_any(&self) -> Result<T, TryRecvError> {
        let mut case = self.case();
        match choose(&mut [Some(&mut case)], Patience::None) {
            Some(_) => Ok(case.take_result()?),
            None => Err(TryRecvError::Empty),
        }
    }

    #[cold]
    #[track_caller]
    fn recv_from_any(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let mut case = self.case();
        match choose(&mut [Some(&mut case)], Patience::Until(deadline)) {
            Some(_) => Ok(case.take_result()?),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Closes the channel. Returns `false` if it was closed before.
    ///
    /// Nothing is sent any more: a blocked send returns its value in an error. What was sent before is still received.
    /// So a receiver that closes and then receives until the end has everything that was sent: no send returns `Ok`
    /// for a value that is not received.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    /// use std::thread;
    ///
    /// let (sender, receiver) = channel::bounded(2);
    /// let sending = thread::spawn(move || (0..).take_while(|n| sender.send(*n).is_ok()).count());
    /// let mut received: Vec<i32> = receiver.iter().take(10).collect();
    /// receiver.close();
    /// received.extend(&receiver);
    /// assert_eq!(received.len(), sending.join().unwrap());
    /// ```
    pub fn close(&self) -> bool {
        // All of them, whatever the first says.
        self.channels().iter().filter(|channel| channel.close()).count() > 0
    }

    /// Whether the channel is closed. Messages may still be queued.
    pub fn is_closed(&self) -> bool {
        self.channels().iter().all(|channel| channel.is_closed())
    }

    /// Returns the number of queued messages: 0 for a rendezvous channel.
    pub fn len(&self) -> usize {
        self.channels().iter().map(|channel| channel.len()).sum()
    }

    /// Whether no message is queued: always for a rendezvous channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether as many messages are queued as the channel holds: always for a rendezvous channel.
    pub fn is_full(&self) -> bool {
        self.capacity() == Some(self.len())
    }

    /// Returns how many messages the channel holds; `None` if it has no bound.
    pub fn capacity(&self) -> Option<usize> {
        self.channels().iter().try_fold(0, |sum: usize, channel| {
            channel.capacity().map(|capacity| sum.saturating_add(capacity))
        })
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.source, &other.source) {
            (Source::Channel(one), Source::Channel(other)) => one.is_same(other),
            (Source::FanIn(one), Source::FanIn(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl<T> Drop for FanIn<T> {
    /// Drops all handles, though the drop of one may panic: it drops messages. The first panic goes on afterwards.
    fn drop(&mut self) {
        let panics = FirstPanic::new();
        for channel in self.channels.drain(..) {
            if let Err(payload) = catch(|| drop(channel)) {
                panics.keep(payload, || ());
            }
        }
        if let Some(payload) = panics.take(|| ()) {
            resume_unwind(payload);
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::Channel(channel) => Source::Channel(channel.clone()),
            Source::FanIn(fan_in) => Source::FanIn(fan_in.clone()),
        };
        Receiver { source }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
