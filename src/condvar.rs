//! A condition variable for any mutex of `lock_api`'s.
//!
//! `waiting` says whether threads may be in the queue at its address, so that a notification that
//! nobody waits for costs a load.
//!
//! Invariants:
//!
//! 1. A waiter is in the queue before it unlocks the mutex. So whoever changes the condition
//!    under the mutex afterwards, and then notifies, finds it there.
//! 2. A waiter sets `waiting` under the queue's lock, as it enters. It is cleared under that lock by
//!    a `notify_one` that leaves the queue empty, or by a `notify_all` that then wakes all who had set
//!    it. So while a thread is in the queue it is set, or a wake-up of that thread is to come; and
//!    by 1 whoever has locked the mutex since reads it so.
//! 3. A notification takes exactly those out of the queue whom it wakes, and a time-out takes itself
//!    out, in one step with respect to each other: none is lost and none wakes two.
//!
//! Orderings: a notification orders nothing; the mutex does.

use crate::sys::atomic::{AtomicBool, Ordering};
use crate::sys::{Dequeued, Handing, Parked, const_fn, park_after, unpark_one, unpark_threads};
use lock_api::{MutexGuard, RawMutex};
use std::fmt;
use std::time::{Duration, Instant};
use std::{mem, process, ptr};

/// A condition variable: waiting, with a mutex unlocked, until another thread says that what the
/// mutex protects has changed.
///
/// Works with the guard of any [`lock_api::Mutex`]: phalanx's [`Mutex`](crate::Mutex), parking_lot's,
/// one's own; also with different mutexes at different times, or at once.
///
/// # When to use it
/// Where threads wait for a condition of their own making. To wait until tasks are done, take a
/// [`WaitGroup`](crate::WaitGroup).
///
/// # Fairness
/// [`notify_one`](Condvar::notify_one) wakes the thread that has been waiting the longest. It then
/// locks the mutex like any other.
///
/// # Spurious wake-ups
/// A wait may return without a notification, if rarely. Ask the condition again, or let
/// [`wait_while`](Condvar::wait_while) do it.
///
/// # Memory ordering
/// A notification orders nothing by itself: the mutex does.
///
/// # Examples
/// ```
/// use phalanx::{Condvar, Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// let gate = Arc::new((Mutex::new(false), Condvar::new()));
/// let group = WaitGroup::new();
/// let theirs = gate.clone();
/// group.go(move || {
///     *theirs.0.lock() = true;
///     theirs.1.notify_one();
/// });
/// let mut open = gate.0.lock();
/// gate.1.wait_while(&mut open, |open| !*open);
/// assert!(*open);
/// drop(open);
/// group.wait();
/// ```
pub struct Condvar {
    waiting: AtomicBool,
}

/// Whether a wait with a limit ended by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a wait with a limit may end without the condition"]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before a notification came; for the `wait_while` methods, before
    /// the condition did.
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    const_fn! {
        /// A condition variable that nobody waits on. `const`, but for a model build.
        pub fn new() -> Self {
            Condvar { waiting: AtomicBool::new(false) }
        }
    }

    /// Wakes the thread that has been waiting the longest; whether there was one.
    ///
    /// Change the condition under the mutex before; the mutex need not be locked now.
    #[inline]
    pub fn notify_one(&self) -> bool {
        // ORDERING: Relaxed: invariant 2; what makes a waiter's flag visible here is the mutex.
        self.waiting.load(Ordering::Relaxed) && self.wake_one()
    }

    /// Wakes all threads that wait, and says how many.
    ///
    /// Change the condition under the mutex before; the mutex need not be locked now.
    #[inline]
    pub fn notify_all(&self) -> usize {
        // ORDERING: Relaxed: as in `notify_one`.
        if self.waiting.load(Ordering::Relaxed) { self.wake_all() } else { 0 }
    }

    /// Unlocks the guard's mutex, waits for a notification, and locks it again.
    ///
    /// # Blocking
    /// Until a notification, then until the mutex is locked. May return without the former.
    pub fn wait<R: RawMutex, T: ?Sized>(&self, guard: &mut MutexGuard<'_, R, T>) {
        let _ = self.sleep(guard, None);
    }

    /// [`wait`](Condvar::wait), until the deadline at most.
    ///
    /// # Blocking
    /// Until a notification or the deadline, then until the mutex is locked.
    pub fn wait_until<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.sleep(guard, Some(deadline))
    }

    /// [`wait`](Condvar::wait), for so long at most. A time too long to represent is for ever.
    ///
    /// # Blocking
    /// Until a notification or the end of that time, then until the mutex is locked.
    pub fn wait_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep(guard, Instant::now().checked_add(timeout))
    }

    /// Waits as long as `condition` is `true` of what the mutex protects.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    pub fn wait_while<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) {
        let _ = self.sleep_while(guard, condition, None);
    }

    /// [`wait_while`](Condvar::wait_while), until the deadline at most. Timed out means that the
    /// condition is still `true`.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`, or the deadline.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    pub fn wait_while_until<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.sleep_while(guard, condition, Some(deadline))
    }

    /// [`wait_while`](Condvar::wait_while), for so long at most. A time too long to represent is for
    /// ever; timed out means that the condition is still `true`.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`, or the end of that time.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    pub fn wait_while_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep_while(guard, condition, Instant::now().checked_add(timeout))
    }

    fn queue(&self) -> usize {
        (&raw const self.waiting).addr()
    }

    fn sleep_while<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        deadline: Option<Instant>,
    ) -> WaitTimeoutResult {
        let mut result = WaitTimeoutResult(false);
        while condition(&mut **guard) {
            if result.timed_out() {
                return result;
            }
            result = self.sleep(guard, deadline);
        }
        WaitTimeoutResult(false)
    }

    fn sleep<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        deadline: Option<Instant>,
    ) -> WaitTimeoutResult {
        let mutex = MutexGuard::mutex(guard);
        let enter = || {
            // ORDERING: Relaxed: under the queue's lock (invariant 2), and published by the unlock.
            self.waiting.swap(true, Ordering::Relaxed);
            true
        };
        let whole = AbortOnUnwind;
        // SAFETY: `guard` is valid for reads, and not used until it is written again below; nobody
        // else sees it meanwhile, as this call has it borrowed mutably and a panic aborts.
        let locked = unsafe { ptr::read(guard) };
        let parked = park_after(self.queue(), enter, || drop(locked), deadline);
        // SAFETY: `guard` is valid for writes, and holds what was moved out above.
        unsafe { ptr::write(guard, mutex.lock()) };
        mem::forget(whole);
        WaitTimeoutResult(parked == Parked::TimedOut)
    }

    #[cold]
    fn wake_one(&self) -> bool {
        let mut woken = false;
        unpark_one(self.queue(), |Dequeued { found, more }| {
            woken = found;
            if !more {
                // ORDERING: Relaxed: under the queue's lock (invariant 2).
                self.waiting.swap(false, Ordering::Relaxed);
            }
            Handing::Nothing
        });
        woken
    }

    #[cold]
    fn wake_all(&self) -> usize {
        // ORDERING: Relaxed: whoever had set it is in the queue, and is woken next (invariant 2).
        self.waiting.swap(false, Ordering::Relaxed);
        unpark_threads(self.queue())
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar { .. }")
    }
}

/// A guard whose mutex isn't locked must not be seen: not by whoever catches a panic either.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        process::abort();
    }
}
