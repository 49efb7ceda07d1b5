//! A condition variable for any mutex of `lock_api`'s.
//!
//! The waiting and notifying is in [`raw`]; what is here unlocks and locks the user's mutex around it.

mod raw;

use self::raw::{RawCondvar, Relock, Waited};
use crate::mutex::word_of;
use crate::support::deadline;
use crate::support::waiters::AbortOnUnwind;
use crate::sys::const_fn;
use lock_api::{GuardSend, MutexGuard, RawMutex};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};
use std::{fmt, mem, ptr};

/// A condition variable: blocks a thread until another thread notifies it that what a mutex protects has changed.
///
/// # When to use it
/// Where threads wait for a condition of their own on shared data. To wait until tasks are done, use a
/// [`WaitGroup`](crate::WaitGroup).
///
/// # Examples
/// ```
/// use phalanx::{Condvar, Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// let pair = Arc::new((Mutex::new(false), Condvar::new()));
/// let group = WaitGroup::new();
/// let theirs = pair.clone();
/// group.go(move || {
///     let (lock, condvar) = &*theirs;
///     *lock.lock() = true;
///     condvar.notify_one();
/// });
/// let (lock, condvar) = &*pair;
/// let mut open = lock.lock();
/// condvar.wait_while(&mut open, |open| !*open);
/// assert!(*open);
/// drop(open);
/// group.wait();
/// ```
///
/// **Change the condition under the mutex.** A change made without it may come between a waiter's check and
/// its wait; the waiter then misses the notification.
///
/// # Mutexes
/// A wait takes the guard of any [`lock_api::Mutex`]: phalanx's [`Mutex`](crate::Mutex), parking_lot's, or one
/// of your own. Different waits may use different mutexes, even at the same time;
/// the type of a [`lock_api::Condvar`] names one kind of mutex.
///
/// # Spurious wake-ups
/// There are none in this version. Even so, another thread may have changed the condition back before a wait
/// returns: check it again, or use [`wait_while`](Condvar::wait_while).
///
/// # Fairness
/// [`notify_one`](Condvar::notify_one) notifies the thread that has waited the longest. That thread then
/// competes for the mutex like any other.
///
/// A thread that waits with phalanx's [`Mutex`](crate::Mutex) isn't woken by the notification. It is moved
/// into the mutex's queue, and woken by an unlock. So after [`notify_all`](Condvar::notify_all) the threads
/// wake one after another, each when it can get the mutex.
///
/// # Memory ordering
/// A notification orders nothing by itself. The mutex orders what the waiter sees.
///
/// # Aborts
/// A wait aborts the process if the mutex's unlock or lock panics: the caller's guard would belong to a mutex
/// that isn't locked. phalanx's and parking_lot's mutexes don't panic there.
pub struct Condvar(RawCondvar);

// A panic in user code, a condition or a mutex, leaves the queue intact.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// Tells whether a wait with a limit timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a wait that has timed out returns without the condition"]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Returns `true` if the time ran out before the thread was notified. For the `wait_while` methods, if it
    /// ran out and the condition was still `true`.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    const_fn! {
        /// Returns a new condition variable. `const`, except in a model build.
        #[must_use]
        pub fn new() -> Self {
            Condvar(RawCondvar::new())
        }
    }

    /// Notifies the thread that has waited the longest. Returns `false` if no thread waits.
    ///
    /// Change the condition under the mutex before this call. The mutex may be locked or unlocked during it.
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) -> bool {
        self.0.may_have_waiters() && self.0.notify_one()
    }

    /// Notifies all threads that wait. Returns their number.
    ///
    /// Change the condition under the mutex before this call. The mutex may be locked or unlocked during it.
    #[inline]
    #[track_caller]
    pub fn notify_all(&self) -> usize {
        if self.0.may_have_waiters() { self.0.notify_all() } else { 0 }
    }

    /// Unlocks the guard's mutex, blocks until a notification, and locks the mutex again.
    #[track_caller]
    pub fn wait<R: RawMutex, T: ?Sized>(&self, guard: &mut MutexGuard<'_, R, T>) {
        let _ = self.sleep(guard, None);
    }

    /// [`wait`](Condvar::wait), which gives up at `deadline`.
    ///
    /// # Blocking
    /// Blocks until a notification or the deadline, then until the mutex is locked.
    #[track_caller]
    pub fn wait_until<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.sleep(guard, Some(deadline))
    }

    /// [`wait`](Condvar::wait), which gives up after `timeout`. A timeout too long to represent never ends.
    ///
    /// # Blocking
    /// Blocks until a notification or the end of the timeout, then until the mutex is locked.
    #[track_caller]
    pub fn wait_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep(guard, deadline::after(timeout))
    }

    /// Blocks while `condition` returns `true`. It is called with the mutex locked: at once, and after each
    /// notification.
    ///
    /// # Panics
    /// If `condition` panics. The guard then still holds the locked mutex.
    #[track_caller]
    pub fn wait_while<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) {
        let _ = self.sleep_while(guard, condition, None);
    }

    /// [`wait_while`](Condvar::wait_while), which gives up at `deadline`. If it times out, `condition` has
    /// returned `true` after the deadline.
    ///
    /// # Panics
    /// As [`wait_while`](Condvar::wait_while).
    #[track_caller]
    pub fn wait_while_until<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.sleep_while(guard, condition, Some(deadline))
    }

    /// [`wait_while`](Condvar::wait_while), which gives up after `timeout`. If it times out, `condition` has
    /// returned `true` after that time. A timeout too long to represent never ends.
    ///
    /// # Panics
    /// As [`wait_while`](Condvar::wait_while).
    #[track_caller]
    pub fn wait_while_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep_while(guard, condition, deadline::after(timeout))
    }

    #[track_caller]
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

    #[track_caller]
    fn sleep<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        deadline: Option<Instant>,
    ) -> WaitTimeoutResult {
        let mutex = MutexGuard::mutex(guard);
        // SAFETY: the mutex is unlocked here, and locked again before the guard is used.
        let word = word_of(unsafe { mutex.raw() });
        let Waited { timed_out, relock } = self.0.wait(word, deadline, || match word {
            Some(word) => word.unlock_to_sleep(),
            // SAFETY: `guard` is valid for reads. It is mutably borrowed by this call, which doesn't use it
            // before it is written again below, and can't unwind before: a panic of the unlock aborts in
            // the wait, one of the lock after it.
            None => drop(unsafe { ptr::read(guard) }),
        });
        let complete = AbortOnUnwind;
        let locked = match (word, relock) {
            (Some(word), Relock::LockWoken) => {
                word.lock_woken();
                // SAFETY: just locked.
                unsafe { mutex.make_guard_unchecked(own_guard::<R>()) }
            }
            // SAFETY: a fair unlock has handed the mutex to this thread.
            (Some(_), Relock::Held) => unsafe { mutex.make_guard_unchecked(own_guard::<R>()) },
            _ => mutex.lock(),
        };
        // SAFETY: `guard` is valid for writes, and what it held was moved out above.
        unsafe { ptr::write(guard, locked) };
        mem::forget(complete);
        WaitTimeoutResult(timed_out)
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

/// Returns what a guard of phalanx's mutex carries.
fn own_guard<R: RawMutex>() -> R::Guard {
    assert_eq!(typeid::of::<R::Guard>(), typeid::of::<GuardSend>());
    // SAFETY: the types are the same.
    unsafe { mem::transmute_copy(&GuardSend::new()) }
}

#[cfg(test)]
mod models;
