//! The group.

use super::error::TryGoError;
use super::shared::{NoSeat, Seat, Shared};
use crate::cancel::CancelToken;
use crate::sys::{Arc, catch, thread};
use std::fmt;
use std::panic::resume_unwind;

/// Runs `f` with a group, and waits until all of its tasks have ended. Returns their values in the order of
/// [`go`](TaskGroup::go), or the first error.
///
/// Go's `errgroup`. The tasks are threads that may borrow, as those of [`thread::scope`](crate::thread::scope).
///
/// # When to use it
/// | | |
/// | --- | --- |
/// | tasks that can't fail | [`thread::scope`](crate::thread::scope) |
/// | many short tasks, that share a few threads | [`WorkerPool`](crate::WorkerPool) |
/// | tasks that outlive the block | [`WaitGroup`](crate::WaitGroup) |
/// | tasks that fail together | `task_group` |
///
/// # Errors
/// The error of the task that was the first to return one. It cancels the group's [token](TaskGroup::token), which
/// tells the others to stop; their values and errors are dropped when all have ended.
///
/// # Panics
/// If a task or `f` panics: the first panic cancels the token, as an error does, and is resumed when all tasks have
/// ended, in place of any error.
///
/// # Examples
/// ```
/// use phalanx::task_group;
///
/// let words = ["4", "8", "15"];
/// let numbers = task_group(|group| {
///     for word in &words {
///         group.go(|| word.parse::<u32>());
///     }
/// });
/// assert_eq!(numbers, Ok(vec![4, 8, 15]));
///
/// let numbers = task_group(|group| {
///     for word in ["16", "twenty-three"] {
///         group.go(|| word.parse::<u32>());
///     }
/// });
/// assert!(numbers.is_err());
/// ```
///
/// **A task is told to stop, and not made to.** One that never asks the token runs on to its end, and the group waits.
///
/// # Memory ordering
/// Everything in a task happens before the return of `task_group`.
#[track_caller]
pub fn task_group<'env, T, E, F>(f: F) -> Result<Vec<T>, E>
where
    T: Send,
    E: Send,
    F: for<'scope> FnOnce(&TaskGroup<'scope, 'env, T, E>),
{
    run(CancelToken::new(), f)
}

/// [`task_group`] with a token that is a child of `parent`: Go's `errgroup.WithContext`.
///
/// So the group's tasks are told to stop when `parent` is cancelled, too. A group inside a task of another group takes
/// that one's token.
///
/// # Errors
/// As [`task_group`]. The parent's cancelling alone is no error: the tasks say what they make of it.
///
/// # Panics
/// As [`task_group`].
///
/// # Examples
/// ```
/// use phalanx::{CancelToken, task_group_under};
///
/// let shutdown = CancelToken::new();
/// shutdown.cancel();
/// let outcome = task_group_under(&shutdown, |group| {
///     let token = group.token().clone();
///     group.go(move || if token.is_cancelled() { Err("stopped") } else { Ok(()) });
/// });
/// assert_eq!(outcome, Err("stopped"));
/// ```
#[track_caller]
pub fn task_group_under<'env, T, E, F>(parent: &CancelToken, f: F) -> Result<Vec<T>, E>
where
    T: Send,
    E: Send,
    F: for<'scope> FnOnce(&TaskGroup<'scope, 'env, T, E>),
{
    run(parent.child(), f)
}

#[track_caller]
fn run<'env, T, E, F>(token: CancelToken, f: F) -> Result<Vec<T>, E>
where
    F: for<'scope> FnOnce(&TaskGroup<'scope, 'env, T, E>),
{
    let shared = Shared::new(token);
    thread::scope(|scope| {
        let group = TaskGroup { scope, shared: shared.clone() };
        if let Err(payload) = catch(|| f(&group)) {
            group.shared.panicked(payload);
        }
    });
    if let Some(payload) = shared.take_panic() {
        resume_unwind(payload);
    }
    shared.take_outcome()
}

/// A group of tasks that may fail. See [`task_group`], which makes one.
///
/// A clone is a handle to the same group: move one into a task that starts others.
pub struct TaskGroup<'scope, 'env: 'scope, T, E> {
    scope: &'scope thread::Scope<'scope, 'env>,
    shared: Arc<Shared<T, E>>,
}

