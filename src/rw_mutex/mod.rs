//! A reader-writer lock whose reads scale, and that lets nobody starve.
//!
//! | file | holds |
//! | --- | --- |
//! | `state.rs` | the bits of the lock's word and the transitions between them |
//! | `core.rs` | the word, its queues, the steps that let others in |
//! | `readers.rs` | the slots in which readers say that they are inside |
//! | `policy.rs` | when a bias pays, when a waiter enters: values without atomics |
//! | `control.rs` | who decides on the bias: the lock, or its user |
//! | `slow.rs` | waiting |
//! | `unfenced.rs` | marks without a fence |
//! | `bias.rs` | engaging and revoking the bias, draining, tries |
//! | `raw.rs` | the lock, put together; the invariants |
//! | `external.rs` | what a lock offers whose user decides on its bias |
//! | `api.rs` | [`lock_api`]'s traits for the lock |
//! | `spec.rs` | the specification that users' models run on, instead of `api.rs` |
//! | `models/` | models of the lock and of the specification |

#![cfg_attr(all(phalanx_loom, not(test)), expect(dead_code, reason = "only its models use it"))]

#[cfg_attr(phalanx_loom, path = "spec.rs")]
mod api;
mod bias;
mod control;
mod core;
mod external;
#[cfg(test)]
mod models;
mod policy;
mod raw;
mod readers;
mod slow;
mod state;
mod unfenced;

pub use api::RawRwMutex;
pub(crate) use api::RawShardLock;
pub(crate) use external::ExternalBias;

