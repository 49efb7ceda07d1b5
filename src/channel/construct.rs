//! The functions that open channels.

use super::flavor::Flavor;
use super::receiver::Receiver;
use super::sender::Sender;
use super::shared::{pair, receiving_only};
use super::timer::Timer;
use crate::support::deadline;
use std::time::{Duration, Instant};

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

/// Opens a channel into which the clock sends one message, at `instant`: the time for which it was due.
///
/// It is not closed afterwards: a second receive blocks forever, unless a receiver closes it.
///
/// No thread stands behind it: the receiver makes the message when the time has come.
///
/// # Examples
/// ```
/// use phalanx::channel;
/// use std::time::{Duration, Instant};
///
/// let when = Instant::now() + Duration::from_millis(2);
/// assert_eq!(channel::at(when).recv(), Ok(when));
/// assert!(Instant::now() >= when);
/// ```
#[track_caller]
pub fn at(instant: Instant) -> Receiver<Instant> {
    timer(Some(instant), None)
}

/// Opens a channel into which the clock sends one message, in `duration` from now: the time for which it was due.
///
/// It is not closed afterwards: a second receive blocks forever, unless a receiver closes it.
///
/// In a [`select!`](crate::select), `default(duration)` does the same with less. A duration too long to represent is
/// [`never()`].
///
/// # Examples
/// ```
/// use phalanx::{channel, select};
/// use std::time::Duration;
///
/// let (_sender, receiver) = channel::unbounded::<i32>();
/// let timeout = channel::after(Duration::from_millis(2));
/// select! {
///     recv(receiver) -> message => unreachable!("nothing was sent: {message:?}"),
///     recv(timeout) -> _ => println!("timed out"),
/// }
/// ```
#[track_caller]
pub fn after(duration: Duration) -> Receiver<Instant> {
    timer(deadline::after(duration), None)
}

/// Opens a channel into which the clock sends a message every `period`: the time for which it was due.
///
/// It holds one message, as Go's does: the first tick that has not been received. Ticks that come while one is held are
/// skipped. Those that are received keep their times, multiples of the period. Closing it, or dropping the receiver,
/// ends it, a tick that is held included.
///
/// # Panics
/// If `period` is zero.
///
/// # Examples
/// ```
/// use phalanx::channel;
/// use std::time::Duration;
///
/// let period = Duration::from_millis(1);
/// let ticks: Vec<_> = channel::tick(period).iter().take(3).collect();
/// assert!(ticks.is_sorted());
/// assert!(ticks[2] - ticks[0] >= 2 * period);
/// ```
#[track_caller]
pub fn tick(period: Duration) -> Receiver<Instant> {
    assert!(!period.is_zero(), "channel::tick: the period must not be zero");
    timer(deadline::after(period), Some(period))
}

/// Opens a channel into which nothing is ever sent, and which nobody has closed.
///
/// It is for a case of a select that is switched off. An `Option` that is `None` does the same.
///
/// # Examples
/// ```
/// use phalanx::channel::{self, TryRecvError};
///
/// assert_eq!(channel::never::<i32>().try_recv(), Err(TryRecvError::Empty));
/// ```
#[track_caller]
pub fn never<T>() -> Receiver<T> {
    let message = |_| unreachable!("it is never due");
    Receiver::new(receiving_only(Flavor::Timer(Timer::new(None, None, message))))
}

#[track_caller]
fn timer(first: Option<Instant>, period: Option<Duration>) -> Receiver<Instant> {
    Receiver::new(receiving_only(Flavor::Timer(Timer::new(first, period, |due| due))))
}

#[track_caller]
fn open<T>(flavor: Flavor<T>) -> (Sender<T>, Receiver<T>) {
    let (sending, receiving) = pair(flavor);
    (Sender::new(sending), Receiver::new(receiving))
}
