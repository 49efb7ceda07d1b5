//! A pool of workers that runs batches of tasks and hands back their results in order.
//!
//! std has no pool; `thread::scope` starts a thread a task. A [`WorkerPool`] keeps its threads,
//! bounds how many tasks run at once, and carries results and panics back to the caller.
//!
//! - [`scheduler`]: who holds a seat, who gets the next, which worker to call for it.
//! - [`shared`]: the lock around the scheduler, and the workers.
//! - [`parkers`]: what workers and waiting callers sleep on.
//! - [`lead`]: a batch from its caller's side.
//! - [`batch`]: one call's tasks, claimed from one index.
//! - [`chunks`]: how many items of a `map` a claim takes.
//! - [`slots`]: where items and results are.
//! - [`held`]: which seats the calling thread holds, for nested calls.

mod batch;
mod builder;
mod chunks;
mod held;
mod lead;
mod parkers;
mod scheduler;
mod shared;
mod slots;

pub use builder::WorkerPoolBuilder;

use crate::sys::{Arc, PerProcess};
use builder::StartUp;
use shared::Shared;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A pool of `n` workers: runs batches of tasks, never more than `n` tasks at once.
///
/// Tasks may borrow, results come back in the tasks' order, and nothing outlives the call. The
/// calling thread is one of the `n`: it takes a seat and works beside up to `n - 1` threads of
/// the pool, which are started when there is work for them and sleep when there is none.
///
/// # When to use it
/// - Tasks that wait for one another, or that each do much: [`run`](WorkerPool::run).
/// - Many items and one function, however small: [`map`](WorkerPool::map). It claims them in
///   chunks, and leaves the helpers asleep when the batch is too short to be worth a wake-up. For
///   a slice of very many items, [`map_slice`](WorkerPool::map_slice).
/// - Threads with lives of their own: [`WaitGroup::go`](crate::WaitGroup::go), or std's threads.
///
/// Unlike rayon's pool, a caller that waits never runs somebody else's tasks: it works on its own
/// batch and then sleeps until the last helper has left it.
///
/// # Seats
/// At no moment do more than `n` tasks of the pool run. A call that finds every seat taken waits
/// for one; helpers give theirs up between two claims, so a long batch doesn't keep a short one
/// out. Seats go to whoever has wanted one longest, a waiting call or a batch that wants a helper,
/// so neither can be passed over for ever. A task that calls `run` or `map` of its own pool goes on in the
/// seat that it has, so nesting makes progress. The seat belongs to the task's thread: a thread
/// that a task starts and waits for has none, and may wait for ever for one. So may tasks of two
/// pools that call each other's pool in a circle.
///
/// # Panics
/// A task that panics stops those of its batch that have not started: they are dropped. When
/// every started one has ended, the call resumes the first panic; results that were there are
/// dropped. The pool is unharmed.
///
/// # Memory ordering
/// What the caller did before the call happens before each task; each task happens before the
/// return of the call.
///
/// # Examples
/// ```
/// use phalanx::WorkerPool;
///
/// let pool = WorkerPool::new(3);
/// let doubled = pool.run((1..=5).map(|task| move || task * 2));
/// assert_eq!(doubled, [2, 4, 6, 8, 10]);
///
/// let words = ["fan", "out"];
/// assert_eq!(pool.map(&words, |word| word.len()), [3, 3]);
/// ```
///
/// What tasks share has to be safe to share:
///
/// ```compile_fail
/// # use {phalanx::WorkerPool, std::cell::Cell};
/// let views = Cell::new(0);
/// WorkerPool::new(3).map(0..9, |_| views.set(views.get() + 1)); // `Cell` is not `Sync`
/// ```
/// ```
/// # use phalanx::WorkerPool;
/// use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// let views = AtomicUsize::new(0);
/// WorkerPool::new(3).map(0..9, |_| views.fetch_add(1, Relaxed));
/// assert_eq!(views.into_inner(), 9);
/// ```
///
/// What crosses threads has to be safe to send, results included:
///
/// ```compile_fail
/// # use {phalanx::WorkerPool, std::rc::Rc};
/// WorkerPool::new(3).run([|| Rc::new(1)]); // `Rc` is not `Send`
/// ```
/// ```compile_fail
/// # use {phalanx::WorkerPool, std::rc::Rc};
/// let one = Rc::new(1);
/// WorkerPool::new(3).run([move || *one]);
/// ```
/// ```
/// # use {phalanx::WorkerPool, std::sync::Arc};
/// let one = Arc::new(1);
/// assert_eq!(*WorkerPool::new(3).run([move || one])[0], 1);
/// ```
pub struct WorkerPool {
    shared: PerProcess<Shared>,
}

// A panic of a task leaves no call of the pool in a broken state.
impl UnwindSafe for WorkerPool {}
impl RefUnwindSafe for WorkerPool {}