/// A reader-writer lock around a value: Go's `RWMutex`, whose reads scale.
///
/// ```
/// use phalanx::{RwMutex, RwMutexUpgradableReadGuard};
/// use std::collections::HashMap;
///
/// let squares = RwMutex::new(HashMap::from([(2, 4)]));
/// assert_eq!(squares.read().get(&2), Some(&4));
///
/// // Reads first, and writes only if need be, with no other writer in between.
/// let seen = squares.upgradable_read();
/// if !seen.contains_key(&3) {
///     RwMutexUpgradableReadGuard::upgrade(seen).insert(3, 9);
/// }
/// assert_eq!(squares.read().len(), 2);
/// ```
///
/// **A recursive `read` may deadlock**: if a writer comes between the two, the second read waits for
/// the writer, and the writer for the first.
///
/// The type is [`lock_api::RwLock`] around phalanx's raw lock.
///
/// | to do this | call | example |
/// | --- | --- | --- |
/// | read beside other readers | [`read`](lock_api::RwLock::read) | `lock.read().len()` |
/// | write alone | [`write`](lock_api::RwLock::write) | `lock.write().push(1)` |
/// | lock if it is free | [`try_read`](lock_api::RwLock::try_read), [`try_write`](lock_api::RwLock::try_write) | `if let Some(list) = lock.try_read() { show(&list) }` |
/// | lock within a time | [`try_read_for`](lock_api::RwLock::try_read_for), [`try_write_for`](lock_api::RwLock::try_write_for) | `lock.try_write_for(Duration::from_millis(5))` |
/// | read, and perhaps write next | [`upgradable_read`](lock_api::RwLock::upgradable_read), then [`upgrade`](lock_api::RwLockUpgradableReadGuard::upgrade) | see above |
/// | write, then go on reading | [`downgrade`](lock_api::RwLockWriteGuard::downgrade) | `RwMutexWriteGuard::downgrade(guard)` |
/// | unlock for the longest waiter | [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) | `RwMutexWriteGuard::unlock_fair(guard)` |
/// | keep a part of the value locked | [`map`](lock_api::RwLockReadGuard::map) | `RwMutexReadGuard::map(guard, first)` |
///
/// ```
/// use phalanx::{RwMutex, RwMutexWriteGuard};
/// use std::time::Duration;
///
/// let list = RwMutex::new(vec![1]);
/// let mut writing = list.write();
/// assert!(list.try_read().is_none());
/// assert!(list.try_read_for(Duration::from_millis(1)).is_none());
/// writing.push(2);
/// let reading = RwMutexWriteGuard::downgrade(writing);
/// assert_eq!(list.read().len(), reading.len());
/// ```
///
/// # When to use it
/// Wherever several threads read at once and writes are rarer, or sections are long.
/// [`Mutex`](crate::Mutex) is as good or better where sections are a few nanoseconds and writes
/// frequent, and it is smaller. `cargo bench --bench mutex_vs_rw_mutex` tells which to take.
///
/// # Tries
/// A `try_` call doesn't block. One that fails is noticed by no other call: it makes nobody wait or fail.
/// [`try_read`](lock_api::RwLock::try_read) fails only if a writer holds the lock or waits for it, or has just
/// handed it over with [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) to a thread that isn't awake yet.
/// With too many readers inside it panics, as `read` does: see [panics](RwMutex#panics-and-misuse).
/// [`try_write`](lock_api::RwLock::try_write) fails only if another thread is inside, is on its way in or
/// out, or has waited so long that it claims the lock. A timed wait with no time (`Duration::ZERO`, or a
/// deadline that has passed) is a try. A writer that waits with a limit is a waiting writer as long as it
/// waits.
///
/// # Async code
/// `read` and `write` block the thread, and guards are `Send`. Drop a guard before an `.await`:
/// [`Mutex`](crate::Mutex#async-code) tells why, and how clippy finds guards that are held across one.
///
/// # How reads scale
/// A lock that only one reader uses at a time is one word, as everywhere. Once a reader has had to
/// wait for another, and no writer came for half a microsecond, the lock is *biased*: a reader
/// marks a slot of its own thread and touches no line that another reader writes. A write revokes the
/// bias, scans the slots of all threads that read so, and restores it if enough is read
/// between two writes. So a write to a biased lock costs about half a microsecond more than
/// one to an unbiased lock, plus a few nanoseconds for each thread of the program that reads by
/// slots, and it is paid only where the reads are worth it. (BRAVO, arXiv:1810.01553; folly's
/// `SharedMutex`.)
///
/// Most of what such a read costs is a memory fence. On Linux, with the feature `membarrier` (on by default), a lock
/// that nobody has written for some ten milliseconds does without: its next writer (also a try) makes everybody's
/// fence by `membarrier(2)`, which takes it 10 to 30 µs and interrupts the process's running threads for a moment.
/// After that, reads have their own fences until the lock has been quiet for as long again. A lock that is
/// written regularly never pays for it. The kernel is asked for such fences once in the life of the process, when a
/// lock is first found quiet, by a reader that isn't inside; where other threads run that call takes some 10 ms. It is
/// not asked where a fence costs next to nothing. If it grants them first and refuses them later, as in a sandbox that
/// was set up since, the next writer of such a lock takes up to 100 ms, and all reads have their fences from then on.
///
/// Memory: 24 bytes beside the value; 128 bytes for each thread that has read a biased lock, in a
/// static table for 256 of them. Threads beyond that, reads of more than 6 biased locks nested in one
/// thread, and reads while the thread's thread-locals are being destroyed use the word, at an
/// unbiased lock's speed.
///
/// # Fairness
/// A writer that comes while readers are inside lets no more of them in and waits for those to
/// leave, so readers don't starve writers. A thread that has been waiting for a millisecond, counted
/// from when it fell asleep, claims the lock, and no writer enters before it does: so writers don't
/// starve readers, or each other. (An upgradable reader that upgrades, downgrades and upgrades again
/// without ever letting go may keep readers out for longer.)
///
/// [`unlock_fair`](lock_api::RwLockWriteGuard::unlock_fair) of a write guard hands the lock to a
/// sleeping reader, or if there is none to a sleeping writer.
///
/// # Timeouts
/// A timed wait never fails early, and always takes a free lock. A duration too long to be a point in time, such as
/// [`Duration::MAX`](std::time::Duration::MAX), is no limit. A
/// writer that gives up lets in whom it has kept out; an upgrade that gives up is an upgradable read again.
///
/// # Panics and misuse
/// A panic under the lock unlocks it; there is no poisoning. A guard may be dropped on another thread.
/// A guard that is forgotten leaves the lock locked, and if it was a read guard of a biased
/// lock costs its thread one of its 6 slots; no other lock is harmed, also not one that comes to stand
/// in the place of the first. With 2^22 readers inside by the word at once, reading panics, and so
/// does downgrading an upgradable guard, whose lock is left then.
///
/// **Use one copy of the crate per process.** The slots of readers and the queues of waiters belong to the
/// copy of phalanx that a thread's code was compiled with. If two copies share a lock (a plugin with a
/// phalanx of its own, or two versions), a writer of one doesn't see the readers of the other, and both are
/// inside at once. Across such a boundary, share a lock only by calls into the copy that made it.
///
/// A global allocator must not use this lock. A thread that waits may have to allocate its place in the
/// queues; that calls the allocator, which waits, until the stack overflows.
///
/// # Memory ordering
/// Everything before a write unlock happens before everything after the next lock of either kind;
/// everything before a read unlock happens before everything after the next write lock. Readers
/// are not ordered with one another.
///
/// # Under a model
/// In a [`model`](crate::model) build the raw lock is a specification with a small state: a waiting
/// writer keeps new readers out, anyone may be overtaken any number of times, and a deadline may pass
/// at any moment. The real lock has models of its own in this crate.
#[doc(alias = "RwLock")]
#[doc(alias = "RWMutex")]
pub type RwMutex<T> = lock_api::RwLock<RawRwMutex, T>;

/// The guard of a [`RwMutex`] that is being read.
#[doc(alias = "RwLockReadGuard")]
pub type RwMutexReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwMutex, T>;

/// The guard of a [`RwMutex`] that is being written.
#[doc(alias = "RwLockWriteGuard")]
pub type RwMutexWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwMutex, T>;

/// The guard of a [`RwMutex`] that is being read, and may be written next: one at a time.
#[doc(alias = "RwLockUpgradableReadGuard")]
pub type RwMutexUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawRwMutex, T>;

/// The guard of a part of what a [`RwMutex`] protects, being read.
#[doc(alias = "MappedRwLockReadGuard")]
pub type MappedRwMutexReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwMutex, T>;

/// The guard of a part of what a [`RwMutex`] protects, being written.
#[doc(alias = "MappedRwLockWriteGuard")]
pub type MappedRwMutexWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwMutex, T>;

/// The read guard of a [`RwMutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexReadGuard<T> = lock_api::ArcRwLockReadGuard<RawRwMutex, T>;

/// The write guard of a [`RwMutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawRwMutex, T>;

/// The upgradable guard of a [`RwMutex`] in an `Arc`, which it keeps alive.
#[cfg(feature = "arc_lock")]
pub type ArcRwMutexUpgradableReadGuard<T> = lock_api::ArcRwLockUpgradableReadGuard<RawRwMutex, T>;