impl<'scope, T: Send + 'scope, E: Send + 'scope> TaskGroup<'scope, '_, T, E> {
    /// Starts a task: a thread that runs `f`, which may borrow.
    ///
    /// If the group has failed, nothing is started, and `f` is dropped: its outcome would be, too.
    ///
    /// # Blocking
    /// At the [limit](TaskGroup::limit), until a task ends or the group fails. The waiting threads come first, in the
    /// order of their arrival.
    ///
    /// **A task that calls this at the limit keeps its own seat meanwhile.** If all tasks do, none ends. Call
    /// [`try_go`](TaskGroup::try_go) there, and run in place what it returns.
    ///
    /// # Panics
    /// If the system can't start a thread.
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() -> Result<T, E> + Send + 'scope,
    {
        if let Some(seat) = self.shared.take_seat() {
            self.start(seat, f);
        }
    }

    /// Starts a task, unless that would exceed the limit or the group has failed. Never blocks.
    ///
    /// # Errors
    /// [`TryGoError`], with `f`.
    ///
    /// # Panics
    /// If the system can't start a thread.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{TryGoError, task_group};
    ///
    /// let sums = task_group(|group| {
    ///     group.limit(2);
    ///     for n in 0..10_u64 {
    ///         let sum = move || Ok::<_, ()>((0..n).sum::<u64>());
    ///         match group.try_go(sum) {
    ///             Ok(()) => {}
    ///             // Both are busy: wait for one.
    ///             Err(TryGoError::AtLimit(sum)) => group.go(sum),
    ///             Err(TryGoError::Failed(_)) => break,
    ///         }
    ///     }
    /// });
    /// assert_eq!(sums.map(|sums| sums[9]), Ok(36));
    /// ```
    #[track_caller]
    pub fn try_go<F>(&self, f: F) -> Result<(), TryGoError<F>>
    where
        F: FnOnce() -> Result<T, E> + Send + 'scope,
    {
        match self.shared.try_take_seat() {
            Ok(seat) => {
                self.start(seat, f);
                Ok(())
            }
            Err(NoSeat::AtLimit) => Err(TryGoError::AtLimit(f)),
            Err(NoSeat::Failed) => Err(TryGoError::Failed(f)),
        }
    }

    #[track_caller]
    fn start<F>(&self, seat: Seat<T, E>, f: F)
    where
        F: FnOnce() -> Result<T, E> + Send + 'scope,
    {
        let builder = thread::Builder::new().name("phalanx-task".to_owned());
        if let Err(error) = builder.spawn_scoped(self.scope, move || seat.run(f)) {
            panic!("TaskGroup::go: the system gave no thread: {error}");
        }
    }
}

impl<T, E> TaskGroup<'_, '_, T, E> {
    /// Lets at most `limit` tasks run at a time. The default is no limit.
    ///
    /// It may be changed at any time. A higher limit lets threads go on that wait in [`go`](TaskGroup::go); a lower one
    /// stops no task that runs.
    ///
    /// # Panics
    /// If the limit is 0.
    #[track_caller]
    pub fn limit(&self, limit: usize) {
        assert!(limit > 0, "TaskGroup::limit: a limit of 0 would let no task run; use at least 1");
        self.shared.set_limit(limit);
    }

    /// Returns the token that is cancelled when a task returns an error or panics.
    ///
    /// Tasks ask it whether they are to stop, and wait on it. Cancelling it yourself tells them the same; that alone
    /// is no error, and tasks are still started.
    #[must_use]
    pub fn token(&self) -> &CancelToken {
        &self.shared.token
    }

    /// Whether a task has returned an error or panicked. The token is cancelled then, and no task is started any more.
    #[must_use]
    #[track_caller]
    pub fn has_failed(&self) -> bool {
        self.shared.has_failed()
    }
}

impl<T, E> Clone for TaskGroup<'_, '_, T, E> {
    fn clone(&self) -> Self {
        TaskGroup { scope: self.scope, shared: self.shared.clone() }
    }
}

impl<T, E> fmt::Debug for TaskGroup<'_, '_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup").field("token", self.token()).finish_non_exhaustive()
    }
}
