//! Threads that a group counts.

use super::group::WaitGroup;
use crate::sys::{catch, thread};
use std::io;

impl WaitGroup {
    /// Starts a thread that counts as one task.
    ///
    /// A panic of `f` is kept, and resumed by the next [`wait`](WaitGroup::wait) that finds a count of zero.
    /// Of several panics the first is kept. If the group is used again while waiters are still returning, one of
    /// those may be the wait that resumes it. A panic that no wait resumes is dropped with the group.
    ///
    /// The thread is named `phalanx-go`, which debuggers and panic messages show; [`named`](WaitGroup::named) chooses
    /// another. It decrements the count before its thread-locals are destroyed.
    ///
    /// # Panics
    /// If the system can't start a thread, or as [`guard`](WaitGroup::guard). The group stays as it was.
    #[track_caller]
    pub fn go(&self, f: impl FnOnce() + Send + 'static) {
        self.named(NAME).go(f);
    }

    /// Starts a thread that counts as one task, and may borrow what outlives `scope`.
    ///
    /// A panic of `f` goes to the group's wait, as that of [`go`](WaitGroup::go), and not to the scope.
    ///
    /// # Panics
    /// As [`go`](WaitGroup::go).
    ///
    /// # Examples
    /// ```
    /// use phalanx::{WaitGroup, thread};
    ///
    /// let (group, word) = (WaitGroup::new(), String::from("borrowed"));
    /// thread::scope(|scope| {
    ///     group.go_scoped(scope, || assert_eq!(word.len(), 8));
    ///     group.wait();
    /// });
    /// ```
    #[track_caller]
    pub fn go_scoped<'scope>(
        &self,
        scope: &'scope thread::Scope<'scope, '_>,
        f: impl FnOnce() + Send + 'scope,
    ) {
        self.named(NAME).go_scoped(scope, f);
    }

    /// Starts a thread that counts as one task, and returns a handle, whose `join` returns the value of `f`.
    ///
    /// **A panic of `f` goes to the handle's `join`, and to no wait of the group.** If the handle is dropped, so is the
    /// panic. Use [`go`](WaitGroup::go) for a task whose handle you don't need.
    ///
    /// # Panics
    /// As [`go`](WaitGroup::go).
    ///
    /// # Examples
    /// ```
    /// let group = phalanx::WaitGroup::new();
    /// let answer = group.spawn(|| 42);
    /// group.wait();
    /// assert_eq!(answer.join().unwrap(), 42);
    /// ```
    #[track_caller]
    #[must_use = "a panic goes to the handle; use `go` for a task without one"]
    pub fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        self.named(NAME).spawn(f)
    }

    /// Starts a thread that counts as one task and may borrow what outlives `scope`. Returns a handle, whose `join`
    /// returns the value of `f`.
    ///
    /// A panic of `f` goes to the handle's `join`, and to no wait of the group. If the handle isn't joined, the scope
    /// panics at its end, as for each of its threads.
    ///
    /// # Panics
    /// As [`go`](WaitGroup::go).
    #[track_caller]
    #[must_use = "a panic goes to the handle; use `go_scoped` for a task without one"]
    pub fn spawn_scoped<'scope, T: Send + 'scope>(
        &self,
        scope: &'scope thread::Scope<'scope, '_>,
        f: impl FnOnce() -> T + Send + 'scope,
    ) -> thread::ScopedJoinHandle<'scope, T> {
        self.named(NAME).spawn_scoped(scope, f)
    }

    /// Returns what starts one thread with a name, which debuggers and panic messages show.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{WaitGroup, thread};
    ///
    /// let group = WaitGroup::new();
    /// let handle = group.named("reader").spawn(|| thread::current().name().map(str::to_owned));
    /// assert_eq!(handle.join().unwrap().as_deref(), Some("reader"));
    /// ```
    pub fn named(&self, name: impl Into<String>) -> NamedTask<'_> {
        NamedTask { group: self, name: name.into() }
    }
}

/// The name of a thread that isn't given another.
const NAME: &str = "phalanx-go";

/// Starts one thread of a [`WaitGroup`] with a name. Returned by [`WaitGroup::named`].
#[must_use = "the thread is started by one of the methods"]
#[derive(Debug)]
pub struct NamedTask<'a> {
    group: &'a WaitGroup,
    name: String,
}

impl NamedTask<'_> {
    /// Starts the thread, as [`WaitGroup::go`].
    ///
    /// # Panics
    /// If the name has a NUL byte, or as [`WaitGroup::go`].
    #[track_caller]
    pub fn go(self, f: impl FnOnce() + Send + 'static) {
        let guard = self.group.guard();
        let body = move || {
            if let Err(payload) = catch(f) {
                guard.keep_panic(payload);
            }
        };
        _ = started("go", self.builder().spawn(body));
    }

    /// Starts the thread, as [`WaitGroup::go_scoped`].
    ///
    /// # Panics
    /// As [`go`](NamedTask::go).
    #[track_caller]
    pub fn go_scoped<'scope>(
        self,
        scope: &'scope thread::Scope<'scope, '_>,
        f: impl FnOnce() + Send + 'scope,
    ) {
        let guard = self.group.guard();
        let body = move || {
            if let Err(payload) = catch(f) {
                guard.keep_panic(payload);
            }
        };
        _ = started("go_scoped", self.builder().spawn_scoped(scope, body));
    }

    /// Starts the thread and returns its handle, as [`WaitGroup::spawn`].
    ///
    /// # Panics
    /// As [`go`](NamedTask::go).
    #[track_caller]
    #[must_use = "a panic goes to the handle; use `go` for a task without one"]
    pub fn spawn<T: Send + 'static>(
        self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let guard = self.group.guard();
        let body = move || {
            // Dropped at the end, in a panic too.
            let _guard = guard;
            f()
        };
        started("spawn", self.builder().spawn(body))
    }

    /// Starts the thread and returns its handle, as [`WaitGroup::spawn_scoped`].
    ///
    /// # Panics
    /// As [`go`](NamedTask::go).
    #[track_caller]
    #[must_use = "a panic goes to the handle; use `go_scoped` for a task without one"]
    pub fn spawn_scoped<'scope, T: Send + 'scope>(
        self,
        scope: &'scope thread::Scope<'scope, '_>,
        f: impl FnOnce() -> T + Send + 'scope,
    ) -> thread::ScopedJoinHandle<'scope, T> {
        let guard = self.group.guard();
        let body = move || {
            let _guard = guard;
            f()
        };
        started("spawn_scoped", self.builder().spawn_scoped(scope, body))
    }

    fn builder(self) -> thread::Builder {
        thread::Builder::new().name(self.name)
    }
}

/// Returns the handle of a thread that the system has started. Otherwise the guard is gone, so the group is as it was.
#[track_caller]
fn started<H>(method: &str, started: io::Result<H>) -> H {
    match started {
        Ok(handle) => handle,
        Err(error) => panic!("WaitGroup::{method}: the system gave no thread: {error}"),
    }
}
