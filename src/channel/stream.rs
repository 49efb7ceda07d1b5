//! A receiver as a stream, behind the feature `stream`.

use super::core::Wants;
use super::future::{RecvFuture, SendFuture};
use super::receiver::Receiver;
use super::task::Task;
use futures_core::{FusedFuture, FusedStream, Stream};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A stream of the messages that a receiver receives. It ends when the channel is closed and empty. Returned by
/// [`Receiver::into_stream`].
///
/// A stream that was polled and is pending waits for a message until it is polled again or dropped, as a future does.
/// If it is kept without being polled, and other receivers share its channel, it may hold the wake-up for a message
/// that one of them could receive.
///
/// Its waker may panic as that of a [`RecvFuture`](super::RecvFuture) may.
#[must_use = "a stream does nothing unless it is polled"]
pub struct RecvStream<T> {
    receiver: Receiver<T>,
    /// On the heap, so that the stream can be moved between two polls.
    task: Pin<Box<Task<T>>>,
    has_ended: bool,
}

// SAFETY: as for `RecvFuture`.
unsafe impl<T: Send> Send for RecvStream<T> {}
// SAFETY: a shared stream lends its receiver alone, which may be shared.
unsafe impl<T: Send> Sync for RecvStream<T> {}

// A panic leaves the stream as it was.
impl<T> UnwindSafe for RecvStream<T> {}
impl<T> RefUnwindSafe for RecvStream<T> {}

impl<T> Receiver<T> {
    /// Returns a [`Stream`] of the messages. Needs the feature `stream`.
    ///
    /// For a stream that leaves the receiver where it is, clone the receiver.
    ///
    /// # Cancel safety
    /// A poll takes a message only if it returns it. So the future of a combinator such as `next` may be dropped at any
    /// time, and no message is lost.
    ///
    /// A channel of [`at`](super::at), [`after`](super::after) or [`tick`](super::tick) wakes the task as it wakes that of
    /// [`recv_async`](Receiver::recv_async).
    ///
    /// # Examples
    /// ```
    /// # use std::pin::Pin;
    /// # use std::task::{Context, Poll, Waker};
    /// use futures_core::Stream;
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// let mut stream = receiver.into_stream();
    /// let mut next = || Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop()));
    ///
    /// assert_eq!(next(), Poll::Pending);
    /// sender.send(1).unwrap();
    /// assert_eq!(next(), Poll::Ready(Some(1)));
    /// drop(sender);
    /// assert_eq!(next(), Poll::Ready(None));
    /// ```
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream { receiver: self, task: Box::pin(Task::new(None)), has_ended: false }
    }
}

impl<T> RecvStream<T> {
    /// Returns the receiver, for example to close the channel.
    pub fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }

    /// Ends the stream, and returns its receiver.
    pub fn into_receiver(self) -> Receiver<T> {
        self.receiver.clone()
    }
}

impl<T> Stream for RecvStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        if this.has_ended {
            return Poll::Ready(None);
        }
        let RecvStream { receiver, task, .. } = this;
        let (first, took) = (|| receiver.turn(), |from| receiver.took(from));
        let polled = task.as_mut().poll_recv(receiver.channels(), first, took, context.waker());
        let received = ready!(polled);
        this.has_ended = received.is_err();
        Poll::Ready(received.ok())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.has_ended.then_some(0))
    }
}

impl<T> FusedStream for RecvStream<T> {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<T> FusedFuture for RecvFuture<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_done()
    }
}

impl<T> FusedFuture for SendFuture<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_done()
    }
}

impl<T> Drop for RecvStream<T> {
    fn drop(&mut self) {
        self.task.as_mut().cancel(self.receiver.channels(), Wants::RecvReady);
    }
}

impl<T> fmt::Debug for RecvStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream")
            .field("receiver", &self.receiver)
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}
