//! A mutual exclusion lock that barges for speed and lets nobody starve.
//!
//! The lock itself is `raw.rs`, its word `state.rs`; the types here are [`lock_api`]'s around it.

use crate::sys::by_build;
use std::ptr;

by_build! {
    machine {
        mod raw;

        use lock_api::GuardSend;
        use std::time::{Duration, Instant};

        /// The raw lock of [`Mutex`], for code that is generic over [`lock_api`]'s traits.
        #[derive(Debug)]
        pub struct RawMutex(Word);

        /// The word of a raw lock that is phalanx's own; `None` for any other.
        #[inline]
        pub(crate) fn word_of<R>(raw: &R) -> Option<&Word> {
            #[cfg(test)]
            if let Some(real) = cast::<R, models::RealRaw>(raw) {
                return Some(real.word());
            }
            cast::<R, RawMutex>(raw).map(|raw| &raw.0)
        }

        // SAFETY: the word's invariants 1 and 3: one thread at a time has it. A guard may be sent to
        // another thread, as nothing in the word belongs to one.
        unsafe impl lock_api::RawMutex for RawMutex {
            const INIT: Self = RawMutex(Word::new());
            type Guard = GuardSend;

            #[inline]
            fn lock(&self) -> GuardSend {
                self.0.lock();
                GuardSend::new()
            }

            #[inline]
            fn try_lock(&self) -> Option<GuardSend> {
                self.0.try_lock().then(GuardSend::new)
            }

            #[inline]
            unsafe fn unlock(&self, _: GuardSend) {
                self.0.unlock();
            }

            fn is_locked(&self) -> bool {
                self.0.is_locked()
            }
        }

        // SAFETY: as above.
        unsafe impl lock_api::RawMutexFair for RawMutex {
            unsafe fn unlock_fair(&self, _: GuardSend) {
                self.0.unlock_fair();
            }
        }

        // SAFETY: as above.
        unsafe impl lock_api::RawMutexTimed for RawMutex {
            type Duration = Duration;
            type Instant = Instant;

            fn try_lock_for(&self, timeout: Duration) -> Option<GuardSend> {
                // Too long to represent: for ever.
                let deadline = Instant::now().checked_add(timeout);
                self.0.lock_until(deadline).then(GuardSend::new)
            }

            fn try_lock_until(&self, deadline: Instant) -> Option<GuardSend> {
                self.0.lock_until(Some(deadline)).then(GuardSend::new)
            }
        }
    }
    model {
        #[cfg_attr(not(test), expect(dead_code, reason = "only the models of this room use it"))]
        mod raw;

        pub use crate::sys::RawMutex;

        /// The word of a raw lock that is the real one, which only models have here.
        pub(crate) fn word_of<R>(raw: &R) -> Option<&Word> {
            #[cfg(test)]
            return cast::<R, models::RealRaw>(raw).map(models::RealRaw::word);
            #[cfg(not(test))]
            cast::<R, Word>(raw)
        }
    }
}

/// A mutex on the real raw lock, also where users have the specification.
#[cfg(test)]
pub(crate) type RealMutex<T> = lock_api::Mutex<models::RealRaw, T>;

mod state;

pub(crate) use raw::Word;

/// The same raw lock, if that is its type.
#[inline]
fn cast<R, T>(raw: &R) -> Option<&T> {
    // SAFETY: the types are the same but for lifetimes, and the borrow is as long.
    (typeid::of::<R>() == typeid::of::<T>()).then(|| unsafe { &*ptr::from_ref(raw).cast::<T>() })
}

