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

mod arms;
mod blocking;
mod blocks;
mod buffered;
mod case;
mod choose;
mod construct;
mod core;
mod end;
mod error;
mod fan;
mod flavor;
mod iter;
mod many;
mod receiver;
mod rendezvous;
mod select;
mod sender;
mod shared;
mod storage;
mod timer;

pub use self::construct::{after, at, bounded, never, tick, unbounded};
pub use self::error::{
    RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySelectError, TrySendError,
};
pub use self::fan::{fan_in, fan_out};
pub use self::iter::{IntoIter, Iter, TryIter};
pub use self::many::SendManyError;
pub use self::receiver::Receiver;
pub use self::select::{Select, Selected};
pub use self::sender::Sender;

/// For the macro [`select!`](crate::select).
#[doc(hidden)]
pub mod __select {
    pub use super::arms::{Arm, Arms, Chosen, Limit, NoCase, Recv, Send, Stop, run};
}
pub use self::arms::{AsReceiver, AsSender};
