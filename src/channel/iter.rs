//! Receiving in a `for` loop: Go's `range`.

use super::receiver::Receiver;
use crate::sys::Caller;
use std::fmt;
use std::iter::FusedIterator;

/// Receives until the channel is closed and empty. Blocks between messages. See [`Receiver::iter`].
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
    /// Whose waits they are, in a model's verdict.
    caller: Caller,
}

/// Receives what is there. Never blocks. See [`Receiver::try_iter`].
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// As [`Iter`], and owns its receiver.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
    /// As in [`Iter`].
    caller: Caller,
}

impl<T> Receiver<T> {
    /// Returns an iterator that receives until the channel is closed and empty, and blocks between messages.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// std::thread::spawn(move || (1..=3).try_for_each(|n| sender.send(n)));
    /// assert_eq!(receiver.iter().sum::<i32>(), 6);
    /// ```
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, caller: Caller::here() }
    }

    /// Returns an iterator that receives what is there, and never blocks.
    ///
    /// # Examples
    /// ```
    /// use phalanx::channel;
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// sender.send(1).unwrap();
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let _call = self.caller.calling();
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let _call = self.caller.calling();
        self.receiver.recv().ok()
    }
}

// A channel that is closed and empty stays so.
impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    #[track_caller]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[track_caller]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self, caller: Caller::here() }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("receiver", &self.receiver).finish()
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").field("receiver", &self.receiver).finish()
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("receiver", &self.receiver).finish()
    }
}
