//! Awaiting a send or a receive, on any executor.

use super::core::Wants;
use super::error::{RecvError, SendError};
use super::receiver::Receiver;
use super::sender::Sender;
use super::task::Task;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, slice};

/// Receives a message: the future of [`Receiver::recv_async`].
///
/// It may be dropped at any time, and then has received nothing. Leaking it after a poll, with
/// [`mem::forget`](std::mem::forget), leaks its waker, and may leave a message waiting that it was woken for. So does
/// keeping it without polling it again.
///
/// If its waker panics when it is woken or dropped, the panic hook runs and nothing else happens. A panic of the
/// waker's clone unwinds from the poll, which has then done nothing.
///
/// # Panics
/// If it is polled after it has completed.
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    task: Task<T>,
}

/// Sends a value: the future of [`Sender::send_async`].
///
/// It may be dropped at any time. If it hasn't completed by then, the value either was received already or never will
/// be: a rendezvous may have passed it on before the future was polled again. Keeping the future without polling it
/// again, or leaking it after a poll, with [`mem::forget`](std::mem::forget), may leave room in the channel that it was
/// woken for.
///
/// If its waker panics when it is woken or dropped, the panic hook runs and nothing else happens. A panic of the
/// waker's clone unwinds from the poll, which has then done nothing.
///
/// # Panics
/// If it is polled after it has completed.
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T> {
    sender: &'a Sender<T>,
    task: Task<T>,
}

// SAFETY: a task's waiter is used through its queue's lock and its signal, by whichever thread has the future, and the
// value may be sent to another thread.
unsafe impl<T: Send> Send for RecvFuture<'_, T> {}
// SAFETY: nothing can be done with a shared future but to format it, which asks for its stage alone.
unsafe impl<T: Send> Sync for RecvFuture<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SendFuture<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SendFuture<'_, T> {}

// A panic leaves the future as it was, or completed.
impl<T> UnwindSafe for RecvFuture<'_, T> {}
impl<T> RefUnwindSafe for RecvFuture<'_, T> {}
impl<T: UnwindSafe> UnwindSafe for SendFuture<'_, T> {}
impl<T> RefUnwindSafe for SendFuture<'_, T> {}

impl<T> Receiver<T> {
    /// Returns a future that receives a message: [`recv`](Receiver::recv) for async code, on any executor.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time, and no message is lost: it takes a message only in the poll that returns
    /// it. If it was woken for one, another receiver is woken in its place.
    ///
    /// # Errors
    /// If the channel is closed and empty: nothing will come any more.
    ///
    /// # Timers
    /// A task that awaits a channel of [`at`](super::at), [`after`](super::after) or [`tick`](super::tick) is woken by the
    /// timer, a thread of the process that the first such wait starts. If it can't be started, the poll panics.
    ///
    /// # Examples
    /// ```
    /// # use std::task::{Context, Poll, Wake, Waker};
    /// # struct Unpark(std::thread::Thread);
    /// # impl Wake for Unpark {
    /// #     fn wake(self: std::sync::Arc<Self>) {
    /// #         self.0.unpark();
    /// #     }
    /// # }
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    /// #     let mut future = std::pin::pin!(future);
    /// #     loop {
    /// #         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
    /// #             Poll::Ready(output) => return output,
    /// #             Poll::Pending => std::thread::park(),
    /// #         }
    /// #     }
    /// # }
    /// use phalanx::channel;
    /// use std::thread;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// thread::spawn(move || (1..=3).try_for_each(|n| sender.send(n)));
    ///
    /// let sum = async {
    ///     let mut sum = 0;
    ///     while let Ok(n) = receiver.recv_async().await {
    ///         sum += n;
    ///     }
    ///     sum
    /// };
    /// assert_eq!(block_on(sum), 6); // of your executor
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, task: Task::new(None) }
    }
}

impl<T> Sender<T> {
    /// Returns a future that sends a value: [`send`](Sender::send) for async code, on any executor. In a rendezvous
    /// channel it completes after a receiver has taken the value.
    ///
    /// Nothing is sent before the first poll.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. If it has not sent the value by then, it drops the value, and never sends
    /// it later. If it was woken because there was room, another sender is woken in its place.
    ///
    /// # Errors
    /// If the channel is closed, or is closed while the future waits. The error returns the value.
    ///
    /// # Examples
    /// ```
    /// # use std::task::{Context, Poll, Wake, Waker};
    /// # struct Unpark(std::thread::Thread);
    /// # impl Wake for Unpark {
    /// #     fn wake(self: std::sync::Arc<Self>) {
    /// #         self.0.unpark();
    /// #     }
    /// # }
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    /// #     let mut future = std::pin::pin!(future);
    /// #     loop {
    /// #         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
    /// #             Poll::Ready(output) => return output,
    /// #             Poll::Pending => std::thread::park(),
    /// #         }
    /// #     }
    /// # }
    /// use phalanx::channel;
    /// use std::thread;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// let receiving = thread::spawn(move || receiver.iter().take(3).collect::<Vec<_>>());
    ///
    /// let sending = async {
    ///     for word in ["to", "a", "thread"] {
    ///         sender.send_async(word).await.unwrap();
    ///     }
    /// };
    /// block_on(sending); // of your executor
    /// assert_eq!(receiving.join().unwrap(), ["to", "a", "thread"]);
    /// ```
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        SendFuture { sender: self, task: Task::new(Some(value)) }
    }
}

impl<'a, T> RecvFuture<'a, T> {
    /// Whether it has completed.
    pub(super) fn is_done(&self) -> bool {
        self.task.is_done()
    }

    fn parts(self: Pin<&mut Self>) -> (&'a Receiver<T>, Pin<&mut Task<T>>) {
        // SAFETY: the task is pinned with the future: it isn't moved out of it, and the drop treats it as pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        (this.receiver, unsafe { Pin::new_unchecked(&mut this.task) })
    }
}

impl<'a, T> SendFuture<'a, T> {
    /// Whether it has completed.
    pub(super) fn is_done(&self) -> bool {
        self.task.is_done()
    }

    fn parts(self: Pin<&mut Self>) -> (&'a Sender<T>, Pin<&mut Task<T>>) {
        // SAFETY: as for `RecvFuture`.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        (this.sender, unsafe { Pin::new_unchecked(&mut this.task) })
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (receiver, mut task) = self.parts();
        assert!(!task.is_done(), "a `RecvFuture` must not be polled after it has completed");
        let (first, took) = (|| receiver.turn(), |from| receiver.took(from));
        let polled = task.as_mut().poll_recv(receiver.channels(), first, took, context.waker());
        if polled.is_ready() {
            task.finish();
        }
        polled
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (sender, task) = self.parts();
        assert!(!task.is_done(), "a `SendFuture` must not be polled after it has completed");
        task.poll_send(sender.handle(), context.waker())
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the future isn't moved any more.
        let (receiver, task) = unsafe { Pin::new_unchecked(self) }.parts();
        task.cancel(receiver.channels(), Wants::RecvReady);
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the future isn't moved any more.
        let (sender, task) = unsafe { Pin::new_unchecked(self) }.parts();
        task.cancel(slice::from_ref(sender.handle()), Wants::Send);
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture")
            .field("receiver", self.receiver)
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture")
            .field("sender", self.sender)
            .field("is_done", &self.is_done())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod models;
