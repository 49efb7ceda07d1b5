//! A point that a number of threads or tasks pass together: Java's `CyclicBarrier`.
//!
//! std's `Barrier` has no time limit, and blocks for ever if a party panics. This one *breaks* when a party leaves
//! before the others have come, and the others get an error.
//!
//! | file, each using only those above it | holds |
//! | --- | --- |
//! | [`error`], [`result`] | what a wait returns |
//! | [`core`] | the barrier's state, and who is told what |
//! | [`future`] | awaiting the others |
//! | [`api`] | the calls |
//!
//! [`core`] has the states and the invariants.

mod api;
mod core;
mod error;
mod future;
mod result;

pub use api::BarrierParty;
pub use core::Barrier;
pub use error::{BarrierTimeoutError, BrokenBarrier};
pub use future::BarrierFuture;
pub use result::BarrierWaitResult;
