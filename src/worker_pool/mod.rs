//! A pool of workers that runs batches of tasks and returns their results in order.
//!
//! std has no pool; `thread::scope` starts a thread per task. A [`WorkerPool`] keeps its threads, bounds how many tasks
//! run at once, and carries results and panics back to the caller.
//!
//! Each file uses only files above it in this table.
//!
//! | file | holds |
//! | --- | --- |
//! | [`chunks`] | how many items of a `map` one claim takes |
//! | [`buffers`] | a batch's memory: items in, results out |
//! | [`nesting`] | which pools the calling thread runs a task of |
//! | [`job`] | what the scheduler and the workers see of a call |
//! | [`batch`] | one call's tasks, claimed from one index |
//! | [`parkers`] | what workers and waiting callers sleep on |
//! | [`scheduler`] | which thread holds a seat, which gets the next, which worker is signalled for it |
//! | [`shared`] | the lock around the scheduler, and the life of a worker |
//! | [`run_batch`] | a call from its caller's side |
//! | [`pool`] | `WorkerPool` |
//! | [`builder`] | `WorkerPoolBuilder` |

mod batch;
mod buffers;
mod builder;
mod chunks;
mod job;
mod nesting;
mod parkers;
mod pool;
mod run_batch;
mod scheduler;
mod shared;

pub use builder::WorkerPoolBuilder;
pub use pool::WorkerPool;
