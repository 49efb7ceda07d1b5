//! The functions that open channels.

use super::flavor::Flavor;
use super::receiver::Receiver;
use super::sender::Sender;
use super::shared::Handle;

/// Opens a channel that holds up to `capacity` messages. A send into a full channel blocks.
///
/// `bounded(0)` opens a *rendezvous* channel, Go's unbuffered one, which holds nothing: a send returns after a receiver
/// has taken the value.
///
/// Any capacity is accepted: a large one is allocated as the channel fills, so `bounded(usize::MAX)` costs what
/// [`unbounded`] does.
///
/// # Examples
/// ```
/// use phalanx::channel;
///
/// let (sender, receiver) = channel::bounded(2);
/// sender.send(1).unwrap();
/// sender.send(2).unwrap();
/// assert!(sender.is_full());
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    open(Flavor::new(Some(capacity)))
}

/// Opens a channel without a bound: a send never blocks, and memory grows with what is queued.
///
/// # Examples
/// ```
/// use phalanx::channel;
///
/// let (sender, receiver) = channel::unbounded();
/// for n in 0..1_000 {
///     sender.send(n).unwrap();
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().count(), 1_000);
/// ```
#[track_caller]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    open(Flavor::new(None))
}

#[track_caller]
fn open<T>(flavor: Flavor<T>) -> (Sender<T>, Receiver<T>) {
    let [sending, receiving] = Handle::pair(flavor);
    (Sender::new(sending), Receiver::new(receiving))
}
