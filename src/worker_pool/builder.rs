//! Settings of a pool.

use super::pool::WorkerPool;
use super::shared::WorkerOptions;
use crate::sys::cores;
use std::io;

/// Settings of a [`WorkerPool`], made by [`WorkerPool::builder`].
///
/// # Examples
/// ```
/// use phalanx::WorkerPool;
///
/// # fn main() -> std::io::Result<()> {
/// let pool = WorkerPool::builder().workers(2).name("resize").stack_size(256 * 1024).build()?;
/// assert_eq!(pool.map(1..=3, |n| n + 1), [2, 3, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder builds nothing until `build`"]
pub struct WorkerPoolBuilder {
    workers: Option<usize>,
    options: WorkerOptions,
}

impl WorkerPool {
    /// Returns the settings of a new pool: how many workers it has, their names and stacks.
    pub fn builder() -> WorkerPoolBuilder {
        WorkerPoolBuilder { workers: None, options: WorkerOptions::default() }
    }
}

impl WorkerPoolBuilder {
    /// Sets how many tasks may run at once, the caller's included.
    ///
    /// The default is the number of cores that the process may use, as found on first use.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[track_caller]
    pub fn workers(mut self, workers: usize) -> Self {
        assert!(workers > 0, "WorkerPool: a pool needs at least 1 worker");
        self.workers = Some(workers);
        self
    }

    /// Sets the name of each of the pool's threads, which debuggers and panic messages show.
    ///
    /// The default is `phalanx-pool-1`, `phalanx-pool-2` and so on, in the order in which the pool starts them.
    ///
    /// # Panics
    /// If `name` holds a NUL character, which no thread's name can.
    #[track_caller]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(!name.contains('\0'), "WorkerPool: a thread's name can't hold a NUL character");
        self.options.name = Some(name);
        self
    }

    /// Sets the stack size of each of the pool's threads, in bytes. The system may round it up.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.options.stack_size = Some(bytes);
        self
    }

    /// Builds the pool and starts its threads.
    ///
    /// These are one fewer than its workers: the caller of a batch is a worker too. (One more is started later if tasks
    /// call the pool after their own caller has no task left to start.)
    ///
    /// # Errors
    /// If the system can't start them all. The error says how many it started, and why no more. Those have ended by
    /// then.
    pub fn build(self) -> io::Result<WorkerPool> {
        let pool = self.build_lazy();
        pool.start_all()?;
        Ok(pool)
    }

    /// Builds the pool and starts no thread before a batch needs it, as [`WorkerPool::new`] does.
    pub fn build_lazy(self) -> WorkerPool {
        let workers = self.workers.unwrap_or_else(cores);
        WorkerPool::from_parts(workers, self.options)
    }
}
