//! A mutual exclusion lock that barges for speed and lets no thread starve.
//!
//! | file | holds |
//! | --- | --- |
//! | `state.rs` | the bits of the lock's word and the transitions between them |
//! | `core.rs` | the word, how threads wait for it, the invariants |
//! | `raw.rs` | [`lock_api`]'s traits for the word |
//! | `spec.rs` | the specification that users' models run on, instead of `raw.rs` |
//! | `models.rs` | models of the word and of the specification |

#[cfg_attr(all(phalanx_loom, not(test)), expect(dead_code, reason = "only its models use it"))]
mod core;
#[cfg(test)]
pub(crate) mod models;
#[cfg_attr(phalanx_loom, path = "spec.rs")]
mod raw;
mod state;

pub(crate) use core::Word;
pub use raw::RawMutex;

use std::ptr;

/// A mutex on the real raw lock, also where users have the specification.
#[cfg(test)]
pub(crate) type RealMutex<T> = lock_api::Mutex<models::RealRaw, T>;

/// The word of a raw lock that is phalanx's own; `None` for any other lock, and for a specification.
#[inline]
pub(crate) fn word_of<R>(raw: &R) -> Option<&Word> {
    #[cfg(test)]
    if let Some(real) = cast::<R, models::RealRaw>(raw) {
        return Some(real.word());
    }
    cast::<R, RawMutex>(raw).and_then(RawMutex::word)
}

/// The same raw lock, if that is its type.
#[inline]
fn cast<R, T>(raw: &R) -> Option<&T> {
    // SAFETY: the types are the same but for lifetimes, and the borrow is as long.
    (typeid::of::<R>() == typeid::of::<T>()).then(|| unsafe { &*ptr::from_ref(raw).cast::<T>() })
}

/// A mutual exclusion lock around a value: Go's `Mutex`, with the value inside.
///
/// Use it where threads share a value that is written often, or locked for moments. Where several threads read at
/// once and writes are rare, take [`RwMutex`](crate::RwMutex).
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
/// The type is [`lock_api::Mutex`] around phalanx's raw lock. It adds four bytes to the value, allocates nothing, and
/// [`new`](lock_api::Mutex::new) is `const`.
///
/// | to do this | call | example |
/// | --- | --- | --- |
/// | lock | [`lock`](lock_api::Mutex::lock) | `*mutex.lock() += 1` |
/// | lock if it is free | [`try_lock`](lock_api::Mutex::try_lock) | `if let Some(mut value) = mutex.try_lock() { *value += 1 }` |
/// | lock within a time limit | [`try_lock_for`](lock_api::Mutex::try_lock_for), [`try_lock_until`](lock_api::Mutex::try_lock_until) | `mutex.try_lock_for(Duration::from_millis(5))` |
/// | unlock and hand the lock to a waiter | [`unlock_fair`](lock_api::MutexGuard::unlock_fair), [`bump`](lock_api::MutexGuard::bump) | `MutexGuard::unlock_fair(guard)` |
/// | unlock while a closure runs | [`unlocked`](lock_api::MutexGuard::unlocked) | `MutexGuard::unlocked(&mut guard, read_file)` |
/// | narrow the guard to a part of the value | [`map`](lock_api::MutexGuard::map) | `MutexGuard::map(guard, first)` |
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
/// `cargo bench --bench mutex_vs_rw_mutex` shows where the border is on your machine.
///
/// # Async code
/// `lock` blocks the thread. Guards are `Send`, so code that holds one across an `.await` compiles, even on a
/// multi-threaded executor. But it can hang: the task that holds the guard waits for a thread, while every thread is
/// blocked in `lock` for another task. Drop the guard before the `.await`, for example by a block:
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
/// Clippy's lint `await_holding_lock`, which warns by default, knows the guards of `lock` and of
/// [`RwMutex`](crate::RwMutex)'s `read` and `write`. List the others in your `clippy.toml`:
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
/// A thread that calls `lock` takes a free lock at once, even if others have been waiting. The lock tends to stay with
/// the thread that has its cache line, which makes it fast. Overtaking is bounded. One waiter at a time is awake; if it
/// doesn't get the lock by itself, an unlock hands the lock to it. That is the next unlock, if the waiter is awake and
/// has waited for a millisecond, or else an unlock one millisecond after its wake-up, even if the waiter has had no
/// core since. So threads that lock without pause can't keep out a thread that locks seldom. (parking_lot had such a
/// bound before 0.13; std's mutex has none.)
///
/// The bound: a thread that finds n others waiting has the lock within n + 2 milliseconds, two sections and a
/// wake-up. Where threads outnumber cores, add the time for which threads that hold the lock, or were handed it, are
/// off their cores: no lock can shorten that.
///
/// [`MutexGuard::unlock_fair`](lock_api::MutexGuard::unlock_fair) hands the lock to a waiter that is asleep or was just
/// woken, if there is one. [`bump`](lock_api::MutexGuard::bump) does so and locks again.
///
/// # Timeouts
/// [`try_lock_for`](lock_api::Mutex::try_lock_for) and [`try_lock_until`](lock_api::Mutex::try_lock_until) never fail
/// early, and take a free lock even if the time is over. A timeout too long to represent, such as [`Duration::MAX`](std::time::Duration::MAX),
/// is none.
///
/// # Panics and misuse
/// A panic while the lock is held unlocks it; there is no poisoning. A guard that is forgotten leaves the lock locked.
/// A guard may be dropped on another thread.
///
/// Use one copy of the crate per process. Waiting threads stand in queues that belong to the copy of phalanx that their
/// code was compiled with. Two copies that share a lock (a plugin with its own phalanx, or two versions) don't wake
/// each other's waiters. Across such a boundary, share a lock only by calls into the copy that made it.
///
/// A global allocator must not use this lock: a thread that waits may allocate, which would call the allocator again
/// until the stack overflows.
///
/// # Memory ordering
/// Everything before an unlock happens before everything after the next lock.
///
/// # Under a model
/// In a [`model`](crate::model) build the raw lock is a specification with little state: a waiter may be overtaken any
/// number of times, and a deadline may pass at any moment. The real lock has models of its own in this crate.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// The guard of a locked [`Mutex`]. Dropping it unlocks.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// A guard narrowed to a part of the value of a [`Mutex`], by [`map`](lock_api::MutexGuard::map).
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;

/// The guard of a [`Mutex`] in an `Arc`. It keeps the `Arc` alive.
#[cfg(feature = "arc_lock")]
pub type ArcMutexGuard<T> = lock_api::ArcMutexGuard<RawMutex, T>;
