//! Permits that threads and tasks share: Go's `semaphore.Weighted`, with guards.
//!
//! std has none. tokio's is for tasks alone, and its waits can't be seen by a model.
//!
//! | file, each using only those above it | holds |
//! | --- | --- |
//! | [`error`] | what an acquisition that fails returns |
//! | [`core`] | the word, the queue, and who is granted what |
//! | [`guard`] | permits that end with a value's life |
//! | [`future`] | awaiting permits |
//! | [`api`] | the calls |
//!
//! [`core`] has the states and the invariants.

mod api;
mod core;
mod error;
mod future;
mod guard;

pub use core::Semaphore;
pub use error::{AcquireError, AcquireTimeoutError, TryAcquireError};
pub use future::{AcquireFuture, OwnedAcquireFuture};
pub use guard::{OwnedSemaphoreGuard, SemaphoreGuard};
