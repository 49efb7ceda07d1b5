//! The pool that users see.

use super::run_batch::{run_in_chunks, run_one_by_one};
use super::shared::{Shared, WorkerOptions};
use crate::sys::{Arc, PerProcess};
use std::fmt;
use std::hint::black_box;
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A pool of `n` workers that runs batches of tasks, never more than `n` tasks at once.
///
/// Tasks may borrow, results come back in the tasks' order, and nothing outlives the call. The calling thread is one of
/// the `n`. Up to `n - 1` threads of the pool help it: these *helpers* are started when there is work for them, and
/// sleep when there is none.
///
/// The pool has `n` *seats*: a thread holds one while it runs tasks. A [`run`](WorkerPool::run) of `len` tasks takes
/// `min(n, len)` at once, a [`map`](WorkerPool::map) takes one and uses others while they are free.
///
/// # When to use it
/// - Tasks that wait for one another, or that each take long: [`run`](WorkerPool::run).
/// - One function for many items, however little it does: [`map`](WorkerPool::map). For a slice of very many items,
///   [`map_slice`](WorkerPool::map_slice).
/// - Threads that outlive the call: [`WaitGroup::go`](crate::WaitGroup::go), or std's threads.
///
/// Unlike rayon's pool, a caller that waits never runs another call's tasks: it works on its own batch and then sleeps
/// until the last helper has left it.
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
/// # Tasks that wait for each other
/// Only tasks of one `run` may wait for one another, and no more than `n` at a time. Tasks of different calls that do
/// may hang, and so may calls of `map`'s function. A task must not wait for a thread that it has started and that calls
/// the pool: that thread may get no seat. Nor must tasks of two pools call each other's pool in a circle.
///
/// # Seats
/// A thread runs a pool's tasks only while it holds one of the `n` seats. So no more than `n` tasks run at any moment.
/// (A task that has called its own pool is not counted in addition to that call's tasks.)
///
/// - A [`run`](WorkerPool::run) of `len` tasks waits, without a seat, until `min(n, len)` are free at once. It takes
///   them in one step and keeps them until its last task has started. So however busy the pool is, that many of its
///   tasks can run together.
/// - The price: a short call that comes later waits for nearly the whole of a long `run`. Beside a `run` of 1,000 tasks
///   of 100 µs on a pool of 2 or 4, which takes 50 ms, a call of two empty tasks took 47 ms in the median. And while a
///   `run` waits for its seats, free seats stay empty. If others must not wait so long, call `map`, or, for
///   tasks that wait for one another, give the long `run` a pool of its own.
/// - A [`map`](WorkerPool::map) takes one seat for its calling thread, and helpers take free ones. It yields
///   its seats to a waiting call that can begin with them: helper threads between two claims of items, the calling
///   thread once it has run for 1 ms; it then queues again.
/// - Calls that wait begin in the order of their arrival; none passes another.
/// - A nested call, made by a task on its own pool, doesn't wait for a seat: it uses the task's. Helpers of a nested
///   `run` take the seats that are free, before calls that wait and after older nested `run`s. So its tasks can count on
///   the task's own seat and on those that no other call holds. If `n` tasks each nest a `run` of two tasks that meet,
///   no second task gets a seat, and they wait for ever. Nest such a `run` on another pool.
///
/// # Panics
/// Once a task has unwound from a panic, those of its batch that have not started are dropped. (The panic hook comes
/// before that, and takes long if it prints a backtrace.) When every started task has ended, the call resumes the first
/// panic and drops the results that there are. The pool stays usable.
///
/// # Memory ordering
/// What the caller did before the call happens before each task; each task happens before the return of the call.
///
/// # Forks
/// In a child made by `fork(2)` the pool is usable, with every seat free and threads of its own. Its drop there leaves
/// the parent's threads alone. As with all locks, fork while no other thread is in a call of this crate. (Sleeping
/// threads of a pool are not in one.) A child made by a bare `clone(2)` or `vfork(2)` is not noticed.
///
/// A task that forks should end the child, or exec, before it returns. Otherwise, if it runs on a thread of the pool,
/// the child aborts; if on the calling thread, the call panics in the child instead of starting further tasks, since
/// the helpers are lost there. Only a call without helpers, such as any on a pool of one, goes on in the child.
///
/// # What tasks may share
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
    /// Creates a pool of `workers`, the caller of each batch being one of them.
    ///
    /// No thread is started before a batch needs it. If the system starts fewer than needed, the work goes on with
    /// those there are; tasks that wait for one another may then wait for ever.
    ///
    /// # Panics
    /// If `workers` is 0.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(phalanx::WorkerPool::new(3).workers(), 3);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn new(workers: usize) -> Self {
        WorkerPool::from_parts(workers, WorkerOptions::default())
    }

    #[track_caller]
    pub(super) fn from_parts(workers: usize, options: WorkerOptions) -> Self {
        assert!(workers > 0, "WorkerPool: a pool needs at least 1 worker");
        WorkerPool { shared: PerProcess::new(Shared::new(workers, options)) }
    }

    /// Starts all threads that one batch can use.
    pub(super) fn start_all(&self) -> io::Result<()> {
        self.shared().start_all()
    }

    /// What this process's threads share.
    fn shared(&self) -> &Arc<Shared> {
        self.shared.get(Shared::renewed)
    }

    /// Returns how many tasks may run at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.peek().seats()
    }

    /// Runs every task and returns their results, in the tasks' order.
    ///
    /// Any `n` of the tasks can run at once, whatever other calls the pool has, if the system starts the threads.
    /// So tasks of one batch may wait for one another, up to `n` of them at a time. For many small independent tasks
    /// [`map`](WorkerPool::map) is faster, and does not keep other callers out.
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
    ///
    /// Tasks of one batch have one type. Different closures go in boxes:
    ///
    /// ```
    /// use phalanx::WorkerPool;
    ///
    /// let words = ["fan", "out"];
    /// let tasks: [Box<dyn FnOnce() -> usize + Send>; 2] =
    ///     [Box::new(|| words.len()), Box::new(|| words.concat().len())];
    /// assert_eq!(WorkerPool::new(2).run(tasks), [2, 6]);
    /// ```
    ///
    /// # Blocking
    /// Blocks until `min(n, len)` seats are free at once, then until every task has ended. It keeps the seats until its
    /// last task has started, and other calls wait that long: see [Seats](WorkerPool#seats) for what that costs and
    /// what to do instead.
    ///
    /// # Panics
    /// Resumes the first panic of a task, after the others have ended; see the [type](WorkerPool#panics). If the
    /// iterator panics, no task has started. Panics if there are more than `usize::MAX / 2` tasks, which is possible
    /// only for zero-sized tasks.
    ///
    /// # Order
    /// The iterator is run to its end first, on the calling thread. Helpers are signalled before the first task starts.
    /// Tasks start in their order, so if they wait only for earlier ones, all end, however many they are. A `run`
    /// that a task calls on its own pool can count on fewer seats: see [Seats](WorkerPool#seats).
    ///
    /// Tasks are claimed one by one from one index, at some 25 ns each when three threads claim.
    #[track_caller]
    pub fn run<I, F, T>(&self, tasks: I) -> Vec<T>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let tasks = gather(tasks.into_iter());
        run_one_by_one(self.shared(), tasks, |_, task: F| task())
    }

    /// Applies `f` to every item and returns the results, in the items' order.
    ///
    /// The calling thread starts alone, and wakes other threads of the pool, its *helpers*, once the work is seen to
    /// take longer than a wake-up. So it suits many items, however small. For a few long tasks use
    /// [`run`](WorkerPool::run).
    ///
    /// Calls of `f` must not wait for one another, since one thread may make them one after the other. Use `run` for
    /// those, too.
    ///
    /// # Examples
    /// ```
    /// use phalanx::WorkerPool;
    ///
    /// let squares = WorkerPool::new(3).map(0..1_000_u64, |n| n * n);
    /// assert_eq!(squares[999], 998_001);
    /// ```
    ///
    /// # Blocking
    /// Blocks until a [seat](WorkerPool#seats) is free, then until every call of `f` has ended. In between it waits for
    /// a seat again if it gave its own to a waiting call.
    ///
    /// # Panics
    /// As [`run`](WorkerPool::run).
    ///
    /// # When helpers come
    /// The iterator is run to its end first, on the calling thread. Helpers are woken once the batch has run for some
    /// microseconds and what is left, at the pace so far, takes longer than a wake-up; never before the first item is
    /// done. So three items that sleep for 100 ms take 200 ms.
    ///
    /// Threads claim items in chunks: at most half of a thread's share of what is left, and no more than take some
    /// 100 µs at the pace so far.
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: Send,
        F: Fn(I::Item) -> T + Sync,
        T: Send,
    {
        let items = gather(items.into_iter());
        run_in_chunks(self.shared(), items, move |_, item| f(item))
    }

    /// Applies `f` to every item of a slice and returns the results, in the items' order.
    ///
    /// This is [`map`](WorkerPool::map) of the slice, without a list of references to its items, and so faster for very
    /// many items with little to do for each.
    ///
    /// # Examples
    /// ```
    /// use phalanx::WorkerPool;
    ///
    /// let samples = vec![0.5_f32; 1_000_000];
    /// let doubled = WorkerPool::new(3).map_slice(&samples, |sample| sample * 2.0);
    /// assert_eq!(doubled[999_999], 1.0);
    /// ```
    ///
    /// # Blocking
    /// As [`map`](WorkerPool::map).
    ///
    /// # Panics
    /// As [`run`](WorkerPool::run).
    #[track_caller]
    pub fn map_slice<V, F, T>(&self, items: &[V], f: F) -> Vec<T>
    where
        V: Sync,
        F: Fn(&V) -> T + Sync,
        T: Send,
    {
        // The batch's own items have no size: an index is all that a claim has to say.
        run_in_chunks(self.shared(), vec![(); items.len()], move |i, ()| {
            // SAFETY: the batch has as many items as the slice, and claims lie within them.
            f(unsafe { items.get_unchecked(i) })
        })
    }
}

impl Drop for WorkerPool {
    /// Ends the pool's threads and waits for them, except for the calling thread if it is one of them.
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

/// Collects the items, even if the iterator's size hint says that there are far more than there are.
fn gather<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    /// From so many on, a hint is tried out first: there may not be so much memory.
    const MANY: usize = 1 << 16;
    let hint = items.size_hint().0;
    let mut gathered = Vec::new();
    // Without `black_box` the compiler may leave the allocation out, and take its success for granted.
    if hint < MANY || black_box(&mut gathered).try_reserve_exact(hint).is_ok() {
        drop(gathered);
        return items.collect();
    }
    // By `push`: `extend` believes the hint too.
    for item in items {
        gathered.push(item);
    }
    gathered
}
