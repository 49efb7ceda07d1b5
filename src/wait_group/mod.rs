//! Waiting until a group of tasks is done: Go's `sync.WaitGroup`, with guards, deadlines and panics that arrive.
//!
//! std has `Barrier`, for a number of threads that is known beforehand, and `thread::scope`, for threads that end
//! with the block. A [`WaitGroup`] counts whatever the user calls a task. It may grow while threads wait, and can be
//! used again.
//!
//! | file, each using only those above it | holds |
//! | --- | --- |
//! | [`word`] | the layout of the word that is the group's whole state |
//! | [`shared`] | the word and the kept panic, and how they are freed |
//! | [`guard`] | a count of one that ends with a value's life |
//! | [`group`] | the wait group |
//! | [`go`] | threads that a group counts |
//! | [`future`] | awaiting a group |
//!
//! The waiting is the [latch](crate::support::latch)'s protocol, with its invariants L1 to L4. Beside those:
//!
//! - **W1.** The allocation lives while `OWNED` or a guard's count is in the word. The step that takes away the last
//!   of these frees it: the group's drop, or a guard's leave. They are steps on one word, so exactly one thread finds
//!   that its step was the last.
//! - **W2.** After its leave a guard uses nothing of the group, unless by W1 it frees it.
//! - **W3.** A panic is kept, and `PANICKED` set, while the guard of its thread still counts. So a thread that reads
//!   the drained word reads the bit.

mod future;
mod go;
mod group;
mod guard;
mod shared;
mod word;

pub use future::WaitFuture;
pub use go::NamedTask;
pub use group::WaitGroup;
pub use guard::WaitGuard;
