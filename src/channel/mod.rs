//! Channels: passing values from thread to thread.
//!
//! ```
//! use phalanx::channel;
//! use std::thread;
//!
//! let (sender, receiver) = channel::bounded(2);
//! thread::spawn(move || {
//!     for n in 1..=5 {
//!         sender.send(n).unwrap();
//!     }
//! });
//! assert_eq!(receiver.iter().sum::<i32>(), 15);
//! ```

mod blocking;
mod blocks;
mod buffered;
mod construct;
mod core;
mod end;
mod error;
mod flavor;
mod iter;
mod receiver;
mod rendezvous;
mod sender;
mod shared;
mod storage;
mod timer;

pub use self::construct::{bounded, unbounded};
pub use self::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
pub use self::iter::{IntoIter, Iter, TryIter};
pub use self::receiver::Receiver;
pub use self::sender::Sender;
