//! The sending side.

use super::core::{Core, Unsent};
use super::error::{SendError, SendTimeoutError, TrySendError};
use super::shared::{Handle, Sending};
use crate::support::deadline;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

/// The sending side of a channel. Clones send into the same channel, which closes when the last of them is dropped.
///
/// See the [module](super) for how channels behave, and for examples.
pub struct Sender<T> {
    handle: Handle<T, Sending>,
}

const LEFT: &str = "a message that isn't sent is left";

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    pub(super) fn new(handle: Handle<T, Sending>) -> Self {
        Sender { handle }
    }

    #[inline]
    pub(super) fn handle(&self) -> &Handle<T, Sending> {
        &self.handle
    }

    /// Sends a value. Blocks while the channel is full; in a rendezvous channel, until a receiver has taken the value.
    ///
    /// # Errors
    /// If the channel is closed, or is closed while this call waits. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// assert_eq!(sender.send("one"), Ok(()));
    /// receiver.close();
    /// assert_eq!(sender.send("two").unwrap_err().into_inner(), "two");
    /// assert_eq!(receiver.recv(), Ok("one"));
    /// ```
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut message = Some(value);
        match self.handle.send(&mut message, None) {
            Ok(()) => Ok(()),
            Err(_) => Err(SendError(message.expect(LEFT))),
        }
    }

    /// Sends a value if that can be done at once. Never blocks.
    ///
    /// # Errors
    /// [`Full`](TrySendError::Full) if the channel is full, or, for a rendezvous channel, if no thread is blocked in a
    /// receive; [`Disconnected`](TrySendError::Disconnected) if it is closed. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel::{self, TrySendError};
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut message = Some(value);
        match self.handle.try_send(&mut message) {
            Ok(()) => Ok(()),
            Err(Unsent::Full) => Err(TrySendError::Full(message.expect(LEFT))),
            Err(Unsent::Closed) => Err(TrySendError::Disconnected(message.expect(LEFT))),
        }
    }

    /// Sends a value, and blocks for at most `timeout`. A timeout too long to represent is none.
    ///
    /// # Errors
    /// [`Timeout`](SendTimeoutError::Timeout) if the channel stayed full, or no receiver came;
    /// [`Disconnected`](SendTimeoutError::Disconnected) if it is closed. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel::{self, SendTimeoutError};
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = channel::bounded(0);
    /// let sent = sender.send_timeout("nobody comes", Duration::from_millis(1));
    /// assert_eq!(sent, Err(SendTimeoutError::Timeout("nobody comes")));
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, deadline::after(timeout))
    }

    /// Sends a value, and blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`send_timeout`](Sender::send_timeout).
    #[track_caller]
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Some(deadline))
    }

    #[track_caller]
    fn send_until(&self, value: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        let mut message = Some(value);
        match self.handle.send(&mut message, deadline) {
            Ok(()) => Ok(()),
            Err(Unsent::Full) => Err(SendTimeoutError::Timeout(message.expect(LEFT))),
            Err(Unsent::Closed) => Err(SendTimeoutError::Disconnected(message.expect(LEFT))),
        }
    }

    /// Closes the channel. Returns `false` if it was closed before.
    ///
    /// Nothing is sent any more: a blocked send returns its value in an error. Receivers get what is queued, and then
    /// the end. All senders and receivers of the channel may close it, any number of times.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// sender.send(1).unwrap();
    /// assert!(sender.close());
    /// assert!(!receiver.close());
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn close(&self) -> bool {
        self.handle.close()
    }

    /// Whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Returns the number of queued messages: 0 for a rendezvous channel.
    pub fn len(&self) -> usize {
        self.handle.len()
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
        self.handle.capacity()
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        self.handle.is_same(&other.handle)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { handle: self.handle.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
