//! Go's concurrency toolbox for Rust threads, as typed APIs.
//!
//! ```
//! use phalanx::{RwMutex, SafeCounter, Store, WaitGroup, WorkerPool};
//!
//! let group = WaitGroup::new();
//! for name in ["Task 1", "Task 2"] {
//!     group.go(move || println!("{name} completed"));
//! }
//! group.wait();
//! println!("All tasks completed");
//!
//! let doubled = WorkerPool::new(3).run((1..=5).map(|task| move || task * 2));
//! assert_eq!(doubled, [2, 4, 6, 8, 10]);
//!
//! let post = RwMutex::new(("A title", 0));
//! post.write().1 += 1;
//! assert_eq!(post.read().1, 1);
//!
//! let views: Store<&str, SafeCounter> = Store::new();
//! views.entry("index", |entry| entry.or_default().increment());
//! assert_eq!(views.with("index", SafeCounter::get), Some(1));
//! ```
//!
//! | to do this | use | instead of |
//! | --- | --- | --- |
//! | wait until everything that was started is done | [`WaitGroup`] | a counter, a mutex and a condvar |
//! | run a batch of tasks, so many at once, results in order | [`WorkerPool::run`] | a channel and a crew by hand |
//! | apply one function to many items, in parallel if it pays | [`WorkerPool::map`] | chunks by hand |
//! | share a value that is written often, or for moments | [`Mutex`] | std's, whose waiters may starve |
//! | share a value that is read much and written seldom | [`RwMutex`] | a lock whose readers wait for one another's cache line |
//! | count from many threads, read now and then | [`SafeCounter`] | an atomic whose line they all want |
//! | share a map, change it, compute its values once | [`Store`] | a lock around a `HashMap` |
//! | wait until a shared value is as you want it | [`Condvar`] | polling |
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
//! [`WorkerPool`] costs no allocation and no queue node per task, and a short `map` wakes nobody;
//! readers of an [`RwMutex`] or a [`Store`] touch no line that another reader writes, and a thread that
//! counts in a [`SafeCounter`] none that another counts in. `cargo bench` measures it on your machine,
//! beside std, parking_lot and crossbeam-utils.
//!
//! **Nothing lost.** A panic, a timeout, a drop in the middle: each has one defined outcome, told
//! under "Panics" of each type. A waiter is always woken, a value is dropped exactly once.
//!
//! # Coming from Go
//! In Go, a hundred goroutines that share a `*Post` and do `post.views++` are a data race: it
//! compiles, and now and then a view is lost. The same program here is refused. What threads share
//! they can only read:
//!
//! ```compile_fail,E0594
//! use phalanx::WaitGroup;
//! use std::sync::Arc;
//!
//! struct Post {
//!     views: u32,
//! }
//!
//! let post = Arc::new(Post { views: 0 });
//! let group = WaitGroup::new();
//! for _ in 0..100 {
//!     let post = post.clone();
//!     group.go(move || post.views += 1); // cannot assign to data in an `Arc`
//! }
//! group.wait();
//! assert_eq!(post.views, 100);
//! ```
//!
//! To write, a thread needs the lock that holds the post, one thread at a time:
//!
//! ```
//! use phalanx::{Mutex, WaitGroup};
//! use std::sync::Arc;
//!
//! struct Post {
//!     views: u32,
//! }
//!
//! let post = Arc::new(Mutex::new(Post { views: 0 }));
//! let group = WaitGroup::new();
//! for _ in 0..100 {
//!     let post = post.clone();
//!     group.go(move || post.lock().views += 1);
//! }
//! group.wait();
//! assert_eq!(post.lock().views, 100);
//! ```
//!
//! Where views are read often, and the lock is held for a while, [`RwMutex`] lets the readers in
//! side by side: `cargo bench --bench mutex_vs_rw_mutex` shows from where on that pays, and the
//! example `post_views` has both. A race in code with `unsafe`, which the compiler can't see, is
//! found by [`model`].
//!
//! # Async code
//! These types are for threads, and they block them: a lock, [`WaitGroup::wait`], [`Condvar::wait`], and a
//! [`WorkerPool`]'s `run` and `map` return only when they are done.
//!
//! - A [`WaitGroup`] can be awaited, on any executor: `(&group).await`.
//! - A lock may be taken in async code for a moment, as any other work. Its guard must be dropped before the
//!   next `.await`: it is `Send`, so holding it compiles, and can hang. [`Mutex`](Mutex#async-code) shows how.
//! - In a handler, leave what blocks for longer to the executor's threads for that: tokio's `spawn_blocking`,
//!   or the like.
//!
//! # Features
//! `arc_lock`: guards that keep an `Arc` of their lock. `serde`: locks that serialize as what they
//! protect, stores that serialize as maps. `loom`: for the model build, and nothing without the cfg.
//!
//! # Platforms
//! Any with 64-bit atomics and threads, as far as std supports both. On `wasm32-unknown-unknown` the crate
//! compiles, and what needs neither a time nor a wait works; a wait panics there, and so does
//! [`WorkerPool::map`], which asks for the time.
//!
//! # Forks
//! `fork(2)` leaves the child one thread, the caller's, and a copy of the memory. What no other thread was using at
//! the fork can be used there:
//!
//! | type | in the child |
//! | --- | --- |
//! | [`WaitGroup`] | has a copy of the count; tasks of other threads are never done |
//! | [`Mutex`], [`RwMutex`] | what another thread held stays held, reads included; a thread that waited is lost |
//! | [`Condvar`] | has no waiters; its mutex is as above |
//! | [`SafeCounter`] | has a copy of the total, in which an addition that was under way may be missing |
//! | [`Store`] | is as its locks; a value that another thread was computing is never there, and waiting for it hangs |
//! | [`WorkerPool`] | starts workers of its own, see [there](WorkerPool#forks) |
//!
//! So fork while no other thread is in a call of this crate.
//!
//! [loom]: https://docs.rs/loom

mod condvar;
mod error;
mod model;
mod mutex;
mod rw_mutex;
mod safe_counter;
pub mod store;
mod support;
mod sys;
#[cfg(test)]
mod testing;
mod wait_group;
mod worker_pool;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use error::WaitTimeout;
pub use lock_api;
pub use model::{Model, model};
#[doc(inline)]
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard, RawMutex};
#[doc(inline)]
pub use rw_mutex::{
    MappedRwMutexReadGuard, MappedRwMutexWriteGuard, RawRwMutex, RwMutex, RwMutexReadGuard,
    RwMutexUpgradableReadGuard, RwMutexWriteGuard,
};
pub use safe_counter::SafeCounter;
#[doc(inline)]
pub use store::Store;
pub use sys::{atomic, cell, hint, thread};
pub use wait_group::{WaitFuture, WaitGroup, WaitGuard};
pub use worker_pool::{WorkerPool, WorkerPoolBuilder};
#[cfg(feature = "arc_lock")]
pub use {
    mutex::ArcMutexGuard,
    rw_mutex::{ArcRwMutexReadGuard, ArcRwMutexUpgradableReadGuard, ArcRwMutexWriteGuard},
};
