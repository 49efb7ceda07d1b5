//! One receiver of many channels, and many receivers of one.

use super::construct::never;
use super::receiver::Receiver;

/// Returns one receiver for all that the given ones receive.
///
/// It runs on no thread and holds no messages: a message stays in its channel until it is received here. So nothing is
/// in flight when an end goes away.
///
/// - A receive takes from any channel that has a message, by turns if several have. Messages of one channel keep their
///   order.
/// - The end is reached when all channels are closed and empty. A timer among them, made by [`at`](super::at),
///   [`after`](super::after) or [`tick`](super::tick), never closes by itself.
/// - [`close`](Receiver::close) closes all channels, and so does dropping the last clone, unless there are other
///   receivers of theirs.
/// - It can be cloned, selected, awaited, and passed to `fan_in` again.
///
/// With no receivers, the end is reached at once.
///
/// # Examples
/// ```
/// use phalanx::channel;
/// use std::thread;
///
/// let receivers = [1, 10, 100].map(|factor| {
///     let (sender, receiver) = channel::bounded(1);
///     thread::spawn(move || (1..=3).try_for_each(|n| sender.send(n * factor)));
///     receiver
/// });
/// assert_eq!(channel::fan_in(receivers).iter().sum::<i32>(), 666);
/// ```
pub fn fan_in<T>(receivers: impl IntoIterator<Item = Receiver<T>>) -> Receiver<T> {
    let channels = receivers.into_iter().flat_map(|receiver| receiver.channels().to_vec());
    let channels: Vec<_> = channels.collect();
    if channels.is_empty() {
        let none = never();
        none.close();
        return none;
    }
    Receiver::of_all(channels)
}

/// Returns `n` receivers that share the messages of one: each message goes to one of them, to a free one first.
///
/// They are clones of `receiver`, so nothing runs between it and them, and no message is held or lost on the way. When
/// one is dropped, the others go on with what is left. When all are dropped, the channel closes, and senders get their
/// values back; with `n == 0` that is at once.
///
/// # Examples
/// ```
/// use phalanx::{channel, WorkerPool};
///
/// let (sender, receiver) = channel::bounded(8);
/// let workers = channel::fan_out(receiver, 3);
/// std::thread::spawn(move || (1..=10).try_for_each(|n| sender.send(n)));
/// let work = |receiver: channel::Receiver<i32>| move || receiver.iter().sum::<i32>();
/// let sums = WorkerPool::new(3).run(workers.into_iter().map(work));
/// assert_eq!(sums.iter().sum::<i32>(), 55);
/// ```
pub fn fan_out<T>(receiver: Receiver<T>, n: usize) -> Vec<Receiver<T>> {
    vec![receiver; n]
}
