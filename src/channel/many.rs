//! Sending and receiving many values at once: one claim and one check for waiters for
//! up to 64 of them.

use super::core::Core;
use super::error::{RecvError, TryRecvError};
use super::receiver::Receiver;
use super::sender::Sender;
use super::storage::MOST_AT_ONCE;
use std::error::Error;
use std::iter::Chain;
use std::{fmt, vec};

/// The channel was closed before all values were sent. Returned by [`Sender::send_many`].
pub struct SendManyError<I: Iterator> {
    /// How many values were sent.
    pub sent: usize,
    /// The values that were not sent, in their order.
    pub unsent: Chain<vec::IntoIter<I::Item>, I>,
}

impl<I: Iterator> fmt::Debug for SendManyError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendManyError").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl<I: Iterator> fmt::Display for SendManyError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sending on a channel that was closed after {} values", self.sent)
    }
}

impl<I: Iterator> Error for SendManyError<I> {}

impl<T> Sender<T> {
    /// Sends all values, in their order, and blocks whenever the channel is full. Returns how many there were.
    ///
    /// Values are sent up to 64 at a time, as far as there is room and as the iterator's
    /// [`size_hint`](Iterator::size_hint) promises so many. That costs far less than a send each. Other senders' values
    /// may come in between. If the iterator panics, up to 64 values that it has returned are dropped.
    ///
    /// # Errors
    /// If the channel is closed. The error returns the values that were not sent.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::bounded(5);
    /// assert_eq!(sender.send_many([1, 2, 3]).unwrap(), 3);
    /// receiver.close();
    /// let error = sender.send_many([4, 5]).unwrap_err();
    /// assert_eq!(error.unsent.collect::<Vec<_>>(), [4, 5]);
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn send_many<I>(&self, values: I) -> Result<usize, SendManyError<I::IntoIter>>
    where
        I: IntoIterator<Item = T>,
    {
        let mut values = values.into_iter();
        let mut sent = 0;
        loop {
            // An iterator may wait for what is sent here, so it is asked for no more than it has ready.
            let ready = values.size_hint().0.clamp(1, MOST_AT_ONCE as usize);
            let mut some = Vec::with_capacity(ready);
            some.extend(values.by_ref().take(ready));
            let mut some = some.into_iter();
            if some.len() == 0 {
                return Ok(sent);
            }
            while some.len() > 0 {
                let before = some.len();
                if self.handle().try_send_many(&mut some) {
                    return Err(SendManyError { sent, unsent: some.chain(values) });
                }
                sent += before - some.len();
                let Some(next) = some.next() else {
                    break;
                };
                if let Err(error) = self.send(next) {
                    let mut unsent = vec![error.into_inner()];
                    unsent.extend(some);
                    let unsent = unsent.into_iter().chain(values);
                    return Err(SendManyError { sent, unsent });
                }
                sent += 1;
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Receives up to `limit` messages, and appends them to `buffer`. Blocks until there is one; takes what is there.
    /// Returns how many it has received.
    ///
    /// That costs far less than a receive each. With a `limit` of 0 it returns 0 at once.
    ///
    /// # Errors
    /// If the channel is closed and empty.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// sender.send_many(1..=5).unwrap();
    /// let mut buffer = Vec::new();
    /// assert_eq!(receiver.recv_many(&mut buffer, 3), Ok(3));
    /// assert_eq!(receiver.recv_many(&mut buffer, 3), Ok(2));
    /// assert_eq!(buffer, [1, 2, 3, 4, 5]);
    /// ```
    #[track_caller]
    pub fn recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> Result<usize, RecvError> {
        match self.try_recv_many(buffer, limit) {
            Ok(received) => return Ok(received),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) => {}
        }
        buffer.reserve(1);
        buffer.push(self.recv()?);
        // The end comes at the next call.
        Ok(1 + self.try_recv_many(buffer, limit - 1).unwrap_or(0))
    }

    /// Receives up to `limit` messages that are there, and appends them to `buffer`. Never blocks. Returns how many it
    /// has received.
    ///
    /// # Errors
    /// As [`try_recv`](Receiver::try_recv). With a `limit` of 0 there is none.
    pub fn try_recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> Result<usize, TryRecvError> {
        let mut received = 0;
        let mut nothing = TryRecvError::Disconnected;
        for channel in self.channels_by_turns() {
            // What senders add meanwhile is for the next call: otherwise this one might never return.
            let mut most = channel.len().max(MOST_AT_ONCE as usize).min(limit - received);
            while most > 0 {
                // So that a push neither allocates nor panics while others wait for the slots.
                buffer.reserve(most.min(channel.len().max(1)));
                let now = most.min(buffer.capacity() - buffer.len());
                match channel.try_recv_many(now, |message| buffer.push(message)) {
                    Ok(n) => {
                        received += n;
                        most -= n;
                    }
                    Err(TryRecvError::Empty) => {
                        nothing = TryRecvError::Empty;
                        break;
                    }
                    Err(TryRecvError::Disconnected) => break,
                }
            }
        }
        if received > 0 || limit == 0 { Ok(received) } else { Err(nothing) }
    }
}
