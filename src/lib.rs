//! Go's concurrency toolbox for Rust threads, as typed APIs.
//!
//! ```
//! use phalanx::{RwMutex, SafeCounter, Store, WaitGroup, WorkerPool, channel};
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
//! let (sender, receiver) = channel::bounded(0);
//! group.go(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
//! assert_eq!(receiver.iter().sum::<i32>(), 6);
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
//! | wait until all tasks are done | [`WaitGroup`] | a counter, a mutex and a condition variable |
//! | run a batch of tasks, at most `n` at once, results in order | [`WorkerPool::run`] | threads and a channel |
//! | apply one function to many items, in parallel if that pays | [`WorkerPool::map`] | chunks by hand |
//! | pass values from thread to thread, or to a task | [`channel`] | a queue, a mutex and a condition variable |
//! | wait for the first of several channels | [`select!`] | a thread for each |
//! | share a value that is written often | [`Mutex`] | std's, whose waiters may starve |
//! | share a value that is mostly read | [`RwMutex`] | a lock whose readers contend for one cache line |
//! | count from many threads, read now and then | [`SafeCounter`] | an atomic that all threads contend for |
//! | share a map, compute each value once | [`Store`] | a lock around a `HashMap` |
//! | wait until a shared value changes | [`Condvar`] | polling |
//! | tell work to stop, with a reason or at a deadline | [`CancelToken`] | a flag that everybody polls |
//! | let in so many at once | [`Semaphore`] | a counter, a mutex and a condition variable |
//! | run fallible tasks that borrow, and stop at the first error | [`task_group`] | scoped threads and a channel of results |
//! | wait for one another, round after round | [`Barrier`] | std's, which hangs when a party is lost |
//! | make a value once, when it is first needed | [`OnceLock`], [`LazyLock`] | std's, which hang if they are used inside of their own initialisation |
//! | find races, deadlocks and lost wake-ups in your own code | [`model`] | luck |
//!
//! **Checked, in this crate and in yours.** Every type is model-checked with [loom]. Code that you write
//! with them can be checked in the same way, without changing a line of it: write a test with [`model`],
//! take threads, atomics and shared cells from [`thread`], [`atomic`] and [`cell`], and build with
//!
//! ```text
//! RUSTFLAGS="--cfg phalanx_loom" cargo test --release --features phalanx/loom
//! ```
//!
//! In a normal build those modules *are* std's, [`model`] calls its closure once, and loom is neither
//! built nor locked. [`Model`] says what a passed model proves, and what it can't.
//!
//! **Fast where it counts.** A [`WaitGroup`] costs one atomic operation per call. A batch of a
//! [`WorkerPool`] allocates nothing per task, and a short `map` wakes no thread. Readers of an [`RwMutex`]
//! or a [`Store`] write no cache line that another reader writes, and a thread that counts in a
//! [`SafeCounter`] none that another thread counts in. `cargo bench` measures that on your machine, beside
//! std, parking_lot and crossbeam-utils.
//!
//! **Nothing lost.** A panic, a timeout and a drop each have one defined outcome, which the docs of each
//! type state. Every waiter is woken, and every value is dropped exactly once.
//!
//! # Coming from Go
//! In Go, a hundred goroutines that share a `*Post` and do `post.views++` are a data race: it compiles,
//! and loses a view now and then. The same program in Rust doesn't compile, since threads may only read
//! what they share:
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
//! To write, a thread takes the lock that holds the post:
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
//! Where the post is mostly read, [`RwMutex`] lets readers in side by side. The example `post_views` has
//! both, and `cargo bench --bench mutex_vs_rw_mutex` prints which of the two is faster for which load. The
//! compiler can't see a race in code with `unsafe`; [`model`] finds it.
//!
//! | Go | here |
//! | --- | --- |
//! | `sync.WaitGroup`, `wg.Go` | [`WaitGroup`], [`go`](WaitGroup::go) |
//! | `make(chan T)`, `make(chan T, n)` | [`channel::bounded(0)`](channel::bounded), [`channel::bounded(n)`](channel::bounded) |
//! | `close(c)`, `for v := range c` | [`close`](channel::Receiver::close) or dropping an end, `for value in receiver` |
//! | `select`, a nil channel in it | [`select!`], an `Option` that is `None` |
//! | `time.After`, `time.Tick` | [`channel::after`], [`channel::tick`] |
//! | `sync.Mutex`, `sync.RWMutex` | [`Mutex`], [`RwMutex`]: they hold the value that they protect |
//! | `sync.Cond` | [`Condvar`] |
//! | `sync.Map` | [`Store`] |
//! | `singleflight.Group` | [`Store::get_or_compute`] |
//! | `atomic.Int64` as a counter | [`SafeCounter`] |
//! | `sync.Once`, `sync.OnceValue` | [`OnceLock`], [`LazyLock`] |
//! | `context.Context`, `context.AfterFunc` | [`CancelToken`], [`on_cancel`](CancelToken::on_cancel) |
//! | `semaphore.Weighted` | [`Semaphore`] |
//! | `errgroup.Group`, `SetLimit`, `WithContext` | [`task_group`], [`limit`](TaskGroup::limit), [`task_group_under`] |
//! | a worker pool | [`WorkerPool`] |
//! | `go test -race` | [`model`] |
//!
//! # Async code
//! These types block threads: a lock, [`WaitGroup::wait`], [`Condvar::wait`], a channel's `send` and `recv`, and a
//! [`WorkerPool`]'s `run` and `map` return only when they are done.
//!
//! - A [`WaitGroup`] and a [`CancelToken`] can be awaited, on any executor: `(&group).await`. So can a [`Semaphore`]'s
//!   permits, a [`Barrier`] and a [`OnceLock`]'s value.
//! - A channel too: [`recv_async`](channel::Receiver::recv_async) and [`send_async`](channel::Sender::send_async). One
//!   end may be in a thread, the other in a task.
//! - A lock may be taken in async code for a short while. Drop its guard before the next `.await`: the
//!   guard is `Send`, so holding it compiles, and can hang. [`Mutex`](Mutex#async-code) shows how.
//! - Call what blocks for longer on the executor's threads for blocking work, such as tokio's
//!   `spawn_blocking`.
//!
//! # Features
//! | feature | default | |
//! | --- | --- | --- |
//! | `arc_lock` | no | guards that keep an `Arc` of their lock alive |
//! | `stream` | no | a channel's receiver as a `futures_core::Stream`: `Receiver::into_stream` |
//! | `serde` | no | locks serialize as the value that they protect, stores as maps |
//! | `membarrier` | yes | cheaper reads of an [`RwMutex`] that is seldom written; Linux only, needs `libc` |
//! | `loom` | no | builds models, together with the cfg `phalanx_loom`; alone it changes nothing |
//!
//! # Platforms
//! All platforms with threads and 64-bit atomics that std supports. On `wasm32-unknown-unknown` the crate
//! compiles, and works where nothing has to wait or to read a clock; a wait panics there, and so does
//! [`WorkerPool::map`], which reads the clock.
//!
//! # Forks
//! `fork(2)` copies the memory and one thread, the caller. Values that no other thread was using at the
//! fork work in the child:
//!
//! | type | in the child |
//! | --- | --- |
//! | [`WaitGroup`] | a copy of the count; tasks of other threads are never done |
//! | [`Mutex`], [`RwMutex`] | a lock that another thread held stays held, also by a reader; threads that waited are gone |
//! | [`Condvar`] | has no waiters; its mutex is as above |
//! | [`SafeCounter`] | a copy of the total, which may lack an addition that was under way |
//! | [`Store`] | its locks are as above; a value that another thread was computing never arrives, and waiting for it hangs |
//! | [`WorkerPool`] | starts workers of its own, see [there](WorkerPool#forks) |
//! | [channels](channel), [`Semaphore`], [`Barrier`] | a copy of the state; threads that waited are gone, and a wake-up meant for one of them is lost. What another thread was just using may be locked for ever |
//! | [`CancelToken`] | a copy of the tree; deadlines set in the child start a timer of its own |
//! | [`OnceLock`], [`LazyLock`] | a value that another thread was making never arrives, and waiting for it hangs |
//!
//! So fork while no other thread is inside a call of this crate.
//!
//! [loom]: https://docs.rs/loom

