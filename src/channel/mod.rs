//! Channels: passing values from thread to thread.
//!
//! ```
//! use phalanx::{WaitGroup, channel};
//!
//! let (tasks, incoming) = channel::bounded(5);
//! let (results, outgoing) = channel::unbounded();
//!
//! let workers = WaitGroup::new();
//! for receiver in channel::fan_out(incoming, 3) {
//!     let results = results.clone();
//!     workers.go(move || {
//!         for task in receiver {
//!             results.send(task * 2).unwrap();
//!         }
//!     });
//! }
//! for task in 1..=5 {
//!     tasks.send(task).unwrap();
//! }
//! drop(tasks); // the workers' loops end when the channel is empty
//! workers.wait();
//! drop(results);
//!
//! let mut doubled: Vec<i32> = outgoing.iter().collect();
//! doubled.sort();
//! assert_eq!(doubled, [2, 4, 6, 8, 10]);
//! ```
//!
//! | to do this | use |
//! | --- | --- |
//! | hand a value over, and know that it was taken | [`bounded(0)`](bounded): a *rendezvous* |
//! | queue up to `n` values, and make senders wait beyond that | [`bounded(n)`](bounded) |
//! | queue without a bound, and never wait to send | [`unbounded`] |
//! | wait for several channels at once | [`select!`](crate::select), or [`Select`] for a list made at run time |
//! | receive from many channels as from one | [`fan_in`] |
//! | share one channel's messages among workers | [`fan_out`], or clones of the receiver |
//! | stop waiting after a time | [`recv_timeout`](Receiver::recv_timeout), `default(duration)` in a select, [`after`] |
//! | do something at regular times | [`tick`] |
//! | stop waiting when a token is cancelled | `cancelled(token)` in a select |
//! | receive or send in async code | [`recv_async`](Receiver::recv_async), [`send_async`](Sender::send_async) |
//!
//! Both ends can be cloned and shared. The types are the directions: a function that takes a [`Sender`] can't receive.
//! Errors have crossbeam-channel's names and shapes, and what could not be sent comes back in them.
//!
//! # Closing
//! [`close`](Receiver::close) can be called from either end, any number of times. So can dropping: the last sender's
//! drop closes, and so does the last receiver's, which also drops what is queued.
//!
//! | after the close | |
//! | --- | --- |
//! | a send, and one that was blocked | returns its value in an error |
//! | a receive | returns what is queued, then an error; a loop ends |
//! | a case of a select | is ready, with that error |
//!
//! A value whose send has returned `Ok` is received, unless the last receiver is dropped before. So a receiver that
//! closes the channel and then receives until the end has everything that was sent.
//!
//! # Order and fairness
//! The messages of one sender arrive in the order of its sends. Blocked threads are woken in the order in which they
//! came; one that comes just then may be faster. In a rendezvous the thread that has been blocked the longest is
//! served first; a task that awaits a message gets one when no thread is blocked in a receive.
//!
//! # Async code
//! A channel has no sides for threads and tasks: each end may be used by both. The futures need no particular executor,
//! and may be dropped at any time: a cancelled receive loses no message, and a cancelled send is never carried out
//! later. With the feature `stream` a receiver is a stream as well.
//!
//! A rendezvous hands no value to a task, which could be cancelled with it: the task is woken, and takes the value from
//! a sender that waits. So a send that doesn't wait, [`try_send`](Sender::try_send) or a select with a `default`, finds
//! no receiver in a task that awaits one.
//!
//! # Memory ordering
//! What a thread does before a send happens before the receive of the message returns. The `n`-th receive from a
//! channel of capacity `c` happens before the `n + c`-th send returns; for a rendezvous, the beginning of a receive
//! happens before the send returns. What a thread does before it closes a channel happens before a receive that returns
//! the end.
//!
//! # Panics and drops
//! No call of a channel panics because of what other threads do. A value is dropped without a lock, so its drop may use
//! the channel. When the last receiver drops what is queued and a value's drop panics, the others are dropped all the
//! same, and the first panic goes on.
//!
//! # Models
//! Under [`model`](crate::model) channels run the algorithm that they run otherwise. A timer is due when a wait for it
//! has ended by its deadline, which the model lets happen or not.
//!
//! # Compared with others
//! | | phalanx | crossbeam-channel | std's `mpsc` | Go |
//! | --- | --- | --- | --- | --- |
//! | close from the receiving end, and drain | yes | no | no | no: the sender closes |
//! | a send into a closed channel | returns the value | returns the value | returns the value | panics |
//! | select | yes | yes | no | yes |
//! | the value of a send that wasn't chosen | stays in its slot, with `send_from` | is not yet evaluated | | is lost |
//! | can be awaited | yes | no | no | |
//! | can be model-checked with the user's code | yes | no | no | no |
//!
//! How it works: a send or a receive in a buffered channel claims a slot by one atomic step at its end, and publishes it
//! by the slot's stamp. So senders and receivers meet at an end only when the channel runs full or empty. Between the two
//! steps a few nanoseconds pass, unless the thread loses its core there: then others that come to the slot wait for it,
//! `try_send` and `try_recv` too. A rendezvous passes a value from stack to stack. `cargo bench --bench channels` measures both on your machine.

mod arms;
mod block;
mod blocking;
mod blocks;
mod buffered;
mod cancelled;
mod case;
mod choose;
mod construct;
mod core;
mod end;
mod error;
mod fan;
mod flavor;
mod future;
mod iter;
mod many;
mod receiver;
mod rendezvous;
mod ring;
mod select;
mod sender;
mod shared;
mod stalled;
mod storage;
#[cfg(feature = "stream")]
mod stream;
mod task;
mod timer;

pub use self::construct::{after, at, bounded, never, tick, unbounded};
pub use self::error::{
    RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySelectError, TrySendError,
};
pub use self::fan::{fan_in, fan_out};
pub use self::future::{RecvFuture, SendFuture};
pub use self::iter::{IntoIter, Iter, TryIter};
pub use self::many::SendManyError;
pub use self::receiver::Receiver;
pub use self::select::{Select, Selected};
pub use self::sender::Sender;
#[cfg(feature = "stream")]
pub use self::stream::RecvStream;

/// For the macro [`select!`](crate::select).
#[doc(hidden)]
pub mod __select {
    pub use super::arms::{Arm, Arms, Cancelled, Chosen, Limit, NoCase, Recv, Send, Stop, run};
}
pub use self::arms::{AsCancelToken, AsReceiver, AsSender};

#[cfg(test)]
mod models;