/// A mutual exclusion lock around a value: Go's `Mutex`, with the value inside.
///
/// ```
/// use phalanx::{Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// let (count, group) = (Arc::new(Mutex::new(0)), WaitGroup::new());
/// for _ in 0..4 {
///     let count = count.clone();
///     group.go(move || *count.lock() += 1);
/// }
/// group.wait();
/// assert_eq!(*count.lock(), 4);
/// ```
///
/// **Locking again on the thread that holds the lock deadlocks.**
///
/// The type is [`lock_api::Mutex`] around phalanx's raw lock. It takes four bytes beside the value and
/// nothing per thread, and [`new`](lock_api::Mutex::new) is `const`.
///
/// | to do this | call | example |
/// | --- | --- | --- |
/// | lock | [`lock`](lock_api::Mutex::lock) | `*mutex.lock() += 1` |
/// | lock if it is free | [`try_lock`](lock_api::Mutex::try_lock) | `if let Some(mut value) = mutex.try_lock() { *value += 1 }` |
/// | lock within a time | [`try_lock_for`](lock_api::Mutex::try_lock_for), [`try_lock_until`](lock_api::Mutex::try_lock_until) | `mutex.try_lock_for(Duration::from_millis(5))` |
/// | unlock for the longest waiter | [`unlock_fair`](lock_api::MutexGuard::unlock_fair), [`bump`](lock_api::MutexGuard::bump) | `MutexGuard::unlock_fair(guard)` |
/// | unlock while a closure runs | [`unlocked`](lock_api::MutexGuard::unlocked) | `MutexGuard::unlocked(&mut guard, read_file)` |
/// | keep a part of the value locked | [`map`](lock_api::MutexGuard::map) | `MutexGuard::map(guard, first)` |
/// | wait for a condition | [`Condvar::wait_while`](crate::Condvar::wait_while) | `condvar.wait_while(&mut guard, is_empty)` |
///
/// ```
/// use phalanx::{Mutex, MutexGuard};
/// use std::time::Duration;
///
/// let pair = Mutex::new((1, 2));
/// let guard = pair.lock();
/// assert!(pair.try_lock().is_none());
/// assert!(pair.try_lock_for(Duration::from_millis(1)).is_none());
/// let mut first = MutexGuard::map(guard, |pair| &mut pair.0);
/// *first += 10;
/// drop(first);
/// assert_eq!(*pair.lock(), (11, 2));
/// ```
///
/// # When to use it
/// | | |
/// | --- | --- |
/// | short sections, or many writes | `Mutex` |
/// | read much more than written, by several threads at once | [`RwMutex`](crate::RwMutex) |
/// | long sections, some of which only read | [`RwMutex`](crate::RwMutex) |
///
/// `cargo bench --bench mutex_vs_rw_mutex` tells where the border is on your machine.
///
/// # Async code
/// `lock` blocks the thread. A guard is `Send`, so a guard that is held across an `.await` compiles, even on
/// an executor with several threads. It can hang: the task that holds the guard waits for a thread, while
/// each thread is blocked in `lock` on behalf of another task. Drop the guard before the `.await`, best by a
/// scope of its own:
///
/// ```
/// # use phalanx::Mutex;
/// # async fn send(_: u32) {}
/// # async fn next(count: &Mutex<u32>) {
/// let next = {
///     let mut count = count.lock();
///     *count += 1;
///     *count
/// };
/// send(next).await;
/// # }
/// ```
///
/// Clippy's lint `await_holding_lock`, which warns by default, finds the guards of `lock`, of
/// [`RwMutex`](crate::RwMutex)'s `read` and of its `write`. For the others, name them in your `clippy.toml`:
///
/// ```toml
/// await-holding-invalid-types = [
///     "lock_api::MappedMutexGuard",
///     "lock_api::RwLockUpgradableReadGuard",
///     "lock_api::MappedRwLockReadGuard",
///     "lock_api::MappedRwLockWriteGuard",
/// ]
/// ```
///
/// # Fairness
/// A thread that comes takes a free lock at once, also past those that wait: the lock stays with the thread
/// that has its cache line, which makes it fast. That has a bound. One waiter at a time is woken, and if it
/// doesn't get the lock by itself, an unlock gives it the lock, whoever else wants it: the next unlock, if
/// the waiter is awake and has waited for a millisecond; or one a millisecond after its wake-up,
/// even if it has had no core since. So a thread that locks seldom isn't kept out by threads that lock
/// without pause. parking_lot, which had such a bound once, has none since 0.13; std's mutex never had.
///
/// The bound: a thread that finds n others waiting has the lock within n + 2 milliseconds, two sections
/// and a wake-up. Where threads outnumber cores, add the time for which those
/// that hold the lock, or were given it, are kept off their core: no lock can shorten that.
///
/// [`MutexGuard::unlock_fair`](lock_api::MutexGuard::unlock_fair) hands the lock to a waiter that is
/// asleep or was just woken, if there is one; [`bump`](lock_api::MutexGuard::bump) does so and locks
/// again.
///
/// # Timeouts
/// [`try_lock_for`](lock_api::Mutex::try_lock_for) and [`try_lock_until`](lock_api::Mutex::try_lock_until)
/// fail not before their time is over, and take a lock that is free also when it is. A duration too long to
/// be a point in time, such as [`Duration::MAX`], is no limit.
///
/// # Panics and misuse
/// A panic under the lock unlocks it; there is no poisoning. A guard that is forgotten leaves the lock
/// locked. A guard may be dropped on another thread.
///
/// Use one copy of the crate per process. Threads wait in queues that belong to the copy of phalanx that
/// their code was compiled with, so two copies that share a lock (a plugin with a phalanx of its own, or
/// two versions) don't wake each other's waiters. Across such a boundary, share a lock only by calls into
/// the copy that made it.
///
/// A global allocator must not use this lock. A thread that waits may have to allocate its place in the
/// queues; that calls the allocator, which waits, until the stack overflows.
///
/// # Memory ordering
/// Everything before an unlock happens before everything after the next lock.
///
/// # Under a model
/// In a [`model`](crate::model) build the raw lock is a specification with a small state: any
/// waiter may be overtaken any number of times, and a deadline may pass at any moment. The real lock
/// has models of its own in this crate.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// The guard of a locked [`Mutex`].
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// The guard of a part of what a [`Mutex`] protects.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;

/// The guard of a [`Mutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcMutexGuard<T> = lock_api::ArcMutexGuard<RawMutex, T>;

#[cfg(test)]
pub(crate) mod models;