mod barrier;
mod cancel;
pub mod channel;
mod condvar;
mod error;
mod macros;
mod model;
mod mutex;
mod once;
mod rw_mutex;
mod safe_counter;
mod semaphore;
pub mod store;
mod support;
mod sys;
mod task_group;
#[cfg(test)]
mod testing;
mod wait_group;
mod worker_pool;

#[doc(alias = "CyclicBarrier")]
pub use barrier::{
    Barrier, BarrierFuture, BarrierParty, BarrierTimeoutError, BarrierWaitResult, BrokenBarrier,
};
#[doc(inline)]
pub use cancel::{CallbackState, CancelFuture, CancelReason, CancelRegistration, CancelToken};
#[doc(alias = "Cond")]
pub use condvar::Condvar;
pub use condvar::WaitTimeoutResult;
pub use error::WaitTimeout;
/// The generic types behind [`Mutex`] and [`RwMutex`], and their traits.
pub use lock_api;
pub use model::{Model, model};
#[doc(inline)]
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard, RawMutex};
#[doc(inline)]
#[doc(alias = "Once")]
#[doc(alias = "OnceCell")]
#[doc(alias = "OnceValue")]
pub use once::{LazyLock, OnceLock, OnceWait};
#[doc(inline)]
pub use rw_mutex::{
    MappedRwMutexReadGuard, MappedRwMutexWriteGuard, RawRwMutex, RwMutex, RwMutexReadGuard,
    RwMutexUpgradableReadGuard, RwMutexWriteGuard,
};
#[doc(alias = "AtomicI64")]
#[doc(alias = "LongAdder")]
pub use safe_counter::SafeCounter;
#[doc(alias = "Weighted")]
pub use semaphore::{
    AcquireError, AcquireFuture, AcquireTimeoutError, OwnedAcquireFuture, OwnedSemaphoreGuard,
    Semaphore, SemaphoreGuard, TryAcquireError,
};
#[doc(inline)]
#[doc(alias = "ConcurrentHashMap")]
#[doc(alias = "DashMap")]
#[doc(alias = "singleflight")]
pub use store::Store;
pub use sys::{atomic, cell, hint, thread};
#[doc(inline)]
#[doc(alias = "errgroup")]
pub use task_group::{TaskGroup, TryGoError, task_group, task_group_under};
pub use wait_group::{NamedTask, WaitFuture, WaitGroup, WaitGuard};
#[doc(alias = "ThreadPool")]
#[doc(alias = "errgroup")]
pub use worker_pool::WorkerPool;
pub use worker_pool::WorkerPoolBuilder;
#[cfg(feature = "arc_lock")]
pub use {
    mutex::ArcMutexGuard,
    rw_mutex::{ArcRwMutexReadGuard, ArcRwMutexUpgradableReadGuard, ArcRwMutexWriteGuard},
};
