//! The wait group.

use super::guard::WaitGuard;
use super::shared::Shared;
use super::word::{BUSY, total};
use crate::error::WaitTimeout;
use crate::support::backoff::Spin;
use crate::support::deadline;
use crate::support::latch::Latch;
use crate::sys::Heap;
use crate::sys::atomic::Ordering;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// Counts tasks, and blocks threads and futures until none is left.
///
/// Count each task before it starts, by [`guard`](WaitGroup::guard), [`go`](WaitGroup::go) or
/// [`add`](WaitGroup::add). Its end decrements the count; after `add`, by [`done`](WaitGroup::done).
/// [`wait`](WaitGroup::wait) blocks until the count is zero, and the group can be used again afterwards.
///
/// # When to use it
/// | | |
/// | --- | --- |
/// | threads that end with the block, and may borrow | [`thread::scope`](crate::thread::scope) |
/// | tasks that return results | [`WorkerPool`](crate::WorkerPool) |
/// | tasks started anywhere, to be waited for here | `WaitGroup` |
///
/// # Examples
/// ```
/// use phalanx::WaitGroup;
///
/// let group = WaitGroup::new();
/// for name in ["first", "second"] {
///     group.go(move || println!("{name} task completed"));
/// }
/// group.wait();
/// assert_eq!(group.count(), 0);
/// ```
///
/// **A task that panics doesn't reach its `done`.** Move a [`WaitGuard`] into it, which decrements in any case.
///
/// # Sharing
/// Share the group by reference or in an `Arc`. It isn't `Clone`; crossbeam's type of this name is,
/// and counts its clones.
///
/// # Fairness
/// All waiters are woken together. A waiter that runs late, when tasks have been added again, waits for those too.
/// So start the next tasks after every `wait` has returned, as in Go.
///
/// # Panics
/// A panic in a thread started by [`go`](WaitGroup::go) is kept, and resumed by a wait. A count below zero, or
/// of more than 536,870,911 guards or `add`s, panics and leaves the group as it was.
///
/// # Memory ordering
/// Everything before a `done`, or before a guard's drop, happens before the return of a wait that has waited for
/// it.
pub struct WaitGroup {
    shared: NonNull<Heap<Shared>>,
}

// SAFETY: the group uses `Shared` by shared reference only, which is an atomic word and a lock around a `Send`
// value.
unsafe impl Send for WaitGroup {}
// SAFETY: as above.
unsafe impl Sync for WaitGroup {}

// A panic in any call leaves the group usable.
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

impl WaitGroup {
    /// Creates a group with a count of zero.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        WaitGroup { shared: Shared::new() }
    }

    /// Counts `n` more tasks.
    ///
    /// Call it before the tasks start, not in them: a wait may come first otherwise.
    ///
    /// # Examples
    /// ```
    /// use phalanx::{WaitGroup, thread};
    ///
    /// let group = WaitGroup::new();
    /// group.add(2);
    /// thread::scope(|s| {
    ///     s.spawn(|| group.done());
    ///     s.spawn(|| group.done());
    ///     group.wait();
    /// });
    /// ```
    ///
    /// # Panics
    /// If more than 536,870,911 `add`s had no `done` yet, including those of other threads that are about to panic
    /// for this reason. The group stays as it was.
    #[inline]
    #[track_caller]
    pub fn add(&self, n: usize) {
        self.shared().add(n);
    }

    /// Decrements the count, for one task that [`add`](WaitGroup::add) has counted.
    ///
    /// Everything before it happens before the return of a wait that has waited for it. A task that may panic
    /// should hold a [`guard`](WaitGroup::guard) instead.
    ///
    /// # Examples
    /// ```
    /// let group = phalanx::WaitGroup::new();
    /// group.add(1);
    /// group.done();
    /// assert_eq!(group.count(), 0);
    /// ```
    ///
    /// # Panics
    /// If each `add` has had its `done`, however many guards there are. The group stays as it was.
    ///
    /// The count is decremented before it is checked, and put back before the panic. Meanwhile other threads see a
    /// count one too low. A wait may return too early then, and another `done` may panic too, without an effect.
    #[inline]
    #[track_caller]
    pub fn done(&self) {
        self.shared().done();
    }

    /// Counts one task until the returned guard is dropped.
    ///
    /// # Panics
    /// If 536,870,911 guards are alive. The group stays as it was.
    #[inline]
    #[track_caller]
    pub fn guard(&self) -> WaitGuard {
        // SAFETY: the group's own.
        unsafe { WaitGuard::enter(self.shared, self.shared()) }
    }

    /// Blocks until the count is zero.
    ///
    /// Returns at once if it is. Spins for a few microseconds before it sleeps.
    ///
    /// # Panics
    /// Resumes the first panic of a thread started by [`go`](WaitGroup::go), in one wait. A wait in a thread that
    /// is already panicking leaves it for another wait.
    #[inline]
    #[track_caller]
    pub fn wait(&self) {
        let word = self.latch().wait_drained(BUSY, Spin::Brief);
        self.shared().finish(word);
    }

    /// Blocks until the count is zero or `timeout` has passed. A timeout too long to represent never ends.
    ///
    /// # Errors
    /// [`WaitTimeout`] with the count at that time.
    ///
    /// # Panics
    /// As [`wait`](WaitGroup::wait).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let group = phalanx::WaitGroup::new();
    /// let guard = group.guard();
    /// let error = group.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.remaining, 1);
    /// drop(guard);
    /// assert!(group.wait_timeout(Duration::from_millis(1)).is_ok());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitTimeout> {
        self.wait_until(deadline::after(timeout))
    }

    /// Blocks until the count is zero or `deadline` has passed.
    ///
    /// # Errors
    /// [`WaitTimeout`] with the count at that time.
    ///
    /// # Panics
    /// As [`wait`](WaitGroup::wait).
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<(), WaitTimeout> {
        self.wait_until(Some(deadline))
    }

    #[inline]
    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Result<(), WaitTimeout> {
        match self.latch().wait(BUSY, Spin::Brief, deadline) {
            Ok(word) => {
                self.shared().finish(word);
                Ok(())
            }
            Err(word) => Err(WaitTimeout { remaining: total(word).max(1) }),
        }
    }

    /// Returns how many tasks are counted at this moment: `add`s without a `done`, and guards.
    ///
    /// If it returns 0, everything before each `done` and each guard's drop has happened, as after a wait. It
    /// resumes no panic.
    #[must_use]
    #[track_caller]
    pub fn count(&self) -> usize {
        // ORDERING: Acquire: pairs with the Release in `Latch::leave`: after a zero the caller may go on as after a
        // wait.
        total(self.latch().word().load(Ordering::Acquire))
    }

    #[inline]
    #[track_caller]
    pub(super) fn latch(&self) -> &Latch {
        &self.shared().latch
    }

    #[inline]
    #[track_caller]
    pub(super) fn shared(&self) -> &Shared {
        // SAFETY: alive by W1: the group exists, and `&self` borrows it.
        unsafe { self.shared.as_ref() }.get_borrowed()
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        // SAFETY: the group's own, and dropped once.
        unsafe { Shared::disown(self.shared) };
    }
}

impl Default for WaitGroup {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.count()).finish_non_exhaustive()
    }
}
