//! Go's concurrency toolbox for Rust threads, as typed APIs.
//!
//! | to do this | use | instead of |
//! | --- | --- | --- |
//! | wait until everything that was started is done | [`WaitGroup`] | a counter, a mutex and a condvar |
//! | run a batch of tasks, so many at once, results in order | [`WorkerPool::run`] | a channel and a crew by hand |
//! | apply one function to many items, in parallel if it pays | [`WorkerPool::map`] | chunks by hand |
//! | check that your own threads don't race, hang or lose a wake-up | [`model`] | luck |
//!
//! Three promises set the crate apart.
//!
//! **Checkable, ours and yours.** Every primitive is model-checked with [loom], and your own code,
//! written on phalanx, can be run under loom without changing a line of it: write a test with
//! [`model`], take threads, atomics and shared cells from [`thread`], [`atomic`] and [`cell`], and
//! build with the gate:
//!
//! ```text
//! RUSTFLAGS="--cfg phalanx_loom" cargo test --release --features phalanx/loom
//! ```
//!
//! Without the gate those modules *are* std's, [`model`] runs its closure once, and no loom is
//! built or locked. [`Model`] tells what a passed model proves, and what it can't.
//!
//! **Fast where it is used.** One read-modify-write per operation of a [`WaitGroup`]; a batch of a
//! [`WorkerPool`] costs no allocation and no queue node per task, and a short `map` wakes nobody.
//! `cargo bench` measures it on your machine, beside std and crossbeam-utils.
//!
//! **Nothing lost.** A panic, a timeout, a drop in the middle: each has one defined outcome, told
//! under "Panics" of each type. A waiter is always woken, a value is dropped exactly once.
//!
//! # Platforms
//! Any that std supports, with 64-bit atomics.
//!
//! [loom]: https://docs.rs/loom

mod condvar;
mod error;
mod latch;
mod mutex;
mod rw_mutex;
mod sys;
mod wait_group;
mod worker_pool;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use error::WaitTimeout;
pub use lock_api;
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard, RawMutex};
pub use rw_mutex::{
    MappedRwMutexReadGuard, MappedRwMutexWriteGuard, RawRwMutex, RwMutex, RwMutexReadGuard,
    RwMutexUpgradableReadGuard, RwMutexWriteGuard,
};
pub use sys::{Model, atomic, cell, model, thread};
pub use wait_group::{WaitFuture, WaitGroup, WaitGuard};
pub use worker_pool::{WorkerPool, WorkerPoolBuilder};
#[cfg(feature = "arc_lock")]
pub use {
    mutex::ArcMutexGuard,
    rw_mutex::{ArcRwMutexReadGuard, ArcRwMutexUpgradableReadGuard, ArcRwMutexWriteGuard},
};
