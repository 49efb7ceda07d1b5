//! The receiving side.

use super::core::Core;
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::shared::{Handle, Side};
use crate::support::deadline;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

/// The receiving side of a channel. Clones receive from the same channel: each message goes to one of them. When the
/// last of them is dropped, the channel closes, and what is queued is dropped.
///
/// See the [module](super) for how channels behave, and for examples.
pub struct Receiver<T> {
    handle: Handle<T>,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    pub(super) fn new(handle: Handle<T>) -> Self {
        Receiver { handle }
    }

    #[inline]
    pub(super) fn handle(&self) -> &Handle<T> {
        &self.handle
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
        self.handle.recv(None).map_err(|_| RecvError)
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
        self.handle.try_recv()
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
        self.handle.recv(deadline::after(timeout))
    }

    /// Receives a message, and blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`recv_timeout`](Receiver::recv_timeout).
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.handle.recv(Some(deadline))
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
        self.handle.close()
    }

    /// Whether the channel is closed. Messages may still be queued.
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

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        self.handle.is_same(&other.handle)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver { handle: self.handle.share(Side::Receivers) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // SAFETY: counted since it was made, and this is its end.
        unsafe { self.handle.release(Side::Receivers) };
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
