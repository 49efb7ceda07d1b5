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

/// A condition variable: waiting, with a mutex unlocked, until another thread says that what the
/// mutex protects has changed.
///
/// Works with the guard of any [`lock_api::Mutex`]: phalanx's [`Mutex`](crate::Mutex), parking_lot's,
/// one's own; also with different mutexes at different times, or at once. [`lock_api::Condvar`] has
/// one kind of mutex for all its waits, which it names as a type; this one has none, and takes guards of all kinds.
///
/// # When to use it
/// Where threads wait for a condition of their own making. To wait until tasks are done, take a
/// [`WaitGroup`](crate::WaitGroup).
///
/// # Fairness
/// [`notify_one`](Condvar::notify_one) notifies the thread that has been waiting the longest. It then
/// locks the mutex like any other. With phalanx's [`Mutex`](crate::Mutex), a notified thread sleeps on
/// until an unlock makes room for it. So [`notify_all`](Condvar::notify_all) lets the threads in one after
/// another, and doesn't wake them all at once.
///
/// # Spurious wake-ups
/// There are none, in this version. Another thread may still have been faster to change the condition
/// back: ask it again, or let [`wait_while`](Condvar::wait_while) do it.
///
/// # Aborts
/// A wait aborts the process if unlocking or locking the mutex panics, which phalanx's and parking_lot's don't:
/// the guard would be of a mutex that isn't locked.
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
pub struct Condvar(RawCondvar);

// A panic of user code, of a condition or of a mutex, leaves the queue whole.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// Whether a wait with a limit ended by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a wait with a limit may end without the condition"]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before a notification came; for the `wait_while` methods, before
    /// the condition did.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    const_fn! {
        /// Returns a condition variable that nobody waits on. `const`, but for a model build.
        #[must_use]
        pub fn new() -> Self {
            Condvar(RawCondvar::new())
        }
    }

    /// Notifies the thread that has been waiting the longest. Returns whether there was one.
    ///
    /// Change the condition under the mutex before; the mutex need not be locked now.
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) -> bool {
        self.0.may_have_waiters() && self.0.notify_one()
    }

    /// Notifies all threads that wait. Returns how many there were.
    ///
    /// Change the condition under the mutex before; the mutex need not be locked now.
    #[inline]
    #[track_caller]
    pub fn notify_all(&self) -> usize {
        if self.0.may_have_waiters() { self.0.notify_all() } else { 0 }
    }

    /// Unlocks the guard's mutex, waits for a notification, and locks it again.
    ///
    /// # Blocking
    /// Until a notification, then until the mutex is locked.
    #[track_caller]
    pub fn wait<R: RawMutex, T: ?Sized>(&self, guard: &mut MutexGuard<'_, R, T>) {
        let _ = self.sleep(guard, None);
    }

    /// [`wait`](Condvar::wait), until the deadline at most.
    ///
    /// # Blocking
    /// Until a notification or the deadline, then until the mutex is locked.
    #[track_caller]
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
    #[track_caller]
    pub fn wait_for<R: RawMutex, T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, R, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.sleep(guard, deadline::after(timeout))
    }

    /// Waits as long as `condition` is `true` of what the mutex protects.
    ///
    /// # Blocking
    /// Until a notification finds the condition `false`.
    ///
    /// # Panics
    /// Whatever `condition` panics with. The guard has the mutex then.
    #[track_caller]
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
    #[track_caller]
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
        // SAFETY: what unlocks the mutex here locks it again before the guard is used.
        let word = word_of(unsafe { mutex.raw() });
        let Waited { timed_out, relock } = self.0.wait(word, deadline, || match word {
            Some(word) => word.unlock_to_sleep(),
            // SAFETY: `guard` is valid for reads, and not used until it is written again below; no other
            // thread sees it meanwhile, as this call has it borrowed mutably, and a panic of the unlock
            // aborts the wait, one of the lock what comes after it.
            None => drop(unsafe { ptr::read(guard) }),
        });
        let complete = AbortOnUnwind;
        let locked = match (word, relock) {
            (Some(word), Relock::LockWoken) => {
                word.lock_woken();
                // SAFETY: just locked.
                unsafe { mutex.make_guard_unchecked(own_guard::<R>()) }
            }
            // SAFETY: a fair unlock has handed it to this thread.
            (Some(_), Relock::Held) => unsafe { mutex.make_guard_unchecked(own_guard::<R>()) },
            _ => mutex.lock(),
        };
        // SAFETY: `guard` is valid for writes, and holds what was moved out above.
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

/// What the guard of phalanx's mutex carries.
fn own_guard<R: RawMutex>() -> R::Guard {
    assert_eq!(typeid::of::<R::Guard>(), typeid::of::<GuardSend>());
    // SAFETY: the types are the same.
    unsafe { mem::transmute_copy(&GuardSend::new()) }
}

#[cfg(test)]
mod models;