impl WorkerPool {
    /// A pool of `workers`, the caller of each batch being one of them.
    ///
    /// No thread is started before a batch needs it. If the system gives fewer than that takes,
    /// the work goes on with those there are.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[track_caller]
    #[must_use]
    pub fn new(workers: usize) -> Self {
        WorkerPool::from_parts(workers, StartUp::default())
    }

    /// Settings for a pool: its workers' number, names and stacks.
    pub fn builder() -> WorkerPoolBuilder {
        WorkerPoolBuilder::new()
    }

    #[track_caller]
    fn from_parts(workers: usize, start: StartUp) -> Self {
        assert!(workers > 0, "WorkerPool: a pool needs at least 1 worker");
        WorkerPool { shared: PerProcess::new(Shared::new(workers, start)) }
    }

    /// What this process's threads share.
    fn shared(&self) -> &Arc<Shared> {
        self.shared.get(Shared::renewed)
    }

    /// How many tasks may run at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.peek().seats()
    }

    /// Runs every task and returns their results, in the tasks' order.
    ///
    /// Any `n` of the tasks can be under way at once, as soon as the pool's seats are free and if
    /// the system gives threads: so tasks of one batch may wait for one another, as long as no
    /// more than `n` have to. Tasks start in their order, so those that wait only for earlier ones
    /// get there however many they are.
    ///
    /// For that, helpers are called before the first task starts, and tasks are claimed one by one
    /// from one index, at some 25 ns each when three claim; for many small independent tasks
    /// [`map`](WorkerPool::map) is the faster call.
    ///
    /// The iterator is run to its end first, on the calling thread.
    ///
    /// # Blocking
    /// Until every task has ended; first for a seat, if all are taken.
    ///
    /// # Panics
    /// Resumes the first panic of a task, after the others have ended; see the
    /// [type](WorkerPool#panics). If the iterator panics, no task has started. More than
    /// `usize::MAX / 2` tasks, which only tasks without a size can be, are refused.
    ///
    /// # Examples
    /// ```
    /// use phalanx::WorkerPool;
    /// use std::sync::Barrier;
    ///
    /// let both = Barrier::new(2);
    /// let meet = || both.wait().is_leader();
    /// let leaders = WorkerPool::new(2).run([meet, meet]);
    /// assert_eq!(leaders.iter().filter(|&&leader| leader).count(), 1);
    /// ```
    #[track_caller]
    pub fn run<I, F, T>(&self, tasks: I) -> Vec<T>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let tasks: Vec<F> = tasks.into_iter().collect();
        self.lead_run(tasks, |_, task: F| task())
    }

    /// Applies `f` to every item and returns the results, in the items' order.
    ///
    /// The batch starts on the calling thread. Helpers are called once it has run for some
    /// microseconds and what is left is worth a wake-up; then items are claimed in chunks that
    /// shrink towards the end. So calls of `f` must not wait for one another: tasks that do
    /// belong in [`run`](WorkerPool::run).
    ///
    /// The iterator is run to its end first, on the calling thread.
    ///
    /// # Blocking
    /// Until every call of `f` has ended; first for a seat, if all are taken.
    ///
    /// # Panics
    /// As [`run`](WorkerPool::run).
    ///
    /// # Examples
    /// ```
    /// use phalanx::WorkerPool;
    ///
    /// let squares = WorkerPool::new(3).map(0..1_000_u64, |n| n * n);
    /// assert_eq!(squares[999], 998_001);
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: Send,
        F: Fn(I::Item) -> T + Sync,
        T: Send,
    {
        let items: Vec<I::Item> = items.into_iter().collect();
        self.lead_map(items, move |_, item| f(item))
    }

    /// Applies `f` to every item of a slice and returns the results, in the items' order.
    ///
    /// As [`map`](WorkerPool::map) of the slice, without its list of references: the faster call
    /// where there are very many items and little to do for each.
    ///
    /// # Blocking
    /// As [`map`](WorkerPool::map).
    ///
    /// # Panics
    /// As [`run`](WorkerPool::run).
    ///
    /// # Examples
    /// ```
    /// use phalanx::WorkerPool;
    ///
    /// let samples = vec![0.5_f32; 1_000_000];
    /// let doubled = WorkerPool::new(3).map_slice(&samples, |sample| sample * 2.0);
    /// assert_eq!(doubled[999_999], 1.0);
    /// ```
    #[track_caller]
    pub fn map_slice<V, F, T>(&self, items: &[V], f: F) -> Vec<T>
    where
        V: Sync,
        F: Fn(&V) -> T + Sync,
        T: Send,
    {
        // The batch's own items have no size: an index is all that a claim has to say.
        self.lead_map(vec![(); items.len()], move |i, ()| {
            // SAFETY: the batch has as many items as the slice, and claims lie within them.
            f(unsafe { items.get_unchecked(i) })
        })
    }
}

impl Drop for WorkerPool {
    /// Ends the pool's threads and waits for them.
    fn drop(&mut self) {
        // In a forked child those threads don't exist.
        if let Some(shared) = self.shared.own() {
            shared.shut_down();
        }
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool").field("workers", &self.workers()).finish_non_exhaustive()
    }
}
